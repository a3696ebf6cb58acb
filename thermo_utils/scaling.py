"""Free energies of the same pruning in other units.

Thresholds carry the units of the activations, and so does the temperature that weighs entropy
against energy. A network whose activations are ``c`` times larger is pruned in the same way at
thresholds ``c`` times larger, and has another free energy.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from thermo_utils.errors import ThermoError
from thermo_utils.thermodynamics import derivative, free_energy, temperature

__all__ = ["mean_magnitude", "rescaled", "scale_free"]


def mean_magnitude(curve: pd.DataFrame) -> float:
    r"""Mean absolute value of the nonzero activations, :math:`\mu = \Sigma_0 / N`.

    Parameters
    ----------
    curve : DataFrame
        As :func:`thermo_utils.thermodynamic_curve` returns it.

    Returns
    -------
    float
        In units of the activations.

    Raises
    ------
    ThermoError
        If no row of the curve has a surviving activation.

    Notes
    -----
    A row with survivors says it: :math:`\mu = (\Sigma / e^{E}) / (M / \rho)`.

    Examples
    --------
    >>> from thermo_utils import thermodynamic_curve
    >>> round(mean_magnitude(thermodynamic_curve([0.1, 0.2], [9, 6], [9.5, 7.0], 10, 20.0)), 9)
    2.0
    """
    alive = curve[curve["active"] > 0]
    if alive.empty:
        raise ThermoError("nothing survives at any threshold of the curve: take smaller thresholds")
    row = alive.iloc[0]
    sigma_0 = row["abs_sum"] / np.exp(row["internal_energy"])
    return float(sigma_0 / (row["active"] / row["rho"]))


def rescaled(curve: pd.DataFrame, c: float) -> pd.DataFrame:
    r"""The curve of a network whose activations are `c` times larger and which is otherwise equal.

    Parameters
    ----------
    curve : DataFrame
        As :func:`thermo_utils.thermodynamic_curve` returns it, maybe with more columns.
    c : float
        Positive, finite.

    Returns
    -------
    DataFrame
        Row ``i`` prunes the same activations as row ``i`` of `curve`: thresholds and sums are `c`
        times larger, counts, sparsities, entropies, energies and accuracies are the same, the free
        energy and its derivatives are computed anew. ``attrs`` follow; a standard error of the free
        energy does not, and its column is dropped.

    Raises
    ------
    ThermoError
        If `c` is not positive and finite.

    Notes
    -----
    With :math:`\rho_c(\tau) = \rho(\tau/c)` and :math:`E_c(\tau) = E(\tau/c)`,

    .. math:: F_c(\tau) = E(\tau / c) + \frac{1}{\tau}\, S(\tau / c)
              = E(\tau / c) + \frac{1}{c}\, \bigl[T S\bigr](\tau / c).

    The identity is exact, whatever the distribution, under full evaluation too where the network is
    positively homogeneous between the hooked layers.

    Examples
    --------
    >>> from thermo_utils import thermodynamic_curve
    >>> curve = thermodynamic_curve([0.1, 0.2], [9, 6], [9.5, 7.0], 10, 10.0)
    >>> rescaled(curve, 2.0)[["tau", "rho"]].values.tolist()
    [[0.2, 0.9], [0.4, 0.6]]
    """
    if not 0 < c < np.inf:
        raise ThermoError(f"c must be positive and finite, got {c}")
    tau = c * curve["tau"].to_numpy(np.float64)
    f = free_energy(tau, curve["rho"], curve["internal_energy"])
    scaled = curve.drop(columns="free_energy_error", errors="ignore").assign(
        tau=tau,
        abs_sum=c * curve["abs_sum"],
        temperature=temperature(tau),
        free_energy=f,
        dF_dtau=derivative(f, tau),
        dF_dbeta=derivative(f, curve["beta"]),
    )
    scaled.attrs = dict(curve.attrs)
    if "total_abs_sum" in scaled.attrs:
        scaled.attrs["total_abs_sum"] *= c
    return scaled


def scale_free(curve: pd.DataFrame) -> pd.DataFrame:
    r"""The curve in units of the mean absolute activation, which no rescaling changes.

    Parameters
    ----------
    curve : DataFrame
        As for :func:`rescaled`.

    Returns
    -------
    DataFrame
        :func:`rescaled` by :math:`1/\mu`; its ``tau`` is in units of :math:`\mu`.

    Raises
    ------
    ThermoError
        As :func:`mean_magnitude`.

    Notes
    -----
    The same pruning with the temperature :math:`T = \mu / \tau` in place of :math:`1/\tau`:

    .. math:: F_{\mathrm{sf}}(\tau) = E(\tau) + \frac{\mu}{\tau}\, S(\tau).

    Examples
    --------
    >>> from thermo_utils import thermodynamic_curve
    >>> curve = thermodynamic_curve([0.1, 0.2], [9, 6], [19.0, 14.0], 10, 20.0)
    >>> scale_free(curve)["tau"].round(9).tolist()
    [0.05, 0.1]
    """
    return rescaled(curve, 1.0 / mean_magnitude(curve))
