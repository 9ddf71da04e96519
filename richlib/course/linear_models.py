"""Exercises of "Linear models and their inductive bias"."""

import torch

from richlib.course.exercise import compared, draw
from richlib.linear import kappa

# Half learned


def _powers():
    return 1 / torch.arange(1, 201, dtype=torch.float64)


compared(
    "half-learned",
    lambda n: 1 / kappa(_powers(), n),
    lambda: {f"n = {n}": (n,) for n in (5, 20, 50, 150)},
    {
        "Is it simply n? That would need a sharp step from learned to not learned.": lambda n: n,
        "Is that the threshold itself? It has the units of an eigenvalue, not of an index.": (
            lambda n: kappa(_powers(), n)
        ),
        "Is the eigenvalue missing from the denominator? The share has a threshold added to it.": (
            lambda n: n / float(_powers().sum())
        ),
    },
    rtol=0.02,
)


# A flat spectrum


def _flat(p, n, rho, factor=True, threshold=None):
    share = n / p
    error = (1 - share) / (1 if factor else 1 / (1 - share))
    return share, rho * (p - n) / n if threshold is None else threshold, error


compared(
    "a-flat-spectrum",
    _flat,
    lambda: {
        "p = 10 and n = 4": (10, 4, 1.0),
        "eigenvalues that are not one": (200, 50, 3.0),
        "nearly as many samples as features": (20, 19, 0.5),
    },
    {
        "Is the factor E_0 missing from the error? It is more than one.": (
            lambda p, n, rho: _flat(p, n, rho, factor=False)
        ),
        "Does your threshold scale with the eigenvalues? It is compared with them.": (
            lambda p, n, rho: _flat(p, n, rho, threshold=(p - n) / n)
        ),
        "Is the eigenvalue missing from the denominator of the learnability?": (
            lambda p, n, rho: _flat(p, n, rho, threshold=rho * p / n)
        ),
        "Is that how much is learned of each in total? There are more features than samples.": (
            lambda p, n, rho: (1.0, 0.0, 0.0)
        ),
    },
)


# Start somewhere else


def _limit(features, targets, start, unseen=True):
    inverse = torch.linalg.pinv(features)
    seen = inverse @ (features @ start)
    return inverse @ targets + (start - seen if unseen else seen)


def _starts():
    features, start = draw(4, 10), draw(10, seed=1)
    targets = draw(4, seed=2)
    return {
        "four points and ten features": (features, targets, start),
        "a start at zero": (features, targets, torch.zeros_like(start)),
        "a start that fits the targets already": (features, features @ start, start),
        "as many points as features": (draw(10, 10, seed=3), draw(10, seed=4), start),
    }


compared(
    "start-somewhere-else",
    _limit,
    _starts,
    {
        "Does the end remember the start? Something of it no sample sees.": (
            lambda features, targets, start: torch.linalg.pinv(features) @ targets
        ),
        "Is all of the start still there? The part that the samples see is learned over.": (
            lambda features, targets, start: torch.linalg.pinv(features) @ targets + start
        ),
        "Which part of the start stays: the one that the samples see, or the other?": (
            lambda features, targets, start: _limit(features, targets, start, unseen=False)
        ),
    },
    rtol=1e-4,
    atol=1e-6,
)


# Noise


def _learned(E, rho, v, noise, ridge=0.0, intensity=True, noiseless=False, count=1):
    root = rho.sqrt()
    Φ = E * root  # (n, p)
    y = E @ v + (0 if noiseless else 1) * noise
    K = Φ @ Φ.T + count * ridge * torch.eye(len(E), dtype=E.dtype)
    θ = Φ.T @ (torch.linalg.pinv(K, hermitian=True) @ y)
    return root * θ if intensity else θ


def _samples():
    rho, v = 1 / torch.arange(1, 9, dtype=torch.float64), draw(8, seed=1)
    E, noise = draw(5, 8), 0.3 * draw(5, seed=2)
    return {
        "targets without noise": (E, rho, v, 0 * noise, 0.0),
        "noisy targets": (E, rho, v, noise, 0.0),
        "noise and a ridge": (E, rho, v, noise, 0.5),
        "a single sample": (E[:1], rho, v, noise[:1], 0.1),
    }


compared(
    "noise",
    _learned,
    _samples,
    {
        "Are these the weights? The coefficients of the eigenfunctions carry their intensity.": (
            lambda *case: _learned(*case, intensity=False)
        ),
        "Does the noise enter the targets?": lambda *case: _learned(*case, noiseless=True),
        "Was the ridge left out?": lambda *case: _learned(*case[:-1]),
        "Is the ridge multiplied by n? Here the kernel matrix is a sum, not a mean.": (
            lambda *case: _learned(*case, count=len(case[0]))
        ),
    },
    rtol=1e-5,
    atol=1e-8,
)
