"""Operators against their n × n definitions."""

import numpy as np
import pytest
import reference
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import richlib
from richlib import (
    Operator,
    cka,
    feature_kernel_operator,
    minimum_projection_features,
    minimum_projection_operator,
)
from richlib.operators import reduced_features


def test_cka_published_value():
    """Linear CKA of the published example (Kornblith et al., 2019)."""
    np.random.seed(1337)
    X = np.random.randn(100, 10)
    Y = np.random.randn(100, 10) + X
    assert cka(X, Y) == pytest.approx(0.55761, abs=5e-6)


@pytest.mark.parametrize("n, p, q", [(40, 5, 7), (40, 60, 7), (40, 60, 70), (10, 300, 2)])
def test_cka_equals_the_definition(rng, n, p, q):
    X = rng.normal(1, 1, (n, p))
    Y = rng.normal(-2, 1, (n, q)) + X[:, :1]
    assert cka(X, Y) == pytest.approx(
        reference.cka(reference.kernel(X), reference.kernel(Y)), abs=1e-12
    )
    assert cka(X, Y) == pytest.approx(cka(Y, X), abs=1e-14)


def test_cka_invariances(rng):
    X, Y = rng.normal(size=(50, 8)), rng.normal(size=(50, 3))
    rotation, _ = np.linalg.qr(rng.normal(size=(8, 8)))
    value = cka(X, Y)
    assert cka(X @ rotation, Y) == pytest.approx(value, abs=1e-12)
    assert cka(1e-6 * X + 5, 1e6 * Y) == pytest.approx(value, abs=1e-9)
    assert cka(X[::-1].copy(), Y[::-1].copy()) == pytest.approx(value, abs=1e-12)
    assert cka(X * np.arange(1, 9), Y) != pytest.approx(value, abs=1e-3)  # not all linear maps


@pytest.mark.parametrize("value", [1.0, 0.3])
def test_cka_of_a_constant_is_an_error(value):
    constant = torch.full((49, 3), value, dtype=torch.float64)
    with pytest.raises(ValueError, match="constant"):
        cka(constant, torch.randn(49, 3))


def test_cka_rejects_different_samples():
    with pytest.raises(ValueError, match=r"X: 10, Y: 11"):
        cka(torch.randn(10, 3), torch.randn(11, 3))


def test_operator_applies_as_its_matrix(rng, network):
    features, outputs = network
    T = feature_kernel_operator(features)
    u = rng.normal(size=(120, 2))
    np.testing.assert_allclose(T(u), reference.kernel(features) @ u, atol=1e-12)
    np.testing.assert_allclose(T(u[::-1]), reference.kernel(features) @ u[::-1], atol=1e-12)
    np.testing.assert_allclose(T(u[:, 0]), reference.kernel(features) @ u[:, 0], atol=1e-12)
    centered = reference.centre(reference.kernel(features))
    np.testing.assert_allclose(T.centered()(u), centered @ u, atol=1e-12)
    assert T.norm() == pytest.approx(np.linalg.norm(reference.kernel(features)), rel=1e-12)
    with pytest.raises(ValueError, match="120 samples"):
        T(u[:50])


def test_minimum_projection_operator_is_definition_1(rng, network):
    _, outputs = network
    u = rng.normal(size=120)
    expected = 0.7 * u.mean() * np.ones(120) + 2.5 * reference.projection(outputs) @ u
    T_MP = minimum_projection_operator(outputs, a1=0.7, a2=2.5)
    np.testing.assert_allclose(T_MP(u), expected, atol=1e-12)
    with pytest.raises(ValueError, match="a2 must be positive"):
        minimum_projection_operator(outputs, a2=0.0)


def test_diagonalize_gives_eigenvalues_and_orthonormal_eigenfunctions(network):
    T = feature_kernel_operator(network[0])
    eigenvalues, e = T.diagonalize()
    np.testing.assert_allclose(e.T @ e / 120, np.eye(len(eigenvalues)), atol=1e-10)
    np.testing.assert_allclose(T(e), e * eigenvalues, atol=1e-9)
    assert (eigenvalues.diff() <= 0).all()


@settings(max_examples=30, deadline=None)
@given(
    n=st.integers(7, 40),  # above C + 1, where outputs do not span all functions
    C=st.integers(1, 5),
    extra=st.integers(1, 6),
    a1=st.floats(0, 10),
    a2=st.floats(0.1, 10),
    seed=st.integers(0, 10**6),
)
def test_minimum_projection_features_have_exactly_that_operator(n, C, extra, a1, a2, seed):
    generator = torch.Generator().manual_seed(seed)
    outputs = torch.randn(n, C, dtype=torch.float64, generator=generator)
    features = minimum_projection_features(outputs, C + extra, a1, a2, generator=generator)
    u = torch.randn(n, 3, dtype=torch.float64, generator=generator)
    expected = minimum_projection_operator(outputs, a1, a2)(u)
    torch.testing.assert_close(feature_kernel_operator(features)(u), expected)
    assert richlib.dlr(features, outputs) == pytest.approx(0, abs=1e-9)


def test_minimum_projection_features_need_enough_features():
    with pytest.raises(ValueError, match="rank 4.*p >= 4, got p=3"):
        minimum_projection_features(torch.randn(20, 3), p=3)


def test_operators_on_different_samples_do_not_compare():
    with pytest.raises(ValueError, match="20 and on 30"):
        Operator(torch.randn(20, 2)).inner(Operator(torch.randn(30, 2)))


@pytest.mark.parametrize("shape", [(20, 90), (90, 20)])
def test_reduced_features_have_the_same_kernel_and_richness(shape):
    generator = torch.Generator().manual_seed(0)
    features, readout = (torch.randn(*s, generator=generator) for s in (shape, (shape[1], 3)))
    few = reduced_features(features).float()
    assert few.shape == (shape[0], min(shape))
    torch.testing.assert_close(few @ few.T, features @ features.T, rtol=1e-4, atol=1e-4)
    outputs = features @ readout
    assert richlib.dlr(few, outputs) == pytest.approx(richlib.dlr(features, outputs), abs=1e-6)
