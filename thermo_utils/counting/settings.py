"""What is counted, and by which kernel: made and checked once, before the first tensor."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from thermo_utils.counting.bins import Bins, NumbaBins, TorchBins
from thermo_utils.counting.cpu import have_numba
from thermo_utils.counting.layouts import Layout, layout
from thermo_utils.errors import ThermoError

__all__ = ["Settings", "check_taus", "cuda_obstacle", "triton_obstacle"]

#: Names of the kernels, and the choice that takes the fastest for each tensor.
KERNELS = ("auto", "cuda", "numba", "torch", "triton")


def check_taus(taus: ArrayLike) -> NDArray[np.float64]:
    """Validate a grid of thresholds.

    Parameters
    ----------
    taus : array_like, shape (K,)
        Finite, positive, strictly increasing; K at least 1.

    Returns
    -------
    ndarray of float64, shape (K,)
        A copy.

    Raises
    ------
    ThermoError
        Naming the first offending value and what to do.

    Examples
    --------
    >>> check_taus([0.1, 0.2])
    array([0.1, 0.2])
    >>> check_taus([0.0, 0.1])
    Traceback (most recent call last):
    thermo_utils.errors.ThermoError: taus[0] = 0.0 must be positive: F is undefined at tau = 0, ...
    """
    if isinstance(taus, torch.Tensor):
        taus = taus.detach().cpu().numpy()
    try:
        grid = np.array(taus, dtype=np.float64)
    except (TypeError, ValueError):
        raise ThermoError(f"taus must be numbers, got {taus!r}") from None
    if grid.ndim != 1 or grid.size == 0:
        raise ThermoError(
            f"taus must be one-dimensional with at least one threshold, got shape {grid.shape}: "
            "pass a list such as [0.1, 0.2]"
        )
    for k in np.flatnonzero(~np.isfinite(grid))[:1]:
        raise ThermoError(f"taus[{k}] = {grid[k]} must be finite: drop it from the grid")
    for k in np.flatnonzero(grid <= 0)[:1]:
        raise ThermoError(
            f"taus[{k}] = {grid[k]} must be positive: F is undefined at tau = 0, and the totals at "
            "tau = 0 are kept without asking for it"
        )
    for k in np.flatnonzero(np.diff(grid) <= 0)[:1]:
        raise ThermoError(
            f"taus[{k + 1}] = {grid[k + 1]} must be larger than taus[{k}] = {grid[k]}: pass "
            "np.unique(taus), sorted and without repeats"
        )
    return grid


@functools.cache
def triton_obstacle(device_type: str) -> str | None:
    """Why the Triton kernels cannot run on a type of device, None if they can."""
    try:
        from thermo_utils.counting.gpu import obstacle
    except ImportError:
        return "the package triton is not installed"
    return obstacle(device_type)


def cuda_obstacle(device: torch.device, lay: Layout | None = None) -> str | None:
    """Why the CUDA kernel cannot run on a device, or not with this layout, None if it can."""
    try:
        from thermo_utils.counting import shared
    except ImportError:
        return "the package cuda-bindings is not installed"
    return shared.missing(device.type) if lay is None else shared.obstacle(lay, device)


@dataclass(frozen=True, eq=False)
class Settings:
    """Thresholds and options of an accumulator.

    Parameters
    ----------
    taus : ndarray of float64, shape (K,)
        Increasing.
    inclusive, count_zeros, kernel, threads
        As for :class:`~thermo_utils.counting.spectrum.ActivationSpectrum`.
    totals : bool, default True
        Whether ``N``, ``Sigma_0`` and zeros are counted too, or only what survives pruning.

    Raises
    ------
    ThermoError
        If an option is unknown, or the kernel cannot run here.
    """

    taus: NDArray[np.float64]
    inclusive: bool = True
    count_zeros: bool = False
    kernel: str = "auto"
    threads: int | None = None
    totals: bool = True

    def __post_init__(self) -> None:
        if self.kernel not in KERNELS:
            raise ThermoError(f"unknown kernel {self.kernel!r}: take one of {', '.join(KERNELS)}")
        if self.kernel == "numba" and not have_numba():
            raise ThermoError("kernel 'numba' needs the package numba: install it, or take 'auto'")
        if self.kernel == "triton" and all(triton_obstacle(device) for device in ("cuda", "cpu")):
            raise ThermoError(f"kernel 'triton' cannot run, {triton_obstacle('cuda')}: take 'auto'")
        if self.kernel == "cuda" and (said := cuda_obstacle(torch.device("cuda"))):
            raise ThermoError(f"kernel 'cuda' cannot run, {said}: take 'auto'")
        if self.threads is not None and self.threads < 1:
            raise ThermoError(f"threads must be 1 or more, or None for torch's, got {self.threads}")

    def counts_the_same(self, other: Settings) -> bool:
        """Whether counts under both may be added up."""
        return (
            np.array_equal(self.taus, other.taus)
            and self.inclusive == other.inclusive
            and self.count_zeros == other.count_zeros
            and self.totals == other.totals
        )

    def bins(self, dtype: torch.dtype, device: torch.device) -> Bins:
        """Empty bins, with their kernel, for tensors of a type on a device.

        Raises
        ------
        ThermoError
            If the kernel asked for does not count there.
        """
        if self.kernel == "triton" and (obstacle := triton_obstacle(device.type)):
            raise ThermoError(f"kernel 'triton' cannot count this tensor, {obstacle}: take 'auto'")
        if device.type not in ("cpu", "cuda", "xpu") or self.kernel == "numba":
            device = torch.device("cpu")
        lay = layout(dtype, self.taus.tobytes(), self.inclusive)
        if device.type == "cpu" and self.kernel in ("auto", "numba") and have_numba():
            return NumbaBins(lay, device, self.totals, self.threads)
        if self.kernel == "cuda" or (self.kernel == "auto" and device.type == "cuda"):
            said = cuda_obstacle(device, lay)
            if said is None:
                from thermo_utils.counting.shared import SharedBins

                return SharedBins(lay, device, self.totals)
            if self.kernel == "cuda":
                raise ThermoError(f"kernel 'cuda' cannot count this tensor, {said}: take 'auto'")
        wanted = ("auto", "triton") if device.type == "cuda" else ("triton",)
        if self.kernel in wanted and triton_obstacle(device.type) is None:
            from thermo_utils.counting.gpu import TritonBins

            return TritonBins(lay, device, self.totals)
        return TorchBins(lay, device, self.totals)
