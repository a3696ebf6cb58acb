"""What an archive holds and says: files, runs, and how they belong together."""

from __future__ import annotations

import datetime
import mimetypes
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rocrate.model import ContextEntity, File
from rocrate.rocrate import ROCrate

from companion.export.chosen import Chosen
from companion.export.guide import COMMANDS, GUIDE, commands_text, guide_text
from companion.export.runs import OUTPUTS, OWN, Runs
from companion.networks import NETWORKS
from companion.paper.citation import citation, doi_address
from companion.runs.records import sha256
from thermo_utils.errors import ThermoError

__all__ = ["CONTEXT", "MAIN", "PROFILES", "SPECIFICATION", "build"]

#: Version of RO-Crate; the profiles below are made for it.
SPECIFICATION = "1.1"
#: What the crate keeps to: address, name, version.
WORKFLOW_RUN = "https://w3id.org/ro/wfrun/workflow/0.5"
PROFILES = (
    ("https://w3id.org/ro/wfrun/process/0.5", "Process Run Crate", "0.5"),
    (WORKFLOW_RUN, "Workflow Run Crate", "0.5"),
    ("https://w3id.org/workflowhub/workflow-ro-crate/1.0", "Workflow RO-Crate", "1.0"),
)
#: Terms of these profiles, sha256 among them.
CONTEXT = "https://w3id.org/ro/terms/workflow-run/context"
#: The command that runs notebooks, which is the workflow.
MAIN = "companion/cli.py"
WORKFLOW = ["File", "SoftwareSourceCode", "ComputationalWorkflow"]
#: What of the clone a run needs, with what each is.
NEEDED = {
    "constraints.txt": "Exact versions of every package",
    "pyproject.toml": "What the packages need, and how they are built",
    "environment.yml": "The same environment for conda",
    "README.md": "What the project is, and how it is used",
    "LICENSE": "The licence of code and records",
    "CITATION.cff": "How to cite the paper and this project",
    "codemeta.json": "The project in the terms of CodeMeta",
    "CHANGELOG.md": "What is new, by version",
}
#: Code, with the endings of what belongs to it.
CODE = ("companion", "thermo_utils")
ENDINGS = {".py", ".csv", ".cu", ".html", ".typed"}
#: Formats of files that Python does not know everywhere alike.
FORMATS = {
    ".cff": "application/yaml", ".csv": "text/csv", ".html": "text/html",
    ".json": "application/json", ".md": "text/markdown", ".py": "text/x-python",
    ".toml": "application/toml", ".txt": "text/plain", ".typed": "text/plain",
    ".yml": "application/yaml",
}  # fmt: skip


def build(records: Sequence[Chosen], date: datetime.datetime, root: Path) -> ROCrate:
    """The crate of some records.

    Parameters
    ----------
    records : sequence of Chosen
        At least one.
    date : datetime
        Of the newest.
    root : Path
        The clone, which notebooks, code and pins are taken from.

    Returns
    -------
    ROCrate
        Everything it needs is in memory.

    Raises
    ------
    ThermoError
        If something of the clone is missing.
    """
    cited = citation(root)
    crate = ROCrate(version=SPECIFICATION)
    crate.metadata.extra_contexts.append(CONTEXT)
    _root(crate, cited, date, records)
    python = _entity(
        crate, "https://www.python.org/", "ComputerLanguage",
        name="Python", url="https://www.python.org/", version="3.11",
    )  # fmt: skip
    code = {"programmingLanguage": python, "version": cited["version"]}
    main = _add(crate, MAIN, _read(root, MAIN), WORKFLOW, **code,
                name="thermo run", description="Train a network, then evaluate its free energies "
                "with and without pruning: runs a notebook, and keeps the record")  # fmt: skip
    crate.mainEntity = main
    main["output"] = [_output(crate, name) for name in OUTPUTS]
    notebooks = {
        model: _add(crate, path, _read(root, path), WORKFLOW, **code,
                    name=f"Notebook of {NETWORKS[model].title}")
        for model, path in _notebooks(records)
    }  # fmt: skip
    main["hasPart"] = list(notebooks.values())
    for name, what in NEEDED.items():
        _add(crate, name, _read(root, name), description=what)
    crate.get("README.md")["about"] = crate.root_dataset
    for path in _code(root):
        if path == OWN:
            _add(crate, path, _read(root, path), WORKFLOW[:2], **code)
        elif path != MAIN:
            _add(crate, path, _read(root, path))
    runs = Runs(crate, main, notebooks, crate.get("#contributors"))
    for chosen in records:
        files = {
            name: _add(crate, f"results/{chosen.name}/{name}", content)
            for name, content in chosen.files.items()
        }
        runs.add(chosen, files)
    _add(crate, COMMANDS, commands_text(records).encode(),
         description="The commands that compute the records again")  # fmt: skip
    _add(crate, GUIDE, guide_text(records, cited, date).encode(),
         description="What is in this archive, and how to use it")  # fmt: skip
    main["input"] = list(runs.inputs.values())
    crate.root_dataset["mentions"] = runs.actions
    return crate


