"""An assignment from release to feedback, as a teacher runs it, with nbgrader's own commands."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import coursework  # tools/coursework.py
import nbformat
import pytest
from nbgrader.api import Gradebook

NAME = "richness"
COURSE = coursework.ROOT / coursework.COURSE

# Two of a student's answers, as partial solutions have them.
UNCENTERED = """
def linear_cka(X, Y):
    K, L = X @ X.T, Y @ Y.T
    return float((K * L).sum() / (K.norm() * L.norm()))
"""
CENTERED_TOO_EARLY = """
def dlr_from_moments(mean, covariance, p):
    S, K, S_outputs = covariance[:p, :p], covariance[p:, :p], covariance[p:, p:]
    overlap = torch.trace(torch.linalg.solve(S_outputs, K @ K.T))
    return float(1 - overlap / (torch.linalg.matrix_norm(S) * len(S_outputs) ** 0.5))
"""
RAISES = "def cheat(features, readout, target):\n    return 1 / 0"


def solutions():
    """What the source notebook has in the cells of answers and of text."""
    cells = coursework.read(coursework.source(NAME)).cells
    return {cell.id: cell.source for cell in cells if cell.id.endswith(("-answer", "-text"))}


SUBMISSIONS = {  # student: (answers, points by checks)
    "all": (solutions, 20),
    "nothing": (dict, 0),
    "one": (lambda: {"cka-answer": solutions()["cka-answer"]}, 2),
    # Nothing changes where features and outputs are centered already: one case of two.
    "centered": (lambda: {"dlr-from-moments-answer": CENTERED_TOO_EARLY}, 1.5),
    # Without centering, a rotated copy of the features is still seen as one: one case of four.
    "mixed": (
        lambda: {
            "cka-answer": UNCENTERED,
            "cheating-answer": RAISES,
            "white-features-answer": solutions()["white-features-answer"],
        },
        2 + 0.5,
    ),
}


def nbgrader(folder, *arguments):
    """Run a command of nbgrader in the folder of a course."""
    bin = str(Path(sys.executable).parent)
    environment = os.environ | {"PATH": f"{bin}{os.pathsep}{os.environ['PATH']}"}
    environment["JUPYTER_PREFER_ENV_PATH"] = "1"
    command = [sys.executable, "-W", "ignore", "-m", "nbgrader", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stderr


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A course with one assignment, handed out, handed in and marked."""
    folder = tmp_path_factory.mktemp("course")
    shutil.copy(COURSE / "nbgrader_config.py", folder)
    shutil.copytree(COURSE / "source" / NAME, folder / "source" / NAME)
    nbgrader(folder, "generate_assignment", NAME)
    for student, (answers, _) in SUBMISSIONS.items():
        notebook = nbformat.read(folder / "release" / NAME / f"{NAME}.ipynb", 4)
        for cell in notebook.cells:
            cell.source = answers().get(cell.id, cell.source)
        place = folder / "submitted" / student / NAME
        place.mkdir(parents=True)
        nbformat.write(notebook, place / f"{NAME}.ipynb")
    nbgrader(folder, "autograde", NAME)
    nbgrader(folder, "generate_feedback", NAME)
    return folder


def test_nbgrader_releases_what_the_project_keeps(course):
    made = coursework.read(course / "release" / NAME / f"{NAME}.ipynb")
    assert nbformat.writes(made).rstrip("\n") + "\n" == coursework.derive(NAME)


@pytest.mark.parametrize("student", SUBMISSIONS)
def test_marks(course, student):
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}", "rich-and-lazy") as book:
        submission = book.find_submission(NAME, student)
        marks = sum(
            grade.auto_score or 0 for notebook in submission.notebooks for grade in notebook.grades
        )
    assert marks == SUBMISSIONS[student][1]


def test_feedback_has_the_words(course):
    feedback = (course / "feedback" / "mixed" / NAME / f"{NAME}.html").read_text("utf-8")
    assert "Were the features centered?" in feedback
    assert "your function raised" in feedback
    assert "white-features: right." in feedback


def test_text_is_left_to_a_person_and_none_is_worth_nothing(course):
    texts = {cell for cell in solutions() if cell.endswith("-text")}
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}", "rich-and-lazy") as book:
        for student, expected in (("all", texts), ("nothing", set())):
            [notebook] = book.find_submission(NAME, student).notebooks
            assert {g.name for g in notebook.grades if g.needs_manual_grade} == expected
    assert texts
