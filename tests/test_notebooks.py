"""Every notebook has the form that works in Colab, on GitHub and in the book.

Runs no notebook: nbval does that (`make test`).
"""

import ast
import re

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import notebooks as tool  # tools/notebooks.py

NOTEBOOKS = tool.paths()
LONGEST_CELL = 25


def numbered(notebook, cell_type=None):
    return [
        (number, cell)
        for number, cell in enumerate(notebook.cells)
        if cell_type in (None, cell.cell_type) and not tool.is_setup(cell)
    ]


# The rules: each yields one sentence for everything that it finds wrong.


def setup_cell(notebook):
    codes = [cell for cell in notebook.cells if cell.cell_type == "code"]
    tagged = [cell for cell in codes if tool.is_setup(cell)]
    if len(tagged) != 1:
        yield f"{len(tagged)} cells are tagged `setup`, not 1"
    elif codes[0] is not tagged[0]:
        yield "the setup cell is not the first code cell"
    if any(cell.source != tool.setup_source() for cell in tagged):
        yield "the setup cell is not the one that _config.yml leads to; run `make notebooks`"


def short_cells(notebook):
    for number, cell in numbered(notebook, "code"):
        lines = len(cell.source.splitlines())
        if lines > LONGEST_CELL:
            yield f"cell {number} has {lines} lines, more than {LONGEST_CELL}"


DIRECTIVE = r"^\s*(?:`{3,}|~{3,})\s*\{|^\s*:{3,}"
ROLE = r"(?<![\w\\}`])\{[\w:+-]+\}`"
BOOK_SYNTAX = re.compile(f"{DIRECTIVE}|{ROLE}", re.M)


def portable_markdown(notebook):
    for number, cell in numbered(notebook, "markdown"):
        if BOOK_SYNTAX.search(cell.source):
            yield f"cell {number} has a directive or a role of the book, shown raw elsewhere"


def plain_headings(notebook):
    for number, cell in numbered(notebook, "markdown"):
        text = re.sub(r"^\s*```.*?^\s*```", "", cell.source, flags=re.M | re.S)
        if re.search(r"^#{1,6}\s.*\$|\$.*\n(?:=+|-+)\s*$", text, re.M):
            yield f"cell {number} has TeX in a heading, which breaks the sidebar"


PLACES = {
    "a relative path": re.compile(r"\.\./"),
    "an absolute path": re.compile(r"(?<![\w.:/~<-])/\w[\w.-]*/\w|[\"'(]~/|\b[A-Z]:\\+\w"),
    "sys.path": re.compile(r"\bsys\.path\b|\bfrom sys import\b.*\bpath\b"),
    "chdir": re.compile(r"\bchdir\b|^\s*[%!]cd\b", re.M),
}


def any_folder(notebook):
    for number, cell in numbered(notebook):
        for what, pattern in PLACES.items():
            if pattern.search(cell.source):
                yield f"cell {number} has {what}; a notebook runs from any folder"


DRAWING = ("richlib.show.", "matplotlib.pyplot.")
DRAWS_NOTHING = (
    "richlib.show.Table.",
    "richlib.show.Link.",
    "richlib.show.set_style.",
    "matplotlib.pyplot.close.",
    "matplotlib.pyplot.rcParams",
    "matplotlib.pyplot.style",
)


def dotted(node):
    """`a.b.c` of the syntax tree as a string; None for anything else."""
    if isinstance(node, ast.Attribute) and (base := dotted(node.value)):
        return f"{base}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else None


def imports(tree):
    """{local name: full name} for everything that the code imports."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {a.asname: a.name for a in node.names if a.asname}
        elif isinstance(node, ast.ImportFrom):
            names |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    return names


def draws(node, names):
    """Whether the code calls richlib.show or pyplot, under any name."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and (name := dotted(call.func)):
            head, _, rest = name.partition(".")
            full = f"{names.get(head, head)}.{rest}."
            if full.startswith(DRAWING) and not full.startswith(DRAWS_NOTHING):
                return True
    return False


