"""Notebooks of the book run side by side, into the cache that MyST-NB reads."""

import nbformat
import parallel_execution  # book/_ext/parallel_execution.py
import pytest
from jupyter_cache import get_cache
from nbformat import v4


@pytest.fixture
def write(tmp_path):
    """Make a notebook of one cell."""

    def make(name, source):
        path = tmp_path / f"{name}.ipynb"
        spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        cells = [v4.new_code_cell(source)]
        nbformat.write(v4.new_notebook(cells=cells, metadata={"kernelspec": spec}), path)
        return path

    return make


def outputs(cache, path):
    """What the cache has of a notebook, as MyST-NB asks for it."""
    notebook = nbformat.read(path, as_version=4)
    _, merged = cache.merge_match_into_notebook(notebook)
    return "".join(output["text"] for output in merged.cells[0].outputs)


# Each waits for a file of the other: one after the other, neither would end.
MEET = """
import pathlib, time
mine, other = (pathlib.Path({folder!r}) / name for name in {names!r})
mine.touch()
end = time.monotonic() + 60
while not other.exists() and time.monotonic() < end:
    time.sleep(0.05)
assert other.exists()
print("met", mine.name)
"""


def test_notebooks_run_at_the_same_time(write, tmp_path):
    folder = str(tmp_path)
    first = write("first", MEET.format(folder=folder, names=("a", "b")))
    second = write("second", MEET.format(folder=folder, names=("b", "a")))
    cache = get_cache(str(tmp_path / "cache"))
    parallel_execution.execute(cache, [first, second], workers=2, timeout=90)
    assert (outputs(cache, first), outputs(cache, second)) == ("met a\n", "met b\n")
    assert parallel_execution.pending(cache, [first, second]) == []


def test_what_failed_is_not_in_the_cache(write, tmp_path):
    good, bad = write("good", "print(1 + 1)"), write("bad", "1 / 0")
    cache = get_cache(str(tmp_path / "cache"))
    parallel_execution.execute(cache, [bad, good], workers=1, timeout=90)
    assert [path for path, _ in parallel_execution.pending(cache, [bad, good])] == [bad]
    assert outputs(cache, good) == "2\n"
