"""Exhibits: the same pictures and tables of live and of recorded runs."""

import dataclasses

import numpy as np
import pytest

from richlib import show
from richlib.lab import exhibits, records
from richlib.lab.__main__ import main
from richlib.lab.claims import CLAIMS, TABLE_5, VERDICTS, Elsewhere
from richlib.lab.experiments import EXPERIMENTS
from richlib.richness import ESTIMATORS

LABELS = {"rich": "full", "lazy": "last-layer"}


@pytest.fixture(scope="module")
def runs():
    return exhibits.recorded("encoded-labels", LABELS, "paper")


def test_a_table_has_mean_and_deviation_over_the_seeds(runs):
    row = exhibits.table(runs).rows[1]
    values = [100 * record.metrics["accuracy_test"] for record in runs["lazy"]]
    assert row["seeds"] == str(len(values)) == "3"
    mean, std = (float(number) for number in row["test accuracy, %"].split(" ± "))
    assert mean == pytest.approx(np.mean(values), abs=0.05)
    assert std == pytest.approx(np.std(values, ddof=1), abs=0.05)


def test_labels_are_the_paper_s_and_keep_the_colors(runs):
    spectra = exhibits.spectra(runs)
    dlr = np.mean([record.metrics["dlr_train"] for record in runs["lazy"]])
    accuracy = np.mean([record.metrics["accuracy_test"] for record in runs["lazy"]])
    assert list(spectra)[1] == f"lazy [{dlr:.2g}] ({accuracy:.1%})"
    lines = show.three_panels(spectra, C=10).axes[0].lines
    assert [line.get_color() for line in lines[:2]] == [show.RICH, show.LAZY]


def test_all_estimators_on_both_splits(runs):
    rows = exhibits.estimators(runs, paper={"rich": "0.0087", "lazy": "0.63"}).rows
    assert len(rows) == 7 and rows[0]["lazy"] == "0.63"
    shown = {(row["estimator"], row["samples"]): row["lazy"] for row in rows[1:]}
    key = "dlr_centered_projection_test"
    expected = records.plus_minus(*records.summary(runs["lazy"], key))
    assert shown[exhibits.READINGS["centered-projection"], "test"] == expected
    assert len(set(shown.values())) == 6
    assert list(exhibits.READINGS) == list(ESTIMATORS)


def test_diverged_runs_are_named_and_have_nothing_to_show(runs, tmp_path, capsys):
    lost = dataclasses.replace(runs["rich"][0], metrics={"accuracy_train_at_init": 0.1})
    lost = dataclasses.replace(lost, seed=7, spectra={}, status="diverged in epoch 2")
    for record in (lost, runs["rich"][1]):
        file = records.path(tmp_path, "encoded-labels", "full", "paper", record.seed)
        records.write(record, file)
    found = exhibits.recorded("encoded-labels", {"rich": "full"}, "paper", folder=tmp_path)
    assert [record.seed for record in found["rich"]] == [1]
    assert "rich: seed 7 diverged in epoch 2" in capsys.readouterr().out
    records.path(tmp_path, "encoded-labels", "full", "paper", 1).unlink()
    with pytest.raises(
        records.RecordError, match="encoded-labels/full at tier 'paper' diverged in epoch"
    ):
        exhibits.recorded("encoded-labels", {"rich": "full"}, "paper", folder=tmp_path)
    assert exhibits.available("encoded-labels", {"rich": "full"}, "paper", folder=tmp_path) == {}


def test_what_is_not_recorded_is_left_out_and_named(runs, tmp_path, capsys):
    record = runs["lazy"][0]
    records.write(record, records.path(tmp_path, "encoded-labels", "last-layer", "paper", 0))
    found = exhibits.available("encoded-labels", LABELS, "paper", folder=tmp_path)
    assert found == {"lazy": [record]}
    said = capsys.readouterr().out
    assert "rich: no record yet" in said and "run encoded-labels/full --tier paper" in said
    assert "lazy" not in said


