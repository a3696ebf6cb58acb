"""Where a curve turns, told from noise without looking ahead.

What :func:`thermo_utils.find_transitions` is made of, in the order of use: :func:`white_noise`
guesses the noise of a curve, to which :class:`Noise` adds that of counting a finite sample;
:func:`slopes` estimates a derivative by local regression; and :func:`turns` walks along the curve
or the derivative and notes where it turns back.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from math import comb
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "MIN_POINTS", "Level", "Noise", "Turn", "around", "slopes", "turns", "white_noise",
]  # fmt: skip

Floats = NDArray[np.float64]

#: Fewer defined points than this cannot show a feature; also the least window of a derivative.
MIN_POINTS = 5
#: From this many turns on, a curve ripples.
MANY_TURNS = 6
#: Median of the absolute value of a standard normal variable.
NORMAL_MEDIAN = 0.6745
#: Rounding errors of a value, as a share of it.
ROUNDING = 1e-14
#: A turn that is jagged lies where the average is furthest, among points at most this share of its
#: size from the furthest one; and how far the average reaches, as a share of where that lies.
PLATEAU, AVERAGE = 0.25, 0.5
#: In place of an error of zero.
TINY = 1e-300


class Turn(NamedTuple):
    """A point at which a curve turns back.

    Attributes
    ----------
    point : int
        Its place on the curve: the furthest point, or that of the furthest average where the curve
        is jagged.
    sign : {1, -1}
        1 where the curve is highest, -1 where it is lowest.
    size : float
        How far the lower of both sides lies off the furthest point: what is left of it, up to the
        turn before, and what follows until the turn is certain.
    low, high : int
        First and last point around the furthest one whose values the noise does not tell from it;
        at the least its neighbours and those of `point`, between which the curve may turn anywhere.
    flat : bool
        Whether its left side exceeds the noise by less than is asked for.
    """

    point: int
    sign: int
    size: float
    low: int
    high: int
    flat: bool


class Level(NamedTuple):
    """A derivative, with its standard errors, on the part of the grid it is good for."""

    points: NDArray[np.intp]
    value: Floats
    error: Floats


class Noise(NamedTuple):
    """What is uncertain about F: white noise, and counting a finite sample.

    ``ln rho`` of M survivors out of N has variance ``beta / M`` and independent increments (as in
    Greenwood's formula), and ``F = E - ln(rho) / tau`` multiplies it by ``1 / tau``: near zero,
    where few activations have been removed, F wanders.

    Attributes
    ----------
    white : float
        Standard deviation of the white noise.
    variance : ndarray, shape (K,)
        Variance of ``ln rho``, never falling; zeros where counts are not known.
    gain : ndarray, shape (K,)
        Change of F per change of ``ln rho``.
    """

    white: float
    variance: Floats
    gain: Floats

    def of_sums(self, weight: Floats) -> Floats:
        """Standard errors of weighted sums of F, one per row of weights of all points."""
        # A step in ln(rho) shifts the point where it happens and all later ones.
        reach = np.cumsum((weight * self.gain)[:, ::-1], axis=1)[:, ::-1]
        steps = np.diff(self.variance, prepend=0.0)
        return np.sqrt(self.white**2 * (weight**2).sum(axis=1) + reach**2 @ steps)

    def of_differences(self, point: int, others: slice) -> Floats:
        """Standard errors, from counting alone, of F at some points against F at one of them."""
        v, g = self.variance[others], self.gain[others]
        first, last = np.minimum(v, self.variance[point]), np.maximum(v, self.variance[point])
        later = np.where(v > self.variance[point], g, self.gain[point])
        return np.sqrt(first * (g - self.gain[point]) ** 2 + (last - first) * later**2)


def white_noise(y: Floats) -> float:
    """Standard deviation of the noise, from high-order differences, in which smooth parts cancel.

    The smaller of two orders counts: on a coarse grid the lower one still sees the curve itself.
    """
    estimates = []
    for order in (4, 6):
        difference = np.diff(y, n=order)
        if difference.size >= MIN_POINTS:
            weight = np.sqrt(comb(2 * order, order))  # of unit white noise
            estimates.append(float(np.median(np.abs(difference))) / NORMAL_MEDIAN / weight)
    return min(estimates, default=0.0)


def turns(
    y: Floats,
    error: Callable[[int, slice], Floats],
    *,
    share: float,
    factor: float,
    flat_factor: float | None = None,
    ripple_factor: float = 3.0,
    recent: NDArray[np.intp] | None = None,
    least: Floats | None = None,
    x: Floats | None = None,
) -> list[Turn]:
    """Where a sequence turns back, each decided by what lies at and before the decision.

    The sequence has turned at its highest point since the last turn once it has fallen from there
    by a share of all it has varied so far, and by more than the noise; if it rose to that point by
    more than the noise, too, it is a turn. (Else it may have fallen from its first point on, and
    that is no turn.) At its lowest point accordingly. What follows the decision cannot revoke it.

    Parameters
    ----------
    y : ndarray, shape (K,)
        F or a derivative.
    error : callable
        Of a point and a slice of others: standard errors of their differences.
    share : float
        Share of what the sequence has varied so far, by which it must turn back.
    factor : float
        Standard errors that a difference must exceed.
    flat_factor : float, optional
        Standard errors that the way to the point must exceed at the least; below `factor` the turn
        is flat. By default there are no flat ones. For k points on the way, ``2 ln k`` is added to
        the square of the factor: so much farther strays the largest of k normal deviates.
    ripple_factor : float, default 3.0
        Where there are six turns or more, they must exceed their median size so many times.
    recent : ndarray of int, shape (K,), optional
        Of a sequence that falls from its first point: for each point, the first of those whose
        values count in what it has varied before it is lowest there. By default all count.
    least : ndarray, shape (K,), optional
        For each point, how far both sides of a turn there must lie off. By default any distance is
        enough.
    x : ndarray, shape (K,), optional
        Where the values are taken, positive. Then a turn that is jagged beyond the noise is put
        where the sequence is furthest on average: which of its jags is the furthest hangs on where
        it was looked at. By default a turn is the furthest point as it is.

    Returns
    -------
    list of Turn
        In order.

    Examples
    --------
    >>> silent = lambda point, others: np.zeros(others.stop - others.start)
    >>> turns(np.array([0.0, 2.0, 5.0, 3.0, 1.0]), silent, share=0.5, factor=3.0)
    [Turn(point=2, sign=1, size=4.0, low=1, high=3, flat=False)]
    """
    flat = factor if flat_factor is None else flat_factor
    floor = np.full(y.size, ROUNDING * float(np.abs(y).max()))
    if least is not None:
        floor = np.fmax(floor, least)
    walk = functools.partial(_walk, y, error, share, factor, flat, recent, x)
    found = walk(floor)
    if len(found) >= MANY_TURNS:
        ripple = ripple_factor * float(np.median([turn.size for turn in found]))
        found = walk(np.maximum(floor, ripple))
    return found


def _walk(
    y: Floats,
    error: Callable[[int, slice], Floats],
    share: float,
    factor: float,
    flat: float,
    recent: NDArray[np.intp] | None,
    x: Floats | None,
    floor: Floats,
) -> list[Turn]:
    found: list[Turn] = []
    # Where it turned last; the points furthest up and down since; and which of them may be a turn.
    since, furthest = 0, {1: 0, -1: 0}
    signs: tuple[int, ...] = (1, -1)
    low = high = y[0]
    falling = recent is not None
    for k in range(1, y.size):
        low, high = min(low, y[k]), max(high, y[k])
        for sign in (1, -1):
            if sign * y[k] > sign * y[furthest[sign]]:
                furthest[sign] = k
        falling = falling and since == 0 and y[k] <= y[0]
        if falling and recent is not None:
            high = y[recent[furthest[-1]] : k + 1].max()
        for sign in signs:
            top = furthest[sign]
            back = sign * (y[top] - y[k])
            # Rounding: a turn back by exactly the share counts.
            if back <= floor[top] or back < share * (high - low) * (1 - 1e-9):
                continue
            if back <= factor * error(top, slice(k, k + 1))[0]:
                continue
            before = slice(since, top)
            rise = sign * (y[top] - y[before])
            over = np.max(rise / np.maximum(error(top, before), TINY), initial=0.0)
            least = np.sqrt(flat**2 + 2 * np.log(max(top - since, 1)))
            if rise.max(initial=0.0) > floor[top] and over > least:
                inside = around(sign * (y[top] - y), factor * error(top, slice(0, y.size)), top)
                size = min(float(rise.max()), float(back))
                point = top
                if x is not None:
                    seen = slice(since, k + 1)
                    point = _place(x[seen], sign * y[seen], top - since, size, since, error, factor)
                inside = min(inside[0], top - 1, point - 1), max(inside[1], top + 1, point + 1)
                found.append(Turn(point, sign, size, *inside, flat=bool(over <= factor)))
            since, signs = top, (-sign,)
            furthest[-sign] = top + int(np.argmax(-sign * y[top : k + 1]))
            furthest[sign] = k
            break
    return found


def _place(
    x: Floats,
    y: Floats,
    top: int,
    size: float,
    since: int,
    error: Callable[[int, slice], Floats],
    factor: float,
) -> int:
    """Where a turn lies, from all that is seen of it: `top` itself, unless it is jagged."""
    first, last = around(y[top] - y, np.full(y.size, PLATEAU * size), top)

    def rises(path: range) -> bool:
        """Whether the way down from the top leads up again by more than the noise."""
        lowest = top
        for i in path:
            if y[i] < y[lowest]:
                lowest = i
            elif y[i] - y[lowest] > factor * error(since + lowest, slice(since + i, since + i + 1)):
                return True
        return False

    if not (rises(range(top + 1, last + 1)) or rises(range(top - 1, first - 1, -1))):
        return since + top
    near = max(AVERAGE * x[top], 3 * np.diff(x[max(first - 1, 0) : last + 2]).max())

    def average(i: int) -> float:
        part = slice(*np.searchsorted(x, [x[i] - near, x[i] + near]))
        return float(_parabola((x[part] - x[i]) / near)[0] @ y[part])

    return since + max(range(first, last + 1), key=average)


def around(below: Floats, bound: Floats, top: int) -> tuple[int, int]:
    """First and last of the points around one that lie below it by no more than a bound."""
    apart = np.flatnonzero(below > bound)
    left, right = apart[apart < top], apart[apart > top]
    return (
        int(left[-1]) + 1 if left.size else 0,
        int(right[0]) - 1 if right.size else below.size - 1,
    )


def slopes(x: Floats, y: Floats, order: int, noise: Noise, reach: float) -> Level:
    """A derivative by tricube-weighted parabolas through the points around each.

    They reach as far as a share of `x`, whatever the grid, but over two neighbours on either side
    at the least. At the ends, where they would be one-sided, there is no derivative.
    """
    points, operators = _smoother(x.tobytes(), reach)
    operator = operators[order - 1]
    return Level(points, operator @ y, noise.of_sums(operator))


@functools.lru_cache(maxsize=16)
def _smoother(grid: bytes, reach: float) -> tuple[NDArray[np.intp], Floats]:
    """The points of a grid (float64, as bytes) with derivatives, and what makes both of the values.

    They depend on the grid alone, and a sample is judged dozens of times on the same one.
    """
    x = np.frombuffer(grid)
    gap = np.maximum(np.diff(x, prepend=-np.inf), np.diff(x, append=np.inf))
    # To the third neighbour, which has no weight.
    near = np.maximum(reach * x, 3 * gap)
    inner = near * (2 / 3 - 1e-9)  # rounding: an end just so far away counts
    points = np.flatnonzero((x - inner >= x[0]) & (x + inner <= x[-1]))
    operators = np.zeros((2, points.size, x.size))
    for row, i in enumerate(points):
        first, last = np.searchsorted(x, [x[i] - near[i], x[i] + near[i]])
        fit = _parabola((x[first:last] - x[i]) / near[i])
        operators[0, row, first:last] = fit[1] / near[i]
        operators[1, row, first:last] = 2 * fit[2] / near[i] ** 2
    points.flags.writeable = operators.flags.writeable = False
    return points, operators


def _parabola(u: Floats) -> Floats:
    """What makes of values at `u` the three coefficients of a tricube-weighted parabola."""
    root = np.maximum(1 - np.abs(u) ** 3, 0) ** 1.5
    return np.linalg.pinv(root[:, None] * u[:, None] ** np.arange(3)) * root
