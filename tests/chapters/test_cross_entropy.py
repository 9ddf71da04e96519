"""What the chapter "Cross-entropy" derives: pulls, clocks, evenness, and the sum of the logits."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.autograd.functional import hessian, jacobian
from torch.nn.functional import cross_entropy, mse_loss

import richlib
from richlib.lab import records
from richlib.lab.models import Network
from richlib.lab.tasks import Split
from richlib.lab.train import train

C = 10
T = 3.0  # 1/α


@pytest.mark.parametrize("scale, stiff", [(0.0, (0.1, 0.1)), (30.0, (0.0, 0.0))])
def test_the_stiffness_of_the_cross_entropy(scale, stiff):
    y = torch.eye(C, dtype=torch.float64)[3]

    def loss(f):
        return -f.log_softmax(dim=0)[3]

    f = scale * y
    p = f.softmax(dim=0)
    assert torch.allclose(jacobian(loss, f), p - y, atol=1e-12)
    H = hessian(loss, f)
    assert torch.allclose(H, p.diag() - p.outer(p), atol=1e-12)
    extremes = torch.linalg.eigvalsh(H)
    assert extremes[0] == pytest.approx(0, abs=1e-12)  # all outputs together
    assert extremes[[1, -1]].tolist() == pytest.approx(stiff, abs=1e-9)


def outputs(pull, s, times, decay=0.0, f0=0.01):
    """f = s a² at the given times, from da/dt = 2 s a r(f) − λa, by Runge-Kutta in ln t."""
    a, u = math.sqrt(f0 / s), -9.0

    def rate(u, log_a):
        f = s * math.exp(2 * log_a)
        return math.exp(u) * (2 * s * pull(f) - decay)

    log_a, found = math.log(a), []
    for end in np.log(times):
        # Stiff at the plateau: the step in t stays below what Runge-Kutta bears.
        while u < end - 1e-12:
            h = min(2e-3, 0.2 / (8 * s * T * math.exp(u)) if pull is SPRING else 2e-3, end - u)
            k1 = rate(u, log_a)
            k2 = rate(u + h / 2, log_a + h / 2 * k1)
            k3 = rate(u + h / 2, log_a + h / 2 * k2)
            k4 = rate(u + h, log_a + h * k3)
            log_a, u = log_a + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4), u + h
        found.append(s * math.exp(2 * log_a))
    return np.array(found)


def SPRING(f):
    return T - f


def FADING(f):
    return (C - 1) / (math.exp(f) + C - 1)


@pytest.mark.parametrize("pull", [SPRING, FADING])
def test_a_weak_class_is_a_strong_one_on_a_slower_clock(pull):
    times = np.array([0.5, 1.0, 2.0, 8.0])
    strong = outputs(pull, 1.0, times)
    weak = outputs(pull, 0.25, times / 0.25)
    # Both start at t = 1e-4, which should differ by the factor, too.
    assert weak == pytest.approx(strong, rel=0.01)


def test_the_gap_closes_on_the_plateau_and_stays_on_the_slope():
    for pull, gap in ((SPRING, 0.0), (FADING, math.log(4))):
        strong, weak = (outputs(pull, s, [200.0 if pull is SPRING else 1e7])[0] for s in (1, 0.25))
        # On the slope ln ln t still moves a little: a tenth of the gap is granted.
        assert strong - weak == pytest.approx(gap, abs=0.15)


def test_decay_keeps_a_gap_of_its_own_order_or_of_the_logarithm():
    for decay in (1e-2, 1e-3):
        for s in (1.0, 0.25):
            spring, fading = T - decay / (2 * s), math.log((C - 1) * (2 * s / decay - 1))
            for pull, f in ((SPRING, spring), (FADING, fading)):
                assert 2 * s * pull(f) == pytest.approx(decay)  # da/dt = 0
        assert decay / 0.5 - decay / 2 == pytest.approx(1.5 * decay)
        gap = math.log((2 / decay - 1) / (0.5 / decay - 1))
        assert gap == pytest.approx(math.log(4), abs=4 * decay)


def test_where_features_span_the_outputs_only_evenness_is_measured():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(400) % C
    strengths = torch.logspace(0, -2, C - 1, dtype=torch.float64)
    centered = torch.eye(C, dtype=torch.float64)[labels] - 1 / C
    basis = torch.linalg.svd(centered, full_matrices=False)[0][:, : C - 1] * 400**0.5
    Φ = basis * strengths.sqrt()
    F = basis @ torch.randn(C - 1, C, generator=generator, dtype=torch.float64)
    PR = float(strengths.sum() ** 2 / strengths.square().sum())
    assert richlib.dlr(Φ, F) == pytest.approx(1 - math.sqrt(PR / (C - 1)), abs=1e-9)
    assert richlib.dlr(basis, F) == pytest.approx(0, abs=1e-9)


def test_the_corners_of_a_polygon_are_rich_and_told_apart():
    labels = torch.arange(200) % C
    angle = 2 * math.pi * labels / C
    Φ = torch.stack([angle.cos(), angle.sin()], dim=1).double()
    F = 50 * Φ @ Φ[:C].T
    assert (F.argmax(dim=1) == labels).all() and float(cross_entropy(F, labels)) < 1e-3
    found = richlib.richness(Φ, F)
    assert found.rank == 2 and found.dlr == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("loss_of, kept", [("cross-entropy", True), ("mse", False)])
def test_only_the_decay_moves_the_sum_of_the_logits(loss_of, kept):
    momentum, decay, lr, epochs = 0.9, 1e-2, 0.05, 20
    torch.manual_seed(0)
    x, labels = torch.randn(64, 5), torch.arange(64) % 4
    data = Split(x, nn.functional.one_hot(labels, 4).float(), labels)
    model = Network(nn.Sequential(nn.Linear(5, 16), nn.ReLU()), nn.Linear(16, 4))
    before = model.head.weight.sum(dim=0).detach().clone()
    losses = {"cross-entropy": lambda f, t: cross_entropy(f, t.argmax(dim=1)), "mse": mse_loss}
    train(
        model,
        data,
        epochs=epochs,
        batch_size=16,
        optimizer=torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum, weight_decay=decay),
        loss=losses[loss_of],
        seed=0,
        measure=dict,
        progress=False,
    )
    S, v = 1.0, 0.0
    for _ in range(epochs * 4):
        v = momentum * v + decay * S
        S -= lr * v
    assert 0.5 < S < 0.9  # the factor is not one
    after = model.head.weight.sum(dim=0).detach()
    assert torch.allclose(after, S * before, atol=1e-5) == kept


def test_what_the_page_says_of_the_recorded_losses():
    """On pictures: nine tenths on C features, and the squared error ends with the constant last."""
    entropy = records.load("cross-entropy", "cross-entropy", "desk")
    used = np.mean([record.spectra["utilization"][C - 1] for record in entropy])
    assert used == pytest.approx(0.9, abs=0.02)
    for record in records.load("cross-entropy", "mse", "desk"):
        ρ, quality = record.spectra["eigenvalues"], np.diff(record.spectra["quality"])
        assert quality[: C - 1].argmax() == C - 2  # the constant is worth most
        assert ρ[1] / ρ[C - 1] > 10 > 3 > ρ[0] / ρ[C - 2]
        assert ρ[C - 2] / ρ[C - 1] > 6
        assert record.spectra["utilization"][C - 1] == pytest.approx(0.99, abs=0.015)
    for record in entropy:
        ρ = record.spectra["eigenvalues"]
        assert ρ[0] / ρ[C - 1] > 100 and ρ[C - 1] / ρ[C] < 3
    found = {name: records.load("cross-entropy", name, "desk") for name in ("mse", "cross-entropy")}
    for name, value in (("mse", 0.04), ("cross-entropy", 0.27)):
        assert records.summary(found[name], "dlr_train")[0] == pytest.approx(value, abs=0.005)
        assert records.summary(found[name], "accuracy_test")[0] == pytest.approx(0.45, abs=0.01)
    gram = [records.summary(entropy, f"dlr_gram_{split}")[0] for split in ("train", "test")]
    assert gram == pytest.approx([0.07, 0.07], abs=0.005)
    fifteen = found["mse"][0].curves["epoch"].index(15)
    early = np.mean([r.curves["dlr_train"][fifteen] for r in found["mse"]])
    assert early == pytest.approx(0.04, abs=0.005)


def test_no_run_of_the_paper_s_size_exists_as_the_page_says():
    for variant in ("cross-entropy", "mse"):
        with pytest.raises(FileNotFoundError):
            records.load("cross-entropy", variant, "paper")


def test_what_the_page_says_of_the_unevenness_by_epoch():
    def uneven(variant, epoch):
        spectra = [r.spectra[f"epoch{epoch}/eigenvalues"] for r in found[variant]]
        return [ρ[1] / ρ[C - 1] for ρ in spectra]

    found = {name: records.load("cross-entropy", name, "desk") for name in ("cross-entropy", "mse")}
    for epoch in (1, 2, 3, 5, 10, 20):
        assert min(uneven("cross-entropy", epoch)) > max(uneven("mse", epoch))
    assert min(uneven("mse", 1)) > 30 > max(uneven("mse", 5))
    risen = [late > early for early, late in zip(uneven("mse", 10), uneven("mse", 20), strict=True)]
    assert sum(risen) == 1
