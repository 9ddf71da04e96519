"""What a run will cost, before it starts: counted where it can be, measured where it cannot."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch.utils.flop_counter import FlopCounterMode

from richlib.lab import assemble, records
from richlib.lab.augment import crop_and_flip
from richlib.lab.data import LAYOUT
from richlib.lab.experiments import Recipe, find
from richlib.lab.step import FLOAT32, Step
from richlib.lab.tasks import Split, modulus

TRAINING_SAMPLES = {"digits": 1400} | dict.fromkeys(("mnist", "mnist-pairs"), 60_000)
TRAINING_SAMPLES |= dict.fromkeys(("cifar10", "cifar100"), 50_000)
# Dense float32 products per second, with tensor cores (TF32) where the card has them: from the
# makers' data sheets. Small networks reach a small part of that, and no step is faster than the
# time it takes to start its kernels.
PEAK = {"T4": 8.1e12, "L4": 60e12, "A100": 156e12, "H100": 495e12}
UTILIZATION = 0.2
SHORTEST_STEP = 2e-3  # seconds
# What can differ between two runs that cost the same.
COST_NOTHING = (
    *("shuffled", "alpha", "initialization", "learning_rate"),
    *("beta2", "weight_decay", "decay_every"),
)


@dataclass(frozen=True)
class Plan:
    """The cost of one run.

    parameters: all of the network's. flops: of training, without measurements. memory: bytes of
    parameters, gradients, optimizer state, of what one step keeps for its backward pass, and of
    the data set. minutes: by device; "here" is measured from a few steps, the others are flops
    over `UTILIZATION` of `PEAK`, but at least `SHORTEST_STEP` a step.
    """

    name: str
    tier: str
    parameters: int
    steps: int
    flops: float
    memory: int
    minutes: dict[str, float]

    def row(self) -> dict[str, str]:
        """For a table. Where nothing is trained there are no times, and without a network the
        memory is that of a kernel, which the plan does not count.
        """
        times = {
            device: _time(minutes) if self.steps else "–"
            for device, minutes in self.minutes.items()
        }
        return (
            {"run": self.name, "tier": self.tier}
            | times
            | {
                "steps": f"{self.steps:,}" if self.steps else "none",
                "parameters": f"{self.parameters / 1e6:.2f} M" if self.parameters else "none",
                "memory": f"{_number(self.memory / 2**20)} MiB" if self.parameters else "–",
                "training TFLOP": _number(self.flops / 1e12),
            }
        )


def recorded(names: Sequence[str], tier: str) -> str:
    """What runs by these names took, from the shortest to the longest of the shipped records."""
    seconds = []
    for name in names:
        try:
            found = records.load(*name.split("/"), tier)
        except FileNotFoundError:
            continue
        seconds += [record.seconds for record in found if record.status == "finished"]
    if not seconds or not max(seconds):
        return "–"
    shortest, longest = _time(min(seconds) / 60), _time(max(seconds) / 60)
    if shortest == longest:
        return longest
    same_unit = shortest.split()[-1] == longest.split()[-1] and "<" not in shortest
    return f"{shortest.split()[0] if same_unit else shortest} to {longest}"


def plan(name: str, tier: str, *, measured_steps: int = 3) -> Plan:
    """The plan of one run of "NAME/VARIANT"; no data set is needed. measured_steps: 0 for none."""
    experiment, variant = find(name)
    recipe = experiment.recipe(variant, tier)
    samples = training_samples(recipe)
    steps = recipe.epochs * -(-samples // recipe.batch_size)
    batch = example(recipe, min(recipe.batch_size, samples))
    model = assemble.network(recipe, batch, seed=0)
    parameters = sum(p.numel() for p in model.parameters())
    kept = {"adam": 2, "adamw": 2, "sgd": int(recipe.momentum > 0)}
    states = 1 + kept[recipe.optimizer]  # and gradients
    flops, memory, seconds, phases = 0, 0, 0.0, 0
    for phase in assemble.phases(recipe, model, batch, seed=0):
        x = batch
        if recipe.trained == "last-layer":
            # The features are computed once, before training: a step is the head's.
            x = replace(batch, inputs=torch.zeros(len(batch), phase.head.in_features))
        phase.train()
        flops += _flops(recipe, phase, x) * steps
        trained = sum(p.numel() for p in phase.parameters() if p.requires_grad)
        memory = max(memory, 4 * states * trained + memory_kept(recipe, phase, x))
        if measured_steps:
            seconds += _seconds_per_step(recipe, phase, x, measured_steps) * steps
        phases += 1
    steps *= phases
    memory += 4 * parameters + samples * batch.inputs[0].numel() * batch.inputs.element_size()
    minutes = {"here": seconds / 60} if measured_steps else {}
    for device, peak in PEAK.items():
        minutes[device] = max(flops / (UTILIZATION * peak), SHORTEST_STEP * steps) / 60
    return Plan(name, tier, parameters, steps, flops, memory, minutes)


def costing_the_same(names: list[str], tier: str) -> list[list[str]]:
    """Runs "NAME/VARIANT" grouped by what decides their cost, in order of first appearance."""
    groups: dict[Recipe, list[str]] = {}
    for name in names:
        experiment, variant = find(name)
        recipe = experiment.recipe(variant, tier)
        free = {field: getattr(Recipe, field) for field in COST_NOTHING}
        key = replace(recipe, **free, momentum=float(recipe.momentum > 0))
        groups.setdefault(key, []).append(name)
    return list(groups.values())


def training_samples(recipe: Recipe) -> int:
    """How many samples the recipe trains on."""
    p = modulus(recipe.data)
    return recipe.samples or (p * (p - 1) // 2 if p else TRAINING_SAMPLES[recipe.data])


def example(recipe: Recipe, n: int, seed: int = 0) -> Split:
    """n random samples of the shapes and types that the recipe's network is trained on."""
    generator = torch.Generator().manual_seed(seed)
    p = modulus(recipe.data)
    if p:
        shape, C, high = (4,), p, p + 2
    else:
        shape, C = LAYOUT[recipe.data]
        high = 256
        shape = (1, *shape) if len(shape) == 2 else (shape[2], *shape[:2])
    inputs = torch.randint(high, (n, *shape), generator=generator)
    inputs[0] = high - 1  # so that the largest token is there
    if not p:
        inputs = inputs.byte()
    if recipe.encoding is not None:
        inputs = inputs.flatten(1).float() / 255
    labels = torch.arange(n) % C
    targets = torch.nn.functional.one_hot(labels, C).float() / recipe.alpha
    if recipe.scalar:
        targets = labels[:, None].float() / recipe.alpha
    return Split(inputs, targets, labels)


