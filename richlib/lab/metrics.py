"""What a run measures: performance, richness and its rivals, spectra; on train and test samples."""

import math

import torch
from torch import Tensor

from richlib.activations import evaluation
from richlib.collapse import ClassStatistics
from richlib.lab import assemble, parallel, records
from richlib.lab.models import Network, stages
from richlib.lab.recipe import Recipe
from richlib.lab.step import products_in
from richlib.lab.tasks import Split
from richlib.moments import Moments
from richlib.operators import reduced_features
from richlib.richness import ESTIMATORS, effective_dimension
from richlib.rivals import RIDGE, s_init, s_init_of_neurons
from richlib.spectrum import Eigenfunctions

# Curves and layers inside the network, which may have tens of thousands of features, are measured
# on at most this many samples of each split, final figures on all.
PROBE, WIDE = 4_096, 1 << 25


def measured(
    recipe: Recipe, model: Network, initial: Network, train: Split, test: Split, *, layers=False
) -> tuple[dict[str, float], dict[str, list[float]]]:
    """Final figures on all samples, and the spectrum: fitted on train, evaluated on test.

    initial: the network before training. layers: add the spectra of every layer (Appendix I), on
    `PROBE` samples of each split, as "LAYER/eigenvalues" and so on.
    """
    metrics: dict[str, float] = {}
    pairs = []
    for name, split in (("train", train), ("test", test)):
        Φ, outputs = activations(model, split)
        pairs.append((Φ, outputs))
        moments = _moments(Φ, outputs)
        values = _performance(recipe, outputs, split) | {"rank": moments.richness().rank}
        for estimator in ESTIMATORS:
            values[estimator_metric(estimator)] = moments.dlr(estimator=estimator)
        metrics |= {f"{key}_{name}": value for key, value in values.items()}
    (Φ, _), (Φ_test, outputs) = pairs
    metrics |= _rivals(features(initial, train), Φ, train.labels)
    spectra, metrics["effective_dimension"] = _spectra(Φ, Φ_test, test.targets, outputs)
    if layers:
        fitted, unseen = train.first(PROBE), test.first(PROBE)
        outputs = activations(model, unseen)[1]
        for (name, Φ), (_, Φ_test) in zip(
            layer_features(model, fitted), layer_features(model, unseen), strict=True
        ):
            of_layer = _spectra(Φ, Φ_test, unseen.targets, outputs)[0]
            spectra |= {f"{name}/{key}": values for key, values in of_layer.items()}
    return metrics, spectra


def estimator_metric(estimator: str) -> str:
    """The name of D_LR by an estimator in a record, without the split; "dlr" is Definition 1."""
    return "dlr" if estimator == "projection" else f"dlr_{estimator.replace('-', '_')}"


