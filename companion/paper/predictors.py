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
from scipy.stats import binomtest

from companion.runs.records import Record
from thermo_utils.errors import ThermoError
from thermo_utils.grids import grid_step
from thermo_utils.transitions import accuracy_threshold

__all__ = [
    "BASELINES",
    "PREDICTORS",
    "THEORY",
    "at_retained_sum",
    "at_sparsity",
    "compare",
    "judge",
    "knee",
    "per_chapter",
    "retained_sum",
    "sparsity_at",
]

Floats = NDArray[np.float64]

#: The paper's predictors: first feature of F under full evaluation, and of the renormalized F.
THEORY: Final = ("FE", "RFE")
#: Rules that know nothing of the free energy.
BASELINES: Final = ("quantile", "careful", "retained", "knee", "constant")
PREDICTORS: Final = (*THEORY, *BASELINES)


def sparsity_at(curve: pd.DataFrame, tau: float) -> float:
    """Sparsity at a threshold, interpolated linearly between 0 at ``tau = 0`` and the grid.

    Parameters
    ----------
    curve : DataFrame
        With columns ``tau`` and ``beta``.
    tau : float
        From 0 to the end of the grid.

    Returns
    -------
    float

    Examples
    --------
    >>> sparsity_at(pd.DataFrame({"tau": [1.0, 2.0], "beta": [0.2, 0.6]}), 1.5)
    0.4
    """
    return float(np.interp(tau, *_from_zero(curve, "beta", 0.0)))


def retained_sum(curve: pd.DataFrame, tau: float) -> float:
    r"""Share of the sum of absolute activations that is left, :math:`\Sigma(\tau)/\Sigma_0`.

    Parameters
    ----------
    curve : DataFrame
        With columns ``tau`` and ``internal_energy``, which is the logarithm of that share (Eq. 4).
    tau : float
        From 0 to the end of the grid.

    Returns
    -------
    float

    Examples
    --------
    >>> curve = pd.DataFrame({"tau": [1.0, 2.0], "internal_energy": np.log([0.9, 0.5])})
    >>> round(retained_sum(curve, 1.5), 6)
    0.7
    """
    share = curve.assign(share=np.exp(curve["internal_energy"]))
    return float(np.interp(tau, *_from_zero(share, "share", 1.0)))


def at_sparsity(curve: pd.DataFrame, quantile: float) -> float | None:
    """Threshold that prunes a given share of the activations: their quantile.

    Parameters
    ----------
    curve : DataFrame
        With columns ``tau`` and ``beta``; `beta` must not fall, as in every renormalized curve.
    quantile : float
        The share, between 0 and 1.

    Returns
    -------
    float or None
        None if the grid ends before.

    Raises
    ------
    ThermoError
        If `quantile` is not between 0 and 1.

    Examples
    --------
    >>> at_sparsity(pd.DataFrame({"tau": [1.0, 2.0], "beta": [0.2, 0.6]}), 0.4)
    1.5
    """
    if not 0 < quantile < 1:
        raise ThermoError(f"quantile must lie between 0 and 1, got {quantile}")
    return _reach(*_from_zero(curve, "beta", 0.0), quantile)


def at_retained_sum(curve: pd.DataFrame, share: float) -> float | None:
    """Threshold that leaves a given share of the sum of absolute activations.

    Parameters
    ----------
    curve : DataFrame
        With columns ``tau`` and ``internal_energy``.
    share : float
        Between 0 and 1.

    Returns
    -------
    float or None
        None if the grid ends before.

    Raises
    ------
    ThermoError
        If `share` is not between 0 and 1.

    Examples
    --------
    >>> curve = pd.DataFrame({"tau": [1.0, 2.0], "internal_energy": np.log([0.9, 0.5])})
    >>> round(at_retained_sum(curve, 0.7), 6)
    1.5
    """
    if not 0 < share < 1:
        raise ThermoError(f"share must lie between 0 and 1, got {share}")
    tau, left = _from_zero(curve.assign(share=np.exp(curve["internal_energy"])), "share", 1.0)
    return _reach(tau, 1.0 - left, 1.0 - share)


def knee(curve: pd.DataFrame) -> float | None:
    """Threshold at which the sparsity stands highest above the chord of its curve.

    The chord runs from the origin to the last point of the grid, so the knee depends on where the
    grid ends. For a smooth curve this is the knee of Satopaa et al., "Finding a 'kneedle' in
    a haystack", ICDCSW 2011.

    Parameters
    ----------
    curve : DataFrame
        With columns ``tau`` and ``beta``.

    Returns
    -------
    float or None
        None where the curve nowhere lies above its chord.

    Examples
    --------
    >>> knee(pd.DataFrame({"tau": [1.0, 2.0, 3.0, 4.0], "beta": [0.3, 0.6, 0.7, 0.8]}))
    2.0
    """
    tau, beta = _from_zero(curve, "beta", 0.0)
    above = beta - beta[-1] * tau / tau[-1]
    highest = int(np.argmax(above))
    return float(tau[highest]) if above[highest] > 1e-12 else None  # rounding is no knee


class _Case(NamedTuple):
    """A record as the rules see it: predictions of the theory, the target, and both curves."""

    chapter: str
    seed: int
    theory: Mapping[str, float | None]
    tau: float
    full: pd.DataFrame
    fast: pd.DataFrame


class _Rule(NamedTuple):
    """A rule with one free parameter."""

    #: The value that would have been right for a chapter.
    fit: Callable[[_Case], float]
    #: The threshold the rule gives for a curve and a value.
    apply: Callable[[pd.DataFrame, float], float | None]
    #: What to make of the values of several chapters.
    combine: Callable[[NDArray[Any]], Any] = np.median


