"""An archive on disk: a folder or a .zip, there whole or not at all."""

from __future__ import annotations

import datetime
import os
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from thermo_utils.errors import ThermoError

if TYPE_CHECKING:
    from rocrate.rocrate import ROCrate

__all__ = ["METADATA", "check_target", "write"]

#: The file that makes a folder a crate.
METADATA = "ro-crate-metadata.json"
#: No earlier time fits into a .zip.
EARLIEST = datetime.datetime(1980, 1, 1, tzinfo=datetime.UTC)
#: Read and write for whoever it is, read for all others.
MODE = 0o644 << 16


def check_target(target: Path, *, force: bool) -> None:
    """Refuse to write over what must not be lost.

    Parameters
    ----------
    target : Path
        What is to be written.
    force : bool
        Whether an archive that is there may be replaced.

    Raises
    ------
    ThermoError
        If there is something, and it may not; or the folder that it is to lie in is missing.
    """
    if not target.absolute().parent.is_dir():
        raise ThermoError(f"no folder {target.absolute().parent}: make it, or name another target")
    if not os.path.lexists(target):
        return
    if not force:
        raise ThermoError(f"{target} is there already: name another target, or take --force")
    if not _is_archive(target):
        raise ThermoError(
            f"{target} is there and was not written by thermo export: name another target"
        )


def _is_archive(target: Path) -> bool:
    if target.is_symlink():
        return False
    if not _zipped(target):
        return target.is_dir() and (target / METADATA).is_file()
    try:
        with zipfile.ZipFile(target) as archive:
            return METADATA in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def _zipped(target: Path) -> bool:
    return target.suffix == ".zip"


def write(
    crate: ROCrate,
    target: Path,
    date: datetime.datetime,
    *,
    force: bool = False,
    progress: bool = True,
) -> None:
    """Write a crate; readers see nothing of it until it is complete.

    Parameters
    ----------
    crate : ROCrate
        What is to be written.
    target : Path
        A folder, or a file that ends in ``.zip``.
    date : datetime
        Of the files in a .zip.
    force : bool, default False
        Replace an archive that is there.
    progress : bool, default True
        Show a progress bar.

    Raises
    ------
    ThermoError
        As from :func:`check_target`.
    OSError
        If it cannot be written. What was there stays.
    """
    check_target(target, force=force)
    parent = target.absolute().parent
    with tempfile.TemporaryDirectory(
        prefix=f".{target.name}.", dir=parent, ignore_cleanup_errors=True
    ) as place:
        made = Path(place, "crate")
        crate.write(made)
        if _zipped(target):
            archive = Path(place, "crate.zip")
            _zip(made, archive, date, progress=progress)
            os.replace(archive, target)
            return
        made.chmod(0o755)
        if target.exists():  # a folder is no file, which another could take the place of at once
            old = Path(place, "old")
            target.rename(old)
            try:
                made.rename(target)
            except BaseException:
                old.rename(target)
                raise
        else:
            made.rename(target)


def _zip(folder: Path, target: Path, date: datetime.datetime, *, progress: bool) -> None:
    """All files of a folder, in the order of their names, each as if written at `date`."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    time = max(date, EARLIEST).timetuple()[:6]
    size = sum(path.stat().st_size for path in paths)
    with (
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive,
        tqdm(total=size, desc="packing", unit="B", unit_scale=True, disable=not progress) as bar,
    ):
        for path in paths:
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), time)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, MODE
            written = path.read_bytes()
            archive.writestr(entry, written)
            bar.update(len(written))
    with open(target, "rb") as file:
        os.fsync(file.fileno())
    target.chmod(0o644)
