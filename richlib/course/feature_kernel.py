"""Exercises of "The feature kernel operator and CKA"."""

import torch

from richlib.course.exercise import Finding, compared, draw, judged
from richlib.spectrum import Eigenfunctions


def _centered(X):
    return X - X.mean(dim=0)


# Power iteration


def _ramps():
    x = torch.linspace(-1, 1, 201, dtype=torch.float64)
    corners = torch.linspace(-1, 0.6, 5, dtype=torch.float64)
    return torch.cat([(x[:, None] - corners).relu(), (-x[:, None] - corners).relu()], dim=1)


def _length_one(f):
    return f / f.square().mean().sqrt()


def _iterated(features, start, removed=None, steps=40):
    f = start
    for _ in range(steps):
        f = features @ (features.T @ f) / len(f)
        if removed is not None:
            f = f - (removed * f).mean() * removed
        f = _length_one(f)
    return f


def _without_constant(features, start):
    first = _iterated(features, start)
    return first, _iterated(features, start, removed=torch.ones_like(first))


@judged(
    "power-iteration",
    {
        "Was e_1 removed again after each step?": lambda Φ, u: (_iterated(Φ, u),) * 2,
        "Was the constant removed in place of e_1?": _without_constant,
        "mean square": lambda Φ, u: tuple(
            _iterated(Φ, u, removed) / len(u) ** 0.5 for removed in (None, _iterated(Φ, u))
        ),
    },
)
def _power_iteration(answer):
    cases = {"the ramps": _ramps(), "random features": draw(150, 4, seed=5) * _steep() + 0.3}
    for case, Φ in cases.items():
        start = draw(len(Φ), seed=3)
        first, second = (torch.as_tensor(f).double() for f in answer(Φ.clone(), start.clone()))
        E = Eigenfunctions.fit(Φ)(Φ)
        for f, k in ((first, 0), (second, 1)):
            yield _judge_direction(f, E, k, case)


def _steep():
    return torch.tensor([3.0, 1.2, 0.4, 0.1], dtype=torch.float64)


def _judge_direction(f, E, k, case):
    """Whether values f (n,) are those of the eigenfunction k, counted from zero, up to sign."""
    place = f"for {case}: what should be e_{k + 1}"
    if f.shape != E[:, 0].shape:
        return Finding(False, f"{place} is not one value for each of {len(E)} samples")
    square = float(f.square().mean())
    if not abs(square - 1) < 1e-6:
        return Finding(False, f"{place} has a mean square of {square:.3g}, and not norm one")
    overlaps = (E * f[:, None]).mean(dim=0).abs()
    words = f"{place} has an overlap of {float(overlaps[k]):.3f} with it"
    if k == 1 and abs(float(f.mean())) < 1e-6 < abs(float(E[:, 1].mean())):
        words += ". Was the constant removed in place of e_1?"
    elif k == 1 and overlaps[0] > 0.99:
        words += ". Was e_1 removed again after each step? That is e_1"
    return Finding(bool(overlaps[k] > 1 - 1e-6), words)


# Signs


def _signs(features, entries=lambda Φ: Φ @ Φ.T, overlap=lambda e: abs(float(e.mean()))):
    first = Eigenfunctions.fit(features).leading(1)(features)
    return overlap(first), float((entries(features) < 0).double().mean())


def _layers():
    before = draw(80, 5) @ draw(5, 12, seed=1) + 0.4
    return {
        "features that are not negative": (before.relu(),),
        "pre-activations": (before,),
        "centered features": (_centered(before.relu()),),
    }


compared(
    "signs",
    _signs,
    _layers,
    {
        "Is that the square of the overlap?": (
            lambda Φ: _signs(Φ, overlap=lambda e: float(e.mean()) ** 2)
        ),
        "Are these the negative features? The question is about the entries of the kernel.": (
            lambda Φ: _signs(Φ, entries=lambda Φ: Φ)
        ),
        "Is the inner product with the constant a sum over samples here? It is a mean.": (
            lambda Φ: _signs(Φ, overlap=lambda e: abs(float(e.sum())))
        ),
        "Were the features centered first? The operator of the raw features is asked for.": (
            lambda Φ: _signs(_centered(Φ))
        ),
    },
    rtol=1e-5,
    atol=1e-6,
)


# Unequal classes


def _indicators(shares, extra, power=2, bias=True, square=False):
    q = torch.as_tensor(shares, dtype=torch.float64)
    root = q.sqrt()  # the constant, in the basis of the normalized indicators
    ρ, U = torch.linalg.eigh(torch.diag(q) + extra**power * torch.outer(root, root))
    mean = q.square().sum() + (extra**power if bias else 0)
    bound = ((mean - ρ[-2]) / (ρ[-1] - ρ[-2])).clamp(min=0)
    overlap = (root @ U[:, -1]).abs()
    return tuple(float(v) for v in ((overlap**2, bound) if square else (overlap, bound.sqrt())))


compared(
    "class-indicators",
    _indicators,
    lambda: {
        "shares 0.5, 0.3, 0.2": ([0.5, 0.3, 0.2], 0.0),
        "the same with an entry that is always 2": ([0.5, 0.3, 0.2], 2.0),
        "many classes and a small constant entry": ([0.3, 0.2, 0.2, 0.15, 0.1, 0.05], 0.3),
        "shares for which the bound says nothing": ([0.35, 0.34, 0.31], 0.0),
    },
    {
        "Are these squares? Overlap and bound are those of c, not of c².": (
            lambda shares, extra: _indicators(shares, extra, square=True)
        ),
        "How strong is a feature that is always a? T has its square.": (
            lambda shares, extra: _indicators(shares, extra, power=1)
        ),
        "Does the mean feature vector have the extra entry as well?": (
            lambda shares, extra: _indicators(shares, extra, bias=False)
        ),
        "Was the extra entry left out?": lambda shares, extra: _indicators(shares, 0.0),
    },
)


# Without the bias


def _unbiased(X, Y, centered=True, less=1, below=True):
    if centered:
        X, Y = _centered(X), _centered(Y)
    A, B = X @ X.T, Y @ Y.T
    n = len(A)

    def inner(A, B, corrected=True):
        return (A * B).sum() - (A.trace() * B.trace() / (n - less) if corrected else 0)

    return float(inner(A, B) / (inner(A, A, below) * inner(B, B, below)).sqrt())


def _pairs():
    X, Y = draw(40, 6), draw(40, 9, seed=1)
    return {
        "independent features": (X, Y),
        "related features": (X, Y + 2 * X @ draw(6, 9, seed=2)),
        "equal features": (X, X),
        "features with a mean": (X + 1.5, Y[:, :4] + 0.5 * X[:, :4] - 3.0),
        "few samples": (X[:8, :3], Y[:8, :3]),
    }


compared(
    "without-the-bias",
    _unbiased,
    _pairs,
    {
        "Were the features centered?": lambda X, Y: _unbiased(X, Y, centered=False),
        "Are the norms in the denominator still those of before?": (
            lambda X, Y: _unbiased(X, Y, below=False)
        ),
        "How many dimensions are left of n after centering?": (
            lambda X, Y: _unbiased(X, Y, less=0)
        ),
        "That is the plain CKA.": lambda X, Y: _unbiased(X, Y, less=-1e300),
    },
)
