"""D_LR at a cost of O(np(C + m)): the norm of the feature kernel from m random probes.

All of D_LR but one number costs O(npC): the norm ‖c(T)‖ = ‖S_Φ‖ of the p × p feature covariance
takes O(np²). Here it is estimated from the products S_Φ G with m Gaussian columns G, which stream
in O(npm). Half of the probes build a low-rank approximation of S_Φ, the other half correct its
norm without bias; where features are rich, and S_Φ of low rank, little is left to correct.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from richlib._checks import as_matrices, is_constant
from richlib.moments import power_of_two
from richlib.richness import whitening


@dataclass(frozen=True)
class SketchedRichness:
    """An estimate of D_LR: `dlr` ± `error`, the standard error over the random probes.

    The error is estimated from half of the probes: with 64 of them the truth is within two errors
    about nine times in ten, with fewer than 16 the error is often much too small.

    >>> SketchedRichness(dlr=0.31, error=0.02).error
    0.02
    """

    dlr: float
    error: float


def sketched_dlr(
    features,
    outputs,
    *,
    probes: int = 64,
    rtol: float = 1e-6,
    generator: torch.Generator | None = None,
) -> SketchedRichness:
    """D_LR by Definition 1 with a randomized norm: features (n, p), outputs (n, C).

    0 is rich, 1 is lazy; the estimate may leave [0, 1] by its error. Exact in all but ‖c(T)‖.
    Worth it where p is well above 4 × probes: `python benchmarks/dlr.py` shows from where on.
    Raises ValueError as `richlib.dlr` does, on constant features or outputs, and on probes < 4.

    >>> generator = torch.Generator().manual_seed(0)
    >>> features = torch.randn(2000, 300, generator=generator) * 0.9 ** torch.arange(300)
    >>> estimate = sketched_dlr(features, features[:, :5], generator=generator)
    >>> from richlib import dlr
    >>> abs(estimate.dlr - dlr(features, features[:, :5])) < 4 * estimate.error
    True
    """
    if probes < 4:
        raise ValueError(f"probes must be at least 4, half for each part, got {probes}")
    Φ, F = as_matrices(features=features, outputs=outputs)
    n, p = Φ.shape
    mean, unit = Φ.mean(dim=0, dtype=torch.float64), power_of_two(Φ)  # (p,)
    F = F.double()
    W = whitening(F.T @ F / n, rtol)  # (C, rank)
    centered = F - F.mean(dim=0)  # (n, C)
    b = centered @ W  # (n, rank), the centered basis of the learned space
    G = torch.randn(p, probes, generator=generator, dtype=torch.float64).to(Φ.device)
    Y, K = _products(Φ, mean, unit, G, b)
    variance = (G * Y).sum() / probes  # estimates Tr S_Φ
    if is_constant(variance, variance + (mean / unit).square().sum()) or is_constant(
        centered.square().sum(), F.square().sum(), rtol
    ):
        raise ValueError("features or outputs are constant over the samples: use richlib.dlr")
    square, error = _squared_norm(Y, G)
    norm_P = torch.linalg.matrix_norm(b.T @ b / n)
    alignment = float(K.square().sum() / norm_P) / square**0.5
    return SketchedRichness(1 - alignment, alignment * error / (2 * square))


def _products(Φ: Tensor, mean: Tensor, unit: float, G: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """S_Φ G (p, m) and E[Φ bᵀ] (p, rank) of the features (Φ − mean) / unit; b (n, rank)."""
    (n, p), m = Φ.shape, G.shape[1]
    dtype = torch.promote_types(Φ.dtype, torch.float32)
    products = torch.zeros(p, m + b.shape[1], dtype=torch.float64, device=Φ.device)
    with torch.autocast(Φ.device.type, enabled=False):  # it would multiply in half precision
        for rows, basis in zip(Φ.split(1024), b.split(1024), strict=True):
            φ = ((rows - mean) / unit).to(dtype)  # (rows, p)
            right = torch.cat([(φ @ G.to(dtype)).double(), basis], dim=1)
            products += (φ.T @ right.to(dtype)).double()
    return products[:, :m] / n, products[:, m:] / n


def _squared_norm(Y: Tensor, G: Tensor) -> tuple[float, float]:
    """‖S‖² and its standard error, from Y = SG (p, m) of a positive S and Gaussian G (p, m)."""
    half = G.shape[1] // 2
    Y1, G1, Y2, G2 = Y[:, :half], G[:, :half], Y[:, half:], G[:, half:]
    # Nyström: S ≈ Y1 (G1ᵀ Y1)⁺ Y1ᵀ = L Lᵀ
    core = G1.T @ Y1
    L = Y1 @ whitening((core + core.T) / 2, rtol=1e-6)  # (p, rank)
    gram = L.T @ L  # ‖LLᵀ‖ = ‖LᵀL‖
    approximate = (L @ (L.T @ G2)).square().sum(dim=0)  # ‖LLᵀ g‖², expectation ‖LLᵀ‖²
    correction = Y2.square().sum(dim=0) - approximate  # (m / 2,)
    square = float(gram.square().sum() + correction.mean())
    return square, float(correction.std() / len(correction) ** 0.5)
