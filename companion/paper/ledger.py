"""The claims ledger: what the paper says, what our records say, and whether they agree.

The claims come from :mod:`companion.paper.claims`. What is read off a record for one is in
:mod:`companion.paper.measures`, and when it agrees, in :mod:`companion.paper.rules`.
Verdicts are computed from the records, never entered.

With several seeds a number is their mean, as in the paper, and a word that of more than half of
them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from statistics import mean, stdev
from typing import Any, Final, NamedTuple

import pandas as pd

from companion.paper.claims import KINDS, Claim, claims
from companion.paper.measures import TIMED, measure
from companion.paper.rules import VERDICTS, Value, agrees, verdict
from companion.runs.records import Record

__all__ = ["claims", "counts", "ledger", "of_chapter"]

_Reader = Callable[[str, Record], Value]
#: Fewer runs than this say nothing about seeds.
LEAST_SEEDS: Final = 3


def ledger(records: Mapping[str, Sequence[Record]]) -> pd.DataFrame:
    """Every claim with what the records say about it.

    Parameters
    ----------
    records : mapping of str to sequence of Record
        Records of a chapter by its name, as :func:`companion.runs.records.read_chapter` returns
        them. Records of synthetic data are passed over: they confirm nothing.

    Returns
    -------
    DataFrame
        A row per claim, in the order of :func:`claims`: ``id``, ``kind``, ``chapters`` (tuple),
        ``claim``, ``stated`` (tuple of Stated), ``paper``, ``ours``, ``rule``, ``agrees with``
        (places of the versions that ours agrees with), ``setup`` (how the runs differ from the
        paper's set-up) and ``verdict``.
    """
    real = {
        name: [record for record in found if not record.result["synthetic"]]
        for name, found in records.items()
    }
    read = _reader()
    return pd.DataFrame([_row(claim, real, read) for claim in claims()])


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
    table = ledger({name: records})
    return table[[chapters == (name,) for chapters in table["chapters"]]].reset_index(drop=True)


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


class _Found(NamedTuple):
    """What the records say about a claim."""

    ours: str
    agreed: bool | None
    excused: bool
    places: tuple[str, ...] = ()


def _reader() -> _Reader:
    """:func:`measure`, once for each record: many claims ask for the same."""
    known: dict[tuple[str, int], Value] = {}

    def read(name: str, record: Record) -> Value:
        key = name, id(record)
        if key not in known:
            known[key] = measure(name, record)
        return known[key]

    return read


def _row(claim: Claim, records: Mapping[str, Sequence[Record]], read: _Reader) -> dict[str, Any]:
    runs = {name: records.get(name, ()) for name in claim.chapters}
    differ = {name: _differences(found, claim.measure in TIMED) for name, found in runs.items()}
    found = _find(claim, runs, {name: bool(notes) for name, notes in differ.items()}, read)
    chapters: dict[str, list[str]] = {}
    for name, notes in differ.items():
        for note in notes:
            chapters.setdefault(note, []).append(name)
    several = len(claim.chapters) > 1
    setup = [f"{note} ({', '.join(n)})" if several else note for note, n in chapters.items()]
    return {
        "id": claim.id,
        "kind": claim.kind,
        "chapters": claim.chapters,
        "claim": claim.text,
        "stated": claim.stated,
        "paper": "; ".join(dict.fromkeys(version.text for version in claim.stated)),
        "ours": found.ours,
        "rule": claim.rule_text,
        "agrees with": found.places,
        "setup": "; ".join(setup),
        "verdict": verdict(found.agreed, excused=found.excused),
    }


def _find(
    claim: Claim,
    records: Mapping[str, Sequence[Record]],
    differ: Mapping[str, bool],
    read: _Reader,
) -> _Found:
    """Combine the records of a claim's chapters and compare."""
    there = sum(bool(found) for found in records.values())
    if there < len(records):
        ours = f"{there} of {len(records)} chapters run" if there else ""
        return _Found(ours, None, False)
    runs = {name: [read(claim.measure, r) for r in found] for name, found in records.items()}
    steps = {name: read("grid step", found[0]) for name, found in records.items()}
    excused = any(differ.values())
    if claim.over == "one":
        name = claim.chapters[0]
        return _compared(claim, _combined(runs[name]), _listed(runs[name]), excused, steps[name])
    if claim.over == "seeds":
        return _over_seeds(claim, runs[claim.chapters[0]], excused)
    values = {name: _combined(found) for name, found in runs.items()}
    if claim.over in ("all", "most"):
        return _counted(claim, values, differ, steps)
    if claim.over in ("alike", "unlike"):
        found = set(values.values())
        word = None if None in found else "the same" if len(found) == 1 else "differs"
        ours = ", ".join(_shown(value) for value in values.values())
        return _compared(claim, word, ours, excused)
    if claim.over == "less":
        return _difference(claim, values, excused)
    known = [value for value in values.values() if isinstance(value, float)]
    ours = ", ".join(_shown(value) for value in values.values())
    if len(known) < len(values):
        return _compared(claim, None, ours, excused)
    value = max(known) if claim.over == "largest" else max(known) - min(known)
    return _compared(claim, value, f"{_shown(value)} ({ours})", excused)


def _compared(claim: Claim, value: Value, ours: str, excused: bool, step: Value = None) -> _Found:
    """Compare one value with every version of the paper's."""
    good = tuple(v.place for v in claim.stated if agrees(claim.rule, value, v, step))
    return _Found(ours, bool(good), excused, good)


def _over_seeds(claim: Claim, values: Sequence[Value], excused: bool) -> _Found:
    """Standard deviation over seeds as a share of the mean."""
    if len(values) < LEAST_SEEDS:
        seeds = "seed" if len(values) == 1 else "seeds"
        return _Found(f"{len(values)} {seeds} run, {LEAST_SEEDS} needed", None, excused)
    known = [value for value in values if isinstance(value, float)]
    if len(known) < len(values) or mean(known) == 0:
        return _compared(claim, None, _listed(values), excused)
    spread = stdev(known) / mean(known)
    return _compared(claim, spread, f"{_shown(spread)} ({', '.join(map(_shown, known))})", excused)


def _counted(
    claim: Claim,
    values: Mapping[str, Value],
    differ: Mapping[str, bool],
    steps: Mapping[str, Value],
) -> _Found:
    """Whether enough chapters agree, and whether those with another set-up decide it."""
    good = {
        name: any(agrees(claim.rule, value, v, steps[name]) for v in claim.stated)
        for name, value in values.items()
    }

    def enough(number: int) -> bool:
        return number == len(good) if claim.over == "all" else 2 * number > len(good)

    failed = [name for name, agreed in good.items() if not agreed]
    ours = f"{len(good) - len(failed)} of {len(good)} chapters"
    if 0 < len(failed) <= 3:
        ours += f", not {' or '.join(f'{name} ({_shown(values[name])})' for name in failed)}"
    excused = enough(sum(agreed or differ[name] for name, agreed in good.items()))
    places = tuple(version.place for version in claim.stated) if enough(sum(good.values())) else ()
    return _Found(ours, enough(sum(good.values())), excused, places)


def _difference(claim: Claim, values: Mapping[str, Value], excused: bool) -> _Found:
    """Mean of the first group less that of the second, over chapters that have the measure."""
    groups = [
        [value for name in group if isinstance(value := values[name], float)]
        for group in claim.groups
    ]
    if not all(groups):
        return _compared(claim, None, "nothing to compare", excused)
    first, second = (mean(group) for group in groups)
    ours = f"{_shown(first)} less {_shown(second)}"
    missing = len(values) - sum(map(len, groups))
    if missing:
        ours += f" ({missing} of {len(values)} chapters without)"
    return _compared(claim, first - second, ours, excused)


def _combined(values: Sequence[Value]) -> Value:
    """One value for all seeds: the mean, or the word of more than half of them.

    None where half of the seeds or more have none.
    """
    known = [value for value in values if value is not None]
    if 2 * len(known) <= len(values):
        return None
    numbers = [value for value in known if isinstance(value, float)]
    if numbers:
        return mean(numbers)
    word, number = Counter(known).most_common(1)[0]
    return word if 2 * number > len(values) else None


def _listed(values: Sequence[Value]) -> str:
    """What the seeds gave, after what they give together."""
    texts = [_shown(value) for value in values]
    if len(set(texts)) == 1:
        return texts[0] if len(texts) == 1 else f"{texts[0]} (all {len(texts)} seeds)"
    together = _combined(values)
    return (
        f"{_shown(together)} (seeds: {', '.join(texts)})"
        if isinstance(together, float)
        else ", ".join(texts)
    )


def _shown(value: Value) -> str:
    if value is None:
        return "none found"
    return value if isinstance(value, str) else f"{value:.3g}"


def _differences(records: Sequence[Record], timed: bool) -> list[str]:
    """How the runs of a chapter differ from the paper's set-up, as their records tell."""
    return list(dict.fromkeys(note for r in records for note in _notes(r.result, timed)))


def _notes(result: Mapping[str, Any], timed: bool) -> list[str]:
    notes = list(result["differs"])
    devices = {result["stages"][stage]["device"] for stage in ("full", "renormalized")}
    if timed and any(device.startswith("CPU") for device in devices):
        notes.append("timed on a CPU, not a GPU")
    return notes
