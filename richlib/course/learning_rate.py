"""Exercises of "The learning rate"."""

import math

from richlib.course.exercise import Finding, compared, judged

# The same way, ten times slower


def _left(rate, batch, epochs, power=2, noise=True, amplitude=1.0, N=256):
    σ2 = 1 / batch if noise else 1.0
    return math.exp(-(rate**power) * σ2 * N / batch * epochs * amplitude)


compared(
    "same-way",
    _left,
    lambda: {
        "the chapter's largest rate": (0.3, 8, 20),
        "a tenth of it and ten times the epochs": (0.03, 8, 200),
        "another batch": (0.03, 4, 50),
        "no training": (0.1, 8, 0),
    },
    {
        "Is that the clock of the way? The clock of richness has another power of the rate.": (
            lambda *given: _left(*given, power=1)
        ),
        "A mean over a batch has less noise than a single sample.": (
            lambda *given: _left(*given, noise=False)
        ),
        "Is that what is left of the features' size, not of their power?": (
            lambda *given: _left(*given, amplitude=0.5)
        ),
    },
    rtol=0.05,
    atol=1e-12,
)


# Batch against rate


def _matching(rate, batch, new, power=1.0):
    return rate * (new / batch) ** power


compared(
    "batch-against-rate",
    _matching,
    lambda: {
        "batches of 2": (0.1, 8, 2),
        "batches of 32": (0.1, 8, 32),
        "from 16 to 4 at a small rate": (0.01, 16, 4),
    },
    {
        "Does the number of steps stay? A smaller batch makes more of them.": (
            lambda *given: _matching(*given, power=0.5)
        ),
        "A smaller batch is noisier: does that ask for a larger step or a smaller one?": (
            lambda *given: _matching(*given, power=-1.0)
        ),
        "That is the same rate. Follow what happens to the clock in an epoch.": (
            lambda *given: _matching(*given, power=0.0)
        ),
    },
)


# Too short a way, or too small a step?


def _clocks(rate, epochs, decay_every, steps, decays=True):
    rates = [rate / 5 ** (epoch // decay_every * decays) for epoch in range(epochs)]
    return steps * sum(rates), steps * sum(η**2 for η in rates)


compared(
    "way-and-clock",
    _clocks,
    lambda: {
        "the rate 0.05": (0.05, 30, 10, 4),
        "a tenth of the rate and ten times the epochs": (0.005, 300, 100, 4),
        "an end before the first decay": (0.1, 8, 10, 5),
        "a last stretch that is shorter": (0.2, 25, 10, 8),
    },
    {
        "Does the rate become smaller on the way?": lambda *given: _clocks(*given, decays=False),
        "The second is not the square of the first: each step is squared by itself.": (
            lambda *given: (_clocks(*given)[0], _clocks(*given)[0] ** 2)
        ),
        "Which power of the rate has the clock of the derivation?": (
            lambda *given: (_clocks(*given)[0],) * 2
        ),
    },
)


# Find the edge


def _bracket(diverges, low, high, root=0.5):
    while high / low > 1.5:
        middle = (low * high) ** root if root else (low + high) / 2
        low, high = (low, middle) if diverges(middle) else (middle, high)
    return low, high


def _upwards(diverges, low, high):
    while not diverges(1.01 * low):
        low *= 1.01
    return low, 1.01 * low


def _swapped(diverges, low, high):
    return _bracket(lambda rate: not diverges(rate), low, high)


@judged(
    "find-the-edge",
    {
        "too many trainings": _upwards,
        "is not between": _swapped,
        "further apart": lambda diverges, low, high: (low, high),
    },
)
def _find_the_edge(answer):
    for edge in (0.013, 0.31, 4.4):
        asked = []

        def diverges(rate, edge=edge, asked=asked):
            asked.append(rate)
            return rate > edge

        low, high = (float(end) for end in answer(diverges, 0.005, 5.0))
        place = f"an edge at {edge}"
        if not low <= edge < high:
            yield Finding(False, f"{place} is not between {low:.3g} and {high:.3g}")
        elif not high / low <= 1.5 + 1e-9:
            words = f"{low:.3g} and {high:.3g} are further apart than a factor of 1.5"
            yield Finding(False, f"{place}: {words}")
        else:
            words = f"{place}: {len(asked)} are too many trainings for a factor of 1.5"
            yield Finding(len(asked) <= 10, words)
