"""What several seeds of a chapter come to, in a cell: a mean with its deviation, or a list.

A number that is measured is a mean, ± the standard deviation of a sample, with the number of seeds
in brackets. Thresholds stand seed by seed: they are points of a grid, and the mean of a peak and a
valley is neither. Where there are too many seeds for that, it is their geometric mean and range.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from statistics import fmean, geometric_mean, stdev
from typing import Final

from companion.pages.escape import in_markdown
from companion.pages.shown import fraction
from companion.pages.tables import NONE_FOUND
from companion.runs.records import Record

__all__ = [
    "MOST_LISTED", "accuracies", "at_least", "by_device", "kinds", "mean_sd", "positions",
    "sparsities", "thresholds", "timed",
]  # fmt: skip

#: Words in the name of a GPU that tell no two of them apart in one table.
UNSAID: Final = r"NVIDIA|GeForce|Tesla|\d+GB|HBM\w*|PCIe|SXM\d*"
#: Thresholds of more seeds than this are not listed.
MOST_LISTED: Final = 5


def mean_sd(values: Sequence[float], *, digits: int | None = None, unit: str = "") -> str:
    """A mean over seeds, its standard deviation and how many they are.

    Parameters
    ----------
    values : sequence of float
        One per seed, at least one; finite.
    digits : int, optional
        Decimals. By default as many as show the mean to three significant digits.
    unit : str, optional
        Put behind the number.

    Returns
    -------
    str
        Without a deviation and a number for a single seed.

    Examples
    --------
    >>> mean_sd([0.55, 0.57, 0.56], digits=2), mean_sd([412.3, 430.1]), mean_sd([12.5], unit=" s")
    ('0.56 ± 0.01 (3)', '421 ± 13 (2)', '12.5 s')
    """
    mean = fmean(values)
    if digits is None:
        digits = max(0, 2 - math.floor(math.log10(abs(mean)))) if mean else 0
    # Never "-0.0".
    text = f"{round(mean, digits) + 0.0:,.{digits}f}"
    if len(values) == 1:
        return f"{text}{unit}"
    return f"{text} ± {stdev(values):,.{digits}f}{unit} ({len(values)})"


def by_device(runs: Iterable[Record]) -> dict[str, list[Record]]:
    """Runs by what they ran on: only times of one device have a mean.

    Where a full evaluation did not compute every pass as a whole, that makes another device of it.

    Parameters
    ----------
    runs : iterable of Record

    Returns
    -------
    dict of str to list of Record
        By device, in the order of the runs.
    """
    groups: dict[str, list[Record]] = {}
    for run in runs:
        device = run.result["provenance"]["device"]
        if run.result["stages"]["full"]["attrs"].get("reused", {}).get("share"):
            processor, comma, rest = device.partition(",")
            device = f"{processor} with reuse{comma}{rest}"
        groups.setdefault(device, []).append(run)
    return groups


def at_least(runs: Iterable[Record], name: str) -> str:
    """What to put before a time that is not all of it.

    Parameters
    ----------
    runs : iterable of Record
    name : str
        As for :func:`timed`.

    Returns
    -------
    str
        Of a training of which only the part after an interruption was timed ``at least``, with a
        space; else empty.
    """
    if name != "train":
        return ""
    resumed = any(run.result["stages"]["train"].get("resumed") for run in runs)
    return "at least " if resumed else ""


def timed(runs: Sequence[Record], name: str, unit: str = "") -> str:
    """Mean over seeds of a time or of the speed-up, for every device by itself.

    Parameters
    ----------
    runs : sequence of Record
        At least one.
    name : str
        ``train``, ``full``, ``renormalized`` or ``speedup``.
    unit : str, optional
        Put behind the number.

    Returns
    -------
    str
        With the devices named if there are several.
    """
    groups = by_device(runs)
    means = {
        device: at_least(group, name)
        + mean_sd([float(run.result["timings"][name]) for run in group], unit=unit)
        for device, group in groups.items()
    }
    if len(means) == 1:
        return next(iter(means.values()))
    names = {device: _short(device) for device in means}
    if len(set(names.values())) < len(names):
        names = {device: device.partition(",")[0] for device in means}
    return "; ".join(f"{mean} on {names[device]}" for device, mean in means.items())


def _short(device: str) -> str:
    """A device without its maker, its memory and the number of threads."""
    name = re.sub(r"^CPU \(\w+\)", "CPU", device.partition(",")[0])
    words = [word for word in name.split() if not re.fullmatch(UNSAID, word)]
    return " ".join(words) or name


def accuracies(records: Sequence[Record]) -> str:
    """Test accuracy over seeds, in percent.

    Parameters
    ----------
    records : sequence of Record
        One per seed, at least one.

    Returns
    -------
    str
    """
    shares = [100 * float(record.result["metrics"]["test_accuracy"]) for record in records]
    return mean_sd(shares, digits=1, unit=" %")


def thresholds(records: Sequence[Record], method: str, *, between: str = ", ") -> str:
    """The thresholds that seeds have, their kinds, and the sparsity they cause.

    Parameters
    ----------
    records : sequence of Record
        One per seed, at least one.
    method : {"accuracy", "full", "renormalized"}
        The way they were found.
    between : str, optional
        Put before the sparsity, in Markdown.

    Returns
    -------
    str
        Such as ``0.28, 0.24, 0.28 peak, β 0.22 ± 0.02 (3)``, in Markdown. The kind of a threshold
        that the accuracy gives is not told.
    """
    found = positions(records, method)
    if all(text == NONE_FOUND for text in found):
        return NONE_FOUND
    listed = ", ".join(in_markdown(text) for text in found)
    return f"{listed}{between}β {sparsities(records, method)}"


def positions(records: Sequence[Record], method: str, *, kind: bool = True) -> list[str]:
    """Thresholds of every seed as text, in the order of the seeds.

    Parameters
    ----------
    records, method
        As for :func:`thresholds`.
    kind : bool, default True
        Whether to say of which kind they are, behind the last if it is the kind of all.

    Returns
    -------
    list of str
        One, the geometric mean with the range, where they are more than `MOST_LISTED` and of one
        kind.
    """
    found = [record.result["thresholds"][method] for record in records]
    if not any(found):
        return [NONE_FOUND]
    named = kinds(records, method)
    alike = len(set(named)) == 1
    behind = f" {named[0]}" if kind and alike and method != "accuracy" else ""
    if len(found) > MOST_LISTED and alike:
        taus = [float(mark["tau"]) for mark in found]
        text = f"{geometric_mean(taus):.3g} ({min(taus):.3g} to {max(taus):.3g})"
        return [f"{text}{behind}"]
    if alike:
        texts = [f"{mark['tau']:.3g}" for mark in found]
        return [*texts[:-1], f"{texts[-1]}{behind}"]
    each = kind and method != "accuracy"
    return [
        "none" if mark is None else f"{mark['tau']:.3g}{f' {name}' if each else ''}"
        for mark, name in zip(found, named, strict=True)
    ]


def kinds(records: Sequence[Record], method: str) -> list[str]:
    """The kind of threshold that each seed has.

    Parameters
    ----------
    records, method
        As for :func:`thresholds`.

    Returns
    -------
    list of str
        ``none found`` where there is none.
    """
    found = [record.result["thresholds"][method] for record in records]
    return [NONE_FOUND if mark is None else str(mark["kind"]) for mark in found]


def sparsities(records: Sequence[Record], method: str) -> str:
    """The sparsity at the threshold over those seeds that have one.

    Parameters
    ----------
    records, method
        As for :func:`thresholds`.

    Returns
    -------
    str
    """
    found = [record.result["thresholds"][method] for record in records]
    betas = [float(mark["beta"]) for mark in found if mark is not None]
    if not betas:
        return NONE_FOUND
    mean = fraction(fmean(betas))
    return mean_sd(betas, digits=len(mean.partition(".")[2]))
