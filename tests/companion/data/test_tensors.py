"""The datasets: a small local mirror as the hub lays it out, generated data, the real ones."""

from __future__ import annotations

import dataclasses
import os
import time

import numpy as np
import pytest
import torch
from PIL import Image

from companion.data.sources import check_available
from companion.data.specs import DATASETS, IMAGENET_MEAN, IMAGENET_STD
from companion.data.splits import load_splits
from companion.data.tensors import Examples, batches, image_splits
from tests.companion.data.mirrors import CIFAR, make_mirror, pictures, write_part
from thermo_utils import ThermoError

datasets = pytest.importorskip("datasets")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Nothing from this machine's cache, nothing into it."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    root = make_mirror(tmp_path / "mirror")
    monkeypatch.setenv("THERMO_DATA", str(root))
    return root


# -- a mirror ------------------------------------------------------------------------------------


def test_mirror_is_loaded_split_and_normalised(mirror):
    splits = image_splits("cifar10", synthetic=False)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (90, 10, 30)
    assert splits.class_names == CIFAR.class_names
    assert splits.source == "uoft-cs/cifar10 (local mirror)"
    assert splits.vocabulary is None
    expected = pictures(30, 32, 1) / 255 * 2 - 1  # mean and standard deviation are 0.5
    np.testing.assert_allclose(splits.test.inputs.permute(0, 2, 3, 1).numpy(), expected, atol=1e-6)
    assert splits.test.targets.tolist() == (np.arange(30) % 10).tolist()
    assert splits.test.inputs.dtype == torch.float32
    assert splits.test.targets.dtype == torch.int64
    assert float(splits.train.inputs.min()) == -1
    assert float(splits.train.inputs.max()) == 1
    assert splits.facts() == {
        "source": splits.source, "fingerprint": splits.fingerprint, "files": splits.files,
        "split": "official split", "train": 90, "validation": 10, "test": 30, "classes": 10,
        "most_frequent": 0.1,
        "departures": [
            "100 examples to train and validate on, officially 50,000",
            "30 examples to test on, officially 10,000",
        ],
    }  # fmt: skip


def test_validation_is_stratified_disjoint_and_seeded(mirror):
    first, again, other = (image_splits("cifar10", synthetic=False, seed=s) for s in (0, 0, 1))
    assert sorted(first.validation.targets.tolist()) == list(range(10))
    assert torch.equal(first.validation.inputs, again.validation.inputs)
    assert first.fingerprint == again.fingerprint
    assert not torch.equal(first.validation.inputs, other.validation.inputs)
    rows = torch.cat([first.train.inputs, first.validation.inputs]).flatten(1)
    assert len(torch.unique(rows, dim=0)) == 100
    assert torch.equal(first.test.inputs, other.test.inputs)


def test_smaller_parts_are_drawn_by_seed(mirror):
    sizes = (40, 5, 8)
    first, again, other = (
        image_splits("cifar10", synthetic=False, sizes=sizes, seed=s) for s in (0, 0, 1)
    )
    assert (len(first.train), len(first.validation), len(first.test)) == sizes
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert not torch.equal(first.test.inputs, other.test.inputs)
    large = image_splits("cifar10", synthetic=False, sizes=(10**6, None, 10**6))
    assert (len(large.train), len(large.test)) == (90, 30)


def test_fingerprint_changes_with_one_pixel(tmp_path, monkeypatch):
    prints = []
    for i, change in enumerate((0, 0, 1)):
        root = tmp_path / f"mirror{i}"
        images = pictures(30, 32, 1)
        images[7, 3, 3, 0] ^= change
        make_mirror(root)
        write_part(root / CIFAR.hub_id / "data", "test", CIFAR, images, np.arange(30) % 10)
        monkeypatch.setenv("THERMO_DATA", str(root))
        prints.append(image_splits("cifar10", synthetic=False).fingerprint)
    assert prints[0] == prints[1] != prints[2]


