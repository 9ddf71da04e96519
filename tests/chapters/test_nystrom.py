"""What the chapter "Seeing eigenfunctions from samples" claims, at sizes that take seconds.

The references are theory that the library does not use: first-order perturbation of Gaussian
samples (Lawley 1956, Anderson 1963), the edges of Marchenko and Pastur (1967), Wishart moments.
"""

import math

import pytest
import torch

from richlib import Eigenfunctions, FiniteSizeWarning, dlr
from richlib.lab.toys import power_law_features
from richlib.spectrum import (
    eigenfunction_error,
    eigenvalue_error,
    function_space_error,
    per_feature,
)


def sample(n, p, exponent, seed):
    return power_law_features(n, p, exponent, torch.Generator().manual_seed(seed))


def power_law(p, exponent):
    return torch.arange(1, p + 1, dtype=torch.float64) ** -exponent


def first_order(truth, n):
    """Eqs. 67 and 68 to first order in 1/n, each (p,)."""
    gap = (truth[:, None] - truth).fill_diagonal_(math.inf)
    bias = (truth / gap).sum(dim=1) / n
    leak = (truth[:, None] * truth / gap.square()).sum(dim=1) / n
    return 2 / n + bias.square(), leak / 2


def errors(n, p, exponent, draws):
    """Eqs. 67, 68 and 74, mean over draws: (3, p)."""
    truth, axes = power_law(p, exponent), torch.eye(p, dtype=torch.float64)
    total = torch.zeros(3, p, dtype=torch.float64)
    for seed in range(draws):
        e = Eigenfunctions.fit(sample(n, p, exponent, 1000 + seed))
        total[0] += eigenvalue_error(e.eigenvalues, truth)
        total[1] += eigenfunction_error(e.directions, axes)
        total[2] += function_space_error(e.directions, axes)
    return total / draws


# Algorithm 1


def test_fit_is_algorithm_1_with_one_over_n():
    Φ = sample(500, 6, 1.0, seed=0)
    ρ, U = torch.linalg.eigh(Φ.T @ Φ / 500)
    e = Eigenfunctions.fit(Φ)
    torch.testing.assert_close(e.eigenvalues, ρ.flip(0))
    torch.testing.assert_close(e(Φ[:9]).abs(), (Φ[:9] @ U / ρ.sqrt()).flip(1).abs())
    # without the 1/n they would grow with n
    twice = Eigenfunctions.fit(torch.cat([Φ, Φ]))
    torch.testing.assert_close(twice.eigenvalues, e.eigenvalues)


def test_the_dual_gives_the_same_eigenfunctions():
    wide = sample(40, 300, 1.0, seed=1)
    ρ, U = torch.linalg.eigh(wide.T @ wide / 40)  # the large matrix, which fit avoids
    e = Eigenfunctions.fit(wide)
    torch.testing.assert_close(e.eigenvalues, ρ.flip(0)[:40])
    aligned = (e.directions * U.flip(1)[:, :40]).sum(dim=0).abs()
    torch.testing.assert_close(aligned, torch.ones(40, dtype=torch.float64))


# Figure 23


def test_leading_errors_follow_first_order_theory():
    """300 draws: the mean of a squared normal is known to √(2/300) = 8% for each k, 4% over five.
    Second-order terms at k <= 5 are a few per cent."""
    n, p, exponent = 1_000, 40, 2.0
    measured = errors(n, p, exponent, draws=300)
    values, functions = first_order(power_law(p, exponent), n)
    assert (measured[0, :5] / values[:5]).mean() == pytest.approx(1, abs=0.12)
    assert (measured[1, :5] / functions[:5]).mean() == pytest.approx(1, abs=0.12)


def test_the_tail_of_the_eigenvalues_is_biased_down():
    """Statement (a): accurate but for k near p, where sample eigenvalues come out too small."""
    n, p, truth = 2_000, 200, power_law(200, 1.0)  # p/n = 0.1 as in the paper
    ratios = [Eigenfunctions.fit(sample(n, p, 1.0, s)).eigenvalues / truth for s in range(3)]
    mean = torch.stack(ratios).mean(dim=0)
    assert (mean[:140] - 1).abs().max() < 0.1
    assert mean[-10:].max() < 0.8


