"""Which predictor of the accuracy's threshold is nearer, and which one is near or safe at all.

What wins and what loses is decided by the numbers here, not by whoever writes a page.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import pandas as pd
from scipy.stats import binomtest

from companion.paper.predictors import BASELINES
from thermo_utils.accuracy import MAX_DROP

__all__ = [
    "LEVEL",
    "NEAR",
    "RIVALS",
    "UNSAFE",
    "Comparison",
    "Standing",
    "ahead",
    "compare",
    "near",
    "standing",
    "unsafe",
]

#: A prediction is near if it is off by at most half an octave, a factor of 1.41.
NEAR: Final = 0.5
#: A difference is established if chance alone produces it less often than this.
LEVEL: Final = 0.05
#: Errors that differ by no more are equal.
ROUNDING: Final = 1e-9
#: Loss of accuracy that is too much, the same as marks the target.
UNSAFE: Final = MAX_DROP
#: Simple rules made to be near; the remaining one is made to be safe.
RIVALS: Final = tuple(rule for rule in BASELINES if rule != "careful")


class Comparison(NamedTuple):
    """Paired comparison of two predictors over chapters.

    Attributes
    ----------
    wins, losses, ties : int
        Chapters in which the first is nearer, farther, or as near, where both are judged.
    p : float
        Two-sided sign test over the chapters without ties: how often two equally good predictors
        would differ at least that much. 1 when there are none.
    """

    wins: int
    losses: int
    ties: int
    p: float


def compare(errors: pd.DataFrame, first: str, second: str, *, by: str = "octaves") -> Comparison:
    """Which of two predictors is nearer, chapter by chapter.

    Parameters
    ----------
    errors : DataFrame
        As returned by :func:`per_chapter`.
    first, second : str
        Names from `PREDICTORS`.
    by : {"octaves", "steps", "sparsity"}, default "octaves"
        The error to compare.

    Returns
    -------
    Comparison

    Examples
    --------
    >>> errors = pd.DataFrame({"chapter": ["a", "b"] * 2, "predictor": ["FE", "FE", "knee", "knee"],
    ...                        "octaves": [0.1, 0.2, 0.3, 0.4]})
    >>> compare(errors, "knee", "FE")
    Comparison(wins=0, losses=2, ties=0, p=0.5)
    """
    table = errors.pivot(index="chapter", columns="predictor", values=by)
    one, two = table[first], table[second]
    judged = int((one.notna() & two.notna()).sum())
    # Two misses are equally bad, and rounding is no difference: the rest are ties.
    wins, losses = int((one < two - ROUNDING).sum()), int((one > two + ROUNDING).sum())
    p = float(binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0
    return Comparison(wins, losses, judged - wins - losses, p)


class Standing(NamedTuple):
    """How a free energy stands against the simple rules.

    Attributes
    ----------
    nearer, farther, undecided : dict of str to Comparison
        Rules of `RIVALS` that are nearer than the free energy, farther off, or neither, and their
        comparison with it. Only what the sign test establishes counts as nearer or farther.
    """

    nearer: dict[str, Comparison]
    farther: dict[str, Comparison]
    undecided: dict[str, Comparison]


def standing(errors: pd.DataFrame, method: str) -> Standing:
    """Sort the simple rules by whether they beat a free energy.

    Parameters
    ----------
    errors : DataFrame
        As returned by :func:`companion.paper.predictors.per_chapter`.
    method : {"FE", "RFE"}
        Which free energy.

    Returns
    -------
    Standing
    """
    result = Standing({}, {}, {})
    for rule in RIVALS:
        found = compare(errors, rule, method)
        if found.p >= LEVEL:
            result.undecided[rule] = found
        elif found.wins > found.losses:
            result.nearer[rule] = found
        else:
            result.farther[rule] = found
    return result


def ahead(errors: pd.DataFrame, method: str) -> int:
    """Number of simple rules whose median error is less than that of a free energy.

    Medians are taken over the chapters that both are judged on.

    Parameters
    ----------
    errors, method
        As for :func:`standing`.

    Returns
    -------
    int
    """
    table = errors.pivot(index="chapter", columns="predictor", values="octaves")
    number = 0
    for rule in RIVALS:
        both = table.loc[table[rule].notna() & table[method].notna(), [rule, method]].median()
        number += bool(both[rule] < both[method])
    return number


def near(errors: pd.DataFrame, predictor: str) -> list[str]:
    """Chapters in which a prediction is near.

    Parameters
    ----------
    errors : DataFrame
        As for :func:`standing`.
    predictor : str
        Which.

    Returns
    -------
    list of str
        Names of chapters.
    """
    own = errors[errors["predictor"] == predictor]
    return [str(name) for name in own.loc[own["octaves"] <= NEAR, "chapter"]]


def unsafe(errors: pd.DataFrame, predictor: str) -> list[str]:
    """Chapters in which pruning at the predicted threshold costs too much on one of the seeds.

    Parameters
    ----------
    errors, predictor
        As for :func:`near`.

    Returns
    -------
    list of str
        Names of chapters.
    """
    own = errors[errors["predictor"] == predictor]
    return [str(name) for name in own.loc[own["worst"] > UNSAFE, "chapter"]]
