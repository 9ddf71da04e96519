"""Exercises of "A network learns a step"."""

import math

import torch

from richlib.course.exercise import compared, draw
from richlib.richness import dlr
from richlib.spectrum import Eigenfunctions

# Other points


def _other_points(fitted, fresh, target, k, mean=True, plain=False):
    E = Eigenfunctions.fit(fitted).leading(k)(fresh)  # (m, k)
    m = len(E) if mean else 1
    G = E.T @ E / m
    b = E.T @ target / m
    # The share of the target that least squares expresses; as a sum it needs orthonormal E.
    share = b @ (b if plain else torch.linalg.solve(G, b)) / (target.square().sum() / m)
    return float((G - torch.eye(k, dtype=G.dtype)).abs().max()), float(share)


def _point_cases():
    def features(x):
        return (x[:, None] * draw(6) + draw(6, seed=1)).relu()

    fitted = features(torch.linspace(-1, 1, 100, dtype=torch.float64))
    x = 2 * torch.rand(60, generator=torch.Generator().manual_seed(2), dtype=torch.float64) - 1
    fresh = features(x)
    return {
        "three eigenfunctions and a step": (fitted, fresh, (x > 0).double(), 3),
        "one eigenfunction": (fitted, fresh, (x > 0).double(), 1),
        "a target that the features can express": (fitted, fresh, fresh.sum(dim=1), 4),
        "the points of the fit": (fitted, fitted, fitted[:, 0] + 1.0, 3),
    }


compared(
    "other-points",
    _other_points,
    _point_cases,
    {
        "Were the eigenfunctions fitted again on the fresh points? They come from the others.": (
            lambda fitted, fresh, target, k: _other_points(fresh, fresh, target, k)
        ),
        "Is the Gram matrix a sum over points? An inner product is a mean.": (
            lambda *case: _other_points(*case, mean=False)
        ),
        "Were squared overlaps added up? That needs functions that are orthonormal here.": (
            lambda *case: _other_points(*case, plain=True)
        ),
    },
    rtol=1e-5,
    atol=1e-7,
)


# Where the constant goes


def _jump_overlap(low, high):
    return abs(low + high) / math.sqrt(2 * (low**2 + high**2))


compared(
    "where-the-constant-goes",
    _jump_overlap,
    lambda: {
        "a jump from 0 to 1": (0.0, 1.0),
        "a jump from -1 to 1": (-1.0, 1.0),
        "a jump from -1 to 3": (-1.0, 3.0),
        "no jump": (2.0, 2.0),
    },
    {
        "Was the function scaled to norm one?": lambda low, high: abs(low + high) / 2,
        "Is that the square of the overlap?": lambda low, high: _jump_overlap(low, high) ** 2,
        "Was it divided by the standard deviation? The norm has the mean in it.": (
            lambda low, high: abs(low + high) / max(abs(high - low), 1e-9)
        ),
    },
)


# The shape of the tail


def _tail(b, power=3.0):
    return power, power / b


compared(
    "shape-of-the-tail",
    _tail,
    lambda: {f"b = {b:g}": (b,) for b in (2.0, 4.0, 4.3)},
    {
        "Is that the jump? A kink has coefficients that fall faster.": lambda b: _tail(b, 1.0),
        "Are these coefficients? What is missing is a sum of their squares.": (
            lambda b: _tail(b, 2.0)
        ),
        "Is that the share of one function? What is missing is the sum over all later ones.": (
            lambda b: _tail(b, 4.0)
        ),
        "How far in k has training come at time t? It has reached the modes of 1/t.": (
            lambda b: (3.0, 3.0 * b)
        ),
    },
)


# Two steps


def _two_steps(first, second, n=3_000):
    return dlr(_steps(n) * torch.tensor([first, second]), _steps(n))


def _steps(n):
    x = (torch.arange(n, dtype=torch.float64) + 0.5) / n * 2 - 1
    return torch.stack([x >= -1 / 3, x >= 1 / 3], dim=1).double()  # (n, 2)


def _raw(first, second):
    """The cosine without centering: that of T with the projection."""
    F = _steps(3_000) * torch.tensor([first, second])
    Q = torch.linalg.qr(F)[0]
    return 1 - float((Q.T @ F).square().sum() / torch.linalg.matrix_norm(F.T @ F)) / 2**0.5


compared(
    "two-steps",
    _two_steps,
    lambda: {
        "equal heights": (1.0, 1.0),
        "heights 1 and 3": (1.0, 3.0),
        "heights 3 and 1": (3.0, 1.0),
    },
    {
        "Do the heights enter the features? T_MP is blind to them, and T is not.": (
            lambda first, second: _two_steps(1.0, 1.0)
        ),
        "Were heights squared before they became features? T squares them already.": (
            lambda first, second: _two_steps(first**2, second**2)
        ),
        "Were both operators centered?": _raw,
        "That is CKA itself.": lambda first, second: 1 - _two_steps(first, second),
    },
    rtol=1e-2,
    atol=1e-3,
)
