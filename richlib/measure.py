"""Features and outputs of a torch model, and its richness in one pass over a loader.

The features are what enters the network's last linear layer, the outputs what leaves it. Both are
taken in one forward pass with a hook, so the model's code is neither read nor changed.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property

import torch
from torch import Tensor, nn

from richlib.moments import Moments
from richlib.richness import Richness, effective_dimension
from richlib.spectrum import Eigenfunctions


class Measurement:
    """What one pass over the samples tells: computed from their joint `moments` on demand."""

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
        p = self.moments.p
        return Eigenfunctions.of_second_moment(self.moments.second_moment[:p, :p], self.moments.n)

    @property
    def eigenvalues(self) -> Tensor:
        """Eigenvalues ρ_k of T, decreasing, shape (k,)."""
        return self.eigenfunctions.eigenvalues

    @property
    def effective_dimension(self) -> float:
        """D_eff (Eq. 9) of the eigenvalues: how many features count."""
        return effective_dimension(self.eigenvalues)

    def __repr__(self) -> str:
        r = self.richness
        return f"Measurement(dlr={r.dlr:.4f}, rank={r.rank}, n={r.n}, p={r.p}, C={r.C})"


def measure(
    model: nn.Module, loader: Iterable, *, head: nn.Linear | None = None, max_samples=None
) -> Measurement:
    """Measure how richly `model` has learned, on the samples of `loader`.

    loader yields inputs or (inputs, labels, ...) batches; labels are not used. head is the last
    linear layer, found by itself where the model returns that layer's output unchanged. The model
    is run in eval mode without gradients, and left as it was. Memory does not grow with the number
    of samples; max_samples stops early. D_LR is exact on the samples that were seen.

    Raises ValueError where no such layer exists or the loader is empty.

    >>> _ = torch.manual_seed(0)
    >>> model = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 3))
    >>> measure(model, torch.randn(512, 20).split(128))
    Measurement(dlr=0.5972, rank=3, n=512, p=64, C=3)
    """
    moments = None
    for features, outputs in _activations(model, loader, head):
        if moments is None:
            moments = Moments(features.shape[1], outputs.shape[1], device=features.device)
        left = len(features) if max_samples is None else max_samples - moments.n
        moments.update(features[:left], outputs[:left])
        if moments.n == max_samples:
            break
    if moments is None:
        raise ValueError("the loader yielded no batch: there is nothing to measure")
    return Measurement(moments)


def features_and_outputs(
    model: nn.Module, loader: Iterable, *, head: nn.Linear | None = None
) -> tuple[Tensor, Tensor]:
    """Features (n, p) and outputs (n, C) of all samples, on the CPU, in the loader's order.

    Arguments and errors are those of `measure`, which needs less memory.
    """
    pairs = [(f.cpu(), o.cpu()) for f, o in _activations(model, loader, head)]
    if not pairs:
        raise ValueError("the loader yielded no batch: there is nothing to measure")
    features, outputs = zip(*pairs, strict=True)
    return torch.cat(features), torch.cat(outputs)


def find_head(model: nn.Module, inputs) -> nn.Linear:
    """The linear layer whose output the model returns for `inputs`, unchanged.

    Raises ValueError where there is none: give it as `head=` then.
    """
    last: list[tuple[nn.Linear, Tensor]] = []
    linears = [module for module in model.modules() if isinstance(module, nn.Linear)]
    hooks = [m.register_forward_hook(lambda m, _, out: last.append((m, out))) for m in linears]
    try:
        returned = model(inputs)
    finally:
        for hook in hooks:
            hook.remove()
    for layer, output in reversed(last):
        if output is returned or (
            isinstance(returned, Tensor)
            and returned.shape == output.shape
            and torch.equal(returned, output)
        ):
            return layer
    raise ValueError(
        f"{type(model).__name__} does not return the output of a linear layer (it ran "
        f"{len(last)} of them): name the last linear layer yourself, as head=model.your_layer"
    )


def _activations(
    model: nn.Module, loader: Iterable, head: nn.Linear | None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield (features, outputs) of each batch; further dimensions (tokens) become samples."""
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    with _evaluation(model), torch.no_grad():
        for batch in loader:
            inputs = batch[0] if isinstance(batch, tuple | list) else batch
            inputs = inputs.to(device)
            if head is None:
                head = find_head(model, inputs)
            features, outputs = _through(head, model, inputs)
            yield features.flatten(end_dim=-2), outputs.flatten(end_dim=-2)


def _through(head: nn.Linear, model: nn.Module, inputs) -> tuple[Tensor, Tensor]:
    """What enters and what leaves `head` in one forward pass of `model`."""
    seen: list[tuple[Tensor, Tensor]] = []
    hook = head.register_forward_hook(lambda _, args, output: seen.append((args[0], output)))
    try:
        model(inputs)
    finally:
        hook.remove()
    if len(seen) != 1:
        raise ValueError(
            f"the head must run once in a forward pass, but ran {len(seen)} times; "
            f"is it a layer of this model?"
        )
    return seen[0]


@contextmanager
def _evaluation(model: nn.Module):
    """Eval mode inside, every submodule's own mode restored after."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
