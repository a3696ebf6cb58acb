"""Where what the paper publishes is that of another set-up than it states, as Markdown.

Its accuracies, and its sparsities at the thresholds it names, are measurements of how its networks
were made and trained. Where ours differ from them by more than ours do among seeds, with nothing
else that differs, something was done otherwise without being said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from companion.networks import NETWORKS
from companion.pages.checked import read_of_profile
from companion.pages.escape import in_markdown
from companion.pages.seeds import mean_sd
from companion.pages.tables import counted, markdown, wide
from companion.pages.wording import listed
from companion.paper.published import as_range, lookup
from companion.runs.chapters import CHAPTERS, Chapter
from companion.runs.records import Record
from companion.runs.schema import Part

__all__ = [
    "COMMAND", "FILE", "FORMAT", "Form", "Point", "comparable", "points", "read_setups",
    "setups_text", "taus",
]  # fmt: skip

FORMAT = 1
#: Beside the records of a profile.
FILE = "setups.json"
COMMAND = "python -m benchmarks.setups"
#: The words of the set-up that is the chapter's own.
SAME: Final = "as in the chapter"


class Tried(Part):
    """One training with another set-up."""

    accuracy: float
    validation_accuracy: float
    epochs: int
    tau: list[float]
    beta: list[float]
    pruned_accuracy: list[float]
    seconds: float
    provenance: dict[str, Any]


class Of(Part):
    """What was tried on one chapter."""

    settings: dict[str, Any]
    data: str
    test_examples: int
    tried: dict[str, Tried]


class Form(Part):
    """The file."""

    format: int
    profile: str
    chapters: dict[str, Of]


class Point(NamedTuple):
    """A published sparsity at a published threshold.

    Attributes
    ----------
    tau, beta : tuple of float
        Each from, to; twice the same where one number is published.
    source : str
        Section or table.
    """

    tau: tuple[float, float]
    beta: tuple[float, float]
    source: str

    @property
    def words(self) -> str:
        """What it is."""
        return f"β at τ = {as_range(*self.tau)}"

    def apart(self, low: float, high: float) -> float:
        """How far sparsities at both ends of `tau` are from the published ones.

        Published numbers are rounded, so half a unit of their last digit is not counted.
        """
        (first, last), slack = self.beta, 0.005
        if first < last and self.tau[0] < self.tau[1]:
            found = max(abs(low - first), abs(high - last))
        else:  # one of them lies somewhere in the range of the other
            found = max(first - high, low - last, 0.0)
        return max(0.0, found - slack)


def comparable() -> list[Chapter]:
    """Chapters whose networks start from random weights in the paper, too."""
    return [c for c in CHAPTERS if NETWORKS[c.model].recipes[c.dataset, "paper"].checkpoint is None]


def points(model: str, dataset: str) -> list[Point]:
    """Published sparsities of pruned networks at published thresholds.

    Parameters
    ----------
    model, dataset : str
        Of a chapter.

    Returns
    -------
    list of Point
        Those that are named together, each once, by threshold.
    """
    tau, beta = (lookup(model, dataset, quantity) for quantity in ("tau_star", "beta_star"))
    both = tau.merge(beta, on=["method", "source"], suffixes=("_tau", "_beta"))
    both = both[both["method"] != "renormalized"]  # of the network that is not pruned
    found: dict[tuple[tuple[float, float], tuple[float, float]], Point] = {}
    for row in both.to_dict("records"):
        pair = tuple(
            (float(row[f"low_{name}"]), float(row[f"high_{name}"])) for name in ("tau", "beta")
        )
        found.setdefault((pair[0], pair[1]), Point(pair[0], pair[1], str(row["source"])))
    return sorted(found.values())


def taus(model: str, dataset: str) -> list[float]:
    """All thresholds of these points, increasing."""
    return sorted({tau for point in points(model, dataset) for tau in point.tau})


def read_setups(path: Path) -> dict[str, Any] | None:
    """Read what was tried.

    Parameters
    ----------
    path : Path
        ``<results>/<profile>/setups.json``; it need not exist.

    Returns
    -------
    dict or None
        None where there is no such file.

    Raises
    ------
    ThermoError
        If it is damaged or of another format.
    """
    return read_of_profile(path, FORMAT, Form, _contradictions, COMMAND)


def _contradictions(measured: Mapping[str, Any]) -> Iterator[str]:
    known = {chapter.name: chapter for chapter in comparable()}
    for name, found in measured["chapters"].items():
        if name not in known:
            yield f"{name!r} starts from pretrained weights in the paper"
            continue
        wanted = taus(known[name].model, known[name].dataset)
        for words, tried in found["tried"].items():
            shares = [tried["accuracy"], *tried["beta"], *tried["pruned_accuracy"]]
            if not all(0 <= share <= 1 for share in shares):
                yield f"{name}, {words}: a share is not between 0 and 1"
            if tried["tau"] != wanted:
                yield f"{name}, {words}: thresholds are not the published ones"
            lengths = {len(tried[key]) for key in ("tau", "beta", "pruned_accuracy")}
            if len(lengths) > 1 or sorted(tried["beta"]) != tried["beta"]:
                yield f"{name}, {words}: sparsities do not go with the thresholds"


def setups_text(measured: dict[str, Any] | None, records: Mapping[str, Sequence[Record]]) -> str:
    """Published numbers beside ours, and what was tried where they are apart.

    Parameters
    ----------
    measured : dict or None
        Of `FILE`.
    records : mapping of str to sequence of Record
        The records of every chapter, by its name.

    Returns
    -------
    str
        Markdown.
    """
    rows, met, apart, unexplained = [], 0, 0, []
    for chapter in comparable():
        runs = records.get(chapter.name, ())
        if not runs:
            continue
        differs = _differences(runs[0])
        for words, stated, shown, verdict in _compared(chapter, runs):
            rows.append([chapter.title, words, stated, shown, verdict, differs or "nothing"])
            met += verdict == "yes"
            if verdict == "no":
                apart += 1
                if not differs and chapter.title not in unexplained:
                    unexplained.append(chapter.title)
    if not rows:
        return "Not run at this profile.\n"
    head = ["chapter", "published", "value", "here, over seeds", "met", "what else differs"]
    said = [
        f"Of {counted(len(rows), 'published number')}, {met} are met, and {apart} are missed by "
        "more than our seeds differ among themselves."
    ]
    if unexplained:
        said.append(
            f"Nothing that is known to differ explains those of {listed(unexplained)}: there the "
            "paper must have done something else than it says, or we something else than it means."
        )
    parts = [" ".join(said), wide(head, rows)]
    chapters = (measured or {"chapters": {}})["chapters"]
    if not chapters:
        parts.append(f"Other set-ups were not tried: `{COMMAND}` does it.")
    for chapter in comparable():
        if chapter.name in chapters:
            parts.append(_tried(chapter, chapters[chapter.name]))
    return "\n\n".join(parts) + "\n"


def _differences(record: Record) -> str:
    """What of a run's set-up differs from the stated one and can move these numbers."""
    told = [text for text in record.result["differs"] if not text.startswith("images stored")]
    return in_markdown("; ".join(told))


