"""Features of a free-energy curve, and its critical threshold.

Section 3.6 of the paper names the features (extremum, inflection, pronounced change in curvature)
and the rule (the earliest counts), and leaves open how to tell a feature from a ripple. This is
the answer given here; every number in it is a keyword of :func:`find_transitions`.

* The curve and its derivatives are estimated by local regression over a fixed *share* of the grid
  points, so coarse and fine grids of one range see the same curve. Being linear in the data, the
  estimates come with their standard errors. The share starts small and grows as long as noise
  matters; a noise-free curve is taken as it is.
* An *extremum* (``peak``, ``valley``) is a local extremum of F whose topographic prominence is at
  least a given share of the range of F.
* An *inflection* is a local extremum of F' that no extremum of F explains: a bump has a steepest
  point on each flank, which is part of the bump. It counts when the change of slope, carried over
  the width of the feature, amounts to a given share of the range of F.
* A *bend* is a local extremum of F'' that no extremum or inflection explains, where the slope
  changes by a given share of the mean slope.
* All three must exceed the noise (a multiple of the standard error) and the ripples: where a curve
  has many local extrema, a feature must stand well above their median. Noise is estimated from the
  curve, and from the counts behind it: near ``tau = 0``, where F rests on the few activations
  removed so far and divides them by ``tau``, a finite sample makes extrema of its own.

A curve without any feature, such as a straight line or ``1/tau``, yields an empty table.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from thermo_utils.curves import Threshold, check_increasing, column
from thermo_utils.extrema import (
    MIN_POINTS,
    Feature,
    Noise,
    is_flank,
    levels,
    significant,
    white_noise,
)

__all__ = [
    "MAX_BETA",
    "critical_threshold",
    "earliest",
    "find_transitions",
    "transitions_match",
]

Floats = NDArray[np.float64]
#: Sparser than this, only the far tail of the activations is left: neither searched nor compared.
MAX_BETA = 0.985


def find_transitions(
    curve: pd.DataFrame,
    *,
    min_extremum: float = 0.005,
    min_inflection: float = 0.15,
    min_bend: float = 0.5,
    noise_factor: float = 5.0,
    counting_factor: float | None = None,
    ripple_factor: float = 3.0,
    min_range: float = 2e-3,
    max_beta: float = MAX_BETA,
) -> pd.DataFrame:
    """All qualitative features of a free-energy curve, earliest first (Section 3.6).

    Parameters
    ----------
    curve : DataFrame
        A curve as returned by :func:`thermo_utils.renormalized`; needs the columns ``tau`` and
        ``free_energy``, uses ``beta`` where present. Points with undefined free energy are left
        out; fewer than five defined points have no features.
    min_extremum : float, default 0.005
        Least prominence of a peak or valley, as a share of the range of F.
    min_inflection : float, default 0.15
        Least change of slope times width of an inflection, as a share of the range of F.
    min_bend : float, default 0.5
        Least change of slope across a bend, as a multiple of the mean slope (range of F over range
        of ``tau``).
    noise_factor : float, default 5.0
        A feature must exceed this many standard errors of the quantity it is read from.
    counting_factor : float, optional
        An extremum must stand this many standard errors of counting above both its sides. By
        default ``sqrt(2 ln K)``, which is how far the largest of K normal deviates strays. Needs
        the columns ``active`` (whole numbers) and ``beta``; without them counts are taken as exact.
    ripple_factor : float, default 3.0
        Where F, F' or F'' has six or more local extrema, a feature must exceed their median
        prominence this many times.
    min_range : float, default 2e-3
        A curve whose free energy varies by less is flat and has no features.
    max_beta : float, default `MAX_BETA`, 0.985
        Points of higher sparsity are left out: what is left there is the far tail of the
        distribution, whose plunging F would dwarf every earlier feature, the more the farther the
        grid happens to reach.

    Returns
    -------
    DataFrame
        Columns ``kind`` (``peak``, ``valley``, ``inflection``, ``bend``), ``tau``, ``beta``
        (``nan`` without a ``beta`` column) and ``prominence``, one row per feature in order of
        ``tau``; empty when there is none. ``prominence`` is dimensionless: a share of the range of
        F for extrema and inflections, a multiple of the mean slope for bends.

    Raises
    ------
    ThermoError
        If a column is missing or ``tau`` is not strictly increasing.

    Examples
    --------
    >>> tau = np.linspace(0.02, 1.0, 50)
    >>> find_transitions(pd.DataFrame({"tau": tau, "free_energy": tau - tau**2})).round(2)
       kind  tau  beta  prominence
    0  peak  0.5   NaN        0.92
    """
    tau, f, beta, variance = _defined_points(curve, max_beta)
    if tau.size < MIN_POINTS or np.ptp(f) < min_range:
        return _table([], tau, beta)
    # In the unit square every threshold is a share of a range, whatever the units.
    x, y = (tau - tau[0]) / np.ptp(tau), (f - f.min()) / np.ptp(f)
    with np.errstate(divide="ignore"):
        noise = Noise(white_noise(y), variance, 1 / (tau * np.ptp(f)))
    if 2 * noise_factor * noise.white >= 1.0:  # noise alone spans the range
        return _table([], tau, beta)
    counting = np.sqrt(2 * np.log(tau.size)) if counting_factor is None else counting_factor
    found: list[Feature] = []
    stronger: list[int] = []
    for order, floor, kinds in (
        (0, min_extremum, ("peak", "valley")),
        (1, min_inflection, ("inflection", "inflection")),
        (2, min_bend, ("bend", "bend")),
    ):
        kept: list[Feature] = []
        for level in levels(x, y, order, noise, floor / noise_factor):
            # A wider window may add what a narrower one could not tell from noise.
            known = np.array([feature.position for feature in kept])
            here = significant(
                level,
                kinds,
                noise,
                floor=floor,
                noise_factor=noise_factor,
                counting_factor=counting,
                ripple_factor=ripple_factor,
            )
            kept += [feature for feature in here if not is_flank(feature, known)]
        found += [feature for feature in kept if not is_flank(feature, x[stronger])]
        stronger += [feature.point for feature in kept]
    return _table(sorted(found), tau, beta)


def critical_threshold(curve: pd.DataFrame, **options: float) -> Threshold | None:
    r"""Critical threshold :math:`\tau^*`: the earliest feature of the free energy (Section 3.6).

    Parameters
    ----------
    curve : DataFrame
        As for :func:`find_transitions`.
    **options : float
        Passed on to :func:`find_transitions`.

    Returns
    -------
    Threshold or None
        None when the curve has no feature: the theory then makes no prediction.

    Raises
    ------
    ThermoError
        As :func:`find_transitions`.

    Examples
    --------
    >>> tau = np.linspace(0.02, 1.0, 50)
    >>> curve = pd.DataFrame({"tau": tau, "beta": tau / 2, "free_energy": tau - tau**2})
    >>> critical_threshold(curve)[:3]
    (0.5, 0.25, 'peak')
    >>> critical_threshold(curve.assign(free_energy=1 - tau)) is None
    True
    """
    return earliest(find_transitions(curve, **options))


def earliest(features: pd.DataFrame) -> Threshold | None:
    """The first of the features of a curve as its critical threshold.

    Parameters
    ----------
    features : DataFrame
        As returned by :func:`find_transitions`.

    Returns
    -------
    Threshold or None
        None when there is no feature.

    Examples
    --------
    >>> tau = np.linspace(0.02, 1.0, 50)
    >>> features = find_transitions(pd.DataFrame({"tau": tau, "free_energy": tau - tau**2}))
    >>> earliest(features).rule
    'earliest of 1 feature'
    """
    if features.empty:
        return None
    first = features.iloc[0]
    return Threshold(
        tau=float(first["tau"]),
        beta=float(first["beta"]),
        kind=first["kind"],
        prominence=float(first["prominence"]),
        rule=f"earliest of {len(features)} feature{'s' if len(features) > 1 else ''}",
    )


def transitions_match(
    full: pd.DataFrame, renormalized: pd.DataFrame, *, tolerance: float = 0.05, **options: float
) -> bool:
    """Whether two curves agree in the paper's sense (Section 5, "match").

    Parameters
    ----------
    full, renormalized : DataFrame
        Two curves of one network, each with a ``beta`` column. If one grid contains the other, as
        that of a chapter's renormalized curve does, they are compared on the coarser one: it cannot
        show all that the finer one can, which is no disagreement.
    tolerance : float, default 0.05
        Largest difference of the sparsities; the paper's seeds differ by 3 to 5 %.
    **options : float
        Passed on to :func:`find_transitions`.

    Returns
    -------
    bool
        True if both have a feature and the first of each lies at the same sparsity. Vertical
        offsets do not matter. Two curves without features do not match: there is no transition to
        agree on.

    Raises
    ------
    ThermoError
        If a column is missing.

    Examples
    --------
    >>> tau = np.linspace(0.02, 1.0, 50)
    >>> curve = pd.DataFrame({"tau": tau, "beta": tau / 2, "free_energy": tau - tau**2})
    >>> transitions_match(curve, curve.assign(free_energy=curve.free_energy + 3))
    True
    """
    for curve in (full, renormalized):
        column(curve, "beta")
    shared = np.intersect1d(column(full, "tau"), column(renormalized, "tau"))
    if shared.size == min(len(full), len(renormalized)):
        full, renormalized = (c[c["tau"].isin(shared)] for c in (full, renormalized))
    first = critical_threshold(full, **options)
    second = critical_threshold(renormalized, **options)
    if first is None or second is None:
        return False
    # Rounding: sparsities exactly `tolerance` apart agree.
    return abs(first.beta - second.beta) <= tolerance + 1e-9


def _defined_points(curve: pd.DataFrame, max_beta: float) -> tuple[Floats, Floats, Floats, Floats]:
    """``tau``, F, ``beta`` and the variance of ``ln rho`` where they can show a feature."""
    tau, f = column(curve, "tau"), column(curve, "free_energy")
    check_increasing(tau)
    beta = column(curve, "beta") if "beta" in curve else np.full(tau.shape, np.nan)
    keep = np.isfinite(f) & (tau > 0) & ~(beta > max_beta)
    variance = np.zeros(tau.shape)
    if "active" in curve and "beta" in curve:
        active = column(curve, "active")
        if np.array_equal(active, np.round(active)):  # counts, not shares
            variance[keep] = np.maximum.accumulate(np.clip(beta[keep], 0, 1) / active[keep])
    return tau[keep], f[keep], beta[keep], variance[keep]


def _table(features: list[Feature], tau: Floats, beta: Floats) -> pd.DataFrame:
    index = [f.point for f in features]
    return pd.DataFrame(
        {
            "kind": pd.Series([f.kind for f in features], dtype=object),
            "tau": tau[index],
            "beta": beta[index],
            "prominence": np.array([f.size for f in features], dtype=np.float64),
        }
    )
