"""Making tables of the book, and what stands in their cells.

Tables are written in Markdown, where cells may hold links, or in HTML, where they may hold
anything that is escaped. Either way every cell of a page knows the head of its column
(:mod:`companion.pages.heads`), so that a narrow screen shows rows as cards.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from companion.data.specs import DATASETS
from companion.pages.escape import in_html
from companion.pages.shown import fraction
from companion.paper import published

__all__ = [
    "DASH",
    "NONE_FOUND",
    "NOT_RUN",
    "NOT_STATED",
    "cells",
    "counted",
    "html",
    "markdown",
    "point",
    "stated",
    "wide",
]

#: What stands where there is no record, and where the paper gives no number.
NOT_RUN, NOT_STATED = "not run", "not stated"
#: What stands where a record has no threshold, and in a cell that cannot have a value.
NONE_FOUND, DASH = "none found", "&mdash;"


def markdown(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table.

    Parameters
    ----------
    header : sequence of str
        Column heads.
    rows : iterable of sequences
        Cells.

    Returns
    -------
    str

    Examples
    --------
    >>> print(markdown(["a", "b"], [[1, 2]]))
    | a | b |
    | --- | --- |
    | 1 | 2 |
    """
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def wide(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table as wide as the page.

    Parameters
    ----------
    header, rows
        As for :func:`markdown`.

    Returns
    -------
    str

    Examples
    --------
    >>> print(wide(["a"], [[1]]))
    :::{div} wide-table
    | a |
    | --- |
    | 1 |
    :::
    """
    return f":::{{div}} wide-table\n{markdown(header, rows)}\n:::"


def html(header: Sequence[str], rows: Iterable[Sequence[str]], *, classes: str = "") -> str:
    """A table in HTML, without blank lines, which would end it in Markdown.

    Parameters
    ----------
    header : sequence of str
        Column heads, text.
    rows : iterable of sequences of str
        Cells, in HTML: what is text has been through :func:`companion.pages.escape.in_html`.
    classes : str, optional
        Names for the style sheet.

    Returns
    -------
    str

    Examples
    --------
    >>> print(html(["a", "b"], [["1", "<b>2</b>"]], classes="small"))
    <table class="small"><thead><tr><th scope="col">a</th><th scope="col">b</th></tr></thead><tbody>
    <tr><td data-head="a">1</td><td data-head="b"><b>2</b></td></tr>
    </tbody></table>
    """
    heads = "".join(f'<th scope="col">{in_html(head)}</th>' for head in header)
    lines = "".join(f"\n<tr>{cells(header, row)}</tr>" for row in rows)
    return (
        f'<table class="{in_html(classes)}"><thead><tr>{heads}</tr></thead><tbody>'
        f"{lines}\n</tbody></table>"
    )


def cells(header: Sequence[str], row: Sequence[str]) -> str:
    """The cells of a row in HTML, each with the head of its column.

    Parameters
    ----------
    header : sequence of str
        Column heads, text.
    row : sequence of str
        Cells, in HTML.

    Returns
    -------
    str

    Examples
    --------
    >>> cells(["a"], ["1"])
    '<td data-head="a">1</td>'
    """
    return "".join(
        f'<td data-head="{in_html(head)}">{cell}</td>'
        for head, cell in zip(header, row, strict=True)
    )


def counted(number: int, noun: str) -> str:
    """A number of things.

    Parameters
    ----------
    number : int
        How many.
    noun : str
        What; takes an ``s`` where there is not exactly one.

    Returns
    -------
    str

    Examples
    --------
    >>> counted(1, "chapter"), counted(3, "chapter")
    ('1 chapter', '3 chapters')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


def point(tau: float, beta: float) -> str:
    """A threshold with its sparsity, as the tables give them.

    Parameters
    ----------
    tau, beta : float
        The threshold and the sparsity it causes.

    Returns
    -------
    str

    Examples
    --------
    >>> point(0.76, 0.6491)
    '0.76 (0.65)'
    """
    return f"{tau:.3g} ({fraction(beta)})"


def stated(
    model: str, dataset: str, quantity: str, method: str | None = None, *, places: bool = False
) -> str:
    """What the paper says about a network on a dataset, every value once.

    Parameters
    ----------
    model, dataset, quantity, method
        As for :func:`companion.paper.published.lookup`.
    places : bool, default False
        Whether to add where it says so, and what it says in a word instead of a number.

    Returns
    -------
    str
        `NOT_STATED` where it says nothing, or knows no such network or dataset.

    Examples
    --------
    >>> stated("resnet18", "cifar10", "beta_star", "full")
    '0.5-0.55; 0.05-0.1'
    >>> stated("resnet18", "cifar10", "beta_star", "full", places=True)
    '0.5-0.55 (Section 5.1); 0.05-0.1 (Table 1)'
    """
    if model not in published.MODELS or dataset not in DATASETS:
        return NOT_STATED
    found: dict[str, list[str]] = {}
    for row in published.lookup(model, dataset, quantity, method).to_dict("records"):
        if pd.notna(row["low"]):
            found.setdefault(_value(quantity, row["low"], row["high"]), []).append(row["source"])
        elif places:
            found.setdefault(row["value"], []).append(row["source"])
    texts = [
        f"{text} ({', '.join(dict.fromkeys(sources))})" if places else text
        for text, sources in found.items()
    ]
    return "; ".join(texts) or NOT_STATED


def _value(quantity: str, low: float, high: float) -> str:
    """A published number or range; accuracies in percent, as ours beside them."""
    if quantity == "accuracy":
        return f"{published.as_range(100 * low, 100 * high)} %"
    return published.as_range(low, high)