def _compared(chapter: Chapter, runs: Sequence[Record]) -> Iterator[tuple[str, str, str, str]]:
    """Each published number: what it is, its value, ours, and whether ours meets it."""
    stated = lookup(chapter.model, chapter.dataset, "accuracy")
    if len(stated):
        accuracies = [float(run.result["metrics"]["test_accuracy"]) for run in runs]
        yield (
            "test accuracy", _percent(stated),
            mean_sd([100 * value for value in accuracies], digits=1, unit=" %"),
            _verdict([_off(stated, value) for value in accuracies], accuracies),
        )  # fmt: skip
    for point in points(chapter.model, chapter.dataset):
        ends = [_sparsities(run, point) for run in runs]
        means = [(low + high) / 2 for low, high in ends]
        low, high = (float(np.mean(values)) for values in zip(*ends, strict=True))
        shown = as_range(round(low, 2), round(high, 2))
        if len(runs) > 1:
            what = "seeds" if point.tau[0] == point.tau[1] else "middles of the seeds"
            shown += f" ({what} {as_range(round(min(means), 2), round(max(means), 2))})"
        yield (
            point.words, as_range(*point.beta), shown,
            _verdict([point.apart(*pair) for pair in ends], means),
        )  # fmt: skip


def _ends(stated: pd.DataFrame) -> tuple[float, float]:
    return float(stated["low"].min()), float(stated["high"].max())


