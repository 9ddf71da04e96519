import pytest
import torch
from torch import nn

from richlib.lab.models import INITIALIZATIONS, MLP


def test_the_paper_mlp_has_the_norm_of_table_1():
    """Width 1,024 with variance 1/fan_in: E‖θ‖² = 3 × 1,024 + 10 = 3,082 (the paper: 3.1e3)."""
    model = MLP(784, 10, width=1024, hidden_layers=3, generator=torch.Generator().manual_seed(0))
    norm = sum(float(p.detach().square().sum()) for p in model.parameters())
    assert norm == pytest.approx(3082, rel=0.01)
    assert [type(m).__name__ for m in model.body] == ["Linear", "ReLU"] * 3
    assert model.body(torch.zeros(2, 784)).shape == (2, 1024)


@pytest.mark.parametrize(
    "name, variance", [("lecun-normal", 1.0), ("he-normal", 2.0), ("torch-default", 1 / 3)]
)
def test_weight_variance_times_fan_in(name, variance):
    layer = nn.Linear(400, 500)
    INITIALIZATIONS[name](layer, torch.Generator().manual_seed(0))
    assert float(layer.weight.detach().var()) * 400 == pytest.approx(variance, rel=0.02)


def test_torch_default_is_what_torch_does():
    """Same bounds for weights and biases as nn.Linear's own initialization."""
    ours, theirs = nn.Linear(400, 500), nn.Linear(400, 500)
    INITIALIZATIONS["torch-default"](ours, torch.Generator().manual_seed(0))
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert float(a.detach().abs().max()) <= 400**-0.5
        assert float(b.detach().abs().max()) <= 400**-0.5
        assert float(a.detach().std()) == pytest.approx(float(b.detach().std()), rel=0.1)


def test_the_seed_is_the_generator_alone():
    def weights(seed):
        torch.manual_seed(0)
        generator = torch.Generator().manual_seed(seed)
        model = MLP(4, 2, width=8, hidden_layers=1, generator=generator)
        return model.head.weight.detach()

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_unknown_initialization():
    with pytest.raises(ValueError, match="lecun-normal, he-normal, torch-default, got 'xavier'"):
        MLP(4, 2, width=8, hidden_layers=1, initialization="xavier")
