"""The kernels of the CPU as callbacks, for threads that are not Python's. Imports numba."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, cfunc, int8, int32, int64, types, uint16, uint32, uint64
from numba.core import cgutils
from numba.extending import intrinsic, register_jitable
from numpy.typing import NDArray

from thermo_utils.counting.cpu import (
    WAYS,
    histogram,
    histogram_kernel,
    survivors,
    survivors_kernel,
)
from thermo_utils.counting.layouts import Layout

__all__ = [
    "BAD", "BITS", "COUNTS", "END", "NEXT", "NUMBER", "OUT", "SETS", "SIZE", "SPAN", "SUMS",
    "WORDS", "callback",
]  # fmt: skip

#: Places in the description of a piece of work: addresses and lengths of what does not change ...
TABLE, TABLES, EDGES, PADDED, CONSTANTS, FEW, START, BINS, WORDS, COUNTS, SUMS, SETS = range(12)
#: ... and of what does: where the activations are and go, how many, how many to a chunk.
BITS, OUT, SIZE, SPAN, BAD = range(12, 17)
#: Addresses of the functions of the runtime.
NUMBER, NEXT, END = range(17, 20)
FIELDS = 20
KINDS = {16: uint16, 32: uint32, 64: uint64}


def _call(returns: Any, *arguments: Any) -> Any:
    """A call of a C function by its address, then its arguments.

    By address, because a process may hold several OpenMP runtimes with the same names; and given
    with the work, so that what is compiled can be kept on disk.
    """

    @intrinsic
    def call(context, address, first, second):  # type: ignore
        def made(context, builder, signature, values):  # type: ignore
            kinds = [context.get_value_type(kind) for kind in arguments]
            kind = ir.FunctionType(context.get_value_type(returns), kinds)
            pointer = builder.inttoptr(values[0], kind.as_pointer())
            found = builder.call(pointer, values[1 : 1 + len(kinds)])
            return context.get_dummy_value() if returns is types.void else found

        return returns(address, types.int64, types.int64), made

    return call


_number = _call(int32)
_more = _call(int8, int64, int64)
_end = _call(types.void)


@intrinsic
def _at(context, address):  # type: ignore
    """An address as a pointer."""

    def made(context, builder, signature, arguments):  # type: ignore
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(address), made


def callback(
    lay: Layout, prune: bool, totals: bool
) -> tuple[Any, NDArray[np.int64], list[NDArray[Any]]]:
    """The kernels for the threads of a :class:`~thermo_utils.counting.team.Team`.

    Parameters
    ----------
    lay : Layout
    prune : bool
        Whether they write the pruned activations too.
    totals : bool
        Whether what does not survive is counted too.

    Returns
    -------
    kernel : compiled callback
        Takes chunks until none is left. Where a chunk holds NaN or infinity, which adds nothing, it
        sets ``work[BAD]``.
    work : ndarray of int64
        What it is to be given, complete but for `WORDS` to `END`.
    kept : list of ndarray
        What `work` points to.
    """
    fast = None if totals or not prune else survivors(lay)
    table, edges, constants = histogram(lay, prune).args
    few, start = (np.zeros(4, np.uint32), -1) if fast is None else fast.args
    kernel = _compiled(
        lay.depth, lay.format.bits, 8 * table.itemsize, prune, totals,
        None if fast is None else lay.format.fraction,
    )  # fmt: skip
    work = np.zeros(FIELDS, np.int64)
    kept = [table, edges, constants, few]
    for field, array in zip((TABLE, EDGES, CONSTANTS, FEW), kept, strict=True):
        work[field] = array.ctypes.data
    work[TABLES], work[PADDED], work[BINS], work[START] = len(table), len(edges), lay.size, start
    return kernel, work, kept


@functools.cache
def _compiled(
    depth: int, bits: int, table_bits: int, prune: bool, totals: bool, fraction: int | None
) -> Any:
    kind, table_kind, size = KINDS[bits], KINDS[table_bits], bits // 8
    parts, quick = 1 + (bits == 64), fraction is not None
    both = parts if totals else 2
    # Not compiled by themselves: what is has another name in every process, which would be part of
    # the name under which the callback is kept.
    count = register_jitable(histogram_kernel(depth, bits, prune))
    keep = count if fraction is None else register_jitable(survivors_kernel(fraction))

    def team(data):  # type: ignore
        work = carray(data, FIELDS)
        bins, sets = work[BINS], work[SETS]
        me = int64(_number(work[NUMBER], 0, 0))
        table = carray(_at(work[TABLE]), (work[TABLES],), table_kind)
        edges = carray(_at(work[EDGES]), (work[PADDED],), uint64)
        constants = carray(_at(work[CONSTANTS]), (5,), uint64)
        few = carray(_at(work[FEW]), (4,), uint32)
        words = carray(_at(work[WORDS]), (sets, parts, WAYS, bins), uint64)[me]
        counts = carray(_at(work[COUNTS]), (sets, bins), int64)[me]
        sums = carray(_at(work[SUMS]), (sets, both, bins), int64)[me]
        span = np.empty(2, np.int64)
        first = int64(span.ctypes.data)
        while _more(work[NEXT], first, first + 8) != 0:
            for taken in range(span[0], span[1]):
                begin = taken * work[SPAN]
                n = min(work[SPAN], work[SIZE] - begin)
                part = carray(_at(work[BITS] + begin * size), (n,), kind)
                out = carray(_at(work[OUT] + begin * size), (n,), kind)
                if quick and keep(few, work[START], part, out, counts, sums):
                    continue
                if count(table, edges, constants, part, out, words, counts, sums) != 0:
                    work[BAD] = 1
        _end(work[END], 0, 0)

    signature = types.void(types.CPointer(int64))
    try:
        return cfunc(signature, nogil=True, cache=True)(team)
    except RuntimeError:  # nowhere to keep a cache: compile in every process
        return cfunc(signature, nogil=True)(team)
