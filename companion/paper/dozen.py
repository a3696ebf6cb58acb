"""What a dozen passes would have found, on the full evaluations of the records.

The thresholds that :mod:`thermo_utils.guided` chooses are looked up in the curves, and so are as
many evenly spaced ones, for comparison: these, too, are completed by the renormalized curve.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from companion.runs.records import Record
from thermo_utils.accuracy import accuracy_threshold
from thermo_utils.curves import Threshold
from thermo_utils.grids import grid_step
from thermo_utils.guided import PASSES, account, guide
from thermo_utils.transitions import critical_threshold

__all__ = ["Agreement", "agreement"]


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
    found = account(few, rfe, chosen)
    step = grid_step(full)
    return Agreement(
        _near(found["tau_star"], critical_threshold(full), step),
        _near(found["accuracy_threshold"], accuracy_threshold(full), step),
        len(chosen) + 1,
        len(full),
    )


def _near(found: float | None, whole: Threshold | None, step: float) -> bool:
    if found is None or whole is None:
        return found is whole
    return abs(found - whole.tau) <= step * (1 + 1e-9)
