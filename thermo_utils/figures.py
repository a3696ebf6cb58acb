"""The paper's six panels, and what every figure has in common.

Blue is the full evaluation (empirical), pink the renormalized curve (statistical), grey the
accuracy, as in the paper. Figures made from generated data say so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from thermo_utils.curves import Threshold
from thermo_utils.errors import unknown
from thermo_utils.looks import (
    ACCURACY,
    DASHES,
    FULL,
    METHOD_COLORS,
    OF_SCORE,
    RENORMALIZED,
    STYLE,
)
from thermo_utils.panel_axes import SHOWN_BETA, focus, from_zero, make_room, up_to, zero_line
from thermo_utils.panel_layout import LAYOUTS, lay_out
from thermo_utils.panels import (
    Published,
    line,
    published_marks,
    range_of,
    seed_ticks,
    threshold_lines,
)

__all__ = [
    "ACCURACY",
    "FULL",
    "RENORMALIZED",
    "SHOWN_BETA",
    "STYLE",
    "Published",
    "finish",
    "four_panels",
    "six_panels",
]

#: What the axes are called.
NAMES = {"tau": r"threshold $\tau$", "beta": r"sparsity $\beta$"}


def six_panels(
    full: pd.DataFrame,
    renormalized: pd.DataFrame,
    thresholds: Mapping[str, Threshold | None],
    *,
    title: str,
    synthetic: bool = False,
    bands: Mapping[str, Sequence[pd.DataFrame]] | None = None,
    seeds: Sequence[Mapping[str, Threshold | None]] = (),
    published: Sequence[Published] = (),
    columns: Literal[2, 3] = 3,
) -> Figure:
    """Accuracy, free energy and its derivative, over threshold and over sparsity (Figs. 2-21).

    Parameters
    ----------
    full, renormalized : DataFrame
        Curves of :func:`thermo_utils.full_evaluation` and :func:`thermo_utils.renormalized`. Where
        `full` was judged by another metric, that takes the place of the accuracy.
    thresholds : mapping
        ``full``, ``renormalized``, and ``accuracy`` or another metric, drawn as vertical lines;
        None is left out.
    title : str
        Heading.
    synthetic : bool, default False
        Whether to mark the figure as made from generated data.
    bands : mapping of str to sequence of DataFrame, optional
        Curves of several seeds under ``full`` and ``renormalized``. Where there is more than one,
        the range from the lowest to the highest is shaded, over the part that all of them reach.
    seeds : sequence of mapping, optional
        Thresholds as above for every seed, drawn as ticks at the foot of each panel.
    published : sequence of Published, optional
        What others state of the same thresholds, drawn as bands and pale lines with marks at the
        head of each panel.
    columns : {3, 2}, default 3
        Three columns, a row over the threshold and one over the sparsity; or two, a column each,
        to be read on a screen of 390 CSS pixels.

    Returns
    -------
    Figure
        Panels (a)-(f), its ``axes`` in the paper's order.

    Raises
    ------
    ThermoError
        If `columns` is neither 2 nor 3.
    """
    if columns not in LAYOUTS:
        raise unknown("columns", columns, map(str, LAYOUTS))
    layout = LAYOUTS[columns]
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=layout.size)
        grid = figure.add_gridspec(6 // columns, columns)
        score = full.attrs.get("metric", {"name": "accuracy"})["name"]
        words = f"test {score.replace('_', ' ')}"
        for number in range(6):
            row, column = divmod(number, 3)
            x = ("tau", "beta")[row]
            axis = figure.add_subplot(grid[layout.place(number)])
            y = (score, "free_energy", f"dF_d{x}")[column]
            label = (words, "free energy $F$", rf"$dF/d\{x}$")[column]
            axis.set(xlabel=NAMES[x], ylabel=label, title=f"({'abcdef'[number]})")
            # Over tau as far as the other curve; over beta to where nothing is left.
            last = full["tau"].iloc[-1] if x == "tau" else np.inf
            color = ACCURACY if y == score else FULL
            range_of(axis, (bands or {}).get("full", ()), x, y, color)
            line(axis, full, x, y, color, words if y == score else "full evaluation (FE)")
            if y == score:
                baseline = full.attrs.get("baseline", full.attrs.get("baseline_accuracy"))
                if baseline is not None:
                    axis.axhline(baseline, color=ACCURACY, lw=0.8, ls=":", label="_baseline")
                from_zero(axis, full[score])
            else:
                fast = up_to(last, renormalized)
                others = [up_to(last, curve) for curve in (bands or {}).get("renormalized", ())]
                range_of(axis, others, x, y, RENORMALIZED)
                line(axis, fast, x, y, RENORMALIZED, "renormalized (RFE)", fast=True)
            if column == 2:
                zero_line(axis)
                focus(axis, [full, fast], x, y)
            elif seeds or published:
                make_room(axis)
            published_marks(axis, published, x)
            threshold_lines(axis, thresholds, x)
            seed_ticks(axis, seeds, x)
        _legend(figure, layout.legend, score, (bands or {}).get("full", ()), seeds, published)
        finish(figure, title, synthetic, between=layout.between)
        lay_out(figure, columns)
    return figure


def four_panels(
    renormalized: pd.DataFrame,
    threshold: Threshold | None,
    *,
    title: str,
    synthetic: bool = False,
) -> Figure:
    """The renormalized free energy alone and its derivative, over threshold and over sparsity.

    Parameters
    ----------
    renormalized : DataFrame
        Curve of :func:`thermo_utils.renormalized`.
    threshold : Threshold or None
        Its critical threshold, drawn as a vertical line.
    title, synthetic
        As for :func:`six_panels`.

    Returns
    -------
    Figure
        Panels (a)-(d).
    """
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(2, 2, figsize=(7.6, 6.0), layout="constrained")
        # The grid goes on over five octaves beyond the bulk, which over tau would be all one sees.
        bulk = up_to(_end_of_bulk(renormalized), renormalized)
        for row, x in enumerate(("tau", "beta")):
            shown = bulk if x == "tau" else renormalized
            for column, y in enumerate(("free_energy", f"dF_d{x}")):
                axis = axes[row, column]
                label = rf"$dF/d\{x}$" if column else "free energy $F$"
                axis.set(xlabel=NAMES[x], ylabel=label, title=f"({'abcd'[2 * row + column]})")
                line(axis, shown, x, y, RENORMALIZED, "renormalized (RFE)", fast=True)
                if column:
                    zero_line(axis)
                    focus(axis, [shown], x, y)
                threshold_lines(axis, {"renormalized": threshold}, x)
        handles, labels = axes[0, 0].get_legend_handles_labels()
        handles.append(Line2D([], [], color=RENORMALIZED, lw=1.3, ls=DASHES["renormalized"]))
        labels.append("critical threshold" if threshold is not None else "no critical threshold")
        figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
        finish(figure, title, synthetic)
    return figure


def _end_of_bulk(curve: pd.DataFrame) -> float:
    """The first threshold that leaves next to nothing."""
    gone = curve["tau"][curve["beta"] > SHOWN_BETA]
    return float(gone.iloc[0] if len(gone) else curve["tau"].iloc[-1])


def _legend(
    figure: Figure,
    columns: int,
    score: str,
    bands: Sequence[pd.DataFrame],
    seeds: Sequence[Mapping[str, Threshold | None]],
    published: Sequence[Published],
) -> None:
    """One legend for all panels, of what is drawn in them."""
    of_score, of_curves = (figure.axes[k].get_legend_handles_labels() for k in (0, 1))
    handles: list[Any] = [*of_curves[0], *of_score[0]]
    labels = [*of_curves[1], *of_score[1]]
    if len(bands) > 1:
        handles.append(Patch(color=FULL, alpha=0.22, lw=0))
        labels.append(f"range over {len(bands)} seeds")
    colors = {score: ACCURACY, **METHOD_COLORS}
    handles.append(
        tuple(
            Line2D([], [], color=color, lw=1.3, ls=DASHES.get(method, OF_SCORE))
            for method, color in colors.items()
        )
    )
    labels.append("critical thresholds")
    ticks: dict[str, Any] = {"ls": "none", "marker": "|", "ms": 8, "mew": 2.2}
    marks: dict[str, Any] = {"lw": 7, "alpha": 0.3, "solid_capstyle": "butt"}
    for drawn, style, name in (
        (seeds, ticks, "those of every seed"), (published, marks, "published thresholds"),
    ):  # fmt: skip
        if drawn:
            handles.append(tuple(Line2D([], [], color=c, **style) for c in colors.values()))
            labels.append(name)
    figure.legend(
        handles, labels, loc="lower center", ncols=columns, frameon=False, borderaxespad=0.2,
        handlelength=4.2, handler_map={tuple: HandlerTuple(ndivide=None, pad=0.4)},
    )  # fmt: skip


def finish(figure: Figure, title: str, synthetic: bool, *, between: str = "  ") -> None:
    """Give a figure its heading, which says so if its data were generated, and close it."""
    note = f"{between}[demo: synthetic data, not a reproduction]" if synthetic else ""
    figure.suptitle(title + note, color="#b00020" if synthetic else "black", fontsize=11)
    plt.close(figure)  # whoever asked for it shows it, once
