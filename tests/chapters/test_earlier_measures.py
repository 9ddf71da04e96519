"""What the chapter on earlier measures claims, in numbers of its own."""

import copy
import dataclasses
import math
import warnings

import pytest
import torch
from torch import nn

import richlib
from richlib.lab import records
from richlib.lab.claims import OF_NEURONS, TABLE_6, TABLE_7
from richlib.lab.experiments import find
from richlib.lab.models import MLP, Network
from richlib.lab.run import activations, features, fit

C, RIDGE = 10, 1e-4


def linears(model):
    return [layer for layer in model.modules() if isinstance(layer, nn.Linear)]


@torch.no_grad()
def changed(model, weights=(1, 1, 1, 1), biases=(1, 1, 1, 1)):
    model = copy.deepcopy(model)
    for layer, a, b in zip(linears(model), weights, biases, strict=True):
        layer.weight.mul_(a)
        layer.bias.mul_(b)
    return model


def scaled(model, c):
    return changed(model, (c,) * 4, (c,) * 4)


def without_biases(model):
    return changed(model, biases=(0,) * 4)


@pytest.fixture(scope="module")
def samples():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(300, 20, generator=generator, dtype=torch.float64)
    return x, torch.arange(300) % C


@pytest.fixture(scope="module")
def drawn():
    """An untrained MLP of the chapter's shape, zero biases, in 64 bits."""
    generator = torch.Generator().manual_seed(1)
    options = {"width": 40, "hidden_layers": 3, "initialization": "he-normal"}
    return MLP(20, C, generator=generator, **options).double()


@torch.no_grad()
def four(model, samples, initial, labels=None):
    x, y = samples
    Φ = model.body(x)
    return {
        "D_LR": richlib.dlr(Φ, model.head(Φ)),
        "S_init": richlib.s_init(initial.body(x), Φ),
        "norm": richlib.parameter_norm(model),
        "NC1": richlib.nc1_with_ridge(Φ, y if labels is None else labels) / C,
    }


# Weight decay alone


@pytest.mark.parametrize("c", [0.3, 0.01, 1e-4])
def test_shrinking_without_biases_moves_the_norm_and_nc1_only(samples, drawn, c):
    before, after = four(drawn, samples, drawn), four(scaled(drawn, c), samples, drawn)
    assert after["D_LR"] == pytest.approx(before["D_LR"], abs=1e-9)  # exact up to float64
    assert after["S_init"] == pytest.approx(1, abs=1e-9)
    assert after["norm"] == pytest.approx(c**2 * before["norm"])
    if c < 0.1:  # Σ_b is below c⁶ times a number of order 1: nothing against the ridge
        Φ, y = drawn.body(samples[0]).detach(), samples[1]
        scatter = richlib.collapse.trace_within(Φ, y, average=True)
        assert after["NC1"] == pytest.approx(c**6 * scatter / RIDGE, rel=1e-3)


def test_without_the_ridge_nc1_does_not_see_the_scale(samples, drawn):
    Φ, y = drawn.body(samples[0]).detach(), samples[1]
    assert richlib.collapse.nc1(1e-3 * Φ, y) == pytest.approx(richlib.collapse.nc1(Φ, y))


def pocket(name, **changes):
    experiment, variant = find(name)
    return dataclasses.replace(experiment.recipe(variant, "pocket"), **changes)


@pytest.fixture(scope="module")
def decayed():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", richlib.DegenerateWarning)  # that is the subject
        faster = {"width": 64, "learning_rate": 4e-4, "epochs": 22}  # the same decay in all
        return fit(pocket("weight-decay-alone/decay", **faster), progress=False)


def dlr_of_span(Φ, head):
    """As in the chapter: a basis of the outputs' span in which the bias swallows nothing."""
    W, b = head.weight.detach(), head.bias.detach()
    basis, _ = torch.linalg.qr(b[:, None], mode="complete")
    mixed = Φ @ W.T @ basis
    first = mixed[:, :1] + b @ basis[:, :1]
    rest = mixed[:, 1:] - mixed[:, 1:].mean(dim=0) / first.mean() * first
    return richlib.dlr(Φ, torch.cat([p / p.square().mean().sqrt() for p in (first, rest)], 1))


