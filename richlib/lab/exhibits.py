"""What chapters show of runs, live or recorded: tables, labels of curves, verdicts.

A chapter's runs are a dict from a label to the records of its seeds. `live` trains them, `recorded`
loads them; all else here is the same for both.
"""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from richlib.lab import records
from richlib.lab.claims import CLAIMS, VERDICTS, page
from richlib.lab.claims.measures import minimal
from richlib.lab.experiments import EXPERIMENTS
from richlib.lab.metrics import estimator_metric
from richlib.lab.records import SHIPPED, Record, RecordError
from richlib.lab.run import run
from richlib.richness import ESTIMATORS
from richlib.show import Dot, Link, Table, three_panels, training

Runs = Mapping[str, Sequence[Record]]

EXPLORER = "../../book/explorer.html"  # from the page of a chapter

# Of the palette of Okabe and Ito; gray where nothing is decided yet.
VERDICT_COLORS = dict(
    zip(VERDICTS, ("#009E73", "#E69F00", "#CC79A7", "#999999", "#D0D0D0"), strict=True)
)

# The estimators by what they compare the features with, and by the names the library has.
READINGS = {
    "projection": "projection (Definition 1)",
    "centered-projection": "centered-projection (outputs centered first)",
    "gram": "gram (the outputs' own kernel)",
}


def live(
    experiment: str, labels: Mapping[str, str], *, tier: str = "pocket", seed: int = 0
) -> dict[str, list[Record]]:
    """Train the variants of an experiment, with one seed. labels: {label: variant}."""
    progress = tier != "pocket"
    return {
        label: [run(f"{experiment}/{variant}", tier=tier, seed=seed, progress=progress)]
        for label, variant in labels.items()
    }


def recorded(
    experiment: str,
    labels: Mapping[str, str],
    tier: str,
    *,
    folder: str | os.PathLike = SHIPPED,
) -> dict[str, list[Record]]:
    """Load the finished runs of the variants of an experiment. labels: {label: variant}.

    Prints which seeds diverged: those have no figures. RecordError where all of a variant did.
    """
    runs = {}
    for label, variant in labels.items():
        found = records.load(experiment, variant, tier, folder=folder)
        runs[label] = [record for record in found if record.status == "finished"]
        if not runs[label]:
            raise RecordError(f"{experiment}/{variant} at tier {tier!r} {found[0].status}")
        for record in found:
            if record.status != "finished":
                print(f"{label}: seed {record.seed} {record.status}; the figures are without it")
    return runs


def available(
    experiment: str,
    labels: Mapping[str, str],
    tier: str,
    *,
    folder: str | os.PathLike = SHIPPED,
) -> dict[str, list[Record]]:
    """As `recorded`, of those variants of which there are finished runs; prints what the others
    lack, and the command that makes them.
    """
    runs = {}
    for label, variant in labels.items():
        try:
            runs |= recorded(experiment, {label: variant}, tier, folder=folder)
        except FileNotFoundError:
            command = f"python -m richlib.lab run {experiment}/{variant} --tier {tier}"
            print(f"{label}: no record yet; make one with: {command}")
        except RecordError as error:
            print(f"{label}: {error}")
    return runs


def spectra(runs: Runs, split: str = "train") -> dict[str, list[dict]]:
    """For `show.three_panels`, with the paper's labels: [D_LR on `split`] (test accuracy)."""
    named = {}
    for label, seeds in runs.items():
        dlr, _ = records.summary(seeds, f"dlr_{split}")
        accuracy, _ = records.summary(seeds, "accuracy_test")
        named[f"{label} [{dlr:.2g}] ({accuracy:.1%})"] = [record.spectra for record in seeds]
    return named


def curves(runs: Runs) -> dict[str, list[dict]]:
    """For `show.training`."""
    return {label: [record.curves for record in seeds] for label, seeds in runs.items()}


def table(runs: Runs) -> Table:
    """Accuracy and D_LR (Definition 1) on both splits: mean ± standard deviation over seeds."""
    rows = []
    for label, seeds in runs.items():
        row = {"": label, "seeds": str(len(seeds))}
        for split in ("train", "test"):
            mean, std = records.summary(seeds, f"accuracy_{split}")
            row[f"{split} accuracy, %"] = records.plus_minus(100 * mean, 100 * std)
        for split in ("train", "test"):
            row[f"D_LR, {split}"] = records.plus_minus(*records.summary(seeds, f"dlr_{split}"))
        rows.append(row)
    return Table(rows)


