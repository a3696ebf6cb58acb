"""Where the paper contradicts itself, as data: a row per contradiction, with both places.

``id``
    Stable and readable.
``kind``
    One of `KINDS`.
``chapters``
    Names of the chapters it is about, separated by blanks; empty where it is about none or all.
``title``, ``problem``, ``here``
    What it is about, what does not fit, and which version counts here and why.
``first_place``, ``first_quote``, ``second_place``, ``second_quote``
    Both places. Quotes from sections and the abstract are verbatim; of tables, equations and
    references they say what stands there.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import pandas as pd

from thermo_utils.chapters import CHAPTERS
from thermo_utils.conclusion import chapter_title
from thermo_utils.errors import ThermoError
from thermo_utils.results import Record

__all__ = ["KINDS", "errata", "errata_page"]

#: What ``kind`` may be, and how it is headed.
KINDS: Final[Mapping[str, str]] = {
    "numbers": "Numbers that differ between places",
    "words": "Words that the numbers do not bear out",
    "definitions": "Definitions and procedures",
    "literature": "Literature and layout",
}
COLUMNS: Final = (
    "id", "kind", "chapters", "title", "first_place", "first_quote", "second_place",
    "second_quote", "problem", "here",
)  # fmt: skip
_FILE: Final = Path(__file__).with_name("errata.csv")
#: Longest quotation, in characters.
LONGEST: Final = 80


def errata() -> pd.DataFrame:
    """Every contradiction, one row each.

    Returns
    -------
    DataFrame
        Columns as in the module's description, all text. A fresh copy; the file is read and checked
        once.

    Raises
    ------
    ThermoError
        If the data file breaks its own rules.

    Examples
    --------
    >>> rows = errata().set_index("id")
    >>> rows.loc["t5-ag_news-beta", ["first_quote", "second_quote"]].tolist()
    ['τ ≈ 0.8 (β ≈ 0.045)', '0.45']
    """
    return _load().copy()


def errata_page(records: Mapping[str, Record | None]) -> str:
    """The contradictions as Markdown, with what was measured beside them.

    Parameters
    ----------
    records : mapping of str to Record or None
        By name of chapter; missing or None shows as not run.

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
    measured = [_measured(name, records.get(name)) for name in row["chapters"].split()]
    if measured and row["kind"] in ("numbers", "words"):
        lines.append(f'<span class="ours">Measured: {"; ".join(measured)}.</span>')
    return "\n".join([lines[0], "", *lines[1:]])


def _place(place: str, quote: str) -> str:
    verbatim = place.startswith(("Section", "Abstract"))
    return f"{place}: " + (f"“{quote}”" if verbatim else quote)


def _measured(name: str, record: Record | None) -> str:
    """Thresholds of a record, such as ``MLP on CIFAR-10: accuracy 0.76 (0.65), ...``."""
    if record is None:
        return f"{chapter_title(name)}: not run"
    texts = []
    for method, words in (("accuracy", "accuracy"), ("full", "FE"), ("renormalized", "RFE")):
        found = record.result["thresholds"][method]
        value = "none found" if found is None else f"{found['tau']:.3g} ({found['beta']:.2f})"
        kind = "" if found is None or method == "accuracy" else f" {found['kind']}"
        texts.append(f"{words} {value}{kind}")
    return f"{chapter_title(name)}: {', '.join(texts)}"


@cache
def _load() -> pd.DataFrame:
    rows = pd.read_csv(_FILE, dtype=str, keep_default_na=False, encoding="utf-8")
    check(rows)
    return rows


def check(rows: pd.DataFrame) -> None:
    """Refuse a table that breaks the rules of the module's description.

    Parameters
    ----------
    rows : DataFrame
        As in the data file, all text.

    Raises
    ------
    ThermoError
        Naming the first offending row.
    """
    if tuple(rows.columns) != COLUMNS:
        raise ThermoError(f"errata: columns must be {', '.join(COLUMNS)}")
    known, kinds = {c.name for c in CHAPTERS}, ", ".join(KINDS)
    seen: set[str] = set()
    for row in rows.to_dict("records"):
        empty = [c for c in COLUMNS if c != "chapters" and not row[c].strip()]
        long = [c for c in ("first_quote", "second_quote") if len(row[c]) > LONGEST]
        strangers = [name for name in row["chapters"].split() if name not in known]
        problem = (
            "its id occurs twice" if row["id"] in seen
            else f"{empty[0]} is empty" if empty
            else f"kind {row['kind']!r} is not one of {kinds}" if row["kind"] not in KINDS
            else f"there is no chapter {strangers[0]!r}" if strangers
            else f"{long[0]} is longer than {LONGEST} characters" if long
            else None
        )  # fmt: skip
        if problem:
            raise ThermoError(f"errata: row {row['id']!r}: {problem}")
        seen.add(row["id"])
