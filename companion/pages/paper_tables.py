"""Tables 1 to 4 in the paper's layout, every cell with our value above the paper's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from companion.data.specs import DATASETS
from companion.networks import NETWORKS
from companion.pages.escape import in_html
from companion.pages.tables import DASH, NONE_FOUND, NOT_RUN, sparsity
from companion.paper import published
from companion.runs.chapters import Chapter
from companion.runs.methods import METHODS
from companion.runs.records import Record

__all__ = ["paper_table"]

#: Our column and row heads for the keys of :func:`companion.paper.published.table`.
HEADS = {
    **{name: network.title for name, network in NETWORKS.items()},
    **{name: method.short for name, method in METHODS.items()},
    "tau_star": "&tau;*", "beta_star": "&beta;*", "derivative_zero": "derivative = 0",
    "extremum": "extremum of F",
    "time_s": "time, s", "speedup": "FE / RFE",
    **{name: spec.title for name, spec in DATASETS.items()},
}  # fmt: skip


def paper_table(number: int, records: Mapping[Chapter, Record | None]) -> str:
    """One of the paper's tables with our results.

    Parameters
    ----------
    number : {1, 2, 3, 4}
        Tables 1 and 3 hold thresholds and sparsities, 2 and 4 times and speed-ups.
    records : mapping of Chapter to Record or None
        A chapter without a record shows as not run.

    Returns
    -------
    str
        HTML. Each cell holds our value and, below it, the paper's.

    Raises
    ------
    ThermoError
        If there is no such table.
    """
    paper = published.table(number)
    results = {(c.model, c.dataset): r.result if r else None for c, r in records.items()}
    names = [*paper.index.names, *paper.columns.names]
    cells = pd.DataFrame(index=paper.index, columns=paper.columns, dtype=object)
    for row in paper.index:
        for column in paper.columns:
            place = dict(zip(names, [*row, *column], strict=True))
            result = results.get((place["model"], place["dataset"]))
            ours = NOT_RUN if result is None else _ours(result, place["quantity"], place["method"])
            cells.loc[row, column] = (
                f'<span class="ours">{ours}</span><br><span class="paper">'
                f"{_theirs(paper.loc[row, column], place['quantity'])}</span>"
            )
    cells = cells.rename(index=_head, columns=_head)
    cells.index.names = [None] * cells.index.nlevels
    cells.columns.names = [None] * cells.columns.nlevels
    table = cells.to_html(escape=False, border=0, classes="paper-table")
    return f'<div class="pst-scrollable-table-container">\n{table}\n</div>\n'


def _head(key: str) -> str:
    return HEADS.get(key) or in_html(key)


def _ours(result: Mapping[str, Any], quantity: str, method: str) -> str:
    if quantity == "time_s":
        return f"{result['timings'][method]:.3g}"
    if quantity == "speedup":
        return f"{result['timings']['speedup']:.3g}"
    threshold = result["thresholds"][method]
    if threshold is None:
        return NONE_FOUND
    if quantity == "tau_star":
        return f"{threshold['tau']:.3g}"
    if quantity == "beta_star":
        return sparsity(threshold["beta"])
    if method == "accuracy":  # an accuracy threshold is no feature of F
        return DASH
    is_extremum = threshold["kind"] in ("peak", "valley")
    if quantity == "derivative_zero":
        return "yes" if is_extremum else "no"
    return in_html(threshold["kind"])


def _theirs(value: Any, quantity: str) -> str:
    if pd.isna(value):
        return DASH
    if quantity in ("time_s", "speedup"):
        return f"{value:g}"
    return in_html(value)
