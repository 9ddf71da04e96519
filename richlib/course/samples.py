"""Exercises of "How much data until it is rich"."""

import torch

from richlib.course.exercise import Finding, compared, judged

# The same number of steps


def _same_steps(samples, reference, batch_size, epochs, decay_every, whole=True):
    def steps(n):  # of an epoch
        return -(-n // batch_size) if whole else n / batch_size

    factor = steps(reference) / steps(samples)
    return epochs * factor, decay_every * factor


compared(
    "same-steps",
    _same_steps,
    lambda: {
        "50 pictures of 1,000": (50, 1000, 32, 20, 8),
        "100 pictures of 1,000": (100, 1000, 32, 20, 8),
        "300 pictures of 1,000": (300, 1000, 32, 20, 8),
        "fewer pictures than a batch": (20, 1000, 32, 20, 8),
        "as many pictures as before": (1000, 1000, 32, 20, 8),
    },
    {
        "Are pictures counted instead of steps? The last batch of an epoch need not be full.": (
            lambda *arguments: _same_steps(*arguments, whole=False)
        ),
        "Does the learning rate fall after as many steps as before?": (
            lambda *arguments: (_same_steps(*arguments)[0], arguments[-1])
        ),
        "Is that the number of steps? The first value is the number of epochs.": (
            lambda samples, reference, batch_size, epochs, decay_every: (
                -(-reference // batch_size) * epochs,
                decay_every,
            )
        ),
    },
    rtol=0.0,
    atol=0.6,
)


# The exponent of the digits


def _slope(k, values):
    """Of a straight line through ln(values) over ln(k), by least squares."""
    x, y = k.log(), values.log()
    x = x - x.mean()
    return float((x * y).sum() / (x * x).sum())


def _exponents(eigenvalues, power, first, last, c_of_sum=1.0, smaller=True):
    k = torch.arange(first, last + 1, dtype=torch.float64)
    some = slice(first - 1, last)
    a = -_slope(k, eigenvalues[some])
    c = c_of_sum - _slope(k, power.flip(0).cumsum(0).flip(0)[some])
    return a, c, min(c - 1, 2 * a) if smaller else c - 1


def _power_laws(a, c, N=100_000, seed=None):
    k = torch.arange(1, N + 1, dtype=torch.float64)
    power = k**-c
    if seed is not None:  # as of Gaussian coefficients
        generator = torch.Generator().manual_seed(seed)
        power = power * torch.randn(N, generator=generator, dtype=torch.float64).square()
    return k**-a, power


@judged(
    "digits-exponents",
    {
        "the sum from k on falls with another exponent than its terms": (
            lambda ρ, v2, first, last: _exponents(ρ, v2, first, last, c_of_sum=0.0)
        ),
        "what limits a target as smooth as this?": (
            lambda ρ, v2, first, last: _exponents(ρ, v2, first, last, smaller=False)
        ),
        "are the power and the coefficient mixed up?": (
            lambda ρ, v2, first, last: _exponents(ρ, v2.sqrt(), first, last)
        ),
        "from the first eigenvalue on?": lambda ρ, v2, first, last: _exponents(ρ, v2, 1, 20),
    },
)
def _digits_exponents(answer):
    for case, (a, c) in {
        "a rough target": (1.8, 1.8),
        "a smooth target": (1.2, 4.5),
        "a target between the two": (1.5, 3.0),
    }.items():
        ρ, power = _power_laws(a, c)
        ρ[:19] = ρ[19]  # no power law before k = 20
        found = [float(x) for x in answer(ρ.clone(), power.clone(), 20, 300)]
        yield Finding(
            abs(found[0] - a) < 0.05,
            f"for {case}: a = {found[0]:.2f} is not right; is it fitted where the power law is, or "
            f"from the first eigenvalue on?",
        )
        yield Finding(abs(found[1] - c) < 0.1, f"for {case}: {_wrong_c(found[1], c)}")
        b = min(c - 1, 2 * a)
        yield Finding(
            abs(found[2] - b) < 0.15,
            f"for {case}: b = {found[2]:.2f} is not right; "
            + ("what limits a target as smooth as this?" if c - 1 > 2 * a else "see c"),
        )
    noisy = [answer(*_power_laws(1.8, 1.8, seed=seed), 20, 300) for seed in range(8)]
    mean = sum(float(values[1]) for values in noisy) / len(noisy)
    yield Finding(
        abs(mean - 1.8) < 0.15,
        f"for noisy powers: c = {mean:.2f} on average over eight draws is not right",
    )


def _wrong_c(found, c):
    words = f"c = {found:.2f} is not right; "
    if abs(found - c + 1) < 0.15:
        return words + "the sum from k on falls with another exponent than its terms"
    if found < 0.75 * c:
        return words + "are the power and the coefficient mixed up?"
    return words + "over which k is it fitted?"
