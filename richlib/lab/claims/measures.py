"""What claims read off records besides their metrics: points of curves and of spectra.

Each function takes a record (two, where it compares variants at one seed) and gives one number, or
makes such a function. C is the number of eigenfunctions that the richest network would use: one for
each class (their sum is the constant, so that one is among them), and for a scalar output its own
and the constant. Cumulative curves are recorded up to the rank of the features, beyond which they
do not rise.
"""

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from richlib.lab.data import LAYOUT
from richlib.lab.records import Record
from richlib.lab.tasks import modulus
from richlib.richness import effective_dimension
from richlib.spectrum import per_feature

Measure = Callable[[Record], float]


def minimal(record: Record) -> int:
    """C of the module's docstring."""
    if record.recipe.get("scalar"):
        return 2
    data = record.recipe["data"]
    return modulus(data) or LAYOUT[data][1]


def quality(record: Record) -> float:
    """Π*(C): the share of the target that the first C eigenfunctions express (Eq. 5 i)."""
    return _at_C(record, "quality")


def utilization(record: Record) -> float:
    """Π̂(C): the share of the learned function that they express (Eq. 5 ii); 1 if ideally rich."""
    return _at_C(record, "utilization")


def eigenvalue_step(record: Record) -> float:
    """ρ_{C+1} / ρ_{C−1}: near 0 where only C features are significant (ρ_C ≫ ρ_{C+1}, Section 5.3).

    One of the C is the constant function, which D_LR leaves out. The paper finds it first, and so
    large; in some of our networks it comes last, and faint. Passing over the C-th, the measure does
    not depend on that. 0 where the features have rank C, nan where they are dead.
    """
    ρ, C = record.spectra["eigenvalues"], minimal(record)
    if not ρ:
        return math.nan
    return ρ[C] / ρ[C - 2] if len(ρ) > C else 0.0


def utilization_dimension(record: Record) -> float:
    """D_eff of the utilization per eigenfunction (Eq. 9, Table 4)."""
    return effective_dimension(per_feature(record.spectra["utilization"]))


def following_intensity(curve: str) -> Measure:
    """Rank correlation, over the recorded eigenfunctions k ≥ 2, of their eigenvalue and their own
    share of "quality" or "utilization" (Fig. 5): 1 if the stronger of two always has the larger
    share. At the end all are recorded, during training the leading ones.
    """

    def measure(record: Record) -> float:
        share = np.asarray(per_feature(record.spectra[curve]))[1:]
        weakest_first = -np.arange(len(share))  # eigenvalues come in decreasing order
        return float(np.corrcoef(weakest_first, _ranks(share))[0, 1])

    return measure


def _ranks(values: np.ndarray) -> np.ndarray:
    """From 1 on; equal values, of which a curve that has come to rest is full, share their mean."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (counts.cumsum() - (counts - 1) / 2)[which]


def at_epoch(epoch: int, curve: str) -> Measure:
    """A curve at an epoch at which it was measured; nan if training ended before."""

    def measure(record: Record) -> float:
        epochs = record.curves["epoch"]
        return record.curves[curve][epochs.index(epoch)] if epoch <= epochs[-1] else math.nan

    return measure


def spectrum_at(epoch: int, measure: Measure) -> Measure:
    """A measure of the spectrum, during training: at an epoch whose spectrum is kept; nan if
    training ended before.
    """
    prefix = f"epoch{epoch}/"

    def then(record: Record) -> float:
        if epoch > record.curves["epoch"][-1]:
            return math.nan
        kept = {
            key.removeprefix(prefix): values
            for key, values in record.spectra.items()
            if key.startswith(prefix)
        }
        return measure(dataclasses.replace(record, spectra=kept))

    return then


def least(*of: Measure) -> Measure:
    """The smallest of several measures; nan if one of them is."""
    return lambda record: float(np.min([measure(record) for measure in of]))


def unevenness(record: Record) -> float:
    """ρ_2 / ρ_C, of the eigenvalues that should be equal: 1 if they are, and the constant is the
    first eigenfunction, as the paper has it (Appendix D.2).
    """
    ρ, C = record.spectra["eigenvalues"], minimal(record)
    return ρ[1] / ρ[C - 1] if len(ρ) >= C else math.inf


def final(curve: str) -> Measure:
    """The last value of a curve, which may be of fewer samples than the metric of its name."""
    return lambda record: record.curves[curve][-1]


def rise(curve: str) -> Measure:
    """How far the last value of a curve is above its lowest."""
    return lambda record: record.curves[curve][-1] - min(record.curves[curve])


def layer(number: int, curve: str) -> Measure:
    """Π*(C) or Π̂(C), as `curve` says, of a layer: 1 is the first, -1 the last (Appendix I)."""
    return lambda record: _of_layers(record, curve)[number - (number > 0)]


def between(first: int, last: int, curve: str) -> Measure:
    """By how much Π*(C) or Π̂(C) is larger in one layer than in another."""
    return lambda record: layer(last, curve)(record) - layer(first, curve)(record)


def variation(first: int, last: int, curve: str) -> Measure:
    """How far apart the values of the layers from one to another are at most."""

    def measure(record: Record) -> float:
        return float(np.ptp(_of_layers(record, curve)[first - 1 : last]))

    return measure


def difference_in_the_last(curve: str) -> Callable[[Record, Record], float]:
    """How far apart two networks are in the last layer."""
    return lambda a, b: _differences(a, b, curve)[-1]


def difference_before_the_last(curve: str) -> Callable[[Record, Record], float]:
    """How far apart they are in that earlier layer in which they differ most."""
    return lambda a, b: max(_differences(a, b, curve)[:-1])


def largest_before_the_last(curve: str) -> Measure:
    """Π*(C) or Π̂(C) of that earlier layer in which it is largest."""
    return lambda record: max(_of_layers(record, curve)[:-1])


def factor(metric: str) -> Callable[[Record, Record], float]:
    """How many times as large a metric is in one of two runs as in the other, at least 1."""

    def measure(a: Record, b: Record) -> float:
        ratio = a.metrics[metric] / b.metrics[metric]
        return max(ratio, 1 / ratio)

    return measure


def decay(metric: str) -> Callable[[Record, Record], float]:
    """The exponent b with which a metric falls as n^(-b) from one number of samples to a larger
    one; of "error_test", one minus the accuracy.
    """

    def value(record: Record) -> float:
        if metric == "error_test":
            return 1 - record.metrics["accuracy_test"]
        return record.metrics[metric]

    def measure(few: Record, many: Record) -> float:
        ratio = many.recipe["samples"] / few.recipe["samples"]
        return math.log(value(few) / value(many)) / math.log(ratio)

    return measure


def _at_C(record: Record, curve: str, layer: str = "") -> float:
    values = record.spectra[layer + curve]
    if not values:  # of dead features
        return math.nan
    return values[min(minimal(record), len(values)) - 1]


def _of_layers(record: Record, curve: str) -> list[float]:
    """At C, of the layers in order."""
    parts = [key.removesuffix(curve) for key in record.spectra if key.endswith(f"/{curve}")]
    return [_at_C(record, curve, part) for part in parts if not part.startswith("epoch")]


def _differences(a: Record, b: Record, curve: str) -> list[float]:
    pairs = zip(_of_layers(a, curve), _of_layers(b, curve), strict=True)
    return [abs(one - other) for one, other in pairs]
