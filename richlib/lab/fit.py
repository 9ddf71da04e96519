"""From a recipe and a seed to a trained network."""

import copy
import dataclasses
import json
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from richlib.lab import assemble
from richlib.lab.augment import crop_and_flip
from richlib.lab.metrics import features, probe, snapshot
from richlib.lab.models import Network
from richlib.lab.recipe import Recipe
from richlib.lab.step import FLOAT32, Numerics
from richlib.lab.tasks import Split
from richlib.lab.train import train
from richlib.rivals import parameter_norm


@dataclass(frozen=True)
class Trained:
    """A trained network, the curves of its training, and the samples it was trained and tested on.

    curves: lists over the measured epochs, and spectra of some: see `richlib.lab.train.train`.
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
    numerics: Numerics = FLOAT32,
    checkpoint: Path | None = None,
    progress: bool = True,
) -> Trained:
    """Train the recipe's network on the recipe's data; resumes from `checkpoint` if it is there.

    Where layers are trained one after the other, the curves go through all of them: epochs count
    on, and D_LR is that of the layer in training. Spectra during training are not kept then.
    """
    train_split, test_split, provenance = assemble.samples(recipe, seed)
    model = assemble.network(recipe, train_split, seed).to(device)
    initial = copy.deepcopy(model)
    splits = [split.to(device) for split in (train_split, test_split)]
    seen, augment = splits, crop_and_flip if recipe.augmented else None
    if recipe.trained == "last-layer":
        # The frozen layers are a fixed map: apply it once, and train on what it gives.
        seen = [dataclasses.replace(split, inputs=features(model, split)) for split in splits]
        augment = None
    curves: dict[str, list[float]] = {}
    for number, phase in enumerate(assemble.phases(recipe, model, train_split, seed)):
        phase.to(device).train()
        of_phase = train(
            phase,
            seen[0],
            epochs=recipe.epochs,
            batch_size=recipe.batch_size,
            optimizer=assemble.optimizer(recipe, phase),
            loss=assemble.loss_function(recipe),
            learning_rate=lambda epoch: assemble.learning_rate(recipe, epoch),
            augment=augment,
            numerics=numerics,
            seed=seed,
            measure=lambda phase=phase: (
                probe(recipe, phase, *seen) | {"parameter_norm": parameter_norm(model)}
            ),
            snapshot=None
            if recipe.trained == "layerwise"
            else lambda phase=phase: snapshot(phase, *seen),
            checkpoint=checkpoint and checkpoint.with_name(checkpoint.name + f".{number}"),
            identity=json.dumps([dataclasses.asdict(recipe), seed, number], sort_keys=True),
            progress=progress,
        )
        _continue(curves, of_phase, epochs=number * recipe.epochs)
        if "diverged" in curves:
            break
    return Trained(
        recipe, model.eval(), *splits, curves=curves, provenance=provenance, initial=initial
    )


def _continue(curves: dict, more: dict, *, epochs: int) -> None:
    """Append the curves of a phase that began after `epochs` epochs."""
    seconds = curves["seconds"][-1] if curves else 0.0
    offset = {"epoch": epochs, "diverged": epochs, "seconds": seconds}
    for name, values in more.items():
        values = [value + offset[name] for value in values] if name in offset else values
        curves.setdefault(name, []).extend(values)
