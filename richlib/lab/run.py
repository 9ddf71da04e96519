"""One run: `fit` trains from a recipe and a seed, `run` measures the result and records it."""

import dataclasses
import os

from richlib.lab import assemble, checkpoints, parallel, records
from richlib.lab.experiments import Experiment, find, same_recipe
from richlib.lab.fit import Trained, fit
from richlib.lab.metrics import activations, features, layer_features
from richlib.lab.metrics import measured as _measured
from richlib.lab.records import Record
from richlib.lab.step import FLOAT32, Numerics

__all__ = ["Trained", "activations", "features", "fit", "layer_features", "measured", "run"]


def run(
    name: str,
    *,
    tier: str = "pocket",
    seed: int = 0,
    device: str = "cpu",
    numerics: Numerics = FLOAT32,
    folder: str | os.PathLike | None = None,
    progress: bool = True,
) -> Record:
    """Train and measure "NAME/VARIANT" at a tier; return its record.

    With a folder, the record is written there as NAME/VARIANT/TIER-seedN.json. A record that is
    already there for this very recipe is returned as it is, also where it was another experiment's
    (the recipe is then not trained again), and a run that was killed goes on from its checkpoint.
    A run whose loss is no longer finite leaves a record with the status "diverged", its curves so
    far and no final figures.
    """
    experiment, variant = find(name)
    recipe = experiment.recipe(variant, tier)
    path = folder and records.path(folder, experiment.name, variant, tier, seed)
    if done := path and parallel.told(lambda: _done(folder, experiment, variant, tier, seed)):
        if parallel.rank() == 0 and not (path.exists() and records.read(path) == done):
            records.write(done, path)
        return done
    checkpoint = path and path.with_suffix(".checkpoint")
    # Before training: the checkout may move on meanwhile.
    provenance = records.provenance(device, numerics)
    trained = fit(
        recipe,
        seed=seed,
        device=device,
        numerics=numerics,
        checkpoint=checkpoint,
        progress=progress,
    )
    curves = dict(trained.curves)
    seconds = curves.pop("seconds")[-1]
    diverged = curves.pop("diverged", None)
    kept = {key: curves.pop(key) for key in list(curves) if "/" in key}
    metrics, spectra = ({}, {}) if diverged else measured(trained, layers=experiment.layers)
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
        spectra=spectra | kept,
        seconds=round(seconds, 1),
        finished=records.now(),
        **provenance,
    )
    if path and parallel.rank() == 0:
        records.write(record, path)
        checkpoints.remove(checkpoint)
    return record


def _done(folder, experiment: Experiment, variant: str, tier: str, seed: int) -> Record | None:
    """The record of a finished run of this recipe and seed, whichever experiment it was for."""
    recipe = experiment.recipe(variant, tier)
    own = (experiment, variant)
    for other, name in [own, *(o for o in same_recipe(recipe, tier) if o != own)]:
        path = records.path(folder, other.name, name, tier, seed)
        if path.exists() and (other.layers or not experiment.layers):
            record = records.read(path)
            if assemble.from_json(record.recipe) == recipe:
                return dataclasses.replace(record, experiment=experiment.name, variant=variant)
    return None


def measured(trained: Trained, *, layers: bool = False):
    """Final figures and spectra of a trained network: see `richlib.lab.metrics.measured`."""
    return _measured(
        trained.recipe, trained.model, trained.initial, trained.train, trained.test, layers=layers
    )
