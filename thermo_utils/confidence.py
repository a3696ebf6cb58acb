"""How sure a sample is of the critical threshold of the whole set.

A sample is read in groups of examples, whose counts are kept: activations of one example go
together, examples do not, so the groups show what reading others would have changed. From them
whole sets are drawn, and each is judged as the real one would be, by
:func:`thermo_utils.critical_threshold`. The share that agree is the confidence.

A whole set is what has been read, as it is, and what has not been read. The latter

* has a density of activations, known from the sample but for two things. The sample is one of many:
  groups drawn from its own, with replacement, stand for another one. And it is rougher than all
  there is: the density is smoothed, as far as this helps groups to predict the one left out;
* has a roughness of its own, smaller the more there is to read.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.signal import savgol_filter

from thermo_utils.curves import Threshold
from thermo_utils.thermodynamics import density, free_energy, internal_energy
from thermo_utils.transitions import critical_threshold

__all__ = ["Estimate", "estimate", "standard_error", "whole_sets"]

Floats = NDArray[np.float64]

#: Fewer groups than this say nothing.
FEWEST = 8
#: Whole sets drawn, at least and at most. More can show a higher confidence.
DRAWS = (40, 400)


class Estimate(NamedTuple):
    """The critical threshold that a whole set most likely has.

    Attributes
    ----------
    tau : Threshold or None
        None where the whole set most likely has none, or nothing can be said.
    low, high : float
        Interval that holds it with the confidence asked for, if there is one; else ``nan``.
    confidence : float
        Probability that the real one lies within tolerance of `tau`, or that there is none.
    """

    tau: Threshold | None
    low: float
    high: float
    confidence: float


def estimate(
    taus: Floats,
    groups: Floats,
    share: float,
    *,
    tolerance: int,
    confidence: float,
    seed: Sequence[int],
) -> Estimate:
    """Critical threshold of the whole set, from the groups of a sample, and how sure it is.

    Parameters
    ----------
    taus : ndarray of float64, shape (K,)
        Thresholds, in units of the activations.
    groups : ndarray of float64, shape (G, 2, K + 1)
        ``M`` and ``Sigma`` of groups of equally many examples at each threshold; at the end ``N``
        and ``Sigma_0``.
    share : float
        Share of the whole set that the groups make up together.
    tolerance : int
        Grid steps within which the threshold shall be known.
    confidence : float
        Probability asked for; sets how many whole sets are drawn, and the interval.
    seed : sequence of int
        Seed of the draws.

    Returns
    -------
    Estimate
    """
    total = groups.sum(axis=0)
    if share >= 1:  # nothing is left to estimate
        tau = critical_threshold(_curve(taus, total))
        return Estimate(tau, *((tau.tau, tau.tau) if tau else (np.nan, np.nan)), 1.0)
    if len(groups) < FEWEST or not np.all(total[:, -1] > 0):
        return Estimate(None, np.nan, np.nan, 0.0)
    least, most = DRAWS
    count = min(max(least, math.ceil(2 / (1 - confidence))), most)
    draws = whole_sets(taus, groups, share, np.random.default_rng(list(seed)))
    found = [critical_threshold(_curve(taus, next(draws))) for _ in range(count)]
    absent = -1 - tolerance  # out of reach of any point of the grid
    points = np.array([np.searchsorted(taus, t.tau) if t else absent for t in found])
    agree = np.abs(points - points[:, None]) <= tolerance
    point = int(np.median(points[agree[agree.sum(axis=1).argmax()]]))
    near = np.abs(points - point) <= tolerance
    sure = float(near.sum() / (count + 1))  # the real one is one more: no sample is certain
    features = [t for t, close in zip(found, near, strict=True) if t and close]
    if not features:
        return Estimate(None, np.nan, np.nan, sure)
    tail = (1 - confidence) / 2
    low, high = np.quantile(points[points >= 0], [tail, 1 - tail], method="inverted_cdf")
    low, high = taus[min(point, low)].item(), taus[max(point, high)].item()
    threshold = Threshold(
        tau=float(taus[point]),
        beta=float(1 - total[0, point] / total[0, -1]),
        kind=Counter(t.kind for t in features).most_common(1)[0][0],
        prominence=float(np.median([t.prominence for t in features])),
        rule="earliest feature of most whole sets drawn from a sample",
        low=low,
        high=high,
    )
    return Estimate(threshold, low, high, sure)


def standard_error(taus: Floats, groups: Floats, share: float) -> Floats:
    """Standard error of the free energy of a sample against that of the whole set (jackknife).

    Parameters
    ----------
    taus, groups, share
        As for :func:`estimate`.

    Returns
    -------
    ndarray of float64, shape (K,)
        ``nan`` where F is not defined, or not without one of the groups.

    Examples
    --------
    >>> groups = np.array([[[3, 1, 4], [3.0, 2.0, 3.5]], [[3, 2, 4], [3.0, 2.5, 3.5]]])
    >>> standard_error(np.array([0.5, 1.0]), groups, 0.0).round(3)
    array([0.   , 0.235])
    """
    without = _free_energy(taus, groups.sum(axis=0) - groups)
    return np.sqrt((1 - share) * (len(groups) - 1)) * without.std(axis=0)


def whole_sets(
    taus: Floats, groups: Floats, share: float, rng: np.random.Generator
) -> Iterator[Floats]:
    """Draw counts and sums that the whole set may have, without end.

    Parameters
    ----------
    taus, groups, share
        As for :func:`estimate`; two groups or more, and a share above 0.
    rng : Generator

    Yields
    ------
    ndarray of float64, shape (2, K + 1)
        As one of the groups, of all examples.
    """
    count = len(groups)
    even = np.full(count, 1 / count)
    # What lies between neighbouring thresholds; below the first, and beyond the last.
    bins = -np.diff(np.roll(groups, 1, axis=-1), append=0.0)
    choices = _smoothed(taus, bins)
    misses = np.array([_misses(bins[:, 0], choice[:, 0]) for choice in choices])
    unread = 1 / share - 1  # in units of the sample
    while True:
        again = rng.multinomial(count, even)
        smooth = choices[(misses @ again).argmin()]
        rough = rng.multinomial(count, even) - 1
        rest = unread * np.tensordot(again, smooth, 1)
        rest += np.sqrt(unread) * np.tensordot(rough, bins, 1)
        whole = np.maximum(bins.sum(axis=0) + rest, 0)
        sums = np.roll(whole[:, ::-1].cumsum(axis=1)[:, ::-1], -1, axis=1)
        sums[0] = np.round(sums[0])  # counts, from which noise is told
        yield sums


def _smoothed(taus: Floats, bins: Floats) -> list[Floats]:
    """Bins as they are, and with local parabolas through the density over more and more of them."""
    width = np.diff(taus, prepend=0.0)
    choices, window = [bins], 5
    while window <= taus.size:
        fitted = savgol_filter(bins[..., :-1] / width, window, 2, mode="interp") * width
        choices.append(np.concatenate([fitted, bins[..., -1:]], axis=-1))
        window = 3 * window // 2 | 1
    return choices


def _misses(counts: Floats, smooth: Floats) -> Floats:
    """How badly the smoothed counts of all other groups predict those of each, shape (G,)."""
    others = (smooth.sum(axis=0) - smooth) / (len(smooth) - 1)
    # A count varies in proportion to itself; the one more is for bins that are empty.
    return ((counts - others) ** 2 / (counts.sum(axis=0) + 1)).sum(axis=1)


def _curve(taus: Floats, sums: Floats) -> pd.DataFrame:
    """The columns that :func:`critical_threshold` looks at."""
    active, beta = sums[0, :-1], 1 - density(sums[0, :-1], sums[0, -1])
    energy = _free_energy(taus, sums)
    return pd.DataFrame({"tau": taus, "beta": beta, "active": active, "free_energy": energy})


def _free_energy(taus: Floats, sums: Floats) -> Floats:
    """F of counts and sums of shape (..., 2, K + 1)."""
    rho = density(sums[..., 0, :-1], sums[..., 0, -1:])
    return free_energy(taus, rho, internal_energy(sums[..., 1, :-1], sums[..., 1, -1:]))
