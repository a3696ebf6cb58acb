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
``measured``
    One of `MEASURED`: what records of these chapters have to say about it.

Small slips, from which nothing follows, are a kind of their own, which the book puts into one
footnote.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

import pandas as pd

from companion.runs.chapters import CHAPTERS
from thermo_utils.errors import ThermoError

__all__ = ["COLUMNS", "KINDS", "LONGEST", "MEASURED", "SMALL", "check", "errata"]

#: The kind that makes a footnote.
SMALL: Final = "small"
#: What ``kind`` may be, and how it is headed, in the order of the file.
KINDS: Final[Mapping[str, str]] = {
    "numbers": "Numbers that differ between places",
    "words": "Words that the numbers do not bear out",
    "definitions": "Definitions and procedures",
    "literature": "Literature and layout",
    SMALL: "Small slips",
}
COLUMNS: Final = (
    "id", "kind", "chapters", "title", "first_place", "first_quote", "second_place",
    "second_quote", "problem", "here", "measured",
)  # fmt: skip
#: What ``measured`` may be: thresholds with sparsities, the ratio of times, the accuracy with each
#: split of the data, or nothing.
MEASURED: Final = ("thresholds", "times", "split", "")
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
    ['τ ≈ 0.8 (β ≈ 0.045)', '0.80 with 0.45']
    """
    return _load().copy()


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
        empty = [c for c in COLUMNS if c not in ("chapters", "measured") and not row[c].strip()]
        long = [c for c in ("first_quote", "second_quote") if len(row[c]) > LONGEST]
        strangers = [name for name in row["chapters"].split() if name not in known]
        problem = (
            "its id occurs twice" if row["id"] in seen
            else f"{empty[0]} is empty" if empty
            else f"kind {row['kind']!r} is not one of {kinds}" if row["kind"] not in KINDS
            else f"measured {row['measured']!r} is unknown" if row["measured"] not in MEASURED
            else f"there is no chapter {strangers[0]!r}" if strangers
            else f"{long[0]} is longer than {LONGEST} characters" if long
            else None
        )  # fmt: skip
        if problem:
            raise ThermoError(f"errata: row {row['id']!r}: {problem}")
        seen.add(row["id"])
