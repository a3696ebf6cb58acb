"""What chance alone would do to a class: exact intervals, and exact probabilities."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import beta as beta_distribution
from scipy.stats import hypergeom

__all__ = ["beyond_share", "drop_interval", "holm"]

Floats = NDArray[np.float64]


def drop_interval(
    down: ArrayLike, up: ArrayLike, n: ArrayLike, alpha: float
) -> tuple[Floats, Floats]:
    """Interval of the difference of two shares of the same examples (Clopper-Pearson for each).

    Parameters
    ----------
    down, up : array_like
        How many of the examples count for a drop, and how many against it; nan where not known.
    n : array_like
        Number of examples; broadcast against them.
    alpha : float
        Probability with which it may miss the truth. Each share gets half of it, so that it holds
        whatever they have to do with each other.

    Returns
    -------
    low, high : ndarray of float64
        Of ``(down - up) / n``.

    Examples
    --------
    >>> low, high = drop_interval([3], [0], 100, 0.05)
    >>> round(float(low[0]), 3), round(float(high[0]), 3)
    (-0.038, 0.094)
    """
    n = np.asarray(n, np.float64)
    least, most = _clopper_pearson(np.asarray(down, np.float64), n, alpha / 2)
    low, high = _clopper_pearson(np.asarray(up, np.float64), n, alpha / 2)
    return least - high, most - low


def _clopper_pearson(count: Floats, n: Floats, alpha: float) -> tuple[Floats, Floats]:
    """Exact interval of a share of which `count` of `n` were seen."""
    with np.errstate(invalid="ignore"):
        low = np.where(count > 0, beta_distribution.ppf(alpha / 2, count, n - count + 1), 0.0)
        high = np.where(count < n, beta_distribution.ppf(1 - alpha / 2, count + 1, n - count), 1.0)
    unknown = np.isnan(count)
    return np.where(unknown, np.nan, low), np.where(unknown, np.nan, high)


def beyond_share(
    examples: NDArray[np.int64],
    right: NDArray[np.int64],
    lost: ArrayLike,
    gained: ArrayLike,
) -> Floats:
    """How probable it is that a class loses as much on balance, if classes do not matter.

    Parameters
    ----------
    examples, right : ndarray of int, shape (C,)
        Of each class, and those that are right before.
    lost, gained : array_like, shape (C,)
        Right before and wrong after, and the reverse.

    Returns
    -------
    ndarray of float64, shape (C,)
        Of each class ``P(L - G >= lost - gained)``, where ``L`` and ``G`` are as many of all that
        are lost and gained as fall to it when they are drawn from all that are right and wrong
        before.

    Examples
    --------
    >>> beyond_share(np.array([2, 2]), np.array([2, 2]), [2, 0], [0, 0]).round(3)
    array([0.167, 1.   ])
    """
    lost, gained = np.asarray(lost, np.int64), np.asarray(gained, np.int64)
    wrong = examples - right
    all_lost, all_gained, all_wrong = int(lost.sum()), int(gained.sum()), int(wrong.sum())
    found = np.ones(len(examples))
    rows = np.flatnonzero(lost > gained)
    # What is gained by a class, to 12 standard deviations and more around what is to be expected.
    expected = all_gained * wrong[rows] / max(all_wrong, 1)
    spread = 12 * np.sqrt(expected) + 20
    start = np.maximum(np.floor(expected - spread), 0)
    end = np.minimum(expected + spread, np.minimum(wrong[rows], all_gained))
    width = np.max(end - start, initial=0)
    g = start[:, None] + np.arange(int(width) + 1)
    weight: Floats = np.ones(g.shape)
    if all_wrong:
        weight = np.asarray(hypergeom.pmf(g, all_wrong, wrong[rows, None], all_gained))
    balance = (lost - gained)[rows, None]
    at_least = hypergeom.sf(balance + g - 1, int(right.sum()), right[rows, None], all_lost)
    found[rows] = np.minimum((weight * at_least).sum(axis=1), 1.0)
    return found


def holm(p: Floats) -> Floats:
    """Probabilities corrected for their number by Holm's method.

    Parameters
    ----------
    p : ndarray of float64, shape (C,)
        nan where not known; all or none.

    Returns
    -------
    ndarray of float64, shape (C,)
        If all hypotheses hold, the least of these is below any level with no more than that
        probability.

    Examples
    --------
    >>> holm(np.array([0.01, 0.04, 0.03]))
    array([0.03, 0.06, 0.06])
    """
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(steps, 1.0)
    return corrected
