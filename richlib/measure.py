"""Richness of a torch model, measured in one pass over a loader."""

from collections.abc import Iterable
from functools import cached_property

import torch
from torch import Tensor, nn

from richlib.activations import activations
from richlib.collapse import ClassStatistics
from richlib.moments import Moments
from richlib.richness import Richness, effective_dimension, whitening
from richlib.spectrum import Eigenfunctions


class Measurement:
    """What one pass over the samples tells: computed from their joint `moments` on demand.

    Everything refers to the samples that were measured, and is kept once it is computed: after more
    samples have come into `moments`, make a new Measurement of them. Quality and utilization, too,
    are on the samples that the eigenfunctions were fitted on, where each looks a little better than
    it is: to judge on others, use `eigenfunctions`.

    >>> outputs = torch.eye(3).repeat(5, 1)
    >>> m = Measurement(Moments.of(outputs, outputs))
    >>> print(f"{m.dlr:.3f}, {m.effective_dimension:.3f}")
    0.000, 3.000
    """

    def __init__(self, moments: Moments):
        self.moments = moments

    @cached_property
    def richness(self) -> Richness:
        """D_LR by Definition 1, with the rank and the sizes it was computed from."""
        return self.moments.richness()

    @property
    def dlr(self) -> float:
        """D_LR in [0, 1]: 0 rich, 1 lazy."""
        return self.richness.dlr

    @cached_property
    def eigenfunctions(self) -> Eigenfunctions:
        """The eigenfunctions of T, fitted on these samples: evaluate them on others."""
        return Eigenfunctions.of_moments(self.moments)

    @property
    def eigenvalues(self) -> Tensor:
        """Eigenvalues ρ_k of T, decreasing, shape (k,)."""
        return self.eigenfunctions.eigenvalues

    @property
    def effective_dimension(self) -> float:
        """D_eff (Eq. 9) of the eigenvalues: how many features count."""
        return effective_dimension(self.eigenvalues)

    @property
    def utilization(self) -> Tensor:
        """Cumulative utilization Π̂(k) (Eq. 5 ii), shape (k,): 1 at k = C where rich."""
        p = self.moments.p
        second_moment = self.moments.second_moment
        W = whitening(second_moment[p:, p:])  # (C, rank)
        return self.eigenfunctions.cumulative_power(W.T @ second_moment[p:, :p])

    @cached_property
    def classes(self) -> ClassStatistics:
        """Class means and within-class covariance; ValueError without num_classes."""
        return self.moments.class_statistics()

    @property
    def quality(self) -> Tensor:
        """Cumulative quality Π*(k) (Eq. 5 i) for the class indicators as target, shape (k,)."""
        share = self.classes.counts / self.moments.n  # (K,)
        return self.eigenfunctions.cumulative_power(share.sqrt()[:, None] * self.classes.means)

    @property
    def nc1(self) -> float:
        """Tr(Σ_b⁺Σ_W), 0 where classes have collapsed: as `richlib.collapse.nc1` where classes are
        balanced. Otherwise large classes weigh more, and a warning says so.
        """
        return self.classes.nc1()

    def __repr__(self) -> str:
        r = self.richness
        return f"Measurement(dlr={r.dlr:.4f}, rank={r.rank}, n={r.n}, p={r.p}, C={r.C})"


def measure(
    model: nn.Module,
    loader: Iterable,
    *,
    head: nn.Linear | None = None,
    num_classes: int | None = None,
    max_samples: int | None = None,
    progress: bool = False,
) -> Measurement:
    """Measure how richly `model` has learned, on the samples of `loader`.

    loader: yields batches: inputs, (inputs, labels, ...), or a dict of keyword arguments for the
        model. Labels are used only with num_classes, for quality and neural collapse.
    head: the last linear layer, found by itself where the model returns what that layer gives (as
        a tensor, as the first of a tuple, as `.logits` or as ["logits"]).
    max_samples: stop after so many. progress: show a bar.

    The model runs in eval mode without gradients and is left as it was; wrappers of DataParallel,
    DistributedDataParallel and torch.compile are looked through. Tokens count as samples, and those
    that only pad a sequence do, too. Give many more samples than features: on few, lazy networks
    read too rich. The chapter "Measure your own network" has more on both. Memory does not grow
    with the number of samples. Raises ValueError where there is no linear head, or more than
    one, and on what is not a loader of batches.

    >>> _ = torch.manual_seed(0)
    >>> model = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 3))
    >>> measure(model, torch.randn(512, 20).split(128))
    Measurement(dlr=0.5972, rank=3, n=512, p=64, C=3)
    """
    if max_samples is not None and max_samples < 2:
        raise ValueError(f"max_samples must be at least 2, or None for all, got {max_samples}")
    moments = None
    for features, outputs, labels in activations(model, loader, head, progress):
        if moments is None:
            sizes = features.shape[1], outputs.shape[1]
            moments = Moments(*sizes, num_classes, device=_with_float64(features.device))
        left = None if max_samples is None else max_samples - moments.n
        labels = _required(labels, len(features))[:left] if num_classes else None
        moments.update(features[:left], outputs[:left], labels)
        if moments.n == max_samples:
            break
    if moments is None:
        raise ValueError("the loader yielded no batch: there is nothing to measure")
    return Measurement(moments)


def _required(labels: Tensor | None, n: int) -> Tensor:
    if labels is None:
        raise ValueError("num_classes needs labels: let the loader yield (inputs, labels)")
    labels = torch.as_tensor(labels)
    if labels.numel() != n:
        raise ValueError(
            f"the loader yielded {labels.numel()} labels for {n} samples, in shape "
            f"{tuple(labels.shape)}: give one class number each, of one-hot rows .argmax(dim=-1)"
        )
    return labels.flatten()


def _with_float64(device: torch.device) -> torch.device:
    """The device itself, or the CPU: the GPUs of Apple have no float64, which sums are kept in."""
    return torch.device("cpu") if device.type == "mps" else device
