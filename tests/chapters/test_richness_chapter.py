"""What the chapter on the smallest kernel claims, in numbers of its own."""

import math

import numpy as np
import pytest
import torch

import richlib

C = 10
# Closed forms are exact for the samples at hand: what remains is float64 rounding.
EXACT = 1e-9


@pytest.fixture
def indicators():
    """One-hot outputs of 10 balanced classes on 400 samples; the constant is in their span."""
    return torch.eye(C, dtype=torch.float64).repeat(40, 1)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def idle_functions(outputs, r, seed=0):
    """r functions, orthonormal as means over samples, orthogonal to outputs and constant."""
    n = len(outputs)
    used = torch.linalg.svd(torch.cat([torch.ones(n, 1), outputs], dim=1), full_matrices=False)
    U = used.U[:, used.S > 1e-9 * used.S[0]]
    noise = normal(n, r, seed=seed)
    return torch.linalg.qr(noise - U @ (U.T @ noise))[0] * n**0.5


def mixture(outputs, r, s):
    """Features of T = (1 − s)·T_MP + s·Q_r."""
    minimal = richlib.minimum_projection_features(outputs, C + 1, generator=generator(1))
    return torch.cat([(1 - s) ** 0.5 * minimal, s**0.5 * idle_functions(outputs, r)], dim=1)


# Definition 1 and Eq. 4


@pytest.mark.parametrize("centered", [False, True])
def test_a1_and_a2_drop_out_with_and_without_the_constant(centered):
    """B.3 asks for the constant in the span; the value does not depend on a1, a2 without it."""
    features, outputs = normal(200, 30), normal(200, 4, seed=1) + 1
    if centered:
        outputs = outputs - outputs.mean(0)
    T = richlib.feature_kernel_operator(features)
    for a1, a2 in ((0.0, 1.0), (100.0, 0.01), (1.0, 50.0)):
        T_MP = richlib.minimum_projection_operator(outputs, a1, a2)
        value = 1 - richlib.cka(T, T_MP)
        assert value == pytest.approx(richlib.dlr(features, outputs), abs=EXACT)


@pytest.mark.parametrize("mean", [0.0, 0.5, 20.0])
def test_what_centering_leaves_of_the_projection(mean):
    """‖c(P)‖² = (C − 1) + (1 − γ)², γ = ‖P1‖², wherever the constant lies."""
    outputs = normal(300, C) + mean
    P = richlib.minimum_projection_operator(outputs, a1=0.0)
    gamma = float(P(torch.ones(300, dtype=torch.float64)).square().mean())  # ‖P1‖²
    assert P.centered().norm() ** 2 == pytest.approx(C - 1 + (1 - gamma) ** 2, abs=EXACT)


def test_a_shift_of_the_features_changes_the_operator_and_not_the_measure(indicators):
    features, shift = mixture(indicators, 5, 0.3), normal(16, seed=2)
    T, moved = (richlib.feature_kernel_operator(x) for x in (features, features + shift))
    u = normal(400, 1, seed=3)
    assert (moved(u) - T(u)).norm() > 0.1 * T(u).norm()
    value = richlib.dlr(features, indicators)
    assert richlib.dlr(features + shift, indicators) == pytest.approx(value, abs=EXACT)


def test_zero_means_that_the_centered_operators_are_proportional(indicators):
    minimal = richlib.minimum_projection_features(indicators, 40, 5.0, 0.3, generator())
    T = richlib.feature_kernel_operator(minimal)
    T_MP, u = richlib.minimum_projection_operator(indicators, 5.0, 0.3), normal(400, 1)
    assert torch.allclose(T(u), T_MP(u), atol=EXACT)
    assert richlib.dlr(minimal, indicators) < 1e-7
    assert richlib.dlr(minimal * torch.linspace(1, 1.5, 40), indicators) > 1e-4


# A value in between


