"""Neural collapse as numbers: NC1 to NC4 (Appendix D).

K is the number of classes, μ_c a class mean, μ̄ the unweighted mean of the class means.
"""

import math
import warnings
from dataclasses import dataclass

import torch
from torch import Tensor

from richlib._checks import as_labels, as_matrix, as_tensor, warn_degenerate

# Differences of class means below this share of the features' amplitude are the rounding of
# float64 means.
_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class ClassStatistics:
    """What neural collapse needs of the classes.

    counts: samples of each class, (K,). means: of the features in each class, (K, p).
    within: Σ_W (p, p) of Eq. 33, the sum (not the average) over classes of the covariances, each
        normalized by its own 1/n_c. From streamed moments it is
    pooled: K times the covariance about the class means over all samples. That is the same for
        balanced classes, which neural collapse supposes; otherwise large classes weigh more.
    """

    counts: Tensor
    means: Tensor
    within: Tensor
    pooled: bool = False

    @classmethod
    def of(cls, features, labels, *, num_classes: int | None = None) -> "ClassStatistics":
        """Of features (n, p) and integer labels (n,); K is max(labels) + 1 unless it is given.

        ValueError on an empty class, fewer than 2 classes, anything but finite features.
        """
        Φ, labels = as_samples(features, labels)
        K = int(labels.max()) + 1 if num_classes is None else num_classes
        counts = torch.bincount(labels, minlength=K)  # (K,)
        _require_classes(counts, K)
        means = Φ.new_zeros(K, Φ.shape[1]).index_add_(0, labels, Φ) / counts[:, None]  # (K, p)
        R = (Φ - means[labels]) / counts.double().sqrt()[labels, None]  # (n, p)
        return cls(counts, means, R.T @ R)

    @property
    def centered_means(self) -> Tensor:
        """μ_c − μ̄, shape (K, p)."""
        return self.means - self.means.mean(dim=0)

    @property
    def between(self) -> Tensor:
        """Σ_b of Eq. 34, shape (p, p): normalized by 1/K (Proposition 1 writes it without)."""
        M = self.centered_means  # (K, p)
        return M.T @ M / len(M)

    def nc1(self, ridge: float = 0.0) -> float:
        """See `richlib.collapse.nc1`."""
        if not ridge >= 0:
            raise ValueError(f"ridge must not be negative, got {ridge}: the tables use 1e-4")
        self._warn_of_unbalanced_classes()
        if ridge > 0:
            identity = torch.eye(len(self.within)).to(self.within)
            return float(torch.linalg.solve(self.between + ridge * identity, self.within).trace())
        W = self._whitening()  # (p, rank), Σ_b⁺ = WWᵀ
        if W.shape[1] == 0:
            warn_degenerate(
                "all class means coincide: there is no Σ_b to compare with (nan)", frames=3
            )
            return math.nan
        return float(((self.within @ W) * W).sum())

    def nc2(self) -> "SimplexETF":
        """See `richlib.collapse.nc2`."""
        M = self._resolved_means()  # (K, p)
        K, norms = len(M), M.norm(dim=1)  # (K,)
        U = M / norms[:, None]  # (K, p)
        pairs = ~torch.eye(K, dtype=torch.bool, device=M.device)
        cosines = (U @ U.T)[pairs]  # (K(K - 1),)
        return SimplexETF(
            equinorm=float(norms.std(correction=0) / norms.mean()),
            equiangularity=float(cosines.std(correction=0)),
            angle=float((cosines + 1 / (K - 1)).abs().mean()),
        )

    def nc3(self, weights) -> "SelfDuality":
        """See `richlib.collapse.nc3`."""
        W, M = self._weights(weights), self._resolved_means()  # (K, p) each
        if (W == 0).all(dim=1).any():
            warn_degenerate("the weights of a class are all zero: no direction (nan)", frames=3)
        by_class = W / W.norm(dim=1, keepdim=True) - M / M.norm(dim=1, keepdim=True)
        return SelfDuality(
            frobenius=float((W / W.norm() - M / M.norm()).norm()),
            by_class=by_class.norm(dim=1),
        )

    def trace_within(self, average: bool = False) -> float:
        """See `richlib.collapse.trace_within`."""
        self._warn_of_unbalanced_classes()
        return float(self.within.trace()) / (len(self.means) if average else 1)

    def _warn_of_unbalanced_classes(self) -> None:
        smallest, largest = int(self.counts.min()), int(self.counts.max())
        if self.pooled and largest > 1.5 * smallest:
            warnings.warn(
                f"Σ_W is pooled over all samples, and classes have from {smallest} to {largest} of "
                f"them: large classes weigh more than in Eq. 33; with the features at hand use "
                f"richlib.collapse.{{nc1, trace_within}}",
                stacklevel=3,
            )

    @property
    def _amplitude(self) -> Tensor:
        """Root mean square of ‖Φ(x)‖, each class counting the same."""
        return ((self.means.square().sum() + self.within.trace()) / len(self.means)).sqrt()

    def _whitening(self) -> Tensor:
        """W (p, rank) with WWᵀ = Σ_b⁺."""
        M = self.centered_means / len(self.means) ** 0.5  # (K, p), Σ_b = MᵀM
        _, s, Vᵀ = torch.linalg.svd(M, full_matrices=False)
        kept = s > _ROUNDING * self._amplitude
        return Vᵀ[kept].T / s[kept]

    def _resolved_means(self) -> Tensor:
        """μ_c − μ̄ (K, p); exactly 0, with a warning, where the two coincide up to rounding."""
        M = self.centered_means
        lost = M.norm(dim=1) <= _ROUNDING * self._amplitude  # (K,)
        if lost.any():
            classes = lost.nonzero().flatten().tolist()
            warn_degenerate(
                f"the global mean is the mean of class {classes}: no direction (nan)", frames=4
            )
        return M.masked_fill(lost[:, None], 0.0)

    def _weights(self, weights) -> Tensor:
        W = as_matrix(weights, "weights", 1).to(self.means)
        if W.shape != self.means.shape:
            raise ValueError(
                f"weights must have shape (classes, features) = {tuple(self.means.shape)}, but "
                f"came with {tuple(W.shape)}; pass head.weight of the last nn.Linear as it is"
            )
        return W


