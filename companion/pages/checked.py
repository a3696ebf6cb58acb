"""Files of measurements, read and held against their form."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from companion.runs.records import content
from companion.runs.schema import Part, parsed, printable, problems
from thermo_utils.errors import ThermoError

__all__ = ["read_checked"]


def read_checked(
    path: Path,
    number: int,
    form: type[Part],
    contradictions: Callable[[dict[str, Any]], Iterable[str]],
    again: str,
) -> dict[str, Any] | None:
    """Read a file of measurements.

    Parameters
    ----------
    path : Path
        It need not exist.
    number : int
        Its ``format``.
    form : type
        What it must look like.
    contradictions : callable
        What in a file of this form does not go together, in words.
    again : str
        The command that makes it.

    Returns
    -------
    dict or None
        None where there is no such file.

    Raises
    ------
    ThermoError
        If it is damaged or of another format.
    """
    text = content(path)
    if text is None:
        return None
    try:
        measured = parsed(text)
        if not isinstance(measured, dict) or measured.get("format") != number:
            raise ThermoError(f"{path} is not of format {number}: delete it and run {again}")
        found = problems(measured, form) or list(contradictions(measured))
    except ValueError as error:
        found = [str(error)]
    if found:
        raise ThermoError(f"{path} is damaged: {printable(found)}; delete it and run {again}")
    return measured
