"""What the paper's figures show, as orders: the numbers beside them are in tables.py.

What "rich", "uses only C" and the like mean is in bounds.py; "nearly even" is within a factor ten.
The end of a statement, in parentheses, says of what the terms are, from the smallest on.
"""

from collections.abc import Callable
from functools import partial

from richlib.lab.claims import measures
from richlib.lab.claims.bounds import lazy, more, only_C, rich, significant
from richlib.lab.claims.measures import eigenvalue_step, quality, utilization
from richlib.lab.claims.rule import Direction, Elsewhere, Term, rising


def _shows(figure: int, experiment: str, chapter: str):
    """Makes the directions of a figure, from a statement and terms."""
    return partial(Direction, f"Figure {figure}", experiment=experiment, chapter=chapter)


_1 = _shows(1, "encoded-labels", "encoded_labels")
_2 = _shows(2, "samples", "samples")
_3 = _shows(3, "batch-normalization", "batch_normalization")
_4 = _shows(4, "learning-rate", "learning_rate")
_5 = _shows(5, "learning-rate", "feature_evolution")
_10 = _shows(10, "regression", "regression")
_11 = _shows(11, "target-downscaling", "earlier_measures")
_12 = _shows(12, "grokking", "grokking")
_13 = _shows(13, "weight-decay", "weight_decay")
_14 = _shows(14, "architecture", "architecture")
_15 = _shows(15, "shuffled-labels", "shuffled_labels")
_16 = _shows(16, "accurate-not-rich", "accurate_not_rich")
_17 = _shows(17, "cross-entropy", "cross_entropy")
_18 = _shows(18, "learning-rate", "layers")
_19 = _shows(19, "learning-rate", "layers")
_20 = _shows(20, "batch-normalization", "layers")
_21 = _shows(21, "layerwise", "layers")


# The conditions of Fig. 15, with the D_LR that it prints.
_SHUFFLED = (
    ("no labels shuffled", "shuffled-0", 0.031),
    ("10% shuffled", "shuffled-0.1", 0.042),
    ("all shuffled", "shuffled-1", 0.034),
)


def _steeper(metric: str) -> tuple[Term, Term]:
    """The exponent from 1,000 to 10,000 samples is larger than that from 100 to 1,000."""
    decay = measures.decay(metric)
    return Term(decay, ("n-100", "n-1000")), Term(decay, ("n-1000", "n-10000"))


def _in_depth(curve: str, variant: str, layers: int) -> tuple[Term, ...]:
    """Π*(C) or Π̂(C) rises from layer to layer."""
    return tuple(Term(measures.layer(l, curve), (variant,)) for l in range(1, layers + 1))


def _most_in_the_last(*variants: str) -> tuple[Term, Term]:
    """Two networks differ more in Π̂(C) of the last layer than in that of any other."""
    earlier = measures.difference_before_the_last("utilization")
    return Term(earlier, variants), Term(measures.difference_in_the_last("utilization"), variants)


def _last_is_largest(variant: str) -> tuple[Term, Term]:
    """Π̂(C) of the last layer is larger than that of any other."""
    earlier = measures.largest_before_the_last("utilization")
    return Term(earlier, (variant,)), Term(measures.layer(-1, "utilization"), (variant,))


def _least(measure: Callable, *epochs: int) -> Callable:
    """The smallest value that a measure of the spectrum has at the epochs."""
    return measures.least(*(measures.spectrum_at(epoch, measure) for epoch in epochs))


def _computed(figure: int, statement: str, found: str, chapter: str) -> Elsewhere:
    return Elsewhere(f"Figure {figure}", statement, found, chapter)


