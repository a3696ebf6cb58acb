"""Addresses of the claims page: with what it is to show, so that a link leads to the rows meant.

The address is ``claims.html?chapter=mlp-cifar10&outcome=fails#claims-table``: any of `FIELDS` with
what the rows say, joined. The page keeps it up to date while somebody chooses, and without
JavaScript it leads to the whole table.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from companion.pages.escape import in_html
from companion.paper.subjects import claims_about

__all__ = ["FIELDS", "about", "claims_address"]

#: What rows can be chosen by, in the order of the address.
FIELDS: Final = ("about", "chapter", "outcome", "setup", "placebo", "kind", "text")


def claims_address(**chosen: str) -> str:
    """The address that shows the chosen rows, from a page in the same folder.

    Parameters
    ----------
    **chosen : str
        By names of `FIELDS`; what is empty chooses nothing.

    Returns
    -------
    str

    Examples
    --------
    >>> claims_address(chapter="mlp-cifar10", outcome="not run", setup="")
    'claims.html?chapter=mlp-cifar10&outcome=not+run#claims-table'
    >>> claims_address()
    'claims.html#claims-table'
    """
    query = urlencode({name: chosen[name] for name in FIELDS if chosen.get(name)})
    return f"claims.html{'?' if query else ''}{query}#claims-table"


def about(subject: str) -> str:
    """A link to the claims that a sentence is about.

    Parameters
    ----------
    subject : str
        One of :data:`companion.paper.subjects.SUBJECTS`.

    Returns
    -------
    str
        HTML, to stand behind the sentence.

    Raises
    ------
    ThermoError
        If there is no such subject.
    """
    number = len(claims_about(subject))
    words = "the claim" if number == 1 else "the claims"
    address = in_html(claims_address(about=subject))
    return f'<a class="claims-about" href="{address}">{words} on {in_html(subject)}</a>'
