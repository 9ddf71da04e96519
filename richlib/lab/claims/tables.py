"""The numbers of the paper's tables.

Tables 5 to 8 repeat Fig. 1b and Tables 1 to 3 with standard deviations. Table 8 gives those of D_LR
only, so accuracies of Table 3 have none; neither has anything in Table 4.

The tables do not say which samples their metrics are measured on. D_LR of Table 7 is compared on
test samples, where our runs come near it (errata), and so is D_eff(Q̂) of Table 4, as all curves of
utilization; all other metrics but the test accuracy on training samples.
"""

import dataclasses
import math
from functools import partial

from richlib.lab.claims.measures import at_epoch, utilization_dimension
from richlib.lab.claims.rule import Claim, Metric


def _table_5(variant: str, label: str, *figures: tuple[float, float]) -> list[Claim]:
    metrics = (
        ("train accuracy", "accuracy_train", True),
        ("test accuracy", "accuracy_test", True),
        ("D_LR", "dlr_train", False),
    )
    return [
        Claim(
            "Table 5",
            f"{label}: {name}",
            "encoded-labels",
            variant,
            metric,
            *figure,
            percent,
            chapter="encoded_labels",
        )
        for (name, metric, percent), figure in zip(metrics, figures, strict=True)
    ]


TABLE_5 = [
    *_table_5("full", "rich", (1.0, 0.0), (0.100, 4.3e-4), (8.7e-3, 4.0e-4)),
    *_table_5("last-layer", "lazy", (0.987, 1.1e-3), (0.744, 1.9e-3), (0.63, 3.2e-3)),
]


def _columns(table: str, experiment: str, columns: dict[str, dict], rows: dict) -> list[Claim]:
    """The claims of a table whose columns are variants (or moments) and whose rows are metrics.

    columns: variant and suffix of the metric of each; rows: (metric, percent) to the figures.
    """
    return [
        Claim(
            table,
            f"{column}: {statement}",
            experiment,
            where["variant"],
            metric + where.get("suffix", ""),
            *figure,
            percent,
            chapter="earlier_measures",
        )
        for (statement, metric, percent), figures in rows.items()
        for (column, where), figure in zip(columns.items(), figures, strict=True)
    ]


TABLE_6 = _columns(
    "Table 6",
    "weight-decay-alone",
    {
        "at the start": {"variant": "decay", "suffix": "_at_init"},
        "after 200 epochs": {"variant": "decay"},
    },
    {
        ("train accuracy", "accuracy_train", True): ((0.100, 8e-3), (0.102, 2.7e-3)),
        ("test accuracy", "accuracy_test", True): ((0.0985, 1e-2), (0.100, 3.3e-3)),
        ("D_LR", "dlr_train", False): ((0.59, 1.6e-2), (1.0, 6.4e-5)),
        ("S_init", "s_init_train", False): ((1.0, 0.0), (0.20, 1.1e-2)),
        ("squared norm", "parameter_norm", False): ((3.1e3, 3.5e2), (2.2e-5, 2.5e-9)),
        ("NC1", "nc1_ridge_train", False): ((1.2e5, 7.2e2), (7.5e-14, 1.5e-14)),
        ("Tr Σ_W", "trace_within_train", False): ((15.6, 1.4), (7.1e-18, 1.1e-18)),
    },
)

TABLE_7 = _columns(
    "Table 7",
    "target-downscaling",
    {f"α = {alpha:g}": {"variant": f"alpha-{alpha:g}"} for alpha in (0.2, 2.0, 20.0)},
    {
        ("train accuracy", "accuracy_train", True): ((1.0, 0.0), (1.0, 0.0), (1.0, 0.0)),
        ("test accuracy", "accuracy_test", True): (
            (0.927, 3.4e-4),
            (0.924, 5.2e-4),
            (0.883, 3.7e-3),
        ),
        ("D_LR", "dlr_test", False): ((4.9e-2, 4.4e-3), (1.1e-1, 9.4e-3), (5.6e-1, 6.1e-2)),
        ("S_init", "s_init_train", False): ((6.8e-2, 2.1e-3), (4.1e-2, 4.5e-3), (5.2e-2, 1.8e-2)),
        ("squared norm", "parameter_norm", False): ((3.4e3, 11.0), (3.2e3, 4.4), (3.2e3, 2.0)),
        ("NC1", "nc1_ridge_train", False): ((2.3e4, 4.1e3), (3.2e3, 4.3e2), (8.1e2, 1.4e2)),
        ("Tr Σ_W", "trace_within_train", False): ((2.0, 0.25), (0.31, 2.3e-2), (0.12, 1.2e-2)),
    },
)

# The same cells, if the authors compared neurons (p x p) in place of samples (n x n).
OF_NEURONS = [
    dataclasses.replace(claim, source="Tables 6 and 7, neurons", metric="s_init_neurons_train")
    for claim in (*TABLE_6, *TABLE_7)
    if claim.metric == "s_init_train"
]

