"""A chapter's page: the figure and what was found first, then the story of its notebook.

A notebook runs in the order in which things are computed. A reader wants what came of it first. So
a page begins with what the records say, and the notebook's cells follow with their code folded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import nbformat
from nbformat.v4 import new_markdown_cell, new_notebook

from companion.pages.card import card
from companion.pages.found import found
from companion.pages.live import live_block
from companion.pages.panels import Panels
from companion.runs.chapters import Chapter
from companion.runs.frozen import COMPUTES, INJECTED, ON_TOP
from companion.runs.notebooks import number_cells
from companion.runs.records import CURVES, Record

__all__ = ["PANELS", "RECORDS", "Wanted", "chapter_page", "story"]

#: Where figures and files of records lie, below the page's folder and below the site's.
PANELS: Final = "../generated/static/panels"
RECORDS: Final = "../_static/records"
#: Tags of cells that only set a run going, and how the theme is told to hide or fold a cell.
SETTING: Final = ("parameters", INJECTED)
HIDDEN, FOLDED = "remove-input", "hide-input"
#: A cell that says nothing but which table or figure comes next.
SHOWS: Final = r"page\.\w+\([^()]*\)"


@dataclass(frozen=True)
class Wanted:
    """A page that is to be made.

    Attributes
    ----------
    chapter : Chapter
        Network and data.
    page : str
        The page, with the folder of the book it lies in.
    records : sequence of Record
        By seed, at least one; the first is shown.
    committed : bool
        Whether they came with the project.
    remarks : sequence of str
        What a reader must know first, such as that a record was replaced; Markdown.
    """

    chapter: Chapter
    page: str
    records: Sequence[Record]
    committed: bool
    remarks: Sequence[str]

    @property
    def name(self) -> str:
        """Of the page without its folder, and of the files made for it."""
        return self.page.rpartition("/")[2]


def chapter_page(
    wanted: Wanted,
    panels: Panels,
    notebook: nbformat.NotebookNode | None,
    files: Sequence[str],
) -> nbformat.NotebookNode:
    """Put a chapter's page together.

    Parameters
    ----------
    wanted : Wanted
        Which page.
    panels : Panels
        Its figure.
    notebook : NotebookNode or None
        The notebook as it was executed; None where there is none.
    files : sequence of str
        Names of the record's files that lie beside the site.

    Returns
    -------
    NotebookNode
        Without kernel metadata of its own if there is no notebook.
    """
    first, *siblings = wanted.records
    links = {name: f"{RECORDS}/{wanted.name}/{name}" for name in files}
    top = [
        _title(wanted),
        *(f":::{{warning}}\n{remark}\n:::" for remark in wanted.remarks),
        _figure(wanted.name, panels),
        found(wanted.chapter, wanted.records),
        live_block(wanted.name, wanted.records, csv=links.get(CURVES)),
        card(first, siblings, committed=wanted.committed, links=links),
    ]
    cells = [new_markdown_cell(text) for text in top]
    if notebook is None:
        made = new_notebook(cells=cells)
    else:
        made = nbformat.from_dict({**notebook, "cells": cells})
        made.cells += story(notebook.cells)
    number_cells(made)
    return made


def story(cells: Iterable[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """A notebook's cells as they follow below: code folded, what stands above left out.

    Parameters
    ----------
    cells : iterable of NotebookNode
        Of an executed chapter, from its heading on.

    Returns
    -------
    list of NotebookNode
        Copies.
    """
    told = []
    for number, cell in enumerate(cells):
        tags = list(cell.metadata.get("tags", []))
        if ON_TOP in tags:
            continue
        copy = nbformat.from_dict(dict(cell))
        copy.metadata = nbformat.from_dict(dict(cell.metadata))
        if number == 0:
            _, _, rest = cell.source.partition("\n")
            copy.source = f"## The story\n{rest}"
        elif cell.cell_type == "markdown":
            # The notebook's own parts are parts of the story.
            copy.source = "\n".join(
                f"#{line}" if line.startswith("## ") else line for line in cell.source.split("\n")
            )
        else:
            shows = re.fullmatch(SHOWS, cell.source.strip()) is not None
            hidden = shows or any(tag in tags for tag in SETTING)
            copy.metadata["tags"] = [*tags, HIDDEN if hidden else FOLDED]
            if COMPUTES in tags:  # what came of it is shown by others, in the same way everywhere
                copy.outputs = []
        told.append(copy)
    return told


def _title(wanted: Wanted) -> str:
    title = wanted.chapter.title
    if wanted.committed:
        figure = wanted.chapter.figure
        below = "" if figure is None else f"\n\nThe paper's Figure {figure}, from our own runs."
        return f"# {title}{below}"
    result = wanted.records[0].result
    seeds = ", ".join(str(record.result["seed"]) for record in wanted.records)
    below = f"Run on this machine: profile `{result['profile']}`, seed {seeds}."
    if result["differs"]:
        below += " It differs from the paper; the card below says in what."
    return f"# {title}, run here\n\n{below}"


def _figure(page: str, panels: Panels) -> str:
    alt = " ".join(panels.alt.split())
    return (
        f"```{{figure}} {PANELS}/{page}.svg\n:name: fig-{page}\n:class: six-panels\n:alt: {alt}\n\n"
        f"{panels.caption}\n```"
    )
