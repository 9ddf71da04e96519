"""The rule that gives verdicts, at its edges; what is read off records; the paper's tables."""

import dataclasses
import math
import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from richlib.lab import __main__ as command_line
from richlib.lab import claims, records
from richlib.lab.claims import CLAIMS, Claim, Direction, Elsewhere, Term, bounds, measures, rule
from richlib.lab.experiments import EXPERIMENTS

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = dataclasses.replace(  # a record, and short, so that it is checked quickly
    records.read(next(records.SHIPPED.glob("*/*/*.json"))), curves={"epoch": [0]}, spectra={}
)
NUMBERS = [c for c in CLAIMS if isinstance(c, Claim)]
DIRECTIONS = [c for c in CLAIMS if isinstance(c, Direction)]

claim = Claim("Table 0", "a figure", "an-experiment", "a-variant", "m", value=1.0, std=0.01)
order = Direction(
    "Figure 0", "a below b", "an-experiment", (Term("m", ("a",)), Term("m", ("b",))), (1.0, 2.0)
)


def said(c):
    return f"{c.source}: {c.statement}"


@pytest.fixture
def write(tmp_path):
    """Writes records of the metric m: one for each seed, None for a seed without a record."""

    def write(*values, variant="a-variant", tier="paper", **changes):
        for seed, value in enumerate(values):
            of = {"variant": variant, "tier": tier, "seed": seed, "metrics": {"m": value}} | changes
            record = dataclasses.replace(SHIPPED, experiment=claim.experiment, **of)
            if value is not None:
                file = records.path(tmp_path, claim.experiment, variant, tier, seed)
                records.write(record, file)
        return tmp_path

    return write


# The rule for numbers


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
        ((math.nan, 1.0), "not reproduced"),
    ],
)
def test_verdicts_on_numbers(write, values, verdict):
    assert claim.verdict(write(*values)) == verdict


def test_a_number_without_a_spread_is_compared_by_its_size(write):
    without = dataclasses.replace(claim, std=math.nan)
    wide = dataclasses.replace(claim, std=0.1)
    folder = write(1.1, 1.1)
    assert (without.verdict(folder), wide.verdict(folder)) == ("partly", "reproduced")


def test_numbers_are_compared_at_the_paper_tier_only(write):
    folder = write(1.0, 1.0, tier="desk")
    write(7.0, tier="pocket")
    assert claim.verdict(folder) == "smaller run only" and not claim.evidence(folder)
    row = claim.row(folder)
    assert (row["here"], row["tier"], row["seeds"]) == ("1 ± 0", "desk", "2")
    write(5.0)
    assert claim.row(folder)["here"] == "5" and claim.verdict(folder) == "not reproduced"


def test_a_run_that_diverged_has_no_figures(write):
    folder = write(1.0, 1.0, status="diverged in epoch 3")
    assert claim.verdict(folder) == "not reproduced"
    # Not even a direction that its figures would have followed.
    write(1.0, variant="a")
    write(2.0, variant="b", status="diverged in epoch 3")
    assert order.verdict(folder) == "not reproduced"


def test_a_row_shows_both_figures(write):
    percent = dataclasses.replace(claim, percent=True)
    assert percent.row(write(0.98, 1.0, 1.02)) == {
        "Table 0": "a figure",
        "paper": "100.0 ± 1.0 %",
        "here": "100.0 ± 2.0 %",
        "tier": "paper",
        "seeds": "3",
        "verdict": "reproduced",
    }


@pytest.mark.parametrize(
    "mean, std, shown",
    [
        (7.1e-18, 1.1e-18, "(7.1 ± 1.1)e-18"),
        (1.2e5, 7.2e2, "(1.2000 ± 0.0072)e5"),
        (2e-4, math.nan, "2e-4"),
        (1e-3, 1e-4, "0.00100 ± 0.00010"),
        (9999.0, 10.0, "9999 ± 10"),
        (0.0, 0.0, "0 ± 0"),
        (math.nan, math.nan, "nan"),
    ],
)
def test_numbers_of_any_size_are_readable(mean, std, shown):
    assert rule._shown(mean, std, percent=False) == shown


