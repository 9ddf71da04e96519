"""richlib measures how richly a neural network learns.

D_LR = 1 − CKA(T, T_MP) (Nam et al., ICLR 2026, arXiv 2410.04264) compares the feature kernel of a
network's penultimate layer with the smallest kernel that could express what the network computes:
0 is rich, 1 is lazy, whatever the accuracy.
"""

from richlib._checks import DegenerateWarning
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
from richlib.spectrum import Eigenfunctions, FiniteSizeWarning

__all__ = [
    "DegenerateWarning",
    "Eigenfunctions",
    "FiniteSizeWarning",
    "Measurement",
    "Moments",
    "Operator",
    "Richness",
    "cka",
    "dlr",
    "effective_dimension",
    "feature_kernel_operator",
    "measure",
    "minimum_projection_features",
    "minimum_projection_operator",
    "richness",
]
__version__ = "0.1.0"
