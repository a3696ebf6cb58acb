"""The free energy layer by layer, as one heat map or one small panel each.

::

    heat_map(spectra)                  # layers x sparsity, x="tau" for thresholds
    heat_map(spectra, value="slope")   # where F rises and falls: features lie where it turns
    small_multiples(spectra)           # F of every layer, its first feature marked
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from thermo_utils.curves import Threshold
from thermo_utils.errors import ThermoError, unknown
from thermo_utils.figures import FULL, RENORMALIZED, SHOWN_BETA, STYLE, finish
from thermo_utils.layerwise import LayerSpectra
from thermo_utils.leaving_out import RANGE
from thermo_utils.thermodynamics import derivative

__all__ = ["heat_map", "shortened", "small_multiples"]

Abscissa = Literal["beta", "tau"]
Value = Literal["free_energy", "slope"]

#: Characters of a layer's name that a figure has room for.
ROOM = 30
#: Rows of a heat map that can all be named; of more, some are.
NAMED = 90
#: Columns of a heat map.
COLUMNS = 240
#: The colours of a row stand for the values of F up to this sparsity; its plunge beyond it, where
#: little is left, would take them all.
COLOURED_BETA = 0.9
#: Row of all layers together in a figure.
TOGETHER = "all layers"
LABELS = {"beta": r"sparsity $\beta$ of the layer", "tau": r"threshold $\tau$"}
FALLING_AND_RISING = LinearSegmentedColormap.from_list("slope", [FULL, "#f4f4f4", RENORMALIZED])


def heat_map(
    spectra: LayerSpectra,
    x: Abscissa = "beta",
    *,
    value: Value = "free_energy",
    title: str = "Free energy layer by layer",
    synthetic: bool = False,
) -> Figure:
    """Free energy of every layer over sparsity or threshold, a row per layer.

    Parameters
    ----------
    spectra : LayerSpectra
        As made by :func:`thermo_utils.layer_spectra`.
    x : {"beta", "tau"}
        Over the sparsity of each layer alone, which makes layers of different scales comparable, or
        over the threshold.
    value : {"free_energy", "slope"}
        F, from each row's own lowest to its highest value up to a sparsity of 0.9, since F grows as
        activations shrink; or the sign of its slope, which changes at peaks and valleys.
    title : str
        Heading.
    synthetic : bool, default False
        Whether to mark the figure as made from generated data.

    Returns
    -------
    Figure
        With a dot at the first feature of each row, and all layers together in the last one. Of
        more than `NAMED`, 90, rows every second or third is named, and so on.

    Raises
    ------
    ThermoError
        If `x` or `value` is neither of its two.
    """
    _check(x, value)
    rows = _rows(spectra)
    at = _abscissae(rows, x)
    colours = np.array([_colours(curve, at, x, value) for _, curve, _ in rows])
    labels = [*shortened([name for name, _, _ in rows[:-1]]), TOGETHER]
    height = 1.4 + min(max(0.16, min(0.4, 6 / len(rows))) * len(rows), 0.16 * NAMED)
    every = math.ceil(len(rows) / NAMED)
    shown = [*range(0, len(rows) - every, every), len(rows) - 1]
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(8.0, height), layout="constrained")
        assert isinstance(axis, Axes)
        mesh = axis.pcolormesh(
            at,
            np.arange(len(rows)),
            np.ma.masked_invalid(colours),
            cmap="viridis" if value == "free_energy" else FALLING_AND_RISING,
            vmin=0 if value == "free_energy" else -1,
            vmax=1,
            shading="nearest",
            rasterized=True,
        )
        for row, (_, _, feature) in enumerate(rows):
            if feature is not None:
                axis.plot(getattr(feature, x), row, "o", ms=4, mfc="white", mec="black", mew=0.8)
        axis.axhline(len(rows) - 1.5, color="white", lw=2)
        size = max(5.0, min(9.0, 72 * 0.8 * (height - 1.4) / len(shown)))
        axis.set_yticks(shown, [labels[row] for row in shown], fontsize=size)
        axis.set(xlabel=LABELS[x], xscale=_scale(at, x), ylim=(len(rows) - 0.5, -0.5))
        axis.grid(False)
        bar = figure.colorbar(mesh, ax=axis, aspect=30, pad=0.01)
        if value == "free_energy":
            bar.set_label("$F$, from lowest to\nhighest of each row")
        else:
            bar.set_label("$F$ falls or rises")
            bar.set_ticks([-1, 1], labels=["falls", "rises"])
        finish(figure, title + r" (dots: $\tau^*$)", synthetic)
    return figure


def small_multiples(
    spectra: LayerSpectra,
    x: Abscissa = "beta",
    *,
    title: str = "Free energy layer by layer",
    synthetic: bool = False,
) -> Figure:
    """Free energy of every layer in a panel of its own, with its first feature marked.

    Parameters
    ----------
    spectra, x, title, synthetic
        As for :func:`heat_map`.

    Returns
    -------
    Figure
        A panel per layer in model order, and one for all together. Axes are each panel's own. A
        dashed line marks the panel's first feature, a dotted one the threshold of the first feature
        of all layers together.

    Raises
    ------
    ThermoError
        If `x` is neither of its two.
    """
    _check(x, "free_energy")
    rows = _rows(spectra)
    labels = [*shortened([name for name, _, _ in rows[:-1]], room=24), TOGETHER]
    columns = min(len(rows), 3 if len(rows) <= 9 else 4 if len(rows) <= 16 else 6)
    lines = math.ceil(len(rows) / columns)
    width, height, size = (3.2, 2.3, 9.0) if columns <= 4 else (2.0, 1.4, 6.5)
    edges = {"left": 0.55, "right": 0.15, "top": 0.75, "bottom": 0.65}  # inches
    whole = (
        columns * width + edges["left"] + edges["right"],
        lines * height + edges["top"] + edges["bottom"],
    )
    with plt.rc_context({**STYLE, "font.size": size, "axes.titlesize": size}):
        figure, axes = plt.subplots(lines, columns, figsize=whole, squeeze=False)
        figure.subplots_adjust(
            edges["left"] / whole[0],
            edges["bottom"] / whole[1],
            1 - edges["right"] / whole[0],
            1 - edges["top"] / whole[1],
            wspace=0.4,
            hspace=0.55,
        )
        for axis, label, (_, curve, feature) in zip(axes.flat, labels, rows, strict=False):
            _panel(axis, curve, feature, spectra.feature, x)
            axis.set_title(label, color=FULL if label == TOGETHER else "black")
        for axis in axes.flat[len(rows) :]:
            axis.set_visible(False)
        figure.supxlabel(LABELS[x], fontsize=10)
        figure.supylabel("free energy $F$", fontsize=10, x=0.08 / whole[0])
        marks = r" (dashed: $\tau^*$ of the layer, dotted: $\tau^*$ of all)"
        finish(figure, title + marks, synthetic)
    return figure


def shortened(names: list[str], room: int = ROOM) -> list[str]:
    """Names of layers as a figure can show them: not too long, told apart, and no formulas.

    Parameters
    ----------
    names : list of str
        Different from each other.
    room : int, default `ROOM`, 30
        Characters that there is room for. It is exceeded where names would look the same.

    Returns
    -------
    list of str
        With the middle of long ones left out, and dollar signs escaped.

    Examples
    --------
    >>> shortened(["encoder.layer.0.intermediate.act", "relu"], room=16)
    ['encode…diate.act', 'relu']
    """
    longest = max(map(len, names), default=0)
    for width in range(room, max(room, longest) + 1):
        tail = (2 * width) // 3 - 1
        short = [
            name if len(name) <= width else f"{name[: width - tail - 1]}…{name[-tail:]}"
            for name in names
        ]
        if len(set(short)) == len(names):
            return [name.replace("$", r"\$") for name in short]
    raise ThermoError("layers must have different names")


def _check(x: str, value: str) -> None:
    if x not in get_args(Abscissa):
        raise unknown("abscissa", x, get_args(Abscissa))
    if value not in get_args(Value):
        raise unknown("value", value, get_args(Value))


def _rows(spectra: LayerSpectra) -> list[tuple[str, pd.DataFrame, Threshold | None]]:
    """Name, curve where it is shown, and first feature of each layer, then of all together."""
    rows = [(name, _shown(spectra.curve(name)), spectra.features[name]) for name in spectra.spectra]
    return [*rows, (TOGETHER, _shown(spectra.together), spectra.feature)]


def _shown(curve: pd.DataFrame) -> pd.DataFrame:
    """Where F rests on enough activations, and enough are left; all of it where that is nothing."""
    defined = curve[curve["free_energy"].notna()]
    shown = defined[defined["beta"].between(RANGE[0], SHOWN_BETA)]
    return shown if len(shown) > 1 else defined


def _abscissae(rows: list[tuple[str, pd.DataFrame, Threshold | None]], x: Abscissa) -> NDArray:
    if x == "beta":
        return np.linspace(0, SHOWN_BETA, COLUMNS)
    taus = np.concatenate([curve["tau"].to_numpy() for _, curve, _ in rows])
    first, last = taus.min(), taus.max()
    return np.geomspace(first, last, COLUMNS) if _wide(taus) else np.linspace(first, last, COLUMNS)


def _wide(taus: NDArray) -> bool:
    """Whether thresholds span so much that only logarithms show all of it."""
    return bool(taus.max() > 100 * taus.min())


def _scale(at: NDArray, x: Abscissa) -> str:
    return "log" if x == "tau" and _wide(at) else "linear"


def _colours(curve: pd.DataFrame, at: NDArray, x: Abscissa, value: Value) -> NDArray:
    """What is drawn of a curve at some abscissae; nan beyond what is shown of it."""
    curve = curve.drop_duplicates(x)  # a sparsity that does not move between two thresholds
    if len(curve) < 2:
        return np.full(at.shape, np.nan)
    f = curve["free_energy"].to_numpy()
    if value == "slope":
        f = derivative(f, curve[x].to_numpy())
    else:
        bulk = f[curve["beta"] <= COLOURED_BETA] if (curve["beta"] <= COLOURED_BETA).any() else f
        f = np.clip((f - bulk.min()) / (np.ptp(bulk) or 1.0), 0, 1)
    drawn = np.interp(at, curve[x], f, left=np.nan, right=np.nan)
    return np.sign(drawn) if value == "slope" else drawn


def _panel(
    axis: Axes,
    curve: pd.DataFrame,
    feature: Threshold | None,
    of_all: Threshold | None,
    x: Abscissa,
) -> None:
    if curve.empty:
        axis.text(0.5, 0.5, "all zero", ha="center", va="center", transform=axis.transAxes)
        axis.set(xticks=[], yticks=[])
        return
    axis.plot(curve[x], curve["free_energy"], color=RENORMALIZED, lw=1.2)
    if feature is not None:
        axis.axvline(getattr(feature, x), color=RENORMALIZED, lw=1.0, ls="--")
    if of_all is not None:
        place = np.interp(of_all.tau, curve["tau"], curve[x], left=np.nan, right=np.nan)
        axis.axvline(float(place), color=FULL, lw=0.9, ls=":")
    if _scale(curve[x].to_numpy(), x) == "log":
        axis.set_xscale("log")
    else:
        axis.xaxis.set_major_locator(MaxNLocator(3))
    axis.yaxis.set_major_locator(MaxNLocator(3))
    axis.tick_params(labelsize="small", length=2, pad=1)
