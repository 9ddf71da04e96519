"""Linear models: against root finders, simulated regressions, matrix exponentials, and Fig. 7."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.linalg import expm
from scipy.optimize import brentq

from richlib import Eigenfunctions
from richlib.linear import (
    generalization_error,
    gradient_flow,
    kappa,
    learnability,
    minimum_norm_interpolation,
)

# Eigenvalues over up to sixty decades, and the number of samples as a share of their number.
spectra = st.lists(st.floats(-30, 30), min_size=2, max_size=40).map(lambda e: 10.0 ** np.array(e))
shares = st.floats(0.01, 0.99)


def power_law(p, exponent):
    return np.arange(1, p + 1.0) ** -exponent


# κ and the learnabilities


@settings(max_examples=100, deadline=None)
@given(spectra, shares, st.sampled_from([0.0, 1e-9, 1.0, 1e9]))
def test_kappa_satisfies_its_equation(ρ, share, ridge):
    n = share * len(ρ)
    κ = kappa(ρ, n, ridge=ridge)
    assert math.fsum(ρ / (ρ + κ)) + ridge / κ == pytest.approx(n, rel=1e-12)
    assert float(learnability(ρ, n, ridge=ridge).sum()) == pytest.approx(n - ridge / κ, abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(spectra, st.data())
def test_learnabilities_sum_to_the_number_of_samples(ρ, data):
    n = data.draw(st.integers(1, len(ρ)))
    L = learnability(ρ, n)
    assert float(L.sum()) == pytest.approx(n, rel=1e-12)
    assert ((L >= 0) & (L <= 1)).all()
    order = np.argsort(ρ)
    assert (L[order].diff() >= 0).all()  # the larger the eigenvalue, the better learnt


@settings(max_examples=50, deadline=None)
@given(spectra, shares, st.sampled_from([1e-100, 1e-7, 3.0, 1e100]))
def test_learnability_keeps_under_a_common_scale(ρ, share, scale):
    n = share * len(ρ)
    expected = learnability(ρ, n, ridge=0.5)
    np.testing.assert_allclose(learnability(scale * ρ, n, ridge=scale * 0.5), expected, rtol=1e-12)
    assert kappa(scale * ρ, n) == pytest.approx(scale * kappa(ρ, n), rel=1e-12)


@settings(max_examples=20, deadline=None)
@given(spectra)
def test_more_samples_teach_every_mode_more(ρ):
    curve = torch.stack([learnability(ρ, n) for n in range(1, len(ρ) + 2)])
    assert (curve.diff(dim=0) >= -1e-15).all()


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0, 2.0, 4.0])
@pytest.mark.parametrize("n, ridge", [(1, 0), (7, 0.0), (49, 0), (7, 1e-3), (80, 0.3)])
def test_kappa_is_the_root_that_brentq_finds(exponent, n, ridge):
    ρ = power_law(50, exponent)

    def excess(log_κ):
        return (ρ / (ρ + np.exp(log_κ))).sum() + ridge / np.exp(log_κ) - n

    expected = np.exp(brentq(excess, -40, 20, xtol=1e-14))
    assert kappa(ρ, n, ridge=ridge) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("small", [1e-3, 1e-16, 1e-30, 1e-200])
def test_kappa_of_two_modes_and_one_sample_is_their_geometric_mean(small):
    # Where ΣL_k − n is formed as written, any κ between 1e-30 and 1e-16 looks like a root.
    assert kappa([3.0, small], n=1) == pytest.approx(math.sqrt(3 * small), rel=1e-13)
    L = learnability([3.0, small], n=1)
    assert float(L[1]) == pytest.approx(1 / (1 + math.sqrt(3 / small)), rel=1e-13)


@pytest.mark.parametrize("value", [1e-300, 1e-8, 1.0, 1e300])
@pytest.mark.parametrize("p, n", [(2, 1), (10, 4), (1000, 999), (5, 4.999999)])
def test_equal_eigenvalues_are_learnt_equally(value, p, n):
    np.testing.assert_allclose(learnability(np.full(p, value), n), n / p, rtol=1e-13)
    assert kappa(np.full(p, value), n) == pytest.approx(value * (p - n) / n, rel=1e-12)


@pytest.mark.parametrize("n", [3, 4, 10**6])
def test_with_as_many_samples_as_modes_everything_is_learnt(n):
    ρ = [2.0, 0.0, 1e-20, 1.0, 0.0]
    assert kappa(ρ, n) == 0.0
    assert learnability(ρ, n).tolist() == [1, 0, 1, 1, 0]


def test_zero_eigenvalues_change_nothing():
    L = learnability([1.0, 0.0, 0.1, 0.01], n=2)
    assert L[1] == 0 and L.sum().item() == pytest.approx(2)
    np.testing.assert_allclose(L[[0, 2, 3]], learnability([1.0, 0.1, 0.01], n=2))


def test_a_strong_ridge_leaves_nothing_to_learn():
    ρ = power_law(20, 1)
    assert kappa(ρ, 5, ridge=1e9) == pytest.approx(1e9 / 5, rel=1e-6)
    assert learnability(ρ, 5, ridge=1e9).max() < 1e-8
    np.testing.assert_allclose(learnability(ρ, 5, ridge=1e-13), learnability(ρ, 5), atol=1e-12)


def test_any_array_is_taken():
    ρ = power_law(6, 2)
    expected = learnability(ρ, 3)
    assert expected.dtype == torch.float64
    reverse = np.ascontiguousarray(ρ[::-1])[::-1]  # a view that torch does not take as it is
    for same in (reverse, ρ.tolist(), torch.tensor(ρ, requires_grad=True)):
        assert torch.equal(learnability(same, torch.tensor(3)), expected)
    half = learnability(torch.tensor([4.0, 1.0, 0.25], dtype=torch.bfloat16), 2)
    assert torch.equal(half, learnability([4.0, 1.0, 0.25], 2))


# Against regressions on random Gaussian modes


def regress(ρ, v, n, noise, ridge, draws=300, seed=0):
    """Learnt coefficients (draws, p) and errors on fresh samples (draws,) of kernel regression."""
    rng = np.random.default_rng(seed)
    learnt = []
    for _ in range(draws):
        e = rng.normal(size=(n, len(ρ)))  # values of the eigenfunctions
        y = e @ v + math.sqrt(noise) * rng.normal(size=n)
        if n >= len(ρ) and not ridge:
            learnt.append(np.linalg.lstsq(e, y)[0])
        else:
            K = (e * ρ) @ e.T + ridge * np.eye(n)
            learnt.append(ρ * (e.T @ np.linalg.solve(K, y)))
    learnt = np.array(learnt)
    return learnt, ((learnt - v) ** 2).sum(1) + noise


def assert_mean(samples, expected, standard_errors=4):
    error = samples.std(0, ddof=1) / math.sqrt(len(samples))
    assert (np.abs(samples.mean(0) - expected) < standard_errors * error).all()


@pytest.mark.parametrize(
    "p, n, exponent, noise, ridge",
    [
        (200, 60, 1.0, 0.0, 0.0),
        (200, 60, 1.0, 0.2, 0.0),
        (200, 60, 1.0, 0.2, 0.3),
        (200, 60, 1.5, 0.0, 5.0),
        (150, 120, 0.5, 0.1, 0.0),
        (60, 150, 1.0, 0.1, 2.0),  # more samples than modes, with a ridge
        (40, 200, 1.0, 0.5, 0.0),  # and without: ordinary least squares
    ],
)
def test_learnability_and_error_are_those_of_simulated_regressions(p, n, exponent, noise, ridge):
    ρ, v = power_law(p, exponent), power_law(p, 0.5)
    v /= np.linalg.norm(v)
    learnt, errors = regress(ρ, v, n, noise, ridge)
    expected = generalization_error(ρ, v, n, noise, ridge=ridge)
    assert_mean(errors, expected)
    assert errors.mean() == pytest.approx(expected, rel=0.03)  # the bars above are not wide
    assert_mean(learnt / v, learnability(ρ, n, ridge=ridge).numpy())


def test_the_error_without_its_prefactor_fails_the_simulation():
    """That the comparison decides: E0 = n/(n − ΣL²) of Eq. 16 is needed."""
    ρ, v = power_law(200, 1.0), power_law(200, 0.5)
    _, errors = regress(ρ, v, 60, 0.0, 0.0)
    bias = float((((1 - learnability(ρ, 60)) * torch.tensor(v)) ** 2).sum())
    with pytest.raises(AssertionError):
        assert_mean(errors, bias)


def test_the_error_of_least_squares_is_the_exact_one_for_many_samples():
    n, p, noise = 10**6, 10**5, 0.3  # exact for Gaussian modes: σ² (1 + p/(n − p − 1))
    error = generalization_error(np.ones(p), np.ones(p), n, noise)
    assert error == pytest.approx(noise * (1 + p / (n - p - 1)), rel=1e-6)


@settings(max_examples=50, deadline=None)
@given(spectra, shares, st.sampled_from([0.0, 0.7]))
def test_error_is_eq_16_as_printed(ρ, share, ridge):
    n, v = share * len(ρ), np.linspace(-1, 2, len(ρ))
    L = learnability(ρ, n, ridge=ridge).numpy()
    inverse = 1 - (L**2).sum() / n  # loses digits where L_k is close to 0 or 1
    expected = ((1 - L) ** 2 * v**2).sum()
    error = generalization_error(ρ, v, n, ridge=ridge)
    assert error * inverse == pytest.approx(expected, rel=1e-9, abs=1e-12 * max(1.0, error))


def test_error_keeps_its_digits_where_one_minus_the_sum_cancels():
    # ρ = (1, ε), n = 1: 1 − L_1 = L_2 = x, n − ΣL² = 2x(1 − x), with x = √ε/(1 + √ε).
    x = 1e-15 / (1 + 1e-15)
    error = generalization_error([1.0, 1e-30], [1.0, 0.0], n=1)
    assert error == pytest.approx(x / (2 * (1 - x)), rel=1e-12)


def test_error_at_the_interpolation_peak():
    ρ, v = [1.0, 0.5, 0.0], [1.0, 2.0, 0.0]
    assert generalization_error(ρ, v, n=2) == 0.0
    assert generalization_error(ρ, v, n=2, noise=0.1) == math.inf
    assert generalization_error(ρ, [1.0, 2.0, 0.1], n=2) == math.inf  # a part no feature expresses
    assert generalization_error(ρ, v, n=4, noise=0.1) == pytest.approx(4 / (4 - 2) * 0.1)


def test_several_outputs_add_up():
    ρ, V = power_law(30, 1), np.random.default_rng(0).normal(size=(30, 3))
    parts = [generalization_error(ρ, v, 10, 0.1) for v in V.T]
    total = generalization_error(ρ, np.linalg.norm(V, axis=1), 10, 0.3)
    assert total == pytest.approx(sum(parts))


# Gradient flow


@pytest.fixture
def regression(rng):
    """Correlated features (30, 5) and the values (30, 1) of a function that they express."""
    Φ = rng.normal(size=(30, 5)) @ rng.normal(size=(5, 5))
    return Φ, Φ @ rng.normal(size=(5, 1))


def flow(Φ, y, t):
    """Weights of gradient flow on ½ mean (Φw − y)² from zero, by the exponential of its matrix."""
    n, p = Φ.shape
    M = np.zeros((p + 1, p + 1))
    M[:p, :p], M[:p, p:] = -Φ.T @ Φ / n, Φ.T @ y / n
    return expm(M * t)[:p, p:]  # (p, 1)


def test_gradient_flow_is_that_of_the_weights(regression):
    Φ, y = regression
    e = Eigenfunctions.fit(Φ)
    E = e(Φ).numpy()  # (30, 5)
    v = (E.T @ y).squeeze() / 30
    times = [0.0, 0.01, 0.3, 1.0, 20.0]
    for t, modes in zip(times, gradient_flow(e.eigenvalues, v, times), strict=True):
        np.testing.assert_allclose(E @ modes.numpy(), (Φ @ flow(Φ, y, t)).squeeze(), atol=1e-9)


def test_gradient_flow_solves_eq_24():
    ρ, v = np.array([3.0, 1.0, 0.1, 0.0]), np.array([1.0, -2.0, 0.5, 4.0])
    times = np.linspace(0, 5, 7)
    path = solve_ivp(lambda _, a: -ρ * (a - v), (0, 5), np.zeros(4), t_eval=times, rtol=1e-10)
    np.testing.assert_allclose(gradient_flow(ρ, v, times), path.y.T, atol=1e-6)


@pytest.mark.parametrize(
    "loss, clock",
    [
        (lambda f, y: 0.5 * torch.mean((f - y) ** 2), 1),
        (torch.nn.functional.mse_loss, 2),
        (lambda f, y: 0.5 * torch.sum((f - y) ** 2), 30),  # Eq. 11, n = 30
    ],
)
def test_steps_of_gradient_descent_approach_it_at_the_stated_time(regression, loss, clock):
    Φ, y = (torch.tensor(part) for part in regression)
    e = Eigenfunctions.fit(Φ)
    v = (e(Φ).T @ y).squeeze() / 30
    w = torch.zeros(5, 1, dtype=torch.float64, requires_grad=True)
    rate, steps = 1e-3 / clock, 100
    for _ in range(steps):
        (gradient,) = torch.autograd.grad(loss(Φ @ w, y), w)
        w.data -= rate * gradient
    f = (Φ @ w).detach().squeeze()
    expected = e(Φ) @ gradient_flow(e.eigenvalues, v, clock * rate * steps)
    assert (f - expected).norm() < 0.005 * expected.norm()
    assert (f - e(Φ) @ v).norm() > 0.1 * expected.norm()  # training is not over


def test_gradient_flow_shapes_and_ends():
    ρ, v = [2.0, 1e-20], [1.0, 1.0]
    assert gradient_flow(ρ, v, 1).shape == (2,)
    assert gradient_flow(ρ, v, np.ones((3, 4))).shape == (3, 4, 2)
    assert gradient_flow(ρ, v, []).shape == (0, 2)
    assert (gradient_flow(ρ, v, 0.0) == 0).all()
    start, late = gradient_flow(ρ, v, [1.0, 1e30])
    assert start[1].item() == pytest.approx(1e-20)  # not rounded to nothing
    assert (late == 1).all()


# Minimum norm, and Fig. 7


@pytest.mark.parametrize("n, p, rank", [(5, 12, 5), (20, 6, 6), (8, 8, 8), (10, 9, 4), (1, 3, 1)])
def test_minimum_norm_is_that_of_lstsq(rng, n, p, rank):
    Φ = rng.normal(size=(n, rank)) @ rng.normal(size=(rank, p))
    Y = rng.normal(size=(n, 2))
    W = minimum_norm_interpolation(Φ, Y)
    expected = np.linalg.lstsq(Φ, Y, rcond=1e-12)[0]
    np.testing.assert_allclose(W, expected, atol=1e-9 * np.abs(expected).max())


def test_no_other_interpolation_has_a_smaller_norm(rng):
    Φ, Y = rng.normal(size=(4, 10)), rng.normal(size=(4, 2))
    W = minimum_norm_interpolation(Φ, Y).numpy()
    np.testing.assert_allclose(Φ @ W, Y, atol=1e-12)
    unseen = np.eye(10) - np.linalg.pinv(Φ) @ Φ  # weights that no sample sees
    for _ in range(20):
        other = W + unseen @ rng.normal(size=(10, 2))
        np.testing.assert_allclose(Φ @ other, Y, atol=1e-12)
        assert np.linalg.norm(other) > np.linalg.norm(W)


def test_minimum_norm_is_the_limit_of_the_ridge(rng):
    Φ, Y = rng.normal(size=(4, 10)), rng.normal(size=(4, 1))
    ridge = np.linalg.solve(Φ.T @ Φ + 1e-9 * np.eye(10), Φ.T @ Y)
    np.testing.assert_allclose(minimum_norm_interpolation(Φ, Y), ridge, atol=1e-6)


def test_rtol_leaves_weak_directions_out():
    W = minimum_norm_interpolation(np.diag([1.0, 1e-7]), np.ones((2, 1)), rtol=1e-6)
    assert W.squeeze().tolist() == [1.0, 0.0]
    W = minimum_norm_interpolation(np.diag([1.0, 1e-7]), np.ones((2, 1)))
    assert W.squeeze().tolist() == pytest.approx([1.0, 1e7])


def sines(x, alpha):
    """The ten features k^α √2 sin(2πkx) of Fig. 7: eigenfunctions on [0, 1], ρ_k = k^(2α)."""
    k = np.arange(1, 11)
    return k**alpha * math.sqrt(2) * np.sin(2 * np.pi * k * x[:, None])


@pytest.fixture
def points():
    return np.array([0.07, 0.31, 0.48, 0.85]), np.array([[0.8], [-0.5], [1.0], [0.3]])


@pytest.mark.parametrize("alpha, favored", [(-4.0, slice(0, 4)), (4.0, slice(6, 10))])
def test_figure_7_each_model_fits_with_its_large_features(points, alpha, favored):
    x, y = points
    w = minimum_norm_interpolation(sines(x, alpha), y)  # (10, 1)
    np.testing.assert_allclose(sines(x, alpha) @ w.numpy(), y, atol=1e-9)
    power = (w.squeeze() * torch.arange(1, 11.0, dtype=torch.float64) ** alpha) ** 2
    assert power[favored].sum() > 0.9 * power.sum()
    # So says the theory: four samples teach about four modes, those of large eigenvalue.
    L = learnability(power_law(10, -2 * alpha), n=4)
    assert L[favored].sum() > 0.75 * 4


@pytest.mark.parametrize("alpha", [-4.0, 4.0])
def test_figure_7_gradient_flow_ends_at_the_minimum_norm(points, alpha):
    x, y = points
    Φ = sines(x, alpha)
    Φ /= np.linalg.norm(Φ, 2)  # the unit of time; the fitted function keeps
    w = minimum_norm_interpolation(Φ, y).numpy()
    slowest = np.linalg.svd(Φ, compute_uv=False)[-1] ** 2 / len(x)
    np.testing.assert_allclose(flow(Φ, y, 40 / slowest), w, atol=1e-6 * np.abs(w).max())
    assert np.abs(flow(Φ, y, 0.1 / slowest) - w).max() > 0.01 * np.abs(w).max()  # not yet


# Errors

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    "eigenvalues, n, ridge, message",
    [
        ([1.0, -1e-3], 1, 0, r"not be negative, but the smallest is -0.001; .* clamp them"),
        ([1.0, NAN], 1, 0, r"eigenvalues must be finite, but 1 of 2 entries"),
        ([1.0, INF], 1, 0, r"eigenvalues must be finite"),
        ([0.0, 0.0], 1, 0, r"all eigenvalues are zero: such features express no function"),
        ([], 1, 0, r"eigenvalues needs at least 1"),
        ([[1.0, 2.0]], 1, 0, r"eigenvalues must be a vector .* came with shape \(1, 2\)"),
        (1.0, 1, 0, r"eigenvalues must be a vector .* came with shape \(\)"),
        ([1.0 + 1j], 1, 0, r"eigenvalues must be real, but came as torch.complex128"),
        ([1.0, 2.0], 0, 0, r"n must be finite and positive, got 0"),
        ([1.0, 2.0], -3, 0, r"n must be finite and positive, got -3"),
        ([1.0, 2.0], NAN, 0, r"n must be finite and positive, got nan"),
        ([1.0, 2.0], INF, 0, r"n must be finite and positive, got inf"),
        ([1.0, 2.0], 1, -0.1, r"ridge must be finite and not negative, got -0.1"),
        ([1.0, 2.0], 1, NAN, r"ridge must be finite and not negative, got nan"),
    ],
)
@pytest.mark.parametrize("function", [kappa, learnability])
def test_bad_spectra(function, eigenvalues, n, ridge, message):
    with pytest.raises(ValueError, match=message):
        function(eigenvalues, n, ridge=ridge)
    with pytest.raises(ValueError, match=message):
        generalization_error(eigenvalues, eigenvalues, n, ridge=ridge)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: generalization_error([1.0, 2.0], [1.0], 1), "1 coefficients and 2 eigenvalues"),
        (lambda: generalization_error([1.0], [NAN], 1), "coefficients must be finite"),
        (lambda: generalization_error([1.0], [[1.0]], 1), "coefficients must be a vector"),
        (lambda: generalization_error([1.0], [1.0], 1, -0.5), "noise must be .* got -0.5"),
        (lambda: gradient_flow([1.0, 2.0], [1.0], 1.0), "1 coefficients and 2 eigenvalues"),
        (lambda: gradient_flow([-1.0], [1.0], 1.0), "must not be negative"),
        (lambda: gradient_flow([1.0], [1.0], [2.0, -1.0]), "values down to -1 and up to 2"),
        (lambda: gradient_flow([1.0], [1.0], INF), "t must be finite and not negative"),
        (lambda: gradient_flow([1.0], [1.0], NAN), "t must be finite and not negative"),
        (lambda: minimum_norm_interpolation(np.eye(3), np.ones((2, 1))), "features: 3, targets: 2"),
        (lambda: minimum_norm_interpolation(np.eye(3), np.ones(3)), "targets must be a matrix"),
        (lambda: minimum_norm_interpolation([[NAN]], [[1.0]]), "features must be finite"),
        (lambda: minimum_norm_interpolation(np.zeros((2, 3)), np.ones((2, 1))), "zero on all"),
        (lambda: minimum_norm_interpolation(np.eye(2), np.eye(2), rtol=-1), "rtol must be finite"),
        (lambda: minimum_norm_interpolation(np.eye(2), np.eye(2), rtol=1), "rtol must be below 1"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()
