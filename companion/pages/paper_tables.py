"""Tables 1 to 4 in the paper's layout, every cell with our value above the paper's."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

import pandas as pd

from companion.data.specs import DATASETS
from companion.networks import NETWORKS
from companion.pages.escape import in_html
from companion.pages.seeds import kinds, positions, sparsities, timed
from companion.pages.shown import unbroken
from companion.pages.tables import DASH, NONE_FOUND, NOT_RUN, cells
from companion.paper import published
from companion.runs.chapters import Chapter
from companion.runs.methods import METHODS
from companion.runs.records import Record

__all__ = ["paper_table"]

#: Quantities of the paper that are times.
TIMES = ("time_s", "speedup")

#: Our column and row heads for the keys of :func:`companion.paper.published.table`.
HEADS = {
    **{name: network.title for name, network in NETWORKS.items()},
    **{name: method.short for name, method in METHODS.items()},
    "tau_star": "τ*", "beta_star": "β*", "derivative_zero": "derivative = 0",
    "extremum": "extremum of F",
    "time_s": "time, s", "speedup": "FE / RFE",
    **{name: spec.title for name, spec in DATASETS.items()},
}  # fmt: skip
#: What the first column holds, by what the rows are grouped by.
ROWS = {"dataset": "quantity", "quantity": "method"}


def paper_table(number: int, records: Mapping[Chapter, Sequence[Record]]) -> str:
    """One of the paper's tables with our results.

    Parameters
    ----------
    number : {1, 2, 3, 4}
        Tables 1 and 3 hold thresholds and sparsities, 2 and 4 times and speed-ups.
    records : mapping of Chapter to sequence of Record
        One per seed; a chapter without any shows as not run.

    Returns
    -------
    str
        HTML. Each cell holds our value and, below it, the paper's; rows stand in groups.

    Raises
    ------
    ThermoError
        If there is no such table.
    """
    paper = published.table(number)
    runs = {(c.model, c.dataset): found for c, found in records.items()}
    names = [*paper.index.names, *paper.columns.names]
    outer, inner = (paper.columns.get_level_values(level) for level in (0, 1))
    labels = [f"{_head(a)}, {_head(b)}" for a, b in zip(outer, inner, strict=True)]
    parts = [
        '<table class="paper-table">',
        f'<thead><tr><th scope="col" rowspan="2">{ROWS[str(names[0])]}</th>{_spanning(outer)}</tr>',
        "<tr>" + "".join(f'<th scope="col">{_head(key)}</th>' for key in inner) + "</tr></thead>",
    ]
    for group, rows in groupby(paper.index, key=lambda row: row[0]):
        span = 1 + len(labels)
        parts.append(f'<tbody><tr><th scope="rowgroup" colspan="{span}">{_head(group)}</th></tr>')
        for row in rows:
            shown = [
                _both(runs, dict(zip(names, [*row, *column], strict=True)), paper.loc[row, column])
                for column in paper.columns
            ]
            parts.append(f'<tr><th scope="row">{_head(row[1])}</th>{cells(labels, shown)}</tr>')
        parts.append("</tbody>")
    return "\n".join([*parts, "</table>"]) + "\n"


def _spanning(keys: Iterable[Hashable]) -> str:
    """Heads of columns that stand together."""
    return "".join(
        f'<th scope="colgroup" colspan="{len(list(same))}">{_head(key)}</th>'
        for key, same in groupby(keys)
    )


def _head(key: Hashable) -> str:
    return HEADS.get(str(key)) or in_html(key)


def _both(
    runs: Mapping[tuple[str, str], Sequence[Record]], place: Mapping[Hashable, str], theirs: Any
) -> str:
    """Our value and the paper's."""
    found = runs.get((place["model"], place["dataset"]))
    ours = _ours(found, place["quantity"], place["method"]) if found else NOT_RUN
    if place["quantity"] not in TIMES:  # with several devices they are too long for eleven columns
        ours = unbroken(ours)
    return (
        f'<span class="ours">{ours}</span><br><span class="paper">'
        f"{_theirs(theirs, place['quantity'])}</span>"
    )


def _ours(found: Sequence[Record], quantity: str, method: str) -> str:
    if quantity in TIMES:
        return in_html(timed(found, method if quantity == "time_s" else "speedup"))
    if not any(record.result["thresholds"][method] for record in found):
        return NONE_FOUND
    if quantity == "tau_star":
        return in_html(", ".join(positions(found, method, kind=False)))
    if quantity == "beta_star":
        return sparsities(found, method)
    if method == "accuracy":  # an accuracy threshold is no feature of F
        return DASH
    words = kinds(found, method)
    if quantity == "derivative_zero":
        words = [
            kind if kind == NONE_FOUND else "yes" if kind in ("peak", "valley") else "no"
            for kind in words
        ]
    return in_html(", ".join(words if len(set(words)) > 1 else words[:1]))


def _theirs(value: Any, quantity: str) -> str:
    if pd.isna(value):
        return DASH
    if quantity in TIMES:
        return f"{value:g}"
    return in_html(value)
