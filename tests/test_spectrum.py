"""Nyström eigenfunctions: against scikit-learn's PCA, a known spectrum, and exact spans."""

import numpy as np
import pytest
import reference
import torch
from sklearn.decomposition import PCA

from richlib import Eigenfunctions, FiniteSizeWarning, Moments
from richlib.spectrum import (
    eigenfunction_error,
    eigenvalue_error,
    function_space_error,
    per_feature,
)


def test_eigenvalues_are_those_of_the_kernel(network):
    features, _ = network
    expected = np.linalg.eigvalsh(reference.kernel(features))[::-1]
    e = Eigenfunctions.fit(features)
    np.testing.assert_allclose(e.eigenvalues, expected[: len(e.eigenvalues)], atol=1e-10)


def test_centered_features_give_pca(rng):
    features = rng.normal(size=(200, 5)) @ rng.normal(size=(5, 5))
    features -= features.mean(0)
    pca = PCA(whiten=True).fit(features)
    e = Eigenfunctions.fit(features)
    np.testing.assert_allclose(e.eigenvalues, pca.explained_variance_ * 199 / 200, rtol=1e-10)
    whitened = pca.transform(features) * np.sqrt(200 / 199)  # scikit-learn divides by n - 1
    np.testing.assert_allclose(e(features).abs(), np.abs(whitened), atol=1e-8)


def test_eigenfunctions_are_orthonormal_on_their_samples_and_reproduce_the_kernel(network):
    features, _ = network
    e = Eigenfunctions.fit(features)
    values = e(features)
    np.testing.assert_allclose(values.T @ values / 120, np.eye(values.shape[1]), atol=1e-8)
    rebuilt = (values * e.eigenvalues) @ values.T / 120
    np.testing.assert_allclose(rebuilt, reference.kernel(features), atol=1e-9)


def test_more_features_than_samples_use_the_dual(rng):
    features = rng.normal(size=(20, 300))
    e = Eigenfunctions.fit(features)
    assert len(e.eigenvalues) == 20
    np.testing.assert_allclose(
        e.eigenvalues, np.linalg.eigvalsh(features.T @ features / 20)[:-21:-1], rtol=1e-9
    )
    values = e(features)
    np.testing.assert_allclose(values.T @ values / 20, np.eye(20), atol=1e-8)


def test_rank_deficient_features_have_as_many_eigenfunctions_as_their_rank(rng):
    features = rng.normal(size=(50, 3)) @ rng.normal(size=(3, 10))
    assert len(Eigenfunctions.fit(features).eigenvalues) == 3


@pytest.fixture
def fitted(rng):
    """Independent Gaussian features of decreasing strength: e_k = Φ_k / √ρ_k is known."""
    scale = np.arange(1, 9) ** -1.0
    train, test = (rng.normal(size=(4000, 8)) * scale for _ in range(2))
    return Eigenfunctions.fit(train), test, test / scale


def test_quality_counts_the_share_of_the_target_that_leading_functions_express(fitted):
    e, test, truth = fitted
    quality = e.quality(test, truth[:, [0, 2]])  # the target is e_1 and e_3
    np.testing.assert_allclose(quality[:4], [0.5, 0.5, 1.0, 1.0], atol=0.01)
    assert (quality.diff() >= 0).all() and quality[-1] == pytest.approx(1.0)


def test_a_target_outside_the_features_is_not_expressed(fitted, rng):
    e, test, _ = fitted
    assert e.quality(test, rng.normal(size=(4000, 1)))[-1] < 0.01


def test_utilization_reaches_one_where_the_head_stops_reading(fitted):
    e, test, truth = fitted
    used = e.utilization(test, truth[:, :3] @ np.diag([1.0, 0.01, 5.0]))
    np.testing.assert_allclose(used[:4], [1 / 3, 2 / 3, 1.0, 1.0], atol=0.01)


def test_cumulative_curves_never_exceed_one(rng):
    """Fitted on few samples, eigenfunctions overlap on others: QR keeps the sum below one."""
    train, test = rng.normal(size=(60, 50)), rng.normal(size=(101, 50))
    curve = Eigenfunctions.fit(train).quality(test, test @ rng.normal(size=(50, 2)))
    assert curve.max() <= 1.0 and (curve.diff() >= 0).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_features_that_are_dead_on_the_samples_express_nothing(rng, dtype):
    train, test = (rng.normal(size=(n, 100)) * np.arange(1, 101) ** -2.0 for n in (2000, 300))
    test[:, 50:] = 0
    e = Eigenfunctions.fit(train.astype(dtype))
    target = rng.normal(size=(300, 1))
    basis = np.linalg.qr(test[:, :50])[0]
    share = np.square(basis.T @ target).sum() / np.square(target).sum()
    assert e.quality(test.astype(dtype), target)[-1] == pytest.approx(share, abs=1e-5)