@pytest.mark.parametrize("r", [1, 9, 100])
@pytest.mark.parametrize("s", [0.03, 0.3, 0.5, 0.9])
def test_mixture_with_idle_directions(indicators, r, s):
    ratio = (s / (1 - s)) ** 2 * r / (C - 1)
    value = richlib.dlr(mixture(indicators, r, s), indicators)
    assert value == pytest.approx(1 - 1 / math.sqrt(1 + ratio), abs=EXACT)


def test_nine_idle_directions_pass_a_tenth_at_a_third_of_the_variance():
    """Where the slider starts: idle share 0.30; D_LR of 0.1 comes next."""
    share, d = np.array([0.3, 0.35]), C - 1
    before, after = 1 - 1 / np.sqrt(1 + (share / (1 - share)) ** 2 * d / 9)
    assert before < 0.1 < after


@pytest.mark.parametrize("r", [1, 9, 100])
def test_mixture_in_terms_of_the_share_of_variance(indicators, r):
    features, d = mixture(indicators, r, 0.4), C - 1
    variance = (features - features.mean(0)).square().mean(0)
    share = float(variance[C + 1 :].sum() / variance.sum())
    predicted = 1 - 1 / math.sqrt(1 + (share / (1 - share)) ** 2 * d / r)
    assert richlib.dlr(features, indicators) == pytest.approx(predicted, abs=EXACT)


@pytest.mark.parametrize("s", [0.1, 0.7, 1.0])
def test_mixture_with_all_directions(indicators, s):
    """The isotropic part covers the span as well: an idle direction has the strength s."""
    m = 40
    basis = torch.linalg.qr(indicators - indicators.mean(0))[0][:, : C - 1] * 400**0.5
    features = torch.cat([basis, s**0.5 * idle_functions(indicators, m - C + 1)], dim=1)
    predicted = 1 - 1 / math.sqrt(1 + s**2 * (m - C + 1) / (C - 1))
    assert richlib.dlr(features, indicators) == pytest.approx(predicted, abs=EXACT)
    if s == 1:
        assert predicted == pytest.approx(1 - math.sqrt((C - 1) / m))


def test_many_idle_directions_count_more_by_strength_and_less_by_variance(indicators):
    def value(r, strength):
        return richlib.dlr(mixture(indicators, r, strength / (1 + strength)), indicators)

    assert value(1, 0.5) < value(9, 0.5) < value(100, 0.5)
    # Half of the variance is idle if r directions have the strength (C − 1) / r each.
    assert value(1, 9.0) > value(9, 1.0) > value(100, 0.09)


def test_unequal_strengths(indicators):
    rho = torch.linspace(0.5, 2.0, C - 1, dtype=torch.float64)
    basis = torch.linalg.qr(indicators - indicators.mean(0))[0][:, : C - 1] * 400**0.5
    v = float(rho.std(correction=0) / rho.mean())
    value = richlib.dlr(basis * rho.sqrt(), indicators)
    assert value == pytest.approx(1 - 1 / math.sqrt(1 + v**2), abs=EXACT)


# Estimators


@pytest.mark.parametrize("K", [2, 5, 20])
def test_floor_of_the_centered_projection(K):
    """Outputs right up to 1e-3: the relative error of the overlap is of the order of 1e-3 / √K."""
    collapsed = torch.eye(K, dtype=torch.float64).repeat(40, 1)
    outputs = collapsed + 1e-3 * normal(40 * K, K)
    floor = 1 - math.sqrt((K - 1) / K)
    value = richlib.dlr(collapsed, outputs, estimator="centered-projection")
    assert value == pytest.approx(floor, abs=1e-3)
    for estimator in ("projection", "gram"):
        assert richlib.dlr(collapsed, outputs, estimator=estimator) < 1e-4


# Samples, features, outputs


