"""The figures of the companion: the paper's six panels, training, and a comparison of chapters.

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

from thermo_utils.transitions import Threshold

__all__ = ["FULL", "RENORMALIZED", "six_panels", "training"]

FULL, RENORMALIZED, ACCURACY = "#1f5fb4", "#e0569b", "#555555"
#: Sparser than this, F describes a few survivors and its plunge would hide the rest of the curve.
SHOWN_BETA = 0.995
#: Points at which the curves of several seeds are compared.
BAND_POINTS = 400
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
        Curves of :func:`thermo_utils.full_evaluation` and :func:`thermo_utils.renormalized`.
    thresholds : mapping
        ``accuracy``, ``full`` and ``renormalized``, drawn as vertical lines; None is left out.
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
        names = {"tau": r"threshold $\tau$", "beta": r"sparsity $\beta$"}
        for row, x in enumerate(("tau", "beta")):
            panels = (
                ("accuracy", "test accuracy"),
                ("free_energy", "free energy $F$"),
                (f"dF_d{x}", rf"$dF/d\{x}$"),
            )
            for column, (y, label) in enumerate(panels):
                axis = axes[row, column]
                letter = "abcdef"[3 * row + column]
                axis.set(xlabel=names[x], ylabel=label, title=f"({letter})")
                color, marker = (ACCURACY, ".") if y == "accuracy" else (FULL, ".")
                seeds = bands or {}
                _band(axis, seeds.get("full", ()), x, y, color)
                if y != "accuracy":
                    _band(axis, seeds.get("renormalized", ()), x, y, RENORMALIZED)
                    _line(axis, renormalized, x, y, RENORMALIZED, "renormalized (RFE)")
                _line(axis, full, x, y, color, "full evaluation (FE)", marker)
                if column == 2:
                    _focus(axis, full, y)
                if y == "accuracy":
                    baseline = full.attrs.get("baseline_accuracy")
                    if baseline is not None:
                        axis.axhline(baseline, color=ACCURACY, lw=0.8, ls=":")
                    axis.set_ylim(0, None)
                _mark(axis, thresholds, x)
        _legend(figure, axes[0, 1], len((bands or {}).get("full", ())))
        _finish(figure, title, synthetic)
    return figure


def training(history: pd.DataFrame, *, title: str, synthetic: bool = False) -> Figure:
    """Loss and validation accuracy over the epochs; the restored epoch is circled.

    Parameters
    ----------
    history : DataFrame
        As returned by :meth:`thermo_utils.experiment.Experiment.train`.
    title : str
        Heading.
    synthetic : bool, default False
        Whether to mark the figure as made from generated data.

    Returns
    -------
    Figure
        Two panels.
    """
    with plt.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(8.0, 2.8), layout="constrained")
        left.plot(history["epoch"], history["train_loss"], color=FULL, marker=".", label="training")
        left.plot(
            history["epoch"], history["validation_loss"], color=ACCURACY, marker=".",
            label="validation",
        )  # fmt: skip
        left.set(xlabel="epoch", ylabel="cross-entropy (nats)")
        left.legend(frameon=False)
        right.plot(history["epoch"], history["validation_accuracy"], color=ACCURACY, marker=".")
        best = history[history["best"]]
        right.plot(
            best["epoch"], best["validation_accuracy"], "o", ms=10, mfc="none", color=FULL,
            label="weights kept",
        )  # fmt: skip
        right.set(xlabel="epoch", ylabel="validation accuracy")
        right.legend(frameon=False, loc="lower right")
        for axis in (left, right):
            axis.xaxis.get_major_locator().set_params(integer=True)
        _finish(figure, title, synthetic)
    return figure


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


def _bulk(curve: pd.DataFrame, y: str) -> pd.DataFrame:
    """The part of a curve that is drawn."""
    if y == "accuracy":
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
    colors = {"accuracy": ACCURACY, "full": FULL, "renormalized": RENORMALIZED}
    for method, threshold in thresholds.items():
        if threshold is not None and np.isfinite(getattr(threshold, x)):
            axis.axvline(getattr(threshold, x), color=colors[method], lw=1.0, ls="--", alpha=0.8)


def _legend(figure: Figure, axis: Axes, seeds: int) -> None:
    handles, labels = axis.get_legend_handles_labels()
    if seeds > 1:
        handles.append(plt.Rectangle((0, 0), 1, 1, color=FULL, alpha=0.22, lw=0))
        labels.append(f"range over {seeds} seeds")
    handles.append(plt.Line2D([], [], color=ACCURACY, lw=1.0, ls="--"))
    labels.append("critical thresholds (grey: accuracy)")
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)


def _finish(figure: Figure, title: str, synthetic: bool) -> None:
    note = "  [demo: synthetic data, not a reproduction]" if synthetic else ""
    figure.suptitle(title + note, color="#b00020" if synthetic else "black", fontsize=11)
    plt.close(figure)  # whoever asked for it shows it, once


def weight_and_activation_pruning(seed: int = 0) -> Figure:
    """Weight pruning beside activation pruning, as a drawing of two small layers (Fig. 1).

    Parameters
    ----------
    seed : int, default 0
        Seed of the weights drawn and of the two inputs.

    Returns
    -------
    Figure
        Left: small weights are gone, for every input. Middle and right: small activations are
        gone, different ones for two inputs.
    """
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(5, 4))
    inputs = [rng.normal(size=4) for _ in range(2)]
    activations = [weights @ x for x in inputs]
    keep_weights = np.abs(weights) >= np.median(np.abs(weights))
    keep = [np.abs(a) >= np.median(np.abs(a)) for a in activations]
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, 3, figsize=(10.5, 3.4), layout="constrained")
        everything = np.ones(5, dtype=bool)
        _network(axes[0], weights, keep_weights, everything, "weight pruning\nany input")
        for axis, kept, name in zip(axes[1:], keep, ("A", "B"), strict=True):
            text = f"activation pruning\ninput {name}"
            _network(axis, weights, np.ones_like(keep_weights), kept, text)
        plt.close(figure)
    return figure


def _network(
    axis: Axes, weights: np.ndarray, edges: np.ndarray, nodes: np.ndarray, title: str
) -> None:
    """Two layers of neurons; pruned edges are dotted, pruned neurons hollow."""
    below, above = np.linspace(0.12, 0.88, weights.shape[1]), np.linspace(0, 1, weights.shape[0])
    for i, x_above in enumerate(above):
        for j, x_below in enumerate(below):
            alive = bool(edges[i, j]) and bool(nodes[i])
            axis.plot(
                [x_below, x_above], [0, 1],
                color=FULL if alive else "#cccccc",
                lw=0.5 + 1.2 * abs(weights[i, j]) if alive else 0.7,
                ls="-" if alive else ":",
                zorder=1,
            )  # fmt: skip
    axis.scatter(below, np.zeros_like(below), s=150, color=ACCURACY, zorder=2)
    axis.scatter(
        above, np.ones_like(above), s=150, zorder=2, edgecolor=RENORMALIZED, linewidth=1.5,
        color=[RENORMALIZED if alive else "white" for alive in nodes],
    )  # fmt: skip
    axis.set(title=title, xlim=(-0.1, 1.1), ylim=(-0.15, 1.15))
    axis.axis("off")
