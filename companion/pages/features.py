"""How firmly a chapter's curves show their first feature: intervals, and variants of the rule."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from companion.pages.tables import NONE_FOUND
from companion.runs.methods import CURVES, METHODS
from companion.runs.records import Record
from thermo_utils.curves import Threshold
from thermo_utils.resampling import over_examples, over_seeds
from thermo_utils.transitions import critical_threshold, highest_point

__all__ = ["VARIANTS", "Variant", "firmness", "interval", "piles", "variant_thresholds"]

#: Activations pile up where their density exceeds that of so many steps on either side by this
#: factor, and by so many standard errors of counting.
AROUND, PILE, ERRORS = 5, 1.25, 5.0


class Variant(NamedTuple):
    """A variant of the rule that finds the first feature.

    Attributes
    ----------
    words : str
        What differs.
    options : dict of str to float
        For :func:`thermo_utils.critical_threshold`.
    part : callable
        What of the curve is looked at.
    """

    words: str
    options: dict[str, float]
    part: Callable[[pd.DataFrame], pd.DataFrame] = lambda curve: curve


VARIANTS: Final = (
    Variant("if F need move back by half as much", {"share": 0.4}),
    Variant("if F must move back by all it has varied", {"share": 1.0}),
    Variant("if noise were twice as large", {"counting_factor": 6.0, "flat_factor": 3.6}),
    Variant("without the first threshold", {}, lambda curve: curve.iloc[1:]),
    Variant("without the last fifth of the thresholds", {}, lambda c: c.iloc[: int(0.8 * len(c))]),
)


def variant_thresholds(curve: pd.DataFrame) -> dict[str, Threshold | None]:
    """The critical threshold under every variant of the rule.

    Parameters
    ----------
    curve : DataFrame
        As for :func:`thermo_utils.critical_threshold`.

    Returns
    -------
    dict of str to Threshold or None
        By the words of `VARIANTS`.
    """
    with warnings.catch_warnings():
        # That a curve without its first point begins too late is what its variant is there to show.
        warnings.filterwarnings("ignore", "the curve begins at", UserWarning)
        return {
            variant.words: critical_threshold(
                variant.part(curve).reset_index(drop=True), **variant.options
            )
            for variant in VARIANTS
        }


def interval(low: float, high: float) -> str:
    """An interval in words.

    Examples
    --------
    >>> interval(0.08, 0.2), interval(0.1, 0.1)
    ('0.08 to 0.2', '0.1')
    """
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def piles(curve: pd.DataFrame) -> list[float]:
    """Thresholds at which activations pile up, where F jumps whatever the rest of them does.

    Parameters
    ----------
    curve : DataFrame
        A renormalized curve: columns ``tau``, ``rho`` and ``active``.

    Returns
    -------
    list of float
        The end of every step of the grid with a density of activations a quarter higher than in
        each of the five steps before and after it, by five standard errors of counting.

    Examples
    --------
    >>> tau = np.arange(1, 21) / 20
    >>> rho = 1 - 0.5 * tau - 0.1 * (tau >= 0.5)
    >>> piles(pd.DataFrame({"tau": tau, "rho": rho, "active": 1e6 * rho}))
    [0.5]
    """
    if len(curve) <= 2 * AROUND:
        return []
    total = curve["active"].iloc[0] / curve["rho"].iloc[0]
    tau, active = (
        np.concatenate([[at], curve[name]]) for name, at in (("tau", 0.0), ("active", total))
    )
    count, width = -np.diff(active), np.diff(tau)
    windows = np.lib.stride_tricks.sliding_window_view(count / width, 2 * AROUND + 1)
    others = np.delete(windows, AROUND, axis=1).max(axis=1)
    inside = slice(AROUND, -AROUND)
    excess = count[inside] - PILE * others * width[inside]
    piled = excess > ERRORS * np.sqrt(np.maximum(count[inside], 1))
    return [float(t) for t in tau[1:][inside][piled]]


def firmness(record: Record, others: Sequence[Record] = ()) -> pd.DataFrame:
    """How firmly a record's curves show their first feature.

    Parameters
    ----------
    record : Record
        The run.
    others : sequence of Record
        Runs of other seeds.

    Returns
    -------
    DataFrame
        A column of words per method. Rows: the first feature, with the thresholds that noise does
        not tell from it; the highest point of F likewise; 95 % of the first features if other test
        examples are drawn, where blocks of them were kept; whether the seeds agree; where
        activations pile up; and the first feature under every variant of the rule.
    """
    columns = {}
    for method in CURVES:
        curve = record.curve(method)
        first, at = critical_threshold(curve), piles(record.curve("renormalized"))
        cells = {
            "first feature": _cell(first) + (_remark(first, at) if first else ""),
            "highest point of F": _cell(highest_point(curve), kind=False),
            "with other test examples": _of_examples(record, method),
            "over seeds": _of_seeds(first, [other.curve(method) for other in others]),
        }
        cells["activations pile up at"] = ", ".join(f"{t:g}" for t in at[:5]) or "no threshold"
        cells |= {words: _cell(found) for words, found in variant_thresholds(curve).items()}
        columns[METHODS[method].short] = cells
    return pd.DataFrame(columns)


def _cell(found: Threshold | None, *, kind: bool = True) -> str:
    if found is None:
        return NONE_FOUND
    name = f"{'flat ' if found.rule.startswith('flat') else ''}{found.kind} " if kind else ""
    return f"{name}{found.tau:g} ({interval(found.low, found.high)})"


def _remark(first: Threshold, at: Sequence[float]) -> str:
    """A word on a feature that so many equal activations make."""
    return ", where activations pile up" if any(first.low <= t <= first.high for t in at) else ""


def _of_examples(record: Record, method: str) -> str:
    blocks = record.blocks(method)
    if blocks is None:
        return "not known: the record has no blocks of examples"
    seen = over_examples(blocks)
    if not seen.found:
        return NONE_FOUND
    often = "" if seen.found == 1 else f", in {seen.found:.0%} of draws"
    return f"{interval(seen.low, seen.high)}{often}"


def _of_seeds(first: Threshold | None, curves: Sequence[pd.DataFrame]) -> str:
    if not curves:
        return "one seed"
    found = [first, *(critical_threshold(curve) for curve in curves)]
    agreed = over_seeds(found)
    if agreed is not None:
        return f"{agreed.kind} {agreed.tau:g} ({interval(agreed.low, agreed.high)})"
    seen = ", ".join("none" if t is None else f"{t.kind} {t.tau:g}" for t in found)
    return f"no reliable feature ({seen})"
