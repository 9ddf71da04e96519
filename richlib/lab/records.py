"""Records: one finished run each, with all that is needed to run it again.

A record is a small JSON file, checked against `richlib/records/schema.json` when it is written and
when it is read. Those that the book shows ship with the package.
"""

import dataclasses
import functools
import json
import math
import os
import platform
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import numpy as np
import torch

import richlib
from richlib.lab import files, parallel
from richlib.lab.step import FLOAT32, Numerics

SHIPPED = Path(richlib.__file__).parent / "records"


class RecordError(RuntimeError):
    """A file that is not a record this version can read, or a record of nothing to show."""


@dataclass(frozen=True)
class Record:
    """One finished run. Every quantity without a unit in its name is dimensionless.

    metrics: final figures on all samples; curves: lists over the measured epochs; spectra: lists
    over eigenfunctions; seconds: wall time of the training; commit: of the code, None where it was
    not run from a checkout; status: "finished", or in which epoch the training diverged.
    """

    experiment: str
    variant: str
    tier: str
    seed: int
    recipe: dict
    data: dict
    metrics: dict[str, float | None]
    curves: dict[str, list[float | None]]
    spectra: dict[str, list[float]]
    seconds: float
    device: str
    versions: dict[str, str]
    commit: str | None
    finished: str
    status: str = "finished"
    schema: int = 2


def load(
    experiment: str, variant: str, tier: str, *, folder: str | os.PathLike = SHIPPED
) -> list[Record]:
    """The records of a variant at a tier, by seed; FileNotFoundError names those there are."""
    found = sorted(
        path(folder, experiment, variant, tier, 0).parent.glob(f"{tier}-seed*.json"),
        key=lambda file: int(file.stem.rpartition("seed")[2]),
    )
    if not found:
        files = Path(folder).glob(f"{experiment}/*/*-seed*.json")
        there = sorted({f"{f.parent.name} at {f.stem.partition('-seed')[0]}" for f in files})
        raise FileNotFoundError(
            f"no record of {experiment}/{variant} at tier {tier!r}; of {experiment} there are "
            f"{', '.join(there) or 'none'}. Make one with: "
            f"python -m richlib.lab run {experiment}/{variant} --tier {tier}"
        )
    return [read(file) for file in found]


def read(file: str | os.PathLike) -> Record:
    """A record from a file, of this or an older schema; RecordError says what is wrong with it."""
    try:
        content = _upgraded(json.loads(Path(file).read_text(encoding="utf-8")))
        _validator().validate(content)
    except (json.JSONDecodeError, UnicodeDecodeError, jsonschema.ValidationError) as error:
        reason = getattr(error, "message", str(error))
        raise RecordError(f"{file} is not a valid record: {reason}") from error
    return Record(**content)


def write(record: Record, file: str | os.PathLike) -> None:
    """Validate and write: the file is either there in full, or as it was before."""
    content = _without_nan(dataclasses.asdict(record))
    _validator().validate(content)
    with files.replacing(Path(file)) as stream:
        stream.write(f"{json.dumps(content, indent=1, allow_nan=False)}\n".encode())


def path(folder, experiment: str, variant: str, tier: str, seed: int) -> Path:
    """Where the record of a run belongs."""
    return Path(folder) / experiment / variant / f"{tier}-seed{seed}.json"


def summary(records: list[Record], metric: str) -> tuple[float, float]:
    """Mean and standard deviation (one degree of freedom lost) of a metric over the seeds."""
    values = np.array([record.metrics[metric] for record in records], dtype=float)
    return float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else math.nan


def plus_minus(mean: float, std: float) -> str:
    """Mean ± standard deviation, both to the deviation's second digit.

    >>> plus_minus(0.6049, 0.0145), plus_minus(10.0, 0.043), plus_minus(1.0, 0.0)
    ('0.605 ± 0.015', '10.000 ± 0.043', '1 ± 0')
    """
    if not std > 0:
        return f"{mean:.4g}" + (" ± 0" if std == 0 else "")
    decimals = max(0, 1 - math.floor(math.log10(std)))
    return f"{mean:.{decimals}f} ± {std:.{decimals}f}"


def provenance(device: str, numerics: Numerics = FLOAT32) -> dict:
    """What a record says of the machine and the code: device, versions, commit."""
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else platform.machine()
    said = [f"{device}: {name}", f"{torch.get_num_threads()} threads"]
    said += [f"{parallel.world()} processes"] if parallel.world() > 1 else []
    said += [str(numerics)] if numerics != FLOAT32 else []
    return {
        "device": ", ".join(said),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "richlib": richlib.__version__,
        },
        "commit": _commit(),
    }


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rounded(values, digits: int = 6) -> list[float]:
    """Six significant digits: enough for every figure, and a third of the file."""
    return [float(f"{value:.{digits}g}") for value in values]


def _upgraded(content):
    """The content of a record of an older schema, as of this one."""
    if isinstance(content, dict) and content.get("schema") == 1:
        return content | {"schema": 2, "status": "finished"}  # before 2, only those were written
    return content


@functools.cache
def _validator() -> jsonschema.Draft202012Validator:
    schema = json.loads((SHIPPED / "schema.json").read_text(encoding="utf-8"))
    return jsonschema.Draft202012Validator(schema)


def _without_nan(content):
    """JSON has no NaN: a figure that is not a number is null."""
    if isinstance(content, dict):
        return {key: _without_nan(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_without_nan(value) for value in content]
    if isinstance(content, float) and not math.isfinite(content):
        return None
    return content


def _commit() -> str | None:
    """The commit of the checkout this package is in, if it is one."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", *words], cwd=SHIPPED, capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        # Installed into a checkout of something else, the package is not tracked there.
        if not git("ls-files", "schema.json"):
            return None
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD") + (" with changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None
