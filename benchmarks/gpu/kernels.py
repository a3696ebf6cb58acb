"""Ways to count on a GPU, to be compared with the one that is used.

The suspect are the atomic additions, one per activation, which meet where many activations have one
bin. Two ways out: more copies of the bins (`sets`), and no atomics but at the end (`ProductBins`).
What is fastest is not known before it is measured; until then, what the library uses stays.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from thermo_utils.counting.bins import Bins
from thermo_utils.counting.gpu import TritonBins
from thermo_utils.counting.layouts import Layout

__all__ = ["ProductBins", "products", "products_constants"]

#: Elements per step, and columns that the bins are laid out in.
STEP, COLUMNS = 256, 16
#: Programs, which keep their bins in registers from their first element to their last.
PROGRAMS = 1024
#: Elements that a program may count: as many digits below 128 fit into 31 bits.
MOST = 1 << 24
#: Elements of a launch, at most: their number is a 32-bit integer, and so is one step beyond.
LAUNCH = 1 << 30


@triton.jit(do_not_specialize=["n", "keep", "size"])
def products(  # type: ignore[no-untyped-def]
    bits, out, counts, sums, table, edges, n, keep, size,
    SHIFT: tl.constexpr, DEPTH: tl.constexpr, MAGNITUDE: tl.constexpr, FRACTION: tl.constexpr,
    DIGITS: tl.constexpr, ROWS: tl.constexpr, PRUNE: tl.constexpr,
    STEP: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Bins are a matrix, ``k = row * COLUMNS + column``, and counting is a product of matrices.

    One factor says in which row each activation of a step belongs, the other in which column; with
    the digits of the fractions (of 7 bits) in the place of its ones, it gives their sums. So tensor
    cores count, in whole numbers, and every program adds to each bin once, at its end.
    """
    rows, columns = tl.arange(0, ROWS), tl.arange(0, COLUMNS)
    count = tl.zeros([ROWS, COLUMNS], tl.int32)
    first, second, third, fourth = count, count, count, count
    for start in range(tl.program_id(0) * STEP, n, tl.num_programs(0) * STEP):
        at = start + tl.arange(0, STEP)
        inside = at < n
        v = tl.load(bits + at, mask=inside, other=0)
        b = v.to(tl.int32) & MAGNITUDE
        if PRUNE:
            tl.store(out + at, tl.where(b >= keep, v, 0), mask=inside)
        k = tl.load(table + (b >> SHIFT)).to(tl.int32)
        for halving in tl.static_range(DEPTH):
            step = (1 << (DEPTH - 1)) >> halving
            k += (b >= tl.load(edges + k + step)).to(tl.int32) * step
        in_row = rows[:, None] == (k // COLUMNS)[None, :]
        left = (in_row & inside[None, :]).to(tl.int8)
        in_column = (k % COLUMNS)[:, None] == columns[None, :]
        count = tl.dot(left, in_column.to(tl.int8), count, out_dtype=tl.int32)
        f = b & FRACTION
        right = tl.where(in_column, (f & 127)[:, None], 0).to(tl.int8)
        first = tl.dot(left, right, first, out_dtype=tl.int32)
        if DIGITS > 1:
            right = tl.where(in_column, (f >> 7 & 127)[:, None], 0).to(tl.int8)
            second = tl.dot(left, right, second, out_dtype=tl.int32)
        if DIGITS > 2:
            right = tl.where(in_column, (f >> 14 & 127)[:, None], 0).to(tl.int8)
            third = tl.dot(left, right, third, out_dtype=tl.int32)
        if DIGITS > 3:
            right = tl.where(in_column, (f >> 21 & 127)[:, None], 0).to(tl.int8)
            fourth = tl.dot(left, right, fourth, out_dtype=tl.int32)
    k = rows[:, None] * COLUMNS + columns[None, :]
    some = (k < size) & (count > 0)
    tl.atomic_add(counts + k, count.to(tl.int64), mask=some, sem="relaxed")
    whole = first.to(tl.int64) + (second.to(tl.int64) << 7)
    whole += (third.to(tl.int64) << 14) + (fourth.to(tl.int64) << 21)
    tl.atomic_add(sums + k, whole, mask=some, sem="relaxed")


class ProductBins(TritonBins):
    """Bins filled by :func:`products`; for all types but float64, whose fractions are longer."""

    def __init__(self, lay: Layout, device: torch.device, totals: bool = True) -> None:
        super().__init__(lay, device, totals, sets=1)
        self._compiled = {prune: products_constants(lay, prune) for prune in (False, True)}

    def _count(self, flat: torch.Tensor, out: torch.Tensor | None) -> bool:
        lay, signed = self.layout, self.layout.format.signed
        pattern = flat.view(signed)
        pruned = pattern if out is None else out.view(signed)
        for at in range(0, flat.numel(), min(LAUNCH, PROGRAMS * MOST)):
            part = slice(at, at + min(LAUNCH, PROGRAMS * MOST))
            n = pattern[part].numel()
            products[(min(PROGRAMS, triton.cdiv(n, STEP)),)](
                pattern[part], pruned[part], self.counts, self.sums, self._table, self._edges,
                n, lay.keep, lay.size,
                **self._compiled[out is not None],
            )  # fmt: skip
        return True

    def fold(self) -> tuple[torch.Tensor, torch.Tensor]:
        return Bins.fold(self)  # no words to be emptied


def products_constants(lay: Layout, prune: bool) -> dict[str, int]:
    """What :func:`products` is compiled for."""
    form = lay.format
    assert lay.parts == 1, "float64"
    return {
        "SHIFT": lay.shift,
        "DEPTH": lay.depth,
        "MAGNITUDE": (1 << (form.bits - 1)) - 1,
        "FRACTION": (1 << form.fraction) - 1,
        "DIGITS": triton.cdiv(form.fraction, 7),
        "ROWS": max(16, triton.next_power_of_2(triton.cdiv(lay.size, COLUMNS))),
        "PRUNE": prune,
        "STEP": STEP,
        "COLUMNS": COLUMNS,
    }
