"""*What it survives*: tests that inject faults, and the last soak, as Markdown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from companion.pages.escape import in_markdown
from companion.pages.tables import counted, markdown
from thermo_utils.errors import ThermoError

__all__ = ["faults_table", "read_facts", "soak_text"]


def read_facts(path: Path) -> dict[str, Any] | None:
    """What ``benchmarks.faults`` or ``benchmarks.soak`` wrote.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    dict or None
        None where there is no such file.

    Raises
    ------
    ThermoError
        If it is damaged.
    """
    try:
        facts = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ThermoError(f"{path} is damaged: {error}; delete it and make it again") from error
    if not isinstance(facts, dict):
        raise ThermoError(f"{path} is damaged: delete it and make it again")
    return facts


def faults_table(facts: dict[str, Any] | None) -> str:
    """A row per test, under its subject.

    Parameters
    ----------
    facts : dict or None
        Of ``results/faults.json``.

    Returns
    -------
    str
        Markdown.
    """
    if facts is None:
        return "Not run yet: `python -m benchmarks.faults` does it.\n"
    parts = []
    for subject, run in facts["subjects"].items():
        parts += [f"## {in_markdown(subject)}", _when(run)]
        cells = [[_words(row["test"]), _fate(row)] for row in run["tests"]]
        parts.append(markdown(["what is done, and what must come of it", "cases"], cells))
    return "\n\n".join(parts) + "\n"


def soak_text(facts: dict[str, Any] | None) -> str:
    """What the last soak came to, in a sentence or two.

    Parameters
    ----------
    facts : dict or None
        Of ``results/soak.json``.

    Returns
    -------
    str
        Markdown.
    """
    if facts is None:
        return "Not run yet: `python -m benchmarks.soak` does it.\n"
    faults = ", ".join(f"{in_markdown(name)} ({n})" for name, n in facts["faults"].items())
    different = len(facts["different"])
    return (
        f"In {facts['minutes']:g} minutes, {counted(facts['rounds'], 'chapter')} met "
        f"{counted(sum(facts['faults'].values()), 'fault')}: {faults}. "
        f"**{counted(different, 'difference')}** to undisturbed runs. {_when(facts)}\n"
    )


def _when(facts: dict[str, Any]) -> str:
    commit = in_markdown((facts["git_commit"] or "unknown")[:10])
    return f"Last run on {in_markdown(facts['date'])}, commit {commit}."


def _words(test: str) -> str:
    return in_markdown(test.removeprefix("test_").replace("_", " "))


def _fate(row: dict[str, Any]) -> str:
    cases = row["passed"] + row["failed"]
    parts = [f"{row['passed']} of {cases} passed"] if cases else []
    return ", ".join([*parts, *([f"{row['skipped']} skipped"] if row["skipped"] else [])])
