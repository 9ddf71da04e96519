"""What the scoreboard says of its own entries."""

from richlib.lab import records
from richlib.lab.claims import CLAIMS, Claim, Direction, Elsewhere
from richlib.lab.claims.measures import minimal
from richlib.lab.experiments import EXPERIMENTS


def ratio(record):
    """ρ_{C+1} / ρ_C, which the verdicts do not read."""
    ρ, C = record.spectra["eigenvalues"], minimal(record)
    return ρ[C] / ρ[C - 1]


def test_where_the_constant_comes_last_the_other_ratio_would_decide_otherwise():
    pairs = [
        [records.load("architecture", variant, "desk")[seed] for variant in ("resnet18", "mlp")]
        for seed in range(3)
    ]
    assert sorted(ratio(resnet) < ratio(mlp) for resnet, mlp in pairs) == [False, True, True]
    significant = [c for c in CLAIMS if "only C" in c.statement and "significant" in c.statement]
    found = {c.experiment: c for c in significant}
    assert "batch-normalization" in found and len(significant) == 8
    for c in significant:
        recipe = EXPERIMENTS[c.experiment].recipe(c.variants[0], "paper")
        if (recipe.model, recipe.loss) == ("resnet18", "mse"):
            assert c.verdict() == "reproduced"
            assert all(ratio(runs[c.variants[0]]) > 0.1 for runs in c.evidence()[1])


def test_one_network_stands_for_six_conditions():
    named = [("learning-rate", "middle"), ("shuffled-labels", "shuffled-0"), ("layerwise", "full")]
    others = [("architecture", "resnet18"), ("low-rank", "resnet18-cifar10")]
    others += [("cross-entropy", "mse")]
    recipes = [EXPERIMENTS[e].recipe(variant, "desk") for e, variant in named + others]
    assert all(recipe == recipes[0] for recipe in recipes)


def test_the_other_counts_of_the_page():
    numbers = [c for c in CLAIMS if isinstance(c, Claim)]
    assert sum(c.source.endswith("neurons") for c in numbers) == 4
    orders = [c for c in CLAIMS if isinstance(c, Direction)]
    assert sum("of neurons" in c.statement for c in orders) == 1
    assert sum(isinstance(c, Elsewhere) for c in CLAIMS) == 7
    share = sum(c.source == "Table 3" for c in CLAIMS) / (len(numbers) + len(orders))
    assert round(share, 1) == 0.2
