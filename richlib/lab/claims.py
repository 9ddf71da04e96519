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

CLAIMS = [*TABLE_5]
