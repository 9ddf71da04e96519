"""One run: `fit` trains from a recipe and a seed, `run` measures the result and records it."""

import copy
import dataclasses
import json
import math
import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from richlib.collapse import ClassStatistics
from richlib.lab import assemble, checkpoints, records
from richlib.lab.augment import crop_and_flip
from richlib.lab.experiments import Recipe, find
from richlib.lab.models import Network
from richlib.lab.records import Record
from richlib.lab.tasks import Split
from richlib.lab.train import train
from richlib.moments import Moments
from richlib.richness import ESTIMATORS, effective_dimension
from richlib.rivals import RIDGE, parameter_norm, s_init, s_init_of_neurons
from richlib.spectrum import Eigenfunctions

# Curves are measured on at most this many samples of each split, final figures on all.
PROBE = 10_000


@dataclass(frozen=True)
class Trained:
    """A trained network, the curves of its training, and the samples it was trained and tested on.

    curves: lists over the measured epochs, see `richlib.lab.train.train`.
    provenance: of the data set.
    initial: the network before training.
    """

    recipe: Recipe
    model: Network
    train: Split
    test: Split
    curves: dict[str, list[float]]
    provenance: dict
    initial: Network


def run(
    name: str,
    *,
    tier: str = "pocket",
    seed: int = 0,
    device: str = "cpu",
    folder: str | os.PathLike | None = None,
    progress: bool = True,
) -> Record:
    """Train and measure "NAME/VARIANT" at a tier; return its record.

    With a folder, the record is written there as NAME/VARIANT/TIER-seedN.json, a record that is
    already there for this very recipe is returned as it is, and a run that was killed goes on from
    its checkpoint. A run whose loss is no longer finite leaves a record with the status "diverged",
    its curves so far and no final figures.
    """
    experiment, variant = find(name)
    recipe = experiment.recipe(variant, tier)
    path = folder and records.path(folder, experiment.name, variant, tier, seed)
    if path and path.exists():
        done = records.read(path)
        if assemble.from_json(done.recipe) == recipe:
            return done
    checkpoint = path and path.with_suffix(".checkpoint")
    provenance = records.provenance(device)  # before training: the checkout may move on meanwhile
    trained = fit(recipe, seed=seed, device=device, checkpoint=checkpoint, progress=progress)
    curves = dict(trained.curves)
    seconds = curves.pop("seconds")[-1]
    diverged = curves.pop("diverged", None)
    metrics, spectra = ({}, {}) if diverged else measured(trained)
    metrics |= {f"{key}_at_init": values[0] for key, values in curves.items() if key != "epoch"}
    metrics["parameter_norm"] = curves["parameter_norm"][-1]
    record = Record(
        experiment=experiment.name,
        variant=variant,
        tier=tier,
        seed=seed,
        recipe=dataclasses.asdict(recipe),
        data=trained.provenance,
        status=f"diverged in epoch {diverged[0]}" if diverged else "finished",
        metrics=metrics,
        curves=curves,
        spectra=spectra,
        seconds=round(seconds, 1),
        finished=records.now(),
        **provenance,
    )
    if path:
        records.write(record, path)
        checkpoints.remove(checkpoint)
    return record


@contextmanager
def _without_denormals():
    """Where gradients vanish (dead units, blank pixels), Adam's averages decay into denormal
    numbers, which a CPU handles many times slower than zero. Entered before anything else, since
    threads inherit the setting when they start; left again, since others rely on denormals.
    """
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


