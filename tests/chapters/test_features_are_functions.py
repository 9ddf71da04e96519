"""What the chapter "Features are functions" says in numbers.

Quantiles stand for a distribution, as on the page: without sampling noise, so tolerances are small.
"""

import math

import numpy as np
import pytest
import torch
from numpy.polynomial import hermite_e, legendre

import richlib
from richlib.lab import data
from richlib.lab.models import MLP
from richlib.lab.tasks import Split
from richlib.lab.toys import step
from richlib.lab.train import train

N = 4_000
LEVELS = (torch.arange(N, dtype=torch.float64) + 0.5) / N
UNIFORM = 2 * LEVELS - 1  # on [-1, 1]
NORMAL = torch.special.ndtri(LEVELS)
PERIOD = 2 * math.pi * LEVELS  # uniform on [0, 2π]


def inner(f, g):
    return float((f * g).mean())


def monomials(x):
    return torch.stack([x**k for k in range(4)], dim=1)  # (n, 4)


# ---- the inner product of a distribution ------------------------------------------------------

SINES = (math.exp(-1 / 2) - math.exp(-9 / 2)) / 2  # ⟨sin x|sin 2x⟩ under N(0, 1)
VARIANCE = (1 - math.exp(-2) / 2 - math.exp(-8) + math.exp(-18) / 2) / 4 - SINES**2


def test_sines_are_orthogonal_over_a_period_and_not_under_the_normal_distribution():
    assert abs(inner(PERIOD.sin(), (2 * PERIOD).sin())) < 1e-12  # midpoints: exact but for rounding
    assert inner(NORMAL.sin(), (2 * NORMAL).sin()) == pytest.approx(SINES, abs=1e-4)
    spread = (NORMAL.sin() * (2 * NORMAL).sin()).var(correction=0)
    assert float(spread) == pytest.approx(VARIANCE, abs=1e-4)


def test_the_error_of_a_sample_is_sigma_over_root_n():
    for n in (100, 10_000):
        x = np.random.default_rng(n).normal(size=(400, n))
        errors = (np.sin(x) * np.sin(2 * x)).mean(axis=1) - SINES  # (400,)
        # An RMS over 400 draws is itself uncertain by 1/√800 = 3.5%: four times that.
        assert np.sqrt(np.mean(errors**2)) == pytest.approx(math.sqrt(VARIANCE / n), rel=0.14)


def test_functions_that_agree_where_the_inputs_are_are_one_vector():
    assert inner(PERIOD - PERIOD.abs(), PERIOD - PERIOD.abs()) == 0
    assert inner(NORMAL - NORMAL.abs(), NORMAL - NORMAL.abs()) > 1


# ---- kets and bras -----------------------------------------------------------------------------


def test_one_feature_makes_the_operator_that_projects_on_it():
    s = NORMAL.sin() / NORMAL.sin().square().mean().sqrt()
    u = NORMAL.clamp(min=0)
    P = richlib.feature_kernel_operator(s[:, None])
    torch.testing.assert_close(P(u), inner(s, u) * s)
    torch.testing.assert_close(P(P(u)), P(u))
    assert inner(s, u) > 0  # upside down under the uniform distribution, where it is −2 sin x
    s = PERIOD.sin() / PERIOD.sin().square().mean().sqrt()
    expected = -2 * PERIOD.sin()
    torch.testing.assert_close(inner(s, PERIOD) * s, expected, rtol=0, atol=1e-5)


def test_operator_is_the_sum_of_equation_1_and_not_the_list_of_appendix_b1():
    Φ, u = monomials(UNIFORM[::10]), (3 * UNIFORM[::10]).cos()
    equation_1 = ((Φ @ Φ.T) * u[:, None]).mean(dim=0)  # the mean over x, at every x′
    listed = Φ * (Φ * u[:, None]).mean(dim=0)  # (n, 4)
    applied = richlib.feature_kernel_operator(Φ)(u)
    torch.testing.assert_close(applied, equation_1)
    torch.testing.assert_close(applied, listed.sum(dim=1))
    assert listed.shape != applied.shape


