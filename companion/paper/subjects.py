"""Which claims of the paper a sentence of the conclusion is about.

``subjects.csv`` says so: a row names a subject, and either one claim by its name or all claims that
read one measure off the records. A subject is named as it is printed.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

import pandas as pd

from companion.paper.claims import claims
from thermo_utils.errors import ThermoError, unknown

__all__ = ["SUBJECTS", "claims_about"]

_FILE: Final = Path(__file__).with_name("subjects.csv")
_ROWS: Final = pd.read_csv(_FILE, dtype=str, keep_default_na=False, encoding="utf-8")
#: Names of the subjects.
SUBJECTS: Final = tuple(dict.fromkeys(_ROWS["subject"]))


def claims_about(subject: str) -> tuple[str, ...]:
    """Names of the claims that are about a subject.

    Parameters
    ----------
    subject : str
        One of `SUBJECTS`.

    Returns
    -------
    tuple of str
        In the order of :func:`companion.paper.claims.claims`.

    Raises
    ------
    ThermoError
        If there is no such subject, or the file names a claim or a measure that no claim has.

    Examples
    --------
    >>> claims_about("nearness renormalized")
    ('rfe-onset',)
    """
    if subject not in SUBJECTS:
        raise unknown("subject", subject, SUBJECTS)
    return _by_subject()[subject]


@cache
def _by_subject() -> dict[str, tuple[str, ...]]:
    every = claims()
    found: dict[str, set[str]] = {subject: set() for subject in SUBJECTS}
    for row in _ROWS.itertuples():
        named = {
            claim.id
            for claim in every
            if (row.by == "claim" and claim.id == row.value)
            or (row.by == "measure" and claim.measure == row.value)
        }
        if not named:
            raise ThermoError(
                f"{_FILE.name}: no claim has the {row.by} {row.value!r} of {row.subject!r}"
            )
        found[str(row.subject)] |= named
    return {
        subject: tuple(claim.id for claim in every if claim.id in named)
        for subject, named in found.items()
    }
