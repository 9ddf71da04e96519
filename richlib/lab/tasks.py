"""From a data set to what a network is trained on: inputs, targets, labels."""

import re
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from richlib.lab.data import Dataset


@dataclass(frozen=True)
class Split:
    """inputs (n, ...): float rows, uint8 pictures (n, c, H, W) or int64 tokens (n, length);
    targets (n, C) float32; labels (n,) int64.
    """

    inputs: Tensor
    targets: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device) -> "Split":
        return Split(self.inputs.to(device), self.targets.to(device), self.labels.to(device))

    def first(self, count: int) -> "Split":
        return Split(self.inputs[:count], self.targets[:count], self.labels[:count])


def encoded_labels(
    dataset: Dataset, *, seed: int, strength: float, pixels: str, alpha: float
) -> tuple[Split, Split]:
    """Pictures with a label written over their first pixels (H.4.1): train and test.

    The first C pixels become `strength` times a one-hot vector: of the true label in the training
    pictures, of a random one, drawn from `seed`, in the test pictures. Targets are one-hot vectors
    of the true labels divided by alpha. Pictures smaller than MNIST's get a border of one blank
    pixel first, so that the code lies, as on MNIST, where no picture has ink.
    pixels: "unit" leaves pixel values in [0, 1]; "standardized" then subtracts the mean and divides
    by the standard deviation of all training pixels.
    """
    C = dataset.num_classes
    random_labels = np.random.default_rng([seed, 1]).integers(C, size=len(dataset.y_test))
    train = _write_code(_unit_pixels(dataset.x_train), dataset.y_train, C, strength)
    test = _write_code(_unit_pixels(dataset.x_test), random_labels, C, strength)
    if pixels == "standardized":
        mean, std = train.mean(), train.std()
        train, test = (train - mean) / std, (test - mean) / std
    elif pixels != "unit":
        raise ValueError(f"pixels must be 'unit' or 'standardized', got {pixels!r}")
    return (
        _with_targets(train, dataset.y_train, C, alpha),
        _with_targets(test, dataset.y_test, C, alpha),
    )


def classification(dataset: Dataset, *, alpha: float) -> tuple[Split, Split]:
    """Pictures as bytes, (n, c, H, W), and one-hot targets divided by alpha: train and test."""
    C = dataset.num_classes
    return (
        _with_targets(_pictures(dataset.x_train), dataset.y_train, C, alpha),
        _with_targets(_pictures(dataset.x_test), dataset.y_test, C, alpha),
    )


def subset(split: Split, samples: int, *, seed: int) -> Split:
    """`samples` of a split's samples, drawn from `seed`, with equally many of each class (±1)."""
    if not 0 < samples <= len(split):
        raise ValueError(f"samples must be 1 to {len(split)}, got {samples}")
    shuffled = torch.randperm(len(split), generator=_generator(seed, 2))
    # A stable sort by the rank within the class: first one of each class, then a second, ...
    labels = split.labels[shuffled]
    rank = torch.empty_like(labels)
    for k in labels.unique():
        of_class = labels == k
        rank[of_class] = torch.arange(int(of_class.sum()))
    chosen = shuffled[rank.argsort(stable=True)[:samples]]
    return Split(split.inputs[chosen], split.targets[chosen], split.labels[chosen])


def shuffle_labels(split: Split, fraction: float, *, seed: int) -> Split:
    """A fraction of the samples, drawn from `seed`, exchange their labels among themselves."""
    if not 0 <= fraction <= 1:
        raise ValueError(f"the fraction of labels to shuffle must be in [0, 1], got {fraction}")
    generator = _generator(seed, 3)
    chosen = torch.randperm(len(split), generator=generator)[: round(fraction * len(split))]
    order = torch.arange(len(split))
    order[chosen] = chosen[torch.randperm(len(chosen), generator=generator)]
    return replace(split, targets=split.targets[order], labels=split.labels[order])


def scalar_targets(train: Split, test: Split, *, alpha: float) -> tuple[Split, Split]:
    """The label itself as a target (n, 1), as in Fig. 10: minus its mean over the training
    samples and over its standard deviation there, then divided by alpha.
    """
    labels = train.labels.double()
    mean, std = labels.mean(), labels.std(correction=0)
    return tuple(
        replace(split, targets=((split.labels - mean) / std / alpha).float()[:, None])
        for split in (train, test)
    )


def modulus(name: str) -> int | None:
    """The prime P of the task "mod-P-division"; None for the name of a data set."""
    match = re.fullmatch(r"mod-(\d+)-division", name)
    return int(match[1]) if match else None


def modular_division(
    p: int, *, seed: int, alpha: float, samples: int | None = None
) -> tuple[Split, Split]:
    """x / y mod a prime p, for all x and y ≠ 0, of which `samples`, drawn from `seed`, are for
    training, and the others for testing. By default half of them, as in Fig. 12.

    inputs: the tokens x, ÷, y, = as (n, 4), where 0..p−1 are numbers, p is "=" and p + 1 is "÷";
    labels: the quotient z, with z·y = x mod p. 97·96/2 = 4,656 training samples at p = 97. (The
    paper's source has x·y for a label: the same task, with y named 1/y.)
    """
    z, y = torch.cartesian_prod(torch.arange(p), torch.arange(1, p)).T
    x = z * y % p
    tokens = torch.stack([x, torch.full_like(x, p + 1), y, torch.full_like(x, p)], dim=1)
    order = torch.randperm(len(z), generator=_generator(seed, 4))
    samples = samples or len(z) // 2
    return tuple(
        Split(tokens[part], one_hot(z[part], p).float() / alpha, z[part])
        for part in (order[:samples], order[samples:])
    )


def _generator(*seeds: int) -> torch.Generator:
    """A generator for one purpose: its stream must not be that of another."""
    state = np.random.SeedSequence(seeds).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state >> np.uint64(1)))


def _pictures(pictures: np.ndarray) -> Tensor:
    """uint8 pictures (n, H, W) or (n, H, W, c) as (n, c, H, W)."""
    pictures = torch.from_numpy(pictures)
    return pictures[:, None] if pictures.ndim == 3 else pictures.permute(0, 3, 1, 2).contiguous()


def _unit_pixels(pictures: np.ndarray) -> Tensor:
    """uint8 pictures (n, H, W) as rows of pixels in [0, 1], (n, d)."""
    if pictures.shape[1] < 28:
        pictures = np.pad(pictures, ((0, 0), (1, 1), (1, 1)))
    return torch.from_numpy(pictures).flatten(1).float() / 255


def _write_code(rows: Tensor, labels, C: int, strength: float) -> Tensor:
    rows[:, :C] = strength * one_hot(torch.as_tensor(labels).long(), C)
    return rows


def _with_targets(inputs: Tensor, labels: np.ndarray, C: int, alpha: float) -> Split:
    labels = torch.as_tensor(labels).long()
    return Split(inputs, one_hot(labels, C).float() / alpha, labels)
