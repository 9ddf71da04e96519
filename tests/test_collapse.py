"""Neural collapse against its definitions written out class by class, and the paper's theory."""

import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestCentroid

from richlib import DegenerateWarning, dlr, minimum_projection_features
from richlib.collapse import (
    ClassStatistics,
    check_corollary_1,
    check_lemma_1,
    check_proposition_1,
    check_proposition_2,
    nc1,
    nc2,
    nc3,
    nc4,
    trace_within,
)

CHECKS = (check_lemma_1, check_corollary_1, check_proposition_1, check_proposition_2)

# The definitions, as loops


def class_means(features, labels):
    members = [[] for _ in range(max(labels) + 1)]
    for x, c in zip(features, labels, strict=True):
        members[c].append(x)
    return np.array([sum(xs) / len(xs) for xs in members])


def sigma_within(features, labels):
    p, μ = features.shape[1], class_means(features, labels)
    total = np.zeros((p, p))
    for k in range(len(μ)):
        members = [x for x, c in zip(features, labels, strict=True) if c == k]
        total += sum(np.outer(x - μ[k], x - μ[k]) for x in members) / len(members)
    return total


def sigma_between(features, labels):
    μ = class_means(features, labels)
    return sum(np.outer(m - μ.mean(0), m - μ.mean(0)) for m in μ) / len(μ)


def reference_nc1(features, labels, ridge=0.0):
    Σ_b, Σ_W = sigma_between(features, labels), sigma_within(features, labels)
    if ridge:
        return np.trace(np.linalg.inv(Σ_b + ridge * np.eye(len(Σ_b))) @ Σ_W)
    return np.trace(np.linalg.pinv(Σ_b, rcond=1e-10, hermitian=True) @ Σ_W)


def reference_nc2(features, labels):
    μ = class_means(features, labels)
    M = [m - μ.mean(0) for m in μ]
    norms = [math.sqrt(m @ m) for m in M]
    K = len(M)
    cosines = [M[i] @ M[j] / norms[i] / norms[j] for i in range(K) for j in range(K) if i != j]
    angle = np.mean([abs(c + 1 / (K - 1)) for c in cosines])
    return np.std(norms) / np.mean(norms), np.std(cosines), angle


