"""Counting and pruning on a GPU: one fused Triton kernel, and a small one that empties its scratch.

The integers are those of :mod:`thermo_utils.counting.layouts`: each activation finds its bin and
adds ``count << 44 | fraction`` to one 64-bit word there, with one atomic addition. Zeros, half of
what a ReLU puts out, are added up per block first. Each bin has many words, which the blocks take
in turn, so that few of them meet at one address. Before a word can overflow, words are emptied into
the accumulators by a second kernel; the host knows when without asking the device. So nothing waits
for the device, and nothing is allocated but the output of pruning.

Imported only where Triton is installed. With ``TRITON_INTERPRET=1`` set before, the same kernels
run on CPU tensors, slowly: that is how they are tested where there is no GPU.
"""

from __future__ import annotations

import contextlib
import functools

import torch
import triton
import triton.language as tl
from triton.runtime.interpreter import InterpretedFunction

from thermo_utils.counting.bins import Bins, send
from thermo_utils.counting.layouts import CHUNK, LOW, Layout

__all__ = ["INTERPRETED", "TritonBins", "obstacle"]

#: Elements per block.
BLOCK = 1024
#: Words per bin, unless the bins are very many. On an H100, with activations of three types and
#: Words per bin, unless the bins are very many. On an H100, with activations of three types and
#: kinds, 128 words were 0.5 to 0.9 times as fast.
SETS = 1024
#: All words of all bins together, at most.
MOST_WORDS = 1 << 20
#: CHUNK fractions of at most 26 bits fit below this bit, as many counts above it.
PACK = tl.constexpr(44)
COUNT = tl.constexpr(1 << 44)


