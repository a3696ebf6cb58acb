"""Tables of the book, as Markdown, from records and published numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from companion.data.specs import DATASETS
from companion.pages.escape import in_markdown
from companion.paper import published
from companion.runs.chapters import Chapter
from companion.runs.methods import METHODS
from companion.runs.records import Record

__all__ = [
    "DASH",
    "NONE_FOUND",
    "NOT_RUN",
    "NOT_STATED",
    "added_table",
    "counted",
    "located",
    "markdown",
    "other_runs_table",
    "point",
    "results_table",
    "sparsity",
    "stated",
    "status_table",
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
        return NONE_FOUND
    kind = "" if method == "accuracy" else f" {in_markdown(found['kind'])}"
    return f"{point(found['tau'], found['beta'])}{kind}"


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
                stated(chapter.model, chapter.dataset, "accuracy"),
                NOT_RUN if result is None else f"{100 * result['data']['most_frequent']:.1f} %",
                *(NOT_RUN if result is None else located(result, method) for method in METHODS),
                stated(chapter.model, chapter.dataset, "tau_star", "accuracy"),
                stated(chapter.model, chapter.dataset, "tau_star", "full"),
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
                in_markdown(made["device"]),
                in_markdown((made["git_commit"] or "")[:10]),
            ]
        )
    header = ["chapter", "seed", "training, s", "FE, s", "RFE, s", "FE / RFE", "device", "commit"]
    return markdown(header, rows) + "\n"


def added_table(records: Mapping[Chapter, Record | None]) -> str:
    """What was found for networks that are not in the paper.

    Parameters
    ----------
    records : mapping of Chapter to Record or None
        In the order to show.

    Returns
    -------
    str
        Markdown.
    """
    if not records:
        return "There are none. [Adding a network](adding_a_network) says how to add one.\n"
    rows = []
    for chapter, record in records.items():
        result = record.result if record else None
        found = [in_markdown(located(result, m)) if result else "" for m in METHODS]
        link = f"[{in_markdown(chapter.title)}](chapters/{chapter.name})"
        rows.append([link, _accuracy(result), *found])
    heads = [method.short for method in METHODS.values()]
    return markdown(["chapter", "accuracy", *heads], rows) + "\n"


def other_runs_table(records: Sequence[Record]) -> str:
    """Runs that stand for no chapter: with other settings, or of other networks.

    Parameters
    ----------
    records : sequence of Record
        As :func:`companion.runs.records.other_runs` returns them.

    Returns
    -------
    str
        Markdown.
    """
    if not records:
        return "There are none.\n"
    rows = []
    for record in records:
        result = record.result
        rows.append(
            [
                in_markdown(f"{result['model']} on {result['dataset']}"),
                result["seed"],
                in_markdown("; ".join(result["differs"]) or "nothing"),
                _accuracy(result),
                *(in_markdown(located(result, method)) for method in METHODS),
            ]
        )
    heads = [method.short for method in METHODS.values()]
    return markdown(["run", "seed", "differs", "accuracy", *heads], rows) + "\n"


def _accuracy(result: Mapping[str, Any] | None) -> str:
    return NOT_RUN if result is None else f"{100 * result['metrics']['test_accuracy']:.1f} %"
