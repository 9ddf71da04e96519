"""Exercises of "Architecture, and the low-rank bias of vision networks"."""

import math

import torch

from richlib.course.exercise import Finding, compared, judged

# Two tails


def _counts(m, ε, used=9):
    """D_LR and D_eff(ρ) of so many used directions, a constant and a tail."""
    S = used + m * ε
    return 1 - math.sqrt(used / (used + m * ε**2)), 1 + S * ε ** (-m * ε / S)


def _approximate(m, ε):
    return m * ε**2 / 18, 10 + m * ε * (1 + math.log(1 / ε))


def _bisected(f, low, high):
    """Where a decreasing f has its zero."""
    for _ in range(200):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if f(middle) > 0 else (low, middle)
    return math.sqrt(low * high)


def _tail(dlr, dimension, used=9, constant=1.0):
    A = used * (1 / (1 - dlr) ** 2 - 1)  # m ε²

    def too_many(ε):
        return _counts(A / ε**2, ε, used)[1] - 1 + constant - dimension

    ε = _bisected(too_many, 1e-6, 1.0)
    return A / ε**2, ε


def _tail_by_approximation(dlr, dimension):
    ε = _bisected(lambda ε: _approximate(18 * dlr / ε**2, ε)[1] - dimension, 1e-6, 1.0)
    return 18 * dlr / ε**2, ε


@judged(
    "two-tails",
    {
        "the approximations for a weak tail": _tail_by_approximation,
        "how many directions are used besides the constant?": lambda *c: _tail(*c, used=10),
        "is the constant counted?": lambda *counts: _tail(*counts, constant=0.0),
        "in this order": lambda *counts: _tail(*counts)[::-1],
    },
)
def _two_tails(answer):
    for dlr, dimension in ((0.19, 147.0), (0.05, 30.0), (0.4, 100.0), (0.3, 25.0)):
        m, ε = (float(x) for x in answer(dlr, dimension))
        place = f"for D_LR = {dlr} and D_eff = {dimension:g}: "
        if not (m > 0 and 0 < ε < 1):
            words = f"got m = {m:.4g} and ε = {ε:.4g}; are they returned in this order?"
            yield Finding(False, place + words)
            continue
        found = _counts(m, ε)
        good = _near(found, (dlr, dimension))
        words = f"this tail has D_LR = {found[0]:.4f} and D_eff = {found[1]:.2f}"
        if _near(_approximate(m, ε), (dlr, dimension)):
            words += "; are these the approximations for a weak tail?"
        elif _near(_counts(m, ε, used=10), (dlr, dimension)):
            words += "; how many directions are used besides the constant?"
        elif _near((found[0], found[1] - 1), (dlr, dimension)):
            words += "; is the constant counted?"
        yield Finding(good, place + words)


def _near(found, wanted):
    return all(abs(x / y - 1) < 0.005 for x, y in zip(found, wanted, strict=True))


# Unequal strengths


def _strengths(rate, used):
    return torch.exp(-rate * torch.arange(used, dtype=torch.float64))


def _unequal(dimension, used=9, constant=1.0, squared=False):
    def too_many(rate):
        q = _strengths(rate, used) ** (2 if squared else 1)
        q = q / q.sum()
        return constant + float(torch.special.entr(q).sum().exp()) - dimension

    ρ = _strengths(_bisected(too_many, 1e-7, 50.0), used)
    return float(1 - ρ.sum() / (used * ρ.square().sum()).sqrt())


compared(
    "unequal-strengths",
    _unequal,
    lambda: {
        "D_eff = 9.5": (9.5,),
        "D_eff = 8": (8.0,),
        "D_eff = 4": (4.0,),
        "equal strengths": (10.0,),
    },
    {
        "Is the constant counted? It is one of the dimensions.": (
            lambda dimension: _unequal(dimension, constant=0.0)
        ),
        "Ten directions, with the constant one of them: how many have eigenvalues e^(-ak)?": (
            lambda dimension: _unequal(dimension, used=10)
        ),
        "Are the shares those of the eigenvalues, or of their squares?": (
            lambda dimension: _unequal(dimension, squared=True)
        ),
        "That is the cosine, CKA itself.": lambda dimension: 1 - _unequal(dimension),
    },
    rtol=3e-3,
    atol=2e-4,
)


# Does the MLP leave?


def _epochs(samples, batch_size, epochs=30, paper=391):
    return epochs * paper / -(-samples // batch_size)


compared(
    "does-the-mlp-leave",
    _epochs,
    lambda: {
        "256 digits": (256, 64),
        "all 1,400 digits": (1400, 64),
        "10,000 pictures": (10_000, 128),
        "fewer pictures than a batch": (50, 64),
    },
    {
        "Are pictures counted, and not steps? The batches are of another size.": (
            lambda samples, batch_size: 30 * 50_000 / samples
        ),
        "Is that the number of steps? Asked for are epochs.": (
            lambda samples, batch_size: 30.0 * 391
        ),
        "Is that for one of the paper's epochs?": (
            lambda samples, batch_size: _epochs(samples, batch_size, epochs=1)
        ),
        "Is the last batch of an epoch left out? It counts as a step, although it is smaller.": (
            lambda samples, batch_size: 30 * 390 / max(samples // batch_size, 1)
        ),
    },
    rtol=1e-3,
    atol=0.6,
)
