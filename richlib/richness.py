"""D_LR, the low-rank measure of richness (Eq. 4), and the effective dimension (Eqs. 8 and 9)."""

import math
import warnings
from dataclasses import dataclass

import torch
from torch import Tensor

from richlib._checks import FiniteSizeWarning, as_tensor, is_constant, warn_degenerate
from richlib.moments import Moments

ESTIMATORS = ("projection", "centered-projection", "gram")


@dataclass(frozen=True)
class Richness:
    """A value of D_LR and what it was computed from.

    dlr: in [0, 1], 0 rich, 1 lazy; nan if the features are constant.
    rank: dimension of the learned function space that was used.
    estimator: how the outputs were turned into an operator; see `dlr`.
    n, p, C: numbers of samples, features and outputs.

    >>> Richness(dlr=0.02, rank=10, estimator="projection", n=500, p=64, C=10).dlr
    0.02
    """

    dlr: float
    rank: int
    estimator: str
    n: int
    p: int
    C: int


def dlr(features, outputs, *, estimator: str = "projection", rtol: float = 1e-6) -> float:
    """The low-rank measure D_LR = 1 − CKA(T, T_MP) (Eq. 4): 0 is rich, 1 is lazy.

    T is the feature kernel operator of `features` (n, p), the post-activations of the penultimate
    layer; T_MP is the smallest operator that could express `outputs` (n, C), the network's outputs
    on the same samples. For given samples the value is computed in float64, whatever the floating
    dtype of the input, and exact to about 1e-15 / a² for outputs that have directions of relative
    amplitude a; other samples give another.

    estimator: what the features are compared with.
        "projection"           the orthogonal projection onto the span of the outputs, centered
                               afterwards: Definition 1 of the paper as written.
        "centered-projection"  the projection onto the span of the centered outputs. It reads
                               (1 − D_LR) (1 − √((C−1)/C)) too high where the outputs sum to a
                               near-constant.
        "gram"                 the outputs' own Gram operator (Appendix E.1): it equals the
                               projection only where the outputs are isotropic.
    rtol: directions of the outputs whose root-mean-square amplitude is below rtol times the
        largest are rounding error and are left out of the span.

    Outputs that are constant over the samples express no learned function: 1.0, with a
    DegenerateWarning. Constant features: nan, with a DegenerateWarning. Outputs whose rank is the
    number of samples, or one less, span all there is: a FiniteSizeWarning. ValueError on NaN,
    infinities, fewer than 2 samples, mismatched rows or an unknown estimator.

    Features that are nothing but an orthonormal copy of the learned space are as rich as can be;
    63 unrelated features of equal strength, of which 3 are read out, give about 1 − √(3/63):

    >>> samples = torch.randn(500, 63, generator=torch.Generator().manual_seed(0))
    >>> learned, _ = torch.linalg.qr(samples[:, :3])
    >>> print(f"{dlr(learned, learned):.2f}")
    0.00
    >>> print(f"{dlr(samples, samples[:, :3]):.2f}")
    0.77
    """
    return richness(features, outputs, estimator=estimator, rtol=rtol).dlr


def richness(features, outputs, *, estimator="projection", rtol: float = 1e-6) -> Richness:
    """D_LR together with the rank, the estimator and the sizes it was computed with.

    Arguments, errors and degenerate cases are those of `dlr`.

    >>> outputs = torch.eye(3).repeat(5, 1)
    >>> report = richness(outputs, outputs, estimator="gram")
    >>> report.rank, report.estimator, report.n
    (3, 'gram', 15)
    """
    return richness_of_moments(Moments.of(features, outputs), estimator=estimator, rtol=rtol)