METRICS_3 = ("accuracy_train", "accuracy_test", "dlr_train")


def _row_3(
    experiment: str,
    chapter: str,
    variant: str,
    condition: str,
    accuracies: tuple[float, float],
    dlr: tuple[float, float],
    metrics: tuple[Metric, Metric, Metric] = METRICS_3,
) -> list[Claim]:
    figures = [(value, math.nan) for value in accuracies] + [dlr]
    names = ("train accuracy", "test accuracy", "D_LR")
    return [
        Claim(
            "Table 3",
            f"{condition}: {name}",
            experiment,
            variant,
            metric,
            *figure,
            percent=name != "D_LR",
            chapter=chapter,
        )
        for name, metric, figure in zip(names, metrics, figures, strict=True)
    ]


def _grokking(step: int) -> tuple[Metric, Metric, Metric]:
    """At an epoch: the paper's "steps" are taken for those (see the notes of the experiment)."""
    return tuple(at_epoch(step, curve) for curve in METRICS_3)


_grok = partial(_row_3, "grokking", "grokking", "mse")
_rate = partial(_row_3, "learning-rate", "learning_rate")
_weight = partial(_row_3, "weight-decay", "weight_decay")
_net = partial(_row_3, "architecture", "architecture")
_shuffled = partial(_row_3, "shuffled-labels", "shuffled_labels")
_cnn = partial(_row_3, "accurate-not-rich", "accurate_not_rich")
_vgg = partial(_row_3, "batch-normalization", "batch_normalization")

TABLE_3 = [
    *_grok("mod 97, step 200", (1.0, 0.052), (0.51, 0.04), _grokking(200)),
    *_grok("mod 97, step 3000", (1.0, 0.998), (0.11, 0.01), _grokking(3000)),
    *_rate("low", "learning rate 0.005", (1.0, 0.663), (0.053, 0.01)),
    *_rate("middle", "learning rate 0.05", (1.0, 0.783), (0.025, 0.004)),
    *_rate("high", "learning rate 0.2", (1.0, 0.745), (0.039, 0.007)),
    *_weight("none", "weight decay 0", (1.0, 0.935), (0.05, 0.003)),
    *_weight("weak", "weight decay 1e-4", (1.0, 0.941), (0.015, 0.003)),
    *_weight("strong", "weight decay 1e-3", (1.0, 0.948), (0.003, 0.001)),
    *_net("resnet18", "CIFAR-10, ResNet18", (1.0, 0.948), (0.026, 0.003)),
    *_net("mlp", "CIFAR-10, MLP", (0.998, 0.554), (0.48, 0.07)),
    *_shuffled("shuffled-0", "no labels shuffled", (1.0, 0.950), (0.031, 0.004)),
    *_shuffled("shuffled-0.1", "10% shuffled", (1.0, 0.661), (0.042, 0.003)),
    *_shuffled("shuffled-1", "all shuffled", (1.0, 0.095), (0.034, 0.004)),
    *_cnn("full", "CNN, all layers", (1.0, 0.991), (0.043, 0.005)),
    *_cnn("last-layer", "CNN, last layer", (0.997, 0.968), (0.51, 0.008)),
    *_vgg("without", "VGG-16, no batch normalization", (0.995, 0.217), (0.66, 0.01)),
    *_vgg("with", "VGG-16, batch normalization", (1.0, 0.720), (0.073, 0.002)),
]

# D_eff of the eigenvalues and of the utilization, D_LR, test accuracy.
_TABLE_4 = {
    ("resnet18", "mnist"): (10.1, 10.0, 4.4e-3, 0.997),
    ("vgg16-bn", "mnist"): (10.0, 10.0, 1.8e-2, 0.994),
    ("resnet18", "cifar10"): (10.4, 10.0, 3.1e-3, 0.948),
    ("vgg16-bn", "cifar10"): (10.0, 10.0, 1.1e-3, 0.933),
    ("resnet18", "cifar100"): (99.9, 99.7, 2.5e-2, 0.783),
    ("vgg16-bn", "cifar100"): (95.8, 99.4, 7.4e-2, 0.719),
}
_NAMES = {"resnet18": "ResNet18", "vgg16-bn": "VGG-16"}
_NAMES |= {"mnist": "MNIST", "cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}
_METRICS_4: dict[str, Metric] = {
    "D_eff(ρ)": "effective_dimension",
    "D_eff(Q̂)": utilization_dimension,
    "D_LR": "dlr_train",
    "test accuracy": "accuracy_test",
}
TABLE_4 = [
    Claim(
        "Table 4",
        f"{_NAMES[model]}, {_NAMES[data]}: {name}",
        "low-rank",
        f"{model}-{data}",
        metric,
        value,
        percent=name == "test accuracy",
        chapter="architecture",
    )
    for (model, data), values in _TABLE_4.items()
    for (name, metric), value in zip(_METRICS_4.items(), values, strict=True)
]
