"""What the chapter "How much data until it is rich" derives: exponents, kernels, a prediction."""

import math

import numpy as np
import pytest
import torch

import richlib
from richlib.lab import data, records, tasks
from richlib.lab.claims.measures import decay
from richlib.lab.gaussian_process import ArcCosineFeatures


def exponent(n1, E1, n2, E2):
    return math.log(E1 / E2) / math.log(n2 / n1)


def arc_cosine(A, B, layers=1):
    norms = np.outer(np.linalg.norm(A, axis=1), np.linalg.norm(B, axis=1))
    cosine = A @ B.T / norms
    for _ in range(layers):
        θ = np.arccos(cosine.clip(-1, 1))
        cosine = (np.sin(θ) + (np.pi - θ) * np.cos(θ)) / np.pi
    return norms * cosine


@pytest.mark.parametrize("a, c", [(2.0, 1.6), (2.0, 3.0), (1.5, 6.0)])
def test_power_laws_of_spectrum_and_target_give_one_of_the_error(a, c):
    k = np.arange(1.0, 100_001)
    errors = [richlib.generalization_error(k**-a, k ** (-c / 2), n) for n in (30, 300)]
    # 0.05: sums are not integrals at 30 samples, and modes end at 100,000.
    assert abs(exponent(30, errors[0], 300, errors[1]) - min(c - 1, 2 * a)) < 0.05


@pytest.mark.parametrize("a", [1.5, 2.0])
def test_the_factor_of_eq_16_is_the_exponent_of_the_spectrum(a):
    L = richlib.learnability(np.arange(1.0, 100_001) ** -a, 300)
    assert 1 / (1 - float(L.square().sum()) / 300) == pytest.approx(a, rel=0.02)


def test_a_corner_in_the_target_bends_the_curve_of_fixed_features():
    k = np.arange(1.0, 30_001)
    power = np.where(k < 100, k**-2, 100**2 * k**-4)
    few, some, many = (richlib.generalization_error(k**-2, power**0.5, n) for n in (10, 30, 1000))
    late = richlib.generalization_error(k**-2, power**0.5, 300)
    assert exponent(10, few, 30, some) < 1.5 < 2.5 < exponent(300, late, 1000, many)


def test_exponents_are_those_of_the_claims():
    class Run:
        def __init__(self, n, loss):
            self.recipe, self.metrics = {"samples": n}, {"loss_test": loss}

    ours = exponent(100, 0.4, 1000, 0.1)
    assert decay("loss_test")(Run(100, 0.4), Run(1000, 0.1)) == pytest.approx(ours)


def test_the_arc_cosine_kernel_is_the_mean_over_random_units():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(5, 64))
    units = np.maximum(X @ rng.normal(size=(64, 100_000)), 0)
    off = np.abs(2 * units @ units.T / units.shape[1] - arc_cosine(X, X))
    norms = np.linalg.norm(X, axis=1)
    # One unit's product has a standard deviation of about 2.2 norms: 0.007 for their mean.
    assert (off / np.outer(norms, norms)).max() < 0.03


def test_a_layer_of_many_random_units_leads_to_the_kernel_of_the_next():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(4, 16))
    width = 4000
    one = np.maximum(X @ rng.normal(size=(16, width)), 0) * (2 / width) ** 0.5
    two = np.maximum(one @ rng.normal(size=(width, 4000)), 0) * (2 / 4000) ** 0.5
    norms = np.linalg.norm(X, axis=1)
    # Two layers of 4,000 units: about 0.035 each for one standard deviation.
    off = np.abs(two @ two.T - arc_cosine(X, X, layers=2)) / np.outer(norms, norms)
    assert off.max() < 0.15


def test_kernel_regression_is_minimum_norm_on_the_features():
    rng = np.random.default_rng(3)
    Φ, Φ_test, Y = rng.normal(size=(10, 40)), rng.normal(size=(7, 40)), rng.normal(size=(10, 2))
    by_kernel = Φ_test @ Φ.T @ np.linalg.solve(Φ @ Φ.T, Y)
    by_weights = Φ_test @ richlib.minimum_norm_interpolation(Φ, Y).numpy()
    assert np.allclose(by_kernel, by_weights)


@pytest.fixture(scope="module")
def digits():
    """Kernel and targets of all digits, and the spectrum of both: K, Y, ρ, v."""
    train, test = tasks.classification(data.load("digits"), alpha=1 / 3)
    X = torch.cat([train.inputs, test.inputs]).flatten(1).double().numpy() / 255
    Y = torch.cat([train.targets, test.targets]).double().numpy()
    X, Y = X[::2], Y[::2]  # half of them: four times as fast
    K = arc_cosine((X - X.mean()) / X.std(), (X - X.mean()) / X.std())
    ρ, U = np.linalg.eigh(K / len(K))
    return K, Y, ρ.clip(0), np.linalg.norm(U.T @ Y, axis=1) / len(K) ** 0.5


