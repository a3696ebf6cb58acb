"""Is a threshold safe, and what does it gain: loss of accuracy against sparsity, over all runs.

How near a prediction is to the place where accuracy gives way is one question, whether one may
prune there another. Here a rule is judged by the worst loss over all runs and the median sparsity
it buys. A rule with a parameter is a curve: careful at one end, greedy at the other. The bound is
whoever measures the accuracy itself and prunes up to the loss allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from companion.paper.readings import at_retained_sum, at_sparsity, from_zero, knee
from companion.paper.runs import HIGHEST, THEORY, Run, loss_at
from thermo_utils.accuracy import accuracy_threshold

__all__ = [
    "BOUND",
    "HIGH",
    "RULES",
    "Merit",
    "Outcomes",
    "advantages",
    "frontier",
    "merit",
    "outcomes",
]

#: Name of the bound: the threshold of the accuracy, measured, at each loss allowed.
BOUND: Final = "measured"
#: Losses above this quantile over the runs are left out in the milder of the two measures.
HIGH: Final = 0.95
#: Losses allowed, for the bound.
LOSSES: Final = tuple(float(x) for x in np.round(np.geomspace(0.001, 0.3, 40), 5))

_Apply = Callable[[Run, float], "float | None"]


class _Rule(NamedTuple):
    apply: _Apply
    values: Sequence[float]


def _measured(run: Run, allowed: float) -> float | None:
    found = accuracy_threshold(run.full, allowed)
    return float(run.full["tau"].iloc[-1]) if found is None else found.tau


def _knee(run: Run, _: float) -> float | None:
    return knee(run.fast[run.fast["tau"] <= run.full["tau"].iloc[-1]])


def _mark(name: str, run: Run, _: float) -> float:
    return run.marks[name] or 0.0


_SHARES: Final = tuple(float(x) for x in np.round(np.arange(0.01, 0.96, 0.01), 2))
#: Rules with the values of their parameter, from careful to greedy; those without have one.
RULES: Final[Mapping[str, _Rule]] = {
    "quantile": _Rule(lambda run, x: at_sparsity(run.fast, x), _SHARES),
    "retained": _Rule(
        lambda run, x: at_retained_sum(run.fast, 1 - x),
        (0.0005, 0.001, 0.002, 0.005, *_SHARES),
    ),
    "constant": _Rule(
        lambda _, x: x, tuple(float(x) for x in np.round(np.geomspace(0.002, 4.0, 100), 5))
    ),
    "knee": _Rule(_knee, (np.nan,)),
    **{name: _Rule(partial(_mark, name), (np.nan,)) for name in (*THEORY, *HIGHEST)},
    BOUND: _Rule(_measured, LOSSES),
}


class Outcomes(NamedTuple):
    """What every rule with every value of its parameter does to every run.

    Attributes
    ----------
    rule, value : ndarray, shape (V,)
        Names from `RULES`, and the value of the parameter (nan without one).
    chapter : ndarray, shape (R,)
        Chapter of each run.
    tau, loss, sparsity : ndarray of float64, shape (V, R)
        The threshold, what pruning there costs, and what it gains, both under full evaluation; nan
        where the grid of the run ends before the threshold. A run in which a free energy has no
        feature is not pruned: it loses and gains nothing.
    """

    rule: NDArray[np.str_]
    value: NDArray[np.float64]
    chapter: NDArray[np.str_]
    tau: NDArray[np.float64]
    loss: NDArray[np.float64]
    sparsity: NDArray[np.float64]


def outcomes(runs: Sequence[Run]) -> Outcomes:
    """Prune every run by every rule.

    Parameters
    ----------
    runs : sequence of Run
        As returned by :func:`companion.paper.runs.runs`.

    Returns
    -------
    Outcomes
    """
    each = [(name, value) for name, rule in RULES.items() for value in rule.values]
    tau = np.array(
        [[_or_nan(RULES[name].apply(run, value)) for run in runs] for name, value in each]
    )
    loss, gained = np.zeros(tau.shape), np.zeros(tau.shape)
    for k, run in enumerate(runs):
        loss[:, k] = loss_at(run.full, tau[:, k])
        gained[:, k] = np.interp(tau[:, k], *from_zero(run.full, "beta", 0.0))
    chapters = np.array([run.chapter for run in runs], dtype=np.str_)
    names, values = (np.array(column) for column in zip(*each, strict=True))
    return Outcomes(names, values, chapters, tau, loss, gained)


def frontier(found: Outcomes, *, without: str = "") -> pd.DataFrame:
    """What every rule costs and gains over all runs, for every value of its parameter.

    Parameters
    ----------
    found : Outcomes
        As returned by :func:`outcomes`.
    without : str, optional
        A chapter to leave out.

    Returns
    -------
    DataFrame
        A row per rule and value, with columns ``rule``, ``value``, ``runs``, ``pruned`` (runs with
        a threshold above zero), ``worst`` and ``high`` (largest loss of accuracy, and its quantile
        `HIGH`), and ``sparsity`` (median). A value for which the grid of any run ends too early is
        left out.
    """
    kept = found.chapter != without
    whole = ~np.isnan(found.tau[:, kept]).any(axis=1) & kept.any()
    tau, loss, gained = (
        table[np.ix_(whole, kept)] for table in (found.tau, found.loss, found.sparsity)
    )
    some = bool(whole.any())
    return pd.DataFrame(
        {
            "rule": found.rule[whole],
            "value": found.value[whole],
            "runs": int(kept.sum()),
            "pruned": (tau > 0).sum(axis=1),
            "worst": loss.max(axis=1, initial=-np.inf),
            "high": np.quantile(loss, HIGH, axis=1) if some else [],
            "sparsity": np.median(gained, axis=1) if some else [],
        }
    )


def _or_nan(tau: float | None) -> float:
    return np.nan if tau is None else tau


class Merit(NamedTuple):
    """A free energy against the simple rules at equal risk.

    Attributes
    ----------
    loss, sparsity : float
        Of the free energy: loss of accuracy, and median sparsity.
    rule : str
        The simple rule that gains most without losing more; empty where none gains anything.
    rule_sparsity : float
        What that gains: the most over all values of its parameter, chosen in hindsight.
    bound : float
        What whoever measures the accuracy gains at that loss.
    """

    loss: float
    sparsity: float
    rule: str
    rule_sparsity: float
    bound: float


def merit(table: pd.DataFrame, method: str, by: str = "worst") -> Merit:
    """Sparsity at equal risk: a free energy, the best simple rule, and the bound.

    Parameters
    ----------
    table : DataFrame
        As returned by :func:`frontier`.
    method : str
        A free energy, from `THEORY` or `HIGHEST`.
    by : {"worst", "high"}, default "worst"
        The risk that is to be equal.

    Returns
    -------
    Merit
    """
    own = table[table["rule"] == method].iloc[0]
    as_safe = table[table[by] <= own[by] + 1e-9]
    simple = as_safe[as_safe["rule"].isin(["quantile", "retained", "constant", "knee"])]
    best = None if simple.empty else simple.loc[simple["sparsity"].idxmax()]
    bound = as_safe.loc[as_safe["rule"] == BOUND, "sparsity"].max()
    return Merit(
        float(own[by]),
        float(own["sparsity"]),
        "" if best is None else str(best["rule"]),
        0.0 if best is None else float(best["sparsity"]),
        float(bound) if np.isfinite(bound) else 0.0,
    )


def advantages(found: Outcomes, method: str) -> dict[str, float]:
    """How the merit of a free energy depends on the chapters: it is that of single runs.

    Parameters
    ----------
    found : Outcomes
        As returned by :func:`outcomes`.
    method : str
        A free energy.

    Returns
    -------
    dict of str to float
        Its sparsity over that of the best simple rule at equal worst loss, by the chapter that is
        left out; infinite where no simple rule is as safe.
    """
    ratios = {}
    for name in dict.fromkeys(found.chapter.tolist()):
        m = merit(frontier(found, without=name), method)
        ratios[name] = m.sparsity / m.rule_sparsity if m.rule_sparsity else np.inf
    return ratios