def test_the_span_is_that_of_the_outputs(samples, drawn):
    model = copy.deepcopy(drawn)
    with torch.no_grad():
        for layer in linears(model):
            layer.bias.uniform_(-0.1, 0.1, generator=torch.Generator().manual_seed(2))
        Φ = model.body(samples[0])
        assert dlr_of_span(Φ, model.head) == pytest.approx(richlib.dlr(Φ, model.head(Φ)), abs=1e-9)


def test_the_one_is_rounding(decayed):
    pair = activations(decayed.model, decayed.train)
    with pytest.warns(richlib.DegenerateWarning, match="constant over the samples"):
        assert richlib.dlr(*pair) == 1.0
    at_start = richlib.dlr(*activations(decayed.initial, decayed.train))
    double = copy.deepcopy(decayed.model).double()
    exact = dlr_of_span(features(double, decayed.train), double.head)
    assert abs(exact - at_start) < 0.15  # near the start, far from both 0 and 1
    assert 0.25 < exact < 0.75
    plain = richlib.dlr(*activations(without_biases(double), decayed.train))
    assert plain == pytest.approx(at_start, abs=1e-3)  # the gradient's part of the weights


def test_the_bias_settles_where_gradient_and_decay_cancel(decayed):
    decay = decayed.recipe.weight_decay
    predicted = (2 / C**2) / (decay + 2 / C)
    mean = float(decayed.model.head.bias.detach().mean())
    # One-hot targets have the same mean in every batch; of the start 1e-4 is left.
    assert mean == pytest.approx(predicted, rel=0.02)
    _, outputs = activations(copy.deepcopy(decayed.model).double(), decayed.train)
    resolution = predicted * torch.finfo(torch.float32).eps
    assert float(outputs.std(dim=0).max()) < 1e-3 * resolution


def test_the_kernel_moves_by_the_biases(decayed):
    initial, double = (copy.deepcopy(m).double() for m in (decayed.initial, decayed.model))
    before = features(initial, decayed.train)
    assert richlib.s_init(before, features(double, decayed.train)) < 0.97
    plain = features(without_biases(double), decayed.train)
    assert richlib.s_init(before, plain) == pytest.approx(1, abs=1e-3)


def test_the_scatter_of_table_6_is_more_than_shrinking_leaves():
    value = {claim.metric: claim.value for claim in TABLE_6}
    c2 = value["parameter_norm"] / value["parameter_norm_at_init"]
    left = c2**3 * value["trace_within_train_at_init"]
    assert value["trace_within_train"] > 1e5 * left


# Target downscaling


def test_who_follows_laziness():
    """D_LR, S_init and NC1 without a ridge rise with α, the norm and NC1 with one fall."""
    values = []
    for alpha in (0.2, 2, 20):
        recipe = pocket(f"target-downscaling/alpha-{alpha:g}", width=96, epochs=20)
        trained = fit(recipe, progress=False)
        Φ, outputs = activations(trained.model, trained.train)
        y = trained.train.labels
        values.append(
            (
                richlib.dlr(Φ, outputs),
                richlib.s_init(features(trained.initial, trained.train), Φ),
                richlib.collapse.nc1(Φ, y),
                -richlib.parameter_norm(trained.model),
                -richlib.nc1_with_ridge(Φ, y),
            )
        )
    for low, middle, high in zip(*values, strict=True):
        assert low < middle < high


def evidence(claims):
    assert all(claim.evidence() for claim in claims), "the records of the chapter ship with it"


