"""What pretraining by its own objective adds to a network's accuracy, as Markdown."""

from __future__ import annotations

import math
from typing import Any

from companion.pages.tables import counted, markdown
from companion.runs.chapters import CHAPTERS

__all__ = ["FILE", "MODELS", "WORTH", "pretraining_text"]

#: Beside the records of a profile; ``python -m benchmarks.pretraining`` writes it.
FILE = "pretraining.json"
COMMAND = "python -m benchmarks.pretraining"
#: Networks that have an objective of their own, apart from what they are tested on.
MODELS = ("vit", "electra", "t5", "gpt2")
#: Points of test accuracy from which pretraining would be worth its time.
WORTH = 5.0


def pretraining_text(facts: dict[str, Any] | None, profile: str) -> str:
    """How much each network that was measured gains, and whether that is worth it.

    Parameters
    ----------
    facts : dict or None
        Of `FILE`: by name of the chapter.
    profile : str
        Whose records they are beside.

    Returns
    -------
    str
        Markdown: a sentence and a table, with the standard error of each difference as if the two
        networks erred independently, and what is missing with its command.
    """
    if not facts:
        return f"Not measured: `{COMMAND} --profile {profile}` does it.\n"
    rows, lifted, absent = [], [], []
    for chapter in CHAPTERS:
        if chapter.name not in facts:
            absent += [chapter] if chapter.model in MODELS else []
            continue
        found = facts[chapter.name]
        before, after = (found[part]["test_accuracy"] for part in ("without", "with"))
        variance = before * (1 - before) + after * (1 - after)
        error = 100 * math.sqrt(variance / found["test_examples"])
        gain = 100 * (after - before)
        if gain >= WORTH:
            lifted.append(chapter.title)
        rows.append(
            [
                chapter.title,
                str(found["epochs"]),
                f"{100 * before:.1f} %",
                f"{100 * after:.1f} %",
                f"{gain:+.1f} ± {error:.1f}",
            ]
        )
    verdict = f"lifts {' and '.join(lifted)}" if lifted else "lifts none of them"
    head = ["chapter", "epochs of pretraining", "test accuracy without", "with", "points gained"]
    missing = ""
    if absent:
        titles, names = (", ".join(c.title for c in absent), " ".join(c.name for c in absent))
        missing = f"\nNot measured: {titles} (`{COMMAND} {names} --profile {profile}` does it).\n"
    return (
        f"Measured on {counted(len(rows), 'chapter')}, seed 0: pretraining {verdict} by "
        f"{WORTH:g} points or more.\n\n{markdown(head, rows)}\n{missing}"
    )
