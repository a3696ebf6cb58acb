"""A Sphinx extension: pages that load no more than they show, and say what they are about.

The themes bring scripts for uses that this site does not have, some of them twice, and a script of
all icons there are. What they lack is a description of each page, and results of a search that work
where the site is opened as files.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from html import escape
from itertools import islice
from pathlib import Path
from typing import Any, Final

import pydata_sphinx_theme
from bs4 import BeautifulSoup
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment
from sphinx.errors import ConfigError

from companion.pages.icons import icon_codes, icon_fonts, icon_names, trimmed_style
from companion.pages.launch import Repository, header_buttons, repository
from companion.pages.plain import words_by_section
from companion.pages.summaries import descriptions, opening, texts_script
from thermo_utils.errors import ThermoError
from thermo_utils.files import write_atomically

__all__ = ["setup"]

THEME: Final = Path(pydata_sphinx_theme.__file__).parent / "theme/pydata_sphinx_theme/static"
STYLE: Final = "styles/pydata-sphinx-theme.css"
SCRIPT: Final = "scripts/fontawesome.js"
#: Where the theme's fonts are, in its folder and in a site's; the order in which they are asked.
FONTS: Final = "vendor/fontawesome/webfonts"
FAMILIES: Final = ("fa-solid-900", "fa-brands-400")
#: Icons that a script of the theme puts on a page.
SCRIPTED: Final = frozenset({"xmark"})
#: Pages of a record: its figure has the place of the contents beside a page.
WIDE: Final = ("chapters/", "runs/")
#: Asked for by the page of the search.
SEARCH: Final = ("search-texts.js", "search.js")
#: Pages that Sphinx adds, whose titles stand in their templates.
OF_SPHINX: Final = {"genindex": "Index of names", "search": "Search"}
#: What the writers of pages say wrongly to those who hear a page: a button's words, and lists.
MARKUP: Final = {
    '<summary aria-label="Toggle hidden content">': "<summary>",
    '<div role="list" class="citation-list">': '<div class="citation-list">',
    ' role="doc-biblioentry">': ">",
}
#: What folds the pages below a page in the contents has no words for those who hear it.
FOLD: Final = "Pages below this one"
VIEWPORT: Final = '<meta name="viewport" content="width=device-width, initial-scale=1" />'
#: Extensions that keep nothing of a page that is read: they number sections when all are, copy
#: files before the first is, and prepare what only a book in LaTeX shows.
UNDECLARED: Final = frozenset(
    {"sphinx_multitoc_numbering", "sphinx-mathjax-offline", "sphinx_jupyterbook_latex"}
)
#: After the themes have had their say about a page.
LAST: Final = 900


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect everything.

    Parameters
    ----------
    app : Sphinx

    Returns
    -------
    dict
        What Sphinx wants to know of an extension.
    """
    pages = _Pages()
    app.connect("config-inited", _check_repository)
    app.connect("config-inited", _declare_safe)
    app.connect("doctree-read", _note)
    app.connect("doctree-resolved", _without_thebe, LAST)
    app.connect("env-updated", pages.describe)
    app.connect("html-page-context", pages.finish, LAST)
    app.connect("build-finished", pages.assets)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def _repository(config: Config) -> Repository | None:
    options = config.html_theme_options
    return repository(options.get("repository_url") or "", options.get("repository_branch") or "")


def _check_repository(app: Sphinx, config: Config) -> None:
    """An address that is no repository's is told before anything is built."""
    try:
        _repository(config)
    except ThermoError as error:
        raise ConfigError(str(error)) from error


def _declare_safe(app: Sphinx, config: Config) -> None:
    """Say of others' extensions what they do not say: Sphinx reads several pages at a time then."""
    for name in UNDECLARED & set(app.extensions):
        app.extensions[name].parallel_read_safe = True


def _note(app: Sphinx, doctree: nodes.document) -> None:
    """Keep with what Sphinx has read of a page what may say what it is about, and how it looks."""
    page = app.env.docname
    app.env.metadata[page]["opening"] = list(islice(opening(doctree), 5))
    if page.startswith(WIDE):
        app.env.metadata[page]["html_theme.sidebar_secondary.remove"] = "true"


