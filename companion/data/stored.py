"""Rows of a dataset as they are stored, and all that can be wrong with them.

What is checked here is true of every row afterwards, wherever the data came from: there is an
image or a text, and a label which means what the paper's label means.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from companion.data.specs import DatasetSpec
from thermo_utils.errors import ThermoError

if TYPE_CHECKING:
    import datasets

__all__ = ["PARTS", "Piece", "assembled", "other_names", "pieces"]

#: The parts of a dataset in the order in which they are told apart by a fingerprint.
PARTS = {"train": "training", "validation": "validation", "test": "test"}
#: What texts are stored as.
TEXTS = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)


@dataclass(frozen=True)
class Piece:
    """Rows that lie together in one place.

    Attributes
    ----------
    table : pyarrow.Table
        The rows; types and label names may be stated in its metadata.
    place : str
        Where they lie: the name of a file, or what else tells a user where to look.
    features : Features, optional
        Types stated elsewhere, such as in a README.
    """

    table: pa.Table
    place: str
    features: datasets.Features | None = None

    def row(self, number: int) -> str:
        """How a message names a row."""
        return f"{self.place}, row {number} (counting from 0)"


def pieces(parts: datasets.DatasetDict, where: str) -> dict[str, list[Piece]]:
    """What the datasets library has loaded, one piece a part.

    Parameters
    ----------
    parts : DatasetDict
        As loaded.
    where : str
        Where from.

    Returns
    -------
    dict of str to list of Piece
        Without copies of the rows.
    """
    return {
        str(name): [Piece(part.with_format("arrow")[:], f"{where}, part {name}", part.features)]
        for name, part in parts.items()
    }


def assembled(
    spec: DatasetSpec, stored: Mapping[str, Sequence[Piece]], where: str
) -> datasets.DatasetDict:
    """The parts of a dataset, once nothing is wrong with them.

    Parameters
    ----------
    spec : DatasetSpec
        What the dataset should be like.
    stored : mapping of str to sequence of Piece
        Each part's pieces in order; parts of other names are left out.
    where : str
        Where they come from, in words.

    Returns
    -------
    DatasetDict
        With `spec.column` and a ``label`` of type ``ClassLabel``. The path of an image with its
        bytes in the table says in which file and row it lies.

    Raises
    ------
    ThermoError
        If parts, columns, images, texts or labels are missing, labels are no class numbers or of
        classes in another order, or a part is empty or of one class.
    """
    import datasets

    stored = {part: stored[part] for part in PARTS if stored.get(part)}
    _check_columns(spec, stored, where)
    every = {part: [_typed(spec, piece) for piece in found] for part, found in stored.items()}
    names = _names(spec, [piece for found in every.values() for piece in found])
    label = datasets.ClassLabel(names=list(names))
    content = datasets.Image() if spec.kind == "image" else datasets.Value("string")
    features = datasets.Features({spec.column: content, "label": label})
    parts = {}
    for part, found in every.items():
        table = pa.concat_tables(piece.table.replace_schema_metadata() for piece in found)
        _check_part(spec, part, table["label"].to_numpy(), found[0].place)
        # The fingerprint is what the library's own caches go by: no two loads are the same to it.
        parts[part] = datasets.Dataset(
            table,
            info=datasets.DatasetInfo(features=features),
            fingerprint=uuid.uuid4().hex,
        )
    return datasets.DatasetDict(parts)


def other_names(spec: DatasetSpec, names: Sequence[str]) -> bool:
    """Whether classes are named otherwise than officially; numbers in order are no names."""
    return not _numbers(spec.class_names) and not _numbers(names) and not _same(spec, names)


# -- columns and rows ----------------------------------------------------------------------------


def _check_columns(spec: DatasetSpec, stored: Mapping[str, Sequence[Piece]], where: str) -> None:
    needed = {spec.column, "label"}
    found = [piece for part in stored.values() for piece in part]
    lacking = [piece for piece in found if not needed <= set(piece.table.column_names)]
    if {"train", "test"} <= set(stored) and not lacking:
        return
    columns = f"{lacking[0].place} has {lacking[0].table.column_names}" if lacking else ""
    raise ThermoError(
        f"{where} is not {spec.title} as on the hub: it needs train and test splits with columns "
        f"{spec.column!r} and 'label', {columns or f'it has the splits {sorted(stored)} alone'}"
    )


def _typed(spec: DatasetSpec, piece: Piece) -> Piece:
    """The piece with the two columns alone, of the types that all have, and nothing missing."""
    content = _content(spec, piece)
    table = pa.table({spec.column: content, "label": _labels(spec, piece)})
    return Piece(table.replace_schema_metadata(piece.table.schema.metadata), piece.place,
                 piece.features)  # fmt: skip


def _content(spec: DatasetSpec, piece: Piece) -> pa.ChunkedArray:
    column = _plain(piece.table[spec.column])
    if column.null_count:
        raise _missing(spec.kind, piece, pc.is_null(column))
    if spec.kind == "image":
        return _images(spec, piece, column)
    if not any(check(column.type) for check in TEXTS):
        raise _other_type("texts", spec.column, piece)
    texts = column.cast(pa.string())
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid as error:
        raise ThermoError(
            f"{piece.row(_not_utf8(texts))}: the text is not in UTF-8: leave the row out or copy "
            "the file again"
        ) from error
    return texts


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Values themselves where a column stores numbers of values."""
    kind = column.type
    return column.cast(kind.value_type) if pa.types.is_dictionary(kind) else column


