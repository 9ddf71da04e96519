"""The experiments: each variant's recipe at the three tiers, from top to bottom.

Tiers differ in numbers, never in code: "pocket" runs on a laptop within a minute on data that
ships with scikit-learn, "desk" within half an hour on a workstation, "paper" is the paper's.
"""

import dataclasses
from dataclasses import dataclass

TIERS = ("pocket", "desk", "paper")


@dataclass(frozen=True)
class Recipe:
    """Everything a run depends on besides its seed."""

    data: str  # name of the data set
    encoding: float  # brightness of the label written over the first pixels; a full pixel is 1
    pixels: str  # "unit": [0, 1]; "standardized": mean 0, variance 1
    alpha: float  # targets are one-hot vectors divided by alpha
    hidden_layers: int  # ReLU layers of equal width, then a linear head
    width: int
    initialization: str  # see richlib.lab.models.INITIALIZATIONS
    trained: str  # "all" parameters, or "last-layer"
    learning_rate: float  # of Adam, betas (0.9, 0.999), no weight decay
    batch_size: int
    epochs: int


@dataclass(frozen=True)
class Experiment:
    """A question asked of the paper's setup: a paper recipe, and what variants and tiers change."""

    name: str
    source: str  # where in the paper
    paper: Recipe
    variants: dict[str, dict]
    tiers: dict[str, dict]

    def recipe(self, variant: str, tier: str) -> Recipe:
        """The recipe of `variant` at `tier`; KeyError names what there is."""
        if variant not in self.variants:
            known = ", ".join(self.variants)
            raise KeyError(f"{self.name} has the variants {known}; got {variant!r}")
        if tier not in self.tiers:
            known = ", ".join(self.tiers)
            raise KeyError(f"{self.name} has the tiers {known}; got {tier!r}")
        return dataclasses.replace(self.paper, **self.tiers[tier], **self.variants[variant])


# The paper gives optimizer, batch size, alpha and epochs (Tables 9 and 10), but neither the width,
# nor the initialization, nor the scaling of pixels: the last three are what its numbers point to
# (see encoded-labels-sweep).
ENCODED_LABELS = Experiment(
    name="encoded-labels",
    source="Figure 1, Table 5",
    paper=Recipe(
        data="mnist",
        encoding=1.0,
        pixels="unit",
        alpha=1 / 3,
        hidden_layers=3,
        width=1024,
        initialization="lecun-normal",
        trained="all",
        learning_rate=1e-3,
        batch_size=128,
        epochs=100,
    ),
    variants={"full": {}, "last-layer": {"trained": "last-layer"}},
    tiers={
        "pocket": {"data": "digits", "width": 256, "epochs": 50},
        "desk": {"width": 512, "epochs": 10},
        "paper": {},
    },
)

# Which unstated choices give the paper's lazy model? The recipe above, with other widths,
# initializations and pixel scalings. Trains the last layer only, so a run is cheap.
ENCODED_LABELS_SWEEP = Experiment(
    name="encoded-labels-sweep",
    source="Figure 1, Table 5: the lazy model",
    paper=ENCODED_LABELS.recipe("last-layer", "paper"),
    variants={
        f"{width}-{initialization}-{pixels}": {
            "width": width,
            "initialization": initialization,
            "pixels": pixels,
        }
        for width, initialization, pixels in (
            (512, "lecun-normal", "unit"),
            (2048, "lecun-normal", "unit"),
            (1024, "he-normal", "unit"),
            (1024, "torch-default", "unit"),
            (512, "torch-default", "unit"),
            (1024, "lecun-normal", "standardized"),
            (1024, "torch-default", "standardized"),
        )
    },
    tiers={"paper": {}},
)

# Would another of those choices have kept the fully trained network calm? Each of our own runs above
# has made its first jump by epoch 20, so 40 epochs answer.
ENCODED_LABELS_JUMPS = Experiment(
    name="encoded-labels-jumps",
    source="Figure 1, Table 5: the rich model",
    paper=dataclasses.replace(ENCODED_LABELS.paper, epochs=40),
    variants={
        "width-512": {"width": 512},
        "torch-default": {"initialization": "torch-default"},
        "he-normal": {"initialization": "he-normal"},
        "four-hidden-layers": {"hidden_layers": 4},
        "strong-code": {"encoding": 3.0},
    },
    tiers={"paper": {}},
)

EXPERIMENTS = {e.name: e for e in (ENCODED_LABELS, ENCODED_LABELS_SWEEP, ENCODED_LABELS_JUMPS)}


def find(name: str) -> tuple[Experiment, str]:
    """(experiment, variant) of "NAME/VARIANT"; KeyError names what there is."""
    experiment, _, variant = name.partition("/")
    if experiment not in EXPERIMENTS:
        raise KeyError(f"no experiment {experiment!r}; there are {', '.join(EXPERIMENTS)}")
    if variant not in EXPERIMENTS[experiment].variants:
        known = ", ".join(f"{experiment}/{v}" for v in EXPERIMENTS[experiment].variants)
        raise KeyError(f"no variant {variant!r}; there are {known}")
    return EXPERIMENTS[experiment], variant
