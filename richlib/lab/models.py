"""The networks of the experiments: a feature map `body` and a linear `head` on top of it."""

import math
from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, relu


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


class Network(nn.Module):
    """A feature map and a linear head: inputs to outputs (n, C).

    body: stages in order, by name; what the last one gives, (n, p), are the features.
    """

    def __init__(self, body: nn.Sequential, head: nn.Linear):
        super().__init__()
        self.body, self.head = body, head

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))


def stages(body: nn.Sequential) -> dict[str, nn.Sequential]:
    """The layers of a body by name, in order (Fig. 22): together they are the body. What comes
    before the first layer, pixels and stem, is a part of it.
    """
    found, waiting = {}, []
    for name, module in body.named_children():
        waiting.append(module)
        if name not in ("pixels", "stem", "embedding"):
            found[name] = nn.Sequential(*waiting)
            waiting = []
    return found


class Frozen(nn.Sequential):
    """Layers that are trained already: no gradients, batch normalization as in use."""

    def __init__(self, *layers: nn.Module):
        super().__init__(*layers)
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True):
        return super().train(False)

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)


class Pooled(nn.Module):
    """The average over positions: (n, c, H, W) to (n, c). Features without positions stay."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2).mean(dim=2) if x.ndim > 2 else x


def auxiliary_heads(model: Network, example: Tensor) -> list[nn.Linear]:
    """For greedy layerwise training, a linear head on the pooled features of each layer: new
    ones, and the model's own on the last. example: a few inputs, which tell the sizes.
    """
    C, sizes, x = model.head.out_features, [], example
    model.eval()
    with torch.no_grad():
        for layer in stages(model.body).values():
            x = layer(x)
            sizes.append(x.shape[1])
    return [nn.Linear(p, C) for p in sizes[:-1]] + [model.head]


class MLP(Network):
    """Hidden ReLU layers of equal width, then a linear head: inputs (n, d) to outputs (n, C).

    batch_norm: between the linear part of a layer and its ReLU.
    """

    def __init__(
        self,
        d: int,
        C: int,
        *,
        width: int,
        hidden_layers: int,
        batch_norm: bool = False,
        initialization: str = "lecun-normal",
        generator: torch.Generator | None = None,
    ):
        if initialization not in INITIALIZATIONS:
            known = ", ".join(INITIALIZATIONS)
            raise ValueError(f"initialization must be one of {known}, got {initialization!r}")
        widths = [d] + [width] * hidden_layers
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for fan_in, fan_out in zip(widths, widths[1:], strict=False):
            norm = [nn.BatchNorm1d(fan_out)] if batch_norm else []
            layer = nn.Sequential(nn.Linear(fan_in, fan_out), *norm, nn.ReLU())
            layers[f"layer{len(layers) + 1}"] = layer
        super().__init__(nn.Sequential(layers), nn.Linear(width, C))
        for module in self.modules():
            if isinstance(module, nn.Linear):
                INITIALIZATIONS[initialization](module, generator)


class Pixels(nn.Module):
    """uint8 pictures (n, c, H, W) to floats: in [0, 1], then minus mean, over std, per channel.

    A part of the network, so that pictures stay bytes until a batch of them is needed.
    border: of black pixels, put around each picture first.
    """

    def __init__(self, mean=(0.0,), std=(1.0,), border: int = 0):
        super().__init__()
        self.border = border
        self.register_buffer("scale", 1 / (255 * torch.tensor(std))[:, None, None])  # (c, 1, 1)
        shift = torch.tensor(mean) / torch.tensor(std)
        self.register_buffer("shift", shift[:, None, None])

    def forward(self, x: Tensor) -> Tensor:
        if self.border:
            x = pad(x, [self.border] * 4)
        return x * self.scale - self.shift


def cnn(channels: int, C: int, *, width: int, pixels: Pixels, side: int) -> Network:
    """Two convolutions, then a hidden layer of `width` features (Fig. 16: p = 1,024).

    The paper gives the width of the last layer only; the rest is a plain choice of ours.
    channels, side: of the square input pictures.
    """
    maps = max(8, width // 32)
    body = OrderedDict(
        pixels=pixels,
        block1=_convolutions(channels, maps),
        block2=_convolutions(maps, 2 * maps),
        features=nn.Sequential(
            nn.Flatten(), nn.Linear(2 * maps * (side // 4) ** 2, width), nn.ReLU()
        ),
    )
    return Network(nn.Sequential(body), nn.Linear(width, C))


def _convolutions(fan_in: int, fan_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(fan_in, fan_out, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))


class PreActivationBlock(nn.Module):
    """Two 3×3 convolutions, each after batch normalization and ReLU, around a shortcut."""

    def __init__(self, fan_in: int, fan_out: int, stride: int):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(fan_in)
        self.conv1 = nn.Conv2d(fan_in, fan_out, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(fan_out)
        self.conv2 = nn.Conv2d(fan_out, fan_out, 3, 1, 1, bias=False)
        self.shortcut = None
        if stride != 1 or fan_in != fan_out:
            self.shortcut = nn.Conv2d(fan_in, fan_out, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out = relu(self.bn1(x))
        shortcut = x if self.shortcut is None else self.shortcut(out)
        return self.conv2(relu(self.bn2(self.conv1(out)))) + shortcut


def resnet18(channels: int, C: int, *, width: int, pixels: Pixels) -> Network:
    """ResNet18 for 32×32 pictures with `width` channels in its first layer, 64 in the paper.

    Fig. 22a, which follows Nakkiran et al. (2021): pre-activation blocks, and average pooling of
    the last block's sum without a further ReLU. Sizes of layer1 to layer4 at width 64: 65,536,
    32,768, 16,384, and 512 after pooling; these last are the features.
    """
    w = width
    body = OrderedDict(
        pixels=pixels,
        stem=nn.Conv2d(channels, w, 3, 1, 1, bias=False),
        layer1=_residual(w, w, 1),
        layer2=_residual(w, 2 * w, 2),
        layer3=_residual(2 * w, 4 * w, 2),
        layer4=nn.Sequential(*_residual(4 * w, 8 * w, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    )
    return Network(nn.Sequential(body), nn.Linear(8 * w, C))


def _residual(fan_in: int, fan_out: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        PreActivationBlock(fan_in, fan_out, stride), PreActivationBlock(fan_out, fan_out, 1)
    )


VGG16_LAYERS = ((1, 1), (2, 2), (4, 4, 4), (8, 8, 8), (8, 8, 8))  # channels, in units of width


def vgg16(channels: int, C: int, *, width: int, pixels: Pixels, batch_norm: bool) -> Network:
    """VGG-16 for 32×32 pictures with `width` channels in its first block, 64 in the paper.

    Fig. 22b: sizes of block1 to block5 at width 64: 16,384, 8,192, 4,096, 2,048, 512, then two
    hidden layers of 4,096, the features. Layers and initialization are those of torchvision's
    vgg16 (H.4), where adaptive pooling to 7×7 repeats the one pixel that is left of 32×32, but
    without its dropout: the paper's penultimate layer "only consists of linear modules (fully
    connected) and non-linearities" (Fig. 22).
    """
    body = OrderedDict(pixels=pixels)
    fan_in = channels
    for number, multiples in enumerate(VGG16_LAYERS, start=1):
        layers: list[nn.Module] = []
        for fan_out in (width * m for m in multiples):
            layers.append(nn.Conv2d(fan_in, fan_out, 3, padding=1))
            layers += [nn.BatchNorm2d(fan_out)] if batch_norm else []
            layers.append(nn.ReLU())
            fan_in = fan_out
        body[f"block{number}"] = nn.Sequential(*layers, nn.MaxPool2d(2))
    p = 64 * width
    body["features"] = nn.Sequential(
        nn.AdaptiveAvgPool2d(7),
        nn.Flatten(),
        *(nn.Linear(49 * fan_in, p), nn.ReLU()),
        *(nn.Linear(p, p), nn.ReLU()),
    )
    network = Network(nn.Sequential(body), nn.Linear(p, C))
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.01)
            nn.init.zeros_(module.bias)
    return network
