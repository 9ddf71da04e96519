"""Exercises of "Shuffled labels: rich features of nothing"."""

import torch

from richlib.course.exercise import compared

# Half the labels


def _copied(accuracy, shuffled, C):
    return (1 - shuffled) * accuracy + shuffled / C


compared(
    "half-the-labels",
    _copied,
    lambda: {
        "half of the labels": (0.9, 0.5, 10),
        "no label shuffled": (0.8, 0.0, 10),
        "all labels shuffled": (0.95, 1.0, 10),
        "two classes": (0.9, 0.3, 2),
    },
    {
        "Are shuffled labels always wrong? One in C stays right.": (
            lambda accuracy, shuffled, C: (1 - shuffled) * accuracy
        ),
        "What is copied where the nearest picture is of another class? Its label counts as well.": (
            lambda accuracy, shuffled, C: ((1 - shuffled) + shuffled / C) * accuracy
        ),
        "Does a label that is shuffled come from the other classes only?": (
            lambda accuracy, shuffled, C: (
                (1 - shuffled) * accuracy + shuffled * (1 - accuracy) / (C - 1)
            )
        ),
    },
)


# The variance of chance


def _simulated(functions, targets, draws=2000):
    basis = torch.linalg.svd(targets, full_matrices=False)[0]
    generator = torch.Generator().manual_seed(17)
    n, C = targets.shape
    orders = torch.rand(draws, n, generator=generator).argsort(dim=1)
    overlaps = torch.einsum("snc,nk->sck", basis[orders], functions)
    return float((overlaps.square().sum(dim=(1, 2)) / C).std())


def _scatter(functions, targets, variance=2.0, overlaps=None, over_C=True, draws=2000):
    n, C = targets.shape
    count = (C - 1) ** 2 if overlaps is None else overlaps(C)
    estimate = (variance * count) ** 0.5 / (n - 1)
    return _simulated(functions, targets, draws), estimate / (C if over_C else 1)


def _bases():
    generator = torch.Generator().manual_seed(0)
    cases = {}
    for n, C in ((240, 4), (400, 5), (400, 8)):
        functions = torch.randn(n, C, generator=generator, dtype=torch.float64)
        functions[:, 0] = 1
        targets = torch.eye(C, dtype=torch.float64).repeat(n // C, 1)
        cases[f"{C} classes and {n} samples"] = (torch.linalg.qr(functions)[0], targets)
    return cases


compared(
    "variance-of-chance",
    _scatter,
    _bases,
    {
        "What is the variance of the square of a Gaussian variable?": (
            lambda functions, targets: _scatter(functions, targets, variance=1.0)
        ),
        "Is the sum of overlaps meant? Quality is a mean over the C functions of the target.": (
            lambda functions, targets: _scatter(functions, targets, over_C=False)
        ),
        "How many overlaps are left to chance? The constant has its counterpart for certain.": (
            lambda functions, targets: _scatter(functions, targets, overlaps=lambda C: C**2)
        ),
        "Is that a variance? Asked for is the standard deviation.": (
            lambda functions, targets: tuple(x**2 for x in _scatter(functions, targets))
        ),
    },
    rtol=0.15,
)
