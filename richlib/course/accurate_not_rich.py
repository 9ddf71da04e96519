"""Exercises of "Accurate without being rich"."""

import torch

from richlib.course.exercise import Finding, compared, draw, judged
from richlib.richness import dlr
from richlib.spectrum import Eigenfunctions


def _centered(X):
    return X - X.mean(dim=0)


def _readout(Φ, Y, ridge):
    Φ = torch.cat([Φ, torch.ones_like(Φ[:, :1])], dim=1)
    M = Φ.T @ Φ / len(Φ)
    δ = ridge * M.trace() / len(M)
    return torch.linalg.solve(M + δ * torch.eye(len(M), dtype=M.dtype), Φ.T @ Y / len(Φ))


# Is the floor reached?


def _spectrum(Φ):
    """Eigenvalues (p,) of c(T), decreasing, and its orthonormal eigenfunctions (n, p)."""
    e, s, _ = torch.linalg.svd(_centered(Φ), full_matrices=False)
    return s.square() / len(Φ), e * len(Φ) ** 0.5


def _outputs_with(Φ, C, b):
    """The first C - 1 eigenfunctions of c(T), and the next of which b is left after centering."""
    e = _spectrum(Φ)[1]
    return torch.cat([e[:, : C - 1], b**0.5 * e[:, C - 1 : C] + (1 - b) ** 0.5], dim=1)


def _uncentered(Φ, C):
    return torch.linalg.svd(Φ, full_matrices=False)[0][:, :C]


@judged(
    "reach-the-floor",
    {
        "the constant is in their span, in full": lambda Φ, C: _outputs_with(Φ, C, 0.0),
        "nothing of the constant is in their span": lambda Φ, C: _outputs_with(Φ, C, 1.0),
        "they leave the span of the constant and the leading": _uncentered,
        "of rank": lambda Φ, C: _outputs_with(Φ, C - 1, 0.5),
    },
)
def _reach_the_floor(answer):
    features = draw(200, 6) @ draw(6, 12, seed=1)
    cases = {
        "rectified features": (features.relu(), 4),
        "features without a mean": (_centered(features.tanh()), 4),
        "two outputs": ((features + 1).relu(), 2),
    }
    for case, (Φ, C) in cases.items():
        F = torch.as_tensor(answer(Φ.clone(), C)).double()
        λ, e = _spectrum(Φ)
        floor = 1 - (λ[: C - 1].sum() ** 2 / (C - 1) + λ[C - 1] ** 2).sqrt() / λ.norm()
        above = dlr(Φ, F) - float(floor)
        yield Finding(
            above < 1e-8, f"for {case}: D_LR is {above:.2g} above the floor; {_seen(F, e, C)}"
        )
        one = torch.ones_like(Φ[:, :1])
        readable = _outside(F, torch.cat([one, e], dim=1)) < 1e-6
        yield Finding(
            readable,
            f"for {case}: no last layer, even with a bias, makes these outputs of features",
        )


def _seen(F, e, C):
    """What is special about the span of outputs that miss the floor."""
    one, leading = torch.ones_like(F[:, :1]), e[:, :C]
    rank = int(torch.linalg.matrix_rank(F))
    if rank != C:
        return f"the outputs are {F.shape[1]} functions of rank {rank}, {C} are asked for"
    if _outside(F, torch.cat([one, leading], dim=1)) > 1e-6:
        return f"they leave the span of the constant and the leading {C} eigenfunctions of c(T)"
    if _outside(one, F) < 1e-6:
        return "the constant is in their span, in full; how much of it is best?"
    if (F.mean(dim=0).abs() < 1e-8).all():
        return "nothing of the constant is in their span; how much of it is best?"
    return "the span is the right one, up to how much of the constant is in it"


def _outside(F, others):
    """The share of functions F (n, ...) that is not in the span of others (n, ...)."""
    Q = torch.linalg.svd(others, full_matrices=False)
    Q = Q[0][:, Q[1] > 1e-9 * Q[1][0]]
    return float((F - Q @ (Q.T @ F)).norm() / F.norm())


# A fair chance after pruning


