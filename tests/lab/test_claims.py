"""The rule that gives verdicts, at its edges."""

import dataclasses

import pytest

from richlib.lab import claims, records
from richlib.lab.claims import CLAIMS, Claim
from richlib.lab.experiments import EXPERIMENTS

claim = Claim("Table 0", "a figure", "an-experiment", "a-variant", "m", value=1.0, std=0.01)


@pytest.fixture
def folder(tmp_path):
    """Writes records with these values of the metric m, one a seed."""

    def write(*values):
        shipped = next(records.SHIPPED.glob("*/*/*.json"))
        for seed, value in enumerate(values):
            record = dataclasses.replace(
                records.read(shipped),
                experiment=claim.experiment,
                variant=claim.variant,
                tier="paper",
                seed=seed,
                metrics={"m": value},
            )
            file = records.path(tmp_path, claim.experiment, claim.variant, "paper", seed)
            records.write(record, file)
        return tmp_path

    return write


def test_no_record_no_verdict(tmp_path):
    assert claim.verdict(tmp_path) == "not yet run"
    assert claim.row(tmp_path)["here"] == "–"


@pytest.mark.parametrize(
    "values, verdict",
    [
        ((1.0, 1.0, 1.0), "reproduced"),
        ((1.049, 1.049, 1.049), "reproduced"),  # within 5%
        ((1.051, 1.051, 1.051), "partly"),  # beyond it, and beyond two standard deviations
        ((1.0, 1.1, 1.2), "reproduced"),  # a spread of 0.1 admits 0.2
        ((1.249, 1.249), "partly"),
        ((1.251, 1.251), "not reproduced"),
        ((0.2, 0.2), "not reproduced"),
        ((1.2,), "partly"),  # one seed has no spread of its own
    ],
)
def test_verdicts(folder, values, verdict):
    assert claim.verdict(folder(*values)) == verdict


def test_a_row_shows_both_figures(folder):
    percent = dataclasses.replace(claim, percent=True)
    row = percent.row(folder(0.98, 1.0, 1.02))
    assert row == {
        "Table 0": "a figure",
        "paper": "100.0 ± 1.0 %",
        "here": "100.0 ± 2.0 %",
        "verdict": "reproduced",
    }


@pytest.mark.parametrize("c", CLAIMS, ids=lambda c: f"{c.source}: {c.statement}")
def test_every_claim_names_a_recipe_and_a_metric_of_its_records(c):
    EXPERIMENTS[c.experiment].recipe(c.variant, c.tier)
    for record in c.evidence():
        assert record.metrics[c.metric] is not None


def test_table_5_is_the_papers():
    figures = [(c.value, c.std) for c in claims.TABLE_5]
    assert figures == [
        *((1.0, 0.0), (0.100, 4.3e-4), (8.7e-3, 4.0e-4)),
        *((0.987, 1.1e-3), (0.744, 1.9e-3), (0.63, 3.2e-3)),
    ]