def test_function_space_error_is_below_a_quarter_for_the_exponents_shown_but_not_by_law():
    """Statement (c), at p/n = 0.1 as in the paper; a slow spectrum breaks it."""
    for exponent in (0.5, 1.0, 2.0):
        assert errors(2_000, 200, exponent, draws=3)[2].max() < 0.25
    assert errors(2_000, 200, 0.25, draws=3)[2].max() > 0.3


def test_equal_eigenvalues_leave_the_space_of_the_first_k_random():
    """u is then a uniformly random frame: the expected error is 1 − k/p."""
    p = 100
    e = Eigenfunctions.fit(sample(1_000, p, 0.0, seed=3))
    space = function_space_error(e.directions, torch.eye(p, dtype=torch.float64))
    expected = 1 - torch.arange(1, p + 1, dtype=torch.float64) / p
    torch.testing.assert_close(space, expected, atol=0.04, rtol=0)


def test_gaps_and_not_the_median_decide_which_eigenfunctions_are_known():
    """α√(3n)/π of them, at any width: statement (b) names the median, which moves fourfold here."""

    def known(n, p):
        return int((errors(n, p, 1.0, draws=4)[1] < 0.5).sum())

    narrow, wide, fewer = known(4_000, 100), known(4_000, 400), known(1_000, 100)
    assert narrow == pytest.approx(math.sqrt(3 * 4_000) / math.pi, rel=0.25)
    assert wide == pytest.approx(narrow, rel=0.25)
    assert fewer == pytest.approx(narrow / 2, rel=0.3)


def test_the_last_known_eigenvalue_over_the_median_is_no_constant():
    """The fourth column of the chapter's table, at its size and with its three draws."""
    n, p = 10_000, 1_000
    whites = [(white.T @ white) / n for white in (sample(n, p, 0.0, seed) for seed in range(3))]
    for exponent, ratio in ((0.5, 4), (1.0, 9), (2.0, 19)):
        total, scale = torch.zeros(p, dtype=torch.float64), power_law(p, exponent).sqrt()
        for white in whites:
            U = torch.linalg.eigh(scale[:, None] * white * scale)[1].flip(1)
            total += eigenfunction_error(U, torch.eye(p, dtype=torch.float64))
        known = int((total / 3 < 0.5).sum())
        assert (known / (p / 2)) ** -exponent == pytest.approx(ratio, rel=0.05)


def test_the_sign_of_an_eigenvector_is_no_error():
    axes = torch.eye(4)
    assert eigenfunction_error(-axes, axes).max() == 0
    as_printed = 1 - (-axes * axes).sum(dim=0)  # Eq. 68 without the absolute value
    assert as_printed.min() == 2


def test_the_inner_product_of_eq_72_has_a_factor_ρ_k():
    """On 200,000 samples a mean has a standard error of 0.0025 or so."""
    truth = power_law(10, 1.0)
    fitted = Eigenfunctions.fit(sample(500, 10, 1.0, seed=1))
    fresh = sample(200_000, 10, 1.0, seed=2)
    measured = (fitted(fresh) * fresh / truth.sqrt()).mean(dim=0)
    expected = (truth / fitted.eigenvalues).sqrt() * fitted.directions.diagonal()
    torch.testing.assert_close(measured, expected, atol=0.015, rtol=0)


# Figure 24


def test_the_third_of_three_directions_pays_for_the_other_two():
    tilted = torch.eye(3, dtype=torch.float64)
    tilted[2, :2] = 0.4
    u, _ = torch.linalg.qr(tilted)
    one, two, three = eigenfunction_error(u, torch.eye(3)).tolist()
    assert three > max(one, two)
    lean = u[2, :2].square().sum()  # (u_1·o_3)² + (u_2·o_3)²
    assert 1 - (1 - three) ** 2 == pytest.approx(float(lean), abs=1e-12)
    assert function_space_error(u, torch.eye(3))[2] == pytest.approx(0, abs=1e-12)


# Fresh samples


