"""Accuracy by class over threshold or sparsity, against the mean."""

from __future__ import annotations

from typing import Any, Literal, get_args

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.figure import Figure

from thermo_utils.by_class import ClassCosts
from thermo_utils.errors import ThermoError, unknown
from thermo_utils.figures import STYLE, finish
from thermo_utils.layer_figures import shortened
from thermo_utils.looks import LOOKS

__all__ = ["class_panels"]

LABELS = {"tau": r"threshold $\tau$", "beta": r"sparsity $\beta$"}


def class_panels(
    costs: ClassCosts,
    x: Literal["tau", "beta"] = "tau",
    *,
    worst: int = 3,
    title: str = "What pruning costs each class",
    synthetic: bool = False,
) -> Figure:
    """Accuracy of every class, and its drop against that of the mean.

    Parameters
    ----------
    costs : ClassCosts
        As made by :func:`thermo_utils.cost_by_class`.
    x : {"tau", "beta"}
        Over the threshold or the sparsity of the network.
    worst : int, default 3
        So many classes are drawn in colours and named, with the number of their examples: those
        with the largest drops where the mean leaves its plateau, or at the end where it does not.
    title : str
        Heading.
    synthetic : bool, default False
        Whether to mark the figure as made from generated data.

    Returns
    -------
    Figure
        Left the accuracies, right the drops with the interval of the named ones. The mean is black,
        its threshold a dashed line, other classes are grey.

    Raises
    ------
    ThermoError
        If `x` is neither of its two, or `worst` is below zero or above 10.
    """
    if x not in get_args(Literal["tau", "beta"]):
        raise unknown("abscissa", x, LABELS)
    if not 0 <= worst <= len(LOOKS):
        raise ThermoError(
            f"worst must be between 0 and {len(LOOKS)}, as many as looks of a curve, got {worst}"
        )
    named = costs.table.sort_values("drop", ascending=False, kind="stable").head(worst)
    labels = dict(zip(named["class"], shortened(named["class"].tolist()), strict=True))
    with plt.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(10.0, 4.0), layout="constrained")
        unnamed = costs.curves[~costs.curves["class"].isin(list(labels))]
        others = len(costs.table) - len(labels)
        for axis, y in ((left, "accuracy"), (right, "drop")) if others else ():
            sns.lineplot(
                unnamed, x=x, y=y, units="class", estimator=None, sort=False, ax=axis,
                color="#b5b5b5", lw=0.7, alpha=0.6, zorder=1,
            )  # fmt: skip
        for (name, label), look in zip(labels.items(), LOOKS, strict=False):
            own = costs.curves[costs.curves["class"] == name]
            style: dict[str, Any] = {"color": look.color, "ls": look.line, "lw": 1.6, "zorder": 3}
            words = f"{label} ({own['examples'].iloc[0]} examples)"
            left.plot(own[x], own["accuracy"], label=words, **style)
            right.plot(own[x], own["drop"], **style)
            right.fill_between(own[x], own["low"], own["high"], color=look.color, alpha=0.15, lw=0)
        mean = costs.curves.drop_duplicates("tau")
        left.plot(mean[x], mean["mean_accuracy"], color="black", lw=2, zorder=4, label="mean")
        right.plot(mean[x], mean["mean_drop"], color="black", lw=2, zorder=4)
        for axis in (left, right):
            axis.set_xlabel(LABELS[x])
            if costs.mean is not None and np.isfinite(getattr(costs.mean, x)):
                axis.axvline(
                    getattr(costs.mean, x),
                    color="black",
                    lw=1,
                    ls="--",
                    zorder=2,
                    label="_threshold",
                )
        left.set(ylabel="accuracy", ylim=(0, 1.02))
        right.set(ylabel="drop of accuracy")
        handles, texts = left.get_legend_handles_labels()
        if others:
            handles.append(plt.Line2D([], [], color="#b5b5b5", lw=0.7))
            texts.append(f"{others} other classes")
        figure.legend(handles, texts, loc="outside lower center", ncols=3, frameon=False)
        finish(figure, title, synthetic)
    return figure
