"""The explorer: a reader chooses, the picture follows, and what is shown can be saved."""

import pytest

from richlib.lab import records

from .built import SCHEMES


@pytest.fixture(params=SCHEMES)
def opened(visit, request):
    """The page, once its data are there."""
    visit = visit(request.param, "book/explorer.html")
    visit.page.locator("#recorded-runs").wait_for()
    yield visit
    assert not visit.errors + visit.foreign
    visit.page.close()


def test_the_picture_and_the_table_follow_the_choice(opened):
    page = opened.page
    chart, rows = page.locator("#recorded-runs .chart"), page.locator("#recorded-runs tbody tr")
    first = chart.screenshot()
    page.get_by_label("experiment").select_option("target-downscaling")
    page.get_by_label("show").select_option("eigenvalues")
    page.wait_for_function("document.querySelectorAll('#recorded-runs .legend li').length === 3")
    assert chart.screenshot() != first
    runs = records.load("target-downscaling", "alpha-0.2", "paper")
    assert rows.count() == 9
    page.get_by_label("seed").select_option("1")
    page.wait_for_function("document.querySelectorAll('#recorded-runs tbody tr').length === 3")
    assert f"{runs[1].metrics['dlr_train']:.3g}" in rows.first.inner_text()
    assert chart.locator("path").count() == 3
    assert "eigenvalues of target-downscaling" in chart.get_by_role("img").get_attribute(
        "aria-label"
    )
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save as CSV").click()
    lines = saved.value.path().read_text("utf-8").splitlines()
    assert lines[0] == "variant,seed,k,eigenvalues"
    variant, seed, k, value = lines[1].split(",")
    assert (variant, seed, k) == ("alpha-0.2", "1", "2")
    assert float(value) == runs[1].spectra["eigenvalues"][1]


def test_the_address_keeps_the_choice(opened):
    page = opened.page
    page.get_by_label("experiment").select_option("target-downscaling")
    page.wait_for_function("location.hash.includes('target-downscaling')")
    page.get_by_label("show").select_option("utilization")
    page.wait_for_function("location.hash.includes('utilization')")
    page.reload()
    page.locator("#recorded-runs").wait_for()
    assert page.get_by_label("show").input_value() == "utilization"
    assert page.locator("#recorded-runs .legend li").count() == 3


def test_a_choice_outruns_the_data_of_the_one_before(visit):
    """As on a slow line: data of the first experiment come when another is already chosen."""
    opened = visit("localhost", "book/bibliography.html")
    page, held = opened.page, []
    page.route("**/explorer/*-*.js", lambda route: held.append(route))
    page.goto(page.url.replace("bibliography", "explorer"), wait_until="commit")
    page.get_by_label("experiment").select_option("target-downscaling")
    while len(held) < 2:
        page.wait_for_timeout(10)
    for route in held:
        with page.expect_response(route.request.url):
            route.continue_()
    picture = page.locator("#recorded-runs .chart").get_by_role("img")
    assert "of target-downscaling" in picture.get_attribute("aria-label")
    assert not opened.errors + opened.foreign
    page.close()


def test_missing_data_are_named_and_another_choice_goes_on(visit):
    opened = visit("localhost", "book/bibliography.html")
    page = opened.page
    page.route("**/explorer/encoded-labels.js", lambda route: route.abort())
    page.goto(page.url.replace("bibliography", "explorer"))
    chart = page.locator("#recorded-runs .chart")
    chart.get_by_text("No data: encoded-labels.js is missing.").wait_for()
    page.get_by_label("experiment").select_option("target-downscaling")
    chart.get_by_role("img").wait_for()
    assert not opened.foreign
    page.close()
