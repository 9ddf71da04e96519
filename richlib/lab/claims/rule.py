"""One rule for every statement of the paper, so that no verdict is chosen by hand.

A number is compared at the paper tier only. With m ± s over our seeds and M ± S in the paper (S is
0 where the paper gives none):

- reproduced: |m − M| ≤ 2 √(s² + S²), or within 5% of M. The second clause is there because seeds
  do not move what the paper leaves unsaid (width, initialization), and those move the figures.
- partly: within 25% of M.
- not reproduced: otherwise.
- smaller run only: there are records of a lower tier. Their mean is shown, and not compared: orders
  are what a smaller run can decide.
- not yet run: there is no record.

A direction says that quantities rise in a given order. It is decided at the highest tier at which
all that it names was run (paper, then desk, then pocket), within each seed that they share, because
a network differs more from seed to seed than from variant to variant:

- reproduced: the order, strictly, in every seed.
- partly: not in every seed, but for the means over the seeds.
- not reproduced: otherwise.
- not yet run: at no tier are there records of all of it.

A run that diverged has no figures: whatever is said of it is not reproduced.
"""

import functools
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from richlib.lab import records
from richlib.lab.recipe import TIERS
from richlib.lab.records import SHIPPED, Record

VERDICTS = ("reproduced", "partly", "not reproduced", "smaller run only", "not yet run")

# The chapters, as _toc.yml has them.
PAGES = (
    *("foundations/features_are_functions", "foundations/linear_models"),
    *("foundations/feature_kernel", "foundations/richness", "foundations/neural_collapse"),
    *("foundations/nystrom", "foundations/learning_a_step"),
    *("experiments/encoded_labels", "experiments/earlier_measures", "experiments/grokking"),
    *("experiments/learning_rate", "experiments/feature_evolution", "experiments/weight_decay"),
    *("experiments/architecture", "experiments/shuffled_labels", "experiments/accurate_not_rich"),
    *("experiments/batch_normalization", "experiments/samples", "experiments/regression"),
    *("experiments/cross_entropy", "experiments/layers", "experiments/your_own_network"),
)

# The name of a record's metric, or what reads a number off one record, or off several of one seed.
Metric = str | Callable[..., float]


def page(chapter: str) -> str | None:
    """The address of a chapter's page, from the page of another one; None if it is to come."""
    return next((f"../{p}.html" for p in PAGES if p.endswith(f"/{chapter}")), None)


class Anchored:
    """What has a place on the scoreboard, by its source and statement."""

    @property
    def anchor(self) -> str:
        """The name of its row there, as links have it."""
        words = f"{self.source} {self.statement}".translate(_SPELLED).lower()
        return re.sub(r"[^a-z0-9_]+", "-", words).strip("-")


_SPELLED = str.maketrans({"α": "alpha", "θ": "theta", "Π": "pi", "ρ": "rho", "Σ": "sigma"})
_SPELLED |= str.maketrans({"̂": "hat", "*": "star", ".": "_"})