def _not_utf8(texts: pa.ChunkedArray) -> int:
    for row, value in enumerate(texts):
        try:
            value.as_py()
        except UnicodeDecodeError:
            return row
    raise AssertionError("every text can be read")


def _images(spec: DatasetSpec, piece: Piece, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Bytes and path of images; where there are bytes, the path says where they lie."""
    import datasets

    image, chunks, first = datasets.Image(), [], 0
    for chunk in column.chunks:
        try:
            storage = image.cast_storage(chunk)
        except (TypeError, ValueError, NotImplementedError) as error:
            raise _other_type("images", spec.column, piece) from error
        if storage.type != image.pa_type:
            raise _other_type("images", spec.column, piece)
        content, path = (pc.struct_field(storage, name) for name in ("bytes", "path"))
        rows = pa.array([piece.row(first + i) for i in range(len(storage))], pa.string())
        known = pc.if_else(pc.is_valid(content), rows, path)
        chunks.append(pa.StructArray.from_arrays([content, known], ["bytes", "path"]))
        first += len(storage)
    images = pa.chunked_array(chunks, image.pa_type)
    without = pc.is_null(pc.struct_field(images, "path"))
    if pc.any(without).as_py():
        raise _missing("image", piece, without)
    return images


def _labels(spec: DatasetSpec, piece: Piece) -> pa.ChunkedArray:
    column = _plain(piece.table["label"])
    if column.null_count:
        raise _missing("label", piece, pc.is_null(column))
    last = len(spec.class_names) - 1
    rule = f"labels of {spec.title} are whole numbers from 0 to {last}"
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        if not len(column):
            return pa.chunked_array([], pa.int64())
        raise ThermoError(
            f"{piece.row(0)}: the label is {column[0].as_py()!r}, but {rule}: store labels as "
            "class numbers"
        )
    wrong = pc.invert(pc.and_(pc.greater_equal(column, 0), pc.less_equal(column, last)))
    if pa.types.is_floating(column.type):
        wrong = pc.or_(wrong, pc.not_equal(column, pc.round(column)))
    row = pc.index(wrong, True).as_py()
    if row >= 0:
        raise ThermoError(
            f"{piece.row(row)}: the label is {column[row].as_py()}, but {rule}: correct the row or "
            "copy the file again"
        )
    return column.cast(pa.int64())


def _missing(what: str, piece: Piece, where: pa.ChunkedArray) -> ThermoError:
    row = pc.index(where, True).as_py()
    return ThermoError(
        f"{piece.row(row)}: there is no {what}: leave the row out or copy the file again"
    )


def _other_type(wanted: str, name: str, piece: Piece) -> ThermoError:
    return ThermoError(
        f"{piece.place}: column {name!r} holds no {wanted} but {piece.table[name].type}: copy the "
        "file again"
    )


# -- classes -------------------------------------------------------------------------------------


def _names(spec: DatasetSpec, every: Iterable[Piece]) -> tuple[str, ...]:
    """What the classes are called in the data, or officially where they do not say."""
    import datasets

    first: tuple[str, tuple[str, ...]] | None = None
    for piece in every:
        try:
            inner = datasets.Features.from_arrow_schema(piece.table.schema)
        except Exception as error:  # metadata may be anything
            raise ThermoError(
                f"{piece.place}: what it says of its types cannot be read "
                f"({type(error).__name__}): copy the file again"
            ) from error
        for features in filter(None, (piece.features, inner)):
            label = features.get("label")
            if not isinstance(label, datasets.ClassLabel):
                continue
            names = tuple(label.names)
            _check_order(spec, names, piece.place)
            if first is not None and first[1] != names:
                raise ThermoError(
                    f"classes are called {_listed(first[1])} in {first[0]} and {_listed(names)} in "
                    f"{piece.place}: make the names equal"
                )
            first = first or (piece.place, names)
    return first[1] if first is not None else spec.class_names


def _check_order(spec: DatasetSpec, names: Sequence[str], place: str) -> None:
    """Refuse a class that is known by name and has another number."""
    if _numbers(names) or _same(spec, names):
        return
    numbers = {name.casefold(): number for number, name in enumerate(names)}
    moved = [
        name
        for number, name in enumerate(spec.class_names)
        if numbers.get(name.casefold(), number) != number
    ]
    if moved:
        raise ThermoError(
            f"{place}: classes are in the order {_listed(names)}, those of {spec.title} in the "
            f"order {_listed(spec.class_names)}: renumber the labels in the official order"
        )


def _check_part(spec: DatasetSpec, part: str, labels: NDArray[np.int64], place: str) -> None:
    counts = np.bincount(labels, minlength=len(spec.class_names))
    total, classes = int(counts.sum()), len(spec.class_names)
    what = f"the {PARTS[part]} part of {spec.title} ({place})"
    if total == 0:
        raise ThermoError(f"{what} is empty: copy it again")
    if part != "validation" and counts.max() == total:
        raise ThermoError(
            f"all {total:,} examples of {what} are of one class, {int(counts.argmax())}: copy all "
            "of its files"
        )
    if part == "train" and total < classes:
        raise ThermoError(
            f"{what} has {total:,} examples, fewer than the {classes} classes: copy all of "
            "its files"
        )


def _same(spec: DatasetSpec, names: Sequence[str]) -> bool:
    return [name.casefold() for name in names] == [name.casefold() for name in spec.class_names]


def _numbers(names: Sequence[str]) -> bool:
    """Whether names are numbers that grow, from whichever on."""
    if not all(name.isascii() and name.isdigit() and len(name) < 9 for name in names):
        return False
    values = [int(name) for name in names]
    return values == sorted(set(values))


def _listed(names: Sequence[str], most: int = 12) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
