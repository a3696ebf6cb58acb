"""Counters: exact counts and sums of activations above thresholds, whatever the kernel.

The integers behind them are explained in :mod:`thermo_utils.counting.layouts`. Four kernels fill
them with the same result to the bit: numba's on a CPU, CUDA's and Triton's on a GPU, and plain
torch operations where none of them can run.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import numpy as np
import torch

from thermo_utils.counting.bins import Bins
from thermo_utils.counting.layouts import FORMATS, Ints, rounded
from thermo_utils.counting.memory import empty_like, flatten
from thermo_utils.counting.settings import Settings
from thermo_utils.errors import NotFiniteError, ThermoError

__all__ = ["Counter"]


class Totals(NamedTuple):
    """What an accumulator has seen, exactly; masses in units of 2**-1074."""

    active: Ints  # (K,)
    mass: list[int]
    total: int
    total_mass: int
    zeros: int


class Counter:
    """What the spectrum and the counts of pruning share: bins per type and device, and their sums.

    Parameters
    ----------
    settings : Settings
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        # By type and device of the tensors, which need not be where they are counted.
        self._bins: dict[tuple[torch.dtype, torch.device], Bins] = {}
        self._known: Totals | None = None

    def update(self, tensor: torch.Tensor) -> None:
        """Count the activations of a tensor.

        Parameters
        ----------
        tensor : Tensor
            float16, bfloat16, float32 or float64; any shape, empty too. Dense tensors, in any
            memory format, are read in place; others are copied. On a GPU nothing waits for the
            device.

        Raises
        ------
        ThermoError
            For other types. On a CPU also if an activation is NaN or infinite; nothing of the
            tensor is counted then. On a GPU, whoever reads a result is told instead.
        """
        self._add(tensor, prune=False)

    def _add(self, tensor: torch.Tensor, prune: bool) -> torch.Tensor | None:
        """Count a tensor; with `prune`, return the pruned one."""
        known = isinstance(tensor, torch.Tensor) and tensor.layout == torch.strided
        bins = self._bins.get((tensor.dtype, tensor.device)) if known else None
        if bins is None:
            bins = self._open(tensor)
        x = tensor.detach().resolve_neg()
        if x.device != bins.device:
            x = x.to(bins.device)
        flat = flatten(x)
        if flat is None:  # gaps or overlaps: one copy, without them
            x = x.clone()
            flat = flatten(x)
            assert flat is not None
        out = empty_like(x) if prune else None
        self._known = None
        if x.numel() and not bins.add(flat, None if out is None else flatten(out)):
            nan = int(flat.isnan().sum())
            raise _not_finite(nan, int(flat.isinf().sum()), "nothing of this tensor was counted")
        return None if out is None else out.to(tensor.device)

    def _open(self, tensor: torch.Tensor) -> Bins:
        """Bins for the first tensor of a type on a device, if it can be counted at all."""
        if not isinstance(tensor, torch.Tensor):
            raise ThermoError(f"activations must be a torch.Tensor, got {type(tensor).__name__}")
        if tensor.dtype not in FORMATS or tensor.layout != torch.strided:
            raise ThermoError(
                f"cannot count {tensor.layout} activations of {tensor.dtype}: they must be dense "
                "and float16, bfloat16, float32 or float64 (convert with .to_dense() or .float())"
            )
        return self._get(tensor.dtype, tensor.device)

    def _get(self, dtype: torch.dtype, device: torch.device) -> Bins:
        if (dtype, device) not in self._bins:
            self._bins[dtype, device] = self.settings.bins(dtype, device)
        return self._bins[dtype, device]

    def _totals(self) -> Totals:
        if self._known is None:
            size = len(self.settings.taus) + 1
            active, mass = np.zeros(size, np.int64), [0] * size
            zeros = 0
            for bins in self._bins.values():
                counts, sums = bins.on_host()
                if counts[-2:].any():
                    raise _not_finite(int(counts[-1]), int(counts[-2]), "reset() and start again")
                here, here_mass = bins.layout.exact(counts, sums)
                active += here
                mass = [a + b for a, b in zip(mass, here_mass, strict=True)]
                zeros += int(counts[0])
            total = int(active[-1]) + (zeros if self.settings.count_zeros else 0)
            self._known = Totals(active[:-1], mass[:-1], total, mass[-1], zeros)
        return self._known

    def _all_counted(self) -> Totals:
        if not self.settings.totals:
            raise ThermoError("made with totals=False: only what survived pruning was counted")
        return self._totals()

    @property
    def total(self) -> int:
        """``N``: nonzero activations seen; with `count_zeros` all."""
        return self._all_counted().total

    @property
    def total_abs_sum(self) -> float:
        """``Sigma_0``: sum of their absolute values, correctly rounded."""
        return rounded(self._all_counted().total_mass)

    @property
    def zeros(self) -> int:
        """Activations seen that are exactly zero."""
        return self._all_counted().zeros

    @property
    def state_bytes(self) -> int:
        """Memory held in bytes: a few KB per type and device plus tables, whatever was seen."""
        return sum(bins.nbytes for bins in self._bins.values())

    def twin(self) -> Self:
        """Another accumulator with the same settings, which has seen nothing."""
        twin = object.__new__(type(self))
        Counter.__init__(twin, self.settings)
        return twin

    def reset(self) -> None:
        """Forget everything seen."""
        self._bins = {}
        self._known = None

    def merge(self, other: Self) -> Self:
        """Add what another accumulator saw, as if this one had seen it too.

        Parameters
        ----------
        other : same type
            With the same thresholds, `inclusive`, `count_zeros` and `totals`. Left as it is.

        Returns
        -------
        self

        Raises
        ------
        ThermoError
            If the two count different things, or a sum could overflow.
        """
        if type(self) is not type(other) or not self.settings.counts_the_same(other.settings):
            raise ThermoError(
                "can only merge accumulators of one type made with the same thresholds, inclusive, "
                "count_zeros and totals"
            )
        pairs = [(self._get(*key), bins) for key, bins in other._bins.items()]
        for own, bins in pairs:  # all of it or nothing
            own.check_room(bins.seen)
        for own, bins in pairs:
            own.include(*bins.fold(), bins.seen)
        self._known = None
        return self

    def __getstate__(self) -> dict[str, Any]:
        # Accumulators travel through the host: a copy made on a GPU machine loads anywhere.
        kept = [(dtype, *bins.on_host(), bins.seen) for (dtype, _), bins in self._bins.items()]
        return {**self.__dict__, "_bins": kept, "_known": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _bins={})
        for dtype, counts, sums, seen in state["_bins"]:
            bins = self._get(dtype, torch.device("cpu"))
            bins.include(torch.from_numpy(counts), torch.from_numpy(sums), seen)


def _not_finite(nan: int, inf: int, then: str) -> NotFiniteError:
    return NotFiniteError(
        f"{nan} NaN and {inf} infinite activations, {then}: find the layer that makes them (half "
        "precision that overflows is a frequent cause), or mask them before counting"
    )
