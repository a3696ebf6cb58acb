"""A full evaluation in a dozen passes: which thresholds of a grid are worth one.

The critical threshold and the threshold of the accuracy need no more of a grid than where the first
feature of F lies and where the score leaves its plateau. Both are looked for in turn:

* F at thresholds that were not measured is estimated: that of the unpruned network, which one pass
  gives at all of them, moved by what pruning was seen to change at the measured ones. Where the
  first feature of this curve lies, and beside it, is measured, until the curve that shows it was.
* The place where the score leaves its plateau is bracketed: between the last threshold within
  bounds and the first measured one out of them, the bracket is halved in sparsity.
* Passes that are left go to the middle of the widest gap before the feature, where an earlier one
  may hide.

What was not measured may differ from what its neighbours say: a score that dips out of bounds
between two measured thresholds and recovers, or a feature that pruning makes there and the unpruned
network does not have. ``attrs["guided"]["not_looked_at"]`` says where.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from thermo_utils.accuracy import MAX_DROP, ROUNDING, score_threshold
from thermo_utils.curves import column
from thermo_utils.errors import ThermoError
from thermo_utils.thermodynamics import thermodynamic_curve
from thermo_utils.transitions import critical_threshold

__all__ = ["PASSES", "account", "completed_curve", "estimate", "guide", "next_tau"]

#: Passes of a guided evaluation at most, the unpruned one included.
PASSES: Final = 12
#: Of a bracket, a step towards its middle in sparsity leaves this share on either side: sparsity
#: may hardly vary in it.
LEAST: Final = 1 / 8

Floats = NDArray[np.float64]


def next_tau(rfe: pd.DataFrame, measured: pd.DataFrame) -> float | None:
    """The threshold of a grid that is worth the next pass.

    Parameters
    ----------
    rfe : DataFrame
        The renormalized curve on the grid, see :func:`thermo_utils.renormalized`.
    measured : DataFrame
        What pruning at some of its thresholds gave, in any order: ``tau``, ``active``, ``abs_sum``
        and ``drop``, by how much the score is worse than the unpruned network's; nan where pruning
        itself makes NaN, which is out of bounds.

    Returns
    -------
    float or None
        None when nothing is left to look for, or `PASSES` are used up.

    Raises
    ------
    ThermoError
        If a measured threshold is not on the grid.

    Examples
    --------
    >>> tau = np.array([0.1, 0.2, 0.3])
    >>> rfe = thermodynamic_curve(tau, [9, 6, 2], [9.5, 7.0, 3.0], 10, 10.0)
    >>> rfe.attrs = {"total": 10, "total_abs_sum": 10.0}
    >>> nothing = pd.DataFrame(columns=["tau", "active", "abs_sum", "drop"])
    >>> next_tau(rfe, nothing)
    0.2
    """
    if len(measured) >= PASSES - 1:
        return None
    tau = column(rfe, "tau")
    at = _places(tau, column(measured, "tau"))
    feature = critical_threshold(estimate(rfe, measured))
    first = None if feature is None else int(np.searchsorted(tau, feature.tau))
    inside = column(measured, "drop") <= MAX_DROP + ROUNDING  # which nan is not
    around = _unmeasured_around(first, at, tau.size)
    fall = _halved(column(rfe, "beta"), at, inside)
    chosen: int | None
    if around is not None and (fall is None or len(measured) % 2 == 0):
        chosen = around
    elif fall is not None:
        chosen = fall
    else:
        chosen = _widest_gap(at, tau.size if first is None else first + 1)
        if chosen is None:  # nothing hides before the feature; but before the fall?
            chosen = _widest_gap(at, int(at[~inside].min(initial=tau.size)))
    return None if chosen is None else float(tau[chosen])


def _unmeasured_around(first: int | None, at: NDArray[np.intp], size: int) -> int | None:
    """The feature's place on the grid, or one beside it, unless all three are measured."""
    if first is None:
        return None
    wanted = (first, first - 1, first + 1)
    return next((k for k in wanted if 0 <= k < size and k not in at), None)


