"""The files of the built book, without a browser: links, sizes, nothing from another host."""

import json
from html.parser import HTMLParser
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from .built import BOOK, PAGES

EXPLORER = BOOK / "book" / "explorer.html"
PAGE_LIMIT, BOOK_LIMIT = 2.5e6, 60e6  # bytes


class Parsed(HTMLParser):
    """Names of anchors, targets of links, and addresses of what a page loads."""

    def __init__(self, path):
        super().__init__()
        self.anchors, self.links, self.loads = {""}, [], []
        self.alts, self.icons, self.widgets = [], 0, 0
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attributes):
        of = dict(attributes)
        self.anchors |= {of[key] for key in ("id", "name") if of.get(key)}
        self.widgets += "jupyter.widget" in (of.get("type") or "")
        if tag == "a" and "href" in of:
            self.links.append(of["href"])
        elif tag == "link":
            self.loads.append(of["href"])
            self.icons += of.get("rel") == "icon"
        elif tag != "a" and "src" in of:
            self.loads.append(of["src"])
        if tag == "img":
            self.alts.append(of.get("alt") or "")


@pytest.fixture(scope="module")
def parsed(book):
    """{path: what is in the page} for every page."""
    return {book / name: Parsed(book / name) for name in PAGES}


def own(address):
    """Whether an address has no host of its own."""
    return not urlsplit(address).scheme and not urlsplit(address).netloc


def target(path, address):
    """(file, anchor) that an address on a page leads to."""
    parts = urlsplit(address)
    file = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    return file, unquote(parts.fragment)


def test_internal_links_lead_somewhere(parsed):
    dead, seen = [], 0
    for path, page in parsed.items():
        for link in filter(own, page.links + page.loads):
            file, anchor = target(path, link)
            known = parsed[file].anchors if file in parsed else {""}
            seen += bool(anchor)
            if file == EXPLORER and "=" in anchor:  # a choice, see below
                known = {anchor}
            if not file.is_file() or anchor not in known:
                dead.append(f"{path.relative_to(BOOK)}: {link}")
    assert seen, "no page has a link to an anchor: are links read at all?"
    assert not dead


def test_what_links_choose_in_the_explorer_is_there(parsed):
    chosen = {
        urlsplit(link).fragment
        for path, page in parsed.items()
        for link in filter(own, page.links)
        if target(path, link)[0] == EXPLORER and "=" in link
    }
    assert chosen, "the scoreboard should lead to the curves of its runs"
    for fragment in chosen:
        choice = parse_qs(fragment, strict_parsing=True)
        (name,), (tier,) = choice.pop("experiment"), choice.pop("tier")
        data = (BOOK / "_static" / "explorer" / f"{name}.js").read_text("utf-8")
        assert not choice and tier in json.loads(data.partition(" = ")[2].rstrip(";\n"))


def test_pages_name_nothing_to_load_from_another_host(parsed):
    loads = {address for page in parsed.values() for address in page.loads}
    assert any("mathjax" in address for address in loads)
    assert not [a for a in loads if not own(a) and not a.startswith("data:")]


def test_no_page_embeds_a_widget(parsed):
    # It would stay blank: _config.yml has no widget manager loaded.
    assert not [path for path, page in parsed.items() if page.widgets]


def test_pages_have_an_icon(parsed):
    # Without one, browsers ask the server for favicon.ico and report that it is missing.
    assert not [path for path, page in parsed.items() if page.icons != 1]


def test_pictures_are_described(parsed):
    alts = [alt for page in parsed.values() for alt in page.alts]
    assert alts
    # Sphinx takes the path where a notebook has no text.
    assert not [alt for alt in alts if not alt.strip() or alt.endswith((".png", ".svg", ".webp"))]
    for path, page in parsed.items():  # two pictures of one cell would share its text
        assert len(set(page.alts)) == len(page.alts), path.relative_to(BOOK)


def test_a_moving_figure_is_in_the_book(book):
    # Otherwise the tests in the browser would have nothing to move.
    assert any("richlib-frames" in (book / name).read_text("utf-8") for name in PAGES)


def weight(path, page):
    """Bytes of a page and of its own figures; figures inside it are part of it."""
    figures = {target(path, a)[0] for a in page.loads if own(a) and "_static/" not in a}
    figures = {file for file in figures if file.suffix not in (".html", ".js")}
    return sum(file.stat().st_size for file in {path, *figures})


def test_pages_are_light(parsed, say):
    weights = {path.relative_to(BOOK): weight(path, page) for path, page in parsed.items()}
    heaviest = max(weights, key=weights.get)
    say(f"heaviest page with its figures: {heaviest}, {weights[heaviest] / 1e6:.2f} MB")
    assert not {path: size for path, size in weights.items() if size > PAGE_LIMIT}


def test_the_book_is_light(book, say):
    size = sum(path.stat().st_size for path in book.rglob("*") if path.is_file())
    say(f"all files: {size / 1e6:.1f} MB")
    assert size < BOOK_LIMIT
