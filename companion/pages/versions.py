"""What the paper states about a chapter, in every version that it gives."""

from __future__ import annotations

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
    found: dict[str, list[str]] = {}
    hedged: dict[str, bool] = {}
    for row in rows[rows["low"].notna()].to_dict("records"):
        text = f"{BOUNDS.get(row['value'], '')}{published.as_printed(row)}"
        found.setdefault(text, []).append(row["source"])
        hedged[text] = hedged.get(text, False) or bool(row["approximate"])
    texts = {text: f"≈ {text}" if hedged[text] else text for text in found}
    if len(found) < 2:
        return "".join(texts.values())
    return listed([f"{texts[text]} ({listed(sources)})" for text, sources in found.items()], "or")


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
