"""Features of a free-energy curve, and its critical threshold.

Section 3.6 of the paper names the features (extremum, inflection, pronounced change in curvature)
and the rule (the earliest counts), and leaves open how to tell a feature from a ripple. This is
the answer given here; every number in it is a keyword of :func:`find_transitions` or has a
name of its own.

* An *extremum* (``peak``, ``valley``) is the furthest point since F turned last. F has moved to it
  by more than the noise, and from it turned back by a given share of all it has varied so far. The
  decision looks at nothing beyond the point where it falls, so it does not matter how far the grid
  goes on. Of a fall that lasts since the first threshold only the last octave counts, so it matters
  little where the grid begins. A ripple of some thousandths of T S, which F is near ``tau = 0``, is
  none, however little noise there is.
* Where F jumps, its furthest point is one of many spikes, and the grid decides which. An extremum
  that is *jagged* by more than the noise is put where F is furthest on average.
* A *flat* extremum is one to which F moves by less than is asked for, but by more than chance is
  likely to. It counts where there is no other.
* An *inflection* is such a turn of F' where F itself does not turn at all: a bump has a steepest
  point on each flank, which is part of the bump. The slope must turn by a share of the mean slope
  so far.
* A *bend* is such a turn of F'' where neither F nor F' turns, at which the slope changes by the
  mean slope so far within a small part of the threshold.
* Noise is that of counting: near ``tau = 0``, where F rests on the few activations removed so far
  and divides them by ``tau``, a finite sample makes extrema of its own. Without counts, and for
  slopes, it is estimated from the curve. Where a curve turns six times or more, a feature must
  stand well above the median.
* A curve that begins where much is pruned already cannot tell which feature is first, and has none.
  Where next to nothing is pruned, there is none either.

A curve without any feature, such as a straight line or ``1/tau``, yields an empty table.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from thermo_utils.curves import Threshold, check_increasing, column
from thermo_utils.errors import ThermoError
from thermo_utils.extrema import MIN_POINTS, Noise, Turn, around, slopes, turns, white_noise

__all__ = [
    "MAX_BETA",
    "critical_threshold",
    "earliest",
    "find_transitions",
    "highest_point",
    "transitions_match",
]

Floats = NDArray[np.float64]
#: Sparser than this, only the far tail of the activations is left.
MAX_BETA = 0.985
#: How far local regression reaches to either side, as shares of the threshold, tried in turn until
#: a feature exceeds the noise.
REACHES = (0.125, 0.25, 0.5)
#: Rounding errors of F, as a share of it.
ROUNDING = 1e-13


class _Curve(NamedTuple):
    """The points of a curve at which F is defined, and what is uncertain about them."""

    tau: Floats
    f: Floats
    beta: Floats
    noise: Noise


def find_transitions(
    curve: pd.DataFrame,
    *,
    share: float = 0.8,
    noise_factor: float = 5.0,
    counting_factor: float = 3.0,
    flat_factor: float = 1.8,
    ripple_factor: float = 3.0,
    bend_width: float = 0.1,
    ripple_share: float = 0.005,
    latest_start: float = 0.2,
    least_pruned: float = 0.02,
    fall_octaves: float = 1.0,
) -> pd.DataFrame:
    r"""All qualitative features of a free-energy curve, earliest first (Section 3.6).

    Parameters
    ----------
    curve : DataFrame
        A curve as returned by :func:`thermo_utils.renormalized`; needs the columns ``tau`` and
        ``free_energy``, uses ``beta`` and ``active`` where present. Points with undefined free
        energy are left out; fewer than five defined points have no features. Where it is sparser
        than `MAX_BETA`, 0.985, a curve has none: what is left there is a far tail.
    share : float, default 0.8
        F, F' or F'' has turned when it has moved back by this share of all it has varied so far.
        The slope of an inflection must turn by this share of the mean slope so far.
    noise_factor : float, default 5.0
        A turn must exceed this many standard errors of the noise that is seen on the curve itself.
    counting_factor : float, default 3.0
        An extremum must stand this many standard errors of counting above both its sides. Needs
        the columns ``active`` (whole numbers) and ``beta``; without them counts are taken as exact.
    flat_factor : float, default 1.8
        An extremum to which F moves by less than `counting_factor`, but by this many standard
        errors, is flat.
    ripple_factor : float, default 3.0
        Where F, F' or F'' turns six times or more, a feature must exceed the median turn so many
        times.
    bend_width : float, default 0.1
        Part of the threshold within which the slope changes at a bend, by the mean slope so far.
    ripple_share : float, default 0.005
        An extremum whose prominence is less than this share of :math:`T S`, with
        :math:`T = 1/\tau`, is a ripple. Needs the column ``beta``. A valley at the second threshold
        is none either: where F begins, only the first threshold would say that it fell.
    latest_start : float, default 0.2
        Share of the activations other than zero that may be pruned at the first threshold; where it
        is more, there are no features, and a `UserWarning` says so. Needs the column ``beta``.
    least_pruned : float, default 0.02
        Share of the activations other than zero that must be pruned at a feature: what F shows
        before rests on a few channels of the network. Needs the column ``beta``.
    fall_octaves : float, default 1.0
        How many octaves before its lowest threshold count of a fall that lasts since the first one.
        F grows without bound toward ``tau = 0`` where activations crowd around zero.

    Returns
    -------
    DataFrame
        Columns ``kind`` (``peak``, ``valley``, ``inflection``, ``bend``), ``tau``, ``beta``
        (``nan`` without a ``beta`` column), ``prominence``, ``low``, ``high`` and ``flat``, one row
        per feature in order of ``tau``; empty when there is none. ``prominence`` is the lesser of
        what F moves before and after; of slopes, carried over ``tau``, and of curvatures over its
        square, so that it has the units of F. ``low`` and ``high`` enclose the thresholds that
        noise does not tell from ``tau``, at the least its neighbours on the grid.

    Raises
    ------
    ThermoError
        If a column is missing or ``tau`` is not strictly increasing, or the curve is the measured
        part of a guided evaluation.

    Examples
    --------
    >>> tau = np.linspace(0.02, 1.0, 50)
    >>> curve = pd.DataFrame({"tau": tau, "free_energy": tau - tau**2})
    >>> find_transitions(curve)[["kind", "tau", "low", "high", "flat"]].round(2)
       kind  tau   low  high   flat
    0  peak  0.5  0.48  0.52  False
    """
    c = _defined(curve)
    if c.tau.size < MIN_POINTS:
        return _table([], [], c)
    pruned = _pruned(c)
    begins = pruned[0]
    if begins > latest_start:
        warnings.warn(
            f"the curve begins at tau = {c.tau[0]:g}, where {begins:.0%} of the activations other "
            "than zero are pruned: what comes before may hold the first feature, so none is named; "
            "begin at smaller thresholds",
            stacklevel=2,
        )
        return _table([], [], c)

    judged = ~((c.beta > MAX_BETA) | (pruned < least_pruned))  # where beta is not known, all are
    error = functools.partial(_error, c, noise_factor / counting_factor)
    flat = flat_factor if c.noise.variance.any() else None
    recent = np.searchsorted(c.tau, c.tau * 2.0**-fall_octaves * (1 - 1e-9))
    walk = functools.partial(turns, c.f, error, factor=counting_factor, recent=recent)
    ripple = ripple_share * -np.log1p(-np.clip(c.beta, 0.0, MAX_BETA)) / c.tau
    found = [
        turn
        for turn in walk(
            share=share, flat_factor=flat, ripple_factor=ripple_factor, least=ripple, x=c.tau
        )
        if judged[turn.point]
        # Of a valley at the second threshold, only the first one says that F fell.
        and not (turn.point == 1 and turn.sign < 0)
    ]
    if found:
        return _table(["peak" if turn.sign > 0 else "valley" for turn in found], found, c)
    varied = np.maximum.accumulate(c.f) - np.minimum.accumulate(c.f)
    # Even a small turn of F has flanks that are no features, and so has what follows it.
    small = walk(share=share / 3, ripple_factor=0.0)
    end = small[0].point if small else c.f.size
    for order, kind, least in ((1, "inflection", share), (2, "bend", 1 / bend_width)):
        for seen in _turning_slopes(c, order, share, noise_factor, ripple_factor):
            large = [t for t in seen if t.size >= least * varied[t.high] and t.high < end]
            found = [turn for turn in large if judged[turn.point]]
            if found:
                return _table([kind] * len(found), found, c)
    return _table([], [], c)


def _pruned(c: _Curve) -> Floats:
    """Share of the activations other than zero that each threshold prunes; nan if unknown."""
    first, second = c.beta[:2]
    if not c.beta[-1] > first:  # of no activations
        return np.full(c.beta.size, np.nan)
    # Zeros, half of what a ReLU puts out, are what is sparse at the threshold zero.
    zeros = max(0.0, first - (second - first) * c.tau[0] / (c.tau[1] - c.tau[0]))
    return (c.beta - zeros) / (1 - zeros) if zeros < 1 else np.full(c.beta.size, np.nan)


def _error(c: _Curve, white: float, point: int, others: slice) -> Floats:
    """Standard errors of F at some points against F at one; white noise counts so many times."""
    counting = c.noise.of_differences(point, others)
    return np.hypot(counting, np.sqrt(2) * white * c.noise.white)


def _turning_slopes(
    c: _Curve, order: int, share: float, noise_factor: float, ripple_factor: float
) -> Iterator[list[Turn]]:
    """Turns of a derivative over wider and wider windows, their size carried over the threshold."""
    noise = c.noise._replace(white=max(c.noise.white, white_noise(c.f)))
    for reach in REACHES:
        level = slopes(c.tau, c.f, order, noise, reach)
        if level.points.size < 3:
            return

        def error(point: int, others: slice, of: Floats = level.error) -> Floats:
            return np.hypot(of[point], of[others])

        found = turns(
            level.value, error, share=share, factor=noise_factor, ripple_factor=ripple_factor
        )
        where = level.points
        yield [
            turn._replace(
                point=int(where[turn.point]),
                size=turn.size * float(c.tau[where[turn.point]]) ** order,
                low=int(where[turn.low]),
                high=int(where[turn.high]),
            )
            for turn in found
        ]


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
    """The first of the features of a curve as its critical threshold; flat ones if all are.

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
    sure = features[~features["flat"]]
    first = (features if sure.empty else sure).iloc[0]
    low, high = float(first["low"]), float(first["high"])
    passed = len(features.loc[: sure.index[0]]) - 1 if len(sure) else 0
    rule = f"earliest of {len(sure)} feature{'s' if len(sure) > 1 else ''}"
    return Threshold(
        tau=float(first["tau"]),
        beta=float(first["beta"]),
        kind=first["kind"],
        prominence=float(first["prominence"]),
        rule=f"flat: noise does not tell {low:g} to {high:g} apart"
        if first["flat"]
        else rule + (f", {passed} flat before it" if passed else ""),
        low=low,
        high=high,
    )


