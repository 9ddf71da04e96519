"""Exercises of "Batch normalization makes VGG rich"."""

import math

from richlib.course.exercise import compared, draw

# Deeper


def _share(K, fan_in, width, layers, exact=1e-6, switch=True, kept=False):
    """The share that differs after so many layers; below `exact` it is a sixth in each layer."""
    for layer in range(layers):
        C = K / 3 + 1 / (3 * (width if layer and switch else fan_in))
        scale = C.diag().sqrt()
        scale = scale[:, None] * scale
        c = (C / scale).clamp(-1, 1)
        K = scale * ((1 - c**2).sqrt() + c * (math.pi - c.arccos())) / (2 * math.pi)
        share = 1 - float(K.mean() / K.diag().mean())
        if share < exact:
            share /= 6 ** (layers - layer - 1)
            break
    return 1 - share if kept else share


def _kernels():
    pixels = draw(30, 64) + 0.7
    K = pixels @ pixels.T / 64
    return {
        "one layer": (K, 64, 256, 1),
        "8 layers": (K, 64, 256, 8),
        "16 layers": (K, 64, 256, 16),
        "32 layers": (K, 64, 256, 32),
        "12 narrow layers": (K, 64, 32, 12),
    }


compared(
    "deeper",
    _share,
    _kernels,
    {
        "Is that the share of the constant? Asked for is what differs.": (
            lambda *arguments: _share(*arguments, kept=True)
        ),
        "Which fan-in has a layer that is not the first?": (
            lambda *arguments: _share(*arguments, switch=False)
        ),
        "A difference of two numbers this close is rounding. By what factor does it fall?": (
            lambda *arguments: _share(*arguments, exact=-1.0)
        ),
        "Is that one layer too few?": lambda K, fan_in, width, layers: (
            _share(K, fan_in, width, layers - 1) if layers > 1 else float("inf")
        ),
    },
    rtol=0.03,
    atol=0.0,
)


# The slow approach of the ReLU


def _approach(ε, layers, gain=1.0):
    for _ in range(layers):
        c = 1 - ε
        ε = 1 - gain * (math.sqrt(max(1 - c**2, 0.0)) + c * (math.pi - math.acos(c))) / math.pi
    return ε


def _expanded(ε, layers):
    for _ in range(layers):
        ε -= 2 * math.sqrt(2) / (3 * math.pi) * ε**1.5
    return ε


compared(
    "slow-approach",
    _approach,
    lambda: {
        "orthogonal inputs and one layer": (1.0, 1),
        "opposite inputs": (2.0, 3),
        "orthogonal inputs and 1,000 layers": (1.0, 1000),
        "inputs that are nearly alike": (1e-3, 20),
        "no layer at all": (0.5, 0),
    },
    {
        "Is that the expansion around c = 1? Use the map itself; inputs may be far apart.": (
            _expanded
        ),
        "Is that the power law? It holds after many layers only.": (
            lambda ε, layers: 9 * math.pi**2 / (2 * max(layers, 1) ** 2)
        ),
        "With variance 2/fan-in two equal inputs stay equal: what is the map of c at c = 1?": (
            lambda ε, layers: _approach(ε, layers, gain=0.5)
        ),
    },
    rtol=1e-5,
)


# Subtract, or divide?


def _next(size, share, subtract, divide, dual=True):
    """Mean square and share that differs after a wide layer, all pairs of inputs equally alike."""
    mean, variance = size * (1 - share) / 3, size * share / 3  # of what the ReLU is given
    if subtract:
        mean = 0.0
    if divide:
        mean, variance = mean / variance, 1.0
    c = mean / (mean + variance)
    alike = (math.sqrt(1 - c**2) + c * (math.pi - math.acos(c))) / math.pi
    return (mean + variance) / 2, 1 - (alike if dual else c)


def _by_square(size, share, subtract, divide):
    """Divided by the root of the mean square, the mean included."""
    if subtract or not divide:
        return _next(size, share, subtract, divide)
    return 0.5, _next(size, share, False, False)[1]


compared(
    "subtract-or-divide",
    _next,
    lambda: {
        "a layer that does neither": (0.8, 0.5, False, False),
        "a layer that only subtracts": (0.8, 0.5, True, False),
        "a layer that only divides": (0.8, 0.5, False, True),
        "a layer that does both": (0.8, 0.5, True, True),
        "a layer that only divides what is nearly constant": (2.0, 0.01, False, True),
        "a layer that only subtracts where nothing is shared": (2.0, 1.0, True, False),
    },
    {
        "Dividing by the standard deviation changes all inputs alike, and their cosines?": (
            lambda size, share, subtract, divide: (
                _next(size, share, subtract, divide)[0],
                1 - 1 / math.pi if divide else _next(size, share, subtract, divide)[1],
            )
        ),
        "A standard deviation leaves the mean out: the signal grows with what it divides.": (
            _by_square
        ),
        "Does the ReLU leave the cosine of two inputs as it is?": (
            lambda *arguments: _next(*arguments, dual=False)
        ),
        "Is the share of the constant meant? The second number is what differs.": (
            lambda *arguments: (_next(*arguments)[0], 1 - _next(*arguments)[1])
        ),
    },
    rtol=1e-4,
)