def _without_thebe(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Code is not run in a page: the settings for that would name somebody else's repository."""
    for node in list(doctree.findall(nodes.raw)):
        if "text/x-thebe-config" in node.astext() or "<script>kernelName" in node.astext():
            node.parent.remove(node)


class _Pages:
    """What one build has gathered of its pages, before processes of their own write them."""

    def __init__(self) -> None:
        self.about: dict[str, str] = {}

    def describe(self, app: Sphinx, env: BuildEnvironment) -> None:
        """Make a line about every page, once all are read."""
        self.about = descriptions(
            {
                page: (title.astext(), env.metadata[page].get("opening", []))
                for page, title in env.titles.items()
            }
        )

    def finish(
        self, app: Sphinx, page: str, template: str, context: dict[str, Any],
        doctree: nodes.document | None,
    ) -> None:  # fmt: skip
        """Settle what the head of a page says and loads."""
        # In place: what is added for this page from here on goes into the same lists.
        context["css_files"][:] = [css for css in context["css_files"] if "thebe" not in str(css)]
        context["script_files"][:] = _needed(context["script_files"])
        title = OF_SPHINX.get(page, context.get("title", page))
        about = self.about.get(page, title)
        if about == title:
            about = f"{title}: {app.config.html_title}"
        # The size of the window is said by the theme already.
        tags = context.get("metatags", "").replace(VIEWPORT, "")
        if "generate_toctree_html" in context:
            context["generate_toctree_html"] = _with_words(context["generate_toctree_html"])
        context["metatags"] = f'{tags}\n    <meta name="description" content="{escape(about)}" />'
        if page == "search":
            for name in SEARCH:
                app.add_js_file(name, loading_method="defer")
        if doctree is None:
            return
        for written, instead in MARKUP.items():
            context["body"] = context["body"].replace(written, instead)
        # A file, for this may be a process of its own.
        words = _words(app, page)
        words.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(words, json.dumps(words_by_section(doctree)))
        of = _repository(app.config)
        if of is not None:
            suffix = context.get("page_source_suffix") or ""
            buttons = header_buttons(page, suffix, of)
            context["header_buttons"] = buttons + context["header_buttons"]

    def assets(self, app: Sphinx, problem: Exception | None) -> None:
        """Write the words for the search, and the icons that the pages show."""
        if problem is not None or app.builder.format != "html":
            return
        site = Path(app.outdir)
        static = site / "_static"
        texts = {
            page: json.loads(path.read_text(encoding="utf-8"))
            for page in sorted(app.env.found_docs)
            if (path := _words(app, page)).exists()
        }
        write_atomically(static / SEARCH[0], texts_script(texts))
        _trim_icons(site, static)


def _words(app: Sphinx, page: str) -> Path:
    """Where a page's words wait for those of the others."""
    return Path(app.doctreedir, "words", f"{page}.json")


def _with_words(contents: Callable[..., Any]) -> Callable[..., Any]:
    """Contents of the book whose folds say what they are."""

    def worded(*arguments: Any, **options: Any) -> Any:
        made = contents(*arguments, **options)
        for fold in made.select("summary") if isinstance(made, BeautifulSoup) else ():
            fold["aria-label"] = FOLD
        return made

    return worded


def _needed(scripts: list[Any]) -> list[Any]:
    """Every script once, and none that prepares code to be run in the page."""
    kept: dict[str, Any] = {}
    for script in scripts:
        body = getattr(script, "attributes", {}).get("body")
        name = body or str(getattr(script, "filename", script))
        if "thebe" not in name.lower():
            kept.setdefault(name, script)
    return list(kept.values())


def _trim_icons(site: Path, static: Path) -> None:
    """Put fonts and rules of the icons that are used in the place of all there are."""
    names = set(SCRIPTED)
    for path in site.rglob("*.html"):
        names |= icon_names(path.read_text(encoding="utf-8"))
    style = (THEME / STYLE).read_text(encoding="utf-8")
    others = [path for path in static.rglob("*.css") if path != static / STYLE]
    styles = [style, *(path.read_text(encoding="utf-8") for path in others)]
    fonts = {name: (THEME / FONTS / f"{name}.ttf").read_bytes() for name in FAMILIES}
    made = icon_fonts(fonts, icon_codes("".join(styles), names))
    unused = [*static.rglob("*.map"), *(static / FONTS).iterdir(), static / SCRIPT]
    for path in unused:
        path.unlink(missing_ok=True)
    for name, font in made.items():
        write_atomically(static / FONTS / f"{name}.woff", font)
    addresses = {name: f"../{FONTS}/{name}.woff" for name in made}
    write_atomically(static / STYLE, trimmed_style(style, names, addresses))