@pytest.mark.parametrize("n, p", [(40, 200), (200, 50), (200, 200), (1280, 200)])
def test_white_features_on_finitely_many_samples(n, p):
    values = []
    for seed in range(10):
        X = normal(n, p, seed=seed)
        values.append(richlib.dlr(X, X @ normal(p, C, seed=100 + seed)))
    predicted = 1 - math.sqrt(C / p) * (1 + (p - C) / n) / math.sqrt(1 + p / n)
    # The mean of ten draws has a standard error below 0.006 at these sizes, and the prediction
    # leaves out terms of relative order C / n, below 0.015 at n = 40.
    assert np.mean(values) == pytest.approx(predicted, abs=0.02)
    if n == p:  # n = p is not enough: the alignment is about √2 too large
        ratio = (1 - np.mean(values)) / math.sqrt(C / p)
        assert ratio == pytest.approx(math.sqrt(2), rel=0.05)


def white_value(n, p, outputs):
    """D_LR of white features on n samples (mean of 8 draws), and the chapter's prediction."""
    values = []
    for seed in range(8):
        X = normal(n, p, seed=seed)
        values.append(richlib.dlr(X, X @ normal(p, outputs, seed=100 + seed)))
    law = 1 - math.sqrt(outputs / p) * (1 + (p - outputs) / n) / math.sqrt(1 + p / n)
    return np.mean(values), law


def test_what_few_samples_hide_grows_like_the_root_of_few_outputs_and_turns_around_at_many():
    """The slider over samples, at n = 160: limit minus value, positive where it looks richer."""
    hidden = {}
    for p, outputs in ((300, 2), (300, 10), (60, 50)):
        value, law = white_value(160, p, outputs)
        assert value == pytest.approx(law, abs=0.02)
        hidden[p, outputs] = 1 - math.sqrt(outputs / p) - value
    assert hidden[300, 10] / hidden[300, 2] == pytest.approx(math.sqrt(5), rel=0.15)
    assert hidden[60, 50] < -0.05


def test_few_samples_make_a_collapsed_network_look_lazier():
    rng = np.random.default_rng(0)

    def mean(n, classes):
        drawn = [np.eye(classes)[rng.integers(classes, size=n)] for _ in range(60)]
        return np.mean([richlib.dlr(x, x) for x in drawn])

    for n in (160, 640):  # next order in C / n: a tenth; standard error over draws: 6 percent
        assert mean(n, C) == pytest.approx((C - 2) / (2 * n), rel=0.25)
    assert mean(160, 2) < 1e-9  # a single contrast has no unequal strengths
    balanced = np.eye(C).repeat(2, axis=0)
    assert richlib.dlr(balanced, balanced) < 1e-9


# What it does not see


def test_constants_added_to_the_outputs():
    features = normal(200, 20)
    outputs, b = features[:, :4] @ normal(4, 4, seed=1), normal(4, seed=2)
    assert abs(richlib.dlr(features, outputs + b) - richlib.dlr(features, outputs)) > 1e-3
    one = outputs[:, :1]
    assert richlib.dlr(features, one - 5) == pytest.approx(richlib.dlr(features, one), abs=EXACT)
    full = torch.cat([outputs, torch.ones(200, 1, dtype=torch.float64)], dim=1)
    moved = full + torch.cat([b, torch.zeros(1, dtype=torch.float64)])
    assert richlib.dlr(features, moved) == pytest.approx(richlib.dlr(features, full), abs=EXACT)


def test_mixing_the_outputs_moves_the_gram_estimator_only():
    features = normal(200, 20)
    outputs, mixing = features[:, :4], normal(4, 4, seed=1)
    for estimator, unchanged in (("projection", True), ("gram", False)):
        a, b = (richlib.dlr(features, F, estimator=estimator) for F in (outputs, outputs @ mixing))
        assert (abs(a - b) < EXACT) == unchanged


def test_a_single_output():
    """For C = 1 the overlap is the kernel's value at the centered, normalized output."""
    features = normal(200, 6) * torch.arange(1.0, 7.0)
    u = features[:, 0] - features[:, 0].mean()
    u = u / u.square().mean().sqrt()
    T = richlib.feature_kernel_operator(features).centered()
    predicted = 1 - float((u * T(u)).mean()) / T.norm()
    assert richlib.dlr(features, features[:, :1]) == pytest.approx(predicted, abs=EXACT)
