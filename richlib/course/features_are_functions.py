"""Exercises of "Features are functions"."""

import math

import torch

from richlib.course.exercise import Finding, compared, draw, judged
from richlib.spectrum import Eigenfunctions

# A third function


def _products(end, over=None):
    over = over or end
    sine, cosine = math.sin(end), math.cos(end)
    return (1 - cosine) / over, sine / over, sine**2 / (2 * over)


def _cosines(end):
    one_sine, one_cosine, both = _products(end)
    sine, cosine = (math.sqrt(0.5 - s * math.sin(2 * end) / (4 * end)) for s in (1, -1))
    return one_sine / sine, one_cosine / cosine, both / (sine * cosine)


compared(
    "a-third-function",
    _products,
    lambda: {
        "the interval [0, 2π]": (2 * math.pi,),
        "the interval [0, π]": (math.pi,),
        "the interval [0, 1]": (1.0,),
    },
    {
        "Is that the area under the product? An inner product is a mean: the density counts.": (
            lambda end: _products(end, over=1.0)
        ),
        "Is that the density of another interval? It integrates to one over [0, end].": (
            lambda end: _products(end, over=2 * math.pi)
        ),
        "Are these cosines of angles? The inner product is not divided by the norms.": _cosines,
    },
    rtol=1e-4,
    atol=1e-5,
)


# Make them orthogonal


def _without(f, g):
    return f - (f * g).mean() / (g * g).mean() * g


def _columns():
    x = draw(200)
    return {
        "sin 2x and sin x on normal inputs": ((2 * x).sin(), x.sin()),
        "sin 2x and a constant": ((2 * x).sin(), torch.full_like(x, 3.0)),
        "functions that are orthogonal already": (_without(x**2, x.sin()), x.sin()),
        "a function and a multiple of it": (-4 * x.cos(), x.cos()),
    }


compared(
    "make-them-orthogonal",
    _without,
    _columns,
    {
        "Has the function that is projected on length one? If not, its square norm comes in.": (
            lambda f, g: f - (f * g).mean() * g
        ),
        "Was it divided by the norm where the square of the norm belongs?": (
            lambda f, g: f - (f * g).mean() / (g * g).mean().sqrt() * g
        ),
        "That is the projection; the exercise asks for what it leaves.": (
            lambda f, g: f - _without(f, g)
        ),
        "Which function is projected on which? Here it is the other way round.": (
            lambda f, g: _without(g, f)
        ),
    },
)


# A narrow bell


def _angle(tau, variance=None, degrees=True, norms=True, power=0.5):
    variance = tau**2 if variance is None else variance
    first, second, third, fourth = (math.exp(-(a**2) * variance / 2) for a in (1, 2, 3, 4))
    square = (1 - second) / 2 * (1 - fourth) / 2  # ‖sin x‖² ‖sin 2x‖²
    cosine = (first - third) / 2 / (square**power if norms else 1)
    angle = math.acos(cosine) if abs(cosine) <= 1 else math.nan
    return math.degrees(angle) if degrees else angle


compared(
    "a-narrow-bell",
    _angle,
    lambda: {f"tau = {tau:g}": (tau,) for tau in (0.1, 0.5, 1.0, 3.0)},
    {
        "Are these radians?": lambda tau: _angle(tau, degrees=False),
        "Is tau taken for the variance? It is the standard deviation.": (
            lambda tau: _angle(tau, variance=tau)
        ),
        "Was the inner product divided by the norms?": lambda tau: _angle(tau, norms=False),
        "Is a root missing? The cosine divides by norms, not by their squares.": (
            lambda tau: _angle(tau, power=1.0)
        ),
    },
    rtol=1e-3,
)


# Counting dimensions


def _ramps(x):
    return (x - torch.tensor([[-1.0, -0.5, 0.0, 0.5, 0.9]], dtype=x.dtype)).relu()


def _spanned(body, h, low=0.2, high=None, look=lambda Φ: len(Eigenfunctions.fit(Φ).eigenvalues)):
    x = torch.linspace(low, low + h if high is None else high, 1_000, dtype=torch.float64)
    return look(body(x[:, None]))


compared(
    "counting-dimensions",
    _spanned,
    lambda: {
        "ramps, two of which begin inside the interval": (_ramps, 1.0),
        "ramps, one of which begins inside the interval": (_ramps, 0.5),
        "ramps of which none begins inside the interval": (_ramps, 0.1),
        "features that are zero there, all but one": (
            lambda x: torch.cat([x, (x - 0.9).relu(), (-x).relu()], dim=1),
            0.3,
        ),
        "one function, three times": (lambda x: torch.cat([x, 2 * x, -x], dim=1), 0.5),
    },
    {
        "Is that the number of features? Features can be combinations of each other.": (
            lambda body, h: _spanned(body, h, look=lambda Φ: Φ.shape[1])
        ),
        "Is that how many features are not zero? Two of them may still be the same line.": (
            lambda body, h: _spanned(body, h, look=lambda Φ: int(Φ.any(dim=0).sum()))
        ),
        "Where does the interval end? h is its length.": (
            lambda body, h: _spanned(body, h, low=min(0.2, h), high=max(0.2, h))
        ),
        "Were the features centered? The constant is one of the functions that they can make.": (
            lambda body, h: _spanned(
                body, h, look=lambda Φ: torch.linalg.matrix_rank(Φ - Φ.mean(dim=0))
            )
        ),
    },
)


