"""What the paper's words mean as bounds, each for one variant, as the terms of a direction."""

from richlib.lab.claims.measures import eigenvalue_step, utilization
from richlib.lab.claims.rule import Term

Bound = tuple[float | Term, float | Term]


def only_C(variant: str) -> Bound:
    """Uses only C features: Π̂(C) above 0.95. Ideally it is 1 (Section 5.3); 5% is what the rule for
    numbers grants.
    """
    return 0.95, Term(utilization, (variant,))


def more(variant: str) -> Bound:
    """Uses more features: Π̂(C) below that."""
    return only_C(variant)[::-1]


def significant(variant: str) -> Bound:
    """Only C are significant, ρ_C ≫ ρ_{C+1} in Section 5.3: a fall to less than a tenth."""
    return Term(eigenvalue_step, (variant,)), 0.1


def rich(variant: str) -> Bound:
    """Rich: D_LR below 0.1, the bound that the caption of Fig. 15 names."""
    return Term("dlr_train", (variant,)), 0.1


def lazy(variant: str) -> Bound:
    """Lazy: D_LR above that."""
    return rich(variant)[::-1]
