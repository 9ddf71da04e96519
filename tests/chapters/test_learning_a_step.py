"""What the chapter "A network learns a step" says of its curves, at its own width and seed."""

import numpy as np
import pytest
import torch
from numpy.polynomial.legendre import Legendre, legvander

import richlib
from richlib import Eigenfunctions, gradient_flow
from richlib.lab.models import MLP
from richlib.lab.tasks import Split
from richlib.lab.toys import step
from richlib.lab.train import train

POINTS, WIDTH, STEPS = 200, 1000, 60
x = ((torch.arange(POINTS) + 0.5) / POINTS * 2 - 1)[:, None]
target = step(x)


def network(initialization="torch-default", seed=0):
    generator = torch.Generator().manual_seed(seed)
    return MLP(
        1, 1, width=WIDTH, hidden_layers=3, initialization=initialization, generator=generator
    )


@torch.no_grad()
def features(net, x=x):
    return net.body(x).double()


def train_all(height, steps=STEPS, adam=False):
    """{step: (features, outputs / height)} of gradient descent with momentum on all layers."""
    net, kept = network(), []
    if adam:
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)
    else:
        optimizer = torch.optim.SGD(net.parameters(), lr=0.02 / height, momentum=0.9)

    def keep():
        Φ = features(net)
        with torch.no_grad():
            kept.append((Φ, net.head(Φ.float()).double() / height))
        return {}

    curves = train(
        net,
        Split(x, height * target, target[:, 0].long()),
        epochs=steps,
        batch_size=POINTS,
        optimizer=optimizer,
        seed=0,
        measure=keep,
        progress=False,
    )
    return dict(zip(curves["epoch"], kept, strict=True))


def first(Φ, F, centered=False):
    """Shares of target and output that the first eigenfunction expresses."""
    f = target.double()
    if centered:
        Φ, F, f = Φ - Φ.mean(dim=0), F - F.mean(), f - f.mean()
    e = Eigenfunctions.fit(Φ).leading(1)
    return float(e.quality(Φ, f)), float(e.utilization(Φ, F))


def constant(Φ):
    return float(Eigenfunctions.fit(Φ).leading(1)(Φ).mean().abs())


def loss(pair):
    return float((pair[1] - target).square().mean())


@pytest.fixture(scope="module")
def run():
    return train_all(height=1.0, steps=70)


@pytest.fixture(scope="module")
def high():
    return train_all(height=10.0)


@pytest.fixture(scope="module")
def initial():
    return Eigenfunctions.fit(features(network()))


# Before training


