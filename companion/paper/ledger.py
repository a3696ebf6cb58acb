"""The claims ledger: what the paper says, what our records say, and whether they agree.

The claims come from :mod:`companion.paper.claims`. What is read off a record for one is in
:mod:`companion.paper.measures`, and when it agrees, in :mod:`companion.paper.rules`.
How those of several seeds and chapters are combined is in :mod:`companion.paper.combining`.
Two questions are kept apart: whether a claim holds, and whether it was asked in the paper's set-up
(:mod:`companion.paper.setup`). A third is whether thresholds that know nothing of the free energy
would satisfy it as well (:mod:`companion.paper.placebo`). All three are computed from the records,
never entered.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from companion.paper.claims import KINDS, Claim, claims
from companion.paper.combining import WAYS, Answer, Runs
from companion.paper.measures import MEASURES, measure
from companion.paper.observed import Observed, observed
from companion.paper.placebo import DRAWS, EMPTY, at_random, first_point
from companion.paper.rules import Outcome, Value, outcome
from companion.paper.setup import Difference, Setup, differences
from companion.runs.chapters import chapter_titles
from companion.runs.records import Record

__all__ = ["CELLS", "Headline", "counts", "evaluated", "headline", "ledger", "of_chapter"]

#: Columns of :func:`counts`, with the outcome and the set-up that each counts.
CELLS: Final[Mapping[str, tuple[Outcome, Setup | None]]] = {
    **{f"{setup}: {what}": (what, setup)
       for setup in Setup for what in (Outcome.HOLDS, Outcome.FAILS)},
    str(Outcome.NOT_RUN): (Outcome.NOT_RUN, None),
}  # fmt: skip


def ledger(records: Mapping[str, Sequence[Record]], *, draws: int = DRAWS) -> pd.DataFrame:
    """Every claim with what the records say about it.

    Parameters
    ----------
    records, draws
        As for :func:`evaluated`.

    Returns
    -------
    DataFrame
        As :func:`evaluated`, in the order of :func:`companion.paper.claims.claims`.
    """
    return evaluated(claims(), records, draws=draws)


def of_chapter(name: str, records: Sequence[Record], *, draws: int = DRAWS) -> pd.DataFrame:
    """The rows of the ledger that are about one chapter alone.

    Parameters
    ----------
    name : str
        The chapter's.
    records : sequence of Record
        Its records.
    draws : int, default `DRAWS`
        As for :func:`evaluated`.

    Returns
    -------
    DataFrame
        As :func:`ledger`.
    """
    own = [claim for claim in claims() if claim.chapters == (name,)]
    return evaluated(own, {name: records}, draws=draws)


def evaluated(
    statements: Iterable[Claim],
    records: Mapping[str, Sequence[Record]],
    *,
    draws: int = DRAWS,
) -> pd.DataFrame:
    """Claims with what the records say about them; no measure of a record is taken twice.

    Parameters
    ----------
    statements : iterable of Claim
        Which claims.
    records : mapping of str to sequence of Record
        Records of a chapter by its name, as :func:`companion.runs.records.read_chapter` returns
        them. Records of synthetic data are passed over: they confirm nothing.
    draws : int, default `DRAWS`
        Random thresholds of each record, one or more.

    Returns
    -------
    DataFrame
        A row per claim: ``id``, ``kind``, ``chapters`` (tuple), ``claim``, ``stated`` (tuple of
        Stated), ``paper``, ``ours``, ``rule``, ``agrees with`` (places of the versions that ours
        agrees with), ``outcome``, ``setup`` (a Setup, or empty where a chapter was not run),
        ``differs`` and ``differs elsewhere`` (how the runs differ from the paper's set-up, as far
        as it matters to the claim and as far as it does not), ``first point`` (whether the first
        threshold of the grid satisfies it), ``random`` (the share of random thresholds that do)
        and ``placebo`` (whether one of the two makes it as good as empty); None and ``nan`` where
        the claim does not look at the threshold that the free energy gives, or was not run.
    """
    found = {
        name: _Chapter.of(name, real, draws)
        for name, given in records.items()
        if (real := [record for record in given if not record.result["synthetic"]])
    }
    return pd.DataFrame([_row(claim, found) for claim in statements], columns=_COLUMNS)


def counts(table: pd.DataFrame) -> pd.DataFrame:
    """How many claims of each kind hold and fail, in the paper's set-up and in another.

    Parameters
    ----------
    table : DataFrame
        A ledger.

    Returns
    -------
    DataFrame
        A row per kind and ``all``, a column for each of `CELLS` and ``all``.
    """
    columns = {
        name: (table["outcome"] == what) & ((table["setup"] == setup) | (setup is None))
        for name, (what, setup) in CELLS.items()
    }
    found = pd.DataFrame(columns).groupby(table["kind"]).sum()
    found = found.reindex(index=list(KINDS), columns=list(CELLS), fill_value=0).astype(int)
    found.loc["all"] = found.sum()
    return found.assign(all=found.sum(axis=1))


class Headline(NamedTuple):
    """What the ledger comes to, for claims of one set-up."""

    #: Claims that hold, and that fail.
    holds: int
    fails: int
    #: Claims that hold and would for a threshold that knows nothing of the free energy.
    empty: int


def headline(table: pd.DataFrame) -> dict[Setup, Headline]:
    """The counts to quote, by set-up.

    Parameters
    ----------
    table : DataFrame
        A ledger.

    Returns
    -------
    dict of Setup to Headline
    """
    holds, fails = table["outcome"] == Outcome.HOLDS, table["outcome"] == Outcome.FAILS
    empty = holds & (table["placebo"] == True)  # noqa: E712  None is not False
    return {
        setup: Headline(*(int((here & (table["setup"] == setup)).sum())
                          for here in (holds, fails, empty)))
        for setup in Setup
    }  # fmt: skip


_COLUMNS: Final = [
    "id", "kind", "chapters", "claim", "stated", "paper", "ours", "rule", "agrees with", "outcome",
    "setup", "differs", "differs elsewhere", "first point", "random", "placebo",
]  # fmt: skip


class _Chapter:
    """The records of a chapter, as found and with every placebo; each measure is taken once."""

    def __init__(
        self, settings: Sequence[Sequence[Observed]], found: tuple[Difference, ...]
    ) -> None:
        self._settings, self.differences = settings, found
        self.step = settings[0][0].step
        self._known: dict[str, list[list[Value]]] = {}

    @classmethod
    def of(cls, name: str, records: Sequence[Record], draws: int) -> _Chapter:
        """From records of real data, at least one."""
        seeds = [observed(record) for record in records]
        drawn = [at_random(seen, f"{name} {k}", draws) for k, seen in enumerate(seeds)]
        placed = [[first_point(seen) for seen in seeds], *map(list, zip(*drawn, strict=True))]
        return cls([seeds, *placed], differences(record.result for record in records))

    def read(self, name: str, setting: int) -> list[Value]:
        """A measure of each seed; setting 0 is what was found, 1 the first point, then draws."""
        if name not in self._known:
            number = len(self._settings) if MEASURES[name].placed else 1
            self._known[name] = [
                [measure(name, seen) for seen in self._settings[k]] for k in range(number)
            ]
        return self._known[name][setting]

    @property
    def draws(self) -> range:
        """Settings with random thresholds."""
        return range(2, len(self._settings))


def _row(claim: Claim, found: Mapping[str, _Chapter]) -> dict[str, Any]:
    here = {name: found[name] for name in claim.chapters if name in found}
    matters = _differing(claim, here, matters=True)
    whole = len(here) == len(claim.chapters)
    first, share = None, np.nan
    if whole:
        answer = _answer(claim, here, 0, matters)
        if answer.agreed is not None and MEASURES[claim.measure].placed:
            first, share = _placebos(claim, here)
    else:
        number = f"{len(here)} of {len(claim.chapters)} chapters run"
        answer = Answer(number if here else "", None)
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
        "outcome": outcome(answer.agreed),
        "setup": "" if not whole else Setup.OTHER if any(matters.values()) else Setup.SAME,
        "differs": _listed(matters),
        "differs elsewhere": _listed(_differing(claim, here, matters=False)),
        "first point": first,
        "random": share,
        "placebo": None if first is None else first or share >= EMPTY,
    }


def _answer(
    claim: Claim, here: Mapping[str, _Chapter], setting: int, matters: Mapping[str, Sequence[str]]
) -> Answer:
    runs = Runs(
        {name: chapter.read(claim.measure, setting) for name, chapter in here.items()},
        {name: chapter.step for name, chapter in here.items()},
        [name for name in here if not matters[name]],
    )
    return WAYS[claim.over](claim, runs)


def _placebos(claim: Claim, here: Mapping[str, _Chapter]) -> tuple[bool, float]:
    """Whether the first point of the grid satisfies a claim, and what share of random ones."""
    nothing: dict[str, list[str]] = {name: [] for name in here}
    draws = min((chapter.draws for chapter in here.values()), key=len)
    first, *others = (
        bool(_answer(claim, here, setting, nothing).agreed) for setting in (1, *draws)
    )
    return first, float(np.mean(others))


def _differing(
    claim: Claim, here: Mapping[str, _Chapter], *, matters: bool
) -> dict[str, list[str]]:
    """How the runs of each chapter differ, as far as it matters to a claim, or as far as not."""
    reads = MEASURES[claim.measure].reads
    return {
        name: [d.text for d in chapter.differences if bool(d.matters & reads) is matters]
        for name, chapter in here.items()
    }


def _listed(notes: Mapping[str, Sequence[str]]) -> str:
    """Differences, each once; of which chapters, if there are several."""
    chapters: dict[str, list[str]] = {}
    for name, found in notes.items():
        for note in found:
            chapters.setdefault(note, []).append(name)
    if len(notes) == 1:
        return "; ".join(chapters)
    return "; ".join(f"{note} ({chapter_titles(names)})" for note, names in chapters.items())