def draw(K, p, seed, largest=6):
    """Features, labels and a generator: K classes of 2 to `largest` samples, in random order."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(K), rng.integers(2, largest + 1, K)))
    features = 2 * rng.normal(size=(K, p))[labels] + rng.normal(size=(len(labels), p))
    return features, labels, rng


sizes = dict(K=st.integers(2, 6), p=st.integers(2, 9), seed=st.integers(0, 10**6))


# The measures


@settings(max_examples=40, deadline=None)
@given(**sizes)
def test_statistics_and_measures_equal_the_definitions(K, p, seed):
    features, labels, _ = draw(K, p, seed)
    stats = ClassStatistics.of(features, labels)
    Σ_b, Σ_W = sigma_between(features, labels), sigma_within(features, labels)
    np.testing.assert_array_equal(stats.counts, np.bincount(labels))
    np.testing.assert_allclose(stats.means, class_means(features, labels), atol=1e-12)
    np.testing.assert_allclose(stats.within, Σ_W, atol=1e-12)
    np.testing.assert_allclose(stats.between, Σ_b, atol=1e-12)
    for ridge in (1e-4, 1.0):
        expected = reference_nc1(features, labels, ridge)
        assert nc1(features, labels, ridge=ridge) == pytest.approx(expected, rel=1e-6)
    if np.linalg.cond(class_means(features, labels)) < 1e3:
        assert nc1(features, labels) == pytest.approx(reference_nc1(features, labels), rel=1e-6)
    etf = nc2(features, labels)
    expected = reference_nc2(features, labels)
    assert (etf.equinorm, etf.equiangularity, etf.angle) == pytest.approx(expected, abs=1e-9)
    assert trace_within(features, labels) == pytest.approx(np.trace(Σ_W), rel=1e-12)
    averaged = trace_within(features, labels, average=True)
    assert averaged == pytest.approx(np.trace(Σ_W) / K, rel=1e-12)


def test_the_global_mean_does_not_weigh_classes_by_their_samples():
    stats = ClassStatistics.of([[0.0], [0.0], [0.0], [4.0]], [0, 0, 0, 1])
    assert stats.centered_means.tolist() == [[-2.0], [2.0]]
    assert stats.between.tolist() == [[4.0]]


def test_how_papyans_convention_relates(rng):
    """Papyan et al. average Σ_W over the samples and plot Tr(Σ_W Σ_b⁺)/K."""
    K, labels = 5, np.repeat(np.arange(5), 7)
    features = rng.normal(size=(5, 8))[labels] + rng.normal(size=(35, 8))
    residuals = features - class_means(features, labels)[labels]
    averaged = np.mean([np.outer(r, r) for r in residuals], axis=0)
    pinv = np.linalg.pinv(sigma_between(features, labels), rcond=1e-10, hermitian=True)
    value = nc1(features, labels)
    assert value == pytest.approx(K * np.trace(averaged @ pinv), rel=1e-9)
    assert value == pytest.approx(K**2 * (np.trace(averaged @ pinv) / K), rel=1e-9)


@settings(max_examples=40, deadline=None)
@given(**sizes)
def test_invariances(K, p, seed):
    features, labels, rng = draw(K, p, seed)
    rotation, _ = np.linalg.qr(rng.normal(size=(p, p)))
    order, names = rng.permutation(len(labels)), rng.permutation(K)
    weights = rng.normal(size=(K, p))

    def all_measures(Φ, y, W):
        etf, duality = nc2(Φ, y), nc3(Φ, y, W)
        means = [etf.equinorm, etf.equiangularity, etf.angle, duality.frobenius]
        spread = [nc1(Φ, y, ridge=0.1), trace_within(Φ, y), nc4(Φ, y, W)]
        return means + spread + sorted(duality.by_class.tolist())

    expected = pytest.approx(all_measures(features, labels, weights), rel=1e-7, abs=1e-9)
    assert all_measures(features @ rotation, labels, weights @ rotation) == expected
    assert all_measures(features[order], labels[order], weights) == expected
    assert all_measures(features, names[labels], weights[np.argsort(names)])[:6] == (
        pytest.approx(all_measures(features, labels, weights)[:6], rel=1e-7, abs=1e-9)
    )
    shift = rng.normal(size=p)
    bias = -weights @ shift
    shifted = features + shift
    assert nc1(shifted, labels) == pytest.approx(nc1(features, labels), rel=1e-5)
    assert nc2(shifted, labels).angle == pytest.approx(nc2(features, labels).angle, abs=1e-7)
    assert nc4(shifted, labels, weights, bias) == nc4(features, labels, weights)


@settings(max_examples=30, deadline=None)
@given(**sizes, scale=st.floats(1e-6, 1e6))
def test_scale(K, p, seed, scale):
    features, labels, rng = draw(K, p, seed)
    weights = rng.normal(size=(K, p))
    assert nc1(scale * features, labels) == pytest.approx(nc1(features, labels), rel=1e-6)
    assert nc2(scale * features, labels).angle == pytest.approx(nc2(features, labels).angle)
    assert nc4(scale * features, labels, weights) == nc4(features, labels, weights)
    expected = scale**2 * trace_within(features, labels)
    assert trace_within(scale * features, labels) == pytest.approx(expected)
    duality = nc3(scale * features, labels, 7 * weights).frobenius
    assert duality == pytest.approx(nc3(features, labels, weights).frobenius)


def test_with_a_ridge_shrinking_the_features_passes_for_collapse():
    """The paper's complaint (Table 1): weight decay alone takes NC1 to zero."""
    features, labels, _ = draw(4, 6, seed=3)
    values = [nc1(scale * features, labels, ridge=1e-4) for scale in (1, 1e-2, 1e-4, 1e-8)]
    assert values[0] > 1 and values[-1] < 1e-10
    assert nc1(1e-8 * features, labels) == pytest.approx(nc1(features, labels), rel=1e-9)
    for scale in (1, 1e-2, 1e-8):
        bound = trace_within(scale * features, labels) / 1e-4
        assert nc1(scale * features, labels, ridge=1e-4) <= bound * (1 + 1e-12)


@pytest.mark.parametrize("p, K", [(2, 6), (3, 3), (40, 4)])
def test_fewer_features_than_classes_and_than_samples(p, K):
    features, labels, _ = draw(K, p, seed=1)
    assert nc1(features, labels) == pytest.approx(reference_nc1(features, labels), rel=1e-8)