def _percent(stated: pd.DataFrame) -> str:
    low, high = _ends(stated)
    return f"{as_range(100 * low, 100 * high)} %"


def _off(stated: pd.DataFrame, value: float) -> float:
    """How far an accuracy is from the published ones, which are rounded."""
    low, high = _ends(stated)
    digits = max(2, *(len(f"{end:g}".partition(".")[2]) for end in (low, high)))
    return max(0.0, max(low - value, value - high) - 0.5 * 10**-digits)


def _verdict(distances: Sequence[float], values: Sequence[float]) -> str:
    """Whether a seed meets a number, or misses it by no more than seeds differ."""
    nearest = min(distances)
    if nearest == 0:
        return "yes"
    if len(values) == 1:
        return "no: one seed"
    return "within seeds" if nearest <= max(values) - min(values) else "no"


def _sparsities(run: Record, point: Point) -> tuple[float, float]:
    curve = run.curve("full")
    at, beta = [0.0, *curve["tau"]], [0.0, *curve["beta"]]
    low, high = (float(np.interp(tau, at, beta)) for tau in point.tau)
    return low, high


def _tried(chapter: Chapter, found: Mapping[str, Any]) -> str:
    """A table of the set-ups that were tried on a chapter, and which of them comes closest."""
    stated = lookup(chapter.model, chapter.dataset, "accuracy")
    named = points(chapter.model, chapter.dataset)
    head = ["set-up", "epochs", "test accuracy", *(point.words for point in named)]
    accuracy = _percent(stated) if len(stated) else ""
    rows = [["*published*", "", accuracy, *(as_range(*point.beta) for point in named)]]
    off: dict[str, float] = {}
    far: dict[str, float] = {}
    for words, tried in found["tried"].items():
        at = dict(zip(tried["tau"], tried["beta"], strict=True))
        ends = [tuple(at[tau] for tau in point.tau) for point in named]
        rows.append(
            [
                in_markdown(words), str(tried["epochs"]), f"{100 * tried['accuracy']:.1f} %",
                *(as_range(round(low, 3), round(high, 3)) for low, high in ends),
            ]
        )  # fmt: skip
        if len(stated):
            off[words] = 100 * _off(stated, tried["accuracy"])
        if named:
            far[words] = max(p.apart(*pair) for p, pair in zip(named, ends, strict=True))
    said = [f"**{chapter.title}**, seed {found['settings']['seed']}."]
    if off:
        least = _distance(min(off.values()), 1)
        said.append(f"Nearest in accuracy: {_nearest(off)}, {least} points off.")
    if far:
        least = _distance(min(far.values()), 2)
        said.append(f"Nearest in sparsity: {_nearest(far)}, at most {least} off.")
    if off and far:
        both = [words for words in off if off[words] == far[words] == 0]
        met = [in_markdown(words) for words in both]
        said.append(f"In both: {listed(met)}." if met else "None meets both.")
    return f"{' '.join(said)}\n\n{markdown(head, rows)}"


def _nearest(distances: Mapping[str, float]) -> str:
    """All that are nearest."""
    least = min(distances.values())
    return listed([in_markdown(w) for w, distance in distances.items() if distance == least])


def _distance(value: float, digits: int) -> str:
    """A distance, in which what is not zero does not look like it."""
    least = 10.0**-digits
    return f"less than {least:g}" if 0 < value < least else f"{value:.{digits}f}"
