"""The command that computes a record again."""

from __future__ import annotations

import ast
import dataclasses
import json
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from companion.networks import NETWORKS
from companion.runs.chapters import Chapter
from companion.runs.overrides import ALL, BOUNDS, NONE, OVERRIDES
from companion.runs.records import to_json
from companion.runs.settings import Settings, recorded, settings
from thermo_utils.errors import ThermoError

if TYPE_CHECKING:
    from companion.runs.records import Record

__all__ = ["AGAIN", "TAKEN_AWAY", "in_shell", "rerun_choices", "rerun_command"]

#: Folder for records computed again: in the folder of the record itself, the command would find it,
#: show it and compute nothing.
AGAIN = "again"
#: What takes a value away that a recipe has, by setting.
TAKEN_AWAY = {"transfer": NONE, **dict.fromkeys(BOUNDS, ALL)}


def rerun_command(record: Record) -> list[str]:
    """The command that computes a record again, as words.

    It names whatever of the record's settings today's recipe does not say, so it asks for the same
    settings also where the recipe has changed since. The new record goes to a folder of its own.

    Parameters
    ----------
    record : Record

    Returns
    -------
    list of str
        ``thermo run ...``, to be parsed by :mod:`companion.cli`.

    Raises
    ------
    ThermoError
        If no such command asks for these settings: the network is not registered, or the record
        has a value that cannot be chosen any more.
    """
    choices = rerun_choices(record)
    given = recorded(record)
    words = ["thermo", "run", given.model, given.dataset, "--profile", given.profile]
    words += ["--seed", str(given.seed), "--results", AGAIN]
    for name, value in choices.items():
        words += ["-p", name, _word(value)]
    return words


def rerun_choices(record: Record) -> dict[str, Any]:
    """What of today's recipe has to be changed to compute a record again.

    Parameters
    ----------
    record : Record

    Returns
    -------
    dict
        Values by setting, as :func:`companion.runs.settings.settings` takes them.

    Raises
    ------
    ThermoError
        As for :func:`rerun_command`.
    """
    given = recorded(record)
    if given.model not in NETWORKS:
        raise ThermoError(f"{given.model} is no registered network: run its notebook again")
    what = (given.model, given.dataset, given.profile, given.seed)
    try:
        recipe = settings(*what)
        choices: dict[str, Any] = {}
        if given.checkpoint not in (None, recipe.checkpoint):  # which brings other settings along
            choices["checkpoint"] = given.checkpoint
            recipe = settings(*what, **choices)
        for name in _differing(given, recipe):
            value = getattr(given, name)
            choices[name] = TAKEN_AWAY.get(name) if value is None else value
        lost = [name for name, v in choices.items() if v is None or name not in OVERRIDES]
        lost = lost or _differing(given, settings(*what, **choices))
    except ThermoError as error:
        raise ThermoError(f"{_not_any_more(record)}: {error}") from error
    if lost:
        raise ThermoError(f"{_not_any_more(record)}: nothing asks for its {', '.join(lost)}")
    return choices


def in_shell(words: Sequence[str]) -> str:
    """A command as a line to be pasted into a shell.

    Parameters
    ----------
    words : sequence of str

    Returns
    -------
    str

    Examples
    --------
    >>> in_shell(["thermo", "run", "mlp", "cifar10", "-p", "checkpoint", "my weights"])
    "thermo run mlp cifar10 -p checkpoint 'my weights'"
    """
    return shlex.join(words)


def _differing(one: Settings, other: Settings) -> list[str]:
    """Names of the settings that differ, whatever the remarks; records hold lists, not tuples."""
    ours, theirs = (json.loads(to_json(dataclasses.asdict(s))) for s in (one, other))
    return [name for name in ours if name != "differs" and ours[name] != theirs[name]]


def _not_any_more(record: Record) -> str:
    """Stands on pages too, so it names the run and not where its record lies on this machine."""
    given = recorded(record)
    run = f"{Chapter(given.model, given.dataset).title}, profile {given.profile}, seed {given.seed}"
    commit = record.result["provenance"]["git_commit"]
    code = f"commit {commit.removesuffix('-dirty')}" if commit else "its own time"
    return (
        f"the code of today does not run {run} with the record's settings again, that of {code} did"
    )


def _word(value: Any) -> str:
    """What the command reads as a value."""
    if not isinstance(value, str):
        return repr(value)
    if value in ("true", "false") or value.startswith("-"):
        return repr(value)
    try:
        ast.literal_eval(value)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return value  # the command takes for a string what Python does not take for a value
    return repr(value)
