"""Streaming moments: split equals whole, in any order, at any offset."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from richlib import Moments


def assert_same(a: Moments, b: Moments, rtol=1e-11):
    assert a.n == b.n
    scale = float(b.second_moment.abs().max())
    torch.testing.assert_close(a.mean, b.mean, rtol=rtol, atol=rtol * scale**0.5)
    torch.testing.assert_close(a.scatter, b.scatter, rtol=rtol, atol=rtol * scale * b.n)


def test_moments_are_numpys(network):
    features, outputs = network
    moments = Moments.of(features, outputs)
    joint = np.cov(np.hstack([features, outputs]).T, bias=True)
    np.testing.assert_allclose(moments.feature_covariance, joint[:30, :30], atol=1e-12)
    np.testing.assert_allclose(moments.output_covariance, joint[30:, 30:], atol=1e-12)
    np.testing.assert_allclose(moments.cross_covariance, joint[30:, :30], atol=1e-12)
    np.testing.assert_allclose(
        moments.second_moment[30:, 30:], outputs.T @ outputs / 120, atol=1e-12
    )


@settings(max_examples=30, deadline=None)
@given(cuts=st.lists(st.integers(1, 119), max_size=6), seed=st.integers(0, 99))
def test_split_equals_whole_in_any_order(cuts, seed):
    rng = np.random.default_rng(seed)
    features, outputs = rng.normal(5, 1, (120, 6)), rng.normal(size=(120, 2))
    pieces = np.split(np.arange(120), sorted(set(cuts)))
    rng.shuffle(pieces)
    streamed, merged = Moments(6, 2), Moments(6, 2)
    for piece in pieces:
        streamed.update(features[piece], outputs[piece])
        merged.merge(Moments(6, 2).update(features[piece], outputs[piece]))
    whole = Moments.of(features, outputs)
    assert_same(streamed, whole)
    assert_same(merged, whole)
    assert streamed.dlr() == pytest.approx(whole.dlr(), abs=1e-10)


def test_more_rows_than_a_chunk(rng):
    features, outputs = rng.normal(size=(10_000, 3)), rng.normal(size=(10_000, 2))
    covariance = Moments.of(features, outputs).feature_covariance
    np.testing.assert_allclose(covariance, np.cov(features.T, bias=True), atol=1e-12)


def test_a_large_mean_does_not_swallow_the_variance(network):
    features, outputs = network
    shifted = Moments.of(features + 1e6, outputs)
    expected = Moments.of(features, outputs)
    np.testing.assert_allclose(
        shifted.feature_covariance, expected.feature_covariance, atol=1e-8, rtol=1e-6
    )


def test_merging_nothing_changes_nothing(network):
    moments = Moments.of(*network)
    before = moments.scatter.clone()
    moments.merge(Moments(30, 4))
    assert moments.n == 120 and torch.equal(moments.scatter, before)


def test_errors():
    moments = Moments(3, 2)
    with pytest.raises(ValueError, match="p=3 features and C=2 outputs.*p=4, C=2"):
        moments.update(torch.ones(5, 4), torch.ones(5, 2))
    with pytest.raises(ValueError, match="p=3.*p=1, C=1"):
        moments.merge(Moments(1, 1))
    with pytest.raises(ValueError, match="at least 2 samples, but hold 0"):
        moments.dlr()
    with pytest.raises(ValueError, match="features: 5, outputs: 6"):
        moments.update(torch.ones(5, 3), torch.ones(6, 2))
    with pytest.raises(ValueError, match="p >= 1"):
        Moments(0, 2)
