"""The workflows run what there is: targets of the Makefile, files of the project."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.fixture(params=WORKFLOWS, ids=lambda path: path.stem)
def commands(request):
    """All that a workflow runs, as one text."""
    workflow = yaml.safe_load(request.param.read_text("utf-8"))
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    return "\n".join(step.get("run", "") for step in steps)


def test_targets_exist(commands):
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    wanted = re.findall(r"^ *make (\w+)", commands, re.MULTILINE)
    assert set(wanted) <= set(phony[1].split())


def test_files_exist(commands):
    files = re.findall(r"\b(?:tests|tools)/[\w./]+", commands)
    assert not [file for file in files if not (ROOT / file).exists()]


def test_there_is_one_for_each_purpose():
    assert [path.stem for path in WORKFLOWS] == ["ci", "publish", "weekly"]
    published = (ROOT / ".github/workflows/publish.yml").read_text("utf-8")
    assert "make book" in published and "deploy-pages" in published
    weekly = yaml.safe_load((ROOT / ".github/workflows/weekly.yml").read_text("utf-8"))
    assert "colab" in weekly["jobs"]["colab"]["container"]
    # A failure is not lost in a list of runs.
    report = weekly["jobs"]["report"]
    assert set(report["needs"]) == {"colab", "links"} and "failure()" in report["if"]
    assert "gh issue create" in report["steps"][0]["run"]
