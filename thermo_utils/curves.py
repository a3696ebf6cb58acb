"""What every reader of a curve needs: its columns, checked, and a threshold on it."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from thermo_utils.errors import ThermoError

__all__ = ["Kind", "Threshold", "check_increasing", "column"]

Kind = Literal["peak", "valley", "inflection", "bend", "accuracy", "score"]


class Threshold(NamedTuple):
    """A threshold with the sparsity it causes, the reason it was chosen, and its interval.

    Attributes
    ----------
    tau : float
        Threshold, in units of the activations.
    beta : float
        Sparsity at `tau`, ``1 - rho``; ``nan`` where the curve has no such column.
    kind : {"peak", "valley", "inflection", "bend", "accuracy", "score"}
        Feature that marks it; ``score`` for a metric other than the accuracy.
    prominence : float
        Size of the feature, see :func:`thermo_utils.find_transitions`; for ``accuracy`` the drop in
        accuracy at the first grid point beyond `tau`.
    rule : str
        The rule that chose it, in words.
    low, high : float
        Thresholds that the data cannot tell from `tau`; ``nan`` where that is not known. For
        ``accuracy`` see :func:`thermo_utils.accuracy.accuracy_interval`.
    """

    tau: float
    beta: float
    kind: Kind
    prominence: float
    rule: str
    low: float = np.nan
    high: float = np.nan


def column(curve: pd.DataFrame, name: str) -> NDArray[np.float64]:
    """A column of a curve as numbers.

    Parameters
    ----------
    curve : DataFrame
        K rows.
    name : str
        Of the column.

    Returns
    -------
    ndarray of float64, shape (K,)

    Raises
    ------
    ThermoError
        If there is no such column or it holds something else.

    Examples
    --------
    >>> column(pd.DataFrame({"tau": [1, 2]}), "tau")
    array([1., 2.])
    """
    if name not in curve:
        raise ThermoError(f"curve has no column {name!r}, only: {', '.join(map(str, curve))}")
    try:
        return curve[name].to_numpy(dtype=np.float64)
    except (TypeError, ValueError):
        raise ThermoError(f"curve: column {name!r} must hold numbers") from None


def check_increasing(tau: NDArray[np.float64]) -> None:
    """Refuse thresholds that do not increase.

    Parameters
    ----------
    tau : ndarray of float64, shape (K,)
        Thresholds.

    Raises
    ------
    ThermoError
        If they are not finite and strictly increasing.
    """
    if not (np.all(np.isfinite(tau)) and np.all(np.diff(tau) > 0)):
        raise ThermoError("curve: tau must be strictly increasing: sort it, drop repeated values")