# Luck or distribution?


def _subsets(features, size, draws, root=1.0, error=False, relative=True):
    generator = torch.Generator().manual_seed(1)
    spectra = []
    for _ in range(draws):
        part = features[torch.randperm(len(features), generator=generator)[:size]]
        ρ = torch.linalg.eigvalsh(part.T @ part / size).flip(0) ** root
        spectra.append(ρ / ρ[0] if relative else ρ)
    spectra = torch.stack(spectra)
    return spectra.mean(dim=0), spectra.std(dim=0) / (draws**0.5 if error else 1)


@judged(
    "luck-or-distribution",
    {
        "Is that the standard error of the mean?": lambda *case: _subsets(*case, error=True),
        "divide each spectrum by its own first eigenvalue": (
            lambda *case: _subsets(*case, relative=False)
        ),
        "Are these singular values?": lambda *case: _subsets(*case, root=0.5),
    },
)
def _luck(answer):
    features = draw(400, 6) * torch.tensor([3.0, 1.0, 0.8, 0.6, 0.4, 0.1]).double()
    size, draws = 100, 200
    case = (features, size, draws)
    mean, spread = (
        torch.as_tensor(v, dtype=torch.float64) for v in answer(features.clone(), size, draws)
    )
    if mean.shape != (6,) or spread.shape != (6,):
        yield Finding(False, "expected a mean and a standard deviation for each of 6 eigenvalues")
        return
    expected, scatter = _subsets(*case)
    own = abs(mean[0] - 1) < 1e-6 and spread[0] < 1e-6
    yield Finding(
        bool(own),
        "ρ_1/ρ_1 is not one, or it varies: divide each spectrum by its own first eigenvalue",
    )
    near = ((mean - expected).abs() <= 0.5 * scatter + 1e-9).all()
    singular = torch.allclose(mean, _subsets(*case, root=0.5)[0], rtol=0.05)
    question = ". Are these singular values? The eigenvalues are their squares" if singular else ""
    yield Finding(bool(near), f"the mean of ρ_k/ρ_1 is not that of random subsets{question}")
    right = torch.allclose(spread[1:], scatter[1:], rtol=0.3)
    small = (spread[1:] < 0.3 * scatter[1:]).all()
    question = ". Is that the standard error of the mean? Bars show how subsets scatter"
    yield Finding(
        right,
        "the standard deviation over subsets is not what random subsets, drawn without "
        f"replacement, have{question if small else ''}",
    )


# Fewer classes, same network


def _flatness(features, weights):
    ρ = torch.linalg.eigvalsh((features * weights[:, None]).T @ features)
    return float(ρ.sum() ** 2 / ρ.square().sum())


def _equal(features):
    return torch.full_like(features[:, 0], 1 / len(features))


def _signed(features):
    weights = 1.5 * _equal(features)
    weights[: len(weights) // 4] *= -1 / 3
    return weights / weights.sum()


@judged(
    "fewer-classes",
    {
        "Do the weights sum to one?": lambda features: 3 * _equal(features),
        "negative": _signed,
        "hardly flatter than with equal weights": _equal,
        "Are large features given more weight?": lambda features: (
            features.square().sum(dim=1) / features.square().sum()
        ),
    },
)
def _fewer_classes(answer):
    for seed in range(3):
        mixing = draw(8, 10, seed=seed + 10) / torch.arange(1, 11)
        features = (draw(300, 8, seed=seed) @ mixing + 0.5).relu()
        weights = torch.as_tensor(answer(features.clone()), dtype=torch.float64)
        if weights.shape != (300,):
            yield Finding(False, "expected one weight for each of 300 samples")
            continue
        if not abs(weights.sum() - 1) < 1e-6:
            yield Finding(False, f"Do the weights sum to one? The sum is {weights.sum():.3g}")
            continue
        if not (weights >= -1e-9).all():
            yield Finding(False, "some weights are negative: that is no distribution")
            continue
        gain = _flatness(features, weights) / _flatness(features, _equal(features))
        words = f"the flatness is {gain:.2f} times that for equal weights"
        if gain < 0.99:
            words += ": steeper. Are large features given more weight?"
        elif gain < 1.1:
            words += ": hardly flatter than with equal weights"
        yield Finding(gain > 1.3, words)
