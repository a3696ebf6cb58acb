"""Counts of several layers side by side, for curves and for fitting thresholds to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from thermo_utils.counting import ActivationSpectrum
from thermo_utils.errors import ThermoError
from thermo_utils.leaving_out import RANGE
from thermo_utils.thermodynamics import CURVE_COLUMNS, thermodynamic_curve

__all__ = ["FINE", "SHOWN", "LayerCounts", "curve_of"]

#: Thresholds at which every layer is counted whatever is shown, 128 to the octave, so that
#: thresholds per layer (:mod:`thermo_utils.allotment`) can be fitted to a sparsity; 2^-32 to 2^32.
FINE: NDArray[np.float64] = 2.0 ** (np.arange(-32 * 128, 32 * 128 + 1) / 128)
#: Those of them that a curve is shown at where no grid is given, 32 to the octave.
SHOWN = FINE[::4]

Places = NDArray[np.intp]


@dataclass(frozen=True)
class LayerCounts:
    """Counts and sums of L layers at K thresholds.

    Attributes
    ----------
    taus : ndarray of float64, shape (K,)
        The thresholds.
    active : ndarray of int64, shape (L, K)
        ``M`` of each layer.
    abs_sum : ndarray of float64, shape (L, K)
        ``Sigma`` of each.
    total, total_abs_sum : ndarray, shape (L,)
        ``N`` and ``Sigma_0`` of each.
    """

    taus: NDArray[np.float64]
    active: NDArray[np.int64]
    abs_sum: NDArray[np.float64]
    total: NDArray[np.int64]
    total_abs_sum: NDArray[np.float64]

    @classmethod
    def of(cls, spectra: Mapping[str, ActivationSpectrum]) -> LayerCounts:
        """Read off what spectra with the same thresholds have counted.

        Parameters
        ----------
        spectra : mapping of str to ActivationSpectrum
            At least one.

        Returns
        -------
        LayerCounts

        Raises
        ------
        ThermoError
            If one of them has seen NaN or infinity; the message names the layer.
        """
        for name, spectrum in spectra.items():
            try:
                _ = spectrum.active
            except ThermoError as error:  # on a GPU, NaN comes to light here
                raise type(error)(f"layer {name!r}: {error}") from error
        each = list(spectra.values())
        return cls(
            each[0].taus,
            np.stack([spectrum.active for spectrum in each]),
            np.stack([spectrum.abs_sum for spectrum in each]),
            np.array([spectrum.total for spectrum in each]),
            np.array([spectrum.total_abs_sum for spectrum in each]),
        )

    def curve(self, row: int, at: Places) -> pd.DataFrame:
        """Curve of a layer at some of the thresholds, given by their places."""
        return curve_of(
            self.taus[at],
            self.active[row, at],
            self.abs_sum[row, at],
            int(self.total[row]),
            float(self.total_abs_sum[row]),
        )

    def curve_without(self, row: int, at: Places) -> pd.DataFrame:
        """The same of all layers but one. Adding up the others loses nothing to cancellation."""
        others = np.arange(len(self.total)) != row
        return curve_of(
            self.taus[at],
            self.active[others][:, at].sum(axis=0),
            self.abs_sum[others][:, at].sum(axis=0),
            int(self.total[others].sum()),
            float(self.total_abs_sum[others].sum()),
        )

    def where_it_matters(self) -> NDArray[np.float64]:
        """Thresholds of `SHOWN` from the first to the last that matter to some layer.

        Raises
        ------
        ThermoError
            If all activations lie beyond them.
        """
        alive = self.total > 0
        beta = 1 - self.active[alive] / self.total[alive, None]
        begun = np.flatnonzero((beta >= RANGE[0]).any(axis=0))
        left = np.flatnonzero((beta <= RANGE[1]).any(axis=0))
        if not (begun.size and left.size):
            scale = self.total_abs_sum.sum() / self.total.sum()
            raise ThermoError(
                f"activations have a mean of {scale:.3g}, outside of the thresholds tried by "
                f"default, {SHOWN[0]:.3g} to {SHOWN[-1]:.3g}: give taus"
            )
        # Where all activations are alike, sparsity leaps over the range: left comes before begun.
        ends = np.searchsorted(SHOWN, self.taus[[begun[0], left[-1]]])
        return SHOWN[max(ends.min() - 1, 0) : ends.max() + 2]


def curve_of(
    taus: NDArray[np.float64],
    active: NDArray[np.int64],
    abs_sum: NDArray[np.float64],
    total: int,
    total_abs_sum: float,
) -> pd.DataFrame:
    """A curve, or one of undefined values where all activations are zero.

    Parameters
    ----------
    taus, active, abs_sum, total, total_abs_sum
        As for :func:`thermo_utils.thermodynamic_curve`.

    Returns
    -------
    DataFrame, K rows
    """
    if total_abs_sum > 0:
        return thermodynamic_curve(taus, active, abs_sum, total, total_abs_sum)
    table = pd.DataFrame(np.nan, index=range(len(taus)), columns=list(CURVE_COLUMNS))
    return table.assign(tau=taus, active=active, abs_sum=abs_sum)
