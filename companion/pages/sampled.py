"""Samples of the chapters' test sets beside all of them: the file, and its part of the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Annotated, Any

from pydantic import Field

from companion.pages.checked import beside_records, left_out, read_of_profile
from companion.pages.tables import NONE_FOUND, counted, wide
from companion.paper.dozen import within_step
from companion.runs.chapters import Chapter
from companion.runs.records import Record
from companion.runs.schema import Count, Digest, Part, Positive, Provenance, Share
from thermo_utils.errors import ThermoError
from thermo_utils.grids import grid_step
from thermo_utils.transitions import critical_threshold

__all__ = ["COMMAND", "FILE", "FORMAT", "read_sampled", "sampled_text"]

#: Beside the records of a profile, version of the file, and what writes it.
FILE, FORMAT, COMMAND = "sampled.json", 1, "python -m benchmarks.sampled"

Above = Annotated[float, Field(gt=0)]


class Draw(Part):
    seed: Count
    examples: Positive
    confidence: Share
    tau_star: Above | None
    within: bool


class Entry(Part):
    """A chapter: all its test data, and samples of them."""

    curves_sha256: Digest
    step: Above
    examples: Positive
    tau_star: Above | None
    draws: Annotated[list[Draw], Field(min_length=1)]
    provenance: Provenance


class Content(Part):
    profile: str
    confidence: Share
    chapters: dict[str, Entry]


def read_sampled(path: Path) -> dict[str, Any] | None:
    """What was measured.

    Parameters
    ----------
    path : Path
        ``<results>/<profile>/sampled.json``; it need not exist.

    Returns
    -------
    dict or None
        None where there is no such file.

    Raises
    ------
    ThermoError
        If it is damaged or of another version.
    """
    return read_of_profile(path, FORMAT, Content, _contradictions, COMMAND)


def _contradictions(measured: Mapping[str, Any]) -> Iterator[str]:
    for name, entry in measured["chapters"].items():
        for draw in entry["draws"]:
            if draw["examples"] > entry["examples"]:
                yield f"a sample of {name} is larger than its test set"
            within = within_step(draw["tau_star"], entry["tau_star"], entry["step"])
            if draw["within"] != within:
                yield f"within of {name} does not follow from its thresholds"


def sampled_text(
    measured: Mapping[str, Any] | None, records: Mapping[str, Sequence[Record]], profile: str
) -> str:
    """How thresholds of samples compare with those of all the test data.

    Parameters
    ----------
    measured : mapping or None
        As from :func:`read_sampled`.
    records : mapping of str to sequence of Record
        The records of every chapter, by its name.
    profile : str
        Of both.

    Returns
    -------
    str
        Markdown. Chapters whose record has other curves by now are named and left out.

    Raises
    ------
    ThermoError
        If what the file says of all the data is not what its record says.
    """
    if not measured or not measured["chapters"]:
        return f"Not run on the networks themselves: `{COMMAND} --profile {profile}` does it.\n"
    rows, chapters = {}, measured["chapters"]
    found, old = beside_records(chapters, records)
    for chapter, record in found.items():
        _compare(chapter, chapters[chapter.name], record)
        rows[chapter] = chapters[chapter.name]
    parts = [_verdict(rows, measured["confidence"]), _table(rows)] if rows else []
    return "\n\n".join([*parts, *left_out(old, chapters)]) + "\n"


def _compare(chapter: Chapter, entry: Mapping[str, Any], record: Record) -> None:
    whole = critical_threshold(record.curve("renormalized"))
    tau, step = whole and whole.tau, grid_step(record.curve("full"))
    if (entry["tau_star"], entry["step"]) != (tau, step):
        raise ThermoError(
            f"{FILE} does not fit to the record of {chapter.name}: measure it again with {COMMAND} "
            f"--profile {record.result['profile']} --force"
        )


def _verdict(rows: Mapping[Chapter, Mapping[str, Any]], confidence: float) -> str:
    draws = [(draw, entry) for entry in rows.values() for draw in entry["draws"]]
    part = [(draw, entry) for draw, entry in draws if draw["examples"] < entry["examples"]]
    right = sum(draw["within"] for draw, _ in part)
    always = sum(all(draw["within"] for draw in entry["draws"]) for entry in rows.values())
    all_right = sum(draw["within"] for draw, _ in draws)
    said = (
        f"**Run on the networks themselves**, {counted(len(draws), 'sample')} of "
        f"{counted(len(rows), 'chapter')} whose trained network was at hand, until "
        f"{_percent(confidence)} confidence is reached or everything is read. Within one step of "
        f"the grid, τ* is that of all the data in {all_right} of {len(draws)}, and in every sample "
        f"of {always} of {len(rows)} chapters. "
    )
    if not part:
        return f"{said}Everything was read each time."
    return (
        f"{said}In {len(draws) - len(part)} everything was read, which leaves nothing to be unsure "
        f"of; of the {len(part)} that stopped before, {right} are right "
        f"({_percent(right / len(part))}, where at least {_percent(confidence)} is claimed)."
    )


def _table(rows: Mapping[Chapter, Mapping[str, Any]]) -> str:
    lines = []
    for chapter, entry in rows.items():
        draws = entry["draws"]
        shares = [draw["examples"] / entry["examples"] for draw in draws]
        found = sorted({draw["tau_star"] for draw in draws}, key=lambda tau: (tau is None, tau))
        whole = sum(share == 1 for share in shares)
        lines.append(
            [
                f"[{chapter.title}](chapters/{chapter.name})",
                _tau(entry["tau_star"]),
                ", ".join(map(_tau, found)),
                f"{sum(draw['within'] for draw in draws)} of {len(draws)}",
                f"{_percent(median(shares))} ({_percent(min(shares))} to {_percent(max(shares))})",
                str(whole),
            ]
        )
    head = [
        "chapter", "τ* of all", "of the samples", "within a step", "share read", "read everything",
    ]  # fmt: skip
    return wide(head, lines)


def _tau(value: float | None) -> str:
    return NONE_FOUND if value is None else f"{value:.4g}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
