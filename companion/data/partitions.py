"""Which images are trained on and which are tested on: the official parts, or others.

The paper states the official parts. Where its numbers lie elsewhere they can be looked for here.
Imports no torch.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from thermo_utils.errors import ThermoError

if TYPE_CHECKING:
    import datasets

__all__ = ["OFFICIAL", "check_split", "parted", "split_in_words"]

OFFICIAL, SWAPPED = "official", "swapped"
POOLED = re.compile(r"pooled-([1-9]\d?)-([1-9]\d?)-([1-9]\d?)")
SHAPES = f"{OFFICIAL!r}, {SWAPPED!r}, or percentages of all images such as 'pooled-80-10-10'"


def check_split(split: str) -> str:
    """Refuse a split that is none.

    Parameters
    ----------
    split : str
        ``"official"``; ``"swapped"``: the official test and training parts change places;
        ``"pooled-A-B-C"``: all parts together, drawn anew, A, B and C percent of each class to
        train, validate and test on.

    Returns
    -------
    str
        The same.

    Raises
    ------
    ThermoError
        If it is none of these, or the percentages are not above zero and 100 together.

    Examples
    --------
    >>> check_split("pooled-80-10-10")
    'pooled-80-10-10'
    """
    if split in (OFFICIAL, SWAPPED):
        return split
    if not POOLED.fullmatch(split):
        raise ThermoError(f"unknown split {split!r}: take {SHAPES}")
    shares = _shares(split)
    if sum(shares) != 100:
        raise ThermoError(f"split {split!r}: the percentages must sum to 100, not to {sum(shares)}")
    return split


def split_in_words(split: str) -> str:
    """A split for those who read a record.

    Parameters
    ----------
    split : str
        See :func:`check_split`.

    Returns
    -------
    str

    Examples
    --------
    >>> split_in_words("pooled-80-10-10")
    'random 80/10/10 split instead of the official one'
    """
    if split == OFFICIAL:
        return "official split"
    if split == SWAPPED:
        return "trained on the official test part and tested on the official training part"
    return f"random {'/'.join(map(str, _shares(split)))} split instead of the official one"


def parted(parts: datasets.DatasetDict, split: str, seed: int, title: str) -> datasets.DatasetDict:
    """The examples of a dataset in other parts.

    Parameters
    ----------
    parts : DatasetDict
        ``train`` and ``test``, and ``validation`` where there is an official one.
    split : str
        See :func:`check_split`.
    seed : int
        Of a pooled split.
    title : str
        The dataset in messages.

    Returns
    -------
    DatasetDict
        Every example once. A pooled split has all three parts, with the classes in the same
        proportions; the others have the parts that were given.

    Raises
    ------
    ThermoError
        If there are too few examples of a class for three parts.
    """
    import datasets

    if split == OFFICIAL:
        return parts
    if split == SWAPPED:
        return datasets.DatasetDict({**parts, "train": parts["test"], "test": parts["train"]})
    # In this order, so that the draw does not depend on how the parts were put into the dict.
    order = [name for name in ("train", "validation", "test") if name in parts]
    whole = datasets.concatenate_datasets([parts[name] for name in order])
    _, validation, test = (round(share * len(whole) / 100) for share in _shares(split))
    try:
        first = whole.train_test_split(test_size=test, seed=seed, stratify_by_column="label")
        second = first["train"].train_test_split(
            test_size=validation, seed=seed, stratify_by_column="label"
        )
    except ValueError as error:  # says of which class or part
        raise ThermoError(
            f"{title} has too few examples for split {split!r} ({error}): copy all of its files, "
            "or take the official split"
        ) from error
    return datasets.DatasetDict(
        train=second["train"], validation=second["test"], test=first["test"]
    )


def _shares(split: str) -> list[int]:
    found = POOLED.fullmatch(split)
    assert found is not None, "looked at by check_split"
    return list(map(int, found.groups()))