def estimators(runs: Runs, paper: Mapping[str, str] | None = None) -> Table:
    """D_LR by all three estimators on both splits, below the paper's figures by label."""
    rows = []
    if paper:
        rows.append({"estimator": "paper", "samples": "not said"} | dict(paper))
    for estimator in ESTIMATORS:
        key = estimator_metric(estimator)
        for split in ("train", "test"):
            row = {"estimator": READINGS[estimator], "samples": split}
            for label, seeds in runs.items():
                row[label] = records.plus_minus(*records.summary(seeds, f"{key}_{split}"))
            rows.append(row)
    return Table(rows)


def line(claim, *, folder: str | os.PathLike = SHIPPED) -> dict[str, str | Dot]:
    """A statement of the paper as a row of a table: its figure, ours, the verdict with a color."""
    row = claim.row(folder)
    color = VERDICT_COLORS.get(row["verdict"])  # what the tests of a chapter hold has no verdict
    return row | {"verdict": Dot(row["verdict"], color)} if color else row


def statements(claims: Sequence, *, folder: str | os.PathLike = SHIPPED) -> Table:
    """Statements of one place in the paper (see `richlib.lab.claims`)."""
    return Table([line(claim, folder=folder) for claim in claims])


def scoreboard(claims: Sequence, *, folder: str | os.PathLike = SHIPPED) -> Table:
    """Statements of one place in the paper, as its page has them: each leads to its chapter, and
    what decided it to the explorer.
    """
    rows = []
    for claim in claims:
        row = line(claim, folder=folder)
        tier, seeds = row["tier"], row["seeds"]
        if tier == "–":
            runs = claim.to_run(folder)
        else:
            address = f"{EXPLORER}#experiment={claim.experiment}&tier={tier}"
            runs = Link(f"{tier}, {seeds} seed{'s' if seeds != '1' else ''}", address)
        statement = Link(row[claim.source], page(claim.chapter))
        # On a phone only the first three are seen without scrolling.
        first = {key: row[key] for key in ("verdict", "here", "paper")}
        rows.append({claim.source: statement} | first | {"runs": runs})
    return Table(rows, anchors=[claim.anchor for claim in claims])


def verdicts(chapter: str, *, folder: str | os.PathLike = SHIPPED) -> Table:
    """A chapter's lines of the scoreboard, verdicts first."""
    of = [claim for claim in CLAIMS if claim.chapter == chapter]
    if not of:
        known = ", ".join(dict.fromkeys(claim.chapter for claim in CLAIMS))
        raise KeyError(f"no statement of the paper belongs to {chapter!r}; there are {known}")
    rows = []
    for claim in of:
        row = line(claim, folder=folder)
        statement = f"{claim.source}: {row[claim.source]}"
        of_the_paper = Link(statement, f"scoreboard.html#{claim.anchor}")
        others = {key: row[key] for key in ("verdict", "here", "paper", "tier", "seeds")}
        rows.append({"of the paper": of_the_paper} | others)
    return Table(rows)


def reduced(experiment: str, variant: str, tier: str) -> Table:
    """What a tier changes of the paper's recipe of a variant."""
    found = EXPERIMENTS[experiment]
    ours = dataclasses.asdict(found.recipe(variant, tier))
    # A tier of its own variants has none of the paper's: then its setup is compared.
    paper = dataclasses.asdict(
        found.recipe(variant, "paper") if variant in found.at("paper") else found.paper
    )
    rows = [
        {"": key.replace("_", " "), "paper": _said(key, paper[key]), tier: _said(key, value)}
        for key, value in ours.items()
        if value != paper[key]
    ]
    return Table(rows or [{"": "nothing", "paper": "–", tier: "–"}])


def draw(experiment: str, tier: str, out: str | os.PathLike, *, folder=SHIPPED) -> list[Path]:
    """The pictures and the table of an experiment, from records alone, as files in `out`.

    Of the variants that have records at this tier; FileNotFoundError where none has.
    """
    variants = {v: v for v in EXPERIMENTS[experiment].at(tier)}
    runs = available(experiment, variants, tier, folder=folder)
    runs = runs or recorded(experiment, variants, tier, folder=folder)
    C = max(minimal(record) for seeds in runs.values() for record in seeds)
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    files = [out / f"{experiment}-{tier}-{kind}" for kind in ("spectra.svg", "training.svg")]
    three_panels(spectra(runs), C=C).savefig(files[0])
    training(curves(runs)).savefig(files[1])
    files.append(out / f"{experiment}-{tier}.txt")
    files[-1].write_text(f"{table(runs)}\n", encoding="utf-8")
    return files


def _said(key: str, value) -> str:
    """A value of a recipe in words."""
    if value is None:
        return {"samples": "all", "decay_every": "never"}.get(key, "none")
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
