"""What the chapter on accuracy without richness derives."""

import dataclasses
import math

import numpy as np
import pytest
import torch

import richlib
from richlib.lab import assemble, records
from richlib.lab.claims import CLAIMS, Claim
from richlib.lab.experiments import EXPERIMENTS
from richlib.lab.metrics import PROBE, WIDE
from richlib.lab.run import features

C = 4
READINGS = [
    f"{name}_{split}"
    for name in ("dlr", "dlr_centered_projection", "dlr_gram")
    for split in ("train", "test")
]


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def steep(n=300, p=30):
    return normal(n, p) * torch.arange(1, p + 1) ** -1.0 + 0.5


def eigen(Φ):
    """Eigenvalues of the covariance (p,), decreasing, and centered eigenfunctions (n, p)."""
    Φ = Φ - Φ.mean(0)
    U, s, _ = torch.linalg.svd(Φ / len(Φ) ** 0.5, full_matrices=False)
    return s**2, U * len(Φ) ** 0.5


def floor(Φ):
    λ, _ = eigen(Φ)
    return float(1 - (λ[: C - 1].sum() ** 2 / (C - 1) + λ[C - 1] ** 2).sqrt() / λ.norm())


def test_no_outputs_get_below_the_floor_of_the_features():
    Φ = steep()
    for seed in range(50):
        outputs = Φ @ (normal(30, C, seed=seed) * torch.arange(1, 31)[:, None] ** -(seed / 20))
        assert richlib.dlr(Φ, outputs + normal(C, seed=seed)) >= floor(Φ) - 1e-12


def test_the_floor_is_reached():
    """By the leading C - 1 centered eigenfunctions, and a mixture of the next with the constant:
    centered, its direction keeps b = (C - 1) λ_C / S of a unit of the projection.
    """
    Φ = steep()
    λ, e = eigen(Φ)
    b = (C - 1) * λ[C - 1] / λ[: C - 1].sum()
    assert 0 < b < 1
    mixed = b.sqrt() * e[:, C - 1] + (1 - b).sqrt()
    outputs = torch.cat([e[:, : C - 1], mixed[:, None]], dim=1)
    assert richlib.dlr(Φ, outputs) == pytest.approx(floor(Φ), abs=1e-12)
    assert 0.05 < floor(Φ) < 0.5


def ridge_fit(Φ, Y, δ):
    G = Φ.T @ Φ / len(Φ)
    return Φ @ torch.linalg.solve(G + δ * torch.eye(len(G)), Φ.T @ Y / len(Φ))


def test_a_ridge_keeps_of_each_eigenfunction_what_the_page_says():
    Φ, Y, δ = steep(), normal(300, C, seed=1), 0.01
    e = richlib.Eigenfunctions.fit(Φ)
    before = e(Φ).T @ Y / len(Φ)  # (p, C)
    after = e(Φ).T @ ridge_fit(Φ, Y, δ) / len(Φ)
    kept = e.eigenvalues / (e.eigenvalues + δ)
    torch.testing.assert_close(after, kept[:, None] * before)
    assert kept.min() < 0.5 < 0.9 < kept.max()


def test_d_lr_of_frozen_features_grows_as_the_ridge_falls():
    """Targets that use all eigenfunctions alike: a large ridge leaves the strong ones."""
    Φ = steep()
    Y = eigen(Φ)[1] @ normal(30, C, seed=2)
    values = [richlib.dlr(Φ, ridge_fit(Φ, Y, δ)) for δ in (10, 1e-1, 1e-2, 1e-4)]
    assert values == sorted(values) and values[-1] > values[0] + 0.1


def test_the_variance_of_an_output_whose_features_are_thrown_away_by_coins():
    p, q, draws = 50, 0.3, 40_000
    Φ, w = normal(p).abs(), normal(p, seed=1)
    masks = (torch.rand(draws, p, generator=torch.Generator().manual_seed(0)) < q) / q
    outputs = masks.double() @ (Φ * w)
    expected = (1 - q) / q * (w**2 * Φ**2).sum()
    assert float(outputs.var()) == pytest.approx(float(expected), rel=0.03)  # 4 standard errors
    assert abs(float(outputs.mean()) - float(Φ @ w)) < 4 * math.sqrt(expected / draws)


def test_equal_terms_that_agree_are_robust_in_proportion_to_their_number():
    m = 200
    terms = torch.full((m,), 1 / m)
    assert float(terms.square().sum() / terms.sum() ** 2) == pytest.approx(1 / m)


