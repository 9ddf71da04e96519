"""Features and outputs of real modules, and a model that is left as it was."""

import pytest
import torch
from torch import nn

import richlib
from richlib import Moments, measure
from richlib.measure import features_and_outputs, find_head


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(8, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 3)
    )


def batches(n=100, size=30, d=8):
    x = torch.randn(n, d, generator=torch.Generator().manual_seed(1))
    return [(part, torch.zeros(len(part))) for part in x.split(size)]


def test_measure_equals_the_moments_of_the_activations(model):
    features, outputs = features_and_outputs(model, batches())
    assert features.shape == (100, 32) and outputs.shape == (100, 3)
    model.eval()
    torch.testing.assert_close(features, model[:4](torch.cat([x for x, _ in batches()])))
    m = measure(model, batches())
    assert m.dlr == pytest.approx(Moments.of(features, outputs).dlr(), abs=1e-7)
    assert m.richness.n == 100
    eigenvalues = richlib.Eigenfunctions.fit(features).eigenvalues
    torch.testing.assert_close(m.eigenvalues, eigenvalues, rtol=1e-5, atol=1e-7)
    assert m.effective_dimension == pytest.approx(richlib.effective_dimension(m.eigenvalues))


def test_the_model_is_left_as_it_was(model):
    model[3].eval()
    before = [module.training for module in model.modules()]
    statistics = model[1].running_mean.clone()
    measure(model, batches())
    assert [module.training for module in model.modules()] == before
    assert torch.equal(model[1].running_mean, statistics)
    assert not any(module._forward_hooks for module in model.modules())


def test_the_model_is_left_as_it_was_after_an_error(model):
    with pytest.raises(RuntimeError):
        measure(model, [torch.randn(5, 9)])
    assert model.training and not any(m._forward_hooks for m in model.modules())


def test_max_samples_stops_early(model):
    def endless():
        while True:
            yield torch.randn(30, 8)

    assert measure(model, endless(), max_samples=70).richness.n == 70


def test_tokens_are_samples():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(11, 16), nn.ReLU(), nn.Linear(16, 5))
    m = measure(model, [torch.randint(11, (4, 7))])
    assert m.richness.n == 28


def test_a_model_without_a_linear_head_is_named(model):
    softmax = nn.Sequential(model, nn.Softmax(dim=1))
    with pytest.raises(ValueError, match="does not return the output of a linear layer.*head="):
        measure(softmax, batches())
    assert measure(softmax, batches(), head=model[4]).dlr == measure(model, batches()).dlr


def test_a_head_of_another_model_is_an_error(model):
    with pytest.raises(ValueError, match="ran 0 times"):
        measure(model, batches(), head=nn.Linear(32, 3))


def test_the_head_need_not_be_the_last_module():
    class Backwards(nn.Module):
        def __init__(self):
            super().__init__()
            self.head, self.body = nn.Linear(6, 2), nn.Linear(4, 6)

        def forward(self, x):
            return self.head(self.body(x).relu())

    model = Backwards()
    assert find_head(model, torch.randn(3, 4)) is model.head


def test_nothing_to_measure(model):
    with pytest.raises(ValueError, match="no batch"):
        measure(model, [])
    with pytest.raises(ValueError, match="no batch"):
        features_and_outputs(model, [])
