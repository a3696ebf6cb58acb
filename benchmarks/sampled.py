"""``python -m benchmarks.sampled``: samples of the chapters' test sets, against all of them.

A chapter takes part if its trained network is among the stages that were kept in the folder of
results, and its record has the curves of this very network; others are skipped with a word, and
nothing is trained. What is found goes to ``<results>/<profile>/sampled.json``, which the page
*Speed* of the book shows. Finished chapters are kept.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.command import exit_code
from benchmarks.dozen import SkippedError, trained
from companion.pages.sampled import FILE, FORMAT, read_sampled
from companion.paper.dozen import within_step
from companion.runs.chapters import CHAPTERS
from companion.runs.experiment import Experiment
from companion.runs.provenance import provenance
from companion.runs.records import Record, read_record, record_folder, to_json
from companion.runs.settings import PROFILES
from thermo_utils import critical_threshold, sampled_renormalized
from thermo_utils.errors import ThermoError, unknown
from thermo_utils.files import write_atomically
from thermo_utils.grids import FINER, grid_step

__all__ = ["drawn", "main"]

#: Probability asked for.
CONFIDENCE = 0.95


def drawn(experiment: Experiment, record: Record, draws: int) -> dict[str, Any]:
    """Samples of a chapter's test set beside the curve of all of it.

    Parameters
    ----------
    experiment : Experiment
        Of the network that the record is of.
    record : Record
    draws : int
        How many samples; their seeds are 0, 1, 2, ...

    Returns
    -------
    dict
        An entry of the file, see :class:`companion.pages.sampled.Entry`.
    """
    curve, step = record.curve("renormalized"), grid_step(record.curve("full"))
    whole = critical_threshold(curve)
    test, found = experiment.data().test, []
    for seed in tqdm(range(draws), desc=record.result["model"], unit="sample", leave=False):
        said = sampled_renormalized(
            experiment.network(), test, experiment.layers, curve["tau"].to_numpy(),
            confidence=CONFIDENCE, tolerance=FINER, seed=seed, progress=False,
            batch_size=experiment.run.settings.batch_size,
        ).attrs  # fmt: skip
        tau = said["tau"] and said["tau"].tau
        found.append(
            {
                "seed": seed, "examples": said["examples"], "confidence": said["confidence"],
                "tau_star": tau, "within": within_step(tau, whole and whole.tau, step),
            }
        )  # fmt: skip
    return {
        "curves_sha256": record.result["curves_sha256"],
        "step": step,
        "examples": len(test),
        "tau_star": whole and whole.tau,
        "draws": found,
        "provenance": provenance(),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sampled", description=__doc__)
    parser.add_argument("chapters", nargs="*", help="such as mlp-cifar10 (default: all twenty)")
    parser.add_argument("--profile", default="demo", help="demo (default), small or paper")
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of records")
    parser.add_argument("--draws", type=int, default=5, help="samples of a chapter (default 5)")
    parser.add_argument("--force", action="store_true", help="measure again what is there already")
    given = parser.parse_args(arguments)
    return exit_code(lambda: _measure(given))


def _measure(given: argparse.Namespace) -> None:
    names = [chapter.name for chapter in CHAPTERS]
    if given.profile not in PROFILES:
        raise unknown("profile", given.profile, PROFILES)
    for name in given.chapters:
        if name not in names:
            raise unknown("chapter", name, names)
    if given.draws < 1:
        raise ThermoError(f"--draws must be 1 or more, got {given.draws}")
    folder = given.results / given.profile
    if not folder.is_dir():
        raise ThermoError(
            f"there is no folder {folder}: run chapters with --profile {given.profile} first, or "
            "name another folder with --results"
        )
    path = folder / FILE
    measured = (read_sampled(path) or {"chapters": {}})["chapters"]
    for chapter in CHAPTERS:
        if given.chapters and chapter.name not in given.chapters:
            continue
        record = read_record(record_folder(given.results, given.profile, chapter.name))
        known = measured.get(chapter.name, {"curves_sha256": None, "draws": ()})
        same = record and record.result["curves_sha256"] == known["curves_sha256"]
        if same and len(known["draws"]) == given.draws and not given.force:
            continue
        try:
            if record is None:
                raise SkippedError("there is no record of all the data")
            found = trained(chapter, given.profile, given.results, record)
        except SkippedError as error:
            print(f"benchmarks: {chapter.name} is skipped: {error}", file=sys.stderr)
            continue
        entry = measured[chapter.name] = drawn(found, record, given.draws)
        facts = {
            "format": FORMAT, "profile": given.profile, "confidence": CONFIDENCE,
            "chapters": measured,
        }  # fmt: skip
        write_atomically(path, to_json(facts) + "\n")
        right = sum(draw["within"] for draw in entry["draws"])
        print(f"{chapter.name}: within a step in {right} of {given.draws}")


if __name__ == "__main__":
    sys.exit(main())
