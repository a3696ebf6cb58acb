"""Whether a run has the paper's set-up, as far as it matters to a claim.

A record says in words how its run differs from the paper's set-up. Each of these differences is of
a kind, and a kind matters to some of what measures read and not to the rest: a processor to times
alone. ``setup.csv`` is the table:

``kind``, ``why``
    A name, and why it matters to this and not to that.
``pattern``
    What the words of a record look like, a regular expression that fits them whole.
``matters``
    To what, of :data:`companion.paper.measures.READS`.
``unless``
    One of `UNLESS`: when it does not matter after all.

A difference that no pattern fits matters to everything: nothing is the paper's set-up by oversight.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import pandas as pd

from companion.data.specs import DATASETS
from companion.paper.measures import READS
from companion.runs.methods import CURVES
from thermo_utils.errors import ThermoError

__all__ = ["SETUPS", "UNKNOWN", "UNLESS", "Difference", "Kind", "Setup", "differences", "kinds"]


class Setup(StrEnum):
    """Whether the runs behind a claim have the paper's set-up, as it is printed."""

    SAME = "same"
    OTHER = "other"


#: Set-ups with their meaning, in the order of the book.
SETUPS: Final[Mapping[Setup, str]] = {
    Setup.SAME: "nothing that matters to the claim differs from the paper's set-up, as far as we "
    "know it",
    Setup.OTHER: "something that matters to it differs, so that the outcome, whichever it is, says "
    "less about the paper",
}
#: The kind of a difference that no pattern fits.
UNKNOWN: Final = "unknown"
#: Of a timing; records say it of the device, not among the differences.
CPU: Final = "timed on a CPU, not a GPU"
_FILE: Final = Path(__file__).with_name("setup.csv")

_Result = Mapping[str, Any]


class Kind(NamedTuple):
    """A row of ``setup.csv``."""

    kind: str
    pattern: re.Pattern[str]
    matters: frozenset[str]
    unless: str
    why: str


class Difference(NamedTuple):
    """How a run differs from the paper's set-up.

    Attributes
    ----------
    text : str
        The words of the record.
    kind : str
        A name from ``setup.csv``, or `UNKNOWN`.
    matters : frozenset of str
        To what, of :data:`companion.paper.measures.READS`; empty if to nothing.
    """

    text: str
    kind: str
    matters: frozenset[str]


def _stopped_early(found: re.Match[str], result: _Result) -> bool:
    """Whether training ended before the bound on its epochs."""
    return bool(result["metrics"]["epochs"] < result["settings"]["epochs"])


def _as_large(found: re.Match[str], result: _Result) -> bool:
    """Whether images are stored with all the pixels that the networks take."""
    spec = DATASETS.get(result["dataset"])
    return spec is not None and int(found["side"]) >= spec.image_size


#: When a difference does not matter after all, by the words of ``setup.csv``.
UNLESS: Final[Mapping[str, Callable[[re.Match[str], _Result], bool]]] = {
    "stopped early": _stopped_early,
    "as large as taken": _as_large,
    "": lambda found, result: False,
}


@cache
def kinds() -> tuple[Kind, ...]:
    """The table of kinds.

    Returns
    -------
    tuple of Kind

    Raises
    ------
    ThermoError
        If the file names something that does not exist.

    Examples
    --------
    >>> [sorted(kind.matters) for kind in kinds() if kind.kind == "device"]
    [['time']]
    """
    rows = pd.read_csv(_FILE, dtype=str, keep_default_na=False, encoding="utf-8")
    return tuple(_kind(row) for row in rows.to_dict("records"))


def _kind(row: Mapping[Any, str]) -> Kind:
    matters = frozenset(row["matters"].split())
    if strangers := sorted(matters - set(READS)):
        raise ThermoError(f"set-up {row['kind']!r}: {strangers[0]!r} is not one of {list(READS)}")
    if row["unless"] not in UNLESS:
        raise ThermoError(f"set-up {row['kind']!r}: unless {row['unless']!r} is unknown")
    return Kind(row["kind"], re.compile(row["pattern"]), matters, row["unless"], row["why"])


def differences(results: Iterable[_Result]) -> tuple[Difference, ...]:
    """How some runs differ from the paper's set-up, each difference once.

    Parameters
    ----------
    results : iterable of mapping
        The ``result`` of records of one chapter.

    Returns
    -------
    tuple of Difference
        A difference that matters to one of the runs matters.

    Examples
    --------
    >>> bounded = {"differs": ["at most 12 epochs"], "settings": {"epochs": 12}, "stages": {}}
    >>> sorted(differences([{**bounded, "metrics": {"epochs": 12}}])[0].matters)
    ['accuracy', 'energy', 'place']
    >>> sorted(differences([{**bounded, "metrics": {"epochs": 7}}])[0].matters)
    []
    """
    found: dict[str, Difference] = {}
    for result in results:
        for text in (*result["differs"], *_device(result)):
            here = _classified(text, result)
            before = found.get(text, here)
            found[text] = here._replace(matters=here.matters | before.matters)
    return tuple(found.values())


def _device(result: _Result) -> list[str]:
    devices = [result["stages"][name]["device"] for name in CURVES if name in result["stages"]]
    return [CPU] if any(device.startswith("CPU") for device in devices) else []


def _classified(text: str, result: _Result) -> Difference:
    for kind in kinds():
        if fits := kind.pattern.fullmatch(text):
            nothing = UNLESS[kind.unless](fits, result)
            return Difference(text, kind.kind, frozenset() if nothing else kind.matters)
    return Difference(text, UNKNOWN, frozenset(READS))
