"""The record of what zeros save: complete, whole or not there, and shown."""

from __future__ import annotations

import json

import pytest
import torch

from benchmarks import zeros
from companion.pages.survives import read_facts
from companion.pages.zeros import FILE, zeros_text


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    sizes = ["--size", "12x20", "--size", "8x8"]
    assert zeros.main(["--results", str(folder), "--repetitions", "2", *sizes]) == 0
    assert [path.name for path in folder.iterdir()] == [FILE]
    facts = read_facts(folder / FILE)
    assert facts is not None
    return facts


def test_every_size_is_measured(record):
    sizes = [(layer["in_features"], layer["out_features"]) for layer in record["skipping"]]
    assert sizes == [(12, 20), (8, 8)]
    for layer in record["skipping"]:
        assert len(layer["rows"]) == len(zeros.SPARSITIES)
        assert layer["repetitions"] == 2
    measured = [(n["inputs"], n["hidden"], n["batch"]) for n in record["dense"]]
    assert measured == [(i, o, b) for i, o in sizes for b in zeros.BATCHES]


def test_dense_kernels_are_measured_at_the_sparsities_that_are_named(record):
    for network in record["dense"]:
        betas = [row["beta"] for row in network["rows"]]
        assert betas[0] == 0
        assert betas == pytest.approx(zeros.SHARES, abs=1 / network["hidden"])


def test_the_page_shows_it(record):
    text = zeros_text(record)
    assert "12 → 20" in text
    assert "8 → 8 → 8" in text
    assert not text.count("nan")


@pytest.mark.parametrize(
    "arguments", [["--size", "12"], ["--size", "0x4"], ["--size", "axb"], ["--repetitions", "0"]]
)
def test_mistakes_end_in_one_line_and_nothing_written(arguments, tmp_path, capsys):
    assert zeros.main(["--results", str(tmp_path), "--size", "4x4", *arguments]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_missing_folder_is_named_before_anything_is_measured(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(zeros, "one_layer", pytest.fail)
    assert zeros.main(["--results", str(tmp_path / "nowhere")]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_the_threads_are_left_as_they_were(record):
    assert record["dense"][0]["rows"][0]["threads"] == torch.get_num_threads()
    json.dumps(record, allow_nan=False)
