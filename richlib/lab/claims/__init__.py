"""What the paper says, as data, and the rule that decides from records whether it reproduces.

rule.py holds the rule and the three kinds of claims: a number, an order, and what a chapter decides
live; measures.py what is read off a record where its metrics do not hold it; bounds.py what words
like "rich" mean as numbers; tables.py, statements.py and figures.py what the paper says. Every cell
of Tables 1 to 8 with a result is a claim (Tables 1 and 2 and Fig. 1b through 6, 7 and 5, which add
the spread), and every figure that makes a statement about training: Figs. 1 to 5 and 10 to 21.
Figs. 6, 7, 9 and 23 to 25 are computed in chapters of the foundations. Figs. 8 and 22 are drawings.

Not claimed: the linear model of Fig. 2, which the paper draws for comparison; the experiment
"gaussian-process" is what its chapter draws. Nor that eigenvalues of Fig. 3 follow a power law
without batch normalization, and that larger features improve faster (Fig. 5), for which the paper
gives no measure.
"""

from richlib.lab.claims.figures import FIGURES
from richlib.lab.claims.rule import PAGES, VERDICTS, Claim, Direction, Elsewhere, Term, page
from richlib.lab.claims.statements import STATED
from richlib.lab.claims.tables import (
    OF_NEURONS,
    TABLE_3,
    TABLE_4,
    TABLE_5,
    TABLE_6,
    TABLE_7,
)

__all__ = [
    "CLAIMS",
    "FIGURES",
    "PAGES",
    "STATED",
    "TABLE_3",
    "TABLE_4",
    "TABLE_5",
    "TABLE_6",
    "TABLE_7",
    "OF_NEURONS",
    "VERDICTS",
    "Claim",
    "Direction",
    "Elsewhere",
    "Term",
    "page",
]

CLAIMS: list[Claim | Direction | Elsewhere] = [
    *(*TABLE_5, *TABLE_6, *TABLE_7, *OF_NEURONS, *TABLE_3, *TABLE_4),
    *(*STATED, *FIGURES),
]
