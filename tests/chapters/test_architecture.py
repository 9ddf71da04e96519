"""What the chapter on architecture derives: how an unused tail shows in three counts of features,
and the bound below the effective dimension of the utilization.
"""

import math

import pytest
import torch

import richlib
from richlib.lab import records
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
    """D_eff(Q̂) >= 1 + C (S - Q̂(1)), for any features and outputs, also where S < 1."""
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
        assert used == sorted(used, reverse=True)
