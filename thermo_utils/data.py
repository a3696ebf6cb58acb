"""The four datasets of the paper (Section 4.1), real or generated, as tensors.

Real data come through Hugging Face ``datasets`` by hub id. With ``THERMO_DATA=<folder>`` they are
read from a local mirror laid out by hub id (``<folder>/uoft-cs/cifar10``, ...) and nothing is
downloaded. Generated data (:mod:`thermo_utils.synthetic`) have the same columns, shapes, classes
and label names, so everything downstream is one code path.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, SequentialSampler

from thermo_utils.errors import ThermoError, unknown
from thermo_utils.official import departures

if TYPE_CHECKING:
    import datasets

__all__ = [
    "DATASETS",
    "DatasetSpec",
    "Examples",
    "Splits",
    "batches",
    "image_splits",
    "load_splits",
]

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
#: Share of the training set held out for early stopping where there is no official validation set.
VALIDATION_SHARE = 0.1
#: More examples per step in evaluation, where nothing is kept for gradients.
EVALUATION_FACTOR = 4
#: Seconds to wait for the hub to answer.
HUB_TIMEOUT = 10.0


@dataclass(frozen=True)
class DatasetSpec:
    """What the paper and the hub say about a dataset.

    Attributes
    ----------
    name, title : str
        Short name used everywhere, and the name to print.
    hub_id, configuration : str
        Where it is on the Hugging Face hub.
    column : str
        Input column; labels are in ``label``.
    kind : {"image", "text"}
        What the inputs are.
    class_names : tuple of str
        Labels in order.
    sizes : tuple of int
        Official numbers of training, validation and test examples; 0 validation examples mean that
        a tenth of the training set is held out.
    balanced : tuple of str
        Parts in which all classes are officially of one size.
    stored_side : int
        Official shorter side of the images in pixels; 0 for texts.
    image_size : int
        Side in pixels after resizing; 0 for texts.
    mean, std : tuple of float
        Channel-wise normalisation; empty for texts.
    """

    name: str
    title: str
    hub_id: str
    configuration: str
    column: str
    kind: Literal["image", "text"]
    class_names: tuple[str, ...]
    sizes: tuple[int, int, int]
    balanced: tuple[str, ...]
    stored_side: int = 0
    image_size: int = 0
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()


DATASETS: Mapping[str, DatasetSpec] = {
    spec.name: spec
    for spec in (
        DatasetSpec(
            name="cifar10",
            title="CIFAR-10",
            hub_id="uoft-cs/cifar10",
            configuration="plain_text",
            column="img",
            kind="image",
            class_names=(
                "airplane", "automobile", "bird", "cat", "deer",
                "dog", "frog", "horse", "ship", "truck",
            ),
            sizes=(50_000, 0, 10_000),
            balanced=("train", "test"),
            stored_side=32,
            image_size=32,
            mean=(0.5, 0.5, 0.5),
            std=(0.5, 0.5, 0.5),
        ),
        DatasetSpec(
            name="flowers102",
            title="Flowers-102",
            hub_id="dpdl-benchmark/oxford_flowers102",
            configuration="default",
            column="image",
            kind="image",
            class_names=tuple(str(label) for label in range(102)),
            sizes=(1_020, 1_020, 6_149),
            balanced=("train", "validation"),
            stored_side=500,
            image_size=64,
            mean=IMAGENET_MEAN,
            std=IMAGENET_STD,
        ),
        DatasetSpec(
            name="ag_news",
            title="AG News",
            hub_id="fancyzhx/ag_news",
            configuration="default",
            column="text",
            kind="text",
            class_names=("World", "Sports", "Business", "Sci/Tech"),
            sizes=(120_000, 0, 7_600),
            balanced=("train", "test"),
        ),
        DatasetSpec(
            name="yelp",
            title="Yelp Review Full",
            hub_id="Yelp/yelp_review_full",
            configuration="yelp_review_full",
            column="text",
            kind="text",
            class_names=("1 star", "2 star", "3 stars", "4 stars", "5 stars"),
            sizes=(650_000, 0, 50_000),
            balanced=("train", "test"),
        ),
    )
}  # fmt: skip


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
        How the data differ from the official set, see :func:`thermo_utils.official.departures`.
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
        :func:`thermo_utils.official.departures`; empty for synthetic data.

    Raises
    ------
    ThermoError
        If the dataset is unknown, ``THERMO_DATA`` does not hold it, or the hub is out of reach.
    """
    if dataset not in DATASETS:
        raise unknown("dataset", dataset, DATASETS)
    spec = DATASETS[dataset]
    if synthetic:
        from thermo_utils.synthetic import generate

        parts, source = generate(spec, sizes, seed), "synthetic data, generated in code"
        remarks: tuple[str, ...] = ()
    else:
        parts, source = _load(spec)
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


