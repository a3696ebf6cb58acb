"""Guided evaluations of the chapters' networks beside their whole ones: the file, and its page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from companion.pages.checked import beside_records, left_out, read_of_profile
from companion.pages.tables import NONE_FOUND, counted, wide
from companion.paper.dozen import whole_thresholds, within_step
from companion.runs.chapters import Chapter
from companion.runs.records import Record
from companion.runs.schema import (
    Count,
    Digest,
    Least,
    Part,
    Positive,
    Provenance,
    Share,
    printable,
)
from thermo_utils.errors import ThermoError
from thermo_utils.grids import grid_step
from thermo_utils.guided import PASSES

__all__ = ["COMMAND", "FILE", "FORMAT", "guided_text", "read_guided"]

#: Beside the records of a profile, version of the file, and what writes it.
FILE, FORMAT, COMMAND = "guided.json", 1, "python -m benchmarks.dozen"

Above = Annotated[float, Field(gt=0)]


class Evaluated(Part):
    tau: Above
    active: Count | None
    accuracy: Share | None


class Whole(Part):
    passes: Positive
    tau_star: Above | None
    accuracy_threshold: Least | None


class Guided(Whole):
    evaluated: Annotated[list[Evaluated], Field(min_length=1)]
    not_looked_at: list[Annotated[list[Above], Field(min_length=2, max_length=2)]]
    seconds: Least


class Agrees(Part):
    tau_star: bool
    accuracy_threshold: bool


class Entry(Part):
    """A chapter, and the curves it is compared with."""

    curves_sha256: Digest
    step: Above
    guided: Guided
    whole: Whole
    agrees: Agrees
    provenance: Provenance


class Content(Part):
    profile: str
    chapters: dict[str, Entry]


def read_guided(path: Path) -> dict[str, Any] | None:
    """What was measured, by name of the chapter.

    Parameters
    ----------
    path : Path
        ``<results>/<profile>/guided.json``; it need not exist.

    Returns
    -------
    dict or None
        None where there is no such file.

    Raises
    ------
    ThermoError
        If it is damaged or of another version.
    """
    measured = read_of_profile(path, FORMAT, Content, _contradictions, COMMAND)
    return None if measured is None else measured["chapters"]


def _contradictions(measured: Mapping[str, Any]) -> Iterator[str]:
    for name, entry in measured["chapters"].items():
        guided, whole = entry["guided"], entry["whole"]
        taus = [row["tau"] for row in guided["evaluated"]]
        if guided["passes"] != len(taus) + 1 or len(set(taus)) != len(taus):
            yield f"passes of {name} are not its evaluated thresholds and one more"
        for what, said in entry["agrees"].items():
            if said != within_step(guided[what], whole[what], entry["step"]):
                yield f"agrees.{what} of {name} does not follow from its thresholds"


def guided_text(
    measured: Mapping[str, Any] | None, records: Mapping[str, Sequence[Record]], profile: str
) -> str:
    """How guided evaluations of networks compare with the whole ones of their records.

    Parameters
    ----------
    measured : mapping or None
        As from :func:`read_guided`.
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
        If what the file says of a whole evaluation is not what its record says.
    """
    if not measured:
        return f"Not run on the networks themselves: `{COMMAND} --profile {profile}` does it.\n"
    rows, exact, most = {}, 0, 0.0
    found, old = beside_records(measured, records)
    for chapter, record in found.items():
        entry = rows[chapter] = measured[chapter.name]
        differences = _differences(chapter, entry, record)
        exact += differences == (0, 0.0)
        most = max(most, differences[1])
    parts = [_verdict(rows, profile), _table(rows), _same(len(rows), exact, most)] if rows else []
    parts += [_missed(rows)] if rows and not all(map(_both, rows.values())) else []
    return "\n\n".join([*parts, *left_out(old, measured)]) + "\n"


def _differences(chapter: Chapter, entry: Mapping[str, Any], record: Record) -> tuple[int, float]:
    """Of counts how many, and of accuracies by how much at most, from the whole evaluation's."""
    full = record.curve("full")
    whole = whole_thresholds(full)
    holds = {
        "step": (entry["step"], grid_step(full)),
        "whole.passes": (entry["whole"]["passes"], len(full) + 1),
        "whole.tau_star": (entry["whole"]["tau_star"], whole.tau_star),
        "whole.accuracy_threshold": (entry["whole"]["accuracy_threshold"], whole.accuracy),
    }
    rows = full.set_index("tau")
    found = entry["guided"]["evaluated"]
    wrong = [f"{name} is {ours}, not {theirs}" for name, (ours, theirs) in holds.items()
             if ours != theirs]  # fmt: skip
    wrong += [f"{row['tau']} is not on the grid" for row in found if row["tau"] not in rows.index]
    if wrong:
        raise ThermoError(
            f"{FILE} does not fit to the record of {chapter.name} ({printable(wrong)}): measure it "
            f"again with {COMMAND} --profile {record.result['profile']} --force"
        )
    pairs = [(row, rows.loc[row["tau"]]) for row in found]
    known = [(row, there) for row, there in pairs if row["accuracy"] is not None]
    return (
        sum(row["active"] != there["active"] for row, there in pairs),
        max((abs(row["accuracy"] - there["accuracy"]) for row, there in known), default=0.0),
    )


