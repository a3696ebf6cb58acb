"""How the paper and this project are cited: ``CITATION.cff``, and what follows from it.

``python -m companion.paper.citation`` writes ``codemeta.json`` and ``.zenodo.json`` anew. Needs the
clone: no part of this is in the installed package.
"""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from typing import Any

import yaml

from companion.runs.provenance import ROOT
from thermo_utils.errors import ThermoError
from thermo_utils.files import write_atomically

__all__ = [
    "AUTHORS_CODE", "CITATION", "citation", "codemeta", "doi_address", "paper", "written",
    "zenodo",
]  # fmt: skip

CITATION = "CITATION.cff"
#: The repository that the paper names as its own.
AUTHORS_CODE = "https://github.com/hse-scila/Activation_Pruning"


def citation(root: Path = ROOT) -> dict[str, Any]:
    """The content of ``CITATION.cff``.

    Parameters
    ----------
    root : Path, default the clone
        Its folder.

    Returns
    -------
    dict

    Raises
    ------
    ThermoError
        If there is none, or it cannot be read.
    """
    path = root / CITATION
    try:
        return dict(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, yaml.YAMLError) as error:
        raise ThermoError(f"{path} cannot be read: take it from a clone of the project") from error


def paper(root: Path = ROOT) -> dict[str, Any]:
    """What ``CITATION.cff`` says of the paper.

    Parameters
    ----------
    root : Path, default the clone
        Its folder.

    Returns
    -------
    dict
        Fields of the Citation File Format, ``doi`` among them.

    Raises
    ------
    ThermoError
        As from :func:`citation`.

    Examples
    --------
    >>> doi_address(paper()["doi"])
    'https://doi.org/10.32604/cmc.2025.072735'
    """
    return dict(citation(root)["preferred-citation"])


def doi_address(doi: str) -> str:
    """The address that a DOI stands for."""
    return f"https://doi.org/{doi}"


def codemeta(root: Path = ROOT) -> dict[str, Any]:
    """The project in the terms of CodeMeta 2.0.

    Parameters
    ----------
    root : Path, default the clone
        Its folder.

    Returns
    -------
    dict
        The content of ``codemeta.json``.
    """
    cited, project = citation(root), _project(root)
    article = cited["preferred-citation"]
    return {
        "@context": "https://doi.org/10.5063/schema/codemeta-2.0",
        "@type": "SoftwareSourceCode",
        "name": project["name"],
        "alternateName": cited["title"],
        "description": cited["abstract"],
        "version": cited["version"],
        "license": f"https://spdx.org/licenses/{cited['license']}",
        "keywords": cited["keywords"],
        "author": [{"@type": "Organization", "name": who["name"]} for who in cited["authors"]],
        "programmingLanguage": "Python",
        "runtimePlatform": f"Python {project['requires-python']}",
        "softwareRequirements": project["dependencies"],
        "referencePublication": {
            "@type": "ScholarlyArticle",
            "@id": doi_address(article["doi"]),
            "name": article["title"],
            "author": [
                {
                    "@type": "Person",
                    "givenName": who["given-names"],
                    "familyName": who["family-names"],
                }
                for who in article["authors"]
            ],
            "datePublished": article["date-published"],
        },
    }


def zenodo(root: Path = ROOT) -> dict[str, Any]:
    """What Zenodo is to say of an archived release.

    Parameters
    ----------
    root : Path, default the clone
        Its folder.

    Returns
    -------
    dict
        The content of ``.zenodo.json``.
    """
    cited = citation(root)
    return {
        "upload_type": "software",
        "title": cited["title"],
        "description": cited["abstract"],
        "version": cited["version"],
        "license": cited["license"],
        "keywords": cited["keywords"],
        "creators": [{"name": who["name"]} for who in cited["authors"]],
        "related_identifiers": [
            {
                "identifier": cited["preferred-citation"]["doi"],
                "relation": "references",
                "resource_type": "publication-article",
            },
            *(
                {"identifier": other["repository-code"], "relation": "references"}
                for other in cited["references"]
            ),
        ],
    }


def written(root: Path = ROOT) -> dict[str, str]:
    """The files that follow from ``CITATION.cff``.

    Parameters
    ----------
    root : Path, default the clone
        Its folder.

    Returns
    -------
    dict of str to str
        Their content by name.
    """
    content = {"codemeta.json": codemeta(root), ".zenodo.json": zenodo(root)}
    return {
        name: json.dumps(value, indent=2, ensure_ascii=False) + "\n"
        for name, value in content.items()
    }


def _project(root: Path) -> dict[str, Any]:
    path = root / "pyproject.toml"
    try:
        return dict(tomllib.loads(path.read_text(encoding="utf-8"))["project"])
    except (OSError, ValueError, KeyError) as error:
        raise ThermoError(f"{path} cannot be read: take it from a clone of the project") from error


def main() -> None:
    """Write them."""
    for name, text in written().items():
        write_atomically(ROOT / name, text)
        print(ROOT / name)


if __name__ == "__main__":
    try:
        main()
    except ThermoError as error:
        sys.exit(str(error))
