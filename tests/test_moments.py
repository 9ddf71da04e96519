"""Streaming moments: split equals whole, in any order, at any offset, with and without classes."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from richlib import Moments, collapse, sketched_dlr


def assert_same(a: Moments, b: Moments, tolerance=1e-10):
    assert a.n == b.n
    scale = float(b.second_moment.abs().max())
    torch.testing.assert_close(a.mean, b.mean, rtol=0, atol=tolerance * scale**0.5)
    torch.testing.assert_close(a.covariance, b.covariance, rtol=0, atol=tolerance * scale)


def draw(seed, n=120, p=6, C=2, K=3):
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(K), rng.integers(K, size=n - K)])
    features = rng.normal(5, 1, (n, p)) + 10 * rng.normal(size=(K, p))[labels]
    return features, rng.normal(size=(n, C)), labels


def test_moments_are_numpys(network):
    moments = Moments.of(*network)
    joint = np.hstack(network)
    np.testing.assert_allclose(moments.covariance, np.cov(joint.T, bias=True), atol=1e-12)
    np.testing.assert_allclose(moments.second_moment, joint.T @ joint / 120, atol=1e-11)
    np.testing.assert_allclose(moments.mean, joint.mean(0), atol=1e-12)


@pytest.mark.parametrize("classes", [None, 3])
@settings(max_examples=30, deadline=None)
@given(cuts=st.lists(st.integers(1, 119), max_size=6), seed=st.integers(0, 99))
def test_split_equals_whole_in_any_order(classes, cuts, seed):
    features, outputs, labels = draw(seed)
    pieces = np.split(np.arange(120), sorted(set(cuts)))
    np.random.default_rng(seed).shuffle(pieces)
    streamed, merged = Moments(6, 2, classes), Moments(6, 2, classes)
    for piece in pieces:
        batch = (features[piece], outputs[piece], labels[piece] if classes else None)
        streamed.update(*batch)
        merged.merge(Moments(6, 2, classes).update(*batch))
    whole = Moments.of(features, outputs)
    for moments in (streamed, merged):
        assert_same(moments, whole)
        assert moments.dlr() == pytest.approx(whole.dlr(), abs=1e-10)
        if classes:
            expected = Moments.of(features, outputs, labels, num_classes=3).class_statistics()
            found = moments.class_statistics()
            torch.testing.assert_close(found.means, expected.means)
            torch.testing.assert_close(found.within, expected.within)


def test_class_statistics_are_numpys():
    features, outputs, labels = draw(0)
    statistics = Moments.of(features, outputs, labels, num_classes=3).class_statistics()
    means = np.stack([features[labels == k].mean(0) for k in range(3)])
    np.testing.assert_allclose(statistics.means, means, atol=1e-12)
    centered = features - means[labels]
    np.testing.assert_allclose(statistics.within, 3 * centered.T @ centered / 120, atol=1e-11)
    assert statistics.counts.tolist() == np.bincount(labels).tolist()


def test_pooled_scatter_of_unbalanced_classes_is_warned_about():
    features, outputs, _ = draw(0)
    for share, warned in [(0.5, False), (0.1, True)]:
        labels = (np.arange(120) < 120 * share).astype(int)
        statistics = Moments.of(features, outputs, labels, num_classes=2).class_statistics()
        for of_moments, of_samples in [
            (statistics.nc1, lambda y=labels: collapse.nc1(features, y)),
            (statistics.trace_within, lambda y=labels: collapse.trace_within(features, y)),
        ]:
            if warned:
                with pytest.warns(UserWarning, match="from 12 to 108"):
                    of_moments()
            else:
                assert of_moments() == pytest.approx(of_samples(), rel=1e-9)


def test_collapsed_classes_keep_their_digits():
    """Within-class variance 1e-16 of that between classes, in float32: no cancellation."""
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 3
    noise = rng.integers(-1, 2, (300, 4)) * 2.0**-20  # a few units in the last place of 8.0
    features = (np.eye(4)[labels] * 8 + noise).astype(np.float32)
    moments = Moments(4, 1, 3)
    for batch in np.split(np.arange(300), 10):
        moments.update(features[batch], features[batch, :1], labels[batch])
    exact = features.astype(float)
    means = np.stack([exact[labels == k].mean(0) for k in range(3)])
    centered = exact - means[labels]
    within = 3 * centered.T @ centered / 300
    np.testing.assert_allclose(moments.class_statistics().within, within, rtol=1e-5, atol=1e-18)


def test_more_rows_than_a_chunk(rng):
    features, outputs = rng.normal(size=(10_000, 3)), rng.normal(size=(10_000, 2))
    covariance = Moments.of(features, outputs).covariance
    expected = np.cov(np.hstack([features, outputs]).T, bias=True)
    np.testing.assert_allclose(covariance, expected, atol=1e-12)


def test_a_large_mean_does_not_swallow_the_variance(network):
    features, outputs = network
    shifted = Moments.of(features + 1e6, outputs).covariance
    np.testing.assert_allclose(shifted, Moments.of(features, outputs).covariance, atol=1e-8)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_products_in_low_precision_move_the_measure_by_less_than_a_millionth(dtype):
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(5000, 64, generator=generator).relu().to(dtype) + 3
    outputs = features.float() @ torch.randn(64, 5, generator=generator)
    exact = Moments.of(features.double(), outputs.double()).dlr()
    streamed = Moments(64, 5).update(features, outputs)
    assert streamed.dlr() == pytest.approx(exact, abs=1e-6)
    assert streamed.dlr() != exact
    assert Moments.of(features, outputs).dlr() == pytest.approx(exact, abs=1e-12)


@pytest.mark.parametrize("amplitude", [1e-2, 1e-5])
def test_outputs_may_be_faint_beside_each_other(amplitude):
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(300, 20, generator=generator).relu()
    strong, faint = features[:, :1], amplitude * features[:, 1:2]
    outputs = torch.cat([strong, strong + faint], dim=1)
    assert Moments(20, 2).update(features, outputs).dlr() == pytest.approx(
        Moments.of(features, outputs).dlr(), abs=1e-6
    )


@pytest.mark.parametrize("scale", [1e-30, 1e-23, 1e-10, 1e10, 1e19, 1e30])
def test_the_scale_of_features_and_outputs_drops_out(scale):
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(300, 20, generator=generator).relu()
    outputs = features[:, :3]
    exact = Moments.of(features, outputs).dlr()
    for Φ, F in [(scale * features, outputs), (features, scale * outputs)]:
        moments = Moments(20, 3)
        for batch in zip(Φ.split(100), F.split(100), strict=True):
            moments.update(*batch)
        assert moments.dlr() == pytest.approx(exact, abs=1e-6)
        assert Moments.of(Φ, F).dlr() == pytest.approx(exact, abs=1e-6)


@pytest.mark.parametrize("size", [1e2, 1e4, 1e6])
def test_an_outlying_sample_may_come_first(size):
    features = torch.randn(5000, 32, generator=torch.Generator().manual_seed(0)).relu()
    features[0] = size
    outputs = features[:, :3]
    moments = Moments(32, 3)
    for start, end in [(0, 1), (1, 101), (101, 5000)]:
        moments.update(features[start:end], outputs[start:end])
    assert moments.dlr() == pytest.approx(Moments.of(features, outputs).dlr(), abs=1e-6)


def test_autocast_does_not_reach_the_products():
    features = torch.randn(300, 20, generator=torch.Generator().manual_seed(0))
    outputs = features[:, :3]
    expected = Moments(20, 3).update(features, outputs).dlr()
    with torch.autocast("cpu", torch.bfloat16):
        assert Moments(20, 3).update(features, outputs).dlr() == expected
        assert sketched_dlr(features, outputs).dlr == pytest.approx(expected, abs=1e-5)


def test_merging_nothing_changes_nothing(network):
    moments = Moments.of(*network)
    before = moments.covariance
    assert_same(Moments(30, 4).merge(moments), moments)
    assert torch.equal(moments.merge(Moments(30, 4)).covariance, before)


def test_merging_leaves_the_other_as_it_was(network):
    features, outputs = network
    first = Moments.of(features[:50], outputs[:50])
    second = Moments.of(features[50:], outputs[50:])
    before = second.covariance
    first.merge(second)
    assert torch.equal(second.covariance, before)


def test_state_survives_a_safe_load(network, tmp_path):
    moments = Moments.of(*network)
    torch.save(moments.state(), tmp_path / "moments.pt")
    loaded = Moments.from_state(torch.load(tmp_path / "moments.pt", weights_only=True))
    assert_same(loaded, moments, tolerance=0)
    loaded.update(*network)
    assert moments.n == 120  # what was loaded shares no memory with what was saved


def _worker(rank, world, path, shards, queue):
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{path}", rank=rank, world_size=world
    )
    features, outputs, labels = draw(7)
    rows = shards[rank]
    moments = Moments(6, 2, 3)
    if len(rows):
        moments.update(features[rows], outputs[rows], labels[rows])
    moments.all_reduce()
    queue.put((rank, moments.n, moments.dlr(), moments.class_statistics().within.tolist()))
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize("cuts", [(40,), (1, 119), (0, 50)], ids=["two", "unequal", "one-empty"])
def test_all_reduce_over_processes_equals_one(cuts, tmp_path):
    shards = np.split(np.arange(120), cuts)
    context = torch.multiprocessing.get_context("spawn")
    queue = context.Queue()
    processes = [
        context.Process(target=_worker, args=(r, len(shards), tmp_path / "store", shards, queue))
        for r in range(len(shards))
    ]
    for process in processes:
        process.start()
    results = [queue.get(timeout=120) for _ in processes]
    for process in processes:
        process.join()
        assert process.exitcode == 0
    features, outputs, labels = draw(7)
    whole = Moments.of(features, outputs, labels, num_classes=3)
    for _, n, dlr, within in results:
        assert n == 120
        assert dlr == pytest.approx(whole.dlr(), abs=1e-12)
        np.testing.assert_allclose(within, whole.class_statistics().within, atol=1e-11)


ones = torch.ones


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Moments(0, 2), "p >= 1 features and C >= 1 outputs, got p=0"),
        (lambda: Moments(2, 2, 1), "num_classes must be at least 2"),
        (lambda: Moments(3, 2).update(ones(5, 4), ones(5, 2)), "p=3 features and C=2.*p=4, C=2"),
        (lambda: Moments(3, 2).merge(Moments(1, 1)), "p=3.*p=1, C=1"),
        (lambda: Moments(3, 2).merge(Moments(3, 2, 4)), "num_classes=None.*num_classes=4"),
        (lambda: Moments(3, 2).dlr(), "at least 2 samples, but hold 0"),
        (lambda: Moments(3, 2).update(ones(5, 3), ones(6, 2)), "features: 5, outputs: 6"),
        (lambda: Moments(3, 2).update(ones(5, 3), ones(5, 2), ones(5)), "None.*came with labels"),
        (lambda: Moments(3, 2, 4).update(ones(5, 3), ones(5, 2)), "=4.*came without labels"),
        (lambda: Moments(3, 2, 4).update(ones(5, 3), ones(5, 2), ones(5)), "must be integers"),
        (
            lambda: Moments(3, 2, 4).update(ones(5, 3), ones(5, 2), ones(4).long()),
            "features: 5, labels: 4",
        ),
        (
            lambda: Moments(3, 2, 4).update(ones(5, 3), ones(5, 2), 4 * ones(5).long()),
            r"0\.\.3, but 4 came",
        ),
        (lambda: Moments(3, 2).class_statistics(), "need labels"),
        (
            lambda: (
                Moments(3, 2, 2).update(ones(5, 3), ones(5, 2), ones(5).long()).class_statistics()
            ),
            r"no samples yet of the classes \[0\]",
        ),
    ],
)
def test_bad_input_is_explained(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_bad_batch_adds_nothing(network):
    moments = Moments.of(*network)
    before = moments.state()
    bad = torch.ones(5000, 30).index_fill(0, torch.tensor(4999), torch.nan)
    with pytest.raises(ValueError, match="first in row 4999"):
        moments.update(bad, torch.ones(5000, 4))
    assert all(torch.equal(before[k], v) for k, v in moments.state().items() if k.startswith("_"))


def test_a_sum_that_overflows_is_not_taken_for_infinity():
    features = torch.full((10, 2), 6e4, dtype=torch.float16)
    assert Moments.of(features, torch.randn(10, 1)).n == 10


def test_all_reduce_of_one_process_changes_nothing(tmp_path):
    features, outputs, labels = draw(3)
    moments = Moments.of(features, outputs, labels, num_classes=3)
    before = Moments.from_state(moments.state())
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1
    )
    try:
        assert_same(moments.all_reduce(), before, tolerance=1e-12)
        assert moments.resolution == before.resolution > 0
    finally:
        torch.distributed.destroy_process_group()


def _mismatched(rank, path, queue):
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{path}", rank=rank, world_size=2
    )
    try:
        Moments(3 + rank, 2).all_reduce()
    except ValueError as error:
        queue.put(str(error))
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def test_all_reduce_of_different_shapes_is_an_error_everywhere(tmp_path):
    context = torch.multiprocessing.get_context("spawn")
    queue = context.Queue()
    processes = [
        context.Process(target=_mismatched, args=(rank, tmp_path / "store", queue))
        for rank in range(2)
    ]
    for process in processes:
        process.start()
    messages = sorted(queue.get(timeout=120) for _ in processes)
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert "this one has p=3" in messages[0] and "this one has p=4" in messages[1]
