"""Mends what the theme, MyST-NB and docutils put in the way of readers who hear a page or type.

The tests in tests/browser find such places with axe-core. They fail as well when a new release of
those packages writes something that the patterns below no longer fit.
"""

import re
from pathlib import Path

MENDS = [
    # Labels that hide a longer text: voice control goes by the text that is seen.
    (r'(<button class="btn search-button-field[^>]*?) title="Search" aria-label="Search"', r"\1"),
    (r'<summary aria-label="Toggle hidden content">', "<summary>"),
    # Titles of icons, read out in a button that has a label.
    (r'(<i class="theme-switch[^>]*?) title="[^"]*"', r"\1"),
    # The logo and the search field are in the sidebar, but in no landmark.
    (r'(<div id="pst-primary-sidebar") class', r'\1 role="region" aria-label="Sidebar" class'),
    # docutils gives works a role that was withdrawn; they are items of a list.
    (r'role="doc-biblioentry"', 'role="listitem"'),
    # Figures scroll on phones. The theme makes this box, if it scrolls, reachable by keyboard.
    (r"(?m)^(<img [^>]*_images/[^>]*>)", r'<div class="output">\1</div>'),
    # An empty corner of a table is the head of nothing.
    (r'<th(?: class="head")?>(?:<p></p>)?</th>', "<td></td>"),
]


def mend(html):
    """The page with every replacement made; a mended page stays as it is."""
    for pattern, replacement in MENDS:
        html = re.sub(pattern, replacement, html)
    return html


def mend_pages(app, exception):
    """Mend the pages that a build has written."""
    if exception or app.builder.format != "html":
        return
    for path in Path(app.outdir).rglob("*.html"):
        before = path.read_text("utf-8")
        after = mend(before)
        if after != before:
            path.write_text(after, "utf-8")


def setup(app):
    app.connect("build-finished", mend_pages)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
