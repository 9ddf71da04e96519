"""How a step is computed changes rounding, never the recipe."""

import pytest
import torch
from torch import nn
from torch.nn.functional import mse_loss

from richlib.lab.step import Numerics, Step, products_in


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))


def batch(n=64):
    generator = torch.Generator().manual_seed(1)
    return (torch.randn(n, d, generator=generator) for d in (8, 3))


def step_of(model, numerics):
    return Step(model, mse_loss, torch.optim.SGD(model.parameters(), lr=0.1), numerics)


def trained(numerics, steps=20):
    model = network()
    step, (x, y) = step_of(model, numerics), batch()
    losses = [float(step(x, y)) for _ in range(steps)]
    return losses, model[0].weight.detach().clone()


def test_float32_is_the_plain_loop():
    model = network()
    optimizer, (x, y) = torch.optim.SGD(model.parameters(), lr=0.1), batch()
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    found, weight = trained(Numerics())
    assert found == losses and torch.equal(weight, model[0].weight)


def test_float64_stays_float64():
    model, (x, y) = network().double(), (part.double() for part in batch())
    expected = mse_loss(model(x), y)
    assert step_of(model, Numerics())(x, y).dtype == torch.float64
    model = network().double()
    assert torch.equal(step_of(model, Numerics())(x, y), expected)


def test_mixed_precision_rounds():
    exact, mixed = trained(Numerics()), trained(Numerics("mixed"))
    assert mixed[0] != exact[0]
    assert mixed[0] == pytest.approx(exact[0], rel=0.02)
    assert mixed[1].dtype == torch.float32


def test_float16_scales_the_loss_and_skips_an_overflow():
    """What cards without bfloat16 do."""
    model = network()
    step, (x, y) = step_of(model, Numerics("mixed")), batch()
    step.half, step.scaler = torch.float16, torch.amp.GradScaler("cpu", init_scale=2.0**40)
    before = model[0].weight.detach().clone()
    assert step(x, y).isfinite()
    assert torch.equal(before, model[0].weight)  # infinite gradients: skipped
    assert step.scaler.get_scale() == 2.0**39
    for _ in range(40):
        step(x, y)
    assert not torch.equal(before, model[0].weight)
    assert float(step(x, y)) == pytest.approx(trained(Numerics())[0][-1], rel=0.2)


def test_compiled_is_the_same_up_to_rounding(monkeypatch):
    # The backend that only traces: the default one takes a minute to start its C++ compiler.
    compiled_with = []

    def traced(module):
        compiled_with.append(module)
        return whole(module, backend="aot_eager")

    whole = torch.compile
    monkeypatch.setattr(torch, "compile", traced)
    exact, compiled = trained(Numerics(), 5), trained(Numerics(compiled=True), 5)
    assert compiled[0] == pytest.approx(exact[0], rel=1e-4) and len(compiled_with) == 1


class Watching(nn.Module):
    """Notes whether TF32 was on when it was used."""

    def __init__(self):
        super().__init__()
        self.weight, self.seen = nn.Parameter(torch.ones(8, 3)), []

    def forward(self, x):
        self.seen.append((torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32))
        return x @ self.weight


@pytest.mark.parametrize("precision", ["float32", "tf32"])
def test_tf32_is_on_within_the_step_alone(precision):
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    model = Watching()
    step_of(model, Numerics(precision))(*batch())
    assert model.seen == [(precision == "tf32",) * 2]
    assert before == (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32)


def test_tf32_is_off_again_after_an_error():
    before = torch.backends.cudnn.allow_tf32
    with pytest.raises(KeyError), products_in(tf32=not before):
        raise KeyError
    assert torch.backends.cudnn.allow_tf32 == before


def test_an_unknown_precision_is_an_error():
    with pytest.raises(ValueError, match="float32, tf32, mixed"):
        Numerics("half")
