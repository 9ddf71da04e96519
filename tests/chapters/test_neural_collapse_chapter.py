"""The numbers that the chapter on neural collapse claims, on small sizes."""

import math

import pytest
import torch
from torch.nn.functional import one_hot

from richlib import (
    Eigenfunctions,
    collapse,
    dlr,
    effective_dimension,
    feature_kernel_operator,
    minimum_projection_features,
    minimum_projection_operator,
)
from richlib.lab import data
from richlib.lab.models import MLP
from richlib.lab.run import activations
from richlib.lab.tasks import Split
from richlib.lab.train import train

CHECKS = (
    collapse.check_lemma_1,
    collapse.check_corollary_1,
    collapse.check_proposition_1,
    collapse.check_proposition_2,
)
C, EACH, p, a1, a2 = 4, 25, 12, 0.7, 2.5
n = C * EACH
LABELS = torch.arange(C).repeat(EACH)
I = torch.eye(C, dtype=torch.float64)
F = I[LABELS]  # (n, C): indicator outputs


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=1):
    return torch.randn(*shape, dtype=torch.float64, generator=generator(seed))


def inner(f, g):
    return f.T @ g / n


def class_means(values, labels=LABELS):
    return torch.stack([values[labels == i].mean(dim=0) for i in range(C)])


def ideal(outputs=F):
    return minimum_projection_features(outputs, p, a1, a2, generator())


def equal(left, right):
    """Up to float64 rounding: the chapter promises 1e-10, and values here are below 100."""
    return float((torch.as_tensor(left) - right).abs().max()) < 1e-10


# The proofs, line by line

Φ = ideal()
μ = class_means(Φ)
M, G = μ - μ.mean(dim=0), C * F - 1  # (C, p), (n, C)
ONE = torch.ones(n, 1, dtype=torch.float64)
T, T_MP = feature_kernel_operator(Φ), minimum_projection_operator(F, a1, a2)
LINES = {
    "31": (μ, C * inner(F, Φ)),
    "32": (μ.mean(dim=0), inner(ONE, Φ)[0]),
    "36, orthogonal": (inner(F, F), I / C),
    "36, sum": (F.sum(dim=1), 1.0),
    "36, share": (inner(ONE, F), 1 / C),
    "37": (inner(ONE, G), 0.0),
    "38": (Φ @ M.T, Φ @ (inner(Φ, C * F) - inner(Φ, ONE))),
    "39": (Φ @ M.T, Φ @ inner(Φ, G)),
    "40": (Φ @ M.T, T(G)),
    "41": (T(G), T_MP(G)),
    "42": (T_MP(G), a2 * G),
    "43": (μ @ M.T, C * inner(F, Φ @ M.T)),
    "44": (μ @ M.T, C * inner(F, a2 * G)),
    "45": (μ @ M.T, a2 * (C * I - 1)),
    "48": ((Φ - μ[LABELS]) @ M.T, a2 * C * (F - I[LABELS])),
    "51": (class_means(F), I),
    "53": (M @ μ.mean(dim=0), inner(ONE, Φ @ M.T)[0]),
    "54": (M @ μ.mean(dim=0), inner(ONE, a2 * G)[0]),
    "55": (M @ μ.mean(dim=0), 0.0),
    "56": (M @ M.T, C * a2 * (I - 1 / C)),
    "squared arms": (M.square().sum(dim=1), a2 * (C - 1)),
    "squared global mean": (μ.mean(dim=0).square().sum(), a1 + a2),
}


@pytest.mark.parametrize("name", LINES)
def test_line_of_the_proofs(name):
    assert equal(*LINES[name])


def test_the_lines_are_not_all_zeros():
    """Features with scatter break what needs T = T_MP (41) and keep what does not (38 to 40)."""
    X = Φ + 0.5 * normal(n, p)
    m = class_means(X) - class_means(X).mean(dim=0)
    T_X = feature_kernel_operator(X)
    assert equal(X @ m.T, X @ inner(X, G)) and equal(X @ m.T, T_X(G))
    assert not equal(T_X(G), T_MP(G)) and not equal(X @ m.T, a2 * G)


def scatter_matrices(X):
    """Σ_b without 1/C as in Proposition 1, Σ_W summed over classes, by class, as loops."""
    m = class_means(X)
    b = sum(torch.outer(v, v) for v in m - m.mean(dim=0))
    W = sum((X[LABELS == i] - m[i]).T @ (X[LABELS == i] - m[i]) / EACH for i in range(C))
    return b, W


