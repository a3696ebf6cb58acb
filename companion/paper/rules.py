"""When a number of ours agrees with the paper's, and what outcome follows.

A rule is a name and, for most, a number: ``"within 0.05"``. :data:`RULES` says what each means, in
the words that the book shows, and this is the only place where agreement is decided. Whether our
set-up is the paper's is another question, see :mod:`companion.paper.setup`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple

from companion.paper.published import as_range
from thermo_utils.errors import ThermoError, unknown

__all__ = ["OUTCOMES", "RULES", "Outcome", "Stated", "Value", "agrees", "outcome", "rule_text"]

#: What is measured: a number, a word, or nothing where there is nothing to measure.
Value = float | str | None


class Outcome(StrEnum):
    """What the records say about a claim, as it is printed; the set-up is no part of it."""

    HOLDS = "holds"
    FAILS = "fails"
    NOT_RUN = "not run"


#: Outcomes with their meaning, in the order of the book.
OUTCOMES: Final[Mapping[Outcome, str]] = {
    Outcome.HOLDS: "our value agrees with the paper's by the rule of the row",
    Outcome.FAILS: "it does not agree",
    Outcome.NOT_RUN: "there is no record of real data, or not of all the chapters or seeds it "
    "takes",
}
#: Rounding: a value exactly on the limit agrees.
TINY = 1e-9


class Stated(NamedTuple):
    """One version of what the paper states.

    Attributes
    ----------
    low, high : float
        The number or range; ``nan`` where the statement is a word, ``inf`` where it has no bound.
    word : str
        The word, or ``up to`` for a number; empty otherwise.
    place : str
        Section and paragraph, or table.
    quote : str
        The paper's words.
    """

    low: float
    high: float
    word: str
    place: str
    quote: str

    @property
    def text(self) -> str:
        """The statement as shown."""
        if math.isnan(self.low):
            return self.word
        if math.isinf(self.high):
            return f"at least {self.low:g}"
        return f"{self.word} {as_range(self.low, self.high)}".strip()


class _Rule(NamedTuple):
    short: str
    meaning: str
    holds: Callable[[Any, Stated, float, float], bool]


def _near(value: float, stated: Stated, below: float, above: float) -> bool:
    return stated.low - below - TINY <= value <= stated.high + above + TINY


#: The word of the rule that compares words; all others compare numbers.
SAME: Final = "same"
#: Rules: the short form shown in a row, the meaning, and the comparison of our value, the paper's,
#: the rule's number p and the grid step.
RULES: Final[Mapping[str, _Rule]] = {
    SAME: _Rule(
        "the same",
        "Ours is the paper's word. It takes no number.",
        lambda value, stated, p, step: bool(value == stated.word),
    ),
    "within": _Rule(
        "within {p:g}",
        "Ours is at most *p* away from the paper's number, or from the range it gives.",
        lambda value, stated, p, step: _near(value, stated, p, p),
    ),
    "step": _Rule(
        "within one grid step or {p:.0%}",
        "As *within*, with the larger of two distances: one step of our grid of thresholds, or the "
        "share *p* of the paper's number.",
        lambda value, stated, p, step: _near(
            value, stated, max(step, p * stated.low), max(step, p * stated.high)
        ),
    ),
    "factor": _Rule(
        "within a factor of {p:g}",
        "Ours is at most *p* times more, and at most *p* times less, than the paper's number or "
        "range.",
        lambda value, stated, p, step: bool(
            stated.low / p * (1 - TINY) <= value <= stated.high * p * (1 + TINY)
        ),
    ),
    "at least": _Rule(
        "at least {p:g}",
        "Ours is *p* or more, whatever number the paper gives.",
        lambda value, stated, p, step: bool(value >= p - TINY),
    ),
    "at most": _Rule(
        "at most {p:g}",
        "Ours is *p* or less, whatever number the paper gives.",
        lambda value, stated, p, step: bool(value <= p + TINY),
    ),
    "below": _Rule(
        "below {p:g}",
        "Ours is less than *p*.",
        lambda value, stated, p, step: bool(value < p),
    ),
}


def agrees(rule: str, value: Value, stated: Stated, step: float = 0.0) -> bool:
    """Whether our value agrees with one version of the paper's.

    Parameters
    ----------
    rule : str
        A name from `RULES` and its number, such as ``"within 0.05"``.
    value : float, str or None
        Ours. None, where there was nothing to measure, agrees with nothing, nor does a word where
        numbers are compared.
    stated : Stated
        The paper's.
    step : float, default 0
        Distance of neighbouring thresholds in our full evaluation, for the rule that needs it.

    Returns
    -------
    bool

    Raises
    ------
    ThermoError
        If there is no such rule, or its number is missing or no number.

    Examples
    --------
    >>> peak = Stated(0.3, 0.33, "", "Table 1", "0.30-0.33")
    >>> agrees("step 0.2", 0.36, peak, step=0.03), agrees("step 0.2", 0.42, peak, step=0.03)
    (True, False)
    """
    name, parameter = _parsed(rule)
    if value is None or isinstance(value, str) != (name == SAME):
        return False
    return RULES[name].holds(value, stated, parameter, step)


def rule_text(rule: str) -> str:
    """A rule in the words of the book.

    Parameters
    ----------
    rule : str
        As for :func:`agrees`.

    Returns
    -------
    str

    Raises
    ------
    ThermoError
        As :func:`agrees`.

    Examples
    --------
    >>> rule_text("step 0.2")
    'within one grid step or 20%'
    """
    name, parameter = _parsed(rule)
    return RULES[name].short.format(p=parameter)


def outcome(agreed: bool | None) -> Outcome:
    """The outcome of a claim: the only place where one is given.

    Parameters
    ----------
    agreed : bool or None
        Whether ours agrees with the paper; None where nothing of ours is there to compare.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> [str(outcome(agreed)) for agreed in (True, False, None)]
    ['holds', 'fails', 'not run']
    """
    if agreed is None:
        return Outcome.NOT_RUN
    return Outcome.HOLDS if agreed else Outcome.FAILS


def _parsed(rule: str) -> tuple[str, float]:
    """Name and number of a rule."""
    if rule == SAME:
        return rule, math.nan
    name, _, number = rule.rpartition(" ")
    if name not in RULES or name == SAME:
        raise unknown("rule", name or rule, RULES)
    try:
        return name, float(number)
    except ValueError:
        raise ThermoError(f"rule {rule!r}: {number!r} is no number") from None
