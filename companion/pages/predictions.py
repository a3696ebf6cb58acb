"""Predictions of where accuracy gives way, and how far each is off, as tables and figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from companion.pages.tables import markdown
from companion.paper.comparison import NEAR, UNSAFE, compare, near, unsafe
from companion.paper.predictors import A_STEP, PREDICTORS, THEORY, per_chapter, predictions
from companion.runs.chapters import chapter, chapter_title
from companion.runs.records import Record
from thermo_utils.figures import ACCURACY, FULL, RENORMALIZED, STYLE

__all__ = ["HEADS", "NAMES", "by_chapter", "dots", "factor", "points", "robustness", "summary"]

#: Names of the predictors in sentences.
NAMES: Final[Mapping[str, str]] = {
    "FE": "F, full evaluation",
    "RFE": "F, renormalized",
    "quantile": "fixed sparsity",
    "careful": "lowest safe sparsity",
    "retained": "fixed share of the sum",
    "knee": "knee of the sparsity",
    "constant": "one threshold for all",
}
#: Heads of columns, where there are many.
HEADS: Final[Mapping[str, str]] = {
    "FE": "FE",
    "RFE": "RFE",
    "quantile": "fixed $\\beta$",
    "careful": "lowest $\\beta$",
    "retained": "fixed $\\Sigma$",
    "knee": "knee",
    "constant": "one $\\tau$",
}
MARKS: Final[Mapping[str, tuple[str, str]]] = {
    "FE": (FULL, "o"),
    "RFE": (RENORMALIZED, "o"),
    "quantile": (ACCURACY, "s"),
    "careful": ("#b8860b", "s"),
    "retained": ("#2e8b57", "D"),
    "knee": ("#8a5a9e", "^"),
    "constant": ("#999999", "|"),
}


def dots(chapters: Mapping[str, Sequence[Record]], value: str) -> Figure:
    """Predictions of every rule, a row per chapter, a mark per rule and seed.

    Parameters
    ----------
    chapters : mapping of str to sequence of Record
        Records by name of chapter, one per seed.
    value : {"ratio", "drop"}
        Predicted threshold over that of the accuracy, or the accuracy lost at the predicted one.

    Returns
    -------
    Figure
    """
    predicted = predictions(chapters)
    names = list(dict.fromkeys(predicted["chapter"]))
    synthetic = any(r.result["synthetic"] for records in chapters.values() for r in records)
    with plt.rc_context(STYLE):
        height = 1.7 + 0.42 * max(len(names), 1)
        figure, axis = plt.subplots(figsize=(5.6, height), layout="constrained")
        for k, predictor in enumerate(PREDICTORS):
            rows = predicted[predicted["predictor"] == predictor]
            color, marker = MARKS[predictor]
            at = np.array([names.index(name) for name in rows["chapter"]], dtype=float)
            # Rules side by side within the row of a chapter, the theory on top.
            at += 0.09 * (k - (len(PREDICTORS) - 1) / 2)
            shown = 2 ** rows["octaves"] if value == "ratio" else 100 * rows["drop"]
            axis.plot(
                shown, at, marker=marker, color=color, label=NAMES[predictor], ls="none", ms=5.5,
                mew=2 if marker == "|" else 0,
            )  # fmt: skip
        for row in range(1, len(names)):
            axis.axhline(row - 0.5, color="#dddddd", lw=0.7)
        axis.set_yticks(range(len(names)), [chapter_title(name) for name in names])
        axis.set_ylim(max(len(names), 1) - 0.5, -0.5)
        axis.grid(axis="y", visible=False)
        if value == "ratio":
            axis.axvline(1, color=ACCURACY, lw=1.2)
            axis.set_xscale("log", base=2)
            axis.xaxis.set_major_formatter(FuncFormatter(_ratio))
            axis.xaxis.set_minor_locator(NullLocator())
            axis.set_xlabel("predicted threshold / threshold of the accuracy")
        else:
            axis.axvline(100 * UNSAFE, color=ACCURACY, lw=1.2)
            axis.set_xlabel("accuracy lost at the predicted threshold, points")
        figure.legend(loc="outside upper center", ncols=2, frameon=False)
        if synthetic:
            figure.suptitle("demo: synthetic data, not a reproduction", color="#b00020", y=0)
        plt.close(figure)
    return figure


def factor(octaves: float) -> str:
    """An error in octaves as a factor, ``none`` where there is no prediction.

    Parameters
    ----------
    octaves : float
        Infinite for none.

    Returns
    -------
    str

    Examples
    --------
    >>> factor(1.0), factor(float("inf"))
    ('2.0', 'none')
    """
    return f"{2**octaves:.1f}" if np.isfinite(octaves) else "none"


def points(share: float) -> str:
    """A share of accuracy in points, ``none`` where there is none.

    Parameters
    ----------
    share : float
        May be nan.

    Returns
    -------
    str

    Examples
    --------
    >>> points(0.0512), points(-1e-9), points(float("nan"))
    ('5.1', '0.0', 'none')
    """
    # Never "-0.0", which a drop within rounding of nothing would give.
    return "none" if np.isnan(share) else f"{round(100 * share, 1) + 0.0:.1f}"


def _cell(row: pd.Series) -> str:
    if row["misses"]:
        return "miss"
    if row["steps"] <= A_STEP:
        side = "≈"
    elif row["early"] and row["late"]:
        side = "±"
    else:
        side = "÷" if row["signed"] < 0 else "×"
    return f"{side} {factor(row['octaves'])}"


def _ratio(value: float, _: int) -> str:
    """A power of two; below one as a fraction."""
    return f"{value:g}" if value >= 1 else f"1/{1 / value:g}"


def by_chapter(errors: pd.DataFrame) -> str:
    """A row per chapter: the factor by which each predictor is off, and to which side.

    Parameters
    ----------
    errors : DataFrame
        As returned by :func:`companion.paper.predictors.per_chapter`.

    Returns
    -------
    str
        Markdown.
    """
    rows = []
    for name, group in errors.groupby("chapter", sort=False):
        cells = {row["predictor"]: _cell(row) for _, row in group.iterrows()}
        link = f"[{chapter_title(str(name))}](chapters/{name})"
        seeds = int(group["seeds"].iloc[0])
        rows.append(
            [link + (f", {seeds} seeds" if seeds > 1 else ""), *(cells[p] for p in PREDICTORS)]
        )
    return markdown(["chapter", *(HEADS[p] for p in PREDICTORS)], rows)


def summary(predicted: pd.DataFrame, errors: pd.DataFrame) -> str:
    """A row per predictor: what was fitted, how far off it is, what it costs.

    Parameters
    ----------
    predicted, errors : DataFrame
        As returned by :func:`companion.paper.predictors.predictions` and
        :func:`companion.paper.predictors.per_chapter`.

    Returns
    -------
    str
        Markdown.
    """
    rows = []
    for predictor in PREDICTORS:
        own = errors[errors["predictor"] == predictor]
        values = predicted.loc[predicted["predictor"] == predictor, "parameter"].dropna()
        rows.append(
            [
                NAMES[predictor],
                "" if values.empty else f"{values.min():.2f} to {values.max():.2f}",
                factor(own["octaves"].median()),
                factor(own["octaves"].max()),
                f"{own['steps'].median():.1f}",
                f"{own['sparsity'].median():.2f}",
                f"{len(near(errors, predictor))} of {len(own)}",
                points(own["drop"].median()),
                points(own["worst"].max()),
                f"{len(unsafe(errors, predictor))} of {len(own)}",
                *(_nearer(errors, predictor, method) for method in THEORY),
            ]
        )
    header = [
        "rule", "fitted value", "median factor", "worst factor", "median steps",
        "median sparsity error", f"within {2**NEAR:.1f}", "median drop, points",
        "worst drop, points", f"drop above {100 * UNSAFE:.0f}", "nearer than FE", "nearer than RFE",
    ]  # fmt: skip
    return markdown(header, rows)


def _nearer(errors: pd.DataFrame, predictor: str, method: str) -> str:
    if predictor == method:
        return ""
    c = compare(errors, predictor, method)
    return f"{c.wins} of {c.wins + c.losses + c.ties} (p = {c.p:.2g})"


def robustness(chapters: Mapping[str, Sequence[Record]], predicted: pd.DataFrame) -> str:
    """Median factors for other targets, and for rules fitted to other networks only.

    Parameters
    ----------
    chapters : mapping of str to sequence of Record
        Records by name of chapter, one per seed.
    predicted : DataFrame
        Their predictions with every choice as by default.

    Returns
    -------
    str
        Markdown.
    """
    rows = []
    for words, table in (
        ("5 points, other chapters", predicted),
        ("2 points", predictions(chapters, max_drop=0.02)),
        ("10 points", predictions(chapters, max_drop=0.10)),
        ("5 points, other networks", predictions(chapters, together=_network)),
    ):
        errors = per_chapter(table)
        medians = errors.groupby("predictor")["octaves"].median()
        cells = [factor(medians.get(p, np.inf)) for p in PREDICTORS]
        rows.append([words, errors["chapter"].nunique(), *cells])
    return markdown(["target and fit", "chapters", *(HEADS[p] for p in PREDICTORS)], rows)


def _network(name: str) -> str:
    return chapter(*name.split("-")).model
