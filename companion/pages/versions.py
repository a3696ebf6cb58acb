"""What the paper states about a chapter, in every version that it gives."""

from __future__ import annotations

from typing import Any

from companion.data.specs import DATASETS
from companion.pages.wording import a, listed
from companion.paper import published

__all__ = ["knows", "paper_threshold", "versions"]

#: Words before a number that is a bound.
BOUNDS = {"at least": "at least ", "at most": "at most "}


def knows(model: str, dataset: str) -> bool:
    """Whether the paper has a network on a dataset."""
    return model in published.MODELS and dataset in DATASETS and bool(
        len(published.lookup(model, dataset))
    )  # fmt: skip


def versions(model: str, dataset: str, quantity: str, method: str | None = None) -> str:
    """The numbers that the paper states for a quantity.

    Parameters
    ----------
    model, dataset, quantity, method
        As for :func:`companion.paper.published.lookup`.

    Returns
    -------
    str
        Such as ``≈ 0.12``: the sign where the paper hedges it at one place at least. Several
        versions stand with their places. Accuracies are in percent. Empty where there is none.

    Examples
    --------
    >>> versions("mlp", "cifar10", "tau_star", "accuracy")
    '≈ 0.36–0.40'
    >>> versions("resnet18", "cifar10", "beta_star", "full")
    '≈ 0.50–0.55 (Section 5.1) or 0.05–0.10 (Table 1)'
    >>> versions("mlp", "cifar10", "accuracy")
    '≈ 58 %'
    """
    if not knows(model, dataset):
        return ""
    rows = published.lookup(model, dataset, quantity, method)
    found: dict[tuple[float, float, str], list[dict[Any, Any]]] = {}
    for row in rows[rows["low"].notna()].to_dict("records"):
        found.setdefault((row["low"], row["high"], row["value"]), []).append(row)
    texts = {}
    for (_, _, bound), same in found.items():
        # The same number may be printed as 0.8 and as 0.80.
        number = max((published.as_printed(row) for row in same), key=len)
        sign = "≈ " if any(row["approximate"] for row in same) else ""
        texts[f"{sign}{BOUNDS.get(bound, '')}{number}"] = [row["source"] for row in same]
    if len(texts) < 2:
        return "".join(texts)
    return listed([f"{text} ({listed(places)})" for text, places in texts.items()], "or")


def paper_threshold(model: str, dataset: str, method: str) -> str:
    """A threshold of the paper with its sparsity, as part of a sentence.

    Parameters
    ----------
    model, dataset, method
        As for :func:`companion.paper.published.lookup`.

    Returns
    -------
    str
        Empty where it states neither.

    Examples
    --------
    >>> paper_threshold("mlp", "cifar10", "full")
    'a peak at τ\\\\* ≈ 0.12 (β\\\\* ≈ 0.15)'
    >>> paper_threshold("vit", "flowers102", "accuracy")
    'τ ≈ 0.13 (β = 0.69)'
    """
    star = "" if method == "accuracy" else "\\*"
    tau, beta = (
        f"{symbol}{star} {number if number.startswith('≈') else f'= {number}'}" if number else ""
        for symbol, quantity in (("τ", "tau_star"), ("β", "beta_star"))
        for number in [versions(model, dataset, quantity, method)]
    )
    within = f" with {beta}" if "(" in tau + beta else f" ({beta})"
    place = f"{tau}{within}" if tau and beta else tau or beta
    if not place or method == "accuracy":
        return place
    kinds = published.lookup(model, dataset, "feature", method)["value"]
    named = listed(list(dict.fromkeys(a(kind) for kind in kinds)), "or") if len(kinds) else ""
    return f"{named} at {place}" if named else place
