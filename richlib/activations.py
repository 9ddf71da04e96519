"""Features and outputs of any torch model, taken with a hook.

The features are what enters the network's last linear layer, the outputs what leaves it. Both are
taken in one forward pass, so the model's code is neither read nor changed.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, IterableDataset
from tqdm.auto import tqdm


def features_and_outputs(
    model: nn.Module, loader: Iterable, *, head: nn.Linear | None = None
) -> tuple[Tensor, Tensor]:
    """Features (n, p) and outputs (n, C) of all samples, on the CPU, in the loader's order.

    Arguments and errors are those of `measure`, which needs less memory.
    """
    pairs = [(f.cpu(), o.cpu()) for f, o, _ in activations(model, loader, head)]
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


def activations(
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
            f"list of it, [(inputs, labels)]"
        )
    return loader


def _is_a_pair(loader: Iterable) -> bool:
    """Inputs and labels of the same samples; two batches are of one dtype and rank."""
    if not isinstance(loader, tuple | list) or len(loader) != 2:
        return False
    a, b = loader
    if not isinstance(a, Tensor) or not isinstance(b, Tensor) or a.shape[:1] != b.shape[:1]:
        return False
    return (a.dtype, a.ndim) != (b.dtype, b.ndim)


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