def test_a_record_that_changed_is_read_again(write):
    assert claim.verdict(write(1.0)) == "reproduced"
    assert claim.verdict(write(9.0)) == "not reproduced"


# The rule for directions


@pytest.mark.parametrize(
    "a, b, verdict",
    [
        ((1.0, 5.0, 2.0), (2.0, 6.0, 2.1), "reproduced"),  # whatever the seeds differ
        ((1.0,), (2.0,), "reproduced"),
        ((1.0, 5.0, 3.0), (2.0, 9.0, 2.9), "partly"),  # not at seed 2
        ((1.0, 2.0), (1.0, 3.0), "partly"),  # equal is not below
        ((1.0, 2.0), (1.0, 2.0), "not reproduced"),
        ((1.0, 1.0), (2.0, -1.0), "not reproduced"),  # one seed of two, and not the means
        ((1.0, 1.0, 1.0), (2.0, 2.0, -9.0), "not reproduced"),  # two of three are not the mean
        ((2.0,), (1.0,), "not reproduced"),
        ((1.0, math.nan), (2.0, 2.0), "not reproduced"),
        ((1.0, None), (None, 2.0), "not yet run"),  # no seed in common
        ((1.0, 9.0), (2.0, None), "reproduced"),  # in the one that is
    ],
)
def test_verdicts_on_directions(write, a, b, verdict):
    write(*a, variant="a")
    assert order.verdict(write(*b, variant="b")) == verdict


def test_a_direction_needs_all_it_names(write):
    folder = write(1.0, variant="a")
    assert order.verdict(folder) == "not yet run"
    assert order.row(folder) == {
        "Figure 0": "a below b",
        "paper": "1, 2",
        "here": "–",
        "tier": "–",
        "seeds": "–",
        "verdict": "not yet run",
    }


def test_the_highest_tier_with_all_records_decides(write):
    for tier, b in (("pocket", 0.0), ("desk", 2.0)):
        write(1.0, variant="a", tier=tier)
        folder = write(b, variant="b", tier=tier)
        expected = "reproduced" if b > 1 else "not reproduced"
        assert (order.row(folder)["tier"], order.verdict(folder)) == (tier, expected)
    write(3.0, variant="a", tier="paper")  # b is missing there
    assert order.row(folder)["tier"] == "desk"
    write(2.0, variant="b", tier="paper")
    assert (order.row(folder)["tier"], order.verdict(folder)) == ("paper", "not reproduced")


def test_three_terms_have_to_rise_in_both_steps(write):
    terms = tuple(Term("m", (v,)) for v in "abc")
    three = dataclasses.replace(order, terms=terms)
    write(1.0, variant="a"), write(3.0, variant="b")
    assert three.verdict(write(2.0, variant="c")) == "not reproduced"
    assert three.verdict(write(4.0, variant="c")) == "reproduced"


def test_a_bound_is_a_term_and_not_shown(write):
    bounded = dataclasses.replace(order, terms=(0.5, Term("m", ("a",)), 0.75), printed=())
    folder = write(0.6, 0.8, variant="a")
    assert bounded.verdict(folder) == "partly"
    row = bounded.row(folder)
    assert (row["paper"], row["here"], row["seeds"]) == ("no number", "0.7", "2")
    assert dataclasses.replace(bounded, percent=True).row(folder)["here"] == "70 %"


def test_a_term_may_compare_two_variants_at_one_seed(write):
    ratio = Term(lambda a, b: b.metrics["m"] / a.metrics["m"], ("a", "b"))
    write(1.0, 10.0, variant="a")
    folder = write(3.0, 30.0, variant="b")
    assert dataclasses.replace(order, terms=(2.9, ratio, 3.1)).verdict(folder) == "reproduced"
    assert dataclasses.replace(order, terms=(3.1, ratio)).verdict(folder) == "not reproduced"


# What is read off records


def run(**changes):
    """A record, made up; of a recipe it needs what the measures look at."""
    recipe = {"data": "digits"} | changes.pop("recipe", {})
    return dataclasses.replace(SHIPPED, recipe=recipe, **changes)


