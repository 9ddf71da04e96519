"""Exercises of "The smallest kernel, and how far a network is from it"."""

import torch

from richlib.course.exercise import Finding, compared, draw, judged
from richlib.operators import cka, orthonormal_basis
from richlib.richness import dlr, whitening

# CKA by hand


def _pairs():
    X, mixing = draw(40, 3), draw(3, 5, seed=1)
    Y = (X @ mixing).tanh() + 0.3
    rotation = torch.linalg.qr(mixing[:, :3])[0]
    few = torch.cat([X, X**2, X**3], dim=1)[:6]
    return {
        "two related sets of features": (X, Y),
        "features that are shifted": (X + 2.0, Y - 5.0),
        "the same features, rotated and scaled": (X, 3 * X @ rotation),
        "more features than samples": (few, Y[:6]),
    }


def _alignment(X, Y, root=0.5):
    K, L = X @ X.T, Y @ Y.T
    return float((K * L).sum() / ((K * K).sum() * (L * L).sum()) ** root)


def _centered(X, dim=0):
    return X - X.mean(dim=dim, keepdim=True)


compared(
    "cka",
    cka,
    _pairs,
    {
        "Were the features centered? The mean of each feature over the samples comes off.": (
            _alignment
        ),
        "Were the samples centered instead of the features? A row is a sample.": (
            lambda X, Y: _alignment(_centered(X, 1), _centered(Y, 1))
        ),
        "Are the norms in the denominator squared? A cosine divides by the norms.": (
            lambda X, Y: _alignment(_centered(X), _centered(Y), root=1.0)
        ),
        "That is one minus CKA: a distance, not an alignment.": lambda X, Y: 1 - cka(X, Y),
    },
)


# D_LR from moments


def _moments():
    cases = {}
    for case, shift in {"centered features and outputs": 0.0, "outputs with a mean": 1.5}.items():
        Φ = draw(200, 6).relu() + shift
        F = Φ @ draw(6, 3, seed=2) + shift
        if not shift:
            Φ, F = _centered(Φ), _centered(F)
        Z = torch.cat([Φ, F], dim=1)
        cases[case] = (Z.mean(dim=0), torch.cov(Z.T, correction=0), 6)
    return cases


def _dlr(mean, covariance, p, centered=False, forget=False, gram=False):
    S_Φ, S_F, K = covariance[:p, :p], covariance[p:, p:], covariance[p:, :p]
    W = whitening(S_F if centered else S_F + torch.outer(mean[p:], mean[p:]))
    if gram:
        W = torch.eye(len(S_F), dtype=S_F.dtype)
    norm = W.shape[1] ** 0.5 if forget else torch.linalg.matrix_norm(W.T @ S_F @ W)
    return float(1 - (W.T @ K).square().sum() / (torch.linalg.matrix_norm(S_Φ) * norm))


compared(
    "dlr-from-moments",
    _dlr,
    _moments,
    {
        "Was the span that of the centered outputs? Definition 1 projects first, then centers.": (
            lambda *moments: _dlr(*moments, centered=True)
        ),
        "Was the projection centered before its norm was taken? Not all of its rank is left.": (
            lambda *moments: _dlr(*moments, forget=True)
        ),
        "That is the outputs' own Gram operator; T_MP has equal strengths.": (
            lambda *moments: _dlr(*moments, gram=True)
        ),
        "That is the cosine, CKA itself.": lambda *moments: 1 - _dlr(*moments),
    },
)


# White features


def _white(d=99, p=512):
    idle = p - 1 - d
    return 1 - (d / (d + idle)) ** 0.5, idle - d * (1 / 0.9**2 - 1)


compared(
    "white-features",
    _white,
    lambda: {"": ()},
    {
        "Did the constant keep its dimension? Centering takes it out of the span of the outputs.": (
            lambda: _white(d=100)
        ),
        "Is that how many may stay? The question is how many have to go.": (
            lambda: (_white()[0], 412 - _white()[1])
        ),
    },
    rtol=1e-3,
)


# Unequal classes


def _strengths(shares):
    π = torch.as_tensor(shares, dtype=torch.float64)
    power = torch.linalg.eigvalsh(torch.diag(π) - torch.outer(π, π))  # s_i², ascending
    return power[1:].clamp(min=0).sqrt()


def _unequal(shares, strengths=_strengths):
    s = strengths(shares)
    projection = 1 - s.sum() / (len(s) * (s**2).sum()).sqrt()
    gram = 1 - (s**3).sum() / ((s**2).sum() * (s**4).sum()).sqrt()
    return float(projection), float(gram)