def _flops(recipe: Recipe, model, batch: Split) -> int:
    """Of one step."""
    with FlopCounterMode(display=False) as counter:
        _loss(recipe, model, batch).backward()
    return counter.get_total_flops()


def memory_kept(recipe: Recipe, model, batch: Split) -> int:
    """Bytes that the forward pass of one step keeps for its backward pass."""
    own = {p.data_ptr() for p in model.parameters()}
    kept = {}

    def keep(tensor):
        # Detached, for an output that its own graph keeps would never be freed.
        kept[tensor.data_ptr()] = tensor.detach()

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda nothing: nothing):
        _loss(recipe, model, batch)
    return sum(x.numel() * x.element_size() for pointer, x in kept.items() if pointer not in own)


def _loss(recipe: Recipe, model, batch: Split):
    return assemble.loss_function(recipe)(model(batch.inputs), batch.targets)


def _seconds_per_step(recipe: Recipe, model, batch: Split, count: int) -> float:
    """The median of a few steps as `train` takes them, after one to warm up."""
    optimizer = assemble.optimizer(recipe, model)
    step, times = Step(model, assemble.loss_function(recipe), optimizer, FLOAT32), []
    for number in range(count + 1):
        start = time.perf_counter()
        inputs = batch.inputs
        if recipe.augmented and recipe.trained != "last-layer":
            inputs = crop_and_flip(inputs, torch.Generator().manual_seed(number))
        step(inputs, batch.targets)
        times.append(time.perf_counter() - start)
    return sorted(times[1:])[count // 2]


def _number(value: float) -> str:
    """Three digits, or all before the point."""
    return f"{value:.3g}" if value < 100 else f"{value:,.0f}"


def _time(minutes: float) -> str:
    if minutes < 1:
        return "< 1 min"
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"