def spectra(quality=(), utilization=(), eigenvalues=(), prefix=""):
    values = {"quality": quality, "utilization": utilization, "eigenvalues": eigenvalues}
    return {f"{prefix}{key}": list(value) for key, value in values.items()}


TEN = [k / 20 for k in range(1, 21)]  # 0.5 at ten


@pytest.mark.parametrize(
    "recipe, C",
    [
        ({"data": "mnist"}, 10),
        ({"data": "cifar100"}, 100),
        ({"data": "mod-97-division"}, 97),
        ({"data": "mod-23-division"}, 23),
        ({"data": "mnist", "scalar": True}, 2),
        ({"data": "mnist", "scalar": False}, 10),
    ],
)
def test_minimal_number_of_features(recipe, C):
    assert measures.minimal(run(recipe=recipe)) == C


def test_quality_and_utilization_at_C():
    record = run(spectra=spectra(quality=TEN, utilization=[0.3, 0.6]))
    assert measures.quality(record) == 0.5
    assert measures.utilization(record) == 0.6  # the rank ends at two, and the curve with it
    scalar = run(recipe={"scalar": True}, spectra=spectra(quality=TEN))
    assert measures.quality(scalar) == 0.1


@pytest.mark.parametrize(
    "eigenvalues, step",
    [
        ([1.0] * 8 + [0.8, 0.5, 0.1, 0.01], 0.125),  # ρ_11 / ρ_9
        ([50.0] + [1.0] * 9 + [0.1], 0.1),  # the constant first
        ([1.0] * 9 + [0.15, 0.1], 0.1),  # the constant last
        ([1.0] * 10, 0.0),
    ],
)
def test_eigenvalue_step(eigenvalues, step):
    assert measures.eigenvalue_step(run(spectra=spectra(eigenvalues=eigenvalues))) == step


def test_dead_features_have_no_shape():
    dead = run(spectra=spectra())
    assert math.isnan(measures.eigenvalue_step(dead))
    assert math.isnan(measures.utilization(dead)) and math.isnan(measures.quality(dead))


def test_utilization_dimension_counts_equal_shares():
    cumulative = [*np.linspace(0.1, 1.0, 10), 1.0, 1.0]  # ten, a tenth each, then nothing
    record = run(spectra=spectra(utilization=cumulative))
    assert measures.utilization_dimension(record) == pytest.approx(10)


@pytest.mark.parametrize(
    "shares, correlation",
    [((9, 4, 3, 2, 1), 1.0), ((9, 1, 2, 3, 4), -1.0), ((0, 40, 3, 2, 1), 1.0)],
)
def test_following_intensity_compares_ranks_after_the_constant(shares, correlation):
    record = run(spectra=spectra(quality=np.cumsum(shares)))
    assert measures.following_intensity("quality")(record) == pytest.approx(correlation)


def test_equal_shares_have_equal_ranks():
    assert measures._ranks(np.array([5.0, 0.0, 0.0, 2.0])).tolist() == [4, 1.5, 1.5, 3]
    with np.errstate(invalid="ignore"):  # nothing can follow what is the same everywhere
        flat = run(spectra=spectra(quality=[0.5] + [0.5] * 5))
        assert math.isnan(measures.following_intensity("quality")(flat))


CURVES = {
    "epoch": [0, 1, 5, 10],
    "accuracy_train": [0.1, 0.98, 0.99, 1.0],
    "dlr_train": [0.5, 0.2, 0.3, 0.4],
}


def test_points_of_curves():
    record = run(curves=CURVES)
    assert measures.at_epoch(5, "dlr_train")(record) == 0.3
    assert math.isnan(measures.at_epoch(20, "dlr_train")(record))  # training ended before
    assert measures.final("dlr_train")(record) == 0.4
    assert measures.rise("dlr_train")(record) == pytest.approx(0.2)
    with pytest.raises(ValueError):
        measures.at_epoch(2, "dlr_train")(record)


