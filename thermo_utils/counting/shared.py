"""Counting and pruning on an NVIDIA GPU: bins in shared memory, next to the arithmetic units.

The integers are those of :mod:`thermo_utils.counting.layouts`; the kernel is CUDA C++, in
`shared.cu`, and compiled by NVRTC, which comes with torch, on first use. A block of threads counts
into bins of its own, 32 copies of each where there is room, so that no two lanes of a warp meet,
and adds them to the accumulators at its end: two atomic additions per bin and block instead of one
per activation. float64, very many thresholds and thresholds very close to each other are left to
:mod:`thermo_utils.counting.gpu`.
"""

from __future__ import annotations

import ctypes
import functools
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from thermo_utils.counting.bins import Bins, send
from thermo_utils.counting.layouts import Layout
from thermo_utils.counting.nvidia import Gpu, Limits, Macros
from thermo_utils.errors import ThermoError

__all__ = ["Plan", "SharedBins", "Window", "macros", "missing", "obstacle", "plan", "window"]

#: Threads of a block, and blocks that a multiprocessor has at a time if their memory suffices.
THREADS, BLOCKS = 1024, 2
#: Copies of a bin that must be there for two blocks to pay.
MANY = 8
#: Bytes that a thread reads at a time, and how often before it looks whether words may be full.
VECTOR, VECTORS = 16, 2
#: Shared memory of a multiprocessor that every block takes for the system, in bytes.
RESERVED = 1024
#: The kernel: its file and its function.
SOURCE = "shared.cu", "count"
#: Elements of a launch, at most: their number is a 32-bit integer, and so is one step beyond.
LAUNCH = 1 << 31
#: How a bin's words are divided, by type: bits of a fraction that the first word adds up, the bit
#: at which its count begins, and the number of words.
WORDS = {
    torch.float16: (10, 21, 1),
    torch.bfloat16: (7, 19, 1),
    torch.float32: (4, 17, 2),
}


class Window(NamedTuple):
    """Where thresholds lie that are no powers of two, for a search by one addition.

    With ``cell = clip((pattern >> shift) - base, 0, len(carry) - 1)``, and ``within`` the last
    `shift` bits of a pattern, ``(within + carry[cell]) >> shift`` of them are at or below it.
    """

    shift: int
    base: int
    carry: NDArray[np.uint32]


class Plan(NamedTuple):
    """How bins of a layout are put into shared memory."""

    copies: int
    rounds: int  # after which words may be full
    blocks: int  # of a multiprocessor, at a time
    nbytes: int  # of a block's shared memory


@functools.lru_cache(maxsize=64)
def window(lay: Layout) -> Window | None:
    """The fewest cells of equal width that hold one threshold each at most.

    Parameters
    ----------
    lay : Layout

    Returns
    -------
    Window or None
        None if more than 2**15 are needed, or 32 bits do not suffice.
    """
    p = lay.format.fraction
    own = lay.edges[(lay.edges & ((1 << p) - 1) != 0) & (lay.edges > 1)]
    own = own[own <= lay.infinity]
    if not len(own):
        return Window(p, 0, np.zeros(1, np.uint32))
    for shift in range(p, -1, -1):
        cells = own >> shift
        number = int(cells[-1] - cells[0]) + 3
        if number > 1 << 15:
            return None
        if len(np.unique(cells)) == len(cells) and (len(own) + 1) << shift < 1 << 32:
            base = int(cells[0]) - 1
            width = 1 << shift
            below = np.searchsorted(cells, base + np.arange(number))
            carry = below.astype(np.int64) << shift
            carry[cells - base] += width - (own & (width - 1))
            return Window(shift, base, carry.astype(np.uint32))
    return None


