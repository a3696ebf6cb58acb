"""Tables of the book, as Markdown, from records and published numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from companion.data.specs import DATASETS
from companion.paper.published import as_range, lookup
from companion.runs.chapters import CHAPTERS, TITLES, Chapter
from companion.runs.records import Record

__all__ = [
    "METHOD_TITLES",
    "chapter_title",
    "located",
    "markdown",
    "point",
    "results_table",
    "sparsity",
    "status_table",
]

#: What stands where there is no record.
NOT_RUN = "not run"
#: How the ways to find a threshold are printed.
METHOD_TITLES = {"accuracy": "accuracy", "full": "FE", "renormalized": "RFE"}


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


def chapter_title(name: str) -> str:
    """Such as ``MLP on CIFAR-10``.

    Parameters
    ----------
    name : str
        ``model-dataset``.

    Returns
    -------
    str

    Examples
    --------
    >>> chapter_title("mlp-cifar10")
    'MLP on CIFAR-10'
    """
    chapter = next(c for c in CHAPTERS if c.name == name)
    return f"{TITLES[chapter.model]} on {DATASETS[chapter.dataset].title}"


def sparsity(beta: float) -> str:
    """A sparsity to two digits, or as many as tell it from one: some networks live on the rest.

    Parameters
    ----------
    beta : float
        At most 1.

    Returns
    -------
    str

    Examples
    --------
    >>> sparsity(0.3496), sparsity(0.99974), sparsity(1.0)
    ('0.35', '0.9997', '1.00')
    """
    digits = 2
    while round(beta, digits) == 1 and beta < 1 and digits < 9:
        digits += 1
    return f"{beta:.{digits}f}"


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
    return f"{tau:.3g} ({sparsity(beta)})"


def located(result: Mapping[str, Any], method: str) -> str:
    """A threshold of a record with its sparsity and, if it is one of F, its kind.

    Parameters
    ----------
    result : mapping
        The record's result.
    method : {"accuracy", "full", "renormalized"}
        The way it was found.

    Returns
    -------
    str

    Examples
    --------
    >>> peak = {"tau": 0.12, "beta": 0.133, "kind": "peak"}
    >>> located({"thresholds": {"full": peak, "renormalized": None}}, "full")
    '0.12 (0.13) peak'
    """
    found = result["thresholds"][method]
    if found is None:
        return "none found"
    kind = "" if method == "accuracy" else f" {found['kind']}"
    return f"{point(found['tau'], found['beta'])}{kind}"


def results_table(records: Mapping[Chapter, Record | None]) -> str:
    """Thresholds and sparsities of all chapters, ours beside the paper's.

    Parameters
    ----------
    records : mapping of Chapter to Record or None
        In the order to show.

    Returns
    -------
    str
        Markdown.
    """
    rows = []
    for chapter, record in records.items():
        result = record.result if record else None
        rows.append(
            [
                f"[{chapter.figure}](chapters/{chapter.name})",
                chapter.model,
                DATASETS[chapter.dataset].title,
                _accuracy(result),
                _published(chapter, "accuracy", None),
                NOT_RUN if result is None else f"{100 * result['data']['most_frequent']:.1f} %",
                *(
                    NOT_RUN if result is None else located(result, method)
                    for method in METHOD_TITLES
                ),
                _published(chapter, "tau_star", "accuracy"),
                _published(chapter, "tau_star", "full"),
                NOT_RUN if result is None else ("yes" if result["match"] else "no"),
            ]
        )
    header = [
        "Fig.", "network", "data", "accuracy", "paper", "most frequent class",
        "accuracy-based", "FE", "RFE", "paper, accuracy", "paper, FE", "match",
    ]  # fmt: skip
    return markdown(header, rows) + "\n"


def status_table(records: Mapping[Chapter, Record | None]) -> str:
    """What was run, where, when and for how long.

    Parameters
    ----------
    records : mapping of Chapter to Record or None
        In the order to show.

    Returns
    -------
    str
        Markdown.
    """
    rows = []
    for chapter, record in records.items():
        name = f"[{chapter.name}](chapters/{chapter.name})"
        if record is None:
            rows.append([name, NOT_RUN, "", "", "", "", "", ""])
            continue
        result = record.result
        timings, made = result["timings"], result["provenance"]
        rows.append(
            [
                name,
                result["seed"],
                f"{timings['train']:.1f}",
                f"{timings['full']:.2f}",
                f"{timings['renormalized']:.3f}",
                f"{timings['speedup']:.0f}",
                made["device"],
                (made["git_commit"] or "")[:10],
            ]
        )
    header = ["chapter", "seed", "training, s", "FE, s", "RFE, s", "FE / RFE", "device", "commit"]
    return markdown(header, rows) + "\n"


def _accuracy(result: Mapping[str, Any] | None) -> str:
    return NOT_RUN if result is None else f"{100 * result['metrics']['test_accuracy']:.1f} %"


def _published(chapter: Chapter, quantity: str, method: str | None) -> str:
    rows = lookup(chapter.model, chapter.dataset, quantity, method)
    percent = quantity == "accuracy"
    cells = []
    for low, high in zip(rows["low"], rows["high"], strict=True):
        if pd.notna(low):
            scale = 100 if percent else 1
            cells.append(as_range(scale * low, scale * high) + (" %" if percent else ""))
    return "; ".join(dict.fromkeys(cells)) or "not stated"
