"""From a recipe to the things it names: samples, network, loss, optimizer, learning rate."""

import dataclasses
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

from richlib.lab import data, tasks
from richlib.lab.gaussian_process import gaussian_process
from richlib.lab.models import (
    MLP,
    Frozen,
    Network,
    Pixels,
    Pooled,
    auxiliary_heads,
    cnn,
    resnet18,
    stages,
    vgg16,
)
from richlib.lab.recipe import Recipe
from richlib.lab.tasks import Split
from richlib.lab.transformer import Operands, transformer

# Of CIFAR's channels, as the paper gives them (H.4.2).
CIFAR_MEAN, CIFAR_STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)


def samples(recipe: Recipe, seed: int) -> tuple[Split, Split, dict]:
    """The training and the test split of a recipe, and the provenance of their data."""
    if p := tasks.modulus(recipe.data):
        train, test = tasks.modular_division(
            p, seed=seed, alpha=recipe.alpha, samples=recipe.samples
        )
        provenance = {"name": recipe.data, "source": "arithmetic", "copy": False, "sha256": {}}
    else:
        dataset = data.load(recipe.data)
        provenance = dataset.provenance()
        if recipe.encoding is not None:
            train, test = tasks.encoded_labels(
                dataset,
                seed=seed,
                strength=recipe.encoding,
                pixels=recipe.pixels,
                alpha=recipe.alpha,
            )
        else:
            train, test = tasks.classification(dataset, alpha=recipe.alpha)
        if recipe.samples is not None:
            train = tasks.subset(train, recipe.samples, seed=seed)
    if recipe.shuffled:
        train = tasks.shuffle_labels(train, recipe.shuffled, seed=seed)
    if recipe.scalar:
        train, test = tasks.scalar_targets(train, test, alpha=recipe.alpha)
    return train, test, provenance


def network(recipe: Recipe, train: Split, seed: int) -> Network:
    """The recipe's network as it is before training, for samples like those of `train`; of a
    Gaussian process, whose features are defined by its training samples, for `train`.
    """
    with _seeded(seed):
        if recipe.model == "gaussian-process":
            pixels = _pixels(recipe, train.inputs)
            return gaussian_process(
                train.inputs, train.targets, hidden_layers=recipe.hidden_layers, pixels=pixels
            )
        model = _network(recipe, train.inputs, train.targets.shape[1], seed)
    # The order of a picture's numbers in memory: convolutions are faster with channels last.
    return model.to(memory_format=torch.channels_last)