def test_nc3_equals_the_definitions(rng):
    features, labels, _ = draw(4, 6, seed=5)
    W, μ = rng.normal(size=(4, 6)), class_means(features, labels)
    M = μ - μ.mean(0)
    duality = nc3(features, labels, W)
    frobenius = np.linalg.norm(W.T / np.linalg.norm(W) - M.T / np.linalg.norm(M))
    assert duality.frobenius == pytest.approx(frobenius, rel=1e-12)
    for i in range(4):
        difference = W[i] / np.linalg.norm(W[i]) - M[i] / np.linalg.norm(M[i])
        assert float(duality.by_class[i]) == pytest.approx(np.linalg.norm(difference), rel=1e-12)


def test_nc3_by_class_ignores_lengths_and_frobenius_does_not():
    features, labels, _ = draw(3, 5, seed=2)
    M = ClassStatistics.of(features, labels).centered_means
    aligned = nc3(features, labels, 3 * M)
    assert aligned.frobenius == pytest.approx(0, abs=1e-12)
    assert aligned.by_class.max() == pytest.approx(0, abs=1e-12)
    lengths = torch.tensor([[1.0], [5.0], [0.2]])
    uneven = nc3(features, labels, lengths * M)
    assert uneven.frobenius > 0.1 and uneven.by_class.max() < 1e-12
    assert nc3(features, labels, -M).frobenius == pytest.approx(2)


@pytest.mark.parametrize("seed", range(5))
def test_nc4_agrees_with_scikit_learn(seed):
    features, labels, rng = draw(4, 5, seed, largest=30)
    W, b = rng.normal(size=(4, 5)), rng.normal(size=4)
    nearest = NearestCentroid().fit(features, labels).predict(features)
    expected = np.mean((features @ W.T + b).argmax(1) != nearest)
    assert nc4(features, labels, W, b) == pytest.approx(expected, abs=1e-15)
    without = np.mean((features @ W.T).argmax(1) != nearest)
    assert nc4(features, labels, W) == pytest.approx(without, abs=1e-15)
    μ = class_means(features, labels)
    assert nc4(features, labels, μ, -0.5 * (μ**2).sum(1)) == 0  # the nearest centre, as a head


# Perfect collapse, and the theory


def balanced(K=4, each=5):
    labels = torch.arange(K).repeat(each)
    return torch.eye(K, dtype=torch.float64)[labels], labels


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=seeded(seed))


def mp_features(outputs, p=9):
    return minimum_projection_features(outputs, p, a1=0.7, a2=2.5, generator=seeded(7))


@settings(max_examples=30, deadline=None)
@given(
    K=st.integers(2, 6),
    each=st.integers(1, 5),
    extra=st.integers(0, 4),
    a1=st.floats(0, 10),
    a2=st.floats(0.1, 10),
    seed=st.integers(0, 10**6),
)
def test_minimum_projection_features_are_collapsed(K, each, extra, a1, a2, seed):
    outputs, labels = balanced(K, each)
    features = minimum_projection_features(outputs, K + extra, a1, a2, seeded(seed))
    etf = nc2(features, labels)
    assert nc1(features, labels) == pytest.approx(0, abs=1e-20)
    assert trace_within(features, labels) == pytest.approx(0, abs=1e-20)
    assert max(etf.equinorm, etf.equiangularity, etf.angle) < 1e-7
    for check in CHECKS:
        result = check(features, outputs, labels, tolerance=1e-9)
        assert result.holds and result.failing == [], result
        assert (result.a1, result.a2) == pytest.approx((a1, a2), abs=1e-9)


