"""What the paper (Section 4.1) and the hub say about the four datasets. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = ["DATASETS", "DatasetSpec"]

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


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

    @property
    def address(self) -> str:
        """Where it is on the Hugging Face hub."""
        return f"https://huggingface.co/datasets/{self.hub_id}"


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
