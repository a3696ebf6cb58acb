"""``python -m benchmarks.soak``: random faults on demo chapters, against uninterrupted runs.

Each round takes a chapter and an empty results folder, and does to it, a few times over, what
happens to runs: processes are killed or interrupted at a random moment, two run at once, the disk
fills up, a file that was kept is cut, emptied, removed or filled with garbage. In the end the same
command runs undisturbed, and its record is held against that of a run that never was disturbed. The
counts go to ``results/soak.json``.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tqdm import tqdm

from companion.runs.provenance import git_commit
from companion.runs.records import Record, read_record, to_json
from thermo_utils.files import write_atomically

__all__ = ["damage", "differences", "main"]

#: What is run: seconds each, with a training of several epochs and a sweep.
CHAPTERS = {
    ("mlp", "cifar10"): {"train_size": 400, "validation_size": 100, "test_size": 400, "epochs": 4},
    ("lstm", "ag_news"): {"train_size": 200, "validation_size": 50, "test_size": 100, "epochs": 3},
}
GRID = {"tau_step": 0.05, "tau_max": 1.5}
#: Disturbances of one round, at most.
MOST = 4
#: Longest undisturbed run in seconds; one that takes longer hangs.
LIMIT = 300.0


def damage(path: Path, how: str, rng: random.Random) -> None:
    """Do to a file what disks and crashes do.

    Parameters
    ----------
    path : Path
        The file.
    how : {"cut", "emptied", "removed", "garbage"}
        What happens to it.
    rng : Random
        Where it is cut, and the garbage.
    """
    size = path.stat().st_size
    if how == "removed":
        path.unlink()
    elif how == "garbage":
        path.write_bytes(rng.randbytes(size))
    else:
        os.truncate(path, 0 if how == "emptied" else rng.randrange(size + 1))


def differences(record: Record | None, reference: Record) -> list[str]:
    """What differs between two records besides times.

    Parameters
    ----------
    record : Record or None
        Of the disturbed run.
    reference : Record
        Of the other.

    Returns
    -------
    list of str
        Names of what differs; empty if nothing does.
    """
    if record is None:
        return ["there is no record"]
    ours, theirs = record.result, reference.result
    sections = ("history", "data", "thresholds", "features", "match", "metrics")
    found = [section for section in sections if ours[section] != theirs[section]]
    return found + ([] if record.curves.equals(reference.curves) else ["curves"])


class Chapter:
    """A chapter with tiny settings in a results folder."""

    def __init__(self, model: str, dataset: str, results: Path) -> None:
        self.results = results
        overrides = {**CHAPTERS[model, dataset], **GRID}
        self._command = [
            sys.executable, "-m", "companion.cli", "run", model, dataset, "--quiet",
            "--results", str(results),
            *(word for name, value in overrides.items() for word in ("-p", name, str(value))),
        ]  # fmt: skip

    def start(self, most_bytes: int | None = None) -> subprocess.Popen[str]:
        """Start the command in a process group of its own, with a bound on the size of files."""

        def bounded() -> None:
            if most_bytes is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))

        return subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            start_new_session=True, preexec_fn=bounded,
        )  # fmt: skip

    def finish(self) -> tuple[int, str]:
        """Run the command undisturbed."""
        with self.start() as process:
            try:
                error = process.communicate(timeout=LIMIT)[1]
            except subprocess.TimeoutExpired:
                _signal(process, signal.SIGKILL)
                return -1, f"it did not end within {LIMIT:g} s"
        return process.returncode, error

    def record(self) -> Record | None:
        """The record, if there is one."""
        found = sorted(self.results.glob("demo/*/*/result.json"))
        return read_record(found[0].parent) if found else None


def _signal(process: subprocess.Popen[str], number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _stopped(chapter: Chapter, rng: random.Random, seconds: float, number: int) -> None:
    with chapter.start() as process:
        time.sleep(rng.uniform(0.0, seconds))
        _signal(process, number)
        process.communicate()


def _killed(chapter: Chapter, rng: random.Random, seconds: float) -> None:
    _stopped(chapter, rng, seconds, signal.SIGKILL)


def _interrupted(chapter: Chapter, rng: random.Random, seconds: float) -> None:
    _stopped(chapter, rng, seconds, signal.SIGINT)


def _two_at_once(chapter: Chapter, rng: random.Random, seconds: float) -> None:
    with chapter.start() as one, chapter.start() as other:
        time.sleep(rng.uniform(0.0, 1.5 * seconds))
        _signal(rng.choice((one, other)), signal.SIGKILL)
        for process in (one, other):
            process.communicate()


def _full(chapter: Chapter, rng: random.Random, seconds: float) -> None:
    """A write fails in the middle of a file, as on a full disk."""
    with chapter.start(most_bytes=int(10 ** rng.uniform(2.5, 6.5))) as process:
        process.communicate()


def _damaged(chapter: Chapter, rng: random.Random, seconds: float) -> None:
    files = [path for path in sorted(chapter.results.rglob("*")) if path.is_file()]
    kept = [path for path in files if ".work" in path.parts and path.suffix != ".lock"]
    if kept:
        damage(rng.choice(kept), rng.choice(("cut", "emptied", "removed", "garbage")), rng)


FAULTS: dict[str, Callable[[Chapter, random.Random, float], None]] = {
    "killed": _killed,
    "interrupted": _interrupted,
    "two at once, one killed": _two_at_once,
    "a write that fails, as on a full disk": _full,
    "a kept file damaged": _damaged,
}


def main(arguments: list[str] | None = None) -> int:
    """Run rounds of faults; returns the exit code: 1 if anything differed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (default 10)")
    parser.add_argument("--seed", type=int, default=0, help="of the faults (default 0)")
    parser.add_argument("-o", "--output", type=Path, default=Path("results/soak.json"))
    options = parser.parse_args(arguments)
    rng, counts = random.Random(options.seed), Counter[str]()
    different: list[dict[str, Any]] = []
    with TemporaryDirectory(prefix="thermo-soak-") as scratch:
        references: dict[tuple[str, str], tuple[Record, float]] = {}
        for pair in CHAPTERS:
            chapter, started = Chapter(*pair, Path(scratch, "-".join(pair))), time.monotonic()
            code, error = chapter.finish()
            record = chapter.record()
            if code or record is None:
                print(f"the undisturbed run of {' '.join(pair)} failed: {error}", file=sys.stderr)
                return 2
            _ = record.curves  # read before its folder goes
            references[pair] = record, time.monotonic() - started
        end, rounds = time.monotonic() + 60 * options.minutes, 0
        with tqdm(desc="rounds", unit="round") as bar:
            while time.monotonic() < end:
                pair = rng.choice(list(CHAPTERS))
                results = Path(scratch, f"round-{rounds}")
                chapter, (reference, seconds) = Chapter(*pair, results), references[pair]
                done = [rng.choice(list(FAULTS)) for _ in range(rng.randint(1, MOST))]
                for fault in done:
                    FAULTS[fault](chapter, rng, seconds)
                code, error = chapter.finish()
                found = [f"exit code {code}: {error.strip()[-300:]}"] if code else []
                found += differences(chapter.record(), reference)
                if found:
                    different.append({"chapter": "-".join(pair), "faults": done, "found": found})
                counts.update(done)
                rounds += 1
                bar.update()
                bar.set_postfix_str(f"{len(different)} different")
                shutil.rmtree(results, ignore_errors=True)
    facts = {
        "rounds": rounds,
        "minutes": options.minutes,
        "seed": options.seed,
        "faults": dict(counts),
        "different": different,
        "date": datetime.date.today().isoformat(),
        "git_commit": git_commit(),
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(options.output, to_json(facts) + "\n")
    print(f"{rounds} rounds, {sum(counts.values())} faults, {len(different)} differences")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
