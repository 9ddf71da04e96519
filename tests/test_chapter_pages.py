"""Pages of chapters: bold words lead to the glossary, markers of the tests are not shown."""

import re
from pathlib import Path

import chapter_pages  # book/_ext/chapter_pages.py
import pytest
from docutils import nodes

import notebooks as tool  # tools/notebooks.py

ROOT = Path(__file__).resolve().parent.parent
GLOSSARY = {"feature map": ("book/notation", "term-feature-map")}


@pytest.mark.parametrize("word", ["feature map", "Feature maps", "feature\nmap", " feature map."])
def test_a_word_is_found_in_any_form(word):
    assert chapter_pages.find(word, GLOSSARY) == GLOSSARY["feature map"]


@pytest.mark.parametrize("word", ["feature", "map", "feature mapping", ""])
def test_other_words_are_not(word):
    assert chapter_pages.find(word, GLOSSARY) is None


class App:
    """What the extension sees of Sphinx."""

    class env:
        @staticmethod
        def get_domain(name):
            return type("Domain", (), {"objects": {("term", "Feature map"): ("book/n", "term-f")}})

    class builder:
        @staticmethod
        def get_relative_uri(source, target):
            return f"../{target}.html"


def test_bold_terms_of_a_chapter_are_linked_and_nothing_else():
    doctree = nodes.paragraph()
    for kind, text in (
        (nodes.strong, "feature map"),
        (nodes.strong, "other"),
        (nodes.emphasis, ""),
    ):
        doctree += kind("", text)
    for docname, expected in (("book/intro", []), ("notebooks/a", ["../book/n.html#term-f"])):
        chapter_pages.link_terms(App, doctree, docname)
        assert [r["refuri"] for r in doctree.findall(nodes.reference)] == expected
    assert doctree.astext().split() == ["feature", "mapother"]  # the words themselves stay


def test_what_to_notice_follows_a_caption_in_a_paragraph_of_its_own():
    page = nodes.section()
    both = nodes.paragraph("", "", nodes.emphasis("", "A caption."), nodes.Text(" "))
    both += [nodes.emphasis("", "What to notice."), nodes.Text(" It is split.")]
    alone = nodes.paragraph("", "", nodes.emphasis("", "What to notice."), nodes.Text(" It stays."))
    page += [both, alone]
    chapter_pages.split_captions(None, page)
    texts = [paragraph.astext().strip() for paragraph in page.children]
    assert texts == ["A caption.", "What to notice. It is split.", "What to notice. It stays."]


def test_titles_of_other_pages_in_italics_are_linked():
    class WithTitles(App):
        class env:
            titles = {
                page: nodes.title("", text)
                for page, text in (
                    ("a", "Grokking, from lazy"),
                    ("b", "Kernels: one"),
                    ("c", "Here"),
                )
            }

    doctree = nodes.paragraph()
    for text in ("Grokking, from lazy", "Kernels", "Kernels.", "Here", "What to notice."):
        doctree += nodes.emphasis("", text)
    chapter_pages.link_titles(WithTitles, doctree, "c")
    links = [r["refuri"] for r in doctree.findall(nodes.reference)]
    assert links == ["../a.html", "../b.html", "../b.html"]
    assert len(list(doctree.findall(nodes.emphasis))) == 5


def test_every_chapter_of_the_foundations_has_a_term_in_the_glossary():
    page = (ROOT / "book" / "notation.md").read_text("utf-8")
    block = page[page.index("```{glossary}") :]
    words = re.findall(r"^(\S.*)\n(?= {2,}\S)", block, re.M)
    glossary = {word.lower(): ("book/notation", word) for word in words}
    for path in (ROOT / "notebooks" / "foundations").glob("*.ipynb"):
        cells = tool.read(path.read_text("utf-8")).cells
        text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        bold = re.findall(r"\*\*(.+?)\*\*", text)
        assert any(chapter_pages.find(word, glossary) for word in bold), path.name


def test_markers_are_not_shown_and_the_rest_is():
    doctree = nodes.paragraph()
    for text in ("# NBVAL_CHECK_OUTPUT\nprint(1)", "print(2)  # NBVAL"):
        doctree += nodes.literal_block(text, text)
    chapter_pages.remove_markers(None, doctree)
    blocks = list(doctree.findall(nodes.literal_block))
    assert [b.astext() for b in blocks] == ["print(1)", "print(2)  # NBVAL"]
    assert all(b.rawsource == b.astext() for b in blocks)
