"""How much of a change to the code the tests notice.

mutmut makes small changes to the modules listed in ``pyproject.toml``, one at a time, and runs the
tests that reach the changed function. A change that fails a test is killed; one that does not has
survived, and shows what no test says. Everything happens in the folder ``mutants``, in one
process; started again, a run goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mutmut.stats import status_by_exit_code

__all__ = ["ENOUGH", "Score", "forget_survivors", "main", "read_scores", "summary"]

FOLDER = Path("mutants")
#: mutmut's notes in it: how long each test takes, and which functions it reaches.
NOTES = "mutmut-stats.json"
#: Share of the mutants that the tests must kill.
ENOUGH = 0.9
#: A mutant that never ends, or ends the interpreter, is noticed too.
KILLED = ("killed", "timeout", "segfault", "suspicious")

#: Number of mutants of a module by what became of them.
Score = Counter[str]


def read_scores(folder: Path) -> dict[str, Score]:
    """What became of the mutants of each module: those killed, survived and not yet tried.

    Parameters
    ----------
    folder : path
        Where mutmut works.

    Returns
    -------
    dict of str to Counter
        By module, the number ``killed``, ``survived`` (reached by no test included) and
        ``waiting``.
    """
    scores = {}
    for file in sorted(folder.rglob("*.py.meta")):
        codes = json.loads(file.read_text(encoding="utf-8"))["exit_code_by_key"]
        if codes:
            module = str(file.relative_to(folder)).removesuffix(".meta")
            scores[module] = Counter(_fate(code) for code in codes.values())
    return scores


def _fate(exit_code: int | None) -> str:
    if exit_code is None:
        return "waiting"
    return "killed" if status_by_exit_code[exit_code] in KILLED else "survived"


def summary(scores: Mapping[str, Score]) -> tuple[str, bool]:
    """A table of the scores, and whether they are good enough.

    Parameters
    ----------
    scores : mapping of str to Counter
        As :func:`read_scores` returns them.

    Returns
    -------
    text : str
        A line per module and one for all of them.
    enough : bool
        Every mutant has been tried, and at least :data:`ENOUGH` of them were killed.
    """
    total = sum(scores.values(), Score())
    width = max(map(len, [*scores, "module"]))
    lines = [f"{'module':{width}} {'killed':>8} {'survived':>8} {'waiting':>8} {'share':>7}"]
    for name, score in [*scores.items(), ("all", total)]:
        numbers = " ".join(f"{score[fate]:8d}" for fate in ("killed", "survived", "waiting"))
        lines.append(f"{name:{width}} {numbers} {_share(score):7.1%}")
    enough = total["waiting"] == 0 and total.total() > 0 and _share(total) >= ENOUGH
    return "\n".join(lines), enough


def _share(score: Score) -> float:
    tried = score["killed"] + score["survived"]
    return score["killed"] / tried if tried else 0.0


def forget_survivors(folder: Path, tests: Iterable[Path]) -> None:
    """Have survivors tried again if the tests are not those of the run before.

    Parameters
    ----------
    folder : path
        Where mutmut works; nothing is there before its first run.
    tests : iterable of path
        The files of the tests.
    """
    contents = hashlib.sha256()
    for file in sorted(tests):
        contents.update(str(file).encode())
        contents.update(file.read_bytes())
    stamp = folder / "tests.sha256"
    if stamp.exists() and stamp.read_text() == contents.hexdigest():
        return
    for file in folder.rglob("*.py.meta"):
        meta = json.loads(file.read_text(encoding="utf-8"))
        codes = meta["exit_code_by_key"]
        meta["exit_code_by_key"] = {
            mutant: code if _fate(code) == "killed" else None for mutant, code in codes.items()
        }
        file.write_text(json.dumps(meta), encoding="utf-8")
    (folder / NOTES).unlink(missing_ok=True)
    folder.mkdir(exist_ok=True)
    stamp.write_text(contents.hexdigest())


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """As a plugin of pytest: the fast tests first, for the first that fails ends the run."""
    if (notes := Path(NOTES)).exists():
        seconds = json.loads(notes.read_text(encoding="utf-8"))["duration_by_test"]
        items.sort(key=lambda item: seconds.get(item.nodeid, 0.0))


def pytest_runtest_setup(item: Any) -> None:
    """As a plugin of pytest: what was computed while tests were collected is no mutant's work."""
    for name, module in list(sys.modules.items()):
        if name.startswith(("companion.", "thermo_utils.")):
            for found in list(vars(module).values()):
                if hasattr(found, "cache_clear"):
                    found.cache_clear()


def main(names: list[str]) -> int:
    """Try the mutants whose names match one of ``names`` (all by default) and print the scores."""
    forget_survivors(FOLDER, Path("tests").rglob("*.py"))
    run = subprocess.run(["mutmut", "run", "--max-children", "1", *names], check=False)
    text, enough = summary(read_scores(FOLDER))
    print(f"\n{text}\n\nmutmut results lists the survivors, mutmut show NAME prints one.")
    return run.returncode or int(not enough)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
