"""Linear models and their inductive bias (Appendix C): what n samples teach a model of fixed
features, and what gradient flow teaches it first.

A linear model Σ_k w_k Φ_k(x) is, in the eigenfunctions e_k of its kernel operator T, a sum of modes
θ_k √ρ_k e_k(x). Both biases favor modes of large eigenvalue ρ_k: the solution of minimum norm,
because it pays less weight for them (C.2), and gradient flow, because they converge first (C.3).

Learnability and generalization error are the eigenlearning theory of Simon et al. (2023), exact for
Gaussian eigenfunctions in the limit of large n and p. Simulated errors are within 1% of it at
n = 30, p = 100. With 4 samples and the steep spectrum of Fig. 7 the simulated error is about twice
the predicted one, while the learnabilities still hold within 0.05.
"""

import math
import sys

import numpy as np
import torch
from torch import Tensor

from richlib._checks import as_matrices, as_matrix


def kappa(eigenvalues, n, *, ridge: float = 0.0) -> float:
    """κ >= 0 with Σ_k ρ_k/(ρ_k + κ) + ridge/κ = n (Eq. 15): modes with ρ_k above it are learnt.

    eigenvalues: ρ_k of T, shape (p,), in any order, not negative. n: number of training samples,
    positive. ridge: δ of (K + δI)⁻¹ with the kernel matrix K_ij = Φ(x_i)·Φ(x_j), so 2λ in Eq. 11.

    Without a ridge (minimum norm) κ = 0 for n at or above the number of positive eigenvalues:
    everything the features express is learnt.

    In the units of the eigenvalues, to a relative error of about 1e-15 over any number of decades.
    Raises ValueError where the spectrum is zero, negative or not finite, or n is not positive.

    >>> print(f"{kappa([1.0, 1e-30], n=1):.3g}")  # two modes, one sample: the geometric mean
    1e-15
    """
    ρ, n, δ = _spectrum(eigenvalues), _number(n, "n", positive=True), _number(ridge, "ridge")
    ρ = ρ[ρ > 0]  # (r,)
    r = len(ρ)
    if δ == 0 and n >= r:
        return 0.0
    # 1 − L_k lies between its values for the smallest and for the largest eigenvalue.
    low = max(float(ρ.min()) * ((r - n) / n), δ / n, math.ulp(0.0))
    high = min(float(ρ.max()) * ((r if δ else r - n) / n) + δ / n, sys.float_info.max)
    while low < (κ := low**0.5 * high**0.5) < high:  # bisection of log κ
        low, high = (κ, high) if _excess(ρ, κ, n, δ) > 0 else (low, κ)
    return κ


def learnability(eigenvalues, n, *, ridge: float = 0.0) -> Tensor:
    """L_k = ρ_k/(ρ_k + κ) (Eq. 15), shape (p,), in [0, 1]: the share of the target's coefficient
    of e_k that a model fitted to n samples has learnt, in expectation over the samples.

    Arguments and errors as in `kappa`. Without a ridge ΣL_k = n while n is at most the number of
    positive eigenvalues ("always" in the paper); from there on they are all 1, and with a ridge
    the sum is n − ridge/κ. Eigenvalues of zero give 0. Unchanged by a common scale of eigenvalues
    and ridge.

    >>> learnability(torch.ones(5), n=2)
    tensor([0.4000, 0.4000, 0.4000, 0.4000, 0.4000], dtype=torch.float64)
    """
    return _shares(_spectrum(eigenvalues), kappa(eigenvalues, n, ridge=ridge))[0]


def generalization_error(
    eigenvalues, coefficients, n, noise: float = 0.0, *, ridge: float = 0.0
) -> float:
    """Expected squared error E[(f̂ − y)²] on fresh samples after a fit to n of them (Eq. 16).

    E = n/(n − ΣL_k²) · (Σ_k (1 − L_k)² v_k² + σ²), with coefficients v_k = ⟨f*|e_k⟩, shape (p,),
    and noise σ², the variance (not the deviation) of independent noise on the targets y, training
    and fresh alike: subtract it for the error against f*. The paper prints no noise, and a stray *
    in the exponent. No factor 1/2, which Eq. 11 has. For C outputs pass the norms of the rows of
    ⟨f*_c|e_k⟩ (p, C) and the total noise: the result is the sum over outputs.

    Eigenvalues, n, ridge and errors as in `kappa`; moreover ValueError where the coefficients do
    not match or the noise is negative. At the interpolation peak, n equal to the number of positive
    eigenvalues without a ridge, it is infinite, unless there is neither noise nor a part of the
    target that the features cannot express; then it is 0 from there on.

    >>> generalization_error(torch.ones(4), [1.0, 0.0, 0.0, 0.0], n=2)  # L = 1/2, E0 = 2
    0.5
    """
    ρ, v = _modes(eigenvalues, coefficients)
    σ2, δ = _number(noise, "noise"), _number(ridge, "ridge")
    κ = kappa(ρ, n, ridge=δ)
    L, rest = _shares(ρ, κ)
    error = float((rest * v).square().sum()) + σ2
    if error == 0:
        return 0.0
    # n − ΣL² as a sum of positive terms, by Eq. 15; where κ = 0 that equation does not hold.
    free = float((L * rest).sum()) + δ / κ if κ else float(n) - float(L.sum())
    return float(n) / free * error if free else math.inf


