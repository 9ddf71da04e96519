"""What the chapter "Regression: rich without classes" derives, without training."""

import math

import numpy as np
import pytest
import torch

import richlib
from richlib.lab import records
from richlib.richness import ESTIMATORS


def orthonormal(n, k, seed=0):
    """Columns of mean zero and variance one, uncorrelated, (n, k)."""
    X = torch.randn(n, k, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    Q, _ = torch.linalg.qr(X - X.mean(dim=0))
    return Q * n**0.5


def of_one_output(features, output):
    Φ, f = (part.double() - part.double().mean(dim=0) for part in (features, output))
    g = f[:, 0] / f.norm()
    U, s, _ = torch.linalg.svd(Φ, full_matrices=False)
    λ = s.square()
    return float(1 - (λ * (U.T @ g).square()).sum() / λ.norm())


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("mean", [0.0, 7.0])
def test_one_output_has_one_value_whatever_estimator_and_mean(estimator, mean):
    generator = torch.Generator().manual_seed(0)
    Φ = torch.randn(300, 20, generator=generator, dtype=torch.float64) + 1
    f = Φ @ torch.randn(20, 1, generator=generator, dtype=torch.float64)
    library = richlib.dlr(Φ, f + mean, estimator=estimator)
    assert library == pytest.approx(of_one_output(Φ, f), abs=1e-9)
    λ = torch.linalg.svdvals(Φ - Φ.mean(dim=0)).square()
    assert library >= float(1 - λ[0] / λ.norm()) - 1e-12


def test_one_output_is_rich_with_one_direction_along_it():
    e = orthonormal(200, 2)
    assert richlib.dlr(e[:, :1] @ torch.tensor([[1.0, -2.0, 0.5]]).double() + 3, e[:, :1]) < 1e-12
    assert richlib.dlr(e[:, 1:] + 1e-6 * e[:, :1], e[:, :1]) > 0.99


def test_a_mean_looks_like_utilization():
    e = orthonormal(500, 12)
    m, σ = 4.5, 2.9
    Φ = torch.cat([torch.full((500, 1), 10.0).double(), e * torch.linspace(2, 0.5, 12)], dim=1)
    f = e @ torch.linspace(0.1, 1, 12).double()[:, None]
    f = f / f.square().mean().sqrt()
    fitted = richlib.Eigenfunctions.fit(Φ)
    of_f, of_raw = fitted.utilization(Φ, f), fitted.utilization(Φ, m + σ * f)
    assert torch.allclose(of_raw, (m**2 + σ**2 * of_f) / (m**2 + σ**2), atol=1e-9)
    assert float(of_raw[0]) > 0.7 and float(of_f[0]) < 1e-9


def test_means_on_a_line_are_far_from_a_simplex():
    labels = torch.arange(10).repeat(20)
    direction = torch.tensor([[1.0, 2.0, -1.0]]).double()
    features = labels[:, None].double() @ direction
    angle = richlib.collapse.nc2(features, labels).angle
    assert angle == pytest.approx(20 / 45 * 10 / 9 + 25 / 45 * 8 / 9, abs=1e-6)


@pytest.mark.parametrize("s", [1.0, 0.5, 0.2, 0.1])
@pytest.mark.parametrize("power", [0, 1, 2])
def test_two_outputs_of_unequal_size(s, power):
    """Eigenvalues 1 and s^power: the three lines of the table."""
    e = orthonormal(400, 2)
    outputs = e * torch.tensor([1.0, s])
    Φ = e * torch.tensor([1.0, s**power]).double().sqrt() + 2
    ρ = s**power
    expected = 1 - (1 + ρ) / math.sqrt(2 * (1 + ρ**2))
    assert richlib.dlr(Φ, outputs) == pytest.approx(expected, abs=1e-7)
    gram = 1 - (1 + s**2 * ρ) / math.sqrt((1 + s**4) * (1 + ρ**2))
    assert richlib.dlr(Φ, outputs, estimator="gram") == pytest.approx(gram, abs=1e-7)


def test_the_numbers_of_the_table():
    assert 1 - 1.2 / math.sqrt(2 * 1.04) == pytest.approx(0.168, abs=5e-4)
    assert 1 - 1.04 / math.sqrt(2 * (1 + 0.2**4)) == pytest.approx(0.265, abs=5e-4)


def test_a_product_from_a_small_start_shares_its_size():
    for a in (1.0, 0.2):
        w, u = 1e-2, 1.2e-2
        for _ in range(10_000):
            rest = a - w * u
            w, u = w + 1e-2 * u * rest, u + 1e-2 * w * rest
        assert w * u == pytest.approx(a, rel=1e-6)
        assert u**2 == pytest.approx(a, rel=0.01)


def test_the_second_number_is_uncorrelated_with_the_first():
    z = torch.arange(10.0).double().repeat(3)
    z = (z - z.mean()) / z.std(correction=0)
    second = z**2 - (z**3).mean() * z - 1
    assert abs(float((second * z).mean())) < 1e-12 and abs(float(second.mean())) < 1e-12


def test_what_the_page_says_of_the_recorded_runs():
    first, *others = records.load("regression", "classes", "desk")
    assert first.metrics["dlr_train"] > 0.1 and len(others) == 2
    assert all(run.metrics["dlr_train"] < 0.1 for run in others)
    for run in records.load("regression", "scalar", "desk"):
        curve = run.curves["dlr_train"]
        assert min(curve) < 1e-3 * curve[0] and min(curve) < curve[-1] < 1e-3
    slower = [first, *others]
    faster, with_all = (
        records.load("low-rank", variant, "desk")
        for variant in ("resnet18-mnist-2000", "resnet18-mnist")
    )
    of, dimensions = (
        [[run.metrics[name] for run in runs] for runs in (slower, faster, with_all)]
        for name in ("dlr_train", "effective_dimension")
    )
    assert [round(np.mean(values)) for values in dimensions[:2]] == [28, 18]
    assert min(dimensions[0]) > max(dimensions[1]) > 12 > max(dimensions[2])
    assert sum(fast < slow for slow, fast in zip(of[0], of[1], strict=True)) == 2
    assert np.mean(of[1]) < np.mean(of[0]) and max(of[2]) < min(of[0]) / 2
    recipes = [runs[0].recipe for runs in (faster, with_all)]
    steps = [-(-n // 64) * r["epochs"] for n, r in zip((2_000, 60_000), recipes, strict=True)]
    assert round(steps[1] / steps[0]) == 15 and recipes[1]["epochs"] == recipes[0]["epochs"] / 2
