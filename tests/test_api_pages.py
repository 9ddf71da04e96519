"""The reference page: every public name is on it, and docstrings become lists and code."""

from pathlib import Path

import api_pages  # book/_ext/api_pages.py
import pytest

import richlib
from richlib import collapse

PAGE = (Path(__file__).parent.parent / "book" / "api.md").read_text("utf-8")


@pytest.mark.parametrize("name", sorted(set(richlib.__all__) - {"collapse"}))
def test_every_public_name_is_on_the_page(name):
    kinds = ("function", "class", "exception")
    assert any(f".. auto{kind}:: richlib.{name}\n" in PAGE for kind in kinds)


def test_all_of_collapse_is_on_the_page():
    assert ".. automodule:: richlib.collapse\n   :members:\n   :imported-members:" in PAGE
    assert collapse.__all__  # what autodoc takes


@pytest.mark.parametrize(
    "docstring, page",
    [
        (["Sums.", "", "x, y: terms, of", "    equal size.", "Raises ValueError."],
         ["Sums.", "", "* **x, y**: terms, of", "  equal size.", "", "Raises ValueError."]),
        (["Rank.", "k: at most", "the rank.", "More."],
         ["Rank.", "", "* **k**: at most", "  the rank.", "", "More."]),
        (["x: one; y, z: more. w: the", "    last."],
         ["* **x**: one.", "* **y, z**: more.", "* **w**: the", "  last."]),
        (["Takes all.", "x: a term."], ["Takes all.", "", "* **x**: a term."]),
        (["As `sum` does, of `Term`s."], ["As ``sum`` does, of ``Term``\\ s."]),
        (["Π*(k) of |x|."], [r"Π\*(k) of \|x\|."]),
        (["See:", ">>> 2 * 3", "6"], ["See:", "", ">>> 2 * 3", "6"]),
        (["Note that: no, this is prose."], ["Note that: no, this is prose."]),
        (["NC3: how far."], ["NC3: how far."]),
        (["x: one of", '    "a"   first', "        of two.", '    "bc"  last.', "y: more.", "End."],
         ["* **x**: one of", "", '  * "a": first', "    of two.", '  * "bc": last.',
          "* **y**: more.", "", "End."]),
        (["D_LR, not `D_LR` or xD_LR."],
         [r"\ :math:`D_{LR}`\ , not ``D_LR`` or xD_LR."]),
    ],
)  # fmt: skip
def test_docstrings_become_lists_and_code(docstring, page):
    assert api_pages.as_restructured(docstring) == page
