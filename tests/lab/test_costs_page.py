"""book/costs_table.md, which `python -m richlib.lab plan --markdown` printed, is up to date."""

from pathlib import Path

import pytest

from richlib.lab.experiments import EXPERIMENTS, TIERS
from richlib.lab.plan import costing_the_same, plan, recorded
from richlib.lab.sweep import expand

TABLE = Path(__file__).resolve().parents[2] / "book" / "costs_table.md"
RENEW = "renew it with: python -m richlib.lab plan --markdown > book/costs_table.md"


@pytest.fixture(scope="module")
def table():
    head, _, *lines = (
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in TABLE.read_text("utf-8").splitlines()
    )
    return [dict(zip(head, line, strict=True)) for line in lines]


@pytest.mark.parametrize("tier", TIERS)
def test_every_run_is_there(table, tier):
    names = expand([name for name, e in EXPERIMENTS.items() if tier in e.tiers], tier)
    expected = {frozenset(alike) for alike in costing_the_same(names, tier)}
    found = {frozenset(row["run"].split("<br>")) for row in table if row["tier"] == tier}
    assert found == expected, RENEW


def test_what_is_counted_is_what_plan_counts(table):
    for name, tier in (("encoded-labels/full", "paper"), ("accurate-not-rich/full", "pocket")):
        row = next(r for r in table if r["tier"] == tier and name in r["run"].split("<br>"))
        counted = plan(name, tier, measured_steps=0).row()
        assert counted.items() <= row.items() | {("run", name)}, RENEW


def test_recorded_times_are_those_of_the_records(table):
    for row in table:
        assert row["recorded"] == recorded(row["run"].split("<br>"), row["tier"]), RENEW
    jumps = "encoded-labels-jumps/torch-default", "encoded-labels-jumps/he-normal"
    assert recorded(jumps, "paper") == "7 to 13 min"  # 435.5 and 809.7 s
    assert recorded(("grokking/mse",), "desk") == "–"
