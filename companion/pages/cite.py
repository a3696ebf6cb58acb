"""How to cite the paper and this companion: BibTeX made from ``CITATION.cff``, the one source."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from companion.runs.provenance import ROOT
from thermo_utils.errors import ThermoError

__all__ = ["FILE", "bibtex", "citations", "how_to_cite"]

#: Where the citation stands.
FILE: Final = ROOT / "CITATION.cff"
#: Types of CFF, with those of BibTeX; what is in neither is ``misc``.
TYPES: Final[Mapping[str, str]] = {
    "article": "article",
    "book": "book",
    "conference-paper": "inproceedings",
    "thesis": "phdthesis",
}
#: Fields that both have, by the name in BibTeX.
FIELDS: Final[Mapping[str, str]] = {
    "title": "title",
    "journal": "journal",
    "volume": "volume",
    "number": "issue",
    "version": "version",
    "doi": "doi",
}
#: Where the address may stand, the first that does.
ADDRESSES: Final = ("url", "repository-code", "repository")


def bibtex(reference: Mapping[str, Any], key: str) -> str:
    """A reference of a ``CITATION.cff`` as BibTeX.

    Parameters
    ----------
    reference : mapping
        The file itself, or a reference in it.
    key : str
        Under which to cite it.

    Returns
    -------
    str
        One entry. What is special to TeX is escaped.

    Raises
    ------
    ThermoError
        If there is no title or no author.

    Examples
    --------
    >>> print(bibtex({"title": "On A & B", "authors": [{"name": "C"}], "year": 2026}, "c2026"))
    @misc{c2026,
      author = {{C}},
      title = {On A \\& B},
      year = {2026}
    }
    """
    for name in ("title", "authors"):
        if not reference.get(name):
            raise ThermoError(f"no {name} in a reference of {FILE.name}: add them there")
    fields = {
        "author": " and ".join(map(_author, reference["authors"])),
        **{
            name: _escaped(str(reference[given]))
            for name, given in FIELDS.items()
            if given in reference
        },
        "pages": _pages(reference),
        "year": _year(reference),
        "url": _address(reference),
    }
    lines = [f"  {name} = {{{value}}}" for name, value in fields.items() if value]
    kind = TYPES.get(str(reference.get("type")), "misc")
    return f"@{kind}{{{key},\n" + ",\n".join(lines) + "\n}"


def _author(author: Mapping[str, Any]) -> str:
    """Family name first; the name of a group in braces, or BibTeX would take it apart."""
    if "family-names" not in author:
        return f"{{{_escaped(str(author['name']))}}}"
    return _escaped(f"{author['family-names']}, {author.get('given-names', '')}".rstrip(", "))


def _pages(reference: Mapping[str, Any]) -> str:
    pages = [str(reference[name]) for name in ("start", "end") if name in reference]
    return "--".join(pages)


def _year(reference: Mapping[str, Any]) -> str:
    year = reference.get("year") or str(reference.get("date-released", ""))[:4]
    return str(year)


def _address(reference: Mapping[str, Any]) -> str:
    """The address, as it is, for it is no text; not where it only repeats the DOI."""
    found = next((str(reference[name]) for name in ADDRESSES if name in reference), "")
    return "" if "doi" in reference and found.endswith(str(reference["doi"])) else found


def _escaped(text: str) -> str:
    for character in "&%$#_":
        text = text.replace(character, f"\\{character}")
    return text


def citations(file: Path = FILE) -> tuple[str, str]:
    """BibTeX of the paper, and of this companion.

    Parameters
    ----------
    file : path
        A ``CITATION.cff`` whose preferred citation is the paper.

    Returns
    -------
    tuple of two str

    Raises
    ------
    ThermoError
        If there is no such file, or no such citation in it.
    """
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
        paper = found["preferred-citation"]
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise ThermoError(f"no citation of the paper in {file}: see CITATION.cff") from error
    return bibtex(paper, "mehmood2026pruning"), bibtex(found, "thermo_utils")


def how_to_cite(file: Path = FILE) -> str:
    """Both citations to copy.

    Parameters
    ----------
    file : path
        As for :func:`citations`.

    Returns
    -------
    str
        Markdown.
    """
    paper, own = citations(file)
    doi = re.search(r"doi = \{(.+)\}", paper)
    where = f" ([doi:{doi[1]}](https://doi.org/{doi[1]}))" if doi else ""
    return (
        f"Please cite the paper{where}:\n\n"
        f"```bibtex\n{paper}\n```\n\n"
        "and this companion, if you used its code or its results:\n\n"
        f"```bibtex\n{own}\n```\n"
    )
