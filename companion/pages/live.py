"""The part of a chapter's page that moves: a threshold to slide, and what the record says there.

The page itself holds a table and nothing that would be wrong without JavaScript. With it,
``live.js`` adds a cursor that moves through the panels of the figure, a histogram of the sizes of
the activations and the numbers at the cursor. Its data come in a script of their own, for browsers
refuse to read other files beside a page that is itself a file.

The first seed is shown, with the range over all seeds beside every number: curves of all seeds in
one figure are what the static figure's bands are for, they would double the data, and a threshold
has one histogram only where there is one network.

Of very long curves not every threshold is kept (`MOST`), for a panel is some hundred pixels wide.
What was measured in full evaluation and what the record marks as a threshold always is. Every
number that is shown was measured at the threshold it is shown for; nothing is interpolated.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from companion.data.specs import DATASETS
from companion.pages.escape import in_html
from companion.pages.shown import decimals, fraction, percent, shown, significant
from companion.pages.tables import counted
from companion.pages.thinned import thinned
from companion.paper import published
from companion.runs.chapters import Chapter
from companion.runs.methods import METHODS
from companion.runs.records import CURVES, Record
from thermo_utils.files import write_atomically
from thermo_utils.panel_axes import SHOWN_BETA

__all__ = ["VENDOR", "live_block", "live_data", "overlay_block", "write_live"]

#: A renormalized curve of more thresholds is thinned, to within this fraction of its range.
MOST: Final = 600
TOLERANCE: Final = 0.0025
#: Bars of the histogram at most.
BARS: Final = 200
#: Significant digits of the numbers.
DIGITS: Final = 5
#: The library that draws, among the static files.
VENDOR: Final = "vendor/uplot-1.6.32/uPlot.iife.min.js"
#: What the overlay compares, and what ranges over seeds are given of.
SLOPES: Final = ("dF_dtau", "dF_dbeta")
RANGED: Final[Mapping[str, tuple[str, ...]]] = {
    "renormalized": ("beta", "free_energy"),
    "full": ("beta", "free_energy", "accuracy"),
}
CLOSE: Final = ("beta", "free_energy", *SLOPES)
#: The order in which thresholds of ours are offered.
OURS: Final = ("full", "renormalized", "accuracy")


def live_block(name: str, records: Sequence[Record], *, csv: str | None = None) -> str:
    """What stands below the figure of a chapter's page.

    Parameters
    ----------
    name : str
        Of the page, and of its data.
    records : sequence of Record
        By seed, at least one; the first is shown.
    csv : str, optional
        Address of its ``curves.csv``, as seen from the page.

    Returns
    -------
    str
        HTML, for a page in a folder of the site's first level. Without JavaScript it is a table
        that opens.
    """
    first = records[0]
    full, renormalized = first.curve("full"), first.curve("renormalized")
    fast = renormalized.set_index("tau").reindex(full["tau"])
    rows = [
        (significant(slow["tau"], 4), *_cells(slow), percent(slow["accuracy"]), *_cells(other))
        for slow, other in zip(full.to_dict("records"), fast.to_dict("records"), strict=True)
    ]
    fe, rfe = (METHODS[method].short for method in ("full", "renormalized"))
    head = ["τ", *(f"{y}, {fe}" for y in ("β", "F", "dF/dτ")), "accuracy"]
    head += [f"{y}, {rfe}" for y in ("β", "F", "dF/dτ")]
    seeds = f"Seed {first.result['seed']} of {counted(len(records), 'seed')}. "
    more = f"{rfe} has {counted(len(renormalized), 'threshold')}"
    where = f'<a href="{in_html(csv)}">{CURVES}</a>' if csv else CURVES
    return (
        f'<div class="live" data-chapter="{in_html(name)}">\n'
        '<details class="live-table">\n'
        f"<summary>The curves as a table: {counted(len(full), 'threshold')} of the full "
        "evaluation</summary>\n"
        f"<p>{seeds if len(records) > 1 else ''}{more}; all of them, with every digit, are in "
        f"{where}.</p>\n"
        f'<div class="live-scroll" tabindex="0" role="region" aria-label="The curves">\n'
        f"{shown(head, rows)._repr_html_()}\n</div>\n</details>\n</div>\n"
        + _scripts("../_static", "figure.js", "cursor.js")
    )


def _cells(point: Mapping[Any, Any]) -> tuple[str, str, str]:
    """Sparsity, free energy and slope at a threshold; nothing where it was not measured."""
    return (
        fraction(point["beta"], 3),
        decimals(point["free_energy"], 3),
        significant(point["dF_dtau"], 3),
    )


def overlay_block(chapters: Mapping[Chapter, Sequence[Record]]) -> str:
    """Where curves of several chapters are laid over each other.

    Parameters
    ----------
    chapters : mapping of Chapter to sequence of Record
        Those that have records have data.

    Returns
    -------
    str
        HTML, for a page at the top of the site.
    """
    offered = in_html(json.dumps([[c.name, c.title] for c, records in chapters.items() if records]))
    return (
        f'<div class="live" id="overlay" data-chapters="{offered}">\n'
        "<noscript><p>Curves of several chapters are drawn over each other here by a script. "
        "Without it, every chapter's page has its own.</p></noscript>\n"
        "</div>\n" + _scripts("_static", "overlay.js")
    )


def _scripts(static: str, *own: str) -> str:
    """What a page loads. Data are asked for by these scripts."""
    paths = (VENDOR, "live.js", *own)
    return "\n".join(f'<script defer src="{static}/{path}"></script>' for path in paths)


def live_data(
    name: str, records: Sequence[Record], geometry: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What ``live.js`` needs of a chapter.

    Parameters
    ----------
    name : str
        Of the page.
    records : sequence of Record
        By seed, at least one.
    geometry : mapping, optional
        Where the panels are in the figure, see :func:`companion.pages.panels.write_panels`.

    Returns
    -------
    dict
        Ready for JSON. ``full`` and ``renormalized``: columns of the curves of the first seed, and
        under ``low`` and ``high`` the range over several. ``histogram``: ``edges`` from zero on
        and the ``counts`` of activations between them, ``beyond`` them none is told from another.
        ``marks``: thresholds to start from, the paper's first.
    """
    first, title = records[0], Chapter(records[0].result["model"], records[0].result["dataset"])
    full, whole = first.curve("full"), first.curve("renormalized")
    renormalized = whole.iloc[_kept(whole, full, first.result["thresholds"])]
    attrs = full.attrs
    slow = _columns(full, (*RANGED["full"], *SLOPES), [r.curve("full") for r in records])
    # Taus of measured accuracies in every digit: they are what a reader looks up elsewhere.
    slow["tau"] = [float(tau) for tau in full["tau"]]
    if (blocks := first.blocks("full")) is not None:
        slow["blocks"] = _blocks(blocks, full["tau"])
    fast = _columns(
        renormalized,
        (*RANGED["renormalized"], *SLOPES),
        [record.curve("renormalized") for record in records],
    )
    measured = set(slow["tau"])
    fast["tau"] = [t if t in measured else _rounded(t) for t in map(float, renormalized["tau"])]
    plain: dict[str, Any] = _rounded(
        {
            "baseline": attrs.get("baseline_accuracy"),
            "geometry": dict(geometry or {}),
            "marks": _marks(records, float(full["tau"].iloc[-1])),
            "shown_beta": SHOWN_BETA,
        }
    )
    return plain | {
        "name": name,
        "title": title.title,
        "synthetic": bool(first.result["synthetic"]),
        "seeds": [int(record.result["seed"]) for record in records],
        "total": int(whole.attrs["total"]),
        "samples": attrs.get("samples"),
        "full": slow,
        "renormalized": fast,
        "histogram": _histogram(whole, float(full["tau"].iloc[-1])),
    }


