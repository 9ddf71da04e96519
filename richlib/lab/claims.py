"""What the paper says, as data, and the rule that decides from records whether it reproduces.

One rule for every figure, so that no verdict is chosen by hand. With m ± s over our seeds and
M ± S in the paper:

- reproduced: |m − M| ≤ 2 √(s² + S²), or within 5% of M. The second clause is there because seeds
  do not move what the paper leaves unsaid (width, initialization), and those move the figures.
- partly: within 25% of M.
- not reproduced: otherwise.
- not yet run: there is no record.
"""

import math
from dataclasses import dataclass
from pathlib import Path

from richlib.lab import records


@dataclass(frozen=True)
class Claim:
    """One figure of the paper: `value` ± `std`, and the metric of our records it stands for.

    percent: whether it is shown as a percentage; the values are fractions all the same.
    """

    source: str
    statement: str
    experiment: str
    variant: str
    metric: str
    value: float
    std: float
    percent: bool = False
    tier: str = "paper"

    def evidence(self, folder: Path = records.SHIPPED) -> list[records.Record]:
        """The records that decide it; empty where it was not run yet."""
        try:
            return records.load(self.experiment, self.variant, self.tier, folder=folder)
        except FileNotFoundError:
            return []

    def verdict(self, folder: Path = records.SHIPPED) -> str:
        """By the rule above: "reproduced", "partly", "not reproduced" or "not yet run"."""
        if not (found := self.evidence(folder)):
            return "not yet run"
        mean, std = records.summary(found, self.metric)
        distance = abs(mean - self.value)
        spread = math.hypot(0.0 if math.isnan(std) else std, self.std)
        if distance <= max(2 * spread, 0.05 * abs(self.value)):
            return "reproduced"
        return "partly" if distance <= 0.25 * abs(self.value) else "not reproduced"

    def row(self, folder: Path = records.SHIPPED) -> dict[str, str]:
        """One line of a table: the statement, the paper's figure, ours, the verdict."""
        found = self.evidence(folder)
        ours = self._figure(*records.summary(found, self.metric)) if found else "–"
        return {
            self.source: self.statement,
            "paper": self._figure(self.value, self.std),
            "here": ours,
            "verdict": self.verdict(folder),
        }

    def _figure(self, mean: float, std: float) -> str:
        if self.percent:
            return records.plus_minus(100 * mean, 100 * std) + " %"
        return records.plus_minus(mean, std)


def _table_5(variant: str, label: str, *figures: tuple[float, float]) -> list[Claim]:
    metrics = (
        ("train accuracy", "accuracy_train", True),
        ("test accuracy", "accuracy_test", True),
        ("D_LR", "dlr_train", False),
    )
    return [
        Claim("Table 5", f"{label}: {name}", "encoded-labels", variant, metric, *figure, percent)
        for (name, metric, percent), figure in zip(metrics, figures, strict=True)
    ]


TABLE_5 = [
    *_table_5("full", "rich", (1.0, 0.0), (0.100, 4.3e-4), (8.7e-3, 4.0e-4)),
    *_table_5("last-layer", "lazy", (0.987, 1.1e-3), (0.744, 1.9e-3), (0.63, 3.2e-3)),
]


def _columns(table: str, experiment: str, columns: dict[str, dict], rows: dict) -> list[Claim]:
    """The claims of a table whose columns are variants (or moments) and whose rows are metrics.

    columns: variant and suffix of the metric of each; rows: (metric, percent) to the figures.
    """
    return [
        Claim(
            table,
            f"{column}: {statement}",
            experiment,
            where["variant"],
            metric + where.get("suffix", ""),
            *figure,
            percent,
        )
        for (statement, metric, percent), figures in rows.items()
        for (column, where), figure in zip(columns.items(), figures, strict=True)
    ]


# The tables do not say which samples their metrics are measured on. D_LR of Table 7 is compared on
# test samples, where trial runs came near it (errata); the rest on training samples.
TABLE_6 = _columns(
    "Table 6",
    "weight-decay-alone",
    {
        "at the start": {"variant": "decay", "suffix": "_at_init"},
        "after 200 epochs": {"variant": "decay"},
    },
    {
        ("train accuracy", "accuracy_train", True): ((0.100, 8e-3), (0.102, 2.7e-3)),
        ("test accuracy", "accuracy_test", True): ((0.0985, 1e-2), (0.100, 3.3e-3)),
        ("D_LR", "dlr_train", False): ((0.59, 1.6e-2), (1.0, 6.4e-5)),
        ("S_init", "s_init_train", False): ((1.0, 0.0), (0.20, 1.1e-2)),
        ("squared norm", "parameter_norm", False): ((3.1e3, 3.5e2), (2.2e-5, 2.5e-9)),
        ("NC1", "nc1_ridge_train", False): ((1.2e5, 7.2e2), (7.5e-14, 1.5e-14)),
        ("Tr Σ_W", "trace_within_train", False): ((15.6, 1.4), (7.1e-18, 1.1e-18)),
    },
)

TABLE_7 = _columns(
    "Table 7",
    "target-downscaling",
    {f"α = {alpha:g}": {"variant": f"alpha-{alpha:g}"} for alpha in (0.2, 2.0, 20.0)},
    {
        ("train accuracy", "accuracy_train", True): ((1.0, 0.0), (1.0, 0.0), (1.0, 0.0)),
        ("test accuracy", "accuracy_test", True): (
            (0.927, 3.4e-4),
            (0.924, 5.2e-4),
            (0.883, 3.7e-3),
        ),
        ("D_LR", "dlr_test", False): ((4.9e-2, 4.4e-3), (1.1e-1, 9.4e-3), (5.6e-1, 6.1e-2)),
        ("S_init", "s_init_train", False): ((6.8e-2, 2.1e-3), (4.1e-2, 4.5e-3), (5.2e-2, 1.8e-2)),
        ("squared norm", "parameter_norm", False): ((3.4e3, 11.0), (3.2e3, 4.4), (3.2e3, 2.0)),
        ("NC1", "nc1_ridge_train", False): ((2.3e4, 4.1e3), (3.2e3, 4.3e2), (8.1e2, 1.4e2)),
        ("Tr Σ_W", "trace_within_train", False): ((2.0, 0.25), (0.31, 2.3e-2), (0.12, 1.2e-2)),
    },
)

CLAIMS = [*TABLE_5, *TABLE_6, *TABLE_7]
