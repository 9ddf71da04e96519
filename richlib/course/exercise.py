"""What an exercise asks of an answer, and how an answer is tried."""

import contextlib
import difflib
import io
import math
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at in an answer.

    words: for the student, where it did not pass: what was tried, what was expected, what came.
        Never the right answer itself.
    """

    passed: bool
    words: str


@dataclass(frozen=True)
class Exercise:
    """An exercise whose answers can be tried.

    judge: looks at an answer, a function, and yields its findings; each counts alike.
    mistakes: {a sentence that names a likely mistake: an answer that makes it}. An answer that
        gives what a mistake gives is told that sentence.
    """

    name: str
    judge: Callable[[Callable], Iterable[Finding]]
    mistakes: dict[str, Callable] = field(default_factory=dict)


EXERCISES: dict[str, Exercise] = {}


def compared(
    name: str,
    reference: Callable,
    cases: Callable[[], dict[str, tuple]],
    mistakes: dict[str, Callable] | None = None,
    *,
    rtol: float = 1e-6,
    atol: float = 1e-9,
) -> None:
    """Register an exercise whose answers must return what `reference` returns, case by case.

    Each case counts alike, or each value of each case where there are several.

    cases: makes {what is special about a case: arguments}, such as {"features that are shifted":
        (features,)}; for an answer without arguments {"": ()}. Words after "for".
    mistakes: wrong answers, called with the same arguments.
    rtol, atol: how far each number may lie from the reference.
    Answers and references return a number, a text, a tensor (or an array), or a tuple of these.
    """
    mistakes = mistakes or {}

    def judge(answer: Callable) -> Iterator[Finding]:
        for case, arguments in cases().items():
            place = f"for {case}: " if case else ""
            expected = reference(*_copies(arguments))
            try:
                given = answer(*_copies(arguments))
            except AnswerError as error:
                yield Finding(False, f"{place}{error}")
                continue
            found = _differences(given, expected, rtol, atol)
            for sentence, wrong in mistakes.items():
                if any(found) and not any(
                    _differences(given, wrong(*_copies(arguments)), rtol, atol)
                ):
                    found = [words and f"{words}. {sentence}" for words in found]
                    break
            yield from (Finding(words is None, f"{place}{words}") for words in found)

    _register(Exercise(name, judge, mistakes))


def judged(name: str, mistakes: dict[str, Callable] | None = None):
    """Register the decorated function as the judge of an exercise with more than one right answer.

    It takes the answer, a function, and yields findings. What the answer raises when the judge
    calls it is reported to the student.
    """

    def register(judge: Callable) -> Callable:
        _register(Exercise(name, judge, mistakes or {}))
        return judge

    return register


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    """Standard normal numbers for cases, float64, the same at each call."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def _register(exercise: Exercise) -> None:
    if exercise.name in EXERCISES:
        raise ValueError(f"two exercises are named {exercise.name!r}")
    EXERCISES[exercise.name] = exercise


def tried(name: str, answer) -> tuple[float, str]:
    """The share of an answer that is right, in [0, 1], and what to say of it."""
    if name not in EXERCISES:
        near = difflib.get_close_matches(name, EXERCISES, n=3)
        raise ValueError(
            f"no exercise is named {name!r}"
            + (f"; did you mean {' or '.join(near)}?" if near else "")
        )
    if not callable(answer):
        return 0.0, (
            f"{name}: expected the function itself, got {_kind(answer)}: "
            f'write check("{name}", f) and not check("{name}", f())'
        )
    try:
        # nbgrader gives no point to a cell that writes to stderr, and a warning does.
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            findings = list(EXERCISES[name].judge(_guarded(answer)))
    except NotImplementedError:
        return 0.0, f"{name}: not answered yet."
    except AnswerError as error:
        return 0.0, f"{name}: {error}"
    except Exception as error:
        return 0.0, (
            f"{name}: what your function returned is not of the kind that its docstring asks for "
            f"({_named(error)})"
        )
    passed = sum(bool(finding.passed) for finding in findings)
    if passed == len(findings):
        return 1.0, f"{name}: right."
    lines = [f"{name}: {passed} of {len(findings)} right."]
    lines += [f"- {finding.words}" for finding in findings if not finding.passed]
    return passed / len(findings), "\n".join(lines)


