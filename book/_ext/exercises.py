"""What the pages show of the coursework: solutions in the chapters, and a table of all exercises.

Solutions come from the teachers' notebooks, each folded away behind its exercise's hint. With
`exercise_solutions: false` under `sphinx: config:` in _config.yml the book has none.
"""

import json
import os
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

import coursework
from myst_parser.mdit_to_docutils.base import default_slugify

PLACE = "<!-- table of exercises -->"
HEAD = re.compile(
    r"### (?P<title>\d+\. .*)\n\nDifficulty (?P<difficulty>[●○]+) · importance "
    r"(?P<importance>[●○]+) · (?P<time>.*)"
)


def chapters(root):
    """{name: where its page is}, in the order of the book."""
    toc = (root / "_toc.yml").read_text("utf-8")
    pages = re.findall(r"file: (notebooks/\S+)", toc)
    return {Path(page).name: page for page in pages if Path(page).name in coursework.names(root)}


def solution(parts):
    """What follows the text of an exercise: its answer, folded away."""
    shown = []
    if "answer" in parts:
        code = re.sub(r"^ *### (BEGIN|END) SOLUTION\n?", "", parts["answer"].source, flags=re.M)
        shown.append(f"```python\n{code.rstrip()}\n```")
    if "text" in parts:
        shown.append(parts["text"].source)
    return "<details><summary>Solution</summary>\n\n" + "\n\n".join(shown) + "\n\n</details>"


def with_solutions(text, exercises):
    """The Markdown of a chapter's exercises, with the solution of each after it."""
    for parts in exercises.values():
        text = text.replace(parts[""].source, parts[""].source + "\n\n" + solution(parts))
    return text


def points(parts):
    """What an exercise is worth: (by its check, by hand)."""
    by_check = parts["check"].metadata["nbgrader"]["points"] if "check" in parts else 0
    by_hand = parts["text"].metadata["nbgrader"]["points"] if "text" in parts else 0
    return by_check, by_hand


def table(root, page):
    """All exercises as Markdown, a table to a chapter, with links from `page`."""
    lines = []
    here = (root / page).parent
    for name, chapter in chapters(root).items():
        notebook = coursework.read(coursework.source(name, root))
        title = coursework.read(root / f"{chapter}.ipynb").cells[0].source.splitlines()[0][2:]
        copy = os.path.relpath(coursework.released(name, root), here)
        link = os.path.relpath(root / f"{chapter}.ipynb", here)
        lines += [f"### {title}", ""]
        lines += [f"[Chapter]({link}) · {{download}}`students' notebook <{copy}>`", ""]
        lines += [":::{div} all-exercises", ""]
        lines += ["| exercise | difficulty | importance | time | points |"]
        lines += ["| --- | --- | --- | --- | --- |"]
        for parts in coursework.exercises(notebook).values():
            head = HEAD.match(parts[""].source)
            exercise = f"[{head['title']}]({link}#{default_slugify(head['title'])})"
            ratings = head["difficulty"], head["importance"], head["time"]
            by_check, by_hand = points(parts)
            cells = [exercise, *ratings, f"{by_check} + {by_hand}"]
            lines.append(f"| {' | '.join(cells)} |")
        lines += ["", ":::", ""]
    return "\n".join(lines)


def fill_page(app, docname, source):
    """Change the text of a page when it is read."""
    root = Path(app.srcdir)
    name = Path(docname).name
    if PLACE in source[0]:
        for chapter in chapters(root):
            app.env.note_dependency(str(coursework.source(chapter, root)))
        source[0] = source[0].replace(PLACE, table(root, f"{docname}.md"))
    if not app.config.exercise_solutions or docname not in chapters(root).values():
        return
    app.env.note_dependency(str(coursework.source(name, root)))
    exercises = coursework.exercises(coursework.read(coursework.source(name, root)))
    notebook = json.loads(source[0])
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = with_solutions("".join(cell["source"]), exercises)
    source[0] = json.dumps(notebook)


def setup(app):
    app.add_config_value("exercise_solutions", True, "env", [bool])
    app.connect("source-read", fill_page)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
