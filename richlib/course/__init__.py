"""Coursework: tries an answer to an exercise of the book, and says in words what is right.

    from richlib.course import check
    check("white-features", white_features)

One module per chapter holds its exercises; `exercise.py` is how they are tried.
"""

import importlib
import pkgutil

from richlib.course.exercise import EXERCISES, Exercise, tried

__all__ = ["EXERCISES", "Exercise", "check"]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")


def check(exercise: str, answer) -> float:
    """Try an answer, print what is right and what is not, return the share that is right.

    exercise: its name, such as "white-features".
    answer: the function that the exercise asks for; the function itself, not what it returns.
        Whatever it raises is reported, and a stub that raises NotImplementedError is "not answered
        yet": a notebook with open exercises runs to its end.

    Returns a number in [0, 1]. nbgrader takes the value of a cell such as
    `3 * check("white-features", white_features)` for its points. Raises ValueError where no
    exercise has that name.

    >>> def white_features():
    ...     raise NotImplementedError
    >>> check("white-features", white_features)
    white-features: not answered yet.
    0.0
    """
    score, words = tried(exercise, answer)
    print(words)
    return score
