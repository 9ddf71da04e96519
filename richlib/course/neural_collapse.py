"""Exercises of "Neural collapse, proof by proof"."""

import torch

from richlib import collapse
from richlib.course.exercise import Finding, compared, judged
from richlib.operators import minimum_projection_features
from richlib.richness import dlr

# Which NC1?


compared(
    "which-nc1",
    lambda theirs, C: theirs * C**2,
    lambda: {
        "0.02 and ten classes": (0.02, 10),
        "0.5 and three classes": (0.5, 3),
        "0.001 and a hundred classes": (0.001, 100),
    },
    {
        "The trace is divided by C there. Is the scatter within classes the same matrix as here?": (
            lambda theirs, C: theirs * C
        ),
        "Which of the two numbers is the larger one?": lambda theirs, C: theirs / C**2,
        "Are the two conventions the same? Compare their lines in the table.": (
            lambda theirs, C: theirs
        ),
    },
)


# Rare classes have long arms


def _gram(counts, a1, a2, share=lambda counts: counts / counts.sum()):
    counts = torch.as_tensor(counts, dtype=torch.float64)
    return a1 + a2 * torch.diag(1 / share(counts))


compared(
    "rare-classes",
    _gram,
    lambda: {
        "balanced classes": ([25, 25, 25, 25], 0.7, 2.5),
        "classes of 40, 30, 20 and 10 samples": ([40, 30, 20, 10], 0.7, 2.5),
        "a class with a single sample": ([50, 1, 49], 0.0, 1.0),
    },
    {
        "That is the value for balanced classes: what became of the sizes of the classes?": (
            lambda counts, a1, a2: _gram(counts, a1, a2, lambda n: torch.ones_like(n) / len(n))
        ),
        "Is a mean over a class a mean over all samples? There are fewer to divide by.": (
            lambda counts, a1, a2: _gram(counts, a1, a2, lambda n: n.sum() / n)
        ),
        "Was the constant's strength left out? It is in every inner product of two class means.": (
            lambda counts, a1, a2: _gram(counts, 0.0, a2)
        ),
    },
)


# How small must the angle be?


def _bound(epsilon, norm, rank, C):
    return C * rank**0.5 * (epsilon * (2 - epsilon)) ** 0.5 * norm


compared(
    "scatter-bound",
    _bound,
    lambda: {
        "D_LR = 0": (0.0, 3.0, 5, 4),
        "D_LR = 0.02": (0.02, 3.0, 9, 10),
        "D_LR = 0.3 and scatter in one direction": (0.3, 1.5, 1, 4),
        "D_LR = 1": (1.0, 2.0, 4, 3),
    },
    {
        "Is D_LR itself the distance? It is one minus a cosine, and the distance is a sine.": (
            lambda epsilon, norm, rank, C: C * rank**0.5 * epsilon * norm
        ),
        "That bounds the mean scatter of all samples: is Σ_W a sum over the classes, or a mean?": (
            lambda epsilon, norm, rank, C: _bound(epsilon, norm, rank, 1)
        ),
        "A trace against a Hilbert-Schmidt norm: how does it grow with the rank if all "
        "eigenvalues are equal and the norm is given?": (
            lambda epsilon, norm, rank, C: _bound(epsilon, norm, rank**2, C)
        ),
    },
    atol=1e-7,
)


# The mean hides it


def _share(values):
    return float(values.mean() ** 2 / (values**2).mean())


def _digits():
    digits = torch.arange(10, dtype=torch.float64).repeat(7)
    return {
        "the digits 0 to 9 in equal numbers": (digits,),
        "standardized digits": ((digits - digits.mean()) / digits.std(),),
        "many small digits": (torch.tensor([0.0, 1, 1, 2, 0, 9]).double(),),
    }


compared(
    "share-of-the-constant",
    _share,
    _digits,
    {
        "A share of a square norm: was the mean squared?": (
            lambda values: float(values.mean() / (values**2).mean())
        ),
        "Was the square norm taken around the mean? ‖f‖² is the mean of the squares.": (
            lambda values: float(values.mean() ** 2 / values.var(correction=0))
        ),
        "That is the share of all the rest.": lambda values: 1 - _share(values),
    },
)


# Break each premise

CASES = ("balanced classes", "indicator outputs", "T is T_MP", "the way back")


def _example(case, sizes=(40, 30, 20, 10), mixed=False, hidden=False, spread=5.0):
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(*shape, dtype=torch.float64, generator=generator)

    C = len(sizes)
    counts = torch.tensor(sizes if case == "balanced classes" else [25] * C)
    labels = torch.repeat_interleave(torch.arange(C), counts)
    F = indicators = torch.eye(C, dtype=torch.float64)[labels]
    if case == "indicator outputs":
        F = F @ (torch.eye(C) + 0.3 * normal(C, C)) if mixed else F + 0.3 * normal(len(F), C)
    Φ = minimum_projection_features(F, 12, generator=generator)
    if case == CASES[3] or (case == CASES[2] and hidden):
        scatter = normal(len(Φ), 3)
        scatter -= indicators @ (indicators.T @ scatter) / counts[0]
        Φ = torch.cat([Φ, spread * scatter], dim=1)
    elif case == CASES[2]:
        Φ = Φ + 0.5 * normal(*Φ.shape)
    return Φ, F, labels


@judged(
    "break-each-premise",
    {
        "and two class means are a simplex by themselves": lambda case: _example(case, (70, 30)),
        "are the outputs constant on every class": lambda case: _example(case, mixed=True),
        "in which directions do the features scatter": lambda case: _example(case, hidden=True),
        "richness has hardly noticed": lambda case: _example(case, spread=0.1),
        "is to be broken, and no other": (
            lambda case: (*_example(case)[:1], *_example("balanced classes")[1:])
        ),
    },
)
def _broken(answer):
    for case in CASES:
        try:
            words = _flaw(case, *(torch.as_tensor(part) for part in answer(case)))
        except NotImplementedError:
            raise
        except Exception as error:
            words = f"{type(error).__name__}: {error}"
        yield Finding(words is None, f'for "{case}": {words}')


def _flaw(case, features, outputs, labels):
    """What is wrong with an example in which a premise is to be broken, or None."""
    check = collapse.check_proposition_1(features, outputs, labels)
    premise = CASES[2] if case == CASES[3] else case
    if check.failing != [premise]:
        broken = ", ".join(check.failing) or "none"
        return f"the premise {premise!r} is to be broken, and no other; broken: {broken}"
    collapsed, etf = check.residual < 1e-6, collapse.nc2(features, labels)
    deviation = max(etf.equinorm, etf.equiangularity, etf.angle)
    if case == CASES[0] and deviation < 0.01:
        two = (
            ", and two class means are a simplex by themselves" if len(labels.unique()) < 3 else ""
        )
        return f"NC2 still holds{two}"
    if case in CASES[1:3] and check.residual < 0.01:
        question = {
            CASES[1]: "are the outputs constant on every class?",
            CASES[2]: "in which directions do the features scatter?",
        }[case]
        return f"the premise is broken and Σ_b†Σ_W is still (nearly) zero: {question}"
    if case == CASES[3]:
        if not collapsed or deviation > 1e-6:
            return f"{'NC2' if collapsed else 'NC1'} does not hold: the features have not collapsed"
        value = dlr(features, outputs)
        if value < 0.5:
            return f"D_LR is {value:.3f}: richness has hardly noticed"
    return None
