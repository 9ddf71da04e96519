"""One run: `fit` trains from a recipe and a seed, `run` measures the result and records it."""

import dataclasses
import json
import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from richlib.lab import data, records, tasks
from richlib.lab.experiments import Recipe, find
from richlib.lab.models import MLP
from richlib.lab.records import Record
from richlib.lab.tasks import Split
from richlib.lab.train import train
from richlib.moments import Moments
from richlib.richness import ESTIMATORS, effective_dimension
from richlib.spectrum import Eigenfunctions

# Curves are measured on at most this many samples of each split, final figures on all.
PROBE = 10_000


@dataclass(frozen=True)
class Trained:
    """A trained network, the curves of its training, and the samples it was trained and tested on.

    curves: lists over the measured epochs, see `richlib.lab.train.train`.
    provenance: of the data set.
    """

    model: MLP
    train: Split
    test: Split
    curves: dict[str, list[float]]
    provenance: dict


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
    its last epoch.
    """
    experiment, variant = find(name)
    recipe = experiment.recipe(variant, tier)
    path = folder and records.path(folder, experiment.name, variant, tier, seed)
    if path and path.exists() and (done := records.read(path)).recipe == dataclasses.asdict(recipe):
        return done
    checkpoint = path and path.with_suffix(".checkpoint")
    provenance = records.provenance(device)  # before training: the checkout may move on meanwhile
    trained = fit(recipe, seed=seed, device=device, checkpoint=checkpoint, progress=progress)
    curves = dict(trained.curves)
    seconds = curves.pop("seconds")[-1]
    metrics, spectra = measured(trained)
    metrics |= {
        "parameter_norm_at_init": curves["parameter_norm"][0],
        "parameter_norm": curves["parameter_norm"][-1],
    }
    record = Record(
        experiment=experiment.name,
        variant=variant,
        tier=tier,
        seed=seed,
        recipe=dataclasses.asdict(recipe),
        data=trained.provenance,
        metrics=metrics,
        curves=curves,
        spectra=spectra,
        seconds=round(seconds, 1),
        finished=records.now(),
        **provenance,
    )
    if path:
        records.write(record, path)
        checkpoint.unlink(missing_ok=True)
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
    dataset = data.load(recipe.data)
    splits = tasks.encoded_labels(
        dataset,
        seed=seed,
        strength=recipe.encoding,
        pixels=recipe.pixels,
        alpha=recipe.alpha,
    )
    splits = [split.to(device) for split in splits]
    model = MLP(
        splits[0].inputs.shape[1],
        dataset.num_classes,
        width=recipe.width,
        hidden_layers=recipe.hidden_layers,
        initialization=recipe.initialization,
        generator=torch.Generator().manual_seed(seed),
    ).to(device)
    body, seen = model.body, splits
    if recipe.trained == "last-layer":
        # The frozen layers are a fixed map: apply it once, and train on what it gives.
        seen = [dataclasses.replace(split, inputs=_features(model, split)) for split in splits]
        model.body = nn.Identity()
    frozen = _parameter_norm(body) if body is not model.body else 0.0
    curves = train(
        model,
        seen[0],
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        # fused: one pass over the parameters, several times faster than the default on a CPU
        optimizer=torch.optim.Adam(model.parameters(), lr=recipe.learning_rate, fused=True),
        seed=seed,
        measure=lambda: _probe(model, *seen) | {"parameter_norm": frozen + _parameter_norm(model)},
        checkpoint=checkpoint,
        identity=json.dumps([dataclasses.asdict(recipe), seed], sort_keys=True),
        progress=progress,
    )
    model.body = body
    return Trained(model, *splits, curves=curves, provenance=dataset.provenance())


def measured(trained: Trained) -> tuple[dict[str, float], dict[str, list[float]]]:
    """Final figures on all samples, and the spectrum: fitted on train, evaluated on test."""
    metrics: dict[str, float] = {}
    for name, split in (("train", trained.train), ("test", trained.test)):
        features, outputs = activations(trained.model, split)
        moments = Moments.of(features, outputs)
        values = _performance(outputs, split) | {"rank": moments.richness().rank}
        for estimator in ESTIMATORS:
            key = "" if estimator == "projection" else f"_{estimator.replace('-', '_')}"
            values[f"dlr{key}"] = moments.dlr(estimator=estimator)
        metrics |= {f"{key}_{name}": value for key, value in values.items()}
        if name == "train":
            eigenfunctions = Eigenfunctions.fit(features)
    metrics["effective_dimension"] = effective_dimension(eigenfunctions.eigenvalues)
    spectra = {"eigenvalues": eigenfunctions.eigenvalues}
    # Even random functions express a share k/n of anything on n samples: keep it below 1/8.
    eigenfunctions = eigenfunctions.leading(len(features) // 8)
    spectra |= {
        "quality": eigenfunctions.quality(features, trained.test.targets),
        "utilization": eigenfunctions.utilization(features, outputs),
    }
    return metrics, {name: records.rounded(values) for name, values in spectra.items()}


@torch.no_grad()
def activations(model: MLP, split: Split) -> tuple[Tensor, Tensor]:
    """Features (n, p) and outputs (n, C) of a split, on its device."""
    features = _features(model, split)
    return features, model.head(features)


@torch.no_grad()
def _features(model: MLP, split: Split) -> Tensor:
    return torch.cat([model.body(x) for x in split.inputs.split(2048)])


def _probe(model: MLP, train_split: Split, test_split: Split) -> dict[str, float]:
    """What the curves hold: performance and D_LR on the first samples of each split."""
    values: dict[str, float] = {}
    for name, split in (("train", train_split), ("test", test_split)):
        probe = split.first(PROBE)
        features, outputs = activations(model, probe)
        for key, value in _performance(outputs, probe).items():
            values[f"{key}_{name}"] = value
        values[f"dlr_{name}"] = Moments.of(features, outputs).dlr()
    return values


def _performance(outputs: Tensor, split: Split) -> dict[str, float]:
    correct = outputs.argmax(dim=1) == split.labels
    return {
        "accuracy": float(correct.double().mean()),
        "loss": float(mse_loss(outputs, split.targets)),
    }


def _parameter_norm(model: nn.Module) -> float:
    """‖θ‖², the sum of squares of all parameters."""
    return float(sum(p.detach().double().square().sum() for p in model.parameters()))
