"""Which number of a class stands for which label: the step at which a score is silently wrong."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from thermo_utils.errors import ThermoError

__all__ = ["Numbered", "numbered"]

#: How Hugging Face names classes that nobody has named.
UNNAMED = re.compile(r"LABEL_\d+")
#: Names that a message lists.
LISTED = 8


@dataclass(frozen=True)
class Numbered:
    """Labels as the network counts its classes.

    Attributes
    ----------
    numbers : list of int, or of float where a value is predicted
    meaning : dict of int to str
        What each number of the data stands for; empty for values.
    how : str
        How the numbers were found, for the report.
    """

    numbers: list[int] | list[float]
    meaning: Mapping[int, str] = field(default_factory=dict)
    how: str = ""


def numbered(
    labels: Sequence[int | float | str],
    *,
    classes: Mapping[int, str] | None = None,
    outputs: int | None = None,
    names: Sequence[str] | None = None,
) -> Numbered:
    """Class numbers of labels.

    Parameters
    ----------
    labels : sequence of int, float or str
        Of all examples.
    classes : mapping of int to str, optional
        Names of the network's classes, if it has any.
    outputs : int, optional
        Number of the network's classes; one means that it predicts a value.
    names : sequence of str, optional
        What the numbers of the data stand for, as a data set says; else they are taken as they are.

    Returns
    -------
    Numbered
        Names are found among the network's own; where it has none they are sorted, which is only
        done if there are as many as the network has classes.

    Raises
    ------
    ThermoError
        If a label is none of the network's classes.

    Examples
    --------
    >>> numbered(["dog", "cat", "dog"], classes={0: "dog", 1: "cat"}).numbers
    [0, 1, 0]
    >>> numbered(["dog", "cat", "dog"], outputs=2).numbers
    [1, 0, 1]
    """
    if outputs == 1:
        return _values(labels)
    own = _named(classes)
    if outputs is None and classes:
        outputs = max(classes) + 1
    if own and all(name.strip().isdecimal() for name in own.values()) and names is None:
        labels = [str(label) for label in labels]  # names that are numerals: stars, digits
    if all(isinstance(label, int) for label in labels):
        if names is None:
            return _as_given([int(label) for label in labels], own, outputs)
        _check_range([int(label) for label in labels], len(names), "the data set's classes")
        found = _matched(names, own) if own else None
        if found is None:
            taken = _as_given([int(label) for label in labels], {}, outputs)
            meaning = {number: names[number] for number in taken.meaning}
            odd = (
                f" Their names are not the network's ({_some(own.values())}): make sure that both "
                "count in the same order."
                if own
                else ""
            )
            return Numbered(
                taken.numbers, meaning, f"the data set's own class numbers, as they are.{odd}"
            )
        return Numbered(
            [found[int(label)] for label in labels],
            {found[n]: names[n] for n in range(len(names))},
            "the data set's class names, found among the network's",
        )
    if any(isinstance(label, float) for label in labels):
        raise ThermoError(
            "labels are fractions, and the network has classes: give class numbers or names"
        )
    given = sorted({str(label) for label in labels})
    if own:
        found = _matched(given, own)
        if found is None:
            strange = [name for name in given if _matched([name], own) is None] or given
            raise ThermoError(
                f"no single class of the network is called {_some(strange)}: its classes are "
                f"{_some(own.values())}; rename the labels, or give class numbers"
            )
        number = {name: found[i] for i, name in enumerate(given)}
        how = "found among the network's class names"
    else:
        if outputs is not None and len(given) != outputs:
            raise ThermoError(
                f"the data have {len(given)} labels ({_some(given)}) and the network {outputs} "
                "classes without names: give class numbers, or a network that names its classes "
                "(id2label in config.json)"
            )
        number = {name: i for i, name in enumerate(given)}
        how = (
            "names in alphabetical order, for the network does not name its classes. "
            "Make sure that it was trained with this order."
        )
    numbers = [number[str(label)] for label in labels]
    return Numbered(numbers, {number[name]: name for name in given}, how)


def _values(labels: Sequence[int | float | str]) -> Numbered:
    words = [label for label in labels if isinstance(label, str)]
    if words:
        raise ThermoError(
            f"the network has a single output, so it predicts a value, and {words[0]!r} is no "
            "number: give numbers as labels"
        )
    return Numbered([float(label) for label in labels], how="values, for there is a single output")


def _as_given(numbers: list[int], own: Mapping[int, str], outputs: int | None) -> Numbered:
    if outputs is not None:
        _check_range(numbers, outputs, "the network's classes")
    elif min(numbers) < 0:
        raise ThermoError(f"a label is {min(numbers)}: number the classes from 0")
    met = sorted(set(numbers))
    return Numbered(
        numbers, {number: own.get(number, str(number)) for number in met}, "class numbers, as given"
    )


def _check_range(numbers: Sequence[int], count: int, what: str) -> None:
    low, high = min(numbers), max(numbers)
    if low < 0 or high >= count:
        raise ThermoError(
            f"labels run from {low} to {high}, and {what} from 0 to {count - 1}: number the "
            "labels from 0, or give names"
        )


def _named(classes: Mapping[int, str] | None) -> dict[int, str]:
    """The names of the network's classes, if somebody has given any."""
    own = dict(classes or {})
    return {} if all(UNNAMED.fullmatch(name) for name in own.values()) else own


def _matched(names: Sequence[str], own: Mapping[int, str]) -> list[int] | None:
    """The network's number for each name, None if one of them is not, or not for certain, known."""
    exact, lowered = defaultdict(list), defaultdict(list)
    for number, name in own.items():
        exact[name].append(number)
        lowered[name.strip().lower()].append(number)
    found = [exact.get(name) or lowered.get(str(name).strip().lower(), []) for name in names]
    # ImageNet has two classes that are called crane.
    if any(len(numbers) != 1 for numbers in found):
        return None
    numbers = [number for (number,) in found]
    return numbers if len(set(numbers)) == len(numbers) else None


def _some(names: object) -> str:
    listed = [str(name) for name in names]  # type: ignore[attr-defined]
    more = f" and {len(listed) - LISTED} more" if len(listed) > LISTED else ""
    return ", ".join(listed[:LISTED]) + more
