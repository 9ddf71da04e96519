"""The chapter on linear models: what it says in numbers, from public functions at small sizes."""

import math

import pytest
import torch
from torch import nn

import richlib
from richlib.lab import toys
from richlib.lab.tasks import Split
from richlib.lab.train import train

α = {"falling": -4.0, "rising": 4.0}
POINTS = torch.tensor([0.08, 0.22, 0.42, 0.70], dtype=torch.float64)
VALUES = torch.tensor([0.5, 1.0, 0.3, -0.9], dtype=torch.float64)
k = torch.arange(1, 11, dtype=torch.float64)
p = 120
index = torch.arange(1, p + 1, dtype=torch.float64)
powers = 1 / index  # ρ_k = 1/k


@pytest.fixture(autouse=True)
def one_thread():
    """Many small matrices: threads would get in each other's way."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def simulate(E, ρ, v):
    """Learned coefficients and P_kk, each (draws, p), from eigenfunctions at samples (draws, n, p).

    θ̂ = Pθ*, with P the projection on the rows of the features √ρ_k e_k.
    """
    Q, _ = torch.linalg.qr((E * ρ.sqrt()).mT)  # (draws, p, n)
    θ = Q @ (Q.mT @ (v / ρ.sqrt())[:, None])  # (draws, p, 1)
    return ρ.sqrt() * θ[..., 0], Q.square().sum(-1)


def gaussian(draws, n, p, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return toys.power_law_features(draws * n, p, 0.0, generator).reshape(draws, n, p)


def sines(draws, n, p, seed=0):
    x = torch.rand(draws * n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return toys.sine_features(x, 0.0, p).reshape(draws, n, p)


def squared_error(learned, v):
    return (learned - v).square().sum(-1)  # (draws,), over the whole input distribution


def deviation(samples, expected):
    """Distance of the mean from what is expected, in standard errors of the mean."""
    bar = samples.std(0) / math.sqrt(len(samples))
    return (samples.mean(0) - expected).abs() / bar


def unit(v):
    return v / v.norm()


# Fig. 7


def features(name):
    return toys.sine_features(POINTS, α[name])  # (4, 10)


def fitted(name):
    return richlib.minimum_norm_interpolation(features(name), VALUES[:, None])[:, 0]  # (10,)


def test_the_two_functions_of_figure_7_fit_the_points_and_differ():
    x = torch.linspace(0, 1, 1001, dtype=torch.float64)
    curves = {}
    for name in α:
        torch.testing.assert_close(features(name) @ fitted(name), VALUES, atol=1e-9, rtol=0)
        curves[name] = toys.sine_features(x, α[name]) @ fitted(name)
    apart = (curves["falling"] - curves["rising"]).square().mean().sqrt()
    assert apart > curves["falling"].square().mean().sqrt()  # further apart than either is from 0


def test_each_model_of_figure_7_uses_its_large_features():
    low, high = ((fitted(name) * k ** α[name]).square() for name in ("falling", "rising"))
    assert low[:4].sum() > 0.99 * low.sum()
    assert high[6:].sum() > 0.95 * high.sum()


def test_each_model_finds_its_own_function_the_cheaper_one():
    c = {name: fitted(name) * k ** α[name] for name in α}  # ⟨e_k|f̂⟩
    for pricing in α:
        price = {name: (c[name].square() / k ** (2 * α[pricing])).sum() for name in α}
        torch.testing.assert_close(price[pricing], fitted(pricing).square().sum())
        assert all(price[name] > 100 * price[pricing] for name in α if name != pricing)


def descend(Φ, y, rate, steps, measure=lambda w: {}):
    model = nn.Linear(Φ.shape[1], 1, bias=False, dtype=torch.float64)
    nn.init.zeros_(model.weight)
    curves = train(
        model,
        Split(Φ, y[:, None], torch.zeros(len(y), dtype=torch.int64)),
        epochs=steps,
        batch_size=len(y),
        optimizer=torch.optim.SGD(model.parameters(), lr=rate),
        seed=0,
        measure=lambda: measure(model.weight.detach()[0]),
        progress=False,
    )
    return model.weight.detach()[0], curves


def test_gradient_descent_ends_at_the_minimum_norm():
    Φ = features("rising")
    step = float(0.5 / torch.linalg.norm(Φ, 2) ** 2)  # of Eq. 11: stable below four times this
    w, _ = descend(Φ, VALUES, rate=step * len(VALUES) / 2, steps=1500)
    # The slowest residual shrinks by 1 − 0.5·0.0107 a step: to e⁻⁸ = 3e-4 of its start.
    assert (w - fitted("rising")).norm() < 1e-3 * w.norm()
    w, _ = descend(Φ, VALUES, rate=step * len(VALUES) / 2, steps=50)
    assert (w - fitted("rising")).norm() > 0.1 * w.norm()  # not yet: the assertion can fail


@pytest.mark.parametrize("name", α)
def test_a_million_steps_by_squaring_end_at_the_minimum_norm(name):
    Φ = features(name)
    K = Φ @ Φ.T
    η = 0.5 / torch.linalg.eigvalsh(K)[-1]
    residual = torch.linalg.matrix_power(torch.eye(4) - η * K, 2**21) @ VALUES
    missing = Φ.T @ torch.linalg.solve(K, residual)
    assert missing.norm() < 1e-4 * fitted(name).norm()
    if name == "falling":  # 0.002 of the function is missing after 2^18 steps: not yet
        residual = torch.linalg.matrix_power(torch.eye(4) - η * K, 2**18) @ VALUES
        missing = k ** α[name] * (Φ.T @ torch.linalg.solve(K, residual))
        assert missing.norm() > 1e-3 * (k ** α[name] * fitted(name)).norm()


# Overlapping features


def test_weights_of_the_diagonalized_features_are_o_transposed_w():
    x = (torch.arange(1000, dtype=torch.float64) + 0.5) / 1000
    pair = torch.stack([x, x**2], dim=1)
    gram = torch.tensor([[1 / 3, 1 / 4], [1 / 4, 1 / 5]], dtype=torch.float64)  # Eq. 12
    torch.testing.assert_close(pair.T @ pair / 1000, gram, atol=1e-6, rtol=0)

    Φ = torch.stack([x, x**2, x**3], dim=1)
    e = richlib.Eigenfunctions.fit(Φ)
    O, basis = e.directions, e.eigenvalues.sqrt() * e(Φ)
    torch.testing.assert_close(Φ.T @ e(Φ) / 1000 / e.eigenvalues.sqrt(), O)  # Eq. 13
    w = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    torch.testing.assert_close(basis @ (O.T @ w), Φ @ w)
    assert (basis @ (O @ w) - Φ @ w).norm() > 0.1 * (Φ @ w).norm()  # θ = Ow, as printed
    torch.testing.assert_close((O.T @ w).norm(), w.norm())


# Learnability


@pytest.mark.parametrize("draw", [gaussian, sines])
@pytest.mark.parametrize("n", [3, 20, 60])
def test_the_sum_rule_holds_in_every_draw(draw, n):
    for E in draw(3, n, p):
        Φ = E * powers.sqrt()
        P = richlib.minimum_norm_interpolation(Φ, Φ)  # Φ⁺Φ, the projection on the rows
        assert float(P.trace()) == pytest.approx(n)
        torch.testing.assert_close(simulate(E[None], powers, powers)[1][0], P.diagonal())
    assert float(richlib.learnability(powers, n).sum()) == pytest.approx(n)


def test_the_sum_rule_ends_at_the_number_of_eigenvalues():
    for n in (p, p + 1, 5 * p):
        assert float(richlib.learnability(powers, n).sum()) == pytest.approx(p)
        Φ = gaussian(1, n, p)[0]
        P = richlib.minimum_norm_interpolation(Φ, Φ)
        assert float(P.trace()) == pytest.approx(p)


def test_the_projection_is_that_of_the_minimum_norm():
    E = sines(1, 4, 10)
    ρ = k**8
    learned, shares = simulate(E, ρ, torch.ones(10, dtype=torch.float64))
    w = richlib.minimum_norm_interpolation(E[0] * k**4, E[0].sum(1, keepdim=True))
    torch.testing.assert_close(learned[0], w[:, 0] * k**4)
    # Sherman and Morrison: P_kk = ρq/(1 + ρq), with q from the kernel without mode k = 3.
    rest = [j for j in range(10) if j != 2]
    Φ = (E[0] * k**4)[:, rest]
    q = E[0, :, 2] @ torch.linalg.solve(Φ @ Φ.T, E[0, :, 2])
    torch.testing.assert_close(shares[0, 2], ρ[2] * q / (1 + ρ[2] * q), rtol=1e-6, atol=0)


@pytest.mark.parametrize("n", [20, 60, 110])
def test_learnability_is_that_of_simulated_fits(n):
    _, shares = simulate(gaussian(200, n, p), powers, powers)
    L = richlib.learnability(powers, n)
    # Largest of 120 normal deviations: above 4.5 with probability below 1e-3.
    assert deviation(shares, L).max() < 4.5
    assert (shares.mean(0) - L).abs().max() < 0.02  # and the bars are narrow
    assert deviation(shares, richlib.learnability(powers, n + 2)).max() > 4.5


# Generalization error

TARGETS = {
    "all": unit(powers),
    "early": unit((index <= 10).double()),
    "late": unit(((index > 60) & (index <= 70)).double()),
}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("n", [20, 60, 110])
def test_error_is_that_of_simulated_fits(n, target):
    v = TARGETS[target]
    error = squared_error(simulate(gaussian(200, n, p), powers, v)[0], v)
    expected = richlib.generalization_error(powers, v, n)
    assert deviation(error, expected) < 3.5
    assert error.mean() == pytest.approx(expected, rel=0.07)
    # Without the factor 1/(1 − ΣL²/n) the bars would miss it.
    bias = ((1 - richlib.learnability(powers, n)) * v).square().sum()
    assert deviation(error, bias) > 3.5


def test_alignment_decides():
    v = TARGETS
    for n in (10, 20):
        assert richlib.generalization_error(powers, v["late"], n) > 1  # worse than f̂ = 0
    for n in (10, 20, 60, 110):
        early, late = (richlib.generalization_error(powers, v[t], n) for t in ("early", "late"))
        assert early < 0.6 * late


def test_sines_follow_the_theory_only_far_from_the_peak():
    v = TARGETS["all"]
    for n, low, high in ((20, 0.85, 1.15), (110, 1.5, 20)):
        error = squared_error(simulate(sines(200, n, p), powers, v)[0], v)
        assert low < error.mean() / richlib.generalization_error(powers, v, n) < high


@pytest.mark.parametrize(
    "draw, name, low, high, gap, below",
    [
        (gaussian, "falling", 1.6, 2.3, 0.04, 0.65),
        (gaussian, "rising", 1.25, 1.6, 0.05, 0.63),
        (sines, "falling", 6, 30, 0.15, 0.51),
        (sines, "rising", 1.3, 2.2, 0.06, 0.76),
    ],
)
def test_four_samples_are_too_few_for_the_error_and_enough_for_learnability(
    draw, name, low, high, gap, below
):
    ρ, v = k ** (2 * α[name]), unit(torch.ones(10, dtype=torch.float64))
    learned, shares = simulate(draw(5000, 4, 10), ρ, v)
    error = squared_error(learned, v)
    expected = richlib.generalization_error(ρ, v, 4)
    assert low < error.mean() / expected < high
    assert error.median() < expected  # the mean is made by the tail
    assert (error <= expected).double().mean() == pytest.approx(below, abs=0.03)
    assert error.sort().values[-250:].sum() > 0.25 * error.sum()
    assert (shares.mean(0) - richlib.learnability(ρ, 4)).abs().max() < gap


def test_how_q_varies_does_not_rank_the_errors():
    """Of four samples: neither fluctuation nor common value hold, and they rank otherwise."""
    v = unit(torch.ones(10, dtype=torch.float64))
    draws, modes, gap, error = {}, {}, {}, {}
    for draw in (gaussian, sines):
        for name in α:
            case, ρ = (draw.__name__, name), k ** (2 * α[name])
            learned, shares = simulate(draw(5000, 4, 10), ρ, v)
            q = shares / (1 - shares) / ρ
            medians = q.median(0).values
            draws[case], modes[case] = q[:, 4].log().std().exp(), medians.max() / medians.min()
            gap[case] = (shares.mean(0) - richlib.learnability(ρ, 4)).abs().max()
            error[case] = squared_error(learned, v).mean()
    assert min(draws.values()) > 2.5 and min(modes.values()) > 3
    worst = ("sines", "falling")
    assert worst == min(draws, key=draws.get) == max(gap, key=gap.get) == max(error, key=error.get)
    assert max(draws, key=draws.get) == ("gaussian", "falling")
    assert gap["gaussian", "falling"] < 0.04 < 0.08 < gap[worst]
    # Many samples and modes: both hold better.
    _, shares = simulate(gaussian(200, 60, p), powers, powers)
    q = shares / (1 - shares) / powers
    medians = q.median(0).values
    assert q[:, 49].log().std().exp() < 1.6 and medians.max() / medians.min() < 1.3


# Gradient flow


def test_modes_of_gradient_flow_are_those_of_a_run():
    grid = (torch.arange(200, dtype=torch.float64) + 0.5) / 200
    generator = torch.Generator().manual_seed(0)
    turn, _ = torch.linalg.qr(torch.randn(10, 10, generator=generator, dtype=torch.float64))
    Φ = toys.sine_features(grid, -1.0) @ turn
    target = torch.sign(torch.sin(2 * math.pi * grid))
    e = richlib.Eigenfunctions.fit(Φ)
    torch.testing.assert_close(e.eigenvalues, k**-2)
    v = e(Φ).T @ target / 200

    def coefficients(w):
        c = e(Φ).T @ (Φ @ w) / 200
        return {str(j): float(c[j]) for j in range(10)}

    rate = 0.05
    _, curves = descend(Φ, target, rate, 800, coefficients)
    seen = torch.tensor([curves[str(j)] for j in range(10)], dtype=torch.float64).T
    t = 2 * rate * torch.tensor(curves["epoch"], dtype=torch.float64)

    def apart(clock):
        predicted = richlib.gradient_flow(e.eigenvalues, v, clock * t)
        return float((seen - predicted).abs().max() / v.abs().max())

    # Steps of ρ_1 Δt = 0.1: descent leads the flow by at most e⁻¹ · 0.1/2 = 1.8%.
    assert apart(1) < 0.025
    assert apart(0.5) > 0.1 and apart(200) > 0.5  # without the 2; on the clock of the sum, Eq. 11


@pytest.mark.parametrize("name", α)
def test_the_flow_on_four_samples_is_eq_25_in_their_own_modes(name):
    Φ = features(name)
    λ, V = torch.linalg.eigh(Φ @ Φ.T)
    e = richlib.Eigenfunctions.fit(Φ)
    v = e(Φ).T @ VALUES / 4
    x = toys.sine_features(torch.linspace(0, 1, 101), α[name])
    for t in (0.3 / λ[-1], 3 / λ[-2], 1e3 / λ[0]):
        w = Φ.T @ (V @ (-torch.expm1(-λ * t) / λ * (V.T @ VALUES)))  # on the sum of Eq. 11
        modes = e(x) @ richlib.gradient_flow(e.eigenvalues, v, 4 * t)
        torch.testing.assert_close(modes, x @ w, atol=1e-8, rtol=1e-6)
    torch.testing.assert_close(w, fitted(name), rtol=1e-6, atol=1e-9)
