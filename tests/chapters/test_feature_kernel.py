"""What the chapter on the feature kernel operator and CKA claims, at small sizes."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch.nn.functional import one_hot, relu

import richlib
from richlib.lab import data, models, tasks, toys
from richlib.lab.run import activations
from richlib.lab.train import train


def ramps(x):
    """Five ramps that rise to each side of [-1, 1]: (n, 10)."""
    corners = torch.linspace(-1, 0.6, 5, dtype=torch.float64)
    return torch.cat([relu(x[:, None] - corners), relu(-x[:, None] - corners)], dim=1)


@pytest.fixture
def x():
    return torch.linspace(-1, 1, 401, dtype=torch.float64)


def overlap(features):
    """|⟨1|e_1⟩|."""
    first = richlib.Eigenfunctions.fit(features).leading(1)
    return abs(float(first(features).mean()))


def participation(features):
    """(Σλ)² / Σλ² of the eigenvalues of the centered covariance, written out."""
    λ = np.linalg.eigvalsh(np.cov(np.asarray(features, dtype=float).T, bias=True))
    return λ.sum() ** 2 / (λ**2).sum()


# ---- the operator ----------------------------------------------------------------------------


def test_operator_is_the_integral_operator_of_its_kernel(x):
    Φ, u = ramps(x), toys.step(x).double()
    integral = (Φ @ Φ.T * u).mean(dim=1)
    torch.testing.assert_close(richlib.feature_kernel_operator(Φ)(u), integral, atol=1e-12, rtol=0)


def test_mercer_rebuilds_the_kernel_from_six_eigenfunctions(x):
    Φ = ramps(x)
    e = richlib.Eigenfunctions.fit(Φ)
    E, ρ = e(Φ), e.eigenvalues
    assert len(ρ) == 6  # four shared corners and the straight lines
    # The smallest of the six eigenvalues is 1e-4 of the largest: its function loses those digits.
    torch.testing.assert_close(E.T @ E / len(x), torch.eye(6).double(), atol=1e-10, rtol=0)
    torch.testing.assert_close(E * ρ @ E.T, Φ @ Φ.T, atol=1e-10, rtol=0)
    assert float(ρ.sum()) == pytest.approx(float(Φ.square().sum(dim=1).mean()), rel=1e-12)


def test_operator_is_the_features_up_to_rotation(x):
    Φ, u = ramps(x), toys.step(x).double()
    generator = torch.Generator().manual_seed(0)
    R, _ = torch.linalg.qr(torch.randn(10, 10, dtype=torch.float64, generator=generator))
    T = richlib.feature_kernel_operator
    torch.testing.assert_close(T(Φ @ R)(u), T(Φ)(u), atol=1e-12, rtol=0)
    torch.testing.assert_close(T(torch.cat([Φ, Φ], 1) / math.sqrt(2))(u), T(Φ)(u))
    stretched = Φ * torch.linspace(1, 3, 10, dtype=torch.float64)
    assert not torch.allclose(T(stretched)(u), T(Φ)(u), rtol=0.1)
    # The converse: Φ and Ψ with one operator differ by the rotation U Wᵀ of their SVDs, here on
    # random features, whose singular values are distinct.
    Φ = torch.randn(50, 10, dtype=torch.float64, generator=generator)
    Ψ = Φ @ R
    (V, S, Ut), (V_, _, Wt) = (torch.linalg.svd(Z, full_matrices=False) for Z in (Φ, Ψ))
    signs = (V * V_).sum(dim=0).sign()
    torch.testing.assert_close(Φ @ Ut.T @ (signs[:, None] * Wt), Ψ, atol=1e-10, rtol=0)


# ---- the constant ----------------------------------------------------------------------------


def test_nonnegative_features_have_a_first_eigenfunction_of_one_sign():
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        mean = torch.randn(12, dtype=torch.float64, generator=generator)
        features = relu(torch.randn(60, 12, dtype=torch.float64, generator=generator) + mean)
        e_1 = richlib.Eigenfunctions.fit(features).leading(1)(features)[:, 0]
        assert float((e_1 * e_1.mean().sign()).min()) > -1e-9
        v = e_1.std(correction=0) / e_1.mean()
        assert overlap(features) == pytest.approx(float((1 + v**2) ** -0.5), abs=1e-10)


def test_features_of_both_signs_need_not_have_one():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(60, 12, dtype=torch.float64, generator=generator)
    e_1 = richlib.Eigenfunctions.fit(features).leading(1)(features)
    assert float(e_1.min()) < -0.5 and float(e_1.max()) > 0.5


def test_bound_on_the_overlap(x):
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(200, 20, dtype=torch.float64, generator=generator)
    for features, sharp in ((ramps(x), 0.01), (ramps(x)[:, :5], 0.01), (relu(noise + 1), 0.02)):
        ρ = richlib.Eigenfunctions.fit(features).eigenvalues
        mean_power = features.mean(dim=0).square().sum()
        bound = float(((mean_power - ρ[1]) / (ρ[0] - ρ[1])).sqrt())
        assert bound <= overlap(features) + 1e-12
        assert overlap(features) - bound < sharp  # the page calls it nearly sharp


def test_the_table_of_the_bound_shows_why(x):
    """All ramps: the mean is almost all of ρ_1, and ρ_2 half of it. Right ramps: two thirds."""
    for features, share, second in ((ramps(x), 0.995, 0.50), (ramps(x)[:, :5], 0.67, 0.02)):
        ρ = richlib.Eigenfunctions.fit(features).eigenvalues
        mean_power = features.mean(dim=0).square().sum()
        assert float(mean_power / ρ[0]) == pytest.approx(share, abs=0.005)
        assert float(ρ[1] / ρ[0]) == pytest.approx(second, abs=0.005)


def test_a_wide_relu_layer_puts_a_third_of_its_power_on_the_constant():
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(4000, 50, dtype=torch.float64, generator=generator)
    weights = torch.randn(50, 400, dtype=torch.float64, generator=generator)
    features = relu(inputs @ weights)
    share = features.mean(dim=0).square().sum() / features.square().mean(dim=0).sum()
    assert float(share) == pytest.approx(1 / math.pi, abs=0.01)  # a mean over 4000 samples


def digits(centered=False):
    dataset = data.load("digits")
    inputs = torch.from_numpy(dataset.x_train).flatten(1).float() / 255
    labels = torch.from_numpy(dataset.y_train)
    inputs = inputs - inputs.mean(dim=0) if centered else inputs
    return tasks.Split(inputs, one_hot(labels, 10) * 3.0, labels)


def network(width, initialization, d=64, C=10, seed=0):
    generator = torch.Generator().manual_seed(seed)
    options = {"width": width, "hidden_layers": 3, "initialization": initialization}
    return models.MLP(d, C, **options, generator=generator)


def fit(model, samples, epochs, measure, batch_size=128):
    adam = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    options = {"epochs": epochs, "batch_size": batch_size, "optimizer": adam, "progress": False}
    return train(model, samples, **options, seed=0, measure=measure)


@pytest.mark.parametrize("centered", [False, True])
@pytest.mark.parametrize("initialization", ["lecun-normal", "torch-default"])
def test_the_constant_comes_first_on_wide_networks_before_training(initialization, centered):
    samples = digits(centered)
    for seed in range(3):
        features, _ = activations(network(192, initialization, seed=seed), samples)
        assert overlap(features) > 0.95  # the paper's figure (D.2)


def test_narrow_networks_begin_constant_with_biases_and_not_without():
    samples, start = digits(centered=True), {}
    for initialization in ("lecun-normal", "torch-default"):
        features, _ = activations(network(24, initialization), samples)
        start[initialization] = overlap(features)
    assert start["lecun-normal"] < 0.9 and start["torch-default"] > 0.99


def test_he_initialization_changes_no_eigenfunction():
    samples = digits().first(300)
    pair = [activations(network(64, name), samples)[0] for name in ("lecun-normal", "he-normal")]
    torch.testing.assert_close(pair[1], pair[0] * 2**1.5, rtol=1e-4, atol=1e-5)  # float32


@pytest.mark.parametrize(
    "width, centered, low, high", [(192, False, 0.95, 1), (24, True, 0.5, 0.95)]
)
def test_the_constant_in_training_holds_wide_and_fails_narrow(width, centered, low, high):
    samples, model = digits(centered), network(width, "lecun-normal")
    curves = fit(model, samples, 4, lambda: {"overlap": overlap(activations(model, samples)[0])})
    assert low < min(curves["overlap"]) < high


def test_scalar_inputs_without_biases_have_rank_two_and_the_overlap_of_the_modulus():
    line = torch.linspace(-1, 1, 200)[:, None]
    features, _ = activations(network(1000, "lecun-normal", d=1, C=1), split_of(line))
    assert len(richlib.Eigenfunctions.fit(features).eigenvalues) == 2
    # Φ(1) and Φ(-1) are equally long up to a fluctuation of order 1/√width.
    assert overlap(features) == pytest.approx(math.sqrt(3) / 2, abs=0.02)


def split_of(line):
    target = toys.step(line)
    return tasks.Split(line, target, target[:, 0].long())


def test_figure_9_training_takes_the_constant_from_the_first_place():
    samples = split_of(torch.linspace(-1, 1, 200)[:, None])
    model = network(300, "torch-default", d=1, C=1)
    probe = lambda: {"overlap": overlap(activations(model, samples)[0])}  # noqa: E731
    curves = fit(model, samples, 20, probe, batch_size=200)
    assert curves["overlap"][0] > 0.98 and min(curves["overlap"]) < 0.95


@pytest.mark.parametrize("a1, expected", [(1e-6, math.sqrt(0.5)), (1.0, math.cos(math.pi / 8))])
def test_perfectly_rich_on_a_step_need_not_have_the_constant_first(a1, expected):
    step = toys.step(torch.linspace(-1, 1, 200))[:, None]
    _, e = richlib.minimum_projection_operator(step, a1=a1).diagonalize()
    assert abs(float(e[:, 0].mean())) == pytest.approx(expected, abs=1e-5)


def test_perfectly_rich_on_classes_has_it_first_for_any_a1():
    classes = torch.eye(4).repeat(5, 1)
    for a1 in (1e-3, 1.0):
        _, e = richlib.minimum_projection_operator(classes, a1=a1).diagonalize()
        assert abs(float(e[:, 0].mean())) == pytest.approx(1, abs=1e-9)


def test_eigenvalues_of_the_centered_operator_interlace(x):
    generator = torch.Generator().manual_seed(0)
    features = relu(torch.randn(50, 8, dtype=torch.float64, generator=generator) + 0.3)
    T = richlib.feature_kernel_operator(features)
    ρ, λ = T.diagonalize()[0], T.centered().diagonalize()[0]
    variance = features.var(dim=0, correction=0).sum()
    assert float(λ.sum()) == pytest.approx(float(variance), rel=1e-12)
    assert bool((λ <= ρ + 1e-12).all()) and bool((λ[:-1] >= ρ[1:] - 1e-12).all())
    assert not torch.allclose(λ, ρ)


# ---- CKA -------------------------------------------------------------------------------------


@pytest.fixture
def published():
    np.random.seed(1337)
    X = np.random.randn(100, 10)
    return X, np.random.randn(100, 10) + X


def test_published_values(published):
    X, Y = published
    assert richlib.cka(X, Y) == pytest.approx(0.55761, abs=5e-6)
    # The published R²_CCA takes its bases without centering; 5e-6 is half of its last digit.
    bases = [np.linalg.qr(Z)[0] for Z in (X, Y)]
    assert np.linalg.norm(bases[0].T @ bases[1]) ** 2 / 10 == pytest.approx(0.54312, abs=5e-6)


def test_cca_is_cka_of_projections_and_blind_to_invertible_maps(published, rng):
    X, Y = (Z - Z.mean(axis=0) for Z in published)
    bases = [np.linalg.qr(Z)[0] for Z in (X, Y, X @ rng.normal(size=(10, 10)))]
    value = richlib.cka(bases[0], bases[1])
    assert value == pytest.approx(np.linalg.norm(bases[0].T @ bases[1]) ** 2 / 10, abs=1e-12)
    assert richlib.cka(bases[2], bases[1]) == pytest.approx(value, abs=1e-9)
    stretched = X * np.r_[5, np.ones(9)]
    assert abs(richlib.cka(stretched, Y) - richlib.cka(X, Y)) > 0.1


def test_cka_is_zero_without_correlation_and_one_for_proportional_operators(rng):
    X = rng.normal(size=(60, 4))
    basis, _ = np.linalg.qr(np.c_[np.ones(60), X, rng.normal(size=(60, 3))])
    assert richlib.cka(X, basis[:, 5:] + 2) == pytest.approx(0, abs=1e-14)
    assert richlib.cka(X, 3 * X + 1) == pytest.approx(1, abs=1e-12)


def test_average_over_all_permutations(rng):
    X, Y = rng.normal(size=(5, 10)), rng.normal(size=(5, 3)) ** 2
    shuffled = [richlib.cka(X, Y[list(order)]) for order in itertools.permutations(range(5))]
    expected = math.sqrt(participation(X) * participation(Y)) / 4
    assert np.mean(shuffled) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("exponent", [0.0, 1.0])
@pytest.mark.parametrize("n", [30, 100, 600])
def test_independent_features_by_chance(exponent, n):
    k = np.arange(1, 61.0)
    d = (k**-exponent).sum() ** 2 / (k ** (-2 * exponent)).sum()
    generator = torch.Generator().manual_seed(1)
    draw = lambda: toys.power_law_features(n, 60, exponent, generator)  # noqa: E731
    mean = np.mean([richlib.cka(draw(), draw()) for _ in range(40)])
    # First order in 1/n and in 1/d, and a mean of 40: about a tenth.
    assert mean == pytest.approx(1 / (1 + n / d), rel=0.12)


# ---- effective dimension ---------------------------------------------------------------------


def test_equal_eigenvalues_give_their_number_and_the_first_is_left_out():
    assert richlib.effective_dimension([2.0] * 7, skip_first=False) == pytest.approx(7)
    assert richlib.effective_dimension([50.0] + [2.0] * 7) == pytest.approx(8)
    small = richlib.effective_dimension([1.0] * 7 + [0.01] * 10, skip_first=False)
    assert 7 < small < 8


def power_law(p, a):
    return richlib.effective_dimension(np.arange(1, p + 1.0) ** -a, skip_first=False)


def test_power_laws():
    # a < 1: proportional to p. The sum differs from the integral by p^(a-1) ln p or so, 4% here.
    assert power_law(100_000, 0.5) / 100_000 == pytest.approx(2 / math.e, rel=0.04)
    assert power_law(20_000, 2.0) == pytest.approx(power_law(10_000, 2.0), rel=1e-3)
    growth = power_law(10_000, 1.0) / power_law(100, 1.0)
    # √p ln p up to lower orders in 1 / ln p.
    assert growth == pytest.approx(10 * math.log(10_000) / math.log(100), rel=0.1)


def test_hill_numbers_are_ordered(rng):
    for _ in range(20):
        λ = rng.exponential(size=15) ** 3
        D = richlib.effective_dimension(λ, skip_first=False)
        assert 15 > D > λ.sum() ** 2 / (λ**2).sum()


def test_digits_training_leaves_ten_class_functions_and_few_dimensions():
    samples, model = digits(), network(128, "lecun-normal")
    before, _ = activations(model, samples)
    fit(model, samples, 12, dict)
    after, outputs = activations(model, samples)
    spectra = [richlib.Eigenfunctions.fit(features).eigenvalues for features in (before, after)]
    for features, ρ in zip((before, after), spectra, strict=True):
        assert features.double().mean(dim=0).square().sum() > 0.95 * ρ[0]  # the table's column
    D = [richlib.effective_dimension(ρ) for ρ in spectra]
    D_8 = [richlib.effective_dimension(ρ, skip_first=False) for ρ in spectra]
    assert D[1] < 0.7 * D[0] and D_8[1] > 1.3 * D_8[0]  # opposite stories
    assert spectra[1][9] > 3 * spectra[1][10]  # the cliff after ten
    e = richlib.Eigenfunctions.fit(after).leading(12)(after)
    members = one_hot(samples.labels, 10).double()
    means = members.T @ e / members.sum(dim=0)[:, None]
    share = members.mean(dim=0) @ means.square()
    assert float(share[:10].min()) > 0.7 and float(share[10:].max()) < 0.3
    assert richlib.cka(after, outputs) > 0.8 > richlib.cka(before, outputs)


def test_effective_dimension_does_not_see_the_readout():
    samples = digits().first(400)
    features, _ = activations(network(64, "lecun-normal"), samples)
    e = richlib.Eigenfunctions.fit(features)(features)
    strong, weak = (richlib.cka(features, e[:, k : k + 9]) for k in (1, 25))
    assert strong > 0.6 and weak < 0.1  # a random network's tail is heavier than a trained one's
