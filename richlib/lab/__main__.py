"""The command line: python -m richlib.lab list | run NAME/VARIANT --tier TIER --seed N."""

import argparse
import sys

from richlib.lab.data import DataError
from richlib.lab.experiments import EXPERIMENTS, TIERS
from richlib.lab.run import run
from richlib.lab.train import CheckpointError, Diverged


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m richlib.lab", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="the experiments, their variants and tiers")
    one = commands.add_parser("run", help="train and measure one variant, and write its record")
    one.add_argument("name", metavar="NAME/VARIANT")
    one.add_argument("--tier", choices=TIERS, default="pocket")
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, ...")
    one.add_argument("--folder", default="runs", help="for records and checkpoints")
    args = parser.parse_args(argv)
    if args.command == "list":
        for experiment in EXPERIMENTS.values():
            print(f"{experiment.name} ({experiment.source}): {', '.join(experiment.tiers)}")
            for variant in experiment.variants:
                print(f"  {experiment.name}/{variant}")
        return 0
    try:
        record = run(
            args.name, tier=args.tier, seed=args.seed, device=args.device, folder=args.folder
        )
    except (KeyError, DataError, CheckpointError, Diverged) as error:
        print(f"error: {error.args[0]}", file=sys.stderr)
        return 1
    for metric, value in record.metrics.items():
        print(f"{metric:32} {value:.6g}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
