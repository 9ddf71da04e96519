"""Exercises of "What earlier measures miss"."""

import copy
import math

import torch
from torch import nn

from richlib.collapse import nc1
from richlib.course.exercise import Finding, compared, draw, judged
from richlib.operators import orthonormal_basis
from richlib.richness import dlr
from richlib.rivals import nc1_with_ridge

# Powers of c


def _powers(hidden, c, outputs=1, squared=2, plain=0):
    Φ = c**hidden
    scatter = Φ**squared
    return Φ, c ** (hidden + outputs), scatter, scatter**plain, scatter, 1.0, 1.0


compared(
    "powers-of-c",
    _powers,
    lambda: {
        "the network of the exercise": (5, 0.5),
        "the chapter's network, shrunk to a tenth": (3, 0.1),
        "weights that are doubled": (2, 2.0),
        "no hidden layer": (0, 0.5),
    },
    {
        "Does the readout count? Its weights shrink as well.": (
            lambda hidden, c: _powers(hidden, c, outputs=0)
        ),
        "Is a scatter of the unit of a feature, or of its square?": (
            lambda hidden, c: _powers(hidden, c, squared=1)
        ),
        "Without a ridge, what happens to the other of the two covariances?": (
            lambda hidden, c: _powers(hidden, c, plain=1)
        ),
    },
)


# When is the function lost?


def _lost(bias, size, resolution, shrinkage, layers=4, rate=1):
    c = (resolution * bias / size) ** (1 / layers)
    return c, rate * math.log(c) / math.log1p(-shrinkage)


compared(
    "function-lost",
    _lost,
    lambda: {
        "a run like the chapter's": (2e-4, 0.4, 1.2e-7, 0.01),
        "double precision": (2e-4, 0.4, 2.2e-16, 0.01),
        "a decay ten times slower": (2e-4, 0.4, 1.2e-7, 0.001),
        "a larger bias": (0.05, 0.4, 1.2e-7, 0.01),
    },
    {
        "Are these the features? The outputs have one more factor.": (
            lambda *given: _lost(*given, layers=3)
        ),
        "Compared with what is the resolution? With the number that it stands beside.": (
            lambda bias, size, *rest: _lost(1.0, size, *rest)
        ),
        "Was the squared norm followed? It falls twice as fast as a weight.": (
            lambda *given: _lost(*given, rate=0.5)
        ),
    },
    rtol=0.02,
)


# A ridge with units


def _classes(p, seed=0, C=5, each=60):
    """Features (n, p) of C classes, and their labels; the class means span all they can."""
    labels = torch.arange(C).repeat(each)
    return draw(C, p, seed=seed)[labels] + 0.3 * draw(C * each, p, seed=seed + 1), labels


@judged(
    "ridge-with-units",
    {
        "it still has the unit of a feature": lambda Φ, y: nc1_with_ridge(Φ, y) / 5,
        "where is the ridge?": lambda Φ, y: nc1(Φ, y) / 5,
        "more than a tenth away": lambda Φ, y: nc1(Φ, y, ridge=float(Φ.var(dim=0).sum())) / 5,
    },
)
def _ridge_with_units(answer):
    Φ, y = _classes(12)
    few, labels = _classes(3)  # its class means differ in every direction
    value, other = float(answer(Φ.clone(), y.clone())), float(answer(few.clone(), labels))
    if value == other:
        yield Finding(False, "two different sets of features have the same value")
        return
    for factor in (0.01, 1e-4, 100.0):
        scaled = float(answer(factor * Φ, y.clone()))
        yield Finding(
            math.isclose(value, scaled, rel_tol=1e-4),
            f"features times {factor:g} change the value from {value:.4g} to {scaled:.4g}: "
            "it still has the unit of a feature",
        )
    yield Finding(
        2 * nc1(Φ, y) / 5 < value < math.inf,
        "twelve features of five classes scatter in directions in which the class means do not "
        f"differ, and {value:.4g} hardly sees it: where is the ridge?",
    )
    plain = nc1(few, labels) / 5
    other = float(answer(few.clone(), labels))
    yield Finding(
        min(abs(other / plain - 1), abs(other / plain / 5 - 1)) < 0.1,
        f"three features of five classes, where a small ridge changes little: {other:.4g} is more "
        f"than a tenth away from {plain:.4g}, the value without one",
    )


# Subtract the beginning


class _Difference(nn.Module):
    def __init__(self, now, start):
        super().__init__()
        self.now, self.start = now, start

    def forward(self, x):
        return self.now(x) - self.start(x)


def _head_only(network):
    head = copy.deepcopy(network[-1]).requires_grad_(False)
    module = _Difference(network[-1], head)
    return nn.Sequential(*network[:-1], module)


def _learning(network):
    return _Difference(network, copy.deepcopy(network))


def _gradient(module, x):
    """The derivative of one output, in the trainable weights of a module, as one vector."""
    free = [parameter for parameter in module.parameters() if parameter.requires_grad]
    parts = torch.autograd.grad(module(x)[:, 0].sum(), free, allow_unused=True)
    return [g for g in parts if g is not None], sum(parameter.numel() for parameter in free)


