"""Runs: the same command gives the same record, killed or not."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from richlib.lab import experiments, records
from richlib.lab.__main__ import main
from richlib.lab.experiments import EXPERIMENTS, find
from richlib.lab.run import run
from richlib.lab.train import CheckpointError, Diverged, is_measured

TIMES = ("seconds", "finished")


def content(record):
    return {k: v for k, v in dataclasses.asdict(record).items() if k not in TIMES}


@pytest.fixture
def short(monkeypatch):
    """The pocket tier cut to a second, as an experiment of its own."""
    full = EXPERIMENTS["encoded-labels"]
    tiers = {"pocket": {"data": "digits", "width": 32, "epochs": 6}}
    experiment = dataclasses.replace(full, name="short", tiers=tiers)
    monkeypatch.setitem(EXPERIMENTS, "short", experiment)
    return experiment


@pytest.mark.parametrize("variant", ["full", "last-layer"])
def test_a_run_is_determined_by_its_seed(short, variant):
    first, again, other = (run(f"short/{variant}", seed=s, progress=False) for s in (3, 3, 4))
    assert content(first) == content(again)
    assert first.metrics != other.metrics


def test_the_record_says_what_happened(short, tmp_path):
    record = run("short/full", folder=tmp_path, progress=False)
    assert record == records.load("short", "full", "pocket", folder=tmp_path)[0]
    assert record.curves["epoch"] == list(range(7))
    assert record.metrics["accuracy_train"] > record.curves["accuracy_train"][0]
    assert record.data["name"] == "digits" and len(record.data["sha256"]) == 4
    assert record.spectra["eigenvalues"] == sorted(record.spectra["eigenvalues"], reverse=True)
    assert 0 <= record.metrics["dlr_train"] <= 1
    assert [f.name for f in tmp_path.rglob("*") if f.is_file()] == ["pocket-seed0.json"]


def test_last_layer_training_leaves_the_features_alone(short):
    record = run("short/last-layer", progress=False)
    assert record.curves["parameter_norm"][0] == pytest.approx(
        run("short/full", progress=False).curves["parameter_norm"][0]
    )
    # Features are those of initialization, so the eigenvalues do not depend on the epochs.
    longer = dataclasses.replace(
        short, name="longer", tiers={"pocket": short.tiers["pocket"] | {"epochs": 8}}
    )
    EXPERIMENTS["longer"] = longer
    try:
        assert (
            run("longer/last-layer", progress=False).spectra["eigenvalues"]
            == (record.spectra["eigenvalues"])
        )
    finally:
        del EXPERIMENTS["longer"]


@pytest.mark.parametrize("variant", ["full", "last-layer"])
def test_an_interrupted_run_resumes_to_the_same_record(short, tmp_path, monkeypatch, variant):
    import richlib.lab.train as module

    whole = run(f"short/{variant}", progress=False)
    save, saved = module.save_atomically, []

    def interrupted(state, path):
        save(state, path)
        saved.append(path)
        if len(saved) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(module, "save_atomically", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(f"short/{variant}", folder=tmp_path, progress=False)
    assert saved[0].exists()
    assert content(run(f"short/{variant}", folder=tmp_path, progress=False)) == content(whole)
    assert len(saved) == 6  # three epochs before, three after: none twice
    assert not saved[0].exists()


def test_kill_9_and_the_same_command_again(tmp_path):
    """A process that is killed while it trains leaves nothing that the next one stumbles over."""
    command = [sys.executable, "-m", "richlib.lab", "run", "encoded-labels/last-layer"]
    command += ["--folder", str(tmp_path), "--seed", "5"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list(tmp_path.rglob("*.checkpoint")) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not list(tmp_path.rglob("*.json"))
    resumed = run("encoded-labels/last-layer", seed=5, folder=tmp_path, progress=False)
    whole = run("encoded-labels/last-layer", seed=5, progress=False)
    assert content(resumed) == content(whole)


def test_a_finished_run_is_not_repeated(short, tmp_path):
    record = run("short/full", folder=tmp_path, progress=False)
    assert run("short/full", folder=tmp_path, progress=False) == record  # times included


def test_a_record_of_another_recipe_is_replaced(short, tmp_path, monkeypatch):
    run("short/full", folder=tmp_path, progress=False)
    wider = {"pocket": short.tiers["pocket"] | {"width": 40}}
    monkeypatch.setitem(EXPERIMENTS, "short", dataclasses.replace(short, tiers=wider))
    assert run("short/full", folder=tmp_path, progress=False).recipe["width"] == 40


def test_a_damaged_checkpoint_is_an_error(short, tmp_path):
    path = records.path(tmp_path, "short", "full", "pocket", 0).with_suffix(".checkpoint")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(CheckpointError, match="cannot be read; delete it"):
        run("short/full", folder=tmp_path, progress=False)


def test_a_checkpoint_of_another_run_is_an_error(short, tmp_path):
    path = records.path(tmp_path, "short", "full", "pocket", 0).with_suffix(".checkpoint")
    path.parent.mkdir(parents=True)
    torch.save({"identity": "someone else's"}, path)
    with pytest.raises(CheckpointError, match="belongs to another run"):
        run("short/full", folder=tmp_path, progress=False)


def test_checkpoints_execute_nothing(short, tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "executed"),)

    path = records.path(tmp_path, "short", "full", "pocket", 0).with_suffix(".checkpoint")
    path.parent.mkdir(parents=True)
    torch.save({"identity": Evil()}, path)
    with pytest.raises(CheckpointError):
        run("short/full", folder=tmp_path, progress=False)
    assert not (tmp_path / "executed").exists()


def test_divergence_is_an_error(short, monkeypatch):
    hot = dataclasses.replace(short, paper=dataclasses.replace(short.paper, learning_rate=1e20))
    monkeypatch.setitem(EXPERIMENTS, "short", hot)
    with pytest.raises(Diverged, match="lower the learning rate"):
        run("short/full", progress=False)


def test_measured_epochs():
    assert [e for e in range(1, 24) if is_measured(e, 23)] == [*range(1, 11), 15, 20, 23]


def test_every_recipe_can_be_named():
    for experiment in EXPERIMENTS.values():
        for variant in experiment.variants:
            assert find(f"{experiment.name}/{variant}") == (experiment, variant)
            for tier in experiment.tiers:
                assert experiment.recipe(variant, tier).epochs > 0


def test_the_paper_tier_is_tables_9_and_10():
    """Fig. 1: 60,000 (all), α = 1/3, batch 128; Adam, 1e-3, no decay, 100 epochs."""
    recipe = EXPERIMENTS["encoded-labels"].recipe("full", "paper")
    assert (recipe.data, recipe.alpha, recipe.batch_size) == ("mnist", 1 / 3, 128)
    assert (recipe.learning_rate, recipe.epochs) == (1e-3, 100)


@pytest.mark.parametrize("name", ["nothing/full", "encoded-labels/nothing", "encoded-labels"])
def test_unknown_names_are_told_what_there_is(name, capsys):
    with pytest.raises(KeyError, match="there are .*encoded-labels"):
        find(name)
    assert main(["run", name]) == 1
    assert "there are" in capsys.readouterr().err


def test_unknown_tier():
    sweep = experiments.ENCODED_LABELS_SWEEP
    with pytest.raises(KeyError, match="tiers paper; got 'pocket'"):
        sweep.recipe(next(iter(sweep.variants)), "pocket")


def test_command_line(short, tmp_path, capsys):
    assert main(["list"]) == 0
    assert "encoded-labels/last-layer" in capsys.readouterr().out
    assert main(["run", "short/full", "--folder", str(tmp_path)]) == 0
    assert "dlr_train" in capsys.readouterr().out
    assert json.loads((tmp_path / "short/full/pocket-seed0.json").read_text())["seed"] == 0


def test_training_leaves_the_processor_as_it_was(short):
    run("short/last-layer", progress=False)
    smallest = torch.tensor(1e-310, dtype=torch.float64)
    assert float(smallest / 2) > 0  # denormal numbers are there again
