"""Predictions of where accuracy gives way, and how far each is off, as tables and figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from companion.pages.features import interval
from companion.pages.tables import markdown
from companion.paper.comparison import NEAR, UNSAFE, compare, near, unsafe
from companion.paper.predictors import A_STEP, PREDICTORS
from companion.paper.runs import THEORY
from companion.runs.chapters import chapter_title
from thermo_utils.figures import ACCURACY, FULL, RENORMALIZED, STYLE
from thermo_utils.panel_layout import PHONE

__all__ = [
    "HEADS",
    "LINES",
    "MARKS",
    "NAMES",
    "by_chapter",
    "demo_note",
    "dots",
    "factor",
    "fraction",
    "interval_words",
    "points",
    "rules_legend",
    "summary",
]

#: Names of the predictors in sentences.
NAMES: Final[Mapping[str, str]] = {
    "FE": "F, full evaluation",
    "RFE": "F, renormalized",
    "FE top": "highest F, full evaluation",
    "RFE top": "highest F, renormalized",
    "quantile": "fixed sparsity",
    "careful": "lowest safe sparsity",
    "retained": "fixed share of the sum",
    "knee": "knee of the sparsity",
    "constant": "one threshold for all",
}
#: Heads of columns, where there are many; a top is the highest point of F.
HEADS: Final[Mapping[str, str]] = {
    "FE": "FE",
    "RFE": "RFE",
    "FE top": "top of FE",
    "RFE top": "top of RFE",
    "quantile": "fixed β",
    "careful": "lowest β",
    "retained": "fixed Σ",
    "knee": "knee",
    "constant": "one τ",
}
#: Colours and marks in figures; every mark is another, for whoever sees no colours.
MARKS: Final[Mapping[str, tuple[str, str]]] = {
    "FE": (FULL, "o"),
    "RFE": (RENORMALIZED, "D"),
    "FE top": (FULL, "v"),
    "RFE top": (RENORMALIZED, "^"),
    "quantile": (ACCURACY, "s"),
    "careful": ("#a8760a", "P"),
    "retained": ("#2e8b57", "X"),
    "knee": ("#8a5a9e", ">"),
    "constant": ("#808080", "|"),
}
#: Dashes of those that are drawn as curves.
LINES: Final[Mapping[str, str | tuple[int, tuple[float, ...]]]] = {
    "FE": "-",
    "RFE": (0, (4.5, 1.6)),
    "FE top": "--",
    "RFE top": (0, (2.5, 1.2)),
    "quantile": "-",
    "careful": "-.",
    "retained": (0, (7, 2)),
    "knee": ":",
    "constant": (0, (5, 1, 1, 1, 1, 1)),
}


def dots(
    predicted: pd.DataFrame, value: str, *, synthetic: bool = False, narrow: bool = False
) -> Figure:
    """Predictions of every rule, a row per chapter, a mark per rule and seed.

    Parameters
    ----------
    predicted : DataFrame
        As returned by :func:`companion.paper.predictors.predictions`.
    value : {"ratio", "drop"}
        Predicted threshold over that of the accuracy, or the accuracy lost at the predicted one.
    synthetic : bool, default False
        Whether to mark the figure as made from generated data.
    narrow : bool, default False
        Whether it is for a telephone.

    Returns
    -------
    Figure
    """
    names = list(dict.fromkeys(predicted["chapter"]))
    with plt.rc_context(STYLE):
        height = 1.9 + 0.46 * max(len(names), 1)
        width, cut = (PHONE, "\n") if narrow else (5.6, " ")
        figure, axis = plt.subplots(figsize=(width, height), layout="constrained")
        for k, predictor in enumerate(PREDICTORS):
            rows = predicted[predicted["predictor"] == predictor]
            color, marker = MARKS[predictor]
            at = np.array([names.index(name) for name in rows["chapter"]], dtype=float)
            # Rules side by side within the row of a chapter, the theory on top.
            at += 0.085 * (k - (len(PREDICTORS) - 1) / 2)
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
            axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: fraction(value)))
            axis.xaxis.set_minor_locator(NullLocator())
            axis.set_xlabel(f"predicted threshold{cut}/ threshold of the accuracy")
        else:
            axis.axvline(100 * UNSAFE, color=ACCURACY, lw=1.2)
            axis.set_xlabel(f"accuracy lost{cut}at the predicted threshold, points")
        figure.legend(loc="outside upper center", ncols=2, frameon=False)
        demo_note(figure, synthetic=synthetic)
        plt.close(figure)
    return figure


def demo_note(figure: Figure, *, synthetic: bool) -> None:
    """Say below a figure that it is made from generated data, if it is.

    Parameters
    ----------
    figure : Figure
        Changed in place.
    synthetic : bool
        Whether.
    """
    if synthetic:
        figure.suptitle("demo: synthetic data, not a reproduction", color="#b00020", y=0)


def rules_legend(figure: Figure, axis: Axes, *, narrow: bool) -> None:
    """Name the rules of a figure above it.

    Parameters
    ----------
    figure : Figure
        Changed in place.
    axis : Axes
        Where all of them are drawn.
    narrow : bool
        Whether the figure is for a telephone.
    """
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside upper center",
        ncols=2 if narrow else 3,
        frameon=False,
        fontsize=9.4 if narrow else 8.5,
    )


def interval_words(low: float, high: float) -> str:
    """An interval of thresholds that the test examples cannot tell apart, in words.

    Parameters
    ----------
    low, high : float
        As returned by :func:`thermo_utils.accuracy.accuracy_interval`.

    Returns
    -------
    str

    Examples
    --------
    >>> interval_words(0.32, 0.44), interval_words(0.4, 0.4), interval_words(0.4, float("inf"))
    ('0.32 to 0.44', '0.4', '0.4 and more')
    >>> interval_words(float("nan"), float("nan"))
    'not known'
    """
    if np.isnan(low):
        return "not known"
    return interval(low, high) if np.isfinite(high) else f"{low:g} and more"


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
    if row["ends"]:
        return "grid ends"
    if row["misses"]:
        return "miss"
    if row["steps"] <= A_STEP:
        side = "≈"
    elif row["early"] and row["late"]:
        side = "±"
    else:
        side = "÷" if row["signed"] < 0 else "×"
    return f"{side} {factor(row['octaves'])}"


def fraction(value: float) -> str:
    """A ratio that is read as a factor; below one as a fraction.

    Parameters
    ----------
    value : float
        Positive.

    Returns
    -------
    str

    Examples
    --------
    >>> fraction(4.0), fraction(0.25)
    ('4', '1/4')
    """
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
                _range(values),
                factor(own["octaves"].median()),
                factor(own["octaves"].max()),
                f"{own['steps'].median():.1f}",
                f"{own['sparsity'].median():.2f}",
                f"{len(near(errors, predictor))} of {own['octaves'].notna().sum()}",
                points(own["drop"].median()),
                points(own["worst"].max()),
                f"{len(unsafe(errors, predictor))} of {(own['ends'] == 0).sum()}",
                *(_nearer(errors, predictor, method) for method in THEORY),
            ]
        )
    header = [
        "rule", "fitted value", "median factor", "worst factor", "median steps",
        "median sparsity error", f"within {2**NEAR:.1f}", "median drop, points",
        "worst drop, points", f"drop above {100 * UNSAFE:.0f}", "nearer than FE", "nearer than RFE",
    ]  # fmt: skip
    return markdown(header, rows)


def _range(values: pd.Series) -> str:
    """Of the fitted values, one per chapter; they may all be the same."""
    if values.empty:
        return ""
    low, high = f"{values.min():.2f}", f"{values.max():.2f}"
    return low if low == high else f"{low} to {high}"


def _nearer(errors: pd.DataFrame, predictor: str, method: str) -> str:
    if predictor == method:
        return ""
    c = compare(errors, predictor, method)
    return f"{c.wins} of {c.wins + c.losses + c.ties} (p = {c.p:.2g})"