def highest_point(
    curve: pd.DataFrame, *, noise_factor: float = 5.0, counting_factor: float = 3.0
) -> Threshold | None:
    """Where F is highest, feature or not, and what noise does not tell from it.

    Thresholds sparser than `MAX_BETA` are left out where there are others.

    Parameters
    ----------
    curve, noise_factor, counting_factor
        As for :func:`find_transitions`.

    Returns
    -------
    Threshold or None
        ``prominence`` is how far F lies above its value at the first threshold. `low` and `high`
        may be the ends of the curve. None where F is nowhere defined.

    Raises
    ------
    ThermoError
        As :func:`find_transitions`.

    Examples
    --------
    >>> tau = np.linspace(0.02, 1.0, 50)
    >>> highest_point(pd.DataFrame({"tau": tau, "free_energy": tau - tau**2})).tau
    0.5
    """
    c = _defined(curve)
    if not c.tau.size:
        return None
    searched = ~(c.beta > MAX_BETA)
    top = int(np.argmax(np.where(searched, c.f, -np.inf) if searched.any() else c.f))
    error = _error(c, noise_factor / counting_factor, top, slice(0, c.tau.size))
    low, high = around(c.f[top] - c.f, counting_factor * error, top)
    low, high = max(min(low, top - 1), 0), min(max(high, top + 1), c.tau.size - 1)
    return Threshold(
        tau=float(c.tau[top]),
        beta=float(c.beta[top]),
        kind="peak",
        prominence=float(c.f[top] - c.f[0]),
        rule="highest point",
        low=float(c.tau[low]),
        high=float(c.tau[high]),
    )


