"""The paper's six panels, and what every figure has in common.

Blue is the full evaluation (empirical), pink the renormalized curve (statistical), grey the
accuracy, as in the paper. Figures made from generated data say so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from thermo_utils.curves import Threshold
from thermo_utils.thermodynamics import CURVE_COLUMNS

__all__ = [
    "ACCURACY", "FULL", "RENORMALIZED", "SHOWN_BETA", "STYLE", "finish", "four_panels",
    "six_panels",
]  # fmt: skip

FULL, RENORMALIZED, ACCURACY = "#1f5fb4", "#e0569b", "#555555"
#: Sparser than this, F describes a few survivors and its plunge would hide the rest of the curve.
SHOWN_BETA = 0.995
#: Points at which the curves of several seeds are compared.
BAND_POINTS = 400
#: What the axes are called.
NAMES = {"tau": r"threshold $\tau$", "beta": r"sparsity $\beta$"}
STYLE = {
    **sns.axes_style("whitegrid"),
    "axes.edgecolor": "#bbbbbb",
    "grid.color": "#eeeeee",
    "font.size": 9.5,
    "axes.titlesize": 10,
    "figure.dpi": 110,
}


def six_panels(
    full: pd.DataFrame,
    renormalized: pd.DataFrame,
    thresholds: Mapping[str, Threshold | None],
    *,
    title: str,
    synthetic: bool = False,
    bands: Mapping[str, Sequence[pd.DataFrame]] | None = None,
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

    Returns
    -------
    Figure
        Panels (a)-(f) in the paper's order.
    """
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(2, 3, figsize=(10.5, 6.0), layout="constrained")
        score = full.attrs.get("metric", {"name": "accuracy"})["name"]
        for row, x in enumerate(("tau", "beta")):
            panels = (
                (score, f"test {score.replace('_', ' ')}"),
                ("free_energy", "free energy $F$"),
                (f"dF_d{x}", rf"$dF/d\{x}$"),
            )
            for column, (y, label) in enumerate(panels):
                axis = axes[row, column]
                letter = "abcdef"[3 * row + column]
                axis.set(xlabel=NAMES[x], ylabel=label, title=f"({letter})")
                color, marker = (ACCURACY, ".") if y == score else (FULL, ".")
                seeds = bands or {}
                _band(axis, seeds.get("full", ()), x, y, color)
                if y != score:
                    # Over tau as far as the other curve; over beta to where nothing is left.
                    last = full["tau"].iloc[-1] if x == "tau" else np.inf
                    others = [_up_to(last, curve) for curve in seeds.get("renormalized", ())]
                    _band(axis, others, x, y, RENORMALIZED)
                    fast = _up_to(last, renormalized)
                    _line(axis, fast, x, y, RENORMALIZED, "renormalized (RFE)")
                _line(axis, full, x, y, color, "full evaluation (FE)", marker)
                if column == 2:
                    _focus(axis, full, y)
                if y == score:
                    baseline = full.attrs.get("baseline", full.attrs.get("baseline_accuracy"))
                    if baseline is not None:
                        axis.axhline(baseline, color=ACCURACY, lw=0.8, ls=":")
                    _from_zero(axis, full[score])
                _mark(axis, thresholds, x)
        _legend(figure, axes[0, 1], score, len((bands or {}).get("full", ())))
        finish(figure, title, synthetic)
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
        bulk = _up_to(_end_of_bulk(renormalized), renormalized)
        for row, x in enumerate(("tau", "beta")):
            shown = bulk if x == "tau" else renormalized
            for column, y in enumerate(("free_energy", f"dF_d{x}")):
                axis = axes[row, column]
                label = rf"$dF/d\{x}$" if column else "free energy $F$"
                axis.set(xlabel=NAMES[x], ylabel=label, title=f"({'abcd'[2 * row + column]})")
                _line(axis, shown, x, y, RENORMALIZED, "renormalized (RFE)")
                if column:
                    _focus(axis, shown, y)
                _mark(axis, {"renormalized": threshold}, x)
        handles, labels = axes[0, 0].get_legend_handles_labels()
        handles.append(plt.Line2D([], [], color=RENORMALIZED, lw=1.0, ls="--"))
        labels.append("critical threshold" if threshold is not None else "no critical threshold")
        figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
        finish(figure, title, synthetic)
    return figure


