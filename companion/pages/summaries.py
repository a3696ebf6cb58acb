"""What a page is about, in a line, and its words for the results of a search.

Sphinx shows a piece of each page it found, and fetches the page to do so: a browser refuses that to
a site opened as files, and the pieces show formulas as their source. Here the words come as a
script, without formulas' source, and are asked for by the page of the search alone.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from docutils import nodes

from companion.pages.plain import plain_text

__all__ = ["descriptions", "opening", "shortened", "texts_script"]

#: Longest description; search engines show about as much.
LONGEST: Final = 160
#: A shorter paragraph says too little by itself.
SHORTEST: Final = 40


def opening(doctree: nodes.document) -> Iterator[str]:
    """Paragraphs that may say what a page is about.

    Parameters
    ----------
    doctree : docutils document

    Yields
    ------
    str
        Those that stand in a section by themselves, in order.
    """
    for node in doctree.findall(nodes.paragraph):
        if isinstance(node.parent, nodes.section | nodes.document):
            text = plain_text(node)
            if text:
                yield text


def shortened(text: str, longest: int = LONGEST) -> str:
    """The beginning of a text, at most so long, cut between words.

    Parameters
    ----------
    text : str
    longest : int

    Returns
    -------
    str

    Examples
    --------
    >>> shortened("Where pruning breaks a network", 16)
    'Where pruning…'
    """
    if len(text) <= longest:
        return text
    cut = text[: longest - 1]
    words, space, _ = cut.rpartition(" ")
    return f"{(words if space else cut).rstrip(' ,;:.(')}…"


def descriptions(pages: Mapping[str, tuple[str, Sequence[str]]]) -> dict[str, str]:
    """A line for every page that says what it is about; no two are the same.

    Parameters
    ----------
    pages : mapping of str to (str, sequence of str)
        Title and paragraphs of each page. Titles differ.

    Returns
    -------
    dict of str to str
        The first paragraph that says something, after the title where that of another page begins
        like it or there is none.

    Examples
    --------
    >>> descriptions({"a": ("A", ["A paragraph that is long enough to say what this is about."])})
    {'a': 'A paragraph that is long enough to say what this is about.'}
    >>> descriptions({"a": ("A", ["Short."]), "b": ("B", [])})
    {'a': 'A: Short.', 'b': 'B'}
    """
    chosen = {
        name: next((p for p in paragraphs if len(p) >= SHORTEST), " ".join(paragraphs))
        for name, (_, paragraphs) in pages.items()
    }
    alike = Counter(shortened(text) for text in chosen.values())
    made = {}
    for name, text in chosen.items():
        title = pages[name][0]
        if len(text) < SHORTEST or alike[shortened(text)] > 1:
            text = f"{title}: {text}" if text else title
        made[name] = shortened(text)
    return made


def texts_script(texts: Mapping[str, Mapping[str, Sequence[str]]]) -> str:
    """The words of all pages, as a script that a page opened as a file may load.

    Parameters
    ----------
    texts : mapping of str to mapping of str to sequence of str
        Pieces of each page by section.

    Returns
    -------
    str
        JavaScript.

    Examples
    --------
    >>> texts_script({"method": {"pass": ["One pass."]}})
    'window.pageTexts = {"method":{"pass":["One pass."]}};\\n'
    """
    content = json.dumps(texts, ensure_ascii=False, separators=(",", ":"))
    return f"window.pageTexts = {content};\n"
