"""Figures as links, and a second picture for narrow screens: what is written into a page."""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from bs4 import BeautifulSoup
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

from companion.pages.picture import SCREEN, labels_of

DRAWING = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"/>'
PAGE = """\
# A page

```{figure} ../made/panels/a.svg
:class: six-panels
:alt: Six of them

A caption.
```

```{figure} ../b.svg
:alt: One

Another.
```

:::{container} of-a-notebook
![](../c.svg)
:::

![a small one](../b.svg)
"""


@pytest.fixture
def book(tmp_path) -> Path:
    source = tmp_path / "book"
    for name in ("made/panels/a.svg", "made/panels/a-narrow.svg", "b.svg", "c.svg"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(DRAWING, encoding="utf-8")
    (source / "c.svg").write_text(DRAWING.replace("/>", "><!-- epoch --></svg>"), encoding="utf-8")
    (source / "pages").mkdir()
    (source / "pages" / "one.md").write_text(PAGE, encoding="utf-8")
    (source / "index.md").write_text("# All\n\n```{toctree}\npages/one\n```\n", encoding="utf-8")
    return source


def as_by_notebook(app: Sphinx, doctree: nodes.document) -> None:
    """What holds a notebook's pictures has a class that no directive can give."""
    for holder in doctree.findall(nodes.container):
        holder["classes"] = ["cell_output"]


def built(source: Path, warnings: io.StringIO | None = None) -> BeautifulSoup:
    """The page with figures, as Sphinx writes it."""
    output = source.parent / "site"
    with docutils_namespace():
        app = Sphinx(
            source, None, output, source.parent / "trees", "html",
            {
                "extensions": ["myst_parser", "companion.pages.picture"],
                "myst_enable_extensions": ["colon_fence"],
                "html_static_path": ["made"],
                "html_theme": "basic",
            },
            status=None, warning=warnings or io.StringIO(), freshenv=True,
        )  # fmt: skip
        app.connect("doctree-read", as_by_notebook)
        app.build()
    return BeautifulSoup((output / "pages/one.html").read_text(encoding="utf-8"), "html.parser")


def test_figures_are_links_to_files_that_are_there(book):
    page = built(book)
    folder = book.parent / "site" / "pages"
    links = page.select("a.enlarge")
    assert [link.img["alt"] for link in links] == [
        "Six of them", "One", "Figure with the labels: epoch",
    ]  # fmt: skip
    for link in links:
        assert link["title"]  # what the link does; its name is what the picture shows
        assert (folder / link["href"]).resolve().exists()
        assert link["href"] == link.img["src"]
    assert page.find("img", alt="a small one").find_parent("a") is None

    # The narrow picture, for one of them.
    (source,) = page.select("picture > source")
    assert source.parent.img["alt"] == "Six of them"
    assert source["media"] == SCREEN
    assert (folder / source["srcset"]).resolve().name == "a-narrow.svg"
    assert (folder / source["srcset"]).resolve().exists()


def test_a_missing_narrow_picture_is_told(book):
    (book / "made/panels/a-narrow.svg").unlink()
    warnings = io.StringIO()
    page = built(book, warnings)
    assert "a-narrow.svg" in warnings.getvalue()
    assert page.select("source") == []
    assert len(page.select("a.enlarge img")) == 3


def test_the_words_of_a_figure(tmp_path):
    figure, axis = plt.subplots()
    axis.plot([0, 1], [0, 1000], label="a & b")
    axis.set(xlabel=r"threshold $\tau$", ylabel="loss (nats)", title="MLP <1>")
    axis.legend()
    figure.savefig(tmp_path / "a.svg")
    plt.close(figure)
    assert labels_of(tmp_path / "a.svg") == (
        "Figure with the labels: threshold tau, loss (nats), MLP <1>, a & b"
    )
    (tmp_path / "b.svg").write_text(DRAWING, encoding="utf-8")
    assert labels_of(tmp_path / "b.svg") == labels_of(tmp_path / "c.png") == "Figure"
