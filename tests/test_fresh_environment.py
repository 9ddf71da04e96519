"""A notebook runs where richlib is not installed: its setup cell is all that it needs."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell

import notebooks as tool  # tools/notebooks.py

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "notebooks" / "experiments" / "encoded_labels.ipynb"


def run(*command, **options):
    """What the command prints; a failure shows all of it."""
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from a copy: setuptools takes up what an older build left in the tree."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(
        ROOT / "richlib", source / "richlib", ignore=shutil.ignore_patterns("__pycache__")
    )
    out = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, source)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def fresh_python(tmp_path_factory):
    """The interpreter of a new environment with all packages of this one, pip too, but richlib.

    A folder named in a .pth file joins sys.path, but .pth files inside it are not read; still,
    pip would see richlib's metadata there. So the packages are linked one by one, without it.
    """
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder / "env", symlinks=os.name != "nt")
    packages = folder / "packages"
    packages.mkdir()
    for site in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for entry in Path(site).iterdir():
            if "richlib" not in entry.name and entry.suffix != ".pth":
                (packages / entry.name).symlink_to(entry)
    python = folder / "env" / "bin" / "python"
    own = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    Path(own, "packages.pth").write_text(str(packages))
    return python


@pytest.fixture
def clean(monkeypatch, tmp_path):
    """An empty home, an empty folder to run in, and no way around the environment."""
    for name in ("home", "run"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")  # what is there must do: the wheel brings richlib only
    monkeypatch.delenv("PYTHONPATH", raising=False)
    return tmp_path


def test_wheel_holds_the_records_and_nothing_else(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    records = {p.relative_to(ROOT).as_posix() for p in ROOT.glob("richlib/records/**/*.json")}
    assert records <= names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"richlib"}
    assert not [name for name in names if "/test" in name or name.endswith(".ipynb")]


def test_fresh_environment_has_torch_and_no_richlib(fresh_python, clean):
    look = "import importlib.util as u; print([bool(u.find_spec(n)) for n in ('torch', 'richlib')])"
    assert run(fresh_python, "-c", look, cwd=clean / "run").strip() == "[True, False]"


@pytest.mark.parametrize("path", [NOTEBOOK], ids=lambda path: path.stem)
def test_notebook_runs_in_a_fresh_environment(path, wheel, fresh_python, clean, monkeypatch):
    kernel = clean / "kernels" / "fresh"
    kernel.mkdir(parents=True)
    command = [str(fresh_python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": command, "display_name": "fresh", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(clean))

    notebook = tool.read(path.read_text("utf-8"))
    (setup,) = filter(tool.is_setup, notebook.cells)
    assert tool.requirement() in setup.source
    here = f"richlib[lab] @ {wheel.as_uri()}"
    setup.source = setup.source.replace(tool.requirement(), here)
    notebook.cells.append(new_code_cell("import richlib; print(richlib.__file__)"))

    resources = {"metadata": {"path": str(clean / "run")}}
    client = NotebookClient(notebook, kernel_name="fresh", timeout=300, resources=resources)
    try:
        client.execute()  # raises at the first cell that fails
    finally:
        print(*[output.get("text", output) for output in setup.outputs])  # what pip said
    imported_from = Path(notebook.cells[-1].outputs[0].text.strip())
    assert imported_from.is_relative_to(fresh_python.parent.parent)
