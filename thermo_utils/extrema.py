"""Extrema of a curve and of its derivatives, told from noise and ripples.

What :func:`thermo_utils.find_transitions` is made of, in the order of use: :func:`white_noise`
guesses the noise of a curve, to which :class:`Noise` adds that of counting a finite sample;
:func:`levels` estimates the curve or a derivative by local regression, with standard errors, over
wider and wider windows; :func:`significant` picks the extrema that stand out; and :func:`is_flank`
drops those that belong to a stronger feature. All of it works on the unit square: abscissa and
ordinate scaled to run from 0 to 1, so every threshold is a share of a range.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from math import comb
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.signal import find_peaks

__all__ = [
    "MIN_POINTS",
    "Feature",
    "Level",
    "Noise",
    "is_flank",
    "levels",
    "significant",
    "white_noise",
]

Floats = NDArray[np.float64]

#: Fewer defined points than this cannot show a feature.
MIN_POINTS = 5
#: A local extremum this many half-widths or less away from a stronger kind of feature is its flank.
FLANK_REACH = 3.0
#: From this many local extrema on, their median prominence is taken as the ripple level.
MANY_EXTREMA = 6
#: Windows of the local regression as shares of the grid, tried in turn until the noise is beaten.
SPANS = (0.1, 0.14, 0.2, 0.28, 0.4)
#: Median of the absolute value of a standard normal variable.
NORMAL_MEDIAN = 0.6745
#: Rounding error, on the unit square.
TINY = 1e-12


class Feature(NamedTuple):
    """A local extremum of F or of one of its derivatives, on the unit square."""

    point: int
    kind: str
    size: float
    position: float
    half_width: float


class Level(NamedTuple):
    """F or one of its derivatives, with standard errors, on the part of the grid it is good for."""

    order: int
    offset: int
    x: Floats
    value: Floats
    error: Floats
    ripple: float


class Noise(NamedTuple):
    """What is uncertain about F on the unit square: white noise, and counting a finite sample.

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
        Change of F, on the unit square, per change of ``ln rho``.
    """

    white: float
    variance: Floats
    gain: Floats

    def of_sums(self, window: NDArray[np.intp], weight: Floats) -> Floats:
        """Standard errors of weighted sums of F over the points of each row."""
        steps = np.diff(self.variance[window], prepend=0.0, axis=1)
        # A step in ln(rho) shifts the point where it happens and all later ones.
        reach = np.cumsum((weight * self.gain[window])[:, ::-1], axis=1)[:, ::-1]
        return np.sqrt(((self.white * weight) ** 2 + steps * reach**2).sum(axis=1))

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


def levels(x: Floats, y: Floats, order: int, noise: Noise, tolerance: float) -> Iterator[Level]:
    """Estimates of a derivative over wider and wider windows, until noise no longer matters.

    That is when the standard error, carried over the window for derivatives, is below `tolerance`.
    Extrema of a noise-free curve are read off the curve as it is.
    """
    ripple = _ripple(y) if order == 0 else 0.0
    if order == 0 and noise.white <= tolerance:
        yield Level(0, 0, x, y, np.full(x.shape, noise.white), ripple)
        return
    n = x.size
    for span in SPANS:
        width = min(max(MIN_POINTS, round(span * n) | 1), n)
        value, error = _local_polynomial(x, y, order, width, noise)
        # At the ends the window is one-sided, which derivatives do not survive.
        trim = 0 if order == 0 else width // 2
        inside = slice(trim, n - trim)
        settled = np.median(error) * (width / n) ** min(order, 1) <= tolerance
        yield Level(order, trim, x[inside], value[inside], error[inside], ripple)
        if settled:
            return


def _local_polynomial(
    x: Floats, y: Floats, order: int, width: int, noise: Noise
) -> tuple[Floats, Floats]:
    """Derivative of `order` of a tricube-weighted polynomial through the `width` nearest points.

    The level itself is fitted by lines, whose weights are positive, so a sharp feature gets no
    side lobes; derivatives by parabolas.
    """
    window, operator = _smoother(x.tobytes(), order, width)
    return (operator * y[window]).sum(axis=1), noise.of_sums(window, operator)


@functools.lru_cache(maxsize=64)
def _smoother(grid: bytes, order: int, width: int) -> tuple[NDArray[np.int64], Floats]:
    """The windows of a grid (float64, as bytes) and what to multiply the values in them by.

    Both depend on the grid alone, and a sample is judged dozens of times on the same one.
    """
    x = np.frombuffer(grid)
    here = np.arange(x.size)
    window = np.clip(here - width // 2, 0, x.size - width)[:, None] + np.arange(width)
    # Distance counts grid points: an uneven grid is smoothed by its own resolution.
    away = np.abs(window - here[:, None])
    weight = (1 - (away / (away.max(axis=1, keepdims=True) + 1)) ** 3) ** 3
    u = x[window] - x[:, None]
    scale = np.abs(u).max(axis=1, keepdims=True)
    degree = 1 if order == 0 else 2
    design = np.stack([(u / scale) ** power for power in range(degree + 1)], axis=-1)
    weighted = design * weight[..., None]
    normal = np.swapaxes(design, 1, 2) @ weighted
    operator = np.linalg.solve(normal, np.swapaxes(weighted, 1, 2))[:, order]
    operator *= (1.0, 1.0, 2.0)[order] / scale**order
    window.flags.writeable = operator.flags.writeable = False
    return window, operator


def _ripple(y: Floats) -> float:
    """Median prominence of the local extrema of `y`, zero where there are but a few."""
    heights = [
        height
        for sign in (1.0, -1.0)
        for height in find_peaks(sign * y, prominence=TINY)[1]["prominences"]
    ]
    return float(np.median(heights)) if len(heights) >= MANY_EXTREMA else 0.0


def significant(
    level: Level,
    kinds: tuple[str, str],
    noise: Noise,
    *,
    floor: float,
    noise_factor: float,
    counting_factor: float,
    ripple_factor: float,
) -> list[Feature]:
    """Local extrema of a level that stand out of range, noise and ripples."""
    ripple = ripple_factor * max(level.ripple, _ripple(level.value))
    grid = np.arange(level.x.size)
    features: list[Feature] = []
    for sign, kind in zip((1.0, -1.0), kinds, strict=True):
        peaks, shape = find_peaks(sign * level.value, prominence=TINY, width=0, rel_height=0.5)
        right, left = (np.interp(shape[side], grid, level.x) for side in ("right_ips", "left_ips"))
        prominence, width = shape["prominences"], right - left
        # F itself is measured by height; of a derivative counts what it adds up to over its width.
        size = prominence if level.order == 0 else prominence * width
        error = noise_factor * np.sqrt(2.0) * level.error[peaks]  # of a difference of two points
        for i in np.flatnonzero((size >= floor) & (prominence > np.maximum(error, ripple))):
            if level.order == 0 and not _above_counting(
                sign * level.value, int(peaks[i]), noise, counting_factor
            ):
                continue
            features.append(
                Feature(
                    int(peaks[i]) + level.offset,
                    kind,
                    float(size[i]),
                    float(level.x[peaks[i]]),
                    float(width[i]) / 2,
                )
            )
    return features


def _above_counting(y: Floats, peak: int, noise: Noise, factor: float) -> bool:
    """Whether a peak is more than an accident of counting, seen from both of its sides."""
    higher = np.flatnonzero(y > y[peak])
    left, right = higher[higher < peak], higher[higher > peak]
    sides = (
        slice(left[-1] + 1 if left.size else 0, peak),
        slice(peak + 1, right[0] if right.size else y.size),
    )
    return all(
        bool(np.any(y[peak] - y[side] > factor * noise.of_differences(peak, side)))
        for side in sides
    )


def is_flank(feature: Feature, stronger: Floats) -> bool:
    """Whether a stronger kind of feature is near enough to explain this one."""
    return bool(np.any(np.abs(stronger - feature.position) <= FLANK_REACH * feature.half_width))