def test_both_sides_are_those_of_the_equations():
    outputs, labels = balanced()
    features = mp_features(outputs) + 0.1 * normal(20, 9, seed=1)
    Φ, y = features.numpy(), labels.tolist()
    μ = class_means(Φ, y)
    M, a2 = μ - μ.mean(0), check_lemma_1(features, outputs, labels).a2
    Σ_b, Σ_W = sigma_between(Φ, y), sigma_within(Φ, y)
    expected = [
        (Φ @ M.T, a2 * (4 * outputs.numpy() - 1)),
        (μ @ M.T, a2 * (4 * np.eye(4) - 1)),
        (np.linalg.pinv(Σ_b, rcond=1e-10) @ Σ_W, np.zeros((9, 9))),
        (M @ M.T, 4 * a2 * (np.eye(4) - 0.25)),
    ]
    for check, (left, right) in zip(CHECKS, expected, strict=True):
        result = check(features, outputs, labels)
        np.testing.assert_allclose(result.left, left, atol=1e-10)
        np.testing.assert_allclose(result.right, right, atol=1e-10)
        scale = max(np.linalg.norm(left), np.linalg.norm(right))
        if check is check_proposition_1:
            scale = np.linalg.norm(np.linalg.pinv(Σ_b, rcond=1e-10) @ Σ_b)
        assert result.residual == pytest.approx(np.linalg.norm(left - right) / scale, rel=1e-9)
        assert not result.holds


def test_the_nearest_minimum_projection_is_a_least_squares_fit():
    """a1, a2 and the distance, from n × n operators."""
    outputs, labels = balanced()
    outputs = outputs + 0.3 * normal(20, 4, seed=2)  # the constant is not in their span
    features = normal(20, 9, seed=3)
    n, basis = 20, np.linalg.qr(outputs.numpy())[0]
    T, J, P = features.numpy() @ features.numpy().T / n, np.ones((n, n)) / n, basis @ basis.T
    A = np.stack([J.ravel(), P.ravel()], axis=1)
    (a1, a2), *_ = np.linalg.lstsq(A, T.ravel(), rcond=None)
    result = check_lemma_1(features, outputs, labels)
    assert (result.a1, result.a2) == pytest.approx((a1, a2), rel=1e-9)
    distance = np.linalg.norm(T - a1 * J - a2 * P) / np.linalg.norm(T)
    assert result.premises["T is T_MP"] == pytest.approx(distance, rel=1e-9)


# One premise broken at a time


def unbalanced():
    labels = torch.tensor([0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 3])
    outputs = torch.eye(4, dtype=torch.float64)[labels]
    return mp_features(outputs), outputs, labels


def other_functions_of_the_classes():
    indicators, labels = balanced()
    outputs = indicators @ (torch.eye(4) + 0.3 * normal(4, 4))  # the same span, the same T_MP
    return mp_features(outputs), outputs, labels


def noisy_outputs():
    indicators, labels = balanced()
    outputs = indicators + 0.2 * normal(20, 4)
    return mp_features(outputs), outputs, labels


def shifted_features():
    outputs, labels = balanced()
    features = mp_features(outputs)
    return features + features[0], outputs, labels


def centered_features():
    outputs, labels = balanced()
    features = mp_features(outputs)
    return features - features.mean(dim=0), outputs, labels


def uneven_means():
    outputs, labels = balanced()
    return outputs * torch.tensor([1.0, 2.0, 3.0, 4.0]), outputs, labels


def isotropic_scatter():
    outputs, labels = balanced()
    return mp_features(outputs) + 0.5 * normal(20, 9), outputs, labels


def hidden_scatter():
    """Three further features that average to zero over every class, however strong they are."""
    outputs, labels = balanced()
    scatter = 5 * normal(20, 3)
    scatter = scatter - outputs @ (outputs.T @ scatter) / 5  # minus the class means
    return torch.cat([mp_features(outputs), scatter], dim=1), outputs, labels


@pytest.mark.parametrize(
    "case, failing, lemma_1, corollary_1, proposition_1, proposition_2",
    [
        (unbalanced, "balanced classes", False, False, True, False),
        (other_functions_of_the_classes, "indicator outputs", False, True, True, True),
        (noisy_outputs, "indicator outputs", False, False, False, False),
        (isotropic_scatter, "T is T_MP", False, False, False, False),
        (uneven_means, "T is T_MP", False, False, True, False),
        (shifted_features, "T is T_MP", False, False, True, True),
        (hidden_scatter, "T is T_MP", True, True, True, True),
        (centered_features, "a1, a2 positive", True, True, True, True),
    ],
)
def test_a_broken_premise_is_named_and_its_equations_fail(
    case, failing, lemma_1, corollary_1, proposition_1, proposition_2
):
    results = [check(*case()) for check in CHECKS]
    assert [result.failing for result in results] == [[failing]] * 4
    holds = [result.holds for result in results]
    assert holds == [lemma_1, corollary_1, proposition_1, proposition_2]
    for result in results:  # nothing is decided by a hair
        assert result.residual < 1e-9 or result.residual > 1e-2
        assert result.premises[failing] > 1e-2


