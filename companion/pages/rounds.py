"""Measurements in rounds, in words: ratios, a busy machine, records that are damaged."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from thermo_utils.errors import ThermoError

__all__ = ["BUSY", "are_seconds", "busy", "demanding", "ratio", "ratios"]

#: Processes that were running before, on average, from which on the machine counts as busy.
BUSY = 0.5


def ratios(values: Sequence[float], to: Sequence[float]) -> list[float]:
    """Ratios within the rounds.

    Examples
    --------
    >>> ratios([2.0, 6.0], [1.0, 2.0])
    [2.0, 3.0]
    """
    return [value / other for value, other in zip(values, to, strict=True)]


def ratio(values: Sequence[float], to: Sequence[float], digits: int = 2) -> str:
    """Median of the ratios within the rounds, and their quartiles.

    Examples
    --------
    >>> ratio([2.0, 6.0, 4.0], [1.0, 2.0, 1.0], 1)
    '3.0 (2.5 to 3.5)'
    """
    found = ratios(values, to)
    low, _, high = quantiles(found, n=4, method="inclusive")
    return f"{median(found):.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def busy(facts: Mapping[str, Any]) -> str:
    """What is to be said of the load before, put behind a sentence; empty if it was low.

    Parameters
    ----------
    facts : mapping
        With ``load``, the processes that were running, on average.

    Examples
    --------
    >>> busy({"load": 0.1}), busy({"load": 2.0})
    ('', ' **The machine was busy before** (load 2.0): measure again.')
    """
    if facts["load"] <= BUSY:
        return ""
    return f" **The machine was busy before** (load {facts['load']:.1f}): measure again."


def are_seconds(values: object) -> bool:
    """Whether something read from JSON is a list of positive numbers.

    Examples
    --------
    >>> are_seconds([0.5, 1]), are_seconds([0.0]), are_seconds(None)
    (True, False, False)
    """
    return isinstance(values, list) and all(
        type(v) in (int, float) and math.isfinite(v) and v > 0 for v in values
    )


def demanding(path: Path, again: str) -> Callable[[object, str], None]:
    """What refuses a record.

    Parameters
    ----------
    path : Path
        Of the record.
    again : str
        The command that makes it.

    Returns
    -------
    callable
        ``demand(good, what)`` raises a ThermoError that says `what` unless `good`.
    """

    def demand(good: object, what: str) -> None:
        if not good:
            raise ThermoError(f"{path} is damaged: {what}; make it again with {again}")

    return demand
