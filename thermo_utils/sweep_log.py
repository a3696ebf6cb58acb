"""A sweep on disk: every finished threshold is kept, so an interrupted sweep can go on."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from thermo_utils.errors import ThermoError

__all__ = ["SweepLog"]

#: What a checkpoint begins with; nothing else is ever overwritten.
START = '{"sweep": '


class SweepLog:
    """Finished thresholds, in memory and, if a path is given, in a JSON-lines file.

    Parameters
    ----------
    path : path, optional
        The file; created with its folder when the first threshold is done. A last line cut short
        by a kill is ignored and overwritten.
    identity : mapping
        What the sweep is of. A file with another identity is refused.

    Raises
    ------
    ThermoError
        If the file belongs to another sweep or is no such file.

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
                file.writelines(json.dumps(line) + "\n" for line in lines)
                file.flush()
                os.fsync(file.fileno())
        self._rows[row["tau"]] = row

    def _read(self, path: Path) -> None:
        try:
            text = path.read_text(encoding="utf-8")
            if text[: len(START)] != START[: len(text)]:
                raise ValueError("the header is missing")
            whole, _, cut = text.rpartition("\n")
            header, *rows = [json.loads(line) for line in whole.splitlines()] or [{}]
            identity, self._rows = header.get("sweep"), {row["tau"]: row for row in rows}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ThermoError(
                f"{path} is no checkpoint of a sweep: delete it or name another"
            ) from error
        if rows and identity != self._identity:
            changed = sorted(k for k, v in self._identity.items() if (identity or {}).get(k) != v)
            raise ThermoError(
                f"checkpoint {path} is of another network or data ({', '.join(changed)} differ): "
                "delete it or name another"
            )
        if cut and rows:
            os.truncate(path, len(f"{whole}\n".encode()))
