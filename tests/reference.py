"""The paper's definitions written out as n × n matrices: slow, plain, independent of richlib."""

import numpy as np
from scipy.linalg import orth


def kernel(features):
    """T on the samples: ΦΦᵀ/n."""
    return features @ features.T / len(features)


def centre(A):
    n = len(A)
    H = np.eye(n) - np.ones((n, n)) / n
    return H @ A @ H


def cka(A, B):
    A, B = centre(A), centre(B)
    return np.trace(A @ B) / np.sqrt(np.trace(A @ A) * np.trace(B @ B))


def projection(functions):
    """The orthogonal projection onto the span of the columns."""
    basis = orth(functions)
    return basis @ basis.T


def dlr(features, outputs, estimator="projection", a1=1.0, a2=1.0):
    n = len(outputs)
    B = {
        "projection": lambda: a1 * np.ones((n, n)) / n + a2 * projection(outputs),
        "centered-projection": lambda: projection(outputs - outputs.mean(0)),
        "gram": lambda: kernel(outputs),
    }[estimator]()
    return 1 - cka(kernel(features), B)