def test_two_random_networks_grow_alike_with_their_features_and_read_digits():
    """From 64 to 512 features on the first 300 digits, seeds 0 and 1: CKA rises, and so does what
    a least-squares readout finds on others, to 90% and more with a small ridge.
    """
    recipe = EXPERIMENTS["accurate-not-rich"].recipe("last-layer", "pocket")
    train, test, _ = assemble.samples(recipe, seed=0)

    def draws(p):
        wide = dataclasses.replace(recipe, width=p)
        return [assemble.network(wide, train, seed) for seed in (0, 1)]

    alike = {}
    for p in (64, 512):
        alike[p] = richlib.cka(*(features(network, train.first(300)) for network in draws(p)))
    assert alike[512] > alike[64] + 0.15

    Φ, Φ_test = (features(draws(512)[0], split).double() for split in (train, test))
    one = torch.ones(len(Φ), 1, dtype=torch.float64)
    G = torch.cat([Φ, one], 1)
    S = G.T @ G / len(G)
    δ = 1e-2 * S.trace() / len(S)
    W = torch.linalg.solve(S + δ * torch.eye(len(S)), G.T @ train.targets.double() / len(G))
    right = (Φ_test @ W[:-1] + W[-1]).argmax(1) == test.labels
    assert float(right.double().mean()) > 0.9


def test_what_the_page_says_of_the_recorded_pair():
    rich, lazy = (
        records.load("accurate-not-rich", variant, "paper") for variant in ("full", "last-layer")
    )
    for run in rich:
        dlr = run.curves["dlr_train"][1:]
        assert max(dlr) - min(dlr) < 0.04 and max(dlr) < 0.25 * run.curves["dlr_train"][0]
        assert run.curves["loss_train"][-1] < run.curves["loss_train"][5] / 5
        assert run.metrics["accuracy_test"] - run.curves["accuracy_test"][-1] < 0.02
        λ = run.spectra["eigenvalues"]
        assert λ[10] < 0.1 * λ[9]
    assert np.mean([run.spectra["utilization"][9] for run in rich]) > 0.95
    assert records.summary(rich, "dlr_train")[0] == pytest.approx(0.10, abs=0.005)
    rises = [run.curves["dlr_train"][-1] - run.curves["dlr_train"][1] for run in rich]
    assert sorted(rise > 0.01 for rise in rises) == [False, False, True]
    ratios = [records.summary(rich, name)[0] / 0.043 for name in READINGS]
    assert 2 < min(ratios) < max(ratios) < 3.5
    for run in lazy:
        dlr, tested = (run.curves[name][1:] for name in ("dlr_train", "accuracy_test"))
        ten = run.curves["epoch"].index(10) - 1
        assert dlr[0] == min(dlr) and dlr[0] < 0.51
        for values in (dlr, tested):
            assert values[ten] - values[0] > 0.7 * (values[-1] - values[0]) > 0
        assert run.spectra["utilization"][9] < 0.5
        readings = {name: run.metrics[name] for name in READINGS}
        assert min(readings, key=readings.get) == "dlr_gram_test"
        assert 0.025 < 1 - run.metrics["accuracy_train"] < 0.035
    assert np.mean([run.spectra["utilization"][99] for run in lazy]) < 0.9
    assert np.mean([run.curves["dlr_train"][ten + 1] for run in lazy]) > 0.51
    means = [records.summary(lazy, name)[0] for name in READINGS]
    assert 0.51 < min(means) < max(means) < 0.51 + 0.08
    assert all(run.metrics["accuracy_test"] > 0.95 for run in rich + lazy)


def test_what_the_page_says_of_the_seeds():
    rich, lazy = (
        [r.metrics["dlr_train"] for r in records.load("accurate-not-rich", variant, "desk")]
        for variant in ("full", "last-layer")
    )
    spread = max(max(values) - min(values) for values in (rich, lazy))
    assert len(rich) == len(lazy) == 3 and spread < 0.07 and min(lazy) - max(rich) > 5 * spread


def test_curves_are_of_so_many_pictures_as_the_caption_says():
    width = EXPERIMENTS["accurate-not-rich"].recipe("full", "paper").width
    assert min(PROBE, WIDE // width) == 4_096


def test_which_two_numbers_the_page_disagrees_in():
    numbers = [c for c in CLAIMS if c.chapter == "accurate_not_rich" and isinstance(c, Claim)]
    verdicts = {(c.variant, c.metric): c.verdict() for c in numbers}
    assert len(verdicts) == 6 and verdicts.pop(("full", "dlr_train")) == "not reproduced"
    assert set(verdicts.values()) == {"reproduced"}
    rich = [r.metrics["dlr_train"] for r in records.load("accurate-not-rich", "full", "paper")]
    assert sum(value < 0.1 for value in rich) == 2 and sum(rich) / 3 > 0.1
    for run in records.load("accurate-not-rich", "full", "paper"):
        assert run.curves["epoch"][1] == 1 and 0.08 < run.curves["dlr_train"][1] < 0.1
