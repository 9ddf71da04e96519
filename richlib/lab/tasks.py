"""From a data set to tensors a network can be trained on: encodings, pixel scaling, targets."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from richlib.lab.data import Dataset


@dataclass(frozen=True)
class Split:
    """inputs (n, d) float32, targets (n, C) float32, labels (n,) int64."""

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


def _unit_pixels(pictures: np.ndarray) -> Tensor:
    """uint8 pictures (n, H, W) as rows of pixels in [0, 1], (n, d)."""
    if pictures.shape[1] < 28:
        pictures = np.pad(pictures, ((0, 0), (1, 1), (1, 1)))
    return torch.from_numpy(pictures).flatten(1).float() / 255


def _write_code(rows: Tensor, labels, C: int, strength: float) -> Tensor:
    rows[:, :C] = strength * one_hot(torch.as_tensor(labels).long(), C)
    return rows


def _with_targets(rows: Tensor, labels: np.ndarray, C: int, alpha: float) -> Split:
    labels = torch.as_tensor(labels).long()
    return Split(rows, one_hot(labels, C).float() / alpha, labels)
