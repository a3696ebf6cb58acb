"""Counting and pruning on the CPU: kernels compiled by numba, and the threads that run them.

Memory is read once and none is kept per activation. Rough cost on one core of a 2020s server, for
one threshold as for a thousand: 0.4 to 0.7 ns per float32 activation (for zeros a tenth of that,
with AVX-512), and 0.3 ns to prune at one threshold and count only what survives.
"""

from __future__ import annotations

import functools
import os
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import numpy as np

from thermo_utils.counting.layouts import CHUNK, LOW, Layout

__all__ = [
    "POOL", "WAYS", "have_numba", "histogram", "histogram_kernel", "survivors", "survivors_kernel",
]  # fmt: skip

#: Copies of each bin that a kernel cycles through, so that in a run of equal values (the zeros of
#: a ReLU) an addition need not wait for the store of the one before.
WAYS = 8
#: Activations, a multiple of all vector widths, whose zeros are left out at a time.
BLOCK = 1024
#: Bytes of memory that a processor with AVX-512 reads at a time.
LINE = 64
#: ``count << PACK | sum`` in one 64-bit word. A way gets CHUNK / WAYS = 2**15 elements at most,
#: whose patterns of up to 31 bits sum up to less than 2**47.
PACK = 47
#: float64: the low 26 fraction bits of that many elements.
PACK_WIDE = 44


@functools.cache
def have_numba() -> bool:
    """Whether the compiled kernels are available; without them torch does the same, slower."""
    try:
        import numba  # noqa: F401
    except ImportError:
        return False
    return True


def _compile(kernel: Any) -> Any:
    import numba

    try:
        return numba.njit(nogil=True, cache=True)(kernel)
    except RuntimeError:  # nowhere to keep a cache: compile in every process
        return numba.njit(nogil=True)(kernel)


def histogram(lay: Layout, prune: bool) -> functools.partial[int]:
    """The kernel that counts at every threshold of a grid.

    Parameters
    ----------
    lay : Layout
    prune : bool
        Whether it writes the pruned activations too.

    Returns
    -------
    callable
        The compiled function, bound to this layout:
        ``kernel(bits, out, words, counts, sums) -> bad``: patterns of at most `CHUNK` activations,
        where the pruned ones go (unused without `prune`), scratch of zeros of type ``uint64`` and
        shape ``(parts, WAYS, size)``, and the bins to add to. If `bad`, the number of NaN and
        infinite activations, is not zero, nothing was added.
    """
    compiled = _histogram(lay.depth, lay.format.bits, prune)
    p = lay.format.fraction
    constants = np.array(
        [
            lay.shift,
            (1 << (lay.format.bits - 1)) - 1,
            (1 << min(p, LOW)) - 1,
            (1 << p) - 1,
            lay.keep,
        ],
        dtype=np.uint64,
    )
    table = lay.carry if lay.depth == 1 else lay.table
    return functools.partial(compiled, table, lay.padded, constants)


@functools.cache
def _histogram(depth: int, bits: int, prune: bool) -> Any:
    return _compile(histogram_kernel(depth, bits, prune))


