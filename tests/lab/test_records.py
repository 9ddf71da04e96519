"""Records: validated both ways, written in full or not at all."""

import dataclasses
import errno
import json
import math
import os

import jsonschema
import pytest

from richlib.lab import records
from richlib.lab.records import Record, RecordError


@pytest.fixture
def record():
    return Record(
        experiment="an-experiment",
        variant="a-variant",
        tier="pocket",
        seed=0,
        recipe={"epochs": 1},
        data={"name": "digits", "source": "here", "copy": False}
        | {"sha256": {k: "0" * 64 for k in ("x_train", "y_train", "x_test", "y_test")}},
        metrics={"dlr_train": 0.5},
        curves={"epoch": [0, 1]},
        spectra={"eigenvalues": [2.0, 1.0]},
        seconds=1.0,
        finished=records.now(),
        **records.provenance("cpu"),
    )


def test_what_is_written_is_read(record, tmp_path):
    file = tmp_path / "deep" / "record.json"
    records.write(record, file)
    assert records.read(file) == record
    assert [f.name for f in file.parent.iterdir()] == ["record.json"]


def test_not_a_number_is_null(record, tmp_path):
    nan = dataclasses.replace(record, metrics={"dlr_train": math.nan})
    records.write(nan, tmp_path / "r.json")
    assert records.read(tmp_path / "r.json").metrics == {"dlr_train": None}


@pytest.mark.parametrize(
    "change",
    [
        {"tier": "huge"},
        {"schema": 3},
        {"status": "fine"},
        {"seed": -1},
        {"data": {"name": "digits"}},
        {"metrics": {"dlr_train": "rich"}},
        {"commit": "main"},
        {"finished": "yesterday"},
        {"recipe": {}},
        {"curves": {}},
    ],
)
def test_an_invalid_record_is_neither_written_nor_read(record, tmp_path, change):
    wrong = dataclasses.replace(record, **change)
    with pytest.raises(jsonschema.ValidationError):
        records.write(wrong, tmp_path / "r.json")
    assert not list(tmp_path.iterdir())
    (tmp_path / "r.json").write_text(json.dumps(dataclasses.asdict(wrong)))
    with pytest.raises(RecordError, match="not a valid record"):
        records.read(tmp_path / "r.json")


def test_a_record_of_the_first_schema_is_read(record, tmp_path):
    content = dataclasses.asdict(record) | {"schema": 1}
    del content["status"]
    (tmp_path / "r.json").write_text(json.dumps(content))
    assert records.read(tmp_path / "r.json") == record


def test_a_truncated_file_is_named(record, tmp_path):
    file = tmp_path / "r.json"
    records.write(record, file)
    file.write_text(file.read_text()[:-20])
    with pytest.raises(RecordError, match="r.json is not a valid record"):
        records.read(file)


def test_a_full_disk_leaves_the_old_record(record, tmp_path, monkeypatch):
    file = tmp_path / "r.json"
    records.write(record, file)

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        records.write(dataclasses.replace(record, seed=1), file)
    assert records.read(file) == record
    assert len(list(tmp_path.iterdir())) == 1


def test_load_sorts_by_seed_and_says_what_is_missing(record, tmp_path):
    for seed in (10, 2):
        file = records.path(tmp_path, "an-experiment", "a-variant", "pocket", seed)
        records.write(dataclasses.replace(record, seed=seed), file)
    loaded = records.load("an-experiment", "a-variant", "pocket", folder=tmp_path)
    assert [r.seed for r in loaded] == [2, 10]
    with pytest.raises(FileNotFoundError, match="an-experiment/a-variant.*python -m richlib.lab"):
        records.load("an-experiment", "a-variant", "paper", folder=tmp_path)


def test_summary(record):
    seeds = [dataclasses.replace(record, metrics={"m": v}) for v in (1.0, 2.0, 3.0)]
    assert records.summary(seeds, "m") == (2.0, 1.0)
    assert math.isnan(records.summary(seeds[:1], "m")[1])


def test_provenance_names_the_code(record):
    assert record.versions["torch"] and record.versions["richlib"]
    assert record.device.startswith("cpu: ")


shipped = sorted(records.SHIPPED.glob("*/*/*.json"))


@pytest.mark.parametrize("file", shipped, ids=lambda f: "/".join(f.parts[-3:]))
def test_shipped_records_are_valid_and_where_they_belong(file):
    r = records.read(file)
    assert file == records.path(records.SHIPPED, r.experiment, r.variant, r.tier, r.seed)
    assert r.commit and "with changes" not in r.commit, "made from uncommitted code"
    # Only CIFAR's originals are not known by their hashes: what came from a file says so.
    assert not r.data["copy"] or (r.data["name"] == "cifar10" and len(r.data["sha256"]) == 4)


def test_records_are_shipped():
    assert shipped