def _network(recipe: Recipe, inputs: Tensor, C: int, seed: int) -> Network:
    width = recipe.width
    if recipe.model == "transformer":
        tokens, length = int(inputs.max()) + 1, inputs.shape[1]
        return transformer(tokens, length, C, width=width, layers=recipe.hidden_layers)
    if recipe.model in ("mlp", "mlp-bn"):
        d, before = inputs[0].numel(), {}  # what comes before its layers
        if inputs.dtype == torch.uint8:
            before["pixels"] = nn.Sequential(_pixels(recipe, inputs), nn.Flatten())
        elif inputs.dtype == torch.int64:
            d, before["embedding"] = width, Operands(int(inputs.max()) + 1, width // 2)
        mlp = MLP(
            d,
            C,
            width=width,
            hidden_layers=recipe.hidden_layers,
            batch_norm=recipe.model != "mlp",
            initialization=recipe.initialization,
            generator=torch.Generator().manual_seed(seed),
        )
        mlp.body = nn.Sequential(OrderedDict(before, **dict(mlp.body.named_children())))
        return mlp
    channels, side = inputs.shape[1:3]
    if recipe.model == "cnn":
        return cnn(channels, C, width=width, pixels=_pixels(recipe, inputs), side=side)
    if recipe.model == "resnet18":
        return resnet18(channels, C, width=width, pixels=_pixels(recipe, inputs))
    if recipe.model in ("vgg16", "vgg16-bn"):
        pixels = _pixels(recipe, inputs, border=max(0, 32 - side) // 2)  # it halves 32 five times
        return vgg16(channels, C, width=width, pixels=pixels, batch_norm=recipe.model != "vgg16")
    known = "mlp, mlp-bn, cnn, resnet18, vgg16, vgg16-bn, transformer, gaussian-process"
    raise ValueError(f"model must be one of {known}, got {recipe.model!r}")


def phases(recipe: Recipe, model: Network, train: Split, seed: int) -> Iterator[Network]:
    """The networks that are trained, one after the other. They share parameters with `model`.

    One, the model, or its head alone where only the last layer is trained; or, in greedy layerwise
    training (Appendix I), each layer on top of those before it, which are frozen by then, with an
    auxiliary linear head on its features, averaged over positions as ResNet18 does before its own
    head. (Flattened, there are more of them than training samples: a head would fit these, however
    bad the layer, and at the network's learning rate its steps diverge: tried at the desk tier.)
    """
    if recipe.trained == "all":
        yield model
    elif recipe.trained == "last-layer":
        yield Network(nn.Identity(), model.head)
    elif recipe.trained == "layerwise":
        layers = list(stages(model.body).values())
        device = next(model.parameters()).device
        with _seeded(seed):
            heads = auxiliary_heads(model, train.inputs[:2].to(device))
        for number, (layer, head) in enumerate(zip(layers, heads, strict=True)):
            below = Frozen(*layers[:number])
            yield Network(nn.Sequential(below, layer, Pooled()), head.to(device))
    else:
        known = "'all', 'last-layer' or 'layerwise'"
        raise ValueError(f"trained must be {known}, got {recipe.trained!r}")


def loss_function(recipe: Recipe):
    """(outputs (n, C), targets (n, C)) to the mean loss. One-hot targets give the classes."""
    if recipe.loss == "mse":
        return mse_loss
    if recipe.loss == "cross-entropy":
        return lambda outputs, targets: cross_entropy(outputs, targets.argmax(dim=1))
    raise ValueError(f"loss must be 'mse' or 'cross-entropy', got {recipe.loss!r}")


def optimizer(recipe: Recipe, model: nn.Module) -> torch.optim.Optimizer:
    """The recipe's optimizer of the parameters that are trained."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    # fused: one pass over the parameters, several times faster than the default on a CPU
    common = {"lr": recipe.learning_rate, "weight_decay": recipe.weight_decay, "fused": True}
    if recipe.optimizer in ("adam", "adamw"):  # w: the decay does not go through the gradient
        Adam = torch.optim.Adam if recipe.optimizer == "adam" else torch.optim.AdamW
        return Adam(parameters, betas=(0.9, recipe.beta2), **common)
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(parameters, momentum=recipe.momentum, **common)
    raise ValueError(f"optimizer must be 'adam', 'adamw' or 'sgd', got {recipe.optimizer!r}")


def learning_rate(recipe: Recipe, epoch: int) -> float:
    """In epoch 1, 2, ...: a fifth of what it was after every `decay_every` epochs (Table 10)."""
    decays = (epoch - 1) // recipe.decay_every if recipe.decay_every else 0
    return recipe.learning_rate * 0.2**decays


def from_json(recipe: dict) -> Recipe:
    """The recipe that a record holds; what an older record does not mention has its default."""
    known = {field.name for field in dataclasses.fields(Recipe)}
    if unknown := sorted(set(recipe) - known):
        raise ValueError(f"this version knows no recipe with {', '.join(unknown)}")
    return Recipe(**recipe)


def _pixels(recipe: Recipe, pictures: Tensor, border: int = 0) -> Pixels:
    if recipe.pixels == "unit":
        return Pixels(border=border)
    if recipe.pixels != "standardized":
        raise ValueError(f"pixels must be 'unit' or 'standardized', got {recipe.pixels!r}")
    if recipe.data.startswith("cifar"):
        return Pixels(CIFAR_MEAN, CIFAR_STD, border=border)
    unit = pictures.double() / 255
    return Pixels((float(unit.mean()),), (float(unit.std()),), border=border)


@contextmanager
def _seeded(seed: int):
    """Within it, PyTorch's default initialization draws from `seed`; nobody else is disturbed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
