"""``python -m benchmarks.dozen``: guided evaluations of trained networks, against whole ones.

A chapter takes part if its trained network is among the stages that were kept in the folder of
results, and its record has the whole evaluation of this very network; others are skipped with a
word, and nothing is trained. What is found goes to ``<results>/<profile>/guided.json``, which the
page *Speed* of the book shows. Finished chapters are kept, and an interrupted one goes on.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout

from benchmarks.command import exit_code
from companion.pages.guided import FILE, FORMAT, read_guided
from companion.paper.dozen import whole_thresholds, within_step
from companion.runs.chapters import CHAPTERS, Chapter
from companion.runs.experiment import Experiment, experiment
from companion.runs.provenance import provenance
from companion.runs.records import Record, read_record, record_folder, to_json
from companion.runs.run import WORK, Run
from companion.runs.settings import PROFILES, settings
from companion.runs.stages import Stages
from companion.runs.weights import fingerprint
from thermo_utils import full_evaluation
from thermo_utils.errors import ThermoError, unknown
from thermo_utils.files import write_atomically
from thermo_utils.grids import grid_step

__all__ = ["at_hand", "check_given", "compared", "main", "parser", "trained"]


class SkippedError(ThermoError):
    """A chapter cannot take part."""


def trained(chapter: Chapter, profile: str, results: Path, record: Record) -> Experiment:
    """A chapter's trained network, the one that its record has the whole evaluation of.

    Parameters
    ----------
    chapter : Chapter
    profile : str
    results : Path
        Folder of the records, with the stages that runs have kept.
    record : Record
        Of the chapter.

    Returns
    -------
    Experiment
        Its functions load and never train.

    Raises
    ------
    SkippedError
        If it was not kept, or is not what the record is of.
    ThermoError
        If the data are out of reach.
    """
    chosen = settings(chapter.model, chapter.dataset, profile)
    try:
        run = Run(chosen, results)
    except ThermoError as error:  # the record is whole, so it is of other settings
        raise SkippedError(str(error)) from error
    kept = Stages(chosen, None, results / WORK, force=False)
    if not kept.kept("train"):
        raise SkippedError(f"its trained network is not kept in {kept.folder('train')}")
    run.check_sources()
    found = experiment(run, progress=False)
    before = record.result["stages"]["full"].get("weights")
    if before != fingerprint(found.network()):
        raise SkippedError("the network that was kept is not the one of its whole evaluation")
    grid, wanted = record.curve("full")["tau"], found.grids[0]
    if grid.shape != wanted.shape or not np.allclose(grid, wanted, rtol=1e-9, atol=0.0):
        raise SkippedError("its whole evaluation is on another grid than a run of today")
    return found


def parser(prog: str, words: str | None) -> argparse.ArgumentParser:
    """The options that measurements of trained chapters have in common.

    Parameters
    ----------
    prog, words : str
        As for :class:`argparse.ArgumentParser`.

    Returns
    -------
    ArgumentParser
    """
    made = argparse.ArgumentParser(prog=prog, description=words)
    made.add_argument("chapters", nargs="*", help="such as mlp-cifar10 (default: all twenty)")
    made.add_argument("--profile", default="demo", help="demo (default), small or paper")
    made.add_argument("--results", type=Path, default=Path("results"), help="folder of records")
    made.add_argument("--force", action="store_true", help="measure again what is there already")
    return made


def check_given(given: argparse.Namespace) -> None:
    """Refuse options of :func:`parser` that name what there is not.

    Raises
    ------
    ThermoError
        For an unknown profile or chapter, or without a folder of the profile's records.
    """
    names = [chapter.name for chapter in CHAPTERS]
    if given.profile not in PROFILES:
        raise unknown("profile", given.profile, PROFILES)
    for name in given.chapters:
        if name not in names:
            raise unknown("chapter", name, names)
    folder = given.results / given.profile
    if not folder.is_dir():
        raise ThermoError(
            f"there is no folder {folder}: run chapters with --profile {given.profile} first, or "
            "name another folder with --results"
        )


def at_hand(
    given: argparse.Namespace, known: Callable[[str, Record], bool], what: str
) -> Iterator[tuple[Chapter, Record, Experiment]]:
    """The chapters asked for that can be measured; of others it is said why not.

    Parameters
    ----------
    given : Namespace
        Of :func:`parser`.
    known : callable
        Whether a chapter of this name and record was measured before.
    what : str
        That a chapter's record has to have, in words.

    Yields
    ------
    tuple of (Chapter, Record, Experiment)
    """
    for chapter in CHAPTERS:
        if given.chapters and chapter.name not in given.chapters:
            continue
        record = read_record(record_folder(given.results, given.profile, chapter.name))
        if record and known(chapter.name, record) and not given.force:
            continue
        try:
            if record is None:
                raise SkippedError(f"there is no record of {what}")
            found = trained(chapter, given.profile, given.results, record)
        except SkippedError as error:
            print(f"benchmarks: {chapter.name} is skipped: {error}", file=sys.stderr)
            continue
        yield chapter, record, found


def compared(curve: pd.DataFrame, record: Record) -> dict[str, Any]:
    """A guided evaluation beside the whole one of a record.

    Parameters
    ----------
    curve : DataFrame
        Of ``full_evaluation(..., guided=True)``.
    record : Record
        Of the same network.

    Returns
    -------
    dict
        An entry of the file, see :class:`companion.pages.guided.Entry`.
    """
    full = record.curve("full")
    said, whole, step = curve.attrs["guided"], whole_thresholds(full), grid_step(full)
    rows = curve.set_index("tau")[["active", "accuracy"]]
    evaluated = [{"tau": tau, **rows.loc[tau].to_dict()} for tau in said["measured"]]
    for row in evaluated:
        row["active"] = None if np.isnan(row["active"]) else int(row["active"])
    return {
        "curves_sha256": record.result["curves_sha256"],
        "step": step,
        "guided": {
            "passes": len(evaluated) + 1,
            "tau_star": said["tau_star"],
            "accuracy_threshold": said["accuracy_threshold"],
            "evaluated": evaluated,
            "not_looked_at": said["not_looked_at"],
            "seconds": curve.attrs["seconds"],
        },
        "whole": {
            "passes": len(full) + 1,
            "tau_star": whole.tau_star,
            "accuracy_threshold": whole.accuracy,
        },
        "agrees": {
            "tau_star": within_step(said["tau_star"], whole.tau_star, step),
            "accuracy_threshold": within_step(said["accuracy_threshold"], whole.accuracy, step),
        },
        "provenance": provenance(),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; returns the exit code."""
    given = parser("python -m benchmarks.dozen", __doc__).parse_args(arguments)

    def work() -> None:
        check_given(given)
        lock = given.results / WORK / f"guided-{given.profile}.lock"
        lock.parent.mkdir(exist_ok=True)
        try:
            with FileLock(lock, timeout=0):
                _measure(given)
        except Timeout as error:
            raise ThermoError(f"another run of this is at work in {given.results}") from error

    return exit_code(work)


def _measure(given: argparse.Namespace) -> None:
    path = given.results / given.profile / FILE
    measured = read_guided(path) or {}

    def known(name: str, record: Record) -> bool:
        return measured.get(name, {}).get("curves_sha256") == record.result["curves_sha256"]

    for chapter, record, found in at_hand(given, known, "a whole evaluation"):
        state = given.results / WORK / f"guided-{found.run.settings.key('full')}"
        if given.force:
            shutil.rmtree(state, ignore_errors=True)
        curve = full_evaluation(
            found.network(), found.test(), found.layers, found.grids[0], guided=True,
            checkpoint=state / "sweep.jsonl", progress=sys.stderr.isatty(),
        )  # fmt: skip
        measured[chapter.name] = compared(curve, record)
        facts = {"format": FORMAT, "profile": given.profile, "chapters": measured}
        write_atomically(path, to_json(facts) + "\n")
        shutil.rmtree(state, ignore_errors=True)
        agrees = measured[chapter.name]["agrees"]
        print(f"{chapter.name}: {len(curve) + 1} passes, agrees: {agrees}")


if __name__ == "__main__":
    sys.exit(main())
