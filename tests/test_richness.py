"""D_LR against the definitions, its invariances, and its degenerate cases."""

import math
import warnings

import numpy as np
import pytest
import reference
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from richlib import (
    DegenerateWarning,
    FiniteSizeWarning,
    Moments,
    cka,
    dlr,
    effective_dimension,
    feature_kernel_operator,
    minimum_projection_operator,
    richness,
)
from richlib.richness import ESTIMATORS

shapes = dict(n=st.integers(8, 60), p=st.integers(1, 20), C=st.integers(1, 6))


def draw(n, p, C, seed):
    rng = np.random.default_rng(seed)
    features = rng.normal(rng.normal(0, 2), 1, (n, p)) * np.exp(rng.normal(0, 1, p))
    return features, features @ rng.normal(size=(p, C)) + rng.normal(0, 0.1, (n, C)), rng


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_dlr_equals_the_definition(network, estimator):
    expected = reference.dlr(*network, estimator)
    assert dlr(*network, estimator=estimator) == pytest.approx(expected, abs=1e-10)


def test_the_estimators_differ_on_a_real_case(network):
    assert len({round(dlr(*network, estimator=e), 3) for e in ESTIMATORS}) == 3


@pytest.mark.parametrize("a1, a2", [(0.0, 1.0), (3.0, 0.2), (100.0, 7.0)])
def test_a1_and_a2_drop_out(network, a1, a2):
    features, outputs = network
    with_one = np.hstack([outputs, np.ones((len(outputs), 1))])  # B.3: the span holds the constant
    T_MP = minimum_projection_operator(with_one, a1, a2)
    value = 1 - cka(feature_kernel_operator(features), T_MP)
    assert value == pytest.approx(dlr(features, with_one), abs=1e-10)


@settings(max_examples=40, deadline=None)
@given(**shapes, seed=st.integers(0, 10**6))
def test_invariances(n, p, C, seed):
    features, outputs, rng = draw(n, p, C, seed)
    value = dlr(features, outputs)
    assert 0 <= value <= 1
    rotation, _ = np.linalg.qr(rng.normal(size=(p, p)))
    # Invertible and well-conditioned: the span of the outputs is unchanged.
    mixing = np.linalg.qr(rng.normal(size=(C, C)))[0] * rng.uniform(0.5, 2, C)
    order = rng.permutation(n)
    assert dlr(features @ rotation, outputs) == pytest.approx(value, abs=1e-8)
    assert dlr(1e3 * features + rng.normal(size=p), outputs) == pytest.approx(value, abs=1e-8)
    assert dlr(features, outputs @ mixing) == pytest.approx(value, abs=1e-7)
    assert dlr(features[order], outputs[order]) == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize("C", [2, 10, 100])
def test_rank_floor_of_the_centered_span(C):
    """Perfectly collapsed features whose outputs sum to one up to 1e-3 (a trained classifier)."""
    labels = torch.arange(C).repeat(20)
    features = torch.eye(C, dtype=torch.float64)[labels]
    noise = torch.randn(len(labels), C, generator=torch.Generator().manual_seed(0))
    outputs = features + 1e-3 * noise
    assert dlr(features, outputs) < 1e-4
    # C of its directions are counted, C - 1 of them carry features.
    floor = 1 - math.sqrt((C - 1) / C)
    assert dlr(features, outputs, estimator="centered-projection") == pytest.approx(floor, abs=5e-3)


def test_rank_drops_directions_below_rtol(rng):
    outputs = rng.normal(size=(50, 3)) * [1, 1e-3, 1e-8]
    features = rng.normal(size=(50, 6))
    assert richness(features, outputs).rank == 2
    assert richness(features, outputs, rtol=1e-2).rank == 1
    assert richness(features, outputs, rtol=1e-10).rank == 3


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_every_floating_dtype_gives_the_float64_answer(network, dtype):
    features, outputs = (torch.as_tensor(x).to(dtype) for x in network)
    assert dlr(features, outputs) == dlr(features.double(), outputs.double())


@pytest.mark.parametrize(
    "convert",
    [
        lambda x: x.astype(np.longdouble),
        lambda x: x.astype(object),
        lambda x: x.astype(x.dtype.newbyteorder("S")),
        lambda x: x.tolist(),
        lambda x: torch.as_tensor(x).to_sparse(),
        lambda x: x[::-1].copy()[::-1],
    ],
    ids=["longdouble", "object", "byte-order", "list", "sparse", "strides"],
)
def test_every_kind_of_array_gives_the_same_answer(network, convert):
    features, outputs = network
    assert dlr(convert(features), convert(outputs)) == dlr(features, outputs)


def test_float8_is_widened(network):
    features, outputs = (torch.as_tensor(x).to(torch.float8_e4m3fn) for x in network)
    assert dlr(features, outputs) == dlr(features.double(), outputs.double())


@pytest.mark.parametrize("values", ["abc", [[{}, 1.0]] * 3, np.array([["a", "b"]] * 3)])
def test_what_is_no_number_is_explained(values):
    with pytest.raises(ValueError, match="features must be numbers, but came as"):
        dlr(values, torch.ones(3, 1))


