"""Counting in torch's own threads: its OpenMP runtime, entered by the kernels that numba compiles.

Between two parallel operations torch's threads wait for the next one awake, for some milliseconds.
Other threads that count meanwhile get the cores only in part: on two cores, counting between
torch's operations took three times as long as counting alone. GNU's OpenMP runtime, which torch's
wheels for Linux bring along, has an interface that compiled programs use (its functions begin with
``GOMP``, and do not change). Called with a compiled kernel, it hands that to the very threads that
are waiting. Nothing is set in the runtime, so torch's number of threads stays what it is.

Where there is no such runtime, and in a forked child, whose threads do not exist, there is no team.
"""

from __future__ import annotations

import ctypes
import functools
import os
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from thermo_utils.counting.cpu import have_numba
from thermo_utils.counting.layouts import Layout

__all__ = ["Call", "Team", "team"]

#: GNU's runtime takes chunks of a loop one after the other, by whichever thread is free.
LOOP = "GOMP_parallel_loop_dynamic"
#: What the kernels call: their thread's number, the next chunk, the end.
FUNCTIONS = ("omp_get_thread_num", "GOMP_loop_dynamic_next", "GOMP_loop_end_nowait")
#: Processes that have been forked; their parents' threads are not theirs.
_forked = False


def _forget() -> None:
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


class Team:
    """The OpenMP runtime of torch.

    Parameters
    ----------
    path : Path
        Of the library.

    Attributes
    ----------
    functions : list of int
        Addresses of `FUNCTIONS`.
    """

    def __init__(self, path: Path) -> None:
        library = ctypes.CDLL(str(path))
        self.functions = [
            ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0 for name in FUNCTIONS
        ]
        self._loop = getattr(library, LOOP)
        address, long, unsigned = ctypes.c_void_p, ctypes.c_long, ctypes.c_uint
        self._loop.argtypes = [address, address, unsigned, long, long, long, long, unsigned]
        self._loop.restype = None

    def run(self, kernel: int, data: int, threads: int, chunks: int) -> None:
        """Have the threads take the chunks of a piece of work one after the other.

        Parameters
        ----------
        kernel, data : int
            Addresses of a function and of what it is given.
        threads, chunks : int
            At most so many threads; how many chunks there are.
        """
        self._loop(kernel, data, threads, 0, chunks, 1, 1, 0)


class Call:
    """One of the kernels of the CPU with what a team needs to run it.

    Parameters
    ----------
    lay, prune, totals
        As for :func:`thermo_utils.counting.callbacks.callback`.
    """

    def __init__(self, lay: Layout, prune: bool, totals: bool) -> None:
        from thermo_utils.counting import callbacks  # imports numba, which may be missing

        self._at = callbacks
        self._kernel, self._work, self._kept = callbacks.callback(lay, prune, totals)

    def takes(
        self, words: NDArray[np.uint64], counts: NDArray[np.int64], sums: NDArray[np.int64]
    ) -> None:
        """Set what the threads have to themselves, an item of each array for every thread."""
        self._kept[4:] = words, counts, sums
        work, at = self._work, self._at
        work[at.SETS] = len(words)
        work[at.WORDS], work[at.COUNTS] = words.ctypes.data, counts.ctypes.data
        work[at.SUMS] = sums.ctypes.data

    def run(
        self, crew: Team, flat: torch.Tensor, out: torch.Tensor | None, threads: int, chunk: int
    ) -> bool:
        """Count a dense 1-D tensor, `chunk` activations at a time; False if one is not finite.

        Then the chunks without such activations are counted all the same.
        """
        work, at, n = self._work, self._at, flat.numel()
        work[at.BITS] = work[at.OUT] = flat.data_ptr()
        if out is not None:
            work[at.OUT] = out.data_ptr()
        work[at.SIZE], work[at.SPAN], work[at.BAD] = n, chunk, 0
        work[at.NUMBER], work[at.NEXT], work[at.END] = crew.functions
        crew.run(self._kernel.address, work.ctypes.data, threads, -(-n // chunk))
        return not work[at.BAD]


@functools.cache
def _found() -> Team | None:
    if not have_numba():
        return None
    libraries = sorted((Path(torch.__file__).parent / "lib").glob("libgomp*.so*"))
    try:
        return Team(libraries[0]) if len(libraries) == 1 else None
    except (OSError, AttributeError, RuntimeError):  # not to be loaded, or without the function
        return None


def team() -> Team | None:
    """The threads that torch's operations run in; None where they cannot be entered."""
    return None if _forked else _found()