def transitions_match(
    full: Threshold | None, renormalized: Threshold | None, *, tolerance: float = 0.05
) -> bool:
    """Whether two curves agree in the paper's sense (Section 5, "match").

    Parameters
    ----------
    full, renormalized : Threshold or None
        Critical thresholds of both curves of one network, see :func:`critical_threshold`.
    tolerance : float, default 0.05
        Largest difference of the sparsities; the paper's seeds differ by 3 to 5 %.

    Returns
    -------
    bool
        True if both have a feature and the first of each lies at the same sparsity. Two curves
        without features do not match: there is no transition to agree on.

    Raises
    ------
    ThermoError
        If a threshold has no sparsity.

    Examples
    --------
    >>> tau = np.linspace(0.02, 1.0, 50)
    >>> curve = pd.DataFrame({"tau": tau, "beta": tau / 2, "free_energy": tau - tau**2})
    >>> first = critical_threshold(curve)
    >>> transitions_match(first, first), transitions_match(first, None)
    (True, False)
    """
    if full is None or renormalized is None:
        return False
    distance = abs(full.beta - renormalized.beta)
    if np.isnan(distance):
        raise ThermoError("a threshold has no sparsity: its curve needs the column 'beta'")
    # Rounding: sparsities exactly `tolerance` apart agree.
    return bool(distance <= tolerance + 1e-9)


