"""Every cell of a table knows the head of its column, whatever the table looks like."""

from __future__ import annotations

import pytest
from docutils import nodes
from sphinx.application import Sphinx

from companion.pages.heads import column_heads
from tests.companion.pages.test_tables import Table

PAGE = """# Page

| chapter | $\\tau^*$ & more | accuracy |
| --- | --- | --- |
| [one](https://example.org) | 0.5 | 50 % |
| two | | a<br>b |
"""


def group(*head_rows: list[tuple[str, int]]) -> nodes.tgroup:
    """Columns with a head; each of its cells spans so many columns more."""
    head = nodes.thead()
    for row in head_rows:
        entries = [
            nodes.entry("", nodes.paragraph(text=text), **({"morecols": more} if more else {}))
            for text, more in row
        ]
        head += nodes.row("", *entries)
    return nodes.tgroup("", head, nodes.tbody()) if head_rows else nodes.tgroup("", nodes.tbody())


def test_a_head_that_spans_columns_stands_over_each():
    assert column_heads(group([("a", 0), ("b", 1), ("c", 0)])) == ["a", "b", "b", "c"]
    assert column_heads(group([("x", 2)], [("a", 0), ("b", 0), ("c", 0)])) == ["a", "b", "c"]
    assert column_heads(group()) == []


@pytest.mark.slow
def test_a_page_that_sphinx_makes(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "index.md").write_text(PAGE)
    settings = {
        "extensions": ["myst_parser", "companion.pages.heads"],
        "myst_enable_extensions": ["dollarmath"],
    }
    Sphinx(source, None, tmp_path / "html", tmp_path / "trees", "html", settings).build()
    text = (tmp_path / "html" / "index.html").read_text()
    table = Table(text[text.index("<table") : text.index("</table>")])
    heads = ["chapter", "τ* & more", "accuracy"]
    assert [[head for head, _ in row] for row in table.rows[1:]] == [heads, heads]
    assert [[cell.strip() for _, cell in row] for row in table.rows[1:]] == [
        ["one", "0.5", "50 %"], ["two", "", "ab"],
    ]  # fmt: skip
    assert len(table.heads) == 3
