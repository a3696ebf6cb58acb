"""What was run on this machine: which records, a page for each, and a table of them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from companion.pages.escape import in_markdown
from companion.pages.seeds import accuracies, thresholds
from companion.pages.tables import markdown
from companion.runs.chapters import Chapter
from companion.runs.committed import is_committed
from companion.runs.methods import METHODS
from companion.runs.records import RESULT, Record, read_record, same_but_seed
from companion.runs.settings import PROFILES
from thermo_utils.errors import ThermoError

__all__ = ["FOLDER", "Here", "runs_here", "runs_page"]

#: Folder of these pages in the book, and the first of them.
FOLDER: Final = "runs"


@dataclass(frozen=True)
class Here:
    """Runs of the same settings.

    Attributes
    ----------
    page : str
        Name of their page.
    chapter : Chapter
        Network and data.
    records : sequence of Record
        By seed, at least one.
    """

    page: str
    chapter: Chapter
    records: Sequence[Record]


def runs_here(results: Path, listed: Mapping[str, str]) -> tuple[list[Here], list[str]]:
    """Every record of a folder of results that did not come with the project.

    Parameters
    ----------
    results : Path
        The folder; it need not exist.
    listed : mapping of str to str
        The records of that folder that did, see :func:`companion.runs.committed.read_list`.

    Returns
    -------
    found : list of Here
        By profile and folder.
    bad : list of str
        What is wrong with the others, beginning with the file.
    """
    groups: list[tuple[Path, list[Record]]] = []
    bad: list[str] = []
    for profile in PROFILES:
        for path in sorted((results / profile).rglob(RESULT)):
            if is_committed(path.parent, results, listed):
                continue
            try:
                record = read_record(path.parent)
            except ThermoError as error:
                bad.append(str(error))
                continue
            if record is not None:
                _add(groups, record, results)
    pages: list[str] = []
    found = []
    for folder, records in groups:
        records.sort(key=lambda record: int(record.result["seed"]))
        pages.append(_page(folder, pages))
        result = records[0].result
        found.append(Here(pages[-1], Chapter(result["model"], result["dataset"]), records))
    return found, bad


def _add(groups: list[tuple[Path, list[Record]]], record: Record, results: Path) -> None:
    """Put a record to those of the same settings, or begin with it."""
    seed, folder = record.result["seed"], record.folder
    folder = (folder.parent if folder.name == f"seed-{seed}" else folder).relative_to(results)
    for other, records in groups:
        if other == folder and same_but_seed(records[0], record.result["settings"]):
            records.append(record)
            return
    groups.append((folder, [record]))


def _page(folder: Path, taken: Collection[str]) -> str:
    """A name for a page, of letters that an address may have, that no other page has."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", "-".join(folder.parts))
    page, number = name, 2
    while page in taken:
        page, number = f"{name}-{number}", number + 1
    return page


def runs_page(runs: Sequence[Here], committed: Mapping[str, Sequence[Record]], speed: str) -> str:
    """The first page of what was run here.

    Parameters
    ----------
    runs : sequence of Here
        All of them.
    committed : mapping of str to sequence of Record
        The project's records by name of chapter, to hold beside them.
    speed : str
        What was measured here of the methods' speed, as Markdown; empty if nothing was.

    Returns
    -------
    str
        Markdown.
    """
    parts = [
        "# Run on your machine",
        "What was run where this site was built, beside the records that came with the book. It "
        "stands in no other table, figure or count of the book.",
    ]
    if not runs:
        parts.append(
            "Nothing was run here yet. `make book` runs all twenty chapters at the profile `demo`, "
            "`thermo run mlp cifar10 --seed 1` a single one, and `thermo book` shows what came of "
            "it on this page."
        )
    if any(run.records[0].result["synthetic"] for run in runs):
        parts.append(
            ":::{warning}\nRuns of the profile `demo` are made from **synthetic data** by tiny "
            "networks. They show how everything works, and reproduce no number of the paper.\n:::"
        )
    if runs:
        parts.append(f":::{{div}} wide-table\n{_table(runs, committed)}\n:::")
    if speed:
        parts += ["## Speed, measured here", speed]
    return "\n\n".join(parts) + "\n"


def _table(runs: Sequence[Here], committed: Mapping[str, Sequence[Record]]) -> str:
    rows = []
    for run in runs:
        result = run.records[0].result
        ours = committed.get(run.chapter.name, ())
        rows.append(
            [
                f"[{in_markdown(run.chapter.title)}]({run.page})",
                in_markdown(result["profile"]) + (", synthetic" if result["synthetic"] else ""),
                ", ".join(str(record.result["seed"]) for record in run.records),
                in_markdown("; ".join(result["differs"]) or "nothing"),
                accuracies(run.records),
                *(thresholds(run.records, method) for method in METHODS),
                f"[{accuracies(ours)}](../chapters/{run.chapter.name})" if ours else "",
            ]
        )
    header = [
        "run", "profile", "seeds", "differs from the paper in", "accuracy", "accuracy gives way",
        "first feature, FE", "first feature, RFE", "accuracy of the book's record",
    ]  # fmt: skip
    return markdown(header, rows)
