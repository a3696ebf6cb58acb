"""What is seen in a chapter's six panels, and what everything in them means, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd

from companion.pages.shown import fraction
from companion.pages.tables import NOT_STATED, stated
from companion.runs.chapters import Chapter
from companion.runs.methods import CURVES, METHODS
from companion.runs.records import Record
from thermo_utils.figures import SHOWN_BETA
from thermo_utils.panel_axes import up_to

__all__ = ["alt_text", "caption", "crossings"]

#: What a threshold is called in a sentence about a figure.
WHOSE: Final = {"accuracy": "the accuracy", "full": "FE", "renormalized": "RFE"}
#: Crossings that are named one by one.
FEW: Final = 3


def alt_text(records: Sequence[Record], title: str) -> str:
    """What is seen in the six panels.

    Parameters
    ----------
    records : sequence of Record
        Of one chapter, the drawn one first.
    title : str
        Of the figure.

    Returns
    -------
    str
        Plain text in one line, fit for an option of a directive.
    """
    result = records[0].result
    note = ", made from synthetic data" if result["synthetic"] else ""
    parts = [
        f"Six panels of {title}{note}.",
        _accuracy(records),
        *(_free_energy(records, method) for method in CURVES),
        *(_slope(records[0], method) for method in CURVES),
        _paper(result["model"], result["dataset"]),
    ]
    # A number sign after a blank would begin a remark.
    return " ".join(" ".join(parts).split()).replace(" #", "#")


def caption(records: Sequence[Record]) -> str:
    """What the panels, lines, ticks and bands are.

    Parameters
    ----------
    records : sequence of Record
        Of one chapter, the drawn one first.

    Returns
    -------
    str
        Markdown, in one line.
    """
    result = records[0].result
    seeds = [str(record.result["seed"]) for record in records]
    chapter = Chapter(result["model"], result["dataset"])
    parts = [
        "**(a)**, **(d)** test accuracy, **(b)**, **(e)** free energy $F$, **(c)**, **(f)** its "
        "slope, over the threshold τ and the sparsity β. Slopes are cut where they run away, so "
        "that their zeros show.",
        f"Curves: seed {seeds[0]}"
        + (f"; shaded: range over seeds {_listed(seeds)}." if len(seeds) > 1 else "."),
    ]
    none = [WHOSE[method] for method in METHODS if result["thresholds"][method] is None]
    if len(none) < len(METHODS):
        parts.append(f"Vertical lines: its critical thresholds{_missing(none, 'none for')}.")
    else:
        parts.append("It has no critical threshold.")
    parts.append("Ticks at the foot: those of every seed; from below accuracy, FE, RFE.")
    silent = [WHOSE[method] for method in METHODS if not _states(chapter, method)]
    if len(silent) < len(METHODS):
        parts.append(
            "Bands and pale lines, with marks at the head: every value that the paper states; from "
            f"above accuracy, FE, RFE{_missing(silent, 'nothing for')}."
        )
    else:
        parts.append("The paper states no threshold for this network on these data.")
    return " ".join(parts)


def crossings(curve: pd.DataFrame, x: str) -> list[float]:
    """Where the drawn slope of a free energy crosses zero.

    Parameters
    ----------
    curve : DataFrame
        With columns ``beta``, `x` and ``dF_d<x>``.
    x : {"tau", "beta"}
        Of which axis.

    Returns
    -------
    list of float
        Between two grid points on the straight line that joins them.

    Examples
    --------
    >>> curve = pd.DataFrame({"tau": [1.0, 2.0, 3.0], "beta": [0.1, 0.2, 0.3]})
    >>> crossings(curve.assign(dF_dtau=[1.0, 0.5, -0.5]), "tau")
    [2.5]
    """
    drawn = curve.loc[curve["beta"] <= SHOWN_BETA, [x, f"dF_d{x}"]].dropna()
    at, slope = drawn.to_numpy().T
    at, slope = at[slope != 0], slope[slope != 0]
    before = np.flatnonzero(np.sign(slope[:-1]) != np.sign(slope[1:]))
    share = slope[before] / (slope[before] - slope[before + 1])
    return (at[before] + share * (at[before + 1] - at[before])).tolist()


def _accuracy(records: Sequence[Record]) -> str:
    full = records[0].curve("full")
    last = full.iloc[-1]
    text = (
        f"Panels a and d, test accuracy, {_percent(full.attrs['baseline_accuracy'])} without "
        f"pruning and {_percent(last['accuracy'])} at the last threshold, τ {last['tau']:.3g}; "
    )
    found = records[0].result["thresholds"]["accuracy"]
    if found is None:
        return text + "where it gives way was not found" + _over(records, "accuracy") + "."
    return text + f"it gives way at {_point(found)}" + _over(records, "accuracy") + "."


def _free_energy(records: Sequence[Record], method: str) -> str:
    result = records[0].result
    found, other = result["thresholds"][method], result["thresholds"]["accuracy"]
    panels = (
        "Panels b and e, free energy, on full evaluation" if method == "full" else "Renormalized,"
    )
    if found is None:
        return f"{panels} without a feature" + _over(records, method) + "."
    side = ""
    if other is not None:
        order = np.sign(found["tau"] - other["tau"])
        side = {-1: ", before the accuracy gives way", 0: ", where the accuracy gives way"}.get(
            int(order), ", after the accuracy has given way"
        )
    article = "an" if found["kind"][0] in "aeiou" else "a"
    return (
        f"{panels} first with {article} {found['kind']} at {_point(found)}{side}"
        + _over(records, method)
        + "."
    )


def _slope(record: Record, method: str) -> str:
    curve = record.curve(method)
    if method == "renormalized":  # drawn as far as the other
        curve = up_to(record.curve("full")["tau"].iloc[-1], curve)
    at = crossings(curve, "tau")
    panels = "Panels c and f, slope," if method == "full" else "and"
    named = ", ".join(f"{tau:.3g}" for tau in at[:FEW])
    if not at:
        words = "does not cross zero"
    elif len(at) <= FEW:
        words = f"crosses zero at τ {named}"
    else:
        words = f"crosses zero {len(at)} times, first at τ {at[0]:.3g}"
    return f"{panels} {WHOSE[method]} {words}" + ("," if method == "full" else ".")


def _paper(model: str, dataset: str) -> str:
    chapter = Chapter(model, dataset)
    said = [
        f"{stated(model, dataset, 'tau_star', method)} for {WHOSE[method]}"
        for method in METHODS
        if _states(chapter, method)
    ]
    return f"The paper states τ* of {', '.join(said)}." if said else "The paper states no τ*."


def _states(chapter: Chapter, method: str) -> bool:
    return any(
        stated(chapter.model, chapter.dataset, quantity, method) != NOT_STATED
        for quantity in ("tau_star", "beta_star")
    )


def _over(records: Sequence[Record], method: str) -> str:
    """How far the other seeds are from the first, where there are others."""
    if len(records) < 2:
        return ""
    found = [record.result["thresholds"][method] for record in records]
    taus = [one["tau"] for one in found if one is not None]
    if not taus:
        return f", nor on any other of {len(records)} seeds"
    ends = list(dict.fromkeys(f"{tau:.3g}" for tau in (min(taus), max(taus))))
    some = "" if len(taus) == len(records) else f"{len(taus)} of "
    return f" (over {some}{len(records)} seeds τ {' to '.join(ends)})"


def _missing(names: Sequence[str], words: str) -> str:
    return f" ({words} {_listed(names)})" if names else ""


def _listed(names: Sequence[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def _point(found: dict[str, float | None]) -> str:
    tau, beta = found["tau"], found["beta"]
    return f"τ {tau:.3g}" + ("" if beta is None else f" (β {fraction(beta)})")


def _percent(share: float) -> str:
    return f"{100 * share:.1f} percent"