@_without_denormals()
def fit(
    recipe: Recipe,
    *,
    seed: int = 0,
    device: str = "cpu",
    checkpoint: Path | None = None,
    progress: bool = True,
) -> Trained:
    """Train the recipe's network on the recipe's data; resumes from `checkpoint` if it is there."""
    if recipe.trained not in ("all", "last-layer"):
        raise ValueError(f"trained must be 'all' or 'last-layer', got {recipe.trained!r}")
    train_split, test_split, provenance = assemble.samples(recipe, seed)
    model = assemble.network(recipe, train_split, seed).to(device)
    initial = copy.deepcopy(model)
    splits = [split.to(device) for split in (train_split, test_split)]
    body, seen, augment = model.body, splits, crop_and_flip if recipe.augmented else None
    if recipe.trained == "last-layer":
        # The frozen layers are a fixed map: apply it once, and train on what it gives.
        seen = [dataclasses.replace(split, inputs=features(model, split)) for split in splits]
        model.body, augment = nn.Identity(), None
    frozen = parameter_norm(body) if body is not model.body else 0.0
    model.train()
    curves = train(
        model,
        seen[0],
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        optimizer=assemble.optimizer(recipe, model),
        loss=assemble.loss_function(recipe),
        learning_rate=lambda epoch: assemble.learning_rate(recipe, epoch),
        augment=augment,
        seed=seed,
        measure=lambda: (
            _probe(recipe, model, *seen) | {"parameter_norm": frozen + parameter_norm(model)}
        ),
        checkpoint=checkpoint,
        identity=json.dumps([dataclasses.asdict(recipe), seed], sort_keys=True),
        progress=progress,
    )
    model.body = body
    return Trained(
        recipe, model.eval(), *splits, curves=curves, provenance=provenance, initial=initial
    )


def measured(trained: Trained) -> tuple[dict[str, float], dict[str, list[float]]]:
    """Final figures on all samples, and the spectrum: fitted on train, evaluated on test."""
    metrics: dict[str, float] = {}
    for name, split in (("train", trained.train), ("test", trained.test)):
        Φ, outputs = activations(trained.model, split)
        moments = Moments.of(Φ, outputs)
        values = _performance(trained.recipe, outputs, split) | {"rank": moments.richness().rank}
        for estimator in ESTIMATORS:
            key = "" if estimator == "projection" else f"_{estimator.replace('-', '_')}"
            values[f"dlr{key}"] = moments.dlr(estimator=estimator)
        metrics |= {f"{key}_{name}": value for key, value in values.items()}
        if name == "train":
            eigenfunctions = Eigenfunctions.fit(Φ)
            metrics |= _rivals(trained, Φ)
    metrics["effective_dimension"] = _or_nan(effective_dimension, eigenfunctions.eigenvalues)
    spectra = {"eigenvalues": eigenfunctions.eigenvalues}
    # Even random functions express a share k/n of anything on n samples: keep it below 1/8.
    eigenfunctions = eigenfunctions.leading(len(Φ) // 8)
    spectra |= {
        "quality": eigenfunctions.quality(Φ, trained.test.targets),
        "utilization": eigenfunctions.utilization(Φ, outputs),
    }
    return metrics, {name: records.rounded(values) for name, values in spectra.items()}


def _rivals(trained: Trained, Φ: Tensor) -> dict[str, float]:
    """The measures of Tables 1 and 2 besides D_LR and the parameter norm, on training samples."""
    at_init = features(trained.initial, trained.train)
    classes = ClassStatistics.of(Φ, trained.train.labels)
    at_start = ClassStatistics.of(at_init, trained.train.labels)
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


@torch.no_grad()
def activations(model: Network, split: Split) -> tuple[Tensor, Tensor]:
    """Features (n, p) and outputs (n, C) of a split, on its device."""
    Φ = features(model, split)
    return Φ, model.head(Φ)


@torch.no_grad()
def features(model: Network, split: Split) -> Tensor:
    """Features (n, p) of a split, with batch normalization as in use, not as in training."""
    training = model.training
    model.eval()
    try:
        # Pictures grow on their way through a network: fewer at a time.
        batch = 2048 if split.inputs.ndim == 2 else 256
        return torch.cat([model.body(x) for x in split.inputs.split(batch)])
    finally:
        model.train(training)


def _probe(recipe: Recipe, model: Network, *splits: Split) -> dict[str, float]:
    """What the curves hold: performance and D_LR on the first samples of each split."""
    values: dict[str, float] = {}
    for name, split in zip(("train", "test"), splits, strict=True):
        probe = split.first(PROBE)
        Φ, outputs = activations(model, probe)
        for key, value in _performance(recipe, outputs, probe).items():
            values[f"{key}_{name}"] = value
        values[f"dlr_{name}"] = Moments.of(Φ, outputs).dlr()
    return values


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