compared(
    "unequal-classes",
    _unequal,
    lambda: {
        "three classes": ([0.7, 0.2, 0.1],),
        "equal shares": ([0.25] * 4,),
        "unequal shares": ([0.4, 0.3, 0.2, 0.06, 0.04],),
    },
    {
        "Were the eigenvalues of the covariance taken for the strengths? They are their squares.": (
            lambda shares: _unequal(shares, lambda shares: _strengths(shares) ** 2)
        ),
        "Was the target centered? Its covariance is diag(π) − ππᵀ.": (
            lambda shares: _unequal(shares, lambda s: torch.tensor(s).double().sqrt())
        ),
    },
)


# Two kinds of spoiling


def _idle_only(outputs):
    b = orthonormal_basis(_centered(outputs))
    Q = torch.linalg.qr(torch.cat([torch.ones_like(b[:, :1]), b, draw(len(b), 1)], dim=1))[0]
    strength = (b.shape[1] * (1 / 0.9**2 - 1)) ** 0.5
    return torch.cat([b, (strength * len(b)) ** 0.5 * Q[:, -1:]], dim=1)


@judged(
    "two-kinds-of-spoiling",
    {
        "the second set of features leaves the span of the outputs": (
            lambda outputs: (_idle_only(outputs), _idle_only(outputs))
        ),
        "D_LR of the first set of features": lambda outputs: (outputs, outputs),
    },
)
def _two_kinds(answer):
    outputs = torch.eye(5, dtype=torch.float64).repeat(40, 1)
    idle, unequal = (torch.as_tensor(Φ).double() for Φ in answer(outputs.clone()))
    basis = orthonormal_basis(torch.cat([torch.ones(len(outputs), 1), outputs], dim=1))
    for which, Φ in (("first", idle), ("second", unequal)):
        value = dlr(Φ, outputs)
        yield Finding(
            abs(value - 0.1) < 0.005, f"D_LR of the {which} set of features is {value:.3f}, not 0.1"
        )
    outside = [int(torch.linalg.matrix_rank(_outside(Φ, basis))) for Φ in (idle, unequal)]
    yield Finding(
        outside[0] == 1,
        f"expected one idle direction in the first set of features, got {outside[0]}",
    )
    yield Finding(outside[1] == 0, "the second set of features leaves the span of the outputs")


def _outside(Φ, basis):
    """What of centered features (n, p) lies outside of the span of an orthonormal basis."""
    Φ = _centered(Φ)
    rest = Φ - basis @ (basis.T @ Φ) / len(Φ)
    return rest if rest.norm() > 1e-6 * Φ.norm() else torch.zeros_like(rest)


# How many samples do you need?


def _white_sample(seed):
    """White features, outputs that are some of them, and D_LR with infinitely many samples."""
    p, C = ((200, 4), (120, 2), (300, 6))[seed % 3]
    Φ = draw(240, p, seed=seed)
    return Φ, Φ[:, :C], 1 - (C / p) ** 0.5


@judged(
    "extrapolate",
    {
        "is not closer": lambda Φ, F: dlr(Φ, F),
        "on average": lambda Φ, F: 2 * dlr(Φ[::2], F[::2]) - dlr(Φ, F),
    },
)
def _extrapolate(answer):
    plain, yours = [], []
    for seed in range(9):
        Φ, F, truth = _white_sample(seed)
        plain.append(abs(dlr(Φ, F) - truth))
        yours.append(abs(float(answer(Φ.clone(), F.clone())) - truth))
    off = sum(yours) / 9
    yield Finding(
        off < 0.5 * sum(plain) / 9,
        "your value is not a number for some draw"
        if off != off
        else f"on average over 9 draws of white features your value is off by {off:.3f}, the plain "
        f"one by {sum(plain) / 9:.3f}: yours is not closer by half",
    )


# Cheating the measure


@judged(
    "cheating",
    {
        "the outputs changed": lambda Φ, W, target: (2 * Φ, W),
        "asked for": lambda Φ, W, target: (2 * Φ, W / 2),
    },
)
def _cheating(answer):
    Φ = draw(300, 12).relu()
    W = draw(12, 3, seed=3)
    for target in (0.02, 0.5, 0.9):
        features, readout = answer(Φ.clone(), W.clone(), target)
        same = torch.allclose(features @ readout, Φ @ W, rtol=1e-6, atol=1e-8)
        value = dlr(features, Φ @ W)
        yield Finding(
            same and abs(value - target) < 0.01,
            f"D_LR is {value:.3f} where {target} was asked for"
            if same
            else "the outputs changed: features and last layer no longer multiply to the same",
        )
