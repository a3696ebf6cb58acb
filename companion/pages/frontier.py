"""Loss against sparsity, over all runs: a figure, a table, and what a free energy is good for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from companion.pages.predictions import LINES, MARKS, NAMES, demo_note, points, rules_legend
from companion.pages.tables import markdown
from companion.paper.comparison import UNSAFE
from companion.paper.frontier import BOUND, HIGH, merit
from companion.paper.runs import HIGHEST, THEORY
from thermo_utils.figures import ACCURACY, STYLE
from thermo_utils.panel_layout import PHONE

__all__ = ["FLOOR", "frontier_figure", "frontier_table", "merit_words"]

#: The rules with the bound, in sentences.
RULE_NAMES: Final[Mapping[str, str]] = {**NAMES, BOUND: "the accuracy itself, measured"}
#: Losses below this are drawn at it: the axis is logarithmic. In points.
FLOOR: Final = 0.05


def frontier_figure(
    table: pd.DataFrame, *, synthetic: bool = False, narrow: bool = False
) -> Figure:
    """Loss over sparsity: rules with a parameter as curves, the others as points.

    Parameters
    ----------
    table : DataFrame
        As returned by :func:`companion.paper.frontier.frontier`.
    synthetic : bool, default False
        Whether to mark the figure as made from generated data.
    narrow : bool, default False
        Whether it is for a telephone.

    Returns
    -------
    Figure
        A panel for the worst run, and one for the quantile `HIGH` over runs.
    """
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            *((2, 1) if narrow else (1, 2)), figsize=(PHONE, 7.6) if narrow else (8.4, 4.4),
            layout="constrained", sharex=True, sharey=True,
        )  # fmt: skip
        for axis, (column, words) in zip(
            axes,
            (("worst", "in the worst run"), ("high", f"in {100 * HIGH:.0f} % of the runs")),
            strict=True,
        ):
            _panel(axis, table, column)
            axis.set(xlabel="median sparsity gained", title=f"largest loss {words}")
        axes[0].set_ylabel("accuracy lost, points")
        axes[0].set_yscale("log")
        axes[0].yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes[0].yaxis.set_minor_locator(NullLocator())
        rules_legend(figure, axes[0], narrow=narrow)
        demo_note(figure, synthetic=synthetic)
        plt.close(figure)
    return figure


def _panel(axis: Axes, table: pd.DataFrame, column: str) -> None:
    for rule in dict.fromkeys(table["rule"]):
        own = table[table["rule"] == rule]
        loss = np.maximum(100 * own[column], FLOOR)
        if rule == BOUND:
            axis.plot(own["sparsity"], loss, color="black", lw=1.8, ls="--", label=RULE_NAMES[rule])
        elif len(own) > 1:
            axis.plot(
                own["sparsity"], loss, color=MARKS[rule][0], ls=LINES[rule], lw=1.4,
                label=RULE_NAMES[rule],
            )  # fmt: skip
        else:
            color, marker = MARKS[rule]
            big = 9 if rule in THEORY else 6.5
            axis.plot(
                own["sparsity"], loss, ls="none", marker=marker, color=color, ms=big,
                label=RULE_NAMES[rule], zorder=5,
            )  # fmt: skip
    axis.axhline(100 * UNSAFE, color=ACCURACY, lw=0.8, ls=":")


def frontier_table(table: pd.DataFrame) -> str:
    """Each free energy beside the best simple rule and the bound at equal risk.

    Parameters
    ----------
    table : DataFrame
        As returned by :func:`companion.paper.frontier.frontier`.

    Returns
    -------
    str
        Markdown.
    """
    rows = []
    for by, words in (("worst", "worst run"), ("high", f"{100 * HIGH:.0f} % of the runs")):
        for method in (*THEORY, *HIGHEST):
            m = merit(table, method, by)
            own = table[table["rule"] == method].iloc[0]
            rows.append(
                [
                    NAMES[method],
                    f"{int(own['pruned'])} of {int(own['runs'])}",
                    f"{points(m.loss)} ({words})",
                    f"{m.sparsity:.2f}",
                    f"{m.rule_sparsity:.2f} ({NAMES[m.rule]})" if m.rule else "none",
                    f"{m.bound:.2f}",
                ]
            )
    header = [
        "threshold", "runs pruned", "largest loss, points", "median sparsity",
        "best simple rule of no larger loss", "measured",
    ]  # fmt: skip
    return markdown(header, rows)


def merit_words(table: pd.DataFrame, method: str) -> str:
    """What a free energy is worth as a threshold to prune at, as half a sentence.

    Parameters
    ----------
    table : DataFrame
        As returned by :func:`companion.paper.frontier.frontier`.
    method : str
        A free energy.

    Returns
    -------
    str
    """
    m = merit(table, method)
    text = (
        f"it loses at most {points(m.loss)} points in {int(table['runs'].iloc[0])} runs at a "
        f"median sparsity of {m.sparsity:.2f}"
    )
    if not m.rule:
        return f"{text}, and no simple rule is as safe at any sparsity"
    if m.sparsity > m.rule_sparsity:
        return (
            f"{text}, {m.sparsity / m.rule_sparsity:.1f} times the {m.rule_sparsity:.2f} that the "
            f"best simple rule with no larger loss reaches"
        )
    return f"{text}, where a simple rule with no larger loss ({NAMES[m.rule]}) reaches " + (
        f"{m.rule_sparsity:.2f}"
    )
