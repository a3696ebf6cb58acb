"""Exact counts and sums of activations above thresholds: the kernels.

For nonnegative IEEE floats the bit pattern, read as an integer, grows with the value. So the sorted
union of all thresholds (as bit patterns) and all powers of two cuts the number line into bins, and
within one bin every activation has the same exponent. Per bin, an integer count and the integer sum
of fraction bits say everything that ``M(tau)`` and ``Sigma(tau)`` need. All additions are integer
additions: the result is exact, and the same to the bit for any batch split, order, thread count or
device. One rounding happens, at the very end.

Memory is read once and none is kept per activation. Rough cost on one core of a 2020s server: 1 ns
per float32 and 0.7 ns per 16-bit activation, for 1000 thresholds hardly more than for one.
"""

from __future__ import annotations

import copy
import functools
import math
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray

from thermo_utils.errors import ThermoError

__all__ = ["Bins", "Counter", "Layout", "PruneCounts", "prune_count"]

Ints = NDArray[np.int64]

#: Elements per kernel call. Also what the packed words of the kernel are sized for (see _PACK).
CHUNK = 1 << 18
#: A second thread pays for waking it (some 50 us) from about this many elements for each.
PER_THREAD = 1 << 17
#: Copies of each bin that a kernel cycles through, so that in a run of equal values (the zeros of
#: a ReLU) an addition need not wait for the store of the one before. A power of two.
_WAYS = 4
#: The same on a GPU, where it is atomics that would queue up on one address.
_SETS = 32
#: The kernel adds ``count << 44 | fraction`` in one 64-bit word: 2**18 fractions of at most 26 bits
#: fit below bit 44, 2**18 counts above it.
_PACK = 44
#: float64 has 52 fraction bits, kept in two sums of 26 bits each.
_LOW = 26
#: Elements per step of the torch kernel, to bound its temporaries (about 40 bytes per element).
_TORCH_CHUNK = 1 << 22
#: Sums are Python integers in units of the smallest float64, 2**-1074.
_UNIT = 1074


class _Format(NamedTuple):
    """How a floating point type stores its numbers."""

    signed: torch.dtype  # integer of the same width, as torch has it
    unsigned: type[np.unsignedinteger[Any]]  # and as the numba kernel reads it
    bits: int
    fraction: int  # stored fraction bits
    least: int  # exponent of the smallest subnormal


_FORMATS = {
    torch.float16: _Format(torch.int16, np.uint16, 16, 10, -24),
    torch.bfloat16: _Format(torch.int16, np.uint16, 16, 7, -133),
    torch.float32: _Format(torch.int32, np.uint32, 32, 23, -149),
    torch.float64: _Format(torch.int64, np.uint64, 64, 52, -1074),
}


