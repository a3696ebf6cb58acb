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

from companion.paper.readings import at_retained_sum, at_sparsity, from_zero, knee
from companion.paper.runs import HIGHEST, THEORY, Run
from thermo_utils.accuracy import accuracy_threshold

__all__ = ["BOUND", "HIGH", "RULES", "Merit", "frontier", "merit"]

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


def frontier(runs: Sequence[Run]) -> pd.DataFrame:
    """What every rule costs and gains, for every value of its parameter.

    Parameters
    ----------
    runs : sequence of Run
        As returned by :func:`companion.paper.runs.runs`.

    Returns
    -------
    DataFrame
        A row per rule and value, with columns ``rule`` (a name in `RULES`), ``value`` (nan without
        a parameter), ``runs``, ``pruned`` (runs with a threshold above zero), ``worst`` and
        ``high`` (largest loss of accuracy, and its quantile `HIGH`), and ``sparsity`` (median; of
        what pruning at the threshold causes under full evaluation). A run in which a free energy
        has no feature is not pruned: it loses and gains nothing. A value for which the grid of
        any run ends too early is left out.
    """
    tables = []
    for name, rule in RULES.items():
        taus = np.array(
            [[_or_nan(rule.apply(run, value)) for run in runs] for value in rule.values],
            dtype=np.float64,
        ).reshape(len(rule.values), len(runs))
        whole = ~np.isnan(taus).any(axis=1) & bool(runs)
        taus = taus[whole]
        loss, gained = np.zeros(taus.shape), np.zeros(taus.shape)
        for k, run in enumerate(runs):
            baseline = float(run.full.attrs["baseline_accuracy"])
            accuracy = from_zero(run.full, "accuracy", baseline)
            loss[:, k] = baseline - np.interp(taus[:, k], *accuracy)
            gained[:, k] = np.interp(taus[:, k], *from_zero(run.full, "beta", 0.0))
        tables.append(
            pd.DataFrame(
                {
                    "rule": name,
                    "value": np.array(rule.values)[whole],
                    "runs": len(runs),
                    "pruned": (taus > 0).sum(axis=1),
                    "worst": loss.max(axis=1, initial=-np.inf),
                    "high": np.quantile(loss, HIGH, axis=1) if whole.any() else [],
                    "sparsity": np.median(gained, axis=1) if whole.any() else [],
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


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
