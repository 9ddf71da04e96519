"""Operators on functions over the samples: T (Eq. 1), T_MP (Definition 1), centering, CKA (Eq. 7).

A function is the vector of its values on the n samples, inner products are means over them:
⟨f|g⟩ = (1/n) Σ f(x_i) g(x_i). Every operator here is a sum of outer products Σ_k |g_k⟩⟨g_k|, kept
as the matrix of its g_k: nothing of size n × n is formed, but where that is the smaller matrix.
"""

import torch
from torch import Tensor

from richlib._checks import as_matrices, as_matrix, as_tensor, is_constant


class Operator:
    """The positive operator Σ_k |g_k⟩⟨g_k| of the columns g_k of `factor`, shape (n, r).

    >>> constant = Operator(torch.ones(4, 1))
    >>> constant(torch.tensor([0.0, 1.0, 2.0, 5.0])).tolist()
    [2.0, 2.0, 2.0, 2.0]
    >>> constant.norm(), constant.centered().norm()
    (1.0, 0.0)
    """

    def __init__(self, factor):
        self.factor = as_matrix(factor, "factor").double()  # (n, r)

    def __call__(self, u) -> Tensor:
        """Apply to functions: values (n,) or (n, m) on the samples give values of that shape."""
        G, u = self.factor, as_tensor(u, "u").to(self.factor)
        if u.shape[:1] != G.shape[:1]:
            raise ValueError(
                f"the operator acts on functions over {len(G)} samples, got shape {tuple(u.shape)}"
            )
        return G @ (G.T @ u) / len(G)

    def centered(self) -> "Operator":
        """c(A) = (I − |1⟩⟨1|) A (I − |1⟩⟨1|): the constant function is projected out."""
        return Operator(self.factor - self.factor.mean(dim=0))

    def is_constant(self) -> bool:
        """Whether centering leaves nothing but the rounding of the means of the g_k."""
        G = self.factor
        return is_constant(self.centered().factor.square().sum(), G.square().sum())

    def inner(self, other: "Operator") -> float:
        """Tr(AB), the Hilbert-Schmidt inner product: from r × r' or n × n numbers, the fewer."""
        G, H = self.factor, other.factor
        if len(G) != len(H):
            raise ValueError(f"the operators act on {len(G)} and on {len(H)} samples")
        if G.shape[1] * H.shape[1] <= len(G) ** 2:
            return float((G.T @ H).square().sum()) / len(G) ** 2
        return float(((G @ G.T) * (H @ H.T)).sum()) / len(G) ** 2

    def norm(self) -> float:
        """‖A‖, the Hilbert-Schmidt (Frobenius) norm."""
        return self.inner(self) ** 0.5

    def diagonalize(self) -> tuple[Tensor, Tensor]:
        """Eigenvalues (k,), decreasing and positive, and orthonormal eigenfunctions (n, k)."""
        n = len(self.factor)
        e, s, _ = torch.linalg.svd(self.factor / n**0.5, full_matrices=False)
        kept = s > max(self.factor.shape) * torch.finfo(s.dtype).eps * s[0]
        return s[kept].square(), e[:, kept] * n**0.5


def feature_kernel_operator(features) -> Operator:
    """T = Σ_k |Φ_k⟩⟨Φ_k| (Eq. 1) of features (n, p): post-activations of the penultimate layer.

    >>> T = feature_kernel_operator(torch.tensor([[1.0, 0.0], [1.0, 2.0]]))
    >>> T.diagonalize()[0].sum().round().item()  # its trace, the mean square of the features
    3.0
    """
    return Operator(as_matrix(features, "features"))


def minimum_projection_operator(
    outputs, a1: float = 1.0, a2: float = 1.0, *, rtol: float = 1e-6
) -> Operator:
    """T_MP = a1 |1⟩⟨1| + a2 P (Definition 1), P the projection onto the span of outputs (n, C).

    Directions of the outputs with an amplitude below rtol of the largest are left out of the span.
    Raises ValueError on a1 < 0 or a2 <= 0.

    >>> outputs = torch.tensor([[1.0], [-1.0]])
    >>> T_MP = minimum_projection_operator(outputs, a1=3.0, a2=2.0)
    >>> T_MP(torch.tensor([1.0, 0.0])).round(decimals=6).tolist()
    [2.5, 0.5]
    """
    if a1 < 0 or a2 <= 0:
        raise ValueError(f"a1 must not be negative and a2 must be positive, got a1={a1}, a2={a2}")
    basis = orthonormal_basis(outputs, rtol=rtol)  # (n, rank)
    one = torch.ones_like(basis[:, :1])
    return Operator(torch.cat([a1**0.5 * one, a2**0.5 * basis], dim=1))