@pytest.mark.parametrize("n", [50, 100, 300])
def test_eq_16_predicts_kernel_regression_on_the_digits(digits, n):
    K, Y, ρ, v = digits
    N, C = Y.shape
    predicted = richlib.generalization_error(ρ, v, n) / C * N / (N - n)
    losses = []
    for draw in range(8):
        order = np.random.default_rng(draw).permutation(N)
        i, unseen = order[:n], order[n:]
        F = K[np.ix_(unseen, i)] @ np.linalg.solve(K[np.ix_(i, i)], Y[i])
        losses.append(np.mean((F - Y[unseen]) ** 2))
    # Within a tenth: "within some percent", and draws differ by a few. Without N / (N - n), which
    # is 1.5 at 300 samples, it fails.
    assert predicted == pytest.approx(np.mean(losses), rel=0.1)


def test_fixed_features_without_a_ridge_peak_where_samples_are_as_many():
    rng = np.random.default_rng(4)
    w = rng.normal(size=(64, 1)) / 8
    Φ_test, losses = rng.normal(size=(500, 64)), {}
    for n in (32, 64, 128):
        of_draws = []
        for _ in range(5):
            Φ = rng.normal(size=(n, 64))
            y = Φ @ w + 0.3 * rng.normal(size=(n, 1))  # a part that the features lack
            of_draws.append(np.mean((Φ_test @ (np.linalg.pinv(Φ) @ y - w)) ** 2))
        losses[n] = np.median(of_draws)
    assert losses[64] > 2 * losses[32] and losses[64] > 10 * losses[128]


def test_the_kernel_of_the_page_is_that_of_the_recorded_line():
    X = torch.randn(6, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    theirs = ArcCosineFeatures(X, hidden_layers=3).kernel(X)
    np.testing.assert_allclose(arc_cosine(*[X.numpy()] * 2, layers=3), theirs, rtol=1e-6)


def test_what_the_page_says_of_all_pictures():
    """In the first seed, over all seven numbers of pictures."""
    sizes = (100, 300, 1000, 3000, 10_000, 30_000, 50_000)
    network = [records.load("samples", f"n-{n}", "desk")[0].metrics for n in sizes]
    b = [
        exponent(n, 1 - one["accuracy_test"], m, 1 - two["accuracy_test"])
        for n, m, one, two in zip(sizes, sizes[1:], network, network[1:], strict=False)
    ]
    assert min(b[2:]) > max(b[:2])  # faster beyond 1,000 than before
    tested = [metrics["dlr_test"] for metrics in network]
    assert tested[:5] == sorted(tested[:5], reverse=True) and max(tested) < 0.25
    assert max(tested[4:]) / min(tested[4:]) < 1.1
    trained = [metrics["dlr_train"] for metrics in network]
    assert trained[5] < trained[6] < trained[4]


def test_exponents_on_both_sides_with_three_seeds():
    sizes = (100, 300, 1000, 3000)
    seeds = [[r.metrics for r in records.load("samples", f"n-{n}", "desk")] for n in sizes]
    below, beyond, signs = [], [], ([], [])
    for metrics in zip(*seeds, strict=True):
        error = [1 - m["accuracy_test"] for m in metrics]
        below.append(exponent(100, error[0], 1000, error[2]))
        beyond.append(exponent(1000, error[2], 3000, error[3]))
        d = [m["dlr_train"] for m in metrics]
        for side, (i, j) in ((0, (0, 1)), (0, (1, 2)), (1, (2, 3))):
            signs[side].append(exponent(sizes[i], d[i], sizes[j], d[j]) > 0)
    assert 0.095 < min(below) < max(below) < 0.115 and 0.195 <= min(beyond) < max(beyond) < 0.255
    assert set(signs[0]) == set(signs[1]) == {True, False}


def test_a_hundred_pictures_are_enough_for_a_rich_network():
    for few in records.load("samples", "n-100", "desk"):
        assert few.metrics["dlr_train"] < 0.1


def test_what_the_page_says_of_the_linear_line_and_the_network():
    sizes = (100, 300, 1000, 3000, 10_000)
    line = [records.load("gaussian-process", f"n-{n}", "paper")[0].metrics for n in sizes]
    network = [records.load("samples", f"n-{n}", "desk")[0].metrics for n in sizes]
    ahead = [n["accuracy_test"] - l["accuracy_test"] for n, l in zip(network, line, strict=True)]
    assert max(ahead[:3]) < 0.01 and min(ahead[3:]) > 0.1
    wrong = [1 - metrics["accuracy_test"] for metrics in line]
    slopes = [exponent(100, wrong[0], 1000, wrong[2]), exponent(1000, wrong[2], 10_000, wrong[4])]
    assert slopes[0] == pytest.approx(slopes[1], rel=0.2) and max(slopes) < 0.1
    assert max(m["dlr_test"] for m in network) < 0.2 and min(m["dlr_test"] for m in line) > 0.6
    for split in ("train", "test"):
        for reading in ("dlr", "dlr_centered_projection", "dlr_gram"):
            few, more = (
                records.summary(records.load("samples", n, "desk"), f"{reading}_{split}")[0]
                for n in ("n-100", "n-300")
            )
            assert few < more
    means = [
        [records.summary(records.load("samples", f"n-{n}", "desk"), name)[0] for n in sizes]
        for name in ("dlr_train", "dlr_test")
    ]
    assert [value > 0.1 for value in means[0]] == [n == 300 for n in sizes]
    assert means[1][1:] == sorted(means[1][1:], reverse=True)
    tested = [metrics["dlr_test"] for metrics in network]
    assert tested == sorted(tested, reverse=True)
