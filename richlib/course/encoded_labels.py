"""Exercises of "Rich is not the same as good"."""

import torch

from richlib.course.exercise import Finding, compared, draw, judged
from richlib.operators import orthonormal_basis
from richlib.richness import dlr

# True codes, and none


def _codes(inputs, labels, first=0, keep=0.0):
    true, none = inputs.clone(), inputs.clone()
    code = torch.eye(10, dtype=inputs.dtype)[labels]
    true[:, first : first + 10] = keep * true[:, first : first + 10] + code
    none[:, first : first + 10] = 0
    return true, none


def _pictures():
    pictures = draw(12, 100).abs().clamp(max=1)
    labels = torch.arange(12) % 10
    return {
        "pictures with a random code": (
            torch.cat([torch.eye(10, dtype=torch.float64)[labels.flip(0)], pictures[:, 10:]], 1),
            labels,
        ),
        "pictures with ink where the code belongs": (pictures, labels),
        "pictures of a single class": (pictures[:4, :40], torch.full((4,), 9)),
    }


compared(
    "true-codes",
    _codes,
    _pictures,
    {
        "Is the old code still there? The new one is written over it.": (
            lambda inputs, labels: _codes(inputs, labels, keep=1.0)
        ),
        "Which pixels hold the code?": lambda inputs, labels: _codes(inputs, labels, first=1),
        "Are these both the same pictures? The first have the code, the second have none.": (
            lambda inputs, labels: _codes(inputs, labels)[:1] * 2
        ),
    },
)


# As rich as can be


def _outputs():
    indicators = torch.eye(5, dtype=torch.float64).repeat(12, 1)
    return {
        "class indicators": (indicators, 8),
        "outputs of unequal strength": (indicators * torch.tensor([1.0, 2, 3, 4, 5]), 5),
        "outputs of any kind": (draw(60, 3) @ draw(3, 3, seed=1) + 0.5, 20),
    }


@judged(
    "as-rich-as-can-be",
    {
        "leave the span of the outputs": lambda outputs, p: draw(len(outputs), p),
        "D_LR is": lambda outputs, p: outputs @ draw(outputs.shape[1], p),
        "expected features of shape": lambda outputs, p: orthonormal_basis(outputs)[:, :2],
    },
)
def _as_rich_as_can_be(answer):
    for case, (outputs, p) in _outputs().items():
        Φ = torch.as_tensor(answer(outputs.clone(), p)).double()
        if Φ.shape != (len(outputs), p):
            words = f"expected features of shape {(len(outputs), p)}, got {tuple(Φ.shape)}"
            yield Finding(False, f"{case}: {words}")
            continue
        basis = orthonormal_basis(outputs)
        rest = Φ - basis @ (basis.T @ Φ) / len(Φ)
        if not rest.norm() < 1e-6 * Φ.norm():
            yield Finding(False, f"{case}: the features leave the span of the outputs")
            continue
        value = dlr(Φ, outputs)
        yield Finding(abs(value) < 1e-6, f"{case}: D_LR is {value:.3g}. Is R Rᵀ the identity?")


# A frozen kernel with a moving measure


def _bound(λ, C, count=None, rank=None):
    λ = torch.as_tensor(λ, dtype=torch.float64)
    overlap = λ[: count or C].sum()
    return float(1 - overlap / ((rank or C - 1) ** 0.5 * λ.norm()))


def _spectra():
    """{case: eigenvalues of c(T), decreasing}"""
    k = torch.arange(1, 41, dtype=torch.float64)
    return {"a steep spectrum": k**-2, "a flat one": k**-0.3, "ten equal eigenvalues": k[:10] ** 0}


@judged(
    "frozen-kernel",
    {
        "the outputs that hold the constant": lambda λ, C: _bound(λ, C, rank=C),
        "one can do better": lambda λ, C: _bound(λ, C, count=len(λ)),
        "the strongest directions": lambda λ, C: _bound(λ, C, count=1),
    },
)
def _frozen_kernel(answer):
    Q = torch.linalg.qr(torch.cat([torch.ones(80, 1).double(), draw(80, 40)], dim=1))[0] * 80**0.5
    constant, e = Q[:, :1], Q[:, 1:]
    for case, λ in _spectra().items():
        Φ, C = e[:, : len(λ)] * λ.sqrt(), 4
        value = float(answer(λ.clone(), C))
        attained = {
            "the outputs that hold the constant": torch.cat([constant, e[:, : C - 1]], dim=1),
            "the strongest directions": e[:, :C],
        }
        values = {name: dlr(Φ, F) for name, F in attained.items()}
        low = [f"{name}: {found:.3f}" for name, found in values.items() if not value < found + 1e-9]
        words = f"{case}: {value:.3f} is no lower bound, D_LR is smaller for {', '.join(low)}"
        if not low:
            words = f"{case}: {value:.3f} is a lower bound, and one can do better"
        yield Finding(not low and value >= _bound(λ, C) - 1e-9, words)