class AnswerError(Exception):
    """An answer raised something, or returned nothing; the text is for the student."""


def _guarded(answer: Callable) -> Callable:
    """The answer, with arrays and float32 in what it returns made float64 tensors."""

    def call(*arguments):
        try:
            given = answer(*arguments)
        except NotImplementedError:
            raise
        except Exception as error:
            raise AnswerError(f"your function raised {_named(error)}") from error
        if given is None:
            raise AnswerError("your function returned nothing (is there a `return`?)")
        return _as_tensors(given)

    return call


def _as_tensors(value):
    if isinstance(value, tuple | list):
        return tuple(_as_tensors(one) for one in value)
    if isinstance(value, np.ndarray):
        value = torch.from_numpy(value)
    if isinstance(value, torch.Tensor) and value.is_floating_point():
        return value.double()
    return value


def _differences(given, expected, rtol: float, atol: float) -> list[str | None]:
    """How each value of an answer differs, None where it does not; one where none can be told."""
    if not isinstance(expected, tuple):
        return [difference(given, expected, rtol, atol)]
    if getattr(given, "ndim", 0) == 1:  # several values in one tensor
        given = list(given)
    if not isinstance(given, tuple | list) or len(given) != len(expected):
        return [f"expected {len(expected)} values, got {_kind(given)}"]
    found = [difference(one, other, rtol, atol) for one, other in zip(given, expected, strict=True)]
    return [
        words and f"value {number} of {len(found)}: {words}"
        for number, words in enumerate(found, start=1)
    ]


def difference(given, expected, rtol: float, atol: float) -> str | None:
    """How an answer differs from what was expected, in words that do not give it away.

    None where they are the same.
    """
    if isinstance(expected, tuple):
        return next(filter(None, _differences(given, expected, rtol, atol)), None)
    if isinstance(expected, str):
        if not isinstance(given, str):
            return f"expected a text, got {_kind(given)}"
        return None if given.strip().lower() == expected.lower() else f"{given!r} is not right"
    try:
        found = torch.as_tensor(given).detach().to("cpu", torch.float64)
    except (TypeError, ValueError, RuntimeError):
        return f"expected {_kind(expected)}, got {_kind(given)}"
    wanted = torch.as_tensor(expected).to("cpu", torch.float64)
    if found.shape != wanted.shape:
        if found.numel() == wanted.numel() == 1:  # a number in a tensor is a number
            found = found.reshape(wanted.shape)
        else:
            return f"expected {_kind(expected)}, got {_kind(given)}"
    if torch.isclose(found, wanted, rtol=rtol, atol=atol).all():
        return None
    if found.isnan().any():
        return "not a number (nan)"
    if isinstance(expected, bool):
        return "that is not right"
    if wanted.ndim == 0:
        words = f"{_number(given)} is too {'large' if found > wanted else 'small'}"
        if torch.isclose(found / 100, wanted, rtol=max(rtol, 1e-3), atol=atol):
            return f"{words}: is it a percentage?"
        if torch.isclose(found, wanted, rtol=1e-2, atol=atol):
            return f"{words}, but close: was it rounded?"
        return words
    wrong = (~torch.isclose(found, wanted, rtol=rtol, atol=atol)).sum()
    return f"{wrong} of {wanted.numel()} entries differ from what was expected"


def _copies(arguments: tuple) -> tuple:
    """The arguments, so that an answer that changes them in place changes nothing else."""
    return tuple(a.clone() if isinstance(a, torch.Tensor) else a for a in arguments)


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": ")


def _number(value) -> str:
    return f"{float(value):.6g}"


def _kind(value) -> str:
    """What something is, without its value."""
    shape = tuple(getattr(value, "shape", ()))
    if shape:
        return f"values of shape {shape}"
    if isinstance(value, tuple | list):
        return f"{len(value)} values"
    if isinstance(value, bool):
        return "True or False"
    if isinstance(value, int | float) or hasattr(value, "dtype"):
        return "a number" if not _is_nan(value) else "not a number (nan)"
    if value is None:
        return "nothing (is there a `return`?)"
    return f"a {type(value).__name__}"


def _is_nan(value) -> bool:
    try:
        return math.isnan(float(value))
    except (TypeError, ValueError):
        return False
