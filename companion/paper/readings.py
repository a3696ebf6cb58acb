"""Thresholds and shares read off a curve between its points, without any free energy."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from thermo_utils.errors import ThermoError
from thermo_utils.transitions import MAX_BETA

__all__ = [
    "above_chord",
    "at_retained_sum",
    "at_sparsity",
    "from_zero",
    "highest",
    "knee",
    "retained_sum",
    "sparsity_at",
]

Floats = NDArray[np.float64]
#: A curve that stands no higher above its chord lies on it.
ROUNDING = 1e-12


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
    return float(np.interp(tau, *from_zero(curve, "beta", 0.0)))


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
    return float(np.interp(tau, *_shares(curve)))


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
    return _reach(*from_zero(curve, "beta", 0.0), quantile)


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
    tau, left = _shares(curve)
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
    return above_chord(*from_zero(curve, "beta", 0.0))


def above_chord(tau: Floats, values: Floats) -> float | None:
    """Where a curve stands highest above the line from its first to its last point.

    Parameters
    ----------
    tau, values : ndarray of float64, shape (K,)
        The curve.

    Returns
    -------
    float or None
        None where it nowhere lies above it. Of several equally high points the first.

    Examples
    --------
    >>> above_chord(np.array([0.0, 1.0, 2.0, 3.0]), np.array([0.9, 0.8, 0.7, 0.0]))
    2.0
    """
    above = values - values[0] - (values[-1] - values[0]) * (tau - tau[0]) / (tau[-1] - tau[0])
    highest = int(np.argmax(above))
    return float(tau[highest]) if above[highest] > ROUNDING else None


def highest(curve: pd.DataFrame) -> float | None:
    """Threshold at which the free energy is highest.

    Parameters
    ----------
    curve : DataFrame
        With columns ``tau``, ``beta`` and ``free_energy``.

    Returns
    -------
    float or None
        None where F is highest at an end of what is searched, which is no peak: F falls from the
        first threshold on, or rises up to sparsity :data:`thermo_utils.transitions.MAX_BETA`.

    Examples
    --------
    >>> curve = pd.DataFrame({"tau": [1.0, 2.0, 3.0], "beta": [0.1, 0.2, 0.3]})
    >>> highest(curve.assign(free_energy=[0.1, 0.4, 0.3])), highest(curve.assign(free_energy=1.0))
    (2.0, None)
    """
    tau, beta, f = (curve[name].to_numpy(np.float64) for name in ("tau", "beta", "free_energy"))
    shown = np.isfinite(f) & (tau > 0) & (beta <= MAX_BETA)
    if not shown.any():
        return None
    top = int(f[shown].argmax())
    return float(tau[shown][top]) if 0 < top < shown.sum() - 1 else None


def from_zero(curve: pd.DataFrame, column: str, start: float) -> tuple[Floats, Floats]:
    """A column over ``tau``, with the unpruned network in front.

    Parameters
    ----------
    curve : DataFrame
        With columns ``tau`` and `column`, K rows.
    column : str
        Which.
    start : float
        Its value for the unpruned network.

    Returns
    -------
    tau, values : ndarray of float64, shape (K + 1,)
    """
    tau = np.concatenate([[0.0], curve["tau"].to_numpy(np.float64)])
    return tau, np.concatenate([[start], curve[column].to_numpy(np.float64)])


def _shares(curve: pd.DataFrame) -> tuple[Floats, Floats]:
    """Share of the sum that is left over ``tau``; where U is undefined, no activation is left."""
    energy = curve["internal_energy"].to_numpy(np.float64)
    left = np.where(np.isfinite(energy), np.exp(energy), 0.0)
    tau = curve["tau"].to_numpy(np.float64)
    return np.concatenate([[0.0], tau]), np.concatenate([[1.0], left])


def _reach(tau: Floats, rising: Floats, level: float) -> float | None:
    """Where a rising curve first reaches a level, between the points of its grid."""
    if not rising[-1] >= level:
        return None
    after = int(np.argmax(rising >= level))
    low, high = rising[after - 1], rising[after]
    return float(tau[after - 1] + (level - low) / (high - low) * (tau[after] - tau[after - 1]))