@functools.cache
def histogram_kernel(depth: int, width: int, prune: bool) -> Any:
    """The kernel, not compiled, for a search depth, a type of so many bits, with or without output.

    Of float32, where the processor can, zeros (half of what a ReLU puts out) are only counted.
    """
    from numba import int64, uint32, uint64

    from thermo_utils.counting import vectors

    direct, carry, wide = depth == 0, depth == 1, width == 64
    squeezed = carry and width == 32 and vectors.can_squeeze()
    kind = uint64 if wide else uint32
    pack, low = uint64(PACK_WIDE if wide else PACK), uint64(LOW)
    half, one, last = uint64(1 << depth >> 1), uint64(1), uint64(WAYS - 1)
    mask = (one << pack) - one
    lanes, room = int64(vectors.LANES), BLOCK + WAYS + vectors.LANES

    def kernel(table, edges, constants, bits, out, words, counts, sums):  # type: ignore
        shift, magnitude, low_part = constants[0], constants[1], constants[2]
        fraction, keep = constants[3], constants[4]
        n = uint64(bits.size)
        whole, zeros = n & ~last, int64(0)
        if squeezed:
            dense = np.empty(room, np.uint32)
            source, target = int64(bits.ctypes.data), int64(dense.ctypes.data)
            size = int64(n)
            vectorial = size - size % lanes
            found = have = at = int64(0)
            while at < vectorial:
                end, before = min(at + BLOCK, vectorial), have
                while at < end:
                    have += vectors.squeeze(source + 4 * at, target + 4 * have)
                    at += lanes
                found += have - before
                turns = uint64(have) // uint64(WAYS)
                for turn in range(turns):
                    # The next block's, for reading stops here, and the processor no longer sees
                    # where it will go on.
                    vectors.fetch(source + 4 * at + LINE * int64(turn))
                    for way in range(WAYS):  # unrolled
                        b = dense[uint64(turn) * uint64(WAYS) + uint64(way)]
                        k = uint64(kind(b + kind(table[uint64(b >> kind(shift))])) >> kind(shift))
                        words[0, way, k] += uint64(b) + (one << pack)
                left = have - int64(turns) * WAYS
                for i in range(left):  # for the next block
                    dense[i] = dense[have - left + i]
                have = left
            for i in range(vectorial, size):
                b = kind(bits[i]) & kind(magnitude)
                dense[have] = b
                have += b != 0
                found += b != 0
            for i in range(have):
                b = dense[i]
                k = uint64(kind(b + kind(table[uint64(b >> kind(shift))])) >> kind(shift))
                words[0, uint64(i) & last, k] += uint64(b) + (one << pack)
            zeros, whole = size - found, n
        for block in range((0 if squeezed else whole) // uint64(WAYS)):
            for way in range(WAYS):  # unrolled
                b = kind(bits[uint64(block) * uint64(WAYS) + uint64(way)]) & kind(magnitude)
                cell = uint64(b >> kind(shift))
                if direct:
                    k = uint64(table[cell])
                elif carry:
                    k = uint64(kind(b + kind(table[cell])) >> kind(shift))
                else:
                    k = uint64(table[cell])
                    step = half
                    for _ in range(depth):
                        k = k + uint64(b >= edges[k + step]) * step
                        step = step >> one
                if wide:
                    words[0, way, k] += (b & low_part) | (one << pack)
                    words[1, way, k] += (b & fraction) >> low
                else:  # the exponent is added too, and taken off again below
                    words[0, way, k] += uint64(b) + (one << pack)
        for i in range(whole, n):  # too few for a turn of all ways
            b = kind(bits[uint64(i)]) & kind(magnitude)
            way, k = uint64(i) - whole, uint64(np.searchsorted(edges, uint64(b), "right") - 1)
            if wide:
                words[0, way, k] += (b & low_part) | (one << pack)
                words[1, way, k] += (b & fraction) >> low
            else:
                words[0, way, k] += uint64(b) + (one << pack)
        if prune:
            for i in range(bits.size):
                v = kind(bits[i])
                out[i] = v if (v & kind(magnitude)) >= kind(keep) else kind(0)
        bad = uint64(0)
        for way in range(WAYS):
            for k in range(counts.size - 2, counts.size):
                bad += words[0, way, k] >> pack
        if bad == 0:  # so a call that meets NaN or infinity leaves no trace
            counts[0] += zeros
            for way in range(WAYS):
                for k in range(counts.size):
                    word = words[0, way, k]
                    count = word >> pack
                    counts[k] += int64(count)  # int64 + uint64 would be a float
                    if wide:
                        sums[0, k] += int64(word & mask)
                        sums[1, k] += int64(words[1, way, k])
                    else:
                        exponent = edges[k] & ~fraction
                        sums[0, k] += int64((word & mask) - count * exponent)
        words[:] = 0
        return bad

    return kernel


def survivors(lay: Layout) -> functools.partial[bool] | None:
    """The kernel that prunes at a layout's first threshold and counts only what survives.

    Survivors lie above the threshold, and hardly ever 2**20 times above it. So their significands,
    shifted to the exponent of the threshold, can be added up as 64-bit integers, and no activation
    needs to be looked up in a table: this runs in vector registers.

    Parameters
    ----------
    lay : Layout

    Returns
    -------
    callable or None
        The compiled function, bound to this layout:
        ``kernel(bits, out, counts, sums) -> done``: patterns of at most `CHUNK` activations, where
        the pruned ones go, and the bins to add to, with two parts. Everything is booked into the
        bin of the threshold, in units of its exponent, which :meth:`Layout.exact` understands. If
        not `done`, an activation is too large (or NaN or infinite) and nothing was added. None if
        the type is float64 or the threshold is subnormal, infinite or zero.
    """
    p, keep = lay.format.fraction, lay.keep
    if p > LOW or not 1 << p <= keep < lay.infinity:
        return None
    compiled = _survivors(p)
    # CHUNK significands of p + 1 bits, shifted this far, sum up to 2**63 at most.
    room = 64 - CHUNK.bit_length() - (p + 1)
    exponent = keep >> p
    limit = min((exponent + room + 1) << p, lay.infinity)
    magnitude = (1 << (lay.format.bits - 1)) - 1
    constants = np.array([magnitude, keep, exponent, limit], dtype=np.uint32)
    return functools.partial(compiled, constants, int(lay.starts[0]))


@functools.cache
def _survivors(fraction: int) -> Any:
    return _compile(survivors_kernel(fraction))


@functools.cache
def survivors_kernel(fraction: int) -> Any:
    """The kernel, not compiled, for a number of fraction bits."""
    from numba import int64, uint32, uint64

    p, implied = uint32(fraction), uint32(1 << fraction)
    part, none = uint32((1 << fraction) - 1), uint32(0)
    low = uint64(LOW)
    low_part = uint64((1 << LOW) - 1)

    def kernel(constants, start, bits, out, counts, sums):  # type: ignore
        magnitude, keep, exponent, limit = constants[0], constants[1], constants[2], constants[3]
        count, largest, total = uint32(0), uint32(0), uint64(0)
        for i in range(bits.size):
            v = uint32(bits[i])
            b = v & magnitude
            kept = b >= keep
            out[i] = v if kept else none
            count += uint32(kept)
            largest = max(largest, b)
            significand = ((b & part) | implied) if kept else none
            # What does not survive shifts a zero; the mask only keeps that defined.
            total += uint64(significand) << uint64(((b >> p) - exponent) & uint32(63))
        if largest >= limit:
            return False
        # The implied bits are added again by the one who reads the bins.
        left = total - (uint64(count) << uint64(p))
        counts[start] += int64(count)
        sums[0, start] += int64(left & low_part)
        sums[1, start] += int64(left >> low)
        return True

    return kernel


class _Pool:
    """The process's counting threads, started on first use and again after a fork."""

    def __init__(self) -> None:
        self._executor: ThreadPoolExecutor | None = None
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        self._executor = None  # the threads of the parent do not exist in the child

    def run(self, task: Any, arguments: list[Any]) -> list[Any]:
        """Results of `task` for every argument; the last one runs on the calling thread."""
        if self._executor is None:
            self._executor = ThreadPoolExecutor(os.cpu_count(), "thermo-spectrum")
        futures = [self._executor.submit(task, argument) for argument in arguments[:-1]]
        try:
            here = task(arguments[-1])
        finally:
            wait(futures)
        return [*(f.result() for f in futures), here]


# Why not numba's `prange`. Its layers were run in turn with torch's OpenMP work. None deadlocks,
# and all count equally fast, but: "omp" shares torch's OpenMP runtime and resets its thread count
# (`torch.get_num_threads()` went from 1 to 2 and torch's part became three times slower on a busy
# machine), and it kills a forked child that counts. "workqueue" aborts the process when two Python
# threads count at once. "tbb" is rarely installed. Plain threads around kernels that release the
# GIL do none of this, and idle ones sleep instead of spinning.
POOL = _Pool()
