"""Plans: counted figures agree with counts by hand."""

import gc
import resource
from pathlib import Path

import pytest

from richlib.lab import assemble
from richlib.lab.__main__ import main
from richlib.lab.experiments import EXPERIMENTS
from richlib.lab.plan import (
    PEAK,
    SHORTEST_STEP,
    UTILIZATION,
    costing_the_same,
    example,
    memory_kept,
    plan,
    training_samples,
)


def test_the_mlp_by_hand():
    """784 → 1024 → 1024 → 1024 → 10, batches of 128 (the last one counted as full)."""
    found = plan("encoded-labels/full", "paper", measured_steps=0)
    layers = ((784, 1024), (1024, 1024), (1024, 1024), (1024, 10))
    assert found.parameters == sum(a * b + b for a, b in layers)
    assert found.steps == 100 * 469
    # Forward 2·n·a·b; backward as much for the weights, and for the inputs of all but the first.
    step = sum(2 * 128 * a * b * (2 if a == 784 else 3) for a, b in layers)
    assert found.flops == pytest.approx(step * found.steps, rel=1e-6)
    weights, data = 4 * 4 * found.parameters, 60_000 * 784 * 4  # θ, gradient, two moments
    assert weights + data < found.memory < weights + data + 128 * 4 * 4 * 5000
    peak = found.flops / (UTILIZATION * PEAK["T4"])
    assert found.minutes["T4"] == pytest.approx(max(peak, SHORTEST_STEP * found.steps) / 60)


def test_last_layer_training_costs_the_last_layer():
    found = plan("encoded-labels/last-layer", "paper", measured_steps=0)
    assert found.flops == pytest.approx(2 * 2 * 128 * 1024 * 10 * found.steps, rel=1e-6)


def test_runs_that_cost_the_same_are_planned_once():
    names = [f"learning-rate/{rate}" for rate in ("low", "middle", "high")]
    groups = costing_the_same([*names, "encoded-labels/full", "encoded-labels/last-layer"], "paper")
    assert groups == [names, ["encoded-labels/full"], ["encoded-labels/last-layer"]]
    costs = {
        (p.parameters, p.steps, p.flops, p.memory)
        for p in (plan(name, "desk", measured_steps=0) for name in names[:2])
    }
    assert len(costs) == 1


def test_the_table(capsys):
    args = ["target-downscaling", "encoded-labels", "--tier", "pocket", "--steps", "0"]
    assert main(["plan", *args, "--markdown"]) == 0
    head, rule, *rows = capsys.readouterr().out.splitlines()
    assert head.startswith("| run | tier | recorded | T4 |") and set(rule) == set("|- ")
    alphas = "<br>".join(f"target-downscaling/alpha-{a}" for a in ("0.2", "2", "20"))
    assert [row.split(" | ")[0] for row in rows] == [
        f"| {alphas}",
        "| encoded-labels/full",
        "| encoded-labels/last-layer",
    ]


def test_all_experiments_of_one_tier(monkeypatch, capsys):
    """Not every experiment has every tier: those that have it."""
    for name in [n for n in EXPERIMENTS if n not in ("encoded-labels", "encoded-labels-sweep")]:
        monkeypatch.delitem(EXPERIMENTS, name)
    assert main(["plan", "--tier", "pocket", "--steps", "0"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == [
        "encoded-labels/full",
        "encoded-labels/last-layer",
    ]


def test_a_plan_keeps_nothing():
    """What a forward pass keeps is counted, the same each time, and then freed."""

    def resident():
        gc.collect()
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

    recipe = EXPERIMENTS["learning-rate"].recipe("middle", "desk")
    batch = example(recipe, recipe.batch_size)
    sizes, kept = [], set()
    for _ in range(4):
        model = assemble.network(recipe, batch, seed=0).train()
        kept.add(memory_kept(recipe, model, batch))
        sizes.append(resident())
    assert len(kept) == 1 and min(kept) > 50 * 2**20
    assert sizes[3] - sizes[1] < min(kept)


def test_this_machine_is_measured():
    found = plan("target-downscaling/alpha-2", "pocket", measured_steps=2)
    assert found.minutes["here"] > 0
    assert set(found.row()) >= {"run", "tier", "parameters", "memory", "here", "T4", "H100"}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_examples_are_like_the_data(name):
    experiment = EXPERIMENTS[name]
    recipe = experiment.recipe(next(iter(experiment.variants)), "paper")
    split = example(recipe, 4)
    assert len(split) == 4 and split.targets.shape == (
        4,
        1 if recipe.scalar else split.targets.shape[1],
    )
    assert training_samples(recipe) > 0
