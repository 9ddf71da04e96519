"""What the text says of the numbers of Tables 1 to 4, as orders.

"Equals C" (Appendix F, of Table 4: "the number of significant features always equals C") is D_eff
within 5% of C: the rule for numbers grants as much, and the paper's own values stay within it.
"""

from functools import partial

from richlib.lab.claims.bounds import lazy, rich
from richlib.lab.claims.measures import at_epoch, factor
from richlib.lab.claims.rule import Claim, Direction, Elsewhere, Term, rising
from richlib.lab.claims.tables import TABLE_4
from richlib.lab.data import LAYOUT

_decayed = partial(Direction, experiment="weight-decay-alone", chapter="earlier_measures")
_downscaled = partial(Direction, experiment="target-downscaling", chapter="earlier_measures")
_table_1 = partial(_decayed, "Section 4.1: Table 1")
_table_2 = partial(_downscaled, "Section 4.1: Table 2")
_table_3 = partial(Direction, "Section 4.2: Table 3")
_table_4 = partial(Direction, "Appendix F: Table 4", experiment="low-rank", chapter="architecture")


_RATES = {"0.005": "low", "0.05": "middle", "0.2": "high"}


def _after_decay(metric: str) -> tuple[Term, Term]:
    return Term(metric, ("decay",)), Term(f"{metric}_at_init", ("decay",))


def _by_scale(metric: str, *alphas: float) -> tuple[Term, ...]:
    return rising(metric, *(f"alpha-{alpha:g}" for alpha in alphas))


def _grokking(curve: str, step: int) -> Term:
    return Term(at_epoch(step, curve), ("mse",))


def _of_table_4(cell: Claim) -> list[Direction]:
    """What is said of a number of Table 4; nothing of its accuracies."""
    C = LAYOUT[cell.variant.rpartition("-")[2]][1]
    term, printed = Term(cell.metric, (cell.variant,)), (cell.value,)
    if cell.metric == "accuracy_test":
        return []
    if cell.metric == "dlr_train":
        return [
            _table_4(f"{cell.statement} is below 0.1: rich", terms=(term, 0.1), printed=printed)
        ]
    bounds = (0.95 * C, term, 1.05 * C)
    return [_table_4(f"{cell.statement} is C = {C}", terms=bounds, printed=printed)]