def test_proposition_1_reductions_hold_for_any_features():
    X = 2 * normal(C, p)[LABELS] + normal(n, p, seed=2)
    b, W = scatter_matrices(X)
    m = class_means(X)
    squares = ((X - m[LABELS]) @ (m - m.mean(dim=0)).T).square().sum() / EACH
    trace = float((b @ W).trace())
    assert trace > 1 and float(squares) == pytest.approx(trace, rel=1e-12)  # Eqs. 46, 47
    inverse = torch.linalg.pinv(b, rtol=1e-10, hermitian=True)
    assert equal(inverse @ W, inverse @ inverse @ b @ W)
    # Proposition 1's Σ_b is C times Eq. 34's; Papyan et al. average Σ_W over samples, divide by C
    assert collapse.nc1(X, LABELS) == pytest.approx(C * float((inverse @ W).trace()), rel=1e-10)
    papyan = float((C * inverse @ (W / C)).trace()) / C
    assert collapse.nc1(X, LABELS) == pytest.approx(C**2 * papyan, rel=1e-10)


def test_the_prefactor_of_eq_51_is_that_of_eq_50():
    wrong = LABELS.clone()
    wrong[:3] = (LABELS[:3] + 1) % C
    outputs, Δ = I[wrong], I[LABELS]
    eq_49 = a2**2 * C**2 * class_means((outputs - Δ) ** 2).sum()
    expanded = ((1 - 2 * I) * class_means(outputs) + I).sum()
    assert float(eq_49) == pytest.approx(float(a2**2 * C**2 * expanded), rel=1e-12)
    assert float(eq_49) == pytest.approx(C * float(a2**2 * C * expanded), rel=1e-12)
    assert float(eq_49) > 1  # else every prefactor would do


def test_only_the_third_vertex_of_the_example_is_misprinted():
    eye = torch.eye(3, dtype=torch.float64)
    correct = (eye - eye.mean(dim=0)).flip(0)
    printed = torch.tensor([[-1, -1, 2], [-1, 2, -1], [2, -1, -2]]).double() / 3
    assert [equal(*pair) for pair in zip(printed, correct, strict=True)] == [True, True, False]
    assert equal(correct @ correct.T, eye - 1 / 3)


def test_equal_operators_leave_no_scatter_at_all_even_without_balance():
    few = torch.repeat_interleave(torch.arange(C), torch.tensor([40, 30, 20, 10]))
    assert collapse.trace_within(Φ, LABELS) < 1e-20
    assert collapse.trace_within(ideal(I[few]), few) < 1e-20


def test_rare_classes_have_long_arms():
    """Exercise 2: μ_i·μ_j = a1 + a2 (n / n_i) δ_ij."""
    counts = torch.tensor([40, 30, 20, 10])
    few = torch.repeat_interleave(torch.arange(C), counts)
    m = class_means(ideal(I[few]), few)
    assert equal(m @ m.T, a1 + a2 * torch.diag(100 / counts.double()))


# NC3 and NC4


def test_the_readout_along_the_means_is_one_of_many_and_the_smallest():
    W, b = M / (C * a2), torch.full((C,), 1 / C, dtype=torch.float64)
    v = normal(C, 1)
    W2, b2 = W + v * μ.mean(dim=0), b - v[:, 0] * (a1 + a2)
    assert equal(Φ @ W.T + b, F) and equal(Φ @ W2.T + b2, F)
    assert equal(W2.square().sum(), W.square().sum() + (W2 - W).square().sum())
    assert collapse.nc3(Φ, LABELS, W).frobenius < 1e-10
    assert collapse.nc3(Φ, LABELS, W2).frobenius > 0.1
    assert collapse.nc4(Φ, LABELS, W, b) == collapse.nc4(Φ, LABELS, W2, b2) == 0


# One premise at a time


def hidden_scatter():
    hidden = normal(n, 3)
    return 5 * (hidden - F @ class_means(hidden))


SWAPPED = F[[1, 0, *range(2, n)]]
CASES = {
    "nothing": (Φ, F, [], "1111"),
    "perfection": (ideal(SWAPPED), SWAPPED, ["indicator outputs"], "0000"),
    "mixtures": (
        ideal(F @ (I + 0.3 * normal(C, C))),
        F @ (I + 0.3 * normal(C, C)),
        ["indicator outputs"],
        "0111",
    ),
    "scatter": (Φ + 0.5 * normal(n, p), F, ["T is T_MP"], "0000"),
    "strengths": (F * torch.tensor([1.0, 2.0, 3.0, 4.0]), F, ["T is T_MP"], "0010"),
    "shift": (Φ + Φ[0], F, ["T is T_MP"], "0011"),
    "hidden": (torch.cat([Φ, hidden_scatter()], dim=1), F, ["T is T_MP"], "1111"),
    "centered": (Φ - Φ.mean(dim=0), F, ["a1, a2 positive"], "1111"),
}