def test_live_runs_are_records(monkeypatch):
    full = EXPERIMENTS["encoded-labels"]
    tiers = {"pocket": {"data": "digits", "width": 16, "epochs": 2}}
    monkeypatch.setitem(EXPERIMENTS, "short", dataclasses.replace(full, name="short", tiers=tiers))
    runs = exhibits.live("short", {"all layers": "full"}, seed=1)
    assert runs["all layers"][0].seed == 1
    assert exhibits.table(runs).rows[0][""] == "all layers"
    record = runs["all layers"][0]
    axes = show.through_training(record.spectra, C=10, epochs=(0, 2)).axes
    assert [line.get_label() for line in axes[0].lines[:3]] == ["epoch 0", "epoch 2", "end"]
    kept = record.spectra["epoch2/quality"][1:]
    assert axes[0].lines[1].get_ydata() == pytest.approx(kept)
    with pytest.raises(ValueError, match=r"epochs \[0, 1, 2\], not of \[7\]"):
        show.through_training(record.spectra, C=10, epochs=(7,))


def test_verdicts_are_the_scoreboard_s():
    rows = exhibits.verdicts("encoded_labels").rows
    of = [claim for claim in CLAIMS if claim.chapter == "encoded_labels"]
    assert [str(row["verdict"]) for row in rows] == [claim.verdict() for claim in of]
    reproduced = exhibits.VERDICT_COLORS["reproduced"]
    assert show.Dot("reproduced", reproduced) in [row["verdict"] for row in rows]
    with pytest.raises(KeyError, match="there are encoded_labels"):
        exhibits.verdicts("nothing")


def test_the_scoreboard_leads_to_the_chapter_and_to_the_explorer(tmp_path):
    claim = TABLE_5[0]
    table = exhibits.scoreboard([claim])
    (row,) = table.rows
    assert table.anchors == [claim.anchor]
    assert row["Table 5"] == show.Link(claim.statement, "../experiments/encoded_labels.html")
    assert row["runs"].text == "paper, 3 seeds"
    assert row["runs"].href.endswith("explorer.html#experiment=encoded-labels&tier=paper")
    (row,) = exhibits.scoreboard([claim], folder=tmp_path).rows
    assert (str(row["verdict"]), row["runs"]) == ("not yet run", "encoded-labels/full")


def test_a_statement_without_a_verdict_of_the_rule_has_no_color():
    assert exhibits.VERDICT_COLORS.keys() == set(VERDICTS)
    tested = next(claim for claim in CLAIMS if isinstance(claim, Elsewhere))
    assert exhibits.statements([tested]).rows == [tested.row()]


def test_what_a_tier_reduces_is_said():
    rows = exhibits.reduced("encoded-labels", "full", "desk").rows
    assert {row[""]: (row["paper"], row["desk"]) for row in rows} == {
        "width": ("1,024", "512"),
        "epochs": ("100", "10"),
    }
    assert exhibits.reduced("encoded-labels", "full", "paper").rows[0][""] == "nothing"
    own = exhibits.reduced("weight-decay", "weak", "desk").rows  # another decay by the same name
    assert "weight decay" in [row[""] for row in own]
    (row,) = (row for row in own if row[""] == "samples")
    assert (row["paper"], row["desk"]) == ("all", "2,000")


def test_one_command_draws_an_experiment_from_its_records(tmp_path, capsys):
    assert main(["draw", "target-downscaling", "--out", str(tmp_path / "new")]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    files = {file.name: file.read_text() for file in (tmp_path / "new").iterdir()}
    assert "alpha-20" in files["target-downscaling-paper.txt"]
    for kind in ("spectra", "training"):
        assert "</svg>" in files[f"target-downscaling-paper-{kind}.svg"]
    assert main(["draw", "architecture", "--out", str(tmp_path / "part")]) == 0  # the MLP's alone
    assert "resnet18" not in (tmp_path / "part" / "architecture-paper.txt").read_text()
    assert "run architecture/resnet18 --tier paper" in capsys.readouterr().out
    assert main(["draw", "target-downscaling", "--tier", "desk", "--out", str(tmp_path)]) == 1
    assert "run target-downscaling/alpha-0.2 --tier desk" in capsys.readouterr().err
