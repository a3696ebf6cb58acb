"""Where six panels stand in their figure, with a heading above and a legend below.

Matplotlib's own layout engines measure every text several times, which for the pictures of a whole
book takes longer than drawing them. Here the one width that is not known beforehand, of the
numbers at the y axes, is measured once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.figure import Figure

__all__ = ["LAYOUTS", "PHONE", "Layout", "lay_out"]

#: Width in inches of a figure that is shown at its own size, a pixel for a point, on a telephone.
PHONE: Final = 4.75
#: Heights in inches: of a line of the heading and of the legend, and above and below a panel.
HEADING: Final = 0.22
LEGEND_LINE: Final = 0.226
ABOVE: Final = 0.27
BELOW: Final = 0.45
#: Width in inches right of the last panel of a row.
RIGHT: Final = 0.16
#: At the edges of the figure.
EDGE: Final = 0.08


class Layout(NamedTuple):
    """How the six panels are put together.

    Attributes
    ----------
    size : (float, float)
        Width and height of the figure in inches.
    legend : int
        Columns of its legend.
    gap : float
        Width in inches beside the words at a y axis.
    between : str
        What stands between the heading and a remark on it.
    """

    size: tuple[float, float]
    legend: int
    gap: float
    between: str

    def place(self, number: int) -> tuple[int, int]:
        """Row and column of a panel, counted from zero.

        Examples
        --------
        >>> LAYOUTS[3].place(4), LAYOUTS[2].place(4)
        ((1, 1), (1, 1))
        >>> LAYOUTS[3].place(2), LAYOUTS[2].place(2)
        ((0, 2), (2, 0))
        """
        row, column = divmod(number, 3)
        return (row, column) if self is LAYOUTS[3] else (column, row)


#: By the number of columns: for a page, and for a phone, where it is shown at about its own size.
LAYOUTS: Final[Mapping[int, Layout]] = {
    3: Layout((10.5, 6.1), 3, 0.24, "  "),
    2: Layout((PHONE, 7.4), 2, 0.17, "\n"),
}


def lay_out(figure: Figure, columns: int) -> None:
    """Put the six panels of a figure in their places, between its heading and its legend.

    Parameters
    ----------
    figure : Figure
        With six axes, in the order of the panels, a heading and one legend. Changed.
    columns : {3, 2}
        Which layout.
    """
    layout = LAYOUTS[columns]
    (width, height), rows = layout.size, 6 // columns
    (legend,) = figure.legends
    lines = -(-len(legend.get_texts()) // layout.legend)
    foot = EDGE + lines * LEGEND_LINE
    head = EDGE + HEADING * (1 + figure.get_suptitle().count("\n"))
    each = (height - foot - head) / rows
    places = [layout.place(number) for number in range(6)]
    for axis, (row, _) in zip(figure.axes, places, strict=True):
        # With its height the numbers at the y axis are settled.
        bottom = foot + each * (rows - 1 - row) + BELOW
        axis.set_position((0.1, bottom / height, 0.2, (each - BELOW - ABOVE) / height))
    renderer = RendererAgg(width * figure.dpi, height * figure.dpi, figure.dpi)
    lefts = [EDGE] * columns
    for axis, (_, column) in zip(figure.axes, places, strict=True):
        if (words := axis.yaxis.get_tightbbox(renderer)) is not None:
            lefts[column] = max(lefts[column], words.width / figure.dpi + layout.gap)
    wide = (width - sum(lefts) - RIGHT) / columns
    for axis, (_, column) in zip(figure.axes, places, strict=True):
        box = axis.get_position()
        left = sum(lefts[: column + 1]) + column * wide
        axis.set_position((left / width, box.y0, wide / width, box.height))