@dataclass(frozen=True)
class SimplexETF:
    """Deviations of the class means from a simplex equiangular tight frame: see `nc2`."""

    equinorm: float
    equiangularity: float
    angle: float


@dataclass(frozen=True, eq=False)
class SelfDuality:
    """Distances of the last layer's weights from the class means: see `nc3`."""

    frobenius: float
    by_class: Tensor


def nc1(features, labels, *, ridge: float = 0.0) -> float:
    """NC1 = Tr(Σ_b⁺ Σ_W) (Eq. 26) of features (n, p) and labels (n,): 0 is collapsed, no bound.

    Σ_W is summed over the classes (Eq. 33), Σ_b averaged (Eq. 34). Papyan et al. (2020) average
    Σ_W over the samples and divide the trace by K once more: with balanced classes this value is
    K² times theirs, and K times Tr(avg(Σ_W) Σ_b⁺).

    ridge > 0 gives Tr((Σ_b + ridge·I)⁻¹ Σ_W), at most Tr Σ_W / ridge; the paper's tables use 1e-4
    (H.2). Without a ridge the value does not change with the scale of the features; with one it
    does. Within-class scatter in directions that separate no class is invisible to ridge = 0.

    Class means that all coincide: nan, with a DegenerateWarning (with a ridge: Tr Σ_W / ridge).
    ValueError on labels that are not class numbers 0..K-1, an empty class, fewer than 2 classes.

    Class means 1 and 5, so Σ_b = 4; variances 1 and 0, so Σ_W = 1:

    >>> features, labels = torch.tensor([[0.0], [2.0], [5.0], [5.0]]), torch.tensor([0, 0, 1, 1])
    >>> print(f"{nc1(features, labels):.3f}")
    0.250
    """
    return ClassStatistics.of(features, labels).nc1(ridge)


def nc2(features, labels) -> SimplexETF:
    """NC2 (Eq. 27) as Papyan et al. (2020) measure it: three deviations, each 0 when collapsed.

    With c_ij the cosine between μ_i − μ̄ and μ_j − μ̄, i ≠ j, of features (n, p), labels (n,):
    equinorm: standard deviation of the norms ‖μ_c − μ̄‖ over their mean.
    equiangularity: standard deviation of the c_ij.
    angle: mean of |c_ij + 1/(K − 1)|.
    Two classes are always an ETF: 0, 0, 0. A class whose mean is the global mean has no angle:
    nan, with a DegenerateWarning. ValueErrors are those of `nc1`.

    >>> etf = nc2(torch.eye(4).repeat(2, 1), torch.arange(4).repeat(2))
    >>> print(f"{etf.equinorm:.3f} {etf.equiangularity:.3f} {etf.angle:.3f}")
    0.000 0.000 0.000
    """
    return ClassStatistics.of(features, labels).nc2()


