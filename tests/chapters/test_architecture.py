"""What the chapter on architecture derives: how an unused tail shows in three counts of features,
and the bound below the effective dimension of the utilization.
"""

import math

import numpy as np
import pytest
import torch

import richlib
from richlib.lab import records
from richlib.lab.claims import CLAIMS, TABLE_4
from richlib.lab.claims.measures import (
    eigenvalue_step,
    spectrum_at,
    utilization,
    utilization_dimension,
)
from richlib.spectrum import per_feature

C, N = 10, 1500


def made_to_measure(m, ε, used=C, seed=0):
    """Features (n, C + m) of known eigenvalues, outputs (n, used) that span the first of them."""
    generator = torch.Generator().manual_seed(seed)
    functions = torch.randn(N, C + m, dtype=torch.float64, generator=generator)
    functions[:, 0] = 1
    Q = torch.linalg.qr(functions)[0] * math.sqrt(N)
    ρ = torch.tensor([4.0] + [1.0] * (C - 1) + [ε] * m, dtype=torch.float64)
    return Q * ρ.sqrt(), Q[:, :used]


@pytest.mark.parametrize("m, ε", [(50, 0.3), (500, 0.1), (500, 0.01)])
def test_a_tail_in_three_counts(m, ε):
    Φ, F = made_to_measure(m, ε)
    e = richlib.Eigenfunctions.fit(Φ)
    S = C - 1 + m * ε
    assert richlib.dlr(Φ, F) == pytest.approx(1 - math.sqrt((C - 1) / (C - 1 + m * ε**2)))
    counted = richlib.effective_dimension(e.eigenvalues)
    assert counted == pytest.approx(1 + S * ε ** (-m * ε / S))
    used = richlib.effective_dimension(per_feature(e.utilization(Φ, F)))
    assert used == pytest.approx(C, abs=1e-3)  # rounding leaves some shares at 1e-16


def test_to_first_order_in_the_tail():
    m, ε = 500, 1e-6
    S = C - 1 + m * ε
    excess = 1 + S * ε ** (-m * ε / S) - C
    assert excess == pytest.approx(m * ε * (1 + math.log(1 / ε)), rel=1e-3)
    distance = 1 - math.sqrt((C - 1) / (C - 1 + m * ε**2))
    assert distance == pytest.approx(m * ε**2 / (2 * (C - 1)), rel=1e-3)


@pytest.mark.parametrize("seed", range(5))
def test_the_utilization_has_a_floor(seed):
    """D_eff(Q̂) >= 1 + C (U - Q̂(1)), for any features and outputs, also where U < 1."""
    generator = torch.Generator().manual_seed(seed)
    Φ = torch.rand(400, 30, dtype=torch.float64, generator=generator)
    W = torch.randn(30, C, dtype=torch.float64, generator=generator)
    noise = torch.randn(400, C, dtype=torch.float64, generator=generator)
    for strength in (0.0, 2.0):
        F = Φ @ W + strength * noise
        curve = richlib.Eigenfunctions.fit(Φ).utilization(Φ, F)
        floor = 1 + C * float(curve[-1] - curve[0])
        assert richlib.effective_dimension(per_feature(curve)) >= floor
        assert (curve[-1] < 0.99) == (strength > 0)


def test_the_eigenvalues_have_no_floor():
    unequal = [4.0] + [2.0**-k for k in range(C - 1)]
    assert richlib.effective_dimension(unequal) < C / 2


def test_what_the_page_says_of_the_mlp_at_the_paper_size():
    for record in records.load("architecture", "mlp", "paper"):
        values = record.curves["dlr_train"]
        lowest = values.index(min(values))
        assert 5 <= record.curves["epoch"][lowest] <= 15 and values[lowest] < 0.25
        assert record.metrics["dlr_train"] == pytest.approx(0.45, abs=0.01)
        assert record.metrics["accuracy_train"] == pytest.approx(0.75, abs=0.01)
        assert record.metrics["accuracy_test"] == pytest.approx(0.59, abs=0.01)
        used = [record.spectra[f"epoch{n}/utilization"][9] for n in (10, 100, 200)]
        assert used == sorted(used, reverse=True) and used[0] - used[-1] > 0.1
        for epoch in (10, 200):  # the tail does not grow
            ρ = record.spectra[f"epoch{epoch}/eigenvalues"]
            assert 0.03 < ρ[19] / ρ[0] < 0.07
        assert 100 < record.metrics["effective_dimension"] < 120
        assert utilization_dimension(record) > 50
        assert abs(record.metrics["dlr_train"] - record.metrics["dlr_test"]) < 0.025
        for reading in ("dlr", "dlr_centered_projection"):
            assert abs(record.metrics[f"{reading}_train"] - 0.48) < 0.07
        assert 0.48 - record.metrics["dlr_gram_train"] > 0.07


def at(record, epoch):
    return record.curves["dlr_train"][record.curves["epoch"].index(epoch)]


