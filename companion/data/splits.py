"""The four datasets of the paper (Section 4.1), real or generated, in three parts.

Real data are reached by :mod:`companion.data.sources`. Generated data
(:mod:`companion.data.synthetic`) have the same columns, shapes, classes and label names, so
everything downstream is one code path.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from companion.data.official import departures
from companion.data.partitions import OFFICIAL, check_split, parted
from companion.data.sources import load
from companion.data.specs import DATASETS, DatasetSpec
from thermo_utils.errors import ThermoError, unknown

if TYPE_CHECKING:
    import datasets

__all__ = ["load_splits"]

#: Share of the training set held out for early stopping where there is no official validation set.
VALIDATION_SHARE = 0.1


def load_splits(
    dataset: str,
    *,
    synthetic: bool,
    sizes: tuple[int | None, int | None, int | None] = (None, None, None),
    seed: int = 0,
    split: str = OFFICIAL,
) -> tuple[datasets.DatasetDict, str, tuple[str, ...]]:
    """Raw examples of a dataset, split for training, validation and test.

    Parameters
    ----------
    dataset : str
        One of `DATASETS`.
    synthetic : bool
        Generate the data instead of loading them.
    sizes : tuple of int or None
        Upper bounds on the three parts; None means all of it (for synthetic data, bounds are
        required). A smaller part is drawn at random with `seed`.
    seed : int, default 0
        Seed of the split and of the draw.
    split : str, default "official"
        Other parts of images, see :func:`companion.data.partitions.check_split`.

    Returns
    -------
    DatasetDict
        Parts ``train``, ``validation``, ``test`` with the columns of the hub.
    str
        The source, in words.
    tuple of str
        How the data differ from the official set before they are cut to `sizes`, see
        :func:`companion.data.official.departures`; empty for synthetic data.

    Raises
    ------
    ThermoError
        If the dataset or the split is unknown, ``THERMO_DATA`` does not hold it, or the hub is out
        of reach; if the data are damaged or not the dataset's, or too few to hold out a part of
        each class.
    """
    if dataset not in DATASETS:
        raise unknown("dataset", dataset, DATASETS)
    spec = DATASETS[dataset]
    check_split(split)
    if synthetic:
        from companion.data.synthetic import generate

        parts, source = generate(spec, sizes, seed), "synthetic data, generated in code"
        remarks: tuple[str, ...] = ()
    else:
        parts, source = load(spec)
        remarks = departures(spec, parts)
    parts = _with_validation(parted(parts, split, seed, spec.title), spec, seed)
    for name, size in zip(("train", "validation", "test"), sizes, strict=True):
        if size is not None and size < len(parts[name]):
            parts[name] = parts[name].shuffle(seed=seed).select(range(size))
    return parts, source, remarks


def _with_validation(
    parts: datasets.DatasetDict, spec: DatasetSpec, seed: int
) -> datasets.DatasetDict:
    """The validation part that there is, or a seeded, stratified tenth of the training set."""
    if "validation" in parts:
        return parts
    import datasets

    _check_enough(parts["train"], spec)
    halves = parts["train"].train_test_split(
        test_size=VALIDATION_SHARE, seed=seed, stratify_by_column="label"
    )
    return datasets.DatasetDict(
        train=halves["train"], validation=halves["test"], test=parts["test"]
    )


def _check_enough(train: datasets.Dataset, spec: DatasetSpec) -> None:
    """Refuse a training set of which not every class can be in both parts."""
    labels, counts = np.unique(np.asarray(train["label"][:]), return_counts=True)
    held_out = math.ceil(VALIDATION_SHARE * len(train))
    why = None
    if counts.min() < 2:
        why = f"a single example of class {labels[counts.argmin()]}"
    elif held_out < len(labels):
        why = f"{len(train):,} examples of {len(labels)} classes"
    if why is not None:
        raise ThermoError(
            f"the training part of {spec.title} has {why}, too few to hold out a tenth of "
            "each: copy all of its files, or add a validation part"
        )
