"""What the paper says about a chapter: a remark, and its own words with their places."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import cache

from companion.pages.escape import in_markdown
from companion.paper.claims import claims
from companion.paper.published import lookup
from companion.paper.remarks import remark
from companion.runs.chapters import CHAPTERS, chapter_title

__all__ = ["Said", "said"]


class Said(str):
    """Markdown that a notebook shows as such."""

    def _repr_markdown_(self) -> str:
        return str(self)


def said(name: str) -> Said:
    """What the paper says about a chapter, and about no other's numbers.

    Parameters
    ----------
    name : str
        The chapter's.

    Returns
    -------
    Said
        A sentence or two, and the quotes on which the claims about this chapter alone stand.
    """
    chapter = next((c for c in CHAPTERS if c.name == name), None)
    if chapter is None:
        return Said(f"The paper does not have {in_markdown(chapter_title(name))}.\n")
    quotes = dict.fromkeys(_quotes(name))
    lines = [
        f"- “{in_markdown(quote)}” ({in_markdown(place)})"
        for quote, place in quotes
        if not any(quote in other and quote != other for other, _ in quotes)
    ]
    return Said("\n".join([in_markdown(remark(name)), "", "In its own words:", "", *lines, ""]))


def _quotes(name: str) -> Iterable[tuple[str, str]]:
    """The paper's words about a chapter, from its text, with their sections."""
    model, _, dataset = name.rpartition("-")
    rows = lookup(model, dataset)
    text = rows[rows["source"].str.startswith("Section")]
    yield from text[["quote", "source"]].itertuples(index=False, name=None)
    for claim in claims():
        if claim.chapters == (name,) and not claim.published:
            for version in claim.stated:
                if _chapters()[version.quote] == 1:  # others are said of every chapter
                    yield version.quote, version.place.partition(",")[0]


@cache
def _chapters() -> Counter[str]:
    """Of how many chapters the paper says something, by its words."""
    said_of = {(v.quote, name) for c in claims() for v in c.stated for name in c.chapters}
    return Counter(quote for quote, _ in said_of)
