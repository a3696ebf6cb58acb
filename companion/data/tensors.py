"""The four datasets of the paper (Section 4.1), real or generated, as tensors.

Real data are reached by :mod:`companion.data.sources`. Generated data
(:mod:`companion.data.synthetic`) have the same columns, shapes, classes and label names, so
everything downstream is one code path.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, SequentialSampler

from companion.data.official import departures
from companion.data.sources import load
from companion.data.specs import DATASETS, DatasetSpec
from thermo_utils.errors import ThermoError, unknown

if TYPE_CHECKING:
    import datasets

__all__ = [
    "Examples",
    "Splits",
    "batches",
    "evaluation_batches",
    "image_splits",
    "load_splits",
]

#: Share of the training set held out for early stopping where there is no official validation set.
VALIDATION_SHARE = 0.1
#: More examples per step in evaluation, where nothing is kept for gradients.
EVALUATION_FACTOR = 4


class Examples(Dataset[Any]):
    """Inputs and targets in memory; an index may be a list, which is how batches are made.

    Parameters
    ----------
    inputs : Tensor or dict of Tensor
        First dimension: examples.
    targets : Tensor of int64, shape (examples,)
        Class numbers.
    """

    def __init__(self, inputs: Tensor | dict[str, Tensor], targets: Tensor) -> None:
        self.inputs = inputs
        self.targets = targets

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: Any) -> tuple[Any, Tensor]:
        if isinstance(self.inputs, Tensor):
            return self.inputs[index], self.targets[index]
        return {name: column[index] for name, column in self.inputs.items()}, self.targets[index]

    def __getitems__(self, index: list[int]) -> tuple[Any, Tensor]:
        """A batch, which needs no collating."""
        return self[index]

    @staticmethod
    def collate(batch: tuple[Any, Tensor]) -> tuple[Any, Tensor]:
        """What :meth:`__getitems__` returned, as it is."""
        return batch


@dataclass(frozen=True)
class Splits:
    """A dataset ready for training and analysis.

    Attributes
    ----------
    train, validation, test : Examples
        The three parts.
    class_names : tuple of str
        Labels in order.
    source : str
        Where the data came from, in words.
    fingerprint : str
        SHA-256 of inputs and targets of all parts, as hexadecimal digits.
    departures : tuple of str
        How the data differ from the official set, see :func:`companion.data.official.departures`.
    vocabulary, padding, max_length : int, optional
        Of texts: number of token ids, the id of padding, tokens per text. None for images.
    """

    train: Examples
    validation: Examples
    test: Examples
    class_names: tuple[str, ...]
    source: str
    fingerprint: str
    departures: tuple[str, ...] = ()
    vocabulary: int | None = None
    padding: int | None = None
    max_length: int | None = None

    @property
    def shape(self) -> dict[str, Any]:
        """What a network has to know of the data: arguments of its ``make``.

        ``classes`` and, of images, ``image_size`` (pixels of a side); of texts ``vocabulary``,
        ``padding`` and ``max_length``.
        """
        classes = {"classes": len(self.class_names)}
        if isinstance(self.train.inputs, Tensor):
            return {**classes, "image_size": int(self.train.inputs.shape[-1])}
        return {
            **classes,
            "vocabulary": self.vocabulary,
            "padding": self.padding,
            "max_length": self.max_length,
        }

    def facts(self) -> dict[str, Any]:
        """What a result record keeps of the data."""
        return {
            "source": self.source,
            "fingerprint": self.fingerprint,
            "train": len(self.train),
            "validation": len(self.validation),
            "test": len(self.test),
            "classes": len(self.class_names),
            # What a network must beat to have learned anything.
            "most_frequent": int(self.test.targets.bincount().max()) / len(self.test),
            "departures": list(self.departures),
        }


def batches(
    examples: Examples, batch_size: int, *, shuffle: bool = False, seed: int = 0
) -> DataLoader[Any]:
    """Batches of examples, cut out of the tensors in one piece.

    Parameters
    ----------
    examples : Examples
        The data.
    batch_size : int
        Examples per batch; the last batch may be smaller.
    shuffle : bool, default False
        Draw a new order in every epoch, from `seed`, to train on. A last batch of one example is
        then left out: batch normalisation cannot learn from it.
    seed : int, default 0
        Seed of the order.

    Returns
    -------
    DataLoader
        Yields ``(inputs, targets)`` pairs.

    Examples
    --------
    >>> loader = batches(Examples(torch.arange(5.0), torch.arange(5)), 2)
    >>> [len(targets) for _, targets in loader]
    [2, 2, 1]
    """
    generator = torch.Generator().manual_seed(seed)
    order = RandomSampler(examples, generator=generator) if shuffle else SequentialSampler(examples)
    alone = shuffle and len(examples) > batch_size and len(examples) % batch_size == 1
    # A sampler of lists with batch_size=None makes DataLoader index whole batches at once,
    # instead of collating single examples.
    return DataLoader(examples, sampler=BatchSampler(order, batch_size, alone), batch_size=None)


def evaluation_batches(examples: Examples, batch_size: int) -> DataLoader[Any]:
    """Batches to evaluate on: in order, and larger than those to train on.

    Parameters
    ----------
    examples : Examples
        The data.
    batch_size : int
        Examples per step of training.

    Returns
    -------
    DataLoader
        As :func:`batches`.

    Examples
    --------
    >>> nine = Examples(torch.zeros(9), torch.zeros(9))
    >>> [len(targets) for _, targets in evaluation_batches(nine, 2)]
    [8, 1]
    """
    return batches(examples, EVALUATION_FACTOR * batch_size)


def load_splits(
    dataset: str,
    *,
    synthetic: bool,
    sizes: tuple[int | None, int | None, int | None] = (None, None, None),
    seed: int = 0,
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
        If the dataset is unknown, ``THERMO_DATA`` does not hold it, or the hub is out of reach.
    """
    if dataset not in DATASETS:
        raise unknown("dataset", dataset, DATASETS)
    spec = DATASETS[dataset]
    if synthetic:
        from companion.data.synthetic import generate

        parts, source = generate(spec, sizes, seed), "synthetic data, generated in code"
        remarks: tuple[str, ...] = ()
    else:
        parts, source = load(spec)
        remarks = departures(spec, parts)
        parts = _with_validation(parts, seed)
    for name, size in zip(("train", "validation", "test"), sizes, strict=True):
        if size is not None and size < len(parts[name]):
            parts[name] = parts[name].shuffle(seed=seed).select(range(size))
    return parts, source, remarks


