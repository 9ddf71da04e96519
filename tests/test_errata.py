"""Every entry of book/errata.md that numbers can decide: the printed form fails, ours holds."""

import ast
import dataclasses
import math
import re
from pathlib import Path

import numpy as np
import pytest
import reference
import torch
from torch.utils.flop_counter import FlopCounterMode

import richlib
from richlib import collapse, spectrum
from richlib.lab import records
from richlib.lab.claims import TABLE_3
from richlib.lab.experiments import EXPERIMENTS
from richlib.lab.models import MLP
from richlib.lab.toys import power_law_features, sine_features

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "book" / "errata.md"


def normal(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def orthonormal(*shape, seed=0):
    """Functions (n, k) with <f_i|f_j> = δ_ij, means over the n samples."""
    return torch.linalg.qr(normal(*shape, seed=seed))[0] * shape[0] ** 0.5


def indicators(C=4, each=5):
    """Balanced one-hot outputs (n, C) and labels (n,)."""
    labels = torch.arange(C).repeat(each)
    return torch.eye(C, dtype=torch.float64)[labels], labels


def inner(f, g):
    """Matrix of inner products <f_i|g_j> of functions (n, r) and (n, s)."""
    return f.T @ g / len(f)


# What we chose


def test_the_three_estimators_differ():
    outputs = orthonormal(200, 5)
    stretched = outputs * torch.tensor([4.0, 2.0, 1.0, 0.5, 0.2])
    features = torch.cat([outputs, 0.5 * normal(200, 25, seed=1)], dim=1)
    project, gram = (
        lambda F, name=name: richlib.dlr(features, F, estimator=name)
        for name in ("projection", "gram")
    )
    assert project(stretched) == pytest.approx(project(outputs), abs=1e-12)  # it is about the span
    assert gram(outputs) == pytest.approx(project(outputs), abs=0.01)  # up to their small means
    assert abs(gram(stretched) - project(outputs)) > 0.05
    # Features that are the projection itself: 0 by Definition 1, not by the Gram operator.
    assert richlib.dlr(outputs, stretched) < 1e-12
    assert richlib.dlr(outputs, stretched, estimator="gram") > 0.2


def test_a_constant_sum_lifts_the_centered_projection():
    C = 10
    outputs, _ = indicators(C, each=30)
    outputs = outputs + 1e-3 * normal(*outputs.shape)  # sums to 1 ± 0.003, as trained networks do
    features = outputs - 0.1
    assert richlib.dlr(features, outputs) < 1e-3
    floor = 1 - math.sqrt((C - 1) / C)
    value = richlib.dlr(features, outputs, estimator="centered-projection")
    assert value == pytest.approx(floor, abs=2e-3)


def test_without_1_over_n_eigenvalues_grow(network):
    features = torch.tensor(network[0])
    n, twice = len(features), torch.cat([features, features])  # the same empirical distribution
    ρ = richlib.Eigenfunctions.fit(features).eigenvalues
    torch.testing.assert_close(richlib.Eigenfunctions.fit(twice).eigenvalues, ρ)
    printed, U = torch.linalg.eigh(features.T @ features)  # Algorithm 1, line 3
    torch.testing.assert_close(printed[-1] / n, ρ[0])
    torch.testing.assert_close(torch.linalg.svdvals(features)[0] ** 2 / n, ρ[0])  # Eq. 60
    e = features @ U[:, -1:] / printed[-1].sqrt()  # line 7
    assert inner(e, e).item() == pytest.approx(1 / n)  # not 1


def test_the_spectrum_is_uncentered(network):
    features = torch.tensor(network[0])
    ρ = richlib.Eigenfunctions.fit(features).eigenvalues
    kernel = np.linalg.eigvalsh(reference.kernel(network[0]))[::-1]
    np.testing.assert_allclose(ρ, kernel[: len(ρ)], rtol=1e-9)
    covariance = torch.linalg.eigvalsh(torch.cov(features.T, correction=0)).flip(0)
    assert ρ[0] > 2 * covariance[0]  # the constant function leads


def test_eigenvalues_are_squared_norms():
    e = richlib.Eigenfunctions.fit(normal(50, 4))
    weighted = e(normal(50, 4)) * e.eigenvalues.sqrt()  # √ρ_k e_k
    torch.testing.assert_close(inner(weighted, weighted).diagonal(), e.eigenvalues)
    assert (inner(weighted, weighted).diagonal().sqrt() - e.eigenvalues).abs().max() > 0.01


def test_the_reproducing_inner_product():
    Φ = normal(60, 4)
    e = richlib.Eigenfunctions.fit(Φ)
    E, ρ = e(Φ), e.eigenvalues
    f = Φ @ normal(4, 1, seed=1)  # a function of the span, (60, 1)
    K = Φ @ Φ.T  # K(x, ·) in column x
    coefficients, of_K = inner(E, f), inner(E, K)  # (4, 1), (4, 60)
    torch.testing.assert_close((of_K / ρ[:, None]).T @ coefficients, f)  # <K(x,·), f>_H = f(x)
    assert (of_K.T @ coefficients - f).abs().max() > 0.1
    torch.testing.assert_close((1 / ρ), inner(E, E).diagonal() / ρ)  # ‖e_k‖²_H = 1/ρ_k


def test_s_init_is_1_where_nothing_moved():
    features = normal(40, 6)
    assert richlib.s_init(features, features) == pytest.approx(1)
    assert richlib.s_init(features, normal(40, 6, seed=1)) < 0.5


def test_eigenvectors_have_no_sign():
    truth = torch.eye(4, dtype=torch.float64)
    for directions in (truth, -truth):  # the same eigenfunctions
        assert spectrum.eigenfunction_error(directions, truth).tolist() == [0, 0, 0, 0]
    assert float(1 - (-truth[:, 0]) @ truth[:, 0]) == 2  # Eq. 68 as printed


def class_clouds():
    labels = torch.arange(4).repeat(25)
    return normal(4, 12, seed=2)[labels] + 0.3 * normal(100, 12, seed=3), labels


def test_nc1_changes_with_the_convention():
    features, labels = class_clouds()
    C, stats = 4, collapse.ClassStatistics.of(features, labels)
    of_proposition_1 = torch.trace(torch.linalg.pinv(C * stats.between, rtol=1e-9) @ stats.within)
    assert collapse.nc1(features, labels) == pytest.approx(C * float(of_proposition_1))
    summed = collapse.trace_within(features, labels)
    assert collapse.trace_within(features, labels, average=True) == pytest.approx(summed / C)


def test_the_ridge_sees_what_nc1_ignores():
    outputs, labels = indicators(4, each=10)
    scatter = normal(40, 3)
    scatter -= torch.stack([scatter[labels == c].mean(0) for c in range(4)])[labels]
    features = torch.cat([outputs, scatter], dim=1)  # scatter in directions without class means
    assert collapse.nc1(features, labels) < 1e-20
    total = collapse.trace_within(features, labels)
    assert richlib.nc1_with_ridge(features, labels) == pytest.approx(1e4 * total, rel=1e-9)


# Misprints


def cumulative(E, B, *, square, index):
    """Eq. 5: E (n, k) eigenfunctions and B (n, r) an orthonormal basis of the space."""
    share = inner(E, B).square().sum(dim=1)  # <e_j|P e_j> = ‖P e_j‖²
    k = torch.arange(1, E.shape[1] + 1)
    terms = share**2 if square else share
    return (k * terms if index == "k" else terms.cumsum(0)) / B.shape[1]


def test_eq_5_as_printed_is_no_share():
    Φ = normal(300, 6)
    e = richlib.Eigenfunctions.fit(Φ)
    targets = Φ @ normal(6, 2, seed=1)  # the features express them in full
    B = torch.linalg.qr(targets)[0] * 300**0.5
    ours = e.quality(Φ, targets)
    torch.testing.assert_close(ours, cumulative(e(Φ), B, square=False, index="j"))
    assert ours[-1] == pytest.approx(1)
    assert cumulative(e(Φ), B, square=True, index="j")[-1] < 0.9  # the square loses
    outputs, _ = indicators(2, each=150)
    rich = richlib.Eigenfunctions.fit(outputs)
    wide = torch.cat([orthonormal(300, 6, seed=2)[:, :5], outputs[:, :1] * 2**0.5], dim=1)
    printed = cumulative(wide, rich(outputs), square=True, index="k")
    assert printed[-1] > 1 and (printed.diff() < 0).any()  # the index k: neither ≤ 1 nor monotone


def test_t_is_a_sum_and_acts_on_each_entry():
    Φ, f = normal(30, 3), normal(30, 3, seed=1)
    T = richlib.feature_kernel_operator(Φ)
    listed = Φ * inner(Φ, f).diagonal()  # B.1: [Φ_1<Φ_1|f_1>, ..., Φ_p<Φ_p|f_p>]
    ours = Φ @ inner(Φ, f)  # Σ_k Φ_k <Φ_k|f_j>, entry by entry
    torch.testing.assert_close(T(f), ours)
    assert (listed - ours).norm() > 0.1 * ours.norm()
    scalar = Φ * inner(Φ, f[:, :1]).squeeze()  # a list of p functions; T is their sum
    torch.testing.assert_close(T(f[:, 0]), scalar.sum(dim=1))


def test_the_sum_runs_n_times_as_fast():
    Φ = normal(20, 3)
    y = Φ @ normal(3, 1, seed=1)
    w = torch.zeros(3, 1, dtype=torch.float64, requires_grad=True)
    residual = Φ @ w - y
    T = richlib.feature_kernel_operator(Φ)
    (of_sum,) = torch.autograd.grad(0.5 * residual.square().sum(), w, retain_graph=True)  # Eq. 11
    (of_mean,) = torch.autograd.grad(0.5 * residual.square().mean(), w)
    expected = -T(residual.detach())  # Eq. 17
    torch.testing.assert_close(-Φ @ of_mean, expected)
    torch.testing.assert_close(-Φ @ of_sum, 20 * expected)


def test_the_sum_of_eqs_19_and_20():
    Φ, g = normal(40, 3), normal(40, 1, seed=1)
    T = richlib.feature_kernel_operator(Φ)
    inside = inner(Φ, g).sum() * Φ  # E[g Σ_k Φ_k] Φ_k(x'), for every k that could be meant
    torch.testing.assert_close((inner(Φ, g).T * Φ).sum(dim=1, keepdim=True), T(g))
    for candidate in (*inside.T, inside.sum(dim=1)):
        assert (candidate - T(g).squeeze()).norm() > 0.1 * T(g).norm()


def test_theta_is_the_transpose_times_w():
    Φ = normal(50, 4) @ normal(4, 4, seed=1)
    e = richlib.Eigenfunctions.fit(Φ)
    E, ρ, w = e(Φ), e.eigenvalues, normal(4, seed=2)
    O = inner(Φ, E) / ρ.sqrt()  # Eq. 13
    torch.testing.assert_close(O.T @ O, torch.eye(4, dtype=torch.float64))
    torch.testing.assert_close((E * ρ.sqrt()) @ (O.T @ w), Φ @ w)  # Eq. 14
    assert ((E * ρ.sqrt()) @ (O @ w) - Φ @ w).norm() > 0.1 * (Φ @ w).norm()


def test_the_third_vertex_of_the_triangle():
    mean = torch.full((3,), 1 / 3)
    vertices = torch.eye(3) - torch.eye(3) @ torch.outer(mean, mean) / mean.dot(mean)
    printed = torch.tensor([2 / 3, -1 / 3, -2 / 3])
    torch.testing.assert_close(vertices[0], torch.tensor([2 / 3, -1 / 3, -1 / 3]))
    assert abs(vertices[0].dot(mean)) < 1e-6 < abs(printed.dot(mean))
    sides = torch.pdist(vertices)
    torch.testing.assert_close(sides, sides[:1].expand(3))
    assert torch.pdist(torch.stack([printed, *vertices[1:]])).std() > 0.05


def test_the_prefactor_of_eq_51():
    """With a classifier that errs Eq. 49 is not zero, and shows which prefactor is right."""
    C, a2 = 3, 2.0
    predicted = torch.tensor([0, 0, 1, 1, 1, 0, 2, 2, 2])  # two of nine samples wrong
    f, labels = torch.eye(C)[predicted], torch.arange(C).repeat_interleave(3)
    m = torch.stack([f[labels == i].mean(dim=0) for i in range(C)])  # E_{x∈A_i} f_j
    δ = torch.eye(C)
    eq_49 = a2**2 * C**2 * sum(((f[labels == i] - δ[i]) ** 2).mean(0).sum() for i in range(C))
    terms = ((1 - 2 * δ) * m + δ).sum()  # Eq. 50
    torch.testing.assert_close(a2**2 * C**2 * terms, eq_49)
    assert a2**2 * C * terms < 0.5 * eq_49
    assert ((1 - 2 * δ) * δ + δ).abs().max() == 0  # without errors: 0, whatever the prefactor


def test_the_inner_product_of_eq_72():
    Φ = power_law_features(4000, 5, 1.0, torch.Generator().manual_seed(0))
    ρ = torch.arange(1, 6, dtype=torch.float64) ** -1.0
    e = richlib.Eigenfunctions.fit(Φ)
    U, s = e.directions, e.eigenvalues.sqrt()
    exact = (U / s).T @ (ρ[:, None] * torch.eye(5, dtype=torch.float64)) / ρ.sqrt()  # Eq. 71
    ours = (ρ.sqrt() / s) * U.diagonal()
    torch.testing.assert_close(exact.diagonal(), ours)
    printed = U.diagonal() / (s * ρ.sqrt())
    torch.testing.assert_close(printed, ours / ρ)
    assert printed.abs().max() > 4  # an inner product of two unit functions cannot be


def test_eq_74_compares_directions():
    p, n = 100, 1000
    Φ = power_law_features(n, p, 1.0, torch.Generator().manual_seed(0))
    ρ = torch.arange(1, p + 1, dtype=torch.float64) ** -1.0
    U, I = richlib.Eigenfunctions.fit(Φ).directions, torch.eye(p, dtype=torch.float64)
    of_directions = spectrum.function_space_error(U, I)
    # Φᵀu_j = Σ_i √ρ_i u_ij e_i: its coordinates in the true eigenfunctions.
    Q, _ = torch.linalg.qr(ρ.sqrt()[:, None] * U)
    of_functions = spectrum.function_space_error(Q, I)
    assert (of_functions[:-1] < of_directions[:-1]).all()
    assert of_functions[9] < 0.7 * of_directions[9]


def test_the_normalization_of_eq_76():
    n, C = 200, 4
    E, F = orthonormal(n, 6), orthonormal(n, 6)[:, :C]
    Ê, F̂ = (A.T / A.T.norm(dim=1, keepdim=True) for A in (E, F))  # rows of unit length
    trace = torch.trace(Ê @ F̂.T @ F̂ @ Ê.T)
    assert trace == pytest.approx(C)  # not at most 1; Eq. 5 divides by dim H
    without_root = F.T / F.T.square().sum(dim=1, keepdim=True)
    assert without_root.norm(dim=1).max() < 0.1
    alike = F[:, :1] + 0.1 * F  # unit rows that are nearly parallel
    Â = alike.T / alike.T.norm(dim=1, keepdim=True)
    first = Ê[:1]  # one function, in the span of F
    assert torch.trace(first @ Â.T @ Â @ first.T) / C > 0.9
    B = torch.linalg.qr(alike)[0].T  # an orthonormal basis of the same space
    assert torch.trace(first @ B.T @ B @ first.T) / C == pytest.approx(1 / C)


# What needs a condition


def test_dlr_does_not_see_a_shift_and_t_does():
    outputs, labels = indicators()
    features = richlib.minimum_projection_features(
        outputs, p=6, generator=torch.Generator().manual_seed(0)
    )
    shifted = features + torch.arange(6.0)
    assert richlib.dlr(shifted, outputs) < 1e-9
    assert collapse.check_lemma_1(features, outputs, labels).holds
    moved = collapse.check_corollary_1(shifted, outputs, labels)
    assert moved.failing == ["T is T_MP"] and not moved.holds
    assert not collapse.check_lemma_1(shifted, outputs, labels).holds
    for proposition in (collapse.check_proposition_1, collapse.check_proposition_2):
        assert proposition(shifted, outputs, labels).holds


@pytest.mark.parametrize("a1, a2", [(0.1, 1.0), (7.0, 0.3)])
def test_a1_and_a2_always_drop_out(a1, a2):
    features, outputs = normal(50, 8).numpy(), normal(50, 3, seed=1).numpy() + 0.3
    P = reference.projection(outputs)
    assert 0.3 < np.linalg.norm(P @ np.ones(50)) / 50**0.5 < 0.9  # the constant: partly in the span
    value = reference.dlr(features, outputs, a1=a1, a2=a2)
    assert value == pytest.approx(reference.dlr(features, outputs), abs=1e-12)
    c = reference.centre(a1 * np.ones((50, 50)) / 50 + a2 * P)
    A = c / a2
    np.testing.assert_allclose(A, reference.centre(P), atol=1e-12)
    assert np.abs(A @ A - A).max() > 1e-3  # no projection: the constant is not in the span


def test_a_projection_up_to_a_factor():
    outputs, _ = indicators(4)
    c = reference.centre(reference.projection(outputs.numpy()))
    unit = c / np.linalg.norm(c)
    assert np.abs(unit @ unit - unit).max() > 0.01
    np.testing.assert_allclose(unit * math.sqrt(3), c, atol=1e-12)
    np.testing.assert_allclose(c @ c, c, atol=1e-12)


def test_the_constant_need_not_lead():
    outputs = orthonormal(60, 3)
    outputs = torch.linalg.qr(outputs - outputs.mean(0))[0]  # orthogonal to the constant

    def leader(outputs, a1):
        operator = richlib.minimum_projection_operator(outputs, a1=a1, a2=1.0)
        return abs(float(operator.diagonalize()[1][:, 0].mean()))  # |<1|e_1>|

    assert leader(outputs, a1=0.1) < 1e-6  # it is the last of the four
    assert leader(outputs, a1=2.0) == pytest.approx(1)
    assert leader(indicators(3)[0], a1=0.1) == pytest.approx(1)  # the span holds the constant


def test_an_mp_operator_has_no_scatter():
    outputs, labels = indicators()
    features = richlib.minimum_projection_features(
        outputs, p=6, generator=torch.Generator().manual_seed(0)
    )
    assert collapse.trace_within(features, labels) < 1e-20  # more than Σ_b⁺Σ_W = 0
    hidden = torch.cat([features, torch.zeros(len(features), 1)], dim=1)
    hidden[:, -1] = torch.tensor([1.0, -1.0]).repeat_interleave(4).repeat(3)[: len(features)]
    hidden[:, -1] -= (outputs @ (outputs.T @ hidden[:, -1:]) / 5).squeeze()
    assert collapse.nc1(hidden, labels) < 1e-20  # NC1 holds, and the features are not collapsed
    assert collapse.trace_within(hidden, labels) > 1


def test_learnability_sums_to_n_up_to_the_rank():
    ρ = [2.0, 1.0, 0.5, 0.0]
    for n in (1, 2, 3):
        assert richlib.learnability(ρ, n).sum() == pytest.approx(n)
    assert richlib.learnability(ρ, 4).sum() == 3 and richlib.kappa(ρ, 4) == 0
    κ = np.array([0.0, 1e-9, 1e-3, 1.0, 1e3])[:, None]
    with np.errstate(invalid="ignore"):
        sums = np.nansum(ρ / (ρ + κ), axis=1)
    assert (sums < 4).all()  # no κ ≥ 0 solves Eq. 15 for n = 4


def test_learnability_is_an_estimate():
    """One sample of three Gaussian modes: E[L_k] = E[ρ_k x_k² / Σ_j ρ_j x_j²], exactly."""
    ρ = torch.tensor([1.0, 0.1, 0.1], dtype=torch.float64)
    x = normal(200_000, 3)
    share = ρ * x**2 / (ρ * x**2).sum(dim=1, keepdim=True)
    exact, error = share.mean(dim=0), share.std(dim=0) / 200_000**0.5
    estimate = richlib.learnability(ρ, 1)
    assert exact.sum() == pytest.approx(1) and estimate.sum() == pytest.approx(1)
    assert (exact - estimate).abs()[0] > 10 * error[0]  # another number
    torch.testing.assert_close(estimate, exact, rtol=0.1, atol=0)  # but a near one


def test_the_norm_costs_n_p_squared():
    n, p, C = 300, 64, 4
    T, B = richlib.Operator(normal(n, p)), richlib.Operator(normal(n, C))

    def multiplications(call):
        with FlopCounterMode(display=False) as counter:
            call()
        return counter.get_total_flops() / 2

    assert multiplications(lambda: T.inner(B)) == n * p * C
    assert multiplications(T.norm) == n * p * p


@pytest.mark.parametrize("ratio", [1, 2, 5, 50])
def test_n_of_order_p_is_not_always_enough(ratio):
    """Isotropic features, of which C are the output: CKA is √(1 + p/n) times its limit √(C/p)."""
    p, C = 200, 10
    features = normal(ratio * p, p)
    cka = 1 - richlib.dlr(features, features[:, :C])
    limit = math.sqrt(C / p)
    assert cka == pytest.approx(limit * math.sqrt(1 + 1 / ratio), rel=0.03)
    assert (cka > 1.05 * limit) == (ratio < 10)


def shrunken(initialization):
    """S_init and D_LR before and after all parameters of a network shrink to a tenth."""
    generator = torch.Generator().manual_seed(0)
    options = {"width": 50, "hidden_layers": 3, "generator": generator}
    model, x = MLP(20, 3, initialization=initialization, **options).double(), normal(200, 20)
    before = model.body(x), model(x)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 0.1
    after = model.body(x), model(x)
    return richlib.s_init(before[0], after[0]), richlib.dlr(*before), richlib.dlr(*after)


def test_weight_decay_without_biases():
    s_init, before, after = shrunken("he-normal")  # its biases are zero
    assert s_init == pytest.approx(1) and after == pytest.approx(before)
    s_init, before, after = shrunken("torch-default")
    assert s_init < 0.9 and abs(after - before) > 1e-4


@pytest.mark.parametrize("exponent, below", [(0.25, False), (0.4, False), (0.5, True), (1.0, True)])
def test_the_bound_of_figure_23c(exponent, below):
    p = 200  # a fifth of the paper's n and p: the error depends on their ratio
    Φ = power_law_features(10 * p, p, exponent, torch.Generator().manual_seed(0))
    U = richlib.Eigenfunctions.fit(Φ).directions
    error = spectrum.function_space_error(U, torch.eye(p, dtype=torch.float64))
    assert (error.max() < 0.25) == below


def test_the_eigenvalues_of_figure_7():
    x = torch.arange(1000) / 1000
    Φ = sine_features(x, exponent=-1.0, p=4)
    ρ = richlib.Eigenfunctions.fit(Φ).eigenvalues
    torch.testing.assert_close(ρ, torch.arange(1, 5, dtype=torch.float64) ** -2)


# Tables

STEPS = 200 * math.ceil(60_000 / 128)


@pytest.mark.parametrize("decay, agrees", [(1e-6 * 1e-3, False), (1e-3, False), (1e-4, True)])
def test_the_decay_of_table_1(decay, agrees):
    """‖θ‖² from 3.1e3 to 2.2e-5 by shrinking alone, θ ← (1 − decay) θ a step."""
    assert STEPS == 93_800
    assert ((3.1e3 * (1 - decay) ** (2 * STEPS)) == pytest.approx(2.2e-5, rel=0.03)) == agrees


def test_the_spread_of_the_norm_in_table_6():
    assert 2.5e-9 / 2.2e-5 == pytest.approx(3.5e-1 / 3.1e3, rel=0.02)  # decay keeps the ratio
    assert 3.5e2 / 3.1e3 > 900 * 2.5e-9 / 2.2e-5
    for initialization, width in (("lecun-normal", 1024), ("he-normal", 512)):
        gain = {"lecun-normal": 1, "he-normal": 2}[initialization]
        fan = [(784, width), (width, width), (width, width), (width, 10)]
        mean = sum(gain * b for _, b in fan)
        spread = math.sqrt(sum(2 * gain**2 * b / a for a, b in fan))  # of Gaussian weights
        assert mean == pytest.approx(3.1e3, rel=0.01)
        # Uniform weights have √(2/5) of it: 0.05 to 0.11%, several times the 0.011% of either cell.
        assert 5e-4 < 0.4**0.5 * spread / mean and spread / mean < 1.5e-3


TABLES_6_AND_7 = [  # NC1, Tr Σ_W
    (1.2e5, 15.6),
    (7.5e-14, 7.1e-18),
    (2.3e4, 2.0),
    (3.2e3, 3.1e-1),
    (8.1e2, 1.2e-1),
]


def test_three_values_exceed_the_bound():
    features, labels = class_clouds()
    assert richlib.nc1_with_ridge(features, labels) <= 1e4 * collapse.trace_within(features, labels)
    excess = [nc1 / (1e4 * trace) - 1 for nc1, trace in TABLES_6_AND_7]
    assert [round(x, 2) for x in excess if x > 0] == [0.06, 0.15, 0.03]


def test_grokking_in_steps_and_epochs():
    pairs = 97 * 96  # a / b modulo 97, b not 0
    assert pairs // 2 == 4656
    per_epoch = math.ceil(4656 / 512)
    assert per_epoch == 10 and 4000 * per_epoch == 40_000


def test_decay_makes_the_paper_transformer_generalize():
    for plain in records.load("grokking", "mse", "paper"):
        assert max(plain.curves["accuracy_test"]) < 0.05
    for decayed in records.load("grokking", "mse-decay", "desk"):
        assert decayed.metrics["accuracy_test"] > 0.9


def test_weight_decay_in_units_of_the_rate():
    decay = EXPERIMENTS["weight-decay"]
    net = EXPERIMENTS["architecture"].recipe("resnet18", "paper")
    printed = {v: decay.recipe(v, "paper").weight_decay for v in ("none", "weak", "strong")}
    assert printed == {"none": 0, "weak": 1e-4, "strong": 1e-3}  # the reading that we take
    row = {
        (c.experiment, c.variant, c.metric): c
        for c in TABLE_3
        if c.experiment in ("weight-decay", "architecture")
    }
    of_net = row["architecture", "resnet18", "dlr_train"]
    dlr = {printed[v]: row["weight-decay", v, "dlr_train"] for v in printed}
    # Plain decays: D_LR falls with them, the architecture row included.
    by_decay = {d: claim.value for d, claim in (dlr | {net.weight_decay: of_net}).items()}
    ordered = [by_decay[d] for d in sorted(by_decay)]
    assert len(ordered) == 4 and ordered == sorted(ordered, reverse=True)
    # Ratios: the strongest is the recipe of that row, and its D_LR is not.
    ratio = dataclasses.replace(
        decay.recipe("strong", "paper"), weight_decay=printed["strong"] * net.learning_rate
    )
    assert ratio.weight_decay == pytest.approx(net.weight_decay, rel=1e-12)
    assert dataclasses.replace(ratio, weight_decay=net.weight_decay) == net
    strong = dlr[printed["strong"]]
    assert of_net.value - strong.value > 5 * math.hypot(of_net.std, strong.std)
    # Against it: the accuracy of that row is that of the strongest decay.
    accuracy = {v: row["weight-decay", v, "accuracy_test"].value for v in printed}
    assert accuracy["none"] < accuracy["weak"] < accuracy["strong"]
    assert row["architecture", "resnet18", "accuracy_test"].value == accuracy["strong"]


def test_training_and_test_samples_differ():
    for variant, factor in (("full", 2), ("last-layer", 1.05)):
        for record in records.load("encoded-labels", variant, "paper"):
            assert record.metrics["dlr_test"] > factor * record.metrics["dlr_train"]


def test_figures_of_our_records():
    """What entries 1, 3, 6, 42 and 45 quote of records is what the records say."""
    page = PAGE.read_text("utf-8")
    three = records.load("target-downscaling", "alpha-0.2", "paper")
    first = records.load("untrained-networks", "1024-lecun-normal", "paper")
    second = records.load("untrained-networks", "512-he-normal", "paper")
    for metric in ("dlr_train", "dlr_test", "trace_within_train", "nc1_ridge_train"):
        assert records.plus_minus(*records.summary(three, metric)) in page
    for alpha in ("0.2", "2", "20"):
        found = records.load("target-downscaling", f"alpha-{alpha}", "paper")
        for metric in ("s_init_train", "s_init_neurons_train"):
            assert records.plus_minus(*records.summary(found, metric)) in page
    # The scoreboard: on training samples about half of the paper's 0.049.
    assert records.summary(three, "dlr_train")[0] / 0.049 == pytest.approx(0.5, abs=0.04)
    assert first[0].metrics["trace_within_train"] == pytest.approx(3.67, abs=0.005)
    before = records.load("weight-decay-alone", "decay", "paper")
    for metric in ("trace_within_train", "nc1_ridge_train", "dlr_train"):
        assert records.plus_minus(*records.summary(before, f"{metric}_at_init")) in page
    whole = records.load("encoded-labels", "full", "paper")
    values = [record.curves["dlr_train"][0] for record in whole]
    assert records.plus_minus(np.mean(values), np.std(values, ddof=1)) in page
    readings = (
        ("dlr_train", 0.61),
        ("dlr_centered_projection_train", 0.55),
        ("dlr_gram_train", 0.47),
    )
    for metric, value in readings:
        assert second[0].metrics[metric] == pytest.approx(value, abs=0.005) and str(value) in page
    for n, share in ((10_000, 69), (50_000, 81)):
        run = records.load("samples", f"n-{n}", "desk")[0]
        assert 100 * run.metrics["accuracy_test"] == pytest.approx(share, abs=0.5)


# The page

ENTRY = re.compile(r"^\((errata-[\w-]+)\)=\n+### (\d+)\. (.+)$", re.M)
NAMED = re.compile(r"`(?:tests/)?((?:\w+/)*test_\w+\.py)::(test_\w+)`")
KINDS = ("convention", "misprint", "inconsistency", "condition", "unstated", "wording")


def entries(text):
    """[(anchor, number, title, body)] of the page."""
    found = list(ENTRY.finditer(text))
    ends = [m.start() for m in found[1:]] + [len(text)] * bool(found)
    return [(*m.groups(), text[m.end() : end]) for m, end in zip(found, ends, strict=True)]


def missing_tests(text, folder=ROOT / "tests"):
    """Tests that the text names and that do not exist."""
    missing = []
    for file, name in NAMED.findall(text):
        tree = ast.parse((folder / file).read_text("utf-8")) if (folder / file).exists() else None
        defined = {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)} if tree else ()
        if name not in defined:
            missing.append(f"{file}::{name}")
    return missing


