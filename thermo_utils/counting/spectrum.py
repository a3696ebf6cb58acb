"""The activation spectrum: everything the renormalized free energy needs, in one pass.

The renormalized free energy (Section 3.7 of "Modeling Pruning as a Phase Transition", CMC 2026,
86(3), 99) evaluates the curve on the activations of the unpruned network. Storing them would take
gigabytes; sorting them would take longer than the network. :class:`ActivationSpectrum` reads each
tensor once, keeps a few KB, and is still exact at every threshold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from thermo_utils.counting.counter import Counter
from thermo_utils.counting.layouts import rounded
from thermo_utils.errors import ThermoError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ActivationSpectrum", "check_taus"]


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


class ActivationSpectrum(Counter):
    """Exact counts and sums of activations above every threshold, in one pass and little memory.

    For each ``tau`` of a grid, over all tensors seen: ``M(tau)``, the number of activations with
    ``|a| >= tau``, and ``Sigma(tau)``, the sum of their ``|a|``; with ``N`` and ``Sigma_0`` for all
    nonzero activations. Counts are exact. Sums are exact too, rounded once to float64 at the end,
    so the result does not depend to the bit on batch split, order, thread count or device.

    Parameters
    ----------
    taus : array_like, shape (K,)
        Thresholds; finite, positive, strictly increasing. Their number hardly costs time. Each is
        rounded to the type of the activations before comparing, as torch does in ``x >= tau``: a
        float16 activation that is the float16 nearest to ``tau`` reaches it.
    inclusive : bool, default True
        Whether ``|a| == tau`` reaches ``tau`` (Eq. 1 of the paper: it does).
    count_zeros : bool, default False
        Whether ``N`` counts exact zeros too. Section 3.2 of the paper calls N "the total number of
        activations before pruning", but M the "number of nonzero activations"; only N without
        zeros agrees with the sparsities of its Table 1. See `zeros` for their number.
    kernel : {"auto", "numba", "torch", "triton"}
        ``"numba"`` counts on the CPU (tensors elsewhere are copied there), ``"triton"`` on a GPU,
        ``"torch"`` on the device of each tensor. ``"auto"`` takes numba for CPU tensors, Triton for
        those on a GPU, and torch where these are not installed. The results are identical.
    threads : int, optional
        CPU threads for tensors of 256k elements and more; `torch.get_num_threads` by default.

    Raises
    ------
    ThermoError
        If `taus` is not such a grid, or an option is unknown, or the kernel cannot run here.

    Notes
    -----
    Tensors of different types and devices may be mixed. float16 and bfloat16 count by value.

    There is no lock: feed one spectrum from one thread at a time. For several threads or processes,
    give each its own and :meth:`merge` them; the order does not matter. Pickle and deepcopy work.

    Examples
    --------
    >>> spectrum = ActivationSpectrum([0.5, 1.0])
    >>> spectrum.update(torch.tensor([[0.0, 0.25], [-0.5, 2.0]]))
    >>> spectrum.update(torch.tensor([1.0], dtype=torch.float16))
    >>> spectrum.active, spectrum.abs_sum
    (array([3, 2]), array([3.5, 3. ]))
    >>> spectrum.total, spectrum.total_abs_sum, spectrum.zeros
    (4, 3.75, 1)
    >>> spectrum.compute()[["tau", "rho"]]
       tau   rho
    0  0.5  0.75
    1  1.0  0.50
    """

    def __init__(
        self,
        taus: ArrayLike,
        *,
        inclusive: bool = True,
        count_zeros: bool = False,
        kernel: str = "auto",
        threads: int | None = None,
    ) -> None:
        super().__init__(
            check_taus(taus),
            inclusive=inclusive,
            count_zeros=count_zeros,
            kernel=kernel,
            threads=threads,
        )

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
            For other types. On a CPU also if an activation is NaN or infinite; the spectrum is then
            as it was before. On a GPU :meth:`compute` raises that instead.
        """
        self._add(tensor, prune=False)

    def compute(self) -> pd.DataFrame:
        """Thermodynamic curve of everything seen so far.

        Returns
        -------
        DataFrame, K rows
            As made by :func:`~thermo_utils.thermodynamics.thermodynamic_curve`.

        Raises
        ------
        ThermoError
            If nothing, only zeros, or anything NaN or infinite was seen.
        """
        from thermo_utils.thermodynamics import thermodynamic_curve

        if self._totals().total_mass == 0:
            if self.zeros == 0:
                raise ThermoError("no activations seen, call update first")
            raise ThermoError(
                f"all {self.zeros} activations seen are zero, so no curve is defined: check the "
                "input and which layers are hooked"
            )
        return thermodynamic_curve(
            self.taus, self.active, self.abs_sum, self.total, self.total_abs_sum
        )

    @property
    def taus(self) -> NDArray[np.float64]:
        """The thresholds as given, shape (K,)."""
        return self._taus.copy()

    @property
    def active(self) -> NDArray[np.int64]:
        """``M(tau)``: activations that reach each threshold, shape (K,)."""
        return self._totals().active.copy()

    @property
    def abs_sum(self) -> NDArray[np.float64]:
        """``Sigma(tau)``: sums of their absolute values, each correctly rounded, shape (K,)."""
        return np.array([rounded(units) for units in self._totals().mass])
