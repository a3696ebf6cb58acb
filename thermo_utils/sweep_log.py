"""A sweep on disk: every finished threshold is kept, so an interrupted sweep can go on."""

from __future__ import annotations

import json
import os
import warnings
import zlib
from pathlib import Path
from typing import Any

from thermo_utils.errors import ThermoError

__all__ = ["OtherSweepError", "SweepLog", "is_sweep"]

#: What a checkpoint begins with; nothing else is ever overwritten.
START = '{"sweep": '


def is_sweep(path: Path) -> bool:
    """Whether a file begins as the log of a sweep does; an empty one may become one.

    Parameters
    ----------
    path : Path
        An existing file.

    Returns
    -------
    bool
    """
    with path.open("rb") as file:
        head = file.read(len(START))
    return START.encode().startswith(head)


class OtherSweepError(ThermoError):
    """A checkpoint is of another network, data or machine than the sweep that it should go on."""


class SweepLog:
    """Finished thresholds, in memory and, if a path is given, in a JSON-lines file.

    Parameters
    ----------
    path : path, optional
        The file; created with its folder when the first threshold is done. A last line cut short
        by a kill is ignored and overwritten. Where a line is damaged, the thresholds before it
        are kept, and the file as it was is set aside with a warning.
    identity : mapping
        What the sweep is of. A file with another identity is refused.

    Raises
    ------
    ThermoError
        If the file belongs to another sweep (:class:`OtherSweepError`) or is no such file.

    Examples
    --------
    >>> log = SweepLog(None, {"total": 10})
    >>> log.append({"tau": 0.1, "active": 7})
    >>> 0.1 in log, log[0.1]["active"]
    (True, 7)
    """

    def __init__(self, path: str | Path | None, identity: dict[str, Any]) -> None:
        self._path = None if path is None else Path(path)
        self._identity: dict[str, Any] = json.loads(json.dumps(identity))
        self._rows: dict[float, dict[str, Any]] = {}
        if self._path is not None and self._path.exists():
            self._read(self._path)

    def __contains__(self, tau: float) -> bool:
        return tau in self._rows

    def __getitem__(self, tau: float) -> dict[str, Any]:
        return self._rows[tau]

    def append(self, row: dict[str, Any]) -> None:
        """Keep a finished threshold; on return it is on disk.

        Parameters
        ----------
        row : dict
            JSON values, with the threshold under ``tau``.
        """
        if self._path is not None:
            lines = [row] if self._rows else [{"sweep": self._identity}, row]
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a" if self._rows else "w", encoding="utf-8") as file:
                file.writelines(json.dumps(_checked(line)) + "\n" for line in lines)
                file.flush()
                os.fsync(file.fileno())
        self._rows[row["tau"]] = row

    def _read(self, path: Path) -> None:
        try:
            if not is_sweep(path):
                raise ValueError("the header is missing")
            content = path.read_bytes()
        except (OSError, ValueError) as error:
            raise ThermoError(
                f"{path} is no checkpoint of a sweep: delete it or name another"
            ) from error
        *lines, cut = content.split(b"\n")
        good, kept = 0, []
        for line in lines:
            said = _said(line)
            if said is None:
                break
            kept.append(said)
            good += len(line) + 1
        identity = kept[0].get("sweep", {}) if kept else {}
        rows = {row["tau"]: row for row in kept[1:]}
        if rows and identity != self._identity:
            changed = [
                f"{name}: {identity.get(name)}, now {value}"
                for name, value in self._identity.items()
                if identity.get(name) != value
            ]
            raise OtherSweepError(
                f"checkpoint {path} is of another network, data or machine ({'; '.join(changed)}): "
                "go on with what it was begun with, delete it or name another"
            )
        self._rows = rows
        if len(kept) < len(lines):
            damaged = path.with_name(f"{path.name}.damaged")
            damaged.write_bytes(content)
            warnings.warn(
                f"{path} is damaged after {len(rows)} thresholds: these are kept, the others "
                f"computed again; the file as it was is {damaged}",
                stacklevel=3,
            )
        if cut or len(kept) < len(lines) or not rows:
            os.truncate(path, good if rows else 0)


def _checked(said: dict[str, Any]) -> dict[str, Any]:
    """What a line says, with its checksum."""
    return {**said, "crc32": zlib.crc32(json.dumps(said).encode())}


def _said(line: bytes) -> dict[str, Any] | None:
    """What a line says, None if it is damaged."""
    try:
        said: dict[str, Any] = json.loads(line)
        check = said.pop("crc32")
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return said if check == zlib.crc32(json.dumps(said).encode()) else None
