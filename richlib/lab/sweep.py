"""Many runs at once, on Ray: this machine's cores and GPUs, or those of a cluster."""

import os
from collections.abc import Iterable
from pathlib import Path

from tqdm.auto import tqdm

from richlib.lab.experiments import EXPERIMENTS, find
from richlib.lab.records import Record

# A worker that dies (killed, out of memory, a lost machine) is replaced this often for each run;
# the new one goes on from the run's checkpoint.
RETRIES = 5


def sweep(
    names: Iterable[str],
    *,
    tier: str = "pocket",
    seeds: Iterable[int] = (0, 1, 2),
    device: str = "cpu",
    share: float = 1.0,
    folder: str | os.PathLike = "runs",
    address: str | None = None,
    progress: bool = True,
) -> list[Record]:
    """Train and measure every name × seed; return the records, in that order.

    names: "NAME/VARIANT", or "NAME" for all of its variants.
    share: the part of a GPU that a run takes, where the device is cuda: at 0.25 four runs share
    one. On the CPU each run takes `share` cores, and at least one thread.
    folder: for records and checkpoints, as for `richlib.lab.run.run`; on a cluster, one that all
    of its machines see. Runs that have a record there are not repeated.
    address: of a Ray cluster; None starts Ray on this machine and stops it at the end.

    KeyError on a name that does not exist, before anything starts; ImportError without Ray. A run
    that fails is raised at the end, when all others are done.
    """
    try:
        import ray
    except ImportError as error:
        raise ImportError("sweeps run on Ray: pip install 'richlib[sweep]'") from error
    grid = [(name, seed) for name in expand(names, tier) for seed in seeds]
    gpu = device.startswith("cuda")
    options = {
        "num_gpus": share if gpu else 0,
        "num_cpus": 1 if gpu else share,
        "max_retries": RETRIES,
    }
    folder = str(Path(folder).resolve())
    started = not ray.is_initialized()
    if started:
        ray.init(address=address, include_dashboard=False, log_to_driver=False)
    try:
        one = ray.remote(_one).options(**options)
        threads = max(1, int(share))
        tasks = [one.remote(name, tier, seed, device, folder, threads) for name, seed in grid]
        pending = list(tasks)
        with tqdm(total=len(tasks), desc="runs", disable=not progress) as bar:
            while pending:
                done, pending = ray.wait(pending)
                bar.update(len(done))
        return ray.get(tasks)
    finally:
        if started:
            ray.shutdown()


def expand(names: Iterable[str], tier: str) -> list[str]:
    """ "NAME" stands for all of its variants; every one must exist at the tier."""
    expanded = []
    for name in names:
        variants = EXPERIMENTS[name].at(tier) if name in EXPERIMENTS else None
        expanded += [f"{name}/{v}" for v in variants] if variants else [name]
    for name in expanded:
        experiment, variant = find(name)
        experiment.recipe(variant, tier)
    return expanded


def _one(name: str, tier: str, seed: int, device: str, folder: str, threads: int) -> Record:
    """One run, in a worker of its own."""
    import torch

    from richlib.lab.run import run

    torch.set_num_threads(threads)
    return run(name, tier=tier, seed=seed, device=device, folder=folder, progress=False)