def test_premises_are_measured():
    gaps = check_lemma_1(*unbalanced()).premises
    assert gaps["balanced classes"] == pytest.approx(4 * 5 / 11 - 1)
    small = torch.arange(16) % 4 * (torch.arange(16) < 15)  # 5, 4, 4, 3 samples of 4 classes
    indicators = torch.eye(4, dtype=torch.float64)
    for labels, gap in [(small, 0.25), (torch.tensor([0] * 5 + [1] * 5 + [2] * 5 + [3]), 0.75)]:
        check = check_lemma_1(mp_features(indicators[labels]), indicators[labels], labels)
        assert check.premises["balanced classes"] == gap
    features, outputs, labels = noisy_outputs()
    gap = check_lemma_1(features, outputs, labels).premises["indicator outputs"]
    assert gap == pytest.approx(float((outputs - torch.eye(4)[labels]).abs().max()))
    centered = check_lemma_1(*centered_features())
    assert (centered.a1, centered.a2) == pytest.approx((-2.5, 2.5))
    assert centered.premises["a1, a2 positive"] == pytest.approx(1)


def test_the_lemma_needs_the_operator_itself_where_d_lr_needs_it_up_to_the_constant():
    """D_LR = 0 gives NC1 and NC2 but neither Lemma 1 nor Corollary 1: it does not see a shift."""
    features, outputs, labels = shifted_features()
    assert dlr(features, outputs) == pytest.approx(0, abs=1e-12)
    assert not check_lemma_1(features, outputs, labels).holds
    assert check_proposition_2(features, outputs, labels).holds


# The converse is false: collapse does not make T an MP-operator


def assert_collapsed(features, labels):
    etf = nc2(features, labels)
    assert nc1(features, labels) == pytest.approx(0, abs=1e-20)
    assert max(etf.equinorm, etf.equiangularity, etf.angle) < 1e-12


def test_collapse_with_unused_features_is_not_rich():
    """Balanced classes, perfect indicator outputs, NC1 = 0 and NC2 exact; yet nearly lazy.

    Σ_b⁺Σ_W does not see scatter in directions that separate no class; T does.
    """
    features, outputs, labels = hidden_scatter()
    assert_collapsed(features, labels)
    assert all(check(features, outputs, labels).holds for check in CHECKS)
    T_S = features[:, 9:].T @ features[:, 9:] / 20  # of the scatter alone; a2 = 2.5, C = 4
    expected = 1 - 2.5 * 3**0.5 / math.sqrt(2.5**2 * 3 + float(T_S.square().sum()))
    assert dlr(features, outputs) == pytest.approx(expected, abs=1e-9) and expected > 0.85
    assert trace_within(features, labels) > 100  # Tr Σ_W → 0 would have seen it


def test_collapse_with_outputs_that_use_part_of_it_is_not_rich():
    """Features without any scatter whose learned functions tell two classes from the rest."""
    indicators, labels = balanced(K=6)
    features = mp_features(indicators)
    assert_collapsed(features, labels)
    assert trace_within(features, labels) < 1e-20
    # c(T) projects onto 5 directions; the outputs span one, the indicator of classes 0 and 1.
    outputs = indicators[:, :2].sum(dim=1, keepdim=True)
    assert dlr(features, outputs) == pytest.approx(1 - 1 / math.sqrt(5), abs=1e-9)
    assert dlr(features, indicators) == pytest.approx(0, abs=1e-9)


def test_collapse_with_outputs_that_vary_within_classes_is_not_rich():
    features, labels = balanced()
    outputs = features + normal(20, 4)
    assert_collapsed(features, labels)
    assert dlr(features, outputs) > 0.3


# Degenerate input


def warned(caught):
    """The warning points at the caller's line."""
    assert len(caught) == 1 and caught[0].filename == __file__
    return True