@pytest.mark.parametrize("name", CASES)
def test_which_equations_a_broken_premise_breaks(name):
    features, outputs, broken, pattern = CASES[name]
    results = [check(features, outputs, LABELS, tolerance=1e-9) for check in CHECKS]
    assert [result.failing for result in results] == [broken] * 4
    assert "".join(str(int(result.holds)) for result in results) == pattern
    for result in results:  # nothing is decided by a hair
        assert result.residual < 1e-10 or result.residual > 1e-2


def test_without_balance_only_the_first_proposition_is_left():
    few = torch.repeat_interleave(torch.arange(C), torch.tensor([40, 30, 20, 10]))
    results = [check(ideal(I[few]), I[few], few, tolerance=1e-9) for check in CHECKS]
    assert [result.holds for result in results] == [False, False, True, False]
    assert results[0].failing == ["balanced classes"]


def test_wrong_labels_do_not_concern_d_lr():
    features, outputs, _, _ = CASES["perfection"]
    assert dlr(features, outputs) < 1e-10
    assert dlr(features, F) > 0.01  # the labels' indicators are not what this network computes


# The converse


def deviation(features):
    etf = collapse.nc2(features, LABELS)
    return max(etf.equinorm, etf.equiangularity, etf.angle)


def test_collapse_with_hidden_scatter_is_nearly_lazy():
    features = CASES["hidden"][0]
    strength = float((hidden_scatter().T @ hidden_scatter() / n).square().sum())
    predicted = 1 - a2 * math.sqrt(C - 1) / math.sqrt(a2**2 * (C - 1) + strength)
    assert collapse.nc1(features, LABELS) < 1e-10 and deviation(features) < 1e-10
    assert dlr(features, F) == pytest.approx(predicted, abs=1e-10) and predicted > 0.8


def test_outputs_that_use_a_part_of_collapsed_features_are_not_rich():
    pair = F[:, :2].sum(dim=1, keepdim=True)
    halves = torch.cat([pair, pair, 1 - pair, 1 - pair], dim=1)
    assert dlr(Φ, halves) == pytest.approx(1 - 1 / math.sqrt(C - 1), abs=1e-10)


def test_points_need_not_form_a_simplex():
    features = CASES["strengths"][0]
    assert collapse.trace_within(features, LABELS) < 1e-20
    assert deviation(features) > 0.1 and dlr(features, F) > 0.1


def test_d_lr_vanishes_exactly_for_points_on_a_simplex():
    """The chapter's equivalence, in both directions, and away from it."""
    shifted = CASES["shift"][0]
    assert dlr(shifted, F) < 1e-10
    centered = shifted - shifted.mean(dim=0)
    assert equal(centered @ class_means(centered).T, a2 * G)  # the centered Lemma 1
    turn, _ = torch.linalg.qr(normal(p, p))
    corners = 3 * (I - 1 / C) @ turn[:C] + normal(1, p)
    assert dlr(corners[LABELS], F) < 1e-10
    assert dlr((corners * torch.linspace(1, 2, C)[:, None])[LABELS], F) > 1e-3
    assert dlr(corners[LABELS] + 0.1 * normal(n, p), F) > 1e-3


def test_small_d_lr_is_a_large_angle():
    """The relative distance of c(T) from a·c(P) is the sine where 1 − D_LR is the cosine."""
    X = Φ + 0.5 * normal(n, p)
    A = feature_kernel_operator(X).centered()
    P = minimum_projection_operator(F, 0.0, 1.0).centered()
    distance = 1 - (A.inner(P) / (A.norm() * P.norm())) ** 2  # squared, after the best a
    assert 1 - (1 - dlr(X, F)) ** 2 == pytest.approx(distance, rel=1e-9)


# The instability of NC1


def test_nc1_diverges_where_two_means_meet_and_d_lr_does_not():
    X = Φ + 0.1 * normal(n, p)
    gap = class_means(X)[0] - class_means(X)[1]
    W = class_means(Φ) - class_means(Φ).mean(dim=0)  # a last layer

    def slide(t):
        moved = X.clone()
        moved[LABELS == 1] += (1 - t) * gap
        return collapse.nc1(moved, LABELS), dlr(moved, moved @ W.T)

    (start, _), (near, rich), (nearer, richer), (at_zero, _) = map(slide, (1, 1e-3, 1e-4, 0))
    assert nearer / near == pytest.approx(100, rel=1e-3)  # 1 / t²
    assert nearer > 1e4 * start and at_zero < start
    assert abs(richer - rich) < 1e-3 and richer < 0.3


