"""The ways to find a threshold, as they are named in records and printed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

__all__ = ["CURVES", "METHODS", "Method"]


class Method(NamedTuple):
    """How a way to find a threshold is printed.

    Attributes
    ----------
    short, title : str
        In the head of a column, and in a sentence.
    """

    short: str
    title: str


#: By the names that records and the published numbers use.
METHODS: Final[Mapping[str, Method]] = {
    "accuracy": Method("accuracy", "accuracy"),
    "full": Method("FE", "full evaluation"),
    "renormalized": Method("RFE", "renormalized"),
}
#: Those that have a free-energy curve.
CURVES: Final = ("full", "renormalized")
