"""Counters: exact counts and sums of activations above thresholds, whatever the kernel.

The integers behind them are explained in :mod:`thermo_utils.counting.layouts`. Three kernels fill
them with the same result to the bit: numba's on a CPU, Triton's on a GPU, and plain torch
operations where neither can run.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray

from thermo_utils.counting.bins import Bins, NumbaBins, TorchBins
from thermo_utils.counting.cpu import have_numba
from thermo_utils.counting.layouts import FORMATS, Ints, layout, rounded
from thermo_utils.counting.memory import empty_like
from thermo_utils.errors import ThermoError

__all__ = ["Counter", "flatten", "triton_obstacle"]

#: Names of the kernels, and the choice that takes the fastest for each tensor.
KERNELS = ("auto", "numba", "torch", "triton")


@functools.cache
def triton_obstacle(device_type: str) -> str | None:
    """Why the Triton kernels cannot run on a type of device, None if they can."""
    try:
        from thermo_utils.counting.gpu import obstacle
    except ImportError:
        return "the package triton is not installed"
    return obstacle(device_type)


def flatten(tensor: torch.Tensor) -> torch.Tensor | None:
    """One-dimensional view of a dense tensor in the order of its memory, None if it has gaps."""
    if not tensor.is_contiguous():
        tensor = tensor.permute(sorted(range(tensor.dim()), key=tensor.stride, reverse=True))
    return tensor.view(-1) if tensor.is_contiguous() else None


class Totals(NamedTuple):
    """What an accumulator has seen, exactly; masses in units of 2**-1074."""

    active: Ints  # (K,)
    mass: list[int]
    total: int
    total_mass: int
    zeros: int


class Counter:
    """What the spectrum and the counts of pruning share: bins per type and device, and their sums.

    Parameters are those of :class:`~thermo_utils.counting.spectrum.ActivationSpectrum`, and:

    Parameters
    ----------
    totals : bool, default True
        Whether ``N``, ``Sigma_0`` and zeros are counted too, or only what survives pruning.
    """

    def __init__(
        self,
        taus: NDArray[np.float64],
        *,
        inclusive: bool = True,
        count_zeros: bool = False,
        kernel: str = "auto",
        threads: int | None = None,
        totals: bool = True,
    ) -> None:
        if kernel not in KERNELS:
            raise ThermoError(f"unknown kernel {kernel!r}: take one of {', '.join(KERNELS)}")
        if kernel == "numba" and not have_numba():
            raise ThermoError("kernel 'numba' needs the package numba: install it, or take 'auto'")
        if kernel == "triton" and all(triton_obstacle(device) for device in ("cuda", "cpu")):
            raise ThermoError(f"kernel 'triton' cannot run, {triton_obstacle('cuda')}: take 'auto'")
        if threads is not None and threads < 1:
            raise ThermoError(f"threads must be 1 or more, or None for torch's, got {threads}")
        self._taus = taus
        self.inclusive = bool(inclusive)
        self.count_zeros = bool(count_zeros)
        self.kernel = kernel
        self.threads = threads
        self.totals = bool(totals)
        self._bins: dict[tuple[torch.dtype, torch.device], Bins] = {}
        self._known: Totals | None = None

    def _get(self, dtype: torch.dtype, device: torch.device) -> Bins:
        if (dtype, device) not in self._bins:
            lay = layout(dtype, self._taus.tobytes(), self.inclusive)
            self._bins[dtype, device] = self._kind(device)(lay, device, self.totals)
        return self._bins[dtype, device]

    def _kind(self, device: torch.device) -> type[Bins]:
        """The kernel for tensors on a device."""
        if device.type == "cpu" and self.kernel in ("auto", "numba") and have_numba():
            return NumbaBins
        wanted = ("auto", "triton") if device.type == "cuda" else ("triton",)
        if self.kernel in wanted and triton_obstacle(device.type) is None:
            from thermo_utils.counting.gpu import TritonBins

            return TritonBins
        return TorchBins

    def _add(self, tensor: torch.Tensor, prune: bool) -> torch.Tensor | None:
        """Count a tensor; with `prune`, return the pruned one."""
        if not isinstance(tensor, torch.Tensor):
            raise ThermoError(f"activations must be a torch.Tensor, got {type(tensor).__name__}")
        if tensor.dtype not in FORMATS or tensor.layout != torch.strided:
            raise ThermoError(
                f"cannot count {tensor.layout} activations of {tensor.dtype}: they must be dense "
                "and float16, bfloat16, float32 or float64 (convert with .to_dense() or .float())"
            )
        if self.kernel == "triton" and (obstacle := triton_obstacle(tensor.device.type)):
            raise ThermoError(f"kernel 'triton' cannot count this tensor, {obstacle}: take 'auto'")
        x = tensor.detach().resolve_neg()
        if x.device.type not in ("cpu", "cuda", "xpu") or self.kernel == "numba":
            x = x.cpu()
        flat = flatten(x)
        if flat is None:  # gaps or overlaps: one copy, without them
            x = x.clone()
            flat = flatten(x)
            assert flat is not None
        out = pruned = None
        if prune:
            out = empty_like(x)
            pruned = flatten(out)
        self._known = None
        bins = self._get(x.dtype, x.device)
        threads = self.threads or torch.get_num_threads()
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
                counts, sums = bins.on_host()
                if counts[-2:].any():
                    raise _not_finite(int(counts[-1]), int(counts[-2]), "reset() and start again")
                here, here_mass = bins.layout.exact(counts, sums)
                active += here
                mass = [a + b for a, b in zip(mass, here_mass, strict=True)]
                zeros += int(counts[0])
            total = int(active[-1]) + (zeros if self.count_zeros else 0)
            self._known = Totals(active[:-1], mass[:-1], total, mass[-1], zeros)
        return self._known

    def _all_counted(self) -> Totals:
        if not self.totals:
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

    def reset(self) -> None:
        """Forget everything seen."""
        self._bins.clear()
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
            If the two count different things.
        """
        if self._identity() != other._identity():
            raise ThermoError(
                "can only merge accumulators of one type made with the same thresholds, inclusive, "
                "count_zeros and totals"
            )
        self._known = None
        for (dtype, device), bins in list(other._bins.items()):
            self._get(dtype, device).include(*bins.fold(), bins.seen)
        return self

    def _identity(self) -> tuple[object, ...]:
        """What must agree for two accumulators to be merged."""
        return type(self), self._taus.tolist(), self.inclusive, self.count_zeros, self.totals

    def __getstate__(self) -> dict[str, Any]:
        # Accumulators travel through the host: a copy made on a GPU machine loads anywhere.
        kept = [(dtype, *bins.on_host(), bins.seen) for (dtype, _), bins in self._bins.items()]
        return {**self.__dict__, "_bins": kept, "_known": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _bins={})
        for dtype, counts, sums, seen in state["_bins"]:
            bins = self._get(dtype, torch.device("cpu"))
            bins.include(torch.from_numpy(counts), torch.from_numpy(sums), seen)


def _not_finite(nan: int, inf: int, then: str) -> ThermoError:
    return ThermoError(
        f"{nan} NaN and {inf} infinite activations, {then}: find the layer that makes them (half "
        "precision that overflows is a frequent cause), or mask them before counting"
    )
