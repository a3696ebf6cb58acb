"""What the runs of a chapter say, read off their records once, for sentences about them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from companion.pages.escape import in_markdown
from companion.paper.runs import runs
from companion.paper.targets import read_targets
from companion.runs.records import Record
from thermo_utils.accuracy import drop_errors
from thermo_utils.grids import grid_step

__all__ = ["Cost", "Mark", "Seen", "read_runs"]


class Cost(NamedTuple):
    """Points of accuracy lost, and their standard error; nan where no examples were counted."""

    points: float
    error: float


class Mark(NamedTuple):
    """A first feature of F; the kind is text of Markdown, the sparsity nan where it is unknown."""

    tau: float
    beta: float
    kind: str


class Seen(NamedTuple):
    """What a run says.

    Attributes
    ----------
    seed : int
    accuracy, usual : float
        Test accuracy, and that of always naming the most frequent class.
    drop : tuple of float or None
        Threshold and sparsity at which the accuracy gives way.
    reason : str
        Why that is not said, of :data:`companion.paper.targets.REASONS`; empty where it is.
    full, fast : Mark or None
        First features of FE and RFE.
    match : bool
        Whether the two match.
    step : float
        Distance of neighbouring thresholds of FE.
    grid : tuple of float
        First and last threshold of FE, and the sparsity at the last.
    cost : Cost or None
        What pruning at the first feature of FE costs.
    """

    seed: int
    accuracy: float
    usual: float
    drop: tuple[float, float] | None
    reason: str
    full: Mark | None
    fast: Mark | None
    match: bool
    step: float
    grid: tuple[float, float, float]
    cost: Cost | None


def read_runs(name: str, records: Sequence[Record]) -> list[Seen]:
    """What the runs of a chapter say.

    Parameters
    ----------
    name : str
        The chapter's.
    records : sequence of Record
        Its runs of the same settings, by seed.

    Returns
    -------
    list of Seen
        In the same order.
    """
    targets = read_targets(runs({name: records})).to_dict("records")
    return [_run(record, target) for record, target in zip(records, targets, strict=True)]


def _run(record: Record, target: Mapping[Any, Any]) -> Seen:
    result, full = record.result, record.curve("full")
    tau, beta = full["tau"].to_numpy(float), full["beta"].to_numpy(float)
    first, reason, at = _mark(record, "full"), str(target["reason"]), float(target["tau"])
    return Seen(
        seed=int(result["seed"]),
        accuracy=float(result["metrics"]["test_accuracy"]),
        usual=float(result["data"]["most_frequent"]),
        drop=None if reason else (at, float(beta[np.abs(tau - at).argmin()])),
        reason=reason,
        full=first,
        fast=_mark(record, "renormalized"),
        match=bool(result["match"]),
        step=grid_step(full),
        grid=(float(tau[0]), float(tau[-1]), float(beta[-1])),
        cost=None if first is None else _cost(full, first.tau),
    )


def _mark(record: Record, method: str) -> Mark | None:
    found = record.result["thresholds"][method]
    if found is None:
        return None
    beta = math.nan if found["beta"] is None else float(found["beta"])
    return Mark(float(found["tau"]), beta, in_markdown(found["kind"]))


def _cost(full: pd.DataFrame, tau: float) -> Cost:
    """What pruning at a threshold costs; that of a feature is a point of the grid."""
    at = int((full["tau"] - tau).abs().to_numpy().argmin())
    errors = drop_errors(full)
    lost = float(full.attrs["baseline_accuracy"]) - float(full["accuracy"].iloc[at])
    return Cost(100 * lost, math.nan if errors is None else 100 * float(errors[at]))