@dataclass(frozen=True)
class Claim(Anchored):
    """One figure of the paper: `value` ± `std`, and the metric of our records it stands for.

    std: nan where the paper gives none. percent: whether it is shown as a percentage; the values
    are fractions all the same. chapter: the notebook about it.
    """

    source: str
    statement: str
    experiment: str
    variant: str
    metric: Metric
    value: float
    std: float = math.nan
    percent: bool = False
    tier: str = "paper"
    chapter: str = ""

    def to_run(self, folder: Path = SHIPPED) -> str:
        """What would decide it and has no record, as the command line names it."""
        return f"{self.experiment}/{self.variant}"

    def evidence(self, folder: Path = SHIPPED) -> list[Record]:
        """The records that decide it; empty where it was not run yet."""
        return _found(self.experiment, self.variant, self.tier, folder)

    def shown(self, folder: Path = SHIPPED) -> tuple[str, list[Record]]:
        """The highest tier with records, and those: of a lower one, they decide nothing."""
        for tier in reversed(TIERS[: TIERS.index(self.tier) + 1]):
            if found := _found(self.experiment, self.variant, tier, folder):
                return tier, found
        return "–", []

    def verdict(self, folder: Path = SHIPPED) -> str:
        """One of VERDICTS, by the rule above."""
        if not (found := self.evidence(folder)):
            return "smaller run only" if self.shown(folder)[1] else "not yet run"
        mean, std = _mean_and_std(self._values(found))
        distance = abs(mean - self.value)
        spread = math.hypot(*(0.0 if math.isnan(s) else s for s in (std, self.std)))
        if distance <= max(2 * spread, 0.05 * abs(self.value)):
            return "reproduced"
        return "partly" if distance <= 0.25 * abs(self.value) else "not reproduced"

    def row(self, folder: Path = SHIPPED) -> dict[str, str]:
        """One line of a table: the statement, the paper's figure, ours, the verdict."""
        tier, found = self.shown(folder)
        return {
            self.source: self.statement,
            "paper": _shown(self.value, self.std, self.percent),
            "here": _shown(*_mean_and_std(self._values(found)), self.percent) if found else "–",
            "tier": tier,
            "seeds": str(len(found)) if found else "–",
            "verdict": self.verdict(folder),
        }

    def _values(self, found: list[Record]) -> list[float]:
        return [_value(self.metric, record) for record in found]


@dataclass(frozen=True)
class Term:
    """One quantity of a direction: a metric of a variant, or of several variants at one seed."""

    metric: Metric
    variants: tuple[str, ...]

    def of(self, runs: dict[str, Record]) -> float:
        return _value(self.metric, *(runs[variant] for variant in self.variants))


def rising(metric: Metric, *variants: str) -> tuple[Term, ...]:
    """The terms of a direction: one metric, larger from each variant to the next."""
    return tuple(Term(metric, (variant,)) for variant in variants)


@dataclass(frozen=True)
class Direction(Anchored):
    """An order that the paper states or shows: `terms` rise strictly from the first to the last.

    A term may also be a plain number, as a bound. printed: what the paper prints for the terms, in
    their order and without bounds; empty where it has a figure or a sentence only.
    """

    source: str
    statement: str
    experiment: str
    terms: tuple[Term | float, ...]
    printed: tuple[float, ...] = ()
    percent: bool = False
    chapter: str = ""

    @property
    def variants(self) -> list[str]:
        """The variants it speaks of, in order."""
        terms = [term for term in self.terms if isinstance(term, Term)]
        return list(dict.fromkeys(variant for term in terms for variant in term.variants))

    def to_run(self, folder: Path = SHIPPED) -> str:
        """What would decide it and has no record at any tier, as the command line names it; all
        that it speaks of, where the records have no tier or seed in common.
        """
        without = [
            variant
            for variant in self.variants
            if not any(_found(self.experiment, variant, tier, folder) for tier in TIERS)
        ]
        return ", ".join(f"{self.experiment}/{variant}" for variant in without or self.variants)

    def evidence(self, folder: Path = SHIPPED) -> tuple[str, list[dict[str, Record]]]:
        """The highest tier at which every variant was run, and there, for each seed that all of
        them have, the records by variant; ("–", []) where it was not run yet.
        """
        for tier in reversed(TIERS):
            of = {
                variant: {r.seed: r for r in _found(self.experiment, variant, tier, folder)}
                for variant in self.variants
            }
            if seeds := set.intersection(*map(set, of.values())):
                return tier, [{v: runs[seed] for v, runs in of.items()} for seed in sorted(seeds)]
        return "–", []

    def verdict(self, folder: Path = SHIPPED) -> str:
        """By the rule above: any of VERDICTS but "smaller run only"."""
        _, seeds = self.evidence(folder)
        if not seeds:
            return "not yet run"
        steps = np.diff(self._values(seeds), axis=1)  # (seeds, terms - 1)
        if (steps > 0).all():
            return "reproduced"
        return "partly" if (steps.mean(axis=0) > 0).all() else "not reproduced"

    def row(self, folder: Path = SHIPPED) -> dict[str, str]:
        """One line of a table: the statement, what the paper prints, our means, the verdict."""
        tier, seeds = self.evidence(folder)
        here = "–"
        if seeds:
            measured = [isinstance(term, Term) for term in self.terms]
            here = self._listed(np.mean(self._values(seeds), axis=0)[measured])
        return {
            self.source: self.statement,
            "paper": self._listed(self.printed) if self.printed else "no number",
            "here": here,
            "tier": tier,
            "seeds": str(len(seeds)) if seeds else "–",
            "verdict": self.verdict(folder),
        }

    def _values(self, seeds: list[dict[str, Record]]) -> np.ndarray:
        """Of every term at every seed, shape (seeds, terms)."""
        return np.array(
            [[t.of(runs) if isinstance(t, Term) else t for t in self.terms] for runs in seeds]
        )

    def _listed(self, values) -> str:
        scale, unit = (100, " %") if self.percent else (1, "")
        return ", ".join(f"{float(f'{scale * value:.3g}'):g}" for value in values) + unit