_RULES: Final[Mapping[str, _Rule]] = {
    "quantile": _Rule(lambda case: sparsity_at(case.fast, case.tau), at_sparsity),
    "careful": _Rule(lambda case: sparsity_at(case.fast, case.tau), at_sparsity, np.min),
    "retained": _Rule(lambda case: retained_sum(case.fast, case.tau), at_retained_sum),
    "constant": _Rule(lambda case: case.tau, lambda curve, value: value),
}


def judge(
    chapters: Mapping[str, Sequence[Record]],
    *,
    max_drop: float = 0.05,
    together: Callable[[str], str] = str,
) -> pd.DataFrame:
    """Every prediction for every record, and how far it is off.

    Parameters
    ----------
    chapters : mapping of str to sequence of Record
        Records by name of chapter, one per seed.
    max_drop : float, default 0.05
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
    cases = [
        case
        for name, records in chapters.items()
        for record in records
        if (case := _case(name, record, max_drop)) is not None
    ]
    rows = []
    for case in cases:
        others = [other for other in cases if together(other.chapter) != together(case.chapter)]
        predictions: dict[str, tuple[float | None, float]] = {
            **{name: (case.theory[name], np.nan) for name in THEORY},
            "knee": (knee(case.fast), np.nan),
        }
        for name, rule in _RULES.items():
            value = _fitted(rule, others)
            found = None if value is None else rule.apply(case.fast, value)
            predictions[name] = (found, np.nan if value is None else value)
        rows += [
            {
                "chapter": case.chapter,
                "seed": case.seed,
                "predictor": name,
                "parameter": predictions[name][1],
                **_errors(case, predictions[name][0]),
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


def per_chapter(judged: pd.DataFrame) -> pd.DataFrame:
    """Errors of a chapter and predictor: means over its seeds, which are not independent.

    Parameters
    ----------
    judged : DataFrame
        As returned by :func:`judge`.

    Returns
    -------
    DataFrame
        A row per chapter and predictor, in the order of `judged`, with columns ``chapter``,
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
    for (chapter, predictor), group in judged.groupby(["chapter", "predictor"], sort=False):
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
                # The target itself is known to a grid step.
                "early": int((group["steps"] < -1 - 1e-9).sum()),
                "late": int((group["steps"] > 1 + 1e-9).sum()),
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


class Comparison(NamedTuple):
    """Paired comparison of two predictors over chapters.

    Attributes
    ----------
    wins, losses, ties : int
        Chapters in which the first is nearer, farther, or as near.
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
    ...                        "octaves": [0.1, 0.2, 0.3, np.inf]})
    >>> compare(errors, "knee", "FE")
    Comparison(wins=0, losses=2, ties=0, p=0.5)
    """
    table = errors.pivot(index="chapter", columns="predictor", values=by)
    one, two = table[first], table[second]
    # Two misses are equally bad; rounding is no difference.
    ties = (one == two) | ((one - two).abs() < 1e-9)
    wins, losses = int(((one < two) & ~ties).sum()), int(((one > two) & ~ties).sum())
    p = float(binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0
    return Comparison(wins, losses, int(ties.sum()), p)


def _case(chapter: str, record: Record, max_drop: float) -> _Case | None:
    full = record.curve("full")
    target = accuracy_threshold(full, max_drop)
    if target is None or target.tau == 0.0:
        return None
    found = record.result["thresholds"]
    theory = {
        name: None if found[method] is None else float(found[method]["tau"])
        for name, method in zip(THEORY, ("full", "renormalized"), strict=True)
    }
    fast = record.curve("renormalized")
    return _Case(chapter, int(record.result["seed"]), theory, target.tau, full, fast)


def _fitted(rule: _Rule, cases: Sequence[_Case]) -> float | None:
    """What the chapters together say, each with the mean over its seeds; None without any."""
    if not cases:
        return None
    values = pd.Series([rule.fit(case) for case in cases])
    means = values.groupby([case.chapter for case in cases]).mean()
    return float(rule.combine(means.to_numpy(np.float64)))


def _errors(case: _Case, tau: float | None) -> dict[str, float]:
    if tau is None:
        missing = dict.fromkeys(("steps", "octaves", "sparsity", "drop"), np.nan)
        return {"tau": np.nan, "target": case.tau, **missing}
    baseline = float(case.full.attrs["baseline_accuracy"])
    accuracy = np.interp(tau, *_from_zero(case.full, "accuracy", baseline))
    return {
        "tau": tau,
        "target": case.tau,
        "steps": (tau - case.tau) / grid_step(case.full),
        "octaves": float(np.log2(tau / case.tau)),
        "sparsity": sparsity_at(case.full, tau) - sparsity_at(case.full, case.tau),
        "drop": baseline - float(accuracy),
    }


def _from_zero(curve: pd.DataFrame, column: str, start: float) -> tuple[Floats, Floats]:
    """A column over ``tau``, with the unpruned network in front."""
    tau = np.concatenate([[0.0], curve["tau"].to_numpy(np.float64)])
    return tau, np.concatenate([[start], curve[column].to_numpy(np.float64)])


def _reach(tau: Floats, rising: Floats, level: float) -> float | None:
    """Where a rising curve first reaches a level, between the points of its grid."""
    if not rising[-1] >= level:
        return None
    after = int(np.argmax(rising >= level))
    low, high = rising[after - 1], rising[after]
    return float(tau[after - 1] + (level - low) / (high - low) * (tau[after] - tau[after - 1]))
