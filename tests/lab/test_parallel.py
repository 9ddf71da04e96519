"""Several processes train and measure one run; torchrun starts them."""

import dataclasses
import os
import subprocess
import sys

import pytest

from richlib.lab import records
from richlib.lab.experiments import EXPERIMENTS
from richlib.lab.run import run

# A run cut to seconds, whose last batch, of 104 samples, does not divide by three processes.
SHORT = {"data": "digits", "samples": 1000, "width": 64, "epochs": 3}
SCRIPT = f"""
import dataclasses, sys, torch
from richlib.lab.__main__ import main
from richlib.lab.experiments import EXPERIMENTS

torch.set_num_threads(1)
experiment = EXPERIMENTS[sys.argv.pop(1)]
EXPERIMENTS["short"] = dataclasses.replace(experiment, name="short", tiers={{"pocket": {SHORT}}})
sys.exit(main())
"""


def torchrun(tmp_path, processes, experiment, *words):
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", str(processes), str(tmp_path / "script.py")]
    return subprocess.run(
        [*command, experiment, *words, "--folder", str(tmp_path)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("variant", ["full", "last-layer"])
def test_three_processes_give_the_record_of_one(tmp_path, monkeypatch, variant):
    done = torchrun(tmp_path, 3, "encoded-labels", "run", f"short/{variant}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("dlr_train ") == 1  # the first process prints
    files = [f.name for f in tmp_path.rglob("*") if f.is_file()]
    assert sorted(files) == ["pocket-seed0.json", "script.py"]
    (shared,) = records.load("short", variant, "pocket", folder=tmp_path)
    assert ", 3 processes" in shared.device
    short = dataclasses.replace(
        EXPERIMENTS["encoded-labels"], name="short", tiers={"pocket": SHORT}
    )
    monkeypatch.setitem(EXPERIMENTS, "short", short)
    alone = run(f"short/{variant}", progress=False)
    assert shared.curves["epoch"] == alone.curves["epoch"] == [0, 1, 2, 3]
    for name, values in alone.curves.items():
        # The same steps but for rounding, which Adam's first steps enlarge.
        assert shared.curves[name] == pytest.approx(values, rel=2e-3, abs=2e-3), name
    for name in ("dlr_train", "dlr_gram_test", "nc1_ridge_train"):
        assert shared.metrics[name] == pytest.approx(alone.metrics[name], rel=5e-3), name
    assert shared.spectra["quality"] == pytest.approx(alone.spectra["quality"], abs=5e-3)


def test_batch_normalization_is_refused_on_the_cpu(tmp_path):
    done = torchrun(tmp_path, 2, "weight-decay", "run", "short/none")
    assert done.returncode != 0
    assert "run networks with batch normalization in one process" in done.stderr
