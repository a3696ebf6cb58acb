"""Kinds of network and data: what works, and what is refused with which words.

``python -m benchmarks.kinds`` tries all of them as a user would who names nothing but the network
and the data, and writes ``results/kinds.json``, which a page of the book shows.
"""

from benchmarks.kinds import images, own, texts  # noqa: F401  (they fill KINDS)
from benchmarks.kinds.kind import KINDS, Case, Kind
from benchmarks.kinds.trying import chosen, taus_of, tried

__all__ = ["KINDS", "Case", "Kind", "chosen", "taus_of", "tried"]