def test_coinciding_class_means_are_not_collapse():
    """Σ_b⁺ = 0 would read as NC1 = 0."""
    features, labels = [[1.0, 0.1], [-1.0, -0.1], [2.0, 3.0], [-2.0, -3.0]], [0, 0, 1, 1]
    with pytest.warns(DegenerateWarning, match="class means coincide") as caught:
        assert math.isnan(nc1(features, labels))
    assert warned(caught)
    with pytest.warns(DegenerateWarning, match=r"class \[0, 1\]") as caught:
        etf = nc2(features, labels)
    assert warned(caught)
    assert math.isnan(etf.equinorm) and math.isnan(etf.angle)
    expected = trace_within(features, labels) / 1e-4
    assert nc1(features, labels, ridge=1e-4) == pytest.approx(expected)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e8])
def test_constant_features(value):
    features, labels = np.full((60, 4), value), np.repeat([0, 1, 2], [10, 20, 30])
    with pytest.warns(DegenerateWarning):
        assert math.isnan(nc1(features, labels))
    with pytest.warns(DegenerateWarning):
        assert math.isnan(nc3(features, labels, np.eye(3, 4)).frobenius)
    for check in CHECKS:
        with pytest.warns(DegenerateWarning, match="class means coincide") as caught:
            result = check(features, np.eye(3)[labels], labels)
        assert warned(caught)
        assert math.isnan(result.residual) and not result.holds


def test_a_class_at_the_global_mean_has_no_angle():
    features, labels = [[-1.0], [-1.0], [0.0], [0.0], [1.0], [1.0]], [0, 0, 1, 1, 2, 2]
    with pytest.warns(DegenerateWarning, match=r"class \[1\]"):
        etf = nc2(features, labels)
    assert math.isnan(etf.angle) and etf.equinorm == pytest.approx(np.std([1, 0, 1]) / (2 / 3))
    with pytest.warns(DegenerateWarning, match=r"class \[1\]"):
        duality = nc3(features, labels, [[-2.0], [1.0], [2.0]])
    assert duality.by_class.isnan().tolist() == [False, True, False]


def test_zero_weights_have_no_direction():
    features, labels = balanced(3)
    with pytest.warns(DegenerateWarning, match="weights of a class are all zero"):
        duality = nc3(features, labels, torch.diag(torch.tensor([1.0, 1.0, 0.0])))
    assert duality.by_class.isnan().tolist() == [False, False, True]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert nc4(features, labels, torch.zeros(3, 3)) == pytest.approx(2 / 3)  # a decision


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_constant_outputs_leave_a2_open(value):
    indicators, labels = balanced()
    with pytest.warns(DegenerateWarning, match="outputs are constant"):
        result = check_lemma_1(mp_features(indicators), torch.full((20, 4), value), labels)
    assert not result.holds
    assert result.failing == ["indicator outputs", "T is T_MP", "a1, a2 positive"]


def test_small_features_are_not_taken_for_constant():
    features, labels, _ = draw(4, 6, seed=3)
    assert nc1(1e-12 * features, labels) == pytest.approx(nc1(features, labels), rel=1e-9)
    assert nc1(features + 1e4, labels) == pytest.approx(nc1(features, labels), rel=1e-6)
    assert nc2(1e-9 * features + 1, labels).angle == pytest.approx(nc2(features, labels).angle)


# What comes in


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_every_floating_dtype_gives_the_float64_answer(dtype):
    features, labels, rng = draw(3, 5, seed=4)
    Φ, W = (torch.as_tensor(x).to(dtype) for x in (features, rng.normal(size=(3, 5))))
    assert nc1(Φ, labels) == nc1(Φ.double(), labels)
    assert nc2(Φ, labels) == nc2(Φ.double(), labels)
    assert nc3(Φ, labels, W).frobenius == nc3(Φ.double(), labels, W.double()).frobenius
    assert nc4(Φ, labels, W, W[:, 0]) == nc4(Φ.double(), labels, W.double(), W[:, 0].double())
    assert ClassStatistics.of(Φ, labels).within.dtype == torch.float64
    outputs = torch.eye(3, dtype=dtype)[torch.as_tensor(labels)]
    result = check_lemma_1(Φ, outputs, labels)
    assert result.residual == check_lemma_1(Φ.double(), outputs.double(), labels).residual


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.int64])
def test_labels_of_every_integer_dtype_in_torch_and_numpy(dtype):
    features, labels, _ = draw(3, 5, seed=4)
    expected = nc1(features, labels)
    assert nc1(features, labels.astype(dtype)) == expected
    assert nc1(torch.as_tensor(features), torch.as_tensor(labels.astype(dtype))) == expected
    assert nc1(features, labels.tolist()) == expected


