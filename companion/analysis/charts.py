"""The figures of an analysis."""

from __future__ import annotations

import io

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from companion.analysis.steps import Measured
from thermo_utils import figures
from thermo_utils.layerwise import LayerSpectra

__all__ = ["curves", "heat_map", "png", "svg"]

#: Layers whose names fit beside a heat map; of more, some are named.
NAMED = 60
#: Letters of a layer's name at most, counted from its end.
LONGEST = 34


def curves(measured: Measured, title: str) -> Figure:
    """The free energy of all layers together, with the score if one was measured.

    Parameters
    ----------
    measured : Measured
    title : str

    Returns
    -------
    Figure
    """
    if measured.full is None:
        return figures.four_panels(
            measured.renormalized, measured.thresholds["renormalized"], title=title
        )
    return figures.six_panels(
        measured.full, measured.renormalized, measured.thresholds, title=title
    )


def heat_map(spectra: LayerSpectra) -> Figure:
    """How much each layer loses at each threshold, with its own first feature.

    Parameters
    ----------
    spectra : LayerSpectra

    Returns
    -------
    Figure
        A row per layer from the input on, over the threshold; the share removed as colour.
    """
    names = spectra.table["layer"].tolist()
    taus = spectra.together["tau"].to_numpy()
    beta = np.array([spectra.curve(name)["beta"].to_numpy() for name in names])
    # Beyond the last layer of which anything is left, all would be black.
    end = min(int((beta <= figures.SHOWN_BETA).any(axis=0).sum()) + 1, len(taus))
    taus, beta = taus[:end], beta[:, :end]
    height = 1.5 + 0.24 * min(len(names), NAMED)
    with plt.rc_context(figures.STYLE):
        figure, axis = plt.subplots(figsize=(10.5, height), layout="constrained")
        axis.grid(False)
        mesh = axis.pcolormesh(
            taus, np.arange(len(names)), beta, vmin=0, vmax=1, cmap="magma_r", shading="nearest",
            rasterized=True,
        )  # fmt: skip
        own = spectra.table["tau"].to_numpy(float)
        axis.plot(own, np.arange(len(names)), ls="", marker="o", ms=5, mfc="white", mec="black")
        if spectra.feature is not None:
            axis.axvline(spectra.feature.tau, color=figures.RENORMALIZED, lw=1.2, ls="--")
        every = -(-len(names) // NAMED)
        axis.set_yticks(
            np.arange(0, len(names), every), [_short(name) for name in names[::every]], fontsize=8
        )
        axis.set(xscale="log", xlabel=figures.NAMES["tau"])
        axis.invert_yaxis()
        figure.colorbar(mesh, ax=axis, label=r"sparsity $\beta$ of the layer", pad=0.01)
        plt.close(figure)
    return figure


def svg(figure: Figure) -> bytes:
    """A figure as SVG, the same every time.

    Parameters
    ----------
    figure : Figure

    Returns
    -------
    bytes
    """
    with plt.rc_context({"svg.hashsalt": "thermo", "svg.fonttype": "path"}), io.BytesIO() as file:
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
        return file.getvalue()


def png(figure: Figure) -> bytes:
    """A figure as PNG.

    Parameters
    ----------
    figure : Figure

    Returns
    -------
    bytes
    """
    with io.BytesIO() as file:
        figure.savefig(file, format="png", dpi=150)
        return file.getvalue()


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"...{name[-LONGEST:]}"