def alt_texts(notebook):
    """Drawing means: a call of richlib.show or pyplot, or of a function that makes one."""
    names = {"show": "richlib.show", "plt": "matplotlib.pyplot"}
    for number, cell in numbered(notebook, "code"):
        tree = ast.parse(TransformerManager().transform_cell(cell.source))
        names |= imports(tree)
        run = []
        for node in tree.body:
            if not isinstance(node, ast.FunctionDef):
                run.append(node)
            elif draws(node, names):
                names[node.name] = f"richlib.show.{node.name}"
        alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
        if any(draws(node, names) for node in run) and not alt.strip():
            yield f"cell {number} draws a figure without alt text (metadata mystnb.image.alt)"
    for number, cell in numbered(notebook, "markdown"):
        if re.search(r"!\[\s*\]|<img(?![^>]*\balt=[\"'][^\"'])", cell.source):
            yield f"cell {number} has a picture without alt text"


def checked_outputs(notebook):
    """nbval sees a marker only on a line of its own, and passes a cell that stores nothing."""
    for number, cell in numbered(notebook, "code"):
        if "NBVAL_" not in cell.source:
            continue
        if tool.CHECKED not in map(str.strip, cell.source.splitlines()):
            yield f"cell {number} has another marker than `{tool.CHECKED}` on a line of its own"
        elif not cell.outputs or cell.execution_count is None:
            yield f"cell {number} stores no output to compare; run tools/notebooks.py --execute"


