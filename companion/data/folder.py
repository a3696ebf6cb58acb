"""A local folder laid out like a dataset on the hub, read anew every time.

``datasets.load_dataset`` keeps what it once read of a folder under a key that knows the folder's
README and not its files. So the files are found by its rules and read without what it keeps.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from companion.data.stored import Piece, pieces
from thermo_utils.errors import ThermoError
from thermo_utils.files import digest as content_digest

if TYPE_CHECKING:
    import datasets

__all__ = ["check_folder", "digest", "read_folder"]


def check_folder(folder: Path) -> None:
    """Refuse quickly a folder that :func:`read_folder` cannot read.

    Parameters
    ----------
    folder : Path
        Of one dataset.

    Raises
    ------
    ThermoError
        If a Parquet file is damaged. Only the ends of the files are read.
    Exception
        Whatever the datasets library says of a folder in which it finds no data.
    """
    for files in _layout(folder)[0].values():
        for file in filter(_is_parquet, files):
            _opened(file)


def digest(folder: Path) -> str:
    """What tells the content of a folder from that of any other.

    Parameters
    ----------
    folder : Path
        Of one dataset.

    Returns
    -------
    str
        SHA-256 of the names of its parts and the contents of their files, in hexadecimal. Names of
        files do not count.

    Raises
    ------
    Exception
        Whatever the datasets library says of a folder in which it finds no data.
    """
    whole = hashlib.sha256()
    for part, files in sorted(_layout(folder)[0].items()):
        for file in files:
            whole.update(f"{part} {content_digest(file)}\n".encode())
    return whole.hexdigest()


def read_folder(folder: Path, columns: tuple[str, ...]) -> dict[str, list[Piece]]:
    """All parts of a dataset as its files hold them now.

    Parameters
    ----------
    folder : Path
        Of one dataset: Parquet files, or whatever else ``datasets.load_dataset`` takes. A README
        may say which file belongs to which part, else their names do. Nothing is written into it.
    columns : tuple of str
        What is read of Parquet files that have all of these.

    Returns
    -------
    dict of str to list of Piece
        The files of each part in their order.

    Raises
    ------
    ThermoError
        If a Parquet file is damaged.
    Exception
        Whatever the datasets library says of a folder in which it finds no data.
    """
    found, features = _layout(folder)
    if all(_is_parquet(file) for files in found.values() for file in files):
        return {
            part: [_parquet(file, columns, features) for file in files]
            for part, files in found.items()
        }
    import datasets

    with TemporaryDirectory(prefix="thermo-") as cache:
        parts = datasets.load_dataset(str(folder), cache_dir=cache, keep_in_memory=True)
    return pieces(parts, str(folder))


def _layout(folder: Path) -> tuple[dict[str, list[str]], datasets.Features | None]:
    """Files of each part, and the types that the README states, if it does."""
    import datasets

    with TemporaryDirectory(prefix="thermo-") as cache:
        builder = datasets.load_dataset_builder(str(folder), cache_dir=cache)
    parts = {str(part): list(files) for part, files in builder.config.data_files.items()}
    return parts, builder.info.features


def _is_parquet(file: str) -> bool:
    return file.endswith(".parquet") and os.path.isfile(file)


def _opened(file: str) -> pq.ParquetFile:
    try:
        # Where a file has checksums of its pages they are looked at.
        return pq.ParquetFile(file, page_checksum_verification=True)
    except (OSError, ValueError) as error:  # an ArrowInvalid is a ValueError
        raise _damaged(file, error) from error


def _parquet(file: str, columns: tuple[str, ...], features: datasets.Features | None) -> Piece:
    with _opened(file) as opened:
        schema = opened.schema_arrow
        try:
            if set(columns) <= set(schema.names):
                table = opened.read(list(columns))
            else:
                table = schema.empty_table()
        except (OSError, ValueError) as error:
            raise _damaged(file, error) from error
    return Piece(table, file, features)


def _damaged(file: str, error: Exception) -> ThermoError:
    why = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
    return ThermoError(f"{file} is damaged or not completely copied ({why}): copy the file again")
