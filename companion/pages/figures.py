"""Figures of the book beside the six panels: training, and the paper's Figure 1."""

from __future__ import annotations

from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from companion.pages.panels import NARROW
from thermo_utils.figures import ACCURACY, FULL, RENORMALIZED, STYLE, finish

__all__ = ["training", "two_widths", "weight_and_activation_pruning"]


def two_widths(name: str, draw: Callable[..., Figure]) -> dict[str, Figure]:
    """A figure for a page and for a telephone, as :mod:`companion.pages.picture` wants.

    Parameters
    ----------
    name : str
        Of the figure.
    draw : callable
        Takes the keyword ``narrow``.

    Returns
    -------
    dict of str to Figure
        Below the folder of what is made, among the static files.
    """
    return {
        f"static/{name}": draw(narrow=False),
        f"static/{name}{NARROW}": draw(narrow=True),
    }


def training(history: pd.DataFrame, *, title: str, synthetic: bool = False) -> Figure:
    """Loss and validation accuracy over the epochs; the restored epoch is circled.

    Parameters
    ----------
    history : DataFrame
        A row per epoch, as :func:`companion.runs.training.train` returns them.
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
            history["epoch"], history["validation_loss"], color=ACCURACY, marker="s", ms=3, ls="--",
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
        finish(figure, title, synthetic)
    return figure


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