def test_integers_are_taken_as_they_are():
    counts = np.arange(12).reshape(6, 2) % 5
    assert dlr(counts, counts) == dlr(counts.astype(float), counts.tolist())


def test_constant_outputs_are_lazy_with_a_warning(rng):
    with pytest.warns(DegenerateWarning, match="no function was learned"):
        assert dlr(rng.normal(size=(20, 4)), np.full((20, 3), 2.5)) == 1.0
    with pytest.warns(DegenerateWarning, match="no function was learned"):
        assert dlr(rng.normal(size=(20, 4)), np.zeros((20, 3))) == 1.0
    rounding = np.float32([0.1, 0.2, 0.7]) * (1 + 1e-7 * rng.normal(size=(20, 1)))
    with pytest.warns(DegenerateWarning, match="no function was learned"):
        assert dlr(rng.normal(size=(20, 4)), rounding) == 1.0


@pytest.mark.parametrize("value", [0.0, 0.1, 1e8])
def test_constant_features_are_nan_with_a_warning(rng, value):
    with pytest.warns(DegenerateWarning, match="features are constant"):
        assert math.isnan(dlr(np.full((20, 4), value), rng.normal(size=(20, 3))))


def test_outputs_that_span_all_functions_on_the_samples_are_warned_about(rng):
    features = rng.normal(size=(32, 100))
    for C in (31, 40):
        with pytest.warns(FiniteSizeWarning, match="32 samples for outputs of rank 3"):
            dlr(features, rng.normal(size=(32, C)))
    assert 0 < dlr(features, rng.normal(size=(32, 30))) < 1
    assert 0 < dlr(features, rng.normal(size=(32, 40)), estimator="gram") < 1


def test_small_features_are_not_taken_for_constant(rng):
    features, outputs = rng.normal(size=(20, 4)), rng.normal(size=(20, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for scale in (1e-120, 1e-12, 1e120):
            assert dlr(scale * features, outputs) == pytest.approx(dlr(features, outputs), abs=1e-9)


nan_in_row_3 = torch.ones(6, 2).index_fill(0, torch.tensor(3), math.nan)


@pytest.mark.parametrize(
    "features, outputs, message",
    [
        (torch.ones(6), torch.ones(6, 2), r"features must be a matrix .* shape \(6,\)"),
        (torch.ones(6, 2, 2), torch.ones(6, 2), r"features must be a matrix .* \(6, 2, 2\)"),
        (torch.ones(6, 2), torch.ones(7, 2), "features: 6, outputs: 7"),
        (torch.ones(1, 2), torch.ones(1, 2), "at least 2 sample"),
        (torch.ones(6, 0), torch.ones(6, 2), "1 dimension"),
        (nan_in_row_3, torch.ones(6, 2), "2 of 12 entries .* first in row 3"),
        (torch.ones(6, 2), nan_in_row_3 * math.inf, "outputs must be finite"),
        (torch.ones(6, 2, dtype=torch.complex64), torch.ones(6, 2), "must be real"),
    ],
)
def test_bad_input_is_explained(features, outputs, message):
    with pytest.raises(ValueError, match=message):
        dlr(features, outputs)


def test_bad_options_are_explained(network):
    with pytest.raises(ValueError, match="projection, centered-projection, gram.*'cka'"):
        dlr(*network, estimator="cka")
    with pytest.raises(ValueError, match="rtol"):
        dlr(*network, rtol=0)


def test_richness_reports_what_it_used(network):
    report = richness(*network, estimator="gram")
    assert (report.n, report.p, report.C, report.rank) == (120, 30, 4, 4)
    assert report.estimator == "gram"
    assert report.dlr == Moments.of(*network).dlr(estimator="gram")


def test_effective_dimension_is_the_exponential_of_the_entropy(rng):
    weights = rng.uniform(size=20)
    q = weights / weights.sum()
    assert effective_dimension(weights, skip_first=False) == pytest.approx(
        np.exp(-(q * np.log(q)).sum())
    )
    r = weights[1:] / weights[1:].sum()
    assert effective_dimension(weights) == pytest.approx(1 + np.exp(-(r * np.log(r)).sum()))
    assert effective_dimension([9, 1, 1, 0, 0]) == pytest.approx(3)


def test_effective_dimension_of_reversed_eigenvalues():
    ascending = np.linalg.eigvalsh(np.diag([1.0, 1.0, 1.0, 100.0]))
    assert effective_dimension(ascending[::-1]) == pytest.approx(4)
    with pytest.raises(ValueError, match="increasing order.*reverse"):
        effective_dimension(ascending)
    assert effective_dimension(ascending, skip_first=False) == pytest.approx(
        effective_dimension(ascending[::-1], skip_first=False)
    )


@pytest.mark.parametrize("weights", [[1.0, -1.0], [1.0, math.nan], [1.0], [0.0, 0.0]])
def test_effective_dimension_rejects_what_is_no_spectrum(weights):
    with pytest.raises(ValueError, match="weights|weight"):
        effective_dimension(weights)
