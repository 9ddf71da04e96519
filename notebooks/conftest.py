"""nbval takes from the book's cache what `make book` has run with the same code and library.

Running all of them twice would double the time of `make test`. What nbval does with the outputs
is the same: cells must not fail, and those marked NBVAL_CHECK_OUTPUT must give what is
stored in the notebook. Without a built book, or after a change, it runs the notebooks itself.
"""

import collections
from pathlib import Path

import nbformat
from execution_cache import digest  # book/_ext/execution_cache.py
from jupyter_cache import get_cache
from nbval.plugin import IPyNbFile

ROOT = Path(__file__).resolve().parent.parent
start_kernel = IPyNbFile.setup


def executed(path):
    """The notebook as the book ran it; None where its code or the library was another then."""
    folder = ROOT / "_build" / ".jupyter_cache" / digest(ROOT)
    if not folder.exists():
        return None
    cache = get_cache(folder)
    try:
        match = cache.match_cache_notebook(nbformat.read(path, as_version=4))
    except KeyError:
        return None
    return cache.get_cache_bundle(match.pk).nb


class Replay:
    """What nbval asks of a kernel, answered from an executed notebook."""

    language = "python"

    def __init__(self, notebook):
        self.cells = (cell for cell in notebook.cells if cell.cell_type == "code")
        self.messages = collections.deque()

    def execute_cell_input(self, source, allow_stdin=None):
        cell = next(cell for cell in self.cells if cell.source == source)  # skipping as nbval did
        for output in cell.outputs:
            self._say(output.output_type, output)
        self._say("status", {"execution_state": "idle"})

    def _say(self, kind, content):
        header = {"msg_id": None}
        self.messages.append({"msg_type": kind, "content": content, "parent_header": header})

    def get_message(self, stream, timeout=None):
        return self.messages.popleft()

    def await_reply(self, msg_id, timeout=None):
        """The answers are there already."""

    def await_idle(self, parent_id, timeout):
        self.messages.clear()

    def is_alive(self):
        return True

    def stop(self):
        self.messages.clear()


def setup(self):
    if notebook := executed(self.path):
        self.kernel = Replay(notebook)
        self.setup_sanitize_files()
    else:
        start_kernel(self)


IPyNbFile.setup = setup


def pytest_report_header():
    chapters = [path for path in ROOT.glob("notebooks/[ef]*/*.ipynb")]
    known = sum(executed(path) is not None for path in chapters)
    return f"notebooks: {known} of {len(chapters)} as the book ran them, others run by nbval"
