"""The table of contents: the book's own, chapters not in the paper, and what was run here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import yaml

from companion.runs.chapters import Chapter

__all__ = ["ADDED_PART", "HERE_PART", "table_of_contents"]

#: Captions of the parts that hold them.
ADDED_PART: Final = "Networks not in the paper"
HERE_PART: Final = "Run on your machine"


def table_of_contents(text: str, added: Iterable[Chapter], here: Iterable[str]) -> str:
    """Put chapters and runs into a table of contents.

    Parameters
    ----------
    text : str
        A table of contents for jupyter-book, in parts; some hold pages in ``chapters/``.
    added : iterable of Chapter
        Chapters that the paper does not have, in the order to show; they come in a part behind
        those of the paper.
    here : iterable of str
        Pages in ``runs/`` below the first of them, in the order to show; they come last.

    Returns
    -------
    str

    Examples
    --------
    >>> text = "parts:\\n- caption: A\\n  chapters:\\n  - file: chapters/mlp-cifar10\\n"
    >>> print(table_of_contents(text, [Chapter("mine", "cifar10")], ["demo-mlp"]), end="")
    parts:
    - caption: A
      chapters:
      - file: chapters/mlp-cifar10
    - caption: Networks not in the paper
      chapters:
      - file: chapters/mine-cifar10
    - caption: Run on your machine
      chapters:
      - file: runs/index
        title: All runs
        sections:
        - file: runs/demo-mlp
    """
    contents = yaml.safe_load(text)
    parts = contents["parts"]
    pages = [{"file": f"chapters/{chapter.name}"} for chapter in added]
    if pages:
        last = max(
            number
            for number, part in enumerate(parts)
            if any(page["file"].startswith("chapters/") for page in part["chapters"])
        )
        parts.insert(last + 1, {"caption": ADDED_PART, "chapters": pages})
    first: dict[str, object] = {"file": "runs/index", "title": "All runs"}
    sections = [{"file": f"runs/{page}"} for page in here]
    if sections:
        first["sections"] = sections
    parts.append({"caption": HERE_PART, "chapters": [first]})
    return yaml.safe_dump(contents, sort_keys=False, allow_unicode=True)
