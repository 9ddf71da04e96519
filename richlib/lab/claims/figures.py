"""What the paper's figures show, as orders: the numbers beside them are in tables.py.

"Uses only C eigenfunctions" is Π̂(C) above 0.95 (ideally 1, Section 5.3; 5% is what the rule for
numbers grants); "is rich" is D_LR below 0.1, the bound that the caption of Fig. 15 names.
Eigenvalues are compared where they should fall, between the C-th and the next. The end of a
statement, in parentheses, says of what the terms are, from the smallest on.
"""

from functools import partial

from richlib.lab.claims import measures
from richlib.lab.claims.measures import eigenvalue_step, quality, utilization
from richlib.lab.claims.rule import Direction, Elsewhere, Term, rising


def _shows(figure: int, experiment: str, chapter: str):
    """Makes the directions of a figure, from a statement and terms."""
    return partial(Direction, f"Figure {figure}", experiment=experiment, chapter=chapter)


def _only_C(variant: str) -> tuple[float | Term, ...]:
    return 0.95, Term(utilization, (variant,))


def _rich(variant: str) -> tuple[float | Term, ...]:
    return Term("dlr_train", (variant,)), 0.1


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

# The paper does not list its numbers of samples: these are among ours at every tier but pocket.
_SAMPLES = ("n-10000", "n-3000", "n-1000", "n-300", "n-100")


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


def _computed(figure: int, statement: str, chapter: str) -> Elsewhere:
    return Elsewhere(f"Figure {figure}", statement, chapter, f"chapters/test_{chapter}.py")


