"""What pretraining by its own objective adds to a network's accuracy: the file, and its page."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from companion.pages.checked import beside_records, read_of_profile
from companion.pages.tables import counted, markdown
from companion.runs.chapters import CHAPTERS, Chapter
from companion.runs.records import Record
from companion.runs.schema import Digest, Least, Part, Positive, Provenance, Share

__all__ = [
    "COMMAND", "FILE", "FORMAT", "MODELS", "WORTH", "pretrainable", "pretraining_text",
    "read_pretraining",
]  # fmt: skip

#: Beside the records of a profile, version of the file, and what writes it.
FILE, FORMAT, COMMAND = "pretraining.json", 1, "python -m benchmarks.pretraining"
#: Networks that have an objective of their own, apart from what they are tested on.
MODELS = ("vit", "electra", "t5", "gpt2")
#: Points of test accuracy from which pretraining would be worth its time.
WORTH = 5.0


class Entry(Part):
    """A chapter's network, pretrained and then trained, and the curves of the one that was not."""

    curves_sha256: Digest
    epochs: Positive
    losses: list[float]
    accuracy: Share
    validation_accuracy: Share
    seconds: Least
    provenance: Provenance


class Content(Part):
    """The file."""

    profile: str
    chapters: dict[str, Entry]


def pretrainable() -> list[Chapter]:
    """Chapters whose networks have an objective of their own."""
    return [chapter for chapter in CHAPTERS if chapter.model in MODELS]


def read_pretraining(path: Path) -> dict[str, Any] | None:
    """What was measured, by name of the chapter.

    Parameters
    ----------
    path : Path
        ``<results>/<profile>/pretraining.json``; it need not exist.

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
    able = {chapter.name for chapter in pretrainable()}
    for name, entry in measured["chapters"].items():
        if name not in able:
            yield f"{name!r} has no objective of its own"
        if len(entry["losses"]) != entry["epochs"]:
            yield f"losses of {name} are not those of its epochs"


def pretraining_text(
    measured: Mapping[str, Any] | None, records: Mapping[str, Sequence[Record]], profile: str
) -> str:
    """How much each network that was measured gains, and whether that is worth it.

    Parameters
    ----------
    measured : mapping or None
        As from :func:`read_pretraining`.
    records : mapping of str to sequence of Record
        The records of every chapter, by its name.
    profile : str
        Theirs.

    Returns
    -------
    str
        Markdown: a sentence and a table, with the standard error of each difference as if the two
        networks erred independently, and what is missing with its command.
    """
    measured = measured or {}
    found, old = beside_records(measured, records)
    rows, lifted = [], []
    for chapter, record in found.items():
        entry = measured[chapter.name]
        before, after = record.result["metrics"]["test_accuracy"], entry["accuracy"]
        variance = before * (1 - before) + after * (1 - after)
        error = 100 * math.sqrt(variance / record.result["stages"]["train"]["data"]["test"])
        gain = 100 * (after - before)
        if gain >= WORTH:
            lifted.append(chapter.title)
        rows.append(
            [
                chapter.title,
                str(entry["epochs"]),
                f"{100 * before:.1f} %",
                f"{100 * after:.1f} %",
                f"{gain:+.1f} ± {error:.1f}",
            ]
        )
    parts = []
    if rows:
        verdict = f"lifts {' and '.join(lifted)}" if lifted else "lifts none of them"
        head = [
            "chapter",
            "epochs of pretraining",
            "test accuracy without",
            "with",
            "points gained",
        ]
        parts = [
            f"Measured on {counted(len(rows), 'chapter')}, seed 0: pretraining {verdict} by "
            f"{WORTH:g} points or more.",
            markdown(head, rows),
        ]
    if old:
        names = ", ".join(chapter.title for chapter in old)
        parts.append(f"Measured beside records that are not there any more: {names}.")
    if absent := [chapter for chapter in pretrainable() if chapter not in found]:
        titles = ", ".join(chapter.title for chapter in absent)
        names = " ".join(chapter.name for chapter in absent)
        parts.append(f"Not measured: {titles} (`{COMMAND} {names} --profile {profile}` does it).")
    return "\n\n".join(parts) + "\n"
