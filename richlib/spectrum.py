"""Eigenfunctions of the feature kernel operator from samples (Nyström), and what they express.

Algorithm 1 of the paper, with the 1/n it leaves out: the eigenvalues ρ_k of ΦᵀΦ/n approximate
those of T, and e_k(x) = Φ(x)ᵀu_k/√ρ_k its eigenfunctions, on any sample.
"""

import warnings

import torch
from torch import Tensor

from richlib._checks import FiniteSizeWarning, as_matrices, as_matrix, as_vector
from richlib.moments import Moments
from richlib.operators import orthonormal_basis


class Eigenfunctions:
    """Eigenvalues and eigenfunctions of T, fitted on samples, evaluated on any.

    directions: u_k, the columns of shape (p, k), orthonormal.
    eigenvalues: ρ_k, shape (k,), decreasing; those below float64 rounding are left out, so k is
    the rank of the features. The first eigenfunction of a network's features is often nearly
    constant (Appendix D.2), though not in every trained network.

    >>> generator = torch.Generator().manual_seed(0)
    >>> scale = torch.tensor([2.0, 1.0, 0.5])
    >>> train, test = (torch.randn(4000, 3, generator=generator) * scale for _ in range(2))
    >>> e = Eigenfunctions.fit(train)
    >>> print(e.eigenvalues.round(decimals=1).tolist())
    [4.0, 1.0, 0.3]
    >>> e(test).shape
    torch.Size([4000, 3])
    """

    def __init__(self, eigenvalues: Tensor, directions: Tensor):
        self.eigenvalues = eigenvalues  # (k,)
        self.directions = directions  # (p, k), orthonormal columns u_k

    @classmethod
    def fit(cls, features) -> "Eigenfunctions":
        """Fit on features (n, p); for p > n through the n × n Gram matrix, which is smaller."""
        Φ = as_matrix(features, "features").double()
        n, p = Φ.shape
        if p <= n:
            return cls(*_leading(Φ.T @ Φ / n, n))
        ρ, V = _leading(Φ @ Φ.T / n, max(n, p))  # V: (n, k)
        return cls(ρ, Φ.T @ V / (n * ρ).sqrt())

    @classmethod
    def of_moments(cls, moments: Moments) -> "Eigenfunctions":
        """Fit from streamed moments: the same, without the samples.

        Eigenvalues below the resolution of their products (1e-7 of ‖cov(Φ)‖ for float32, however
        large the mean of the features) are left out; Moments(..., product_dtype=torch.float64)
        resolves more.
        """
        p = moments.p
        second_moment, covariance = moments.second_moment[:p, :p], moments.covariance[:p, :p]
        unresolved = moments.resolution * torch.linalg.matrix_norm(covariance)
        return cls(*_leading(second_moment, max(moments.n, p), unresolved))

    def leading(self, k: int) -> "Eigenfunctions":
        """The first k of them (all, where there are fewer): what few samples can still resolve."""
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        return Eigenfunctions(self.eigenvalues[:k], self.directions[:, :k])

    def __call__(self, features) -> Tensor:
        """Values of the eigenfunctions on samples: features (n, p) give (n, k)."""
        Φ = as_matrix(features, "features").to(self.directions)  # (n, p)
        if Φ.shape[1] != len(self.directions):
            raise ValueError(
                f"fitted on {len(self.directions)} features, called with {Φ.shape[1]}: "
                f"the samples must come from the same layer"
            )
        return Φ @ (self.directions / self.eigenvalues.sqrt())

    def quality(self, features, targets) -> Tensor:
        """Cumulative quality Π*(k) (Eq. 5 i): the share of the target functions that the first k
        eigenfunctions express, on samples with features (n, p) and targets (n, C).

        Shape (k,), non-decreasing, in [0, 1]. Use samples other than those of `fit`: on its own
        samples every eigenfunction looks better than it is. The eigenfunctions are orthonormalized
        on the samples in order of eigenvalue (J.3.1), without which the sum can exceed 1; those
        that depend on earlier ones there, as where features are dead, add nothing.
        """
        return self._cumulative_power(features, targets)

    def utilization(self, features, outputs) -> Tensor:
        """Cumulative utilization Π̂(k) (Eq. 5 ii): the share of the learned functions that the
        first k eigenfunctions express, on samples with features (n, p) and outputs (n, C).

        Shape (k,), non-decreasing, in [0, 1]. A rich network reaches 1 at k = C.
        """
        return self._cumulative_power(features, outputs)

    def cumulative_power(self, cross: Tensor) -> Tensor:
        """Σ_{j≤k} ‖P e_j‖² / rank, shape (k,), on the very samples of the fit, where e_j are
        orthonormal.

        cross: E[bΦᵀ] (rank, p) of functions b that are orthonormal on these samples.
        """
        overlaps = cross @ (self.directions / self.eigenvalues.sqrt())  # (rank, k)
        return (overlaps.square().sum(dim=0).cumsum(0) / len(cross)).clamp(max=1.0).cpu()

    def _cumulative_power(self, features, functions) -> Tensor:
        # Eq. 5 writes e_k where it sums over j, and a square that would keep the total below 1;
        # this is the cumulative power of Eq. 76: Σ_j ‖P e_j‖² / dim H.
        features, functions = as_matrices(features=features, functions=functions)
        E = self(features)  # (n, k)
        n, k = E.shape
        if n < 2 * k:
            warnings.warn(
                f"{n} samples for {k} eigenfunctions: with n <= k any function is expressed in "
                f"full (Appendix J.3.2), and below 2k the curve is inflated; use more samples",
                FiniteSizeWarning,
                stacklevel=3,
            )
        Q, R = torch.linalg.qr(E)  # (n, min(n, k)), in order of eigenvalue
        # Where features are dead on these samples, what QR finds beyond their rank is arbitrary.
        ρ = self.eigenvalues[: min(n, k)]
        rounding = max(n, k) * torch.finfo(ρ.dtype).eps * (n * ρ[0] / ρ).sqrt()
        Q *= R.diagonal().abs() > rounding
        B = orthonormal_basis(functions).to(Q.device) / n**0.5  # (n, rank), unit columns
        power = (B.T @ Q).square().sum(dim=0) / B.shape[1]  # (min(n, k),)
        total = torch.ones(k, dtype=torch.float64)
        total[: len(power)] = power.cumsum(0).clamp(max=1.0).cpu()
        return total


