"""Thresholds per layer that together make a network as sparse as asked for.

Sparsity is beta, as everywhere here: the share of the nonzero activations of the unpruned network
that lie below their threshold. What a ReLU has set to zero anyway is not counted as removed. ::

    spectra = layer_spectra(model, batches, nn.ReLU)
    allot(spectra, 0.5)                       # every layer loses half of its activations
    allot(spectra, 0.5, "equal share")        # every layer loses the same share of its sum of |a|
    allot(spectra, 0.5, "one threshold")      # the paper's one tau for all
    allot_greedily(model, batches[:4], spectra, 0.5)   # where it costs least, as in TEAL
    allot(spectra, 0.5).taus                  # {layer: tau}, for ActivationPruner and prune

All are tuned to the same overall sparsity by exact counts, so they can be compared:
:func:`thermo_utils.compare_allotments`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from thermo_utils.errors import ThermoError, unknown
from thermo_utils.layer_counts import LayerCounts
from thermo_utils.layerwise import LayerSpectra

__all__ = [
    "METHODS",
    "TOLERANCE",
    "Allotment",
    "Ladder",
    "allot",
    "check_beta",
    "out_of_reach",
]

#: Ways that need nothing but the spectrum.
METHODS = ("one threshold", "equal sparsity", "equal share")
#: The sparsity reached may differ this much from the one that was asked for.
TOLERANCE = 0.005


@dataclass(frozen=True, eq=False, repr=False)
class Allotment:
    """Thresholds per layer, and how sparse they make the unpruned spectrum.

    Attributes
    ----------
    method : str
        How they were chosen.
    taus : dict of str to float
        Threshold of each layer; 0 where nothing is removed. For
        :class:`thermo_utils.ActivationPruner` and :func:`thermo_utils.prune`.
    beta : float
        Sparsity of all layers together, exact for the activations behind the spectrum.
    table : DataFrame
        A row per layer: ``layer``, ``tau``, ``beta`` (of this layer alone), ``lost`` (share of its
        sum of ``|a|`` that is removed), ``removed`` (its share of all that is removed).
    steps : DataFrame
        For ``"greedy"`` the way there, a row per step: ``layer`` whose sparsity was raised,
        ``beta`` of all after it, ``error`` of the outputs, ``passes`` over the calibration batches
        so far, in units of all of them. Else empty.
    """

    method: str
    taus: dict[str, float]
    beta: float
    table: pd.DataFrame
    steps: pd.DataFrame

    def __repr__(self) -> str:
        taus = ", ".join(f"{name}: {tau:.4g}" for name, tau in self.taus.items())
        return f"Allotment({self.method}, beta={self.beta:.4g}, taus={{{taus}}})"


class Ladder:
    """The thresholds that each layer can be given, and what they remove, exactly.

    The first rung of every layer is 0, which removes nothing.

    Parameters
    ----------
    spectra : LayerSpectra
        As made by :func:`thermo_utils.layer_spectra`.

    Attributes
    ----------
    layers : list of str
        L names.
    taus : ndarray of float64, shape (K,)
        Thresholds of the rungs.
    removed : ndarray of int64, shape (L, K)
        Activations of each layer below each.
    lost : ndarray of float64, shape (L, K)
        Sum of their ``|a|``.
    total, total_abs_sum : ndarray, shape (L,)
        ``N`` and ``Sigma_0``.
    """

    def __init__(self, spectra: LayerSpectra) -> None:
        counts = LayerCounts.of(spectra.spectra)
        none = np.zeros((len(counts.total), 1), np.int64)
        self.layers = list(spectra.spectra)
        self.taus = np.concatenate([[0.0], counts.taus])
        self.removed = np.hstack([none, counts.total[:, None] - counts.active])
        lost = np.maximum(counts.total_abs_sum[:, None] - counts.abs_sum, 0)
        self.lost = np.hstack([none, lost])
        self.total, self.total_abs_sum = counts.total, counts.total_abs_sum

    def beta(self, rungs: NDArray[np.intp]) -> float:
        """Sparsity of all layers together with every layer on a rung of its own."""
        removed = self.removed[np.arange(len(self.layers)), rungs]
        return float(removed.sum() / self.total.sum())

    def allotment(
        self, method: str, rungs: NDArray[np.intp], steps: pd.DataFrame | None = None
    ) -> Allotment:
        """Every layer on a rung of its own, with what that removes."""
        rows = np.arange(len(self.layers))
        removed, lost = self.removed[rows, rungs], self.lost[rows, rungs]
        taus = self.taus[rungs]
        table = pd.DataFrame(
            {
                "layer": self.layers,
                "tau": taus,
                "beta": _share(removed, self.total),
                "lost": _share(lost, self.total_abs_sum),
                "removed": removed / max(int(removed.sum()), 1),
            }
        )
        return Allotment(
            method,
            dict(zip(self.layers, taus.tolist(), strict=True)),
            self.beta(rungs),
            table,
            pd.DataFrame(columns=["layer", "beta", "error", "passes"]) if steps is None else steps,
        )


def allot(
    spectra: LayerSpectra,
    beta: float,
    method: str = "equal sparsity",
    *,
    tolerance: float = TOLERANCE,
) -> Allotment:
    """Thresholds per layer for a sparsity of all layers together, from the spectrum alone.

    Parameters
    ----------
    spectra : LayerSpectra
        As made by :func:`thermo_utils.layer_spectra`.
    beta : float
        Sparsity of all layers together, between 0 and 1.
    method : {"equal sparsity", "equal share", "one threshold"}
        Every layer loses the same share of its activations; the same share of its sum of ``|a|``;
        or all have the same threshold.
    tolerance : float, default `TOLERANCE`, 0.005
        How far the sparsity may lie from `beta`. Thresholds are taken from the grid on which the
        spectra were counted, 128 to the octave and more, where sparsities are exact.

    Returns
    -------
    Allotment

    Raises
    ------
    ThermoError
        If `beta` is not between 0 and 1, the method is unknown, or no such thresholds come as near
        as `tolerance`, because many activations are of the same size: the message says what is
        within reach.

    Examples
    --------
    >>> import torch
    >>> from thermo_utils import layer_spectra
    >>> net = torch.nn.Sequential(torch.nn.Identity(), torch.nn.Tanh())
    >>> data = [torch.linspace(0.01, 2, 200)]
    >>> spectra = layer_spectra(net, data, ["0", "1"], progress=False)
    >>> {name: round(tau, 2) for name, tau in allot(spectra, 0.5).taus.items()}
    {'0': 1.01, '1': 0.76}
    """
    check_beta(beta)
    if method not in METHODS:
        raise unknown("method", method, METHODS)
    ladder = Ladder(spectra)
    if method == "one threshold":
        level = np.broadcast_to(ladder.taus, ladder.removed.shape)
    elif method == "equal sparsity":
        level = _share(ladder.removed, ladder.total[:, None])
    else:
        # Sums that are rounded apart may go down by a last digit.
        level = np.maximum.accumulate(_share(ladder.lost, ladder.total_abs_sum[:, None]), axis=1)
    levels = np.unique(level)
    low, high = 0, len(levels) - 1  # the first is 0, where nothing is removed
    while high - low > 1:
        middle = (low + high) // 2
        below = ladder.beta(_rungs(level, levels[middle])) <= beta
        low, high = (middle, high) if below else (low, middle)
    ends = [_rungs(level, levels[place]) for place in (low, high)]
    reached = [ladder.beta(rungs) for rungs in ends]
    best = int(np.argmin([abs(found - beta) for found in reached]))
    if abs(reached[best] - beta) > tolerance:
        raise out_of_reach(method, beta, reached, tolerance)
    return ladder.allotment(method, ends[best])


def check_beta(beta: float) -> None:
    """Refuse a sparsity that is none."""
    if not 0 < beta < 1:
        raise ThermoError(f"beta must be between 0 and 1 (a share, not percent), got {beta}")


def out_of_reach(method: str, beta: float, reached: list[float], tolerance: float) -> ThermoError:
    """The error of a sparsity that no thresholds make."""
    near = " and ".join(f"{found:.4g}" for found in dict.fromkeys(reached))
    return ThermoError(
        f"{method} does not reach a sparsity of {beta:g} to {tolerance:g}: the nearest that it "
        f"does is {near}; ask for that, or allow a larger tolerance"
    )


def _rungs(level: NDArray[np.float64], at: float) -> NDArray[np.intp]:
    """Of each layer the last rung up to a level, and of several with as much the lowest."""
    rungs = []
    for row in level:
        reached = row[np.searchsorted(row, at, side="right") - 1]
        rungs.append(np.searchsorted(row, reached, side="left"))
    return np.array(rungs)


def _share(part: NDArray, whole: NDArray) -> NDArray[np.float64]:
    """A part of a whole; nothing of nothing is nothing."""
    return np.where(whole > 0, part / np.maximum(whole, np.finfo(np.float64).tiny), 0.0)
