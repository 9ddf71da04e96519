"""Every page of the built book in a browser, from a file and from a server, network cut."""

from importlib import resources

import pytest

from .built import DESKTOP, PHONE, SCHEMES

both = pytest.mark.parametrize("origin", SCHEMES)


@pytest.fixture
def page(visits):
    """The page from the server, for what does not depend on where it comes from."""
    return visits["localhost"].page


UNRENDERED = r"""() => {
  const found = [...document.querySelectorAll(".math")]
    .filter((e) => !e.querySelector("mjx-container")).map((e) => e.textContent);
  // MathJax shows an unknown macro in red, and what else it cannot read as mjx-merror.
  for (const e of document.querySelectorAll("mjx-merror, mjx-mtext[style*='color: red']"))
    found.push(e.closest("mjx-container").textContent);
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode())
    if (/\$[^$]+\$|\$\$|\\[([]/.test(texts.currentNode.data) &&
        !texts.currentNode.parentElement.closest("pre, code, script, style, mjx-container"))
      found.push(texts.currentNode.data.trim());
  return found;
}"""


@both
def test_every_equation_is_rendered(visits, origin):
    assert not visits[origin].page.evaluate(UNRENDERED)


@both
def test_moving_figures_move_by_keyboard_and_by_mouse(visits, origin):
    for box in visits[origin].page.locator(".richlib-frames").all():
        slider, look = box.locator("input"), box.locator(".stack").screenshot
        first = look()
        assert look() == first  # so a picture that differs is another frame
        slider.press("ArrowRight")
        second = look()
        assert second != first
        box.get_by_role("button", name="previous").click()
        assert look() == first
        box.get_by_role("button", name="next").click()
        assert look() == second
        size = slider.bounding_box()
        slider.click(position={"x": 0.9 * size["width"], "y": size["height"] / 2})
        assert look() not in (first, second)


def test_code_fits_beside_the_sidebars(page):
    assert not page.evaluate(
        """() => [...document.querySelectorAll("pre")]
             .filter((e) => e.scrollWidth > e.clientWidth).map((e) => e.textContent)"""
    )


# What is part of a line cannot scroll: beyond the edge nobody sees it.
CUT_OFF = """() => [...document.querySelectorAll(".bd-article mjx-container:not([display])")]
  .filter((e) => e.getBoundingClientRect().right > innerWidth &&
               !e.closest(".pst-scrollable-table-container, .output, div.math"))
  .map((e) => e.textContent)"""


def test_a_phone_does_not_scroll_sideways(page):
    page.set_viewport_size(PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert not page.evaluate(CUT_OFF)
    page.set_viewport_size(DESKTOP)


@pytest.fixture(scope="module")
def axe():
    """axe-core, which finds what keeps people from using a page."""
    folder = resources.files("axe_playwright_python")
    return folder.joinpath("axe.min.js").read_text("utf-8")


# Most of what there is to look at is left out: the insides of equations, which are MathJax's, and
# all but one piece of each color in a block of code.
LOOK = """() => {
  document.querySelectorAll("mjx-container").forEach((e) => e.replaceChildren());
  document.querySelectorAll("pre").forEach((e) => {
    const kinds = new Map([...e.querySelectorAll("span")].map((span) => [span.className, span]));
    if (kinds.size) e.replaceChildren(...kinds.values());
  });
  window.found = axe.run({ resultTypes: ["violations"], preload: false });
}"""
FOUND = """async () => (await window.found).violations.flatMap(({ id, impact, nodes }) =>
  nodes.map((node) => `${impact} ${id}: ${node.html.slice(0, 200)} ${node.failureSummary}`))"""


def test_nothing_keeps_people_from_using_the_page(visits, axe):
    """In light and in dark; no violation of any level."""
    for origin, scheme in SCHEMES.items():
        page = visits[origin].page
        assert page.evaluate("document.documentElement.dataset.theme") == scheme
        page.evaluate(axe)
        page.evaluate(LOOK)
    for visit in visits.values():
        assert not visit.page.evaluate(FOUND)


# After all that was done to the page.


@both
def test_nothing_is_asked_of_another_host(visits, origin):
    assert not visits[origin].foreign


@both
def test_no_console_errors(visits, origin):
    assert not visits[origin].errors


def test_first_paint(page, say):
    paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    say(f"first paint from localhost {paint:4.0f} ms: {page.url.split('/', 3)[3]}")


@both
def test_search_finds(visit, origin):
    search = visit(origin, "search.html?q=kernel")
    search.page.locator("#search-results li").first.wait_for()
    search.page.wait_for_load_state("networkidle")
    assert not search.errors + search.foreign
    search.page.close()
