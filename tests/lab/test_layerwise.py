"""Greedy layerwise training (Appendix I), and the spectra of the layers inside a network."""

import dataclasses

import pytest
import torch

from richlib.lab import assemble
from richlib.lab.experiments import EXPERIMENTS
from richlib.lab.metrics import layer_features
from richlib.lab.models import Pixels, resnet18, stages
from richlib.lab.plan import example, plan
from richlib.lab.run import fit, run
from richlib.lab.tasks import Split

RECIPE = dataclasses.replace(
    EXPERIMENTS["layerwise"].recipe("layerwise", "pocket"), samples=256, width=4, epochs=1
)


def parameters(module):
    return torch.cat([x.detach().flatten().clone() for x in module.state_dict().values()])


def test_the_layers_are_those_of_figure_22_and_make_up_the_body():
    body = resnet18(3, 10, width=4, pixels=Pixels()).eval().body
    layers = stages(body)
    assert list(layers) == ["layer1", "layer2", "layer3", "layer4"]
    x = torch.randint(256, (2, 3, 32, 32)).byte()
    passed = x
    for layer in layers.values():
        passed = layer(passed)
    assert torch.equal(passed, body(x))


def test_each_phase_trains_its_own_layer_and_head_alone():
    batch = example(RECIPE, 8)
    model = assemble.network(RECIPE, batch, seed=0)
    layers, heads = list(stages(model.body).values()), []
    for number, phase in enumerate(assemble.phases(RECIPE, model, batch, seed=0)):
        heads.append(phase.head)
        before = [parameters(layer) for layer in layers]
        optimizer = assemble.optimizer(RECIPE, phase.train())
        # Twice: what has momentum from before would go on in the second step.
        for _ in range(2):
            optimizer.zero_grad()
            (phase(batch.inputs) - 1).square().mean().backward()
            optimizer.step()
        # Weights, and the averages of batch normalization.
        changed = [not torch.equal(a, parameters(b)) for a, b in zip(before, layers, strict=True)]
        assert changed == [i == number for i in range(len(layers))]
    assert number == len(layers) - 1
    assert heads[-1] is model.head
    assert [head.in_features for head in heads] == [4, 8, 16, 32]  # channels


def test_training_goes_through_all_layers():
    trained = fit(dataclasses.replace(RECIPE, epochs=2), progress=False)
    assert trained.curves["epoch"] == [0, 1, 2, 2, 3, 4, 4, 5, 6, 6, 7, 8]
    assert trained.curves["seconds"] == sorted(trained.curves["seconds"])
    norms = trained.curves["parameter_norm"]
    assert norms[2] == norms[3] and norms[2] != norms[4]  # a phase begins where one ended


def test_a_diverged_layer_ends_the_run():
    trained = fit(dataclasses.replace(RECIPE, learning_rate=1e30), progress=False)
    assert trained.curves["diverged"] == [1] and trained.curves["epoch"] == [0]


def test_the_plan_counts_every_layer():
    whole, greedy = (
        plan(f"layerwise/{v}", "desk", measured_steps=0) for v in ("full", "layerwise")
    )
    assert greedy.steps == 4 * whole.steps
    # Each layer is passed through forward by every later phase, backward in its own alone.
    assert whole.flops < greedy.flops < 2.2 * whole.flops


@pytest.fixture
def with_layers(monkeypatch):
    experiment = EXPERIMENTS["layerwise"]
    pocket = {**experiment.tiers["pocket"], "samples": 512, "width": 4, "epochs": 1}
    tiny = dataclasses.replace(experiment, name="tiny", tiers={"pocket": pocket})
    monkeypatch.setitem(EXPERIMENTS, "tiny", tiny)


def test_the_record_has_the_spectra_of_all_layers(with_layers):
    record = run("tiny/full", progress=False)
    for layer in ("layer1", "layer2", "layer3", "layer4"):
        eigenvalues = record.spectra[f"{layer}/eigenvalues"]
        assert eigenvalues == sorted(eigenvalues, reverse=True)
        for curve in ("quality", "utilization"):
            values = record.spectra[f"{layer}/{curve}"]
            assert values == sorted(values) and 0 <= values[0] <= values[-1] <= 1
    # The last layer's are the network's own, on fewer samples: here on all of them.
    last = record.spectra["layer4/eigenvalues"]
    assert last == pytest.approx(record.spectra["eigenvalues"], rel=1e-3)


def test_features_of_layers_are_flattened(with_layers):
    recipe = dataclasses.replace(RECIPE, trained="all")
    batch = example(recipe, 6)
    model = assemble.network(recipe, batch, seed=0)
    found = dict(layer_features(model, Split(batch.inputs, batch.targets, batch.labels)))
    side = batch.inputs.shape[-1]
    assert found["layer1"].shape == (6, 4 * side * side)
    assert torch.equal(found["layer4"], model.eval().body(batch.inputs))