def richness_of_moments(moments: Moments, *, estimator: str, rtol: float) -> Richness:
    """D_LR from joint moments: all it needs is in the mean and the covariances.

    With M = E[FFᵀ], K = cov(F, Φ), S_F = cov(F) and S_Φ = cov(Φ), and c the centering of Eq. 7:
    Tr(c(T)c(P)) = Tr(M⁺KKᵀ), ‖c(P)‖² = Tr((M⁺S_F)²) and ‖c(T)‖ = ‖S_Φ‖.
    """
    if estimator not in ESTIMATORS:
        raise ValueError(f"estimator must be one of {', '.join(ESTIMATORS)}, got {estimator!r}")
    if not 0 < rtol < 1:
        raise ValueError(f"rtol must lie between 0 and 1, got {rtol}")
    p, C, n = moments.p, moments.C, moments.n
    S, mean = moments.covariance, moments.mean
    S_Φ, S_F, K = S[:p, :p], S[p:, p:], S[p:, :p]  # (p, p), (C, C), (C, p)
    M = S_F + torch.outer(mean[p:], mean[p:])  # (C, C)

    W = whitening(S_F if estimator == "centered-projection" else M, rtol)  # (C, rank)
    rank = W.shape[1]
    if rank >= n - 1 and estimator != "gram":
        warnings.warn(
            f"{n} samples for outputs of rank {rank}: their span holds nearly every function on "
            f"the samples, and D_LR says nothing of what was learned; use more samples",
            FiniteSizeWarning,
            stacklevel=4,
        )
    if estimator == "gram":
        W = torch.eye(C, dtype=M.dtype, device=M.device)
    if is_constant(S_Φ.trace(), S_Φ.trace() + mean[:p].square().sum()):
        warn_degenerate(
            "the features are constant over the samples: there is no kernel to compare (nan)",
            frames=4,
        )
        value = math.nan
    elif is_constant(S_F.trace(), M.trace(), rtol):
        warn_degenerate(
            "the outputs are constant over the samples: no function was learned (D_LR = 1)",
            frames=4,
        )
        value = 1.0
    else:
        scale = S_Φ.trace()  # squares of tiny or huge covariances leave the range of float64
        trace = (W.T @ K).square().sum() / scale  # Tr(c(T)c(P))
        norms = torch.linalg.matrix_norm(S_Φ / scale) * torch.linalg.matrix_norm(W.T @ S_F @ W)
        value = float((1 - trace / norms).clamp(0, 1))
    return Richness(dlr=value, rank=rank, estimator=estimator, n=n, p=p, C=C)


def whitening(gram: Tensor, rtol: float = 1e-6) -> Tensor:
    """W (C, rank) with Wᵀ·gram·W = I on the directions whose amplitude exceeds rtol × largest."""
    power, directions = torch.linalg.eigh(gram)  # squared amplitudes, ascending
    kept = power > rtol**2 * power[-1].clamp(min=0)
    return directions[:, kept] / power[kept].sqrt()


def effective_dimension(weights, skip_first: bool = True) -> float:
    """The exponential of the entropy of normalized eigenvalues: how many directions count.

    weights: eigenvalues, non-negative, in decreasing order, shape (k,).
    skip_first=True is D_eff of Eq. 9: the first eigenvalue, that of the constant function, is
    counted as one dimension and left out of the entropy. skip_first=False is Eq. 8.
    Equal eigenvalues give their number; one dominant eigenvalue gives a value near 1 (Eq. 8) or,
    after the constant, near 2 (Eq. 9). Raises ValueError on negative or non-finite weights, where
    no weight is positive, and where skip_first meets weights in increasing order.

    >>> round(effective_dimension([5.0, 1.0, 1.0, 1.0]), 6)
    4.0
    >>> round(effective_dimension([1.0, 1.0, 1.0], skip_first=False), 6)
    3.0
    """
    ρ = as_tensor(weights, "weights").double().flatten()
    if not torch.isfinite(ρ).all() or (ρ < 0).any():
        raise ValueError("weights must be finite and non-negative eigenvalues")
    if skip_first and ρ.numel() > 2 and (ρ.diff() >= 0).all() and ρ[-1] > ρ[0]:
        raise ValueError(
            "weights must be in decreasing order, since the first is left out, but came in "
            "increasing order, as eigvalsh gives them: reverse them"
        )
    tail = ρ[1:] if skip_first else ρ
    if tail.sum() <= 0:
        raise ValueError(
            f"no positive weight is left to count in {tuple(ρ.shape)} weights with "
            f"skip_first={skip_first}"
        )
    q = tail / tail.sum()
    return float(skip_first) + float(torch.special.entr(q).sum().exp())
