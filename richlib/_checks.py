"""Input checks shared by the measuring core: every error says what was expected, what came, and
what to do."""

import torch
from torch import Tensor


class DegenerateWarning(UserWarning):
    """The samples do not determine the answer (constant features, constant outputs)."""


def as_matrix(values, name: str, min_samples: int = 2) -> Tensor:
    """A finite floating tensor of shape (n, d) from a tensor or anything NumPy takes."""
    matrix = values.detach() if isinstance(values, Tensor) else torch.as_tensor(values)
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
    if not matrix.is_floating_point():
        matrix = matrix.double()
    bad = ~torch.isfinite(matrix)
    if bad.any():
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
