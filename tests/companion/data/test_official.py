"""What is said of data that are not the official ones."""

from __future__ import annotations

import datasets
import numpy as np
import pytest
from PIL import Image

from companion.data.official import departures
from companion.data.specs import DATASETS
from tests.companion.data.mirrors import png

TEXTS = {"ag_news": (120_000, 7_600), "yelp": (650_000, 50_000)}


def labelled(*sizes):
    """A part of so many examples per class."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return datasets.Dataset.from_dict({"text": ["x"] * len(labels), "label": labels})


def images(number, width, height, classes=10):
    pictures = [png(Image.new("RGB", (width, height)))] * number
    columns = {"img": pictures, "image": pictures, "label": np.arange(number) % classes}
    kinds = {"img": datasets.Image(), "image": datasets.Image(), "label": datasets.Value("int64")}
    return datasets.Dataset.from_dict(columns, features=datasets.Features(kinds))


@pytest.mark.parametrize("name", TEXTS)
def test_nothing_is_said_of_official_sizes_and_classes(name):
    spec, classes = DATASETS[name], len(DATASETS[name].class_names)
    train, test = (labelled(*[size // classes] * classes) for size in TEXTS[name])
    assert departures(spec, datasets.DatasetDict(train=train, test=test)) == ()


def test_a_smaller_copy():
    parts = datasets.DatasetDict(train=labelled(50, 50, 50, 50), test=labelled(*[1_900] * 4))
    (remark,) = departures(DATASETS["ag_news"], parts)
    assert remark == "200 examples to train and validate on, officially 120,000"


def test_the_validation_part_counts_as_training_examples():
    parts = datasets.DatasetDict(
        train=images(1_020, 500, 600, 102),
        validation=images(1_020, 500, 600, 102),
        test=images(6_149, 500, 600),
    )
    assert departures(DATASETS["flowers102"], parts) == ()
    del parts["validation"]
    (remark,) = departures(DATASETS["flowers102"], parts)
    assert remark == "1,020 examples to train and validate on, officially 2,040"


def test_a_substitute_with_other_classes():
    parts = datasets.DatasetDict(
        train=labelled(*[130_000] * 5), test=labelled(8_000, 5_000, 5_000, 10_000, 22_000)
    )
    (remark,) = departures(DATASETS["yelp"], parts)
    assert remark == "classes of 10 to 44 % of the test set, officially 20 % each"


def test_a_class_that_is_missing():
    parts = datasets.DatasetDict(train=labelled(60_000, 60_000), test=labelled(*[1_900] * 4))
    (remark,) = departures(DATASETS["ag_news"], parts)
    assert remark == "classes of 0 to 50 % of the training set, officially 25 % each"


def test_a_random_part_counts_as_balanced():
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(4), 1_900))[:4_000]
    sizes = np.bincount(labels)
    assert len(set(sizes)) > 1
    parts = datasets.DatasetDict(train=labelled(*[30_000] * 4), test=labelled(*sizes))
    assert departures(DATASETS["ag_news"], parts) == (
        "4,000 examples to test on, officially 7,600",
    )


@pytest.mark.parametrize(("width", "height"), [(64, 64), (64, 700)])
def test_images_that_were_made_smaller(width, height):
    flowers = {"train": images(1_020, 9, 9, 102), "validation": images(1_020, 9, 9, 102)}
    parts = datasets.DatasetDict(**flowers, test=images(6_149, width, height))
    (remark,) = departures(DATASETS["flowers102"], parts)
    assert remark == "images stored at 64 pixels, officially 500"
