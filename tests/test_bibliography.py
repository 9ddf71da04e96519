"""Every work that a page or a chapter links to or cites has its entry in book/references.bib."""

import re
from pathlib import Path

import nbformat
import pytest
from pybtex.database import BibliographyDataError, parse_string

ROOT = Path(__file__).resolve().parent.parent
BIBLIOGRAPHY = ROOT / "book" / "references.bib"

ARXIV = re.compile(r"https?://arxiv\.org/(?:abs|pdf)/([\w.-]+/\d{7}|\d{4}\.\d{4,5})", re.I)
DOI = re.compile(r"https?://(?:dx\.)?doi\.org/(10\.\d{4,9}/[^\s<>\"')\]}]+)", re.I)
ROLE = re.compile(r"\{cite(?::\w+)?\}`([^`]+)`")


def bibliography():
    return BIBLIOGRAPHY.read_text("utf-8")


def sources():
    """{name: text} of what readers read: book pages and the Markdown of notebooks."""
    pages = {path: path.read_text("utf-8") for path in sorted((ROOT / "book").glob("*.md"))}
    for path in sorted((ROOT / "notebooks").rglob("*.ipynb")):
        if ".ipynb_checkpoints" not in path.parts:
            cells = nbformat.read(path, as_version=4).cells
            pages[path] = "\n\n".join(c.source for c in cells if c.cell_type == "markdown")
    return {path.relative_to(ROOT).as_posix(): text for path, text in pages.items()}


# The rules


def works(text):
    """Identifiers of the works that a text links to: "arxiv:..." and "doi:..."."""
    arxiv = {f"arxiv:{number}" for number in ARXIV.findall(text)}
    return arxiv | {f"doi:{doi.lower().rstrip('.,;:*_')}" for doi in DOI.findall(text)}


def identifiers(entry):
    """Of one entry, by its url, eprint and doi."""
    fields = entry.fields
    found = works(fields.get("url", ""))
    if "doi" in fields:
        found.add(f"doi:{fields['doi'].lower()}")
    if fields.get("archiveprefix", "").lower() == "arxiv" and "eprint" in fields:
        found.add(f"arxiv:{fields['eprint']}")
    return found


def known(bib):
    """Identifiers of all entries of a bibliography."""
    return set().union(*map(identifiers, parse_string(bib, "bibtex").entries.values()))


def cited(text):
    """Keys in {cite} roles."""
    return {key.strip() for keys in ROLE.findall(text) for key in keys.split(",")}


def without_code(text):
    """Fenced code is shown, not followed."""
    return re.sub(r"^(`{3,}|~{3,})(?!\{).*?^\1", "", text, flags=re.M | re.S)


def incomplete(bib):
    """One sentence for each entry that lacks what a reader needs to find the work."""
    for key, entry in parse_string(bib, "bibtex").entries.items():
        if not entry.persons.get("author"):
            yield f"{key} has no author"
        for field in ("title", "year"):
            if not entry.fields.get(field, "").strip():
                yield f"{key} has no {field}"
        if not any(entry.fields.get(field) for field in ("url", "doi", "eprint")):
            yield f"{key} has no url, doi or eprint"
        if not re.fullmatch(r"\d{4}", entry.fields.get("year", "0000")):
            yield f"{key} has the year {entry.fields['year']}"


def doubled(bib):
    """Works with two entries, by address or by title."""
    seen, twice = {}, []
    for key, entry in parse_string(bib, "bibtex").entries.items():
        title = re.sub(r"\W", "", entry.fields["title"]).lower()
        twice += [f"{key} is {seen[i]}" for i in {title} | identifiers(entry) if i in seen]
        seen |= dict.fromkeys({title} | identifiers(entry), key)
    return sorted(set(twice))


# The book


def test_every_linked_work_has_an_entry():
    entries = known(bibliography())
    missing = {name: sorted(works(text) - entries) for name, text in sources().items()}
    assert {name: ids for name, ids in missing.items() if ids} == {}


