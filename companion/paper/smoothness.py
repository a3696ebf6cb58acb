"""How sharp a curve is at a threshold, and whether it is smooth there at all.

The change of slope across a threshold, from a distance `h` before it to as far behind it, shrinks
with `h` where the curve is smooth. At a kink it stays, and at a sharper point it grows.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["exponent", "sharpness"]

Floats = NDArray[np.float64]
#: Thresholds around an extremum, as multiples of it, where the curve is compared with its height.
BESIDE: Final = (0.7, 1.3)
#: Distances, in points of the grid, across which the change of slope is taken.
DISTANCES: Final = tuple(range(1, 11))
#: Fewer distances at which the change stands out of the noise of counting give no exponent.
LEAST_DISTANCES: Final = 3
#: It stands out if it is this many standard errors.
STANDS_OUT: Final = 10.0


def sharpness(tau: Floats, energy: Floats, at: float) -> float | None:
    """How far a curve at a threshold stands off its values beside it, as a share of its range.

    Parameters
    ----------
    tau, energy : ndarray, shape (K,)
        The curve, by growing threshold.
    at : float
        The threshold.

    Returns
    -------
    float or None
        None if the curve does not reach from 0.7 to 1.3 times the threshold, or is flat.

    Examples
    --------
    >>> tau = np.linspace(0.1, 2, 20)
    >>> round(sharpness(tau, 2 - abs(tau - 1), 1.0), 6)
    0.3
    """
    low, high = (share * at for share in BESIDE)
    if tau.size == 0 or low < tau[0] or high > tau[-1] or np.ptp(energy) == 0:
        return None
    top, *beside = np.interp([at, low, high], tau, energy)
    return float(abs(top - np.mean(beside)) / np.ptp(energy))


def exponent(tau: Floats, energy: Floats, error: Floats, at: float) -> float | None:
    """The power of the distance with which the change of slope across a threshold shrinks.

    Parameters
    ----------
    tau, energy : ndarray, shape (K,)
        The curve, by growing threshold; evenly spaced around the threshold.
    error : ndarray, shape (K,)
        Variance, from counting, of what the curve has come to at each threshold: it grows along
        the curve by that of what is removed.
    at : float
        The threshold.

    Returns
    -------
    float or None
        1 where the curve is smooth, 0 at a kink, below 0 at a sharper point. None if the change
        does not stand out of the noise at three distances or more.

    Examples
    --------
    >>> tau = np.linspace(0.1, 2, 20)
    >>> round(exponent(tau, -(tau - 1) ** 2, 0 * tau, 1.0), 6)
    1.0
    >>> abs(round(exponent(tau, -abs(tau - 1), 0 * tau, 1.0), 6))
    0.0
    """
    if tau.size < 2:
        return None
    here = int(np.clip(np.searchsorted(tau, at), 1, tau.size - 1))
    away = (tau[here] - tau[here - 1]) * np.array(DISTANCES, dtype=np.float64)
    away = away[(at - away >= tau[0] * (1 - 1e-9)) & (at + away <= tau[-1] * (1 + 1e-9))]
    before, behind = np.interp(at - away, tau, energy), np.interp(at + away, tau, energy)
    change = np.abs(before + behind - 2 * np.interp(at, tau, energy)) / away
    removed = np.interp(at + away, tau, error) - np.interp(at - away, tau, error)
    clear = (change > 0) & (change >= STANDS_OUT * np.sqrt(np.maximum(removed, 0)) / away)
    if clear.sum() < LEAST_DISTANCES:
        return None
    return float(np.polyfit(np.log(away[clear]), np.log(change[clear]), 1)[0])
