"""What a run depends on: a recipe; and what an experiment varies in it."""

import dataclasses
from dataclasses import dataclass, field

TIERS = ("pocket", "desk", "paper")


@dataclass(frozen=True)
class Recipe:
    """Everything a run depends on besides its seed. Defaults are what most experiments share."""

    data: str  # name of a data set, or "mod-P-division", for a prime P
    samples: int | None = None  # of the training split, balanced; None: all, of a division half
    encoding: float | None = None  # brightness of a label over the first pixels; full pixel: 1
    shuffled: float = 0.0  # the fraction of training labels that are shuffled
    scalar: bool = False  # regression on the label itself
    augmented: bool = False  # random crop with padding 4, horizontal flip
    pixels: str = "unit"  # "unit": [0, 1]; "standardized": then mean 0, variance 1
    alpha: float = 1.0  # targets are divided by alpha
    loss: str = "mse"  # or "cross-entropy"

    model: str = "mlp"  # see richlib.lab.assemble.network
    width: int = 1024  # of hidden layers; of a convolutional network's first layer
    hidden_layers: int = 3  # of an MLP; blocks of a transformer
    initialization: str = "lecun-normal"  # of an MLP, see richlib.lab.models.INITIALIZATIONS

    trained: str = "all"  # parameters; "last-layer"; "layerwise": each layer for `epochs` epochs
    optimizer: str = "adam"  # or "adamw", "sgd"
    learning_rate: float = 1e-3
    momentum: float = 0.0  # of SGD
    beta2: float = 0.999  # of Adam, whose first beta is 0.9
    weight_decay: float = 0.0
    decay_every: int | None = None  # epochs after which the learning rate becomes a fifth
    batch_size: int = 128
    epochs: int = 100


@dataclass(frozen=True)
class Experiment:
    """A question asked of the paper's setup: a paper recipe, and what variants and tiers change.

    source: where in the paper. notes: what the paper leaves open or contradicts, and our choice.
    layers: whether records hold the spectra of all layers (Appendix I), not of the last alone.
    own: where a tier is too small for the variants, those it has instead.
    """

    name: str
    source: str
    paper: Recipe
    variants: dict[str, dict]
    tiers: dict[str, dict]
    notes: str = ""
    layers: bool = False
    own: dict[str, dict[str, dict]] = field(default_factory=dict)

    def recipe(self, variant: str, tier: str) -> Recipe:
        """The recipe of `variant` at `tier`; KeyError names what there is."""
        if tier not in self.tiers:
            known = ", ".join(self.tiers)
            raise KeyError(f"{self.name} has the tiers {known}; got {tier!r}")
        variants = self.at(tier)
        if variant not in variants:
            raise KeyError(f"{self.name} has the variants {', '.join(variants)}; got {variant!r}")
        return dataclasses.replace(self.paper, **(self.tiers[tier] | variants[variant]))

    def at(self, tier: str) -> dict[str, dict]:
        """The variants of a tier."""
        return self.own.get(tier, self.variants)

    def names(self) -> list[str]:
        """The names of all variants, whichever tier has them."""
        return list(dict.fromkeys(name for tier in self.tiers for name in self.at(tier)))