FIGURES: list[Direction | Elsewhere] = [
    _1(
        "D_LR is smaller where all layers are trained (rich, lazy)",
        terms=rising("dlr_train", "full", "last-layer"),
        printed=(8.7e-3, 0.63),
    ),
    _1(
        "test accuracy is smaller where all layers are trained (rich, lazy)",
        terms=rising("accuracy_test", "full", "last-layer"),
        printed=(0.100, 0.744),
        percent=True,
    ),
    _1(
        "(i) the first C eigenfunctions express less of the target: Π*(C) (rich, lazy)",
        terms=rising(quality, "full", "last-layer"),
    ),
    _1("the network with all layers trained is rich: D_LR below 0.1", terms=rich("full")),
    _1("the one with the last layer trained is lazy: D_LR above 0.1", terms=lazy("last-layer")),
    _1("(ii) the rich network uses only C: Π̂(C) above 0.95", terms=only_C("full")),
    _1("(ii) the lazy one uses more: Π̂(C) below 0.95", terms=more("last-layer")),
    _1(
        "(iii) eigenvalues of the rich network fall more at the C-th: ρ_{C+1}/ρ_{C−1} (rich, lazy)",
        terms=rising(eigenvalue_step, "full", "last-layer"),
    ),
    _2(
        "(a) the test error falls faster beyond 1,000 samples: exponents (below, beyond)",
        terms=_steeper("error_test"),
    ),
    _2(
        "(b) the test loss falls faster beyond 1,000 samples: exponents (below, beyond)",
        terms=_steeper("loss_test"),
    ),
    _2(
        "(c) D_LR falls faster beyond 1,000 samples: exponents (below, beyond)",
        terms=_steeper("dlr_train"),
    ),
    _2(
        "(c) 100 samples are not enough to be rich: D_LR above 0.1",
        terms=lazy("n-100"),
    ),
    _2("(c) all 50,000 pictures are enough to be rich: D_LR below 0.1", terms=rich("n-50000")),
    _2(
        "(c) D_LR is smaller with all pictures than with 100 (50,000, 100)",
        terms=rising("dlr_train", "n-50000", "n-100"),
    ),
    _3("(ii) with batch normalization only C are used: Π̂(C) above 0.95", terms=only_C("with")),
    _3(
        "(ii) without batch normalization more than C are used: Π̂(C) below 0.95",
        terms=more("without"),
    ),
    _3(
        "(iii) with batch normalization only C are significant: ρ_{C+1}/ρ_{C−1} below 0.1",
        terms=significant("with"),
    ),
    _3(
        "(iii) without batch normalization eigenvalues fall less: ρ_{C+1}/ρ_{C−1} (with, without)",
        terms=rising(eigenvalue_step, "with", "without"),
    ),
    _4("(ii) at rate 0.05 only C are used: Π̂(C) above 0.95", terms=only_C("middle")),
    _4("(ii) at rate 0.2 only C are used: Π̂(C) above 0.95", terms=only_C("high")),
    _4("(ii) at rate 0.005 more than C are used: Π̂(C) below 0.95", terms=more("low")),
    _4(
        "(ii) at rate 0.005 more are used than at 0.05: Π̂(C) (0.005, 0.05)",
        terms=rising(utilization, "low", "middle"),
    ),
    _4(
        "(ii) at rate 0.005 more are used than at 0.2: Π̂(C) (0.005, 0.2)",
        terms=rising(utilization, "low", "high"),
    ),
    _5(
        "quality follows intensity: rank correlation above 0, after training",
        terms=(0.0, Term(measures.following_intensity("quality"), ("middle",))),
    ),
    _5(
        "utilization follows intensity: rank correlation above 0, after training",
        terms=(0.0, Term(measures.following_intensity("utilization"), ("middle",))),
    ),
    *(
        _5(
            f"{curve} follows intensity during training: above 0 at epochs 1, 5, 20 (least)",
            terms=(
                0.0,
                Term(_least(measures.following_intensity(curve), 1, 5, 20), ("middle",)),
            ),
        )
        for curve in ("quality", "utilization")
    ),
    *(
        _5(
            f"{curve} follows intensity more than before training (epoch 0, epoch 20)",
            terms=tuple(
                Term(measures.spectrum_at(epoch, measures.following_intensity(curve)), ("middle",))
                for epoch in (0, 20)
            ),
        )
        for curve in ("quality", "utilization")
    ),
    _computed(6, "features and their eigenfunctions", "as drawn", "linear_models"),
    _computed(
        7,
        "large features are learned, small ones are not",
        "as drawn, with points of ours",
        "linear_models",
    ),
    _computed(
        9,
        "a network learns a step: one feature fits target and output, few are significant after "
        "training",
        "one does, up to nine tenths of the step; few are significant, and no more were before",
        "learning_a_step",
    ),
    _10("the scalar regression is rich: D_LR below 0.1", terms=rich("scalar")),
    _10("the classification is rich: D_LR below 0.1", terms=rich("classes")),
    _10("the regression uses its minimum of features: Π̂(2) above 0.95", terms=only_C("scalar")),
    _10(
        "the classification uses its minimum of features: Π̂(C) above 0.95", terms=only_C("classes")
    ),
    _11(
        "(ii) the larger α, the more features are used: Π̂(C) (20, 2, 0.2)",
        terms=rising(utilization, "alpha-20", "alpha-2", "alpha-0.2"),
    ),
    _11(
        "(iii) the larger α, the less eigenvalues fall: ρ_{C+1}/ρ_{C−1} (0.2, 2, 20)",
        terms=rising(eigenvalue_step, "alpha-0.2", "alpha-2", "alpha-20"),
    ),
    _12(
        "after grokking fewer features are used than before: Π̂(C) (step 200, step 3000)",
        terms=tuple(
            Term(measures.spectrum_at(epoch, utilization), ("mse",)) for epoch in (200, 3000)
        ),
    ),
    _13("without weight decay the network is rich already: D_LR below 0.1", terms=rich("none")),
    _13("without weight decay only C are used: Π̂(C) above 0.95", terms=only_C("none")),
    _13(
        "without weight decay only C are significant: ρ_{C+1}/ρ_{C−1} below 0.1",
        terms=significant("none"),
    ),
    _13(
        "decay aids low rank: ρ_{C+1}/ρ_{C−1} (1e-3, 1e-4, 0)",
        terms=rising(eigenvalue_step, "strong", "weak", "none"),
    ),
    _14(
        "(a) ResNet18 uses only C from epoch 1 on: Π̂(C) above 0.95 at epochs 1, 5, 20 (least)",
        terms=(0.95, Term(_least(utilization, 1, 5, 20), ("resnet18",))),
    ),
    _14("(a) at the end ResNet18 uses only C: Π̂(C) above 0.95", terms=only_C("resnet18")),
    _14(
        "(a) only C of its features are significant: ρ_{C+1}/ρ_{C−1} below 0.1",
        terms=significant("resnet18"),
    ),
    _14(
        "(b) the MLP concentrates less on the first C: Π̂(C) after one epoch (MLP, ResNet18)",
        terms=rising(measures.spectrum_at(1, utilization), "mlp", "resnet18"),
    ),
    _14("(b) at the end the MLP uses more than C: Π̂(C) below 0.95", terms=more("mlp")),
    _14(
        "(b) the MLP uses more at the end than around epoch 30: Π̂(C) (end, epoch 30)",
        terms=(
            Term(utilization, ("mlp",)),
            Term(measures.spectrum_at(30, utilization), ("mlp",)),
        ),
    ),
    _14(
        "(b) the MLP deviates from rich dynamics after epoch 30: D_LR (epoch 30, end)",
        terms=(
            Term(measures.at_epoch(30, "dlr_train"), ("mlp",)),
            Term(measures.final("dlr_train"), ("mlp",)),
        ),
    ),
    _14(
        "eigenvalues of ResNet18 fall more at the C-th: ρ_{C+1}/ρ_{C−1} (ResNet18, MLP)",
        terms=rising(eigenvalue_step, "resnet18", "mlp"),
    ),
    *(
        _15(f"{name}: rich, D_LR below 0.1", terms=rich(variant), printed=(dlr,))
        for name, variant, dlr in _SHUFFLED
    ),
    *(
        _15(f"(ii) {name}: only C are used, Π̂(C) above 0.95", terms=only_C(variant))
        for name, variant, _ in _SHUFFLED
    ),
    *(
        _15(
            f"(iii) {name}: only C are significant, ρ_{{C+1}}/ρ_{{C−1}} below 0.1",
            terms=significant(variant),
        )
        for name, variant, _ in _SHUFFLED
    ),
    _15(
        "(i) quality falls with shuffling: Π*(C) (all, 10%, none)",
        terms=rising(quality, "shuffled-1", "shuffled-0.1", "shuffled-0"),
    ),
    _16(
        "test accuracy is above 95% with all layers trained",
        terms=(0.95, Term("accuracy_test", ("full",))),
        printed=(0.991,),
        percent=True,
    ),
    _16(
        "test accuracy is above 95% with the last layer trained",
        terms=(0.95, Term("accuracy_test", ("last-layer",))),
        printed=(0.968,),
        percent=True,
    ),
    _16("the rich network uses only C: Π̂(C) above 0.95", terms=only_C("full")),
    _16("the lazy one uses more: Π̂(C) below 0.95", terms=more("last-layer")),
    _16(
        "in the rich one only C are significant: ρ_{C+1}/ρ_{C−1} below 0.1",
        terms=significant("full"),
    ),
    _16(
        "eigenvalues of the rich network fall more at the C-th: ρ_{C+1}/ρ_{C−1} (rich, lazy)",
        terms=rising(eigenvalue_step, "full", "last-layer"),
    ),
    _17("with the cross-entropy the network is rich: D_LR below 0.1", terms=rich("cross-entropy")),
    _17("with the cross-entropy only C are used: Π̂(C) above 0.95", terms=only_C("cross-entropy")),
    _17(
        "with the cross-entropy only C are significant: ρ_{C+1}/ρ_{C−1} below 0.1",
        terms=significant("cross-entropy"),
    ),
    _17(
        "with the mean squared error the first C are nearly even from epoch 1: ρ_2/ρ_C below 10",
        terms=(Term(measures.spectrum_at(1, measures.unevenness), ("mse",)), 10.0),
    ),
    *(
        _17(
            f"at epoch {epoch} the first C are less even with the cross-entropy: ρ_2/ρ_C (MSE, "
            "cross-entropy)",
            terms=rising(measures.spectrum_at(epoch, measures.unevenness), "mse", "cross-entropy"),
        )
        for epoch in (1, 5)
    ),
    _17(
        "with the cross-entropy the first C are more even after epoch 5: ρ_2/ρ_C (end, epoch 5)",
        terms=(
            Term(measures.unevenness, ("cross-entropy",)),
            Term(measures.spectrum_at(5, measures.unevenness), ("cross-entropy",)),
        ),
    ),
    _18("quality rises from layer to layer: Π*(C)", terms=_in_depth("quality", "middle", 4)),
    _18("utilization rises from layer to layer: Π̂(C)", terms=_in_depth("utilization", "middle", 4)),
    _19(
        "rates 0.005 and 0.05 differ most in the last layer: Π̂(C) (most before, last)",
        terms=_most_in_the_last("low", "middle"),
    ),
    *(
        _19(
            f"at rate {rate} the last layer is the most low-rank: Π̂(C) (largest before, last)",
            terms=_last_is_largest(variant),
        )
        for rate, variant in (("0.005", "low"), ("0.05", "middle"), ("0.2", "high"))
    ),
    *(
        _20(
            f"{network} the last layer is the most low-rank: Π̂(C) (largest before, last)",
            terms=_last_is_largest(variant),
        )
        for network, variant in (
            ("with batch normalization", "with"),
            ("without batch normalization", "without"),
        )
    ),
    _20(
        "with batch normalization quality rises from layer to layer: Π*(C)",
        terms=_in_depth("quality", "with", 6),
    ),
    _20(
        "without it quality gains less from the first layer to the last: Π*(C) (without, with)",
        terms=rising(measures.between(1, -1, "quality"), "without", "with"),
    ),
    _20(
        "without it quality varies less from layer 3 to layer 6: Π*(C) (without, with)",
        terms=rising(measures.variation(3, 6, "quality"), "without", "with"),
    ),
    _20(
        "the two differ most in the last layer: Π̂(C) (most before, last)",
        terms=_most_in_the_last("with", "without"),
    ),
    _21(
        "layerwise training collapses layer 2: Π̂(C) there (full, layerwise)",
        terms=rising(measures.layer(2, "utilization"), "full", "layerwise"),
    ),
    _21(
        "layerwise, quality gains less from layer 2 to the last: Π*(C) (layerwise, full)",
        terms=rising(measures.between(2, -1, "quality"), "layerwise", "full"),
    ),
    _21(
        "layerwise, test accuracy is lower (layerwise, full)",
        terms=rising("accuracy_test", "layerwise", "full"),
        percent=True,
    ),
    _computed(
        23,
        "the Nyström method has good eigenvalues but for the tail (a), good eigenfunctions where "
        "eigenvalues are large against the median (b), a space within 0.25 (c)",
        "(a) as stated; (b) gaps between eigenvalues decide, not the median; (c) for these "
        "exponents, not in general",
        "nystrom",
    ),
    _computed(24, "how errors of eigenfunctions add up", "as drawn", "nystrom"),
    _computed(
        25,
        "orthonormalization keeps projection measures below 1",
        "as stated, on a smaller network",
        "nystrom",
    ),
]