def mirror() -> Path | None:
    """The local data folder named by ``THERMO_DATA``, if any.

    Returns
    -------
    Path or None
        None when the variable is not set.

    Raises
    ------
    ThermoError
        If it points to something that is no folder.
    """
    value = os.environ.get("THERMO_DATA")
    if not value:
        return None
    folder = Path(value).expanduser()
    if not folder.is_dir():
        raise ThermoError(
            f"THERMO_DATA points to {value}, which is no folder: set it to a folder laid out by "
            "hub id (such as <folder>/uoft-cs/cifar10), or unset it to download from the hub"
        )
    return folder


def check_available(dataset: str) -> None:
    """Refuse quickly if a real dataset cannot be had.

    Parameters
    ----------
    dataset : str
        One of `DATASETS`.

    Raises
    ------
    ThermoError
        If ``THERMO_DATA`` points nowhere or does not hold the dataset; without it, if the hub is
        out of reach and the dataset is not in the local cache.
    """
    import datasets

    spec = DATASETS[dataset]
    path = _where(spec)
    try:
        with _hub(path == spec.hub_id):
            datasets.load_dataset_builder(path)
    except Exception as error:
        raise _not_loaded(spec, path, error) from error


def _where(spec: DatasetSpec) -> str:
    """Folder or hub id to load from."""
    folder = mirror()
    if folder is None:
        return spec.hub_id
    if not (folder / spec.hub_id).is_dir():
        raise ThermoError(
            f"THERMO_DATA has no folder {spec.hub_id} for {spec.title}: put the dataset there, "
            "or unset THERMO_DATA to download it from the hub"
        )
    return str(folder / spec.hub_id)


def _not_loaded(spec: DatasetSpec, path: str, error: Exception) -> ThermoError:
    where = "the Hugging Face hub" if path == spec.hub_id else path
    return ThermoError(
        f"could not load {spec.title} from {where} ({type(error).__name__}): check the network, "
        "set THERMO_DATA to a local copy laid out by hub id, or use profile demo, which needs no "
        "data"
    )


@contextmanager
def _hub(needed: bool) -> Iterator[None]:
    """Talk to the hub if it answers; otherwise make do with the cache, without half a minute of
    retries and their account on the screen.
    """
    import datasets
    from huggingface_hub import HfApi, constants

    offline = constants.HF_HUB_OFFLINE
    if needed and not offline:
        try:
            HfApi().dataset_info("uoft-cs/cifar10", timeout=HUB_TIMEOUT)
        except Exception:
            offline = True
    before = constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE = offline
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE = before


def _load(spec: DatasetSpec) -> tuple[datasets.DatasetDict, str]:
    import datasets

    path = _where(spec)
    try:
        with _hub(path == spec.hub_id):
            parts = datasets.load_dataset(path)
    except Exception as error:  # the hub client raises a dozen kinds; one message serves them all
        raise _not_loaded(spec, path, error) from error
    missing = {"train", "test"} - set(parts)
    if missing or not {spec.column, "label"} <= set(parts["train"].column_names):
        raise ThermoError(
            f"{path} is not {spec.title} as on the hub: it needs train and test splits with "
            f"columns {spec.column!r} and 'label', it has {sorted(parts)} with "
            f"{next(iter(parts.values())).column_names}"
        )
    classes = range(len(spec.class_names))
    found = {label for part in parts.values() for label in part.unique("label")}
    if not found <= set(classes):
        raise ThermoError(
            f"{path} is not {spec.title} as on the hub: its labels must be 0 to {classes[-1]}, it "
            f"has {sorted(found - set(classes), key=str)[0]!r}"
        )
    # A copy may have been made without the hub's metadata.
    features = parts["train"].features
    if not isinstance(features["label"], datasets.ClassLabel):
        parts = parts.cast_column("label", datasets.ClassLabel(names=list(spec.class_names)))
    if spec.kind == "image" and not isinstance(features[spec.column], datasets.Image):
        parts = parts.cast_column(spec.column, datasets.Image())
    return parts, f"{spec.hub_id} ({'hub' if path == spec.hub_id else 'local mirror'})"


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
