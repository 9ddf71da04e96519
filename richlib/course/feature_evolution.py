"""Exercises of "How features evolve: quality follows intensity"."""

import torch

from richlib.course.exercise import compared

# Louder and louder


def _line(m, s, slope=1.0, level=1.0):
    return slope / s, (level * s / m) ** 0.5


compared(
    "louder",
    _line,
    lambda: {
        "the chapter's network": (60, 1.0),
        "a stronger target": (60, 3.0),
        "few hidden units and a weak target": (10, 0.2),
    },
    {
        "The logarithm is of 1/ε²: what does the square do to the slope?": (
            lambda m, s: _line(m, s, slope=0.5)
        ),
        "Is the half of ½ ln(1/ε²) taken off?": lambda m, s: _line(m, s, slope=2.0),
        "Half of the intensity is asked for. Where is the logarithm zero, where is its argument?": (
            lambda m, s: _line(m, s, level=2.0)
        ),
    },
)


# One after the other


def _arrivals(strengths, m, ε, rate=2.0, end=1, small=0.5):
    s = torch.as_tensor(strengths, dtype=torch.float64)
    return (s**end / (small * m * ε**2) - 1).log() / (rate * s)


compared(
    "one-after-the-other",
    _arrivals,
    lambda: {
        "the three strengths of the exercise": (torch.tensor([3.0, 2.0, 1.0]), 60, 1e-3),
        "a tenfold start": (torch.tensor([3.0, 2.0, 1.0]), 60, 1e-2),
        "weak targets": (torch.tensor([0.5, 0.1]), 20, 1e-3),
    },
    {
        "Responses grow at the rate s. At which does an intensity, their square?": (
            lambda *given: _arrivals(*given, rate=1.0)
        ),
        "Where does the intensity of each target end? Not all at 1.": (
            lambda *given: _arrivals(*given, end=0)
        ),
        "How much of the start grows? Of the two combinations of g and h one dies.": (
            lambda *given: _arrivals(*given, small=1.0)
        ),
    },
    rtol=1e-5,
)


# The correlation of two levels


def _two_levels(strong, total, power=1.0, weights=True):
    a = strong / total
    shares = a * (1 - a) if weights else 1 / 4
    return (12 * shares * total**2 / 4 / (total**2 - 1)) ** power


compared(
    "two-levels",
    _two_levels,
    lambda: {
        "the 9 of 48 of the exercise": (9, 48),
        "two groups of the same size": (10, 20),
        "one good feature": (1, 30),
        "a hundred classes": (99, 511),
        "nothing but good features": (20, 20),
    },
    {
        "Are the groups of the same size? The variance of their means has weights.": (
            lambda strong, total: _two_levels(strong, total, weights=False)
        ),
        "Is that a ratio of standard deviations?": (
            lambda strong, total: _two_levels(strong, total, power=0.5)
        ),
        "That is the part within the groups, which is in random order.": (
            lambda strong, total: 1 - _two_levels(strong, total)
        ),
    },
)
