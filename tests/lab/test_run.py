"""Runs: the same command gives the same record, killed or not."""

import dataclasses
import json
import os
import subprocess
import sys

import pytest
import torch

import richlib.lab.train as train_module
from richlib.lab import __main__ as command_line
from richlib.lab import checkpoints, experiments, records
from richlib.lab.__main__ import main
from richlib.lab.experiments import EXPERIMENTS, find
from richlib.lab.run import fit, measured, run
from richlib.lab.train import is_kept, is_measured

TIMES = ("seconds", "finished")


def content(record):
    return {k: v for k, v in dataclasses.asdict(record).items() if k not in TIMES}


@pytest.fixture
def short(monkeypatch):
    """The pocket tier cut to a second, as an experiment of its own."""
    full = EXPERIMENTS["encoded-labels"]
    tiers = {"pocket": {"data": "digits", "width": 32, "epochs": 6}}
    variants = full.variants | {"layerwise": {"trained": "layerwise"}}
    experiment = dataclasses.replace(full, name="short", variants=variants, tiers=tiers)
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


def test_spectra_are_kept_during_training(short):
    record = run("short/full", progress=False)
    kept = {key.partition("/")[0] for key in record.spectra if "/" in key}
    assert kept == {f"epoch{n}" for n in (0, 1, 2, 3, 5)}
    # Digits are fewer than a probe has: the last epoch that is kept is measured on all samples.
    trained = fit(dataclasses.replace(short.recipe("full", "pocket"), epochs=5), progress=False)
    _, spectra = measured(trained)
    for name, values in spectra.items():
        assert record.spectra[f"epoch5/{name}"] == pytest.approx(values[:50], rel=1e-3)
    assert not any("/" in name for name in record.curves)


def test_is_kept_follows_the_logarithm():
    assert [n for n in range(61) if is_kept(n)] == [0, 1, 2, 3, 5, 10, 20, 30, 50]
    assert is_kept(3000) and not is_kept(150)


def test_a_recipe_is_trained_once_for_all_experiments_that_share_it(short, tmp_path, monkeypatch):
    twin = dataclasses.replace(short, name="twin")
    layers = dataclasses.replace(short, name="layers", layers=True)
    monkeypatch.setitem(EXPERIMENTS, "twin", twin)
    monkeypatch.setitem(EXPERIMENTS, "layers", layers)
    first = run("short/full", folder=tmp_path, progress=False)
    second = run("twin/full", folder=tmp_path, progress=False)
    assert second == dataclasses.replace(first, experiment="twin")  # its times as well
    assert records.load("twin", "full", "pocket", folder=tmp_path) == [second]
    # It has no spectra of the layers, so this one trains; what has them serves the others.
    third = run("layers/full", folder=tmp_path, progress=False)
    assert not any(key.startswith("layer") for key in first.spectra)
    assert any(key.startswith("layer") for key in third.spectra)
    # Another seed is another run.
    assert run("twin/full", seed=1, folder=tmp_path, progress=False).metrics != first.metrics


@pytest.mark.parametrize("variant", ["full", "last-layer", "layerwise"])
@pytest.mark.parametrize("longest", [60.0, 0.0], ids=["between epochs", "within epochs"])
def test_an_interrupted_run_resumes_to_the_same_record(
    short, tmp_path, monkeypatch, variant, longest
):
    whole = run(f"short/{variant}", progress=False)
    monkeypatch.setattr(train_module, "PAUSE", 0.0)
    monkeypatch.setattr(train_module, "LONGEST", longest)
    write, written = checkpoints.write, []
    # In the middle of the first phase; of three that train a layer each, of the second.
    last = 3 if variant != "layerwise" else 9 if longest else 6 * 11 + 3

    def interrupted(state, path):
        write(state, path)
        written.append((path.name[-1], state["step"]))
        if len(written) == last:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(f"short/{variant}", folder=tmp_path, progress=False)
    phases = 2 if variant == "layerwise" else 1
    assert len(list(tmp_path.rglob("*.checkpoint.[0-9]"))) == phases
    assert content(run(f"short/{variant}", folder=tmp_path, progress=False)) == content(whole)
    assert written == sorted(set(written))  # no step twice
    assert written[last - 1][1] % 11 == (0 if longest else 3)  # 1,400 samples: 11 steps of 128
    assert not list(tmp_path.rglob("*.checkpoint*"))


KILLED = """
import os, random, signal, sys, time
from richlib.lab import assemble, train
from richlib.lab.experiments import find
from richlib.lab.run import run

train.PAUSE, train.LONGEST = 0.0, 0.05
name, folder, kills = sys.argv[1], sys.argv[2], int(sys.argv[3])
random.seed(0)
# What is imported late is imported here, or the children spend their lives importing.
experiment, variant = find(name)
recipe = experiment.recipe(variant, "pocket")
train_split = assemble.samples(recipe, 0)[0]
assemble.optimizer(recipe, assemble.network(recipe, train_split, 0)).zero_grad()


def started(folder):
    # A child in the middle of its run: it has begun to write its first checkpoint.
    pid = os.fork()
    if pid == 0:
        run(name, folder=folder, progress=False)
        os._exit(0)
    while not there(folder):
        time.sleep(0.001)
    return pid


def there(folder):
    return [f for _, _, files in os.walk(folder) for f in files]


pid = started(f"{folder}/whole")
begin = time.perf_counter()
os.waitpid(pid, 0)
rest = time.perf_counter() - begin
for number in range(kills):
    pid = started(f"{folder}/{number}")
    time.sleep(random.uniform(0, 0.8) * rest)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    print("checkpoint" if any(".checkpoint" in f for f in there(f"{folder}/{number}")) else "done")
    assert os.waitpid(started(f"{folder}/{number}"), 0)[1] == 0
"""