def _leading(gram: Tensor, size: int, unresolved: float = 0.0) -> tuple[Tensor, Tensor]:
    """Eigenvalues above rounding and `unresolved` (k,), decreasing; their eigenvectors (d, k)."""
    ρ, U = torch.linalg.eigh(gram)
    rounding = size * torch.finfo(ρ.dtype).eps * ρ[-1].clamp(min=0)
    kept = (ρ > rounding) & (ρ > unresolved)
    if not kept.any():
        raise ValueError("the features are zero on all samples: they have no eigenfunctions")
    return ρ[kept].flip(0), U[:, kept].flip(1)


def per_feature(cumulative) -> Tensor:
    """Q(k) = Π(k) − Π(k−1) with Π(0) = 0 (Fig. 5): each eigenfunction's own share, shape (k,).

    >>> per_feature([0.25, 0.75, 1.0]).tolist()
    [0.25, 0.5, 0.25]
    """
    curve = as_vector(cumulative, "cumulative")
    return curve.diff(prepend=curve.new_zeros(1))


def eigenvalue_error(eigenvalues, truth) -> Tensor:
    """(ρ̂_k − ρ_k)² / ρ_k² (Eq. 67, of one sample of features), shape (k,); 0 is exact.

    >>> print(eigenvalue_error([1.5, 1.0], [1.0, 1.0]).tolist())
    [0.25, 0.0]
    """
    estimate, ρ = as_vector(eigenvalues, "eigenvalues"), as_vector(truth, "truth")
    if estimate.shape != ρ.shape:
        raise ValueError(
            f"eigenvalues and truth must be two lists of one length, got shapes "
            f"{tuple(estimate.shape)} and {tuple(ρ.shape)}"
        )
    if (ρ <= 0).any():
        raise ValueError("the true eigenvalues must be positive: the error is relative to them")
    return (estimate / ρ - 1).square()


def eigenfunction_error(directions, truth) -> Tensor:
    """1 − |u_kᵀo_k| (Eq. 68), shape (k,): 0 is exact, 1 is orthogonal.

    directions, truth: orthonormal columns (p, k). The absolute value is ours: the sign of an
    eigenvector is arbitrary.

    >>> eigenfunction_error(-torch.eye(2), torch.eye(2)).tolist()
    [0.0, 0.0]
    """
    U, O = _paired(directions, truth)
    return 1 - (U * O).sum(dim=0).abs()


def function_space_error(directions, truth) -> Tensor:
    """1 − (1/k) Σ_{i,j≤k} (u_iᵀo_j)² (Eq. 74), shape (k,): how far the spans of the first k are.

    directions, truth: orthonormal columns (p, k). 0 is the same span, 1 an orthogonal one.

    >>> swapped = torch.eye(3)[:, [1, 0, 2]]
    >>> function_space_error(swapped, torch.eye(3)).tolist()
    [1.0, 0.0, 0.0]
    """
    U, O = _paired(directions, truth)
    overlaps = (U.T @ O).square().cumsum(0).cumsum(1).diagonal()  # (k,)
    return 1 - overlaps / torch.arange(1, len(overlaps) + 1, device=overlaps.device)


def _paired(directions, truth) -> tuple[Tensor, Tensor]:
    U, O = as_matrices(1, directions=directions, truth=truth)
    if U.shape != O.shape:
        raise ValueError(
            f"directions and truth must have one shape, got {tuple(U.shape)} and {tuple(O.shape)}"
        )
    return U.double(), O.double()