def test_spectra_during_training():
    found = spectra(utilization=TEN, eigenvalues=range(20, 0, -1))
    found |= spectra(
        utilization=[0.0] * 9 + [0.7, 1.0], eigenvalues=[9, 8, *[2] * 9], prefix="epoch5/"
    )
    record = run(spectra=found, curves=CURVES)
    assert measures.spectrum_at(5, measures.utilization)(record) == 0.7
    assert math.isnan(measures.spectrum_at(20, measures.utilization)(record))
    assert measures.utilization(record) == 0.5
    assert measures.unevenness(record) == 19 / 11  # ρ_2 / ρ_10
    assert measures.spectrum_at(5, measures.unevenness)(record) == 4
    assert measures.unevenness(run(spectra=spectra(eigenvalues=[1.0] * 9))) == math.inf
    both = measures.least(measures.utilization, measures.spectrum_at(5, measures.utilization))
    assert both(record) == 0.5
    assert math.isnan(measures.least(measures.utilization, lambda record: math.nan)(record))
    with pytest.raises(KeyError, match="utilization"):
        measures.spectrum_at(7, measures.utilization)(record)


def layered(*values):
    """A record whose layers have these values of Π̂(C), besides the last layer's own spectra."""
    found = spectra(utilization=[9.9] * 10)
    for number, value in enumerate(values, start=1):
        found |= spectra(utilization=[0.0] * 9 + [value, 1.0], prefix=f"layer{number}/")
    return run(spectra=found)


def test_layers():
    record = layered(0.2, 0.5, 0.4, 0.9)
    assert [measures.layer(l, "utilization")(record) for l in (1, 2, -1)] == [0.2, 0.5, 0.9]
    assert measures.between(1, -1, "utilization")(record) == pytest.approx(0.7)
    assert measures.between(2, 3, "utilization")(record) == pytest.approx(-0.1)
    assert measures.variation(1, 3, "utilization")(record) == pytest.approx(0.3)
    assert measures.variation(2, 4, "utilization")(record) == pytest.approx(0.5)
    assert measures.largest_before_the_last("utilization")(record) == 0.5


def test_layers_are_not_taken_for_epochs():
    record = layered(0.2, 0.9)
    record.spectra.update(spectra(utilization=[0.5] * 10, prefix="epoch1/"))
    assert measures.between(1, -1, "utilization")(record) == pytest.approx(0.7)
    assert measures.layer(1, "utilization")(record) == 0.2


def test_differences_of_two_networks_by_layer():
    a, b = layered(0.2, 0.5, 0.9), layered(0.3, 0.1, 0.4)
    assert measures.difference_in_the_last("utilization")(a, b) == pytest.approx(0.5)
    assert measures.difference_before_the_last("utilization")(a, b) == pytest.approx(0.4)
    assert measures.difference_before_the_last("utilization")(b, a) == pytest.approx(0.4)


def test_a_factor_is_the_same_both_ways():
    a, b = run(metrics={"m": 2.0}), run(metrics={"m": 10.0})
    assert measures.factor("m")(a, b) == measures.factor("m")(b, a) == 5


@pytest.mark.parametrize(
    "bound, values, verdict",
    [
        (bounds.rich, {"dlr_train": 0.09}, "reproduced"),
        (bounds.rich, {"dlr_train": 0.11}, "not reproduced"),
        (bounds.lazy, {"dlr_train": 0.11}, "reproduced"),
        (bounds.only_C, {"utilization": 0.96}, "reproduced"),
        (bounds.only_C, {"utilization": 0.94}, "not reproduced"),
        (bounds.more, {"utilization": 0.94}, "reproduced"),
        (bounds.significant, {"step": 0.09}, "reproduced"),
        (bounds.significant, {"step": 0.11}, "not reproduced"),
    ],
)
def test_words_as_bounds(write, bound, values, verdict):
    found = spectra(
        utilization=[0.0] * 9 + [values.get("utilization", 1.0)],
        eigenvalues=[1.0] * 10 + [values.get("step", 0.0)],
    )
    changes = {"spectra": found, "recipe": SHIPPED.recipe | {"data": "mnist"}}
    folder = write(values.get("dlr_train", 0.0), metrics=values, variant="a", **changes)
    assert dataclasses.replace(order, terms=bound("a"), printed=()).verdict(folder) == verdict


