"""Exercises of the course: right answers are right, wrong ones are told what is wrong.

The right answers are those of the teachers' notebooks, the wrong ones those that each exercise
keeps as common mistakes.
"""

import functools
import re
import sys
import warnings

import coursework  # tools/coursework.py
import pytest
import torch

from richlib import cka, course
from richlib.course.exercise import EXERCISES, tried

CHAPTERS = coursework.names()


@functools.cache
def solved(chapter):
    """What the cells of a source notebook define, and {exercise: its check cell}."""
    space, checks = {}, {}
    for cell in coursework.read(coursework.source(chapter)).cells:
        if cell.cell_type == "code" and cell.id.endswith("-check"):
            checks[cell.id.removesuffix("-check")] = cell.source
        elif cell.cell_type == "code" and cell.id != "setup":
            exec(compile(cell.source, cell.id, "exec"), space)
    return space, checks


ASKED = [(chapter, name) for chapter in CHAPTERS for name in solved(chapter)[1]]


def answer_of(chapter, name):
    """The function that the check cell of an exercise tries."""
    space, checks = solved(chapter)
    function = re.fullmatch(r'\d+ \* check\("([\w-]+)", (\w+)\)', checks[name])
    assert function[1] == name
    return space[function[2]]


def test_every_exercise_is_asked_once():
    assert sorted(name for _, name in ASKED) == sorted(EXERCISES)


@pytest.mark.parametrize("chapter, name", ASKED)
def test_the_solution_is_right(chapter, name):
    assert tried(name, answer_of(chapter, name)) == (1.0, f"{name}: right.")


@pytest.mark.parametrize("name", EXERCISES)
def test_a_stub_is_no_answer(name):
    def stub(*_):
        raise NotImplementedError

    assert tried(name, stub) == (0.0, f"{name}: not answered yet.")


@pytest.mark.parametrize("name", EXERCISES)
@pytest.mark.parametrize("value", [None, "nothing", 1e9, float("nan")], ids=str)
def test_nonsense_is_wrong(name, value):
    score, words = tried(name, lambda *_: value)
    assert score == 0
    assert words.startswith(f"{name}: ")


def test_every_exercise_knows_a_mistake():
    assert not [name for name, exercise in EXERCISES.items() if not exercise.mistakes]


@pytest.mark.parametrize("name", EXERCISES)
def test_each_mistake_gets_its_own_words(name):
    for sentence, wrong in EXERCISES[name].mistakes.items():
        score, words = tried(name, wrong)
        assert type(score) is float and score < 1  # nbgrader takes "tensor(0.)" for full marks
        assert sentence in words


# Answers without arguments: they have one value, which no words may contain.
VALUES = [pair for pair in ASKED if not answer_of(*pair).__code__.co_argcount]


@pytest.mark.parametrize("chapter, name", VALUES)
def test_words_do_not_give_the_answer_away(chapter, name):
    right = answer_of(chapter, name)()
    values = right if isinstance(right, tuple) else (right,)
    texts = {value for value in values if isinstance(value, str)}
    numbers = [float(value) for value in values if not isinstance(value, str)]
    secrets = texts | {f"{v:.{digits}g}" for v in numbers for digits in (4, 6)}
    for wrong in [*EXERCISES[name].mistakes.values(), lambda: 1e9, lambda: values[:1]]:
        words = tried(name, wrong)[1]
        told = [s for s in secrets if re.search(rf"(?<![\w.]){re.escape(s)}(?![\w.])", words)]
        assert not [secret for secret in told if secret not in str(wrong())]


def test_a_cell_is_worth_its_share_of_the_points(capsys):
    space, checks = solved("richness")
    assert eval(checks["cka"], dict(space)) == 2
    assert capsys.readouterr().out == "cka: right.\n"

    uncentered = next(iter(EXERCISES["cka"].mistakes.values()))
    assert 0 < course.check("cka", uncentered) < 1


def test_the_function_is_asked_for_and_not_its_value():
    score, words = tried("cka", 0.5)
    assert score == 0
    assert 'check("cka", f)' in words


def test_an_unknown_name_is_answered_with_those_near_it():
    with pytest.raises(ValueError, match="did you mean cka"):
        course.check("ckaa", lambda: 0)


def test_what_an_answer_raises_is_reported():
    def divides(*_):
        return 1 / 0

    score, words = tried("cka", divides)
    assert score == 0
    assert words.count("your function raised ZeroDivisionError: division by zero") == 4


def test_what_comes_back_is_looked_at_first():
    assert "is there a `return`?" in tried("cheating", lambda *_: print("0.5"))[1]
    assert "is not of the kind" in tried("cheating", lambda *_: "half")[1]

    def in_numpy(features, readout, target):
        return features.numpy(), readout.numpy()

    assert "0.02 was asked for" in tried("cheating", in_numpy)[1]


def test_several_values_count_alike_and_may_come_in_one_tensor():
    d = 99
    value = 1 - (d / 511) ** 0.5
    assert tried("white-features", lambda: torch.tensor([value, 400.0]))[0] == 0.5
    assert tried("white-features", lambda: (value, 389))[0] == 1
    assert "is it a percentage?" in tried("white-features", lambda: (100 * value, 389))[1]
    assert "was it rounded?" in tried("white-features", lambda: (round(value, 2) + 0.005, 389))[1]


def test_a_warning_costs_no_points(capfd):
    """nbgrader gives none to a cell that writes to stderr."""

    def warns(X, Y):
        print("looking", file=sys.stderr)
        warnings.warn("careful", stacklevel=1)
        return cka(X, Y)

    assert course.check("cka", warns) == 1
    assert capfd.readouterr().err == ""


def test_an_answer_cannot_change_what_it_is_compared_on():
    def scribbles(X, Y):
        X.zero_()
        return 0.0

    assert tried("cka", scribbles)[1].count("too small") == 4
