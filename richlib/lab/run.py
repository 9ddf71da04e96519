"""One run, from a recipe and a seed to a record."""

import dataclasses
import json
import os
from pathlib import Path

import torch
from torch import nn
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
    dataset = data.load(recipe.data)
    model, curves, splits = _train(recipe, dataset, seed, device, checkpoint, progress)
    seconds = curves.pop("seconds")[-1]
    metrics, spectra = _final(model, *splits)
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
        data=dataset.provenance(),
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


def _train(recipe: Recipe, dataset, seed: int, device: str, checkpoint: Path | None, progress):
    """The trained model, its curves, and the (train, test) splits it was measured on."""
    splits = tasks.encoded_labels(
        dataset,
        seed=seed,
        strength=recipe.encoding,
        pixels=recipe.pixels,
        alpha=recipe.alpha,
    )
    model = MLP(
        splits[0].inputs.shape[1],
        dataset.num_classes,
        width=recipe.width,
        hidden_layers=recipe.hidden_layers,
        initialization=recipe.initialization,
        generator=torch.Generator().manual_seed(seed),
    ).to(device)
    norm_of_frozen = 0.0
    if recipe.trained == "last-layer":
        # The frozen layers are a fixed map: apply it once, and train on what it gives.
        splits = tuple(_mapped(model.body, split) for split in splits)
        norm_of_frozen = _parameter_norm(model.body)
        model.body = nn.Identity()
    elif recipe.trained != "all":
        raise ValueError(f"trained must be 'all' or 'last-layer', got {recipe.trained!r}")
    splits = tuple(split.to(device) for split in splits)
    probes = {name: _first(split, PROBE) for name, split in zip(SPLITS, splits, strict=True)}

    def measure() -> dict[str, float]:
        values = {"parameter_norm": norm_of_frozen + _parameter_norm(model)}
        for name, probe in probes.items():
            features, outputs = _activations(model, probe)
            values |= {f"{key}_{name}": v for key, v in _performance(outputs, probe).items()}
            values[f"dlr_{name}"] = Moments.of(features, outputs).dlr()
        return values

    curves = train(
        model,
        splits[0],
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        # fused: one pass over the parameters; five times faster than the default on a CPU
        optimizer=torch.optim.Adam(model.parameters(), lr=recipe.learning_rate, fused=True),
        seed=seed,
        measure=measure,
        checkpoint=checkpoint,
        identity=json.dumps([dataclasses.asdict(recipe), seed], sort_keys=True),
        progress=progress,
    )
    return model, curves, splits


SPLITS = ("train", "test")


def _final(model: nn.Module, *splits: Split) -> tuple[dict, dict]:
    """Figures on all samples, and the spectrum: fitted on train, evaluated on test."""
    metrics: dict[str, float] = {}
    activations = [_activations(model, split) for split in splits]
    for name, split, (features, outputs) in zip(SPLITS, splits, activations, strict=True):
        metrics |= {f"{key}_{name}": v for key, v in _performance(outputs, split).items()}
        moments = Moments.of(features, outputs)
        for estimator in ESTIMATORS:
            key = "" if estimator == "projection" else f"_{estimator.replace('-', '_')}"
            metrics[f"dlr{key}_{name}"] = moments.dlr(estimator=estimator)
        metrics[f"rank_{name}"] = moments.richness().rank
    (train_features, _), (features, outputs) = activations
    eigenfunctions = Eigenfunctions.fit(train_features)
    metrics["effective_dimension"] = effective_dimension(eigenfunctions.eigenvalues)
    spectra = {"eigenvalues": eigenfunctions.eigenvalues}
    eigenfunctions = eigenfunctions.leading(len(features) // 2)  # what the test samples resolve
    spectra |= {
        "quality": eigenfunctions.quality(features, splits[1].targets),
        "utilization": eigenfunctions.utilization(features, outputs),
    }
    return metrics, {name: records.rounded(values) for name, values in spectra.items()}


@torch.no_grad()
def _activations(model: nn.Module, split: Split):
    features = torch.cat([model.body(x) for x in split.inputs.split(2048)])
    return features, model.head(features)


@torch.no_grad()
def _mapped(body: nn.Module, split: Split) -> Split:
    device = next(body.parameters()).device
    features = [body(x.to(device)) for x in split.inputs.split(2048)]
    return dataclasses.replace(split, inputs=torch.cat(features))


def _first(split: Split, count: int) -> Split:
    return Split(split.inputs[:count], split.targets[:count], split.labels[:count])


def _performance(outputs, split: Split) -> dict[str, float]:
    correct = outputs.argmax(dim=1) == split.labels
    return {
        "accuracy": float(correct.double().mean()),
        "loss": float(mse_loss(outputs, split.targets)),
    }


def _parameter_norm(model: nn.Module) -> float:
    """‖θ‖², the sum of squares of all parameters."""
    return float(sum(p.detach().double().square().sum() for p in model.parameters()))
