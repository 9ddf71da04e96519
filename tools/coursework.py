"""Derives what students get from what teachers write.

    python tools/coursework.py            renew notebooks/course/release, the students' copies
    python tools/coursework.py --check    change nothing; exit 1 if a copy would change

`notebooks/course` is a course as nbgrader (https://nbgrader.readthedocs.io) wants it:
`source/NAME/NAME.ipynb` holds the exercises of the chapter NAME with answers and checks, and
nbgrader makes `release/NAME/NAME.ipynb` of it, without the answers.

The cells of an exercise go by their ids:

    white-features           its text, in Markdown, with a hint folded away
    white-features-given     code that it starts from, if any
    white-features-answer    a function, with the answer between ### BEGIN SOLUTION and END
    white-features-check     2 * check("white-features", white_features), for two points
    white-features-text      a model answer that a person marks; a tag "points-3" for three points

The text is also what the chapter shows under "Exercises": `make notebooks` puts it there, and
writes the opening of each source notebook.
"""

import argparse
import re
import sys
from pathlib import Path

import nbformat
import yaml

ROOT = Path(__file__).resolve().parent.parent
COURSE = Path("notebooks") / "course"
SOURCE, RELEASE = "source", "release"
DERIVED = (RELEASE, "submitted", "autograded", "feedback", "solution")
POINTS = re.compile(r"^(\d+) \* check\(", re.M)
HEADING = re.compile(r"(?<=^## Exercises\n\n).*?(?=^## |\Z)", re.M | re.S)
TITLE = [
    "# Exercises: {title}",
    "These are the exercises of the chapter *{title}*: [open it in Colab]({colab}) to read along. "
    "What an exercise mentions and this notebook does not define is the chapter's: run it there, "
    "or copy its cell.",
    "Write your code where it says `raise NotImplementedError()`, then run the cell after it: "
    "`check` tries your function on several cases and says what is right and what is not, as often "
    "as you like. It returns your points. Where it says YOUR ANSWER HERE, write some sentences "
    'instead; a person reads them. No later cell needs an earlier answer, so "Run all" always '
    "comes to the end.",
]
OPENING = "Work on them in the notebook `{path}`, where `check` says what is right: {links}."


def names(root=ROOT):
    """The chapters that have coursework."""
    return sorted(path.stem for path in (root / COURSE / SOURCE).glob("*/*.ipynb"))


def source(name, root=ROOT):
    return root / COURSE / SOURCE / name / f"{name}.ipynb"


def released(name, root=ROOT):
    return root / COURSE / RELEASE / name / f"{name}.ipynb"


def read(path):
    return nbformat.reader.reads(path.read_text("utf-8"))


def exercises(notebook):
    """{name of an exercise: {part: its cell}} with the parts "", "given", "answer", ...

    The part "" is the text.
    """
    found = {}
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and re.match(r"### \d+\. ", cell.source):
            found[cell.id] = {"": cell}
        for name, parts in found.items():
            if cell.id.startswith(f"{name}-"):
                parts[cell.id.removeprefix(f"{name}-")] = cell
    return found


def set_metadata(cell):
    """Write what nbgrader has to know of a cell of a source notebook; others stay as they are."""
    base = {"schema_version": 3, "grade_id": cell.id, "task": False}
    points = POINTS.findall(cell.source)
    by_hand = [tag for tag in cell.metadata.get("tags", []) if tag.startswith("points-")]
    if cell.id.endswith("-check") and points:
        base |= {"grade": True, "solution": False, "locked": True, "points": int(points[0])}
    elif cell.id.endswith("-text") and by_hand:
        points = int(by_hand[0].removeprefix("points-"))
        base |= {"grade": True, "solution": True, "locked": False, "points": points}
    elif cell.id.endswith("-answer") and "### BEGIN SOLUTION" in cell.source:
        base |= {"grade": False, "solution": True, "locked": False}
    else:
        return
    cell.metadata["nbgrader"] = base


def fill_exercises(notebook, path, root=ROOT):
    """Put the texts of a chapter's exercises under its heading "Exercises"; or, into the notebook
    of these exercises, its first cell."""
    name = path.stem
    if not source(name, root).exists():
        return
    if SOURCE in path.parts:
        chapter = next((root / "notebooks").glob(f"*/{name}.ipynb"))
        title = read(chapter).cells[0].source.splitlines()[0].removeprefix("# ")
        text = "\n\n".join(TITLE).format(title=title, colab=colab(chapter, root))
        notebook.cells[0].source = text
        return
    texts = [parts[""].source for parts in exercises(read(source(name, root))).values()]
    copy = released(name, root)
    link = f"[open it in Colab]({colab(copy, root)})"
    opening = OPENING.format(path=copy.relative_to(root).as_posix(), links=link)
    text = "\n\n".join([opening, *texts]) + "\n\n"
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = HEADING.sub(lambda _: text, cell.source).rstrip("\n")


def colab(path, root=ROOT):
    """Where Colab opens a notebook of the project."""
    repository = yaml.safe_load((root / "_config.yml").read_text("utf-8"))["repository"]
    where = f"{repository['url'].removeprefix('https://github.com/')}/blob/{repository['branch']}"
    return f"https://colab.research.google.com/github/{where}/{path.relative_to(root).as_posix()}"


def derive(name, root=ROOT):
    """The text of the students' copy of a source notebook.

    By the steps of `nbgrader generate_assignment`, without those that fill a course's database.
    """
    from nbgrader import preprocessors
    from nbgrader.converters import GenerateAssignment

    steps = GenerateAssignment.class_traits()["preprocessors"].default()
    left_out = {
        preprocessors.IncludeHeaderFooter,
        preprocessors.InstantiateTests,
        preprocessors.SaveCells,
    }
    notebook, resources = read(source(name, root)), {}
    for step in steps:
        if step not in left_out:
            notebook, resources = step().preprocess(notebook, resources)
    return nbformat.writes(notebook).rstrip("\n") + "\n"


def main(argv=None, root=ROOT):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing, exit 1 if different")
    args = parser.parse_args(argv)
    wanted = {released(name, root): derive(name, root) for name in names(root)}
    there = set((root / COURSE / RELEASE).glob("*/*.ipynb"))
    differing = [
        path
        for path in sorted(wanted.keys() | there)
        if path not in there or path.read_text("utf-8") != wanted.get(path)
    ]
    for path in differing:
        print(f"{path.relative_to(root)}: {'out of date' if args.check else 'renewed'}")
        if args.check:
            continue
        path.unlink(missing_ok=True)
        if path in wanted:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted[path], "utf-8")
    if args.check and differing:
        print("Run `make notebooks` to put this right.")
    return int(args.check and bool(differing))


if __name__ == "__main__":
    sys.exit(main())