def test_decay_is_the_exponent_of_a_power_law():
    def at(n):
        metrics = {"accuracy_test": 1 - n**-0.5, "loss_test": 3 * n**-0.25}
        return run(recipe={"samples": n}, metrics=metrics)

    assert measures.decay("error_test")(at(100), at(1000)) == pytest.approx(0.5)
    assert measures.decay("loss_test")(at(100), at(1000)) == pytest.approx(0.25)


# The claims


@pytest.mark.parametrize("c", NUMBERS, ids=said)
def test_every_number_names_a_recipe_and_a_metric_of_its_records(c):
    EXPERIMENTS[c.experiment].recipe(c.variant, c.tier)
    for record in c.shown()[1]:
        assert record.status != "finished" or not math.isnan(c._values([record])[0])


@pytest.mark.parametrize("c", DIRECTIONS, ids=said)
def test_every_direction_names_recipes_of_a_common_tier(c):
    experiment = EXPERIMENTS[c.experiment]
    for variant in c.variants:
        experiment.recipe(variant, "paper")
    measured = [term for term in c.terms if isinstance(term, Term)]
    assert len(c.terms) > 1 and measured
    assert len(c.printed) in (0, len(measured))
    assert c.row()["verdict"] in claims.VERDICTS


@pytest.mark.parametrize("c", DIRECTIONS, ids=said)
def test_what_a_direction_prints_is_what_the_tables_have_and_rises(c):
    assert list(c.printed) == sorted(c.printed)
    of = {(n.experiment, n.variant, n.metric): n.value for n in NUMBERS}
    terms = [term for term in c.terms if isinstance(term, Term)]
    for term, printed in zip(terms, c.printed, strict=False):
        if len(term.variants) == 1 and isinstance(term.metric, str) and c.experiment != "grokking":
            assert printed == of[c.experiment, term.variants[0], term.metric]


def test_no_claim_is_made_twice():
    assert len({said(c) for c in CLAIMS}) == len(CLAIMS)


def test_layers_are_read_off_records_that_have_them():
    """Figs. 18 to 21 need experiments that record every layer."""
    for c in DIRECTIONS:
        if c.chapter == "layers":
            assert EXPERIMENTS[c.experiment].layers


def test_every_figure_is_claimed_or_named_as_a_drawing():
    numbers = {int(c.source.split()[1]) for c in claims.FIGURES}
    drawings = {
        int(n) for n in re.search(r"Figs\. (\d+) and (\d+) are dr", claims.__doc__).groups()
    }
    assert numbers | drawings == set(range(1, 26))
    assert not numbers & drawings


