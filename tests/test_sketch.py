"""The randomized norm: unbiased, with an error bar that means what it says."""

import numpy as np
import pytest
import torch

from richlib import dlr
from richlib.sketch import _squared_norm, sketched_dlr


def draw(decay, n=1500, p=200, C=4, seed=0):
    rng = np.random.default_rng(seed)
    features = rng.normal(2, 1, (n, p)) * np.arange(1, p + 1) ** -decay
    return features, features[:, :20] @ rng.normal(size=(20, C)) + 1


@pytest.mark.parametrize("decay", [0.0, 0.5, 1.5])
def test_the_error_bar_covers_the_truth(decay):
    features, outputs = draw(decay)
    exact = dlr(features, outputs)
    generator = torch.Generator().manual_seed(0)
    estimates = [sketched_dlr(features, outputs, generator=generator) for _ in range(40)]
    scores = np.array([(e.dlr - exact) / e.error for e in estimates])
    assert abs(scores.mean()) < 4 / 40**0.5  # no bias
    assert 0.5 < scores.std() < 2  # neither boastful nor timid


def test_it_is_sharp_where_the_spectrum_falls():
    flat, steep = (sketched_dlr(*draw(decay)).error for decay in (0.0, 1.5))
    assert steep < flat / 5


def test_low_rank_features_leave_nothing_to_correct(rng):
    features = rng.normal(size=(800, 6)) @ rng.normal(size=(6, 150))
    outputs = features[:, :3]
    estimate = sketched_dlr(features, outputs)
    assert estimate.dlr == pytest.approx(dlr(features, outputs), abs=1e-8)


def test_squared_norm_of_a_known_matrix():
    S = torch.diag(torch.arange(1, 51, dtype=torch.float64))
    G = torch.randn(50, 2000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    square, error = _squared_norm(S @ G, G)
    assert square == pytest.approx(float(S.square().sum()), rel=1e-6)  # rank 50 < 1,000 probes
    square, error = _squared_norm(S @ G[:, :40], G[:, :40])
    assert abs(square - float(S.square().sum())) < 4 * error


def test_float32_features(network):
    features, outputs = (torch.as_tensor(x).float() for x in network)
    estimate = sketched_dlr(features, outputs, probes=100)
    assert estimate.dlr == pytest.approx(dlr(features, outputs), abs=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("scale", [1e-4, 1, 1e3])
def test_low_precision_is_widened(dtype, scale):
    features = scale * torch.randn(2000, 10, generator=torch.Generator().manual_seed(0))
    features = features.to(dtype)
    estimate = sketched_dlr(features, features[:, :5])
    assert estimate.dlr == pytest.approx(dlr(features, features[:, :5]), abs=1e-5)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_the_scale_of_features_drops_out(scale):
    features = torch.randn(500, 10, generator=torch.Generator().manual_seed(0))
    estimate = sketched_dlr(scale * features, features[:, :5])
    assert estimate.dlr == pytest.approx(dlr(features, features[:, :5]), abs=1e-5)


def test_outputs_far_from_zero_are_not_taken_for_constant(rng):
    features = rng.normal(size=(500, 10))
    outputs = 1e5 + features[:, :1]
    estimate = sketched_dlr(features, outputs)
    assert estimate.dlr == pytest.approx(dlr(features, outputs), abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_features_that_are_constant_up_to_rounding_are_an_error(rng, dtype):
    with pytest.raises(ValueError, match="constant over the samples"):
        sketched_dlr(torch.full((49, 4), 0.3, dtype=dtype), rng.normal(size=(49, 2)))


def test_bad_input(network):
    features, outputs = network
    with pytest.raises(ValueError, match="probes must be at least 4"):
        sketched_dlr(features, outputs, probes=2)
    with pytest.raises(ValueError, match="constant over the samples"):
        sketched_dlr(features, np.ones((120, 2)))
    with pytest.raises(ValueError, match="features: 120, outputs: 119"):
        sketched_dlr(features, outputs[:-1])
