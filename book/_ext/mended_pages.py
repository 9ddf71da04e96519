"""Mends what the theme, MyST-NB and docutils put in the way of readers who hear a page, type, or
want to point at a place on it.

The tests in tests/browser find such places with axe-core. They fail as well when a new release of
those packages writes something that the patterns below no longer fit.
"""

import itertools
import re
from pathlib import Path

MATH = r'(<span class="math notranslate nohighlight">[^<]*</span>)'
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
    (r"(?m)(^|(?<=</div>))(<img [^>]*_images/[^>]*>)", r'<div class="output">\2</div>'),
    # Punctuation does not begin a line, nor an opening parenthesis end it, beside a formula.
    (
        r"(?<!together\">)(?<!together\">[(\[“‘])([(\[“‘]?)" + MATH + r"([.,;:!?)\]’”]+)",
        r'<span class="together">\1\2\3</span>',
    ),
    # An empty corner of a table is the head of nothing.
    (r'<th(?: class="head")?>(?:<p></p>)?</th>', "<td></td>"),
]


# Places without an anchor: equations and pictures of notebooks, which have no labels.
PLACES = {
    "equation": r'<div class="math notranslate nohighlight">()',
    "figure": r'<div class="output">(<img [^>]*>)',
}


def mend(html):
    """The page with every replacement made; a mended page stays as it is."""
    for pattern, replacement in MENDS:
        html = re.sub(pattern, replacement, html)
    for kind, pattern in PLACES.items():
        numbers = itertools.count(1)
        html = re.sub(pattern, lambda m: _anchored(m, kind, next(numbers)), html)  # noqa: B023
    return html


def _anchored(match, kind, number):
    """The place with an anchor, and a link to it, as headings have."""
    opened = match[0].removesuffix(match[1]).removesuffix(">")
    title = f"Link to this {kind}"
    link = f'<a class="headerlink" href="#{kind}-{number}" title="{title}">#</a>'
    return f'{opened} id="{kind}-{number}">{match[1]}{link}'


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
