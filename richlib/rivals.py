"""The prior measures of richness that the paper compares D_LR with (Section 4.1, Tables 1 and 2).

Each depends on something that D_LR does not: the initial kernel, the size of the parameters, the
labels.
"""

import torch
from torch import nn

from richlib import collapse
from richlib._checks import as_matrices
from richlib.operators import cka, feature_kernel_operator

RIDGE = 1e-4  # what the paper's tables add to Σ_b (H.2)


def s_init(features_at_init, features) -> float:
    """S_init = CKA(K_init, K_learned) in [0, 1] (Section 4.1): 1 is lazy, the kernel is unchanged.

    K is the linear kernel of the features, here (n, p_0) at initialization and (n, p) after
    training, on the same samples. Low values mean that the features moved, not that they moved
    towards the task. ValueError on NaN, infinities, mismatched rows, and where one of the two is
    constant over the samples.

    >>> features = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    >>> print(f"{s_init(features, 2 * features):.3f}")
    1.000
    """
    return cka(*as_matrices(features_at_init=features_at_init, features=features))


def s_init_of_neurons(features_at_init, features) -> float:
    """The cosine of the covariances (p, p) of two sets of features (n, p), in [0, 1].

    It asks whether the same neurons carry the same features, where `s_init` asks whether the same
    samples are alike. Rotating the features of one of them changes it. What the paper reports as
    S_init is near this number, and far from `s_init` (see the errata).

    >>> features = torch.randn(100, 4, generator=torch.Generator().manual_seed(0))
    >>> print(f"{s_init_of_neurons(features, 2 * features):.3f}")
    1.000
    """
    X, Y = as_matrices(features_at_init=features_at_init, features=features)
    A, B = (torch.cov(Z.double().T) for Z in (X, Y))
    if A.shape != B.shape:
        raise ValueError(f"the same neurons are compared, got {len(A)} and {len(B)} of them")
    if any(feature_kernel_operator(Z).is_constant() for Z in (X, Y)):
        raise ValueError("not defined where the features are constant over the samples")
    return float((A * B).sum() / (A.norm() * B.norm()))


def parameter_norm(model: nn.Module) -> float:
    """‖θ‖², the sum of the squares of all parameters of a model (Section 4.1): small is rich.

    Every parameter counts once, trainable or frozen, shared or not, biases and normalization
    included; buffers do not count. Squared and summed in float64; 0.0 for a model without
    parameters. TypeError on anything but a module; ValueError on NaN or infinite parameters.

    >>> model = nn.Linear(3, 2)
    >>> _ = nn.init.constant_(model.weight, 2.0), nn.init.zeros_(model.bias)
    >>> parameter_norm(model)
    24.0
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, but came as {type(model).__name__}")
    total = 0.0
    for name, parameter in model.named_parameters():
        θ = parameter.detach()
        if not torch.isfinite(θ).all():
            raise ValueError(
                f"parameters must be finite, but {name} holds NaN or infinite entries; "
                f"did the training diverge?"
            )
        total += float(θ.double().square().sum())
    return total


def nc1_with_ridge(features, labels) -> float:
    """NC1 = Tr((Σ_b + 1e-4 I)⁻¹ Σ_W) of features (n, p), labels (n,), as in the tables (H.2).

    0 is collapsed; at most 1e4 Tr Σ_W. It changes with the scale of the features: shrinking all
    of them towards 0, without learning anything, brings it to 0 (Table 1). Σ_W is summed over the
    classes (Eq. 33). The values in Tables 6 and 7 are about 1e4 times the Tr Σ_W beside them, which
    is averaged: divide by the number of classes to compare. Errors and conventions are those of
    `richlib.collapse.nc1`.

    >>> features, labels = torch.tensor([[0.0], [2.0], [5.0], [5.0]]), torch.tensor([0, 0, 1, 1])
    >>> for scale in (1, 1e-4):
    ...     print(f"{nc1_with_ridge(scale * features, labels):.4f}")
    0.2500
    0.0001
    """
    return collapse.nc1(features, labels, ridge=RIDGE)
