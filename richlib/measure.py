"""Features and outputs of a torch model, and its richness in one pass over a loader.

The features are what enters the network's last linear layer, the outputs what leaves it. Both are
taken in one forward pass with a hook, so the model's code is neither read nor changed.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, IterableDataset
from tqdm.auto import tqdm

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
        """Tr(Σ_b⁺Σ_W), 0 where classes have collapsed: see `richlib.collapse.nc1`."""
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
    for features, outputs, labels in _activations(model, loader, head, progress):
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


def features_and_outputs(
    model: nn.Module, loader: Iterable, *, head: nn.Linear | None = None
) -> tuple[Tensor, Tensor]:
    """Features (n, p) and outputs (n, C) of all samples, on the CPU, in the loader's order.

    Arguments and errors are those of `measure`, which needs less memory.
    """
    pairs = [(f.cpu(), o.cpu()) for f, o, _ in _activations(model, loader, head)]
    if not pairs:
        raise ValueError("the loader yielded no batch: there is nothing to measure")
    features, outputs = zip(*pairs, strict=True)
    return torch.cat(features), torch.cat(outputs)


def head_of(model: nn.Module, loader: Iterable) -> nn.Linear:
    """The last linear layer of a model, found on the first batch: see `find_head`."""
    model = _unwrapped(model)
    for inputs, _ in _batches(model, loader):
        return find_head(model, inputs)
    raise ValueError("the loader yielded no batch: there is nothing to find the head with")


def find_head(model: nn.Module, batch) -> nn.Linear:
    """The linear layer whose output the model returns for a batch, perhaps reshaped or widened.

    Raises ValueError where there is none, or more than one: give it as `head=` then.
    """
    ran: list[tuple[nn.Linear, Tensor]] = []
    linears = [module for module in model.modules() if isinstance(module, nn.Linear)]
    with _watched(linears, lambda layer, _, output: ran.append((layer, output.clone()))):
        returned = _outputs_in(_call(model, batch))
    found = {layer for layer, output in ran if _same(returned, output)}
    if len(found) == 1:
        return found.pop()
    if found:
        names = ", ".join(name for name, module in model.named_modules() if module in found)
        raise ValueError(
            f"the linear layers {names} all give what {type(model).__name__} returns for this "
            f"batch (all zero, or diverged?): name the last one yourself, as head=model.your_layer"
        )
    raise ValueError(
        f"{type(model).__name__} does not return the output of a linear layer (it ran "
        f"{len(ran)} of them): name the last linear layer yourself, as head=model.your_layer, or, "
        f"of tied, quantized or convolutional heads, take features and outputs yourself for "
        f"richlib.dlr(features, outputs)"
    )


def _outputs_in(returned):
    """The outputs in what a model returns: `.logits`, ["logits"], the first of a tuple, itself."""
    if hasattr(returned, "logits"):
        return returned.logits
    if isinstance(returned, Mapping):
        return returned.get("logits")
    return returned[0] if isinstance(returned, tuple | list) else returned


def _same(returned, output: Tensor) -> bool:
    """Whether output is what was returned, but for shape and dtype. NaN equals NaN: what a diverged
    network gives is said later.
    """
    if not isinstance(returned, Tensor) or not returned.is_floating_point():
        return False
    a, b = returned.flatten(), output.to(returned).flatten()
    return a.shape == b.shape and torch.allclose(a, b, rtol=0, atol=0, equal_nan=True)


def _activations(
    model: nn.Module, loader: Iterable, head: nn.Linear | None, progress: bool = False
) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
    """Yield features (n, p), outputs (n, C) and labels of each batch; tokens become samples."""
    if head is not None and not isinstance(head, nn.Linear):
        raise ValueError(
            f"head must be an nn.Linear, got {type(head).__name__}: take its features (n, p) and "
            f"outputs (n, C) yourself, for richlib.dlr(features, outputs)"
        )
    model = _unwrapped(model)
    for inputs, labels in _batches(model, loader, progress):
        head = head or find_head(model, inputs)
        features, outputs = _through(head, model, inputs)
        if features.ndim < 2:
            raise ValueError(
                f"the loader must yield batches, but what the head saw of one is of shape "
                f"{tuple(features.shape)}: put single samples together, as a DataLoader does"
            )
        yield features.flatten(end_dim=-2), outputs.flatten(end_dim=-2), labels


def _batches(model: nn.Module, loader: Iterable, progress: bool = False) -> Iterator[tuple]:
    """Inputs, on the model's device, and labels or None, of each batch."""
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    if device.type == "meta":
        raise ValueError(
            "the model is on the meta device, where nothing has a value: load it first"
        )
    for batch in tqdm(checked(loader), desc="measuring", disable=not progress):
        labels = batch[1] if isinstance(batch, tuple | list) and len(batch) > 1 else None
        inputs = batch[0] if isinstance(batch, tuple | list) else batch
        if isinstance(inputs, Tensor) and inputs.numel() == 0:
            raise ValueError(
                f"the loader yielded a batch of shape {tuple(inputs.shape)}, without samples: "
                f"leave empty batches out"
            )
        yield _moved(inputs, device), labels


