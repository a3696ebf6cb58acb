"""Tables of all chapters: what was found, over all seeds, and what was run where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from companion.pages.escape import in_markdown
from companion.pages.seeds import accuracies, at_least, mean_sd, thresholds
from companion.pages.shown import unbroken
from companion.pages.tables import NOT_RUN, markdown, stated
from companion.runs.chapters import Chapter
from companion.runs.methods import METHODS
from companion.runs.records import Record, same_but_seed

__all__ = ["added_table", "other_runs_table", "results_table", "status_table"]

#: The records of chapters, one per seed; none of one that was not run.
Runs = Mapping[Chapter, Sequence[Record]]


def results_table(records: Runs) -> str:
    """Thresholds and sparsities of all chapters, ours beside the paper's.

    Parameters
    ----------
    records : mapping of Chapter to sequence of Record
        In the order to show.

    Returns
    -------
    str
        Markdown.
    """
    rows = []
    for chapter, runs in records.items():
        model, dataset = chapter.model, chapter.dataset
        rows.append(
            [
                _link(chapter),
                chapter.figure,
                unbroken(accuracies(runs)) if runs else NOT_RUN,
                stated(model, dataset, "accuracy"),
                _most_frequent(runs),
                *_thresholds(runs),
                stated(model, dataset, "tau_star", "accuracy"),
                stated(model, dataset, "tau_star", "full"),
                _matches(runs),
            ]
        )
    header = [
        "chapter", "paper's Fig.", "accuracy", "paper's accuracy", "most frequent class",
        "accuracy gives way", "first feature, FE", "first feature, RFE",
        "paper's τ*, accuracy", "paper's τ*, FE", "match",
    ]  # fmt: skip
    return markdown(header, rows) + "\n"


def _link(chapter: Chapter) -> str:
    return f"[{in_markdown(chapter.title)}](chapters/{chapter.name})"


def _most_frequent(runs: Sequence[Record]) -> str:
    """The accuracy of always naming the most frequent class, which seeds may see other data for."""
    shares = [100 * float(run.result["data"]["most_frequent"]) for run in runs]
    return f"{fmean(shares):.1f} %" if shares else NOT_RUN


def _matches(runs: Sequence[Record]) -> str:
    """In how many seeds the two features match; a word where there is one."""
    if not runs:
        return NOT_RUN
    number = sum(bool(run.result["match"]) for run in runs)
    if len(runs) == 1:
        return "yes" if number else "no"
    return f"{number} of {len(runs)}"


def status_table(records: Runs) -> str:
    """What was run, where, when and for how long: a row per run.

    Parameters
    ----------
    records : mapping of Chapter to sequence of Record
        In the order to show.

    Returns
    -------
    str
        Markdown.
    """
    rows: list[list[object]] = []
    for chapter, runs in records.items():
        if not runs:
            rows.append([_link(chapter), NOT_RUN, *[""] * 6])
        for run in runs:
            timings, made = run.result["timings"], run.result["provenance"]
            rows.append(
                [
                    _link(chapter),
                    run.result["seed"],
                    at_least([run], "train") + _seconds(timings["train"]),
                    *(_seconds(timings[stage]) for stage in ("full", "renormalized")),
                    f"{timings['speedup']:.0f}",
                    in_markdown(made["device"]),
                    in_markdown((made["git_commit"] or "")[:10]),
                ]
            )
    header = ["chapter", "seed", "training, s", "FE, s", "RFE, s", "FE / RFE", "device", "commit"]
    return markdown(header, rows) + "\n"


def _seconds(time: float) -> str:
    """To three digits, without an exponent."""
    return mean_sd([time])


def added_table(records: Runs) -> str:
    """What was found for networks that are not in the paper.

    Parameters
    ----------
    records : mapping of Chapter to sequence of Record
        In the order to show.

    Returns
    -------
    str
        Markdown.
    """
    if not records:
        return "There are none. [Adding a network](adding_a_network) says how to add one.\n"
    rows = [[_link(chapter), *_found(runs)] for chapter, runs in records.items()]
    return markdown(["chapter", *_HEADS], rows) + "\n"


#: What is told of runs that stand beside no number of the paper.
_HEADS = ("accuracy", "accuracy gives way", "first feature, FE", "first feature, RFE")


def _found(runs: Sequence[Record]) -> list[str]:
    """Accuracy and thresholds."""
    if not runs:
        return [NOT_RUN] * len(_HEADS)
    return [unbroken(accuracies(runs)), *_thresholds(runs)]


def _thresholds(runs: Sequence[Record]) -> list[str]:
    """In narrow columns the sparsity has a line of its own."""
    found = [thresholds(runs, m, between="<br>") if runs else NOT_RUN for m in METHODS]
    return [unbroken(text).replace("β ", "β\u00a0") for text in found]


def other_runs_table(records: Sequence[Record]) -> str:
    """Runs that stand for no chapter: with other settings, or of other networks.

    Parameters
    ----------
    records : sequence of Record
        As :func:`companion.runs.records.other_runs` returns them.

    Returns
    -------
    str
        Markdown: a row for all seeds of the same settings.
    """
    if not records:
        return "There are none.\n"
    rows = []
    for runs in _by_settings(records):
        result = runs[0].result
        rows.append(
            [
                in_markdown(Chapter(result["model"], result["dataset"]).title),
                ", ".join(str(run.result["seed"]) for run in runs),
                in_markdown("; ".join(result["differs"]) or "nothing"),
                *_found(runs),
            ]
        )
    return markdown(["run", "seeds", "differs", *_HEADS], rows) + "\n"


def _by_settings(records: Sequence[Record]) -> list[list[Record]]:
    """Runs that differ in nothing but the seed together, by seed; in the order of the first."""
    groups: list[list[Record]] = []
    for record in records:
        settings: Mapping[str, Any] = record.result["settings"]
        for group in groups:
            seeds = {run.result["seed"] for run in group}
            if record.result["seed"] not in seeds and same_but_seed(group[0], settings):
                group.append(record)
                break
        else:
            groups.append([record])
    return [sorted(group, key=lambda run: int(run.result["seed"])) for group in groups]
