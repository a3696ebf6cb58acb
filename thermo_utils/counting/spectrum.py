"""The activation spectrum: everything the renormalized free energy needs, in one pass.

The renormalized free energy (Section 3.7 of "Modeling Pruning as a Phase Transition", CMC 2026,
86(3), 99) evaluates the curve on the activations of the unpruned network. Storing them would take
gigabytes; sorting them would take longer than the network. :class:`ActivationSpectrum` reads each
tensor once, keeps a few KB, and is still exact at every threshold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thermo_utils.counting.counter import Counter
from thermo_utils.counting.layouts import rounded
from thermo_utils.counting.settings import Settings, check_taus
from thermo_utils.errors import ThermoError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ActivationSpectrum"]


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
    kernel : {"auto", "cuda", "numba", "torch", "triton"}
        ``"numba"`` counts on the CPU (tensors elsewhere are copied there), ``"cuda"`` and
        ``"triton"`` on a GPU, ``"torch"`` on the device of each tensor. ``"auto"`` takes numba for
        CPU tensors; for those on an NVIDIA GPU the CUDA kernel, which has no float64 and not
        thousands of thresholds, or else Triton; and torch where none can run. The results are
        identical.
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
    >>> import torch
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
        super().__init__(Settings(check_taus(taus), inclusive, count_zeros, kernel, threads))

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
        return self.settings.taus.copy()

    @property
    def active(self) -> NDArray[np.int64]:
        """``M(tau)``: activations that reach each threshold, shape (K,)."""
        return self._totals().active.copy()

    @property
    def abs_sum(self) -> NDArray[np.float64]:
        """``Sigma(tau)``: sums of their absolute values, each correctly rounded, shape (K,)."""
        return np.array([rounded(units) for units in self._totals().mass])
