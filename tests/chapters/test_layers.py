"""What the chapter "Inside the network" derives: probes, their floor, the greedy objective."""

import numpy as np
import pytest
import torch
from torch.nn.functional import mse_loss

from richlib import Eigenfunctions, FiniteSizeWarning
from richlib.lab import records
from richlib.lab.claims import CLAIMS
from richlib.lab.models import Pixels, resnet18, stages
from richlib.spectrum import per_feature


def normal(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def one_hot(n, C=10):
    return torch.eye(C, dtype=torch.float64)[torch.arange(n) % C]


def test_quality_is_the_r_squared_of_a_linear_probe():
    n, k, labels = 200, 12, one_hot(200)
    signal = labels @ normal(10, 40, seed=1)
    Φ, Φ_test = signal + normal(n, 40, seed=2), signal + normal(n, 40, seed=3)
    e = Eigenfunctions.fit(Φ).leading(k)
    B, _ = torch.linalg.qr(labels)
    E = e(Φ_test)
    rest = B - E @ torch.linalg.lstsq(E, B).solution
    r_squared = 1 - rest.square().sum(dim=0)
    assert float(r_squared.mean()) == pytest.approx(float(e.quality(Φ_test, labels)[-1]), abs=1e-9)


def test_noise_expresses_k_of_n():
    """On average over 30 draws; a draw has a standard deviation of 0.02 or so at k = 40."""
    n, k, labels = 320, 40, one_hot(320)
    centered = (labels - labels.mean(dim=0))[:, 1:]  # the span without the constant
    curves = []
    for seed in range(30):
        Φ, Φ_test = normal(400, 300, seed=2 * seed), normal(n, 300, seed=2 * seed + 1)
        curves.append(Eigenfunctions.fit(Φ).leading(k).quality(Φ_test, centered))
    mean = torch.stack(curves).mean(dim=0)
    torch.testing.assert_close(
        mean, torch.arange(1, k + 1, dtype=torch.float64) / n, atol=0.012, rtol=0
    )


def test_the_constant_lifts_the_floor_by_1_over_C():
    """The chapter's floor, 1/C + (1 - 1/C)(k - 1)/(n - 1), for noise with a constant feature."""
    n, k, C, labels = 320, 40, 10, one_hot(320)
    curves = []
    for seed in range(30):
        Φ, Φ_test = (
            torch.cat([3 * torch.ones(m, 1), 0.5 * normal(m, 300, seed=s)], dim=1)
            for m, s in ((400, 2 * seed), (n, 2 * seed + 1))
        )
        curves.append(Eigenfunctions.fit(Φ).leading(k).quality(Φ_test, labels))
    floor = 1 / C + (1 - 1 / C) * torch.arange(k, dtype=torch.float64) / (n - 1)
    torch.testing.assert_close(torch.stack(curves).mean(dim=0), floor, atol=0.015, rtol=0)


def test_as_many_features_as_samples_express_everything_on_them():
    Φ, anything = normal(60, 90), normal(60, 3, seed=1)
    e = Eigenfunctions.fit(Φ)
    with pytest.warns(FiniteSizeWarning):
        share = e.quality(Φ, anything)
    assert share[-1] == pytest.approx(1, abs=1e-9)
    assert per_feature(share).max() < 0.2  # each its share, no single one of them
    with pytest.warns(FiniteSizeWarning):
        fewer = Eigenfunctions.fit(Φ[:, :40]).quality(Φ[:, :40], anything)
    assert fewer[-1] < 0.9


def test_the_best_head_leaves_what_the_probe_does_not_explain():
    """Of balanced classes: the objective of a phase of greedy layerwise training."""
    Φ, y = normal(200, 30).relu(), one_hot(200) / 0.3
    loss = mse_loss(Φ @ torch.linalg.lstsq(Φ, y).solution, y)
    quality = Eigenfunctions.fit(Φ).quality(Φ, y)[-1]
    assert 0.1 < quality < 0.9
    assert float(loss) == pytest.approx(float(y.square().mean() * (1 - quality)), abs=1e-9)


@pytest.mark.parametrize("side, width", [(8, 8), (32, 16)])
def test_the_sizes_of_the_layers_of_a_resnet(side, width):
    model = resnet18(1, 10, width=width, pixels=Pixels()).eval()
    x, sizes = torch.zeros(1, 1, side, side, dtype=torch.uint8), []
    with torch.no_grad():
        for stage in stages(model.body).values():
            x = stage(x)
            sizes.append(x[0].numel())
    area = width * side**2
    assert sizes == [area, area // 2, area // 4, 8 * width]


def test_one_seed_makes_the_largest_difference_the_last():
    (claim,) = [c for c in CLAIMS if c.statement.startswith("the two differ most in the last")]
    _, seeds = claim.evidence()
    ahead = [claim.terms[1].of(runs) - claim.terms[0].of(runs) for runs in seeds]
    learned = [runs["without"].metrics["accuracy_train"] for runs in seeds]
    assert [a > 0 for a in ahead] == [value == min(learned) for value in learned]


def test_the_last_layer_is_the_most_low_rank_in_all_five_networks():
    lines = [c for c in CLAIMS if c.chapter == "layers" and "most low-rank" in c.statement]
    assert [c.verdict() for c in lines] == ["reproduced"] * 5


def test_what_the_page_says_of_greedy_training_at_the_desk_tier():
    greedy, whole = (
        records.load("layerwise", variant, "desk")[0] for variant in ("layerwise", "full")
    )

    def at_C(record, curve):
        return [record.spectra[f"layer{layer}/{curve}"][9] for layer in (1, 2, 3, 4)]

    assert at_C(greedy, "utilization")[2] > 0.7 and at_C(whole, "utilization")[2] < 1 / 3
    for curve in ("quality", "utilization"):
        of_greedy, of_whole = at_C(greedy, curve), at_C(whole, curve)
        assert of_greedy[1] > of_whole[1] and of_greedy[2] > of_whole[2]
    gains = np.diff(at_C(whole, "quality"))
    assert gains.argmax() == 2 and np.diff(at_C(greedy, "quality"))[2] < 0
    assert greedy.metrics["accuracy_test"] > whole.metrics["accuracy_test"]
    worse, better = (
        np.mean([at_C(record, "quality")[3] for record in records.load("layerwise", v, "desk")])
        for v in ("layerwise", "full")
    )
    assert (round(worse, 2), round(better, 2)) == (0.24, 0.30)
    for metric in ("dlr_train", "dlr_test"):
        greedily, at_once = (
            records.summary(records.load("layerwise", v, "desk"), metric)[0]
            for v in ("layerwise", "full")
        )
        assert greedily < at_once


def test_what_the_page_says_of_the_six_layers_of_vgg():
    """Layer 6 is the fully connected end; up to layer 5 the verdict on 3 to 6 would be the same."""
    blocks = [f"block{number}" for number in range(1, 6)]
    runs = [records.load("batch-normalization", v, "desk") for v in ("without", "with")]
    for last in (6, 5):
        apart = []
        for seeds in runs:
            for record in seeds:
                assert [n for n in [*blocks, "features"] if f"{n}/quality" in record.spectra] == [
                    *blocks,
                    "features",
                ]
            names = [*blocks, "features"][2:last]
            apart.append(
                [np.ptp([record.spectra[f"{n}/quality"][9] for n in names]) for record in seeds]
            )
        without, with_norm = apart
        assert np.mean(without) < np.mean(with_norm)  # in the mean over the seeds
        assert any(a > b for a, b in zip(without, with_norm, strict=True))  # and not in each
