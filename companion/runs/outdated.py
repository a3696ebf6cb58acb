"""How a record differs from what the same run would make today."""

from __future__ import annotations

import dataclasses
import json

from companion.data.specs import DATASETS
from companion.runs.records import FORMAT, Record, to_json
from companion.runs.settings import Settings, recorded

__all__ = ["changed", "outdated"]


def changed(before: Settings, now: Settings) -> tuple[str, ...]:
    """Settings that differ, whatever the remarks.

    Parameters
    ----------
    before, now : Settings

    Returns
    -------
    tuple of str
        A few words for each.

    Examples
    --------
    >>> from companion.runs.settings import settings
    >>> changed(settings("mlp", "cifar10"), settings("mlp", "cifar10", epochs=2))
    ('epochs 8, now 2',)
    """
    old, new = (json.loads(to_json(dataclasses.asdict(s))) for s in (before, now))
    return tuple(
        f"{name} {_word(old[name])}, now {_word(value)}"
        for name, value in new.items()
        if name != "differs" and old[name] != value
    )


def _word(value: object) -> str:
    """A value as people say it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "none"
    return DATASETS[value].title if isinstance(value, str) and value in DATASETS else str(value)


def outdated(record: Record, recipe: Settings) -> tuple[str, ...]:
    """How a record differs from what the same run would make today.

    Parameters
    ----------
    record : Record
    recipe : Settings
        Of the run as it is meant today.

    Returns
    -------
    tuple of str
        In words; empty where it does not.
    """
    differences = changed(recorded(record), recipe)
    if record.result["format"] != FORMAT:
        differences += (f"format {record.result['format']}, now {FORMAT}",)
    return differences
