"""A local mirror is read as it is now, whatever was read of it or of another before."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import datasets
import numpy as np
import pytest

from companion.data.folder import read_folder
from companion.data.sources import check_available
from companion.data.splits import load_splits
from companion.data.tensors import image_splits
from companion.data.text import text_splits
from companion.networks import NETWORKS
from companion.runs.records import read_record, record_folder
from companion.runs.settings import settings
from tests.companion.data.mirrors import CIFAR, NEWS, make_mirror, rows, typed, write_table
from thermo_utils import ThermoError

RECORDS = Path(__file__).parents[3] / "results"
README = """---
configs:
- config_name: default
  data_files:
  - split: train
    path: stuff/first*
  - split: test
    path: stuff/second*
---
"""


@pytest.fixture
def news(tmp_path, monkeypatch):
    """The folder of AG News in a mirror, with one cache for all that a test loads."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setenv("THERMO_DATA", str(tmp_path / "mirror"))
    folder = tmp_path / "mirror" / NEWS.hub_id
    folder.mkdir(parents=True)
    (folder / "README.md").write_text(README)
    write(folder, "first", 60, 1)
    write(folder, "second", 12, 2)
    return folder


def write(folder, name, n, seed):
    write_table(folder / "stuff" / f"{name}.parquet", rows(NEWS, n, seed), typed(NEWS))


def texts(part="train"):
    parts, *_ = load_splits("ag_news", synthetic=False)
    return sorted(parts[part]["text"][:] + (parts["validation"]["text"][:] * (part == "train")))


def content(folder):
    return {
        path.relative_to(folder): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_two_mirrors_in_one_process_have_two_fingerprints(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    prints = []
    for seed in (0, 7, 0):
        root = tmp_path / f"mirror{len(prints)}"
        make_mirror(root, seed=seed)
        (root / CIFAR.hub_id / "README.md").write_text(
            README.replace("stuff/first", "data/train").replace("stuff/second", "data/test")
        )
        monkeypatch.setenv("THERMO_DATA", str(root))
        prints.append(image_splits("cifar10", synthetic=False).fingerprint)
    assert prints[0] == prints[2] != prints[1]


@pytest.mark.slow
def test_processes_with_one_cache_read_what_is_there_now(tmp_path):
    code = (
        "from companion.data.tensors import image_splits\n"
        "print(image_splits('cifar10', synthetic=False).fingerprint)"
    )
    environment = {
        **os.environ, "HF_HOME": str(tmp_path / "home"), "THERMO_DATA": str(tmp_path / "m"),
    }  # fmt: skip
    prints = []
    for seed in (0, 7):
        make_mirror(tmp_path / "m", seed=seed)
        ran = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True,
            check=True,
        )  # fmt: skip
        prints.append(ran.stdout)
    assert len(set(prints)) == 2


def test_a_file_replaced_in_place_is_noticed(news):
    before = texts("test")
    path = news / "stuff" / "second.parquet"
    old = path.stat()
    write(news, "second", 12, 3)
    assert path.stat().st_size == old.st_size
    os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))
    assert texts("test") == sorted(rows(NEWS, 12, 3)["text"]) != before


def test_a_partial_mirror_that_is_completed_gives_the_whole(news):
    half = texts()
    write(news, "first-2", 48, 9)
    assert len(half) == 60
    assert texts() == sorted(rows(NEWS, 60, 1)["text"] + rows(NEWS, 48, 9)["text"])


