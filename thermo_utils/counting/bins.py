"""Where counts and sums are kept, one class per kernel. All of them hold the same integers."""

from __future__ import annotations

import functools
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from thermo_utils.counting.cpu import POOL, WAYS, histogram, survivors
from thermo_utils.counting.layouts import CHUNK, LOW, Ints, Layout
from thermo_utils.counting.team import Call, Team, team
from thermo_utils.errors import ThermoError

__all__ = ["Bins", "NumbaBins", "TorchBins", "send"]

#: A second thread of our own pays for waking it (some 50 us) from about this many elements each.
PER_THREAD = 1 << 17
#: One of torch's is awake, and pays from this many.
PER_AWAKE = 1 << 15
#: So fewer than this are counted where they are, without a look at the threads.
SMALL = 2 * PER_AWAKE
#: Pieces that a thread of torch's takes at the least, so that none waits long for the last.
PIECES = 4
#: Copies of each bin that the torch kernel cycles through on a GPU, where atomics on one address
#: would queue up.
COPIES = 32
#: Elements per step of the torch kernel, to bound its temporaries (about 40 bytes per element).
TORCH_CHUNK = 1 << 22

#: Bit patterns of activations, and what a thread counts into: words, counts and sums.
Bits: TypeAlias = NDArray[np.unsignedinteger[Any]]
Work: TypeAlias = tuple[NDArray[np.uint64], Ints, Ints]


