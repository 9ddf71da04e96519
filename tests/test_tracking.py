import numpy as np
import pytest
import torch
from torch import nn

from richlib import DegenerateWarning, dlr, measure
from richlib.activations import features_and_outputs
from richlib.tracking import Tracker


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 20), nn.ReLU(), nn.Linear(20, 3))


def test_a_plain_loop(model):
    probe = [torch.randn(50, 6), torch.randn(30, 6)]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    track = Tracker(model, iter(probe), every=5)
    for _ in range(12):
        optimizer.zero_grad()
        model(probe[0]).square().mean().backward()
        optimizer.step()
        track()
    assert track.history["step"] == [0, 5, 10]
    assert track.history["dlr"][0] != track.history["dlr"][-1]
    assert 0 < track.share < 1
    assert model.training


def test_values_are_those_of_measure_and_go_to_the_writer(model):
    class Writer:
        def __init__(self):
            self.lines = []

        def add_scalar(self, tag, value, step):
            self.lines.append((tag, value, step))

    writer, probe = Writer(), [torch.randn(50, 6)]
    values = Tracker(model, probe, every=3, writer=writer)()
    for name, value in values.items():
        assert value == pytest.approx(getattr(measure(model, probe), name), rel=1e-4)
    assert writer.lines == [(f"richness/{name}", value, 0) for name, value in values.items()]


def test_fewer_samples_than_features(model):
    probe = torch.randn(12, 6)
    values = Tracker(model, [probe])()
    m = measure(model, [probe])
    assert values["dlr"] == pytest.approx(m.dlr, rel=1e-4)
    assert values["effective_dimension"] == pytest.approx(m.effective_dimension, rel=1e-4)


def test_every_must_be_positive(model):
    with pytest.raises(ValueError, match="at least 1 step, got 0"):
        Tracker(model, [], every=0)


def test_a_tensor_is_not_a_list_of_batches(model):
    with pytest.raises(ValueError, match=r"of shape \(50, 6\).*\[inputs\]"):
        Tracker(model, torch.zeros(50, 6))


def test_no_samples_are_an_error(model):
    with pytest.raises(ValueError, match="no batch"):
        Tracker(model, [])


class Shifted(nn.Sequential):
    """A feature map with a common mean, and a head."""

    def __init__(self, mean):
        torch.manual_seed(0)
        super().__init__(nn.Linear(6, 20), nn.Linear(20, 3))
        nn.init.constant_(self[0].bias, mean)


def test_a_large_common_mean_is_resolved():
    probe = torch.randn(200, 6, generator=torch.Generator().manual_seed(1))
    model = Shifted(mean=1000.0)
    features, outputs = features_and_outputs(model, [probe])
    Φ = features.double().numpy()  # (n, p)
    q = np.linalg.eigvalsh(Φ.T @ Φ)[-2::-1].clip(min=0)
    q = q[q > 0] / q.sum()
    values = Tracker(model, [probe])()
    assert values["effective_dimension"] == pytest.approx(1 + np.exp(-q @ np.log(q)), rel=1e-4)
    assert values["dlr"] == pytest.approx(dlr(features, outputs), abs=1e-9)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("n", [12, 50])
def test_half_precision(model, dtype, n):
    probe = torch.randn(n, 6, generator=torch.Generator().manual_seed(1))
    expected = Tracker(model, [probe])()
    values = Tracker(model.to(dtype), [probe.to(dtype)])()
    assert values == pytest.approx(expected, rel=0.05)


def test_what_is_not_defined_is_recorded_as_nan_and_training_goes_on(model):
    track = Tracker(model, [torch.randn(50, 6)], every=1)
    assert np.isfinite(list(track().values())).all()
    with torch.no_grad():
        model[0].weight.fill_(torch.nan)
    with pytest.warns(DegenerateWarning, match="records nan.*did the training diverge") as said:
        assert np.isnan(list(track().values())).all()
        track()
    assert len(said) == 1 and said[0].filename == __file__
    assert track.history["step"] == [0, 1, 2]


@pytest.mark.parametrize("bias", [-1.0, 0.1])  # dead, and constant but not zero
@pytest.mark.parametrize("n", [12, 50])
def test_constant_features_are_recorded_as_nan(model, bias, n):
    with torch.no_grad():
        model[0].weight.zero_()
        model[0].bias.fill_(bias)
    with pytest.warns(DegenerateWarning, match="features are constant") as said:
        values = Tracker(model, [torch.randn(n, 6)])()
    assert np.isnan(list(values.values())).all() and len(said) == 1


def test_one_feature_has_a_richness_and_no_effective_dimension():
    model = nn.Sequential(nn.Linear(6, 1), nn.Linear(1, 3))
    with pytest.warns(DegenerateWarning, match="no positive weight"):
        values = Tracker(model, [torch.randn(50, 6)])()
    assert values["dlr"] < 1 and np.isnan(values["effective_dimension"])
