"""Brings every notebook under notebooks/ into its canonical form.

    python tools/notebooks.py             rewrite
    python tools/notebooks.py --execute   run first, to renew the outputs that tests compare
    python tools/notebooks.py --check     change nothing; exit 1 if a notebook would change

Paths of notebooks may follow; without any, all of them are meant.

Canonical: the setup cell is the generated one; only the text outputs of cells marked
`# NBVAL_CHECK_OUTPUT` are kept; no other traces of a run, of an editor or of Colab. The exercises
of a chapter are those of its notebook of coursework (see tools/coursework.py).
"""

import argparse
import sys
import tempfile
from pathlib import Path

import coursework
import nbformat
import yaml

ROOT = Path(__file__).resolve().parent.parent
CHECKED = "# NBVAL_CHECK_OUTPUT"
CELL_METADATA = ("tags", "mystnb")  # anything else in a cell is an editor's
NOTEBOOK_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
SETUP = """\
# Installs richlib where it is missing (Colab); does nothing anywhere else.
import importlib.util
if importlib.util.find_spec("richlib") is None:
    %pip install -q "{requirement}\""""


def paths(root=ROOT):
    """The notebooks of the project: the chapters, then what teachers write of the coursework."""
    found = (root / "notebooks").rglob("*.ipynb")
    made = {".ipynb_checkpoints", *coursework.DERIVED}
    return sorted(path for path in found if made.isdisjoint(path.parts))


def requirement(root=ROOT):
    """What a notebook asks pip for: the repository and branch that _config.yml names."""
    repository = yaml.safe_load((root / "_config.yml").read_text("utf-8"))["repository"]
    return f"richlib[lab] @ git+{repository['url']}@{repository['branch']}"


def setup_source(root=ROOT):
    """The source of the setup cell."""
    return SETUP.format(requirement=requirement(root))


def is_setup(cell):
    return cell.cell_type == "code" and "setup" in cell.metadata.get("tags", [])


def text_output(output):
    """The output with its text only, or None if it has none."""
    if output.output_type == "stream":
        return output
    if output.output_type not in ("execute_result", "display_data"):
        return None
    data = {mime: value for mime, value in output.data.items() if mime.startswith("text/")}
    return nbformat.v4.new_output(output.output_type, data) if data else None


def clean_cell(cell, index):
    """One cell in canonical form."""
    cell.setdefault("id", f"cell-{index}")  # ids came with nbformat 4.5
    cell.metadata = {key: cell.metadata[key] for key in CELL_METADATA if key in cell.metadata}
    if cell.cell_type != "code":
        return
    kept = map(text_output, cell.outputs) if CHECKED in cell.source else []
    cell.outputs = [output for output in kept if output]
    cell.execution_count = 1 if cell.outputs else None  # nbval compares nothing without one


def canonical(notebook, setup):
    """The notebook's canonical text. Changes `notebook`."""
    if not any(map(is_setup, notebook.cells)):
        codes = [i for i, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
        new = nbformat.v4.new_code_cell(id="setup", metadata={"tags": ["setup"]})
        notebook.cells.insert(codes[0] if codes else len(notebook.cells), new)
    for index, cell in enumerate(notebook.cells):
        if is_setup(cell):
            cell.source = setup
        clean_cell(cell, index)
        coursework.set_metadata(cell)
    notebook.metadata = NOTEBOOK_METADATA
    notebook.nbformat_minor = 5
    nbformat.validate(notebook)
    return nbformat.writes(notebook).rstrip("\n") + "\n"


def read(text):
    """The notebook of a file's text. (nbformat.reads gives random ids to cells without one.)"""
    return nbformat.reader.reads(text)


def execute(notebook):
    """Run the notebook in a fresh kernel and an empty folder."""
    from nbclient import NotebookClient

    with tempfile.TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        NotebookClient(notebook, kernel_name="python3", resources=resources).execute()


def main(argv=None, root=ROOT):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check", action="store_true", help="change nothing, exit 1 on a difference")
    mode.add_argument("--execute", action="store_true", help="run the notebooks first")
    parser.add_argument("notebooks", nargs="*", type=Path)
    args = parser.parse_args(argv)
    differing = []
    for path in map(Path.resolve, args.notebooks or paths(root)):
        before = path.read_text("utf-8")
        notebook = read(before)
        if args.execute:
            execute(notebook)
        coursework.fill_exercises(notebook, path, root)
        after = canonical(notebook, setup_source(root))
        if after == before:
            continue
        differing.append(path.relative_to(root))
        if not args.check:
            path.write_text(after, "utf-8")
    for name in differing:
        print(f"{name}: {'not canonical' if args.check else 'rewritten'}")
    if args.check and differing:
        print("Run `make notebooks` to put this right.")
    return int(args.check and bool(differing))


if __name__ == "__main__":
    sys.exit(main())
