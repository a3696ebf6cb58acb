"""What the claims look at in a record: its curves as arrays, and the thresholds found on them.

A placebo is the same record with other thresholds put in the place of those that the free energy
gave (:mod:`companion.paper.placebo`), so nothing here remembers where a threshold came from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from companion.runs.methods import CURVES, METHODS
from companion.runs.records import Record
from thermo_utils.grids import grid_step

__all__ = ["Curve", "Floats", "Mark", "Observed", "observed"]

Floats = NDArray[np.float64]


class Mark(NamedTuple):
    """A threshold on a curve: its place, and the kind of feature there."""

    tau: float
    beta: float
    kind: str


class Curve(NamedTuple):
    """Columns of a curve, each of shape ``(thresholds,)``; the accuracy of RFE is ``nan``."""

    tau: Floats
    beta: Floats
    accuracy: Floats
    free_energy: Floats
    slope: Floats
    entropy: Floats
    active: Floats
    abs_sum: Floats


@dataclass(frozen=True)
class Observed:
    """A record as the measures see it.

    Attributes
    ----------
    full, fast : Curve
        FE and RFE.
    plateau : float
        Test accuracy of the unpruned network.
    step : float
        Distance of neighbouring thresholds of FE.
    marks : mapping of str to Mark or None
        The threshold of each way to find one, ``accuracy``, ``full`` and ``renormalized``.
    features : tuple of Mark
        All features of FE, the earliest first.
    ratio : float
        Time of FE over time of RFE.
    """

    full: Curve
    fast: Curve
    plateau: float
    step: float
    marks: Mapping[str, Mark | None]
    features: tuple[Mark, ...]
    ratio: float

    def at(self, full: int, fast: int) -> Observed:
        """The same, with thresholds of FE in the place of those that the free energy gave.

        Parameters
        ----------
        full, fast : int
            Which points of the FE curve stand for the threshold of FE and for that of RFE. The
            sparsity of the second is that of the RFE curve there.

        Returns
        -------
        Observed
        """
        tau = self.full.tau
        beta = float(np.interp(tau[fast], self.fast.tau, self.fast.beta))
        placed = {
            "full": Mark(float(tau[full]), float(self.full.beta[full]), "peak"),
            "renormalized": Mark(float(tau[fast]), beta, "peak"),
        }
        return replace(self, marks={**self.marks, **placed})


def observed(record: Record) -> Observed:
    """What the claims look at in a record.

    Parameters
    ----------
    record : Record
        A chapter's.

    Returns
    -------
    Observed
    """
    result = record.result
    curves = {method: record.curve(method) for method in CURVES}
    return Observed(
        full=_curve(curves["full"]),
        fast=_curve(curves["renormalized"]),
        plateau=float(result["metrics"]["test_accuracy"]),
        step=grid_step(curves["full"]),
        marks={
            method: None if found is None else _mark(found)
            for method in METHODS
            for found in [result["thresholds"][method]]
        },
        features=tuple(_mark(f) for f in result["features"] if f["method"] == "full"),
        ratio=float(result["timings"]["speedup"]),
    )


def _mark(found: Mapping[str, Any]) -> Mark:
    """A number that the record lacks was not finite."""
    beta = found["beta"]
    return Mark(float(found["tau"]), np.nan if beta is None else float(beta), str(found["kind"]))


def _curve(table: pd.DataFrame) -> Curve:
    def values(name: str) -> Floats:
        if name not in table:
            return np.full(len(table), np.nan)
        return table[name].to_numpy(np.float64)

    return Curve(
        values("tau"), values("beta"), values("accuracy"), values("free_energy"),
        values("dF_dtau"), values("entropy"), values("active"), values("abs_sum"),
    )  # fmt: skip
