"""Fewer points of a curve, where lines between them say the same."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["thinned"]


def thinned(
    curve: pd.DataFrame,
    columns: Sequence[str],
    *,
    tolerance: float,
    must: Collection[int] = (),
    among: NDArray[np.bool_] | None = None,
) -> NDArray[np.int64]:
    """Rows between which straight lines over tau stay close to all the others.

    Parameters
    ----------
    curve : DataFrame
        With ``tau``, rising, and the columns.
    columns : sequence of str
        What has to stay close.
    tolerance : float
        How close, as a fraction of the range of a column.
    must : collection of int, optional
        Positions of rows that are kept in any case, beside the first and the last.
    among : ndarray of bool, optional
        Rows whose values make the range; by default all.

    Returns
    -------
    ndarray of int64
        Positions, rising.

    Examples
    --------
    >>> bent = pd.DataFrame({"tau": [1.0, 2.0, 3.0, 4.0, 5.0], "F": [1.0, 2.0, 3.0, 2.0, 1.0]})
    >>> thinned(bent, ["F"], tolerance=0.01).tolist()
    [0, 2, 4]
    """
    tau = curve["tau"].to_numpy(dtype=float)
    values = curve[list(columns)].to_numpy(dtype=float)
    known = ~np.isnan(values)
    counted = values if among is None else values[among]
    ranges = np.array([np.ptp(v[~np.isnan(v)]) if (~np.isnan(v)).any() else 0 for v in counted.T])
    values = values / np.where(ranges > 0, ranges, 1.0)
    # Where something begins or ceases to be defined, both sides stay.
    edges = np.flatnonzero((known[1:] != known[:-1]).any(axis=1))
    kept = sorted({0, len(curve) - 1, *must, *edges.tolist(), *(edges + 1).tolist()})
    open_ends = list(pairwise(kept))
    while open_ends:
        left, right = open_ends.pop()
        if right - left < 2:
            continue
        inner = slice(left + 1, right)
        along = ((tau[inner] - tau[left]) / (tau[right] - tau[left]))[:, None]
        line = values[left] + along * (values[right] - values[left])
        off = np.nan_to_num(np.abs(values[inner] - line))
        worst = int(off.max(axis=1).argmax())
        if off[worst].max() > tolerance:
            middle = left + 1 + worst
            kept.append(middle)
            open_ends += [(left, middle), (middle, right)]
    return np.array(sorted(kept), dtype=np.int64)
