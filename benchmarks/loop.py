"""What the training loop costs, as ratios within one process.

    python benchmarks/loop.py

Per network: an epoch of `richlib.lab.train`, over (a) the bare forward, backward and optimizer step
on one resident batch, as often; (b) the usual loop, a torchvision data set and a DataLoader with
two workers; and (c) the part of the time that tracking D_LR every 50 steps takes. Pictures are
random bytes of MNIST's shape: their values do not change what a step costs.
"""

import argparse

import torch
from PIL import Image
from timing import medians
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from richlib.lab import assemble
from richlib.lab.experiments import find
from richlib.lab.plan import example
from richlib.lab.recipe import Recipe
from richlib.lab.train import train
from richlib.tracking import Tracker

NETWORKS = {
    "MNIST MLP, 1,024 wide": ("target-downscaling/alpha-2", {}),
    "MNIST MLP, 256 wide": ("target-downscaling/alpha-2", {"width": 256}),
    "CNN, 1,024 features": ("accurate-not-rich/full", {}),
    "CNN, 128 features": ("accurate-not-rich/full", {"width": 128}),
}
EVERY, PROBE = 50, 256


class Pictures(datasets.VisionDataset):
    """As torchvision's MNIST: one PIL picture at a time, through its transform."""

    def __init__(self, split):
        steps = [transforms.ToTensor(), transforms.Normalize((0.0,), (1.0,))]
        super().__init__("", transform=transforms.Compose(steps))
        self.pictures, self.targets = split.inputs[:, 0].numpy(), split.targets

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, index):
        return self.transform(Image.fromarray(self.pictures[index])), self.targets[index]


def time_network(name: str, recipe: Recipe, samples: int, rounds: int) -> None:
    split = example(recipe, samples)
    steps = -(-samples // recipe.batch_size)
    model = assemble.network(recipe, split, seed=0)
    optimizer, loss = assemble.optimizer(recipe, model), assemble.loss_function(recipe)
    batch = split.first(recipe.batch_size)

    def step(x, targets):
        optimizer.zero_grad(set_to_none=False)
        loss(model(x), targets).backward()
        optimizer.step()

    def bare():
        for _ in range(steps):
            step(batch.inputs, batch.targets)

    def ours():
        options = {"epochs": 1, "batch_size": recipe.batch_size, "optimizer": optimizer, "seed": 0}
        train(model, split, **options, loss=loss, measure=dict, progress=False)

    loader = DataLoader(Pictures(split), recipe.batch_size, shuffle=True, num_workers=2)

    def usual():
        for x, targets in loader:  # pixels in [0, 1]; the network divides bytes by 255
            step(x * 255, targets)

    track = Tracker(model, [split.first(PROBE).inputs], every=1)

    def tracked():
        for _ in range(max(1, steps // EVERY)):
            track()

    seconds = medians(rounds, bare=bare, ours=ours, usual=usual, tracked=tracked)
    share = seconds["tracked"] / (seconds["tracked"] + seconds["ours"])
    print(f"{name}: {1e3 * seconds['bare'] / steps:.1f} ms a step of {recipe.batch_size}")
    print(f"  our loop over bare steps                 {seconds['ours'] / seconds['bare']:6.2f} ×")
    print(f"  DataLoader with 2 workers over our loop  {seconds['usual'] / seconds['ours']:6.2f} ×")
    print(f"  tracking every {EVERY} steps on {PROBE} samples  {100 * share:6.2f} %", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--samples", type=int, default=12_800)
    args = parser.parse_args()
    torch.set_flush_denormal(True)  # as the laboratory does: else all three tasks time denormals
    for name, (run, changes) in NETWORKS.items():
        experiment, variant = find(run)
        recipe = experiment.recipe(variant, "paper")
        recipe = type(recipe)(**(vars(recipe) | changes))
        time_network(name, recipe, args.samples, args.rounds)


if __name__ == "__main__":
    main()