def test_twenty_kills_at_random_moments(tmp_path):
    """kill -9 in the middle of training, the same call again: the same record, twenty times."""
    name, kills = "encoded-labels/last-layer", 20
    out = subprocess.run(
        [sys.executable, "-c", KILLED, name, str(tmp_path), str(kills)],
        # One thread: a process that has used OpenMP's cannot be forked.
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert out.count("checkpoint") > kills / 2  # most kills met a run on its way
    variant = name.partition("/")[2]
    (whole,) = records.load("encoded-labels", variant, "pocket", folder=tmp_path / "whole")
    for number in range(kills):
        folder = tmp_path / str(number)
        (record,) = records.load("encoded-labels", variant, "pocket", folder=folder)
        assert content(record) == content(whole)
        assert [f.name for f in folder.rglob("*") if f.is_file()] == ["pocket-seed0.json"]


def test_a_finished_run_is_not_repeated(short, tmp_path):
    record = run("short/full", folder=tmp_path, progress=False)
    assert run("short/full", folder=tmp_path, progress=False) == record  # times included


def test_a_record_of_another_recipe_is_replaced(short, tmp_path, monkeypatch):
    run("short/full", folder=tmp_path, progress=False)
    wider = {"pocket": short.tiers["pocket"] | {"width": 40}}
    monkeypatch.setitem(EXPERIMENTS, "short", dataclasses.replace(short, tiers=wider))
    assert run("short/full", folder=tmp_path, progress=False).recipe["width"] == 40


def test_a_damaged_checkpoint_is_an_error(short, tmp_path, capsys):
    path = records.path(tmp_path, "short", "full", "pocket", 0).with_suffix(".checkpoint.0")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not a checkpoint")
    with pytest.warns(UserWarning, match="damaged"):
        assert main(["run", "short/full", "--folder", str(tmp_path)]) == 1
    assert "delete" in capsys.readouterr().err


def test_a_diverged_run_leaves_a_record_that_says_so(short, monkeypatch, tmp_path):
    hot = dataclasses.replace(short, paper=dataclasses.replace(short.paper, learning_rate=1e20))
    monkeypatch.setitem(EXPERIMENTS, "short", hot)
    record = run("short/full", folder=tmp_path, progress=False)
    assert record.status == "diverged in epoch 1"
    assert record.curves["epoch"] == [0]
    assert "dlr_train" not in record.metrics
    assert records.load("short", "full", "pocket", folder=tmp_path) == [record]


def test_outputs_that_overflow_count_as_diverged(short):
    """Losses are those before each step: the last step can spoil a network unseen."""
    one_step = dataclasses.replace(
        short.recipe("full", "pocket"), samples=32, batch_size=32, epochs=1, learning_rate=1e30
    )
    assert fit(one_step, progress=False).curves["diverged"] == [1]


def test_measured_epochs():
    assert [e for e in range(1, 24) if is_measured(e, 23)] == [*range(1, 11), 15, 20, 23]


def test_every_recipe_can_be_named():
    for experiment in EXPERIMENTS.values():
        for tier in experiment.tiers:
            for variant in experiment.at(tier):
                assert find(f"{experiment.name}/{variant}") == (experiment, variant)
                assert experiment.recipe(variant, tier).model


def test_a_tier_may_have_variants_of_its_own(monkeypatch):
    own = {"pocket": {"shallow": {"hidden_layers": 1}}}
    experiment = dataclasses.replace(experiments.ENCODED_LABELS, name="mixed", own=own)
    monkeypatch.setitem(EXPERIMENTS, "mixed", experiment)
    assert find("mixed/shallow")[0].recipe("shallow", "pocket").hidden_layers == 1
    assert list(experiment.at("desk")) == ["full", "last-layer"]
    for variant, tier in (("full", "pocket"), ("shallow", "desk")):
        with pytest.raises(KeyError, match="has the variants"):
            experiment.recipe(variant, tier)


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
    printed = capsys.readouterr()
    assert "dlr_train" in printed.out and "written to" in printed.err
    assert str(records.path(tmp_path, "short", "full", "pocket", 0)) in printed.err
    assert json.loads((tmp_path / "short/full/pocket-seed0.json").read_text())["seed"] == 0


def test_the_command_line_says_that_a_record_was_there(short, tmp_path, capsys, monkeypatch):
    args = ["run", "short/full", "--folder", str(tmp_path)]
    assert main(args) == 0
    monkeypatch.setattr(records, "now", lambda: "9999-01-01T00:00:00Z")
    assert main(args) == 0
    assert "recorded already" in capsys.readouterr().err


def test_a_stopped_run_says_how_it_goes_on(short, tmp_path, capsys, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(command_line, "run", stop)
    assert main(["run", "short/full", "--folder", str(tmp_path)]) == 130
    assert "same command" in capsys.readouterr().err


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_one_line(short, capsys):
    assert main(["run", "short/full", "--device", "cuda"]) == 1
    assert "no CUDA device" in capsys.readouterr().err


def test_a_report_on_no_folder_is_an_error(tmp_path, capsys):
    assert main(["report", "--folder", str(tmp_path / "none")]) == 1
    assert "no folder" in capsys.readouterr().err


def test_training_leaves_the_processor_as_it_was(short):
    run("short/last-layer", progress=False)
    smallest = torch.tensor(1e-310, dtype=torch.float64)
    assert float(smallest / 2) > 0  # denormal numbers are there again
