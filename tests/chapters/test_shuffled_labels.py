"""What the chapter on shuffled labels derives."""

import itertools

import pytest
import torch

import richlib
from richlib.collapse import trace_within
from richlib.lab import data, records, tasks
from richlib.lab.experiments import EXPERIMENTS


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def centered_basis(n, r):
    """Orthonormal columns (n, r), all orthogonal to the constant."""
    X = torch.randn(n, r, generator=generator(), dtype=torch.float64)
    return torch.linalg.qr(X - X.mean(0))[0]


def test_fixed_features_express_one_part_per_dimension_of_shuffled_labels():
    """r / (n - 1), exactly, as the mean over all permutations."""
    n, r = 6, 2
    Q = centered_basis(n, r)
    y = torch.tensor([0.0, 0.0, 1.0, 1.0, 1.0, 5.0], dtype=torch.float64)
    y -= y.mean()
    orders = torch.tensor(list(itertools.permutations(range(n))))
    shares = (y[orders] @ Q).square().sum(1) / y.square().sum()
    assert shares.mean() == pytest.approx(r / (n - 1), abs=1e-12)
    assert shares.std() > 0.1  # of one labeling, it is another matter


def test_the_floor_of_quality_is_its_mean_over_all_assignments_of_labels():
    n, C = 6, 3
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    Φ = torch.randn(n, 3, generator=generator(1), dtype=torch.float64) + torch.tensor([1.0, 0, 0])
    e = richlib.Eigenfunctions.fit(Φ)
    Q, _ = torch.linalg.qr(e(Φ))
    c = Q.sum(0).square().cumsum(0) / n
    k = torch.arange(1, 4)
    floor = (c + (C - 1) / (n - 1) * (k - c)) / C
    targets = torch.nn.functional.one_hot(labels).double()
    orders = [list(order) for order in itertools.permutations(range(n))]
    qualities = torch.stack([e.quality(Φ, targets[order]) for order in orders])
    torch.testing.assert_close(qualities.mean(0), floor, rtol=0, atol=1e-12)
    assert 0.05 < c[0] < 0.95  # neither all nor nothing of the constant comes first


@pytest.mark.parametrize("fraction", [0.0, 0.1, 1.0])
def test_free_features_of_any_labels_are_a_projection(fraction):
    """The minimum of the unconstrained features model: T = T_MP, collapsed on its own labels."""
    true, _ = tasks.classification(data.load("digits"), alpha=1 / 3)
    true = tasks.subset(true, 250, seed=0)
    shuffled = tasks.shuffle_labels(true, fraction, seed=0)
    U, σ, Vh = torch.linalg.svd(shuffled.targets.double(), full_matrices=False)
    λ = 1.0
    Φ, W = U * (σ - λ).sqrt(), (σ - λ).sqrt()[:, None] * Vh
    residual = Φ @ W - shuffled.targets.double()
    assert (residual @ W.T + λ * Φ).abs().max() < 1e-9
    assert (Φ.T @ residual + λ * W).abs().max() < 1e-9
    assert richlib.dlr(Φ, Φ @ W) < 1e-9
    assert trace_within(Φ, shuffled.labels) < 1e-9
    assert (trace_within(Φ, true.labels) > 1e-2) == (fraction > 0)


def test_a_common_permutation_changes_nothing():
    Φ = torch.randn(50, 8, generator=generator(2))
    F = torch.randn(50, 3, generator=generator(3))
    order = torch.randperm(50, generator=generator(4))
    assert richlib.dlr(Φ[order], F[order]) == pytest.approx(richlib.dlr(Φ, F), abs=1e-12)
    assert abs(richlib.dlr(Φ[order], F) - richlib.dlr(Φ, F)) > 1e-3  # of the features alone, does


def test_the_plateau_is_the_loss_of_the_best_constant():
    recipe = EXPERIMENTS["shuffled-labels"].recipe("shuffled-1", "pocket")
    split, _ = tasks.classification(data.load("digits"), alpha=recipe.alpha)
    split = tasks.subset(split, 250, seed=0)
    loss = torch.nn.functional.mse_loss(split.targets.mean(0).expand(250, -1), split.targets)
    assert float(loss) == pytest.approx((1 - 1 / 10) / 10 / recipe.alpha**2, rel=1e-5)


def test_copied_labels_are_right_as_often_as_the_rule_says():
    """a(f) = (1 - f) a(0) + f / C for a rule that copies the label of one training sample."""
    n, C, a, f = 200_000, 10, 0.8, 0.3
    g = generator(5)
    labels = torch.randint(C, (n,), generator=g)  # of test samples
    wrong = (labels + torch.randint(1, C, (n,), generator=g)) % C
    copied = torch.where(torch.rand(n, generator=g) < a, labels, wrong)
    chosen = torch.rand(n, generator=g) < f
    copied = torch.where(chosen, copied[torch.randperm(n, generator=g)], copied)
    accuracy = float((copied == labels).double().mean())
    assert accuracy == pytest.approx((1 - f) * a + f / C, abs=5e-3)  # 4 standard errors
    assert abs(accuracy - a) > 0.1


def test_with_true_labels_the_photographs_end_where_they_are_fitted():
    for record in records.load("shuffled-labels", "shuffled-0", "desk"):
        curve = zip(record.curves["accuracy_train"], record.curves["dlr_train"], strict=True)
        fitted = next(dlr for accuracy, dlr in curve if accuracy > 0.99)
        assert record.metrics["dlr_train"] > 0.9 * fitted
