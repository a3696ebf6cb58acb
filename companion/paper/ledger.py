"""The claims ledger: what the paper says, what our records say, and whether they agree.

The claims come from :mod:`companion.paper.claims`. What is read off a record for one is in
:mod:`companion.paper.measures`, and when it agrees, in :mod:`companion.paper.rules`.
How those of several seeds and chapters are combined is in :mod:`companion.paper.combining`.
Verdicts are computed from the records, never entered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import pandas as pd

from companion.paper.claims import KINDS, Claim, claims
from companion.paper.combining import WAYS, Answer, Runs
from companion.paper.measures import TIMED, measure
from companion.paper.rules import VERDICTS, Value, verdict
from companion.runs.methods import CURVES
from companion.runs.records import Record
from thermo_utils.grids import grid_step

__all__ = ["counts", "evaluated", "ledger", "of_chapter"]


def ledger(records: Mapping[str, Sequence[Record]]) -> pd.DataFrame:
    """Every claim with what the records say about it.

    Parameters
    ----------
    records : mapping of str to sequence of Record
        As for :func:`evaluated`.

    Returns
    -------
    DataFrame
        As :func:`evaluated`, in the order of :func:`companion.paper.claims.claims`.
    """
    return evaluated(claims(), records)


def of_chapter(name: str, records: Sequence[Record]) -> pd.DataFrame:
    """The rows of the ledger that are about one chapter alone.

    Parameters
    ----------
    name : str
        The chapter's.
    records : sequence of Record
        Its records.

    Returns
    -------
    DataFrame
        As :func:`ledger`.
    """
    return evaluated([c for c in claims() if c.chapters == (name,)], {name: records})


def evaluated(statements: Iterable[Claim], records: Mapping[str, Sequence[Record]]) -> pd.DataFrame:
    """Claims with what the records say about them; no measure of a record is taken twice.

    Parameters
    ----------
    statements : iterable of Claim
        Which claims.
    records : mapping of str to sequence of Record
        Records of a chapter by its name, as :func:`companion.runs.records.read_chapter` returns
        them. Records of synthetic data are passed over: they confirm nothing.

    Returns
    -------
    DataFrame
        A row per claim: ``id``, ``kind``, ``chapters`` (tuple), ``claim``, ``stated`` (tuple of
        Stated), ``paper``, ``ours``, ``rule``, ``agrees with`` (places of the versions that ours
        agrees with), ``setup`` (how the runs differ from the paper's set-up) and ``verdict``.
    """
    real = {
        name: [record for record in found if not record.result["synthetic"]]
        for name, found in records.items()
    }
    steps = {name: grid_step(found[0].curve("full")) for name, found in real.items() if found}
    read = _reader()
    return pd.DataFrame([_row(claim, real, steps, read) for claim in statements], columns=_COLUMNS)


def counts(table: pd.DataFrame) -> pd.DataFrame:
    """How many claims of each kind have which verdict.

    Parameters
    ----------
    table : DataFrame
        A ledger.

    Returns
    -------
    DataFrame
        A row per kind and ``all``, a column per verdict and ``all``.
    """
    found = pd.crosstab(table["kind"], table["verdict"])
    found = found.reindex(index=list(KINDS), columns=list(VERDICTS), fill_value=0)
    found.loc["all"] = found.sum()
    return found.assign(all=found.sum(axis=1))


_Reader = Callable[[str, Record], Value]
_COLUMNS: Final = [
    "id", "kind", "chapters", "claim", "stated", "paper", "ours", "rule", "agrees with", "setup",
    "verdict",
]  # fmt: skip


def _reader() -> _Reader:
    """:func:`measure`, once for each record: many claims ask for the same."""
    known: dict[tuple[str, int], Value] = {}

    def read(name: str, record: Record) -> Value:
        key = name, id(record)
        if key not in known:
            known[key] = measure(name, record)
        return known[key]

    return read


def _row(
    claim: Claim,
    records: Mapping[str, Sequence[Record]],
    steps: Mapping[str, float],
    read: _Reader,
) -> dict[str, Any]:
    there = {name: records.get(name, ()) for name in claim.chapters}
    notes = {name: _differences(found, claim.measure in TIMED) for name, found in there.items()}
    missing = [name for name, found in there.items() if not found]
    if missing:
        number = len(there) - len(missing)
        answer = Answer(f"{number} of {len(there)} chapters run" if number else "", None, False)
    else:
        runs = Runs(
            {name: [read(claim.measure, r) for r in found] for name, found in there.items()},
            {name: bool(differences) for name, differences in notes.items()},
            steps,
        )
        answer = WAYS[claim.over](claim, runs)
    return {
        "id": claim.id,
        "kind": claim.kind,
        "chapters": claim.chapters,
        "claim": claim.text,
        "stated": claim.stated,
        "paper": "; ".join(dict.fromkeys(version.text for version in claim.stated)),
        "ours": answer.ours,
        "rule": claim.rule_text,
        "agrees with": answer.places,
        "setup": _setup(notes),
        "verdict": verdict(answer.agreed, excused=answer.excused),
    }


def _setup(notes: Mapping[str, Sequence[str]]) -> str:
    """How the runs differ from the paper's set-up, each difference once; which, if several."""
    chapters: dict[str, list[str]] = {}
    for name, differences in notes.items():
        for note in differences:
            chapters.setdefault(note, []).append(name)
    if len(notes) == 1:
        return "; ".join(chapters)
    return "; ".join(f"{note} ({', '.join(names)})" for note, names in chapters.items())


def _differences(records: Sequence[Record], timed: bool) -> list[str]:
    """How the runs of a chapter differ from the paper's set-up, as their records tell."""
    return list(dict.fromkeys(note for r in records for note in _notes(r.result, timed)))


def _notes(result: Mapping[str, Any], timed: bool) -> list[str]:
    notes = list(result["differs"])
    devices = {result["stages"][stage]["device"] for stage in CURVES}
    if timed and any(device.startswith("CPU") for device in devices):
        notes.append("timed on a CPU, not a GPU")
    return notes