def test_every_cited_key_exists():
    keys = set(parse_string(bibliography(), "bibtex").entries)
    missing = {name: sorted(cited(without_code(t)) - keys) for name, t in sources().items()}
    assert {name: ids for name, ids in missing.items() if ids} == {}


def test_every_entry_is_complete():
    assert list(incomplete(bibliography())) == []


def test_no_key_and_no_work_appears_twice():
    # pybtex raises on a repeated key, whatever the case of its letters.
    assert doubled(bibliography()) == []


def test_something_is_looked_at():
    texts = sources()
    assert "book/intro.md" in texts and any(name.endswith(".ipynb") for name in texts)
    assert "arxiv:2506.04805" in set().union(*map(works, texts.values()))
    assert "nam2026decoupling" in set().union(*map(cited, texts.values()))


# That the rules can fail

ENTRY = """@misc{bai2025,
  author = {Bai, Zhiwei}, title = {A Title}, year = {2025},
  eprint = {2506.04805}, archiveprefix = {arXiv}
}"""


@pytest.mark.parametrize(
    "text, identifiers",
    [
        ("[B](https://arxiv.org/abs/2506.04805v2), so", {"arxiv:2506.04805"}),
        ("<https://arxiv.org/pdf/1905.00414>", {"arxiv:1905.00414"}),
        ("[P](https://doi.org/10.1073/PNAS.2015509117).", {"doi:10.1073/pnas.2015509117"}),
        ("see https://doi.org/10.1109/5.726791.", {"doi:10.1109/5.726791"}),
        (
            "[S](https://doi.org/10.1070/SM1967v001n04ABEH001994)",
            {"doi:10.1070/sm1967v001n04abeh001994"},
        ),
        ("https://arxiv.org/abs/hep-th/9901001", {"arxiv:hep-th/9901001"}),
        ("https://example.org/10.1000/1 and arXiv 1905.00414", set()),
    ],
)
def test_links_are_recognized(text, identifiers):
    assert works(text) == identifiers


@pytest.mark.parametrize(
    "field",
    [
        "url = {https://arxiv.org/abs/1905.00414}",
        "eprint = {1905.00414}, archiveprefix = {arXiv}",
        "doi = {10.48550/arXiv.1905.00414}, url = {https://arxiv.org/abs/1905.00414}",
    ],
)
def test_an_entry_is_known_by_each_of_its_addresses(field):
    assert "arxiv:1905.00414" in known(f"@misc{{k, {field}}}")
    assert "arxiv:1905.00415" not in known(f"@misc{{k, {field}}}")


def test_citations_are_recognized():
    assert cited("as {cite}`a2020x,b2021y` and {cite:p}`c2022z` say") == {
        "a2020x",
        "b2021y",
        "c2022z",
    }
    assert cited("as `a2020x` and {term}`rich` say") == set()
    assert cited(without_code("```bibtex\n{cite}`a2020x`\n```\n{cite}`b2021y`")) == {"b2021y"}


@pytest.mark.parametrize(
    "old, new, sentence",
    [
        ("author = {Bai, Zhiwei}, ", "", "bai2025 has no author"),
        ("title = {A Title}, ", "", "bai2025 has no title"),
        ("year = {2025},", "", "bai2025 has no year"),
        ("{2025}", "{soon}", "bai2025 has the year soon"),
        ("eprint", "note", "bai2025 has no url, doi or eprint"),
    ],
)
def test_incomplete_entries_are_named(old, new, sentence):
    assert list(incomplete(ENTRY)) == []
    assert sentence in list(incomplete(ENTRY.replace(old, new)))


def test_repeated_entries_are_noticed():
    other = ENTRY.replace("bai2025", "other")
    assert doubled(ENTRY + other) == ["other is bai2025"]
    assert doubled(ENTRY + other.replace("2506", "2507")) == ["other is bai2025"]  # one title
    assert doubled(ENTRY + other.replace("A Title", "B")) == ["other is bai2025"]  # one address
    assert doubled(ENTRY + other.replace("A Title", "B").replace("2506", "2507")) == []
    with pytest.raises(BibliographyDataError):
        doubled(ENTRY + ENTRY.replace("bai", "Bai"))
