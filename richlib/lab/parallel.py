"""Several processes train and measure one run, as torchrun starts them; alone, nothing changes.

Each process holds the data set and a copy of the network. Of every batch it takes a share, and
gradients are averaged, so that the recipe, its batch size included, is that of one process.
"""

import os
from collections.abc import Callable
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


@contextmanager
def joined(device: str):
    """Join the processes that torchrun has started, if it has; gives this one's device."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield device
        return
    if device == "cuda":
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    try:
        yield device
    finally:
        dist.destroy_process_group()


def rank() -> int:
    """The number of this process; 0 is the one that writes."""
    return dist.get_rank() if dist.is_initialized() else 0


def world() -> int:
    """The number of processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


def share(x: Tensor) -> Tensor:
    """This process's samples of x (n, ...): every `world`-th."""
    return x[rank() :: world()] if world() > 1 else x


def gathered(x: Tensor, n: int) -> Tensor:
    """The n samples of which each process has its `share` x, on all of them."""
    if world() == 1:
        return x
    padded = x.new_zeros(-(-n // world()), *x.shape[1:])
    padded[: len(x)] = x
    shares = [torch.empty_like(padded) for _ in range(world())]
    dist.all_gather(shares, padded)
    return torch.stack(shares, dim=1).flatten(0, 1)[:n]


def everywhere(condition: Tensor) -> bool:
    """Whether a condition holds in all processes."""
    if world() > 1:
        condition = condition.to(torch.uint8)
        dist.all_reduce(condition, op=dist.ReduceOp.MIN)
    return bool(condition)


def told(value: Callable):
    """What value() gives in process 0, told to all of them: files are read there alone."""
    if world() == 1:
        return value()
    box = [value() if rank() == 0 else None]
    dist.broadcast_object_list(box)
    return box[0]


def wrapped(model: nn.Module) -> nn.Module:
    """The model with gradients averaged, and batch statistics shared, over all processes."""
    if world() == 1:
        return model
    device = next(model.parameters()).device
    if any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in model.modules()):
        if device.type == "cpu":
            raise ValueError(
                "PyTorch shares batch statistics between processes on CUDA only, and without that "
                "the batch size is another: run networks with batch normalization in one process"
            )
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    return DistributedDataParallel(model)
