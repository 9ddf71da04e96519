"""Streaming joint moments of features and outputs.

Everything D_LR needs is in the mean and the covariance of the pair (features, outputs). They are
gathered here in one pass, in float64, batch by batch, so memory does not grow with the number of
samples, and partial results from several workers merge without loss.
"""

import torch
from torch import Tensor

from richlib._checks import as_matrices

# Rows that are widened and multiplied at once: bounds the memory of a single large update.
_CHUNK = 4096


class Moments:
    """Mean and covariance of features (p) and outputs (C), accumulated over batches.

    Batches are combined by the pairwise update of Chan, Golub and LeVeque (1983), which centres
    each batch on its own mean first, so large means do not swallow small variances. The order and
    the size of the batches change the result by rounding only.

    >>> features = torch.randn(100, 8, generator=torch.Generator().manual_seed(0))
    >>> outputs = features[:, :3]
    >>> moments = Moments(p=8, C=3)
    >>> for start in range(0, 100, 20):
    ...     _ = moments.update(features[start : start + 20], outputs[start : start + 20])
    >>> moments.n
    100
    >>> abs(moments.dlr() - Moments.of(features, outputs).dlr()) < 1e-12
    True
    """

    def __init__(self, p: int, C: int, *, device="cpu"):
        if p < 1 or C < 1:
            raise ValueError(f"Moments needs p >= 1 features and C >= 1 outputs, got p={p}, C={C}")
        self.p, self.C, self.n = p, C, 0
        self.mean = torch.zeros(p + C, dtype=torch.float64, device=device)
        self.scatter = torch.zeros(p + C, p + C, dtype=torch.float64, device=device)

    @classmethod
    def of(cls, features, outputs) -> "Moments":
        """The moments of one set of samples: features (n, p), outputs (n, C)."""
        features, outputs = as_matrices(features=features, outputs=outputs)
        moments = cls(features.shape[1], outputs.shape[1], device=features.device)
        return moments.update(features, outputs)

    def update(self, features, outputs) -> "Moments":
        """Add a batch of n >= 1 samples: features (n, p), outputs (n, C); returns self.

        Raises ValueError on anything but finite real matrices of these shapes.
        """
        features, outputs = as_matrices(1, features=features, outputs=outputs)
        self._require_shape("a batch", features.shape[1], outputs.shape[1])
        for Φ, F in zip(features.split(_CHUNK), outputs.split(_CHUNK), strict=True):
            Z = torch.cat([Φ.double(), F.double()], dim=1).to(self.mean.device)  # (rows, p + C)
            mean = Z.mean(dim=0)
            Z -= mean
            self._absorb(len(Z), mean, Z.T @ Z)
        return self

    def merge(self, other: "Moments") -> "Moments":
        """Add the moments of other samples, gathered elsewhere; returns self."""
        self._require_shape("the other moments", other.p, other.C)
        self._absorb(other.n, other.mean.to(self.mean), other.scatter.to(self.scatter))
        return self

    def _absorb(self, n: int, mean: Tensor, scatter: Tensor) -> None:
        if n == 0:
            return
        total = self.n + n
        step = mean - self.mean  # (p + C,)
        self.scatter += scatter + (self.n * n / total) * torch.outer(step, step)
        self.mean += step * (n / total)
        self.n = total

    def _require_shape(self, what: str, p: int, C: int) -> None:
        if (p, C) != (self.p, self.C):
            raise ValueError(
                f"{what} must have p={self.p} features and C={self.C} outputs like these moments, "
                f"but has p={p}, C={C}"
            )

    def _covariance(self) -> Tensor:
        if self.n < 2:
            raise ValueError(f"moments need at least 2 samples, but hold {self.n}: call update")
        return self.scatter / self.n

    @property
    def feature_covariance(self) -> Tensor:
        """cov(Φ), shape (p, p), normalized by 1/n."""
        return self._covariance()[: self.p, : self.p]

    @property
    def output_covariance(self) -> Tensor:
        """cov(F), shape (C, C), normalized by 1/n."""
        return self._covariance()[self.p :, self.p :]

    @property
    def cross_covariance(self) -> Tensor:
        """cov(F, Φ), shape (C, p), normalized by 1/n."""
        return self._covariance()[self.p :, : self.p]

    @property
    def second_moment(self) -> Tensor:
        """E[ZᵀZ] of the joint samples Z = [Φ, F], uncentred, shape (p + C, p + C)."""
        return self._covariance() + torch.outer(self.mean, self.mean)

    # Sugar for the reader: the formula itself lives in richness.py, which imports this module.
    def richness(self, *, estimator: str = "projection", rtol: float = 1e-6):
        """The low-rank measure with its provenance: see `richlib.richness`."""
        from richlib.richness import richness_of_moments

        return richness_of_moments(self, estimator=estimator, rtol=rtol)

    def dlr(self, *, estimator: str = "projection", rtol: float = 1e-6) -> float:
        """D_LR in [0, 1], 0 rich, 1 lazy: see `richlib.dlr`."""
        return self.richness(estimator=estimator, rtol=rtol).dlr
