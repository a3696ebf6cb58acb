"""Damaged and foreign data: one sentence with file and row, or a remark for the record."""

from __future__ import annotations

import json
import struct
import zlib

import datasets
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from companion.data.splits import load_splits
from companion.data.tensors import image_splits
from companion.data.text import text_splits
from tests.companion.data.mirrors import (
    CIFAR,
    NEWS,
    encoded,
    make_mirror,
    pictures,
    png,
    rows,
    typed,
    write_table,
)
from thermo_utils import ThermoError

FILE = "{}-00000-of-00001.parquet"
SIZES = {"train": 100, "test": 30}


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """Writes CIFAR-10 or AG News with changes, and says where."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setenv("THERMO_DATA", str(tmp_path))

    def write(spec=CIFAR, features=False, **changed):
        for part, size in SIZES.items():
            columns = changed.get(part, rows(spec, size))
            found = features if part == "train" or not features else typed(spec)
            write_table(tmp_path / spec.hub_id / "data" / FILE.format(part), columns, found or None)
        return tmp_path / spec.hub_id / "data"

    return write


def changed(spec, part, column, row, value):
    """The rows of a part with one value replaced."""
    table = rows(spec, SIZES[part])
    table[column][row] = value
    return {part: table}


def load(spec):
    if spec is CIFAR:
        return image_splits("cifar10", synthetic=False)
    return text_splits("ag_news", synthetic=False, tokenizer="words")


def refusal(spec):
    with pytest.raises(ThermoError) as caught:
        load(spec)
    message = str(caught.value)
    assert "\n" not in message
    assert ": " in message  # what is wrong, and what to do
    return message


WHOLE = encoded(pictures(1, 32, 0)[0])
BROKEN = {
    "half": {"bytes": WHOLE[: len(WHOLE) // 2], "path": None},
    "nothing": {"bytes": b"", "path": None},
    "text": {"bytes": b"<html>404</html>", "path": None},
    "damaged": {"bytes": WHOLE[:60] + bytes(40) + WHOLE[100:], "path": None},
    "null": None,
    "no bytes": {"bytes": None, "path": None},
    "no such file": {"bytes": None, "path": "/nowhere/17.png"},
}


@pytest.mark.parametrize("part", SIZES)
@pytest.mark.parametrize("image", BROKEN.values(), ids=BROKEN)
def test_an_image_that_cannot_be_read(mirror, image, part):
    mirror(**changed(CIFAR, part, "img", 17, image))
    message = refusal(CIFAR)
    if image == BROKEN["no such file"]:
        assert image["path"] in message
    else:
        assert f"{FILE.format(part)}, row 17 " in message


def test_an_image_that_cannot_be_read_far_down(mirror):
    """Beyond those whose size is looked at, and in the second file."""
    folder = mirror()
    columns = rows(CIFAR, 150)
    columns["img"][140] = BROKEN["half"]
    write_table(folder / "train-00001-of-00002.parquet", columns)
    assert "train-00001-of-00002.parquet, row 140 " in refusal(CIFAR)


def test_a_test_part_without_images(mirror):
    mirror(test={"img": [None] * 30, "label": [i % 10 for i in range(30)]})
    assert "test-00000-of-00001.parquet, row 0 " in refusal(CIFAR)
    mirror(test={"label": [i % 10 for i in range(30)]})
    message = refusal(CIFAR)
    assert "test-00000" in message
    assert "'img'" in message


@pytest.mark.parametrize("spec", [CIFAR, NEWS], ids=["images", "texts"])
@pytest.mark.parametrize("value", [None, -1, 10, 255])
def test_a_label_that_is_none(mirror, spec, value):
    mirror(spec, **changed(spec, "test", "label", 5, value))
    message = refusal(spec)
    assert "test-00000-of-00001.parquet, row 5 " in message
    assert value is None or str(value) in message


@given(row=st.integers(0, 29), value=st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_label_is_used_or_named(mirror, row, value):
    mirror(NEWS, **changed(NEWS, "test", "label", row, value))
    if value in range(4):
        parts, *_ = load_splits("ag_news", synthetic=False)
        assert parts["test"]["label"][row] == value
    else:
        with pytest.raises(ThermoError, match=rf"test-\S+, row {row} "):
            load_splits("ag_news", synthetic=False)


@pytest.mark.parametrize(
    ("labels", "row"),
    [
        ([0.5] * 30, 0), ([0.0, float("nan")] * 15, 1), (["World", "Sports"] * 15, 0),
        ([True, False] * 15, 0),
    ],
)  # fmt: skip
def test_labels_that_are_no_numbers_of_classes(mirror, labels, row):
    mirror(NEWS, test={**rows(NEWS, 30), "label": labels})
    assert f"test-00000-of-00001.parquet, row {row} " in refusal(NEWS)


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int32, np.uint64, np.float64])
def test_labels_of_any_type_of_number(mirror, kind):
    labels = (np.arange(30) % 4).astype(kind)
    mirror(NEWS, test={**rows(NEWS, 30), "label": labels})
    assert load(NEWS).test.targets.tolist() == [i % 4 for i in range(30)]


def test_a_text_that_is_none_or_no_text(mirror):
    mirror(NEWS, **changed(NEWS, "train", "text", 41, None))
    assert "train-00000-of-00001.parquet, row 41 " in refusal(NEWS)
    mirror(NEWS, train={**rows(NEWS, 100), "text": list(range(100))})
    assert "'text'" in refusal(NEWS)


def test_a_text_that_is_not_utf8(mirror):
    import pyarrow as pa

    texts = [b"word"] * 100
    texts[33] = b"caf\xe9"
    buffers = pa.array(texts, pa.binary()).buffers()
    column = pa.StringArray.from_buffers(100, buffers[1], buffers[2])
    mirror(NEWS, train={**rows(NEWS, 100), "text": column})
    assert "train-00000-of-00001.parquet, row 33 " in refusal(NEWS)


def test_images_that_are_no_images(mirror):
    mirror(test={"img": list(range(30)), "label": [i % 10 for i in range(30)]})
    message = refusal(CIFAR)
    assert "test-00000" in message
    assert "'img'" in message


# -- parts and classes ---------------------------------------------------------------------------


@pytest.mark.parametrize("part", SIZES)
def test_an_empty_part(mirror, part):
    mirror(NEWS, features=typed(NEWS), **{part: {"text": [], "label": []}})
    message = refusal(NEWS)
    assert FILE.format(part) in message
    assert "empty" in message


@pytest.mark.parametrize("part", SIZES)
def test_one_class_alone(mirror, part):
    mirror(NEWS, **{part: {**rows(NEWS, SIZES[part]), "label": [2] * SIZES[part]}})
    message = refusal(NEWS)
    assert FILE.format(part) in message
    assert "one class" in message


@pytest.mark.parametrize(
    ("labels", "number"),
    [
        (list(range(9)), "9"),  # fewer than classes
        ([*range(9)] * 10 + [9], "class 9"),  # of one there is a single one
        ([*range(10)] * 3, "30"),  # a tenth cannot have all classes
    ],
)
def test_too_few_examples_to_hold_out_a_part(mirror, labels, number):
    images = [png(image) for image in pictures(len(labels), 32, 0)]
    mirror(train={"img": images, "label": labels})
    message = refusal(CIFAR)
    assert "training part of CIFAR-10" in message
    assert number in message


@given(counts=st.lists(st.integers(0, 40), min_size=4, max_size=4))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_numbers_of_examples_split_or_are_refused(mirror, counts):
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    train = {"text": [f"text {i}" for i in range(len(labels))], "label": labels}
    mirror(NEWS, features=typed(NEWS), train=train)
    present = [count for count in counts if count]
    total = sum(present)
    enough = len(present) > 1 and min(present) > 1 and total > 10 * (len(present) - 1)
    if enough and total >= 4:
        parts, *_ = load_splits("ag_news", synthetic=False)
        assert sorted(parts["train"]["text"][:] + parts["validation"]["text"][:]) == sorted(
            train["text"]
        )
        assert set(parts["train"]["label"][:]) == set(labels)
        assert len(parts["validation"]) == -(-total // 10)
    else:
        with pytest.raises(ThermoError, match="training part of AG News"):
            load_splits("ag_news", synthetic=False)


def test_a_mirror_with_a_validation_part_needs_no_second_example(mirror):
    folder = mirror(NEWS, train={"text": list("abcd"), "label": [0, 1, 2, 3]})
    write_table(folder / FILE.format("validation"), rows(NEWS, 8))
    parts, *_ = load_splits("ag_news", synthetic=False)
    assert {name: len(part) for name, part in parts.items()} == {
        "train": 4, "validation": 8, "test": 30,
    }  # fmt: skip


def test_parts_of_other_names_are_left_out(mirror):
    folder = mirror(NEWS)
    (folder.parent / "README.md").write_text(
        "---\nconfigs:\n- config_name: default\n  data_files:\n"
        + "".join(f"  - split: {p}\n    path: data/{p}-*\n" for p in ("extra", "test", "train"))
        + "---\n"
    )
    write_table(folder / FILE.format("extra"), rows(NEWS, 8))
    parts, *_ = load_splits("ag_news", synthetic=False)
    assert list(parts) == ["train", "validation", "test"]


# -- names of classes ----------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["file", "readme"])
@pytest.mark.parametrize("kind", [np.int64, np.int32])
def test_classes_in_another_order(mirror, where, kind):
    names = NEWS.class_names[::-1]
    folder = mirror(NEWS, features=typed(NEWS, names) if where == "file" else None)
    if where == "readme":
        label = {"name": "label", "dtype": {"class_label": {"names": dict(enumerate(names))}}}
        stated = {"features": [{"name": "text", "dtype": "string"}, label]}
        text = json.dumps({"dataset_info": stated})
        (folder.parent / "README.md").write_text(f"---\n{text}\n---\n")
    else:
        import pyarrow.parquet as pq

        path = folder / FILE.format("train")
        table = pq.read_table(path)
        column = table["label"].cast(kind().dtype.name)
        pq.write_table(table.set_column(1, "label", column), path)
    message = refusal(NEWS)
    assert ", ".join(names) in message
    assert ", ".join(NEWS.class_names) in message


def test_two_classes_exchanged_and_one_renamed(mirror):
    mirror(NEWS, features=typed(NEWS, ("world", "Trade", "sports", "Technology")))
    assert "world, Trade, sports, Technology" in refusal(NEWS)


def test_files_that_name_classes_differently(mirror):
    mirror(NEWS, features=typed(NEWS, "abcd"))
    message = refusal(NEWS)
    assert "a, b, c, d" in message
    assert FILE.format("test") in message


def test_other_names_are_said_numbers_and_capitals_are_not(mirror):
    def remarks(names):
        folder = mirror(NEWS)
        for part, size in SIZES.items():
            write_table(folder / FILE.format(part), rows(NEWS, size), typed(NEWS, names))
        return [remark for remark in load(NEWS).departures if "called" in remark]

    assert remarks(NEWS.class_names) == []
    assert remarks([name.upper() for name in NEWS.class_names]) == []
    assert remarks("0123") == []
    assert remarks("1234") == []
    (remark,) = remarks(("World", "Sports", "Trade", "Sci/Tech"))
    assert "Trade" in remark


def test_numbers_out_of_order(mirror):
    mirror(NEWS, features=typed(NEWS, ("0", "2", "1", "3")))
    assert "0, 2, 1, 3" in refusal(NEWS)


# -- ways of storing images ----------------------------------------------------------------------


def png16(values):
    """A PNG of 16 bits a channel, which Pillow does not write in colour."""
    height, width = values.shape[:2]
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[1 if values.ndim == 2 else values.shape[2]]

    def chunk(name, data):
        check = zlib.crc32(name + data)
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", check)

    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in values)
    header = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines))
        + chunk(b"IEND", b"")
    )  # fmt: skip


RAMP = np.arange(32 * 32, dtype=np.uint16).reshape(32, 32) * 64
GREY8 = (RAMP >> 8).astype(np.uint8)
COLOURS = np.stack([RAMP, RAMP[::-1], RAMP.T], -1)
COLOURS8 = (COLOURS >> 8).astype(np.uint8)
ALPHA = np.dstack([COLOURS8, GREY8])
STORED = {
    "grey": (encoded(GREY8), GREY8, "grey"),
    "grey of 16 bits": (png16(RAMP), GREY8, "16 bits"),
    "grey of 16 bits, TIFF": (encoded(RAMP, "tiff"), GREY8, "16 bits"),
    "colour of 16 bits": (png16(COLOURS), COLOURS8, "16 bits"),
    "transparent": (encoded(ALPHA), COLOURS8, "transparency"),
    "transparent grey": (encoded(np.dstack([GREY8, GREY8])), GREY8, "transparency"),
    "palette": (encoded(Image.fromarray(GREY8).convert("P")), GREY8, "palette"),
    "colour": (encoded(COLOURS8), COLOURS8, None),
}


@pytest.mark.parametrize(("content", "wanted", "word"), STORED.values(), ids=STORED)
@pytest.mark.filterwarnings("error")
def test_ways_of_storing_images(mirror, content, wanted, word):
    mirror(**changed(CIFAR, "test", "img", 3, {"bytes": content, "path": None}))
    splits = image_splits("cifar10", synthetic=False)
    rgb = np.dstack([wanted] * 3) if wanted.ndim == 2 else wanted
    found = ((splits.test.inputs[3].permute(1, 2, 0).numpy() + 1) / 2 * 255).round()
    np.testing.assert_array_equal(found, rgb)
    remarks = [remark for remark in splits.departures if "stored" in remark]
    if word is None:
        assert remarks == []
    else:
        (remark,) = remarks
        assert remark.startswith("1 image ")
        assert word in remark


@pytest.mark.parametrize("kind", [np.int32, np.float32])
def test_images_of_32_bits_are_refused(mirror, kind):
    content = encoded(Image.fromarray(RAMP.astype(kind)), "tiff")
    mirror(**changed(CIFAR, "test", "img", 3, {"bytes": content, "path": None}))
    assert "test-00000-of-00001.parquet, row 3 " in refusal(CIFAR)


def test_conversions_are_counted_over_all_parts(tmp_path, monkeypatch):
    monkeypatch.setenv("THERMO_DATA", str(tmp_path))
    folder = make_mirror(tmp_path) / CIFAR.hub_id / "data"
    grey = [png(image[..., 0]) for image in pictures(30, 32, 1)]
    write_table(folder / FILE.format("test"), {**rows(CIFAR, 30), "img": grey})
    assert "30 images stored in grey, turned into RGB of 8 bits" in (
        image_splits("cifar10", synthetic=False).departures
    )


def test_images_of_many_sizes(mirror):
    images = [png(pictures(1, side, side)[0]) for side in range(1, 31)]
    mirror(test={**rows(CIFAR, 30), "img": images})
    splits = image_splits("cifar10", synthetic=False)
    assert splits.test.inputs.shape == (30, 3, 32, 32)
    assert any("stored at 30 pixels" in remark for remark in splits.departures)
