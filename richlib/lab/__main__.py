"""The command line: python -m richlib.lab list | plan | run | sweep | draw | report."""

import argparse
import sys
from pathlib import Path

import torch

from richlib.lab import parallel, records
from richlib.lab.checkpoints import CheckpointError
from richlib.lab.claims import CLAIMS
from richlib.lab.data import DataError
from richlib.lab.experiments import EXPERIMENTS, TIERS
from richlib.lab.plan import costing_the_same, plan, recorded
from richlib.lab.records import SHIPPED, Record, RecordError
from richlib.lab.run import run
from richlib.lab.step import PRECISIONS, Numerics
from richlib.lab.sweep import expand, sweep


def main(argv: list[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    try:
        args.do(args)
    except KeyError as error:  # whose text is in quotation marks
        print(f"error: {error.args[0]}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "stopped: with the same command a run goes on from the end of its last epoch",
            file=sys.stderr,
        )
        return 130
    except (ImportError, OSError, DataError, CheckpointError, RecordError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m richlib.lab", description=__doc__)
    commands = parser.add_subparsers(required=True)

    def command(name: str, do, help: str) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=help, description=help)
        one.set_defaults(do=do)
        return one

    def where(one: argparse.ArgumentParser) -> None:
        one.add_argument("--tier", choices=TIERS, default="pocket")
        one.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, ...")
        one.add_argument("--folder", default="runs", help="for records and checkpoints")

    command("list", _list, "the experiments, their variants and tiers")
    one = command("plan", _plan, "what runs will cost: parameters, FLOPs, memory, minutes")
    one.add_argument("names", nargs="*", metavar="NAME[/VARIANT]", help="all, if none is given")
    one.add_argument("--tier", choices=TIERS, help="all, if none is given")
    one.add_argument("--steps", type=int, default=3, help="measured on this machine; 0 for none")
    one.add_argument("--markdown", action="store_true", help="print one table")
    one = command("run", _run, "train and measure one variant, and write its record")
    one.add_argument("name", metavar="NAME/VARIANT")
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--precision", choices=PRECISIONS, default="float32", help="while training")
    one.add_argument("--compile", action="store_true", help="train with torch.compile")
    where(one)
    one = command("sweep", _sweep, "many runs at once, on Ray")
    one.add_argument("names", nargs="+", metavar="NAME[/VARIANT]")
    one.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    one.add_argument("--share", type=float, default=1.0, help="GPUs, or cores, that a run takes")
    one.add_argument("--address", help="of a Ray cluster; without one, this machine")
    where(one)
    one = command("draw", _draw, "the pictures and the table of an experiment, from its records")
    one.add_argument("experiment", choices=EXPERIMENTS, metavar="NAME")
    one.add_argument("--tier", choices=TIERS, default="paper")
    one.add_argument("--folder", default=SHIPPED, help="of records; those of the book by default")
    one.add_argument("--out", default="exhibits", help="the folder to draw into")
    one = command("report", _report, "the paper's figures beside those of records, with verdicts")
    one.add_argument("--folder", default=SHIPPED, help="of records; those of the book by default")
    return parser


def _list(args) -> None:
    for experiment in EXPERIMENTS.values():
        print(f"{experiment.name} ({experiment.source}): {', '.join(experiment.tiers)}")
        for variant in experiment.names():
            print(f"  {experiment.name}/{variant}")


def _plan(args) -> None:
    first = True
    for tier in [args.tier] if args.tier else TIERS:
        names = args.names or list(EXPERIMENTS)
        if not (args.tier and args.names):  # all that there is, then
            names = [name for name in names if tier in _tiers(name)]
        for alike in costing_the_same(expand(names, tier), tier):
            row = plan(alike[0], tier, measured_steps=args.steps).row()
            row["run"] = ("<br>" if args.markdown else ", ").join(alike)
            first_of_all = {key: row.pop(key) for key in ("run", "tier")}
            row = first_of_all | {"recorded": recorded(alike, tier)} | row
            if args.markdown:
                head = f"| {' | '.join(row)} |\n|{' --- |' * len(row)}\n" if first else ""
                print(f"{head}| {' | '.join(row.values())} |", flush=True)
            else:
                print("  ".join(f"{key}: {value}" for key, value in row.items()), flush=True)
            first = False


def _tiers(name: str) -> tuple[str, ...]:
    experiment = EXPERIMENTS.get(name.partition("/")[0])
    return tuple(experiment.tiers) if experiment else TIERS  # unknown ones meet their error later


def _run(args) -> None:
    if args.device.startswith("cuda") and not torch.cuda.is_available():
        raise OSError(
            f"no CUDA device here for --device {args.device}; without it, the CPU is used"
        )
    numerics, started = Numerics(args.precision, args.compile), records.now()
    with parallel.joined(args.device) as device:
        record = run(
            args.name,
            tier=args.tier,
            seed=args.seed,
            device=device,
            numerics=numerics,
            folder=args.folder,
        )
        if parallel.rank() == 0:
            _print(record)
            _say_where(record, args, new=record.finished >= started)


def _say_where(record: Record, args, new: bool) -> None:
    """On stderr: stdout has the metrics and nothing else."""
    file = records.path(args.folder, record.experiment, record.variant, record.tier, record.seed)
    found = f"recorded already, {record.finished} on {record.device}; to train again remove"
    print(f"{'written to' if new else found} {file}", file=sys.stderr)


def _sweep(args) -> None:
    options = {k: getattr(args, k) for k in ("tier", "seeds", "device", "share", "folder")}
    for record in sweep(args.names, address=args.address, **options):
        print(f"\n{record.experiment}/{record.variant}, seed {record.seed}")
        _print(record)


def _report(args) -> None:
    from richlib.show import Table  # matplotlib takes a second to import, and no run needs it

    if not Path(args.folder).is_dir():
        raise FileNotFoundError(f"no folder {args.folder} with records; runs leave them in runs")

    for source in dict.fromkeys(claim.source for claim in CLAIMS):
        claims = [claim for claim in CLAIMS if claim.source == source]
        print(Table([claim.row(args.folder) | {"chapter": claim.chapter} for claim in claims]))
        print()


def _draw(args) -> None:
    from richlib.lab.exhibits import draw  # matplotlib, as above

    for file in draw(args.experiment, args.tier, args.out, folder=args.folder):
        print(file)


def _print(record: Record) -> None:
    if record.status != "finished":
        print(record.status)
    for metric, value in record.metrics.items():
        print(f"{metric:32} {'-' if value is None else format(value, '.6g')}")


if __name__ == "__main__":
    sys.exit(main())
