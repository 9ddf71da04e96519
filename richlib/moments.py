"""Streaming joint moments of features and outputs.

Everything D_LR needs is in the mean and the covariance of the pair (features, outputs), and neural
collapse needs class means besides. They are gathered here in one pass, batch by batch, so memory
does not grow with the number of samples, and partial results of several workers add up.

Each chunk of samples is centered on its own class means before it is multiplied, and joins the rest
by the means of the two (Chan, Golub & LeVeque, 1983). Large means then swallow no small variances,
variances between classes none within them, and an outlying sample none that come after it.
"""

import torch
import torch.distributed as dist
from torch import Tensor

from richlib._checks import as_labels, as_matrices
from richlib.collapse import ClassStatistics

# Rows that are widened and multiplied at once: few enough to stay in the processor's cache, and a
# bound on the memory of a single large update.
_CHUNK = 1024


class Moments:
    """Mean and covariance of features (p) and outputs (C), accumulated over batches.

    num_classes: keep class means as well; every update then needs labels.
    product_dtype: precision of the products of features among themselves. By default that of the
        input, at least float32, which moves D_LR by less than 1e-6; torch.float64 where eigenvalues
        below 1e-7 of the largest matter. All else is in float64: means, sums, and the products
        with outputs, which may be faint beside each other.

    The order and the size of the batches change the result by rounding only.

    >>> from richlib import dlr
    >>> features = torch.randn(100, 8, generator=torch.Generator().manual_seed(0))
    >>> outputs = features[:, :3]
    >>> moments = Moments(p=8, C=3)
    >>> for start in range(0, 100, 20):
    ...     _ = moments.update(features[start : start + 20], outputs[start : start + 20])
    >>> moments.n
    100
    >>> abs(moments.dlr() - dlr(features, outputs)) < 1e-6
    True
    """

    def __init__(
        self,
        p: int,
        C: int,
        num_classes: int | None = None,
        *,
        product_dtype: torch.dtype | None = None,
        device="cpu",
    ):
        if p < 1 or C < 1:
            raise ValueError(f"Moments needs p >= 1 features and C >= 1 outputs, got p={p}, C={C}")
        if num_classes is not None and num_classes < 2:
            raise ValueError(f"num_classes must be at least 2, or None, got {num_classes}")
        self.p, self.C, self.num_classes = p, C, num_classes
        self.product_dtype = product_dtype
        self.resolution = 0.0  # unit roundoff of the coarsest product of features so far
        K, d = num_classes or 1, p + C
        self._counts = torch.zeros(K, dtype=torch.float64, device=device)
        self._means = torch.zeros(K, d, dtype=torch.float64, device=device)  # 0 of an empty class
        # Σ (z − μ_c)(z − μ_c)ᵀ; the upper right block is not kept up, it mirrors the lower left.
        self._scatter = torch.zeros(d, d, dtype=torch.float64, device=device)

    @classmethod
    def of(cls, features, outputs, labels=None, *, num_classes: int | None = None) -> "Moments":
        """The moments of one set of samples: features (n, p), outputs (n, C), labels (n,).

        With the samples at hand there is no hurry: all products are in float64.
        """
        features, outputs = as_matrices(features=features, outputs=outputs)
        moments = cls(
            features.shape[1],
            outputs.shape[1],
            num_classes,
            product_dtype=torch.float64,
            device=features.device,
        )
        return moments.update(features, outputs, labels)

    @property
    def n(self) -> int:
        """Number of samples so far."""
        return int(self._counts.sum())

    def update(self, features, outputs, labels=None) -> "Moments":
        """Add a batch of n >= 1 samples: features (n, p), outputs (n, C), labels (n,).

        Returns self. Raises ValueError on anything but finite real matrices of these shapes, and
        on labels that are missing, or not integers in 0..num_classes-1; nothing is added then.
        """
        features, outputs = as_matrices(1, features=features, outputs=outputs)
        self._require_shape("a batch", features.shape[1], outputs.shape[1])
        labels = self._labels(labels, len(features))
        dtype = self.product_dtype or torch.promote_types(features.dtype, outputs.dtype)
        dtype = torch.promote_types(dtype, torch.float32)
        self.resolution = max(self.resolution, torch.finfo(dtype).eps)
        device = self._counts.device
        chunks = (x.to(device).split(_CHUNK) for x in (features, outputs, labels))
        with torch.autocast(device.type, enabled=False):  # it would multiply in half precision
            for Φ, F, c in zip(*chunks, strict=True):
                self._add(Φ, F, c, dtype)
        return self

    def _labels(self, labels, n: int) -> Tensor:
        if (labels is None) != (self.num_classes is None):
            raise ValueError(
                "labels and num_classes go together: these moments were made with "
                f"num_classes={self.num_classes}, and the update came "
                f"{'without' if labels is None else 'with'} labels"
            )
        if labels is None:
            return torch.zeros(n, dtype=torch.long)
        return as_labels(labels, n, self.num_classes)

    def _add(self, Φ: Tensor, F: Tensor, c: Tensor, dtype: torch.dtype) -> None:
        """One chunk: Φ (n, p), F (n, C), classes c (n,); dtype of the products of features."""
        p, K = self.p, len(self._counts)
        z = torch.empty(len(c), p + self.C, dtype=torch.float64, device=Φ.device)  # (n, d)
        z[:, :p], z[:, p:] = Φ, F
        counts = torch.bincount(c, minlength=K).to(self._counts)
        sums = torch.zeros_like(self._means).index_add_(0, c, z)
        means = sums / counts.clamp(min=1)[:, None]  # (K, d)
        z -= means[c]
        unit = power_of_two(z[:, :p])  # or squares of tiny features vanish in float32
        φ = torch.div(z[:, :p], unit, out=torch.empty_like(Φ, dtype=dtype))
        self._scatter[:p, :p].add_(φ.T @ φ, alpha=unit**2)
        self._scatter[p:] += z[:, p:].T @ z
        self._join(counts, means)

    def _join(self, counts: Tensor, means: Tensor) -> None:
        """Take in counts (K,) and means (K, d) of samples whose scatter has been added."""
        seen = counts > 0
        here, come = self._counts[seen], counts[seen]
        δ = means[seen] - self._means[seen]
        share = (come / (here + come))[:, None]
        self._scatter.addmm_((here[:, None] * share * δ).T, δ)
        self._means[seen] += share * δ
        self._counts += counts

    def merge(self, other: "Moments") -> "Moments":
        """Add the moments of other samples, gathered elsewhere; returns self."""
        self._require_shape("the other moments", other.p, other.C)
        if other.num_classes != self.num_classes:
            raise ValueError(
                f"moments with num_classes={self.num_classes} cannot take in moments with "
                f"num_classes={other.num_classes}"
            )
        counts, means, scatter = (getattr(other, name).to(self._counts) for name in _TENSORS)
        self.resolution = max(self.resolution, other.resolution)
        self._scatter += scatter
        self._join(counts, means)
        return self

    def all_reduce(self, group=None) -> "Moments":
        """Add up the moments of all processes of a `torch.distributed` group, on each of them.

        Shards may differ in size and may be empty. Returns self. ValueError, on every process,
        where the processes hold moments of different shapes.
        """
        shape = torch.tensor([self.p, self.C, self.num_classes or 0], device=self._counts.device)
        extremes = torch.stack([shape, -shape])
        dist.all_reduce(extremes, op=dist.ReduceOp.MAX, group=group)
        if not torch.equal(extremes[0], -extremes[1]):
            raise ValueError(
                f"all processes must hold moments of one shape; this one has p={self.p}, "
                f"C={self.C}, num_classes={self.num_classes}, another differs"
            )
        counts, sums = self._counts.clone(), self._counts[:, None] * self._means
        for total in (counts, sums):
            dist.all_reduce(total, group=group)
        means = sums / counts.clamp(min=1)[:, None]  # (K, d), of all processes
        δ = self._means - means
        self._scatter.addmm_((self._counts[:, None] * δ).T, δ)
        dist.all_reduce(self._scatter, group=group)
        self._counts, self._means = counts, means
        resolution = counts.new_tensor(self.resolution)
        dist.all_reduce(resolution, op=dist.ReduceOp.MAX, group=group)
        self.resolution = float(resolution)
        return self

    def state(self) -> dict:
        """All there is, as numbers and tensors: for torch.save, and torch.load(weights_only=True).

        >>> moments = Moments.of(torch.eye(4), torch.eye(4))
        >>> Moments.from_state(moments.state()).n
        4
        """
        tensors = {name: getattr(self, name).clone() for name in _TENSORS}
        sizes = {"p": self.p, "C": self.C, "num_classes": self.num_classes}
        precision = {"product_dtype": self.product_dtype, "resolution": self.resolution}
        return sizes | precision | tensors

    @classmethod
    def from_state(cls, state: dict, *, device="cpu") -> "Moments":
        """Moments as `state` left them."""
        moments = cls(
            state["p"],
            state["C"],
            state["num_classes"],
            product_dtype=state["product_dtype"],
            device=device,
        )
        moments.resolution = state["resolution"]
        for name in _TENSORS:
            setattr(moments, name, state[name].to(device, copy=True))
        return moments

    def _require_shape(self, what: str, p: int, C: int) -> None:
        if (p, C) != (self.p, self.C):
            raise ValueError(
                f"{what} must have p={self.p} features and C={self.C} outputs like these moments, "
                f"but has p={p}, C={C}"
            )

    @property
    def mean(self) -> Tensor:
        """E[Z] of the joint samples Z = [Φ, F], shape (p + C,)."""
        return self._counts @ self._means / max(self.n, 1)

    def _within(self) -> Tensor:
        """Covariance about the class means, pooled over all samples, (d, d)."""
        p = self.p
        A = self._scatter / self.n
        A[:p, p:] = A[p:, :p].T
        return A

    @property
    def covariance(self) -> Tensor:
        """cov(Z) of the joint samples Z = [Φ, F], normalized by 1/n, shape (p + C, p + C)."""
        if self.n < 2:
            raise ValueError(f"moments need at least 2 samples, but hold {self.n}: call update")
        between = (self._means - self.mean) * (self._counts / self.n).sqrt()[:, None]  # (K, d)
        return self._within() + between.T @ between

    @property
    def second_moment(self) -> Tensor:
        """E[ZZᵀ] of the joint samples Z = [Φ, F], uncentered, shape (p + C, p + C)."""
        return self.covariance + torch.outer(self.mean, self.mean)

    def class_statistics(self) -> ClassStatistics:
        """Counts, feature means and within-class covariance of the classes, for neural collapse.

        The covariance is pooled over all samples, which is Eq. 33 for balanced classes only: NC1
        and Tr Σ_W warn where the largest class has more than 1.5 times the samples of the smallest.
        Raises ValueError without num_classes, or while a class has no samples.
        """
        if self.num_classes is None:
            raise ValueError("class statistics need labels: make Moments(p, C, num_classes=...)")
        if (empty := (self._counts == 0).nonzero()[:, 0].tolist()) != []:
            raise ValueError(f"no samples yet of the classes {empty}")
        p = self.p
        within = self._within()[:p, :p] * self.num_classes
        return ClassStatistics(self._counts, self._means[:, :p], within, pooled=True)

    # Sugar for the reader: the formula itself lives in richness.py, which imports this module.
    def richness(self, *, estimator: str = "projection", rtol: float = 1e-6):
        """The low-rank measure with its provenance: see `richlib.richness`."""
        from richlib.richness import richness_of_moments

        return richness_of_moments(self, estimator=estimator, rtol=rtol)

    def dlr(self, *, estimator: str = "projection", rtol: float = 1e-6) -> float:
        """D_LR in [0, 1], 0 rich, 1 lazy: see `richlib.dlr`."""
        return self.richness(estimator=estimator, rtol=rtol).dlr


def power_of_two(x: Tensor) -> float:
    """The power of two just above the largest |x|: dividing by it is exact; 1 where x is 0."""
    return 2.0 ** int(torch.frexp(torch.linalg.vector_norm(x, ord=torch.inf)).exponent)


_TENSORS = ("_counts", "_means", "_scatter")
