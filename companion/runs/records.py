"""The result record of a chapter: two small text files that everything shown is made from.

``curves.csv`` holds the curves, ``result.json`` everything else. A record is complete when
``result.json`` is there and names the hash of the ``curves.csv`` beside it; it is written last.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from companion.runs import methods
from thermo_utils.errors import ThermoError, unknown
from thermo_utils.files import write_atomically

if TYPE_CHECKING:  # who only asks what has been run reads no curve
    import pandas as pd

__all__ = [
    "CURVES",
    "FORMAT",
    "REQUIRED",
    "RESULT",
    "Record",
    "read_chapter",
    "read_record",
    "record_folder",
    "same_but_seed",
    "sha256",
    "to_json",
    "write_record",
]

FORMAT = 1
CURVES, RESULT = "curves.csv", "result.json"
#: What ``result.json`` must hold.
REQUIRED = (
    "format", "model", "dataset", "figure", "profile", "seed", "synthetic", "settings", "stages",
    "data", "differs", "history", "metrics", "features", "thresholds", "match", "timings",
    "provenance", "curves_sha256",
)  # fmt: skip


class Record:
    """A chapter's results.

    Parameters
    ----------
    folder : Path
        Where it was read from.
    result : dict
        The content of ``result.json``.
    curves : DataFrame or bytes
        The content of ``curves.csv``: a curve's columns, ``method`` and ``accuracy``.
    """

    def __init__(self, folder: Path, result: dict[str, Any], curves: pd.DataFrame | bytes) -> None:
        self.folder, self.result, self._curves = folder, result, curves

    @cached_property
    def curves(self) -> pd.DataFrame:
        """All curves, a row per method and threshold; read on first use."""
        if not isinstance(self._curves, bytes):
            return self._curves
        import pandas as pd

        return pd.read_csv(BytesIO(self._curves))

    def curve(self, method: str) -> pd.DataFrame:
        """One curve, with its ``attrs``.

        Parameters
        ----------
        method : {"full", "renormalized"}
            Which.

        Raises
        ------
        ThermoError
            If the record holds no such curve.
        """
        if method not in set(self.curves["method"]):
            raise unknown("method", method, methods.CURVES)
        curve = self.curves[self.curves["method"] == method].drop(columns="method")
        if method == "renormalized":
            curve = curve.drop(columns="accuracy")
        curve = curve.reset_index(drop=True)
        curve.attrs = dict(self.result["stages"][method]["attrs"])
        return curve


def write_record(
    folder: str | Path, result: dict[str, Any], curves: dict[str, pd.DataFrame]
) -> None:
    """Write a record so that it is there completely or not at all.

    Parameters
    ----------
    folder : path
        Created if need be; a record in it is replaced.
    result : dict
        Values that :func:`to_json` takes; ``format`` and ``curves_sha256`` are filled in.
    curves : dict of str to DataFrame
        A curve per method.

    Raises
    ------
    ThermoError
        If the result lacks a field.
    TypeError
        If it holds something else. Nothing is written then.
    """
    import pandas as pd

    folder = Path(folder)
    table = pd.concat(
        [curve.assign(method=method) for method, curve in curves.items()], ignore_index=True
    )
    text = table[["method", *[c for c in table if c != "method"]]].to_csv(index=False)
    result = {"format": FORMAT, **result, "curves_sha256": sha256(text)}
    _validate(result, folder)
    facts = to_json(result) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / CURVES, text)
    write_atomically(folder / RESULT, facts)  # last: it makes the record complete


def read_record(folder: str | Path) -> Record | None:
    """Read a record.

    Parameters
    ----------
    folder : path
        The record's folder.

    Returns
    -------
    Record or None
        None when there is no complete record.

    Raises
    ------
    ThermoError
        If there is one, but of another format or damaged.
    """
    folder = Path(folder)
    try:
        result = json.loads((folder / RESULT).read_bytes())
        content = (folder / CURVES).read_bytes()
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ThermoError(
            f"{folder / RESULT} is damaged: {error}; delete it and run again"
        ) from error
    _validate(result, folder)
    if result["curves_sha256"] != sha256(content):
        return None  # a run was killed between the two files
    return Record(folder, result, content)


def record_folder(results: str | Path, profile: str, name: str, seed: int = 0) -> Path:
    """Where the record of a run lies.

    Parameters
    ----------
    results : path
        Folder of the records.
    profile, name : str
        The profile and the chapter's ``model-dataset``.
    seed : int, default 0
        Seeds other than 0 have folders of their own in the chapter's.

    Returns
    -------
    Path

    Examples
    --------
    >>> record_folder("results", "demo", "mlp-cifar10", 2).as_posix()
    'results/demo/mlp-cifar10/seed-2'
    """
    folder = Path(results) / profile / name
    return folder / f"seed-{seed}" if seed else folder


def read_chapter(results: str | Path, profile: str, name: str) -> list[Record]:
    """The records of a chapter: one per seed, of otherwise the same settings.

    Parameters
    ----------
    results, profile, name
        As for :func:`record_folder`.

    Returns
    -------
    list of Record
        By seed. The first one's settings decide which others belong to it; empty when nothing was
        run.

    Raises
    ------
    ThermoError
        If a record is damaged or of another format.
    """
    chapter = record_folder(results, profile, name)
    folders = [chapter, *chapter.glob("seed-*")]
    found = [record for record in map(read_record, folders) if record is not None]
    found.sort(key=lambda record: int(record.result["seed"]))
    return [record for record in found if same_but_seed(record, found[0].result["settings"])]


def same_but_seed(record: Record, settings: Mapping[str, Any]) -> bool:
    """Whether a record's settings equal others in everything but the seed and the remarks."""
    ignored = {"seed", "differs"}
    ours, theirs = (
        {key: value for key, value in json.loads(to_json(s)).items() if key not in ignored}
        for s in (record.result["settings"], settings)
    )
    return bool(ours == theirs)


def to_json(value: Any) -> str:
    """JSON text that any reader takes: numbers that are not finite become null.

    Parameters
    ----------
    value : object
        Dicts, lists, tuples, strings, paths, and Python's or NumPy's numbers and booleans, nested.

    Returns
    -------
    str
        Floats keep every bit.

    Raises
    ------
    TypeError
        If something else is in it.

    Examples
    --------
    >>> import numpy as np
    >>> to_json([1.5, np.float64("nan"), np.int64(2), (True, None)]).split()
    ['[', '1.5,', 'null,', '2,', '[', 'true,', 'null', ']', ']']
    """
    return json.dumps(_plain(value), indent=1, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if type(value).__module__ == "numpy" and getattr(value, "shape", None) == ():
        value = value.item()  # a number of NumPy's
    if isinstance(value, Path):
        return str(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _validate(result: Any, folder: Path) -> None:
    if not isinstance(result, dict) or result.get("format") != FORMAT:
        raise ThermoError(
            f"the record in {folder} is not of format {FORMAT}: delete it and run the chapter again"
        )
    missing = [name for name in REQUIRED if name not in result]
    if missing:
        raise ThermoError(
            f"the record in {folder} lacks {', '.join(missing)}: delete it and run again"
        )


def sha256(content: bytes | str) -> str:
    """The SHA-256 of a file's content in hexadecimal; text is taken as UTF-8."""
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()