def test_plain_parquet_without_the_hubs_metadata(tmp_path, monkeypatch):
    with_metadata = make_mirror(tmp_path / "a")
    monkeypatch.setenv("THERMO_DATA", str(with_metadata))
    parts, *_ = load_splits("cifar10", synthetic=False)
    pictures = image_splits("cifar10", synthetic=False)
    monkeypatch.setenv("THERMO_DATA", str(make_mirror(tmp_path / "b", features=False)))
    plain, *_ = load_splits("cifar10", synthetic=False)
    assert plain["train"].features["label"] == parts["train"].features["label"]
    assert plain["train"]["label"] == parts["train"]["label"]
    assert image_splits("cifar10", synthetic=False).fingerprint == pictures.fingerprint


def test_official_validation_and_other_sizes_are_used(tmp_path, monkeypatch):
    spec = DATASETS["flowers102"]
    root = make_mirror(
        tmp_path / "m", spec, side=50, sizes={"train": 102, "validation": 102, "test": 12}
    )
    monkeypatch.setenv("THERMO_DATA", str(root))
    splits = image_splits("flowers102", synthetic=False)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (102, 102, 12)
    assert splits.test.inputs.shape == (12, 3, 64, 64)
    image = Image.fromarray(pictures(12, 50, 2)[4]).resize((64, 64))
    expected = (np.asarray(image) / 255 - IMAGENET_MEAN) / IMAGENET_STD
    np.testing.assert_allclose(splits.test.inputs[4].permute(1, 2, 0).numpy(), expected, atol=1e-5)


# -- what can be wrong with it -------------------------------------------------------------------


@pytest.mark.parametrize("function", [check_available, lambda d: load_splits(d, synthetic=False)])
class TestRefusals:
    def test_nowhere(self, function, monkeypatch, tmp_path):
        monkeypatch.setenv("THERMO_DATA", str(tmp_path / "nowhere"))
        with pytest.raises(ThermoError, match=r"THERMO_DATA points to .*nowhere, which is no"):
            function("cifar10")

    def test_dataset_missing(self, function, mirror):
        with pytest.raises(ThermoError, match="has no folder fancyzhx/ag_news for AG News"):
            function("ag_news")

    def test_empty_folder(self, function, monkeypatch, tmp_path):
        (tmp_path / CIFAR.hub_id).mkdir(parents=True)
        monkeypatch.setenv("THERMO_DATA", str(tmp_path))
        with pytest.raises(ThermoError, match=r"could not load CIFAR-10 from .*cifar10 \("):
            function("cifar10")

    def test_offline_hub(self, function, monkeypatch):
        from huggingface_hub import constants

        monkeypatch.delenv("THERMO_DATA", raising=False)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
        started = time.monotonic()
        with pytest.raises(ThermoError, match="could not load CIFAR-10 from the Hugging Face hub"):
            function("cifar10")
        assert time.monotonic() - started < 5
        assert constants.HF_HUB_OFFLINE is True


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sizes": {"train": 100}}, r"needs train and test splits .*\['train'\]"),
        ({"spec_column": "picture"}, "columns 'img' and 'label', .*'picture'"),
        ({"names": tuple("abcdefghijkl")}, r"train-\S*, row 10 .*10.* 0 to 9"),
        ({"labels": 11}, r"train-\S*, row 10 .*10.* 0 to 9"),
    ],
)
def test_mirror_with_another_schema(tmp_path, monkeypatch, changes, message):
    spec, options = CIFAR, {}
    if "spec_column" in changes:
        spec = dataclasses.replace(spec, column=changes["spec_column"])
    if "names" in changes:
        spec = dataclasses.replace(spec, class_names=changes["names"])
    if "sizes" in changes:
        options["sizes"] = changes["sizes"]
    if "labels" in changes:
        labels = {"train": np.arange(100) % changes["labels"], "test": np.arange(30) % 10}
        options |= {"labels": labels, "features": False}
    monkeypatch.setenv("THERMO_DATA", str(make_mirror(tmp_path / "m", spec, **options)))
    with pytest.raises(ThermoError, match=message):
        load_splits("cifar10", synthetic=False)


def test_unknown_dataset_and_wrong_kind():
    with pytest.raises(ThermoError, match="unknown dataset 'cifar': did you mean 'cifar10'"):
        load_splits("cifar", synthetic=True)
    with pytest.raises(ThermoError, match="AG News holds texts, not images"):
        image_splits("ag_news", synthetic=True, sizes=(8, 4, 4))


