"""Colours, dashes and marks of everything that is drawn.

Nothing is told by colour alone: whoever sees none, or prints in grey, tells curves apart by the
rest. All colours stand out from white paper as text in large type must (three to one).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

__all__ = [
    "ACCURACY", "DASHES", "FULL", "LOOKS", "METHOD_COLORS", "OF_SCORE", "RENORMALIZED", "STYLE",
    "Look",
]  # fmt: skip

#: The paper's: blue is the full evaluation, pink the renormalized curve, grey the accuracy.
FULL, RENORMALIZED, ACCURACY = "#1f5fb4", "#e0569b", "#555555"
#: Every score is drawn in the grey of the accuracy.
METHOD_COLORS: Final[Mapping[str, str]] = {"full": FULL, "renormalized": RENORMALIZED}
#: Of the vertical line at a threshold; for every score dots.
DASHES: Final[Mapping[str, str]] = {"full": "--", "renormalized": "-."}
OF_SCORE: Final = ":"
#: Seaborn's ``whitegrid``, with paler lines and smaller letters. It stands here in full, since
#: importing seaborn takes as long as drawing a chapter: it brings all of ``scipy.stats``.
STYLE: Final[dict[Any, Any]] = {
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.labelcolor": ".15",
    "axes.spines.left": True,
    "axes.spines.bottom": True,
    "axes.spines.right": True,
    "axes.spines.top": True,
    "grid.linestyle": "-",
    "lines.solid_capstyle": "round",
    "patch.edgecolor": "w",
    "patch.force_edgecolor": True,
    "text.color": ".15",
    "font.family": ["sans-serif"],
    "font.sans-serif": [
        "Arial", "DejaVu Sans", "Liberation Sans", "Bitstream Vera Sans", "sans-serif",
    ],
    "xtick.bottom": False,
    "xtick.top": False,
    "xtick.color": ".15",
    "xtick.direction": "out",
    "ytick.left": False,
    "ytick.right": False,
    "ytick.color": ".15",
    "ytick.direction": "out",
    "axes.edgecolor": "#bbbbbb",
    "grid.color": "#eeeeee",
    "font.size": 9.5,
    "axes.titlesize": 10,
    "figure.dpi": 110,
}  # fmt: skip


class Look(NamedTuple):
    """What a curve among several looks like.

    Attributes
    ----------
    color, line, marker : str
        As Matplotlib takes them; ``line`` may be lengths of dashes.
    """

    color: str
    line: str | tuple[int, tuple[float, ...]]
    marker: str


#: For curves side by side that have no colour of their own.
LOOKS: Final = (
    Look(FULL, "-", "o"),
    Look("#c2410c", "--", "s"),
    Look("#0f7b5f", "-.", "D"),
    Look("#7e2a8e", ":", "^"),
    Look("#8a6d00", (0, (7, 1.5)), "v"),
    Look("#333333", (0, (5, 1, 1, 1, 1, 1)), "P"),
    Look("#c2255c", (0, (2.5, 1)), "X"),
    Look("#0e7490", (0, (9, 2, 2, 2)), "<"),
    Look("#9a3412", (0, (1, 0.7)), ">"),
    Look("#4d7c0f", (0, (4, 3)), "p"),
)
