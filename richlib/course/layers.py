"""Exercises of "Inside the network"."""

import itertools

import torch

from richlib.course.exercise import Finding, compared, draw, judged
from richlib.richness import dlr
from richlib.spectrum import Eigenfunctions


def _one_hot(n, C):
    return torch.eye(C, dtype=torch.float64).repeat(n, 1)[:n]


# Training samples


def _quality(features, targets):
    e = Eigenfunctions.fit(features)(features)  # orthonormal on these very samples
    basis = torch.linalg.svd(targets, full_matrices=False)[0]
    return (basis.T @ e).square().sum(dim=0).cumsum(0) / (len(e) * basis.shape[1])


def _reaches_one(features, targets):
    reached = (_quality(features, targets) > 1 - 1e-6).nonzero()
    return int(reached[0]) + 1 if len(reached) else 0


def _layers_and_targets():
    Φ, few = draw(30, 50), draw(60, 8)
    strong = few * torch.tensor([9.0, 7.0, 5.0, 1.0, 1.0, 1.0, 1.0, 1.0], dtype=torch.float64)
    known = Eigenfunctions.fit(strong)(strong)[:, :3] @ draw(3, 3, seed=1)
    twice = torch.cat([Φ, Φ[:1]])
    return {
        "more features than samples": (Φ, _one_hot(30, 3)),
        "fewer features than samples": (few, _one_hot(60, 3)),
        "targets made of three strong eigenfunctions": (strong, known),
        "one sample that is there twice, with one label": (
            twice,
            torch.cat([_one_hot(30, 3), _one_hot(1, 3)]),
        ),
        "one sample that is there twice, with two labels": (
            twice,
            torch.cat([_one_hot(30, 3), _one_hot(2, 3)[1:]]),
        ),
    }


compared(
    "training-samples",
    _reaches_one,
    _layers_and_targets,
    {
        "Is that an index that counts from zero?": lambda Φ, Y: max(_reaches_one(Φ, Y) - 1, 0),
        "Does quality reach 1 here because there are no more eigenfunctions?": (
            lambda Φ, Y: len(_quality(Φ, Y))
        ),
        "Is that the number of samples? What if two of them have the same features?": (
            lambda Φ, Y: len(Y) if Φ.shape[1] >= len(Y) else 0
        ),
    },
    rtol=0.0,
)


# Where greed fails


def _parity(d, scale=1.0):
    """A first layer that passes x1 and x2 on, a second that makes |x1 + x2| of them."""
    first = torch.zeros(d, 2, dtype=torch.float64)
    first[0, 0] = first[1, 1] = 1.0
    second = torch.tensor([[1.0, -1.0], [1.0, -1.0]], dtype=torch.float64)
    biases = torch.ones(2).double(), torch.tensor([-2.0, 2.0]).double()
    return first, biases[0], second, biases[1], scale * torch.ones(2).double(), -1.0


def _at_once(d):
    """A first layer that makes |x1 + x2| itself."""
    first, _, second, *_ = _parity(d)
    first[:2] = second
    zero = torch.zeros(2, dtype=torch.float64)
    return first, zero, torch.eye(2, dtype=torch.float64), zero, zero + 1, -1.0


def _of_first_input(d):
    first, *rest = _parity(d)
    return torch.stack([first[:, 0], -first[:, 0]], dim=1), *rest


def _half(d):
    *rest, _, bias = _parity(d)
    return *rest, torch.tensor([1.0, 0.0]).double(), bias


@judged(
    "where-greed-fails",
    {
        "a probe of the first layer alone": _at_once,
        "the first layer gives the same features to inputs with different targets": _of_first_input,
        "of the inputs": _half,
    },
)
def _where_greed_fails(answer):
    for d, case in ((2, "two inputs"), (3, "two inputs and a nuisance")):
        parts = [torch.as_tensor(part).double() for part in answer(d)]
        shapes = [tuple(part.shape) for part in parts[:5]]
        if len(parts) != 6 or shapes != [(d, 2), (2,), (2, 2), (2,), (2,)]:
            yield Finding(False, f"for {case}: got the shapes {', '.join(map(str, shapes))}")
            continue
        W1, b1, W2, b2, w, bias = parts
        x = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=d)), dtype=torch.float64)
        y = x[:, 0] * x[:, 1]
        first = (x @ W1 + b1).relu()
        outputs = (first @ W2 + b2).relu() @ w + bias
        right = int(torch.isclose(outputs, y, rtol=0, atol=1e-6).sum())
        words = f"for {case}: the output is the target for {right} of {len(x)} of the inputs"
        apart = torch.cdist(first, first)[y[:, None] != y].min() > 1e-6
        if not apart:
            words += "; the first layer gives the same features to inputs with different targets"
        yield Finding(right == len(x), words)
        share = _probe(first, y)
        words = f"a probe of the first layer alone explains {share:.0%} of the target"
        if right < len(x):
            words = "the first layer is looked at once the output is right"
        yield Finding(right == len(x) and share < 1e-9, f"for {case}: {words}")


def _probe(features, y):
    """The share of a target (n,) of mean zero that a linear probe with a bias explains."""
    centered = features - features.mean(dim=0)
    Q, s, _ = torch.linalg.svd(centered, full_matrices=False)
    return float((Q[:, s > 1e-9].T @ y).square().sum() / y.square().sum())


# A measure for an inner layer


def _head(Φ, Y, ridge, of_sum=False, bias=True):
    centered = Φ - Φ.mean(dim=0) if bias else Φ
    K = centered @ centered.T / (1 if of_sum else len(Φ))
    δ = ridge * torch.eye(len(Φ), dtype=Φ.dtype)
    mean = Y.mean(dim=0) if bias else 0.0
    return K @ torch.linalg.solve(K + δ, Y - mean) + mean


def _inner(Φ, Y, ridge, **other):
    return dlr(Φ, _head(Φ, Y, ridge, **other))


def _inner_layers():
    Φ = (draw(90, 5) @ draw(5, 12, seed=1) + 0.5).relu()
    wide = (draw(40, 6, seed=2) @ draw(6, 150, seed=3)).relu()
    Y = _one_hot(90, 3)
    aligned = Φ + 3 * Y @ draw(3, 12, seed=4).abs()
    return {
        "features that know the labels": (aligned, Y, 0.3),
        "features that do not know the labels": (Φ, Y, 0.3),
        "more features than samples": (wide, _one_hot(40, 4), 0.5),
        "a small ridge": (aligned, Y, 1e-3),
    }


compared(
    "inner-measure",
    _inner,
    _inner_layers,
    {
        "Is that D_LR of the features and the targets? The head's outputs take their place.": (
            lambda Φ, Y, ridge: dlr(Φ, Y)
        ),
        "Is the squared error a sum over the samples? The ridge goes with their mean.": (
            lambda Φ, Y, ridge: _inner(Φ, Y, ridge, of_sum=True)
        ),
        "Does the head have a bias, without a penalty?": (
            lambda Φ, Y, ridge: _inner(Φ, Y, ridge, bias=False)
        ),
    },
    rtol=1e-4,
    atol=1e-6,
)