@pytest.mark.parametrize("initialization", ["lecun-normal", "he-normal"])
def test_without_biases_a_thousand_features_span_two_functions(initialization):
    Φ = features(network(initialization))
    ρ = Eigenfunctions.fit(Φ).eigenvalues
    assert ρ[1] > 0.1 * ρ[0]
    assert len(ρ) == 2 or ρ[2] < 1e-10 * ρ[0]  # rounding of the float32 forward pass
    # Φ(cx) = cΦ(x) for c > 0
    half = features(network(initialization), x / 2)
    torch.testing.assert_close(half, Φ / 2, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_first_eigenfunctions_are_nearly_legendre_polynomials(seed):
    Φ = features(network(seed=seed))
    e = Eigenfunctions.fit(Φ).leading(3)
    P = legvander(x[:, 0].double().numpy(), 2) * np.sqrt([1, 3, 5])
    overlaps = (P.T @ e(Φ).numpy() / POINTS) ** 2
    # Seeds 0 to 2: 0.990 to 0.995, 0.988 to 0.993, 0.959 to 0.966.
    assert (overlaps.diagonal() > [0.98, 0.975, 0.94]).all()
    # The eye sees the distance: 0.036 missing of e_3 is 0.19 of its length, and its ends are lower.
    assert 0.15 < np.sqrt(2 * (1 - np.sqrt(overlaps[2, 2]))) < 0.25
    if seed == 0:  # the page's
        ends = e(Φ).abs()[[0, -1], 2]
        assert P[-1, 2] > 2.2 > 1.8 > ends.max() > ends.min() > 1.6  # 1.72 and 1.64
    assert e.eigenvalues[1] < 0.2 * e.eigenvalues[0] and e.eigenvalues[2] < 0.03 * e.eigenvalues[0]


def test_coefficients_of_the_jump():
    """sign(x): 8/(π²j²) on the odd sines, tails of 4/(π²k) and, for Legendre, of 2/(πk)."""
    fine = (np.arange(200_000) + 0.5) / 100_000 - 1
    for j in (1, 3, 7):
        share = np.mean(np.sign(fine) * np.sqrt(2) * np.sin(j * np.pi * fine / 2)) ** 2
        np.testing.assert_allclose(share, 8 / (np.pi * j) ** 2, rtol=1e-4)
    odd = np.arange(1, 400_000, 2)
    np.testing.assert_allclose((8 / (np.pi * odd) ** 2).sum(), 1, rtol=1e-5)
    for k in (20, 40):
        tail = (8 / (np.pi * odd[odd > k]) ** 2).sum()
        np.testing.assert_allclose(tail, 4 / np.pi**2 / k, rtol=0.01)
        at_zero = [Legendre.basis(n)(0) for n in range(k + 1)]
        found = sum((at_zero[n - 1] - at_zero[n + 1]) ** 2 / (2 * n + 1) for n in range(1, k, 2))
        np.testing.assert_allclose(1 - found, 2 / np.pi / k, rtol=0.05)
    # At k = 2 it is far off: a constant and a line miss a quarter, 1 - ⟨sign|√3 x⟩².
    line = np.mean(np.sign(fine) * np.sqrt(3) * fine) ** 2
    np.testing.assert_allclose([1 - line, 2 / np.pi / 2], [0.25, 0.32], rtol=0.01)


def test_the_initial_features_miss_the_jump_like_sines(initial):
    E = initial(features(network()))
    v = (E * target).mean(dim=0)
    missing = (target.square().mean() - v.square().cumsum(0)) / 0.25
    assert 0.19 < float(missing[1]) < 0.25  # at k = 2: not on the line for Legendre, 0.32
    for k in (8, 16, 32):
        # 0.048, 0.025, 0.010 against 0.051, 0.025, 0.013; Legendre would be at 0.080, 0.040, 0.020
        assert 0.7 < float(missing[k - 1]) / (4 / np.pi**2 / k) < 1.2
    fine = torch.linspace(-1, 1, 4001)[:, None]
    E_fine = initial(features(network(), fine))
    for k in (16, 32, 64):  # Gibbs: 9% for sines, and it does not fall with k
        assert float((E_fine[:, :k] @ v[:k]).max()) - 1 == pytest.approx(0.09, abs=0.02)


def lazy(initial, steps):
    Φ = features(network())
    E = initial(Φ)
    t = 2 * steps / float(initial.eigenvalues[0])
    f = E @ gradient_flow(initial.eigenvalues, (E * target).mean(dim=0), t)
    return Φ, f[:, None]


def test_lazy_training_crawls_and_looks_rich_only_while_it_is_a_line(initial):
    early, late, later = (lazy(initial, s) for s in (10, 10_000, 1_000_000))
    assert loss(early) > 0.045 and richlib.dlr(*early) < 0.02
    # A hundred times as many steps: a quarter to two fifths of the error, as k^-4.3 has it.
    assert 0.2 < loss(later) / loss(late) < 0.45
    assert loss(late) == pytest.approx(0.0096, rel=0.1)
    assert richlib.dlr(*late) == pytest.approx(0.178, abs=0.03)


# Training all layers


def test_one_feature_comes_to_express_output_and_most_of_the_target(run):
    shares = {s: first(*pair) for s, pair in run.items()}
    assert shares[0][0] == pytest.approx(0.56, abs=0.03)
    best = max(shares, key=lambda s: shares[s][0])
    assert 20 <= best <= 55
    # 0.92 of the target; 0.90 with seeds 1 and 2. The output is that feature to a few percent.
    assert 0.88 < shares[best][0] < 0.95
    assert shares[best][1] > 0.94
    assert max(used for s, (_, used) in shares.items() if 8 <= s <= 30) > 0.98
    # One feature, then a swing with two, then one again.
    used = {s: utilization for s, (_, utilization) in shares.items()}
    assert min(used[s] for s in (1, 2, 3)) > 0.93 and used[7] < 0.5 and used[10] > 0.95
    assert shares[10][0] > shares[best][0] - 0.06 and used[10] > max(used.values()) - 0.03
    # A ramp: no plateau on the right, where the target has 1.41, and not zero on the left.
    for s in (10, best):
        e = Eigenfunctions.fit(run[s][0]).leading(1)(run[s][0])[:, 0]
        e = e * e[-1].sign()
        assert 1.7 < float(e[-1]) < 2 and float(e[-1] - e[-20]) > 0.05 and float(e.min()) > 0.1


def test_the_first_eigenfunction_leaves_the_constant_for_the_step(run):
    assert constant(run[0][0]) > 0.98
    assert min(constant(run[s][0]) for s in (20, 30, 40)) < 0.85  # a step has 0.71
    assert first(*run[0], centered=True)[0] == pytest.approx(0.78, abs=0.02)  # a line has 0.75
    assert max(first(*run[s], centered=True)[0] for s in (30, 40, 50)) > 0.85


def test_dlr_falls_first_and_rises_as_the_error_goes_on_falling(run):
    dlr = {s: richlib.dlr(*pair) for s, pair in run.items()}
    lowest = min(dlr, key=dlr.get)
    assert lowest <= 20 and dlr[lowest] < 0.01 < 0.1 < dlr[0]
    assert dlr[STEPS] > 0.03 and loss(run[STEPS]) < loss(run[lowest]) / 2


def test_dlr_of_one_output_is_the_eigenvalue_as_the_output_uses_it(run):
    for s in (0, 10, STEPS):
        Φ, F = run[s]
        Φc, Fc = Φ - Φ.mean(dim=0), F - F.mean()
        U, sv, _ = torch.linalg.svd(Φc / POINTS**0.5, full_matrices=False)
        Q = (U.T @ Fc)[:, 0].square() / Fc.square().sum()
        by_hand = 1 - float((Q * sv**2).sum() / (sv**2).norm())
        assert by_hand == pytest.approx(richlib.dlr(Φ, F), abs=1e-9)


def test_the_count_of_features_and_dlr_need_not_agree(run):
    """Adam's run needs more features than the other at height 1, and has the lower D_LR."""
    count, dlr = {}, {}
    for name, one in (("descent", run), ("Adam", train_all(height=1.0, steps=70, adam=True))):
        Φ, F = one[next((s for s in one if loss(one[s]) <= 0.011), max(one))]
        curve = Eigenfunctions.fit(Φ).leading(20).utilization(Φ, F)
        count[name] = int((curve < 0.9).sum()) + 1
        dlr[name] = richlib.dlr(Φ, F)
    assert count["Adam"] > count["descent"]  # 2 and 1 for nine tenths of the output
    assert dlr["Adam"] < dlr["descent"] - 0.01  # 0.049 and 0.079


def test_a_higher_step_is_learned_more_richly_at_equal_error(run, high, initial):
    on_target, on_output = first(*high[STEPS])
    assert on_target > 0.95 and on_output > 0.98
    assert on_target > first(*run[STEPS])[0] + 0.03
    reached = loss(high[STEPS])
    assert reached < 0.012
    at_rich, at_lazy = richlib.dlr(*high[STEPS]), richlib.dlr(*lazy(initial, 10_000))
    assert loss(lazy(initial, 10_000)) == pytest.approx(reached, rel=0.15)
    assert at_rich < at_lazy / 4  # 0.024 against 0.18
