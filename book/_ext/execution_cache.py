"""Keeps the outputs in the book in step with the library.

MyST-NB takes a notebook's outputs from its cache while the code cells are the same, and Sphinx
re-reads a page only when its file has changed. Neither looks at richlib. So the path of the cache
is made of a hash of everything that outputs depend on: a change there leads to an empty cache,
and, since the path is a configuration value of the environment, to every page being read again.
The checks of the coursework are left out: no chapter uses them.
"""

import hashlib
import os
import shutil
from pathlib import Path

from sphinx.util import logging

KEEP = 3  # so that going back and forth between branches executes nothing

logger = logging.getLogger(__name__)


def digest(root):
    """SHA-256 over the names and bytes of richlib, its dependencies and their pins."""
    package = (
        path
        for path in (root / "richlib").rglob("*")
        if path.is_file()
        and path.parent.name not in ("__pycache__", "course")
        and not path.name.startswith(".")
    )
    total = hashlib.sha256()
    for path in [*sorted(package), root / "pyproject.toml", root / "constraints.txt"]:
        total.update(path.relative_to(root).as_posix().encode() + b"\0")
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()[:16]


def set_cache(app, config):
    caches = Path(app.outdir).parent / ".jupyter_cache"
    current = caches / digest(Path(app.srcdir))
    current.mkdir(parents=True, exist_ok=True)
    os.utime(current)  # the newest one now, also when it was there already
    newest_first = sorted(caches.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in newest_first[KEEP:]:
        shutil.rmtree(old)
    config.nb_execution_cache_path = str(current)


def name_template(app, config):
    if "/OWNER/" in config.html_theme_options.get("repository_url", ""):
        logger.info(
            "The repository in _config.yml is still the template (OWNER): "
            "links to GitHub and Colab lead nowhere until it is set."
        )


def keep_launch_buttons_to_notebooks(app, pagename, templatename, context, doctree):
    """Colab opens notebooks; the book's own pages, though they may run code, are none."""
    if pagename.startswith("book/"):
        buttons = context.get("header_buttons", [])
        context["header_buttons"] = [b for b in buttons if b.get("label") != "launch-buttons"]


def setup(app):
    app.connect("config-inited", set_cache)
    app.connect("config-inited", name_template)
    app.connect("html-page-context", keep_launch_buttons_to_notebooks, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