class Layout:
    """The bins of one floating point type for one grid of thresholds. Immutable, shared.

    Attributes
    ----------
    edges : ndarray of int64, shape (size,)
        First bit pattern of every bin. The first bin is zero itself, the last two hold infinity
        and NaN.
    starts : ndarray of int64, shape (K,)
        Bin in which the activations that reach threshold ``k`` begin.
    keep : int
        Bit pattern of the first threshold: at or above it an activation survives pruning.
    table, steps
        Where the search for the bin starts, by the leading bits; how many halvings finish it.
    """

    #: Search depths a kernel is compiled for; 2**depth - 1 edges may share a table cell.
    depths = (0, 1, 3, 6, 12, 20)

    def __init__(self, dtype: torch.dtype, taus: NDArray[np.float64], inclusive: bool) -> None:
        self.dtype = dtype
        self.format = form = _FORMATS[dtype]
        p = form.fraction
        infinity = (1 << (form.bits - 1)) - (1 << p)
        # torch's own conversion, so that a threshold is the number that `x >= tau` compares with.
        rounded = torch.from_numpy(taus).to(dtype).view(form.signed).numpy().astype(np.int64)
        first = rounded + (not inclusive)
        self.keep = int(first[0])
        # A threshold that rounds to zero still must not count zeros; none reaches infinity.
        first = np.clip(first, 1, infinity)
        powers = np.arange(infinity >> p, dtype=np.int64) << p
        self.edges = np.unique(np.concatenate([[0, 1], powers, first, [infinity, infinity + 1]]))
        self.size = len(self.edges)
        self.starts = np.searchsorted(self.edges, first)
        self.parts = 2 if p > _LOW else 1
        self._make_table(infinity)
        low = (1 << min(p, _LOW)) - 1
        self.constants = np.array(
            [self.shift, (1 << (form.bits - 1)) - 1, low, (1 << p) - 1, self.keep], dtype=np.uint64
        )

    def _make_table(self, infinity: int) -> None:
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
        # Sentinels that no pattern reaches, so that the search needs no bounds check.
        far = np.full(1 << self.depth, np.iinfo(np.int64).max)
        self.padded = np.concatenate([self.edges, far]).astype(np.uint64)

    def exact(self, counts: Ints, sums: Ints) -> tuple[Ints, list[int]]:
        """Counts and exact sums from each threshold, and from the smallest nonzero, upwards.

        Parameters
        ----------
        counts : ndarray of int64, shape (size,)
        sums : ndarray of int64, shape (parts, size)

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
            whole = sum(int(part[b]) << (_LOW * i) for i, part in enumerate(sums))
            whole += (int(counts[b]) << p) if exponent else 0  # the implied leading bit
            mass[b] = whole << (max(exponent, 1) - 1 + self.format.least + _UNIT)
        for b in range(self.size - 2, 0, -1):
            mass[b - 1] += mass[b]
        above = np.append(np.cumsum(counts[:-2][::-1])[::-1], [0, 0])
        starts = [*self.starts.tolist(), 1]
        return above[starts], [mass[b] for b in starts]


@functools.lru_cache(maxsize=64)
def layout(dtype: torch.dtype, taus: bytes, inclusive: bool) -> Layout:
    """Layout for a grid given as the bytes of a float64 array; one per grid and type is built."""
    return Layout(dtype, np.frombuffer(taus).copy(), inclusive)


@functools.cache
def have_numba() -> bool:
    """Whether the compiled kernels are available; without them torch does the same, slower."""
    try:
        import numba  # noqa: F401
    except ImportError:
        return False
    return True


@functools.cache
def _compiled(depth: int, wide: bool, prune: bool) -> Any:
    """Build the CPU kernel for a search depth, one or two sums, with or without output."""
    import numba
    from numba import int64, uint64

    ways, pack, low = uint64(_WAYS), uint64(_PACK), uint64(_LOW)
    half, one = uint64(1 << depth >> 1), uint64(1)
    mask = (one << pack) - one

    def kernel(bits, out, table, edges, constants, words, counts, sums):  # type: ignore
        shift, magnitude, low_part = constants[0], constants[1], constants[2]
        fraction, keep = constants[3], constants[4]
        for i in range(bits.size):
            v = uint64(bits[i])
            b = v & magnitude
            if prune:
                out[i] = v if b >= keep else uint64(0)
            k = uint64(table[b >> shift])
            step = half
            for _ in range(depth):
                k = k + uint64(b >= edges[k + step]) * step
                step = step >> one
            at = k * ways + (uint64(i) & (ways - one))
            words[0, at] += (b & low_part) | (one << pack)
            if wide:
                words[1, at] += (b & fraction) >> low
        bad = uint64(0)
        for at in range(words.shape[1] - 2 * _WAYS, words.shape[1]):
            bad += words[0, at] >> pack
        for k in range(counts.size):
            if bad == 0:  # so a call that meets NaN or infinity leaves no trace
                word, high = uint64(0), uint64(0)
                for at in range(k * _WAYS, (k + 1) * _WAYS):
                    word += words[0, at]
                    if wide:
                        high += words[1, at]
                counts[k] += int64(word >> pack)  # int64 + uint64 would be a float
                sums[0, k] += int64(word & mask)
                if wide:
                    sums[1, k] += int64(high)
        words[:] = 0
        return bad

    try:
        return numba.njit(nogil=True, cache=True)(kernel)
    except RuntimeError:  # nowhere to keep a cache: compile in every process
        return numba.njit(nogil=True)(kernel)


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
_POOL = _Pool()


class Bins:
    """Counts and sums of one floating point type on one device.

    Parameters
    ----------
    lay : Layout
    device : torch.device
        Where the accumulators live. On a CPU they are one set of bins; elsewhere several, which
        neighbouring elements cycle through, and nothing waits for the device until asked for.

    Attributes
    ----------
    counts : Tensor of int64, shape (sets, size)
    sums : Tensor of int64, shape (parts, sets, size)
    seen : int
        Activations added.
    """

    def __init__(self, lay: Layout, device: torch.device) -> None:
        self.layout = lay
        sets = 1 if device.type == "cpu" else _SETS
        with torch.inference_mode(False):  # else merging them outside of it would be refused
            self.counts = torch.zeros((sets, lay.size), dtype=torch.int64, device=device)
            self.sums = torch.zeros((lay.parts, sets, lay.size), dtype=torch.int64, device=device)
        self.seen = 0
        if sets == 1:  # the same memory, as the kernels want it
            self._target = self.counts[0].numpy(), self.sums[:, 0].numpy()
        self._edges: torch.Tensor | None = None
        self._work: list[tuple[NDArray[np.uint64], Ints, Ints]] = []

    def add(self, flat: torch.Tensor, out: torch.Tensor | None, threads: int | None) -> bool:
        """Count a dense 1-D tensor; with `out`, write the pruned activations there as well.

        Parameters
        ----------
        flat, out : Tensor, shape (n,)
            Of this layout's type, on this device.
        threads : int or None
            Threads of the numba kernel; None takes the torch kernel.

        Returns
        -------
        bool
            False, and nothing added, if an activation is NaN or infinite. On a GPU always True, for
            there it would be a wait; the last two bins tell.
        """
        limit = 1 << (63 - min(self.layout.format.fraction, _LOW))
        if self.seen + flat.numel() > limit:  # beyond, a sum of fractions could pass 2**63
            raise ThermoError(
                f"more than {limit} activations of {self.layout.dtype}: start a new accumulator"
            )
        done = self._torch(flat, out) if threads is None else self._numba(flat, out, threads)
        self.seen += flat.numel() * done
        return done

    def _numba(self, flat: torch.Tensor, out: torch.Tensor | None, threads: int) -> bool:
        lay, form = self.layout, self.layout.format
        bits = flat.view(form.signed).numpy().view(form.unsigned)
        pruned = bits if out is None else out.view(form.signed).numpy().view(form.unsigned)
        kernel = _compiled(lay.depth, lay.parts == 2, out is not None)
        n = bits.size
        workers = max(1, min(threads, n // PER_THREAD))
        while len(self._work) < workers:
            words = np.zeros((lay.parts, lay.size * _WAYS), np.uint64)
            counts, sums = np.zeros(lay.size, np.int64), np.zeros((lay.parts, lay.size), np.int64)
            self._work.append((words, counts, sums))
        fixed = (lay.table, lay.padded, lay.constants)
        if n <= CHUNK and workers == 1:
            return not kernel(bits, pruned, *fixed, self._work[0][0], *self._target)
        chunk = min(CHUNK, -(-n // workers))
        starts = list(range(0, n, chunk))

        def count(work: tuple[NDArray[np.uint64], Ints, Ints]) -> int:
            # Chunks are taken, not dealt out: a thread that lost its core does not hold up the
            # rest. `list.pop` is atomic with and without a GIL.
            bad = 0
            while starts and not bad:
                try:
                    at = starts.pop()
                except IndexError:
                    break
                part = slice(at, at + chunk)
                bad = kernel(bits[part], pruned[part], *fixed, *work)
            return bad

        work = self._work[:workers]
        self._work = []  # an interrupt in here must not leave half a call behind
        if any(_POOL.run(count, work)):
            return False
        for _, counts, sums in work:
            self._target[0][:] += counts
            self._target[1][:] += sums
            counts[:] = 0
            sums[:] = 0
        self._work = work
        return True

    def _torch(self, flat: torch.Tensor, out: torch.Tensor | None) -> bool:
        lay, form = self.layout, self.layout.format
        magnitude, fraction = (1 << (form.bits - 1)) - 1, (1 << form.fraction) - 1
        pattern = flat.view(form.signed)
        if self._edges is None:
            self._edges = torch.from_numpy(lay.edges).to(flat.device, form.signed)
        sets = self.counts.shape[0]
        if sets == 1 and bool(((pattern & magnitude) >= int(lay.edges[-2])).any()):
            return False
        for at in range(0, flat.numel(), _TORCH_CHUNK):
            part = slice(at, at + _TORCH_CHUNK)
            bits = pattern[part] & magnitude
            if out is not None:
                out[part] = torch.where(bits >= lay.keep, flat[part], 0)
            index = torch.bucketize(bits, self._edges, right=True) - 1
            if sets > 1:
                index += torch.arange(index.numel(), device=index.device) % sets * lay.size
            left = (bits & fraction).to(torch.int64)
            self.counts.view(-1).scatter_add_(0, index, torch.ones_like(index))
            for sums in self.sums:
                sums.view(-1).scatter_add_(0, index, left & ((1 << _LOW) - 1))
                left >>= _LOW
        return True

    def include(self, counts: torch.Tensor, sums: torch.Tensor, seen: int) -> None:
        """Add other accumulators of this layout."""
        self.counts += counts
        self.sums += sums
        self.seen += seen

    def fold(self) -> tuple[Ints, Ints]:
        """Counts and sums on the host, shapes (size,) and (parts, size)."""
        return self.counts.sum(0).cpu().numpy(), self.sums.sum(1).cpu().numpy()

    @property
    def nbytes(self) -> int:
        """Memory in bytes: accumulators, the threads' own ones, and the lookup table."""
        own = sum(a.nbytes for work in self._work for a in work)
        shared = self.layout.table.nbytes + self.layout.padded.nbytes
        return 8 * (self.counts.numel() + self.sums.numel()) + own + shared


