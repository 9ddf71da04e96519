"""What the package promises to everyone who imports it."""

import inspect

import pytest

import richlib
from richlib import collapse

NAMES = {name: getattr(richlib, name) for name in richlib.__all__}
NAMES |= {f"collapse.{name}": getattr(collapse, name) for name in collapse.__all__}
RESULTS = {"Check", "ClassStatistics", "SelfDuality", "SimplexETF"}  # shown by what returns them


@pytest.mark.parametrize("name", sorted(NAMES))
def test_public_names_are_documented_with_an_example(name):
    thing = NAMES[name]
    text = inspect.getdoc(thing) or ""
    assert len(text) > 40
    warning = inspect.isclass(thing) and issubclass(thing, Warning)
    if not (inspect.ismodule(thing) or warning or name.rpartition(".")[2] in RESULTS):
        assert ">>>" in text


def test_the_core_does_not_import_the_laboratory():
    import subprocess
    import sys

    code = "import sys, richlib; print([m for m in sys.modules if m.startswith('richlib.lab')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_core_needs_nothing_but_its_declared_dependencies():
    import subprocess
    import sys

    block = "import sys; sys.modules.update(dict.fromkeys(['matplotlib', 'sklearn', 'torchvision', "
    block += "'scipy', 'jsonschema', 'ipywidgets'])); import richlib; print(richlib.__version__)"
    subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, check=True)
