"""Exercises of "Weight decay and the low-rank bias"."""

from richlib.course.exercise import compared

# Same exponent, another recipe


compared(
    "same-exponent",
    lambda left, rate, decay: left ** (rate * decay),
    lambda: {
        "half the rate and twice the decay": (0.12, 0.5, 2.0),
        "half the rate": (0.12, 0.5, 1.0),
        "three times the rate and half the decay": (0.6, 3.0, 0.5),
        "no decay at all": (0.12, 0.5, 0.0),
    },
    {
        "What changes in proportion, the exponent or what is left?": (
            lambda left, rate, decay: left * rate * decay
        ),
        "Does a decay act by itself? A step multiplies a weight by one minus rate times decay.": (
            lambda left, rate, decay: left**decay
        ),
        "Is less left after a weaker decay?": (
            lambda left, rate, decay: left ** (1 / (rate * decay)) if decay else 0.0
        ),
    },
)


# Three layers by hand


def _jump(decay):
    return 2 * decay**0.75, decay**0.75


compared(
    "three-layers-by-hand",
    _jump,
    lambda: {
        "the decay of the chapter": (1.2,),
        "a weak decay": (0.01,),
        "a strong decay": (20.0,),
    },
    {
        "There a second minimum appears; is it already as low as the one at zero?": (
            lambda decay: (4 * (decay / 3) ** 0.75, (decay / 3) ** 0.75)
        ),
        "That is for two layers, where nothing jumps.": lambda decay: (decay, 0.0),
        "Was the factor of the price left out? It is half the number of layers.": (
            lambda decay: _jump(2 * decay / 3)
        ),
        "Is that the value asked for, or the one that is kept? They come in this order.": (
            lambda decay: _jump(decay)[::-1]
        ),
    },
)


# Decay on one side only


def _one_side(K_square, w_square, decay):
    return -2 * decay * K_square, 2 * decay * w_square, 0.0


compared(
    "decay-on-one-side-only",
    _one_side,
    lambda: {
        "a balanced feature": (2.0, 2.0, 0.1),
        "a feature with more in the convolutions": (5.0, 0.5, 0.1),
        "a feature with more in the head": (0.2, 3.0, 0.02),
    },
    {
        "That is the law with decay on both sides: which of its terms are gone?": (
            lambda K, w, decay: (-2 * decay * (K - w), -2 * decay * (K - w), 0.0)
        ),
        "With which sign does the head's square come into the imbalance?": (
            lambda K, w, decay: (-2 * decay * K, -2 * decay * w, 0.0)
        ),
        "Must a product pay half if one of two is charged? Let the other factor grow.": (
            lambda K, w, decay: (*_one_side(K, w, decay)[:2], (K * w) ** 0.5 / 2)
        ),
        "What is the rate of a square? One factor is missing.": (
            lambda K, w, decay: (-decay * K, decay * w, 0.0)
        ),
    },
)
