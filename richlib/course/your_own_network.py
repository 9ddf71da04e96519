"""Exercises of "Measure your own network"."""

import torch

from richlib.course.exercise import compared
from richlib.moments import Moments

# A class that never comes


def _never_comes(C):
    faint = 1 - ((C - 2) / (C - 1)) ** 0.5
    return C, faint, faint, 0.0


compared(
    "a-class-that-never-comes",
    _never_comes,
    lambda: {"ten outputs": (10,), "a hundred outputs": (100,), "four outputs": (4,)},
    {
        "How faint must an output be to leave the span? The tolerance is a millionth.": (
            lambda C: (C - 1, 0.0, 0.0, 0.0)
        ),
        "How many dimensions are left when the constant is taken out of the features?": (
            lambda C: (C, *[1 - ((C - 1) / C) ** 0.5] * 2, 0.0)
        ),
        "Does every estimator count a faint output as a full one?": (
            lambda C: (C, *_never_comes(C)[1:3], _never_comes(C)[1])
        ),
        "Is the sum of the other outputs a reason for centering to lose one more dimension? "
        "Count what is left of the span.": (lambda C: (C, _never_comes(C)[1], 0.0, 0.0)),
    },
)


# An error bar from blocks


def _values(features, outputs, B):
    """D_LR on all, (B,) values without one block each, and (B,) values on one block each."""
    parts = [Moments.of(Φ, F) for Φ, F in zip(features.chunk(B), outputs.chunk(B), strict=True)]
    states = [part.state() for part in parts]

    def of(chosen):
        merged = Moments.from_state(states[chosen[0]])
        for b in chosen[1:]:
            merged.merge(Moments.from_state(states[b]))
        return merged.dlr()

    without = [of([b for b in range(B) if b != left_out]) for left_out in range(B)]
    alone = [of([b]) for b in range(B)]
    return of(range(B)), torch.tensor(without).double(), torch.tensor(alone).double()


def _spread(values):
    return float((values - values.mean()).square().sum().sqrt())


def _jackknife(features, outputs, B, factor=None, sign=1.0, scale=None):
    whole, without, _ = _values(features, outputs, B)
    factor = ((B - 1) / B) ** 0.5 if factor is None else factor(B)
    scale = B - 1 if scale is None else scale
    bias = sign * scale * (float(without.mean()) - whole)
    return whole, factor * _spread(without), bias


def _of_single_blocks(features, outputs, B):
    whole, _, alone = _values(features, outputs, B)
    return whole, _spread(alone) / (B * (B - 1)) ** 0.5, float(alone.mean()) - whole


def _samples():
    def draw(n, p, C, seed):
        generator = torch.Generator().manual_seed(seed)
        Φ = torch.randn(n, p, generator=generator, dtype=torch.float64).relu() + 0.2
        return Φ, Φ @ torch.randn(p, C, generator=generator, dtype=torch.float64)

    return {
        "ten blocks of thirty samples": (*draw(300, 12, 3, 0), 10),
        "two blocks": (*draw(80, 6, 2, 1), 2),
        "twenty blocks of four samples": (*draw(80, 5, 2, 2), 20),
    }


compared(
    "an-error-bar-from-blocks",
    _jackknife,
    _samples,
    {
        "Is that the usual standard deviation? Values that share most of their samples lie close "
        "together, and the factor makes up for it.": (
            lambda Φ, F, B: _jackknife(Φ, F, B, factor=lambda B: (B - 1) ** -0.5)
        ),
        "Was each block measured alone? Averages of D_LR do not add up; merge the others.": (
            _of_single_blocks
        ),
        "Is the sign of the bias right? Fewer samples have more of it.": (
            lambda Φ, F, B: _jackknife(Φ, F, B, sign=-1.0)
        ),
        "One block less changes the bias by a small part of it only: by which factor is it "
        "larger?": lambda Φ, F, B: _jackknife(Φ, F, B, scale=1.0),
    },
    rtol=1e-3,  # the third value is a small difference of values near one another
    atol=1e-6,
)
