"""The data of ``thermo analyze`` as they are stored: images, texts or batches, and their labels."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

from companion.analysis.failures import called
from companion.analysis.references import IMAGES, Reference, load_object
from companion.analysis.request import LABEL_COLUMN, Request
from companion.analysis.tables import read_table
from thermo_utils.errors import ThermoError, unknown

if TYPE_CHECKING:
    import datasets

__all__ = ["Examples", "groups", "read_examples"]

#: Parts of a data set that are taken unless another is named, in this order.
PARTS = ("test", "validation", "valid", "dev")


@dataclass(frozen=True)
class Examples:
    """Examples as they are stored.

    Attributes
    ----------
    kind : {"batches", "images", "texts"}
    items : iterable
        Batches; or for each image what :func:`companion.data.images.decoded` takes; or texts.
    title : str
        Where they come from, in words.
    labels : sequence, optional
        One for each item, as it is stored.
    names : sequence of str, optional
        What labels that are numbers stand for, if the data say so.
    """

    kind: Literal["batches", "images", "texts"]
    items: Any
    title: str
    labels: Sequence[Any] | None = None
    names: Sequence[str] | None = None

    @property
    def classes(self) -> int | None:
        """How many classes the labels name, None if there are no labels."""
        if self.names is not None:
            return len(self.names)
        if self.labels is None:
            return None
        if all(isinstance(label, int) for label in self.labels):
            return int(max(self.labels)) + 1
        return len({str(label) for label in self.labels})

    def limited(self, most: int | None, seed: int) -> tuple[Examples, list[int]]:
        """At most so many examples, drawn at random, for many data sets are in order of class.

        Parameters
        ----------
        most : int, optional
            All by default.
        seed : int
            Decides which.

        Returns
        -------
        examples : Examples
        chosen : list of int
            Which, in their order.
        """
        count = len(self.items)
        if most is None or most >= count:
            return self, list(range(count))
        chosen = sorted(random.Random(seed).sample(range(count), most))
        return replace(
            self,
            items=[self.items[i] for i in chosen],
            labels=None if self.labels is None else [self.labels[i] for i in chosen],
            title=f"{self.title}, {most:,} of {count:,} examples at random (seed {seed})",
        ), chosen


def groups(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """Items in groups of a size, the last of which may be smaller.

    Parameters
    ----------
    items : sequence
    size : int

    Yields
    ------
    sequence

    Examples
    --------
    >>> list(groups([1, 2, 3], 2))
    [[1, 2], [3]]
    """
    for start in range(0, len(items), size):
        yield items[start : start + size]


def read_examples(reference: Reference, request: Request) -> Examples:
    """The examples that a reference means.

    Parameters
    ----------
    reference : Reference
        To data.
    request : Request
        Names of columns and parts. A column for labels may be missing if it has no name of its own
        there: not every network needs them.

    Returns
    -------
    Examples

    Raises
    ------
    ThermoError
        If they cannot be read.
    """
    if reference.kind == "object":
        return _from_python(reference.name)
    if reference.kind == "images":
        return _from_folder(Path(reference.name))
    if reference.kind == "table":
        file = Path(reference.name)
        texts, found = read_table(
            file, request.text_column, request.label_column, optional=_unnamed(request)
        )
        return Examples("texts", texts, str(file), found)
    return _from_datasets(reference, request)


def _from_python(name: str) -> Examples:
    found = load_object(name)
    if callable(found) and not hasattr(found, "__iter__") and not hasattr(found, "__getitem__"):
        found = called(found, name)
    if not isinstance(found, Iterable) and not hasattr(found, "__getitem__"):
        raise ThermoError(f"{name} is of type {type(found).__name__}, not an iterable of batches")
    if isinstance(found, str | bytes | dict):
        raise ThermoError(
            f"{name} is of type {type(found).__name__}, not an iterable of batches: put a single "
            "batch into a list"
        )
    return Examples("batches", found, name)


def _from_folder(folder: Path) -> Examples:
    items: list[dict[str, Any]] = []
    labels: list[str] = []
    empty: list[str] = []
    for place in sorted(entry for entry in folder.iterdir() if entry.is_dir()):
        files = sorted(f for f in place.rglob("*") if f.suffix.lower() in IMAGES and f.is_file())
        if not files:
            empty.append(place.name)
        items += [{"path": str(file), "bytes": None} for file in files]
        labels += [place.name] * len(files)
    if empty:
        raise ThermoError(
            f"the folder {empty[0]} in {folder} holds no image ({', '.join(IMAGES)}): every folder "
            "there is a class; remove those that are none"
        )
    return Examples("images", items, str(folder), labels)


def _unnamed(request: Request) -> bool:
    """Whether nobody has asked for this column of labels."""
    return request.label_column == LABEL_COLUMN


def _from_datasets(reference: Reference, request: Request) -> Examples:
    import datasets

    from companion.hub import cause, hub
    from companion.mirror import mirror

    name = reference.name
    local = reference.kind == "saved"
    try:
        if not local and (folder := mirror("THERMO_DATA", "uoft-cs/cifar10")) is not None:
            if not (folder / name).is_dir():
                raise ThermoError(f"THERMO_DATA has no folder {name}: put it there, or unset it")
            found = _load_local(folder / name)
        elif local:
            found = _load_local(Path(name))
        else:
            with hub():
                found = datasets.load_dataset(name, request.config)
    except ThermoError:
        raise
    except Exception as error:  # the clients of the hub raise a dozen kinds
        where = "the folder" if local else "Hugging Face"
        fix = (
            "write it anew with save_to_disk"
            if local
            else "check the name and the network, or give a local file or folder"
        )
        raise ThermoError(f"could not load {name} from {where} ({cause(error)}): {fix}") from error
    part, title = _part(found, name, request.split)
    if not len(part):
        raise ThermoError(f"{title} holds no examples: name another part with --split")
    return _columns(part, title, request)


def _load_local(folder: Path) -> Any:
    import datasets

    if (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file():
        return datasets.load_from_disk(str(folder))
    # What the library keeps of a folder it takes for good, although the files may change.
    with TemporaryDirectory(prefix="thermo-") as cache:
        return datasets.load_dataset(str(folder), cache_dir=cache, keep_in_memory=True)


def _part(found: Any, name: str, split: str | None) -> tuple[datasets.Dataset, str]:
    if not isinstance(found, dict):
        if split is not None:
            raise ThermoError(f"{name} has no parts: leave --split out")
        return found, name
    if split is None:
        split = next((part for part in PARTS if part in found), None)
        if split is None and len(found) > 1:
            raise ThermoError(f"{name} has the parts {', '.join(found)}: choose one with --split")
        split = split or next(iter(found))
    if split not in found:
        raise unknown("split", split, found)
    return found[split], f"{name} (part {split})"


def _columns(part: datasets.Dataset, title: str, request: Request) -> Examples:
    import datasets

    features = part.features
    images = [name for name, kind in features.items() if isinstance(kind, datasets.Image)]
    column = request.image_column if request.image_column in images else None
    if column is None and len(images) == 1 and request.text_column not in features:
        column = images[0]
    kind: Literal["images", "texts"] = "texts" if column is None else "images"
    column = column or request.text_column
    labelled = request.label_column in features or not _unnamed(request)
    for name, option in ((column, "--text-column"), (request.label_column, "--label-column")):
        if name not in features and (labelled or name == column):
            raise ThermoError(
                f"{title} has no column {name!r} among {', '.join(features)}: name it with {option}"
            )
    if kind == "images":
        items: Any = part.select_columns([column]).with_format("arrow")[:][column].to_pylist()
    else:
        items = list(part[column])
        for row, text in enumerate(items):
            if not isinstance(text, str) and not _words(text):
                raise ThermoError(
                    f"{title}, row {row}: the column {column!r} holds {type(text).__name__}, no "
                    "text: name another with --text-column"
                )
    if not labelled:
        return Examples(kind, items, title)
    given = list(part[request.label_column])
    missing = next((row for row, label in enumerate(given) if label is None), None)
    if missing is not None:
        raise ThermoError(f"{title}, row {missing}: the label is missing: leave the row out")
    feature = features[request.label_column]
    feature = getattr(feature, "feature", feature)  # of every word of a list
    names = feature.names if isinstance(feature, datasets.ClassLabel) else None
    if names is not None and -1 in given:  # how the library marks labels that are held back
        raise ThermoError(f"{title} has no labels: choose another part with --split")
    return Examples(kind, items, title, given, names)


def _words(text: Any) -> bool:
    return isinstance(text, list) and all(isinstance(word, str) for word in text)