def _refitted(Φ, Y, kept, ridge):
    W = Φ.new_zeros(Φ.shape[1] + 1, Y.shape[1])
    fit = _readout(Φ[:, kept], Y, ridge)
    W[kept], W[-1] = fit[:-1], fit[-1]
    return W


def _only_pruned(Φ, Y, kept, ridge):
    W = torch.zeros_like(_readout(Φ, Y, ridge))
    W[kept] = _readout(Φ, Y, ridge)[kept] * Φ.shape[1] / len(kept)
    W[-1] = _readout(Φ, Y, ridge)[-1]
    return W


def _set_to_zero(Φ, Y, kept, ridge):
    mask = torch.zeros_like(Φ[0])
    mask[kept] = 1
    return _readout(Φ * mask, Y, ridge)


def _without_bias(Φ, Y, kept, ridge):
    W = _refitted(Φ, Y, kept, ridge)
    W[-1] = 0
    return W


def _prunings():
    Φ, Y = (draw(80, 10) + 0.5).relu(), draw(80, 3, seed=1) + 1.0
    return {
        "a few of the features": (Φ, Y, torch.tensor([7, 2, 4]), 1e-2),
        "next to no ridge": (Φ, Y, torch.tensor([0, 9]), 1e-9),
        "all features": (Φ, Y, torch.arange(10), 1e-2),
    }


compared(
    "refit-after-pruning",
    _refitted,
    _prunings,
    {
        "Was the last layer fitted before the features were taken away? Fit it to those left.": (
            _only_pruned
        ),
        "Were features set to zero, and not left out? They count for the mean eigenvalue.": (
            _set_to_zero
        ),
        "Was the bias lost? The last row belongs to the column of ones.": _without_bias,
    },
    rtol=1e-5,
    atol=1e-8,
)


# What richness threw away


def _explained(Φ, Y, Φ_new, Y_new, k, fitted_on=None, center=True):
    e = Eigenfunctions.fit(Φ if fitted_on is None else fitted_on).leading(k)
    W = _readout(e(Φ), Y, 1e-6)
    rest = Y_new - e(Φ_new) @ W[:-1] - W[-1]
    return float(1 - rest.square().sum() / (_centered(Y_new) if center else Y_new).square().sum())


def _first_features(Φ, Y, Φ_new, Y_new, k):
    W = _readout(Φ[:, :k], Y, 1e-6)
    rest = Y_new - Φ_new[:, :k] @ W[:-1] - W[-1]
    return float(1 - rest.square().sum() / _centered(Y_new).square().sum())


def _questions():
    x, mixing = draw(300, 4), draw(4, 12, seed=1)
    Φ = (x @ mixing).relu()
    Y = (x[:, :1] + 0.5 * x[:, 1:2]) * x[:, 2:3] + x[:, 3:] + 2.0
    idle = torch.cat([Φ, torch.zeros_like(Φ[:, :1])], dim=1)
    return {
        "the leading three eigenfunctions": (Φ[:200], Y[:200], Φ[200:], Y[200:], 3),
        "as many eigenfunctions as features": (Φ[:200], Y[:200], Φ[200:], Y[200:], 12),
        "features of which one is always zero": (idle[:200], Y[:200], idle[200:], Y[200:], 13),
        "two targets": (Φ[:200], x[:200, :2], Φ[200:], x[200:, :2], 5),
    }


compared(
    "new-questions",
    _explained,
    _questions,
    {
        "Is that the share on the pictures that the readout was fitted on?": (
            lambda Φ, Y, Φ_new, Y_new, k: _explained(Φ, Y, Φ, Y, k)
        ),
        "Was the mean of the targets counted as variance?": (
            lambda *arguments: _explained(*arguments, center=False)
        ),
        "Were the eigenfunctions fitted on the new pictures?": (
            lambda Φ, Y, Φ_new, Y_new, k: _explained(Φ, Y, Φ_new, Y_new, k, fitted_on=Φ_new)
        ),
        "Are those the first features? They come in no order; the eigenfunctions do.": (
            _first_features
        ),
    },
    rtol=1e-4,
    atol=1e-5,
)
