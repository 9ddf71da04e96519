"""Runs the notebooks that are not in the cache side by side, before pages are read.

Sphinx reads one page after the other, and MyST-NB would run each notebook as it is read. Here as
many run at once as there are cores, and what they printed goes into the cache, where MyST-NB finds
it. A notebook that fails is left out: MyST-NB runs it again and reports it as it always does.
"""

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from jupyter_cache.executors.utils import single_nb_execution
from sphinx.util import logging

logger = logging.getLogger(__name__)


def pending(cache, paths):
    """[(path, notebook)] of those whose code the cache has not seen."""
    found = []
    for path in paths:
        notebook = nbformat.read(path, as_version=4)
        try:
            cache.match_cache_notebook(notebook)
        except KeyError:
            found.append((path, notebook))
    return found


def run(notebook, timeout):
    """(a notebook with its outputs, seconds), run from an empty folder; None where it failed."""
    with TemporaryDirectory() as folder:
        result = single_nb_execution(notebook, cwd=folder, timeout=timeout, allow_errors=False)
    return (notebook, result.time) if result.err is None else None


def execute(cache, paths, *, workers, timeout):
    """Run what is not in the cache, and put it there; one process writes to it."""
    todo = pending(cache, paths)
    if not todo:
        return
    # Processes of their own, because each has an event loop.
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        running = [(path, pool.submit(run, notebook, timeout)) for path, notebook in todo]
        for path, future in running:
            if (done := future.result()) is None:
                logger.info(f"{path.name} failed; it will run again as its page is read")
                continue
            notebook, seconds = done
            uri = cache.add_nb_to_project(str(path)).uri
            bundle = CacheBundleIn(notebook, uri, data={"execution_seconds": seconds})
            cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
            logger.info(f"ran {path.name} in {seconds:.0f} s")


def execute_notebooks(app):
    if app.builder.format != "html" or app.config.nb_execution_mode != "cache":
        return
    root = Path(app.srcdir)
    paths = [root / f"{name}.ipynb" for name in app.config.external_site_map]  # of _toc.yml
    workers = min(os.cpu_count() or 1, 4)  # a kernel takes up to a gigabyte
    if workers > 1:  # each kernel takes one core, and leaves the others to the others
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    execute(
        get_cache(app.config.nb_execution_cache_path),
        [path for path in paths if path.exists()],
        workers=workers,
        timeout=app.config.nb_execution_timeout,
    )


def setup(app):
    app.connect("builder-inited", execute_notebooks)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
