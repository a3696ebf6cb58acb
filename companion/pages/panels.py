"""The six panels of a chapter as files: for a page, for a phone, and what is seen in them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from matplotlib.figure import Figure

from companion.data.specs import DATASETS
from companion.pages.escape import in_figure
from companion.pages.panel_words import alt_text, caption
from companion.pages.svg import figure_svg
from companion.paper import published
from companion.runs.methods import CURVES, METHODS
from companion.runs.records import Record
from thermo_utils.curves import Threshold
from thermo_utils.figures import Published, six_panels
from thermo_utils.files import write_atomically

__all__ = ["NARROW", "Panels", "chapter_panels", "record_threshold", "write_panels"]

#: What the name of the narrow file ends with.
NARROW: Final = "-narrow"
#: What the axes of each panel show.
AXES: Final = tuple(
    (x, y) for x in ("tau", "beta") for y in ("accuracy", "free_energy", f"dF_d{x}")
)
#: Of thresholds and sparsities in the table of published numbers.
QUANTITIES: Final[Mapping[str, Literal["tau", "beta"]]] = {"tau_star": "tau", "beta_star": "beta"}


@dataclass(frozen=True)
class Panels:
    """What is known of a chapter's figure.

    Attributes
    ----------
    alt : str
        What is seen, for those who do not see it: one line of plain text.
    caption : str
        What everything in it means, as Markdown.
    geometry : dict
        Under ``wide`` and ``narrow`` a list of six dicts, of panels (a)-(f): ``x`` and ``y``, the
        columns shown; ``scale``, that of the y axis; ``xlim`` and ``ylim``; and ``box``, the panel
        as left, top, width and height in fractions of the image.
    """

    alt: str
    caption: str
    geometry: dict[str, list[dict[str, Any]]]


def write_panels(folder: Path, name: str, records: Sequence[Record], *, title: str) -> Panels:
    """Draw a chapter's six panels, three abreast and two abreast.

    Parameters
    ----------
    folder : Path
        Where ``<name>.svg`` and ``<name>-narrow.svg`` are written; it must exist.
    name : str
        Name of the files.
    records : sequence of Record
        Of one chapter, by seed; at least one, and the first is drawn.
    title : str
        Heading.

    Returns
    -------
    Panels
        The same records give the same, and the same bytes.
    """
    geometry = {}
    layouts: tuple[tuple[str, str, Literal[2, 3]], ...] = (("wide", "", 3), ("narrow", NARROW, 2))
    for kind, ending, columns in layouts:
        figure = chapter_panels(records, title=title, columns=columns)
        write_atomically(folder / f"{name}{ending}.svg", figure_svg(figure, title))
        geometry[kind] = _geometry(figure)
    return Panels(alt_text(records, title), caption(records), geometry)


def chapter_panels(records: Sequence[Record], *, title: str, columns: Literal[2, 3] = 3) -> Figure:
    """A chapter's six panels, with what the paper states and the thresholds of every seed.

    Parameters
    ----------
    records : sequence of Record
        Of one chapter; at least one, and the first is drawn. Several shade their range.
    title : str
        Heading.
    columns : {3, 2}, default 3
        See :func:`thermo_utils.figures.six_panels`.

    Returns
    -------
    Figure
    """
    bands = {method: [record.curve(method) for record in records] for method in CURVES}
    seeds = [{method: record_threshold(record, method) for method in METHODS} for record in records]
    result = records[0].result
    return six_panels(
        bands["full"][0],
        bands["renormalized"][0],
        seeds[0],
        title=in_figure(title),
        synthetic=result["synthetic"],
        bands=bands,
        seeds=seeds,
        published=_published(result["model"], result["dataset"]),
        columns=columns,
    )


def record_threshold(record: Record, method: str) -> Threshold | None:
    """A threshold that a record holds.

    Parameters
    ----------
    record : Record
        Read from a chapter.
    method : {"accuracy", "full", "renormalized"}
        The way it was found.

    Returns
    -------
    Threshold or None
        None where there is none; a number that the record lacks was not finite, and is ``nan``.
    """
    found = record.result["thresholds"][method]
    if found is None:
        return None
    finite: dict[str, Any] = {name: math.nan if v is None else v for name, v in found.items()}
    return Threshold(**finite)


def _published(model: str, dataset: str) -> list[Published]:
    """Every threshold and sparsity that the paper states; nothing of others' networks and data."""
    if model not in published.MODELS or dataset not in DATASETS:
        return []
    rows = published.lookup(model, dataset)
    rows = rows[rows["quantity"].isin(list(QUANTITIES)) & rows["low"].notna()]
    return [
        Published(row["method"], QUANTITIES[row["quantity"]], row["low"], row["high"])
        for row in rows.to_dict("records")
    ]


def _geometry(figure: Figure) -> list[dict[str, Any]]:
    """Where the panels of a figure are, once it has been drawn."""
    panels = []
    for axis, (x, y) in zip(figure.axes, AXES, strict=True):
        box = axis.get_position()
        panels.append(
            {
                "x": x,
                "y": y,
                "scale": axis.get_yscale(),
                "xlim": [float(end) for end in axis.get_xlim()],
                "ylim": [float(end) for end in axis.get_ylim()],
                "box": [float(v) for v in (box.x0, 1 - box.y1, box.width, box.height)],
            }
        )
    return panels
