"""Pruning at one threshold, with counts."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from thermo_utils.counting.counter import Counter
from thermo_utils.counting.layouts import rounded
from thermo_utils.counting.settings import Settings
from thermo_utils.errors import ThermoError

__all__ = ["PruneCounts", "Summed"]


class PruneCounts(Counter):
    r"""Prune tensors at one threshold and count what survives, in one pass over memory.

    Implements :math:`a'_i = a_i \mathbf{1}_{\{|a_i| \ge \tau\}}` (Eq. 1 of "Modeling Pruning as a
    Phase Transition", CMC 2026, 86(3), 99). The counts and sums are those of an
    :class:`~thermo_utils.counting.spectrum.ActivationSpectrum` at the same threshold, to the bit.

    Parameters
    ----------
    tau : float
        Zero or more, finite; rounded to the type of the activations, as torch does in ``x >= tau``.
    inclusive, count_zeros, kernel, threads
        As for :class:`~thermo_utils.counting.spectrum.ActivationSpectrum`.
    totals : bool, default True
        Whether to count what does not survive as well. Without, pruning is about three times
        faster on a CPU, and `total`, `total_abs_sum` and `zeros` are refused.

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
        super().__init__(Settings(np.array([tau], dtype=np.float64), **options))

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

    @property
    def tau(self) -> float:
        """The threshold as given."""
        return float(self.settings.taus[0])

    @property
    def active(self) -> int:
        """``M``: nonzero activations that survived."""
        return int(self._totals().active[0])

    @property
    def abs_sum(self) -> float:
        """``Sigma``: sum of their absolute values, correctly rounded."""
        return rounded(self._totals().mass[0])


class Summed:
    """What several counts of pruning have seen together, whatever their thresholds.

    Parameters
    ----------
    parts : iterable of PruneCounts

    Attributes
    ----------
    active, total : int
    abs_sum, total_abs_sum : float
        Exact and correctly rounded, as those of one.

    Examples
    --------
    >>> parts = PruneCounts(0.5), PruneCounts(1.0)
    >>> for counts in parts:
    ...     counts.update(torch.tensor([0.75]))
    >>> Summed(parts).active, Summed(parts).total
    (1, 2)
    """

    def __init__(self, parts: Iterable[PruneCounts]) -> None:
        self._parts = list(parts)

    @property
    def active(self) -> int:
        return sum(part.active for part in self._parts)

    @property
    def total(self) -> int:
        return sum(part.total for part in self._parts)

    @property
    def abs_sum(self) -> float:
        return rounded(sum(part._totals().mass[0] for part in self._parts))

    @property
    def total_abs_sum(self) -> float:
        return rounded(sum(part._all_counted().total_mass for part in self._parts))