def image_splits(
    dataset: str,
    *,
    synthetic: bool,
    sizes: tuple[int | None, int | None, int | None] = (None, None, None),
    seed: int = 0,
) -> Splits:
    """An image dataset as normalised tensors (Section 4.1).

    Parameters
    ----------
    dataset, synthetic, sizes, seed
        As for :func:`load_splits`.

    Returns
    -------
    Splits
        Inputs are ``float32`` of shape ``(examples, 3, side, side)``: CIFAR-10 at 32 pixels in
        [-1, 1], Flowers-102 at 64 pixels with ImageNet statistics.

    Raises
    ------
    ThermoError
        As :func:`load_splits`; if the dataset holds no images.
    """
    parts, source, remarks = load_splits(dataset, synthetic=synthetic, sizes=sizes, seed=seed)
    spec = DATASETS[dataset]
    if spec.kind != "image":
        raise ThermoError(f"{spec.title} holds {spec.kind}s, not images")
    digest = hashlib.sha256()
    tensors = {name: _images(part, spec, digest) for name, part in parts.items()}
    return Splits(
        train=tensors["train"],
        validation=tensors["validation"],
        test=tensors["test"],
        class_names=spec.class_names,
        source=source,
        fingerprint=digest.hexdigest(),
        departures=remarks,
    )


def _with_validation(parts: datasets.DatasetDict, seed: int) -> datasets.DatasetDict:
    """Official validation set, or a seeded, stratified tenth of the training set."""
    if "validation" in parts:
        return parts
    import datasets

    halves = parts["train"].train_test_split(
        test_size=VALIDATION_SHARE, seed=seed, stratify_by_column="label"
    )
    return datasets.DatasetDict(
        train=halves["train"], validation=halves["test"], test=parts["test"]
    )


def _images(part: datasets.Dataset, spec: DatasetSpec, digest: Any) -> Examples:
    side = spec.image_size
    pixels = np.empty((len(part), side, side, 3), dtype=np.uint8)
    for i, image in enumerate(_column(part, spec.column)):
        rgb = image.convert("RGB")
        pixels[i] = rgb if rgb.size == (side, side) else rgb.resize((side, side))
    targets = np.asarray(part["label"], dtype=np.int64)
    digest.update(pixels.tobytes())
    digest.update(targets.tobytes())
    scaled = torch.from_numpy(pixels).permute(0, 3, 1, 2).to(torch.float32).div_(255)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (spec.mean, spec.std))
    return Examples(scaled.sub_(mean).div_(std).contiguous(), torch.from_numpy(targets))


def _column(part: datasets.Dataset, name: str) -> Iterator[Any]:
    for row in part.select_columns([name]):
        yield row[name]
