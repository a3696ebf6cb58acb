"""Where the paper contradicts itself as a page of the book, with what was measured beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from companion.pages.tables import located
from companion.paper.errata import KINDS, errata
from companion.runs.chapters import chapter_title
from companion.runs.methods import METHODS
from companion.runs.records import Record

__all__ = ["errata_page"]


def errata_page(records: Mapping[str, Record | None]) -> str:
    """The contradictions as Markdown, with what was measured beside them.

    Parameters
    ----------
    records : mapping of str to Record or None
        By name of chapter; of one that is missing or None, nothing is said.

    Returns
    -------
    str
    """
    parts = []
    rows = errata()
    for kind, heading in KINDS.items():
        parts.append(f"## {heading}")
        for number, (_, row) in zip(
            rows.index[rows["kind"] == kind] + 1,
            rows[rows["kind"] == kind].iterrows(),
            strict=True,
        ):
            parts.append(_entry(number, row, records))
    return "\n\n".join(parts) + "\n"


def _entry(number: int, row: Any, records: Mapping[str, Record | None]) -> str:
    titles = " · ".join(
        f"[{chapter_title(name)}](chapters/{name})" for name in row["chapters"].split()
    )
    lines = [
        f"**{number}. {row['title']}.** {titles}".rstrip(),
        f"- {_place(row['first_place'], row['first_quote'])}",
        f"- {_place(row['second_place'], row['second_quote'])}",
        "",
        f"{row['problem']} *Here:* {row['here']}",
    ]
    measured = [
        f"{chapter_title(name)}, {_measured(record, row['measured'])}"
        for name in row["chapters"].split()
        if row["measured"] and (record := records.get(name)) is not None
    ]
    if measured:
        lines += ["", f"*Measured here:* {'; '.join(measured)}."]
    return "\n".join([lines[0], "", *lines[1:]])


def _place(place: str, quote: str) -> str:
    verbatim = place.startswith(("Section", "Abstract"))
    return f"{place}: " + (f"“{quote}”" if verbatim else quote)


def _measured(record: Record, what: str) -> str:
    """Such as ``accuracy 0.76 (0.65), FE 0.12 (0.13) peak, RFE none found``; or a ratio."""
    if what == "times":
        return f"FE takes {record.result['timings']['speedup']:.3g} times as long as RFE"
    return ", ".join(
        f"{method.short} {located(record.result, name)}" for name, method in METHODS.items()
    )
