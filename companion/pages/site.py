"""Assemble and build the site: pages, executed chapters, tables from the records.

The book never computes a result. What it shows of a chapter comes from its record and its executed
notebook; a chapter that has not been run shows as that.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, TypeVar

import matplotlib.pyplot as plt
import pandas as pd

from companion.pages.architecture import floors_figure, module_table
from companion.pages.conclusion import conclusion, conclusion_figures
from companion.pages.errata import errata_page
from companion.pages.figures import weight_and_activation_pruning
from companion.pages.kinds import kinds_text
from companion.pages.ledger import pieces
from companion.pages.outdated import outdated_text
from companion.pages.paper_tables import paper_table
from companion.pages.pretraining import FILE, pretraining_text
from companion.pages.scale import (
    moved_sentences,
    peaks_text,
    scale_figures,
    scale_sentences,
)
from companion.pages.speed import growth_figure, speed_page
from companion.pages.speed_files import FOLDER, GROWTH, read_speed
from companion.pages.survives import faults_table, read_facts, soak_text
from companion.pages.tables import added_table, other_runs_table, results_table, status_table
from companion.pages.toc import table_of_contents
from companion.pages.variants import chapters_with_variants, variants_page
from companion.pages.your_model import NOTEBOOK, PAGES
from companion.pages.zeros import FILE as ZEROS
from companion.pages.zeros import zeros_text
from companion.paper.verdict import verdict
from companion.runs.chapters import CHAPTERS, Chapter, added
from companion.runs.notebooks import EXECUTED
from companion.runs.provenance import ROOT
from companion.runs.records import Record, other_runs, read_chapter
from companion.runs.settings import PROFILES
from thermo_utils.errors import ThermoError
from thermo_utils.files import write_atomically

__all__ = ["assemble", "build"]

T = TypeVar("T")

#: Where the site is built, beside the sources; and the folders of the book that are made.
OUTPUT, PARTS = "_build", ("chapters", "generated")
#: The table of contents, among what is made: the committed one, and the chapters that were added.
TOC = "generated/_toc.yml"
#: Where the executed pages for adapting are, in the folder of the records.
YOUR_MODEL = ".work"


def build(profile: str, results: str | Path) -> Path:
    """Build the site with warnings as errors.

    Parameters
    ----------
    profile : {"demo", "small", "paper"}
        Whose records to show.
    results : path
        Folder of the records.

    Returns
    -------
    Path
        The first page.

    Raises
    ------
    ThermoError
        If the book's sources are not beside the package, or the build fails.
    """
    assemble(profile, Path(results))
    command = [
        sys.executable, "-c", "from jupyter_book.cli.main import main; main()",
        "build", str(ROOT / "book"),
        "--config", str(ROOT / "_config.yml"), "--toc", str(ROOT / "book" / TOC),
        "--path-output", str(ROOT),
        "--all",
        "--warningiserror", "--keep-going", "--quiet",
    ]  # fmt: skip
    # In a session of its own: a Ctrl-C is for this command, which ends the build and says so.
    done = subprocess.run(command, cwd=ROOT, check=False, start_new_session=True)
    if done.returncode != 0:
        raise ThermoError("the book did not build; the warnings above say which page and why")
    return ROOT / OUTPUT / "html" / "index.html"


def assemble(profile: str, results: Path) -> None:
    """Put the chapters and tables of a profile where the book expects them.

    Everything is read and made first, and replaces what was there when all of it is made.

    Parameters
    ----------
    profile : str
        Whose records to show.
    results : Path
        Folder of the records.

    Raises
    ------
    ThermoError
        If the book's sources are not beside the package, or something to be shown is damaged. The
        pages that were there stay.
    """
    book = ROOT / "book"
    if not (book / "_toc.yml").exists():
        raise ThermoError(
            f"no book in {book}: install the package from a clone with pip install -e ."
        )
    found = _read(profile, results)
    output = ROOT / OUTPUT
    output.mkdir(exist_ok=True)
    with TemporaryDirectory(prefix="pages-", dir=output) as folder:
        made = Path(folder)
        for name in PARTS:
            (made / name).mkdir()
        _chapters(made / "chapters", profile, found)
        _pieces(made / "generated", profile, found)
        contents = (book / "_toc.yml").read_text(encoding="utf-8")
        write_atomically(made / TOC, table_of_contents(contents, found.added))
        _your_model(made, results / YOUR_MODEL)
        for old in book.glob(f"{NOTEBOOK}*"):
            old.unlink()
        for name in PARTS:
            shutil.rmtree(book / name, ignore_errors=True)
        for path in made.iterdir():
            path.rename(book / path.name)


class _Found(NamedTuple):
    """Everything that the pages are made from."""

    chapters: dict[str, list[Record]]
    added: dict[Chapter, list[Record]]
    others: list[Record]
    speed: dict[str, dict[str, Any]]
    alternatives: dict[str, tuple[pd.DataFrame, dict[str, Any]]]
    faults: dict[str, Any] | None
    soak: dict[str, Any] | None
    kinds: dict[str, Any] | None
    pretraining: dict[str, Any] | None
    zeros: dict[str, Any] | None


def _read(profile: str, results: Path) -> _Found:
    """Everything that the pages are made from; what is damaged of it is named together."""
    bad: list[str] = []

    def tried(read: Callable[[], T]) -> list[T]:
        try:
            return [read()]
        except ThermoError as error:
            bad.append(str(error))
            return []

    known = (*CHAPTERS, *added(profile))
    chapters = {c: tried(partial(read_chapter, results, profile, c.name)) for c in known}
    others, damaged = other_runs(results, profile, [c.name for c in known])
    bad += damaged
    speed = tried(partial(read_speed, results / profile / FOLDER))
    alternatives = tried(partial(chapters_with_variants, results, profile))
    faults = tried(partial(read_facts, results / "faults.json"))
    soak = tried(partial(read_facts, results / "soak.json"))
    kinds = tried(partial(read_facts, results / "kinds.json"))
    pretraining = tried(partial(read_facts, results / profile / FILE))
    zeros = tried(partial(read_facts, results / ZEROS))
    if bad:
        raise ThermoError("; ".join(bad))
    whole = {chapter: records for chapter, (records,) in chapters.items()}
    paper = {c.name: whole.pop(c) for c in CHAPTERS}
    return _Found(
        paper, whole, others, speed[0], alternatives[0], faults[0], soak[0], kinds[0],
        pretraining[0], zeros[0],
    )  # fmt: skip


def _chapters(folder: Path, profile: str, read: _Found) -> None:
    """The executed notebooks, and what stands for those that are not there."""
    for chapter, record in (_first_of_paper(read) | _first(read.added)).items():
        if record is not None and (record.folder / EXECUTED).exists():
            shutil.copyfile(record.folder / EXECUTED, folder / f"{chapter.name}.ipynb")
        else:
            page = _no_page(chapter, profile, recorded=record is not None)
            write_atomically(folder / f"{chapter.name}.md", page)


def _your_model(folder: Path, executed: Path) -> None:
    """The notebook for adapting as it was executed, and what stands for it where it was not."""
    for page in PAGES.values():
        found = executed / f"{page.name}.ipynb"
        if found.exists():
            shutil.copyfile(found, folder / found.name)
        else:
            command = page.command(f"results/{YOUR_MODEL}/{found.name}")
            text = "This page has not been made. To make it, and to see what is in it:"
            text = f"# {page.title}\n\n{text}\n\n```bash\n{command}\n```\n"
            write_atomically(folder / f"{page.name}.md", text)


def _first_of_paper(read: _Found) -> dict[Chapter, Record | None]:
    """The record of the first seed of every chapter of the paper."""
    return _first({c: read.chapters[c.name] for c in CHAPTERS})


def _first(chapters: Mapping[Chapter, Sequence[Record]]) -> dict[Chapter, Record | None]:
    return {chapter: next(iter(records), None) for chapter, records in chapters.items()}


def _pieces(folder: Path, profile: str, read: _Found) -> None:
    """Tables and figures that pages of the book include.

    Chapters that are not in the paper stand in tables of their own, and in those of what was run.
    """
    chapters, speed = read.chapters, read.speed
    records, others = _first_of_paper(read), _first(read.added)
    judged = verdict(chapters)
    texts = {
        "profile": _banner(profile),
        "results": results_table(records),
        "added": added_table(others),
        "status": status_table(records | others),
        "outdated": outdated_text(
            profile, chapters | {c.name: found for c, found in read.added.items()}
        ),
        **{f"table{number}": paper_table(number, records) for number in (1, 2, 3, 4)},
        **pieces(chapters),
        "speed": speed_page(speed),
        "growth": "Not measured at this profile.\n",
        "conclusion": conclusion(judged),
        "errata": errata_page(chapters, read.others),
        "variants": variants_page(
            read.alternatives, {c.name: record for c, record in records.items()}
        ),
        "other_runs": other_runs_table(read.others),
        "scale": scale_sentences(chapters),
        "theory": peaks_text(chapters),
        "units": moved_sentences(chapters),
        "faults": faults_table(read.faults),
        "soak": soak_text(read.soak),
        "kinds": kinds_text(read.kinds),
        "pretraining": pretraining_text(read.pretraining),
        "zeros": zeros_text(read.zeros),
        "modules": module_table(),
    }
    figures = {"figure1": weight_and_activation_pruning(), "floors": floors_figure()}
    figures |= conclusion_figures(judged)
    figures |= scale_figures(chapters)
    if GROWTH in speed:
        figures["growth"] = growth_figure(speed[GROWTH])
        texts["growth"] = (
            "```{image} generated/growth.svg\n:alt: seconds over thresholds and examples\n```\n"
        )
    for name, text in texts.items():
        write_atomically(folder / f"{name}.md", text)
    with plt.rc_context({"svg.hashsalt": "pages"}):  # the same records give the same bytes
        for name, figure in figures.items():
            figure.savefig(folder / f"{name}.svg", metadata={"Date": None})


def _no_page(chapter: Chapter, profile: str, *, recorded: bool) -> str:
    """What stands for a chapter without an executed notebook, and how to get one."""
    title = chapter.title
    command = f"thermo run {chapter.model} {chapter.dataset} --profile {profile}"
    if recorded:
        state = f"This chapter has a record at the profile `{profile}`, but no page. To make it:"
        command += " --frozen"
    else:
        state = f"This chapter has not been run at the profile `{profile}`. To run it:"
    heading = title if chapter.figure is None else f"Fig. {chapter.figure}: {title}"
    return f"# {heading}\n\n{state}\n\n```bash\n{command}\n```\n"


def _banner(profile: str) -> str:
    if profile == "demo":
        return (
            "```{warning}\nThis book was built at the profile `demo`: **synthetic data and tiny "
            "networks**. It shows how everything works and reproduces no number of the paper."
            "\n```\n"
        )
    return (
        f"```{{note}}\nThis book was built at the profile `{profile}`: {PROFILES[profile]}.\n```\n"
    )
