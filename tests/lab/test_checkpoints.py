"""Checkpoints: the state that was written, the one before, or an error; never a wrong state."""

import errno
import os
import subprocess
import sys

import pytest
import torch

from richlib.lab import checkpoints
from richlib.lab.checkpoints import CheckpointError


def state(step, identity="run"):
    return {"identity": identity, "step": step, "weights": torch.full((100,), float(step))}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / "a.checkpoint"


def test_what_is_written_is_read(path):
    assert checkpoints.read(path, "run") is None
    for step in (1, 2):
        checkpoints.write(state(step), path)
        read = checkpoints.read(path, "run")
        assert read["step"] == step and torch.equal(read["weights"], state(step)["weights"])


def test_only_the_two_newest_stay_and_none_when_finished(path):
    for step in range(5):
        checkpoints.write(state(step), path)
    assert {f.name for f in path.parent.iterdir()} == {path.name, path.name + ".previous"}
    checkpoints.remove(path)
    assert not list(path.parent.iterdir())


def test_what_a_killed_process_was_writing_goes_too(path):
    checkpoints.write(state(1), path)
    dead = subprocess.Popen(["true"])
    dead.wait()
    for pid in (dead.pid, os.getpid()):
        path.with_name(f"{path.name}.{pid}.partial").write_bytes(b"half")
    checkpoints.remove(path)
    assert [f.name for f in path.parent.iterdir()] == [f"{path.name}.{os.getpid()}.partial"]


def damage(file, how):
    content = bytearray(file.read_bytes())
    if how == "truncated":
        content = content[: len(content) // 2]
    elif how == "empty":
        content = b""
    else:
        content[how] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("how", ["truncated", "empty", 0, 31, 32, 700, -1])
def test_a_damaged_file_gives_the_previous_state_with_a_warning(path, how):
    for step in (1, 2):
        checkpoints.write(state(step), path)
    damage(path, how)
    with pytest.warns(UserWarning, match="is damaged"):
        assert checkpoints.read(path, "run")["step"] == 1


def test_where_both_are_damaged_the_error_says_what_to_do(path):
    for step in (1, 2):
        checkpoints.write(state(step), path)
    damage(path, "truncated")
    damage(checkpoints.previous(path), 40)
    with (
        pytest.warns(UserWarning, match="is damaged"),
        pytest.raises(CheckpointError, match="delete .*checkpoint.* to start again"),
    ):
        checkpoints.read(path, "run")


def test_a_kill_between_the_two_renames_loses_nothing(path, monkeypatch):
    checkpoints.write(state(1), path)
    rename, calls = os.replace, []

    def killed(source, target):
        calls.append(target)
        if len(calls) == 2:
            raise KeyboardInterrupt
        rename(source, target)

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        checkpoints.write(state(2), path)
    assert checkpoints.read(path, "run")["step"] == 1


def test_another_runs_checkpoint_is_refused(path):
    checkpoints.write(state(1, identity="other"), path)
    with pytest.raises(CheckpointError, match="belongs to another run .other, not run."):
        checkpoints.read(path, "run")


def test_no_code_is_run_by_reading(path):
    """A pickle that would call a function is refused, even with the right hash."""

    class Evil:
        def __reduce__(self):
            return os.mkdir, ("evil",)

    checkpoints.write({"identity": "run", "step": 1, "evil": Evil()}, path)
    with pytest.raises(Exception, match="[Ww]eights"):
        checkpoints.read(path, "run")
    assert not os.path.exists("evil")


FULL = """
import resource, signal, sys, torch
from pathlib import Path
from richlib.lab import checkpoints
path = Path(sys.argv[1])
small = {"identity": "run", "step": 1, "weights": torch.zeros(10)}
checkpoints.write(small, path)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
try:
    checkpoints.write(small | {"step": 2, "weights": torch.zeros(100_000)}, path)
except checkpoints.CheckpointError as error:
    print(error)
print(checkpoints.read(path, "run")["step"], sorted(f.name for f in path.parent.iterdir()))
"""


def test_no_room_for_a_file_of_that_size(path):
    """The kernel refuses to let the file grow, as on a full disk."""
    out = subprocess.run(
        [sys.executable, "-c", FULL, str(path)], capture_output=True, text=True, check=True
    ).stdout
    assert "cannot be written" in out and "make room" in out
    assert out.splitlines()[-1] == f"1 ['{path.name}']"


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_full_disk(tmp_path):
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        path = tmp_path / "a.checkpoint"
        checkpoints.write(state(1), path)
        big = state(2) | {"weights": torch.zeros(100_000)}
        with pytest.raises(CheckpointError, match=os.strerror(errno.ENOSPC)):
            checkpoints.write(big, path)
        assert checkpoints.read(path, "run")["step"] == 1
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
