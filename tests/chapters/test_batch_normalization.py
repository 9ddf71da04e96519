"""What the chapter "Batch normalization makes VGG rich" claims of networks before training."""

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import mse_loss

from richlib.lab import records
from richlib.lab.claims.measures import utilization
from richlib.lab.models import MLP

DEPTH, WIDTH = 8, 256


def untrained(seed=0, **options):
    generator = torch.Generator().manual_seed(seed)
    options = {"initialization": "torch-default"} | options
    return MLP(64, 10, width=WIDTH, hidden_layers=DEPTH, generator=generator, **options)


def inputs(n=500):
    """Correlated, as pixels are."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(n, 64, generator=generator) + torch.randn(64, generator=generator)


def layers(model, x):
    """With batch normalization by the batch x itself."""
    model.train()
    with torch.no_grad():
        for layer in model.body:
            x = layer(x)
            yield x.double()


def strength(h):
    """Mean square of a unit, and the share of it that differs between inputs."""
    size = h.square().mean()
    return float(size), float(1 - h.mean(dim=0).square().mean() / size)


def next_kernel(K, fan_in):
    """The chapter's: PyTorch's default initialization, infinite width."""
    C = K / 3 + 1 / (3 * fan_in)
    scale = C.diag().sqrt()
    scale = scale[:, None] * scale
    c = (C / scale).clamp(-1, 1)
    return scale * ((1 - c**2).sqrt() + c * (math.pi - c.arccos())) / (2 * math.pi)


def test_the_kernel_map_is_a_gaussian_expectation():
    """Against 400,000 draws, whose means have a relative error of 0.3% or so."""
    generator = torch.Generator().manual_seed(0)
    K = torch.tensor([[1.0, 0.3], [0.3, 2.0]], dtype=torch.float64)
    root = torch.linalg.cholesky(K / 3 + 1 / 24)
    z = torch.randn(400_000, 2, generator=generator, dtype=torch.float64) @ root.T
    h = z.relu()
    torch.testing.assert_close(h.T @ h / len(h), next_kernel(K, 8), rtol=0.015, atol=0)


def test_a_plain_network_follows_its_kernel():
    """Of 256 units with a common input the mean square is off by √(5/256) = 14% a layer."""
    x = inputs()
    K, fan_in = x.double() @ x.double().T / 64, 64
    for size, differs in map(strength, layers(untrained(), x)):
        K, fan_in = next_kernel(K, fan_in), WIDTH
        mean_square = float(K.diag().mean())
        assert 0.6 < size / mean_square < 1.7
        assert 1 / 2 < differs / (1 - float(K.mean()) / mean_square) < 2
    assert differs < 1e-3


def test_in_the_end_only_the_biases_are_left():
    """Variance 1/(3p) at each layer, of which the later ones leave a sixth: 1/(5p) in all."""
    *_, last = layers(untrained(), inputs())
    assert strength(last)[0] == pytest.approx(1 / (5 * WIDTH), rel=0.3)


def test_with_batch_normalization_the_share_of_the_constant_is_1_over_π():
    for h in layers(untrained(batch_norm=True), inputs()):
        size, differs = strength(h)
        assert size == pytest.approx(1 / 2, rel=0.05)
        assert 1 - differs == pytest.approx(1 / math.pi, abs=0.03)


def relative_gradients(model, x, targets):
    """Once the mean of the residual is gone."""
    model.train()
    outputs = model(x)
    residual = (outputs - targets).detach()
    outputs = outputs - outputs.detach() + residual - residual.mean(dim=0)
    mse_loss(outputs, torch.zeros_like(targets)).backward()
    linear = [layer[0].weight for layer in model.body]
    return torch.stack([w.grad.norm() / w.detach().norm() for w in linear])


def test_without_it_the_gradients_of_features_are_orders_smaller():
    x = inputs()
    targets = 10 * torch.eye(10)[torch.arange(len(x)) % 10]
    plain, normalized = (
        relative_gradients(untrained(batch_norm=b), x, targets) for b in (False, True)
    )
    assert (normalized / plain).min() > 100


def test_the_relu_alone_approaches_the_constant_slowly():
    """Exercise 2: ε' = ε − (2√2/3π) ε^1.5, so ε ≈ 9π²/(2l²) after l layers."""

    def step(c):
        return (math.sqrt(1 - c * c) + c * (math.pi - math.acos(c))) / math.pi

    ε = 1e-3
    expansion = ε - 2 * math.sqrt(2) / (3 * math.pi) * ε**1.5
    assert 1 - step(1 - ε) == pytest.approx(expansion, rel=1e-4)
    c, l = 0.0, 2_000
    for _ in range(l):
        c = step(c)
    assert (1 - c) * l**2 == pytest.approx(9 * math.pi**2 / 2, rel=0.02)


def test_what_the_page_says_of_the_recorded_pair():
    both = [records.load("batch-normalization", variant, "desk") for variant in ("with", "without")]
    ahead = []
    for normalized, plain in zip(*both, strict=True):
        assert plain.metrics["dlr_train"] > 3 * normalized.metrics["dlr_train"]
        assert plain.metrics["accuracy_train"] < 0.9 < 0.99 < normalized.metrics["accuracy_train"]
        started = []  # the first measurement above chance
        for run in (normalized, plain):
            above = [accuracy > 0.15 for accuracy in run.curves["accuracy_train"]]
            started.append(run.curves["epoch"][above.index(True)])
        assert started[0] < started[1]
        ahead.append(plain.metrics["accuracy_test"] - normalized.metrics["accuracy_test"])
    assert sum(difference > 0 for difference in ahead) == 1
    assert sum(utilization(plain) > 0.95 for plain in both[1]) == 2
    for found, train, test in zip(both, (0.03, 0.23), (0.09, 0.26), strict=True):
        assert records.summary(found, "dlr_train")[0] == pytest.approx(train, abs=0.005)
        assert records.summary(found, "dlr_test")[0] == pytest.approx(test, abs=0.005)


def test_what_the_page_says_of_the_plain_network_on_its_way():
    plain = records.load("batch-normalization", "without", "desk")
    epochs = plain[0].curves["epoch"]
    dlr, accuracy = (
        np.mean([run.curves[f"{name}_train"] for run in plain], axis=0)
        for name in ("dlr", "accuracy")
    )
    assert np.abs(dlr[1:10] - 0.65).max() < 0.02 and epochs[9:11] == [9, 10]
    assert accuracy[10] == pytest.approx(0.25, abs=0.01)
    assert accuracy[-1] == pytest.approx(0.75, abs=0.03)
    assert dlr[-1] == pytest.approx(0.23, abs=0.01) and dlr[-1] < dlr[-2]
    assert records.summary(plain, "dlr_gram_train")[0] == pytest.approx(0.07, abs=0.005)
    assert all(run.metrics["dlr_gram_train"] < 0.1 < run.metrics["dlr_train"] for run in plain)
