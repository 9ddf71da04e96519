"""One step of training: how it is computed, never what."""

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from richlib.lab import parallel

PRECISIONS = ("float32", "tf32", "mixed")


@dataclass(frozen=True)
class Numerics:
    """How steps are computed: this changes speed and rounding, never the recipe.

    precision: of matrix products and convolutions while training; measuring is in float32 always.
        "float32"; "tf32", on NVIDIA's cards from Ampere on; "mixed", bfloat16, or float16 with a
        scaled loss on cards without it.
    compiled: by torch.compile, which needs a C++ compiler on the CPU and Triton on a GPU.
    """

    precision: str = "float32"
    compiled: bool = False

    def __post_init__(self):
        if self.precision not in PRECISIONS:
            known = ", ".join(PRECISIONS)
            raise ValueError(f"precision must be one of {known}, got {self.precision!r}")

    def __str__(self) -> str:
        return f"{self.precision}, compiled" if self.compiled else self.precision


FLOAT32 = Numerics()


class Step:
    """A step of `optimizer` on a batch: call it with inputs and targets, for their mean loss."""

    def __init__(
        self,
        model: nn.Module,
        loss: Callable[[Tensor, Tensor], Tensor],
        optimizer: torch.optim.Optimizer,
        numerics: Numerics,
    ):
        self.loss, self.optimizer = loss, optimizer
        self.forward = parallel.wrapped(model)
        if numerics.compiled:
            self.forward = torch.compile(self.forward)
        self.tf32 = numerics.precision == "tf32"
        self.mixed = numerics.precision == "mixed"
        self.device = next(model.parameters()).device.type
        self.half = torch.bfloat16
        if self.device == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
            self.half = torch.float16
        # bfloat16 has the range of float32: it needs no scaling.
        scaled = self.mixed and self.half == torch.float16
        self.scaler = torch.amp.GradScaler(self.device, enabled=scaled)

    def __call__(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """inputs (n, ...), targets (n, C): of the whole batch, of which each process has a share.

        Returns the loss of that share.
        """
        n = len(targets)
        if n < parallel.world():
            raise ValueError(f"a batch of {n} cannot be shared by {parallel.world()} processes")
        inputs, targets = parallel.share(inputs), parallel.share(targets)
        # In place: allocating the gradients anew costs as much as the step on a CPU.
        self.optimizer.zero_grad(set_to_none=False)
        with products_in(tf32=self.tf32):
            with torch.autocast(self.device, self.half, enabled=self.mixed):
                outputs = self.forward(inputs)
            value = self.loss(outputs.to(targets.dtype), targets)  # of half precision, float32
            # Processes average their gradients: shares count by their size.
            weighted = value * (len(targets) * parallel.world() / n)
            self.scaler.scale(weighted).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return value.detach()


@contextmanager
def products_in(*, tf32: bool):
    """Within it, CUDA multiplies float32 matrices, and convolves, with TF32 or without."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = tf32
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before
