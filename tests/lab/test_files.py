"""A file that is replaced is there in full or as it was; what killed writers leave is removed."""

import errno
import os
import signal
import subprocess
import sys

import pytest

from richlib.lab import files


def write(path, content):
    with files.replacing(path) as file:
        file.write(content)


def test_the_folder_is_made_and_the_file_replaced(tmp_path):
    path = tmp_path / "new" / "file"
    for content in (b"one", b"two"):
        write(path, content)
        assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt()])
def test_an_error_leaves_the_old_file_alone(tmp_path, error):
    path = tmp_path / "file"
    write(path, b"old")
    with pytest.raises(type(error)), files.replacing(path) as file:
        file.write(b"new")
        raise error
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


KILLED = """
import os, signal, sys
from pathlib import Path
from richlib.lab import files
with files.replacing(Path(sys.argv[1])) as file:
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_next_writer_removes_what_a_killed_one_left(tmp_path):
    path, of_another = tmp_path / "file", tmp_path / "other"
    write(path, b"old")
    for target in (path, of_another):
        done = subprocess.run([sys.executable, "-c", KILLED, str(target)], check=False)
        assert done.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 3
    alive = tmp_path / f"file.{os.getppid()}.partial"
    alive.write_bytes(b"another process is at it")
    write(path, b"new")
    (left,) = tmp_path.glob("other.*")
    assert path.read_bytes() == b"new" and {*tmp_path.iterdir()} == {path, alive, left}