def flatten(tensor: torch.Tensor) -> torch.Tensor | None:
    """One-dimensional view of a dense tensor in the order of its memory, None if it has gaps."""
    if not tensor.is_contiguous():
        tensor = tensor.permute(sorted(range(tensor.dim()), key=tensor.stride, reverse=True))
    return tensor.view(-1) if tensor.is_contiguous() else None


def rounded(units: int) -> float:
    """The float64 nearest to an exact sum in units of 2**-1074."""
    try:
        return units / (1 << _UNIT)  # Python rounds a quotient of integers correctly
    except OverflowError:
        return math.inf


class Totals(NamedTuple):
    """What an accumulator has seen, exactly; masses in units of 2**-1074."""

    active: Ints  # (K,)
    mass: list[int]
    total: int
    total_mass: int
    zeros: int


class Counter:
    """What :class:`PruneCounts` and the spectrum share: bins per type and device, and their sums.

    Parameters are those of :class:`~thermo_utils.spectrum.ActivationSpectrum`.
    """

    def __init__(
        self,
        taus: NDArray[np.float64],
        *,
        inclusive: bool = True,
        count_zeros: bool = False,
        kernel: str = "auto",
        threads: int | None = None,
    ) -> None:
        if kernel not in ("auto", "numba", "torch"):
            raise ThermoError(f"unknown kernel {kernel!r}: take 'auto', 'numba' or 'torch'")
        if kernel == "numba" and not have_numba():
            raise ThermoError("kernel 'numba' needs the package numba: install it, or take 'auto'")
        if threads is not None and threads < 1:
            raise ThermoError(f"threads must be 1 or more, or None for torch's, got {threads}")
        self._taus = taus
        self.inclusive = bool(inclusive)
        self.count_zeros = bool(count_zeros)
        self.kernel = kernel
        self.threads = threads
        self._bins: dict[tuple[torch.dtype, torch.device], Bins] = {}
        self._known: Totals | None = None

    def _get(self, dtype: torch.dtype, device: torch.device) -> Bins:
        if (dtype, device) not in self._bins:
            lay = layout(dtype, self._taus.tobytes(), self.inclusive)
            self._bins[dtype, device] = Bins(lay, device)
        return self._bins[dtype, device]

    def _add(self, tensor: torch.Tensor, prune: bool) -> torch.Tensor | None:
        """Count a tensor; with `prune`, return the pruned one."""
        if not isinstance(tensor, torch.Tensor):
            raise ThermoError(f"activations must be a torch.Tensor, got {type(tensor).__name__}")
        if tensor.dtype not in _FORMATS or tensor.layout != torch.strided:
            raise ThermoError(
                f"cannot count {tensor.layout} activations of {tensor.dtype}: they must be dense "
                "and float16, bfloat16, float32 or float64 (convert with .to_dense() or .float())"
            )
        x = tensor.detach().resolve_neg()
        numba = self.kernel != "torch" and have_numba()
        if x.device.type not in ("cpu", "cuda", "xpu") or self.kernel == "numba":
            x = x.cpu()
        flat = flatten(x)
        if flat is None:  # gaps or overlaps: one copy, without them
            x = x.clone()
            flat = flatten(x)
            assert flat is not None
        out = pruned = None
        if prune:
            out = torch.empty_strided(x.shape, x.stride(), dtype=x.dtype, device=x.device)
            pruned = flatten(out)
        self._known = None
        threads = None
        if numba and x.device.type == "cpu":
            threads = self.threads or torch.get_num_threads()
        bins = self._get(x.dtype, x.device)
        if x.numel() and not bins.add(flat, pruned, threads):
            nan = int(flat.isnan().sum())
            raise _not_finite(nan, int(flat.isinf().sum()), "nothing of this tensor was counted")
        return None if out is None else out.to(tensor.device)

    def _totals(self) -> Totals:
        if self._known is None:
            active = np.zeros(len(self._taus) + 1, np.int64)
            mass = [0] * (len(self._taus) + 1)
            zeros = 0
            for bins in self._bins.values():
                counts, sums = bins.fold()
                if counts[-2:].any():
                    raise _not_finite(int(counts[-1]), int(counts[-2]), "reset() and start again")
                here, here_mass = bins.layout.exact(counts, sums)
                active += here
                mass = [a + b for a, b in zip(mass, here_mass, strict=True)]
                zeros += int(counts[0])
            total = int(active[-1]) + (zeros if self.count_zeros else 0)
            self._known = Totals(active[:-1], mass[:-1], total, mass[-1], zeros)
        return self._known

    @property
    def total(self) -> int:
        """``N``: nonzero activations seen; with `count_zeros` all."""
        return self._totals().total

    @property
    def total_abs_sum(self) -> float:
        """``Sigma_0``: sum of their absolute values, correctly rounded."""
        return rounded(self._totals().total_mass)

    @property
    def zeros(self) -> int:
        """Activations seen that are exactly zero."""
        return self._totals().zeros

    @property
    def state_bytes(self) -> int:
        """Memory held in bytes: a few KB per type and device plus tables, whatever was seen."""
        return sum(bins.nbytes for bins in self._bins.values())

    def reset(self) -> None:
        """Forget everything seen."""
        self._bins.clear()
        self._known = None

    def merge(self, other: Self) -> Self:
        """Add what another accumulator saw, as if this one had seen it too.

        Parameters
        ----------
        other : same type
            With the same thresholds, `inclusive` and `count_zeros`. Left as it is.

        Returns
        -------
        self

        Raises
        ------
        ThermoError
            If the two count different things.
        """
        mine = type(self), self._taus.tolist(), self.inclusive, self.count_zeros
        if mine != (type(other), other._taus.tolist(), other.inclusive, other.count_zeros):
            raise ThermoError(
                "can only merge accumulators of one type made with the same thresholds, inclusive "
                "and count_zeros"
            )
        self._known = None
        for (dtype, device), bins in list(other._bins.items()):
            self._get(dtype, device).include(bins.counts, bins.sums, bins.seen)
        return self

    def __getstate__(self) -> dict[str, Any]:
        # Accumulators travel through the host: a copy made on a GPU machine loads anywhere.
        kept = [(dtype, *bins.fold(), bins.seen) for (dtype, _), bins in self._bins.items()]
        return {**self.__dict__, "_bins": kept, "_known": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _bins={})
        for dtype, counts, sums, seen in state["_bins"]:
            bins = self._get(dtype, torch.device("cpu"))
            bins.include(torch.from_numpy(counts)[None], torch.from_numpy(sums)[:, None], seen)


