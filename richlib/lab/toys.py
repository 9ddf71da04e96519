"""The toy problems of the foundations: small enough that everything about them is known."""

import math

import torch
from torch import Tensor


def sine_features(x, exponent: float, p: int = 10) -> Tensor:
    """Features k^exponent · √2 sin(2πkx), k = 1..p (Fig. 7), at inputs x (n,): shape (n, p).

    Under the uniform distribution on [0, 1] they are orthogonal, so √2 sin(2πkx) are the
    eigenfunctions of their kernel and k^(2·exponent) the eigenvalues. float64.

    >>> x = torch.arange(1000) / 1000
    >>> Φ = sine_features(x, exponent=-1.0, p=3)
    >>> print((Φ.T @ Φ / 1000).diagonal().numpy().round(3))
    [1.    0.25  0.111]
    """
    x = torch.as_tensor(x, dtype=torch.float64)
    k = torch.arange(1, p + 1, dtype=torch.float64)
    return k**exponent * math.sqrt(2) * torch.sin(2 * math.pi * k * x[:, None])


def power_law_features(
    n: int, p: int, exponent: float, generator: torch.Generator | None = None
) -> Tensor:
    """Independent Gaussian features of variance ρ_k = k^(−exponent), k = 1..p (Eq. 61): (n, p).

    Their kernel's eigenvalues are the ρ_k and its eigenfunctions the normalized features, which
    makes them a test for whatever is estimated from samples. float64.
    """
    k = torch.arange(1, p + 1, dtype=torch.float64)
    noise = torch.randn(n, p, dtype=torch.float64, generator=generator)
    return noise * k ** (-exponent / 2)


def step(x) -> Tensor:
    """The Heaviside step (Fig. 9): 0 for x < 0, 1 from there on; at inputs x (n,), float32."""
    return (torch.as_tensor(x) >= 0).float()
