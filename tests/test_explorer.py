"""The data of the explorer page are those of the records."""

import json

import explorer
import numpy as np
import pytest

from richlib.lab import records


def test_every_record_is_there():
    found = explorer.experiments()
    files = [f for f in records.SHIPPED.glob("*/*/*.json")]
    seeds = [
        (name, variant, tier, run["seed"])
        for name, tiers in found.items()
        for tier, variants in tiers.items()
        for variant, runs in variants.items()
        for run in runs
    ]
    assert len(seeds) == len(set(seeds)) == len(files)


def test_values_are_those_of_the_record():
    record = records.load("encoded-labels", "last-layer", "paper")[1]
    shown = explorer.experiments()["encoded-labels"]["paper"]["last-layer"][1]
    assert shown["seed"] == record.seed == 1
    assert shown["metrics"]["dlr_test"] == record.metrics["dlr_test"]
    epochs, values = zip(*shown["shown"]["dlr_train"], strict=True)
    assert list(epochs) == record.curves["epoch"]
    assert values == pytest.approx(record.curves["dlr_train"], rel=1e-4)
    for k, value in shown["shown"]["eigenvalues"]:
        assert value == record.spectra["eigenvalues"][k - 1]


def test_spectra_are_thinned_evenly_in_the_logarithm():
    thinned = explorer.thinned(list(np.arange(1.0, 1001.0)))
    ks = [k for k, _ in thinned]
    assert ks[:4] == [2, 3, 4, 5] and ks[-1] == 1000 and len(ks) < explorer.POINTS
    assert all(value == k for k, value in thinned)
    assert explorer.thinned([1.0]) == []


def test_files_are_script_that_adds_the_data(tmp_path):
    found = explorer.experiments()
    explorer.write(tmp_path / "new", found)
    text = (tmp_path / "new" / "encoded-labels.js").read_text("utf-8")
    head, data = text.removesuffix(";\n").split(" = ", 1)
    assert head == 'explorer.records["encoded-labels"]'
    assert json.loads(data) == found["encoded-labels"]
    names = (tmp_path / "new" / "names.js").read_text("utf-8")
    assert (
        "Figure 1, Table 5" in names and len(list((tmp_path / "new").iterdir())) == len(found) + 1
    )
