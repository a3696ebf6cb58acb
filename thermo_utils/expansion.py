"""The free energy at small thresholds, and the peak that follows from it.

What a curve does near zero is decided by three numbers: the density of the activations' absolute
values at zero, its slope there, and their mean. None of them knows the accuracy.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from thermo_utils.errors import ThermoError
from thermo_utils.scaling import mean_magnitude

__all__ = ["BETA", "Expansion", "expansion", "hazard", "predicted_peak"]

#: Sparsity up to which a curve counts as near zero.
BETA = 0.3
#: Thresholds that a straight line and an idea of its fit need.
LEAST = 3


class Expansion(NamedTuple):
    r"""What decides on the free energy at small thresholds.

    Attributes
    ----------
    density : float
        :math:`p_0`, probability density of ``|a|`` at zero among the nonzero activations.
    slope : float
        :math:`p_0'`, slope of the density there.
    mean : float
        :math:`\mu`, mean of ``|a|``.

    Notes
    -----
    With :math:`P(\tau) = p_0\tau + p_0'\tau^2/2 + p_0''\tau^3/6` pruned,

    .. math::

        T S &= -\frac{\ln(1 - P)}{\tau} = p_0 + b\,\tau + k\,\tau^2 + O(\tau^3), \\
        E &= \ln\Bigl(1 - \frac{1}{\mu}\int_0^\tau x\,p(x)\,dx\Bigr)
           = -\frac{p_0}{2\mu}\,\tau^2 + O(\tau^3), \\
        F &= p_0 + b\,\tau + \Bigl(k - \frac{p_0}{2\mu}\Bigr)\tau^2 + O(\tau^3)

    with :math:`b = (p_0' + p_0^2)/2` and :math:`k = p_0''/6 + p_0 p_0'/2 + p_0^3/3`. The energy
    enters with the square of the threshold only.
    """

    density: float
    slope: float
    mean: float

    @property
    def rise(self) -> float:
        r"""Slope of the free energy at zero, :math:`b = (p_0' + p_0^2)/2`."""
        return (self.slope + self.density**2) / 2


def expansion(curve: pd.DataFrame, *, beta: float = BETA) -> Expansion:
    r"""Density, slope and mean that a curve shows.

    Parameters
    ----------
    curve : DataFrame
        As :func:`thermo_utils.thermodynamic_curve` returns it.
    beta : float, default `BETA`, 0.3
        Rows up to this sparsity are used, and at least three.

    Returns
    -------
    Expansion

    Raises
    ------
    ThermoError
        If fewer than three thresholds leave anything.

    Notes
    -----
    The straight line :math:`p_0 + b\,\tau` through :math:`T S`, by least squares. The energy is not
    looked at.

    Examples
    --------
    The exponential distribution of rate 2 has density 2 and slope -4 at zero, and mean 1/2:

    >>> from thermo_utils import thermodynamic_curve
    >>> tau = np.linspace(0.01, 0.2, 20)
    >>> rho = np.exp(-2 * tau)
    >>> curve = thermodynamic_curve(tau, 1e9 * rho, 5e8 * (1 + 2 * tau) * rho, 1e9, 5e8)
    >>> [round(number, 6) for number in expansion(curve)]
    [2.0, -4.0, 0.5]
    """
    alive = curve[curve["active"] > 0]
    if len(alive) < LEAST:
        raise ThermoError(
            f"the curve has {len(alive)} thresholds at which anything survives and needs {LEAST}: "
            "take smaller ones"
        )
    count = max(LEAST, int((alive["beta"] <= beta).sum()))
    tau = alive["tau"].to_numpy(np.float64)[:count]
    entropy = alive["entropy"].to_numpy(np.float64)[:count]
    b, p0 = (float(number) for number in np.polyfit(tau, entropy / tau, 1))
    return Expansion(p0, 2 * b - p0**2, mean_magnitude(curve))


def predicted_peak(numbers: Expansion) -> float | None:
    r"""Threshold of the highest point of the free energy, :math:`\tau \approx b\,\mu / p_0`.

    Parameters
    ----------
    numbers : Expansion
        As :func:`expansion` returns it.

    Returns
    -------
    float or None
        In units of the activations; None where the free energy does not rise from zero.

    Notes
    -----
    The top of the parabola :math:`p_0 + b\tau - p_0\tau^2/(2\mu)`. The square term of the entropy,
    :math:`k`, is left out: multiply all activations by :math:`c`, and it falls as :math:`c^{-3}`,
    that of the energy as :math:`c^{-2}`. So the prediction becomes exact for large activations.
    It does not depend on :math:`c` (where the density is flat at zero it is :math:`p_0\mu/2`); the
    sparsity there, about :math:`b\mu`, falls as :math:`1/c`.

    Examples
    --------
    A half-normal distribution, of any width, has :math:`1/\pi`:

    >>> sigma = 100.0
    >>> p0 = np.sqrt(2 / np.pi) / sigma
    >>> round(predicted_peak(Expansion(p0, 0.0, sigma * np.sqrt(2 / np.pi))), 6)
    0.31831
    """
    if not (numbers.rise > 0 and numbers.density > 0):
        return None
    return float(numbers.rise * numbers.mean / numbers.density)


def hazard(curve: pd.DataFrame) -> NDArray[np.float64]:
    r"""Hazard rate between the thresholds of a curve, :math:`h = dS/d\tau = p/\rho`.

    Parameters
    ----------
    curve : DataFrame
        K rows; its first threshold is above zero.

    Returns
    -------
    ndarray of float64, shape (K,)
        The mean over the interval that ends at each threshold; the first begins at zero.

    Notes
    -----
    :math:`T S` is the mean of the hazard from zero to :math:`\tau`, and

    .. math:: \tau\,\frac{dF}{d\tau} = h - T S - \frac{\tau^2}{m}\,h,

    where :math:`m = \Sigma/M` is the mean of what survives. So :math:`F` rises only where the
    hazard exceeds its own mean so far, and an extremum has :math:`\tau^2 = m\,(1 - T S/h)`.

    Examples
    --------
    >>> from thermo_utils import thermodynamic_curve
    >>> tau = np.array([0.1, 0.2, 0.4])
    >>> rho = np.exp(-2 * tau)
    >>> curve = thermodynamic_curve(tau, 1e9 * rho, 5e8 * (1 + 2 * tau) * rho, 1e9, 5e8)
    >>> hazard(curve).round(6)
    array([2., 2., 2.])
    """
    tau, entropy = (curve[name].to_numpy(np.float64) for name in ("tau", "entropy"))
    with np.errstate(all="ignore"):
        return np.diff(entropy, prepend=0.0) / np.diff(tau, prepend=0.0)
