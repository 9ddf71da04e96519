"""The data of the explorer page: every record of the book, one file of script for each experiment.

Files of script, because a page that was opened as a file may load those and nothing else.
"""

import json
from pathlib import Path

import numpy as np

from richlib.lab import records
from richlib.lab.experiments import EXPERIMENTS

METRICS = ("accuracy_train", "accuracy_test", "dlr_train", "dlr_test", "effective_dimension")
SPECTRA = ("quality", "utilization", "eigenvalues")
POINTS = 80  # of a spectrum that are drawn, evenly in the logarithm


def thinned(values):
    """[[k, value], ...] of a spectrum, from the second eigenfunction on."""
    k = np.unique(np.geomspace(1, len(values), POINTS).round().astype(int))
    return [[int(i), values[i - 1]] for i in k if i > 1]


def content(record):
    """What the page shows of a record."""
    curves = {name: values for name, values in record.curves.items() if name != "epoch"}
    epochs = record.curves["epoch"]
    shown = {
        name: [
            [epoch, value and float(f"{value:.5g}")]
            for epoch, value in zip(epochs, values, strict=True)
        ]
        for name, values in curves.items()
    }
    shown |= {name: thinned(record.spectra[name]) for name in SPECTRA if record.spectra.get(name)}
    return {
        "seed": record.seed,
        "metrics": {name: record.metrics.get(name) for name in METRICS},
        "shown": shown,
        "data": f"{record.data['name']}, {record.data['source']}"
        + (", a copy" if record.data["copy"] else ""),
        "device": record.device,
        "commit": (record.commit or "none")[:8],
    }


def experiments(folder=records.SHIPPED):
    """{experiment: {tier: {variant: [what the page shows of a seed, ...]}}} of all records."""
    found = {}
    for name, experiment in EXPERIMENTS.items():
        tiers = {}
        for tier in reversed(experiment.tiers):
            for variant in experiment.at(tier):
                try:
                    runs = records.load(name, variant, tier, folder=folder)
                except FileNotFoundError:
                    continue
                tiers.setdefault(tier, {})[variant] = [content(run) for run in runs]
        if tiers:
            found[name] = tiers
    return found


def write(folder, found):
    """One file for each experiment, and one that names them."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, tiers in found.items():
        data = json.dumps(tiers, separators=(",", ":"))
        text = f"explorer.records[{json.dumps(name)}] = {data};\n"
        (folder / f"{name}.js").write_text(text, "utf-8")
    names = {name: EXPERIMENTS[name].source for name in found}
    (folder / "names.js").write_text(f"explorer.names = {json.dumps(names)};\n", "utf-8")


def write_data(app):
    if app.builder.format == "html":
        write(Path(app.outdir) / "_static" / "explorer", experiments())


def setup(app):
    app.connect("builder-inited", write_data)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
