"""Rules that predict where accuracy gives way, and how far each of them is off.

The paper's rule takes the earliest feature of the free energy. Whether that is worth anything shows
only beside rules that use the same activations without any free energy: the threshold that removes
a fixed share of the activations, or leaves a fixed share of their sum, or lies at the knee of the
sparsity. A free parameter of a rule is fitted to other chapters than the one it is judged on. Where
accuracy gives way is a choice of :mod:`companion.paper.targets`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from companion.paper.readings import (
    at_retained_sum,
    at_sparsity,
    from_zero,
    knee,
    retained_sum,
    sparsity_at,
)
from companion.paper.runs import HIGHEST, THEORY, Run, loss_at
from thermo_utils.grids import grid_step

__all__ = [
    "A_STEP",
    "BASELINES",
    "PREDICTORS",
    "grid_ends",
    "per_chapter",
    "predictions",
]

#: Rules that know nothing of the free energy.
BASELINES: Final = ("quantile", "careful", "retained", "knee", "constant")
PREDICTORS: Final = (*THEORY, *HIGHEST, *BASELINES)
#: More steps of the grid than this are an error: the target itself is known to one.
A_STEP: Final = 1 + 1e-9


class _Judged(NamedTuple):
    """A run with its target."""

    run: Run
    tau: float


class _Family(NamedTuple):
    """Predictors that differ in the value of one parameter."""

    #: The value that would have been right for a chapter.
    fit: Callable[[_Judged], float]
    #: The threshold for a curve and a value.
    apply: Callable[[pd.DataFrame, float], float | None]
    #: What to make of the values of several chapters.
    combine: Callable[[NDArray[Any]], Any] = np.median


_FAMILIES: Final[Mapping[str, _Family]] = {
    "quantile": _Family(lambda one: sparsity_at(one.run.fast, one.tau), at_sparsity),
    "careful": _Family(lambda one: sparsity_at(one.run.fast, one.tau), at_sparsity, np.min),
    "retained": _Family(lambda one: retained_sum(one.run.fast, one.tau), at_retained_sum),
    "constant": _Family(lambda one: one.tau, lambda curve, value: value),
}


def predictions(
    runs: Sequence[Run],
    targets: pd.DataFrame,
    *,
    together: Callable[[str], str] = str,
) -> pd.DataFrame:
    """Every prediction for every run, and how far it is off.

    Parameters
    ----------
    runs : sequence of Run
        As returned by :func:`companion.paper.runs.runs`.
    targets : DataFrame
        What is to be predicted: as :func:`companion.paper.targets.read_targets` returns it for
        these runs.
    together : callable, optional
        Maps the name of a chapter to a group. Free parameters for a chapter are fitted to chapters
        of other groups only; by default every chapter is a group of its own.

    Returns
    -------
    DataFrame
        A row per run and predictor, with columns ``chapter``, ``seed``, ``predictor``,
        ``parameter`` (fitted value, nan where there is none), ``tau`` (predicted; nan for none),
        ``target`` (of the accuracy), ``ends`` (whether a rule finds nothing because the grid of the
        renormalized curve ends before, which is no miss of the rule), ``steps`` (their difference
        in steps of the full evaluation's grid), ``octaves`` (``log2(tau / target)``), ``sparsity``
        (difference of the sparsities, both read on the full evaluation), and ``drop`` (of the
        accuracy at the predicted threshold, :func:`companion.paper.runs.loss_at`). Runs without a
        target are left out.

    Notes
    -----
    The parameter of a rule is the median, over the other chapters, of the value that would have
    been right there (the mean over the seeds of a chapter). That is the value with the least mean
    absolute error in the parameter, and needs no search. ``careful`` is ``quantile`` with the least
    of these values instead: a sparsity that was safe on all other chapters.
    """
    judged = [
        _Judged(run, float(tau))
        for run, tau in zip(runs, targets["tau"], strict=True)
        if not np.isnan(tau)
    ]
    right = {
        name: pd.Series([family.fit(one) for one in judged], dtype=np.float64)
        for name, family in _FAMILIES.items()
    }
    names = pd.Series([one.run.chapter for one in judged], dtype=object)
    groups = names.map(together)
    # The mean over the seeds of a chapter, then what the chapters of other groups together say.
    fitted = {
        group: {
            name: float(family.combine(right[name][rest].groupby(names[rest]).mean().to_numpy()))
            for name, family in _FAMILIES.items()
        }
        for group in dict.fromkeys(groups)
        if (rest := groups != group).any()
    }
    rows = []
    for one, group in zip(judged, groups, strict=True):
        run, values = one.run, fitted.get(group, {})
        found: dict[str, float | None] = {
            **run.marks,
            "knee": knee(run.fast[run.fast["tau"] <= run.full["tau"].iloc[-1]]),
            **{name: _FAMILIES[name].apply(run.fast, value) for name, value in values.items()},
        }
        taus = [found.get(name) for name in PREDICTORS]
        errors = _errors(one, np.array([np.nan if tau is None else tau for tau in taus]))
        rows += [
            {
                "chapter": run.chapter,
                "seed": run.seed,
                "predictor": name,
                "parameter": values.get(name, np.nan),
                "ends": taus[k] is None and name in values,
                **{column: error[k] for column, error in errors.items()},
            }
            for k, name in enumerate(PREDICTORS)
        ]
    return pd.DataFrame(
        rows,
        columns=[
            "chapter", "seed", "predictor", "parameter", "ends", "tau", "target", "steps",
            "octaves", "sparsity", "drop",
        ],
    )  # fmt: skip


def per_chapter(predicted: pd.DataFrame) -> pd.DataFrame:
    """Errors of a chapter and predictor: means over its seeds, which are not independent.

    Parameters
    ----------
    predicted : DataFrame
        As returned by :func:`predictions`.

    Returns
    -------
    DataFrame
        A row per chapter and predictor, in the order of `predicted`, with columns ``chapter``,
        ``predictor``, ``seeds``, ``misses`` (seeds without a prediction), ``ends`` (seeds whose
        grid ends before the prediction), ``octaves``, ``steps``, ``sparsity`` (means of absolute
        errors, infinite if there is a miss, nan if a grid ends), ``signed`` (mean of
        the signed octaves that exist), ``early`` and ``late`` (seeds more than a grid step off),
        and ``drop`` and ``worst`` (mean and largest of the drops that exist).

    Notes
    -----
    A rule that finds nothing on one seed cannot be relied on for that chapter, so a miss makes the
    error infinite, worse than any prediction. A grid that ends too early says nothing about the
    rule: the chapter is not judged by it.
    """
    errors = ["octaves", "steps", "sparsity"]
    each = predicted[["chapter", "predictor", "seed", "ends", "drop"]].assign(
        **predicted[errors].abs(),
        misses=predicted["tau"].isna() & ~predicted["ends"].astype(bool),
        signed=predicted["octaves"],
        early=predicted["steps"] < -A_STEP,
        late=predicted["steps"] > A_STEP,
    )
    table = each.groupby(["chapter", "predictor"], sort=False).agg(
        seeds=("seed", "size"),
        misses=("misses", "sum"),
        ends=("ends", "sum"),
        **{name: (name, "mean") for name in errors},
        signed=("signed", "mean"),
        early=("early", "sum"),
        late=("late", "sum"),
        drop=("drop", "mean"),
        worst=("drop", "max"),
    )
    table.loc[table["misses"] > 0, errors] = np.inf
    table.loc[table["ends"] > 0, errors] = np.nan
    return table.reset_index()


def grid_ends(predicted: pd.DataFrame, runs: Sequence[Run]) -> pd.DataFrame:
    """Chapters that a rule is not judged on, because the grid ends before its prediction.

    Parameters
    ----------
    predicted : DataFrame
        As returned by :func:`predictions`.
    runs : sequence of Run
        What it was made from.

    Returns
    -------
    DataFrame
        A row per such chapter and predictor, with ``chapter``, ``predictor`` and ``late``: the
        rule would be late by at least that many octaves, the end of the grid over the target.
    """
    last = {(run.chapter, run.seed): float(run.fast["tau"].iloc[-1]) for run in runs}
    table = predicted[predicted["ends"].astype(bool)]
    end = np.array([last[key] for key in zip(table["chapter"], table["seed"], strict=True)])
    late = table.assign(late=np.log2(end / table["target"].to_numpy(np.float64)))
    return late.groupby(["chapter", "predictor"], sort=False)["late"].mean().reset_index()


def _errors(one: _Judged, taus: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """How far predictions of one run are off; nan where there is none."""
    full, target = one.run.full, one.tau
    beta = np.interp([target, *taus], *from_zero(full, "beta", 0.0))
    return {
        "tau": taus,
        "target": np.full(taus.shape, target),
        "steps": (taus - target) / grid_step(full),
        "octaves": np.log2(taus / target),
        "sparsity": beta[1:] - beta[0],
        "drop": loss_at(full, taus),
    }