def nc3(features, labels, weights) -> SelfDuality:
    """NC3: how far the last layer's weights (K, p) point from the class means; 0 is collapsed.

    With M the (K, p) matrix of μ_c − μ̄, of features (n, p) and labels (n,):
    frobenius: ‖W/‖W‖ − M/‖M‖‖, Frobenius norms, in [0, 2] (Papyan et al., 2020).
    by_class: ‖w_i/‖w_i‖ − (μ_i − μ̄)/‖μ_i − μ̄‖‖ (Eq. 28), shape (K,), each in [0, 2]; unlike
        frobenius it ignores the relative lengths of the classes' weights.
    A zero vector has no direction: nan, with a DegenerateWarning. ValueErrors are those of `nc1`,
    and one for weights of another shape.

    >>> features, labels = torch.eye(3).repeat(2, 1), torch.arange(3).repeat(2)
    >>> print(f"{nc3(features, labels, 5 * (torch.eye(3) - 1 / 3)).frobenius:.3f}")
    0.000
    """
    return ClassStatistics.of(features, labels).nc3(weights)


def nc4(features, labels, weights, bias=None) -> float:
    """NC4 (Eq. 29): the share of samples on which the classifier argmax_i w_iᵀΦ(x) + b_i is not
    the nearest class mean argmin_i ‖Φ(x) − μ_i‖. In [0, 1], 0 is collapsed.

    features (n, p), labels (n,), weights (K, p), bias (K,) or None. Ties go to the first class.
    ValueErrors are those of `nc3`, and one for a bias of another shape or not finite.

    >>> features, labels = torch.eye(3).repeat(2, 1), torch.arange(3).repeat(2)
    >>> nc4(features, labels, torch.eye(3)), nc4(features, labels, -torch.eye(3))
    (0.0, 1.0)
    """
    Φ, labels = as_samples(features, labels)  # (n, p), (n,)
    stats = ClassStatistics.of(Φ, labels)
    μ, W = stats.means, stats._weights(weights)  # (K, p) each
    b = torch.zeros_like(μ[:, 0]) if bias is None else as_tensor(bias, "bias").to(μ)
    if b.shape != μ.shape[:1] or not b.isfinite().all():
        raise ValueError(
            f"bias must be {len(μ)} finite numbers, one for each class, but came with shape "
            f"{tuple(b.shape)}; pass head.bias as it is"
        )
    distances = torch.cdist(Φ, μ, compute_mode="donot_use_mm_for_euclid_dist")  # (n, K)
    disagree = (Φ @ W.T + b).argmax(dim=1) != distances.argmin(dim=1)  # (n,)
    return float(disagree.double().mean())


def trace_within(features, labels, *, average: bool = False) -> float:
    """Tr Σ_W of features (n, p) and labels (n,), in squared units of the features; 0 is collapsed.

    Summed over the classes as Eq. 33 says; average=True divides by K, as the values in the
    paper's Tables 6 and 7 do. ValueErrors are those of `nc1`.

    >>> print(f"{trace_within([[0.0], [2.0], [5.0], [5.0]], [0, 0, 1, 1]):.3f}")
    1.000
    """
    return ClassStatistics.of(features, labels).trace_within(average)


def as_samples(features, labels) -> tuple[Tensor, Tensor]:
    """Features (n, p) in float64 and labels (n,) as int64 on their device."""
    Φ = as_matrix(features, "features").double()  # (n, p)
    return Φ, as_labels(labels, len(Φ)).to(Φ.device)


def _require_classes(counts: Tensor, K: int) -> None:
    if len(counts) > K:
        raise ValueError(f"labels must lie in 0..{K - 1}, but {len(counts) - 1} came")
    if K < 2:
        raise ValueError("neural collapse needs at least 2 classes, but every label is 0")
    if (counts == 0).any():
        raise ValueError(
            f"every class needs a sample, but of classes 0..{K - 1} these have none: "
            f"{(counts == 0).nonzero().flatten().tolist()}; number the classes without gaps"
        )
