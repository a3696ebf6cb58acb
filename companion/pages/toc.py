"""The table of contents: the book's own, and a part for chapters that are not in the paper."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import yaml

from companion.runs.chapters import Chapter

__all__ = ["ADDED_PART", "table_of_contents"]

#: Caption of the part that holds them.
ADDED_PART: Final = "Networks not in the paper"


def table_of_contents(text: str, added: Iterable[Chapter]) -> str:
    """Put chapters into a table of contents, in a part behind those of the paper.

    Parameters
    ----------
    text : str
        A table of contents for jupyter-book, in parts; some hold pages in ``chapters/``.
    added : iterable of Chapter
        The chapters, in the order to show.

    Returns
    -------
    str
        The same text if there are none to add.

    Examples
    --------
    >>> text = "parts:\\n- caption: A\\n  chapters:\\n  - file: chapters/mlp-cifar10\\n"
    >>> print(table_of_contents(text, [Chapter("mine", "cifar10")]), end="")
    parts:
    - caption: A
      chapters:
      - file: chapters/mlp-cifar10
    - caption: Networks not in the paper
      chapters:
      - file: chapters/mine-cifar10
    """
    pages = [{"file": f"chapters/{chapter.name}"} for chapter in added]
    if not pages:
        return text
    contents = yaml.safe_load(text)
    parts = contents["parts"]
    last = max(
        number
        for number, part in enumerate(parts)
        if any(page["file"].startswith("chapters/") for page in part["chapters"])
    )
    parts.insert(last + 1, {"caption": ADDED_PART, "chapters": pages})
    return yaml.safe_dump(contents, sort_keys=False, allow_unicode=True)
