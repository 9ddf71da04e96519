"""The files of the project agree with each other: pins, pages, the execution cache."""

import os
import re
import subprocess
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from types import SimpleNamespace

import execution_cache  # book/_ext/execution_cache.py
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import notebooks as tool  # tools/notebooks.py

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
REQUIREMENTS = [Requirement(r) for r in [*PROJECT["dependencies"], *sum(EXTRAS.values(), [])]]


def pins():
    """{name: version} of constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    found = [Requirement(line) for line in lines if not line.startswith("#")]
    assert all([s.operator for s in pin.specifier] == ["=="] for pin in found)
    return {canonicalize_name(pin.name): next(iter(pin.specifier)).version for pin in found}


# Dependencies


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=str)
def test_every_dependency_has_a_pin_that_satisfies_it(requirement):
    version = pins().get(canonicalize_name(requirement.name))
    assert version, f"constraints.txt does not pin {requirement.name}; run `make pins`"
    assert requirement.specifier.contains(version, prereleases=True)


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=str)
def test_dependencies_are_lower_bounds(requirement):
    # Jupyter Book 2 is another program; nothing else may hold back the session it comes into.
    allowed = {">=", "<"} if requirement.name == "jupyter-book" else {">="}
    assert {s.operator for s in requirement.specifier} <= allowed


def test_pins_install_on_the_oldest_python():
    oldest = re.search(r">=(3\.\d+)", PROJECT["requires-python"])[1] + ".0"
    too_new = []
    for name, version in pins().items():
        try:
            package = distribution(name)
        except PackageNotFoundError:  # of another platform
            continue
        needs = package.metadata.get("Requires-Python") or ""
        if package.version == version and not SpecifierSet(needs).contains(oldest):
            too_new.append(f"{name}=={version} needs Python {needs}")
    assert not too_new


def test_the_pin_of_torch_admits_its_cpu_build():
    version = pins()["torch"]
    assert SpecifierSet(f"=={version}").contains(f"{version}+cpu")


def test_conda_and_make_install_the_same():
    dependencies = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))["dependencies"]
    pip = next(entry["pip"] for entry in dependencies if isinstance(entry, dict))
    extras = re.search(r"^EXTRAS := (.*)$", (ROOT / "Makefile").read_text("utf-8"), re.M)[1]
    assert pip == ["-c constraints.txt", f"-e .[{extras}]"]
    assert sorted(extras.split(",")) == sorted(EXTRAS)
    python = next(e for e in dependencies if str(e).startswith("python="))
    assert SpecifierSet(PROJECT["requires-python"]).contains(python.removeprefix("python="))


# Pages


def toc_files(node):
    """Every file that a table of contents names."""
    if isinstance(node, list):
        return [name for entry in node for name in toc_files(entry)]
    if isinstance(node, dict):
        own = [node[key] for key in ("root", "file") if key in node]
        return own + [name for value in node.values() for name in toc_files(value)]
    return []


def test_the_table_of_contents_holds_every_notebook():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text("utf-8"))
    listed = {name.removesuffix(".ipynb") for name in toc_files(toc)}
    in_tree = {path.relative_to(ROOT).with_suffix("").as_posix() for path in tool.paths()}
    in_tree = {name for name in in_tree if not name.startswith("notebooks/course/")}
    assert {name for name in listed if name.startswith("notebooks/")} == in_tree
    assert in_tree


# Written in pieces, so that this file does not hold what it looks for.
FORBIDDEN = {
    "a path of somebody's machine": re.compile(r"(?<![\w.:~-])/(?:home|root|work|tmp|Users)/"),
    "an unfinished note": re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME)\b"),
}


def offences(text):
    return [what for what, pattern in FORBIDDEN.items() if pattern.search(text)]


def test_no_file_names_a_machine_or_is_unfinished():
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listing = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs a git checkout, to know which files belong to the project")
    suffixes = {".py", ".md", ".yml", ".ipynb", ".json", ".toml", ".txt", ".cff", ""}
    bad = []
    for name in filter(None, listing.stdout.split("\0")):
        path = ROOT / name
        if path.suffix in suffixes and path.is_file():
            bad += [f"{name}: {what}" for what in offences(path.read_text("utf-8"))]
    assert not bad


@pytest.mark.parametrize(
    "text", ["see /" + "home/ada/data", "open('/" + "tmp/x')", "# TO" + "DO later", "FIX" + "ME"]
)
def test_offences_are_seen(text):
    assert offences(text)


@pytest.mark.parametrize("text", ["https://example.org/home/x", "#!/usr/bin/env", "METHODOLOGY"])
def test_what_is_no_offence(text):
    assert not offences(text)


# The execution cache


@pytest.fixture
def tree(tmp_path):
    """A small project, and what Sphinx would hand to an extension there."""
    (tmp_path / "richlib" / "records").mkdir(parents=True)
    for name in ("richlib/a.py", "richlib/records/r.json", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_text("1\n")
    return SimpleNamespace(srcdir=tmp_path, outdir=tmp_path / "_build" / "html")


@pytest.mark.parametrize(
    "name", ["richlib/a.py", "richlib/records/r.json", "pyproject.toml", "constraints.txt"]
)
def test_a_changed_byte_changes_the_digest(tree, name):
    before = execution_cache.digest(tree.srcdir)
    assert execution_cache.digest(tree.srcdir) == before
    (tree.srcdir / name).write_text("2\n")
    assert execution_cache.digest(tree.srcdir) != before


def test_a_new_name_changes_the_digest_but_bytecode_and_coursework_do_not(tree):
    before = execution_cache.digest(tree.srcdir)
    (tree.srcdir / "richlib" / "__pycache__").mkdir()
    (tree.srcdir / "richlib" / "__pycache__" / "a.pyc").write_text("x")
    (tree.srcdir / "richlib" / "course").mkdir()
    (tree.srcdir / "richlib" / "course" / "a.py").write_text("x")
    assert execution_cache.digest(tree.srcdir) == before
    (tree.srcdir / "richlib" / "a.py").rename(tree.srcdir / "richlib" / "b.py")
    assert execution_cache.digest(tree.srcdir) != before


def test_the_newest_caches_are_kept(tree):
    caches = tree.outdir.parent / ".jupyter_cache"
    for age in range(5):
        (caches / f"old{age}").mkdir(parents=True)
        os.utime(caches / f"old{age}", (1e9 - age, 1e9 - age))
    config = SimpleNamespace()
    execution_cache.set_cache(tree, config)
    current = Path(config.nb_execution_cache_path)
    assert current.parent == caches
    assert {path.name for path in caches.iterdir()} == {current.name, "old0", "old1"}
