"""The prior measures of richness, against their definitions."""

import math

import numpy as np
import pytest
import reference
import torch
from torch import nn

from richlib.collapse import nc1, trace_within
from richlib.rivals import nc1_with_ridge, parameter_norm, s_init, s_init_of_neurons


def test_s_init_is_the_alignment_of_the_kernels(rng):
    before, after = rng.normal(1, 1, (30, 8)), rng.normal(size=(30, 5))
    expected = reference.cka(reference.kernel(before), reference.kernel(after))
    assert s_init(before, after) == pytest.approx(expected, abs=1e-12)
    assert s_init(torch.as_tensor(before), torch.as_tensor(after)) == s_init(before, after)


def test_s_init_is_1_where_the_kernel_is_unchanged(rng):
    features = rng.normal(size=(30, 8))
    rotation, _ = np.linalg.qr(rng.normal(size=(8, 8)))
    assert s_init(features, features) == pytest.approx(1, abs=1e-12)
    assert s_init(features, 1e-3 * features @ rotation + 2) == pytest.approx(1, abs=1e-9)
    assert s_init(features, rng.normal(size=(30, 8))) < 0.9


@pytest.mark.parametrize(
    "before, after, message",
    [
        (torch.ones(6, 2), torch.ones(5, 2), "features_at_init: 6, features: 5"),
        (torch.ones(6), torch.ones(6, 2), "features_at_init must be a matrix"),
        (torch.ones(6, 2), torch.full((6, 2), math.nan), "features must be finite"),
        (torch.ones(6, 2), torch.arange(12.0).reshape(6, 2), "constant over the samples"),
    ],
)
def test_bad_features_are_explained(before, after, message):
    with pytest.raises(ValueError, match=message):
        s_init(before, after)


def test_parameter_norm_is_the_sum_of_squares():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(7, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3))
    expected = sum((p.detach().numpy().astype(float) ** 2).sum() for p in model.parameters())
    assert parameter_norm(model) == pytest.approx(expected, rel=1e-14)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 3
    assert parameter_norm(model) == pytest.approx(9 * expected, rel=1e-6)


def test_frozen_parameters_count_and_buffers_do_not():
    model = nn.BatchNorm1d(4)  # weight: ones, bias: zeros, running_var: ones
    assert parameter_norm(model) == 4
    assert parameter_norm(model.requires_grad_(False)) == 4
    assert parameter_norm(nn.ReLU()) == 0


def test_shared_parameters_count_once():
    layer = nn.Linear(3, 3, bias=False)
    nn.init.ones_(layer.weight)
    assert parameter_norm(nn.Sequential(layer, nn.ReLU(), layer)) == 9


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_squares_do_not_overflow_or_vanish(dtype):
    model = nn.Linear(100, 100, bias=False).to(dtype)
    for size in (1024.0, 2.0**-14):  # float16 holds neither square
        nn.init.constant_(model.weight, size)
        assert parameter_norm(model) == pytest.approx(1e4 * size**2, rel=1e-12)


def test_bad_models_are_explained():
    model = nn.Linear(2, 2)
    with pytest.raises(TypeError, match="torch.nn.Module, but came as Parameter"):
        parameter_norm(model.weight)
    nn.init.constant_(model.bias, math.inf)
    with pytest.raises(ValueError, match="bias holds NaN or infinite.*diverge"):
        parameter_norm(model)


def test_nc1_with_ridge_is_that_of_the_tables(rng):
    labels = np.repeat(np.arange(3), 8)
    features = rng.normal(size=(3, 6))[labels] + rng.normal(size=(24, 6))
    assert nc1_with_ridge(features, labels) == nc1(features, labels, ridge=1e-4)
    assert nc1_with_ridge(features, labels) < trace_within(features, labels) / 1e-4
    assert nc1_with_ridge(1e-9 * features, labels) < 1e-10  # shrunk, not collapsed


def test_s_init_of_neurons_sees_rotations_and_not_shifts(rng):
    X, Y = rng.normal(size=(40, 6)), rng.normal(size=(40, 6))
    A, B = np.cov(X.T), np.cov(Y.T)
    expected = (A * B).sum() / np.linalg.norm(A) / np.linalg.norm(B)
    assert s_init_of_neurons(X, Y) == pytest.approx(expected, abs=1e-12)
    assert s_init_of_neurons(X, 3 * X + 2) == pytest.approx(1, abs=1e-12)
    stretched = X * np.arange(1, 7)
    rotation, _ = np.linalg.qr(rng.normal(size=(6, 6)))
    assert s_init(stretched, stretched @ rotation) == pytest.approx(1, abs=1e-9)
    assert s_init_of_neurons(stretched, stretched @ rotation) < 0.9


def test_s_init_of_neurons_needs_the_same_neurons():
    with pytest.raises(ValueError, match="got 2 and 3 of them"):
        s_init_of_neurons(torch.randn(9, 2), torch.randn(9, 3))


@pytest.mark.parametrize("value", [1.0, 0.3])
@pytest.mark.parametrize("measure", [s_init, s_init_of_neurons])
def test_features_that_are_constant_up_to_rounding_are_an_error(measure, value):
    constant = torch.full((49, 2), value, dtype=torch.float64)  # 0.3 is not their mean
    with pytest.raises(ValueError, match="constant"):
        measure(constant, torch.randn(49, 2))
