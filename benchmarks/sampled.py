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
from typing import Any

from tqdm import tqdm

from benchmarks.command import exit_code
from benchmarks.dozen import at_hand, check_given, parser
from companion.pages.sampled import FILE, FORMAT, read_sampled
from companion.paper.dozen import within_step
from companion.runs.experiment import Experiment
from companion.runs.provenance import provenance
from companion.runs.records import Record, to_json
from thermo_utils import critical_threshold, sampled_renormalized
from thermo_utils.errors import ThermoError
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
    options = parser("python -m benchmarks.sampled", __doc__)
    options.add_argument("--draws", type=int, default=5, help="samples of a chapter (default 5)")
    given = options.parse_args(arguments)
    return exit_code(lambda: _measure(given))


def _measure(given: argparse.Namespace) -> None:
    check_given(given)
    if given.draws < 1:
        raise ThermoError(f"--draws must be 1 or more, got {given.draws}")
    path = given.results / given.profile / FILE
    measured = (read_sampled(path) or {"chapters": {}})["chapters"]

    def known(name: str, record: Record) -> bool:
        before = measured.get(name, {"curves_sha256": None, "draws": ()})
        same = record.result["curves_sha256"] == before["curves_sha256"]
        return same and len(before["draws"]) == given.draws

    for chapter, record, found in at_hand(given, known, "all the data"):
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
