"""The two-layer transformer of the grokking experiment (Fig. 12), and embeddings of tokens."""

from collections import OrderedDict

import torch
from torch import Tensor, nn

from richlib.lab.models import Network


class Embedding(nn.Module):
    """Tokens (n, length) to the sum of their own and their position's vectors (n, length, dim)."""

    def __init__(self, tokens: int, length: int, dim: int):
        super().__init__()
        self.token = nn.Embedding(tokens, dim)
        self.position = nn.Embedding(length, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.token(x) + self.position.weight[: x.shape[1]]


class Operands(nn.Module):
    """Tokens x, ÷, y, = as (n, 4) to the vectors of x and y side by side: (n, 2·dim).

    For networks without attention, to which signs that never change are a large random bias.
    """

    def __init__(self, tokens: int, dim: int):
        super().__init__()
        self.token = nn.Embedding(tokens, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.token(x[:, ::2]).flatten(1)


class Block(nn.Module):
    """Causal attention and a GELU layer, each with a residual connection, (n, length, dim).

    As in the paper's source for this task, the first residual is taken after the normalization.
    """

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attention = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        length = x.shape[1]
        future = torch.ones(length, length, dtype=torch.bool, device=x.device).triu(1)
        x = self.norm1(x)
        x = x + self.attention(x, x, x, attn_mask=future, need_weights=False)[0]
        return x + self.mlp(self.norm2(x))


class LastPosition(nn.Module):
    """(n, length, dim) to what stands at the last position, normalized: (n, dim)."""

    def __init__(self, dim: int):
        super().__init__()
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x[:, -1])


def transformer(tokens: int, length: int, C: int, *, width: int, layers: int = 2) -> Network:
    """A decoder of `width` dimensions with 4 heads: tokens (n, length) to outputs (n, C)."""
    blocks = {f"block{i}": Block(width, heads=4) for i in range(1, layers + 1)}
    body = OrderedDict(
        embedding=Embedding(tokens, length, width), **blocks, features=LastPosition(width)
    )
    return Network(nn.Sequential(body), nn.Linear(width, C, bias=False))