def test_equal_eigenvalues_spread_to_the_edges_of_marchenko_and_pastur():
    """The extremes lie within n^(−2/3) or so of the edges."""
    n, p = 1_000, 300
    found = Eigenfunctions.fit(sample(n, p, 0.0, seed=0)).eigenvalues
    assert found[0] == pytest.approx((1 + math.sqrt(p / n)) ** 2, abs=0.1)
    assert found[-1] == pytest.approx((1 - math.sqrt(p / n)) ** 2, abs=0.03)


def test_fresh_samples_see_an_eigenfunction_as_large_as_its_eigenvalue_was_small():
    """For equal eigenvalues E_fresh[ê_k²] = 1/ρ̂_k; on 20,000 samples known to √(2/20,000) = 1%."""
    train = sample(1_000, 300, 0.0, seed=0)
    ρ = torch.linalg.eigvalsh(train.T @ train / 1_000).flip(0)
    fitted = Eigenfunctions.fit(train)
    size = fitted(sample(20_000, 300, 0.0, seed=1)).square().mean(dim=0)
    torch.testing.assert_close(size * ρ, torch.ones_like(ρ), rtol=0, atol=0.05)
    assert size[0] < 0.5 and size[-1] > 4
    on_own = fitted(train).square().mean(dim=0)
    torch.testing.assert_close(on_own, torch.ones_like(ρ))


def test_a_power_law_makes_the_tail_on_fresh_samples_larger_still():
    """α = 1: about 4 times too large, where the last eigenvalue is too small by a factor of 3."""
    truth = power_law(300, 1.0)
    fitted = Eigenfunctions.fit(sample(1_000, 300, 1.0, seed=0))
    size = (truth[:, None] * fitted.directions.square()).sum(dim=0) / fitted.eigenvalues
    assert float(size[-1]) == pytest.approx(4, abs=0.5)
    assert float(truth[-1] / fitted.eigenvalues[-1]) == pytest.approx(3, abs=0.3)


def without_qr(e, Φ, functions):
    E = e(Φ)
    E = E / E.norm(dim=0)
    B, _ = torch.linalg.qr(functions)
    return (B.T @ E).square().sum(dim=0).cumsum(0) / B.shape[1]


def test_without_qr_the_curve_goes_on_at_the_predicted_slope_and_with_qr_it_stays_below_one():
    """Each weak eigenfunction adds 1/n_fit (a leak of every strong one) + 1/n_test (chance).

    Mean of ten target dimensions and 300 steps: 3,000 squares, known to about 3%.
    """
    n_fit, n_test, p = 1_500, 800, 400
    train, test = sample(n_fit, p, 1.5, seed=0), sample(n_test, p, 1.5, seed=1)
    e, target = Eigenfunctions.fit(train), test[:, :10]
    loose, proper = without_qr(e, test, target), e.quality(test, target)
    slope = (loose[-1] - loose[99]) / (p - 100)
    assert float(slope) == pytest.approx(1 / n_fit + 1 / n_test, rel=0.15)
    assert loose[-1] > 1.5 and proper.max() <= 1
    # strong eigenfunctions do not need it
    torch.testing.assert_close(loose[:5], proper[:5], atol=0.02, rtol=0)


# The finite-size effect


def test_at_as_many_eigenfunctions_as_samples_noise_is_expressed_in_full():
    e = Eigenfunctions.fit(sample(600, 300, 1.0, seed=0))
    n_test = 150
    noise = sample(n_test, 8, 0.0, seed=2)
    with pytest.warns(FiniteSizeWarning, match="150 samples for 300 eigenfunctions"):
        curve = e.quality(sample(n_test, 300, 1.0, seed=1), noise)
    assert curve[n_test - 1] == pytest.approx(1, abs=1e-9)
    assert curve[n_test - 2] < 1 - 1e-6
    # before that k/n_test: with 8 dimensions the largest deviation is some hundredths
    chance = torch.arange(1, n_test + 1, dtype=torch.float64) / n_test
    assert (curve[:n_test] - chance).abs().max() < 0.06


