"""Built pages are mended once, only where needed, and nowhere else."""

from types import SimpleNamespace

import mended_pages  # book/_ext/mended_pages.py
import pytest

MATH = r'<span class="math notranslate nohighlight">\(x\)</span>'
WRITTEN = {  # what the theme, MyST-NB and docutils write: what it becomes
    '<button class="btn search-button-field x" title="Search" aria-label="Search" id="y">': (
        '<button class="btn search-button-field x" id="y">'
    ),
    '<summary aria-label="Toggle hidden content">': "<summary>",
    '<i class="theme-switch fa-solid" data-mode="auto"  title="System Settings"></i>': (
        '<i class="theme-switch fa-solid" data-mode="auto" ></i>'
    ),
    '<div id="pst-primary-sidebar" class="x">': (
        '<div id="pst-primary-sidebar" role="region" aria-label="Sidebar" class="x">'
    ),
    '<div class="citation" role="doc-biblioentry">': '<div class="citation" role="listitem">',
    '<img alt="a" src="../_images/a.png" />': (
        '<div class="output" id="figure-1"><img alt="a" src="../_images/a.png" />'
        '<a class="headerlink" href="#figure-1" title="Link to this figure">#</a></div>'
    ),
    f"a ({MATH}), b": f'a <span class="together">({MATH}),</span> b',
    '<tr><th></th><th class="head"><p></p></th><th>n</th></tr>': (
        "<tr><td></td><td></td><th>n</th></tr>"
    ),
}
UNTOUCHED = [
    '<button class="btn search-button__button" title="Search" aria-label="Search">',
    '<i class="fa" title="Light">',
    '<p><img alt="a" src="../_images/a.png" /></p>',
    f"a {MATH} b",
    '<img alt="Colab" src="../_static/logo.png" />',
]


@pytest.mark.parametrize("before", WRITTEN)
def test_each_place_is_mended_once(before):
    after = mended_pages.mend(before)
    assert after == WRITTEN[before]
    assert mended_pages.mend(after) == after


@pytest.mark.parametrize("html", UNTOUCHED)
def test_other_places_are_left(html):
    assert mended_pages.mend(html) == html


def test_equations_get_anchors_in_order():
    equation = '<div class="math notranslate nohighlight">{}\\[x\\]</div>'
    labelled = '<div class="math notranslate nohighlight" id="equation-dlr">\\[y\\]</div>'
    after = mended_pages.mend(equation.format("") + labelled + equation.format(""))
    for number in (1, 2):
        assert f'nohighlight" id="equation-{number}"><a class="headerlink"' in after
        assert f'href="#equation-{number}"' in after
    assert labelled in after
    assert mended_pages.mend(after) == after


def test_every_replacement_is_tested():
    assert len(WRITTEN) == len(mended_pages.MENDS)


@pytest.mark.parametrize("format, error", [("html", None), ("latex", None), ("html", OSError())])
def test_a_finished_html_build_is_mended(tmp_path, format, error):
    page = tmp_path / "sub" / "page.html"
    page.parent.mkdir()
    page.write_text("<th></th>", "utf-8")
    app = SimpleNamespace(outdir=tmp_path, builder=SimpleNamespace(format=format))
    mended_pages.mend_pages(app, error)
    mended = format == "html" and not error
    assert page.read_text("utf-8") == ("<td></td>" if mended else "<th></th>")