FIGURES: list[Direction | Elsewhere] = [
    _1(
        "D_LR is smaller where all layers are trained (rich, lazy)",
        terms=rising("dlr_train", "full", "last-layer"),
        printed=(8.7e-3, 0.63),
    ),
    _1(
        "and so is the test accuracy (rich, lazy)",
        terms=rising("accuracy_test", "full", "last-layer"),
        printed=(0.100, 0.744),
        percent=True,
    ),
    _1(
        "(i) the first C eigenfunctions express less of the target: Π*(C) (rich, lazy)",
        terms=rising(quality, "full", "last-layer"),
    ),
    _1("(ii) the rich network uses only C: Π̂(C) above 0.95", terms=_only_C("full")),
    _1(
        "(ii) the lazy one uses more: Π̂(C) (lazy, rich)",
        terms=rising(utilization, "last-layer", "full"),
    ),
    _1(
        "(iii) eigenvalues of the rich network fall more after the C-th: ρ_{C+1}/ρ_C (rich, lazy)",
        terms=rising(eigenvalue_step, "full", "last-layer"),
    ),
    _2(
        "(a) the test error falls faster beyond 1,000 samples: exponents (below, beyond)",
        terms=_steeper("error_test"),
    ),
    _2("(b) so does the test loss (below, beyond)", terms=_steeper("loss_test")),
    _2("(c) so does D_LR (below, beyond)", terms=_steeper("dlr_train")),
    _2(
        "(c) D_LR falls with every increase of n (10,000, 3,000, 1,000, 300, 100)",
        terms=rising("dlr_train", *_SAMPLES),
    ),
    _2(
        "(c) and on to all pictures (50,000, 30,000, 10,000)",
        terms=rising("dlr_train", "n-50000", "n-30000", "n-10000"),
    ),
    _3("(ii) with batch normalization only C are used: Π̂(C) above 0.95", terms=_only_C("with")),
    _3(
        "(ii) without it more are: Π̂(C) (without, with)",
        terms=rising(utilization, "without", "with"),
    ),
    _3(
        "(iii) with it eigenvalues fall more after the C-th: ρ_{C+1}/ρ_C (with, without)",
        terms=rising(eigenvalue_step, "with", "without"),
    ),
    _4("(ii) at rate 0.05 only C are used: Π̂(C) above 0.95", terms=_only_C("middle")),
    _4("(ii) at rate 0.2 only C are used: Π̂(C) above 0.95", terms=_only_C("high")),
    _4(
        "(ii) at 0.005 more than at 0.05: Π̂(C) (0.005, 0.05)",
        terms=rising(utilization, "low", "middle"),
    ),
    _4(
        "(ii) at 0.005 more than at 0.2: Π̂(C) (0.005, 0.2)",
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
            f"{curve} follows intensity during training, too: above 0 at epochs 1, 5 and 20",
            terms=(
                0.0,
                Term(
                    measures.least(
                        *(
                            measures.spectrum_at(epoch, measures.following_intensity(curve))
                            for epoch in (1, 5, 20)
                        )
                    ),
                    ("middle",),
                ),
            ),
        )
        for curve in ("quality", "utilization")
    ),
    _computed(6, "features and their eigenfunctions", "linear_models"),
    _computed(7, "large features are learned, small ones are not", "linear_models"),
    _computed(9, "a network learns a step", "learning_a_step"),
    _10("the scalar regression is rich: D_LR below 0.1", terms=_rich("scalar")),
    _10("the classification is rich: D_LR below 0.1", terms=_rich("classes")),
    _10("the regression uses its minimum of features: Π̂(2) above 0.95", terms=_only_C("scalar")),
    _10(
        "the classification uses its minimum of features: Π̂(C) above 0.95", terms=_only_C("classes")
    ),
    _11(
        "(ii) the larger α, the more features are used: Π̂(C) (20, 2, 0.2)",
        terms=rising(utilization, "alpha-20", "alpha-2", "alpha-0.2"),
    ),
    _11(
        "(iii) the larger α, the less eigenvalues fall after the C-th: ρ_{C+1}/ρ_C (0.2, 2, 20)",
        terms=rising(eigenvalue_step, "alpha-0.2", "alpha-2", "alpha-20"),
    ),
    _12("after grokking only C are used: Π̂(C) above 0.95", terms=_only_C("mse")),
    _12(
        "before it more are: Π̂(C) (epoch 200, end)",
        terms=(
            Term(measures.spectrum_at(200, utilization), ("mse",)),
            Term(utilization, ("mse",)),
        ),
    ),
    _12(
        "and eigenvalues fall less after the C-th then: ρ_{C+1}/ρ_C (end, epoch 200)",
        terms=(
            Term(eigenvalue_step, ("mse",)),
            Term(measures.spectrum_at(200, eigenvalue_step), ("mse",)),
        ),
    ),
    _13("without weight decay the network is rich already: D_LR below 0.1", terms=_rich("none")),
    _13("without weight decay only C are used: Π̂(C) above 0.95", terms=_only_C("none")),
    _14(
        "after one epoch ResNet18 has the smaller D_LR (ResNet18, MLP)",
        terms=rising(measures.at_epoch(1, "dlr_train"), "resnet18", "mlp"),
    ),
    _14(
        "and concentrates more on the first C: Π̂(C) after one epoch (MLP, ResNet18)",
        terms=rising(measures.spectrum_at(1, utilization), "mlp", "resnet18"),
    ),
    _14("(a) at the end ResNet18 uses only C: Π̂(C) above 0.95", terms=_only_C("resnet18")),
    _14(
        "(b) the MLP uses more: Π̂(C) (MLP, ResNet18)", terms=rising(utilization, "mlp", "resnet18")
    ),
    _14(
        "(b) from its lowest D_LR rises again, more than for ResNet18 (ResNet18, MLP)",
        terms=rising(measures.rise("dlr_train"), "resnet18", "mlp"),
    ),
    _14(
        "eigenvalues of ResNet18 fall more after the C-th: ρ_{C+1}/ρ_C (ResNet18, MLP)",
        terms=rising(eigenvalue_step, "resnet18", "mlp"),
    ),
    *(
        _15(f"{name}: rich, D_LR below 0.1", terms=_rich(variant), printed=(dlr,))
        for name, variant, dlr in (
            ("no labels shuffled", "shuffled-0", 0.031),
            ("10% shuffled", "shuffled-0.1", 0.042),
            ("all shuffled", "shuffled-1", 0.034),
        )
    ),
    *(
        _15(f"(ii) {name}: only C are used, Π̂(C) above 0.95", terms=_only_C(variant))
        for name, variant in (
            ("no labels shuffled", "shuffled-0"),
            ("10% shuffled", "shuffled-0.1"),
            ("all shuffled", "shuffled-1"),
        )
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
    _16("the rich network uses only C: Π̂(C) above 0.95", terms=_only_C("full")),
    _16(
        "the lazy one uses more: Π̂(C) (lazy, rich)", terms=rising(utilization, "last-layer", "full")
    ),
    _16(
        "eigenvalues of the rich network fall more after the C-th: ρ_{C+1}/ρ_C (rich, lazy)",
        terms=rising(eigenvalue_step, "full", "last-layer"),
    ),
    _17("with the cross-entropy the network is rich: D_LR below 0.1", terms=_rich("cross-entropy")),
    _17("with the cross-entropy only C are used: Π̂(C) above 0.95", terms=_only_C("cross-entropy")),
    *(
        _17(
            f"at epoch {epoch} the first C eigenvalues are less even than with the mean squared "
            "error: ρ_2/ρ_C (MSE, cross-entropy)",
            terms=rising(measures.spectrum_at(epoch, measures.unevenness), "mse", "cross-entropy"),
        )
        for epoch in (1, 5)
    ),
    _18("quality rises from layer to layer: Π*(C)", terms=_in_depth("quality", "middle", 4)),
    _18("utilization rises from layer to layer: Π̂(C)", terms=_in_depth("utilization", "middle", 4)),
    _19(
        "rates 0.005 and 0.05 differ most in the last layer: Π̂(C) (most before, last)",
        terms=_most_in_the_last("low", "middle"),
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
        "and quality gains less from layer 2 to the last: Π*(C) (layerwise, full)",
        terms=rising(measures.between(2, -1, "quality"), "layerwise", "full"),
    ),
    _21(
        "and test accuracy is lower (layerwise, full)",
        terms=rising("accuracy_test", "layerwise", "full"),
        percent=True,
    ),
    _computed(23, "the error of the Nyström method, by the decay of the eigenvalues", "nystrom"),
    _computed(24, "how errors of eigenfunctions add up", "nystrom"),
    _computed(25, "projection measures with and without orthonormalization", "nystrom"),
]
