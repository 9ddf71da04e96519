"""Neural collapse, measured (NC1 to NC4) and as theory (lemma, corollary and propositions)."""

from richlib.collapse.measures import (
    ClassStatistics,
    SelfDuality,
    SimplexETF,
    nc1,
    nc2,
    nc3,
    nc4,
    trace_within,
)
from richlib.collapse.theory import (
    Check,
    check_corollary_1,
    check_lemma_1,
    check_proposition_1,
    check_proposition_2,
)

__all__ = [
    "Check",
    "ClassStatistics",
    "SelfDuality",
    "SimplexETF",
    "check_corollary_1",
    "check_lemma_1",
    "check_proposition_1",
    "check_proposition_2",
    "nc1",
    "nc2",
    "nc3",
    "nc4",
    "trace_within",
]
