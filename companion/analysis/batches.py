"""From stored examples to batches that a network takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, RandomSampler

from companion.analysis.examples import Examples
from companion.analysis.failures import in_one_line
from companion.analysis.images import ImageBatches
from companion.analysis.labels import Numbered, numbered
from companion.analysis.models import Loaded
from companion.analysis.request import Request
from companion.analysis.texts import text_batches
from thermo_utils.batches import unpack
from thermo_utils.devices import Resident
from thermo_utils.errors import ThermoError
from thermo_utils.running import evaluating, forward
from thermo_utils.targets import tensor_of

__all__ = ["Prepared", "first_batch", "prepare"]

#: Bytes of prepared batches that are kept; more are prepared anew for every pass.
KEPT = 2 << 30


@dataclass(frozen=True)
class Prepared:
    """Batches, and what a reader should know about them.

    Attributes
    ----------
    batches : iterable
        Read once for every pass.
    facts : mapping of str to str
        How they were made.
    meaning : mapping of int to str
        What the class numbers stand for.
    notes : list of str
        Warnings for the report.
    """

    batches: Iterable[Any]
    facts: Mapping[str, str] = field(default_factory=dict)
    meaning: Mapping[int, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def prepare(examples: Examples, loaded: Loaded, request: Request) -> Prepared:
    """Batches for a network.

    Parameters
    ----------
    examples : Examples
    loaded : Loaded
        The network, which says how images and texts are prepared and what its classes are.
    request : Request
        Sizes, and whether targets are needed.

    Returns
    -------
    Prepared

    Raises
    ------
    ThermoError
        If the examples do not go with the network.
    """
    if examples.kind == "batches":
        return _own(examples, request)
    facts: dict[str, str] = {}
    notes: list[str] = []
    scored = not request.rfe_only
    labelled = scored and _needs_labels(examples, loaded)
    limited, chosen = examples.limited(request.limit, request.seed)
    batches: Iterable[Any]
    if examples.kind == "texts":
        batches = text_batches(limited, loaded, request, facts, notes)
    else:
        batches = ImageBatches(limited, loaded, request, facts)
    meaning: Mapping[int, str] = {}
    if labelled:
        # Of a network of the user's own, one batch tells how many classes it has.
        outputs = loaded.outputs or _outputs(loaded, batches)
        found = _numbered(examples, loaded, outputs)
        facts["labels"], meaning = found.how, found.meaning
        targets = torch.tensor([found.numbers[i] for i in chosen])
        batches = _Labelled(batches, targets, paired=loaded.task is None)
    if examples.kind == "images":
        batches = Resident(batches, torch.device("cpu"), KEPT)
    else:
        batches = list(batches)
    facts["data"] = limited.title
    facts["examples"] = f"{len(chosen):,} in batches of {request.batch_size}"
    return Prepared(batches, facts, meaning, notes)


def first_batch(batches: Iterable[Any], what: str) -> Any:
    """The first of the batches.

    Parameters
    ----------
    batches : iterable
    what : str
        Their name, for the message.

    Returns
    -------
    object

    Raises
    ------
    ThermoError
        If there is none, or making it fails.

    Examples
    --------
    >>> first_batch([[1], [2]], "own.py:batches")
    [1]
    """
    with in_one_line(f"reading {what}"):
        for batch in batches:
            return batch
    raise ThermoError(f"{what} holds no batch: give at least one")


def _needs_labels(examples: Examples, loaded: Loaded) -> bool:
    """Whether the targets are one label for each example; else they are made with the inputs."""
    task = loaded.task
    words = task == "tokens" and examples.kind == "texts"
    if task in ("other", "pixels") or (task == "tokens" and not words):
        raise ThermoError(
            f"{loaded.title} answers something that {examples.title} holds no targets for: give "
            "batches with 'labels' as FILE.py:NAME, or take --rfe-only, which needs none"
        )
    if task != "next token" and examples.labels is None:
        raise ThermoError(
            f"{examples.title} has no labels, and the score needs them: name their column with "
            "--label-column, or take --rfe-only, which needs none"
        )
    if task == "next token" and examples.kind == "images":
        raise ThermoError(f"{loaded.title} reads texts, and {examples.title} holds images")
    return task in (None, "classes", "values")


def _numbered(examples: Examples, loaded: Loaded, outputs: int | None) -> Numbered:
    assert examples.labels is not None
    if any(isinstance(label, list) for label in examples.labels):
        raise ThermoError(
            f"{examples.title} has several labels for one example, and the network gives one "
            "answer: give one label each"
        )
    return numbered(examples.labels, classes=loaded.classes, outputs=outputs, names=examples.names)


def _outputs(loaded: Loaded, batches: Iterable[Any]) -> int | None:
    batch = first_batch(batches, loaded.title)
    with in_one_line(f"{loaded.title} on a first batch"), evaluating(loaded.network):
        found = tensor_of(forward(loaded.network, batch))
    if found is None or found.ndim > 2:
        return None
    return 1 if found.ndim == 1 else found.shape[-1]


class _Labelled:
    """Inputs of batches with their targets, as pairs or under ``labels``."""

    def __init__(self, inputs: Iterable[Any], targets: Tensor, *, paired: bool) -> None:
        self._inputs, self._targets, self._paired = inputs, targets, paired

    def __iter__(self) -> Iterator[Any]:
        start = 0
        for inputs in self._inputs:
            first = next(iter(inputs.values())) if isinstance(inputs, Mapping) else inputs
            end = start + len(first)
            targets, start = self._targets[start:end], end
            yield (inputs, targets) if self._paired else {**inputs, "labels": targets}


def _own(examples: Examples, request: Request) -> Prepared:
    """Batches that the user makes."""
    batches, facts, notes = examples.items, {}, []
    if isinstance(batches, Dataset) and not isinstance(batches, IterableDataset):
        batches = DataLoader(batches, batch_size=request.batch_size)
        facts["batches"] = f"a Dataset, in batches of {request.batch_size}"
    elif isinstance(batches, DataLoader) and isinstance(batches.sampler, RandomSampler):
        notes.append(
            "The DataLoader shuffles: single examples cannot be followed from pass to pass, and "
            "an interrupted evaluation cannot go on. Pass shuffle=False."
        )
    with in_one_line(f"reading {examples.title}"):
        if request.limit is not None:
            batches = list(_first(batches, request.limit))
            facts["limit"] = f"the first {request.limit:,} examples at most"
        elif isinstance(batches, Iterator):
            batches = list(batches)
    return Prepared(batches, facts, {}, notes)


def _first(batches: Iterable[Any], most: int) -> Iterator[Any]:
    """Batches up to a number of examples, the last of which may be cut."""
    left = most
    for batch in batches:
        count = _length(unpack(batch)[0])
        if count is None:
            raise ThermoError(
                "--limit cannot tell how many examples a batch holds: let batches begin with a "
                "tensor, or leave it out"
            )
        yield batch if count <= left else _cut(batch, count, left)
        left -= count
        if left <= 0:
            return


def _length(value: Any) -> int | None:
    """Examples in a batch: the length of its first tensor."""
    if isinstance(value, Tensor):
        return len(value) if value.ndim else None
    if isinstance(value, Mapping | tuple | list):
        parts = value.values() if isinstance(value, Mapping) else value
        return next((n for n in map(_length, parts) if n is not None), None)
    return None


def _cut(value: Any, count: int, left: int) -> Any:
    """The same structure with all tensors of `count` rows cut."""
    if isinstance(value, Tensor):
        return value[:left] if value.ndim and len(value) == count else value
    if isinstance(value, Mapping):
        return {key: _cut(item, count, left) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return tuple(_cut(item, count, left) for item in value)
    return value