def _defined(curve: pd.DataFrame) -> _Curve:
    """The points that can show a feature."""
    if "guided" in curve.attrs:
        raise ThermoError(
            "a guided evaluation has too few thresholds to show features: take those of "
            "thermo_utils.guided.completed_curve(curve)"
        )
    tau, f = column(curve, "tau"), column(curve, "free_energy")
    check_increasing(tau)
    beta = column(curve, "beta") if "beta" in curve else np.full(tau.shape, np.nan)
    keep = np.isfinite(f) & (tau > 0)
    tau, f, beta = tau[keep], f[keep], beta[keep]
    variance = np.zeros(tau.shape)
    if "active" in curve and "beta" in curve:
        active = column(curve, "active")
        if np.array_equal(active, np.round(active)):  # counts, not shares
            variance = np.maximum.accumulate(np.clip(beta, 0, 1) / active[keep])
    # Differences far along the curve would decide on features near its start: counts are better.
    white = 0.0 if variance.any() else white_noise(f)
    rounding = ROUNDING * float(np.abs(f).max(initial=0.0))
    return _Curve(tau, f, beta, Noise(max(white, rounding), variance, 1 / tau))


def _table(kinds: list[str], found: list[Turn], c: _Curve) -> pd.DataFrame:
    point = [turn.point for turn in found]
    return pd.DataFrame(
        {
            "kind": pd.Series(kinds, dtype=object),
            "tau": c.tau[point],
            "beta": c.beta[point],
            "prominence": np.array([turn.size for turn in found], dtype=np.float64),
            "low": c.tau[[turn.low for turn in found]],
            "high": c.tau[[turn.high for turn in found]],
            "flat": np.array([turn.flat for turn in found], dtype=bool),
        }
    )
