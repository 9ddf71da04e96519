"""What the chapter "Grokking, from lazy to rich" derives: what equality of names can teach."""

import dataclasses

import pytest
import torch

from richlib.lab import assemble, records
from richlib.lab.experiments import EXPERIMENTS
from richlib.lab.metrics import features
from richlib.lab.tasks import modular_division

RECIPE = EXPERIMENTS["grokking"].recipe("mse", "pocket")
P, SAMPLES = 23, RECIPE.samples


def agreement(one, other):
    """Whether x and whether y of two splits' pairs agree, (n, m) each."""
    return [one.inputs[:, k][:, None] == other.inputs[:, k] for k in (0, 2)]


def kernel(one, other):
    same_x, same_y = agreement(one, other)
    return same_x.double() + same_y.double() + (same_x & same_y).double()


@pytest.mark.parametrize("p", [5, 7, 23])
def test_sums_of_two_functions_express_one_part_in_p_minus_1_of_division(p):
    whole, _ = modular_division(p, seed=0, alpha=1.0, samples=p * (p - 1))
    one_hot = [torch.eye(p + 2)[whole.inputs[:, k]] for k in (0, 2)]
    A, F = (M.double() - M.double().mean(dim=0) for M in (torch.cat(one_hot, 1), whole.targets))
    additive = A @ torch.linalg.lstsq(A, F, driver="gelsd").solution
    kept, total = additive.square().sum(dim=0), F.square().sum(dim=0)  # by quotient
    assert float(kept.sum() / total.sum()) == pytest.approx(1 / (p - 1), rel=1e-9)
    assert float(kept[0] / total[0]) == pytest.approx(1, rel=1e-9)  # the indicator of z = 0
    n = len(whole)
    assert torch.allclose(kept[1:] / n, torch.full((p - 1,), 1 / (p**2 * (p - 1))).double())
    assert torch.allclose(total[1:] / n, torch.full((p - 1,), (p - 1) / p**2).double())


@pytest.mark.parametrize("seed", range(3))
def test_the_kernel_of_equality_learns_by_heart_and_divides_zero_only(seed):
    seen, unseen = modular_division(P, seed=seed, alpha=RECIPE.alpha, samples=SAMPLES)
    weights = torch.linalg.solve(kernel(seen, seen), seen.targets.double())
    fitted = kernel(seen, seen) @ weights
    assert (fitted.argmax(dim=1) == seen.labels).all()
    right = (kernel(unseen, seen) @ weights).argmax(dim=1) == unseen.labels
    zero = unseen.inputs[:, 0] == 0
    assert zero.any() and right[zero].all()
    assert not right[~zero].any()


def unexplained_by_agreement(width):
    """Share of the variance of an untrained network's kernel within pairs that agree alike."""
    seen, _, _ = assemble.samples(RECIPE, 0)
    network = assemble.network(dataclasses.replace(RECIPE, width=width), seen, 0)
    Φ = features(network, seen).double()
    K = Φ @ Φ.T
    same_x, same_y = agreement(seen, seen)
    rest = K.clone()
    for x in (True, False):
        for y in (True, False):
            alike = (same_x == x) & (same_y == y)
            rest[alike] -= K[alike].mean()
    return float(rest.square().sum() / (K - K.mean()).square().sum())


def test_the_wider_an_untrained_network_the_less_it_sees_but_which_numbers_agree():
    narrow, wide = map(unexplained_by_agreement, (256, 2048))
    # Noise whose variance falls as one over the width, once it is no longer most of the kernel.
    assert wide < 0.35 and narrow / wide > 2


def test_steps_and_epochs_of_the_paper():
    full = EXPERIMENTS["grokking"].recipe("mse", "paper")
    train, _ = modular_division(97, seed=0, alpha=1.0)
    assert (len(train), full.batch_size, full.epochs) == (4_656, 512, 4_000)
    assert -(-len(train) // full.batch_size) == 10


def curve(record, name):
    """What a record holds of a metric, by epoch."""
    return dict(zip(record.curves["epoch"], record.curves[name], strict=True))


def test_what_the_page_says_of_the_recorded_transformers():
    paper = records.load("grokking", "mse", "paper")
    # Of seeds 0 to 2: the highest test accuracy, and the lowest D_LR on each split.
    highest, lowest_train, lowest_test = (
        (0.0229, 0.0281, 0.0269),
        (0.0630, 0.0453, 0.0505),
        (0.3469, 0.2417, 0.2687),
    )
    for plain, tested, on_train, on_test in zip(
        paper, highest, lowest_train, lowest_test, strict=True
    ):
        learned = [a for epoch, a in curve(plain, "accuracy_train").items() if epoch >= 350]
        assert learned[0] > 0.99 and min(learned) > 0.95 and max(learned[-100:]) < 1
        assert max(plain.curves["accuracy_test"]) == pytest.approx(tested, abs=1e-4)
        lowest = min(plain.curves["dlr_train"])
        assert lowest == pytest.approx(on_train, abs=1e-3)
        epoch = plain.curves["epoch"][plain.curves["dlr_train"].index(lowest)]
        assert 600 <= epoch <= 700
        assert min(plain.curves["dlr_test"]) == pytest.approx(on_test, abs=1e-3)
        for estimator in ("", "centered_projection_", "gram_"):
            assert 0.115 < plain.metrics[f"dlr_{estimator}train"] < 0.255
    early, late = (
        [ρ[97] / ρ[96] for ρ in (plain.spectra[f"epoch{n}/eigenvalues"] for plain in paper)]
        for n in (1_000, 3_000)
    )
    assert sum(edge < 0.5 for edge in early) == 2 and min(late) > 0.9
    for squared in records.load("grokking", "mse-decay", "desk"):
        tested = curve(squared, "accuracy_test")
        assert min(a for epoch, a in tested.items() if epoch > 570) > 0.5
        assert max(a for epoch, a in tested.items() if epoch <= 385) < 0.1 < tested[500] < 0.6
        assert squared.metrics["accuracy_test"] == pytest.approx(0.97, abs=0.01)
        assert curve(squared, "accuracy_train")[385] == pytest.approx(2 / 3, abs=0.02)
        assert curve(squared, "dlr_train")[435] == pytest.approx(0.5, abs=0.01)
        assert squared.metrics["dlr_train"] == pytest.approx(1 / 3, abs=0.03)
        ratio = squared.metrics["dlr_train"] / squared.metrics["dlr_gram_train"]
        assert ratio == pytest.approx(4, abs=0.5)
    for entropy in records.load("grokking", "cross-entropy-decay", "desk"):
        assert curve(entropy, "accuracy_train")[65] > 0.99
        assert curve(entropy, "accuracy_test")[65] == pytest.approx(1 / 20, abs=0.005)
        assert curve(entropy, "accuracy_train")[200] > 0.999 < curve(entropy, "accuracy_test")[200]
        assert curve(entropy, "dlr_train")[65] == pytest.approx(0.46, abs=0.01)
        assert entropy.metrics["dlr_train"] == pytest.approx(0.67, abs=0.01)
        assert entropy.metrics["dlr_gram_train"] < 0.02