DAMAGES = {
    "cut in half": lambda whole: whole[: len(whole) // 2],
    "emptied": lambda whole: b"",
    "garbage": lambda whole: whole[::-1],
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_mirror_that_was_broken_and_repaired_loads(news, damage):
    path = news / "stuff" / "second.parquet"
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    for function in (check_available, lambda name: load_splits(name, synthetic=False)):
        with pytest.raises(ThermoError, match=r"second\.parquet"):
            function("ag_news")
    path.write_bytes(whole)
    check_available("ag_news")
    assert texts("test") == sorted(rows(NEWS, 12, 2)["text"])


def test_bytes_changed_within_a_file(news):
    """Where pages have checksums a change is seen; else it must not be a traceback."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = news / "stuff" / "second.parquet"
    pq.write_table(pa.table(rows(NEWS, 400, 2)), path, write_page_checksum=True)
    whole = bytearray(path.read_bytes())
    whole[300] ^= 0xFF
    path.write_bytes(whole)
    with pytest.raises(ThermoError, match=r"second\.parquet"):
        load_splits("ag_news", synthetic=False)


def test_nothing_is_written_into_a_mirror_or_kept_of_it(news, tmp_path):
    before = content(tmp_path / "mirror")
    check_available("ag_news")
    load_splits("ag_news", synthetic=False, sizes=(8, 4, 4))
    assert content(tmp_path / "mirror") == before
    assert not (tmp_path / "cache").exists()


# -- layouts -------------------------------------------------------------------------------------


def part(n, seed):
    return datasets.Dataset.from_dict(rows(NEWS, n, seed), features=typed(NEWS))


def whole(seed):
    return {
        "train": datasets.concatenate_datasets([part(48, seed), part(48, seed + 1)]),
        "test": part(12, seed + 2),
    }


def shards(folder, seed):
    for i in (1, 0):  # in their order, not in that of their writing
        write_table(folder / "data" / f"train-0000{i}-of-00002.parquet", rows(NEWS, 48, seed + i))
    write_table(folder / "data" / "test-00000-of-00001.parquet", rows(NEWS, 12, seed + 2))


def csv(folder, seed):
    for name, found in whole(seed).items():
        found.to_csv(folder / f"{name}.csv")


def lines(folder, seed):
    (folder / "data").mkdir(exist_ok=True)
    for name, found in whole(seed).items():
        with open(folder / "data" / f"{name}.jsonl", "w") as file:
            file.writelines(json.dumps(row) + "\n" for row in found)


def saved(folder, seed):
    shutil.rmtree(folder)
    datasets.DatasetDict(whole(seed)).save_to_disk(folder)


@pytest.mark.parametrize("layout", [shards, csv, lines, saved])
def test_layouts_of_the_datasets_library(news, layout):
    shutil.rmtree(news)
    news.mkdir()
    for seed in (0, 4):  # as many bytes under the same names
        layout(news, seed)
        check_available("ag_news")
        wanted = rows(NEWS, 48, seed)["text"] + rows(NEWS, 48, seed + 1)["text"]
        found = read_folder(news, ("text", "label"))
        assert [t for piece in found["train"] for t in piece.table["text"].to_pylist()] == wanted
        assert texts("test") == sorted(rows(NEWS, 12, seed + 2)["text"])


def test_a_readme_from_the_hub_may_count_more_than_there_is(news):
    stated = """dataset_info:
  features:
  - name: text
    dtype: string
  - name: label
    dtype:
      class_label:
        names: {0: World, 1: Sports, 2: Business, 3: Sci/Tech}
  splits:
  - name: train
    num_bytes: 1
    num_examples: 120000
  - name: test
    num_bytes: 1
    num_examples: 7600
"""
    (news / "README.md").write_text(README.replace("configs:", stated + "configs:"))
    write_table(news / "stuff" / "first.parquet", rows(NEWS, 60, 1))
    assert len(texts()) == 60


# -- the real ones -------------------------------------------------------------------------------


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "dataset"),
    [("mlp", "cifar10"), ("mlp", "flowers102"), ("lstm", "ag_news"), ("lstm", "yelp")],
)
def test_real_data_are_those_of_the_committed_records(model, dataset):
    if not os.environ.get("THERMO_DATA"):
        pytest.skip("THERMO_DATA is not set")
    assert model in NETWORKS
    s = settings(model, dataset, profile="small")
    record = read_record(record_folder(RECORDS, "small", f"{model}-{dataset}"))
    options = {"synthetic": False, "sizes": s.sizes, "seed": 0}
    if model == "mlp":
        splits = image_splits(dataset, **options)
    else:
        splits = text_splits(dataset, tokenizer=s.tokenizer, max_length=s.max_length, **options)
    facts = splits.facts()
    known = record.result["data"]  # facts may have been added since
    assert {key: facts[key] for key in known} == known
    targets = splits.test.targets.numpy()
    assert np.bincount(targets).max() / len(targets) == facts["most_frequent"]
