"""richlib measures how richly a neural network learns.

D_LR = 1 − CKA(T, T_MP) (Nam et al., ICLR 2026, arXiv 2410.04264) compares the feature kernel of a
network's penultimate layer with the smallest kernel that could express what the network computes:
0 is rich, 1 is lazy, whatever the accuracy.
"""

from richlib import collapse
from richlib._checks import DegenerateWarning, FiniteSizeWarning
from richlib.linear import (
    generalization_error,
    gradient_flow,
    kappa,
    learnability,
    minimum_norm_interpolation,
)
from richlib.measure import Measurement, measure
from richlib.moments import Moments
from richlib.operators import (
    Operator,
    cka,
    feature_kernel_operator,
    minimum_projection_features,
    minimum_projection_operator,
)
from richlib.richness import Richness, dlr, effective_dimension, richness
from richlib.rivals import nc1_with_ridge, parameter_norm, s_init
from richlib.sketch import SketchedRichness, sketched_dlr
from richlib.spectrum import Eigenfunctions
from richlib.tracking import Tracker

__all__ = [
    "DegenerateWarning",
    "Eigenfunctions",
    "FiniteSizeWarning",
    "Measurement",
    "Moments",
    "Operator",
    "Richness",
    "SketchedRichness",
    "Tracker",
    "cka",
    "collapse",
    "dlr",
    "effective_dimension",
    "feature_kernel_operator",
    "generalization_error",
    "gradient_flow",
    "kappa",
    "learnability",
    "measure",
    "minimum_norm_interpolation",
    "minimum_projection_features",
    "minimum_projection_operator",
    "nc1_with_ridge",
    "parameter_norm",
    "richness",
    "s_init",
    "sketched_dlr",
]
__version__ = "0.1.0"
