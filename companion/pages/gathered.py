"""Everything that the pages are made from, read before any of them is made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pandas as pd

from companion.pages.book_times import FILE as BOOK
from companion.pages.gpu import FILE as GPU
from companion.pages.gpu import read_gpu
from companion.pages.guided import FILE as GUIDED
from companion.pages.guided import read_guided
from companion.pages.pretraining import FILE as PRETRAINING
from companion.pages.pretraining import read_pretraining
from companion.pages.runs_here import Here, runs_here
from companion.pages.sampled import FILE as SAMPLED
from companion.pages.sampled import read_sampled
from companion.pages.setups import FILE as SETUPS
from companion.pages.setups import read_setups
from companion.pages.speed_files import FOLDER, read_speed
from companion.pages.survives import read_facts
from companion.pages.threads import FILE as THREADS
from companion.pages.threads import read_threads
from companion.pages.variants import chapters_with_variants
from companion.pages.zeros import FILE as ZEROS
from companion.runs.chapters import CHAPTERS, Chapter, added
from companion.runs.committed import is_committed, read_list, replaced
from companion.runs.records import Record, other_runs, read_chapter
from companion.runs.settings import PROFILES
from thermo_utils.errors import ThermoError

__all__ = ["PROFILE", "Gathered", "gather"]

T = TypeVar("T")

#: Profile of the records that come with the project.
PROFILE = "small"


class Gathered(NamedTuple):
    """What the project's own records say, and what was run here.

    Attributes
    ----------
    chapters : dict of str to list of Record
        Those of the paper's chapters that came with the project, by name of the chapter.
    added : dict of Chapter to list of Record
        The same of networks that are not in the paper; only those with a record.
    others : list of Record
        The project's with other settings.
    replaced : list of str
        Folders of records of the project that are gone or changed.
    here : list of Here
        What was run on this machine.
    speed, speed_here : dict
        What was measured of the methods, by the project and here.
    alternatives, faults, soak, kinds, zeros, book, gpu, guided, threads, sampled, setups,
    pretraining
        As the modules that read them return them.
    """

    chapters: dict[str, list[Record]]
    added: dict[Chapter, list[Record]]
    others: list[Record]
    replaced: list[str]
    here: list[Here]
    speed: dict[str, dict[str, Any]]
    speed_here: dict[str, dict[str, Any]]
    alternatives: dict[str, tuple[pd.DataFrame, dict[str, Any]]]
    faults: dict[str, Any] | None
    soak: dict[str, Any] | None
    kinds: dict[str, Any] | None
    zeros: dict[str, Any] | None
    book: dict[str, Any] | None
    gpu: dict[str, Any] | None
    guided: dict[str, Any] | None
    threads: dict[str, Any] | None
    sampled: dict[str, Any] | None
    setups: dict[str, Any] | None
    pretraining: dict[str, Any] | None


def gather(results: Path, committed: Path) -> Gathered:
    """Read everything.

    Parameters
    ----------
    results : Path
        Folder of what was run here; it need not exist, and may be `committed`.
    committed : Path
        Folder of results that came with the project, with the list of its records.

    Returns
    -------
    Gathered

    Raises
    ------
    ThermoError
        If something is damaged; it names all of it.
    """
    bad: list[str] = []

    def tried(read: Callable[[], T]) -> list[T]:
        try:
            return [read()]
        except ThermoError as error:
            bad.append(str(error))
            return []

    listed = read_list(committed)

    def ours(records: Sequence[Record]) -> list[Record]:
        return [r for r in records if is_committed(r.folder, committed, listed)]

    known = (*CHAPTERS, *added(PROFILE))
    chapters = {c: tried(partial(read_chapter, committed, PROFILE, c.name)) for c in known}
    others, damaged = other_runs(committed, PROFILE, [c.name for c in known])
    bad += damaged
    here, damaged = runs_here(results, listed if results.resolve() == committed.resolve() else {})
    bad += [text for text in damaged if text not in bad]
    speed = tried(partial(read_speed, committed / PROFILE / FOLDER))
    speed_here = [
        tried(partial(read_speed, results / profile / FOLDER))
        for profile in PROFILES
        if (results / profile).resolve() != (committed / PROFILE).resolve()
    ]
    alternatives = tried(partial(chapters_with_variants, committed, PROFILE))
    facts = [
        tried(partial(read_facts, committed / name))
        for name in ("faults.json", "soak.json", "kinds.json", ZEROS, BOOK)
    ]
    gpu = tried(partial(read_gpu, committed / GPU))
    guided = tried(partial(read_guided, committed / PROFILE / GUIDED))
    threads = tried(partial(read_threads, committed / THREADS))
    sampled = tried(partial(read_sampled, committed / PROFILE / SAMPLED))
    setups = tried(partial(read_setups, committed / PROFILE / SETUPS))
    pretraining = tried(partial(read_pretraining, committed / PROFILE / PRETRAINING))
    if bad:
        raise ThermoError("; ".join(dict.fromkeys(bad)))
    whole = {chapter: ours(records) for chapter, (records,) in chapters.items()}
    paper = {c.name: whole.pop(c) for c in CHAPTERS}
    return Gathered(
        paper,
        {chapter: records for chapter, records in whole.items() if records},
        ours(others),
        replaced(committed, listed),
        here,
        speed[0],
        {name: found for (measured,) in speed_here for name, found in measured.items()},
        alternatives[0],
        *(found for (found,) in (*facts, gpu, guided, threads, sampled, setups, pretraining)),
    )
