"""Where the time of the book goes, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any, Final

from companion.pages.escape import in_markdown
from companion.pages.rounds import busy
from companion.pages.tables import counted, wide
from companion.runs.chapters import chapter_title

__all__ = ["DEMO", "FILE", "PARTS", "SHOWN", "book_times_text"]

#: Among the results; ``python -m benchmarks.book`` writes it.
FILE: Final = "book.json"
#: Model and data of the chapter that is shown from its record, and of the one that is computed.
SHOWN: Final = ("cnn", "cifar10")
DEMO: Final = ("mlp", "cifar10")
#: What is measured: a page from its record; a chapter that computes; the same when what it computes
#: is kept; what its kernel imports, in the first case and in the second.
PARTS: Final = ("shown", "demo", "again", "imports", "kept_imports")
CLOCKS: Final = ("processor", "wall")


def book_times_text(facts: Mapping[str, Any] | None) -> str:
    """What the parts of the book take, as a table.

    Parameters
    ----------
    facts : mapping or None
        Of ``results/book.json``.

    Returns
    -------
    str
        Markdown.
    """
    if facts is None:
        return "Not measured: `python -m benchmarks.book --site` does it.\n"
    whole = {name: _medians(facts["parts"][name]) for name in PARTS}
    computed, rest = {}, {}
    for clock in CLOCKS:
        once = whole["demo"][clock] - whole["again"][clock]
        lightning = whole["imports"][clock] - whole["kept_imports"][clock]
        computed[clock] = once - lightning
        rest[clock] = whole["demo"][clock] - whole["imports"][clock] - computed[clock]
    shown, demo = (chapter_title("-".join(names)) for names in (SHOWN, DEMO))
    rows = [
        _row(f"the page of {shown}, from its record", whole["shown"]),
        _row(f"the demo chapter {demo}", whole["demo"]),
        _row("– imports of its kernel: torch, Lightning, and what draws", whole["imports"]),
        _row("– training and both evaluations", computed),
        _row("– the page, and two processes that start, talk and end", rest),
        _row("the same chapter again, when what it computes is kept", whole["again"]),
    ]
    if facts["site"] is not None:
        rows.append(_row("the whole site, in two processes", facts["site"]))
    head = ["part", "processor, s", "wall, s"]
    return f"{wide(head, rows)}\n\n{_machine(facts)}\n"


def _medians(rounds: Any) -> dict[str, float]:
    return {clock: median(one[clock] for one in rounds) for clock in CLOCKS}


def _row(name: str, seconds: Mapping[str, float]) -> list[str]:
    return [name, f"{seconds['processor']:.1f}", f"{seconds['wall']:.1f}"]


def _machine(facts: Mapping[str, Any]) -> str:
    rounds = len(facts["parts"]["demo"])
    name = facts["processor"] or facts["provenance"]["device"]
    commit = (facts["provenance"]["git_commit"] or "unknown")[:10]
    return (
        f"Medians of {counted(rounds, 'round')}; every part is a process of its own, and those it "
        f"starts count with it. {in_markdown(name)}, {counted(facts['cores'], 'core')}, "
        f"one thread, measured on {in_markdown(facts['date'])}, commit {in_markdown(commit)}."
        f"{busy(facts)}"
    )
