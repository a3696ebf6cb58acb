"""Files of measurements, read and held against their form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from companion.runs.chapters import CHAPTERS, Chapter
from companion.runs.records import Record, content
from companion.runs.schema import Part, parsed, printable, problems
from thermo_utils.errors import ThermoError

__all__ = ["beside_records", "left_out", "read_checked", "read_of_profile"]


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


def read_of_profile(
    path: Path,
    number: int,
    form: type[Part],
    contradictions: Callable[[dict[str, Any]], Iterable[str]],
    command: str,
) -> dict[str, Any] | None:
    """Read a file of measurements of chapters that lies beside the records of a profile.

    Parameters
    ----------
    path : Path
        ``<results>/<profile>/...``; it need not exist.
    number, form, contradictions
        As for :func:`read_checked`. What is not of a chapter or of this profile is found here.
    command : str
        What makes the file, but for the profile.

    Returns
    -------
    dict or None
        As from :func:`read_checked`.

    Raises
    ------
    ThermoError
        As there.
    """
    profile = path.absolute().parent.name

    def found(measured: dict[str, Any]) -> Iterator[str]:
        yield from _misplaced(measured, profile)
        yield from contradictions(measured)

    return read_checked(path, number, form, found, f"{command} --profile {profile}")


def _misplaced(measured: Mapping[str, Any], profile: str) -> Iterator[str]:
    """What does not belong into a file of measurements of chapters, in words.

    Parameters
    ----------
    measured : mapping
        With ``profile``, and ``chapters`` by their names.
    profile : str
        Of the folder that the file is in.

    Yields
    ------
    str
    """
    if measured["profile"] != profile:
        yield f"profile is {measured['profile']!r}, in a folder of {profile!r}"
    names = {chapter.name for chapter in CHAPTERS}
    yield from (f"{name!r} is no chapter" for name in measured["chapters"] if name not in names)


def beside_records(
    measured: Mapping[str, Any], records: Mapping[str, Sequence[Record]]
) -> tuple[dict[Chapter, Record], list[Chapter]]:
    """The records that chapters were compared with, by the digest of their curves.

    Parameters
    ----------
    measured : mapping of str to mapping
        With ``curves_sha256``, by name of the chapter.
    records : mapping of str to sequence of Record
        The records of every chapter, by its name.

    Returns
    -------
    found : dict of Chapter to Record
    old : list of Chapter
        Those whose record has other curves by now.
    """
    found: dict[Chapter, Record] = {}
    old: list[Chapter] = []
    for chapter in CHAPTERS:
        if chapter.name in measured:
            wanted = measured[chapter.name]["curves_sha256"]
            runs = records.get(chapter.name, ())
            record = next((r for r in runs if r.result["curves_sha256"] == wanted), None)
            if record is None:
                old.append(chapter)
            else:
                found[chapter] = record
    return found, old


def left_out(old: Sequence[Chapter], measured: Mapping[str, Any]) -> list[str]:
    """Sentences on chapters that a page does not show.

    Parameters
    ----------
    old : sequence of Chapter
        Measured, but not with the curves that their records hold.
    measured : mapping
        All that were, by name.

    Returns
    -------
    list of str
    """
    said = []
    if old:
        names = ", ".join(chapter.title for chapter in old)
        said.append(f"Measured against curves that the records do not hold any more: {names}.")
    absent = [c.title for c in CHAPTERS if c.name not in measured]
    return [*said, f"Not run: {', '.join(absent)}."] if absent else said
