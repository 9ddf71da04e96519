"""Crops and flips on the device: the distribution of torchvision's, picture by picture."""

import torch
from torchvision.transforms import v2

from richlib.lab.augment import crop_and_flip


def all_possible(picture, padding):
    """Every crop and flip of one picture that torchvision could give, as a set of byte strings."""
    transform = v2.Pad(padding)
    padded = transform(picture)
    H, W = picture.shape[-2:]
    crops = [
        v2.functional.crop(padded, top, left, H, W)
        for top in range(2 * padding + 1)
        for left in range(2 * padding + 1)
    ]
    crops += [v2.functional.horizontal_flip(crop) for crop in crops]
    return [crop.numpy().tobytes() for crop in crops]


def test_every_outcome_is_one_of_torchvisions_and_equally_likely():
    """A picture without symmetries, 2 · 3² outcomes: each must come up about n / 18 times."""
    generator = torch.Generator().manual_seed(0)
    picture = torch.randint(1, 256, (3, 6, 5), generator=generator, dtype=torch.uint8)
    n = 18_000
    crops = crop_and_flip(picture.expand(n, -1, -1, -1), generator, padding=1)
    possible = all_possible(picture, 1)
    assert len(set(possible)) == 18
    counts = dict.fromkeys(possible, 0)
    for crop in crops.numpy():
        counts[crop.tobytes()] += 1  # KeyError: not one of them
    # χ² with 17 degrees of freedom: above 40 once in a thousand times.
    chi = sum((c - n / 18) ** 2 / (n / 18) for c in counts.values())
    assert chi < 40


def test_each_picture_has_its_own():
    pictures = torch.arange(64, dtype=torch.uint8).reshape(1, 1, 8, 8).expand(50, -1, -1, -1)
    crops = crop_and_flip(pictures, torch.Generator().manual_seed(0))
    assert len({crop.numpy().tobytes() for crop in crops}) > 30


def test_the_generator_decides():
    pictures = torch.rand(20, 1, 8, 8)
    a, b, c = (crop_and_flip(pictures, torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert torch.equal(a, b) and not torch.equal(a, c)
    assert a.shape == pictures.shape and a.dtype == pictures.dtype


def test_pictures_do_not_exchange_pixels():
    """Picture i is filled with i + 1: after cropping it holds that and black, nothing else."""
    pictures = torch.arange(1, 31, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 8, 8)
    for i, crop in enumerate(crop_and_flip(pictures, torch.Generator().manual_seed(0)), start=1):
        assert set(crop.unique().tolist()) <= {0, i} and (crop == i).any()
