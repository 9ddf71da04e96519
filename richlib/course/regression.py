"""Exercises of "Regression: rich without classes"."""

import torch

from richlib.course.exercise import Finding, compared, draw, judged
from richlib.richness import dlr


def _orthonormal(n, k, seed=0):
    """Functions (n, k) with mean zero, orthonormal over the samples."""
    functions = draw(n, k, seed=seed)
    return torch.linalg.qr(functions - functions.mean(dim=0))[0] * n**0.5


# The floor for C outputs


def _unequal(ρ):
    return float(1 - ρ.sum() / (len(ρ) * ρ.square().sum()).sqrt())


compared(
    "floor-of-unequal-outputs",
    _unequal,
    lambda: {
        "equal eigenvalues": (torch.full((4,), 3.0, dtype=torch.float64),),
        "a single output": (torch.tensor([2.0]).double(),),
        "ten eigenvalues that fall like 1/k": (1 / torch.arange(1, 11).double(),),
        "one eigenvalue that is far above the others": (torch.tensor([1.0, 1e-6, 1e-6]).double(),),
    },
    {
        "Are the eigenvalues squared already? T has the eigenvalues themselves.": (
            lambda ρ: _unequal(ρ.sqrt())
        ),
        "That is for the outputs' own kernel, or for squares: T_MP has equal strengths.": (
            lambda ρ: _unequal(ρ.square())
        ),
        "Was the norm of the projection left out?": (
            lambda ρ: float(1 - ρ.sum() / ρ.square().sum().sqrt())
        ),
        "That is the cosine, CKA itself.": lambda ρ: 1 - _unequal(ρ),
    },
)


# A measure for unequal outputs


def _networks(s=0.2):
    """{name: features, outputs, the range in which the value has to lie}."""
    functions = _orthonormal(300, 22)
    outputs = functions[:, :2] * torch.tensor([1.0, s])
    turn = torch.linalg.qr(draw(6, 6, seed=1))[0][:2]
    found = {}
    for who, ρ in {
        "whose weights carry the sizes": (1.0, 1.0),
        "whose weights and features share the sizes": (1.0, s),
        "whose features carry the sizes": (1.0, s**2),
    }.items():
        features = functions[:, :2] * torch.tensor(ρ).double().sqrt()
        found[f"the network {who}"] = (features @ turn + 1.0, outputs, -0.02, 0.02)
    found["twenty lazy features of equal strength, two of them read"] = (
        functions[:, :20],
        outputs,
        0.2,
        1.001,
    )
    idle = torch.cat([3 * functions[:, 20:], 0.3 * functions[:, :2]], dim=1)
    found["two weak features that are read, two strong ones that are not"] = (
        idle,
        outputs,
        0.2,
        1.001,
    )
    return found


@judged(
    "a-measure-for-unequal-outputs",
    {
        "for the network whose weights and features share the sizes: expected 0": (
            lambda features, outputs: dlr(features, outputs)
        ),
        "for the network whose weights carry the sizes: expected 0": (
            lambda features, outputs: dlr(features, outputs, estimator="gram")
        ),
        "for twenty lazy features of equal strength, two of them read: expected a value": (
            lambda features, outputs: 0.0
        ),
    },
)
def _a_measure(answer):
    for name, (features, outputs, low, high) in _networks().items():
        value = float(answer(features.clone(), outputs.clone()))
        wanted = "0" if low < 0 else "a value between 0.2 and 1"
        yield Finding(low <= value <= high, f"for {name}: expected {wanted}, got {value:.3f}")


# The floor of a spectrum


def _floors(λ, C, b=None):
    """The two floors; b: of the second, the eigenvalue that the constant leaves, best if None."""
    S, norm = λ[: C - 1].sum(), λ.norm()
    centered = 1 - λ[:C].sum() / (C**0.5 * norm)
    if b is None:
        b = λ[C - 1] * (C - 1) / S if C > 1 else 1.0
    any_outputs = 1 - (S + b * λ[C - 1]) / (norm * (C - 1 + b**2) ** 0.5)
    return float(centered), float(any_outputs)


def _spectra():
    falling = 1 / torch.arange(1, 31, dtype=torch.float64)
    return {
        "eigenvalues that fall like 1/k and ten outputs": (falling, 10),
        "eigenvalues that fall like 1/k and one output": (falling, 1),
        "eight equal eigenvalues and three outputs": (torch.ones(8).double(), 3),
        "a cliff after two eigenvalues and three outputs": (
            (torch.tensor([5.0, 3.0, 1e-3, 5e-4]).double(), 3)
        ),
        "as many outputs as eigenvalues": (falling[:10], 10),
    }


compared(
    "floor-of-a-spectrum",
    _floors,
    _spectra,
    {
        "Do the weaker features not count? They are part of the norm of c(T).": (
            lambda λ, C: _floors(λ[:C], C)
        ),
        "Must outputs with a mean do no better? One of them can keep a part of the constant.": (
            lambda λ, C: (_floors(λ, C)[0], _floors(λ, C)[0])
        ),
        "Is all of the constant in the span the best choice? A part of it may be better.": (
            lambda λ, C: (_floors(λ, C)[0], _floors(λ, C, 0.0)[1] if C > 1 else 1.0)
        ),
        "Was the projection's norm the number of its dimensions? It is the root of it.": (
            lambda λ, C: (float(1 - λ[:C].sum() / (C * λ.norm())), _floors(λ, C)[1])
        ),
    },
)