def write_live(folder: Path, name: str, data: Mapping[str, Any]) -> None:
    """Write the data of a page as a script.

    Parameters
    ----------
    folder : Path
        ``_static/data`` of the site; it must exist.
    name : str
        Of the page, as in `data`.
    data : mapping
        From :func:`live_data`.
    """
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    write_atomically(folder / f"{name}.js", f"thermo.data({text});\n")


def _kept(
    curve: pd.DataFrame, full: pd.DataFrame, thresholds: Mapping[str, Any]
) -> NDArray[np.int64]:
    """Rows of the renormalized curve that are kept."""
    tau = curve["tau"].to_numpy()
    # Once nothing is left, nothing changes any more.
    gone = np.flatnonzero(curve["active"].to_numpy() == 0)
    count = int(gone[0]) + 1 if len(gone) else len(curve)
    if count <= MOST:
        return np.arange(count)
    needed = [*full["tau"], *(t["tau"] for t in thresholds.values() if t is not None)]
    must = {int(np.abs(tau[:count] - one).argmin()) for one in needed}
    drawn = (curve["beta"] <= SHOWN_BETA).to_numpy()[:count]
    return thinned(curve.iloc[:count], CLOSE, tolerance=TOLERANCE, must=must, among=drawn)


def _columns(
    curve: pd.DataFrame, names: Sequence[str], seeds: Sequence[pd.DataFrame]
) -> dict[str, Any]:
    """Columns of a curve, and the lowest and highest of all seeds at the same thresholds."""
    columns: dict[str, Any] = {name: _rounded(curve[name].tolist()) for name in names}
    if len(seeds) < 2:
        return columns
    ranged = [name for name in names if name not in SLOPES]
    values = {name: np.array([_at(s, name, curve["tau"]) for s in seeds]) for name in ranged}
    columns["low"] = {name: _rounded(v.min(axis=0).tolist()) for name, v in values.items()}
    columns["high"] = {name: _rounded(v.max(axis=0).tolist()) for name, v in values.items()}
    return columns


