"""A Sphinx extension: figures that a click enlarges, and a picture of its own for narrow screens.

Every figure, and every picture that a notebook shows, is a link to its file. That works without
JavaScript; with it, ``book/static/enlarge.js`` opens the file above the page instead. Where there
is a second file beside a figure's among the static ones, whose name ends with ``-narrow``, it is
shown on screens of at most `SCREEN`. Figures of the classes `TWOFOLD` must have one.
"""

from __future__ import annotations

import posixpath
import re
from html import unescape
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.osutil import relative_uri
from sphinx.writers.html5 import HTML5Translator

from companion.pages.escape import in_html
from companion.pages.panels import NARROW

__all__ = ["SCREEN", "labels_of", "setup"]

#: Screens that get the narrow picture, as the style sheets call them.
SCREEN: Final = "(max-width: 600px)"
#: Classes of figures that have one.
TWOFOLD: Final = frozenset({"six-panels", "front-picture"})
#: What holds the pictures that a notebook shows.
OUTPUT: Final = "cell_output"

logger = logging.getLogger(__name__)


class enlargeable(nodes.General, nodes.Element):  # noqa: N801, as docutils names nodes
    """A picture that is a link to its file; ``narrow`` is the other one, among the statics."""


def _wrap(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Put a link around the pictures of a page."""
    if app.builder.format != "html":
        return
    for image in list(doctree.findall(nodes.image)):
        figure = isinstance(image.parent, nodes.figure)
        if not figure and not _shown_by_notebook(image):
            continue
        if not image.get("alt"):
            image["alt"] = labels_of(Path(app.srcdir, image["uri"]))
        link = enlargeable()
        needed = TWOFOLD.intersection([*image["classes"], *image.parent.get("classes", [])])
        link["narrow"] = _narrow(app, image, needed=bool(needed))
        image.replace_self(link)
        link += image


def labels_of(file: Path) -> str:
    """What a picture of Matplotlib's is about, by the words in it.

    A notebook says nothing of the figures that it shows, and a picture without words is told to
    nobody who does not see it.

    Parameters
    ----------
    file : Path
        An SVG file, in which Matplotlib writes every text beside its outlines.

    Returns
    -------
    str
        Its headings and labels, each once; numbers at axes left out.
    """
    known = file.suffix == ".svg" and file.exists()
    text = file.read_text(encoding="utf-8") if known else ""
    labels = dict.fromkeys(found.strip() for found in re.findall(r"<!--(.*?)-->", text, re.DOTALL))
    words = [label for label in labels if re.search(r"[^\W\d_]{2}", label)]
    plain = [re.sub(r"[$\\]", "", unescape(label)) for label in words]
    return f"Figure with the labels: {', '.join(plain)}" if plain else "Figure"


def _shown_by_notebook(image: nodes.image) -> bool:
    parent = image.parent
    while parent is not None:
        if isinstance(parent, nodes.reference):
            return False
        if OUTPUT in parent.get("classes", []):
            return True
        parent = parent.parent
    return False


def _narrow(app: Sphinx, image: nodes.image, *, needed: bool) -> str | None:
    """The file for narrow screens, below the folder of static files; None if it is not there."""
    file = Path(app.srcdir, image["uri"])
    file = file.with_name(f"{file.stem}{NARROW}{file.suffix}")
    for folder in app.config.html_static_path:
        root = Path(app.srcdir, folder)
        if file.is_relative_to(root) and file.exists():
            return file.relative_to(root).as_posix()
    if needed:
        logger.warning("no picture for narrow screens: %s", file, location=image)
    return None


def _visit(self: HTML5Translator, node: enlargeable) -> None:
    (image,) = node.findall(nodes.image)
    copied = self.builder.images.get(image["uri"])
    if copied is None:  # somebody else's picture
        address = image["uri"]
    else:
        address = posixpath.join(self.builder.imgpath, quote(copied))
    self.body.append(f'<a class="enlarge" href="{in_html(address)}" title="Enlarge"><picture>')
    if narrow := node.get("narrow"):
        here = self.builder.get_target_uri(self.builder.current_docname)
        other = relative_uri(here, f"_static/{quote(narrow)}")
        self.body.append(f'<source media="{SCREEN}" srcset="{in_html(other)}" />')


def _depart(self: HTML5Translator, node: enlargeable) -> None:
    self.body.append("</picture></a>")


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the extension.

    Parameters
    ----------
    app : Sphinx

    Returns
    -------
    dict
        What Sphinx wants to know of an extension.
    """
    app.add_node(enlargeable, html=(_visit, _depart))
    app.connect("doctree-resolved", _wrap)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