def minimum_projection_features(
    outputs, p: int, a1: float = 1.0, a2: float = 1.0, generator: torch.Generator | None = None
) -> Tensor:
    """Features (n, p) whose kernel operator is exactly T_MP of outputs (n, C): D_LR = 0.

    The features are an orthonormal set of T_MP's eigenfunctions, scaled by the roots of its
    eigenvalues and turned by a random rotation of R^p drawn from `generator`.

    >>> outputs = torch.eye(3).repeat(4, 1)
    >>> features = minimum_projection_features(outputs, p=5)
    >>> T, T_MP = feature_kernel_operator(features), minimum_projection_operator(outputs)
    >>> torch.allclose(T(outputs), T_MP(outputs))
    True
    """
    eigenvalues, eigenfunctions = minimum_projection_operator(outputs, a1, a2).diagonalize()
    rank = len(eigenvalues)
    if p < rank:
        raise ValueError(f"T_MP of these outputs has rank {rank}: it needs p >= {rank}, got p={p}")
    gaussian = torch.randn(p, rank, dtype=torch.float64, generator=generator)
    rotation, _ = torch.linalg.qr(gaussian.to(eigenvalues.device))  # (p, rank), orthonormal columns
    return (eigenfunctions * eigenvalues.sqrt()) @ rotation.T


def reduced_features(features) -> Tensor:
    """At most n features (n, min(n, p)) with the very kernel T of features (n, p).

    Where there are fewer samples than features, n features are made from the n × n kernel: all
    that depends on the kernel stays, and costs less.

    >>> features = torch.randn(5, 90, generator=torch.Generator().manual_seed(0))
    >>> few = reduced_features(features.double())
    >>> few.shape, torch.allclose(few @ few.T, features.double() @ features.double().T)
    (torch.Size([5, 5]), True)
    """
    Φ = as_matrix(features, "features")
    n, p = Φ.shape
    if n >= p:
        return Φ
    ρ, U = torch.linalg.eigh(Φ.double() @ Φ.double().T)  # several times faster than a QR of Φᵀ
    return U * ρ.clamp(min=0).sqrt()


def orthonormal_basis(functions, *, rtol: float = 1e-6) -> Tensor:
    """Functions (n, rank) that are orthonormal, ⟨b_i|b_j⟩ = δ_ij, and span those given (n, C)."""
    F = as_matrix(functions, "functions").double()  # (n, C)
    b, s, _ = torch.linalg.svd(F, full_matrices=False)
    return b[:, s > rtol * s[0]] * len(F) ** 0.5


def cka(X, Y) -> float:
    """Centered kernel alignment (Eq. 7) in [0, 1] of two sets of features or two operators.

    X and Y are feature matrices (n, p1) and (n, p2) on the same samples, compared by their linear
    kernels, or as `Operator`. 1 where the centered operators are proportional, 0 where they are
    orthogonal. Unchanged by rotation, isotropic scaling and shift of the features. Raises
    ValueError where one of them is constant over the samples, up to the rounding of its mean.

    >>> X = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    >>> print(f"{cka(X, 3 * X.flip(1) + 1):.6f}")
    1.000000
    """
    if not isinstance(X, Operator) and not isinstance(Y, Operator):
        X, Y = as_matrices(X=X, Y=Y)
    A, B = (Z if isinstance(Z, Operator) else Operator(Z) for Z in (X, Y))
    if A.is_constant() or B.is_constant():
        raise ValueError("CKA is not defined where X or Y is constant over the samples")
    A, B = A.centered(), B.centered()
    return min(A.inner(B) / (A.norm() * B.norm()), 1.0)
