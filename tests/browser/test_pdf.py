"""The book on paper: chapters where the contents say they are, links that lead somewhere."""

import shutil

import pdf  # tools/pdf.py
import pytest
from bs4 import BeautifulSoup
from pypdf import PdfReader

CHAPTER = """<html><body><article class="bd-article"><section id="top"><h1>{title}</h1>
<p>{text}</p><p><a href="{link}">link</a></p><input type="range"><button>x</button>
</section></article></body></html>"""
LONG = "a-statement-" * 20


@pytest.fixture
def built(tmp_path, monkeypatch):
    """A book of an introduction and two chapters, the first of which fills several pages."""
    html = tmp_path / "_build" / "html"
    html.mkdir(parents=True)
    shutil.copytree(pdf.ROOT / "book" / "_static", tmp_path / "book" / "_static")
    pages = {
        "intro": ("Intro", "short", "second.html#top"),
        "first": ("First", "<br>line" * 200, f"second.html#{LONG}"),
        "second": ("Second", f'<b id="{LONG}">there</b>', "nowhere.html"),
    }
    for name, (title, text, link) in pages.items():
        text = CHAPTER.format(title=title, text=text, link=link)
        (html / f"{name}.html").write_text(text, "utf-8")
    (tmp_path / "_toc.yml").write_text(
        "root: intro\nparts: [{caption: A part, chapters: [{file: first}, {file: second}]}]"
    )
    (tmp_path / "_config.yml").write_text("title: A book\nauthor: Somebody")
    monkeypatch.setattr(pdf, "ROOT", tmp_path)
    monkeypatch.setattr(pdf, "BOOK", html)
    return tmp_path


def test_links_of_the_document_lead_to_places_in_it(built):
    document = BeautifulSoup(pdf.document(), "html.parser")
    places = {node["id"] for node in document.select("[id]")}
    links = [node["href"] for node in document.select("section a[href]")]
    assert len(links) == 2 and {link.removeprefix("#") for link in links} <= places
    assert max(len(place.encode()) for place in places) < pdf.LONGEST_NAME
    assert not document.select("section :is(input, button)")


def test_the_contents_name_the_pages_of_chapters(built, browser):
    source, out = built / "_build" / "book.html", built / "book.pdf"
    source.write_text(pdf.document(), "utf-8")
    pdf.printed(source, out, browser)
    texts = [page.extract_text() for page in PdfReader(out).pages]
    contents = next(text for text in texts if "Contents" in text).split()
    for title in ("Intro", "First", "Second"):
        number = int(contents[contents.index(title) + 1])
        assert texts[number - 1].split()[0] == title
    assert int(contents[contents.index("Second") + 1]) > 6  # after the pages of the first
    outline = [item.title for item in PdfReader(out).outline if not isinstance(item, list)]
    assert outline == ["A book", "A part"]


def test_what_would_be_cut_is_named(built, browser):
    source = built / "_build" / "book.html"
    wide = pdf.document().replace("there", "<table><td>" + "wide" * 100 + "</table>")
    source.write_text(wide, "utf-8")
    with pytest.raises(SystemExit, match="second: wide"):
        pdf.printed(source, built / "book.pdf", browser)
