"""The pages of chapters and runs with everything that lies beside them, several at a time."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import nbformat
from tqdm.auto import tqdm

from companion.networks import NETWORKS
from companion.pages.chapter_page import Wanted, chapter_page
from companion.pages.live import live_data, write_live
from companion.pages.panels import write_panels
from companion.runs.command import rerun_choices
from companion.runs.frozen import INJECTED, ON_TOP, show, write
from companion.runs.notebooks import EXECUTED, notebook_path
from companion.runs.records import CURVES, RESULT, Record, record_folder
from companion.runs.settings import overridden, recorded, settings
from thermo_utils.errors import ThermoError

__all__ = ["write_chapters"]


def write_chapters(
    wanted: Sequence[Wanted],
    book: Path,
    static: Path,
    *,
    jobs: int = 1,
    meanwhile: Callable[[], object] | None = None,
) -> None:
    """Write pages.

    Parameters
    ----------
    wanted : sequence of Wanted
        The pages.
    book : Path
        The folder their names start from.
    static : Path
        Where figures, data and files of records go, in folders of their own.
    jobs : int, default 1
        Processes besides this one; with 1 this one writes them.
    meanwhile : callable, optional
        What this process does while others write pages, or before.

    Raises
    ------
    ThermoError
        If a page cannot be made.
    """
    for name in ("panels", "data", "records"):
        (static / name).mkdir(parents=True, exist_ok=True)
    one = partial(_write, book, static)
    bar = partial(tqdm, total=len(wanted), desc="chapters", disable=not wanted or None)
    if jobs == 1 or len(wanted) < 2:
        if meanwhile is not None:
            meanwhile()
        for _ in bar(map(one, wanted)):
            pass
        return
    # Started anew: a process that is forked inherits threads that do not live on.
    with ProcessPoolExecutor(min(jobs, len(wanted)), get_context("spawn")) as pool:
        try:
            written = pool.map(one, wanted)
            if meanwhile is not None:
                meanwhile()
            for _ in bar(written):
                pass
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _write(book: Path, static: Path, wanted: Wanted) -> None:
    name, records = wanted.name, wanted.records
    panels = write_panels(static / "panels", name, records, title=wanted.chapter.title)
    write_live(static / "data", name, live_data(name, records, panels.geometry))
    files = static / "records" / name
    files.mkdir()
    for kept in (CURVES, RESULT):
        shutil.copyfile(records[0].folder / kept, files / kept)
    notebook = _notebook(wanted)
    if notebook is not None:
        write(files / EXECUTED, notebook)
    beside = sorted(path.name for path in files.iterdir())
    write(book / f"{wanted.page}.ipynb", chapter_page(wanted, panels, notebook, beside))


def _notebook(wanted: Wanted) -> nbformat.NotebookNode | None:
    """The notebook as it ran, or as the record shows it; None where the record has no notebook."""
    first = wanted.records[0]
    if not wanted.committed and (first.folder / EXECUTED).exists():
        try:
            with warnings.catch_warnings():  # of notebooks from before cells had names
                warnings.simplefilter("ignore")
                return nbformat.read(first.folder / EXECUTED, as_version=4)
        except (OSError, ValueError) as error:
            raise ThermoError(
                f"{first.folder / EXECUTED} is no notebook ({error}): delete it, or run the "
                "chapter again"
            ) from error
    given = recorded(first)
    found = _found_by(first)
    if found is None:
        return None
    results, overrides = found
    shown = show(
        notebook_path(given.model),
        {
            "dataset": given.dataset,
            "profile": given.profile,
            "seed": given.seed,
            "results": str(results),
            "frozen": True,
            "overrides": overrides,
        },
        heading=wanted.chapter.title,
        left_out=[ON_TOP],
    )
    for cell in shown.cells:  # where the results lay is of no use elsewhere
        if INJECTED in cell.metadata.get("tags", []):
            cell.source = cell.source.replace(repr(str(results)), repr("results"))
    return shown


def _found_by(record: Record) -> tuple[Path, dict[str, Any]] | None:
    """Results and overrides by which a notebook finds a record; None if by none."""
    given = recorded(record)
    name = f"{given.model}-{given.dataset}"
    if given.model not in NETWORKS or not notebook_path(given.model).exists():
        return None
    inside = record.folder.parents
    results = next((p.parent.parent for p in (record.folder, *inside) if p.name == name), None)
    if results is None or (given.dataset, given.profile) not in NETWORKS[given.model].recipes:
        return None
    try:
        plain = record_folder(results, given.profile, name, given.seed) == record.folder
        overrides = {} if plain else rerun_choices(record)
        asked = settings(given.model, given.dataset, given.profile, given.seed, **overrides)
    except ThermoError:
        return None
    folder = record_folder(results, given.profile, name, given.seed, overridden(asked))
    return (results, overrides) if folder == record.folder else None
