"""What of a curve is drawn, and the limits of the axes that it is drawn in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from thermo_utils.thermodynamics import CURVE_COLUMNS

__all__ = [
    "LANE", "SHOWN_BETA", "bulk", "focus", "from_zero", "make_room", "up_to", "zero_line",
]  # fmt: skip

#: Sparser than this, F describes a few survivors and its plunge would hide the rest of the curve.
SHOWN_BETA: Final = 0.995
#: Height of a lane at the edge of a panel, as a fraction of the panel.
LANE: Final = 0.055
#: Share of a slope's axis, measured along x, that may run out of the panel at each end.
BEYOND: Final = 0.04
#: How many times as high as the other one side of a zero may be.
STEEP: Final = 5.0
#: Least share of a panel's height on either side of a zero that a slope crosses.
ROOM: Final = 0.12


def bulk(curve: pd.DataFrame, y: str) -> pd.DataFrame:
    """The part of a curve that is drawn.

    Parameters
    ----------
    curve : DataFrame
        With columns ``tau`` and ``beta``.
    y : str
        Of which column; a score is drawn to its end, for it is as true where little is left.

    Returns
    -------
    DataFrame
    """
    if y not in CURVE_COLUMNS:
        return curve
    return curve[(curve["beta"] <= SHOWN_BETA) | (curve["tau"] == curve["tau"].iloc[0])]


def up_to(last: float, curve: pd.DataFrame) -> pd.DataFrame:
    """The rows of a curve up to a threshold, rounding aside.

    Parameters
    ----------
    last : float
        The threshold.
    curve : DataFrame
        With a column ``tau``.

    Returns
    -------
    DataFrame
    """
    return curve[curve["tau"] <= last * (1 + 1e-9)]


def from_zero(axis: Axes, scores: pd.Series) -> None:
    """An axis from zero on, or of magnitudes where a score grows by many times itself.

    Parameters
    ----------
    axis : Axes
        Changed.
    scores : Series
        Drawn in it.
    """
    known = scores[np.isfinite(scores)]
    if len(known) and known.min() > 0 and known.max() > 50 * known.iloc[0]:
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter("{x:g}")  # exponents would be too small to read
    else:
        axis.set_ylim(0, None)


def make_room(axis: Axes) -> None:
    """Lengthen an axis, so that the lanes at head and foot hide no curve.

    Parameters
    ----------
    axis : Axes
        Changed. An axis that begins at zero goes on to do so; one of magnitudes is left as it is.
    """
    if axis.get_yscale() == "linear":
        low, high = axis.get_ylim()
        more = 2.5 * LANE * (high - low)
        axis.set_ylim(low - more if low else low, high + more)


def zero_line(axis: Axes) -> None:
    """Where a slope is zero, and F has its extrema.

    Parameters
    ----------
    axis : Axes
        Drawn into.
    """
    axis.axhline(0, color="#777777", lw=0.8, zorder=1.5, label="_zero")


def focus(axis: Axes, curves: Sequence[pd.DataFrame], x: str, y: str) -> None:
    """Limit the axis of a slope to what it does along most of the panel.

    Slopes run away at both ends, where few activations are pruned and where few are left. Where a
    curve crosses zero, the zero is inside with room on both sides: there F has its extremum.

    Parameters
    ----------
    axis : Axes
        Changed.
    curves : sequence of DataFrame
        Drawn in it.
    x, y : str
        Their columns.
    """
    lows, highs, usual, crossed = [], [], [], False
    for curve in curves:
        shown = bulk(curve, y)[[x, y]].replace([np.inf, -np.inf], np.nan).dropna()
        if len(shown) < 2:
            continue
        at, values = shown[x].to_numpy(), shown[y].to_numpy()
        # Along the axis, not by grid point: thresholds crowd where next to nothing is left.
        along = np.interp(np.linspace(at[0], at[-1], 512), at, values)
        low, high = np.quantile(along, [BEYOND, 1 - BEYOND])
        lows.append(low)
        highs.append(high)
        usual.append(2 * np.median(np.abs(along)))
        crossed |= _changes_sign(values)
    if not lows:
        return
    low, high = min(lows), max(highs)
    if crossed and low < 0 < high:
        # A side many times as high as the other is cut, but not what most of the curve does.
        low, high = max(low, -max(STEEP * high, *usual)), min(high, max(-STEEP * low, *usual))
    margin = 0.15 * (high - low) or 1.0
    low, high = low - margin, high + margin
    if crossed:
        # Neither side may be so high that the zero, at an edge, is taken for an axis.
        share = ROOM / (1 - ROOM)
        low, high = min(low, -share * max(high, 0)), max(high, -share * min(low, 0))
    axis.set_ylim(low, high)


def _changes_sign(values: NDArray[np.float64]) -> bool:
    signs = np.sign(values)
    return bool((signs > 0).any() and (signs < 0).any())