# ---- bases and projections ---------------------------------------------------------------------


def hermite(k, x):
    return hermite_e.HermiteE.basis(k)(x) / math.sqrt(math.factorial(k))


def scaled_legendre(k, x):
    return legendre.Legendre.basis(k)(x) * math.sqrt(2 * k + 1)


@pytest.mark.parametrize(
    "x, known, tolerance",
    [
        (UNIFORM, scaled_legendre, 1e-5),
        (NORMAL, hermite, 0.03),  # the quantiles stop before the tails, which x⁶ feels
    ],
    ids=["Legendre", "Hermite"],
)
def test_the_same_monomials_become_other_bases(x, known, tolerance):
    Φ = monomials(x)
    R = torch.linalg.cholesky(Φ.T @ Φ / N).T
    E = Φ @ torch.linalg.inv(R)
    torch.testing.assert_close(E.T @ E / N, torch.eye(4, dtype=E.dtype))
    for k in range(4):
        gap = E[:, k] - torch.from_numpy(known(k, x.numpy()))
        assert float(gap.square().mean().sqrt()) < tolerance


def test_projection_is_least_squares():
    shares = []
    for x in (UNIFORM, NORMAL):
        Φ, f = monomials(x), step(x).double()
        w = torch.linalg.solve(Φ.T @ Φ / N, Φ.T @ f / N)  # the normal equations
        weights = richlib.minimum_norm_interpolation(Φ, f[:, None])[:, 0]
        torch.testing.assert_close(weights, w)
        P = richlib.minimum_projection_operator(Φ, a1=0.0, a2=1.0)
        torch.testing.assert_close(P(f), Φ @ w)
        error = f - P(f)
        torch.testing.assert_close(Φ.T @ error / N, torch.zeros(4, dtype=f.dtype))
        assert inner(f, f) == pytest.approx(inner(P(f), P(f)) + inner(error, error))  # Pythagoras
        shares.append(inner(P(f), P(f)) / inner(f, f))
    # Coefficients 1/2, √3/4 and −√7/16 in Legendre polynomials, squared, over ‖f‖² = 1/2.
    assert shares[0] == pytest.approx(2 * (1 / 4 + 3 / 16 + 7 / 256), abs=1e-5)
    assert shares[1] < shares[0]  # the page: the cubic gives up steepness for range


# ---- the functions of a network ----------------------------------------------------------------


@pytest.fixture(scope="module")
def network():
    """The scalar network of the chapter, trained less long."""
    x = torch.linspace(-1, 1, 256)[:, None]
    generator = torch.Generator().manual_seed(0)
    sizes = {"width": 12, "hidden_layers": 2, "initialization": "he-normal"}
    model = MLP(1, 1, **sizes, generator=generator)
    split = Split(x, torch.sin(1.5 * math.pi * x), torch.zeros(256, dtype=torch.long))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2, fused=True)
    options = {"epochs": 60, "batch_size": 64, "progress": False}
    train(model, split, optimizer=optimizer, seed=0, measure=dict, **options)
    return model.double().requires_grad_(False)


def test_the_output_lies_in_the_span_of_features_and_constant(network):
    x = UNIFORM[:, None]
    Φ, f = network.body(x), network(x)
    one = torch.ones_like(x)
    P = richlib.minimum_projection_operator(torch.cat([Φ, one], 1), a1=0.0, rtol=1e-9)
    torch.testing.assert_close(P(f), f, rtol=0, atol=1e-5)
    alone = richlib.minimum_projection_operator(Φ, a1=0.0, rtol=1e-9)
    assert float((alone(one) - one).square().mean()) > 1e-6  # so the bias needs the constant


