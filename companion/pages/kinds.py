"""Kinds of network and data, what works and what is refused, as Markdown.

``python -m benchmarks.kinds`` tries them and writes ``results/kinds.json``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from companion.pages.escape import in_markdown
from companion.pages.tables import counted, markdown

__all__ = ["kinds_text"]

#: Letters of a layer's name that are shown.
SHOWN = 26


def kinds_text(facts: Mapping[str, Any] | None) -> str:
    """What works and what is refused, in a table each.

    Parameters
    ----------
    facts : mapping or None
        Of ``results/kinds.json``.

    Returns
    -------
    str
        Markdown; without facts, how to get them.
    """
    if facts is None:
        return "Not tried yet: `python -m benchmarks.kinds` does it.\n"
    kinds = facts["kinds"].values()
    works = [kind for kind in kinds if kind["outcome"] == "works"]
    refused = [kind for kind in kinds if kind["outcome"] == "refused"]
    versions = ", ".join(f"{in_markdown(k)} {in_markdown(v)}" for k, v in facts["versions"].items())
    return "\n\n".join(
        [
            f"{counted(len(kinds), 'kind')} tried, with {versions}: {len(works)} work, "
            f"{len(refused)} are refused.",
            "## What works",
            _wide(
                ["network", "data", "layers", "such as", "N", "score", "a safe threshold removes"],
                map(_working, works),
            ),
            "## What is refused",
            _wide(["network", "data", "what it says"], map(_refused, refused)),
        ]
    ) + "\n"  # fmt: skip


def _wide(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table as wide as the page."""
    return f":::{{div}} wide-table wrapped\n{markdown(header, rows)}\n:::"


def _working(kind: Mapping[str, Any]) -> list[object]:
    safe = kind["safe"]
    found = f"{100 * safe['beta']:.1f} %" if safe["tau"] > 0 else "nothing"
    return [
        in_markdown(kind["network"]),
        in_markdown(kind["data"]),
        len(kind["layers"]),
        in_markdown(_short(kind["layers"][0])),
        f"{kind['total']:,}",
        f"{in_markdown(kind['metric'])} {kind['baseline']:.3g}",
        found,
    ]


def _short(name: str) -> str:
    """The end of a long name."""
    return name if len(name) <= SHOWN else f"…{name[1 - SHOWN :]}"


def _refused(kind: Mapping[str, Any]) -> list[object]:
    return [in_markdown(kind["network"]), in_markdown(kind["data"]), in_markdown(kind["message"])]