def checked(loader: Iterable) -> Iterable:
    """The loader; ValueError where it is a single batch, or yields samples one by one."""
    if isinstance(loader, Tensor | np.ndarray):
        raise ValueError(
            f"loader must yield batches, got one {type(loader).__name__} of shape "
            f"{tuple(loader.shape)}: for a single batch give a list of it, [inputs]"
        )
    if isinstance(loader, Dataset) and not isinstance(loader, IterableDataset):
        raise ValueError(
            f"loader must yield batches, got a {type(loader).__name__}, which yields single "
            f"samples: give DataLoader(dataset, batch_size=256)"
        )
    if _is_a_pair(loader):
        raise ValueError(
            f"loader must yield batches, got one pair of tensors of shapes "
            f"{tuple(loader[0].shape)} and {tuple(loader[1].shape)}: for a single batch give a "
            f"list of it, [(inputs, labels)], and for two batches a list of them"
        )
    return loader


def _is_a_pair(loader: Iterable) -> bool:
    """Inputs and labels of the same samples, not two batches, which are of one dtype and rank."""
    if not isinstance(loader, tuple | list) or len(loader) != 2:
        return False
    a, b = loader
    if not isinstance(a, Tensor) or not isinstance(b, Tensor) or a.shape[:1] != b.shape[:1]:
        return False
    if (a.dtype, a.ndim) != (b.dtype, b.ndim):
        return True
    # Tokens and the next tokens are alike, too; a tuple of batches comes from tensor.split(n),
    # which leaves them one behind the other in memory.
    together = a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr()
    behind = b.storage_offset() - a.storage_offset() == a.stride(0) * len(a)
    return isinstance(loader, tuple) and not (together and behind)


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


def _unwrapped(model: nn.Module) -> nn.Module:
    """The network inside torch.compile, DataParallel and DistributedDataParallel."""
    parallel = nn.DataParallel | nn.parallel.DistributedDataParallel
    while True:
        if isinstance(model, parallel):
            model = model.module
        elif hasattr(model, "_orig_mod"):
            model = model._orig_mod
        else:
            return model


def _moved(batch, device):
    if isinstance(batch, Mapping):
        return {key: _moved(value, device) for key, value in batch.items()}
    return batch.to(device) if isinstance(batch, Tensor) else batch


def _call(model: nn.Module, batch):
    """What the model returns for a batch, in eval mode, without gradients and uncompiled."""
    with evaluation(model), torch.no_grad(), _uncompiled():
        return model(**batch) if isinstance(batch, Mapping) else model(batch)


def _through(head: nn.Linear, model: nn.Module, batch) -> tuple[Tensor, Tensor]:
    """What enters and what leaves `head` in one forward pass of `model`."""
    seen: list[tuple[Tensor, Tensor]] = []
    # Copies: the model may write over what it has given, and a small view holds all it is of.
    with _watched([head], lambda _, x, output: seen.append((x.clone(), output.clone()))):
        _call(model, batch)
    if len(seen) != 1:
        raise ValueError(
            f"the head must run once in a forward pass, but ran {len(seen)} times; "
            f"is it a layer of this model?"
        )
    return seen[0]


@contextmanager
def _watched(layers: Iterable[nn.Linear], see: Callable):
    """Whenever one of the layers has run inside, see(layer, its input, its output)."""

    def hook(layer, args, kwargs, output):
        (x,) = (*args, *kwargs.values())
        see(layer, x, output)

    handles = [layer.register_forward_hook(hook, with_kwargs=True) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _uncompiled():
    """Compiled parts run as they were written inside: their graphs know of no later hook."""
    # Where nothing was compiled dynamo is not loaded, and loading it takes seconds.
    compiled = "torch._dynamo" in sys.modules and hasattr(torch.compiler, "set_stance")
    return torch.compiler.set_stance("force_eager") if compiled else nullcontext()


@contextmanager
def evaluation(model: nn.Module):
    """Eval mode inside, every submodule's own mode restored after."""
    modes = [(module, module.training) for module in model.modules()]  # parents first
    model.eval()
    try:
        yield
    finally:
        # Through train(), which models override: LoRA takes its update out of the weights there.
        for module, training in modes:
            if module.training != training:
                module.train(training)
        for module, training in modes:  # whatever they made of it
            module.training = training