def test_an_eighth_of_the_samples_is_quiet():
    """What the book's three panels stop at: no warning (warnings are errors here)."""
    e = Eigenfunctions.fit(sample(600, 300, 1.0, seed=0)).leading(150 // 8)
    assert e.quality(sample(150, 300, 1.0, seed=1), sample(150, 8, 0.0, seed=2))[-1] < 0.2


def test_weak_targets_look_better_on_the_fitting_samples():
    """And on few fresh samples better than on many: the two shares of 1/n."""
    own, few, many = [], [], []
    for seed in range(3):
        train, fresh = sample(400, 200, 0.5, seed), sample(4_000, 200, 0.5, 100 + seed)
        e = Eigenfunctions.fit(train)
        for found, Φ in ((own, train), (few, fresh[:400]), (many, fresh)):
            found.append(float(e.quality(Φ, Φ[:, 150:170])[79]))
    assert min(own) > max(few) + 0.05 and min(few) > max(many) + 0.05


def test_cumulative_shares_survive_where_single_ones_do_not():
    alone, together = [], []
    for seed in range(4):
        train, fresh = sample(1_000, 200, 1.0, seed), sample(4_000, 200, 1.0, 100 + seed)
        curve = Eigenfunctions.fit(train).quality(fresh, fresh[:, [2, 29]])  # e_3 and e_30
        shares = per_feature(curve)
        assert shares[2] == pytest.approx(0.5, abs=0.02)  # e_3 has wide gaps around it
        alone.append(float(shares[29]))
        together.append(float(curve[39]))
    assert sum(alone) / 4 < 0.25  # truth: 0.5
    assert sum(together) / 4 > 0.9  # truth: 1


# How many samples D_LR needs


def expected_dlr(τ, ρ, C, q):
    t1, t2 = ρ.sum(), ρ.square().sum()
    return float(1 - (τ + C * q * (t1 - τ)) / (C * (t2 * (1 + q) + t1**2 * q)).sqrt())


P, C = 100, 10
ORDER = torch.arange(1, P + 1)
CASES = {
    "lazy": (torch.ones(P, dtype=torch.float64), P),
    "power law": (power_law(P, 1.0), P),
    "rich": (torch.where(ORDER <= C, 1.0, 0.01).double(), C),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("n", [50, 100, 400])
def test_dlr_of_few_samples_is_biased_as_predicted(case, n):
    """Ten draws have a standard error below 0.01 at n = 50; the formula neglects as much."""
    ρ, read = CASES[case]
    W = sample(P, C, 0.0, seed=9) * (ORDER <= read)[:, None]
    M, K = W.T @ (ρ[:, None] * W), W.T * ρ
    τ = torch.trace(torch.linalg.solve(M, K @ K.T))
    found = []
    for seed in range(10):
        Φ = sample(n, P, 0.0, seed=100 * n + seed) * ρ.sqrt()
        found.append(dlr(Φ, Φ @ W))
    mean, truth = sum(found) / 10, expected_dlr(τ, ρ, C, q=0.0)
    assert mean == pytest.approx(expected_dlr(τ, ρ, C, 1 / (n - 1)), abs=0.02)
    # few samples pull to the middle: lazy looks richer, rich lazier, within the bound
    assert (mean > truth) == (case == "rich")
    r = float(ρ.sum() ** 2 / ρ.square().sum())
    assert abs(mean - truth) < max(math.sqrt(C * r), (1 - truth) * (r + 1) / 2) / n


def test_n_equal_to_p_does_not_suffice_for_flat_features():
    """E.1 says n > p suffices; at n = p the alignment of a lazy network reads √2 too high."""
    p = 200
    found = [dlr(Φ, Φ[:, :C]) for Φ in (sample(p, p, 0.0, seed) for seed in range(4))]
    alignment = 1 - sum(found) / 4
    assert alignment / math.sqrt(C / p) == pytest.approx(math.sqrt(2), rel=0.05)


def test_the_lazy_case_of_the_figure_at_n_equal_to_p():
    """What the chapter reads off: 0.75 by the formula, 0.82 in truth."""
    ρ, τ = torch.ones(300, dtype=torch.float64), torch.tensor(10.0).double()
    assert round(expected_dlr(τ, ρ, C, 1 / 299), 2) == 0.75
    assert round(expected_dlr(τ, ρ, C, 0.0), 2) == 0.82
