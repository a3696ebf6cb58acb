"""In which order a sample reads a data set: every stretch of it in proportion to the classes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Subset

from thermo_utils.batches import unpack
from thermo_utils.errors import ThermoError

Ints = NDArray[np.int64]

#: The first round has at least this many examples, if the sample may be as large.
FIRST = 400


def stratified_order(size: int, classes: Ints | None, seed: int) -> Ints:
    """A random order of examples of which every stretch holds the classes in proportion.

    Parameters
    ----------
    size : int
        Number of examples.
    classes : ndarray of int64, shape (size,), optional
        Class numbers; without them the order is plainly random.
    seed : int
        Seed of the order.

    Returns
    -------
    ndarray of int64, shape (size,)
        A permutation. Any ``n`` entries in a row hold each class as often as its share of ``n``
        says, to within one or two.

    Notes
    -----
    Systematic sampling: the members of a class, in random order, are spread evenly over the unit
    interval, from a random start; sorting all of them merges the classes.

    Examples
    --------
    >>> classes = np.array([0, 0, 0, 0, 1, 1])
    >>> np.bincount(classes[stratified_order(6, classes, seed=0)[:3]])
    array([2, 1])
    """
    rng = np.random.default_rng(seed)
    if classes is None:
        return rng.permutation(size).astype(np.int64)
    place = np.empty(size)
    for members in _members(classes):
        place[rng.permutation(members)] = (np.arange(members.size) + rng.random()) / members.size
    return np.argsort(place, kind="stable").astype(np.int64)


def round_ends(most: int) -> list[int]:
    """Sizes of the sample after every round: each doubles the one before, the last is `most`.

    Parameters
    ----------
    most : int
        Examples that may be read.

    Returns
    -------
    list of int
        The first is at least `FIRST`, or `most`.

    Examples
    --------
    >>> round_ends(1000), round_ends(614)
    ([500, 1000], [614])
    """
    ends = [most]
    while ends[0] // 2 >= FIRST:
        ends.insert(0, ends[0] // 2)
    return ends


def class_labels(dataset: Any) -> Ints | None:
    """Classes of a data set's examples, if it tells them without reading its items.

    Parameters
    ----------
    dataset : Dataset or sequence
        With ``targets``, ``labels``, ``tensors`` or columns ``labels`` or ``label``; a subset of
        such a data set; or a list or tuple of items.

    Returns
    -------
    ndarray of int64, shape (examples,), or None
        None without labels, or with labels that are no whole numbers, one per example.

    Examples
    --------
    >>> class_labels([("text", 1), ("another", 0)])
    array([1, 0])
    >>> import torch
    >>> from torch.utils.data import TensorDataset
    >>> class_labels(Subset(TensorDataset(torch.zeros(3), torch.tensor([2, 1, 0])), [0, 2]))
    array([2, 0])
    """
    if isinstance(dataset, Subset):
        inner = class_labels(dataset.dataset)
        return None if inner is None else inner[np.asarray(dataset.indices, dtype=np.int64)]
    found: Any = None
    if isinstance(dataset, list | tuple):
        found = [unpack(item)[1] for item in dataset]
    elif isinstance(getattr(dataset, "tensors", None), tuple):
        found = dataset.tensors[-1] if len(dataset.tensors) > 1 else None
    else:
        columns = getattr(dataset, "column_names", None)
        for name in ("targets", "labels", "label"):
            if isinstance(columns, list) and name in columns:
                found = dataset[name]
            elif not callable(getattr(dataset, name, None)):
                found = getattr(dataset, name, None)
            if found is not None:
                break
    if found is None:
        return None
    try:
        return whole_numbers(found, len(dataset))
    except ThermoError:
        return None


def whole_numbers(labels: Any, size: int) -> Ints:
    """Class numbers of `size` examples as an array of shape (size,).

    Raises
    ------
    ThermoError
        If these are not `size` whole numbers.

    Examples
    --------
    >>> whole_numbers([2, 0, 1], 3)
    array([2, 0, 1])
    """
    try:
        classes = np.asarray(labels)
    except (TypeError, ValueError, RuntimeError):
        classes = np.empty(0)
    if classes.shape != (size,) or not np.issubdtype(classes.dtype, np.integer):
        raise ThermoError(
            f"labels of shape {classes.shape} and type {classes.dtype} do not fit {size} examples: "
            "give one whole number each"
        )
    return classes.astype(np.int64)


def _members(classes: Ints) -> Iterator[Ints]:
    """Examples of every class, classes in order of their number."""
    order = np.argsort(classes, kind="stable")
    starts = np.flatnonzero(np.diff(classes[order])) + 1
    yield from np.split(order, starts)
