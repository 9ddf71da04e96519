"""What D_LR costs, as ratios to one float32 product ZᵀZ of the same joint features Z = [Φ, F].

    python benchmarks/dlr.py            times, and the error against float64
    python benchmarks/dlr.py --memory   peak memory above the inputs

Every ratio is between medians of runs that take turns in one process, so a machine that slows down
slows both sides.
"""

import argparse
import resource

import torch
from timing import medians

from richlib import Moments
from richlib.sketch import sketched_dlr

BATCH = 8192
SHAPES = [(50_000, 512, 100), (20_000, 1024, 10), (20_000, 4096, 10)]


def draw(n: int, p: int, C: int):
    """Rectified features with falling strengths, a linear readout, and labels; float32."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(n, p, generator=generator).relu_()
    features *= torch.arange(1, p + 1) ** -0.5
    outputs = features @ torch.randn(p, C, generator=generator) / p**0.5
    return features, outputs, torch.randint(C, (n,), generator=generator)


def streamed(features, outputs, labels):
    """D_LR and NC1, batch by batch."""
    classes = int(labels.max()) + 1
    moments = Moments(features.shape[1], outputs.shape[1], classes)
    batches = (x.split(BATCH) for x in (features, outputs, labels))
    for batch in zip(*batches, strict=True):
        moments.update(*batch)
    return moments.dlr(), moments.class_statistics().nc1()


def naive(features, outputs):
    """CKA of n × n Gram matrices, as most code computes it (outputs' Gram; float32)."""
    K, L = features @ features.T, outputs @ outputs.T
    for A in (K, L):
        A -= A.mean(dim=0)
        A -= A.mean(dim=1, keepdim=True)
    return float(1 - (K * L).sum() / (K.norm() * L.norm()))


def time_shape(n: int, p: int, C: int, rounds: int) -> None:
    features, outputs, labels = draw(n, p, C)
    Z = torch.cat([features, outputs], dim=1)
    seconds = medians(
        rounds,
        product=lambda: Z.T @ Z,
        streamed=lambda: streamed(features, outputs, labels),
        product64=lambda: Z.double().T @ Z.double(),
        sketched=lambda: sketched_dlr(features, outputs),
    )
    exact = Moments.of(features.double(), outputs.double()).dlr()
    error = abs(streamed(features, outputs, labels)[0] - exact)
    sketch = sketched_dlr(features, outputs)
    print(f"n={n:,} p={p:,} C={C}: ZᵀZ in float32 takes {seconds['product']:.3f} s")
    print(f"  D_LR and NC1, streamed   {ratio(seconds, 'streamed')}   error {error:.1e}")
    print(f"  ZᵀZ in float64           {ratio(seconds, 'product64')}")
    print(f"  D_LR, 64 random probes   {ratio(seconds, 'sketched')}   error {sketch.error:.1e}")


def time_naive(rounds: int, n: int = 10_000, p: int = 512, C: int = 10) -> None:
    features, outputs, _ = draw(n, p, C)
    Z = torch.cat([features, outputs], dim=1)
    seconds = medians(rounds, product=lambda: Z.T @ Z, naive=lambda: naive(features, outputs))
    print(f"n={n:,} p={p:,} C={C}, n × n Gram matrices: {ratio(seconds, 'naive')}")


def ratio(seconds: dict[str, float], name: str) -> str:
    return f"{seconds[name] / seconds['product']:6.2f} ×"


def memory(n: int, p: int = 512, C: int = 100) -> None:
    """Peak resident memory above what is there before, streaming n samples drawn on the fly."""
    generator = torch.Generator().manual_seed(0)
    batch = torch.randn(BATCH, p, generator=generator)
    readout = torch.randn(p, C, generator=generator)
    labels = torch.arange(BATCH) % C
    warm = batch[:64] @ readout
    moments = Moments(p, C, C)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    while moments.n < n:
        rows = min(BATCH, n - moments.n)
        moments.update(batch[:rows], (batch @ readout)[:rows], labels[:rows])
    value = moments.dlr() + 0 * float(warm.sum())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"n={n:,} p={p} C={C}: {(peak - before) / 1024:.0f} MiB above the inputs ({value:.3f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--samples", type=int, default=50_000, help="for --memory")
    args = parser.parse_args()
    if args.memory:
        return memory(args.samples)
    for shape in SHAPES:
        time_shape(*shape, args.rounds)
    time_naive(args.rounds)


if __name__ == "__main__":
    main()