# The numbers, read from the paper a second time. Tables 5 to 7 are Fig. 1b and Tables 1 and 2 with
# standard deviations, and Tr(Σ_W); Table 3 here has those of Table 8 behind its D_LR.
TABLE_5 = """
    100 ± 0 % | 10.0 ± 4.3e-2 % | 8.7e-3 ± 4.0e-4
    98.7 ± 0.11 % | 74.4 ± 0.19 % | 6.3e-1 ± 3.2e-3
"""
TABLE_6 = """
    10.0 ± 0.8 % | 10.2 ± 0.27 %
    9.85 ± 1.0 % | 10.0 ± 0.33 %
    0.59 ± 1.6e-2 | 1.0 ± 6.4e-5
    1.0 ± 0 | 0.20 ± 1.1e-2
    3.1e3 ± 3.5e2 | 2.2e-5 ± 2.5e-9
    1.2e5 ± 7.2e2 | 7.5e-14 ± 1.5e-14
    15.6 ± 1.4 | 7.1e-18 ± 1.1e-18
"""
TABLE_7 = """
    100 ± 0 % | 100 ± 0 % | 100 ± 0 %
    92.7 ± 3.4e-2 % | 92.4 ± 5.2e-2 % | 88.3 ± 3.7e-1 %
    4.9e-2 ± 4.4e-3 | 1.1e-1 ± 9.4e-3 | 5.6e-1 ± 6.1e-2
    6.8e-2 ± 2.1e-3 | 4.1e-2 ± 4.5e-3 | 5.2e-2 ± 1.8e-2
    3.4e3 ± 1.1e1 | 3.2e3 ± 4.4 | 3.2e3 ± 2.0
    2.3e4 ± 4.1e3 | 3.2e3 ± 4.3e2 | 8.1e2 ± 1.4e2
    2.0 ± 0.25 | 3.1e-1 ± 2.3e-2 | 1.2e-1 ± 1.2e-2
"""
TABLE_3 = """
    100 % | 5.2 % | 0.51 ± 0.04
    100 % | 99.8 % | 0.11 ± 0.01
    100 % | 66.3 % | 0.053 ± 0.01
    100 % | 78.3 % | 0.025 ± 0.004
    100 % | 74.5 % | 0.039 ± 0.007
    100 % | 93.5 % | 0.05 ± 0.003
    100 % | 94.1 % | 0.015 ± 0.003
    100 % | 94.8 % | 0.003 ± 0.001
    100 % | 94.8 % | 0.026 ± 0.003
    99.8 % | 55.4 % | 0.48 ± 0.07
    100 % | 95.0 % | 0.031 ± 0.004
    100 % | 66.1 % | 0.042 ± 0.003
    100 % | 9.5 % | 0.034 ± 0.004
    100 % | 99.1 % | 0.043 ± 0.005
    99.7 % | 96.8 % | 0.51 ± 0.008
    99.5 % | 21.7 % | 0.66 ± 0.01
    100 % | 72.0 % | 0.073 ± 0.002
"""
TABLE_4 = """
    10.1 | 10.0 | 4.4e-3 | 99.7 %
    10.0 | 10.0 | 1.8e-2 | 99.4 %
    10.4 | 10.0 | 3.1e-3 | 94.8 %
    10.0 | 10.0 | 1.1e-3 | 93.3 %
    99.9 | 99.7 | 2.5e-2 | 78.3 %
    95.8 | 99.4 | 7.4e-2 | 71.9 %
"""


def cells(table):
    """(value, standard deviation or nan) of every cell, row after row; percentages as fractions."""
    found = []
    for cell in re.split(r"[|\n]", table.strip()):
        unit = 100 if "%" in cell else 1
        value, _, std = cell.replace("%", "").partition("±")
        found.append((float(value) / unit, float(std or "nan") / unit))
    return found


@pytest.mark.parametrize("table", ["TABLE_3", "TABLE_4", "TABLE_5", "TABLE_6", "TABLE_7"])
def test_every_cell_of_the_tables_is_a_claim(table):
    stated = [(c.value, c.std) for c in getattr(claims, table)]
    np.testing.assert_allclose(stated, cells(globals()[table]), rtol=1e-12, equal_nan=True)


# The rows of Table 3 in the paper's order, as what the recipe of each has to say.
ROWS_OF_TABLE_3 = [
    *[("mod-97-division", "transformer", {"loss": "mse"})] * 2,
    *[("cifar100", "resnet18", {"learning_rate": lr}) for lr in (0.005, 0.05, 0.2)],
    *[("cifar10", "resnet18", {"weight_decay": d}) for d in (0, 1e-4, 1e-3)],
    *[("cifar10", model, {}) for model in ("resnet18", "mlp")],
    *[("cifar10", "resnet18", {"shuffled": s}) for s in (0, 0.1, 1)],
    *[("mnist", "cnn", {"trained": trained}) for trained in ("all", "last-layer")],
    *[("cifar100", model, {}) for model in ("vgg16", "vgg16-bn")],
]