STATED: list[Direction | Elsewhere] = [
    _table_1(
        "D_LR is larger after weight decay alone: not taken for rich (before, after)",
        terms=_after_decay("dlr_train")[::-1],
        printed=(0.59, 1.0),
    ),
    _table_1(
        "S_init is smaller: taken for rich (after, before)",
        terms=_after_decay("s_init_train"),
        printed=(0.20, 1.0),
    ),
    _table_1(
        "the squared norm is smaller: taken for rich (after, before)",
        terms=_after_decay("parameter_norm"),
        printed=(2.2e-5, 3.1e3),
    ),
    _table_1(
        "NC1 is smaller: taken for rich (after, before)",
        terms=_after_decay("nc1_ridge_train"),
        printed=(7.5e-14, 1.2e5),
    ),
    _table_2(
        "D_LR rises with α (0.2, 2, 20)",
        terms=_by_scale("dlr_test", 0.2, 2, 20),
        printed=(4.9e-2, 1.1e-1, 5.6e-1),
    ),
    _table_2(
        "S_init does not rise with α: smaller at 2 than at 0.2 (2, 0.2)",
        terms=_by_scale("s_init_train", 2, 0.2),
        printed=(4.1e-2, 6.8e-2),
    ),
    _table_2(
        "S_init of neurons does not rise with α, either: smaller at 2 than at 0.2 (2, 0.2)",
        terms=_by_scale("s_init_neurons_train", 2, 0.2),
        printed=(4.1e-2, 6.8e-2),
    ),
    _table_2(
        "the squared norm does not rise with α: smaller at 2 than at 0.2 (2, 0.2)",
        terms=_by_scale("parameter_norm", 2, 0.2),
        printed=(3.2e3, 3.4e3),
    ),
    _table_2(
        "NC1 does not rise with α: it falls (20, 2, 0.2)",
        terms=_by_scale("nc1_ridge_train", 20, 2, 0.2),
        printed=(8.1e2, 3.2e3, 2.3e4),
    ),
    _table_2(
        "NC1 shifts by a larger factor than D_LR from α = 0.2 to 20 (of D_LR, of NC1)",
        terms=tuple(
            Term(factor(metric), ("alpha-0.2", "alpha-20"))
            for metric in ("dlr_test", "nc1_ridge_train")
        ),
        printed=(11.4, 28.4),
    ),
    _decayed(
        "Appendix H.2",
        "Tr Σ_W is smaller after weight decay alone, as NC1 is (after, before)",
        terms=_after_decay("trace_within_train"),
        printed=(7.1e-18, 15.6),
    ),
    _downscaled(
        "Appendix H.2",
        "Tr Σ_W falls with α, as NC1 does (20, 2, 0.2)",
        terms=_by_scale("trace_within_train", 20, 2, 0.2),
        printed=(0.12, 0.31, 2.0),
    ),
    _table_3(
        "grokking: test accuracy is below one half at step 200, above it at step 3000",
        "grokking",
        (_grokking("accuracy_test", 200), 0.5, _grokking("accuracy_test", 3000)),
        (0.052, 0.998),
        percent=True,
        chapter="grokking",
    ),
    _table_3(
        "grokking: D_LR is smaller after than before (step 3000, step 200)",
        "grokking",
        (_grokking("dlr_train", 3000), _grokking("dlr_train", 200)),
        (0.11, 0.51),
        chapter="grokking",
    ),
    *(
        _table_3(
            f"{name} is smaller at rate {one} than at {other} ({one}, {other})",
            "learning-rate",
            rising(metric, _RATES[one], _RATES[other]),
            printed,
            percent=metric == "accuracy_test",
            chapter="learning_rate",
        )
        for name, metric, one, other, printed in (
            ("D_LR", "dlr_train", "0.05", "0.2", (0.025, 0.039)),
            ("D_LR", "dlr_train", "0.05", "0.005", (0.025, 0.053)),
            ("D_LR", "dlr_train", "0.2", "0.005", (0.039, 0.053)),
            ("test accuracy", "accuracy_test", "0.2", "0.05", (0.745, 0.783)),
            ("test accuracy", "accuracy_test", "0.005", "0.05", (0.663, 0.783)),
            ("test accuracy", "accuracy_test", "0.005", "0.2", (0.663, 0.745)),
        )
    ),
    _table_3(
        "D_LR falls with weight decay (1e-3, 1e-4, 0)",
        "weight-decay",
        rising("dlr_train", "strong", "weak", "none"),
        (0.003, 0.015, 0.05),
        chapter="weight_decay",
    ),
    _table_3(
        "test accuracy rises with weight decay (0, 1e-4, 1e-3)",
        "weight-decay",
        rising("accuracy_test", "none", "weak", "strong"),
        (0.935, 0.941, 0.948),
        percent=True,
        chapter="weight_decay",
    ),
    _table_3(
        "D_LR is smaller for ResNet18 than for the MLP (ResNet18, MLP)",
        "architecture",
        rising("dlr_train", "resnet18", "mlp"),
        (0.026, 0.48),
        chapter="architecture",
    ),
    _table_3(
        "test accuracy is larger for ResNet18 than for the MLP (MLP, ResNet18)",
        "architecture",
        rising("accuracy_test", "mlp", "resnet18"),
        (0.554, 0.948),
        percent=True,
        chapter="architecture",
    ),
    _table_3(
        "test accuracy falls with shuffled labels (all, 10%, none)",
        "shuffled-labels",
        rising("accuracy_test", "shuffled-1", "shuffled-0.1", "shuffled-0"),
        (0.095, 0.661, 0.950),
        percent=True,
        chapter="shuffled_labels",
    ),
    _table_3(
        "CNN: D_LR is smaller if all layers are trained (all, last)",
        "accurate-not-rich",
        rising("dlr_train", "full", "last-layer"),
        (0.043, 0.51),
        chapter="accurate_not_rich",
    ),
    _table_3(
        "CNN: the dynamics are rich if all layers are trained: D_LR below 0.1",
        "accurate-not-rich",
        rich("full"),
        (0.043,),
        chapter="accurate_not_rich",
    ),
    _table_3(
        "CNN: the dynamics are lazy if the last layer is trained: D_LR above 0.1",
        "accurate-not-rich",
        lazy("last-layer"),
        (0.51,),
        chapter="accurate_not_rich",
    ),
    _table_3(
        "VGG-16 is lazy without batch normalization: D_LR above 0.1",
        "batch-normalization",
        lazy("without"),
        (0.66,),
        chapter="batch_normalization",
    ),
    _table_3(
        "VGG-16 is rich with batch normalization: D_LR below 0.1",
        "batch-normalization",
        rich("with"),
        (0.073,),
        chapter="batch_normalization",
    ),
    _table_3(
        "VGG-16: D_LR is smaller with batch normalization (with, without)",
        "batch-normalization",
        rising("dlr_train", "with", "without"),
        (0.073, 0.66),
        chapter="batch_normalization",
    ),
    _table_3(
        "VGG-16: test accuracy is larger with batch normalization (without, with)",
        "batch-normalization",
        rising("accuracy_test", "without", "with"),
        (0.217, 0.720),
        percent=True,
        chapter="batch_normalization",
    ),
    *(direction for cell in TABLE_4 for direction in _of_table_4(cell)),
    Elsewhere(
        "Appendix D.2",
        "the first eigenfunction is the constant throughout training, ⟨1|e_1⟩ above 0.95, in all "
        "networks but that of Figure 9",
        "in wide networks; not in narrow ones",
        "feature_kernel",
    ),
]
