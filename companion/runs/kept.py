"""What runs keep on disk between stages: whole, checked when read, and set aside when damaged."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

from thermo_utils.files import write_atomically

__all__ = ["DamagedError", "read_sealed", "set_aside", "write_sealed"]

#: Length of a SHA-256 in hexadecimal, and of the line break after it.
HEAD = 65


class DamagedError(ValueError):
    """A file is not what was written."""


def write_sealed(path: Path, content: bytes) -> None:
    """Write a file whose first line is the SHA-256 of the rest, in one step.

    Parameters
    ----------
    path : Path
        The file; its folder must exist.
    content : bytes
        The rest.
    """
    write_atomically(path, hashlib.sha256(content).hexdigest().encode() + b"\n" + content)


def read_sealed(path: Path) -> bytes:
    """Read what :func:`write_sealed` wrote.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    bytes
        The content.

    Raises
    ------
    DamagedError
        If the file holds anything else.
    """
    whole = path.read_bytes()
    head, content = whole[:HEAD], whole[HEAD:]
    if head != hashlib.sha256(content).hexdigest().encode() + b"\n":
        raise DamagedError(f"{path.name} is not as it was written")
    return content


def set_aside(path: Path, reason: object) -> None:
    """Move a damaged file or folder out of the way, and say so on standard error.

    Parameters
    ----------
    path : Path
        It becomes ``<name>.damaged``, with a number where there is one already.
    reason : object
        What is wrong with it.
    """
    number, to = 1, path.with_name(f"{path.name}.damaged")
    while to.exists():
        number += 1
        to = path.with_name(f"{path.name}.damaged-{number}")
    os.replace(path, to)
    print(
        f"thermo: {path} is damaged ({reason}): set aside as {to.name} and computed again",
        file=sys.stderr,
    )