@triton.jit(do_not_specialize=["n", "keep", "size", "sets"])
def _count(  # type: ignore[no-untyped-def]
    bits, out, words, table, edges, n, keep, size, sets,
    SHIFT: tl.constexpr, DEPTH: tl.constexpr, MAGNITUDE: tl.constexpr, FRACTION: tl.constexpr,
    LOW_BITS: tl.constexpr, WIDE: tl.constexpr, PRUNE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    program = tl.program_id(0)
    at = program.to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = at < n
    v = tl.load(bits + at, mask=inside, other=0)
    b = v.to(tl.int64) & MAGNITUDE
    if PRUNE:
        tl.store(out + at, tl.where(b >= keep, v, 0), mask=inside)
    k = tl.load(table + (b >> SHIFT)).to(tl.int32)
    for halving in tl.static_range(DEPTH):
        step = (1 << (DEPTH - 1)) >> halving
        k += (b >= tl.load(edges + k + step)).to(tl.int32) * step
    mine = words + (program % sets).to(tl.int64) * size
    zeros = tl.sum((inside & (b == 0)).to(tl.int64), 0)
    tl.atomic_add(mine, zeros << PACK, mask=zeros > 0, sem="relaxed")
    rest = inside & (b != 0)
    low = b & ((1 << LOW_BITS) - 1) & FRACTION
    tl.atomic_add(mine + k, low + COUNT, mask=rest, sem="relaxed")
    if WIDE:
        high = (b & FRACTION) >> LOW_BITS
        tl.atomic_add(mine + sets.to(tl.int64) * size + k, high, mask=rest, sem="relaxed")


@triton.jit(do_not_specialize=["size", "sets"])
def _empty(  # type: ignore[no-untyped-def]
    words, counts, sums, size, sets, WIDE: tl.constexpr, BLOCK: tl.constexpr
):
    k = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = k < size
    none = tl.zeros([BLOCK], tl.int64)
    count, low, high = none, none, none
    at = words + k
    wide = at + sets.to(tl.int64) * size
    for _ in range(sets):
        word = tl.load(at, mask=inside, other=0)
        tl.store(at, none, mask=inside)
        count += word >> PACK
        low += word & (COUNT - 1)
        at += size
        if WIDE:
            high += tl.load(wide, mask=inside, other=0)
            tl.store(wide, none, mask=inside)
            wide += size
    tl.store(counts + k, tl.load(counts + k, mask=inside) + count, mask=inside)
    tl.store(sums + k, tl.load(sums + k, mask=inside) + low, mask=inside)
    if WIDE:
        sums += size
        tl.store(sums + k, tl.load(sums + k, mask=inside) + high, mask=inside)


#: Whether the kernels run in Triton's interpreter.
INTERPRETED = isinstance(_count, InterpretedFunction)


class TritonBins(Bins):
    """Bins on a GPU, filled by the fused kernel.

    Parameters
    ----------
    lay, device, totals
        As for :class:`~thermo_utils.counting.bins.Bins`.
    """

    def __init__(self, lay: Layout, device: torch.device, totals: bool = True) -> None:
        super().__init__(lay, device, totals)
        self._table, self._edges = _tables(lay, device)
        self._constants = {prune: constants_of(lay, prune) for prune in (False, True)}
        self._sets = max(1, min(SETS, MOST_WORDS // lay.size))
        with torch.inference_mode(False):
            shape = (lay.parts, self._sets, lay.size)
            self._words = torch.zeros(shape, dtype=torch.int64, device=device)
        # Elements that the fullest set may hold by now: no word holds more.
        self._pending = 0

    def _count(self, flat: torch.Tensor, out: torch.Tensor | None) -> bool:
        lay, signed = self.layout, self.layout.format.signed
        pattern = flat.view(signed)
        pruned = pattern if out is None else out.view(signed)
        constants = self._constants[out is not None]
        with _current(self.device):
            for at in range(0, flat.numel(), self._sets * CHUNK):
                part = slice(at, at + self._sets * CHUNK)
                n = pattern[part].numel()
                blocks = triton.cdiv(n, BLOCK)
                load = triton.cdiv(blocks, self._sets) * BLOCK
                if self._pending + load > CHUNK:
                    self._settle()
                self._pending += load
                _count[(blocks,)](
                    pattern[part], pruned[part], self._words, self._table, self._edges,
                    n, lay.keep, lay.size, self._sets,
                    **constants,
                )  # fmt: skip
        return True

    def _settle(self) -> None:
        """Move what is in the words to the accumulators."""
        lay = self.layout
        if self._pending:
            with _current(self.device):
                _empty[(triton.cdiv(lay.size, BLOCK),)](
                    self._words, self.counts, self.sums, lay.size, self._sets,
                    WIDE=lay.parts == 2, BLOCK=BLOCK,
                )  # fmt: skip
        self._pending = 0

    def fold(self) -> tuple[torch.Tensor, torch.Tensor]:
        self._settle()
        return super().fold()

    @property
    def nbytes(self) -> int:
        return super().nbytes + 8 * self._words.numel()


def constants_of(lay: Layout, prune: bool) -> dict[str, int]:
    """What the counting kernel is compiled for, with or without output."""
    form = lay.format
    return {
        "SHIFT": lay.shift,
        "DEPTH": lay.depth,
        "MAGNITUDE": (1 << (form.bits - 1)) - 1,
        "FRACTION": (1 << form.fraction) - 1,
        "LOW_BITS": LOW,
        "WIDE": lay.parts == 2,
        "PRUNE": prune,
        "BLOCK": BLOCK,
    }


@functools.lru_cache(maxsize=64)
def _tables(lay: Layout, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Where the search begins, and the edges with sentinels; each is sent to a device once."""
    return send(lay.table, device, torch.int32), send(lay.padded, device, torch.int64)


def _current(device: torch.device) -> contextlib.AbstractContextManager[object]:
    """Triton launches on the current device."""
    return torch.cuda.device(device) if device.type == "cuda" else contextlib.nullcontext()


@functools.cache
def obstacle(device_type: str) -> str | None:
    """Why the kernels cannot run on a type of device, None if they can.

    Parameters
    ----------
    device_type : str
        Such as ``"cuda"``.

    Returns
    -------
    str or None
        On the first call for a GPU, a kernel is built and launched on one element, without waiting
        for it: Triton may be installed without what it needs to build one.
    """
    if device_type != "cuda":
        return None if INTERPRETED else f"it counts on CUDA devices, not on {device_type!r}"
    if not torch.cuda.is_available():
        return "there is no GPU"
    try:
        word = torch.zeros(2, 1, dtype=torch.int64, device="cuda")
        _empty[(1,)](word, word[1], word[1], 1, 1, WIDE=False, BLOCK=BLOCK)
    except Exception as error:  # of the compiler, the linker or the driver
        return " ".join(f"{type(error).__name__}: {error}".split())
    return None
