"""The linear model of Figure 2: kernel regression, written as a network."""

import dataclasses

import pytest
import torch
from torch import nn

from richlib.lab import assemble
from richlib.lab.experiments import EXPERIMENTS
from richlib.lab.gaussian_process import NOISE, ArcCosineFeatures, gaussian_process
from richlib.lab.models import MLP
from richlib.lab.run import fit, measured

D = 12


def inputs(n, seed=0):
    return torch.randn(n, D, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("layers", [1, 3])
def test_the_kernel_is_that_of_a_wide_network(layers):
    x, generator = inputs(4), torch.Generator().manual_seed(0)
    wide = MLP(
        D, 1, width=4096, hidden_layers=layers, initialization="he-normal", generator=generator
    )
    with torch.no_grad():
        Φ = wide.body(x)
    sampled = Φ @ Φ.T / 4096 * D  # weights of the first layer have the variance 2 / D
    K = ArcCosineFeatures(x, hidden_layers=layers).kernel(x.double())
    norms = x.norm(dim=1)
    assert (sampled - K).abs().max() < 0.1 * norms.max() ** 2
    assert torch.allclose(K.diagonal(), norms.double() ** 2)  # it keeps norms


def test_the_features_have_that_kernel_and_the_readout_is_kernel_regression():
    X, x = inputs(50), inputs(20, seed=1)
    Y = torch.randn(50, 3, generator=torch.Generator().manual_seed(2))
    network = gaussian_process(X, Y, hidden_layers=3, pixels=nn.Identity())
    features = network.body.features
    with torch.no_grad():
        Φ = network.body(X).double()
        assert torch.allclose(Φ @ Φ.T, features.kernel(X.double()), rtol=1e-4)
        K, k = features.kernel(X.double()), features.kernel(x.double())
        ridge = NOISE * K.diagonal().mean() * torch.eye(50)
        expected = k @ torch.linalg.solve(K + ridge, Y.double())
        assert torch.allclose(network(x).double(), expected, atol=1e-4)
        assert torch.allclose(network(X), Y, atol=1e-3)  # and fits what it was given


def test_a_sample_that_is_there_twice_gets_the_mean_of_its_targets():
    X = inputs(10)
    X[1] = X[0]
    Y = torch.arange(10.0)[:, None]
    network = gaussian_process(X, Y, hidden_layers=3, pixels=nn.Identity())
    with torch.no_grad():
        assert torch.allclose(network(X)[:2], torch.full((2, 1), 0.5), atol=1e-2)


def test_it_is_fitted_when_it_is_assembled_and_measured_like_any_network():
    recipe = dataclasses.replace(
        EXPERIMENTS["gaussian-process"].recipe("n-100", "paper"), data="digits"
    )
    trained = fit(recipe, progress=False)
    assert trained.curves["epoch"] == [0]
    metrics, _ = measured(trained)
    assert metrics["loss_train"] < 1e-6 and metrics["accuracy_train"] == 1
    # Lazy, although it fits: its features were there before the labels.
    assert metrics["accuracy_test"] > 0.7 and metrics["dlr_train"] > 0.3
    again = assemble.network(recipe, trained.train, seed=1)  # nothing of it is random
    assert torch.equal(again.head.weight, trained.model.head.weight)
