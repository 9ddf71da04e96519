"""The built book, a server for it, and a browser whose network is cut."""

import functools
import re
import shutil
import threading
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from .built import BOOK, DESKTOP, PAGES, SCHEMES


@pytest.fixture(scope="session")
def book():
    """The folder of the built book."""
    if not PAGES:
        pytest.skip("no built book: run `make book` first")
    return BOOK


@pytest.fixture(scope="module")
def bases(book):
    """{origin: address of the book}: its folder, and a server of it."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=book))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield {"file": f"{book.as_uri()}/", "localhost": f"http://127.0.0.1:{server.server_port}/"}
    server.shutdown()
    server.server_close()
    thread.join()


# Not for the whole session: while it is open, its event loop keeps those of others from running.
@pytest.fixture(scope="module")
def browser():
    """Chromium, as the system has it."""
    executable = shutil.which("chromium")
    if not executable:
        pytest.skip("no browser: `apt-get install chromium`")
    from playwright.sync_api import sync_playwright

    arguments = ["--headless", "--no-sandbox", "--disable-gpu"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=arguments)
        yield browser
        browser.close()


@dataclass
class Visit:
    """An opened page: what it asked of others than the book, and what went wrong on it."""

    page: object
    foreign: list = field(default_factory=list)
    errors: list = field(default_factory=list)


@pytest.fixture(scope="module")
def visit(browser, bases):
    """Open a page of the book from an origin, with everything else cut off; `Visit`."""

    def open_page(origin, name):
        page = browser.new_page(viewport=DESKTOP, color_scheme=SCHEMES[origin])
        page.set_default_timeout(120_000)  # for machines with much else to do
        visit = Visit(page)

        def abort(route):
            visit.foreign.append(route.request.url)
            route.abort()

        page.route(re.compile(f"^(?!{re.escape(bases[origin])})"), abort)
        page.on("console", lambda m: m.type == "error" and visit.errors.append(m.text))
        page.on("pageerror", lambda error: visit.errors.append(str(error)))
        page.goto(bases[origin] + name, wait_until="commit")
        return visit

    return open_page


@pytest.fixture(scope="module", params=PAGES or [None])
def visits(request, visit):
    """{origin: `Visit`} of one page of the book; both load at the same time."""
    opened = {origin: visit(origin, request.param) for origin in SCHEMES}
    for each in opened.values():
        each.page.wait_for_load_state()
        each.page.evaluate("() => window.MathJax?.startup?.promise")
    yield opened
    for each in opened.values():
        each.page.close()