def complaints(text):
    """One sentence for everything that is wrong with the form of the page."""
    found = entries(text)
    headings = re.findall(r"^### .*$", text, re.M)
    if len(headings) != len(found):
        yield f"{len(headings)} entries, of which {len(found)} have an anchor and a number"
    if [int(number) for _, number, _, _ in found] != list(range(1, len(found) + 1)):
        yield "the entries are not numbered from 1 without gaps"
    if len({anchor for anchor, *_ in found}) != len(found):
        yield "two entries have one anchor"
    for _, number, title, body in found:
        kind = re.search(r"\*([a-z]+)\*", body)
        if not kind or kind[1] not in KINDS:
            yield f"entry {number} does not say what kind it is"
        if "$" in title:
            yield f"entry {number} has TeX in its heading"
        if not re.search(r"^Check: ", body, re.M):
            yield f"entry {number} has no check"


def test_the_page_has_its_form():
    text = PAGE.read_text("utf-8")
    assert len(entries(text)) > 30
    assert list(complaints(text)) == []


def test_every_test_that_the_page_names_exists():
    text = PAGE.read_text("utf-8")
    assert len(NAMED.findall(text)) > 30
    assert missing_tests(text) == []


def test_every_test_of_an_entry_is_named_on_the_page():
    page = PAGE.read_text("utf-8")
    source = Path(__file__).read_text("utf-8").split("# The page\n")[0]
    own = re.findall(r"^def (test_\w+)", source, re.M)
    assert [name for name in own if f"test_errata.py::{name}`" not in page] == []


GOOD = "(errata-a)=\n\n### 1. A title\n\n*misprint* · Eq. 1. Text.\n\nCheck: by hand.\n"


@pytest.mark.parametrize(
    "text",
    [
        GOOD.replace("(errata-a)=\n", ""),
        GOOD.replace("1.", "2.", 1),
        GOOD + GOOD.replace("1.", "2.", 1),
        GOOD.replace("*misprint*", "*mistake*"),
        GOOD.replace("A title", "A $T$"),
        GOOD.replace("Check:", "Look:"),
    ],
)
def test_what_the_form_does_not_allow(text):
    assert list(complaints(GOOD)) == []
    assert list(complaints(text))


def test_a_test_that_does_not_exist_is_noticed():
    name = "`test_errata.py::" + "test_of_nothing`"
    assert missing_tests(name) == ["test_errata.py::test_of_nothing"]
    assert missing_tests("`test_nowhere.py::" + "test_a`") == ["test_nowhere.py::test_a"]