class Bins:
    """Counts and sums of one floating point type on one device.

    Parameters
    ----------
    lay : Layout
    device : torch.device
        Where the accumulators live. Nothing here waits for it until asked for.
    totals : bool, default True
        Whether what does not survive pruning must be counted too.
    sets : int, default 1
        Copies of each bin.

    Attributes
    ----------
    counts : Tensor of int64, shape (sets, size)
    sums : Tensor of int64, shape (parts, sets, size)
    seen : int
        Activations added.
    """

    def __init__(
        self, lay: Layout, device: torch.device, totals: bool = True, sets: int = 1
    ) -> None:
        self.layout = lay
        self.device = device
        # Beyond, a sum of fractions could pass 2**63.
        self.limit = 1 << (63 - min(lay.format.fraction, LOW))
        # Survivors are summed up in units of the threshold, which may need the second part.
        parts = lay.parts if totals else 2
        with torch.inference_mode(False):  # else merging them outside of it would be refused
            self.counts = torch.zeros((sets, lay.size), dtype=torch.int64, device=device)
            self.sums = torch.zeros((parts, sets, lay.size), dtype=torch.int64, device=device)
        self.seen = 0

    def add(self, flat: torch.Tensor, out: torch.Tensor | None) -> bool:
        """Count a dense 1-D tensor; with `out`, write the pruned activations there as well.

        Parameters
        ----------
        flat, out : Tensor, shape (n,)
            Of this layout's type, on this device.

        Returns
        -------
        bool
            False, and nothing added, if an activation is NaN or infinite. On a GPU always True, for
            there it would be a wait; the last two bins tell.

        Raises
        ------
        ThermoError
            If a sum could overflow.
        """
        n = flat.numel()
        self.check_room(n)
        done = self._count(flat, out)
        self.seen += n * done
        return done

    def check_room(self, n: int) -> None:
        """Refuse as many more activations if a sum could overflow with them."""
        if self.seen + n > self.limit:
            raise ThermoError(
                f"more than {self.limit} activations of {self.layout.dtype}: start a new "
                "accumulator"
            )

    def _count(self, flat: torch.Tensor, out: torch.Tensor | None) -> bool:
        raise NotImplementedError

    def include(self, counts: torch.Tensor, sums: torch.Tensor, seen: int) -> None:
        """Add counts of shape (size,) and sums of shape (parts, size) of this layout."""
        self.check_room(seen)
        self.counts[0] += counts.to(self.device)
        self.sums[:, 0] += sums.to(self.device)
        self.seen += seen

    def fold(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Counts and sums, shapes (size,) and (parts, size), on this device."""
        return self.counts.sum(0), self.sums.sum(1)

    def on_host(self) -> tuple[Ints, Ints]:
        """The same on the host: waits for the device."""
        counts, sums = self.fold()
        return counts.cpu().numpy(), sums.cpu().numpy()

    @property
    def nbytes(self) -> int:
        """Memory in bytes: accumulators, scratch and lookup tables."""
        shared = self.layout.table.nbytes + self.layout.padded.nbytes
        return 8 * (self.counts.numel() + self.sums.numel()) + shared


class NumbaBins(Bins):
    """Bins on the CPU, filled by the compiled kernels in one or more threads.

    Parameters
    ----------
    lay, device, totals
        As for :class:`Bins`.
    threads : int, optional
        At most this many; `torch.get_num_threads` by default.
    """

    def __init__(
        self,
        lay: Layout,
        device: torch.device,
        totals: bool = True,
        threads: int | None = None,
    ) -> None:
        super().__init__(lay, device, totals)
        self._threads = threads
        self._histogram, self._prune = histogram(lay, prune=False), histogram(lay, prune=True)
        self._survivors = None if totals else survivors(lay)
        # The same memory, as the kernels want it.
        self._target = self.counts[0].numpy(), self.sums[:, 0].numpy()
        self._words = self._scratch()[0]
        self._apart: Work | None = None

    def _scratch(self, threads: tuple[int, ...] = ()) -> Work:
        """What a thread needs to itself: words that are zero, and bins."""
        shapes = (self.layout.parts, WAYS, self.layout.size), *(a.shape for a in self._target)
        words, counts, sums = (threads + shape for shape in shapes)
        return np.zeros(words, np.uint64), np.zeros(counts, np.int64), np.zeros(sums, np.int64)

    def _count(self, flat: torch.Tensor, out: torch.Tensor | None) -> bool:
        n = flat.numel()
        if n >= SMALL:
            threads = self._threads or torch.get_num_threads()
            crew = team() if threads > 1 else None
            if crew is not None:
                workers = min(threads, n // PER_AWAKE)
                wanted = max(min(PIECES * workers, n // PER_AWAKE), -(-n // CHUNK))
                pieces = -(-wanted // workers) * workers  # as many for each of them
                return self._in_team(crew, flat, out, workers, -(-n // pieces))
            workers = max(1, min(threads, n // PER_THREAD))
            return self._in_pool(*self._patterns(flat, out), workers, min(CHUNK, -(-n // workers)))
        return self._chunk(*self._patterns(flat, out), self._words, *self._target)

    def _patterns(self, flat: torch.Tensor, out: torch.Tensor | None) -> tuple[Bits, Bits | None]:
        unsigned = self.layout.format.unsigned
        return flat.view(unsigned).numpy(), None if out is None else out.view(unsigned).numpy()

    def _chunk(
        self, bits: Bits, pruned: Bits | None, words: Bits, counts: Ints, sums: Ints
    ) -> bool:
        """Count at most `CHUNK` activations, or none if one of them is NaN or infinite."""
        if pruned is None:
            return not self._histogram(bits, bits, words, counts, sums)
        if self._survivors is not None and self._survivors(bits, pruned, counts, sums):
            return True
        return not self._prune(bits, pruned, words, counts, sums)

    def _in_pool(self, bits: Bits, pruned: Bits | None, workers: int, chunk: int) -> bool:
        """Count any number of activations in threads of our own, or none."""
        starts = list(range(0, bits.size, chunk))

        def count(work: Work) -> bool:
            # Chunks are taken, not dealt out: a thread that lost its core does not hold up the
            # rest. `list.pop` is atomic with and without a GIL.
            good = True
            while starts and good:
                try:
                    at = starts.pop()
                except IndexError:
                    break
                part = slice(at, at + chunk)
                good = self._chunk(bits[part], None if pruned is None else pruned[part], *work)
            return good

        # In bins of their own, so that an interrupt in here leaves nothing of the call behind.
        work = [self._scratch() for _ in range(workers)]
        if not all(POOL.run(count, work)):
            return False
        for _, counts, sums in work:
            self._add(counts, sums)
        return True

    def _in_team(
        self, crew: Team, flat: torch.Tensor, out: torch.Tensor | None, workers: int, chunk: int
    ) -> bool:
        """Count any number of activations in the threads of torch, or none."""
        if self._apart is None or len(self._apart[0]) < workers:
            self._settle()
            self._apart = self._scratch((workers,))
            for call in self._calls:
                call.takes(*self._apart)
        call = self._calls[out is not None]
        try:
            good = call.run(crew, flat, out, workers, chunk)
        except BaseException:  # an interrupt, after all is counted
            self._take_back(flat, out, chunk)
            raise
        if not good:
            self._take_back(flat, out, chunk)
        return good

    @functools.cached_property
    def _calls(self) -> tuple[Call, Call]:
        """What the threads of torch do, without output and with it."""
        totals = self._survivors is None
        return Call(self.layout, False, totals), Call(self.layout, True, totals)

    def _take_back(self, flat: torch.Tensor, out: torch.Tensor | None, chunk: int) -> None:
        """Subtract the chunks of a call that were counted, all but those with NaN or infinity."""
        bits, pruned = self._patterns(flat, out)
        words, counts, sums = self._scratch()
        for at in range(0, bits.size, chunk):
            part = slice(at, at + chunk)
            self._chunk(bits[part], None if pruned is None else pruned[part], words, counts, sums)
        self._add(-counts, -sums)

    def _add(self, counts: Ints, sums: Ints) -> None:
        self._target[0][:] += counts
        self._target[1][:] += sums

    def _settle(self) -> None:
        """Move what the threads of torch have counted to the accumulators."""
        if self._apart is not None:
            _, counts, sums = self._apart
            self._add(counts.sum(0), sums.sum(0))
            counts[:] = 0
            sums[:] = 0

    def fold(self) -> tuple[torch.Tensor, torch.Tensor]:
        self._settle()
        return super().fold()

    @property
    def nbytes(self) -> int:
        own = self._words.nbytes + sum(a.nbytes for a in self._apart or ())
        return super().nbytes + own + (self.layout.carry.nbytes if self.layout.depth == 1 else 0)


class TorchBins(Bins):
    """Bins anywhere, filled by plain torch operations: slower, and needs nothing else."""

    def __init__(
        self, lay: Layout, device: torch.device, totals: bool = True, sets: int | None = None
    ) -> None:
        super().__init__(lay, device, totals, sets or (1 if device.type == "cpu" else COPIES))
        self._edges = _edges(lay, device)

    def _count(self, flat: torch.Tensor, out: torch.Tensor | None) -> bool:
        lay, form = self.layout, self.layout.format
        magnitude, fraction = (1 << (form.bits - 1)) - 1, (1 << form.fraction) - 1
        pattern = flat.view(form.signed)
        sets = self.counts.shape[0]
        if sets == 1 and bool(((pattern & magnitude) >= lay.infinity).any()):
            return False
        for at in range(0, flat.numel(), TORCH_CHUNK):
            part = slice(at, at + TORCH_CHUNK)
            bits = pattern[part] & magnitude
            if out is not None:
                out[part] = torch.where(bits >= lay.keep, flat[part], 0)
            index = torch.bucketize(bits, self._edges, right=True) - 1
            if sets > 1:
                index += torch.arange(index.numel(), device=index.device) % sets * lay.size
            left = (bits & fraction).to(torch.int64)
            self.counts.view(-1).scatter_add_(0, index, torch.ones_like(index))
            for sums in self.sums[: lay.parts]:
                sums.view(-1).scatter_add_(0, index, left & ((1 << LOW) - 1))
                left >>= LOW
        return True


@functools.lru_cache(maxsize=64)
def _edges(lay: Layout, device: torch.device) -> torch.Tensor:
    """First bit pattern of every bin, on a device; each is sent there once."""
    return send(lay.edges, device, lay.format.signed)


def send(array: Any, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    with torch.inference_mode(False):
        return torch.from_numpy(array.astype(np.int64)).to(device, dtype)
