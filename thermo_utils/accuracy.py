"""Where the accuracy of a full evaluation gives way, and how well the test examples can tell.

This is what the features of the free energy are held against (Tables 1 and 3 of the paper).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from thermo_utils.curves import Threshold, check_increasing, column
from thermo_utils.errors import ThermoError

__all__ = [
    "ERRORS",
    "MAX_DROP",
    "ROUNDING",
    "accuracy_interval",
    "accuracy_threshold",
    "drop_errors",
    "score_threshold",
]

#: Accuracy has given way when it lies more than this (absolute) below the unpruned network's: the
#: paper's own thresholds lie where networks like its own have lost about half a point to a point
#: (the book's conclusion computes it), and a point is the next round number.
MAX_DROP: Final = 0.01
#: Standard errors within which a drop cannot be told from another.
ERRORS: Final = 2.0
#: An accuracy exactly so far below the plateau is within bounds.
ROUNDING: Final = 1e-9


def accuracy_threshold(
    curve: pd.DataFrame, max_drop: float = MAX_DROP, *, baseline: float | None = None
) -> Threshold | None:
    """Threshold at which accuracy leaves its plateau, the ground truth of Tables 1 and 3.

    Parameters
    ----------
    curve : DataFrame
        A full evaluation: needs ``tau`` and ``accuracy`` (a share between 0 and 1, or nan where
        pruning itself makes NaN, which is out of bounds), uses ``beta``, and for the interval
        ``lost`` and ``gained`` with ``curve.attrs["samples"]``.
    max_drop : float, default `MAX_DROP`, 0.01
        Accuracy may lie this far (absolute) below the plateau.
    baseline : float, optional
        Accuracy of the plateau. By default that of the unpruned network, if the curve carries it
        (``curve.attrs["baseline_accuracy"]``), otherwise that at the smallest threshold.

    Returns
    -------
    Threshold or None
        The last grid point up to which every accuracy is within bounds, so a single dip out of
        bounds counts even if accuracy recovers; ``kind`` is ``"accuracy"``. None when accuracy
        never leaves the plateau on this grid. When the first grid point is out of bounds already,
        ``tau`` and ``beta`` are 0. ``low`` and ``high`` are those of :func:`accuracy_interval`.

    Raises
    ------
    ThermoError
        If a column is missing, the curve is empty, `max_drop` is not between 0 and 1, or an
        accuracy is.

    Examples
    --------
    >>> curve = pd.DataFrame({"tau": [0.1, 0.2, 0.3], "accuracy": [0.90, 0.895, 0.60]})
    >>> accuracy_threshold(curve).tau
    0.2
    """
    tau, accuracy, baseline = _checked(curve, max_drop, baseline)
    outside = np.flatnonzero(~(baseline - accuracy <= max_drop + ROUNDING))
    if outside.size == 0:
        return None
    first = int(outside[0])
    beta = column(curve, "beta") if "beta" in curve else np.full(tau.shape, np.nan)
    low, high = accuracy_interval(curve, max_drop, baseline=baseline)
    return Threshold(
        tau=float(tau[first - 1]) if first else 0.0,
        beta=float(beta[first - 1]) if first else 0.0,
        kind="accuracy",
        prominence=float(baseline - accuracy[first]),
        rule=f"last threshold with accuracy within {max_drop:g} of {baseline:.4g}",
        low=low,
        high=high,
    )


def score_threshold(
    curve: pd.DataFrame, max_drop: float = MAX_DROP, *, relative: bool = False
) -> Threshold | None:
    """Threshold at which the score of a full evaluation leaves its plateau, whatever the metric.

    Parameters
    ----------
    curve : DataFrame
        Of :func:`thermo_utils.full_evaluation`, which says what it was judged by.
    max_drop : float, default `MAX_DROP`, 0.01
        The score may be worse by this much than that of the unpruned network, in units of the
        metric.
    relative : bool, default False
        Whether `max_drop` is a share of the unpruned score instead.

    Returns
    -------
    Threshold or None
        As :func:`accuracy_threshold`, whose interval only accuracy has; ``kind`` is ``"score"``
        for other metrics.

    Raises
    ------
    ThermoError
        If the curve does not say what it was judged by, is empty, or `max_drop` is below zero.

    Examples
    --------
    >>> curve = pd.DataFrame({"tau": [0.1, 0.2, 0.3], "mse": [1.0, 1.05, 1.4]})
    >>> curve.attrs = {"metric": {"name": "mse", "higher_is_better": False}, "baseline": 1.0}
    >>> score_threshold(curve, 0.1).tau
    0.2
    """
    metric, baseline = curve.attrs.get("metric"), curve.attrs.get("baseline")
    if metric is None or baseline is None:
        raise ThermoError(
            "the curve does not say what it was judged by: take one of full_evaluation, or "
            "accuracy_threshold for a column of accuracies"
        )
    bound = max_drop * abs(baseline) if relative else max_drop
    name = metric["name"]
    if name == "accuracy":
        return accuracy_threshold(curve, bound, baseline=baseline)
    if not 0.0 <= max_drop < np.inf:
        raise ThermoError(f"max_drop must be zero or more and finite, got {max_drop}")
    tau, scores = column(curve, "tau"), column(curve, name)
    if tau.size == 0:
        raise ThermoError("curve is empty: evaluate at least one threshold")
    check_increasing(tau)
    drop = baseline - scores if metric["higher_is_better"] else scores - baseline
    outside = np.flatnonzero(~(drop <= bound + ROUNDING))
    if outside.size == 0:
        return None
    first = int(outside[0])
    beta = column(curve, "beta") if "beta" in curve else np.full(tau.shape, np.nan)
    return Threshold(
        tau=float(tau[first - 1]) if first else 0.0,
        beta=float(beta[first - 1]) if first else 0.0,
        kind="score",
        prominence=float(drop[first]),
        rule=f"last threshold with {name} within {bound:g} of {baseline:.4g}",
    )


def accuracy_interval(
    curve: pd.DataFrame, max_drop: float = MAX_DROP, *, baseline: float | None = None
) -> tuple[float, float]:
    """Thresholds of the accuracy that the test examples cannot tell apart.

    Parameters
    ----------
    curve, max_drop, baseline
        As for :func:`accuracy_threshold`.

    Returns
    -------
    low, high : float
        Up to `low` every drop is within bounds by two standard errors or more; up to `high` none
        is out of bounds by more than two. 0 if that ends before the first grid point, infinite if
        it does not end on the grid, and both ``nan``, not known, for a curve that does not say how
        many examples were lost and gained.

    Raises
    ------
    ThermoError
        As :func:`accuracy_threshold`.

    Examples
    --------
    >>> curve = pd.DataFrame({"tau": [1.0, 2.0, 3.0], "accuracy": [0.90, 0.89, 0.60],
    ...                       "lost": [4, 30, 310], "gained": [4, 20, 10]})
    >>> curve.attrs = {"baseline_accuracy": 0.90, "samples": 1000}
    >>> accuracy_interval(curve)
    (1.0, 2.0)
    """
    tau, accuracy, baseline = _checked(curve, max_drop, baseline)
    spread = drop_errors(curve)
    if spread is None:
        return np.nan, np.nan
    drop = baseline - accuracy
    ends = []
    for shift in (ERRORS * spread, -ERRORS * spread):
        outside = np.flatnonzero(~(drop + shift <= max_drop + ROUNDING))
        points = np.concatenate([[0.0], tau])
        ends.append(float(points[outside[0]]) if outside.size else np.inf)
    return ends[0], ends[1]


def drop_errors(curve: pd.DataFrame) -> NDArray[np.float64] | None:
    r"""Standard error of every drop of the accuracy, by pairs.

    Both networks see the same test examples, so the drop is the mean of 1 over examples lost, -1
    over those gained and 0 over the rest, and only the first two make it uncertain:
    :math:`\sqrt{l + g - (l - g)^2 / n} / n`.

    Parameters
    ----------
    curve : DataFrame
        With columns ``lost`` and ``gained``, counts against the unpruned network, and
        ``curve.attrs["samples"]``.

    Returns
    -------
    ndarray of float64, shape (K,), or None
        None where the curve has no such columns or does not know its number of examples.

    Raises
    ------
    ThermoError
        If the columns hold no counts that add up to at most the number of examples.

    Examples
    --------
    >>> curve = pd.DataFrame({"lost": [50], "gained": [50]})
    >>> curve.attrs["samples"] = 1000
    >>> drop_errors(curve)
    array([0.01])
    """
    samples = curve.attrs.get("samples")
    if samples is None or "lost" not in curve or "gained" not in curve:
        return None
    lost, gained = column(curve, "lost"), column(curve, "gained")
    unknown = np.isnan(lost) & np.isnan(gained)
    if "accuracy" in curve and not np.isnan(column(curve, "accuracy")[unknown]).all():
        return None  # the data came in another order
    if unknown.all():
        return None
    if not np.all(unknown | ((lost >= 0) & (gained >= 0) & (lost + gained <= samples))):
        raise ThermoError(f"curve: lost and gained must be counts among {samples} test examples")
    return np.sqrt(np.maximum(lost + gained - (lost - gained) ** 2 / samples, 0)) / samples


def _checked(
    curve: pd.DataFrame, max_drop: float, baseline: float | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """``tau``, the accuracy and that of the plateau."""
    tau, accuracy = column(curve, "tau"), column(curve, "accuracy")
    if tau.size == 0:
        raise ThermoError("curve is empty: evaluate at least one threshold")
    check_increasing(tau)
    if not 0.0 <= max_drop <= 1.0:
        raise ThermoError(
            f"max_drop must be between 0 and 1 (a share, not percent), got {max_drop}"
        )
    if baseline is None:
        baseline = float(curve.attrs.get("baseline_accuracy", accuracy[0]))
    known = accuracy[~np.isnan(accuracy)]
    if not known.size or not 0.0 <= min(*known, baseline) <= max(*known, baseline) <= 1.0:
        raise ThermoError("accuracy must be a share between 0 and 1, not percent, and not missing")
    return tau, accuracy, baseline
