"""What the chapter "The learning rate" derives: what a step does to unused features, the edge of
stability of its toy, and the three causes of D_LR.
"""

import math

import pytest
import torch
from torch.autograd.functional import hessian

import richlib
from richlib.lab import records
from richlib.lab.claims import CLAIMS

D, M = 5, 7
generator = torch.Generator().manual_seed(0)


def normal(*shape):
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def step(U, v, r, η):
    """Of gradient descent on half the squared error; r: (output − target) x, mean of a batch."""
    return U - η * v @ r.T, v - η * U @ r


def imbalance(U, v):
    return U @ U.T - v @ v.T


@pytest.mark.parametrize("η", [1e-3, 0.1, 1.0])
def test_a_step_changes_the_imbalance_at_second_order_only(η):
    U, v, r = normal(M, D), normal(M, 1), normal(D, 1)
    change = imbalance(*step(U, v, r, η)) - imbalance(U, v)
    expected = η**2 * (r.T @ r * v @ v.T - U @ r @ r.T @ U.T)
    # Rounding of numbers of size 10, beside a change of size η².
    assert torch.allclose(change, expected, rtol=1e-9, atol=1e-13)


def test_r_is_the_gradient_of_the_page():
    U, v, x, y = normal(M, D), normal(M, 1), normal(6, D), normal(6, 1)
    leaves = [U.clone().requires_grad_(), v.clone().requires_grad_()]
    (0.5 * (x @ leaves[0].T @ leaves[1] - y).square().mean()).backward()
    r = ((x @ U.T @ v - y) * x).mean(dim=0)[:, None]
    U_next, v_next = step(U, v, r, 0.1)
    assert torch.allclose(U_next, U - 0.1 * leaves[0].grad)
    assert torch.allclose(v_next, v - 0.1 * leaves[1].grad)


def test_noise_wears_unused_features_down_at_the_stated_speed():
    U, v, η, σ, draws = normal(M, D), normal(M, 1), 0.1, 0.5, 4000
    unused = torch.eye(M, dtype=torch.float64) - v @ v.T / v.square().sum()
    change = sum(
        (imbalance(*step(U, v, σ * normal(D, 1), η)) - imbalance(U, v)) / draws
        for _ in range(draws)
    )
    found = (unused @ change @ unused).trace() / (unused @ U).square().sum()
    assert float(found) == pytest.approx(-(η**2) * σ**2, rel=0.05)  # scatter of the draws


def test_the_curvature_at_a_perfect_fit():
    U, v = normal(M, D), normal(M, 1)
    a = U.T @ v  # the target that this network fits

    def loss(U, v):
        return 0.5 * (U.T @ v - a).square().sum()  # for inputs with covariance I

    (UU, Uv), (vU, vv) = hessian(loss, (U, v))
    n = U.numel()
    top = torch.cat([UU.reshape(n, n), Uv.reshape(n, M)], dim=1)
    bottom = torch.cat([vU.reshape(M, n), vv.reshape(M, M)], dim=1)
    largest = torch.linalg.eigvalsh(torch.cat([top, bottom])).max()
    expected = v.square().sum() + torch.linalg.matrix_norm(U, 2) ** 2
    assert float(largest) == pytest.approx(float(expected), rel=1e-10)


def causes(features, outputs):
    """The three factors of CKA, as on the page."""
    n, C = outputs.shape
    Q = torch.linalg.qr(outputs)[0]
    Φ, Q = features - features.mean(dim=0), Q - Q.mean(dim=0)
    λ = torch.linalg.eigvalsh(Φ.T @ Φ / n).flip(0)
    first = λ[: C - 1]
    overlap, size = (Q.T @ Φ).square().sum() / n, (Q.T @ Q).norm()
    even = first.sum() / (math.sqrt(C - 1) * first.norm())
    return even, first.norm() / λ.norm(), overlap * math.sqrt(C - 1) / (first.sum() * size)


def test_the_causes_multiply_to_cka():
    features = normal(80, 12)
    outputs = features @ normal(12, 4) + 1
    even, alone, used = causes(features, outputs)
    assert float(even * alone * used) == pytest.approx(1 - richlib.dlr(features, outputs), abs=1e-9)
    assert float(even) < 1 and float(alone) < 1


def test_each_cause_sees_its_own():
    """Collapsed features with one thing wrong at a time."""
    classes = torch.eye(4, dtype=torch.float64).repeat(20, 1)  # (80, 4), sums to the constant
    other = normal(80, 3)
    other -= classes @ (torch.linalg.pinv(classes) @ other)  # orthogonal to the classes
    assert [round(float(c), 9) for c in causes(classes, classes)] == [1, 1, 1]
    even, alone, used = causes(classes * torch.tensor([2.0, 1, 1, 1]), classes)
    assert even < 0.95 and alone > 0.999 and used > 0.999
    even, alone, used = causes(torch.cat([classes, 0.4 * other], dim=1), classes)
    assert even > 0.99 and alone < 0.95
    even, alone, used = causes(torch.cat([0.3 * classes, other], dim=1), classes)
    assert used < 0.5


def test_what_the_page_says_of_the_recorded_rates():
    rates = "middle", "high", "low"  # the paper's order of D_LR
    runs = [records.load("learning-rate", rate, "desk") for rate in rates]

    def means(metric):
        return [records.summary(found, metric)[0] for found in runs]

    middle, high, low = means("dlr_train")
    assert middle < low < high
    for metric in ("dlr_test", "dlr_centered_projection_test", "dlr_gram_test"):
        assert means(metric) == sorted(means(metric))
    orders = [c for c in CLAIMS if c.chapter == "learning_rate" and "D_LR is" in c.statement]
    verdicts = {c.statement.rpartition("(")[2]: c.verdict() for c in orders}
    assert verdicts.pop("0.2, 0.005)") == "not reproduced"
    assert list(verdicts.values()) == ["reproduced", "reproduced"]
    assert means("dlr_gram_train") != sorted(means("dlr_gram_train"))
    spread = max(records.summary(found, "dlr_gram_test")[1] for found in runs)
    assert max(means("dlr_gram_test")) - min(means("dlr_gram_test")) < spread
    ρ, quality = (
        [[record.spectra[key] for record in found] for found in runs]
        for key in ("eigenvalues", "quality")
    )
    tails = [sum(values[10] / values[0] for values in seeds) / len(seeds) for seeds in ρ]
    at_C = [sum(values[9] for values in seeds) / len(seeds) for seeds in quality]
    assert max(tails) == tails[2] and min(at_C) == at_C[2]  # the smallest rate's


def test_how_often_the_richest_is_the_most_accurate():
    """At the desk tier: on training samples with seed 0, on test samples with seeds 0 and 2."""
    runs = [records.load("learning-rate", rate, "desk") for rate in ("low", "middle", "high")]
    agree = {"dlr_train": [], "dlr_test": []}
    for of_seed in zip(*runs, strict=True):
        best = max(of_seed, key=lambda record: record.metrics["accuracy_test"])
        for metric, seeds in agree.items():
            if min(of_seed, key=lambda record: record.metrics[metric]) is best:
                seeds.append(best.seed)
    assert agree == {"dlr_train": [0], "dlr_test": [0, 2]}
