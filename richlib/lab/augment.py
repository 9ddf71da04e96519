"""Random crops and flips of a batch of pictures, where the pictures are, each its own."""

import torch
from torch import Tensor
from torch.nn.functional import pad


def crop_and_flip(pictures: Tensor, generator: torch.Generator, padding: int = 4) -> Tensor:
    """A random crop after zero padding, and a horizontal flip with probability one half.

    pictures: (n, c, H, W) of any dtype; raw bytes are padded with black, as torchvision's
    RandomCrop(H, padding) and RandomHorizontalFlip() do before normalization (H.4.2). Every
    picture has its own crop and flip, drawn from `generator`, which lives on the CPU.
    """
    n, _, H, W = pictures.shape
    top, left = torch.randint(2 * padding + 1, (2, n), generator=generator)  # (n,)
    flip = torch.randint(2, (n, 1), generator=generator, dtype=torch.bool)
    columns = torch.where(flip, torch.arange(W - 1, -1, -1), torch.arange(W))  # (n, W)
    rows = (top[:, None] + torch.arange(H)).to(pictures.device)  # (n, H)
    columns = (left[:, None] + columns).to(pictures.device)  # (n, W)
    which = torch.arange(n, device=pictures.device)
    padded = pad(pictures, [padding] * 4)  # (n, c, H + 2·padding, W + 2·padding)
    cropped = padded.transpose(1, 2)[which[:, None], rows]  # (n, H, c, W + 2·padding)
    index = columns[:, None, None, :].expand(n, H, cropped.shape[2], W)
    return cropped.gather(3, index).transpose(1, 2)  # (n, c, H, W)
