"""Exercises of "Seeing eigenfunctions from samples"."""

import math

import torch

from richlib.course.exercise import Finding, compared, draw, judged
from richlib.operators import feature_kernel_operator, minimum_projection_operator
from richlib.richness import dlr
from richlib.spectrum import function_space_error

# The missing 1/n

NOTICED = (False, False, False, True)


compared(
    "the-missing-1-over-n",
    lambda n: (n, n**-0.5, NOTICED),
    lambda: {"thirty samples": (30,), "three thousand samples": (3000,), "one sample": (1,)},
    {
        "Is the eigenfunction divided by the eigenvalue? Look at the exponent.": (
            lambda n: (n, 1 / n, NOTICED)
        ),
        "Do eigenfunctions grow where eigenvalues do? The root is in the denominator.": (
            lambda n: (n, n**0.5, NOTICED)
        ),
        "Does a common factor change the shape of a spectrum? Entropy is taken of shares.": (
            lambda n: (n, n**-0.5, (False, True, False, True))
        ),
    },
)


# Noise as a ruler


def _curve():
    k = torch.arange(1, 200, dtype=torch.float64)
    return {
        "a curve of noise": (k / 400, k, 400),
        "a target that is in the span": (torch.ones(3).double(), k[:3], 10),
        "a curve between the two": (0.7 + 0.3 * k / 200, k, 200),
        "a single number": (0.6, 50, 397),
    }


compared(
    "noise-as-a-ruler",
    lambda share, k, n: (share - k / n) / (1 - k / n),
    _curve,
    {
        "That takes the noise away from a target that is in the span, too. Which part of the "
        "target behaves like noise?": lambda share, k, n: share - k / n,
        "That is what one measures if the share is the true one: the other way round.": (
            lambda share, k, n: share + (1 - share) * k / n
        ),
        "Is an intercept counted? The share here has none.": (
            lambda share, k, n: 1 - (1 - share) * (n - 1) / (n - k - 1)
        ),
        "What of the measured share is the true one multiplied by? Collect the terms in s.": (
            lambda share, k, n: (share - k / n) / (1 + k / n)
        ),
    },
)


# Two equal eigenvalues


compared(
    "two-equal-eigenvalues",
    lambda: (0.0, 1 - 2 / math.pi, 1 - 2 / math.pi, 0.0, 0.25, 0.0),
    lambda: {"": ()},
    {
        "Does anything tell the second direction from the third?": lambda: (0.0,) * 6,
        "Eq. 68 averages the cosine and not its square: take the hint's average.": (
            lambda: (0.0, 0.5, 0.5, 0.0, 0.25, 0.0)
        ),
        "Eq. 74 divides by the number of directions, and the first of them is right.": (
            lambda: (0.0, 1 - 2 / math.pi, 1 - 2 / math.pi, 0.0, 0.5, 0.0)
        ),
        "When both directions of the plane are in the span, what can still be wrong with it?": (
            lambda: (0.0, 1 - 2 / math.pi, 1 - 2 / math.pi, 0.0, 0.25, 1 / 3)
        ),
    },
    atol=0.01,
)


# Equation 74 for functions


def _space_error(ρ, U, power=0.5, orthonormal=True):
    values = ρ[:, None] ** power * U
    if orthonormal:
        values = torch.linalg.qr(values)[0]
    else:
        values = values / values.norm(dim=0)
    return function_space_error(values, torch.eye(len(ρ), dtype=ρ.dtype))


def _spectra():
    cases = {}
    for name, ρ, n in (
        ("a power law", torch.arange(1, 31).double() ** -1.0, 60),
        ("equal eigenvalues", torch.ones(20).double(), 100),
        ("fewer samples than features", torch.arange(1, 31).double() ** -0.5, 12),
    ):
        sample = draw(n, len(ρ)) * ρ.sqrt()
        cases[name] = (ρ, torch.linalg.eigh(sample.T @ sample)[1].flip(1))
    return cases


compared(
    "equation-74-for-functions",
    _space_error,
    _spectra,
    {
        "That is Eq. 74 itself, of directions: a direction weighs as much as its eigenvalue.": (
            lambda ρ, U: _space_error(ρ, U, power=0)
        ),
        "Is the power of the eigenvalues the right one? A function is Φ(x)ᵀu, and Φ has standard "
        "deviations.": lambda ρ, U: _space_error(ρ, U, power=1),
        "Were the columns made orthogonal? The functions of fitted directions overlap.": (
            lambda ρ, U: _space_error(ρ, U, orthonormal=False)
        ),
    },
)


# Take the bias away


def _parts(features, outputs):
    """Overlap, trace and square norm on the samples, with C and q."""
    features = features - features.mean(dim=0)
    projection = minimum_projection_operator(outputs, a1=0.0).centered()
    overlap = feature_kernel_operator(features).inner(projection)
    S = features.T @ features / len(features)
    return overlap, float(S.trace()), float(S.square().sum()), outputs.shape[1]


def _debiased(features, outputs, overlap_too=True, norm_too=True):
    τ, t1, t2, C = _parts(features, outputs)
    q = 1 / (len(features) - 1)
    if overlap_too:
        τ = (τ - C * q * t1) / (1 - C * q)
    if norm_too:
        t2 = (t2 - q * t1**2) / (1 + q)
    return 1 - τ / (C * t2) ** 0.5


def _gaussian(kind, n=60, p=300, C=10):
    k = torch.arange(1, p + 1, dtype=torch.float64)
    readout, leading = draw(p, C, seed=7), (k <= C)[:, None]
    ρ, W = {
        "features of equal strength": (torch.ones_like(k), readout),
        "strengths that fall like 1/k": (1 / k, readout),
        "rich features": (torch.where(k <= C, 1.0, 0.003), readout * leading),
    }[kind]
    M, K = W.T @ (ρ[:, None] * W), W.T * ρ
    truth = 1 - torch.linalg.solve(M, K @ K.T).trace() / (C * ρ.square().sum()).sqrt()
    samples = [draw(n, p, seed=seed) * ρ.sqrt() for seed in range(8)]
    return float(truth), [(Φ, Φ @ W) for Φ in samples]


PARTLY = {
    "The overlap seems to be corrected and the norm of T not: chance correlations add to it.": (
        lambda Φ, F: _debiased(Φ, F, norm_too=False)
    ),
    "The norm of T seems to be corrected and the overlap not: unread features add to it.": (
        lambda Φ, F: _debiased(Φ, F, overlap_too=False)
    ),
    "That is the plain value.": lambda Φ, F: dlr(Φ, F),
}


@judged("take-the-bias-away", PARTLY)
def _take_the_bias_away(answer):
    for kind in ("features of equal strength", "strengths that fall like 1/k", "rich features"):
        truth, samples = _gaussian(kind)
        yours = torch.tensor([float(answer(Φ.clone(), F.clone())) for Φ, F in samples]).double()
        plain = torch.tensor([dlr(Φ, F) for Φ, F in samples]).double()
        error, before = (float((values - truth).abs().mean()) for values in (yours, plain))
        words = (
            f"for {kind}, 60 samples: your values are off by {error:.3f} on average, the plain "
            f"ones by {before:.3f}; expected less than half"
        )
        for sentence, wrong in PARTLY.items():
            if torch.allclose(yours, torch.tensor([wrong(*pair) for pair in samples]).double()):
                words += f". {sentence}"
                break
        yield Finding(error < 0.5 * before, words)