def test_a_pseudo_inverse_without_a_fitting_cutoff_inverts_rounding():
    X = (Φ + 0.1 * normal(n, p)).float()
    centre = class_means(X) - class_means(X).mean(dim=0)
    Σ_b, Σ_W = centre.T @ centre / C, scatter_matrices(X)[1]
    value = collapse.nc1(X, LABELS)
    fitting = float((torch.linalg.pinv(Σ_b) @ Σ_W).trace())
    naive = float((torch.linalg.pinv(Σ_b, rtol=1e-15) @ Σ_W).trace())
    assert fitting == pytest.approx(value, rel=1e-3)  # float32
    assert abs(naive) > 100 * value


# Regression


def test_ideal_features_of_a_scalar_have_two_eigenvalues_and_either_may_lead():
    f = normal(n, 1)
    f = f - f.mean()
    for strengths in ((3.0, 1.0), (1.0, 3.0)):
        X = minimum_projection_features(f, 5, *strengths, generator())
        e = Eigenfunctions.fit(X)
        assert equal(e.eigenvalues, torch.tensor([3.0, 1.0]))
        assert dlr(X, f) < 1e-10
        constant = abs(float(e(X)[:, 0].mean()))
        assert constant == pytest.approx(float(strengths[0] > strengths[1]), abs=1e-9)


def test_two_hinges_express_a_scalar_but_not_with_d_lr_zero():
    f = torch.linspace(-1, 1, 101, dtype=torch.float64)[:, None]
    f = f / f.square().mean().sqrt()
    hinges = torch.cat([f.clamp(min=0), (-f).clamp(min=0)], dim=1)
    spread = 1 - float(f.abs().mean()) ** 2
    assert dlr(hinges, f) == pytest.approx(1 - 1 / math.sqrt(1 + spread**2), abs=1e-10)
    assert dlr(hinges, f) > 0.02


def test_every_sample_its_own_class_is_perfect_collapse():
    assert collapse.nc1(normal(n, p), torch.arange(n)) == 0


@pytest.fixture(scope="module")
def trained():
    """A classifier and a regression network on the digits, smaller than the chapter's."""
    digits = data.load("digits")
    pixels = torch.from_numpy(digits.x_train).flatten(1).float() / 255
    labels = torch.from_numpy(digits.y_train)
    rows = torch.cat([(labels == c).nonzero().flatten()[:50] for c in range(10)])
    x, y = (pixels[rows] - pixels.mean()) / pixels.std(), labels[rows]
    number = y[:, None].float()
    targets = [one_hot(y, 10).float(), (number - number.mean()) / number.std()]
    trained = []
    for target in targets:
        split = Split(x, target, y)
        sizes = dict(width=64, hidden_layers=3, initialization="torch-default")
        model = MLP(64, target.shape[1], **sizes, generator=generator())
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1.0, fused=True)
        options = dict(epochs=60, batch_size=50, optimizer=optimizer, seed=0, progress=False)
        before = activations(model, split)[0]
        train(model, split, measure=dict, **options)
        trained.append((before, *activations(model, split), y, model.head))
    return trained


def test_a_digits_network_collapses(trained):
    before, features, outputs, labels, head = trained[0]
    assert bool((outputs.argmax(dim=1) == labels).all())
    assert collapse.nc1(features, labels) < collapse.nc1(before, labels) / 100
    assert collapse.nc2(features, labels).angle < collapse.nc2(before, labels).angle / 2
    assert collapse.nc3(features, labels, head.weight).frobenius < 0.8  # 1.4 if unrelated
    assert collapse.nc4(features, labels, head.weight, head.bias) == 0
    assert dlr(features, outputs) < 0.06


@pytest.mark.parametrize("which, C", [(0, 10), (1, 2)])
def test_the_output_is_made_of_as_many_eigenfunctions_as_it_needs(trained, which, C):
    _, features, outputs, _, _ = trained[which]
    e = Eigenfunctions.fit(features)
    used = e.leading(50).utilization(features, outputs)
    assert used[C - 1] > 0.98 and used[C - 2] < 0.95
    assert e.eigenvalues[C] < 0.1 * e.eigenvalues[C - 1]


def test_regression_is_rich_where_collapse_by_digit_is_not(trained):
    _, features, outputs, labels, _ = trained[1]
    assert dlr(features, outputs) < 0.06
    assert 2 < effective_dimension(Eigenfunctions.fit(features).eigenvalues) < 2.7  # Eq. 9
    assert collapse.nc1(features, labels) > 10 and collapse.nc2(features, labels).angle > 0.3