def test_the_rows_of_table_3_are_of_its_conditions():
    for i, c in enumerate(claims.TABLE_3):
        data, model, more = ROWS_OF_TABLE_3[i // 3]
        recipe = EXPERIMENTS[c.experiment].recipe(c.variant, "paper")
        stated = {"data": data, "model": model} | more
        assert stated.items() <= dataclasses.asdict(recipe).items()
        metric = ("accuracy_train", "accuracy_test", "dlr_train")[i % 3]
        if c.experiment == "grokking":  # its steps are read as epochs
            curves = {"epoch": [200, 3000], metric: [1.0, 2.0]}
            assert c.metric(run(curves=curves)) == i // 3 + 1
        else:
            assert c.metric == metric


def test_s_init_is_read_in_two_ways():
    cells = [c for c in (*claims.TABLE_6, *claims.TABLE_7) if c.metric == "s_init_train"]
    for cell, other in zip(cells, claims.OF_NEURONS, strict=True):
        assert (other.value, other.std, other.variant) == (cell.value, cell.std, cell.variant)
        assert other.metric == "s_init_neurons_train" and other.source != cell.source


def test_the_rows_of_table_4_are_of_its_networks():
    networks = ("resnet18", "vgg16-bn")
    rows = [(model, data) for data in ("mnist", "cifar10", "cifar100") for model in networks]
    for i, c in enumerate(claims.TABLE_4):
        recipe = EXPERIMENTS[c.experiment].recipe(c.variant, "paper")
        assert (recipe.model, recipe.data) == rows[i // 4]
        dimension = measures.utilization_dimension
        metrics = ("effective_dimension", dimension, "dlr_train", "accuracy_test")
        assert c.metric == metrics[i % 4]


# The pages and the command line


def test_anchors_are_plain_and_one_for_each_claim():
    anchors = [claim.anchor for claim in claims.CLAIMS]
    assert len(set(anchors)) == len(anchors)
    assert all(re.fullmatch(r"[a-z0-9_-]+", anchor) for anchor in anchors)
    assert "table-5-rich-test-accuracy" in anchors


def test_the_pages_are_those_of_the_table_of_contents():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text("utf-8"))
    files = [chapter["file"] for part in toc["parts"] for chapter in part["chapters"]]
    chapters = {name for name in files if name.startswith("notebooks/")}
    chapters -= {"notebooks/experiments/scoreboard"}  # where the links are
    listed = {f"notebooks/{name}" for name in claims.PAGES}
    assert listed == chapters, "bring PAGES in richlib/lab/claims/rule.py up to date with _toc.yml"


def test_only_chapters_that_exist_have_a_page():
    assert claims.page("encoded_labels") == "../experiments/encoded_labels.html"
    assert claims.page("nystrom") == "../foundations/nystrom.html"
    assert claims.page("labels") is None  # the end of a name is no name


def test_every_claim_names_a_chapter():
    to_come = {
        *("grokking", "learning_rate", "feature_evolution", "weight_decay", "architecture"),
        *("shuffled_labels", "accurate_not_rich", "batch_normalization", "samples"),
        *("regression", "cross_entropy", "layers"),
    }
    assert all(claims.page(c.chapter) or c.chapter in to_come for c in CLAIMS)


def test_what_chapters_decide_is_tested_there():
    elsewhere = [c for c in CLAIMS if isinstance(c, Elsewhere)]
    assert elsewhere
    for c in elsewhere:
        assert (ROOT / "tests" / c.test).exists() and claims.page(c.chapter) and c.found
        assert c.row()["verdict"] == "tested in its chapter"


def test_what_is_to_run_is_named_as_the_command_line_does(write, tmp_path):
    assert claim.to_run(tmp_path) == "an-experiment/a-variant"
    assert order.to_run(tmp_path) == "an-experiment/a, an-experiment/b"
    write(1.0, variant="a", tier="desk")
    assert order.to_run(tmp_path) == "an-experiment/b"
    write(None, 1.0, variant="b", tier="desk")  # no seed in common
    assert order.to_run(tmp_path) == "an-experiment/a, an-experiment/b"


def test_the_report_prints_every_claim(tmp_path, capsys):
    assert command_line.main(["report", "--folder", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert all(c.statement in printed and c.chapter in printed for c in CLAIMS)
    assert printed.count("not yet run") == len(NUMBERS) + len(DIRECTIONS)
    assert "tier" in printed.splitlines()[0]
