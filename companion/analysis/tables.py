"""Texts with labels in CSV files and in JSON, a row or a line for each."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from thermo_utils.errors import ThermoError, nearest

__all__ = ["Label", "read_table"]

#: What a label may be: a class number, a value to predict, or the name of a class.
Label = int | float | str


def read_table(
    path: Path, text: str, label: str, *, optional: bool = False
) -> tuple[list[str | list[str]], list[Any] | None]:
    """The columns of a table that matter.

    Parameters
    ----------
    path : Path
        Ends in ``.csv``, ``.tsv``, ``.json``, ``.jsonl`` or ``.ndjson``; UTF-8. A JSON file may
        also hold a single list of objects.
    text, label : str
        Names of the columns.
    optional : bool, default False
        Whether a table without the label's column is taken, of which texts alone are read.

    Returns
    -------
    texts : list of str, or of lists of str
        Lists, in JSON, are words of a text that is taken apart already.
    labels : list or None
        Of int, float or str; in JSON also lists of these, one per word. Numbers in CSV files are
        numbers if all labels are.

    Raises
    ------
    ThermoError
        If the file is damaged, lacks a column, or a row lacks a text or label; the line is named.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp(), "two.csv")
    >>> _ = file.write_text("text,label\\ngood,1\\nbad,0\\n")
    >>> read_table(file, "text", "label")
    (['good', 'bad'], [1, 0])
    """
    separated = path.suffix.lower() in (".csv", ".tsv")
    texts: list[str | list[str]] = []
    labels: list[Any] = []
    labelled = True
    try:
        for where, row in (_separated if separated else _json)(path):
            labelled = labelled and not (optional and not labels and label not in row)
            texts.append(_text(_cell(row, text, where, "--text-column"), where))
            if labelled:
                labels.append(_label(_cell(row, label, where, "--label-column"), where))
    except UnicodeDecodeError as error:
        raise ThermoError(f"{path} is not in UTF-8 ({error.reason}): save it as UTF-8") from error
    except csv.Error as error:
        raise ThermoError(f"{path} is no table: {error}") from error
    if not texts:
        raise ThermoError(f"{path} holds no rows: give a table with texts in it")
    if not labelled:
        return texts, None
    return texts, _numbers(labels) if separated else labels


def _separated(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(
            file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",", strict=True
        )
        for row in reader:
            where = f"{path}, line {reader.line_num}"
            if None in row:
                raise ThermoError(
                    f"{where}: more fields than the head of the table has: put quotes around texts "
                    "with commas in them"
                )
            yield where, row


def _json(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    content = path.read_text(encoding="utf-8-sig")
    if content.lstrip().startswith("["):
        try:
            rows = list(enumerate(json.loads(content), 1))
        except ValueError as error:
            raise ThermoError(f"{path} is no JSON: {error}") from error
        unit = "row"
    else:
        # Not splitlines: that also splits at line separators, which JSON allows within a text.
        lines = [(n, line) for n, line in enumerate(content.split("\n"), 1) if line.strip()]
        rows, unit = [], "line"
        for number, line in lines:
            try:
                rows.append((number, json.loads(line)))
            except ValueError as error:
                raise ThermoError(
                    f"{path}, line {number} is no JSON ({error}): write one object per line"
                ) from error
    for number, row in rows:
        where = f"{path}, {unit} {number}"
        if not isinstance(row, dict):
            raise ThermoError(f'{where} is no object: write {{"text": ..., "label": ...}}')
        yield where, row


def _cell(row: dict[str, Any], name: str, where: str, option: str) -> Any:
    if name not in row:
        close = nearest(name, map(str, row))
        hint = f", did you mean {' or '.join(map(repr, close))}?" if close else ""
        raise ThermoError(
            f"{where}: no column {name!r} among {', '.join(map(str, row))}{hint}; name it with "
            f"{option}"
        )
    if row[name] is None:
        raise ThermoError(f"{where}: the column {name!r} is missing here: complete the row")
    return row[name]


def _text(value: Any, where: str) -> str | list[str]:
    words = isinstance(value, list) and all(isinstance(word, str) for word in value)
    if not isinstance(value, str) and not words:
        raise ThermoError(f"{where}: the text is of type {type(value).__name__}: give a string")
    return value


def _label(value: Any, where: str) -> Any:
    if isinstance(value, str) and not value.strip():
        raise ThermoError(f"{where}: the label is empty: complete the row or leave it out")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return [_label(item, where) for item in value]
    if not isinstance(value, int | float | str):
        raise ThermoError(
            f"{where}: the label is of type {type(value).__name__}: give a number or a name"
        )
    return value


def _numbers(labels: list[str]) -> list[Any]:
    """Labels as numbers, if all of them are."""
    stripped = [label.strip() for label in labels]
    for kind in (int, float):
        try:
            return [kind(label) for label in stripped]
        except ValueError:
            continue
    return stripped
