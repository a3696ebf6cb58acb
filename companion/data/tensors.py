"""The image datasets of the paper (Section 4.1) as tensors, and batches of any examples.

What is stored is read by :mod:`companion.data.splits`; here it becomes tensors and batches.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, SequentialSampler

from companion.data.images import conversions, pixels
from companion.data.partitions import OFFICIAL, split_in_words
from companion.data.sources import files_digest
from companion.data.specs import DATASETS, DatasetSpec
from companion.data.splits import load_splits
from thermo_utils.errors import ThermoError
from thermo_utils.evaluation import BLOCKS

__all__ = [
    "EVALUATION_FACTOR",
    "Examples",
    "Splits",
    "batches",
    "evaluation_batches",
    "image_splits",
]

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
    files : str, optional
        Digest of the files of a local mirror, see :func:`companion.data.sources.files_digest`.
    split : str
        Which examples are in which part, see :func:`companion.data.partitions.check_split`.
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
    files: str | None = None
    split: str = OFFICIAL

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
            "files": self.files,
            "split": split_in_words(self.split),
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
    """Batches to evaluate on: in order, as many as there are blocks, or of a larger size.

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
    >>> len(evaluation_batches(nine, 2))
    9
    >>> many = Examples(torch.zeros(900), torch.zeros(900))
    >>> len(evaluation_batches(many, 2))
    113
    """
    # Blocks of examples are made of whole batches, so a few examples come in small ones.
    each = -(-len(examples) // BLOCKS)
    return batches(examples, max(1, min(EVALUATION_FACTOR * batch_size, each)))


def image_splits(
    dataset: str,
    *,
    synthetic: bool,
    sizes: tuple[int | None, int | None, int | None] = (None, None, None),
    seed: int = 0,
    split: str = OFFICIAL,
) -> Splits:
    """An image dataset as normalised tensors (Section 4.1).

    Parameters
    ----------
    dataset, synthetic, sizes, seed, split
        As for :func:`companion.data.splits.load_splits`.

    Returns
    -------
    Splits
        Inputs are ``float32`` of shape ``(examples, 3, side, side)``: CIFAR-10 at 32 pixels in
        [-1, 1], Flowers-102 at 64 pixels with ImageNet statistics.

    Raises
    ------
    ThermoError
        As :func:`companion.data.splits.load_splits`; if the dataset holds no images, or an image
        cannot be read.
    """
    parts, source, remarks = load_splits(
        dataset, synthetic=synthetic, sizes=sizes, seed=seed, split=split
    )
    spec = DATASETS[dataset]
    if spec.kind != "image":
        raise ThermoError(f"{spec.title} holds {spec.kind}s, not images")
    digest, seen = hashlib.sha256(), Counter[str]()
    tensors = {}
    for name, part in parts.items():
        values = pixels(part, spec.column, spec.image_size, seen)
        targets = np.asarray(part["label"][:], dtype=np.int64)
        digest.update(values.tobytes())
        digest.update(targets.tobytes())
        tensors[name] = _examples(values, targets, spec)
    return Splits(
        train=tensors["train"],
        validation=tensors["validation"],
        test=tensors["test"],
        class_names=spec.class_names,
        source=source,
        fingerprint=digest.hexdigest(),
        departures=(*remarks, *conversions(seen)),
        files=None if synthetic else files_digest(dataset),
        split=split,
    )


def _examples(pixels: NDArray[np.uint8], targets: NDArray[np.int64], spec: DatasetSpec) -> Examples:
    # Channels first while the numbers are small, which halves the memory taken.
    whole = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
    scaled = whole.to(torch.float32).div_(255)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (spec.mean, spec.std))
    return Examples(scaled.sub_(mean).div_(std), torch.from_numpy(targets))
