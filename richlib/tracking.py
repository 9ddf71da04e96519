"""Richness during training: a light callback for any loop."""

import math
import time
from collections.abc import Iterable

import torch
from torch import nn

from richlib._checks import warn_degenerate
from richlib.activations import checked, features_and_outputs, head_of
from richlib.operators import reduced_features
from richlib.richness import dlr, effective_dimension


class Tracker:
    """Measures a model every `every` steps on a fixed set of samples.

    model, head: as for `richlib.measure`.
    samples: the probe, a list of batches (the same at every measurement, or curves are noise).
        A few hundred samples follow the changes, at a cost of about one step of training; on fewer
        samples than features D_LR is not quite that of all samples (Appendix J).
    writer: anything with add_scalar(tag, value, step), such as TensorBoard's SummaryWriter.

    Call the tracker after each optimizer step. `history` holds the lists "step", "dlr" and
    "effective_dimension"; `share` is the part of the time since the start that measuring took.
    What is not defined, because features are constant or the training diverged, is recorded as
    nan, with a DegenerateWarning the first time, and the training goes on.

    >>> import torch
    >>> _ = torch.manual_seed(0)
    >>> model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
    >>> track = Tracker(model, [torch.randn(64, 4)], every=10)
    >>> for step in range(25):
    ...     # forward, backward, optimizer.step(), and then:
    ...     values = track()
    >>> track.history["step"]
    [0, 10, 20]
    """

    def __init__(
        self,
        model: nn.Module,
        samples: Iterable,
        *,
        every: int = 100,
        head: nn.Linear | None = None,
        writer=None,
    ):
        if every < 1:
            raise ValueError(f"every must be at least 1 step, got {every}")
        self.model, self.samples, self.every = model, list(checked(samples)), every
        self.writer = writer
        self.head = head or head_of(model, self.samples)  # once: finding it takes a forward pass
        self.history: dict[str, list[float]] = {"step": [], "dlr": [], "effective_dimension": []}
        self._warned = False
        self._step, self._spent, self._start = 0, 0.0, time.perf_counter()

    def __call__(self) -> dict[str, float] | None:
        """One step is done; returns "dlr" and "effective_dimension" where they were due."""
        step, self._step = self._step, self._step + 1
        if step % self.every:
            return None
        begin = time.perf_counter()
        values = self._values()
        self.history["step"].append(step)
        for name, value in values.items():
            self.history[name].append(value)
            if self.writer is not None:
                self.writer.add_scalar(f"richness/{name}", value, step)
        self._spent += time.perf_counter() - begin
        return values

    def _values(self) -> dict[str, float]:
        features, outputs = features_and_outputs(self.model, self.samples, head=self.head)
        values = {"dlr": math.nan, "effective_dimension": math.nan}
        try:
            if (features == features[0]).all():  # reducing would make rounding noise of them
                raise ValueError("the features are constant over the samples")
            Φ = reduced_features(features).double()  # (n, min(n, p))
            values["dlr"] = dlr(Φ, outputs)
            if Φ.shape == features.shape:
                eigenvalues = torch.linalg.eigvalsh(Φ.T @ Φ)
            else:  # reduced features are orthogonal: their squares are the eigenvalues
                eigenvalues = (Φ * Φ).sum(dim=0)
            eigenvalues = eigenvalues.flip(0).clamp(min=0)
            values["effective_dimension"] = effective_dimension(eigenvalues)
        except ValueError as undefined:
            if not self._warned:
                warn_degenerate(f"the tracker records nan: {undefined}", frames=3)
                self._warned = True
        return values

    @property
    def share(self) -> float:
        """Time spent measuring, as a part of all time since the tracker was made, in [0, 1]."""
        return self._spent / (time.perf_counter() - self._start)
