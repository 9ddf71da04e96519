"""Sweeps on Ray: the same records as one run after another, even where workers die."""

import dataclasses
import os
import signal
import subprocess
import sys
import time

import pytest

from richlib.lab import records
from richlib.lab.run import run
from richlib.lab.sweep import expand, sweep

NAMES = ["encoded-labels/full", "encoded-labels/last-layer"]
SEEDS = range(4)

SWEEP = """
import sys
from richlib.lab.sweep import sweep
records = sweep(sys.argv[3:], seeds=range(int(sys.argv[2])), folder=sys.argv[1], progress=False)
print(*(f"{r.variant}-{r.seed}" for r in records))
"""


def content(record):
    times = ("seconds", "finished", "device")  # the device names the threads
    return {k: v for k, v in dataclasses.asdict(record).items() if k not in times}


def workers():
    """Process numbers of Ray's workers that are in the middle of a run."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if file.read().startswith(b"ray::_one"):
                    found.append(int(pid))
        except OSError:
            pass  # it has ended meanwhile
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="looks for workers in /proc")
def test_a_killed_worker_is_replaced_and_all_records_are_there(tmp_path):
    """Eight runs; a worker is killed when the first checkpoint is there."""
    folder = tmp_path / "swept"
    process = subprocess.Popen(
        [sys.executable, "-c", SWEEP, str(folder), str(len(SEEDS)), *NAMES],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 300
    while not list(folder.rglob("*.checkpoint.0")) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    victims = workers()
    os.kill(victims[0], signal.SIGKILL)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    # Ray reports the loss of a worker, on the same stream.
    listed = out.splitlines()[-1].split()
    assert listed == [f"{name.partition('/')[2]}-{seed}" for name in NAMES for seed in SEEDS]
    for name in NAMES:
        variant = name.partition("/")[2]
        swept = records.load("encoded-labels", variant, "pocket", folder=folder)
        assert [r.seed for r in swept] == list(SEEDS)
        for record in swept[:1]:
            one = subprocess.run(  # one thread, as a worker has
                [sys.executable, "-c", ONE, name, str(record.seed), str(tmp_path / "one")],
                env=os.environ | {"OMP_NUM_THREADS": "1"},
                capture_output=True,
                text=True,
            )
            assert one.returncode == 0, one.stderr
            found = records.read(
                records.path(tmp_path / "one", "encoded-labels", variant, "pocket", record.seed)
            )
            assert content(found) == content(record)
    assert not list(folder.rglob("*.checkpoint*"))


ONE = """
import sys
from richlib.lab.run import run
run(sys.argv[1], seed=int(sys.argv[2]), folder=sys.argv[3], progress=False)
"""


def test_a_name_stands_for_all_of_its_variants():
    assert expand(["encoded-labels"], "pocket") == NAMES
    assert expand([NAMES[1]], "pocket") == NAMES[1:]


@pytest.mark.parametrize(
    "name, tier", [("nothing/full", "pocket"), ("encoded-labels-sweep", "pocket")]
)
def test_names_are_checked_before_anything_starts(name, tier, tmp_path):
    with pytest.raises(KeyError):
        sweep([name], tier=tier, folder=tmp_path)
    assert not list(tmp_path.iterdir())


def test_without_ray_the_error_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r"pip install 'richlib\[sweep\]'"):
        sweep(NAMES, folder=tmp_path)


def test_finished_runs_are_not_repeated(tmp_path):
    record = run(NAMES[1], folder=tmp_path, progress=False)
    out = subprocess.run(
        [sys.executable, "-c", SWEEP, str(tmp_path), "1", NAMES[1]],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert out.splitlines()[-1] == "last-layer-0"
    assert records.load("encoded-labels", "last-layer", "pocket", folder=tmp_path) == [record]
