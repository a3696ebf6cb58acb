"""What a dozen passes would have found, on the full evaluations of the records.

The thresholds that :mod:`thermo_utils.guided` chooses are looked up in the curves, and so are as
many evenly spaced ones, for comparison: these, too, are completed by the renormalized curve.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from companion.runs.records import Record
from thermo_utils.accuracy import accuracy_threshold
from thermo_utils.grids import grid_step
from thermo_utils.guided import PASSES, account, guide
from thermo_utils.transitions import critical_threshold

__all__ = ["Agreement", "Thresholds", "agreement", "whole_thresholds", "within_step"]


class Agreement(NamedTuple):
    """Whether few thresholds of a grid give what all of them do, within one of its steps.

    Attributes
    ----------
    tau_star, accuracy : bool
        Of the critical threshold, and of that of the accuracy.
    passes : int
        Over the data, the unpruned one included.
    thresholds : int
        Of the whole grid.
    """

    tau_star: bool
    accuracy: bool
    passes: int
    thresholds: int


class Thresholds(NamedTuple):
    """What a full evaluation comes to.

    Attributes
    ----------
    tau_star : float or None
        The critical threshold, None without a feature.
    accuracy : float or None
        That of the accuracy, None where it never leaves its plateau.
    """

    tau_star: float | None
    accuracy: float | None


def whole_thresholds(full: pd.DataFrame) -> Thresholds:
    """What the whole grid says.

    Parameters
    ----------
    full : DataFrame
        A full evaluation of a record.

    Returns
    -------
    Thresholds
    """
    feature, left = critical_threshold(full), accuracy_threshold(full)
    return Thresholds(None if feature is None else feature.tau, None if left is None else left.tau)


def within_step(found: float | None, whole: float | None, step: float) -> bool:
    """Whether two thresholds agree: within one step of the whole grid, or in that there is none.

    Parameters
    ----------
    found, whole : float or None
        Of few thresholds and of all; None where there is none.
    step : float
        Of the whole grid, see :func:`thermo_utils.grids.grid_step`.

    Returns
    -------
    bool

    Examples
    --------
    >>> within_step(0.3, 0.2, 0.1), within_step(0.4, 0.2, 0.1), within_step(None, 0.2, 0.1)
    (True, False, False)
    """
    if found is None or whole is None:
        return found is whole
    return abs(found - whole) <= step * (1 + 1e-9)


def agreement(record: Record, *, even: bool = False) -> Agreement | None:
    """Replay a guided evaluation on the curves of a record.

    Parameters
    ----------
    record : Record
        Of a run.
    even : bool, default False
        Whether to take evenly spaced thresholds instead.

    Returns
    -------
    Agreement or None
        None where the renormalized curve lacks thresholds of the full evaluation.
    """
    full, fine = record.curve("full"), record.curve("renormalized")
    rfe = fine[fine["tau"].isin(full["tau"])].reset_index(drop=True)
    if len(rfe) < len(full):
        return None
    baseline = full.attrs["baseline_accuracy"]
    rows = full.assign(drop=baseline - full["accuracy"]).to_dict("records")
    seen = dict(zip(full["tau"], rows, strict=True))
    if even:
        places = np.linspace(0, len(full) - 1, min(PASSES - 1, len(full)))
        chosen = full["tau"][np.rint(places).astype(int)].tolist()
    else:
        chosen = list(guide(rfe, seen.__getitem__))
    few = full[full["tau"].isin(chosen)].reset_index(drop=True)
    few.attrs |= {"metric": {"name": "accuracy", "higher_is_better": True}, "baseline": baseline}
    found, whole = account(few, rfe, chosen), whole_thresholds(full)
    step = grid_step(full)
    return Agreement(
        within_step(found["tau_star"], whole.tau_star, step),
        within_step(found["accuracy_threshold"], whole.accuracy, step),
        len(chosen) + 1,
        len(full),
    )