@judged(
    "subtract-the-beginning",
    {
        "only the readout learns at first": _head_only,
        "is the copy frozen?": _learning,
        "do not begin at zero": lambda network: network,
        "nothing that could be trained": lambda network: _Difference(
            network, copy.deepcopy(network)
        ).requires_grad_(False),
    },
)
def _subtract_the_beginning(answer):
    for case, biases in (("without biases", False), ("with biases", True)):
        network = nn.Sequential(
            nn.Linear(6, 8, bias=biases), nn.ReLU(), nn.Linear(8, 3, bias=biases)
        ).double()
        with torch.no_grad():
            for seed, parameter in enumerate(network.parameters()):
                parameter.copy_(draw(*parameter.shape, seed=seed))
        x = draw(10, 6, seed=9)
        expected, count = _gradient(network, x)
        module = answer(copy.deepcopy(network))
        outputs = module(x)
        yield Finding(
            float(outputs.detach().abs().max()) < 1e-9, f"{case}: the outputs do not begin at zero"
        )
        if not outputs.requires_grad:
            yield Finding(False, f"{case}: there is nothing that could be trained")
            continue
        found, trained = _gradient(module, x)
        yield Finding(
            trained == count,
            f"{case}: {trained} weights can be trained, where the network has {count}: "
            "is the copy frozen?",
        )
        sizes = [float(sum(g.square().sum() for g in parts)) for parts in (found, expected)]
        yield Finding(
            math.isclose(*sizes, rel_tol=1e-6),
            f"{case}: the derivative by the weights is not the network's. Is it the whole initial "
            "network that is subtracted? With the head alone only the readout learns at first",
        )


# Same kernel, other neurons


def _turned(Φ, order):
    """Features with the kernel of Φ, whose eigenvectors have exchanged their eigenvalues."""
    U = torch.linalg.eigh(torch.cov(Φ.T))[1]
    return Φ @ U @ U[:, order].T


def _neurons(X, Y):
    A, B = torch.cov(X.T), torch.cov(Y.T)
    return float((A * B).sum() / (A.norm() * B.norm()))


@judged(
    "same-kernel-other-neurons",
    {
        "the kernel is another one": lambda Φ: draw(*Φ.shape),
        "it can be smaller": lambda Φ: Φ @ torch.linalg.qr(draw(Φ.shape[1], Φ.shape[1]))[0],
        "more than that of an average rotation": lambda Φ: Φ,
    },
)
def _same_kernel_other_neurons(answer):
    full = draw(50, 8) * torch.tensor([3.0, 2, 1.5, 1, 0.8, 0.5, 0.3, 0.2])
    cases = {"rectified features": (draw(60, 10) @ draw(10, 6, seed=1)).relu()}
    cases |= {"features of rank 3 among 8": full[:, :3] @ draw(3, 8, seed=2)}
    cases |= {"eight unequal features": full @ torch.linalg.qr(draw(8, 8, seed=3))[0] + 1}
    for case, Φ in cases.items():
        found = torch.as_tensor(answer(Φ.clone())).double()
        if found.shape != Φ.shape or not torch.allclose(found @ found.T, Φ @ Φ.T, atol=1e-6):
            yield Finding(False, f"{case}: the kernel is another one")
            continue
        S = torch.linalg.eigvalsh(torch.cov(Φ.T)).clamp(min=0)
        value, power = _neurons(Φ, found), float(S.square().sum())
        average = float(S.sum() ** 2 / len(S)) / power
        yield Finding(
            value <= average,
            f"{case}: the comparison of neurons gives {value:.3f}, more than that of an average "
            "rotation",
        )
        least = float((S * S.flip(0)).sum()) / power
        yield Finding(
            value < 1.01 * least + 1e-6,
            f"{case}: the comparison of neurons gives {value:.3f}; it can be smaller",
        )


# Another line for the bench


@judged(
    "another-line",
    {
        "it survives": lambda Φ, F: torch.cat([F, 0.01 * F[:, :1]], dim=1),
        "is not faint": lambda Φ, F: torch.cat([F, Φ @ draw(Φ.shape[1], 1)], dim=1),
        "not a linear readout": lambda Φ, F: torch.cat([F, 1e-3 * draw(len(F), 1)], dim=1),
    },
)
def _another_line(answer):
    indicators = torch.eye(4, dtype=torch.float64).repeat(50, 1)
    basis = orthonormal_basis(indicators)
    cases = {"features with faint idle directions": 0.1, "features with fainter ones": 0.02}
    for case, size in cases.items():
        Φ = torch.cat([basis, size * draw(200, 12)], dim=1)
        F = basis @ basis.T @ indicators / 200
        G = torch.as_tensor(answer(Φ.clone(), F.clone())).double()
        if G.ndim != 2 or len(G) != len(F) or G.shape[1] < 4:
            yield Finding(False, f"{case}: expected outputs (200, 4 or more)")
            continue
        moved = float(torch.cat([G[:, :4] - F, G[:, 4:]], dim=1).norm() / F.norm())
        rest = float((G - Φ @ torch.linalg.lstsq(Φ, G).solution).norm() / G.norm())
        before, after = dlr(Φ, F), dlr(Φ, G)
        words = ""
        if not after - before > 0.1:
            words = f"D_LR goes from {before:.3f} to {after:.3f}: it survives"
        elif not moved < 0.011:
            words = f"{moved:.1%} of the outputs is new or changed, which is not faint"
        elif not rest < 1e-6:
            words = "the outputs are not a linear readout of the features"
        yield Finding(not words, f"{case}: {words}")