def _spectra(Φ: Tensor, Φ_test: Tensor, targets: Tensor, outputs: Tensor):
    """Eigenvalues and, on test samples, quality and utilization; and the effective dimension."""
    if not Φ.any():  # every unit is dead: there are no eigenfunctions
        return {"eigenvalues": [], "quality": [], "utilization": []}, math.nan
    eigenfunctions = Eigenfunctions.fit(Φ)
    spectra = {"eigenvalues": eigenfunctions.eigenvalues}
    dimension = _or_nan(effective_dimension, eigenfunctions.eigenvalues)
    # Even random functions express a share k/n of anything on n samples: keep it below 1/8.
    eigenfunctions = eigenfunctions.leading(max(1, len(Φ_test) // 8))
    spectra |= {
        "quality": eigenfunctions.quality(Φ_test, targets),
        "utilization": eigenfunctions.utilization(Φ_test, outputs),
    }
    return {name: records.rounded(values) for name, values in spectra.items()}, dimension


def _rivals(at_init: Tensor, Φ: Tensor, labels: Tensor) -> dict[str, float]:
    """The measures of Tables 1 and 2 besides D_LR and the parameter norm, on training samples."""
    classes, at_start = (ClassStatistics.of(x, labels) for x in (Φ, at_init))
    K = len(classes.counts)  # the paper's tables divide Σ_W by it
    return {
        "s_init_train_at_init": 1.0,
        "s_init_train": _or_nan(s_init, at_init, Φ),
        "s_init_neurons_train": _or_nan(s_init_of_neurons, at_init, Φ),
        "nc1_ridge_train": classes.nc1(ridge=RIDGE) / K,
        "nc1_ridge_train_at_init": at_start.nc1(ridge=RIDGE) / K,
        "trace_within_train": classes.trace_within(average=True),
        "trace_within_train_at_init": at_start.trace_within(average=True),
    }


def _or_nan(measure, *args) -> float:
    """A figure that is not defined where features do not vary over the samples."""
    try:
        return measure(*args)
    except ValueError:
        return math.nan


def probe(recipe: Recipe, model: Network, *splits: Split) -> dict[str, float]:
    """What the curves hold: performance and D_LR on the first samples of each split."""
    values: dict[str, float] = {}
    for name, split in zip(("train", "test"), splits, strict=True):
        part = _first(model, split)
        Φ, outputs = activations(model, part)
        for key, value in _performance(recipe, outputs, part).items():
            values[f"{key}_{name}"] = value
        values[f"dlr_{name}"] = _moments(Φ, outputs).dlr()
    return values


def snapshot(model: Network, train: Split, test: Split) -> dict[str, list[float]]:
    """Leading eigenvalues, their quality and utilization: fitted on the first samples of train,
    evaluated on those of test.
    """
    fitted, unseen = _first(model, train), _first(model, test)
    Φ_test, outputs = activations(model, unseen)
    spectra, _ = _spectra(features(model, fitted), Φ_test, unseen.targets, outputs)
    leading = max(50, 2 * outputs.shape[1])
    return {name: records.rounded(values[:leading], 4) for name, values in spectra.items()}


def _first(model: Network, split: Split) -> Split:
    """The samples that curves are measured on: fewer where features are many."""
    return split.first(min(PROBE, max(1, WIDE // model.head.in_features)))


def activations(model: Network, split: Split) -> tuple[Tensor, Tensor]:
    """Features (n, p) and outputs (n, C) of a split, on its device."""
    Φ = features(model, split)
    with torch.no_grad(), products_in(tf32=False):
        return Φ, model.head(Φ)


def features(model: Network, split: Split) -> Tensor:
    """Features (n, p) of a split, with batch normalization as in use, not as in training."""
    return _applied(model, model.body, split)


def layer_features(model: Network, split: Split):
    """(name, flattened features) of every layer of a network in turn, (n, p_l) each (Eq. 59)."""
    inputs = split.inputs
    for name, stage in stages(model.body).items():
        inputs = _applied(model, stage, Split(inputs, split.targets, split.labels))
        yield name, inputs.flatten(1)


@torch.no_grad()
def _applied(model: Network, part: torch.nn.Module, split: Split) -> Tensor:
    """What a part of the model makes of the inputs of a split; processes share the work."""
    inputs = parallel.share(split.inputs)
    # Pictures grow on their way through a network: fewer at a time.
    batch = 2048 if inputs.ndim == 2 else 256
    with evaluation(model), products_in(tf32=False):
        mine = torch.cat([part(x) for x in inputs.split(batch)])
    return parallel.gathered(mine, len(split))


def _moments(Φ: Tensor, outputs: Tensor) -> Moments:
    """Joint moments of all samples; processes share the work."""
    Φ = reduced_features(Φ)
    moments = Moments.of(parallel.share(Φ), parallel.share(outputs))
    return moments.all_reduce() if parallel.world() > 1 else moments


def _performance(recipe: Recipe, outputs: Tensor, split: Split) -> dict[str, float]:
    """Loss, and accuracy: of the largest output, or of the nearest label in a regression."""
    loss = assemble.loss_function(recipe)(outputs, split.targets)
    if outputs.shape[1] > 1:
        correct = outputs.argmax(dim=1) == split.labels
    else:
        # A label's neighbors are a constant step of the target away (Fig. 10: ± half a step).
        step = _label_step(split)
        correct = (outputs - split.targets).abs()[:, 0] < step / 2
    return {"accuracy": float(correct.double().mean()), "loss": float(loss)}


def _label_step(split: Split) -> float:
    """How much a scalar target grows from one label to the next."""
    low, high = split.labels.argmin(), split.labels.argmax()
    rise = split.targets[high, 0] - split.targets[low, 0]
    return float(rise / (split.labels[high] - split.labels[low]))
