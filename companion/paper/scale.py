"""Free energies in other units, judged as the paper's: by the same targets and the same errors.

What is judged is a :class:`companion.paper.runs.Run` with other marks: the first features of a free
energy that no rescaling of the network changes. Where accuracy gives way and how far off a mark is
are worked out by :mod:`companion.paper.targets` and :mod:`companion.paper.predictors`, which know
nothing of units.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from companion.paper.comparison import Comparison, compare, near, unsafe
from companion.paper.predictors import per_chapter, predictions
from companion.paper.readings import highest, sparsity_at
from companion.paper.runs import HIGHEST, THEORY, Run, loss_at, runs
from companion.paper.targets import read_targets
from companion.runs.methods import CURVES
from companion.runs.records import Record
from companion.runs.scale_files import LAYER_MEANS, Scale
from thermo_utils.expansion import Expansion, expansion, predicted_peak
from thermo_utils.scaling import mean_magnitude, rescaled, scale_free
from thermo_utils.transitions import critical_threshold

__all__ = [
    "FACTORS",
    "FEATURE",
    "TOP",
    "Judged",
    "judged",
    "layer_runs",
    "over_scales",
    "peaks",
    "scale_free_runs",
    "spread",
]

#: The marks of a free energy.
FEATURE: Final = "first feature"
TOP: Final = "highest point"
#: Scales at which the critical threshold is read off the same record.
FACTORS: Final = tuple(2.0**k for k in range(-3, 4))


def over_scales(record: Record, method: str, factors: Sequence[float] = FACTORS) -> pd.DataFrame:
    """Where F has its first feature and its highest point if all activations are rescaled.

    Parameters
    ----------
    record : Record
        Of a network that can be rescaled.
    method : {"full", "renormalized"}
        Which free energy.
    factors : sequence of float
        Scales.

    Returns
    -------
    DataFrame
        A row per scale and mark, with columns ``c``; ``mark``, "first feature" or "highest point";
        ``tau`` of the rescaled network, ``beta``, and ``lost``, the accuracy that pruning there
        costs; nan where there is no such mark. The accuracy at a sparsity is the same at every
        scale.
    """
    curve, full = record.curve(method), record.curve("full")
    rows = []
    for c in factors:
        there = rescaled(curve, c)
        found = critical_threshold(there)
        for mark, tau in (
            (FEATURE, None if found is None else found.tau),
            (TOP, highest(there)),
        ):
            beta, lost = np.nan, np.nan
            if tau is not None:
                beta, lost = sparsity_at(curve, tau / c), float(loss_at(full, tau / c))
            rows.append(
                {"c": c, "mark": mark, "tau": np.nan if tau is None else tau, "beta": beta,
                 "lost": lost}
            )  # fmt: skip
    return pd.DataFrame(rows)


def spread(table: pd.DataFrame, mark: str) -> tuple[pd.Series, pd.Series] | None:
    """The scales at which a mark prunes least and most.

    Parameters
    ----------
    table : DataFrame
        As returned by :func:`over_scales`.
    mark : str
        Which mark.

    Returns
    -------
    tuple of Series, or None
        Two rows; None where fewer than two scales have the mark.
    """
    there = table[table["mark"] == mark].dropna(subset="beta")
    if len(there) < 2:
        return None
    least, most = int(there["beta"].argmin()), int(there["beta"].argmax())
    return there.iloc[least], there.iloc[most]


def scale_free_runs(chapters: Mapping[str, Sequence[Record]]) -> list[Run]:
    r"""Runs marked by the free energy at the temperature :math:`T = \mu/\tau`.

    Parameters
    ----------
    chapters : mapping of str to sequence of Record
        Records by name of chapter, one per seed.

    Returns
    -------
    list of Run
        In the order of :func:`companion.paper.runs.runs`, with the same curves and thresholds in
        the same units.
    """
    return [
        run._replace(marks=_marks(run.full, run.fast, scale_free, mean_magnitude))
        for run in runs(chapters)
    ]


def layer_runs(
    chapters: Mapping[str, Sequence[Record]], scales: Mapping[tuple[str, int], Scale]
) -> list[Run]:
    """Runs pruned, and marked, in units of the mean absolute activation of each layer.

    Parameters
    ----------
    chapters : mapping of str to sequence of Record
        Records by name of chapter, one per seed.
    scales : mapping of (str, int) to Scale
        What was measured in other units, by chapter and seed.

    Returns
    -------
    list of Run
        Of the records for which there is such a measurement on the same network.
    """
    results = {
        (name, int(record.result["seed"])): record.result
        for name, records in chapters.items()
        for record in records
    }
    found = []
    for run in runs(chapters):
        scale = scales.get((run.chapter, run.seed))
        if scale is not None and scale.fits(results[run.chapter, run.seed]):
            full, fast = (scale.curve(LAYER_MEANS, method) for method in CURVES)
            marks = _marks(full, fast, lambda curve: curve, lambda _: 1.0)
            found.append(run._replace(marks=marks, full=full, fast=fast))
    return found


def _marks(
    full: pd.DataFrame,
    fast: pd.DataFrame,
    changed: Callable[[pd.DataFrame], pd.DataFrame],
    unit: Callable[[pd.DataFrame], float],
) -> dict[str, float | None]:
    """Marks of both curves, read off in other units and told in those of the curves."""
    marks: dict[str, float | None] = {}
    for first, top, curve in zip(THEORY, HIGHEST, (full, fast), strict=True):
        there = changed(curve)
        found, peak = critical_threshold(there), highest(there)
        marks[first] = None if found is None else found.tau * unit(curve)
        marks[top] = None if peak is None else peak * unit(curve)
    return marks


class Judged(NamedTuple):
    """A free energy in other units beside the paper's, over the same chapters.

    Attributes
    ----------
    chapters : int
        Chapters that both are judged on.
    median, median_paper : float
        Median errors in octaves.
    near, near_paper : int
        Chapters in which they are near.
    unsafe, unsafe_paper : int
        Chapters in which pruning there costs too much.
    comparison : Comparison
        In how many chapters it is nearer than the paper's.
    """

    chapters: int
    median: float
    median_paper: float
    near: int
    near_paper: int
    unsafe: int
    unsafe_paper: int
    comparison: Comparison


def judged(other: Sequence[Run], paper: Sequence[Run]) -> dict[str, Judged]:
    """Judge the marks of runs in other units beside the paper's.

    Parameters
    ----------
    other, paper : sequence of Run
        In other units, and as the records have them; only runs that are in both count, and only
        chapters that have a target in both.

    Returns
    -------
    dict of str to Judged
        By names of `THEORY` and `HIGHEST`; empty where no chapter is left.
    """
    common = {(run.chapter, run.seed) for run in other} & {(r.chapter, r.seed) for r in paper}
    errors = []
    for given in (other, paper):
        seen = [run for run in given if (run.chapter, run.seed) in common]
        errors.append(per_chapter(predictions(seen, read_targets(seen))))
    there = set(errors[0]["chapter"]) & set(errors[1]["chapter"])
    if not there:
        return {}
    found = {}
    for mark in (*THEORY, *HIGHEST):
        both = pd.concat(
            [
                table[(table["predictor"] == mark) & table["chapter"].isin(there)].assign(
                    predictor=name
                )
                for name, table in zip(("other", "paper"), errors, strict=True)
            ]
        )
        median = both.groupby("predictor")["octaves"].median()
        found[mark] = Judged(
            len(there),
            float(median["other"]),
            float(median["paper"]),
            len(near(both, "other")),
            len(near(both, "paper")),
            len(unsafe(both, "other")),
            len(unsafe(both, "paper")),
            compare(both, "other", "paper"),
        )
    return found


def peaks(chapters: Mapping[str, Sequence[Record]]) -> pd.DataFrame:
    """The peak that follows from small thresholds beside the highest point of the renormalized F.

    Parameters
    ----------
    chapters : mapping of str to sequence of Record
        Records by name of chapter, one per seed.

    Returns
    -------
    DataFrame
        A row per record: ``chapter``, ``seed``, ``density``, ``slope`` and ``mean`` as in
        :class:`thermo_utils.expansion.Expansion`, ``predicted`` (nan where F does not rise from
        zero), ``measured``, the highest point (nan where F has none), and ``beta`` there.
    """
    rows = []
    for name, records in chapters.items():
        for record in records:
            curve = record.curve("renormalized")
            numbers = expansion(curve)
            peak, top = predicted_peak(numbers), highest(curve)
            rows.append(
                (
                    name,
                    int(record.result["seed"]),
                    *numbers,
                    np.nan if peak is None else peak,
                    np.nan if top is None else top,
                    np.nan if top is None else sparsity_at(curve, top),
                )
            )
    return pd.DataFrame(
        rows, columns=["chapter", "seed", *Expansion._fields, "predicted", "measured", "beta"]
    )