def _end_of_bulk(curve: pd.DataFrame) -> float:
    """The first threshold that leaves next to nothing."""
    gone = curve["tau"][curve["beta"] > SHOWN_BETA]
    return float(gone.iloc[0] if len(gone) else curve["tau"].iloc[-1])


def _from_zero(axis: Axes, scores: pd.Series) -> None:
    """An axis from zero on, or of magnitudes where a score grows by many times itself."""
    known = scores[np.isfinite(scores)]
    if len(known) and known.min() > 0 and known.max() > 50 * known.min():
        axis.set_yscale("log")
    else:
        axis.set_ylim(0, None)


def _band(axis: Axes, curves: Sequence[pd.DataFrame], x: str, y: str, color: str) -> None:
    """Shade the range of several curves where all of them are defined."""
    lines = [line for curve in curves if len(line := _bulk(curve, y)[[x, y]].dropna())]
    if len(lines) < 2:
        return
    ends = [line[x].iloc[[0, -1]] for line in lines]
    low, high = max(end.iloc[0] for end in ends), min(end.iloc[1] for end in ends)
    if low < high:
        at = np.linspace(low, high, BAND_POINTS)
        values = [np.interp(at, line[x], line[y]) for line in lines]
        axis.fill_between(
            at, np.min(values, axis=0), np.max(values, axis=0), color=color, alpha=0.22, lw=0
        )


def _up_to(last: float, curve: pd.DataFrame) -> pd.DataFrame:
    return curve[curve["tau"] <= last * (1 + 1e-9)]


def _bulk(curve: pd.DataFrame, y: str) -> pd.DataFrame:
    """The part of a curve that is drawn."""
    if y not in CURVE_COLUMNS:  # a score, which is as true where little is left
        return curve
    return curve[(curve["beta"] <= SHOWN_BETA) | (curve["tau"] == curve["tau"].iloc[0])]


def _line(
    axis: Axes, curve: pd.DataFrame, x: str, y: str, color: str, label: str, marker: str = ""
) -> None:
    shown = _bulk(curve, y)
    axis.plot(shown[x], shown[y], color=color, marker=marker, ms=4, lw=1.4, label=label)


def _focus(axis: Axes, full: pd.DataFrame, y: str) -> None:
    """Limit an axis to the bulk of the full evaluation: derivatives run away at both ends."""
    values = full.loc[full["beta"] <= SHOWN_BETA, y].dropna()
    if len(values) > 1:
        low, high = values.quantile([0.02, 0.98])
        margin = 0.3 * (high - low) or 1.0
        axis.set_ylim(low - margin, high + margin)


def _mark(axis: Axes, thresholds: Mapping[str, Threshold | None], x: str) -> None:
    colors = {"full": FULL, "renormalized": RENORMALIZED}
    for method, threshold in thresholds.items():
        if threshold is not None and np.isfinite(getattr(threshold, x)):
            axis.axvline(
                getattr(threshold, x),
                color=colors.get(method, ACCURACY),
                lw=1.0,
                ls="--",
                alpha=0.8,
            )


def _legend(figure: Figure, axis: Axes, score: str, seeds: int) -> None:
    handles, labels = axis.get_legend_handles_labels()
    if seeds > 1:
        handles.append(plt.Rectangle((0, 0), 1, 1, color=FULL, alpha=0.22, lw=0))
        labels.append(f"range over {seeds} seeds")
    handles.append(plt.Line2D([], [], color=ACCURACY, lw=1.0, ls="--"))
    labels.append(f"critical thresholds (grey: {score.replace('_', ' ')})")
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)


def finish(figure: Figure, title: str, synthetic: bool) -> None:
    """Give a figure its heading, which says so if its data were generated, and close it."""
    note = "  [demo: synthetic data, not a reproduction]" if synthetic else ""
    figure.suptitle(title + note, color="#b00020" if synthetic else "black", fontsize=11)
    plt.close(figure)  # whoever asked for it shows it, once
