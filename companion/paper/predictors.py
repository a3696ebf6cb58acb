"""Rules that predict where accuracy gives way, and how far each of them is off.

The paper's rule takes the earliest feature of the free energy. Whether that is worth anything shows
only beside rules that use the same activations without any free energy: the threshold that removes
a fixed share of the activations, or leaves a fixed share of their sum, or lies at the knee of the
sparsity. A free parameter of a rule is fitted to other chapters than the one it is judged on.
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
from companion.runs.methods import CURVES, METHODS
from companion.runs.records import Record
from thermo_utils.accuracy import accuracy_threshold
from thermo_utils.grids import grid_step

__all__ = [
    "A_STEP",
    "BASELINES",
    "MAX_DROP",
    "PREDICTORS",
    "THEORY",
    "per_chapter",
    "predictions",
]

#: The paper's predictors: first feature of F under full evaluation, and of the renormalized F.
THEORY: Final = tuple(METHODS[method].short for method in CURVES)
#: Rules that know nothing of the free energy.
BASELINES: Final = ("quantile", "careful", "retained", "knee", "constant")
PREDICTORS: Final = (*THEORY, *BASELINES)
#: Drop of the accuracy that marks the target.
MAX_DROP: Final = 0.05
#: More steps of the grid than this are an error: the target itself is known to one.
A_STEP: Final = 1 + 1e-9


class _Run(NamedTuple):
    """A record as the predictors see it: predictions of the theory, the target, and both curves."""

    chapter: str
    seed: int
    theory: Mapping[str, float | None]
    tau: float
    full: pd.DataFrame
    fast: pd.DataFrame


class _Family(NamedTuple):
    """Predictors that differ in the value of one parameter."""

    #: The value that would have been right for a chapter.
    fit: Callable[[_Run], float]
    #: The threshold for a curve and a value.
    apply: Callable[[pd.DataFrame, float], float | None]
    #: What to make of the values of several chapters.
    combine: Callable[[NDArray[Any]], Any] = np.median


_FAMILIES: Final[Mapping[str, _Family]] = {
    "quantile": _Family(lambda run: sparsity_at(run.fast, run.tau), at_sparsity),
    "careful": _Family(lambda run: sparsity_at(run.fast, run.tau), at_sparsity, np.min),
    "retained": _Family(lambda run: retained_sum(run.fast, run.tau), at_retained_sum),
    "constant": _Family(lambda run: run.tau, lambda curve, value: value),
}


def predictions(
    chapters: Mapping[str, Sequence[Record]],
    *,
    max_drop: float = MAX_DROP,
    together: Callable[[str], str] = str,
) -> pd.DataFrame:
    """Every prediction for every record, and how far it is off.

    Parameters
    ----------
    chapters : mapping of str to sequence of Record
        Records by name of chapter, one per seed.
    max_drop : float, default `MAX_DROP`, 0.05
        Drop of the accuracy that marks the target, see :func:`thermo_utils.accuracy_threshold`.
    together : callable, optional
        Maps the name of a chapter to a group. Free parameters for a chapter are fitted to chapters
        of other groups only; by default every chapter is a group of its own.

    Returns
    -------
    DataFrame
        A row per record and predictor, with columns ``chapter``, ``seed``, ``predictor``,
        ``parameter`` (fitted value, nan where there is none), ``tau`` (predicted; nan for none),
        ``target`` (of the accuracy), ``steps`` (their difference in steps of the full evaluation's
        grid), ``octaves`` (``log2(tau / target)``), ``sparsity`` (difference of the sparsities,
        both read on the full evaluation), and ``drop`` (of the accuracy at the predicted
        threshold). Records whose accuracy never leaves its plateau on the grid, or has left it at
        the first threshold, have no target and are left out.

    Notes
    -----
    The parameter of a rule is the median, over the other chapters, of the value that would have
    been right there (the mean over the seeds of a chapter). That is the value with the least mean
    absolute error in the parameter, and needs no search. ``careful`` is ``quantile`` with the least
    of these values instead: a sparsity that was safe on all other chapters.
    """
    runs = [
        run
        for name, records in chapters.items()
        for record in records
        if (run := _run(name, record, max_drop)) is not None
    ]
    rows = []
    for run in runs:
        others = [other for other in runs if together(other.chapter) != together(run.chapter)]
        found: dict[str, tuple[float | None, float]] = {
            **{name: (run.theory[name], np.nan) for name in THEORY},
            "knee": (knee(run.fast), np.nan),
        }
        for name, family in _FAMILIES.items():
            value = _parameter(family, others)
            tau = None if value is None else family.apply(run.fast, value)
            found[name] = (tau, np.nan if value is None else value)
        rows += [
            {
                "chapter": run.chapter,
                "seed": run.seed,
                "predictor": name,
                "parameter": found[name][1],
                **_errors(run, found[name][0]),
            }
            for name in PREDICTORS
        ]
    return pd.DataFrame(
        rows,
        columns=[
            "chapter", "seed", "predictor", "parameter", "tau", "target", "steps", "octaves",
            "sparsity", "drop",
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
        ``predictor``, ``seeds``, ``misses`` (seeds without a prediction), ``octaves``, ``steps``,
        ``sparsity`` (means of absolute errors, infinite if there is a miss), ``signed`` (mean of
        the signed octaves that exist), ``early`` and ``late`` (seeds more than a grid step off),
        and ``drop`` and ``worst`` (mean and largest of the drops that exist).

    Notes
    -----
    A rule that finds nothing on one seed cannot be relied on for that chapter, so a miss makes the
    error infinite, worse than any prediction.
    """
    rows = []
    for (chapter, predictor), group in predicted.groupby(["chapter", "predictor"], sort=False):
        missed = group["tau"].isna()
        rows.append(
            {
                "chapter": chapter,
                "predictor": predictor,
                "seeds": len(group),
                "misses": int(missed.sum()),
                **{
                    name: np.inf if missed.any() else float(group[name].abs().mean())
                    for name in ("octaves", "steps", "sparsity")
                },
                "signed": float(group["octaves"].mean()),
                "early": int((group["steps"] < -A_STEP).sum()),
                "late": int((group["steps"] > A_STEP).sum()),
                "drop": float(group["drop"].mean()),
                "worst": float(group["drop"].max()),
            }
        )
    return pd.DataFrame(
        rows,
        columns=[
            "chapter", "predictor", "seeds", "misses", "octaves", "steps", "sparsity", "signed",
            "early", "late", "drop", "worst",
        ],
    )  # fmt: skip


