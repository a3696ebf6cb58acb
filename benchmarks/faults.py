"""``python -m benchmarks.faults [SUBJECT ...]``: run the tests that inject faults.

The book's table *What it survives* is made from ``results/faults.json``: the tests' own names, how
many cases each has, and how many of them passed when this was last run. A subject that is run again
replaces what was kept of it.
"""

from __future__ import annotations

import datetime
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from companion.pages.survives import read_facts
from companion.runs.provenance import git_commit
from companion.runs.records import to_json
from thermo_utils.errors import unknown
from thermo_utils.files import write_atomically

__all__ = ["SUBJECTS", "main", "read_report"]

#: Where faults are injected, by subject; a class narrows a file down.
SUBJECTS = {
    "Kills, and two runs at once": (
        "tests/companion/runs/test_run.py::TestKill",
        "tests/companion/runs/test_run.py::TestTwoProcesses",
        "tests/companion/runs/test_training.py::test_a_killed_training_ends_with_the_same_weights",
        "tests/companion/runs/test_training.py::test_killed_twice",
        "tests/companion/runs/test_notebooks.py::test_a_killed_chapter_goes_on",
    ),
    "Interrupts": ("tests/companion/test_interrupts.py",),
    "Damaged files and full disks": ("tests/companion/runs/test_faults.py",),
    "Records": ("tests/companion/runs/test_record_files.py",),
    "Sweeps": ("tests/thermo_utils/test_sweep_log.py",),
    "Data": ("tests/companion/data/test_folder.py",),
    "The hub": ("tests/companion/test_hub.py",),
    "Hostile records": ("tests/companion/pages/test_hostile.py",),
    "A cluster": ("tests/project/test_slurm.py",),
}
OUTPUT = Path("results/faults.json")


def read_report(path: Path) -> list[dict[str, Any]]:
    """What a JUnit report says, a row per test.

    Parameters
    ----------
    path : Path
        Written by ``pytest --junitxml``.

    Returns
    -------
    list of dict
        In the order of the report: ``test`` (its name, without parameters), and the number of its
        cases that ``passed``, ``failed`` or were ``skipped``.
    """
    rows: dict[str, dict[str, Any]] = {}
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        name = case.attrib["name"].partition("[")[0]
        row = rows.setdefault(name, {"test": name, "passed": 0, "failed": 0, "skipped": 0})
        kinds = {child.tag for child in case}
        fate = "failed" if kinds & {"failure", "error"} else "passed"
        row["skipped" if "skipped" in kinds else fate] += 1
    return list(rows.values())


def main(wanted: Sequence[str] = ()) -> int:
    """Run the tests of some subjects, or of all; returns the exit code: 1 if one failed."""
    for name in wanted:
        if name not in SUBJECTS:
            print(f"faults: {unknown('subject', name, SUBJECTS)}", file=sys.stderr)
            return 2
    subjects = (read_facts(OUTPUT) or {"subjects": {}})["subjects"]
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    failed = False
    for name in wanted or SUBJECTS:
        print(name, file=sys.stderr)
        with TemporaryDirectory() as scratch:
            report = Path(scratch, "report.xml")
            command = [
                sys.executable, "-m", "pytest", "-q", "-n0", "-m", "slow or not slow",
                f"--junitxml={report}", *SUBJECTS[name],
            ]  # fmt: skip
            subprocess.run(command, check=False)
            tests = read_report(report)
        subjects[name] = {
            "tests": tests,
            "date": datetime.date.today().isoformat(),
            "git_commit": git_commit(),
        }
        failed |= any(row["failed"] for row in tests)
        facts = {"subjects": {n: subjects[n] for n in SUBJECTS if n in subjects}}
        write_atomically(OUTPUT, to_json(facts) + "\n")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
