"""The page that tells where the paper is leaves nothing of it out."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "book" / "paper.md").read_text("utf-8")


def mentioned(*words):
    """All numbers that follow one of the words, ranges ("5 to 8", "3 and 4") filled in."""
    numbers = set()
    for match in re.finditer(rf"(?:{'|'.join(words)}) (\d+)(?: (to|and) (\d+))?", PAGE):
        first, word, last = match.groups()
        numbers |= {int(first)} | ({int(last)} if last else set())
        if word == "to":
            numbers |= set(range(int(first), int(last) + 1))
    return numbers


def test_every_figure_table_and_equation_has_a_place():
    assert mentioned("Figure", "Figures") == set(range(1, 26))
    assert mentioned("Table", "Tables") == set(range(1, 11))
    assert mentioned(r"Eq\.", r"Eqs\.") == set(range(1, 80))


def test_every_chapter_has_a_part_of_the_paper():
    for notebook in (ROOT / "notebooks").glob("*/*.ipynb"):
        assert f"{notebook.parent.name}/{notebook.name}" in PAGE, notebook