def _halved(beta: Floats, at: NDArray[np.intp], inside: NDArray[np.bool_]) -> int | None:
    """The middle, in sparsity, of where the score can leave its plateau."""
    high = int(at[~inside].min(initial=beta.size))
    low = int(at[at < high].max(initial=-1))
    if high - low <= 1:
        return None
    start = 0.0 if low < 0 else beta[low]
    end = 1.0 if high == beta.size else beta[high]
    off = np.abs(beta[low + 1 : high] - (start + end) / 2)
    alike = np.flatnonzero(off == off.min())  # many, where nothing is removed yet
    middle = low + 1 + int(alike[alike.size // 2])
    margin = max(1, int((high - low) * LEAST))
    return min(max(middle, low + margin), high - margin)


def _widest_gap(at: NDArray[np.intp], end: int) -> int | None:
    """The middle of the widest gap between measured places before one."""
    places = np.concatenate([[-1], np.sort(at[at < end]), [end]])
    gaps = np.diff(places)
    widest = gaps.size - 1 - int(np.argmax(gaps[::-1]))  # the last of equals
    return int(places[widest] + gaps[widest] // 2) if gaps[widest] > 1 else None


def estimate(rfe: pd.DataFrame, measured: pd.DataFrame) -> pd.DataFrame:
    r"""The curve of a full evaluation on the whole grid: measured where it is, else estimated.

    Parameters
    ----------
    rfe, measured : DataFrame
        As for :func:`next_tau`; of `measured` the scores are not needed. ``rfe.attrs`` holds
        ``total`` (N) and ``total_abs_sum`` (Sigma_0).

    Returns
    -------
    DataFrame, K rows
        The columns of :func:`thermo_utils.thermodynamic_curve`. Estimated numbers of activations
        are whole, too: that is how their noise is known.

    Raises
    ------
    ThermoError
        As :func:`next_tau`.

    Notes
    -----
    Between measured thresholds, :math:`\tau^{-1} \ln(M / M_\mathrm{RFE})` is interpolated, and the
    same of Sigma, by monotone cubics: what pruning changes in F is made of these two and of
    :math:`\tau` alone, and they stay finite near zero, where F divides by :math:`\tau`. Before the
    first they are constant, and beyond the last the ratios themselves.
    """
    tau = column(rfe, "tau")
    at = _places(tau, column(measured, "tau"))
    order = np.argsort(at)
    counts = []
    for name in ("active", "abs_sum"):
        unpruned, pruned = column(rfe, name), column(measured, name)
        ratio = np.ones(at.size)
        alive = (pruned > 0) & (unpruned[at] > 0)  # nan, where pruning broke, is not
        np.divide(pruned, unpruned[at], out=ratio, where=alive)
        use = order[alive[order]]
        found = unpruned * np.exp(tau * _between(tau, at[use], np.log(ratio[use]) / tau[at[use]]))
        found = np.rint(found) if name == "active" else found
        found[at] = pruned
        counts.append(found)
    active, abs_sum = counts
    whole = active if np.isnan(active).any() else active.astype(np.int64)
    return thermodynamic_curve(tau, whole, abs_sum, rfe.attrs["total"], rfe.attrs["total_abs_sum"])


def _between(tau: Floats, at: NDArray[np.intp], shift: Floats) -> Floats:
    """What is known at some places of a grid, at all of them."""
    if not at.size:
        return np.zeros(tau.size)
    known = tau[at]
    inner = np.clip(tau, known[0], known[-1])
    from scipy.interpolate import PchipInterpolator  # evaluating without it needs no scipy

    values = PchipInterpolator(known, shift)(inner) if at.size > 1 else np.full(tau.size, shift[0])
    return np.asarray(values * np.minimum(1.0, known[-1] / tau))


def _places(tau: Floats, measured: Floats) -> NDArray[np.intp]:
    """Where measured thresholds stand on the grid."""
    at = np.searchsorted(tau, measured)
    strange = measured[tau[np.minimum(at, tau.size - 1)] != measured]
    if strange.size:
        raise ThermoError(f"threshold {strange[0]:g} is not on the grid of the renormalized curve")
    return at


def guide(rfe: pd.DataFrame, seen: Callable[[float], Mapping[str, Any]]) -> Iterator[float]:
    """The thresholds that are worth a pass, each chosen by what the ones before it gave.

    Parameters
    ----------
    rfe : DataFrame
        As for :func:`next_tau`.
    seen : callable
        Asked for what a threshold gave, once the next one is wanted: a mapping with the columns of
        `measured`, see :func:`next_tau`.

    Yields
    ------
    float
    """
    measured = pd.DataFrame(columns=["tau", "active", "abs_sum", "drop"], dtype=np.float64)
    rows: list[Mapping[str, Any]] = []
    while (tau := next_tau(rfe, measured)) is not None:
        yield tau
        rows.append(seen(tau))
        measured = pd.DataFrame(rows, columns=measured.columns)


def account(curve: pd.DataFrame, rfe: pd.DataFrame, order: list[float]) -> dict[str, Any]:
    """What a guided evaluation says of itself.

    Parameters
    ----------
    curve : DataFrame
        The measured thresholds, as :func:`thermo_utils.full_evaluation` returns them.
    rfe : DataFrame
        As for :func:`next_tau`.
    order : list of float
        The thresholds in the order in which they were measured.

    Returns
    -------
    dict
        ``measured`` (`order`), ``grid`` (all thresholds), ``tau_star`` (None without a feature),
        ``accuracy_threshold`` (for other metrics ``score_threshold``; None where the score never
        leaves its plateau), ``not_looked_at`` (first and last threshold of every part of the grid
        that was not measured), and ``active`` and ``abs_sum`` of the completed curve.
    """
    whole = estimate(rfe, curve)
    tau = column(whole, "tau")
    feature, left = critical_threshold(whole), score_threshold(curve)
    name = "accuracy" if curve.attrs["metric"]["name"] == "accuracy" else "score"
    unseen = np.flatnonzero(~np.isin(tau, order))
    parts = np.split(unseen, np.flatnonzero(np.diff(unseen) > 1) + 1) if unseen.size else []
    return {
        "measured": order,
        "grid": tau.tolist(),
        "tau_star": None if feature is None else feature.tau,
        f"{name}_threshold": None if left is None else left.tau,
        "not_looked_at": [[float(tau[part[0]]), float(tau[part[-1]])] for part in parts],
        "active": whole["active"].tolist(),
        "abs_sum": whole["abs_sum"].tolist(),
    }


def completed_curve(curve: pd.DataFrame) -> pd.DataFrame:
    """The curve of a guided evaluation on its whole grid, estimated where it was not measured.

    :func:`thermo_utils.critical_threshold` takes it; a score it has not, for scores are not
    estimated.

    Parameters
    ----------
    curve : DataFrame
        Of ``thermo_utils.full_evaluation(..., guided=True)``.

    Returns
    -------
    DataFrame, K rows
        The columns of :func:`thermo_utils.thermodynamic_curve`, and ``measured``, true where a
        threshold was.

    Raises
    ------
    ThermoError
        If the curve is of no guided evaluation.

    Examples
    --------
    >>> import torch
    >>> from thermo_utils import full_evaluation
    >>> _ = torch.manual_seed(0)
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    >>> x = torch.randn(64, 4)
    >>> data, taus = [(x, net(x).argmax(1))], np.arange(1, 41) / 20
    >>> curve = full_evaluation(net, data, "1", taus, guided=True, progress=False)
    >>> len(curve), len(completed_curve(curve)), int(completed_curve(curve)["measured"].sum())
    (11, 40, 11)
    """
    said = curve.attrs.get("guided")
    if said is None:
        raise ThermoError(
            "the curve is of no guided evaluation: it has every threshold that was asked for"
        )
    whole = thermodynamic_curve(
        said["grid"],
        said["active"],
        said["abs_sum"],
        curve.attrs["total"],
        curve.attrs["total_abs_sum"],
    )
    whole["measured"] = np.isin(column(whole, "tau"), said["measured"])
    return whole