def test_what_the_page_says_of_the_desk_pair():
    resnets, mlps = (records.load("architecture", v, "desk") for v in ("resnet18", "mlp"))
    for resnet, mlp in zip(resnets, mlps, strict=True):
        ρ, quality = resnet.spectra["eigenvalues"], np.diff(resnet.spectra["quality"])
        assert ρ[8] / ρ[9] > 6 and quality[: C - 1].argmax() == C - 2  # the constant is the tenth
        for epoch in (10, 15):
            assert at(resnet, epoch) < at(mlp, epoch)
        assert mlp.metrics["dlr_test"] > mlp.metrics["dlr_train"] + 0.1
        assert utilization_dimension(mlp) < 25
    behind = [r.spectra["eigenvalues"][C] / r.spectra["eigenvalues"][C - 1] for r in resnets]
    assert sum(ratio > 0.7 for ratio in behind) == 1  # "with one seed little of it is left"
    assert all(eigenvalue_step(r) < 0.1 for r in resnets)
    for resnet, mlp in zip(resnets, mlps, strict=True):
        one, ten = (spectrum_at(epoch, utilization) for epoch in (1, 10))
        assert one(mlp) < one(resnet) < 0.95 < ten(resnet)
    for found, early, late in ((resnets, 0.35, 0.13), (mlps, 0.41, 0.25)):
        assert np.mean([at(r, 2) for r in found]) == pytest.approx(early, abs=0.01)
        assert np.mean([at(r, 10) for r in found]) == pytest.approx(late, abs=0.01)
    assert np.mean([at(r, 1) for r in resnets]) > np.mean([at(r, 1) for r in mlps])
    assert records.summary(mlps, "effective_dimension")[0] == pytest.approx(149, abs=1)
    assert records.summary(mlps, "dlr_train")[0] == pytest.approx(0.18, abs=0.005)


def test_what_the_page_says_of_the_low_rank_runs():
    strength, rich = {}, {}
    for network in ("resnet18", "vgg16-bn"):
        for data in ("mnist", "cifar10"):
            found = records.load("low-rank", f"{network}-{data}", "desk")
            assert records.summary(found, "accuracy_train")[0] > 0.95
            assert 10 < np.mean([utilization_dimension(r) for r in found]) < 11
            assert np.mean([utilization(r) for r in found]) > 0.98
            assert all(r.metrics["dlr_train"] < 0.1 for r in found)
            strength[network, data] = records.summary(found, "effective_dimension")[0] - C
            rich[network, data] = records.summary(found, "dlr_train")[0]
        assert abs(strength[network, "cifar10"]) < 1 < strength[network, "mnist"] < 2
    cells = [c for c in TABLE_4 if c.metric == "dlr_train" and "cifar100" not in c.variant]
    printed = {tuple(c.variant.rsplit("-", 1)): c.value for c in cells}
    factors = {key: rich[key] / value for key, value in printed.items()}
    assert 0.5 < factors.pop(("vgg16-bn", "mnist")) < 1
    assert 6 < min(factors.values()) < max(factors.values()) < 33
    lines = [c for c in CLAIMS if c.chapter == "architecture" and c.statement.endswith("is C = 10")]
    verdicts = {c.statement: c.verdict() for c in lines}
    strict = [said for said, verdict in verdicts.items() if verdict == "not reproduced"]
    assert len(verdicts) == 8 and len(strict) >= 3
    assert sum("MNIST" in said for said in strict) == 2


def test_what_the_page_says_of_few_digits_and_of_all():
    for network, counted in (("resnet18", (17, 18)), ("vgg16-bn", (13, 14))):
        few, every = (
            records.load("low-rank", f"{network}-{data}", "desk")
            for data in ("mnist-2000", "mnist")
        )
        counts, of_all = ([r.metrics["effective_dimension"] for r in x] for x in (few, every))
        assert counted[0] < min(counts) and max(counts) < counted[1] and max(of_all) < 12
        for run in every:
            ends = [r.metrics["dlr_train"] for r in few]
            if network == "vgg16-bn":
                assert at(run, 1) < min(ends)
            else:
                assert 0.035 < at(run, 1) < 0.085 and 0.045 < min(ends) < max(ends) < 0.085
            assert run.metrics["dlr_train"] < min(min(ends), at(run, 1))
            steps = -(-60_000 // run.recipe["batch_size"])
            assert (steps, steps * run.recipe["epochs"]) == (938, 9_380)
        assert few[0].recipe["epochs"] * -(-2_000 // few[0].recipe["batch_size"]) == 640


def test_what_the_page_says_of_a_hundred_classes():
    (pairs,) = records.load("low-rank", "resnet18-mnist-pairs", "desk")
    ρ = pairs.spectra["eigenvalues"]
    assert utilization(pairs) > 0.999 and utilization_dimension(pairs) == pytest.approx(
        100, abs=0.5
    )
    assert eigenvalue_step(pairs) < 0.01 and ρ[0] / ρ[99] == pytest.approx(5, abs=0.5)
    steps = [ρ[k] / ρ[k - 1] for k in range(2, 50)]  # ρ_{k+1} / ρ_k
    assert steps.index(min(steps)) + 2 == 18
    assert pairs.metrics["effective_dimension"] < 95
    assert pairs.metrics["dlr_train"] == pytest.approx(0.1, abs=0.01)
    for run in records.load("grokking", "mse", "paper"):
        assert 99.35 < run.metrics["effective_dimension"] < 100.25 < 1.05 * 97
        assert utilization_dimension(run) > 120 and utilization(run) < 7 / 8
        ρ = run.spectra["eigenvalues"]
        assert len(ρ) == 128 and eigenvalue_step(run) > 0.8


def test_the_first_seed_of_the_exercise():
    first = records.load("architecture", "mlp", "desk")[0]
    assert first.seed == 0 and first.metrics["dlr_train"] == pytest.approx(0.189, abs=5e-4)
    assert first.metrics["effective_dimension"] == pytest.approx(146.6, abs=0.05)
