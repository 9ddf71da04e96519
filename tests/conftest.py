import os

import numpy as np
import pytest

# No doctests in here, and notebooks/ has a module of this name as well.
collect_ignore = ["conftest.py"]

# Tests draw without a screen.
os.environ.setdefault("MPLBACKEND", "agg")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def network(rng):
    """Features (n, p) and outputs (n, C) of a linear head with a bias, means far from zero."""
    features = np.maximum(rng.normal(0.3, 1, (120, 30)) @ rng.normal(0, 1, (30, 30)), 0)
    return features, features @ rng.normal(0, 0.2, (30, 4)) + rng.normal(0, 1, 4)


lines = []  # what tests measured


def pytest_sessionfinish(session):
    if hasattr(session.config, "workeroutput"):  # of pytest-xdist: tell the process that prints
        session.config.workeroutput["lines"] = lines


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    lines.extend(getattr(node, "workeroutput", {}).get("lines", []))


def pytest_terminal_summary(terminalreporter):
    for line in lines:
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def say():
    """Print a line below the results."""
    return lines.append
