"""``python -m benchmarks.book``: what the parts of the book take, a process for each.

Run it on an otherwise idle machine; it takes about two minutes and writes ``results/book.json``,
which the page *Speed* of the book shows. With ``--site`` the whole site is built too, from a clone
of what is committed.
"""

from __future__ import annotations

import argparse
import datetime
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.command import exit_code
from benchmarks.zeros import processor
from companion.pages.book_times import DEMO, FILE, PARTS, SHOWN
from companion.runs.committed import COMMITTED
from companion.runs.provenance import ROOT, provenance
from companion.runs.records import to_json
from thermo_utils.errors import ThermoError
from thermo_utils.files import write_atomically

__all__ = ["main", "run"]

#: Where the record of the chapter that is shown comes from.
RECORD = COMMITTED / "small" / "-".join(SHOWN)
#: What the kernel of a chapter imports, and what of that it does only to train.
IMPORTS = """
from companion.pages import chapter
from companion.data import tensors
from companion.runs import run
from thermo_utils import full_evaluation
"""
LIGHTNING = """
from companion.runs.metrics import load_torchmetrics
load_torchmetrics()
from companion.runs import classifier
"""
COMMAND = (sys.executable, "-m", "companion.cli")


def run(command: Sequence[str], folder: Path = ROOT) -> dict[str, float]:
    """Run a command to its end.

    Parameters
    ----------
    command : sequence of str
        Of this interpreter; what it imports of the project is what lies in `folder`.
    folder : Path, optional
        Where it runs.

    Returns
    -------
    dict of str to float
        Seconds: ``processor``, of the command and all that it starts, and ``wall``.

    Raises
    ------
    ThermoError
        If it fails; the last line that it wrote is said.
    """
    environment = os.environ | {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    used, begun = _used(), time.perf_counter()
    done = subprocess.run(
        command, cwd=folder, env=environment, check=False, text=True, errors="replace",
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    wall = time.perf_counter() - begun
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise ThermoError(f"{' '.join(command[:6])} failed: {said[-1] if said else 'no word'}")
    return {"processor": _used() - used, "wall": wall}


def _used() -> float:
    """Processor seconds of all children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime


def measure(rounds: int, work: Path) -> dict[str, list[dict[str, float]]]:
    """The parts, in turn, so that a busy machine meets all of them.

    Parameters
    ----------
    rounds : int
    work : Path
        An empty folder.

    Returns
    -------
    dict of str to list of dict
        By name of a part, see :data:`companion.pages.book_times.PARTS`.
    """
    found: dict[str, list[dict[str, float]]] = {name: [] for name in PARTS}
    for number in range(rounds):
        results = work / str(number)
        shutil.copytree(RECORD, results / "small" / RECORD.name)
        place = ("--results", str(results), "--quiet")
        frozen = ("run", *SHOWN, "--profile", "small", "--frozen", *place)
        found["shown"].append(run((*COMMAND, *frozen)))
        for name in ("demo", "again"):
            found[name].append(run((*COMMAND, "run", *DEMO, *place)))
        for name, code in (("imports", IMPORTS + LIGHTNING), ("kept_imports", IMPORTS)):
            found[name].append(run((sys.executable, "-c", code)))
    return found


def site(work: Path) -> dict[str, float]:
    """The whole site, in two processes, from a clone of what is committed."""
    clone = work / "clone"
    run(("git", "clone", "--quiet", str(ROOT), str(clone)))
    return run((*COMMAND, "book", "--jobs", "2"), clone)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure everything and write it down; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.book", description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of records")
    parser.add_argument("--rounds", type=int, default=3, help="rounds (default 3)")
    parser.add_argument("--site", action="store_true", help="build the whole site, too")
    given = parser.parse_args(arguments)

    def work() -> None:
        if given.rounds < 1:
            raise ThermoError(f"--rounds must be 1 or more, got {given.rounds}")
        if not given.results.is_dir():
            raise ThermoError(f"there is no folder {given.results}: make it, or name another")
        with TemporaryDirectory(prefix="book-") as folder:
            facts: dict[str, Any] = {
                "load": os.getloadavg()[0],
                "parts": measure(given.rounds, Path(folder)),
                "site": site(Path(folder)) if given.site else None,
                "processor": processor(),
                "cores": os.cpu_count(),
                "date": datetime.date.today().isoformat(),
                "provenance": provenance(),
            }
        write_atomically(given.results / FILE, to_json(facts) + "\n")

    return exit_code(work, resumes=False)


if __name__ == "__main__":
    sys.exit(main())
