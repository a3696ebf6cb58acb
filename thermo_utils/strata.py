"""The order in which a sample reads a data set: every stretch in proportion to the classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Subset

from thermo_utils.batches import parts
from thermo_utils.errors import ThermoError

__all__ = ["class_labels", "stratified_order", "whole_numbers"]

Ints = NDArray[np.int64]


def stratified_order(size: int, classes: Ints | None, seed: int) -> Ints:
    """A random order of examples of which every stretch holds the classes in proportion.

    Systematic sampling: the members of a class, in random order, are spread evenly over the unit
    interval, from a random start; sorting all of them merges the classes.

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
        A permutation.

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
    by_class = np.argsort(classes, kind="stable")
    for members in np.split(by_class, np.flatnonzero(np.diff(classes[by_class])) + 1):
        place[rng.permutation(members)] = (np.arange(members.size) + rng.random()) / members.size
    return np.argsort(place, kind="stable").astype(np.int64)


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
    """
    if isinstance(dataset, Subset):
        inner = class_labels(dataset.dataset)
        return None if inner is None else inner[np.asarray(dataset.indices, dtype=np.int64)]
    if isinstance(dataset, list | tuple):
        found: Any = [parts(item)[1] for item in dataset]
    elif isinstance(getattr(dataset, "tensors", None), tuple):
        found = dataset.tensors[-1] if len(dataset.tensors) > 1 else None
    else:
        columns = getattr(dataset, "column_names", None)
        columns = columns if isinstance(columns, list) else []
        places = (
            dataset[name] if name in columns else getattr(dataset, name, None)
            for name in ("targets", "labels", "label")
        )
        found = next((p for p in places if p is not None and not callable(p)), None)
    try:
        return None if found is None else whole_numbers(found, len(dataset))
    except ThermoError:
        return None


def whole_numbers(labels: Any, size: int) -> Ints:
    """Class numbers of `size` examples as an array; a ThermoError if `labels` are no such thing."""
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
