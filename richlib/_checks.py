"""Input checks shared by the measuring core: every error says what was expected, what came, and
what to do."""

import warnings

import numpy as np
import torch
from torch import Tensor


class DegenerateWarning(UserWarning):
    """The samples do not determine the answer (constant features, constant outputs)."""


class FiniteSizeWarning(UserWarning):
    """Too few samples for the rank of outputs or features: any function would look expressed."""


def as_tensor(values, name: str) -> Tensor:
    """A dense tensor from a tensor or anything NumPy takes, of a type that torch knows."""
    if isinstance(values, Tensor):
        return values.detach().to_dense()
    # torch takes neither negative strides nor read-only memory without a word; copied only then.
    array = np.require(values, requirements="CW")
    try:
        return torch.as_tensor(array)
    except (TypeError, ValueError):  # long doubles, foreign byte order, objects
        pass
    try:
        return torch.as_tensor(array.astype(np.float64))
    except (TypeError, ValueError):
        raise ValueError(
            f"{name} must be numbers, but came as {type(values).__name__} of {array.dtype}; "
            f"pass a tensor or an array of a floating type"
        ) from None


def as_vector(values, name: str) -> Tensor:
    """Numbers (k,) in float64 from a tensor or anything NumPy takes."""
    vector = as_tensor(values, name).double()
    if vector.ndim != 1:
        raise ValueError(f"{name} must have shape (k,), but came with shape {tuple(vector.shape)}")
    return vector


def as_matrix(values, name: str, min_samples: int = 2) -> Tensor:
    """A finite floating tensor of shape (n, d) from a tensor or anything NumPy takes."""
    matrix = as_tensor(values, name)
    if matrix.is_complex():
        raise ValueError(f"{name} must be real, but came as {matrix.dtype}")
    if matrix.ndim != 2:
        raise ValueError(
            f"{name} must be a matrix of shape (samples, dimensions), "
            f"but came with shape {tuple(matrix.shape)}; reshape it, one row for each sample"
        )
    if matrix.shape[0] < min_samples or matrix.shape[1] < 1:
        raise ValueError(
            f"{name} needs at least {min_samples} sample(s) and 1 dimension, "
            f"but came with shape {tuple(matrix.shape)}"
        )
    if not matrix.is_floating_point() or matrix.element_size() == 1:  # float8 has no arithmetic
        matrix = matrix.double()
    # The sum is not finite if an entry is not; it can also overflow, so it only raises suspicion.
    if not torch.isfinite(matrix.sum()) and (bad := ~torch.isfinite(matrix)).any():
        row = int(bad.any(dim=1).nonzero()[0])
        raise ValueError(
            f"{name} must be finite, but {int(bad.sum())} of {matrix.numel()} entries are NaN or "
            f"infinite, the first in row {row}; did the training diverge?"
        )
    return matrix


def as_matrices(min_samples: int = 2, **named) -> list[Tensor]:
    """Several matrices that must describe the same samples, row by row."""
    matrices = [as_matrix(values, name, min_samples) for name, values in named.items()]
    counts = {name: matrix.shape[0] for name, matrix in zip(named, matrices, strict=True)}
    if len(set(counts.values())) > 1:
        came = ", ".join(f"{name}: {n}" for name, n in counts.items())
        raise ValueError(
            f"{' and '.join(counts)} must have one row for each of the same samples, "
            f"but the numbers of rows differ ({came})"
        )
    device = matrices[0].device
    return [matrix.to(device) for matrix in matrices]


def as_labels(labels, n: int, num_classes: int | None = None) -> Tensor:
    """Class labels (n,) as int64, in 0..num_classes-1 where that is given."""
    labels = as_tensor(labels, "labels")
    if labels.ndim != 1:
        raise ValueError(
            f"labels must have shape (n,), one class number for each sample, but came with shape "
            f"{tuple(labels.shape)}; of one-hot rows pass .argmax(dim=1)"
        )
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise ValueError(
            f"labels must be integers 0..K-1, but came as {labels.dtype}; convert them with .long()"
        )
    if len(labels) != n:
        raise ValueError(
            f"features and labels must describe the same samples, but the numbers of rows differ "
            f"(features: {n}, labels: {len(labels)})"
        )
    labels = labels.long()
    if (negative := (labels < 0).nonzero()).numel():
        raise ValueError(
            f"labels must be class numbers 0..K-1, but sample {int(negative[0])} has "
            f"{int(labels[negative[0]])}; leave samples without a class out"
        )
    if num_classes is not None and n and labels.max() >= num_classes:
        raise ValueError(f"labels must lie in 0..{num_classes - 1}, but {int(labels.max())} came")
    return labels


def is_constant(variance, power, rtol: float = 1e-12) -> bool:
    """Whether functions of this variance and mean square, summed, are constant over the samples.

    Below rtol of the amplitude is nothing but rounding: at 1e-12, that of a float64 mean.
    """
    return bool(variance <= rtol**2 * power)


def warn_degenerate(message: str, frames: int) -> None:
    """Warn at the caller that is so many frames up, the caller of this function being 1."""
    warnings.warn(message, DegenerateWarning, stacklevel=frames + 1)