@dataclass(frozen=True)
class Elsewhere(Anchored):
    """What a chapter decides as it is read, with nothing to train on a large machine.

    found: in words; the tests of the chapter hold what its page says.
    """

    source: str
    statement: str
    found: str
    chapter: str

    @property
    def test(self) -> str:
        """The file, in the folder `tests`, that holds what the page says of it."""
        return f"chapters/test_{self.chapter}.py"

    def verdict(self, folder: Path = SHIPPED) -> str:
        """None by the rule: the tests decide, each time that they run."""
        return "tested in its chapter"

    def row(self, folder: Path = SHIPPED) -> dict[str, str]:
        """One line of a table, as of the other claims."""
        blank = dict.fromkeys(("paper", "here", "tier", "seeds"), "–")
        return {self.source: self.statement} | blank | {"verdict": self.verdict(folder)}


def _found(experiment: str, variant: str, tier: str, folder: Path) -> list[Record]:
    """The records of a variant at a tier; each file is read once, until it changes."""
    files = records.path(folder, experiment, variant, tier, 0).parent.glob(f"{tier}-seed*.json")
    stamps = tuple(sorted((str(file), file.stat().st_mtime_ns) for file in files))
    return _loaded(experiment, variant, tier, folder, stamps) if stamps else []


@functools.cache
def _loaded(experiment, variant, tier, folder, stamps) -> list[Record]:
    return records.load(experiment, variant, tier, folder=folder)


def _value(metric: Metric, *runs: Record) -> float:
    """A metric of a run, or what is read off several; nan if one of them diverged."""
    if any(run.status != "finished" for run in runs):
        return math.nan
    value = metric(*runs) if callable(metric) else runs[0].metrics[metric]
    return math.nan if value is None else float(value)


def _mean_and_std(values: list[float]) -> tuple[float, float]:
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


def _shown(mean: float, std: float, percent: bool) -> str:
    """Mean ± standard deviation, of numbers of any size.

    >>> _shown(0.744, 1.9e-3, percent=True), _shown(2.2e-5, 2.5e-9, percent=False)
    ('74.40 ± 0.19 %', '(2.20000 ± 0.00025)e-5')
    """
    if percent:
        return records.plus_minus(100 * mean, 100 * std) + " %"
    if not mean or not math.isfinite(mean) or 1e-3 <= abs(mean) < 1e4:
        return records.plus_minus(mean, std)
    exponent = math.floor(math.log10(abs(mean)))
    scaled = records.plus_minus(mean / 10.0**exponent, std / 10.0**exponent)
    return f"{scaled}e{exponent}" if " " not in scaled else f"({scaled})e{exponent}"
