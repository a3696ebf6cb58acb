"""A run as the predictors see it: its two curves, what the free energies mark, what it can lose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from companion.paper.readings import from_zero, highest
from companion.runs.methods import CURVES, METHODS
from companion.runs.records import Record

__all__ = ["HIGHEST", "THEORY", "Run", "loss_at", "runs"]

#: The paper's predictors: first feature of F under full evaluation, and of the renormalized F.
THEORY: Final = tuple(METHODS[method].short for method in CURVES)
#: The highest points of the same curves, which need no detector.
HIGHEST: Final = tuple(f"{name} top" for name in THEORY)


class Run(NamedTuple):
    """A record as the predictors see it.

    Attributes
    ----------
    chapter : str
        Name.
    seed : int
        Seed of the run.
    marks : mapping of str to float or None
        Thresholds by names of `THEORY` and `HIGHEST`; the first features are those of the record.
    lift : float
        What the networks of the chapter know: accuracy over that of always naming the most frequent
        class, the mean over its seeds.
    full, fast : DataFrame
        The full evaluation and the renormalized curve.
    """

    chapter: str
    seed: int
    marks: Mapping[str, float | None]
    lift: float
    full: pd.DataFrame
    fast: pd.DataFrame


def runs(chapters: Mapping[str, Sequence[Record]]) -> list[Run]:
    """Records as the predictors see them.

    Parameters
    ----------
    chapters : mapping of str to sequence of Record
        Records by name of chapter, one per seed.

    Returns
    -------
    list of Run
        In the same order.
    """
    found = []
    for name, records in chapters.items():
        full = [record.curve("full") for record in records]
        over = [
            curve.attrs["baseline_accuracy"] - float(record.result["data"]["most_frequent"])
            for curve, record in zip(full, records, strict=True)
        ]
        for curve, record in zip(full, records, strict=True):
            curves = {"full": curve, "renormalized": record.curve("renormalized")}
            first = record.result["thresholds"]
            marks = {
                short: None if first[method] is None else float(first[method]["tau"])
                for short, method in zip(THEORY, CURVES, strict=True)
            }
            marks |= {
                short: highest(curves[method])
                for short, method in zip(HIGHEST, CURVES, strict=True)
            }
            seed = int(record.result["seed"])
            found.append(Run(name, seed, marks, float(np.mean(over)), *curves.values()))
    return found


def loss_at(full: pd.DataFrame, tau: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Accuracy that pruning at thresholds costs.

    Parameters
    ----------
    full : DataFrame
        A full evaluation, with ``attrs["baseline_accuracy"]``.
    tau : float or ndarray of float64, shape (K,)
        Not negative.

    Returns
    -------
    ndarray of float64, shape () or (K,)
        Interpolated linearly between the points of the grid, with nothing lost at zero; beyond the
        end of the grid, what is lost there. nan where `tau` is.

    Examples
    --------
    >>> curve = pd.DataFrame({"tau": [1.0, 2.0], "accuracy": [0.9, 0.7]})
    >>> curve.attrs["baseline_accuracy"] = 0.9
    >>> loss_at(curve, np.array([1.5, 3.0])).round(3)
    array([0.1, 0.2])
    """
    baseline = float(full.attrs["baseline_accuracy"])
    return np.asarray(baseline - np.interp(tau, *from_zero(full, "accuracy", baseline)))