RULES = [
    setup_cell,
    short_cells,
    portable_markdown,
    plain_headings,
    any_folder,
    alt_texts,
    checked_outputs,
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_follows(path, rule):
    assert not list(rule(tool.read(path.read_text("utf-8"))))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_canonical(path):
    text = path.read_text("utf-8")
    canonical = tool.canonical(tool.read(text), tool.setup_source())
    assert text == canonical, f"{path.name} is not canonical; run `make notebooks`"


# Each rule can fail, and passes what it should.


def setup(source=None):
    source = tool.setup_source() if source is None else source
    return new_code_cell(source, metadata={"tags": ["setup"]})


def code(source, **metadata):
    return new_code_cell(source, metadata=metadata)


def checked(source, count=1, text="2\n"):
    outputs = [new_output("stream", name="stdout", text=text)] if text else []
    return new_code_cell(source, execution_count=count, outputs=outputs)


ALT = {"mystnb": {"image": {"alt": "D_LR falls as training goes on."}}}
BAD = [
    (setup_cell, [code("1")]),
    (setup_cell, [setup(), setup()]),
    (setup_cell, [code("1"), setup()]),
    (setup_cell, [setup("%pip install richlib")]),
    (setup_cell, [setup(tool.setup_source() + "\n")]),
    (short_cells, [code("x\n" * 26)]),
    (portable_markdown, ["```{note}\nHello\n```"]),
    (portable_markdown, ["Text\n\n:::{tip}\nHello\n:::"]),
    (portable_markdown, ["::::\n:::"]),
    (portable_markdown, ["As {cite}`nam2026` shows"]),
    (plain_headings, ["Text\n## The measure $D$"]),
    (plain_headings, ["The measure $D$\n---"]),
    (any_folder, [code("open('../data.csv')")]),
    (any_folder, ["[notation](../../book/notation.md)"]),
    (any_folder, [code("import sys\nsys.path.append('x')")]),
    (any_folder, [code("from sys import path")]),
    (any_folder, [code("os.chdir('x')")]),
    (any_folder, [code("%cd data")]),
    (any_folder, [code("open('/content/data.csv')")]),
    (any_folder, [code("open('~/data.csv')")]),
    (any_folder, [code("open('C:\\\\data.csv')")]),
    (alt_texts, [code("show.curves(records)")]),
    (alt_texts, [code("plt.plot([1, 2])", mystnb={"image": {"alt": " "}})]),
    (alt_texts, [code("import matplotlib.pyplot as p"), code("figure, axes = p.subplots()")]),
    (alt_texts, [code("from richlib.show import curves as c\nfor r in records:\n    c(r)")]),
    (alt_texts, [code("import richlib.show\nrichlib.show.curves(records)")]),
    (alt_texts, [code("def draw(x):\n    plt.plot(x)", **ALT), code("draw([1, 2])")]),
    (alt_texts, ["![](figure.png)"]),
    (alt_texts, ['<img src="figure.png" alt="">']),
    (checked_outputs, [checked("# NBVAL_CHECK_OUTPUT\nprint(1 + 1)", count=None)]),
    (checked_outputs, [checked("# NBVAL_CHECK_OUTPUT\nprint(1 + 1)", text="")]),
    (checked_outputs, [checked("print(1 + 1)  # NBVAL_CHECK_OUTPUT")]),
    (checked_outputs, [checked("# NBVAL_SKIP\nprint(1 + 1)")]),
]
GOOD = [
    (setup_cell, ["# Title", setup(), code("1")]),
    (short_cells, [code("x\n" * 25)]),
    (portable_markdown, [r"Set $\{a\}$, `x`, $\mathrm{x}_{k}$; a dict: `{'a': 1}`, `{a}`"]),
    (portable_markdown, ["```python\nx = {1}\n```\n\n<details>\n\nHello\n\n</details>"]),
    (plain_headings, ["# Title\n\n$D$ is small\n\n---\n\n```\n# $HOME\n```"]),
    (any_folder, ["See [the paper](https://arxiv.org/abs/2410.04264), yes/no, 1/2/3, </details>"]),
    (any_folder, [code("x = a / b / c\nprint('train/test')")]),
    (alt_texts, [code("show.curves(records)", **ALT)]),
    (alt_texts, [code("plt.close('all')\nplt.rcParams.update({})\nplt.style.use('x')")]),
    (alt_texts, [code("def draw(x):\n    plt.plot(x)"), code("print(1)\n%timeit 1")]),
    (alt_texts, ["![A falling curve.](figure.png)"]),
    (checked_outputs, [checked("# NBVAL_CHECK_OUTPUT\nprint(1 + 1)"), code("print(1)")]),
]


def small(cells):
    return new_notebook(cells=[new_markdown_cell(c) if isinstance(c, str) else c for c in cells])


def label(value):
    return getattr(value, "__name__", "")


@pytest.mark.parametrize("rule, cells", BAD, ids=label)
def test_rule_can_fail(rule, cells):
    assert list(rule(small(cells)))


@pytest.mark.parametrize("rule, cells", GOOD, ids=label)
def test_rule_lets_pass(rule, cells):
    assert not list(rule(small(cells)))


# tools/notebooks.py


@pytest.fixture
def project(tmp_path):
    """A project with one notebook that an editor has left its traces in."""
    (tmp_path / "_config.yml").write_text(
        "repository: {url: 'https://example.org/me/fork', branch: dev}", "utf-8"
    )
    compared = new_code_cell(f"{tool.CHECKED}\nprint(1 + 1)", execution_count=3, id="checked")
    compared.outputs = [
        new_output("stream", name="stdout", text="3\n"),
        new_output("display_data", data={"image/png": "AAAA", "text/plain": "<Figure>"}),
    ]
    loud = new_code_cell("print(1)", execution_count=4, metadata={"collapsed": True}, id="loud")
    loud.outputs = [new_output("stream", name="stdout", text="1\n")]
    notebook = new_notebook(cells=[new_markdown_cell("# Title"), compared, loud])
    notebook.metadata = {"colab": {"provenance": []}, "language_info": {"version": "3.12"}}
    (tmp_path / "notebooks").mkdir()
    nbformat.write(notebook, tmp_path / "notebooks" / "one.ipynb")
    return tmp_path


def test_check_names_the_notebook_and_what_to_do(project, capsys):
    before = (project / "notebooks" / "one.ipynb").read_bytes()
    assert tool.main(["--check"], project) == 1
    said = capsys.readouterr().out
    assert "one.ipynb" in said and "make notebooks" in said
    assert (project / "notebooks" / "one.ipynb").read_bytes() == before


def test_rewriting_once_is_enough(project, capsys):
    assert tool.main([], project) == 0
    path = project / "notebooks" / "one.ipynb"
    text = path.read_text("utf-8")
    assert text.endswith("}\n") and "collapsed" not in text and "AAAA" not in text
    title, setup, compared, loud = nbformat.reads(text, as_version=4).cells
    assert "git+https://example.org/me/fork@dev" in setup.source
    texts = [output.get("text") or output.data for output in compared.outputs]
    assert texts == ["3\n", {"text/plain": "<Figure>"}]
    assert (compared.id, compared.execution_count) == ("checked", 1)
    assert (loud.outputs, loud.execution_count) == ([], None)
    assert tool.main(["--check"], project) == 0
    assert tool.main([], project) == 0
    assert path.read_text("utf-8") == text
    assert capsys.readouterr().out.count("one.ipynb") == 1


def test_execute_renews_checked_outputs(project):
    path = project / "notebooks" / "one.ipynb"
    tool.main([], project)
    notebook = tool.read(path.read_text("utf-8"))
    notebook.cells[1].source = "pass"  # the generated setup cell asks for a repository
    tool.execute(notebook)
    tool.canonical(notebook, "pass")
    assert [output.text for output in notebook.cells[2].outputs] == ["2\n"]
