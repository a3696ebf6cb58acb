"""What a panel of free energies, of their slope or of a score is drawn from: one part at a time.

Nothing here is told by colour alone. The two curves of a panel differ in lightness, dashes and
marks; thresholds in their dashes and, at the edges of a panel, in the lane that they stand in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from thermo_utils.curves import Threshold
from thermo_utils.looks import ACCURACY, DASHES, METHOD_COLORS, OF_SCORE
from thermo_utils.panel_axes import LANE, bulk

__all__ = [
    "Published",
    "lane",
    "line",
    "published_marks",
    "range_of",
    "seed_ticks",
    "threshold_lines",
]

#: Points at which the curves of several seeds are compared.
BAND_POINTS: Final = 128
#: Width within which ticks hide each other, as a fraction of the panel.
TICK: Final = 0.016


class Published(NamedTuple):
    """A threshold as somebody else states it.

    Attributes
    ----------
    method : str
        ``full``, ``renormalized``, ``accuracy`` or another metric.
    x : {"tau", "beta"}
        Whether it is a threshold or a sparsity.
    low, high : float
        Its range; equal where it is a single number.
    """

    method: str
    x: Literal["tau", "beta"]
    low: float
    high: float


def lane(method: str) -> int:
    """The lane of a method at the edge of a panel, counted from the edge.

    Parameters
    ----------
    method : str
        ``full``, ``renormalized``, or a score.

    Returns
    -------
    int
        0 for every score, 1 for the full evaluation, 2 for the renormalized curve.

    Examples
    --------
    >>> [lane(method) for method in ("accuracy", "full", "renormalized")]
    [0, 1, 2]
    """
    return {"full": 1, "renormalized": 2}.get(method, 0)


def line(
    axis: Axes, curve: pd.DataFrame, x: str, y: str, color: str, label: str, *, fast: bool = False
) -> None:
    """Draw the part of a curve that is shown.

    Parameters
    ----------
    axis : Axes
        Drawn into.
    curve : DataFrame
        With the columns `x` and `y`.
    x, y, color, label : str
        Columns, colour, and name in a legend.
    fast : bool, default False
        Whether it is a renormalized curve: dashed, without marks, and above the other, so that
        both are seen where they lie on each other.
    """
    shown = bulk(curve, y)
    style: dict[str, Any] = (
        {"ls": (0, (4.5, 1.6)), "zorder": 2.6} if fast else {"marker": ".", "zorder": 2.4}
    )
    axis.plot(shown[x], shown[y], color=color, ms=4, lw=1.5, label=label, **style)


def range_of(axis: Axes, curves: Sequence[pd.DataFrame], x: str, y: str, color: str) -> None:
    """Shade the range of several curves where all of them are defined.

    Parameters
    ----------
    axis : Axes
        Drawn into.
    curves : sequence of DataFrame
        With the columns `x` and `y`; nothing is drawn for fewer than two.
    x, y, color : str
        Columns and colour.
    """
    lines = [line for curve in curves if len(line := bulk(curve, y)[[x, y]].dropna())]
    if len(lines) < 2:
        return
    ends = [line[x].iloc[[0, -1]] for line in lines]
    low, high = max(end.iloc[0] for end in ends), min(end.iloc[1] for end in ends)
    if low < high:
        at = np.linspace(low, high, BAND_POINTS)
        values = [np.interp(at, line[x], line[y]) for line in lines]
        axis.fill_between(
            at, np.min(values, axis=0), np.max(values, axis=0), color=color, alpha=0.22, lw=0
        )


def threshold_lines(axis: Axes, thresholds: Mapping[str, Threshold | None], x: str) -> None:
    """A vertical line at each threshold.

    Parameters
    ----------
    axis : Axes
        Drawn into.
    thresholds : mapping of str to Threshold or None
        By method; None and what is not finite are left out.
    x : {"tau", "beta"}
        What the axis shows.
    """
    for method, place in _places([thresholds], x).items():
        axis.axvline(
            place[0],
            color=METHOD_COLORS.get(method, ACCURACY),
            lw=1.3,
            ls=DASHES.get(method, OF_SCORE),
            zorder=2.2,
            label="_threshold",
        )


def seed_ticks(axis: Axes, seeds: Sequence[Mapping[str, Threshold | None]], x: str) -> None:
    """A tick at the foot of a panel for every seed and method, in the lane of the method.

    Parameters
    ----------
    axis : Axes
        Drawn into.
    seeds : sequence of mapping
        Thresholds of each seed by method. Ticks that would hide each other share the height of the
        lane and stand one above the other.
    x : {"tau", "beta"}
        What the axis shows.
    """
    left, right = axis.get_xlim()
    for method, places in _places(seeds, x).items():
        at, heights = [], []
        for together in _clusters(places, TICK * abs(right - left)):
            height = LANE / len(together)
            for k, place in enumerate(together):
                foot = LANE * lane(method) + height * k
                at += [place, place, np.nan]  # the pen is lifted between two ticks
                heights += [foot + 0.06 * height, foot + 0.88 * height, np.nan]
        axis.plot(
            at, heights, color=METHOD_COLORS.get(method, ACCURACY), lw=2.2, label="_seed",
            solid_capstyle="butt", transform=axis.get_xaxis_transform(), zorder=3.2,
        )  # fmt: skip


def published_marks(axis: Axes, published: Sequence[Published], x: str) -> None:
    """A band or a pale line for what others state, and a mark in the method's lane at the top.

    Parameters
    ----------
    axis : Axes
        Drawn into.
    published : sequence of Published
        Those of the other axis are left out; what is stated twice is drawn once.
    x : {"tau", "beta"}
        What the axis shows.
    """
    for method, of, low, high in dict.fromkeys(published):
        if of != x:
            continue
        color = METHOD_COLORS.get(method, ACCURACY)
        if low < high:
            axis.axvspan(low, high, color=color, alpha=0.13, lw=0, zorder=0.5)
        else:
            axis.axvline(low, color=color, alpha=0.25, lw=3.5, zorder=0.5)
        top = 1 - LANE * (lane(method) + 0.5)
        axis.plot(
            [low, high], [top, top], color=color, lw=3, solid_capstyle="butt",
            marker="v" if low == high else "", ms=4.5, mew=0, zorder=3.1, label="_published",
            transform=axis.get_xaxis_transform(),
        )  # fmt: skip


def _places(
    seeds: Sequence[Mapping[str, Threshold | None]], x: str
) -> dict[str, NDArray[np.float64]]:
    """Where the thresholds lie, a number per seed, nan for none; methods without any left out."""
    methods = dict.fromkeys(method for thresholds in seeds for method in thresholds)
    places = {
        method: np.array([getattr(seed.get(method), x, np.nan) for seed in seeds], dtype=float)
        for method in methods
    }
    return {method: place for method, place in places.items() if np.isfinite(place).any()}


def _clusters(places: NDArray[np.float64], width: float) -> list[list[float]]:
    """Places in groups; within a group the next is less than `width` away. Without nan."""
    ordered = np.sort(places[np.isfinite(places)])
    ends = np.flatnonzero(np.diff(ordered) >= width) + 1
    return [group.tolist() for group in np.split(ordered, ends)]
