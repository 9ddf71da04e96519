"""The experiments: each variant's recipe at the three tiers, from top to bottom.

Tiers differ in numbers, never in code: "pocket" runs on a laptop within a minute on data that
ships with scikit-learn, "desk" within half an hour on a workstation, "paper" is the paper's
(Tables 9 and 10).
"""

import dataclasses

from richlib.lab.recipe import TIERS, Experiment, Recipe

__all__ = ["EXPERIMENTS", "TIERS", "Experiment", "Recipe", "find"]

# ------------------------------------------------------------------------ MLPs on MNIST
# The paper gives neither the width, nor the initialization, nor the scaling of pixels: these three
# are what its numbers point to (see encoded-labels-sweep).
MNIST_MLP = Recipe(
    data="mnist",
    pixels="unit",
    model="mlp",
    hidden_layers=3,
    width=1024,
    initialization="lecun-normal",
    batch_size=128,
)

ENCODED_LABELS = Experiment(
    name="encoded-labels",
    source="Figure 1, Table 5",
    paper=dataclasses.replace(
        MNIST_MLP, encoding=1.0, alpha=1 / 3, optimizer="adam", learning_rate=1e-3, epochs=100
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

# Would another of those choices have kept the fully trained network calm? Each of the recorded runs
# of the recipe above has made its first jump by epoch 15, so 20 epochs answer.
ENCODED_LABELS_JUMPS = Experiment(
    name="encoded-labels-jumps",
    source="Figure 1, Table 5: the rich model",
    paper=dataclasses.replace(ENCODED_LABELS.paper, epochs=20),
    variants={
        "width-512": {"width": 512},
        "torch-default": {"initialization": "torch-default"},
        "he-normal": {"initialization": "he-normal"},
        "four-hidden-layers": {"hidden_layers": 4},
        "strong-code": {"encoding": 3.0},
        # What the code of the calmest of them does to the lazy model.
        "strong-code-last-layer": {"encoding": 3.0, "trained": "last-layer"},
    },
    tiers={"paper": {}},
)

WEIGHT_DECAY_ALONE = Experiment(
    name="weight-decay-alone",
    source="Table 1, Table 6",
    paper=dataclasses.replace(
        MNIST_MLP,
        width=512,
        initialization="he-normal",
        optimizer="sgd",
        learning_rate=1e-6,
        momentum=0.0,
        weight_decay=100.0,
        epochs=200,
    ),
    variants={"decay": {}},
    tiers={
        "pocket": {"data": "digits", "width": 256, "learning_rate": 1e-4, "epochs": 85},
        "desk": {"width": 512, "learning_rate": 1e-5, "epochs": 20},
        "paper": {},
    },
    notes="""\
Tables 9 and 10 list it as "Table 2", with a weight decay of 1e-3. With that, 93,800 steps at a
learning rate of 1e-6 would change ‖θ‖² by a factor exp(-2e-4), where Table 1 has 7e-9. Its factor
needs learning rate × decay = 1e-4 a step: 100 at the stated learning rate. The desk tier takes ten
times the learning rate for a tenth of the steps. Width and initialization are not given: these two
fit the table's untrained column (see untrained-networks).""",
)

UNTRAINED_NETWORKS = Experiment(
    name="untrained-networks",
    source="Table 1, Table 6: the column of epoch 0",
    paper=dataclasses.replace(WEIGHT_DECAY_ALONE.paper, epochs=0),
    variants={
        f"{width}-{initialization}": {"width": width, "initialization": initialization}
        for initialization in ("lecun-normal", "he-normal", "torch-default")
        for width in (512, 1024)
    },
    tiers={"paper": {}},
)

TARGET_DOWNSCALING = Experiment(
    name="target-downscaling",
    source="Table 2, Table 7, Figure 11",
    paper=dataclasses.replace(
        MNIST_MLP, samples=1000, optimizer="adam", learning_rate=1e-3, epochs=100
    ),
    variants={f"alpha-{alpha:g}": {"alpha": alpha} for alpha in (0.2, 2.0, 20.0)},
    tiers={
        "pocket": {"data": "digits", "width": 256, "epochs": 40},
        "desk": {"width": 512, "epochs": 40},
        "paper": {},
    },
    notes="""\
Tables 9 and 10 list it as "Fig. 11"; their row "Table 2" is that of Table 1.""",
)

ACCURATE_NOT_RICH = Experiment(
    name="accurate-not-rich",
    source="Table 3 row 6, Figure 16",
    paper=Recipe(
        data="mnist",
        alpha=1.0,
        model="cnn",
        width=1024,
        optimizer="adam",
        learning_rate=1e-3,
        batch_size=128,
        epochs=100,
    ),
    variants={"full": {}, "last-layer": {"trained": "last-layer"}},
    tiers={
        "pocket": {"data": "digits", "learning_rate": 2e-3, "epochs": 30},
        "desk": {"samples": 10_000, "epochs": 20},
        "paper": {},
    },
    notes="""\
Tables 9 and 10 have no row for it: optimizer, batch size and epochs are those of Figure 1. The
paper gives the width of the last layer, 1,024, and nothing else of the network.""",
)

# ------------------------------------------------------------------- vision, SGD (H.4.2)
CIFAR_RESNET = Recipe(
    data="cifar10",
    augmented=True,
    pixels="standardized",
    alpha=1 / 3,
    model="resnet18",
    width=64,
    optimizer="sgd",
    learning_rate=5e-2,
    momentum=0.9,
    weight_decay=5e-5,
    decay_every=60,
    batch_size=128,
    epochs=200,
)
CIFAR100_RESNET = dataclasses.replace(CIFAR_RESNET, data="cifar100", alpha=1 / 10, epochs=400)
# Smaller networks learn from fewer pictures in fewer epochs: what a workstation does in minutes.
# Not augmented: so few epochs would not be enough to fit what changes from one to the next.
DESK = {
    "data": "cifar10",
    "alpha": 1 / 3,
    "samples": 2_000,
    "augmented": False,
    "width": 16,
    "batch_size": 64,
    "epochs": 20,
    "decay_every": 12,
}
POCKET = {"data": "digits", "width": 8, "epochs": 20, "decay_every": 8, "augmented": False}
# From all of the digits any setting learns the same; from a few, differences show.
FEW = POCKET | {"samples": 256, "batch_size": 64, "epochs": 30, "decay_every": 10}

LAYERWISE = Experiment(
    name="layerwise",
    source="Figure 21",
    paper=CIFAR100_RESNET,
    variants={"full": {}, "layerwise": {"trained": "layerwise"}},
    tiers={"pocket": FEW | {"alpha": 1 / 3}, "desk": DESK, "paper": {}},
    layers=True,
    notes="""\
Tables 9 and 10 have no row for it, and the paper names neither network nor data: those of Figure 18
are taken, and each layer gets as many epochs as the whole network.""",
)

SAMPLES = Experiment(
    name="samples",
    source="Figure 2",
    paper=CIFAR_RESNET,
    variants={f"n-{n}": {"samples": n} for n in (100, 300, 1_000, 3_000, 10_000, 30_000, 50_000)},
    tiers={"pocket": POCKET | {"batch_size": 32}, "desk": DESK, "paper": {}},
    own={"pocket": {f"n-{n}": {"samples": n} for n in (50, 100, 300, 1_000)}},
    notes="Table 9 gives no numbers of samples: these are ours, about evenly spaced in log n.",
)

GAUSSIAN_PROCESS = Experiment(
    name="gaussian-process",
    source="Figure 2: the linear model",
    paper=dataclasses.replace(
        CIFAR_RESNET,
        augmented=False,
        model="gaussian-process",
        trained="last-layer",
        epochs=0,
    ),
    variants={f"n-{n}": {"samples": n} for n in (100, 300, 1_000, 3_000, 10_000)},
    tiers={"paper": {}},
    notes="""\
Tables 9 and 10 have no row for it, and the caption of Figure 2 gives no kernel: this is the
arc-cosine kernel of three hidden layers, the depth of the MLPs. Its conditional mean needs no
training, only memory that grows as n²; pictures are not augmented.""",
)

BATCH_NORMALIZATION = Experiment(
    name="batch-normalization",
    source="Table 3 row 7, Figures 3 and 20",
    paper=Recipe(
        data="cifar100",
        augmented=True,
        pixels="standardized",
        alpha=1 / 10,
        model="vgg16-bn",
        width=64,
        optimizer="sgd",
        learning_rate=1e-2,
        momentum=0.9,
        weight_decay=1e-5,
        batch_size=128,
        epochs=400,
    ),
    variants={"with": {"model": "vgg16-bn"}, "without": {"model": "vgg16"}},
    tiers={
        "pocket": {
            "data": "digits",
            "augmented": False,
            "width": 256,
            "hidden_layers": 8,
            "initialization": "torch-default",
            "learning_rate": 5e-2,
            "epochs": 50,
        },
        "desk": DESK | {"epochs": 40, "decay_every": None},
        "paper": {},
    },
    own={"pocket": {"with": {"model": "mlp-bn"}, "without": {"model": "mlp"}}},
    layers=True,
    notes="""\
The pocket tier has an MLP of eight hidden layers in place of VGG-16: a VGG-16 narrow enough for it
hardly leaves chance without batch normalization, and the richness of a network that has not learned
says nothing. The MLP shows both effects in direction, not in size: with batch normalization it is
richer and more accurate, but the plain one is far less lazy than the paper's, and learns.""",
)


def _rates(*of: float) -> dict[str, dict]:
    return {n: {"learning_rate": r} for n, r in zip(("low", "middle", "high"), of, strict=True)}


LEARNING_RATE = Experiment(
    name="learning-rate",
    source="Table 3 row 2, Figures 4, 5, 18 and 19",
    paper=CIFAR100_RESNET,
    variants=_rates(0.005, 0.05, 0.2),
    tiers={
        "pocket": FEW | {"alpha": 1 / 3},  # the paper's for ten classes
        "desk": DESK,
        "paper": {},
    },
    own={"desk": _rates(0.005, 0.05, 0.1)},
    layers=True,
    notes="""\
Table 10 has the rate of Figure 5, which is the middle one; Figure 4 varies it "up to training
instability". The small network of the desk tier diverges at 0.2, and at 0.15 in one of the two
seeds that were tried: its high rate is 0.1.""",
)


def _decays(*of: float) -> dict[str, dict]:
    return {n: {"weight_decay": d} for n, d in zip(("none", "weak", "strong"), of, strict=True)}


WEIGHT_DECAY = Experiment(
    name="weight-decay",
    source="Table 3 row 3, Figure 13",
    paper=CIFAR_RESNET,
    variants=_decays(0.0, 1e-4, 1e-3),
    tiers={
        "pocket": FEW | {"learning_rate": 0.1, "batch_size": 32},
        "desk": DESK,
        "paper": {},
    },
    own={"pocket": _decays(0.0, 3e-3, 1e-2), "desk": _decays(0.0, 1e-3, 3e-3)},
    notes="""\
Tables 9 and 10 have no row for it: all else is Figure 2's. In the few hundred steps of the lower
tiers the paper's decay, which had 78,200 of them, would do nothing: it is stronger there. At the
desk tier 1e-2 was tried as well: it kept the network from fitting its pictures.""",
)

ARCHITECTURE = Experiment(
    name="architecture",
    source="Table 3 row 4, Figure 14",
    paper=CIFAR_RESNET,
    variants={
        "resnet18": {},
        "mlp": {"model": "mlp", "width": 512, "hidden_layers": 3},
    },
    tiers={
        "pocket": FEW,
        "desk": DESK,
        "paper": {},
    },
    notes="""\
Tables 9 and 10 have no row for it: all is Figure 2's. The MLP has width 512 (Figure 14).""",
)

SHUFFLED_LABELS = Experiment(
    name="shuffled-labels",
    source="Table 3 row 5, Figure 15",
    paper=dataclasses.replace(CIFAR_RESNET, samples=10_000),
    variants={f"shuffled-{f:g}": {"shuffled": f} for f in (0.0, 0.1, 1.0)},
    tiers={
        "pocket": FEW | {"epochs": 40, "decay_every": 15, "batch_size": 32},
        "desk": DESK,
        "paper": {},
    },
)

# As near to the table's rows as two processor cores come in half an hour.
ALL_OF_MNIST = {"data": "mnist", "alpha": 1.0, "samples": None, "epochs": 10, "decay_every": 6}

LOW_RANK = Experiment(
    name="low-rank",
    source="Table 4",
    paper=CIFAR_RESNET,
    variants={
        f"{model}-{data}": {"model": model, "data": data, "alpha": alpha}
        for data, alpha in (("mnist", 1.0), ("cifar10", 1 / 3), ("cifar100", 1 / 10))
        for model in ("resnet18", "vgg16-bn")
    },
    tiers={
        "pocket": POCKET
        | {"learning_rate": 0.03, "batch_size": 32, "epochs": 10, "decay_every": 8},
        "desk": DESK,
        "paper": {},
    },
    own={
        "pocket": {
            "resnet18-digits": {},
            "vgg16-bn-digits": {"model": "vgg16-bn", "width": 4},
        },
        "desk": {
            f"{model}-{data}": {"model": model} | reduced
            for data, reduced in (
                ("mnist", ALL_OF_MNIST),
                ("mnist-2000", {"data": "mnist", "alpha": 1.0}),
                ("cifar10", {}),
            )
            for model in ("resnet18", "vgg16-bn")
        }
        | {"resnet18-mnist-pairs": {"data": "mnist-pairs", "alpha": 1 / 10, "samples": 10_000}},
    },
    notes="""\
Tables 9 and 10 have no rows for it: all but the scale of the targets is Figure 2's, and VGG-16 is
taken with batch normalization, without which it does not learn CIFAR-100 (Table 3). The digits are
cheap enough for the desk tier to have all of them, ten epochs long; "mnist-2000" has the 2,000
pictures and 20 epochs that this tier has elsewhere. "mnist-pairs", two digits side by side, is not
the paper's: a hundred classes that need no more than MNIST.""",
)

REGRESSION = Experiment(
    name="regression",
    source="Figure 10",
    paper=dataclasses.replace(CIFAR_RESNET, data="mnist", augmented=False, alpha=1.0, epochs=100),
    variants={"scalar": {"scalar": True}, "classes": {}},
    tiers={
        "pocket": POCKET | {"batch_size": 64, "epochs": 16, "decay_every": 6},
        "desk": DESK | {"data": "mnist", "alpha": 1.0, "learning_rate": 1e-2},
        "paper": {},
    },
    notes="""\
Tables 9 and 10 have no row for it: optimizer and network are Figure 2's. At the desk tier the
scalar network diverges at the rate of 0.05, so both have a fifth of it.""",
)

CROSS_ENTROPY = Experiment(
    name="cross-entropy",
    source="Figure 17",
    paper=dataclasses.replace(CIFAR_RESNET, loss="cross-entropy", alpha=1.0),
    variants={"cross-entropy": {}, "mse": {"loss": "mse", "alpha": 1 / 3}},
    tiers={
        "pocket": FEW | {"weight_decay": 1e-2, "batch_size": 32, "epochs": 60, "decay_every": 20},
        "desk": DESK | {"alpha": 1.0},
        "paper": {},
    },
    notes="""\
Tables 9 and 10 have no row for it: all but the loss is Figure 2's. At the pocket tier a stronger
decay stands in for the steps that are missing, and the ten features are not equally large.""",
)

# ----------------------------------------------------------------------------- grokking
GROKKING = Experiment(
    name="grokking",
    source="Table 3 row 1, Figure 12",
    paper=Recipe(
        data="mod-97-division",
        alpha=1.0,
        model="transformer",
        width=128,
        hidden_layers=2,
        optimizer="adam",
        learning_rate=1e-3,
        beta2=0.98,
        batch_size=512,
        epochs=4_000,
    ),
    variants={"mse": {}, "cross-entropy": {"loss": "cross-entropy"}},
    tiers={
        "pocket": {
            "data": "mod-23-division",
            "samples": 380,
            "alpha": 0.3,
            "model": "mlp",
            "width": 128,
            "initialization": "torch-default",
            "optimizer": "adamw",
            "learning_rate": 3e-3,
            "weight_decay": 2.0,
            "epochs": 3_000,
        },
        "desk": {"epochs": 1_000},
        "paper": {},
    },
    own={
        "pocket": {"mse": {}},
        # What else might make the paper's transformer grok: a quarter of the epochs would show it.
        "desk": {
            "mse": {},
            "cross-entropy": {"loss": "cross-entropy"},
            "mse-decay": {"optimizer": "adamw", "weight_decay": 1.0},
            "cross-entropy-decay": {
                "loss": "cross-entropy",
                "optimizer": "adamw",
                "weight_decay": 1.0,
            },
        },
    },
    notes="""\
Table 3 counts steps (200 and 3,000), Table 10 epochs (4,000, of ten steps each). At step 200 a
transformer has learned nothing, and both fit on an axis of 4,000: they are taken for epochs. The
paper trains with the mean squared error throughout; its source for the task uses the cross-entropy.
A small transformer does not grok within a minute on a CPU: the pocket tier has an MLP with two
hidden layers on embeddings of the two numbers, division modulo 23, three quarters of all pairs for
training, in one batch, so that an epoch is a step, and decoupled weight decay. The desk tier is the
paper's transformer for a quarter of the epochs, also with the decay of Power et al. (2022).""",
)

EXPERIMENTS = {
    experiment.name: experiment
    for experiment in (
        ENCODED_LABELS,
        ENCODED_LABELS_SWEEP,
        ENCODED_LABELS_JUMPS,
        WEIGHT_DECAY_ALONE,
        UNTRAINED_NETWORKS,
        TARGET_DOWNSCALING,
        ACCURATE_NOT_RICH,
        GROKKING,
        LEARNING_RATE,
        WEIGHT_DECAY,
        ARCHITECTURE,
        SHUFFLED_LABELS,
        BATCH_NORMALIZATION,
        LOW_RANK,
        LAYERWISE,
        SAMPLES,
        GAUSSIAN_PROCESS,
        REGRESSION,
        CROSS_ENTROPY,
    )
}


def same_recipe(recipe: Recipe, tier: str) -> list[tuple[Experiment, str]]:
    """All (experiment, variant) that a recipe is that of, at a tier."""
    return [
        (experiment, variant)
        for experiment in EXPERIMENTS.values()
        if tier in experiment.tiers
        for variant in experiment.at(tier)
        if experiment.recipe(variant, tier) == recipe
    ]


def find(name: str) -> tuple[Experiment, str]:
    """(experiment, variant) of "NAME/VARIANT"; KeyError names what there is."""
    experiment, _, variant = name.partition("/")
    if experiment not in EXPERIMENTS:
        raise KeyError(f"no experiment {experiment!r}; there are {', '.join(EXPERIMENTS)}")
    found = EXPERIMENTS[experiment]
    if variant not in found.names():
        known = ", ".join(f"{experiment}/{v}" for v in found.names())
        what = f"no variant {variant!r}" if variant else "a variant must be named"
        raise KeyError(f"{what}; there are {known}")
    return found, variant