# Predict a mixture


def _mixture(s, C, m, alone=False, squared=False, constant=0):
    d = C - 1 + constant
    ε = s / (1 - s) if alone else s
    return 1 - (1 + ε ** (4 if squared else 2) * (m - d) / d) ** -0.5


compared(
    "mixture",
    _mixture,
    lambda: {
        "ten classes, a tenth of lazy features": (0.1, 10, 256),
        "ten classes, two parts of lazy features in three": (2 / 3, 10, 256),
        "two classes": (0.3, 2, 50),
        "no idle directions": (0.5, 5, 4),
        "no lazy features": (0.0, 10, 100),
        "hardly anything but lazy features": (0.99, 10, 100),
    },
    {
        "The lazy features hold the useful directions as well: how strong are these in all?": (
            lambda s, C, m: _mixture(s, C, m, alone=True)
        ),
        "What is the variance of a feature that is multiplied by a root?": (
            lambda s, C, m: _mixture(s, C, m, squared=True)
        ),
        "Is the constant among the directions? It is centered away.": (
            lambda s, C, m: _mixture(s, C, m, constant=1)
        ),
        "Kernels add up, their angles do not: that is a mean of the two values.": (
            lambda s, C, m: s * _mixture(1.0, C, m)
        ),
    },
    rtol=1e-5,
    atol=1e-7,
)


# Lazy and right, rich and wrong


def _two(labels, drawn=True, shift=0, size=1.0, rest=0.0):
    C, n = int(labels.max()) + 1, len(labels)
    right = torch.eye(C, dtype=torch.float64)[labels]
    lazy = torch.cat([right, size * draw(n, 100)], dim=1)
    other = torch.randperm(n, generator=torch.Generator().manual_seed(0))
    rich = right[other] if drawn else right.roll(shift, dims=1)
    return lazy, right + rest * draw(n, C, seed=1), rich, rich


@judged(
    "lazy-right-rich-wrong",
    {
        "the rich network is not at chance": lambda labels: _two(labels, drawn=False),
        "the rich network is not at chance: its accuracy is 0.0%": (
            lambda labels: _two(labels, drawn=False, shift=1)
        ),
        "the lazy network is not lazy": lambda labels: _two(labels, size=0.1),
        "the lazy network's outputs are no linear function": lambda labels: _two(labels, rest=0.1),
    },
)
def _lazy_right_rich_wrong(answer):
    for C, each in ((5, 60), (8, 40)):
        labels = torch.arange(C).repeat(each)
        parts = [torch.as_tensor(part).double() for part in answer(labels.clone())]
        pairs = {"lazy": parts[:2], "rich": parts[2:]}
        for name, (Φ, F) in pairs.items():
            place = f"{C} classes: the {name} network"
            if F.shape != (len(labels), C) or len(Φ) != len(labels):
                yield Finding(False, f"{place} has no outputs ({len(labels)}, {C})")
                continue
            Φ1 = torch.cat([torch.ones_like(Φ[:, :1]), Φ], dim=1)
            rest = F - Φ1 @ torch.linalg.lstsq(Φ1, F, driver="gelsd").solution
            if not rest.norm() < 1e-6 * F.norm():
                yield Finding(False, f"{place}'s outputs are no linear function of its features")
                continue
            value = dlr(Φ, F)
            accuracy = float((F.argmax(dim=1) == labels).double().mean())
            fine = value > 0.5 if name == "lazy" else value < 0.05
            yield Finding(fine, f"{place} is not {name}: its D_LR is {value:.3f}")
            fine = accuracy > 0.9 if name == "lazy" else 0.5 < accuracy * C < 1.5
            aim = "right" if name == "lazy" else "at chance"
            yield Finding(fine, f"{place} is not {aim}: its accuracy is {accuracy:.1%}")
