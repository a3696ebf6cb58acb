"""The tables of a chapter's story: thresholds, features, seeds and times, over all seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean, stdev
from typing import Any, Final

from companion.pages.features import interval
from companion.pages.seeds import timed
from companion.pages.shown import NOTHING, Shown, fraction, percent, shown, significant
from companion.pages.tables import NONE_FOUND, NOT_STATED, counted, stated
from companion.pages.versions import versions
from companion.pages.wording import listed
from companion.runs.methods import CURVES, METHODS
from companion.runs.records import Record

__all__ = ["features_table", "seeds_table", "thresholds_table", "timings_table"]

#: What stands in the place of the mean for features that have nothing in common.
SEVERAL: Final = "several kinds"
#: What is found where accuracy falls.
GIVES_WAY: Final = "accuracy gives way"


def features_table(record: Record) -> Shown:
    """The features of both curves, each curve's earliest first.

    Parameters
    ----------
    record : Record

    Returns
    -------
    Shown
        Index ``curve``; columns ``kind``, which says where a feature is flat and counts only where
        there is no other, ``τ``, the thresholds that noise does not tell from it, ``β``, and the
        prominence. One row that says so where there is none.
    """
    rows = [
        (
            METHODS[feature["method"]].short,
            f"flat {feature['kind']}" if feature.get("flat") else feature["kind"],
            significant(feature["tau"], 4),
            _within(feature),
            fraction(feature["beta"]),
            _number(feature["prominence"], 2),
        )
        for feature in record.result["features"]
    ]
    none = [("FE, RFE", NONE_FOUND, *[NOTHING] * 4)]
    head = ["curve", "kind", "τ", "not told apart by noise", "β", "prominence"]
    return shown(head, rows or none, f"Features of F, seed {record.result['seed']}")


def thresholds_table(runs: Sequence[Record]) -> Shown:
    """Our thresholds beside the paper's.

    Parameters
    ----------
    runs : sequence of Record
        By seed.

    Returns
    -------
    Shown
        A row per way of finding the threshold; columns ``found`` (the kinds), ``τ*`` and ``β*``,
        each a mean ± the standard deviation of a sample with the number of seeds, those of a kind
        together, and what the paper states, with its places where it states more than one thing.
    """
    rows = []
    for method, printed in METHODS.items():
        kinds = _by_kind(runs, method)
        rows.append(
            (
                printed.title,
                "; ".join(_kind_cell(kind, some, runs) for kind, some in kinds.items()),
                *(
                    "; ".join(
                        _numbered([run.result["thresholds"][method][place] for run in some], single)
                        for kind, some in kinds.items()
                        if kind != NONE_FOUND
                    )
                    or NOTHING
                    for place, single in _PLACES
                ),
                *(_paper(runs[0], quantity, method) for quantity in ("tau_star", "beta_star")),
            )
        )
    head = ["threshold from", "found", "τ*", "β*", "paper τ*", "paper β*"]
    many = f"Over {counted(len(runs), 'seed')}: mean ± standard deviation (number of seeds)"
    return shown(head, rows, many if len(runs) > 1 else f"Seed {runs[0].result['seed']}")


def seeds_table(runs: Sequence[Record]) -> Shown:
    """Accuracy and thresholds seed by seed, as far as they have been run.

    Parameters
    ----------
    runs : sequence of Record
        By seed.

    Returns
    -------
    Shown
        A row per seed and, with two or more, one with the mean ± the standard deviation, and over
        how many seeds where some have no such threshold. Columns ``accuracy``, and ``τ* (β*)`` as
        found from the accuracy, FE and RFE.
    """
    shares = [float(run.result["metrics"]["test_accuracy"]) for run in runs]
    columns = {"accuracy": [*map(percent, shares), _mean(shares, percent)]}
    for method, printed in METHODS.items():
        marks = [run.result["thresholds"][method] for run in runs]
        columns[f"τ* (β*), {printed.short}"] = [*map(_point, marks), _points(marks)]
    names = [*(str(run.result["seed"]) for run in runs), f"mean ± sd of {len(runs)}"]
    rows = list(zip(names, *columns.values(), strict=True))
    return shown(["seed", *columns], rows if len(runs) > 1 else rows[:1])


def _point(mark: dict[str, Any] | None) -> str:
    """A threshold with its sparsity."""
    if mark is None:
        return NONE_FOUND
    beta = "" if mark["beta"] is None else f" ({fraction(mark['beta'])})"
    return f"{_tau(mark['tau'])}{beta}"


def _points(marks: Sequence[dict[str, Any] | None]) -> str:
    """The mean of thresholds and of their sparsities; that of a peak and a valley is neither."""
    known = [mark for mark in marks if mark is not None]
    if not known:
        return NOTHING
    if len({mark["kind"] for mark in known}) > 1:
        return SEVERAL
    tau, beta = (_mean([m[name] for m in known], one) for name, one in _PLACES)
    some = f", {counted(len(known), 'seed')}" if len(known) < len(marks) else ""
    return f"{tau}{'' if beta == NOTHING else f' ({beta})'}{some}"


def timings_table(runs: Sequence[Record]) -> Shown:
    """Wall time of the stages, and the speed-up of RFE over FE, beside the paper's.

    Parameters
    ----------
    runs : sequence of Record
        By seed.

    Returns
    -------
    Shown
        Index ``stage``; columns ``ours``, a mean ± the standard deviation with the number of
        seeds, by device if they ran on several, and ``paper``.
    """
    rows = [("training", timed(runs, "train", " s"), NOT_STATED)]
    for method in CURVES:
        points = listed(sorted({str(len(run.curve(method))) for run in runs}, key=int), "or")
        rows.append(
            (
                f"{METHODS[method].title}, {points} thresholds",
                timed(runs, method, " s"),
                _stated(runs[0], "time_s", method, " s"),
            )
        )
    rows.append(("FE / RFE", timed(runs, "speedup"), _stated(runs[0], "speedup", None, "")))
    return shown(["stage", "ours", "paper"], rows)


def _by_kind(runs: Sequence[Record], method: str) -> dict[str, list[Record]]:
    """Runs by the kind of their threshold, those without one last."""
    kinds: dict[str, list[Record]] = {}
    for run in sorted(runs, key=lambda run: run.result["thresholds"][method] is None):
        mark = run.result["thresholds"][method]
        name = GIVES_WAY if method == "accuracy" else str(mark["kind"]) if mark else ""
        kinds.setdefault(name if mark else NONE_FOUND, []).append(run)
    return kinds


def _kind_cell(kind: str, some: Sequence[Record], runs: Sequence[Record]) -> str:
    """A kind, and the seeds that have it where not all do."""
    if len(some) == len(runs):
        return kind
    seeds = listed([str(run.result["seed"]) for run in some])
    return f"{kind} (seed{'' if len(some) == 1 else 's'} {seeds})"


def _numbered(values: Sequence[float | None], single: Callable[[float], str]) -> str:
    """A mean over seeds, and how many they are."""
    number = sum(value is not None for value in values)
    return f"{_mean(values, single)} ({number})" if number > 1 else _mean(values, single)


def _mean(values: Sequence[float | None], single: Callable[[float], str]) -> str:
    """A mean over seeds, with as many decimals as the values are given with, or two."""
    known = [float(value) for value in values if value is not None]
    if not known:
        return NOTHING
    if len(known) == 1:
        return single(known[0])
    digits = max(2, *(len(single(value).partition(".")[2]) for value in known))
    factor, unit, digits = (100, " %", 1) if single is percent else (1, "", digits)
    mean, deviation = (factor * of(known) for of in (fmean, stdev))
    return f"{mean:.{digits}f} ± {deviation:.{digits}f}{unit}"


def _within(feature: dict[str, Any]) -> str:
    """The thresholds that noise does not tell from a feature; older records do not know them."""
    low, high = feature.get("low"), feature.get("high")
    return NOTHING if low is None or high is None else interval(low, high)


def _number(value: float | None, digits: int) -> str:
    return NOTHING if value is None else significant(value, digits)


def _tau(tau: float) -> str:
    return significant(tau, 3)


#: What of a threshold is shown, and how.
_PLACES: Final = (("tau", _tau), ("beta", fraction))


def _paper(record: Record, quantity: str, method: str) -> str:
    result = record.result
    return versions(result["model"], result["dataset"], quantity, method) or NOT_STATED


def _stated(record: Record, quantity: str, method: str | None, unit: str) -> str:
    """What the paper states, also where that is a word."""
    result = record.result
    text = versions(result["model"], result["dataset"], quantity, method)
    return f"{text}{unit}" if text else stated(result["model"], result["dataset"], quantity,
                                               method, places=True)  # fmt: skip
