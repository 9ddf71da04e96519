import os

import numpy as np
import pytest

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
