import pytest
import torch
from torch import nn

from richlib import measure
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


def test_no_samples_are_an_error(model):
    with pytest.raises(ValueError, match="no batch"):
        Tracker(model, [])
