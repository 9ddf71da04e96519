"""What is derived from the teachers' notebooks: students' copies, chapters, pages."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import coursework  # tools/coursework.py
import exercises  # book/_ext/exercises.py
import pytest

CHAPTERS = coursework.names()
ROOT = coursework.ROOT


def all_parts():
    for chapter in CHAPTERS:
        parts = coursework.exercises(coursework.read(coursework.source(chapter)))
        yield from ((chapter, name, cells) for name, cells in parts.items())


def test_the_students_copies_are_what_the_sources_give(capsys):
    assert coursework.main(["--check"]) == 0, capsys.readouterr().out


def test_there_is_enough_to_do():
    found = list(all_parts())
    assert len(found) >= 30
    assert sum("check" in parts for _, _, parts in found) >= 30
    assert len({name for _, name, _ in found}) == len(found)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_exercises_are_numbered_rated_and_answered(chapter):
    notebook = coursework.read(coursework.source(chapter))
    for number, (name, parts) in enumerate(coursework.exercises(notebook).items(), start=1):
        text = parts[""].source
        assert text.startswith(f"### {number}. "), name
        assert exercises.HEAD.match(text), name
        assert "<details><summary>Hint</summary>" in text, name
        assert "text" in parts or {"answer", "check"} <= parts.keys(), name
        assert sum(exercises.points(parts)) > 0, name
        assert parts.keys() <= {"", "given", "answer", "check", "text"}, name


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_an_untouched_copy_runs_to_its_end(chapter, capsys):
    copy = coursework.read(coursework.released(chapter))
    space, open_checks = {}, 0
    for cell in copy.cells:
        if cell.cell_type != "code" or cell.id == "setup":
            continue
        if cell.id.endswith("-check"):
            assert eval(cell.source, space) == 0
            open_checks += 1
        else:
            exec(compile(cell.source, cell.id, "exec"), space)
    assert capsys.readouterr().out.count("not answered yet") == open_checks > 0


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_copy_has_no_answer(chapter):
    source = coursework.exercises(coursework.read(coursework.source(chapter)))
    copy = coursework.released(chapter).read_text("utf-8")
    for parts in source.values():
        if "text" in parts:
            assert json.dumps(parts["text"].source)[1:-1] not in copy
        if "answer" in parts:
            answer = re.search(
                r"### BEGIN SOLUTION\n(.*?)\n\s*### END SOLUTION", parts["answer"].source, re.S
            )[1]
            assert json.dumps(answer)[1:-1] not in copy
    assert "SOLUTION" not in copy


def page(chapter):
    return (ROOT / f"{exercises.chapters(ROOT)[chapter]}.ipynb").read_text("utf-8")


def read_by_sphinx(docname, text, **config):
    """The text of a page after the extension has seen it, and the files that it depends on."""
    files, source = [], [text]
    app = SimpleNamespace(
        srcdir=str(ROOT),
        config=SimpleNamespace(**config),
        env=SimpleNamespace(note_dependency=files.append),
    )
    exercises.fill_page(app, docname, source)
    return source[0], files


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_shows_a_hint_and_a_solution_for_each_exercise(chapter):
    docname = exercises.chapters(ROOT)[chapter]
    shown, files = read_by_sphinx(docname, page(chapter), exercise_solutions=True)
    asked = coursework.exercises(coursework.read(coursework.source(chapter)))
    assert shown.count("<summary>Solution</summary>") == len(asked)
    assert files == [str(coursework.source(chapter))]
    for parts in asked.values():
        assert json.dumps(parts[""].source, ensure_ascii=True)[1:-1] in shown


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_book_can_be_built_without_solutions(chapter):
    docname = exercises.chapters(ROOT)[chapter]
    shown, _ = read_by_sphinx(docname, page(chapter), exercise_solutions=False)
    assert shown == page(chapter)
    assert "Solution</summary>" not in shown


def test_no_chapter_uses_the_checks():
    """book/_ext/execution_cache.py relies on it."""
    for chapter in CHAPTERS:
        cells = json.loads(page(chapter))["cells"]
        code = "".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")
        assert "richlib.course" not in code and "import course" not in code


def test_every_chapter_has_coursework():
    toc = (ROOT / "_toc.yml").read_text("utf-8")
    pages = {Path(name).name for name in re.findall(r"file: (notebooks/\S+)", toc)}
    assert set(CHAPTERS) == pages - {"scoreboard"}


def test_the_page_lists_every_exercise():
    text = (ROOT / "book" / "course.md").read_text("utf-8")
    shown, files = read_by_sphinx("book/course", text, exercise_solutions=False)
    assert exercises.PLACE not in shown
    assert len(files) == len(CHAPTERS)
    for _, _, parts in all_parts():
        head = exercises.HEAD.match(parts[""].source)
        assert head["title"].removesuffix(".") in shown
