"""The training and the curves of a record as small tables: every so many rows, sensible digits."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd

from companion.pages.shown import Shown, decimals, fraction, percent, shown, significant
from companion.pages.tables import counted
from companion.runs.methods import METHODS
from companion.runs.records import CURVES, Record

__all__ = ["MOST", "curve_table", "history_table"]

#: Rows of a table, those that must be there aside.
MOST = 10


def history_table(record: Record) -> Shown:
    """The epochs of a training.

    Parameters
    ----------
    record : Record

    Returns
    -------
    Shown
        Index ``epoch``; columns ``training loss``, ``validation loss``, ``validation accuracy``,
        ``weights``: where they were kept. Of long trainings not every epoch, but always the first,
        the last and the one that was kept.
    """
    history = pd.DataFrame(record.result["history"])
    kept = [int(i) for i in np.flatnonzero(history["best"])]
    at = _some(len(history), kept)
    rows = [
        (
            str(epoch["epoch"]),
            decimals(epoch["train_loss"], 3),
            decimals(epoch["validation_loss"], 3),
            percent(epoch["validation_accuracy"]),
            "kept" if epoch["best"] else "",
        )
        for epoch in history.iloc[at].to_dict("records")
    ]
    head = ["epoch", "training loss", "validation loss", "validation accuracy", "weights"]
    caption = f"{len(at)} of {counted(len(history), 'epoch')}" if len(at) < len(history) else ""
    return shown(head, rows, caption)


def curve_table(record: Record, method: str) -> Shown:
    """A curve: threshold, sparsity, free energy, slope and, under full evaluation, accuracy.

    Parameters
    ----------
    record : Record
    method : {"full", "renormalized"}
        Which.

    Returns
    -------
    Shown
        Index ``τ``; columns ``β``, ``F``, ``dF/dτ``, for FE ``accuracy``, and ``threshold``: which
        of the record's thresholds stand in this row. About ten rows where something is left, the
        thresholds among them, and the last.

    Raises
    ------
    ThermoError
        If the record holds no such curve.
    """
    curve = record.curve(method)
    marks = _marks(record, method, curve["tau"])
    # Beyond the largest activations there is nothing to see but that there is nothing.
    left = int(curve["free_energy"].notna().sum())
    at = _some(left, {*marks, len(curve) - 1})
    pruned = method == "full"
    rows = [
        (
            significant(point["tau"], 4),
            fraction(point["beta"]),
            "undefined" if np.isnan(point["free_energy"]) else decimals(point["free_energy"], 3),
            significant(point["dF_dtau"], 3),
            *([percent(point["accuracy"])] if pruned else []),
            marks.get(i, ""),
        )
        for i, point in zip(at, curve.iloc[at].to_dict("records"), strict=True)
    ]
    head = ["τ", "β", "F", "dF/dτ", *(["accuracy"] if pruned else []), "threshold"]
    caption = f"{len(at)} of {counted(len(curve), 'threshold')}; all of them are in {CURVES}"
    return shown(head, rows, caption if len(at) < len(curve) else "")


def _marks(record: Record, method: str, tau: pd.Series) -> dict[int, str]:
    """The rows in which the thresholds stand that were found on a curve."""
    found: dict[int, str] = {}
    for name in (method, "accuracy") if method == "full" else (method,):
        mark = record.result["thresholds"][name]
        if mark is None:
            continue
        near = int((tau - mark["tau"]).abs().to_numpy().argmin())
        text = "accuracy" if name == "accuracy" else f"{mark['kind']}, {METHODS[name].short}"
        found[near] = f"{found[near]}; {text}" if near in found else text
    return found


def _some(count: int, needed: Collection[int]) -> list[int]:
    """Positions spread evenly from the first to the last, and those that are needed."""
    even = np.linspace(0, count - 1, min(count, MOST)).round().astype(int)
    return sorted({*even.tolist(), *needed})