def test_gradients_are_not_tracked():
    features, labels = balanced(3)
    weights = torch.nn.Parameter(torch.eye(3))
    tracked = features.requires_grad_()
    assert nc4(tracked, labels, weights, torch.nn.Parameter(torch.zeros(3))) == 0
    assert not nc3(tracked, labels, weights).by_class.requires_grad
    assert not check_lemma_1(tracked, weights[labels], labels).left.requires_grad


Φ, y = torch.arange(12.0).reshape(6, 2) ** 2, torch.tensor([0, 0, 1, 1, 2, 2])


@pytest.mark.parametrize(
    "features, labels, message",
    [
        (Φ, y[:5], r"same samples.*features: 6, labels: 5"),
        (Φ, y.double(), r"integers 0\.\.K-1.*float64.*\.long\(\)"),
        (Φ, y > 1, r"integers 0\.\.K-1.*bool"),
        (Φ, torch.eye(3)[y], r"shape \(n,\).*\(6, 3\).*argmax"),
        (Φ, [0, 0, -1, 1, 2, 2], "sample 2 has -1; leave"),
        (Φ, [0, 0, 0, 2, 2, 4], r"0\.\.4 these have none: \[1, 3\]; number the classes"),
        (Φ, [0] * 6, "at least 2 classes, but every label is 0"),
        (Φ, [1] * 6, r"these have none: \[0\]"),
        (Φ[:, 0], y, r"features must be a matrix .* shape \(6,\)"),
        (Φ * math.nan, y, "features must be finite.*12 of 12"),
        (Φ.fill_diagonal_(1) * 1j, y, "features must be real"),
        (Φ[:1], y[:1], "features needs at least 2 sample"),
    ],
)
@pytest.mark.parametrize("measure", [nc1, nc2, trace_within, ClassStatistics.of])
def test_bad_input_is_explained(measure, features, labels, message):
    with pytest.raises(ValueError, match=message):
        measure(features, labels)


def test_the_number_of_classes_can_be_demanded():
    assert len(ClassStatistics.of(Φ, y, num_classes=3).counts) == 3
    with pytest.raises(ValueError, match=r"0\.\.3 these have none: \[3\]"):
        ClassStatistics.of(Φ, y, num_classes=4)
    with pytest.raises(ValueError, match=r"labels must lie in 0\.\.1, but 2 came"):
        ClassStatistics.of(Φ, y, num_classes=2)


@pytest.mark.parametrize("measure", [nc3, nc4])
@pytest.mark.parametrize(
    "weights, message",
    [
        (
            torch.eye(2, 3),
            r"weights must have shape .* = \(3, 2\).*came with \(2, 3\).*head\.weight",
        ),
        (torch.ones(3), r"weights must be a matrix"),
        (torch.full((3, 2), math.inf), "weights must be finite"),
    ],
)
def test_bad_weights_are_explained(measure, weights, message):
    with pytest.raises(ValueError, match=message):
        measure(Φ, y, weights)


@pytest.mark.parametrize("bias", [torch.ones(2), torch.ones(3, 1), [0.0, math.nan, 1.0], 1.0])
def test_bad_biases_are_explained(bias):
    with pytest.raises(ValueError, match="bias must be 3 finite numbers.*head.bias"):
        nc4(Φ, y, torch.eye(3, 2), bias)


@pytest.mark.parametrize("ridge", [-1e-4, math.nan])
def test_bad_ridges_are_explained(ridge):
    with pytest.raises(ValueError, match="ridge must not be negative"):
        nc1(Φ, y, ridge=ridge)


@pytest.mark.parametrize("check", CHECKS)
def test_bad_input_to_checks_is_explained(check):
    outputs = torch.eye(3)[y]
    with pytest.raises(ValueError, match="one column for each of 3 classes, but have 2"):
        check(Φ, outputs[:, :2], y)
    with pytest.raises(ValueError, match="features: 6, outputs: 5"):
        check(Φ, outputs[:5], y)
    with pytest.raises(ValueError, match="features: 6, labels: 5"):
        check(Φ, outputs, y[:5])
    with pytest.raises(ValueError, match="outputs must be finite"):
        check(Φ, outputs * math.nan, y)