def test_too_few_samples_are_warned_about(rng):
    e = Eigenfunctions.fit(rng.normal(size=(100, 50)))
    few = rng.normal(size=(30, 50))
    with pytest.warns(FiniteSizeWarning, match="30 samples for 50 eigenfunctions"):
        curve = e.quality(few, rng.normal(size=(30, 2)))
    np.testing.assert_allclose(curve[29:], 1.0)  # n functions span everything on n samples
    assert e.leading(15).quality(few, rng.normal(size=(30, 2))).shape == (15,)


def test_errors(rng):
    e = Eigenfunctions.fit(rng.normal(size=(20, 4)))
    with pytest.raises(ValueError, match="fitted on 4 features, called with 5"):
        e(rng.normal(size=(20, 5)))
    with pytest.raises(ValueError, match="features: 20, functions: 21"):
        e.quality(rng.normal(size=(20, 4)), rng.normal(size=(21, 1)))
    with pytest.raises(ValueError, match="zero on all samples"):
        Eigenfunctions.fit(torch.zeros(20, 4))
    with pytest.raises(ValueError, match="k must be at least 1"):
        e.leading(0)


def test_moments_give_the_same_eigenfunctions(network):
    features, outputs = network
    direct = Eigenfunctions.fit(features)
    streamed = Eigenfunctions.of_moments(Moments.of(features, outputs))
    torch.testing.assert_close(streamed.eigenvalues, direct.eigenvalues)
    torch.testing.assert_close(streamed(features).abs(), direct(features).abs())


def test_moments_of_float32_products_leave_out_what_they_cannot_resolve(rng):
    features = rng.normal(size=(3000, 4)).astype(np.float32) * np.float32([1, 1e-2, 1e-3, 1e-5])
    outputs = features[:, :1]
    precise, quick = Moments.of(features, outputs), Moments(4, 1).update(features, outputs)
    assert len(Eigenfunctions.of_moments(precise).eigenvalues) == 4
    assert len(Eigenfunctions.of_moments(quick).eigenvalues) == 3


@pytest.mark.parametrize("shift", [100, 500, [3000] + 63 * [0]])
def test_a_large_mean_hides_no_eigenfunctions_from_moments(rng, shift):
    features = rng.normal(size=(2000, 64)) * np.arange(1, 65) ** -0.5 + shift
    features = features.astype(np.float32)
    exact = Eigenfunctions.fit(features).eigenvalues
    streamed = Eigenfunctions.of_moments(Moments(64, 1).update(features, features[:, :1]))
    assert len(exact) == 64
    torch.testing.assert_close(streamed.eigenvalues, exact, rtol=1e-5, atol=0)


def test_per_feature_undoes_the_sum(fitted):
    e, test, truth = fitted
    curve = e.quality(test, truth[:, :2])
    torch.testing.assert_close(per_feature(curve).cumsum(0), curve)
    torch.testing.assert_close(per_feature(curve.numpy()[::-1]), per_feature(curve.flip(0)))


def test_nystroem_errors_shrink_with_samples(rng):
    """Gaussian features with ρ_k = k^-2 (J.1.1): strong eigenfunctions first, spans before them."""
    ρ = np.arange(1, 21) ** -2.0
    errors = []
    for n in (200, 20_000):
        e = Eigenfunctions.fit(rng.normal(size=(n, 20)) * ρ**0.5)
        errors.append(
            (
                eigenvalue_error(e.eigenvalues, ρ).mean(),
                eigenfunction_error(e.directions, np.eye(20)).mean(),
                function_space_error(e.directions, np.eye(20)).mean(),
            )
        )
        space = function_space_error(e.directions, np.eye(20))
        assert space[-1] == pytest.approx(0, abs=1e-12)  # all of R^p is spanned in the end
    for few, many in zip(*errors, strict=True):
        assert many < few / 5


def test_errors_of_a_known_rotation():
    c, s = np.cos(0.3), np.sin(0.3)
    turned = np.array([[c, -s, 0], [s, c, 0], [0, 0, -1]])
    np.testing.assert_allclose(eigenfunction_error(turned, np.eye(3)), [1 - c, 1 - c, 0])
    np.testing.assert_allclose(function_space_error(turned, np.eye(3)), [s**2, 0, 0], atol=1e-15)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: eigenvalue_error([1.0], [1.0, 2.0]), r"one length, got shapes \(1,\) and \(2,\)"),
        (lambda: eigenvalue_error([[1.0]], [[1.0]]), r"eigenvalues must have shape \(k,\)"),
        (lambda: eigenvalue_error([1.0], [0.0]), "must be positive"),
        (lambda: eigenfunction_error(np.eye(3), np.eye(3)[:, :2]), r"\(3, 3\) and \(3, 2\)"),
        (lambda: function_space_error(np.eye(3), np.eye(4)), "directions: 3, truth: 4"),
    ],
)
def test_bad_input_to_the_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