def _not_finite(nan: int, inf: int, then: str) -> ThermoError:
    return ThermoError(
        f"{nan} NaN and {inf} infinite activations, {then}: find the layer that makes them (half "
        "precision that overflows is a frequent cause), or mask them before counting"
    )


class PruneCounts(Counter):
    r"""Prune tensors at one threshold and count what survives, in one pass over memory.

    Implements :math:`a'_i = a_i \mathbf{1}_{\{|a_i| \ge \tau\}}` (Eq. 1 of "Modeling Pruning as a
    Phase Transition", CMC 2026, 86(3), 99). The counts and sums are those of an
    :class:`~thermo_utils.spectrum.ActivationSpectrum` at the same threshold, to the bit.

    Parameters
    ----------
    tau : float
        Zero or more, finite; rounded to the type of the activations, as torch does in ``x >= tau``.
    inclusive, count_zeros, kernel, threads
        As for :class:`~thermo_utils.spectrum.ActivationSpectrum`.

    Raises
    ------
    ThermoError
        If `tau` is negative or not finite.

    Examples
    --------
    >>> counts = PruneCounts(0.5)
    >>> counts.prune(torch.tensor([0.0, 0.25, -0.5, 2.0]))
    tensor([ 0.0000,  0.0000, -0.5000,  2.0000])
    >>> counts.active, counts.total, counts.abs_sum, counts.total_abs_sum
    (2, 3, 2.5, 2.75)
    """

    def __init__(self, tau: float, **options: Any) -> None:
        if not 0 <= tau < math.inf:
            raise ThermoError(f"tau must be zero or more and finite, got {tau}")
        super().__init__(np.array([tau], dtype=np.float64), **options)

    def prune(self, tensor: torch.Tensor) -> torch.Tensor:
        """Count a tensor's activations and return it pruned.

        Parameters
        ----------
        tensor : Tensor
            float16, bfloat16, float32 or float64, any shape and strides.

        Returns
        -------
        Tensor
            New, detached; same shape, type, device and (if dense) strides. Pruned entries are +0.

        Raises
        ------
        ThermoError
            For other types; on a CPU also for NaN or infinity, with nothing counted. On a GPU
            reading a property raises that instead.
        """
        pruned = self._add(tensor, prune=True)
        assert pruned is not None
        return pruned

    @classmethod
    def sum_of(cls, parts: Iterable[PruneCounts]) -> PruneCounts:
        """New counts that have seen what all `parts` (at least one, same threshold) have seen."""
        first, *rest = parts
        whole = copy.deepcopy(first)
        for part in rest:
            whole.merge(part)
        return whole

    @property
    def tau(self) -> float:
        """The threshold as given."""
        return float(self._taus[0])

    @property
    def active(self) -> int:
        """``M``: nonzero activations that survived."""
        return int(self._totals().active[0])

    @property
    def abs_sum(self) -> float:
        """``Sigma``: sum of their absolute values, correctly rounded."""
        return rounded(self._totals().mass[0])


def prune_count(
    x: torch.Tensor, tau: float, inclusive: bool = True
) -> tuple[torch.Tensor, PruneCounts]:
    """Prune one tensor: shorthand for :class:`PruneCounts` and its :meth:`~PruneCounts.prune`.

    Examples
    --------
    >>> pruned, counts = prune_count(torch.tensor([0.25, 0.5, 2.0]), 0.5, inclusive=False)
    >>> pruned, counts.active
    (tensor([0., 0., 2.]), 1)
    """
    counts = PruneCounts(tau, inclusive=inclusive)
    return counts.prune(x), counts
