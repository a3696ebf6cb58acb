"""Addresses under which a page can be edited and run, once the repository has an address."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from thermo_utils.errors import ThermoError

__all__ = ["Repository", "header_buttons", "page_source", "repository"]

#: Where a published site lies; Colab opens its executed notebooks from there.
SITE_BRANCH: Final = "gh-pages"


class Repository(NamedTuple):
    """A repository on GitHub.

    Attributes
    ----------
    owner, name : str
        As in its address.
    branch : str
        The branch that the sources are on.
    """

    owner: str
    name: str
    branch: str

    @property
    def address(self) -> str:
        """Where it is."""
        return f"https://github.com/{self.owner}/{self.name}"

    def edit(self, source: str) -> str:
        """Where a file is edited."""
        return f"{self.address}/edit/{quote(self.branch)}/{quote(source)}"

    def binder(self, source: str) -> str:
        """Where a text notebook is run, in the environment of ``environment.yml``."""
        path = quote(f"lab/tree/{source}", safe="")
        branch = quote(self.branch, safe="")
        return f"https://mybinder.org/v2/gh/{self.owner}/{self.name}/{branch}?urlpath={path}"

    def colab(self, notebook: str) -> str:
        """Where an executed notebook of the published site is opened."""
        place = f"{self.owner}/{self.name}/blob/{SITE_BRANCH}"
        return f"https://colab.research.google.com/github/{place}/{quote(notebook)}"


def repository(url: str, branch: str = "") -> Repository | None:
    """The repository that a setting names.

    Parameters
    ----------
    url : str
        Address on GitHub; empty if there is none yet.
    branch : str
        Of the sources; main if empty.

    Returns
    -------
    Repository or None

    Raises
    ------
    ThermoError
        If the address is of another kind.

    Examples
    --------
    >>> repository("https://github.com/someone/pruning").binder("notebooks/mlp.md")
    'https://mybinder.org/v2/gh/someone/pruning/main?urlpath=lab%2Ftree%2Fnotebooks%2Fmlp.md'
    >>> repository("") is None
    True
    """
    if not url:
        return None
    found = re.fullmatch(r"https://github\.com/([\w.-]+)/([\w.-]+?)(?:\.git)?/?", url)
    if found is None:
        raise ThermoError(
            f"repository_url in _config.yml is {url!r}: give https://github.com/OWNER/NAME, "
            "or nothing"
        )
    return Repository(found[1], found[2], branch or "main")


def page_source(page: str) -> str | None:
    """The file of the repository that a page is made from; none for what was run on a machine.

    Parameters
    ----------
    page : str
        Its name.

    Returns
    -------
    str or None
        Chapters and pages for adapting come from text notebooks, other pages from the book.

    Examples
    --------
    >>> page_source("chapters/mlp-cifar10"), page_source("method"), page_source("runs/index")
    ('notebooks/mlp.md', 'book/method.md', None)
    """
    folder, _, name = page.rpartition("/")
    if folder == "chapters":
        return f"notebooks/{name.partition('-')[0]}.md"
    if folder:
        return None
    return "notebooks/your_model.md" if name.startswith("your_model_") else f"book/{page}.md"


def header_buttons(page: str, suffix: str, of: Repository) -> list[dict[str, Any]]:
    """Buttons of a page's head, as the theme takes them.

    Parameters
    ----------
    page : str
        Its name, such as ``chapters/mlp-cifar10``.
    suffix : str
        Of the file it was made from; ``.ipynb`` if it was executed.
    of : Repository
        Where the sources are.

    Returns
    -------
    list of dict
        A group to look at and edit the source, and for a notebook one to run it.
    """
    source = page_source(page)
    buttons = [_link("repository-button", "Repository", of.address, "fab fa-github")]
    if source is not None:
        buttons.append(_link("edit-button", "Edit", of.edit(source), "fas fa-pen"))
    groups = [_group("source-buttons", "Source", "fas fa-code-branch", buttons)]
    if source is not None and suffix == ".ipynb":
        executed = f"_sources/{page}{suffix}"
        runs = [
            _link("binder-button", "Binder", of.binder(source), "fas fa-play"),
            _link("colab-button", "Colab", of.colab(executed), "fas fa-play"),
        ]
        groups.append(_group("launch-buttons", "Run this page", "fas fa-rocket", runs))
    return groups


def _group(label: str, tooltip: str, icon: str, buttons: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "group", "label": label, "tooltip": tooltip, "icon": icon, "buttons": buttons}


def _link(label: str, text: str, url: str, icon: str) -> dict[str, Any]:
    return {"type": "link", "label": label, "text": text, "tooltip": text, "url": url, "icon": icon}
