"""What the chapter "Weight decay and the low-rank bias" derives: the exponent, the price of a
product of layers, and the law of the imbalance between the last stage and the head.
"""

import math

import numpy as np
import pytest
import torch

from richlib.lab import assemble, records
from richlib.lab.experiments import EXPERIMENTS
from richlib.lab.models import Pixels, resnet18

EXPERIMENT = EXPERIMENTS["weight-decay"]


def exponent(recipe, samples):
    steps = -(-samples // recipe.batch_size)
    rates = [assemble.learning_rate(recipe, epoch) for epoch in range(1, recipe.epochs + 1)]
    return steps * sum(rates) * recipe.weight_decay / (1 - recipe.momentum)


@pytest.mark.parametrize("variant", ["none", "weak", "strong"])
def test_the_exponent_says_what_is_left_of_a_weight_without_gradient(variant):
    recipe = EXPERIMENT.recipe(variant, "pocket")
    layer = torch.nn.Linear(1, 1, bias=False, dtype=torch.float64)
    torch.nn.init.ones_(layer.weight)
    optimizer = assemble.optimizer(recipe, layer)
    for epoch in range(1, recipe.epochs + 1):
        optimizer.param_groups[0]["lr"] = assemble.learning_rate(recipe, epoch)
        for _ in range(-(-recipe.samples // recipe.batch_size)):
            layer.weight.grad = torch.zeros_like(layer.weight)
            optimizer.step()
    # 3%: of second order in rate × decay, and the first steps of the momentum.
    left = math.exp(-exponent(recipe, recipe.samples))
    assert layer.weight.item() == pytest.approx(left, rel=0.03)
    assert variant == "none" or layer.weight.item() < 0.8


def test_the_exponents_of_the_paper():
    """By hand: 391 steps an epoch; 60 epochs each at 0.05, 0.01, 0.002, then 20 at 0.0004."""
    rates = 391 * (60 * (0.05 + 0.01 + 0.002) + 20 * 0.0004)
    for variant, decay in (("weak", 1e-4), ("strong", 1e-3)):
        of_recipe = exponent(EXPERIMENT.recipe(variant, "paper"), 50_000)
        assert of_recipe == pytest.approx(10 * rates * decay, rel=1e-9)


def ridge(X, Y, decay):
    return Y @ X.T @ np.linalg.inv(X @ X.T + decay * np.eye(len(X)))


def test_two_layers_pay_the_nuclear_norm():
    rng = np.random.default_rng(0)
    M = rng.normal(size=(6, 8))
    U, s, Vt = np.linalg.svd(M, full_matrices=False)
    A, B = U * s**0.5, s[:, None] ** 0.5 * Vt
    assert (np.sum(A**2) + np.sum(B**2)) / 2 == pytest.approx(s.sum(), rel=1e-12)
    for _ in range(20):  # any other factors of the same product cost more
        G = rng.normal(size=(6, 6))
        price = (np.sum((A @ G) ** 2) + np.sum((np.linalg.inv(G) @ B) ** 2)) / 2
        assert price > 1.01 * s.sum()


def test_decay_on_two_layers_takes_the_same_from_each_singular_value():
    rng = np.random.default_rng(1)
    M, decay = rng.normal(size=(6, 3)) @ rng.normal(size=(3, 8)), 1.2
    M += 0.1 * rng.normal(size=M.shape)
    A, B = rng.normal(size=(6, 6)), rng.normal(size=(6, 8))
    for _ in range(1000):
        A = ridge(B, M, decay)
        B = ridge(A.T, M.T, decay).T
    asked, kept = (np.linalg.svd(X, compute_uv=False) for X in (M, A @ B))
    assert np.allclose(kept, np.maximum(asked - decay, 0), atol=1e-6)
    assert (kept > 1e-3).sum() < (asked > 1e-3).sum()


def test_the_loss_does_not_see_the_imbalance():
    """<K_k, dL/dK_k> = <w_k, dL/dw_k> for each feature, whatever the loss: the premise of the law.

    Exact but for the constant that batch normalization adds to variances.
    """
    torch.manual_seed(0)
    pictures = torch.randint(0, 256, (16, 1, 8, 8), dtype=torch.uint8)
    model = resnet18(1, 10, width=4, pixels=Pixels()).double().train()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eps = 1e-12
    (
        model(pictures).softmax(dim=1)[:, 0].log().mean() + model(pictures)[:, 1].square().mean()
    ).backward()
    first, second = model.body.layer4[:2]
    writers = [layer.weight for layer in (first.conv2, first.shortcut, second.conv2)]
    written = sum((w * w.grad).flatten(1).sum(dim=1) for w in writers)
    read = (model.head.weight * model.head.weight.grad).sum(dim=0)
    assert torch.allclose(written, read, rtol=1e-6, atol=1e-9)
    assert read.abs().max() > 1e-4
    part = (writers[0] * writers[0].grad).flatten(1).sum(dim=1)
    assert not torch.allclose(part, read, rtol=0.01)  # it takes all three


def test_what_the_page_says_of_the_recorded_decays():
    dlr, tested = (
        {
            variant: [r.metrics[metric] for r in records.load("weight-decay", variant, "desk")]
            for variant in ("none", "weak", "strong")
        }
        for metric in ("dlr_train", "accuracy_test")
    )
    assert max(dlr["none"]) < 0.1
    assert all(b < a for a, b in zip(dlr["none"], dlr["strong"], strict=True))
    moved = [b - a for a, b in zip(dlr["none"], dlr["weak"], strict=True)]
    assert min(moved) < 0 < max(moved) and max(map(abs, moved)) < 0.01
    control = [r.metrics["dlr_train"] for r in records.load("architecture", "resnet18", "desk")]
    assert max(abs(b - a) for a, b in zip(dlr["none"], control, strict=False)) > 0.01
    # The first seed: control and no decay are further apart than no decay and the strong one.
    assert abs(control[0] - dlr["none"][0]) > abs(dlr["strong"][0] - dlr["none"][0])
    assert max(dlr["strong"]) < min(control + dlr["none"] + dlr["weak"])
    on_test = [
        [r.metrics["dlr_test"] for r in records.load("weight-decay", variant, "desk")]
        for variant in ("none", "weak")
    ]
    assert sum(b > a for a, b in zip(*on_test, strict=True)) == 1
    means = [np.mean(values) for values in tested.values()]
    assert np.ptp(means) < max(np.std(values, ddof=1) for values in tested.values())


def test_the_paper_decays_with_147_times_the_rates_of_the_short_runs():
    pocket, paper = (EXPERIMENT.recipe("strong", tier) for tier in ("pocket", "paper"))
    sums = [
        exponent(recipe, samples) * (1 - recipe.momentum) / recipe.weight_decay
        for recipe, samples in ((pocket, pocket.samples), (paper, 50_000))
    ]
    assert sums[0] == pytest.approx(9.92, abs=0.005)
    assert sums[1] / sums[0] == pytest.approx(147, abs=0.5)


def test_the_desk_runs_lie_near_the_line_of_the_decays_as_printed():
    """In the last figure, with the paper's 0.05, 0.015 and 0.003 (Table 3) and 0.026 (row 4)."""
    dlr = {
        variant: np.mean(
            [r.metrics["dlr_train"] for r in records.load("weight-decay", variant, "desk")]
        )
        for variant in ("none", "weak", "strong")
    }
    weak, strong = (exponent(EXPERIMENT.recipe(v, "paper"), 50_000) for v in ("weak", "strong"))
    slope = math.log(0.003 / 0.015) / math.log(strong / weak)
    for variant in ("weak", "strong"):
        recipe = EXPERIMENT.recipe(variant, "desk")
        line = 0.015 / 0.05 * (exponent(recipe, recipe.samples) / weak) ** slope
        assert dlr[variant] / dlr["none"] == pytest.approx(line, rel=0.15)
    assert dlr["strong"] / dlr["none"] == pytest.approx(0.026 / 0.05, rel=0.05)  # the star