def test_gram_and_kernel_matrix_share_their_spectrum(network):
    Φ = network.body(UNIFORM[::10, None])  # (400, 12)
    gram = torch.linalg.eigvalsh(Φ.T @ Φ / 400).flip(0)
    kernel = torch.linalg.eigvalsh(Φ @ Φ.T / 400).flip(0)
    torch.testing.assert_close(kernel[:12], gram, rtol=0, atol=1e-10)
    assert kernel[12:].abs().max() < 1e-10
    e = richlib.Eigenfunctions.fit(Φ).leading(3)
    torch.testing.assert_close(e.eigenvalues, gram[:3])
    torch.testing.assert_close(e(Φ).T @ e(Φ) / 400, torch.eye(3, dtype=Φ.dtype))


def test_one_network_has_another_spectrum_on_other_inputs_and_the_same_kernel(network):
    places = {"wide": UNIFORM[:, None], "narrow": 0.2 + 0.3 * LEVELS[:, None]}
    spectra = {name: richlib.Eigenfunctions.fit(network.body(x)) for name, x in places.items()}
    assert len(spectra["narrow"].eigenvalues) < len(spectra["wide"].eigenvalues)
    second = {name: float(e.eigenvalues[1] / e.eigenvalues[0]) for name, e in spectra.items()}
    assert second["narrow"] < second["wide"] / 3  # "steeper"; about a twentieth on the page

    def gap(e, ends):
        at = network.body(torch.linspace(*ends, 7, dtype=torch.float64)[:, None])  # (7, 12)
        values = e(at)
        return float(((values * e.eigenvalues) @ values.T - at @ at.T).abs().max())

    assert all(gap(e, (0.21, 0.49)) < 1e-4 for e in spectra.values())
    assert gap(spectra["wide"], (-0.9, 0.9)) < 1e-4
    assert gap(spectra["narrow"], (-0.9, 0.9)) > 0.1


def test_the_ten_of_a_classifier_is_on_digits_and_not_on_shuffled_pixels():
    digits = data.load("digits")
    pictures = torch.from_numpy(digits.x_train).flatten(1).float() / 255  # (1400, 64)
    labels = torch.from_numpy(digits.y_train)
    onehot = torch.nn.functional.one_hot(labels, 10).float()
    model = MLP(64, 10, width=64, hidden_layers=2, generator=torch.Generator().manual_seed(0))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3, fused=True)
    options = {"epochs": 30, "batch_size": 50, "progress": False}
    split = Split(pictures, onehot, labels)
    train(model, split, optimizer=optimizer, seed=0, measure=dict, **options)
    model.requires_grad_(False)
    shuffled = np.random.default_rng(0).permuted(pictures.numpy(), axis=0)
    torch.testing.assert_close(pictures.mean(0), torch.from_numpy(shuffled).mean(0))

    seen = (pictures, torch.from_numpy(shuffled))
    on, off = (richlib.Eigenfunctions.fit(model.body(x)).eigenvalues for x in seen)
    drops = on[1:20] / on[2:21]  # ρ_k / ρ_{k+1} for k = 2..20
    assert int(drops.argmax()) + 2 == 10
    assert drops.max() > 1.8 > 1.5 > off[9] / off[10]  # 2.3 and 1.2 on the page
    # 2.4 times at least, on the page: the classes' directions shrink on pictures of none.
    assert ((on / on[0])[1:10] > 1.5 * (off / off[0])[1:10]).all()


def test_the_largest_eigenvalue_of_a_sample_is_too_large_in_the_mean(network):
    truth = richlib.Eigenfunctions.fit(network.body(UNIFORM[:, None])).eigenvalues[0]
    generator = torch.Generator().manual_seed(0)
    x = 2 * torch.rand(2_000, 10, 1, dtype=torch.float64, generator=generator) - 1
    Φ = network.body(x)  # (draws, samples, 12)
    largest = torch.linalg.eigvalsh(Φ.mT @ Φ / 10)[:, -1]
    standard_error = largest.std() / 2_000**0.5
    assert largest.mean() - truth > 4 * standard_error