def _root(
    crate: ROCrate, cited: dict[str, Any], date: datetime.datetime, records: Sequence[Chosen]
) -> None:
    """The crate as a whole: what it is, by whom, from when, under which licence."""
    article, count = cited["preferred-citation"], len(records)
    profiles = [
        _entity(crate, address, "CreativeWork", name=name, version=version)
        for address, name, version in PROFILES
        # Which asks for a run of the main workflow.
        if address != WORKFLOW_RUN or _notebooks(records)
    ]
    crate.root_dataset["conformsTo"] = profiles
    crate.metadata["conformsTo"] = [
        {"@id": f"https://w3id.org/ro/crate/{SPECIFICATION}"}, profiles[-1]
    ]  # fmt: skip
    contributors = _entity(crate, "#contributors", "Organization", name=cited["authors"][0]["name"])
    licence = _entity(
        crate, f"https://spdx.org/licenses/{cited['license']}", "CreativeWork",
        name=f"{cited['license']} licence", identifier=cited["license"],
    )  # fmt: skip
    authors = [
        _entity(
            crate, f"#{who['family-names'].lower()}", "Person",
            name=f"{who['given-names']} {who['family-names']}",
            givenName=who["given-names"], familyName=who["family-names"],
            affiliation=_entity(
                crate, f"#{quote(who['affiliation'])}", "Organization", name=who["affiliation"]
            ),
        )
        for who in article["authors"]
    ]  # fmt: skip
    address = doi_address(article["doi"])
    paper = _entity(
        crate, address, "ScholarlyArticle", name=article["title"], author=authors,
        identifier=address, url=address, datePublished=article["date-published"],
        isPartOf=article["journal"], keywords=", ".join(article["keywords"]),
    )  # fmt: skip
    own = [
        _entity(
            crate, other["repository-code"], "CreativeWork", name=other["title"],
            url=other["repository-code"], description=" ".join(other["notes"].split()),
        )
        for other in cited["references"]
    ]  # fmt: skip
    crate.name = f"{cited['title']}: {count} record{'' if count == 1 else 's'}"
    crate.description = cited["abstract"].strip()
    crate.datePublished = date.isoformat()
    crate.license = licence
    crate.keywords = ", ".join(cited["keywords"])
    crate.root_dataset["author"] = contributors
    crate.root_dataset["version"] = cited["version"]
    crate.root_dataset["citation"] = [paper, *own]


def _entity(crate: ROCrate, address: str, kind: str, /, **facts: Any) -> ContextEntity:
    return crate.add(ContextEntity(crate, address, {"@type": kind, **facts}))


def _output(crate: ROCrate, name: str) -> ContextEntity:
    return _entity(
        crate, f"#output-{name}", "FormalParameter", name=name, additionalType="File",
        description=OUTPUTS[name],
    )  # fmt: skip


def _add(
    crate: ROCrate, path: str, content: bytes, kind: Sequence[str] = ("File",), **facts: Any
) -> File:
    """A file, with what tells whether it is whole."""
    suffix = Path(path).suffix
    found = FORMATS.get(suffix) or mimetypes.guess_type(path)[0] or "text/plain"
    properties = {
        "@type": kind[0] if len(kind) == 1 else list(kind), "name": Path(path).name,
        "contentSize": str(len(content)), "sha256": sha256(content), "encodingFormat": found,
        **facts,
    }  # fmt: skip
    return crate.add_file(BytesIO(content), path, properties=properties)


def _read(root: Path, path: str) -> bytes:
    try:
        return (root / path).read_bytes()
    except OSError as error:
        raise ThermoError(
            f"{root / path} cannot be read: thermo export needs a clone of the project"
        ) from error


def _notebooks(records: Sequence[Chosen]) -> list[tuple[str, str]]:
    """The notebooks that some records are from, by network; not those of one's own."""
    models = {chosen.record.result["model"] for chosen in records}
    return [(model, f"notebooks/{model}.md") for model in NETWORKS if model in models]


def _code(root: Path) -> list[str]:
    """The files of the packages."""
    return sorted(
        path.relative_to(root).as_posix()
        for package in CODE
        for path in (root / package).rglob("*")
        if path.suffix in ENDINGS and path.is_file()
    )
