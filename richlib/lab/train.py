"""A seeded training loop that survives being killed: same command, same result."""

import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from tqdm.auto import tqdm

from richlib.activations import evaluation
from richlib.lab import checkpoints, parallel
from richlib.lab.step import FLOAT32, Numerics, Step
from richlib.lab.tasks import Split

# Seconds between two checkpoints: at the end of an epoch, and in the middle of a long one.
PAUSE, LONGEST = 1.0, 60.0


def train(
    model: nn.Module,
    data: Split,
    *,
    epochs: int,
    batch_size: int,
    optimizer: torch.optim.Optimizer,
    seed: int,
    measure: Callable[[], dict[str, float]],
    snapshot: Callable[[], dict[str, list[float]]] | None = None,
    loss: Callable[[Tensor, Tensor], Tensor] = mse_loss,
    learning_rate: Callable[[int], float] | None = None,
    augment: Callable[[Tensor, torch.Generator], Tensor] | None = None,
    numerics: Numerics = FLOAT32,
    checkpoint: Path | None = None,
    identity: str = "",
    progress: bool = True,
) -> dict[str, list[float]]:
    """Minimize a loss of `model` on `data`; return the curves of `measure`.

    The curves hold what measure() returned at epoch 0 (before training) and at the epochs of
    `is_measured`, and the seconds since the start; and, as "epochN/NAME", the lists that snapshot()
    returned at the epochs of `is_kept`. Both find the model in training mode and leave it so.
    loss: of outputs and targets, the mean squared error by default.
    learning_rate: of the epochs 1, 2, ...; by default the optimizer's own.
    augment: of a batch of inputs, with a generator to draw from.
    numerics: see `richlib.lab.step`.
    checkpoint: where a killed run goes on from, written at the end of epochs and every minute.
    identity: of the run that a checkpoint belongs to.

    All that is random depends on (seed, epoch, step) alone, so a run that was resumed continues
    exactly as if it had not stopped. Training ends early where the loss or the outputs are no
    longer finite; the curves then hold "diverged", the epoch of that. Processes that torchrun
    started share the work; the first one writes.
    """
    step = Step(model, loss, optimizer, numerics)
    steps = -(-len(data) // batch_size)  # of an epoch
    done, curves, before = _resume(checkpoint, identity, model, step) or (0, {}, 0.0)
    start = time.perf_counter() - before
    saved = time.perf_counter()

    def save(done: int) -> None:
        if parallel.rank() > 0:
            return
        state = {"identity": identity, "step": done, "curves": curves}
        state |= {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
        state |= {"scaler": step.scaler.state_dict(), "seconds": time.perf_counter() - start}
        checkpoints.write(state, checkpoint)

    def look(epoch: int) -> dict[str, float]:
        values = measure()
        seconds = time.perf_counter() - start if epoch else 0.0
        for name, value in {"epoch": epoch, "seconds": seconds, **values}.items():
            curves.setdefault(name, []).append(value)
        if snapshot and is_kept(epoch):
            curves.update({f"epoch{epoch}/{name}": kept for name, kept in snapshot().items()})
        return values

    if not curves:
        look(0)
    quiet = not progress or parallel.rank() > 0
    with tqdm(total=epochs, initial=done // steps, desc="epochs", disable=quiet) as bar:
        for epoch in range(done // steps + 1, epochs + 1):
            if "diverged" in curves:
                break
            if learning_rate:
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate(epoch)
            batches = _order(data, seed, epoch).split(batch_size)
            finite = torch.ones((), dtype=torch.bool, device=data.targets.device)
            for number in range(done % steps, steps):
                done = (epoch - 1) * steps + number
                x, targets = data.inputs[batches[number]], data.targets[batches[number]]
                if augment:
                    x = augment(x, _generator(seed, done))
                finite &= step(x, targets).isfinite()
                # Not after the last step: who resumes there would not measure the epoch.
                more = number + 1 < steps
                if more and checkpoint and time.perf_counter() - saved > LONGEST:
                    save(done + 1)
                    saved = time.perf_counter()
            done = 0
            due = is_measured(epoch, epochs)
            if due:  # the last step may have spoiled what no loss has seen
                with evaluation(model), torch.no_grad():
                    finite &= model(x).isfinite().all()
            if not parallel.everywhere(finite):
                curves["diverged"] = [epoch]
            elif due:
                bar.set_postfix({k: f"{v:.3g}" for k, v in look(epoch).items() if k in SHOWN})
            bar.update()
            if checkpoint and (time.perf_counter() - saved > PAUSE or epoch == epochs):
                save(epoch * steps)
                saved = time.perf_counter()
    return curves


SHOWN = ("loss_train", "accuracy_test", "dlr_train")  # what the progress bar has room for


def is_measured(epoch: int, epochs: int) -> bool:
    """Every epoch while things move, every fifth later, and the last."""
    return epoch <= 10 or epoch % 5 == 0 or epoch == epochs


def is_kept(epoch: int) -> bool:
    """0 and 1, 2, 3, 5, 10, 20, 30, 50, ...: about evenly spaced in the logarithm."""
    return epoch == 0 or str(epoch).rstrip("0") in ("1", "2", "3", "5")


def _order(data: Split, seed: int, epoch: int) -> Tensor:
    """The order of the samples in an epoch, drawn from (seed, epoch)."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    return torch.randperm(len(data), generator=generator).to(data.targets.device)


def _generator(seed: int, step: int) -> torch.Generator:
    """What augments the batch of a step. Far from the seeds of `_order`."""
    return torch.Generator().manual_seed((1 << 62) + seed * 1_000_000_007 + step)


def _resume(checkpoint: Path | None, identity: str, model: nn.Module, step: Step):
    """Load what a killed run left: (step, curves, seconds), or None where there is nothing."""
    state = checkpoint and parallel.told(lambda: checkpoints.read(checkpoint, identity))
    if not state:
        return None
    model.load_state_dict(state["model"])
    step.optimizer.load_state_dict(state["optimizer"])
    if state["scaler"]:
        step.scaler.load_state_dict(state["scaler"])
    return state["step"], state["curves"], state["seconds"]
