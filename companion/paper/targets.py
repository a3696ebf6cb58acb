"""Where accuracy gives way, by as many definitions as the question has.

The paper reads the place off its plots and states no rule, and the verdict on every predictor
depends on the rule. So a target is a thing of its own here: a drop of so many points, a share of
what the network knows beyond the most frequent class, a drop that the test examples can tell from
none, or the shape of the accuracy curve. None of them looks at the free energy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from companion.paper.readings import above_chord, from_zero
from companion.paper.runs import Run
from thermo_utils.accuracy import MAX_DROP, accuracy_interval, accuracy_threshold, drop_errors
from thermo_utils.grids import grid_step

__all__ = [
    "DEFAULT",
    "DROPS",
    "REASONS",
    "TARGETS",
    "Target",
    "at_drop",
    "changepoint",
    "read_targets",
]

#: Drops of the accuracy to look at.
DROPS: Final = (0.005, 0.01, 0.02, 0.03, 0.05, 0.10, 0.30)
#: Share of the lift over the most frequent class whose loss is a target of its own.
SHARE: Final = 0.1
#: A chapter is judged by a drop only if that is less than this share of its lift: who loses more
#: than half of what the network knows is past the place where it gives way.
LARGEST_SHARE: Final = 0.5
#: Points that each of three pieces needs for :func:`changepoint`; ``clinear`` takes no fewer.
PIECE: Final = 3
#: Why a run has no target, in words that go on "not judged, because".
REASONS: Final[Mapping[str, str]] = {
    "lift": "the drop is half or more of what the network knows beyond the most frequent class",
    "grid": "the accuracy does not fall so far on the grid",
    "at once": "it has fallen so far at the first threshold",
    "counts": "the record does not count the examples lost and gained",
}


class Target(NamedTuple):
    """A definition of where accuracy gives way.

    Attributes
    ----------
    name : str
        Short, for the head of a row.
    words : str
        What goes on "the last threshold before".
    drop : callable
        Drop of the accuracy (absolute) that a run must be able to lose, from its lift.
    find : callable
        Last threshold before it, and the interval that the test examples leave open, from a full
        evaluation and the drop: ``(tau, low, high)``. None where the grid does not reach so far.
    counts : bool
        Whether it needs the examples lost and gained.
    """

    name: str
    words: str
    drop: Callable[[float], float]
    find: Callable[[pd.DataFrame, float], tuple[float, float, float] | None]
    counts: bool = False


def at_drop(max_drop: float) -> Target:
    """The target that accuracy may lie so far below the unpruned network's.

    Parameters
    ----------
    max_drop : float
        Absolute, a share.

    Returns
    -------
    Target

    Examples
    --------
    >>> at_drop(0.005).name, at_drop(0.01).name
    ('0.5 points', '1 point')
    """
    value = f"{100 * max_drop:g}"
    name = f"{value} point{'' if value == '1' else 's'}"
    return Target(name, f"the accuracy lies more than {name} lower", lambda _: max_drop, _dropped)


def changepoint(curve: pd.DataFrame) -> float | None:
    """End of the plateau of an accuracy curve: the first bend of the three lines nearest to it.

    A plateau, a fall and a floor, as lines that join (``clinear`` of the library ruptures, whose
    lines run through points of the curve): the two joints with the least squared distance. They
    know no threshold, so they are found on the multiples of the grid's step.

    Parameters
    ----------
    curve : DataFrame
        A full evaluation, with ``attrs["baseline_accuracy"]``.

    Returns
    -------
    float or None
        None with fewer than nine points, that at zero included.

    Examples
    --------
    >>> tau = np.arange(1, 13) / 10
    >>> accuracy = np.interp(tau, [0.4, 0.9], [0.8, 0.3])
    >>> curve = pd.DataFrame({"tau": tau, "accuracy": accuracy})
    >>> curve.attrs["baseline_accuracy"] = 0.8
    >>> changepoint(curve)
    0.4
    """
    from ruptures import Dynp  # slow to import, and nothing else here needs it

    tau, accuracy = from_zero(curve, "accuracy", _baseline(curve))
    steps = tau / grid_step(curve)
    even = np.abs(steps - np.round(steps)) < 1e-6
    if even.sum() < 3 * PIECE:
        return None
    first, *_ = Dynp(model="clinear", min_size=PIECE, jump=1).fit(accuracy[even]).predict(n_bkps=2)
    return float(tau[even][first - 1])


def _dropped(curve: pd.DataFrame, drop: float) -> tuple[float, float, float] | None:
    found = accuracy_threshold(curve, drop)
    return None if found is None else (found.tau, found.low, found.high)


def _told(curve: pd.DataFrame, _: float) -> tuple[float, float, float] | None:
    tau = accuracy_interval(curve, 0.0)[1]
    return None if np.isinf(tau) else (tau, np.nan, np.nan)


def _bent(curve: pd.DataFrame, drop: float) -> tuple[float, float, float] | None:
    found = changepoint(curve) if _falls(curve, drop) else None
    return None if found is None else (found, np.nan, np.nan)


def _knee(curve: pd.DataFrame, drop: float) -> tuple[float, float, float] | None:
    found = above_chord(*from_zero(curve, "accuracy", _baseline(curve)))
    return None if found is None or not _falls(curve, drop) else (found, np.nan, np.nan)


def _falls(curve: pd.DataFrame, drop: float) -> bool:
    return accuracy_threshold(curve, drop) is not None


def _baseline(curve: pd.DataFrame) -> float:
    return float(curve.attrs["baseline_accuracy"])


#: By name. The shapes need a curve that falls by the default drop at all.
TARGETS: Final[Mapping[str, Target]] = {
    target.name: target
    for target in (
        *map(at_drop, DROPS),
        Target(
            f"{100 * SHARE:g} % of the lift",
            f"the accuracy has lost more than {100 * SHARE:g} % of its lift over always naming the "
            "most frequent class",
            lambda over: SHARE * over,
            _dropped,
        ),
        Target(
            "two standard errors",
            "the accuracy is lower by more than two standard errors of the paired difference",
            lambda _: 0.0,
            _told,
            counts=True,
        ),
        Target(
            "changepoint", "three joined lines along the accuracy first bend",
            lambda _: MAX_DROP, _bent,
        ),
        Target(
            "knee", "the accuracy stands highest above the chord of its curve",
            lambda _: MAX_DROP, _knee,
        ),
    )
}  # fmt: skip
#: The one that a sentence means if it names none.
DEFAULT: Final = TARGETS[at_drop(MAX_DROP).name]


def read_targets(runs: Sequence[Run], target: Target = DEFAULT) -> pd.DataFrame:
    """Where the accuracy of every run gives way, or why that cannot be said.

    Parameters
    ----------
    runs : sequence of Run
        As returned by :func:`companion.paper.runs.runs`.
    target : Target, default `DEFAULT`
        From `TARGETS` or :func:`at_drop`.

    Returns
    -------
    DataFrame
        A row per run, with columns ``chapter``, ``seed``, ``tau`` (nan where it is not judged),
        ``low`` and ``high`` (thresholds that the test examples cannot tell from it; nan where that
        is not known), and ``reason``, one of `REASONS` where it is not judged, otherwise empty.
    """
    rows = []
    for run in runs:
        drop = target.drop(run.lift)
        reason, found = "", None
        if not drop < LARGEST_SHARE * run.lift:
            reason = "lift"
        elif target.counts and drop_errors(run.full) is None:
            reason = "counts"
        elif (found := target.find(run.full, drop)) is None:
            reason = "grid"
        elif found[0] == 0.0:
            reason = "at once"
        tau, low, high = found if found is not None and not reason else (np.nan,) * 3
        rows.append((run.chapter, run.seed, tau, low, high, reason))
    return pd.DataFrame(rows, columns=["chapter", "seed", "tau", "low", "high", "reason"])
