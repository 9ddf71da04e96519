"""The paper's theory of neural collapse as checks (Appendix D.1).

Each evaluates both sides of an equation, and measures the premises apart.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from richlib._checks import as_matrices, warn_degenerate
from richlib.collapse.measures import ClassStatistics, as_samples
from richlib.operators import orthonormal_basis


@dataclass(frozen=True, eq=False)
class Check:
    """One equation of Appendix D, evaluated on samples.

    left, right: its two sides, as tensors; residual: ‖left − right‖ over the larger of the two
    norms; holds: residual <= tolerance, whatever the premises.
    a1, a2: those of the T_MP of these outputs that is nearest to T in Hilbert-Schmidt norm.
    premises: how far each is from being true (0: exactly); `failing` names those > tolerance.
        "balanced classes"   largest |K n_c / n − 1|
        "indicator outputs"  largest |f̂_i(x) − 1(x ∈ A_i)|  (Eq. 30)
        "T is T_MP"          ‖T − T_MP‖ / ‖T‖  (Definition 1)
        "a1, a2 positive"    the more negative of the two over the larger size of the two
    """

    name: str
    left: Tensor
    right: Tensor
    residual: float
    tolerance: float
    premises: dict[str, float]
    a1: float
    a2: float

    @property
    def holds(self) -> bool:
        return self.residual <= self.tolerance  # False where it is nan

    @property
    def failing(self) -> list[str]:
        return [name for name, gap in self.premises.items() if not gap <= self.tolerance]


def check_lemma_1(features, outputs, labels, *, tolerance: float = 1e-6) -> Check:
    """Lemma 1 (Eq. 35): Φ(x)ᵀ(μ_i − μ̄) = a2 (C f̂_i(x) − 1); both sides (n, C).

    Arguments and errors are those of the other checks: features (n, p), outputs (n, C), labels
    (n,) of C classes; ValueError on those of `nc1` and where outputs are not C for C classes.
    Coinciding class means or constant outputs: residual nan, with a DegenerateWarning.

    >>> from richlib import minimum_projection_features
    >>> outputs = torch.eye(3).repeat(4, 1)
    >>> features = minimum_projection_features(outputs, p=5, a2=2.0)
    >>> check = check_lemma_1(features, outputs, outputs.argmax(dim=1))
    >>> print(check.holds, check.failing, f"{check.a2:.3f}")
    True [] 2.000
    """

    def sides(Φ, F, stats, a2):
        return Φ @ stats.centered_means.T, a2 * (F.shape[1] * F - 1)  # (n, C) each

    return _check("Lemma 1", sides, features, outputs, labels, tolerance)


def check_corollary_1(features, outputs, labels, *, tolerance: float = 1e-6) -> Check:
    """Corollary 1: μ_iᵀ(μ_j − μ̄) = a2 (C δ_ij − 1); both sides (C, C). See `check_lemma_1`.

    >>> outputs = torch.eye(3).repeat(4, 1)
    >>> check = check_corollary_1(outputs, outputs, outputs.argmax(dim=1))
    >>> check.holds, check.left.shape
    (True, torch.Size([3, 3]))
    """

    def sides(Φ, F, stats, a2):
        C, μ = len(stats.means), stats.means  # (C, p)
        return μ @ stats.centered_means.T, a2 * (C * torch.eye(C).to(μ) - 1)

    return _check("Corollary 1", sides, features, outputs, labels, tolerance)


def check_proposition_1(features, outputs, labels, *, tolerance: float = 1e-6) -> Check:
    """Proposition 1, NC1: Σ_b⁺Σ_W = 0, equivalently Tr(Σ_b Σ_W) = 0; both sides (p, p).

    Its residual is relative to the norm of Σ_b⁺Σ_b. See `check_lemma_1`.

    >>> outputs = torch.eye(3).repeat(4, 1)
    >>> scattered = outputs + torch.linspace(0, 1, 12)[:, None]
    >>> labels = outputs.argmax(dim=1)
    >>> check_proposition_1(outputs, outputs, labels).holds
    True
    >>> check_proposition_1(scattered @ torch.rand(3, 3), outputs, labels).failing
    ['T is T_MP']
    """

    def sides(Φ, F, stats, a2):
        W = stats._whitening()  # (p, rank), Σ_b⁺ = WWᵀ
        return W @ (W.T @ stats.within), torch.zeros_like(stats.within), W.shape[1] ** 0.5

    return _check("Proposition 1", sides, features, outputs, labels, tolerance)


def check_proposition_2(features, outputs, labels, *, tolerance: float = 1e-6) -> Check:
    """Proposition 2, NC2: (μ_i − μ̄)ᵀ(μ_j − μ̄) = C a2 (δ_ij − 1/C) (Eq. 56); both sides (C, C).

    See `check_lemma_1`.

    >>> outputs = torch.eye(3).repeat(4, 1)
    >>> check_proposition_2(outputs, outputs, outputs.argmax(dim=1)).holds
    True
    """

    def sides(Φ, F, stats, a2):
        C, M = len(stats.means), stats.centered_means  # (C, p)
        return M @ M.T, C * a2 * (torch.eye(C).to(M) - 1 / C)

    return _check("Proposition 2", sides, features, outputs, labels, tolerance)


def _check(name, sides, features, outputs, labels, tolerance) -> Check:
    features, outputs = as_matrices(features=features, outputs=outputs)
    Φ, labels = as_samples(features, labels)  # (n, p), (n,)
    F, stats = outputs.double(), ClassStatistics.of(Φ, labels)
    (n, C), K = F.shape, len(stats.means)
    if C != K:
        raise ValueError(f"outputs must have one column for each of {K} classes, but have {C}")
    a1, a2, distance = _nearest_minimum_projection(Φ, F)
    left, right, *scale = sides(Φ, F, stats, a2)
    scale = scale[0] if scale else float(max(left.norm(), right.norm()))
    residual = float((left - right).norm()) / scale if scale > 0 else math.nan
    if math.isnan(a2) or stats._whitening().shape[1] == 0:
        warn_degenerate(
            f"{name}: the class means coincide or the outputs are constant (nan)", frames=3
        )
        residual = math.nan
    premises = {
        "balanced classes": float((K * stats.counts / n - 1).abs().max()),
        "indicator outputs": float((F - one_hot(labels, K)).abs().max()),
        "T is T_MP": distance,
        "a1, a2 positive": max(0.0, -a1, -a2) / max(abs(a1), abs(a2)) if a2 else math.nan,
    }
    return Check(name, left, right, residual, tolerance, premises, a1, a2)


def _nearest_minimum_projection(Φ: Tensor, F: Tensor) -> tuple[float, float, float]:
    """a1, a2 that minimize ‖T − a1|1⟩⟨1| − a2 P‖, and that minimum over ‖T‖; nan: F constant."""
    B = orthonormal_basis(F)  # (n, rank)
    if (B - B.mean(dim=0)).norm() <= 1e-6 * B.norm():
        return math.nan, math.nan, math.nan
    G = torch.cat([Φ, torch.ones_like(B[:, :1]), B], dim=1) / len(Φ) ** 0.5
    _, R = torch.linalg.qr(G, mode="r")  # (d, p + 1 + rank): the functions in d coordinates
    T, J, P = (A @ A.T for A in R.split([Φ.shape[1], 1, B.shape[1]], dim=1))  # (d, d) each
    A = torch.stack([J.flatten(), P.flatten()], dim=1)  # (d², 2)
    a = torch.linalg.lstsq(A, T.reshape(-1, 1)).solution  # (2, 1)
    distance = float((T.reshape(-1, 1) - A @ a).norm() / T.norm())
    return float(a[0]), float(a[1]), distance
