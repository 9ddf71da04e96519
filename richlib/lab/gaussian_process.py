"""An infinitely wide MLP at its conditional mean: the linear model that Figure 2 compares with."""

import math
from collections import OrderedDict

import torch
from torch import Tensor, nn

from richlib.lab.models import Network

NOISE = 1e-6  # variance, as a share of the kernel's: a picture that is there twice does no harm


class ArcCosineFeatures(nn.Module):
    """Features (n, N) whose kernel is that of infinitely wide ReLU layers, on N given samples.

    With K the kernel of the samples X (N, d), K + noise = L Lᵀ, these are Φ(x) = K(x, X) L⁻ᵀ:
    ΦΦᵀ is K on the samples, but for the noise, and its Nyström approximation elsewhere. The kernel
    is the arc-cosine kernel of degree 1 (Cho and Saul, 2009), once for each hidden layer; weights
    have the variance 2 / fan-in, which keeps norms. Computed in float64.
    """

    def __init__(self, X: Tensor, *, hidden_layers: int):
        super().__init__()
        self.hidden_layers = hidden_layers
        self.register_buffer("X", X.double())
        K = self.kernel(self.X)
        K.diagonal().add_(NOISE * K.diagonal().mean())
        self.register_buffer("L", torch.linalg.cholesky(K))

    def kernel(self, x: Tensor) -> Tensor:
        """K(x, X), (n, N), of inputs (n, d) in float64."""
        norms = x.norm(dim=1)[:, None] * self.X.norm(dim=1)
        cosine = x @ self.X.T / norms
        for _ in range(self.hidden_layers):
            θ = cosine.clamp(-1, 1).arccos()
            cosine = (θ.sin() + (math.pi - θ) * θ.cos()) / math.pi
        return cosine * norms

    def forward(self, x: Tensor) -> Tensor:
        K = self.kernel(x.double())
        return torch.linalg.solve_triangular(self.L.T, K, upper=True, left=False).to(x.dtype)


@torch.no_grad()
def gaussian_process(
    inputs: Tensor, targets: Tensor, *, hidden_layers: int, pixels: nn.Module
) -> Network:
    """The mean of the Gaussian process, given targets (N, C) of inputs (N, ...), as a network: of
    all linear readouts of its fixed features, that of smallest norm which fits. Nothing of it is
    left to train (Lee et al., 2018; Williams and Rasmussen, 2006, Eq. 2.25).
    """
    before = nn.Sequential(pixels, nn.Flatten())
    features = ArcCosineFeatures(before(inputs), hidden_layers=hidden_layers)
    head = nn.Linear(*targets.shape)
    head.weight.copy_(torch.linalg.solve_triangular(features.L, targets.double(), upper=False).T)
    nn.init.zeros_(head.bias)
    return Network(nn.Sequential(OrderedDict(pixels=before, features=features)), head)
