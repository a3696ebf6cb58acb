"""What the commands that measure have in common: errors, and work that goes on where it stopped."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tqdm import tqdm

from companion.runs.records import to_json
from thermo_utils.errors import ThermoError
from thermo_utils.files import write_atomically

__all__ = ["exit_code", "in_parts", "kept"]


def exit_code(work: Callable[[], object], *, resumes: bool = True) -> int:
    """Do something, and say in one line on standard error why it failed.

    Parameters
    ----------
    work : callable
        Without arguments.
    resumes : bool, default True
        Whether the same command goes on where an interrupt stopped it, which is said then; else an
        interrupt is the caller's.

    Returns
    -------
    int
        0, 2 after a ThermoError or OSError, 130 after an interrupt.
    """
    try:
        work()
    except (ThermoError, OSError) as error:
        print(f"benchmarks: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        if not resumes:
            raise
        print("benchmarks: interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def in_parts(
    todo: Mapping[str, Callable[[], Any]], path: Path, made: Any, *, desc: str, unit: str
) -> dict[str, Any]:
    """Measure part by part; finished parts wait in a file.

    Parameters
    ----------
    todo : mapping of str to callable
        Makers of the parts, by name.
    path : Path
        The file; who has all parts deletes it.
    made : object
        What all parts must have in common, as JSON has it. Parts made otherwise are not gone on
        with.
    desc, unit : str
        Of the progress bar.

    Returns
    -------
    dict
        All parts, in the order of `todo`.
    """
    done = kept(path, made)
    for name, make in tqdm(todo.items(), desc=desc, unit=unit):
        if name not in done:
            done[name] = make()
            write_atomically(path, to_json({"made": made, "parts": done}) + "\n")
    return {name: done[name] for name in todo}


def kept(path: Path, made: Any) -> dict[str, Any]:
    """Finished parts of an interrupted run, if it was of the same code on the same ground.

    Parameters
    ----------
    path, made
        As for :func:`in_parts`.

    Returns
    -------
    dict
        By name; empty if there are none to go on with.
    """
    try:
        found = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return found["parts"] if isinstance(found, dict) and found.get("made") == made else {}
