"""What is measured of a trained network, at its edges."""

import dataclasses
import math

import pytest
import torch

import richlib
from richlib.lab.experiments import EXPERIMENTS
from richlib.lab.metrics import activations, probe
from richlib.lab.run import fit, measured
from richlib.lab.tasks import Split

RECIPE = dataclasses.replace(
    EXPERIMENTS["encoded-labels"].recipe("full", "pocket"), width=16, epochs=1
)


@pytest.fixture
def trained():
    return fit(RECIPE, progress=False)


def test_the_figures_are_those_of_the_library(trained):
    metrics, _ = measured(trained)
    for name, split in (("train", trained.train), ("test", trained.test)):
        Φ, outputs = activations(trained.model, split)
        assert metrics[f"dlr_{name}"] == pytest.approx(richlib.dlr(Φ, outputs))
        right = (outputs.argmax(1) == split.labels).double().mean()
        assert metrics[f"accuracy_{name}"] == float(right)


@pytest.mark.filterwarnings("ignore::richlib.DegenerateWarning")
def test_features_that_do_not_vary_have_no_figures(trained):
    """What decay of all weights ends in: the record must be written all the same."""
    with torch.no_grad():
        for layer in trained.model.body:
            layer[0].weight.zero_()
            layer[0].bias.fill_(1.0)
    metrics, spectra = measured(trained)
    for name in ("dlr_train", "s_init_train", "effective_dimension"):
        assert math.isnan(metrics[name])
    assert len(spectra["eigenvalues"]) == 1


def test_curves_of_wide_layers_use_fewer_samples(trained, monkeypatch):
    """More features than samples: D_LR of the kernel of those samples."""
    monkeypatch.setattr("richlib.lab.metrics.WIDE", 16 * 12)
    values = probe(RECIPE, trained.model, trained.train, trained.test)
    part = Split(*(x[:12] for x in dataclasses.astuple(trained.train)))
    Φ, outputs = activations(trained.model, part)
    assert Φ.shape == (12, 16)
    assert values["dlr_train"] == pytest.approx(richlib.dlr(Φ, outputs), abs=1e-6)
