"""Assemble and build the site: pages, chapters and tables from the records.

There is one site. Its chapters, tables and figures show the records that came with the project;
what was run on this machine stands beside them, in a part of its own. The book never computes a
result, and a chapter without a record shows as that.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt

from companion.pages.architecture import floors_figure, module_table
from companion.pages.artifact import artifact_pieces
from companion.pages.book_times import book_times_text
from companion.pages.chapter_files import write_chapters
from companion.pages.chapter_page import Wanted
from companion.pages.cite import how_to_cite
from companion.pages.conclusion import conclusion, conclusion_figures
from companion.pages.dozen import dozen_text
from companion.pages.errata import errata_page
from companion.pages.figures import two_widths, weight_and_activation_pruning
from companion.pages.front import front, front_figures
from companion.pages.gathered import PROFILE, Gathered, gather
from companion.pages.gpu import gpu_text
from companion.pages.guided import guided_text
from companion.pages.kinds import kinds_text
from companion.pages.ledger import pieces
from companion.pages.live import overlay_block
from companion.pages.outdated import outdated_text
from companion.pages.overview import added_table, other_runs_table, results_table, status_table
from companion.pages.paper_tables import paper_table
from companion.pages.pretraining import pretraining_text
from companion.pages.runs_here import FOLDER as RUNS
from companion.pages.runs_here import runs_page
from companion.pages.sampled import sampled_text
from companion.pages.scale import (
    moved_sentences,
    peaks_text,
    scale_figures,
    scale_sentences,
)
from companion.pages.setups import setups_text
from companion.pages.silent import silent_table
from companion.pages.speed import growth_figure, growth_text, speed_page
from companion.pages.speed_files import GROWTH
from companion.pages.stamp import digest_of_sources, write_stamp
from companion.pages.survives import faults_table, soak_text
from companion.pages.threads import threads_text
from companion.pages.toc import table_of_contents
from companion.pages.variants import variants_page
from companion.pages.your_model import NOTEBOOK, PAGES, not_executed
from companion.pages.zeros import zeros_text
from companion.paper.ledger import ledger
from companion.paper.verdict import verdict
from companion.runs.chapters import CHAPTERS, Chapter
from companion.runs.committed import COMMITTED
from companion.runs.notebooks import notebook_path
from companion.runs.provenance import ROOT
from companion.runs.records import Record
from thermo_utils.errors import ThermoError
from thermo_utils.files import write_atomically

__all__ = ["assemble", "build"]

#: Where the site is built, beside the sources; and the folders of the book that are made.
OUTPUT, PARTS = "_build", ("chapters", "generated", RUNS)
#: Jupyter Book, whose command does not pass on in how many processes Sphinx is to work.
RENDER = """\
from functools import partial
from jupyter_book import sphinx
from jupyter_book.cli.main import main
sphinx.build_sphinx = partial(sphinx.build_sphinx, jobs={jobs})
main()
"""
#: The table of contents, among what is made: the committed one, and what was added.
TOC = "generated/_toc.yml"
#: Files that pages load by their address, among what is made.
STATIC = "generated/static"
#: Where the executed pages for adapting are, in the folder of the records.
YOUR_MODEL = ".work"


def build(results: str | Path, *, committed: Path = COMMITTED, jobs: int = 2) -> Path:
    """Build the site with warnings as errors.

    Parameters
    ----------
    results : path
        Folder of what was run here.
    committed : Path, optional
        Folder of the records that came with the project.
    jobs : int, default 2
        Processes.

    Returns
    -------
    Path
        The first page.

    Raises
    ------
    ThermoError
        If the book's sources are not beside the package, or the build fails.
    """
    sources = digest_of_sources(ROOT)
    assemble(Path(results), committed=committed, jobs=jobs)
    with TemporaryDirectory(prefix="site-", dir=ROOT / OUTPUT) as folder:
        command = [
            sys.executable, "-c", RENDER.format(jobs=jobs + 1),  # one of them writes nothing
            "build", str(ROOT / "book"),
            "--config", str(ROOT / "_config.yml"), "--toc", str(ROOT / "book" / TOC),
            "--path-output", folder,
            "--all",
            "--warningiserror", "--keep-going", "--quiet",
        ]  # fmt: skip
        # In a session of its own: a Ctrl-C is for this command, which ends the build and says so.
        # What it prints of where the site is will not be true; warnings go to standard error.
        done = subprocess.run(
            command, cwd=ROOT, check=False, start_new_session=True, stdout=subprocess.DEVNULL
        )
        if done.returncode != 0:
            raise ThermoError("the book did not build; the warnings above say which page and why")
        built, html = Path(folder, OUTPUT, "html"), ROOT / OUTPUT / "html"
        write_stamp(built, sources)
        shutil.rmtree(html, ignore_errors=True)  # no page of an earlier site stays
        built.rename(html)
    return html / "index.html"


def assemble(results: Path, *, committed: Path = COMMITTED, jobs: int = 1) -> None:
    """Put chapters, runs and tables where the book expects them.

    Everything is read and made first, and replaces what was there when all of it is made.

    Parameters
    ----------
    results : Path
        Folder of what was run here; it need not exist.
    committed : Path, optional
        Folder of the records that came with the project.
    jobs : int, default 1
        Processes that make chapters.

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
    found = gather(results, committed)
    output = ROOT / OUTPUT
    output.mkdir(exist_ok=True)
    with TemporaryDirectory(prefix="pages-", dir=output) as folder:
        made = Path(folder)
        for name in (*PARTS, STATIC):
            (made / name).mkdir()
        pieces_of_pages = partial(_pieces, made / "generated", found)
        write_chapters(_wanted(found), made, made / STATIC, jobs=jobs, meanwhile=pieces_of_pages)
        _without_record(made / "chapters", found)
        _runs(made / RUNS, found)
        contents = (book / "_toc.yml").read_text(encoding="utf-8")
        here = [run.page for run in found.here]
        write_atomically(made / TOC, table_of_contents(contents, found.added, here))
        _your_model(made, results / YOUR_MODEL)
        for old in book.glob(f"{NOTEBOOK}*"):
            old.unlink()
        for name in PARTS:
            shutil.rmtree(book / name, ignore_errors=True)
        for path in made.iterdir():
            path.rename(book / path.name)