def _at(curve: pd.DataFrame, name: str, tau: pd.Series) -> NDArray[np.float64]:
    return curve.set_index("tau")[name].reindex(tau).to_numpy(dtype=float)


def _blocks(blocks: pd.DataFrame, tau: pd.Series) -> dict[str, Any]:
    """How much of each block of examples is pruned in full evaluation: the least and the most."""
    active = blocks.pivot(index="tau", columns="block", values="active")
    pruned = 1 - active.loc[list(tau)] / active.loc[0.0]
    return {
        "number": active.shape[1],
        "low": _rounded(pruned.min(axis=1).tolist()),
        "high": _rounded(pruned.max(axis=1).tolist()),
    }


def _histogram(curve: pd.DataFrame, last: float) -> dict[str, Any]:
    """How many activations lie between thresholds, up to the last one of the full evaluation."""
    within = curve[curve["tau"] <= last * (1 + 1e-9)]
    step = math.ceil(len(within) / BARS)
    ends = within.iloc[len(within) - 1 :: -step].iloc[::-1]
    left = [int(curve.attrs["total"]), *map(int, ends["active"])]
    return {
        "edges": [0.0, *_rounded(ends["tau"].tolist())],
        "counts": [more - fewer for more, fewer in pairwise(left)],
        "beyond": left[-1],
    }


def _marks(records: Sequence[Record], last: float) -> list[dict[str, Any]]:
    """Thresholds that a reader wants to go to: the paper's first, and ours."""
    result, marks = records[0].result, []
    ours = f"our seed {result['seed']}" if len(records) > 1 else "ours"
    if result["model"] in published.MODELS and result["dataset"] in DATASETS:
        stated = published.lookup(result["model"], result["dataset"], "tau_star")
        stated = stated[stated["low"].notna() & (stated["low"] <= last)]
        for row in stated.head(1).to_dict("records"):
            of = METHODS[row["method"]].short
            value = published.as_range(row["low"], row["high"])
            marks.append({"label": f"the paper’s τ*: {value} ({of})", "tau": row["low"]})
    for method in OURS:
        if (found := result["thresholds"].get(method)) is not None:
            tau, of = found["tau"], METHODS[method].short
            marks.append({"label": f"{ours}: {significant(tau, 4)} ({of})", "tau": tau})
    return marks


def _rounded(value: Any) -> Any:
    """Numbers with few digits, nothing where there is none, in whatever they stand."""
    if isinstance(value, Mapping):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    return value
