"""Which records go into an archive, with their files, and from when they are."""

from __future__ import annotations

import datetime
import os
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from companion.runs import scale_files, variant_files
from companion.runs.committed import is_committed, read_list, replaced
from companion.runs.records import BLOCKS, CURVES, RESULT, Record, content, read_record, sha256
from companion.runs.settings import PROFILES
from thermo_utils.errors import ThermoError, unknown

__all__ = ["Chosen", "chosen", "newest"]

#: What may lie beside a record, made of it and checked by itself.
BESIDE = (variant_files.FACTS, variant_files.TABLE, scale_files.FACTS, scale_files.TABLE)
#: Names of records that a message shows.
SHOWN = 3
#: When not to take the time from the records: of https://reproducible-builds.org.
EPOCH = "SOURCE_DATE_EPOCH"


@dataclass(frozen=True)
class Chosen:
    """A record that is to be in an archive.

    Attributes
    ----------
    name : str
        Its folder in that of the results.
    record : Record
    files : dict of str to bytes
        Its files, and those beside it.
    committed : bool
        Whether it came with the project.
    """

    name: str
    record: Record
    files: dict[str, bytes]
    committed: bool


def chosen(
    results: Path, *, names: Sequence[str] = (), profile: str | None = None, every: bool = False
) -> list[Chosen]:
    """The records of a folder of results that are meant.

    Parameters
    ----------
    results : Path
        The folder.
    names : sequence of str, optional
        Chapters (``mlp-cifar10``) or folders in that of the results (``small/mlp-cifar10/seed-1``),
        each with all that lies below it.
    profile : str, optional
        Only those of this profile.
    every : bool, default False
        Without names: also what was run on this machine, not only what came with the project. Where
        nothing came with the project, it is all anyway.

    Returns
    -------
    list of Chosen
        By name.

    Raises
    ------
    ThermoError
        If there are none, a name is of none, one that came with the project is gone, or any is
        damaged; it names all that are.
    """
    if profile is not None and profile not in PROFILES:
        raise unknown("profile", profile, PROFILES)
    listed = read_list(results)
    found = _folders(results, profile)
    if names:
        found = _named(found, names)
    elif listed and not every:
        gone = [n for n in replaced(results, listed) if profile is None or _profile(n) == profile]
        if gone:
            raise ThermoError(
                f"{_some(gone)} of the records that came with the project "
                f"{'is' if len(gone) == 1 else 'are'} gone or replaced: "
                f"git checkout -- {results} brings them back, and --all takes what is there"
            )
        found = {name: path for name, path in found.items() if name in listed}
    if not found:
        where = results if profile is None else results / profile
        raise ThermoError(f"no records in {where}: run a chapter first, or name another folder")
    read, bad = [], []
    for name, folder in found.items():
        try:
            record, files = _read(folder)
        except ThermoError as error:
            bad.append(str(error))
        else:
            read.append(Chosen(name, record, files, is_committed(folder, results, listed)))
    if bad:
        raise ThermoError("; ".join(bad))
    return read


def newest(records: Iterable[Chosen]) -> datetime.datetime:
    """From when the newest of some records is.

    Parameters
    ----------
    records : iterable of Chosen
        At least one.

    Returns
    -------
    datetime
        In UTC, whole seconds: ``SOURCE_DATE_EPOCH`` if that is set; else when git got the newest,
        or, if git has not all of them, when the newest was written.

    Raises
    ------
    ThermoError
        If ``SOURCE_DATE_EPOCH`` is no number of seconds.
    """
    given = os.environ.get(EPOCH)
    if given:
        try:
            return _utc(int(given))
        except (ValueError, OverflowError, OSError) as error:
            raise ThermoError(
                f"{EPOCH} must be seconds since 1970, got {given!r}: unset it or set it right"
            ) from error
    records = list(records)
    paths = [chosen.record.folder / RESULT for chosen in records]
    if all(chosen.committed for chosen in records) and (seconds := _in_git(paths)):
        return _utc(seconds)
    return _utc(max(int(path.stat().st_mtime) for path in paths))


def _utc(seconds: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)


def _in_git(paths: Sequence[Path]) -> int | None:
    """When the last commit changed one of some files, in seconds since 1970."""
    names = [str(path.absolute()) for path in paths]
    command = ["git", "log", "-1", "--format=%ct", "--", *names]
    try:
        done = subprocess.run(
            command, cwd=paths[0].parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return int(done.stdout) if done.stdout.strip() else None


def _folders(results: Path, profile: str | None) -> dict[str, Path]:
    """Folders of records by name; what runs keep for themselves is hidden."""
    names = sorted(path.parent.relative_to(results).as_posix() for path in results.rglob(RESULT))
    return {
        name: results / name
        for name in names
        if not name.startswith(".") and profile in (None, _profile(name))
    }


def _profile(name: str) -> str:
    return name.split("/")[0]


def _named(found: dict[str, Path], names: Sequence[str]) -> dict[str, Path]:
    """Those that are meant by some names."""
    meant: set[str] = set()
    for name in names:
        start = name.strip("/")
        some = {
            folder
            for folder in found
            if f"{folder}/".startswith(f"{start}/") or folder.split("/")[1:2] == [start]
        }
        if not some:
            chapters = {folder.split("/")[1] for folder in found if "/" in folder}
            raise unknown("record", name, found if "/" in start else sorted(chapters))
        meant |= some
    return {name: path for name, path in found.items() if name in meant}


def _read(folder: Path) -> tuple[Record, dict[str, bytes]]:
    """A record with its files, all of them checked."""
    record = read_record(folder)
    if record is None:
        raise ThermoError(f"{folder / RESULT} is gone: run the chapter again")
    record.blocks("full")  # which are looked at only when they are asked for
    variant_files.read_variants(folder)
    scale_files.read_scale(folder)
    names = [RESULT, CURVES, *([BLOCKS] if "blocks_sha256" in record.result else [])]
    files = {name: content(folder / name) for name in names}
    files |= {name: found for name in BESIDE if (found := content(folder / name)) is not None}
    said = {CURVES: "curves_sha256", BLOCKS: "blocks_sha256"}
    whole = {name: found for name, found in files.items() if found is not None}
    for name in names:
        told = record.result.get(said[name]) if name in said else None
        if name not in whole or (told is not None and told != sha256(whole[name])):
            raise ThermoError(f"{folder} is just being written: try again when the run has ended")
        if told is not None and told.encode() not in whole[RESULT]:
            raise ThermoError(f"{folder} was left half replaced: run the chapter again")
    return record, whole


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
