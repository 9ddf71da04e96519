"""Streaming joint moments of features and outputs.

Everything D_LR needs is in the mean and the covariance of the pair (features, outputs), and neural
collapse needs class means besides. They are gathered here in one pass, batch by batch, so memory
does not grow with the number of samples, and partial results of several workers add up.

Samples are shifted by a constant reference of their class before they are multiplied. The result
does not depend on it; near the class mean, it keeps small variances from being swallowed by large
means, and within-class variances by those between classes.
"""

import torch
import torch.distributed as dist
from torch import Tensor

from richlib._checks import as_labels, as_matrices
from richlib.collapse import ClassStatistics

# Rows that are widened and multiplied at once: bounds the memory of a single large update.
_CHUNK = 8192


class Moments:
    """Mean and covariance of features (p) and outputs (C), accumulated over batches.

    num_classes: keep class means as well; every update then needs labels.
    product_dtype: precision of the products with features, which are summed in float64 over
        chunks of 8,192 samples. By default that of the input, at least float32, which moves D_LR by
        less than 1e-6; torch.float64 where eigenvalues below 1e-7 of the largest matter, or outputs
        below 1e-5 of the largest. Products of outputs among themselves are in float64.

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
        self._reference = torch.zeros(K, d, dtype=torch.float64, device=device)
        self._shift = torch.zeros(K, d, dtype=torch.float64, device=device)  # Σ (z − r)
        self._scatter = torch.zeros(d, d, dtype=torch.float64, device=device)  # Σ (z − r)(z − r)ᵀ
        self._work = (torch.empty(0), torch.empty(0))

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
        for Φ, F, c in zip(*chunks, strict=True):
            self._add(Φ, F, c, *self._workspace(len(c), dtype))
        return self

    def _workspace(self, n: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Tensors (n, d) and (d, p) to work in, kept from chunk to chunk: memory that is fresh
        costs more than the arithmetic on it.
        """
        z, product = self._work
        if len(z) < n or z.dtype != dtype:
            d, where = self.p + self.C, {"dtype": dtype, "device": self._counts.device}
            z, product = torch.empty(n, d, **where), torch.empty(d, self.p, **where)
            self._work = (z, product)
        return z[:n], product

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

    def _add(self, Φ: Tensor, F: Tensor, c: Tensor, z: Tensor, product: Tensor) -> None:
        """One chunk: Φ (n, p), F (n, C), classes c (n,); z (n, d), product (d, p) to work in."""
        p, K = self.p, len(self._counts)
        counts = torch.bincount(c, minlength=K).to(self._counts)
        new = (self._counts == 0) & (counts > 0)
        if new.any():  # the reference of a class is about its mean where it is first seen
            z[:, :p], z[:, p:] = Φ, F
            means = _class_sums(z, c, K).double() / counts[:, None]
            self._reference[new] = means[new].float().double()
        # A reference has the precision of float32, so narrowing it is exact.
        torch.index_select(self._reference.to(z.dtype), 0, c, out=z)
        torch.sub(Φ, z[:, :p], out=z[:, :p])
        torch.sub(F, z[:, p:], out=z[:, p:])
        torch.mm(z.T, z[:, :p], out=product)
        f = z[:, p:].double()  # (n, C)
        self._scatter[:, :p] += product
        self._scatter[p:, p:] += f.T @ f
        self._shift += _class_sums(z, c, K)
        self._counts += counts

    def merge(self, other: "Moments") -> "Moments":
        """Add the moments of other samples, gathered elsewhere; returns self."""
        self._require_shape("the other moments", other.p, other.C)
        if other.num_classes != self.num_classes:
            raise ValueError(
                f"moments with num_classes={self.num_classes} cannot take in moments with "
                f"num_classes={other.num_classes}"
            )
        other = other._copy(self._counts.device)
        unseen = self._counts == 0
        self._reference[unseen] = other._reference[unseen]
        other._rerefer(self._reference)
        self.resolution = max(self.resolution, other.resolution)
        self._counts += other._counts
        self._shift += other._shift
        self._scatter += other._scatter
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
        counts = self._counts.clone()
        sums = self._counts[:, None] * self._reference + self._shift  # (K, d)
        for total in (counts, sums):
            dist.all_reduce(total, group=group)
        self._rerefer(sums / counts.clamp(min=1)[:, None])
        for total in (self._shift, self._scatter):
            dist.all_reduce(total, group=group)
        self._counts = counts
        resolution = counts.new_tensor(self.resolution)
        dist.all_reduce(resolution, op=dist.ReduceOp.MAX, group=group)
        self.resolution = float(resolution)
        return self

    def _rerefer(self, reference: Tensor) -> None:
        """Move to another reference: z − r' = (z − r) + δ. Exact but for rounding."""
        δ = self._reference - reference  # (K, d)
        cross = self._shift.T @ δ  # (d, d)
        self._scatter += cross + cross.T + (δ * self._counts[:, None]).T @ δ
        self._shift += self._counts[:, None] * δ
        self._reference = reference.clone()

    def _copy(self, device=None) -> "Moments":
        return Moments.from_state(self.state(), device=device or self._counts.device)

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
    def _means(self) -> Tensor:
        """Class means of the joint samples, (K, d); the reference, where a class is empty."""
        return self._reference + self._shift / self._counts.clamp(min=1)[:, None]

    @property
    def mean(self) -> Tensor:
        """E[Z] of the joint samples Z = [Φ, F], shape (p + C,)."""
        return self._counts @ self._means / max(self.n, 1)

    def _within(self) -> Tensor:
        """Covariance about the class means, pooled over all samples, (d, d)."""
        p = self.p
        A = self._scatter.clone()
        A[:p, p:] = A[p:, :p].T
        s = self._shift / self._counts.clamp(min=1).sqrt()[:, None]
        return (A - s.T @ s) / self.n

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

        The covariance is pooled over samples and scaled as Eq. 33's sum over classes: equal to it
        for balanced classes, which neural collapse supposes; otherwise large classes weigh more.
        Raises ValueError without num_classes, or while a class has no samples.
        """
        if self.num_classes is None:
            raise ValueError("class statistics need labels: make Moments(p, C, num_classes=...)")
        if (empty := (self._counts == 0).nonzero()[:, 0].tolist()) != []:
            raise ValueError(f"no samples yet of the classes {empty}")
        p = self.p
        within = self._within()[:p, :p] * self.num_classes
        return ClassStatistics(counts=self._counts, means=self._means[:, :p], within=within)

    # Sugar for the reader: the formula itself lives in richness.py, which imports this module.
    def richness(self, *, estimator: str = "projection", rtol: float = 1e-6):
        """The low-rank measure with its provenance: see `richlib.richness`."""
        from richlib.richness import richness_of_moments

        return richness_of_moments(self, estimator=estimator, rtol=rtol)

    def dlr(self, *, estimator: str = "projection", rtol: float = 1e-6) -> float:
        """D_LR in [0, 1], 0 rich, 1 lazy: see `richlib.dlr`."""
        return self.richness(estimator=estimator, rtol=rtol).dlr


def _class_sums(z: Tensor, c: Tensor, K: int) -> Tensor:
    """Σ z over the samples of each class: z (n, d), c (n,) give (K, d)."""
    return z.new_zeros(K, z.shape[1]).index_add_(0, c, z)


_TENSORS = ("_counts", "_reference", "_shift", "_scatter")