# -- generated data ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DATASETS)
def test_generated_data_have_the_schema_of_the_hub(name):
    spec = DATASETS[name]
    sizes = (3 * len(spec.class_names), len(spec.class_names), len(spec.class_names))
    parts, source, remarks = load_splits(name, synthetic=True, sizes=sizes)
    assert "synthetic" in source
    assert remarks == ()
    assert {part: len(parts[part]) for part in parts} == dict(
        zip(("train", "validation", "test"), sizes, strict=True)
    )
    features = parts["train"].features
    assert set(features) == {spec.column, "label"}
    assert features["label"].names == list(spec.class_names)
    kind = datasets.Image if spec.kind == "image" else datasets.Value
    assert isinstance(features[spec.column], kind)
    assert np.bincount(parts["train"]["label"]).tolist() == [3] * len(spec.class_names)


@pytest.mark.parametrize("name", ["cifar10", "flowers102"])
def test_generated_images(name):
    spec = DATASETS[name]
    sizes = (102, 51, 51)
    first, again, other = (
        image_splits(name, synthetic=True, sizes=sizes, seed=s) for s in (0, 0, 1)
    )
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert torch.equal(first.train.inputs, again.train.inputs)
    assert first.train.inputs.shape == (102, 3, spec.image_size, spec.image_size)
    assert not torch.equal(first.train.inputs[:51], first.test.inputs)
    if name == "cifar10":
        assert first.train.inputs.abs().max() <= 1


def test_generated_data_need_sizes():
    with pytest.raises(ThermoError, match="give all three sizes"):
        load_splits("cifar10", synthetic=True)


# -- batches -------------------------------------------------------------------------------------


def test_batches_are_the_examples_in_order():
    inputs, targets = torch.randn(10, 2), torch.arange(10)
    seen = list(batches(Examples(inputs, targets), 4))
    assert [len(y) for _, y in seen] == [4, 4, 2]
    assert torch.equal(torch.cat([x for x, _ in seen]), inputs)
    assert torch.equal(torch.cat([y for _, y in seen]), targets)


def test_shuffled_batches_depend_on_the_seed_alone():
    examples = Examples({"ids": torch.arange(50)}, torch.arange(50))

    def order(seed):
        torch.manual_seed(np.random.default_rng().integers(1 << 30))
        pairs = list(batches(examples, 8, shuffle=True, seed=seed))
        assert all(torch.equal(x["ids"], y) for x, y in pairs)
        return torch.cat([y for _, y in pairs]).tolist()

    assert order(0) == order(0) != order(1)
    assert sorted(order(0)) == list(range(50))
    loader = batches(examples, 8, shuffle=True)
    first, second = ([y.tolist() for _, y in loader] for _ in range(2))
    assert first != second


@pytest.mark.parametrize(
    ("n", "size", "shuffle", "lengths"),
    [
        (9, 4, True, [4, 4]),  # batch normalisation fails on a batch of one
        (9, 4, False, [4, 4, 1]),
        (10, 4, True, [4, 4, 2]),
        (1, 4, True, [1]),
        (3, 1, True, [1, 1, 1]),
    ],
)
def test_no_last_training_batch_of_one(n, size, shuffle, lengths):
    examples = Examples(torch.arange(n), torch.arange(n))
    assert [len(y) for _, y in batches(examples, size, shuffle=shuffle)] == lengths


# -- the real ones -------------------------------------------------------------------------------


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("name", ["cifar10", "flowers102"])
def test_real_images(name):
    if not os.environ.get("THERMO_DATA"):
        pytest.skip("THERMO_DATA is not set")
    spec = DATASETS[name]
    splits = image_splits(name, synthetic=False, sizes=(500, 200, 300))
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (500, 200, 300)
    assert splits.train.inputs.shape[1:] == (3, spec.image_size, spec.image_size)
    assert set(splits.train.targets.tolist()) <= set(range(len(spec.class_names)))
    assert splits.train.inputs.isfinite().all()
    parts, *_ = load_splits(name, synthetic=False)
    held_out = 0 if spec.sizes[1] else spec.sizes[0] // 10
    assert {part: len(parts[part]) for part in parts} == {
        "train": spec.sizes[0] - held_out,
        "validation": spec.sizes[1] or held_out,
        "test": spec.sizes[2],
    }
