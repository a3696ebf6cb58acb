"""Curves and safe thresholds as files: every number comes back to the bit, or an error does."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from thermo_utils.errors import ThermoError
from thermo_utils.files import write_atomically
from thermo_utils.search import SafeThreshold

__all__ = ["load_curve", "load_safe", "save_curve", "save_safe"]

#: What the files begin with, and which version of their layout this is.
CURVE, SAFE, VERSION = "# thermo_utils curve ", "thermo_utils safe threshold", 1
#: How a column of each type is written and read.
TYPES: Mapping[str, tuple[Callable[[Any], str], Callable[[str], Any]]] = {
    "float64": (lambda value: repr(float(value)), float),
    "int64": (lambda value: str(int(value)), int),
    "bool": (lambda value: str(bool(value)), {"True": True, "False": False}.__getitem__),
    "str": (str, str),
    "object": (lambda value: "", lambda text: None),  # nothing known in any row
}


def save_curve(curve: pd.DataFrame, path: str | Path) -> None:
    """Write a curve to a CSV file.

    Its first line is a comment with ``curve.attrs`` as JSON; ``pandas.read_csv(path, comment="#")``
    reads the rest as well.

    Parameters
    ----------
    curve : DataFrame
        Of :func:`thermo_utils.renormalized`, :func:`thermo_utils.full_evaluation` or
        :func:`thermo_utils.thermodynamic_curve`. Its index is not kept.
    path : path
        The file; one that is there is replaced in one step.

    Raises
    ------
    ThermoError
        With nothing written: if a column or an attribute is of a type that would not come back as
        it was, or there is no such folder.

    Examples
    --------
    >>> import tempfile
    >>> curve = pd.DataFrame({"tau": [0.1, 0.2], "active": [7, 3]})
    >>> curve.attrs["total"] = 9
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_curve(curve, f"{folder}/curve.csv")
    ...     again = load_curve(f"{folder}/curve.csv")
    >>> again.equals(curve), again.attrs
    (True, {'total': 9})
    """
    types = _types(curve)
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(types)
    rows.writerows(zip(*(map(TYPES[kind][0], curve[c]) for c, kind in types.items()), strict=True))
    head = {
        "version": VERSION,
        "types": types,
        "sha256": _digest(text.getvalue()),
        "attrs": _plain(dict(curve.attrs), "attrs"),
    }
    _write(path, f"{CURVE}{json.dumps(head, allow_nan=False)}\n{text.getvalue()}")


def load_curve(path: str | Path) -> pd.DataFrame:
    """Read a curve that :func:`save_curve` wrote.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    DataFrame
        With the columns, types, values and ``attrs`` it had; tuples among the latter are lists.

    Raises
    ------
    ThermoError
        If there is no such file, something else wrote it, or it was changed or cut since.
    """
    first, _, body = _read(path).partition("\n")
    if not first.startswith(CURVE):
        raise ThermoError(f"{path} is no curve that save_curve wrote: read it with pandas.read_csv")
    head = _json(path, first.removeprefix(CURVE))
    _check_version(path, head)
    if head.get("sha256") != _digest(body):
        raise ThermoError(f"{path} was changed or cut since it was saved: save the curve again")
    names, *rows = csv.reader(io.StringIO(body, newline=""))
    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    types = head["types"]
    curve = pd.DataFrame(
        {
            name: pd.Series(list(map(TYPES[types[name]][1], values)), dtype=types[name])
            for name, values in zip(names, columns, strict=True)
        }
    )
    curve.attrs = _restored(head["attrs"])
    return curve


def save_safe(safe: SafeThreshold, path: str | Path) -> None:
    """Write a safe threshold to a JSON file.

    Parameters
    ----------
    safe : SafeThreshold
        Of :func:`thermo_utils.find_safe_threshold`.
    path : path
        The file; one that is there is replaced in one step.

    Raises
    ------
    ThermoError
        With nothing written: if there is no such folder.
    """
    passes = safe.passes
    facts = {
        "file": SAFE,
        "version": VERSION,
        **_plain({name: getattr(safe, name) for name in PARTS}, "safe"),
        "types": _types(passes),
        "passes": _plain({name: passes[name].tolist() for name in passes}, "passes"),
    }
    _write(path, json.dumps(facts, indent=1, allow_nan=False) + "\n")


def load_safe(path: str | Path) -> SafeThreshold:
    """Read a safe threshold that :func:`save_safe` wrote.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    SafeThreshold
        As it was; ``prune(model, safe.layers, safe.tau)`` takes it.

    Raises
    ------
    ThermoError
        If there is no such file, something else wrote it, or it is damaged.
    """
    facts = _json(path, _read(path))
    if facts.get("file") != SAFE:
        raise ThermoError(f"{path} is no safe threshold that save_safe wrote")
    _check_version(path, facts)
    try:
        values = {name: read(_restored(facts[name])) for name, read in PARTS.items()}
        passes = {
            name: pd.Series(_restored(facts["passes"][name]), dtype=kind)
            for name, kind in facts["types"].items()
        }
        return SafeThreshold(**values, passes=pd.DataFrame(passes))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ThermoError(f"{path} is damaged ({error}): save the threshold again") from None


def _number(value: Any) -> float:
    if not isinstance(value, float | int) or isinstance(value, bool):
        raise TypeError(f"{value!r} is no number")
    return float(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is not true or false")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is no list")
    return tuple(map(_text, value))


#: How the parts of a safe threshold are read, but for its passes.
PARTS: Mapping[str, Callable[[Any], Any]] = {
    "tau": _number, "beta": _number, "score": _number, "drop": _number, "baseline": _number,
    "metric": _text, "higher_is_better": _flag, "layers": _texts, "warnings": _texts,
}  # fmt: skip


def _types(frame: pd.DataFrame) -> dict[str, str]:
    """The type of each column, by name."""
    types = {}
    for name, column in frame.items():
        kind = str(column.dtype)
        if kind == "object" and not column.isna().any():
            kind = "str"
        wrong = (kind == "str" and not all(isinstance(value, str) for value in column)) or (
            kind == "object" and any(value is not None for value in column)
        )
        if kind not in TYPES or wrong or not isinstance(name, str) or name in types:
            raise ThermoError(
                f"column {name!r} of type {column.dtype} cannot be saved: columns need names of "
                "their own and hold float64, int64, bool or text in every row"
            )
        types[name] = kind
    return types


def _plain(value: Any, where: str) -> Any:
    """A value as JSON has it; numbers that are not finite as ``{"float": "nan"}``."""
    if isinstance(value, np.generic | np.ndarray):
        return _plain(value.tolist(), where)
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, list | tuple):
        return [_plain(item, where) for item in value]
    names = isinstance(value, Mapping) and all(isinstance(key, str) for key in value)
    if names and value.keys() != {"float"}:
        return {key: _plain(item, f"{where}[{key!r}]") for key, item in value.items()}
    raise ThermoError(
        f"{where} holds a {type(value).__name__}, which cannot be saved: numbers, text, and lists "
        "and dicts of them can"
    )


def _restored(value: Any) -> Any:
    if isinstance(value, list):
        return [_restored(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"float"} and isinstance(value["float"], str):
        return float(value["float"])
    return {key: _restored(item) for key, item in value.items()}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _check_version(path: str | Path, head: Mapping[str, Any]) -> None:
    if head.get("version") != VERSION:
        raise ThermoError(
            f"{path} is of version {head.get('version')}, this reads {VERSION}: update thermo-utils"
        )


def _json(path: str | Path, text: str) -> dict[str, Any]:
    try:
        facts = json.loads(text)
    except ValueError:
        facts = None
    if not isinstance(facts, dict):
        raise ThermoError(f"{path} is damaged or of another kind: it holds no JSON object")
    return facts


def _read(path: str | Path) -> str:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ThermoError(f"cannot read {path}: {reason}") from None


def _write(path: str | Path, text: str) -> None:
    try:
        write_atomically(Path(path), text)
    except OSError as error:
        raise ThermoError(f"cannot write {path}: {error.strerror}") from None