def _wanted(found: Gathered) -> list[Wanted]:
    """The chapters with a record, and the runs of this machine."""
    pages = [
        Wanted(chapter, f"chapters/{chapter.name}", records, True, _remarks(chapter, found))
        for chapter, records in (_of_paper(found) | found.added).items()
        if records
    ]
    pages += [
        Wanted(run.chapter, f"{RUNS}/{run.page}", run.records, False, ()) for run in found.here
    ]
    return pages


def _of_paper(found: Gathered) -> dict[Chapter, list[Record]]:
    return {chapter: found.chapters[chapter.name] for chapter in CHAPTERS}


def _remarks(chapter: Chapter, found: Gathered) -> list[str]:
    """What is missing of a chapter's committed records."""
    start = f"{PROFILE}/{chapter.name}"
    gone = [name for name in found.replaced if name == start or name.startswith(f"{start}/seed-")]
    if not gone:
        return []
    names = ", ".join(f"`{name}`" for name in gone)
    return [
        f"Of the records that came with the book, {names} is not there any more, or was replaced "
        "by a run on this machine, which this page does not show. `git checkout -- results` brings "
        "back what was committed."
    ]


def _without_record(folder: Path, found: Gathered) -> None:
    """What stands for the chapters of the paper without a record, and how to get one."""
    for chapter, records in _of_paper(found).items():
        if records:
            continue
        remarks = "".join(f":::{{warning}}\n{text}\n:::\n\n" for text in _remarks(chapter, found))
        command = f"thermo run {chapter.model} {chapter.dataset} --profile {PROFILE}"
        state = "There is no record of this chapter in the book. To run it:"
        text = f"# {chapter.title}\n\n{remarks}{state}\n\n```bash\n{command}\n```\n"
        write_atomically(folder / f"{chapter.name}.md", text)


def _runs(folder: Path, found: Gathered) -> None:
    speed = speed_page(found.speed_here) if found.speed_here else ""
    speed = speed.replace("](chapters/", "](../chapters/")  # as seen from this page
    text = runs_page(found.here, found.chapters, speed)
    write_atomically(folder / "index.md", text)


def _your_model(folder: Path, executed: Path) -> None:
    """The notebook for adapting as it was executed; where it was not, as it is."""
    for page in PAGES.values():
        done = executed / f"{page.name}.ipynb"
        if done.exists():
            shutil.copyfile(done, folder / done.name)
        else:
            command = page.command(f"results/{YOUR_MODEL}/{done.name}")
            text = not_executed(page, notebook_path(NOTEBOOK), command)
            write_atomically(folder / done.name, text)


def _first(chapters: Mapping[Chapter, Sequence[Record]]) -> dict[Chapter, Record | None]:
    return {chapter: next(iter(records), None) for chapter, records in chapters.items()}


def _pieces(folder: Path, read: Gathered) -> None:
    """Tables and figures that pages of the book include.

    Chapters that are not in the paper stand in tables of their own, and in those of what was run.
    """
    chapters, speed = read.chapters, read.speed
    paper = _of_paper(read)
    records = _first(paper)
    judged, claims = verdict(chapters), ledger(chapters)
    texts = {
        "results": results_table(paper),
        "added": added_table(read.added),
        "status": status_table(paper | read.added),
        "outdated": outdated_text(
            PROFILE, chapters | {c.name: found for c, found in read.added.items()}
        ),
        **{f"table{number}": paper_table(number, paper) for number in (1, 2, 3, 4)},
        **pieces(chapters, table=claims),
        **artifact_pieces(paper),
        "silent": silent_table() + "\n",
        "setups": setups_text(read.setups, chapters),
        "overlay": overlay_block(paper | read.added),
        "front": front(judged, claims, chapters),
        "cite": how_to_cite(),
        "speed": speed_page(speed),
        "growth": "Not measured.\n",
        "dozen": dozen_text(chapters, read.others),
        "guided": guided_text(read.guided, chapters, PROFILE),
        "sampled": sampled_text(read.sampled, chapters, PROFILE),
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
        "pretraining": pretraining_text(read.pretraining, chapters, PROFILE),
        "zeros": zeros_text(read.zeros),
        "book_times": book_times_text(read.book),
        "gpu": gpu_text(read.gpu),
        "threads": threads_text(read.threads),
        "modules": module_table(),
    }
    figures = {"figure1": weight_and_activation_pruning(), "floors": floors_figure()}
    figures |= conclusion_figures(judged)
    figures |= front_figures(judged, chapters)
    figures |= scale_figures(chapters)
    if GROWTH in speed:
        figures |= two_widths("growth", partial(growth_figure, speed[GROWTH]))
        texts["growth"] = growth_text(speed[GROWTH])
    for name, text in texts.items():
        write_atomically(folder / f"{name}.md", text)
    with plt.rc_context({"svg.hashsalt": "pages"}):  # the same records give the same bytes
        for name, figure in figures.items():
            figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
