"""Every paper-tier configuration is built and taken through two steps, a measurement, a checkpoint
and a resume, at its real batch and picture size: the first GPU that runs it meets no bug of ours.
"""

import dataclasses
import json

import pytest

from richlib.lab import assemble, checkpoints
from richlib.lab.experiments import EXPERIMENTS
from richlib.lab.models import stages
from richlib.lab.plan import example
from richlib.lab.run import fit, measured

# Optimization differs by numbers only; these fields decide which code runs.
DECIDING = (
    *("data", "encoding", "scalar", "augmented", "pixels", "loss"),
    *("model", "width", "hidden_layers", "trained", "optimizer"),
)


def configurations():
    """One run for each combination of the deciding fields."""
    seen = {}
    for experiment in EXPERIMENTS.values():
        for variant in experiment.variants:
            recipe = experiment.recipe(variant, "paper")
            key = tuple(getattr(recipe, field) for field in DECIDING)
            seen.setdefault(key, pytest.param(recipe, id=f"{experiment.name}/{variant}"))
    return list(seen.values())


# On 32 samples the outputs of 97 or 100 classes span every function, which D_LR rightly warns of.
@pytest.mark.filterwarnings("ignore::richlib.FiniteSizeWarning")
@pytest.mark.parametrize("recipe", configurations())
def test_two_steps_a_measurement_a_checkpoint_and_a_resume(recipe, monkeypatch, tmp_path):
    batch = recipe.batch_size
    two_batches, unseen = example(recipe, 2 * batch), example(recipe, 32, seed=1)
    monkeypatch.setattr(
        assemble, "samples", lambda recipe, seed: (two_batches, unseen, {"name": "random"})
    )
    written, path = [], tmp_path / "checkpoint"
    write = checkpoints.write

    def first_only(state, path):
        """The run is killed after its first step."""
        write(state, path)
        written.append(state["step"])
        raise KeyboardInterrupt

    monkeypatch.setattr("richlib.lab.metrics.PROBE", 32)  # the curves need not cost more than steps
    monkeypatch.setattr("richlib.lab.train.LONGEST", 0.0)
    monkeypatch.setattr(checkpoints, "write", first_only)
    recipe = dataclasses.replace(recipe, epochs=1)
    with pytest.raises(KeyboardInterrupt):
        fit(recipe, checkpoint=path, progress=False)
    assert written == [1]
    monkeypatch.setattr(checkpoints, "write", lambda state, path: written.append(state["step"]))
    trained = fit(recipe, checkpoint=path, progress=False)
    phases = len(stages(trained.model.body)) if recipe.trained == "layerwise" else 1
    # Then at the end, after the measurement; and both of the phases to come.
    assert written == [1, 2] * phases
    assert (
        trained.curves["epoch"] == [k for i in range(phases) for k in (i, i + 1)]
        and "diverged" not in trained.curves
    )
    metrics, spectra = measured(trained)
    assert 0 <= metrics["dlr_train"] <= 1 and 0 <= metrics["accuracy_test"] <= 1
    assert json.dumps([metrics, spectra])