def test_the_same_at_full_size():
    evidence(TABLE_7)
    runs = [records.load("target-downscaling", f"alpha-{a}", "paper") for a in ("0.2", "2", "20")]
    for seeds in zip(*runs, strict=True):
        for metric, sign in (
            *(("dlr_train", 1), ("dlr_test", 1), ("s_init_train", 1)),
            *(("parameter_norm", -1), ("nc1_ridge_train", -1)),
        ):
            low, middle, high = (sign * record.metrics[metric] for record in seeds)
            assert low < middle < high, metric


def test_what_of_the_tables_does_not_come_out():
    evidence([*TABLE_6, *TABLE_7])
    for claim in TABLE_7:
        reproduced = claim.verdict() == "reproduced"
        assert reproduced != (claim.metric == "s_init_train"), claim.statement
    ours = {claim.metric: records.summary(claim.evidence(), claim.metric)[0] for claim in TABLE_6}
    assert ours["s_init_train"] > 0.8 and ours["dlr_train"] == 1.0


def test_the_decayed_network_names_one_class():
    """The digit one, of which MNIST has 6,742 for training and 1,135 for testing."""
    for record in records.load("weight-decay-alone", "decay", "paper"):
        assert record.metrics["accuracy_train"] * 60_000 == pytest.approx(6_742)
        assert record.metrics["accuracy_test"] * 10_000 == pytest.approx(1_135)


def test_what_the_page_says_of_the_comparison_of_neurons():
    evidence(OF_NEURONS)
    verdicts = [claim.verdict() for claim in OF_NEURONS]
    assert verdicts == ["not reproduced", "not reproduced", "reproduced", "reproduced"]
    _, *downscaled = OF_NEURONS
    paper = [claim.value for claim in downscaled]  # α = 0.2, 2, 20
    ours = [records.summary(claim.evidence(), claim.metric)[0] for claim in downscaled]
    assert paper[0] > paper[2] > paper[1] and ours[2] > ours[0] > ours[1]
    assert 0.25 < 1 - ours[0] / paper[0] < 1 / 3  # "nearly a third too low"
    assert abs(ours[2] / paper[2] - 1) > 0.25  # no more than the paper's spread lets it come out
    decayed = records.load("weight-decay-alone", "decay", "paper")
    assert all(0.22 < record.metrics["s_init_neurons_train"] < 0.5 for record in decayed)


def test_on_training_samples_the_smallest_alpha_has_half_of_the_papers_value():
    (claim,) = [c for c in TABLE_7 if "dlr" in c.metric and c.variant == "alpha-0.2"]
    ours, _ = records.summary(records.load("target-downscaling", "alpha-0.2", "paper"), "dlr_train")
    assert ours / claim.value == pytest.approx(0.5, abs=0.05)


def test_the_norms_fit_the_axis_of_the_page():
    for alpha in ("0.2", "2", "20"):
        for record in records.load("target-downscaling", f"alpha-{alpha}", "paper"):
            norms = record.curves["parameter_norm"]
            assert 3_050 < min(norms) and max(norms) < 3_470


def test_biases_let_shrinking_take_a_quarter_of_d_lr():
    """Of the page's untrained network with biases of PyTorch's size, in exact arithmetic."""
    start = fit(pocket("weight-decay-alone/decay", epochs=0), progress=False)
    model, generator = copy.deepcopy(start.model), torch.Generator().manual_seed(0)
    for layer in linears(model):
        bound = layer.in_features**-0.5
        nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
    values = []
    for c in (1, 1e-4):
        small = scaled(model.double(), c)
        values.append(dlr_of_span(features(small, start.train), small.head))
    assert values == pytest.approx([0.53, 0.40], abs=0.01)


def test_which_untrained_network_fits_table_1():
    value = {c.metric: c.value for c in TABLE_6 if c.metric.endswith("_at_init")}
    keys = ("dlr_train", "parameter_norm", "trace_within_train")
    off = {}
    for variant in find("untrained-networks/512-he-normal")[0].variants:
        (found, *_) = records.load("untrained-networks", variant, "paper")
        off[variant] = sum(abs(math.log(found.metrics[k] / value[f"{k}_at_init"])) for k in keys)
    assert min(off, key=off.get) == "512-he-normal"


