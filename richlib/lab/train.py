"""A seeded training loop that survives being killed: same command, same result."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import mse_loss
from tqdm.auto import tqdm

from richlib.lab.tasks import Split


class Diverged(RuntimeError):
    """The loss is no longer a number."""


class CheckpointError(RuntimeError):
    """A checkpoint that cannot be resumed from."""


def train(
    model: nn.Module,
    data: Split,
    *,
    epochs: int,
    batch_size: int,
    optimizer: torch.optim.Optimizer,
    seed: int,
    measure: Callable[[], dict[str, float]],
    checkpoint: Path | None = None,
    identity: str = "",
    progress: bool = True,
) -> dict[str, list[float]]:
    """Minimize the mean squared error of `model` on `data`; return the curves of `measure`.

    The curves hold what measure() returned at epoch 0 (before training), at the epochs of
    `is_measured`, and the seconds since the start. The order of the samples in an epoch depends on
    (seed, epoch) alone, so a run that is resumed from `checkpoint` continues exactly as if it had
    not stopped; `identity` names the run the checkpoint belongs to. Raises Diverged on a loss that
    is not finite.
    """
    done, curves, before = _resume(checkpoint, identity, model, optimizer) or (0, {}, 0.0)
    start = time.perf_counter() - before
    if not curves:
        _append(curves, epoch=0, seconds=0.0, **measure())
    for epoch in tqdm(range(done + 1, epochs + 1), desc="epochs", disable=not progress):
        _epoch(model, data, batch_size, optimizer, seed, epoch)
        if is_measured(epoch, epochs):
            _append(curves, epoch=epoch, seconds=time.perf_counter() - start, **measure())
        if checkpoint:
            state = {"identity": identity, "epoch": epoch, "curves": curves}
            state |= {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
            save_atomically(state | {"seconds": time.perf_counter() - start}, checkpoint)
    return curves


def is_measured(epoch: int, epochs: int) -> bool:
    """Every epoch while things move, every fifth later, and the last."""
    return epoch <= 10 or epoch % 5 == 0 or epoch == epochs


def _epoch(model, data: Split, batch_size: int, optimizer, seed: int, epoch: int) -> None:
    """One pass over the samples, in an order drawn from (seed, epoch)."""
    device = data.inputs.device
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    total = torch.zeros((), device=device)
    for batch in torch.randperm(len(data), generator=generator).to(device).split(batch_size):
        # In place: allocating the gradients anew costs as much as the step itself on a CPU.
        optimizer.zero_grad(set_to_none=False)
        loss = mse_loss(model(data.inputs[batch]), data.targets[batch])
        loss.backward()
        optimizer.step()
        total += loss.detach()
    if not torch.isfinite(total):
        raise Diverged(f"the loss is no longer finite after epoch {epoch}: lower the learning rate")


def _append(curves: dict[str, list[float]], **values: float) -> None:
    for name, value in values.items():
        curves.setdefault(name, []).append(value)


def _resume(checkpoint: Path | None, identity: str, model, optimizer):
    """Load what a killed run left: (epoch, curves, seconds), or None where there is nothing."""
    if checkpoint is None or not checkpoint.exists():
        return None
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except Exception as error:
        raise CheckpointError(
            f"the checkpoint {checkpoint} cannot be read; delete it to start again"
        ) from error
    if state["identity"] != identity:
        raise CheckpointError(
            f"the checkpoint {checkpoint} belongs to another run ({state['identity']}, not "
            f"{identity}); delete it or use another folder"
        )
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return state["epoch"], state["curves"], state["seconds"]


def save_atomically(state: dict, path: Path) -> None:
    """torch.save that leaves either the old file or the new one, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
