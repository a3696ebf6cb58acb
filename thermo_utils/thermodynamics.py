"""Eqs. 2-6 of the paper as pure functions on arrays, and the curve they make.

Everything here takes array-likes, broadcasts like NumPy and returns ``float64``. Nothing warns:
where a quantity is not defined the answer is ``nan`` (or a signed infinity where that is the
limit), never a made-up number.

The symbols are the paper's: ``M`` activations survive a threshold ``tau`` out of ``N``, the sum of
their absolute values is ``Sigma`` out of ``Sigma_0``.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from thermo_utils.errors import ThermoError

__all__ = [
    "CURVE_COLUMNS",
    "density",
    "derivative",
    "entropy",
    "free_energy",
    "internal_energy",
    "temperature",
    "thermodynamic_curve",
]

Floats: TypeAlias = NDArray[np.float64]

#: Columns of every curve, in order. A full evaluation appends ``accuracy``.
CURVE_COLUMNS = (
    "tau",
    "beta",
    "rho",
    "active",
    "abs_sum",
    "entropy",
    "temperature",
    "internal_energy",
    "free_energy",
    "dF_dtau",
    "dF_dbeta",
)


def density(active: ArrayLike, total: ArrayLike) -> Floats:
    r"""Density of surviving activations, :math:`\rho = M / N`.

    Parameters
    ----------
    active : array_like
        ``M``, number of nonzero activations after pruning. Any shape; non-negative.
    total : array_like
        ``N``, number of nonzero activations of the unpruned network. Broadcast against `active`.

    Returns
    -------
    ndarray of float64
        ``rho``, dimensionless; ``nan`` where `total` is zero.

    Raises
    ------
    ThermoError
        If a count is negative.

    Notes
    -----
    Section 3.2. ``rho`` can exceed one in a full evaluation: pruning an early layer may wake up
    activations in a later one that were exactly zero before.

    Examples
    --------
    >>> density([10, 5, 0], 10)
    array([1. , 0.5, 0. ])
    """
    m, n = _non_negative("active", active), _non_negative("total", total)
    with np.errstate(all="ignore"):
        return np.where(n > 0, m / n, np.nan)[()]


def entropy(density: ArrayLike) -> Floats:
    r"""Entropy of the density, :math:`S = -\ln\rho` (Eq. 2).

    Parameters
    ----------
    density : array_like
        ``rho``, dimensionless, any shape; non-negative.

    Returns
    -------
    ndarray of float64
        ``S`` in nats; ``inf`` where the density is zero (nothing survives).

    Raises
    ------
    ThermoError
        If a density is negative.

    Notes
    -----
    The sentence below Eq. 2 says that entropy falls as ``tau`` grows. With the formula as printed
    it rises, because ``rho`` falls; the formula is what is used here and everywhere in the paper.

    Examples
    --------
    >>> entropy([1.0, 0.5]).round(4)
    array([0.    , 0.6931])
    """
    rho = _non_negative("density", density)
    with np.errstate(all="ignore"):
        return (-np.log(rho) + 0.0)[()]


def temperature(tau: ArrayLike) -> Floats:
    r"""Effective temperature, :math:`T = 1/\tau` (Eq. 3).

    Parameters
    ----------
    tau : array_like
        Threshold, in units of the activations, any shape; non-negative.

    Returns
    -------
    ndarray of float64
        ``T`` in inverse units of the activations; ``inf`` at ``tau = 0``.

    Raises
    ------
    ThermoError
        If a threshold is negative.

    Examples
    --------
    >>> temperature([0.5, 0.0])
    array([ 2., inf])
    """
    t = _non_negative("tau", tau)
    with np.errstate(all="ignore"):
        return np.divide(1.0, t)[()]


def internal_energy(abs_sum: ArrayLike, total_abs_sum: ArrayLike) -> Floats:
    r"""Internal energy, :math:`E = \ln(\Sigma / \Sigma_0)` (Eq. 4).

    Parameters
    ----------
    abs_sum : array_like
        ``Sigma``, sum of the absolute values that survive, any shape; non-negative.
    total_abs_sum : array_like
        ``Sigma_0``, the same sum in the unpruned network. Broadcast against `abs_sum`.

    Returns
    -------
    ndarray of float64
        ``E`` in nats; ``-inf`` where nothing survives, ``nan`` where `total_abs_sum` is zero.

    Raises
    ------
    ThermoError
        If a sum is negative.

    Examples
    --------
    >>> internal_energy([4.0, 2.0], 4.0).round(4)
    array([ 0.    , -0.6931])
    """
    s, s0 = _non_negative("abs_sum", abs_sum), _non_negative("total_abs_sum", total_abs_sum)
    with np.errstate(all="ignore"):
        return np.where(s0 > 0, np.log(s / s0), np.nan)[()]


def free_energy(tau: ArrayLike, density: ArrayLike, internal_energy: ArrayLike) -> Floats:
    r"""Free energy, :math:`F = E + T S = E - \ln(\rho)/\tau` (Eqs. 5 and 6).

    Parameters
    ----------
    tau : array_like
        Threshold, in units of the activations; non-negative.
    density : array_like
        ``rho``, dimensionless; non-negative.
    internal_energy : array_like
        ``E`` in nats. The three arguments broadcast against each other.

    Returns
    -------
    ndarray of float64
        ``F``; ``nan`` at ``tau = 0`` (``T`` is infinite while ``S`` is zero) and where nothing
        survives (``E`` is minus infinity while ``T S`` is plus infinity).

    Raises
    ------
    ThermoError
        If a threshold or density is negative.

    Notes
    -----
    As ``tau`` goes to zero, ``F`` tends to the probability density of the activations' absolute
    value at zero.

    Examples
    --------
    Absolute values from an exponential distribution of rate 2 keep ``rho = exp(-2 tau)`` and lose
    ``E = ln(1 + 2 tau) - 2 tau``:

    >>> tau = np.array([0.1, 0.5])
    >>> free_energy(tau, np.exp(-2 * tau), np.log(1 + 2 * tau) - 2 * tau).round(4)
    array([1.9823, 1.6931])
    """
    t, rho = _non_negative("tau", tau), _non_negative("density", density)
    e = np.asarray(internal_energy, dtype=np.float64)
    with np.errstate(all="ignore"):
        f = e - np.log(rho) / t
    return np.where((t > 0) & (rho > 0) & np.isfinite(e), f, np.nan)[()]


def thermodynamic_curve(
    tau: ArrayLike,
    active: ArrayLike,
    abs_sum: ArrayLike,
    total: ArrayLike,
    total_abs_sum: ArrayLike,
) -> pd.DataFrame:
    """Counts and sums on a grid of thresholds, as a tidy curve.

    Parameters
    ----------
    tau : array_like, shape (K,)
        Thresholds, strictly increasing, non-negative, in units of the activations.
    active, abs_sum : array_like, shape (K,)
        ``M(tau)`` and ``Sigma(tau)``.
    total, total_abs_sum : float
        ``N`` and ``Sigma_0`` of the unpruned network.

    Returns
    -------
    DataFrame, K rows
        Columns `CURVE_COLUMNS`. ``free_energy`` and its derivatives are ``nan`` at ``tau = 0`` and
        where nothing survives. Derivatives are second-order differences on the given grid
        (Section 3.7 uses the first-order forward difference, which is shifted by half a step).

    Raises
    ------
    ThermoError
        If shapes differ, the grid is not increasing, a count is negative, or the unpruned network
        has no nonzero activation at all.

    Examples
    --------
    >>> curve = thermodynamic_curve([0.1, 0.2, 0.3], [9, 6, 0], [9.5, 7.0, 0.0], 10, 10.0)
    >>> curve.free_energy.round(3).tolist()
    [1.002, 2.197, nan]
    """
    t = _non_negative("tau", np.atleast_1d(np.asarray(tau)))
    m = np.atleast_1d(np.asarray(active))
    sigma = np.atleast_1d(np.asarray(abs_sum, dtype=np.float64))
    if t.ndim != 1 or not t.shape == m.shape == sigma.shape:
        raise ThermoError(
            "tau, active and abs_sum must be one-dimensional and equally long, "
            f"got shapes {t.shape}, {m.shape} and {sigma.shape}"
        )
    if not (np.all(np.isfinite(t)) and np.all(np.diff(t) > 0)):
        raise ThermoError(
            "tau must be finite and strictly increasing: sort it and drop repeated values"
        )
    if not (np.all(np.asarray(total) > 0) and np.all(np.asarray(total_abs_sum) > 0)):
        raise ThermoError(
            "the unpruned network has no nonzero activation, so density and energy are undefined: "
            "check the data and the layers"
        )
    rho = density(m, total)
    energy = internal_energy(sigma, total_abs_sum)
    f = free_energy(t, rho, energy)
    beta = 1.0 - rho
    return pd.DataFrame(
        {
            "tau": t,
            "beta": beta,
            "rho": rho,
            "active": m,
            "abs_sum": sigma,
            "entropy": entropy(rho),
            "temperature": temperature(t),
            "internal_energy": energy,
            "free_energy": f,
            "dF_dtau": derivative(f, t),
            "dF_dbeta": derivative(f, beta),
        },
        columns=list(CURVE_COLUMNS),
    )


def derivative(y: ArrayLike, x: ArrayLike) -> Floats:
    """Derivative of `y` by `x` on an uneven grid, second order inside, first order at the ends.

    Parameters
    ----------
    y, x : array_like, shape (K,)
        Ordinates and abscissae. Points where either is not finite, and repeated abscissae (a
        sparsity that does not move between two thresholds), have no derivative.

    Returns
    -------
    ndarray of float64, shape (K,)
        ``nan`` where the derivative is not defined.

    Examples
    --------
    >>> derivative([0.0, 1.0, 4.0, np.nan], [0.0, 1.0, 2.0, 3.0])
    array([ 1.,  2.,  3., nan])
    """
    y, x = np.asarray(y, dtype=np.float64), np.asarray(x, dtype=np.float64)
    out = np.full(y.shape, np.nan)
    keep = np.flatnonzero(np.isfinite(y) & np.isfinite(x))
    if keep.size > 1:
        moved = np.concatenate([[True], np.diff(x[keep]) != 0])
        keep = keep[moved]
    if keep.size > 1:
        with np.errstate(all="ignore"):
            slope = np.gradient(y[keep], x[keep])
        out[keep] = np.where(np.isfinite(slope), slope, np.nan)
    return out


def _non_negative(name: str, values: ArrayLike) -> Floats:
    """`values` as float64, refused where negative; ``nan`` stays ``nan``."""
    array = np.asarray(values, dtype=np.float64)
    bad = array < 0
    if np.any(bad):
        raise ThermoError(f"{name} must be zero or more, got {array[bad].flat[0]}")
    return array