# The bench


@pytest.fixture(scope="module")
def biased(drawn):
    generator = torch.Generator().manual_seed(3)
    model = copy.deepcopy(drawn)
    with torch.no_grad():
        for layer in linears(model):
            layer.bias.uniform_(-0.2, 0.2, generator=generator)
            layer.weight.mul_(1 + torch.rand(layer.weight.shape, generator=generator))
    return model


def with_rotation(model):
    p = model.head.in_features
    noise = torch.randn(p, p, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    turn, head = nn.Linear(p, p, bias=False).double(), copy.deepcopy(model.head)
    rotation, _ = torch.linalg.qr(noise)
    with torch.no_grad():
        turn.weight.copy_(rotation)
        head.weight.copy_(model.head.weight @ rotation.T)
    return Network(nn.Sequential(model.body, turn), head)


CHANGES = {
    "rebalance": (lambda m: changed(m, (10, 0.1, 1, 1), (10, 1, 1, 1)), {"norm"}),
    "rescale": (lambda m: changed(m, (1, 1, 0.01, 100), (1, 1, 0.01, 1)), {"norm", "NC1"}),
    "rotate": (with_rotation, {"norm"}),
    "amplify": (lambda m: changed(m, (1, 1, 1, 10), (1, 1, 1, 10)), {"norm"}),
    "shrink": (lambda m: changed(m, (0.1,) * 4, (0.1, 1e-2, 1e-3, 1e-4)), {"norm", "NC1"}),
    "decay": (lambda m: scaled(m, 0.1), {"D_LR", "S_init", "norm", "NC1"}),
}


@pytest.mark.parametrize("name", CHANGES)
def test_who_moves(samples, drawn, biased, name):
    change, expected = CHANGES[name]
    before = four(biased, samples, drawn)
    after = four(change(biased), samples, drawn)
    moved = {key for key in before if not math.isclose(before[key], after[key], rel_tol=1e-3)}
    assert moved == expected


def test_labels_and_the_start_are_seen_by_one_measure_each(samples, drawn, biased):
    order = torch.randperm(300, generator=torch.Generator().manual_seed(6))
    before, shuffled = four(biased, samples, drawn), samples[1][order]
    relabeled = four(biased, samples, drawn, labels=shuffled)
    elsewhere = four(biased, samples, MLP(20, C, width=40, hidden_layers=3).double())
    for after, expected in ((relabeled, "NC1"), (elsewhere, "S_init")):
        assert {key for key in before if abs(after[key] / before[key] - 1) > 1e-3} == {expected}


def test_idle_features_make_a_network_lazier(samples, drawn, biased):
    x, _ = samples
    with torch.no_grad():
        Φ = biased.body(x)
        idle = drawn.body(x)
        both = torch.cat([Φ, idle * Φ.norm() / idle.norm()], dim=1)
        assert richlib.dlr(both, biased.head(Φ)) > richlib.dlr(Φ, biased.head(Φ)) + 0.01


def test_samples_and_neurons_are_compared_differently():
    """A rotation leaves the kernel of the samples alone and turns the neurons' covariance."""
    generator = torch.Generator().manual_seed(5)
    scale = torch.arange(1, 201, dtype=torch.float64) ** -1.0
    X = torch.randn(1000, 200, generator=generator, dtype=torch.float64) * scale
    Q, _ = torch.linalg.qr(torch.randn(200, 200, generator=generator, dtype=torch.float64))
    A, B = torch.cov(X.T), torch.cov((X @ Q).T)
    assert richlib.s_init(X, X @ Q) == pytest.approx(1)
    neurons = float((A * B).sum() / (A.norm() * B.norm()))
    expected = float(A.trace() ** 2 / A.square().sum()) / 200  # r / p
    assert neurons == pytest.approx(expected, rel=1) and neurons < 0.1
