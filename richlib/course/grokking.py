"""Exercises of "Grokking, from lazy to rich"."""

import math

import torch

from richlib.course.exercise import compared

# Other symmetric tables


def _tables():
    a, b = torch.arange(7)[:, None], torch.arange(7)[None]
    inverse = torch.tensor([pow(y, -1, 7) for y in range(1, 7)])
    return {
        "division modulo 7": (a * inverse % 7,),
        "addition modulo 7": ((a + b) % 7,),
        "multiplication modulo 7": (a * b % 7,),
        "the maximum of two numbers": (torch.maximum(a, b),),
        "a table that depends on the row alone": ((0 * b + a) % 3,),
    }


def _share(table, centered=True, rows_only=False, by_class=False):
    F = torch.nn.functional.one_hot(table).double()  # (rows, columns, C)
    F = F - centered * F.mean(dim=(0, 1))
    rows, columns = F.mean(dim=1, keepdim=True), F.mean(dim=0, keepdim=True)
    kept = rows - (0 if rows_only else F.mean(dim=(0, 1)) - columns) + 0 * F
    kept, all_of_it = (part.square().sum(dim=(0, 1)) for part in (kept, F))
    here = all_of_it > 0
    return float(
        (kept[here] / all_of_it[here]).mean() if by_class else kept.sum() / all_of_it.sum()
    )


compared(
    "symmetric-tables",
    _share,
    _tables,
    {
        "Were the indicators centered? Every table knows its constant.": (
            lambda table: _share(table, centered=False)
        ),
        "Are functions of the column missing?": lambda table: _share(table, rows_only=True),
        "Is that a mean of shares? The norms are summed first, over all results.": (
            lambda table: _share(table, by_class=True)
        ),
    },
    atol=1e-7,
)


# A kernel that can divide


def _features(x, y, p, r, frequencies, sign=-1, period=-1, logs=True):
    power = {pow(r, k, p): k for k in range(p - 1)}
    s, t = (
        torch.tensor([power[int(v)] if logs else int(v) for v in part], dtype=torch.float64)
        for part in (x, y)
    )
    j = torch.as_tensor(frequencies, dtype=torch.float64)
    angle = 2 * math.pi * (s + sign * t)[:, None] * j / (p + period)  # (n, k)
    return torch.cat([angle.cos(), angle.sin()], dim=1)


def _pairs():
    x, y = torch.cartesian_prod(torch.arange(1, 23), torch.arange(1, 23)).T
    a, b = torch.cartesian_prod(torch.arange(1, 7), torch.arange(1, 7)).T
    return {
        "p = 23 and one frequency": (x[::5], y[::5], 23, 5, [1]),
        "p = 23 and three frequencies": (x[::7], y[::7], 23, 5, [1, 4, 11]),
        "p = 7": (a, b, 7, 3, [1, 2, 3]),
    }


compared(
    "kernel-that-divides",
    _features,
    _pairs,
    {
        "Were x and y taken themselves? The angle is that of their exponents.": (
            lambda *given: _features(*given, logs=False)
        ),
        "Those are the features of a product: which exponent has a quotient?": (
            lambda *given: _features(*given, sign=1)
        ),
        "After how many steps do the powers of r begin again?": (
            lambda *given: _features(*given, period=0)
        ),
    },
    rtol=1e-6,
    atol=1e-7,
)


# What does the cleaning?

LN_2 = math.log(2)


def _half_lives(rate, decay, log=LN_2, faster=2.0):
    weight = log / -math.log1p(-rate * decay)
    return weight, weight / faster


compared(
    "cleaning",
    _half_lives,
    lambda: {
        "the chapter's run": (3e-3, 2.0),
        "a tenth of the decay": (3e-3, 0.2),
        "a large step": (0.1, 1.0),
    },
    {
        "Is that the time to fall to 1/e?": lambda rate, decay: _half_lives(rate, decay, log=1.0),
        "An eigenvalue is a square: does it fall as slowly as the weight?": (
            lambda rate, decay: _half_lives(rate, decay, faster=1.0)
        ),
        "Is that a fall along a straight line? A step takes a share of what is left.": (
            lambda rate, decay: _half_lives(rate, decay, log=0.5)
        ),
    },
    rtol=1e-3,
)