def _run(chapter: str, record: Record, max_drop: float) -> _Run | None:
    full = record.curve("full")
    target = accuracy_threshold(full, max_drop)
    if target is None or target.tau == 0.0:
        return None
    found = record.result["thresholds"]
    theory = {
        name: None if found[method] is None else float(found[method]["tau"])
        for name, method in zip(THEORY, CURVES, strict=True)
    }
    fast = record.curve("renormalized")
    return _Run(chapter, int(record.result["seed"]), theory, target.tau, full, fast)


def _parameter(family: _Family, runs: Sequence[_Run]) -> float | None:
    """What the chapters together say, each with the mean over its seeds; None without any."""
    if not runs:
        return None
    values = pd.Series([family.fit(run) for run in runs])
    means = values.groupby([run.chapter for run in runs]).mean()
    return float(family.combine(means.to_numpy(np.float64)))


def _errors(run: _Run, tau: float | None) -> dict[str, float]:
    if tau is None:
        missing = dict.fromkeys(("steps", "octaves", "sparsity", "drop"), np.nan)
        return {"tau": np.nan, "target": run.tau, **missing}
    baseline = float(run.full.attrs["baseline_accuracy"])
    accuracy = np.interp(tau, *from_zero(run.full, "accuracy", baseline))
    return {
        "tau": tau,
        "target": run.tau,
        "steps": (tau - run.tau) / grid_step(run.full),
        "octaves": float(np.log2(tau / run.tau)),
        "sparsity": sparsity_at(run.full, tau) - sparsity_at(run.full, run.tau),
        "drop": baseline - float(accuracy),
    }
