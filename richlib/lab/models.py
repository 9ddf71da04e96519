"""The networks of the experiments: a feature map `body` and a linear `head` on top of it."""

import math

import torch
from torch import Tensor, nn


def _fan_in_normal(layer: nn.Linear, gain: float, generator: torch.Generator) -> None:
    std = math.sqrt(gain / layer.in_features)
    nn.init.normal_(layer.weight, std=std, generator=generator)
    nn.init.zeros_(layer.bias)


def _torch_default(layer: nn.Linear, generator: torch.Generator) -> None:
    bound = 1 / math.sqrt(layer.in_features)  # what nn.Linear.reset_parameters does
    nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
    nn.init.uniform_(layer.bias, -bound, bound, generator=generator)


INITIALIZATIONS = {
    # variance 1 / fan_in, zero biases: E‖θ‖² is the number of units
    "lecun-normal": lambda layer, generator: _fan_in_normal(layer, 1.0, generator),
    # variance 2 / fan_in, zero biases: keeps the size of ReLU activations from layer to layer
    "he-normal": lambda layer, generator: _fan_in_normal(layer, 2.0, generator),
    # variance 1 / (3 fan_in), weights and biases: what PyTorch does when nobody asks
    "torch-default": _torch_default,
}


class MLP(nn.Module):
    """Hidden ReLU layers of equal width, then a linear head: inputs (n, d) to outputs (n, C)."""

    def __init__(
        self,
        d: int,
        C: int,
        *,
        width: int,
        hidden_layers: int,
        initialization: str = "lecun-normal",
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        if initialization not in INITIALIZATIONS:
            known = ", ".join(INITIALIZATIONS)
            raise ValueError(f"initialization must be one of {known}, got {initialization!r}")
        widths = [d] + [width] * hidden_layers
        layers: list[nn.Module] = []
        for fan_in, fan_out in zip(widths, widths[1:], strict=False):
            layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(width, C)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                INITIALIZATIONS[initialization](module, generator)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))