def gradient_flow(eigenvalues, coefficients, t) -> Tensor:
    """⟨e_k|f⟩ at time t under gradient flow from f = 0: v_k (1 − exp(−ρ_k t)) (Eq. 25).

    eigenvalues ρ_k and coefficients v_k = ⟨e_k|f*⟩, shape (p,); t a number or an array of any
    shape, not negative; the result has shape (*t.shape, p).

    Time is that of dw/dt = −∇L with L = ½ E[(f − f*)²]. Gradient descent with a small learning rate
    η is at t = ηs after s steps on this loss, at 2ηs on the mean squared error without the ½, and
    at nηs on the sum over samples of Eq. 11. E is over the population, or over the training samples
    if eigenvalues and coefficients are those of the samples: ρ_k of ΦᵀΦ/n, v_k = (1/n) Σ e_k f*.

    Raises ValueError where shapes differ, an eigenvalue or a time is negative, or any is not
    finite.

    >>> gradient_flow([1.0, 0.0], [2.0, 3.0], t=[0.0, 1.0])
    tensor([[0.0000, 0.0000],
            [1.2642, 0.0000]], dtype=torch.float64)
    """
    ρ, v = _modes(eigenvalues, coefficients)
    t = _tensor(t).to(ρ)
    if not torch.isfinite(t).all() or (t < 0).any():
        raise ValueError(
            f"t must be finite and not negative, but came with values down to {float(t.min()):g} "
            f"and up to {float(t.max()):g}; zero is the start of training"
        )
    return -v * torch.expm1(-t[..., None] * ρ)  # (..., p)


def minimum_norm_interpolation(features, targets, *, rtol: float | None = None) -> Tensor:
    """Weights W = Φ⁺Y, shape (p, C): of all least-squares fits ΦW ≈ Y the one of smallest norm.

    features Φ (n, p) and targets Y (n, C) on the same samples, n >= 1. Where Φ has rank n it
    interpolates; it is the limit of Eq. 11 as λ → 0, and of gradient flow from zero weights.
    Singular values at or below rtol times the largest count as zero: max(n, p)·2⁻⁵² by default;
    1e-6 suits features that were computed in float32.

    Raises ValueError where the samples differ in number, a value is not finite, the features are
    all zero, or rtol is outside [0, 1).

    >>> minimum_norm_interpolation([[1.0, 2.0]], [[10.0]]).round(decimals=6)
    tensor([[2.],
            [4.]], dtype=torch.float64)
    """
    features, targets = as_matrices(min_samples=1, features=features, targets=targets)
    Φ, Y = features.double(), targets.double()
    rtol = max(Φ.shape) * torch.finfo(Φ.dtype).eps if rtol is None else _number(rtol, "rtol")
    if rtol >= 1:
        raise ValueError(f"rtol must be below 1, got {rtol:g}: no direction would be kept")
    U, s, Vh = torch.linalg.svd(Φ, full_matrices=False)
    if s[0] == 0:
        raise ValueError("the features are zero on all samples: no weights can fit the targets")
    U, s, Vh = (part[..., s > rtol * s[0]] for part in (U, s, Vh.mT))  # (n, r), (r,), (p, r)
    return Vh @ ((U.T @ Y) / s[:, None])  # (p, C)


def _excess(ρ: Tensor, κ: float, n: float, δ: float) -> float:
    """Σ L_k + δ/κ − n, for ρ > 0, as exact as its sign needs.

    Modes above κ count as 1 − (1 − L_k): the ones cancel against n before small parts are added,
    which would be lost beside them.
    """
    large = ρ > κ
    ratio = torch.where(large, κ / ρ, ρ / κ)  # in [0, 1]
    small = ratio / (1 + ratio)  # 1 − L_k where large, L_k elsewhere
    parts = float(small[~large].sum()) - float(small[large].sum())
    return parts + (float(large.sum()) - n + δ / κ)


def _shares(ρ: Tensor, κ: float) -> tuple[Tensor, Tensor]:
    """L_k and 1 − L_k, each to full relative precision; 0 and 1 for eigenvalues of zero."""
    L = torch.where(ρ > 0, 1 / (1 + κ / ρ), 0.0)
    return L, torch.where(ρ > 0, 1 / (1 + ρ / κ), 1.0)  # ρ/0 is infinite


def _spectrum(eigenvalues) -> Tensor:
    ρ = _vector(eigenvalues, "eigenvalues")
    if (ρ < 0).any():
        raise ValueError(
            f"eigenvalues must not be negative, but the smallest is {float(ρ.min()):.3g}; "
            f"T is a positive operator: if this is rounding error, clamp them at zero"
        )
    if not (ρ > 0).any():
        raise ValueError("all eigenvalues are zero: such features express no function")
    return ρ


def _modes(eigenvalues, coefficients) -> tuple[Tensor, Tensor]:
    ρ, v = _spectrum(eigenvalues), _vector(coefficients, "coefficients")
    if ρ.shape != v.shape:
        raise ValueError(
            f"coefficients must have one entry for each eigenvalue, but there are {len(v)} "
            f"coefficients and {len(ρ)} eigenvalues; give modes that are absent a zero"
        )
    return ρ, v.to(ρ.device)


def _vector(values, name: str) -> Tensor:
    values = _tensor(values)
    if values.ndim != 1:
        raise ValueError(
            f"{name} must be a vector of shape (p,), one entry for each mode, "
            f"but came with shape {tuple(values.shape)}"
        )
    return as_matrix(values[:, None], name, min_samples=1)[:, 0].double()


def _tensor(values) -> Tensor:
    """A tensor. Lists become float64; arrays are copied, so that reversed views are taken too."""
    return values.detach() if isinstance(values, Tensor) else torch.as_tensor(np.array(values))


def _number(value, name: str, positive: bool = False) -> float:
    value = float(value)
    if not math.isfinite(value) or value < 0 or (positive and value == 0):
        kind = "positive" if positive else "not negative"
        raise ValueError(f"{name} must be finite and {kind}, got {value:g}")
    return value
