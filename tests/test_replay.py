"""notebooks/conftest.py: nbval compares what the book ran, and runs what the book did not."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from execution_cache import digest
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from nbformat.v4 import new_code_cell, new_notebook, new_output

ROOT = Path(__file__).resolve().parent.parent
SKIPPED, MARKED = "# NBVAL_SKIP\nprint(1)", "# NBVAL_CHECK_OUTPUT\nprint(2)"
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


def printed(text):
    return new_output("stream", name="stdout", text=text)


ERROR = new_output("error", ename="ValueError", evalue="no", traceback=["no"])


def notebook(source, output):
    cells = [new_code_cell(SKIPPED), new_code_cell(source, outputs=[output], execution_count=1)]
    return new_notebook(cells=cells, metadata={"kernelspec": KERNEL})


@pytest.mark.parametrize(
    "of_the_book, outcome",
    [
        (notebook(MARKED, printed("2\n")), "1 passed"),
        (notebook(MARKED, printed("3\n")), "1 failed"),
        (notebook(MARKED, ERROR), "1 failed"),
        (notebook("other", ERROR), "1 passed"),  # other code: what the book had is not asked
    ],
    ids=["same", "another output", "error", "other code"],
)
def test_nbval_judges_what_the_book_ran(of_the_book, outcome, tmp_path):
    chapter = tmp_path / "notebooks" / "foundations" / "chapter.ipynb"
    chapter.parent.mkdir(parents=True)
    shutil.copy(ROOT / "notebooks" / "conftest.py", chapter.parent.parent)
    nbformat.write(notebook(MARKED, printed("2\n")), chapter)
    (tmp_path / "richlib").mkdir()
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).touch()
    cache = get_cache(tmp_path / "_build" / ".jupyter_cache" / digest(tmp_path))
    cache.cache_notebook_bundle(
        CacheBundleIn(of_the_book, str(chapter), data={}), check_validity=False
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--nbval-lax", "--nbval-current-env", chapter],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT / "book" / "_ext")},
        capture_output=True,
        text=True,
    )
    assert f"{outcome}, 1 skipped" in done.stdout, done.stdout + done.stderr
    known = 0 if "other" in of_the_book.cells[1].source else 1
    assert f"notebooks: {known} of 1 as the book ran them" in done.stdout
