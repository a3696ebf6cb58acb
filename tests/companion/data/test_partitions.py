"""Other parts of a dataset than the official ones: nothing lost, nothing twice, nothing mixed."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch

from companion.data.partitions import check_split, split_in_words
from companion.data.splits import load_splits
from companion.data.tensors import image_splits
from companion.data.text import text_splits
from tests.companion.data.mirrors import CIFAR, make_mirror
from thermo_utils import ThermoError

datasets = pytest.importorskip("datasets")

PARTS = ("train", "validation", "test")
#: Per class 13 training, 4 validation and 5 test images of ten classes.
SIZES = {"train": 130, "validation": 40, "test": 50}


@pytest.fixture(autouse=True)
def mirror(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    root = make_mirror(tmp_path / "mirror", sizes=SIZES)
    monkeypatch.setenv("THERMO_DATA", str(root))
    return root


def rows(part):
    return {tuple(image) for image in part.inputs[:, :, ::8, ::8].flatten(1).tolist()}


def load(split="official", seed=0, **options):
    return image_splits("cifar10", synthetic=False, split=split, seed=seed, **options)


def test_a_pooled_split_holds_every_image_once():
    official, pooled = load(), load("pooled-60-15-25")
    parts = [rows(getattr(pooled, name)) for name in PARTS]
    assert [len(part) for part in parts] == [132, 33, 55]
    assert len(set.union(*parts)) == 220
    assert set.union(*parts) == set.union(*(rows(getattr(official, name)) for name in PARTS))
    for name in PARTS:  # drawn from all official parts, and not from one
        for other in PARTS:
            assert rows(getattr(pooled, name)) & rows(getattr(official, other))


def test_an_image_keeps_its_label():
    def labelled(splits):
        return {
            (*image, label)
            for name in PARTS
            for image, label in zip(
                getattr(splits, name).inputs[:, 0, 0, :8].tolist(),
                getattr(splits, name).targets.tolist(),
                strict=True,
            )
        }

    assert labelled(load()) == labelled(load("pooled-60-15-25")) == labelled(load("swapped"))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_pooled_split_is_stratified(seed):
    pooled = load("pooled-60-15-25", seed)
    for name, share in zip(PARTS, (0.6, 0.15, 0.25), strict=True):
        counts = np.bincount(getattr(pooled, name).targets, minlength=10)
        assert np.abs(counts - 22 * share).max() < 1.5


def test_a_pooled_split_is_drawn_with_the_seed_and_shuffled():
    first, again, other = (load("pooled-60-15-25", seed) for seed in (0, 0, 1))
    assert first.fingerprint == again.fingerprint
    assert rows(first.test) != rows(other.test)
    for name in PARTS:  # the labels of the mirror go round the classes
        targets = getattr(first, name).targets
        assert not torch.equal(targets, torch.arange(len(targets)) % 10)


def test_the_parts_change_places():
    official, swapped = load(), load("swapped")
    assert torch.equal(swapped.train.inputs, official.test.inputs)
    assert torch.equal(swapped.test.inputs, official.train.inputs)
    assert torch.equal(swapped.validation.inputs, official.validation.inputs)
    assert torch.equal(swapped.train.targets, official.test.targets)


def test_where_no_official_validation_part_is_one_is_held_out_of_what_is_trained_on(
    tmp_path, monkeypatch
):
    root = make_mirror(tmp_path / "other", CIFAR, sizes={"train": 100, "test": 300})
    monkeypatch.setenv("THERMO_DATA", str(root))
    official, swapped = load(), load("swapped")
    assert [len(getattr(swapped, name)) for name in PARTS] == [270, 30, 100]
    assert rows(swapped.train) | rows(swapped.validation) == rows(official.test)
    assert [len(getattr(load("pooled-80-10-10"), name)) for name in PARTS] == [320, 40, 40]


def test_records_say_the_split_and_the_data_are_told_apart():
    found = {split: load(split) for split in ("official", "swapped", "pooled-80-10-10")}
    assert [splits.facts()["split"] for splits in found.values()] == [
        "official split",
        "trained on the official test part and tested on the official training part",
        "random 80/10/10 split instead of the official one",
    ]
    assert len({splits.fingerprint for splits in found.values()}) == 3
    assert len({splits.departures for splits in found.values()}) == 1  # of the copy as it is


def test_sizes_are_of_the_parts_as_they_are_split():
    splits = load("pooled-60-15-25", sizes=(100, None, 20))
    assert [len(getattr(splits, name)) for name in PARTS] == [100, 33, 20]
    assert rows(splits.test) <= rows(load("pooled-60-15-25").test)


def test_generated_data_are_split_the_same_way():
    sizes = (100, 50, 50)
    whole = image_splits("cifar10", synthetic=True, sizes=sizes)
    other = image_splits("cifar10", synthetic=True, sizes=sizes, split="pooled-40-30-30")
    assert [len(getattr(other, name)) for name in PARTS] == [80, 50, 50]
    assert rows(other.train) <= set.union(*(rows(getattr(whole, name)) for name in PARTS))


@pytest.mark.parametrize("split", ["", "Official", "pooled", "pooled-50-50", "pooled-0-50-50"])
def test_splits_that_are_none(split):
    with pytest.raises(ThermoError, match="take 'official', 'swapped', or percentages"):
        load_splits("cifar10", synthetic=False, split=split)


def test_percentages_that_are_none():
    with pytest.raises(ThermoError, match="sum to 100, not to 99"):
        check_split("pooled-79-10-10")
    assert "90/5/5" in split_in_words(check_split("pooled-90-5-5"))


def test_too_few_images(tmp_path, monkeypatch):
    root = make_mirror(tmp_path / "few", sizes={"train": 20, "validation": 10, "test": 10})
    monkeypatch.setenv("THERMO_DATA", str(root))
    with pytest.raises(ThermoError, match=r"CIFAR-10 has too few examples for split 'pooled-80-1"):
        load("pooled-80-10-10")


def test_texts_have_their_official_parts():
    news = text_splits("ag_news", synthetic=True, sizes=(40, 8, 8), tokenizer="words")
    assert news.facts()["split"] == "official split"


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.skipif("THERMO_DATA" not in os.environ, reason="THERMO_DATA names no real data")
def test_all_flowers(monkeypatch):
    monkeypatch.undo()
    parts, *_ = load_splits("flowers102", synthetic=False, split="pooled-80-10-10")
    assert {name: len(part) for name, part in parts.items()} == {
        "train": 6_551, "validation": 819, "test": 819,
    }  # fmt: skip
    for part in parts.values():
        assert len(set(part["label"][:])) == 102
