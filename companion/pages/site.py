"""Assemble and build the site: pages, executed chapters, tables from the records.

The book never computes a result. What it shows of a chapter comes from its record and its executed
notebook; a chapter that has not been run shows as that.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from companion.pages.conclusion import conclusion, dots
from companion.pages.figures import weight_and_activation_pruning
from companion.pages.ledger import pieces
from companion.pages.paper_tables import paper_table
from companion.pages.speed import FOLDER, GROWTH, growth_figure, read_speed, speed_page
from companion.pages.tables import chapter_title, results_table, status_table
from companion.pages.variants import chapters_with_variants, variants_page
from companion.paper.errata import errata_page
from companion.runs.chapters import CHAPTERS, PROFILES, Chapter
from companion.runs.notebooks import EXECUTED, notebook_path
from companion.runs.records import Record, read_chapter
from thermo_utils.errors import ThermoError
from thermo_utils.files import write_atomically

__all__ = ["assemble", "build"]

ROOT = Path(__file__).resolve().parents[2]
#: The executed page for adapting, in the folder of the records.
YOUR_MODEL = ".work/your_model.ipynb"


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
        "--config", str(ROOT / "_config.yml"), "--path-output", str(ROOT),
        "--all",
        "--warningiserror", "--keep-going", "--quiet",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, check=False)
    if done.returncode != 0:
        raise ThermoError("the book did not build; the warnings above say which page and why")
    return ROOT / "_build" / "html" / "index.html"


def assemble(profile: str, results: Path) -> None:
    """Put the chapters and tables of a profile where the book expects them.

    Parameters
    ----------
    profile : str
        Whose records to show.
    results : Path
        Folder of the records.

    Raises
    ------
    ThermoError
        If the book's sources are not beside the package.
    """
    book = ROOT / "book"
    if not (book / "_toc.yml").exists():
        raise ThermoError(
            f"no book in {book}: install the package from a clone with pip install -e ."
        )
    pages, generated = book / "chapters", book / "generated"
    for name in ("your_model.ipynb", "your_model.md"):
        (book / name).unlink(missing_ok=True)
    for folder in (pages, generated):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    seeds = {c.name: read_chapter(results, profile, c.name) for c in CHAPTERS}
    records: dict[Chapter, Record | None] = {c: next(iter(seeds[c.name]), None) for c in CHAPTERS}
    for chapter, record in records.items():
        if record is not None and (record.folder / EXECUTED).exists():
            shutil.copyfile(record.folder / EXECUTED, pages / f"{chapter.name}.ipynb")
        else:
            page = _no_page(chapter, profile, recorded=record is not None)
            write_atomically(pages / f"{chapter.name}.md", page)
    executed = results / YOUR_MODEL
    if executed.exists():
        shutil.copyfile(executed, book / "your_model.ipynb")
    else:
        shutil.copyfile(notebook_path("your_model"), book / "your_model.md")
    write_atomically(generated / "profile.md", _banner(profile))
    write_atomically(generated / "results.md", results_table(records))
    write_atomically(generated / "status.md", status_table(records))
    for number in (1, 2, 3, 4):
        write_atomically(generated / f"table{number}.md", paper_table(number, records))
    for name, text in pieces(seeds).items():
        write_atomically(generated / f"{name}.md", text)
    write_atomically(generated / "speed.md", speed_page(results / profile / FOLDER))
    growth = read_speed(results / profile / FOLDER).get(GROWTH)
    drawn = "Not measured at this profile.\n"
    if growth is not None:
        growth_figure(growth).savefig(generated / "growth.svg")
        drawn = "```{image} generated/growth.svg\n:alt: seconds over thresholds and examples\n```\n"
    write_atomically(generated / "growth.md", drawn)
    _judgement(generated, seeds)
    first = {chapter.name: record for chapter, record in records.items()}
    write_atomically(generated / "errata.md", errata_page(first))
    alternatives = chapters_with_variants(results, profile)
    write_atomically(generated / "variants.md", variants_page(alternatives, first))
    weight_and_activation_pruning().savefig(generated / "figure1.svg")


def _judgement(generated: Path, chapters: Mapping[str, Sequence[Record]]) -> None:
    """What the records say about the theory."""
    text = conclusion(chapters)
    write_atomically(generated / "conclusion.md", text)
    for value in ("ratio", "drop"):
        picture = generated / f"conclusion_{value}.svg"
        if picture.name in text:  # not where there is too little to conclude from
            dots(chapters, value).savefig(picture)


def _no_page(chapter: Chapter, profile: str, *, recorded: bool) -> str:
    """What stands for a chapter without an executed notebook, and how to get one."""
    title = chapter_title(chapter.name)
    command = f"thermo run {chapter.model} {chapter.dataset} --profile {profile}"
    if recorded:
        state = f"This chapter has a record at the profile `{profile}`, but no page. To make it:"
        command += " --frozen"
    else:
        state = f"This chapter has not been run at the profile `{profile}`. To run it:"
    return f"# Fig. {chapter.figure}: {title}\n\n{state}\n\n```bash\n{command}\n```\n"


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
