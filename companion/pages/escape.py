"""Text that others wrote, made harmless for where it is shown: one function for each place.

What a record, a table beside it, a data set or a checkpoint calls itself is text, whatever is in
it. It becomes no element, no link, no mathematics, no line of its own.
"""

from __future__ import annotations

import html
import re

__all__ = ["in_figure", "in_html", "in_markdown"]

#: What means something to MyST within a line: HTML and entities, code, links, roles and
#: substitutions, mathematics, table cells, emphasis (but x86_64 has none), headings.
_SPECIAL = re.compile(r"[&<>\\`\[\]{}$|*#~]|(?<![^\W_])_|_(?![^\W_])")
#: What means something at the start of a line: quotes, lists, fences, rules, comments, targets.
_START = re.compile(r"^[^\w&]|^\d+[.)](?!\S)")


def in_markdown(text: object) -> str:
    """A text as a cell of a Markdown table, or as part of a paragraph.

    Parameters
    ----------
    text : object
        Anything; its ``str`` is shown.

    Returns
    -------
    str
        One line.

    Examples
    --------
    >>> in_markdown("CPU (x86_64), 1 threads"), in_markdown("<b>|$x$")
    ('CPU (x86_64), 1 threads', '&#60;b&#62;&#124;&#36;x&#36;')
    """
    special = _SPECIAL.sub(lambda found: _entity(found[0]), _line(text))
    return _START.sub(lambda found: found[0][:-1] + _entity(found[0][-1]), special)


def in_html(text: object) -> str:
    """A text within an element or a quoted attribute, also of HTML inside Markdown.

    Parameters
    ----------
    text : object
        Anything; its ``str`` is shown.

    Returns
    -------
    str
        One line: a blank one would end the HTML in Markdown.

    Examples
    --------
    >>> in_html('<b a="1">\\n\\n# c')
    '&lt;b a=&quot;1&quot;&gt; # c'
    """
    return html.escape(_line(text))


def in_figure(text: object) -> str:
    """A text in a figure, where Matplotlib would take what is between dollars for mathematics.

    Parameters
    ----------
    text : object
        Anything; its ``str`` is shown.

    Returns
    -------
    str
        One line.

    Examples
    --------
    >>> print(in_figure("$x$ and y"))
    \\$x\\$ and y
    """
    return _line(text).replace("$", r"\$")


def _line(text: object) -> str:
    """Without line breaks, and without characters that cannot be seen."""
    line = " ".join(str(text).split())
    return "".join(c if c.isprintable() else "\ufffd" for c in line)


def _entity(character: str) -> str:
    return f"&#{ord(character)};"