def plan(lay: Layout, cells: int, limits: Limits) -> Plan | None:
    """As many copies of the bins as there is shared memory for.

    Parameters
    ----------
    lay : Layout
        Of a type in `WORDS`.
    cells : int
        Of its window.
    limits : Limits
        Of the GPU.

    Returns
    -------
    Plan or None
        None if even one copy is too much.
    """
    low, count_at, words = WORDS[lay.dtype]
    form = lay.format
    # Activations that no word of a bin overflows with: by their low parts, their number, the rest.
    most = min(((1 << count_at) - 1) // ((1 << low) - 1), (1 << (32 - count_at)) - 1)
    if words == 2:
        most = min(most, ((1 << 32) - 1) // ((1 << (form.fraction - low)) - 1))
    each = VECTORS * VECTOR * 8 // form.bits
    for blocks in range(min(BLOCKS, limits.threads // THREADS), 0, -1):
        room = min(limits.block, limits.shared // blocks - RESERVED)
        for copies in (32, 16, 8, 4, 2, 1):
            nbytes = 4 * (words * lay.size * copies + cells)
            rounds = most // (each * (THREADS // copies))
            if nbytes <= room and rounds and (copies >= MANY or blocks == 1):
                return Plan(copies, rounds, blocks, nbytes)
    return None


class Job(ctypes.Structure):
    """The argument of the kernel, as `shared.cu` has it."""

    _fields_ = [
        ("bits", ctypes.c_void_p),
        ("out", ctypes.c_void_p),
        ("counts", ctypes.c_void_p),
        ("sums", ctypes.c_void_p),
        ("carry", ctypes.c_void_p),
        ("n", ctypes.c_uint32),
        ("vectors", ctypes.c_uint32),
        ("keep", ctypes.c_uint32),
        ("size", ctypes.c_uint32),
        ("cells", ctypes.c_uint32),
        ("shift", ctypes.c_uint32),
        ("base", ctypes.c_int32),
    ]


class SharedBins(Bins):
    """Bins on an NVIDIA GPU, filled in shared memory.

    Parameters
    ----------
    lay, device, totals
        As for :class:`~thermo_utils.counting.bins.Bins`.
    gpu : Gpu, optional
        By default the one that `device` names.

    Raises
    ------
    ThermoError
        If :func:`obstacle` names one.
    """

    def __init__(
        self, lay: Layout, device: torch.device, totals: bool = True, gpu: Gpu | None = None
    ) -> None:
        super().__init__(lay, device, totals)
        self._gpu = gpu or Gpu(device)
        found = _arranged(lay, self._gpu.limits)
        if isinstance(found, str):
            raise ThermoError(f"kernel 'cuda' cannot count this tensor, {found}: take 'auto'")
        cells, self._plan = found
        self._macros = {prune: macros(lay, self._plan, prune) for prune in (False, True)}
        self._most = self._gpu.limits.multiprocessors * self._plan.blocks
        self._carry = _sent(lay, device)
        self._job = Job(
            counts=self.counts.data_ptr(), sums=self.sums.data_ptr(), carry=self._carry.data_ptr(),
            keep=lay.keep, size=lay.size, cells=len(cells.carry), shift=cells.shift,
            base=cells.base,
        )  # fmt: skip

    def _count(self, flat: torch.Tensor, out: torch.Tensor | None) -> bool:
        width, job, plan = flat.element_size(), self._job, self._plan
        kernel = self._gpu.kernel(*SOURCE, self._macros[out is not None])
        for at in range(0, flat.numel(), LAUNCH):
            n = min(LAUNCH, flat.numel() - at)
            job.bits = flat.data_ptr() + at * width
            job.out = None if out is None else out.data_ptr() + at * width
            aligned = not (job.bits | (job.out or 0)) % VECTOR
            job.n, job.vectors = n, n * width // VECTOR if aligned else 0
            blocks = min(self._most, -(-(job.vectors or n) // THREADS))
            self._gpu.launch(kernel, blocks, THREADS, plan.nbytes, job)
        return True

    @property
    def nbytes(self) -> int:
        return super().nbytes + 4 * self._carry.numel()


def macros(lay: Layout, plan: Plan, prune: bool) -> Macros:
    """What `shared.cu` is compiled with, to count in bins of a layout, with or without output."""
    low, count_at, words = WORDS[lay.dtype]
    return (
        ("BITS", lay.format.bits),
        ("FRACTION_BITS", lay.format.fraction),
        ("LOW_BITS", low),
        ("COUNT_AT", count_at),
        ("WORDS", words),
        ("COPIES", plan.copies),
        ("THREADS", THREADS),
        ("BLOCKS", plan.blocks),
        ("ROUNDS", plan.rounds),
        ("PRUNE", int(prune)),
    )


@functools.lru_cache(maxsize=64)
def _arranged(lay: Layout, limits: Limits) -> tuple[Window, Plan] | str:
    """How a layout's bins are found and kept, or why they cannot be."""
    if lay.dtype not in WORDS:
        return f"it does not count {lay.dtype}"
    cells = window(lay)
    found = None if cells is None else plan(lay, len(cells.carry), limits)
    if cells is None or found is None:
        return "thresholds are too many, or too close to each other, for shared memory"
    return cells, found


@functools.lru_cache(maxsize=64)
def _sent(lay: Layout, device: torch.device) -> torch.Tensor:
    """A window's cells on a device; each is sent there once."""
    cells = window(lay)
    assert cells is not None
    return send(cells.carry.view(np.int32), device, torch.int32)


@functools.lru_cache(maxsize=64)
def obstacle(lay: Layout, device: torch.device) -> str | None:
    """Why the kernel cannot count activations of a layout on a device, None if it can.

    Parameters
    ----------
    lay : Layout
    device : torch.device

    Returns
    -------
    str or None
        On the first call for a GPU and a type the kernel is compiled and loaded.
    """
    if said := missing(device.type):
        return said
    gpu = Gpu(device)
    found = _arranged(lay, gpu.limits)
    if isinstance(found, str):
        return found
    try:
        gpu.kernel(*SOURCE, macros(lay, found[1], False))
    except ThermoError as error:
        return str(error)
    return None


def missing(device_type: str) -> str | None:
    """Why the kernel cannot run on any device of a type, such as ``"cuda"``; None if it may."""
    if device_type != "cuda":
        return f"it counts on NVIDIA GPUs, not on {device_type!r}"
    if torch.version.cuda is None or not torch.cuda.is_available():
        return "there is no NVIDIA GPU"
    return None
