"""Exact counts and sums of activations above thresholds: the integers behind them.

For nonnegative IEEE floats the bit pattern, read as an integer, grows with the value. So the sorted
union of all thresholds (as bit patterns) and all powers of two cuts the number line into bins, and
within one bin every activation has the same exponent. Per bin, an integer count and the integer sum
of fraction bits say everything that ``M(tau)`` and ``Sigma(tau)`` need. All additions are integer
additions: the result is exact, and the same to the bit for any batch split, order, thread count,
kernel or device. One rounding happens, at the very end.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["CHUNK", "FORMATS", "LOW", "Format", "Ints", "Layout", "layout", "rounded"]

Ints = NDArray[np.int64]

#: Elements that the packed words of a kernel (a count above a sum, in 64 bits) have room for.
CHUNK = 1 << 18
#: float64 has 52 fraction bits, kept in two sums of 26 bits each.
LOW = 26
#: Sums are Python integers in units of the smallest float64, 2**-1074.
UNIT = 1074


class Format(NamedTuple):
    """How a floating point type stores its numbers."""

    signed: torch.dtype  # integer of the same width, as torch has it
    unsigned: torch.dtype  # and as the numba kernel reads it
    bits: int
    fraction: int  # stored fraction bits
    least: int  # exponent of the smallest subnormal


FORMATS = {
    torch.float16: Format(torch.int16, torch.uint16, 16, 10, -24),
    torch.bfloat16: Format(torch.int16, torch.uint16, 16, 7, -133),
    torch.float32: Format(torch.int32, torch.uint32, 32, 23, -149),
    torch.float64: Format(torch.int64, torch.uint64, 64, 52, -1074),
}


class Layout:
    """The bins of one floating point type for one grid of thresholds. Immutable, shared.

    Parameters
    ----------
    dtype : torch.dtype
        One of `FORMATS`.
    taus : ndarray of float64, shape (K,)
        Thresholds, increasing.
    inclusive : bool
        Whether an activation equal to a threshold reaches it.

    Attributes
    ----------
    edges : ndarray of int64, shape (size,)
        First bit pattern of every bin. The first bin is zero itself, the last two hold infinity
        and NaN.
    starts : ndarray of int64, shape (K,)
        Bin in which the activations that reach threshold ``k`` begin.
    keep : int
        Bit pattern of the first threshold: at or above it an activation survives pruning.
    parts : int
        Sums per bin: two for float64, else one.
    table, shift, depth
        Bin at which the search begins, by the leading bits of a pattern (``pattern >> shift``), and
        how many halvings finish it.
    padded : ndarray of uint64, shape (size + 2**depth,)
        `edges` and sentinels that no pattern reaches, so that the search needs no bounds check.
    """

    #: Search depths a kernel is compiled for; 2**depth - 1 edges may share a table cell.
    depths = (0, 1, 3, 6, 12, 20)

    def __init__(self, dtype: torch.dtype, taus: NDArray[np.float64], inclusive: bool) -> None:
        self.dtype = dtype
        self.format = form = FORMATS[dtype]
        p = form.fraction
        self.infinity = infinity = (1 << (form.bits - 1)) - (1 << p)
        # torch's own conversion, so that a threshold is the number that `x >= tau` compares with.
        nearest = torch.from_numpy(taus).to(dtype).view(form.signed).numpy().astype(np.int64)
        first = nearest + (not inclusive)
        self.keep = int(first[0])
        # A threshold that rounds to zero still must not count zeros; none reaches infinity.
        first = np.clip(first, 1, infinity)
        powers = np.arange(infinity >> p, dtype=np.int64) << p
        self.edges = np.unique(np.concatenate([[0, 1], powers, first, [infinity, infinity + 1]]))
        self.size = len(self.edges)
        self.starts = np.searchsorted(self.edges, first)
        self.parts = 2 if p > LOW else 1
        self._make_table()

    def _make_table(self) -> None:
        """Choose the coarsest table of leading bits that leaves the fewest edges per cell."""
        width = self.format.bits - 1
        # At most 2**18 cells (512 KB): larger would speed up nothing but grids of many thousand
        # thresholds. Only cells that activations fall into take up cache, a few KB per octave.
        cells = [width] if width == 15 else range(width - self.format.fraction, 19)
        best = None
        for bits in cells:
            shift = width - bits
            inner = self.edges[self.edges & ((1 << shift) - 1) != 0] >> shift
            crowd = int(np.unique(inner, return_counts=True)[1].max()) if len(inner) else 0
            depth = next(d for d in self.depths if crowd < 1 << d)
            if best is None or depth < best[0]:
                best = (depth, shift)
        assert best is not None
        self.depth, self.shift = best
        kind = np.uint16 if self.size < 1 << 16 else np.uint32
        # Edge e is at or below the start of cell c when ceil(e / cell) <= c: count and accumulate.
        at = np.minimum(-(-self.edges >> self.shift), 1 << (width - self.shift))
        begin = np.bincount(at, minlength=(1 << (width - self.shift)) + 1)[:-1]
        self.table = (np.cumsum(begin) - 1).astype(kind)
        far = np.full(1 << self.depth, np.iinfo(np.int64).max)
        self.padded = np.concatenate([self.edges, far]).astype(np.uint64)

    @functools.cached_property
    def carry(self) -> NDArray[np.unsignedinteger[Any]]:
        """Table that finds a bin by one addition, where no cell holds more than one inner edge.

        ``(pattern + carry[pattern >> shift]) >> shift`` is the bin: the addition carries into it
        exactly if the pattern reaches the edge inside its cell. Modulo 2**32 for float32, 2**64 for
        float64.
        """
        assert self.depth == 1
        cell = np.uint64(1) << np.uint64(self.shift)
        number = np.arange(len(self.table), dtype=np.uint64)
        begin = self.table.astype(np.uint64)
        # How far into the cell the next edge lies; a whole cell if it lies in a later one.
        inside = np.minimum(self.padded[begin + np.uint64(1)] - number * cell, cell)
        moved = (begin - number) * cell + (cell - inside)  # wraps, as the sum will
        return moved.astype(f"u{self.format.bits // 8}")

    def exact(self, counts: Ints, sums: Ints) -> tuple[Ints, list[int]]:
        """Counts and exact sums from each threshold, and from the smallest nonzero, upwards.

        Parameters
        ----------
        counts : ndarray of int64, shape (size,)
        sums : ndarray of int64, shape (parts, size)
            Part ``i`` in units of ``2**(26 i)`` times the smallest fraction bit of its bin.

        Returns
        -------
        active : ndarray of int64, shape (K + 1,)
            The last entry belongs to all nonzero activations.
        mass : list of int, length K + 1
            In units of ``2**-1074``.
        """
        p = self.format.fraction
        mass = [0] * self.size
        for b in np.flatnonzero(counts[:-2]).tolist():
            exponent = int(self.edges[b]) >> p
            whole = sum(int(part[b]) << (LOW * i) for i, part in enumerate(sums))
            whole += (int(counts[b]) << p) if exponent else 0  # the implied leading bit
            mass[b] = whole << (max(exponent, 1) - 1 + self.format.least + UNIT)
        for b in range(self.size - 2, 0, -1):
            mass[b - 1] += mass[b]
        above = np.append(np.cumsum(counts[:-2][::-1])[::-1], [0, 0])
        starts = [*self.starts.tolist(), 1]
        return above[starts], [mass[b] for b in starts]


@functools.lru_cache(maxsize=64)
def layout(dtype: torch.dtype, taus: bytes, inclusive: bool) -> Layout:
    """Layout for a grid given as the bytes of a float64 array; one per grid and type is built."""
    return Layout(dtype, np.frombuffer(taus).copy(), inclusive)


def rounded(units: int) -> float:
    """The float64 nearest to an exact sum in units of 2**-1074."""
    try:
        return units / (1 << UNIT)  # Python rounds a quotient of integers correctly
    except OverflowError:
        return math.inf
