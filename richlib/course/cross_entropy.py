"""Exercises of "Cross-entropy"."""

import math

import torch

from richlib.course.exercise import compared, draw

# A temperature for the loss


def _slope(outputs, labels, clamp=True, wrong_only=False, best=False):
    own = outputs.gather(1, labels[:, None])[:, 0]
    others = outputs.scatter(1, labels[:, None], -math.inf).max(dim=1).values
    lost = others - own  # positive where the sample is misclassified
    if best:
        return float((lost > 0).double().mean())
    lost = lost.clamp(min=0) if clamp else lost
    return float(lost.sum() / max(int((lost > 0).sum()), 1) if wrong_only else lost.mean())


def _classified():
    labels = torch.arange(40) % 5
    sure = 3 * torch.eye(5, dtype=torch.float64)[labels]
    return {
        "outputs that are mostly right": (sure + draw(40, 5), labels),
        "outputs that are all right": (sure, labels),
        "outputs at random": (draw(40, 5, seed=1), labels),
        "outputs that are shifted": (sure + draw(40, 5) + 10, labels),
    }


compared(
    "temperature",
    _slope,
    _classified,
    {
        "What does a sample that is classified correctly add to the loss in the end?": (
            lambda *given: _slope(*given, clamp=False)
        ),
        "Is that a mean over the misclassified samples? The loss is a mean over all.": (
            lambda *given: _slope(*given, wrong_only=True)
        ),
        "That counts errors: does it matter by how much a sample is wrong?": (
            lambda *given: _slope(*given, best=True)
        ),
    },
)


# The decay and the gap


def _at_rest(s1, s2, decay, C, two=2.0, limit=False):
    f1, f2 = (math.log((C - 1) * (two * s / decay - 1)) for s in (s1, s2))
    return (math.log(s1 / s2) if limit else f1 - f2), f1 / f2


def _spring(s1, s2, decay, C):
    f1, f2 = (1 - decay / (2 * s) for s in (s1, s2))
    return f1 - f2, f1 / f2


compared(
    "decay-and-gap",
    _at_rest,
    lambda: {
        "strengths 1 and 0.3": (1.0, 0.3, 0.01, 10),
        "a third of the decay": (1.0, 0.3, 0.01 / 3, 10),
        "a strong decay": (1.0, 0.3, 0.2, 10),
        "two classes": (2.0, 1.0, 1e-4, 2),
        "classes that are alike": (0.5, 0.5, 0.01, 10),
    },
    {
        "That is the gap's limit for a weak decay, not the gap.": (
            lambda *given: _at_rest(*given, limit=True)
        ),
        "Is a factor lost on the way from the strength a to the output s a²?": (
            lambda *given: _at_rest(*given, two=1.0)
        ),
        "That is how the squared error comes to rest.": _spring,
    },
)


# Two dimensions are enough


def _polygon(C, β, sign=1, unit=1.0, rank=2, dimensions=1):
    angles = 2 * math.pi * torch.arange(C, dtype=torch.float64) / C
    loss = torch.logsumexp(β * unit * (angles.cos() - sign), dim=0)
    return float(loss), 1 - rank / (C - dimensions)


compared(
    "two-dimensions",
    _polygon,
    lambda: {
        "ten classes": (10, 5.0),
        "ten classes and large outputs": (10, 100.0),
        "a triangle": (3, 2.0),
        "outputs that are zero": (10, 0.0),
        "a hundred classes": (100, 1000.0),
    },
    {
        "Is the right output subtracted? The exponent of its own term is zero.": (
            lambda C, β: _polygon(C, β, sign=0)
        ),
        "Has the centered target as many dimensions as there are classes?": (
            lambda C, β: _polygon(C, β, dimensions=0)
        ),
        "How many dimensions have features in the plane?": lambda C, β: _polygon(C, β, rank=1),
    },
    rtol=1e-5,
    atol=1e-9,
)


# Even by force


def _plateau(ε, C, share=None, others=None):
    rest = (ε * (C - 1) / C) if share is None else share * ε
    return math.log((1 - rest) / rest * (C - 1 if others is None else others))


compared(
    "even-by-force",
    _plateau,
    lambda: {
        "a tenth, ten classes": (0.1, 10),
        "hardly any smoothing": (1e-4, 10),
        "two classes": (0.2, 2),
        "all of it": (1.0, 10),
    },
    {
        "Is the smoothed share given to the other classes alone? The right one has a part of it.": (
            lambda ε, C: _plateau(ε, C, share=1.0 - 1e-12)
        ),
        "How many other outputs are there, each of them zero?": (
            lambda ε, C: _plateau(ε, C, others=1)
        ),
        "What is left to the other classes is not the share of one of them.": (
            lambda ε, C: _plateau(ε, C, share=1 / C)
        ),
    },
    atol=1e-7,
)
