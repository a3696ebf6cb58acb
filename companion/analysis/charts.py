"""The figures of an analysis."""

from __future__ import annotations

import io

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from companion.analysis.steps import Measured
from thermo_utils import figures

__all__ = ["curves", "png", "svg"]


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