def _both(entry: Mapping[str, Any]) -> bool:
    return all(entry["agrees"].values())


def _verdict(rows: Mapping[Chapter, Mapping[str, Any]], profile: str) -> str:
    def range_of(kind: str) -> str:
        passes = [entry[kind]["passes"] for entry in rows.values()]
        return " to ".join(dict.fromkeys((str(min(passes)), str(max(passes)))))

    agreeing = {
        what: sum(entry["agrees"][what] for entry in rows.values())
        for what in ("tau_star", "accuracy_threshold")
    }
    return (
        f"**Run on the networks themselves** (`{COMMAND} --profile {profile}`), for "
        f"{counted(len(rows), 'chapter')} whose trained network was at hand (seed 0), guided "
        f"evaluations took {range_of('guided')} passes, of {PASSES} allowed, where the whole "
        f"ones took {range_of('whole')}. Within one step of the grid, τ* agrees on "
        f"{agreeing['tau_star']} of {len(rows)}, the accuracy threshold on "
        f"{agreeing['accuracy_threshold']}, both on {sum(map(_both, rows.values()))}."
    )


def _table(rows: Mapping[Chapter, Mapping[str, Any]]) -> str:
    lines = []
    for chapter, entry in rows.items():
        guided, whole = entry["guided"], entry["whole"]
        lines.append(
            [
                f"[{chapter.title}](chapters/{chapter.name})",
                f"{guided['passes']} of {whole['passes']}",
                *(_tau(of[what]) for what in entry["agrees"] for of in (guided, whole)),
                f"{entry['step']:g}",
                "yes" if _both(entry) else "**no**",
            ]
        )
    head = [
        "chapter", "passes", "τ*, guided", "τ*, whole", "accuracy threshold, guided",
        "accuracy threshold, whole", "step", "both agree",
    ]  # fmt: skip
    return wide(head, lines)


def _same(number: int, exact: int, most: float) -> str:
    """Whether what was measured twice came out the same."""
    text = (
        "At the thresholds that both evaluated, the activations left and the accuracy are the same "
        f"to the last digit in {exact} of {counted(number, 'chapter')}"
    )
    if exact == number:
        return f"{text}."
    return f"{text}; elsewhere accuracies differ by up to {100 * most:.2g} points."


def _missed(rows: Mapping[Chapter, Mapping[str, Any]]) -> str:
    """Where a threshold does not agree, and whether it was in sight."""
    words = {"tau_star": "τ*", "accuracy_threshold": "the accuracy threshold"}
    said = []
    for chapter, entry in rows.items():
        for what, agrees in entry["agrees"].items():
            if agrees:
                continue
            at = entry["whole"][what]
            unseen = at is not None and any(
                low <= at <= high for low, high in entry["guided"]["not_looked_at"]
            )
            why = "lies where the guided evaluation did not look" if unseen else (
                "does not lie in a part that was left out: few thresholds show another curve"
            )  # fmt: skip
            said.append(f"{words[what]} of the whole evaluation of {chapter.title} {why}")
    return f"Where they do not agree: {'; '.join(said)}."


def _tau(value: float | None) -> str:
    return NONE_FOUND if value is None else f"{value:.4g}"
