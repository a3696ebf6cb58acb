"""A Sphinx extension: every cell of a table knows the head of its column.

On a screen too narrow for columns the style sheet shows each row as a card, and each cell of it
beside the head of its column (``book/static/tables.css``). It finds the head in the attribute
``data-head``, which the tables that are written as HTML have from the start, see
:func:`companion.pages.tables.html`.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

from companion.pages.escape import in_html
from companion.pages.plain import plain_text

__all__ = ["column_heads", "setup"]


def column_heads(group: nodes.tgroup) -> list[str]:
    """The heads of a table's columns.

    Parameters
    ----------
    group : docutils.nodes.tgroup
        Columns, head and body of a table.

    Returns
    -------
    list of str
        Texts of the last row of the head, each as often as it spans columns, with signs instead of
        formulas; empty without a head.
    """
    rows = [row for head in group.findall(nodes.thead) for row in head.findall(nodes.row)]
    if not rows:
        return []
    return [
        plain_text(entry)
        for entry in rows[-1].findall(nodes.entry)
        for _ in range(1 + entry.get("morecols", 0))
    ]


def _visit_entry(self: HTML5Translator, node: nodes.entry) -> None:
    row = node.parent
    part, column = row.parent, row.column
    # The translator's own method stays on its class; this one was put before it.
    type(self).visit_entry(self, node)
    if isinstance(part, nodes.thead):
        attribute = ' scope="col"'
    else:
        heads = column_heads(part.parent)
        if column >= len(heads):
            return
        attribute = f' data-head="{in_html(heads[column])}"'
    tag = self.body[-1]
    self.body[-1] = f"{tag[:3]}{attribute}{tag[3:]}"


def _depart_entry(self: HTML5Translator, node: nodes.entry) -> None:
    type(self).depart_entry(self, node)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx.

    Parameters
    ----------
    app : Sphinx

    Returns
    -------
    dict
        What Sphinx asks about an extension.
    """
    app.add_node(nodes.entry, override=True, html=(_visit_entry, _depart_entry))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
