"""What is refused before a slow import, in one line and with nothing written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from companion.analysis.request import CHECKPOINT, METRICS, PRODUCTS, Request, check
from thermo_utils import ThermoError, metrics


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("own.py").write_text("net = batches = score = 1\n")
    Path("texts.csv").write_text("text,label\na,1\n")
    Path("file").write_text("")
    for name in ("bert", "pictures/cat", "loose", "analysed", "begun"):
        Path(name).mkdir(parents=True)
    Path("bert/config.json").write_text("{}")
    Path("loose/a.png").write_bytes(b"")
    Path("analysed/report.html").write_text("old")
    Path("begun", CHECKPOINT).write_text("")
    Path("begun/curves.csv").write_text("")


GOOD = Request("own.py:net", "own.py:batches", Path("out"))

MISTAKES = {
    "model": ({"model": "nowhere.py:net"}, "there is no file nowhere.py"),
    "data": ({"data": "nowhere.csv"}, "no file or folder nowhere.csv"),
    "half a grid": ({"tau_step": 0.1}, "both --tau-step and --tau-max"),
    "no grid": ({"tau_step": 0.0, "tau_max": 1.0}, "step must be positive"),
    "endless grid": ({"tau_step": 1e-9, "tau_max": 1.0}, "take a step of 0.001 or more"),
    "batch size": ({"batch_size": 0}, "--batch-size must be 1 or more"),
    "limit": ({"limit": 0}, "--limit must be 1 or more"),
    "size": ({"size": -1, "data": "pictures"}, "--size must be 1 or more"),
    "drop": ({"max_drop": -0.1}, "--max-drop must be zero or more"),
    "no number": ({"max_drop": float("nan")}, "--max-drop must be zero or more"),
    "relative": ({"max_drop": 5.0, "relative": True}, "a share"),
    "seed": ({"seed": -1}, "--seed must be from 0"),
    "device": ({"device": "the gpu"}, "no device 'the gpu'"),
    "layers": ({"layers": ("",)}, "--layers has an empty name"),
    "metric": ({"metric": "acuracy"}, "did you mean 'accuracy'"),
    "metric's file": ({"metric": "nowhere.py:score"}, "no file nowhere.py"),
    "better": ({"metric": "f1", "better": "higher"}, "--better is for a metric of your own"),
    "better alone": ({"better": "higher"}, "--better is for a metric of your own"),
    "metric unused": ({"rfe_only": True, "metric": "f1"}, "--metric needs one"),
    "keep unused": ({"rfe_only": True, "keep": Path("a.pt")}, "--keep needs one"),
    "weights of own": ({"weights": "file"}, "--weights is for networks of torchvision"),
    "weights": ({"model": "resnet18", "weights": "no.pt"}, "there is no file no.pt"),
    "size of texts": ({"model": "bert", "data": "texts.csv", "size": 3}, "--size is for images"),
    "split": ({"split": "test"}, "--split is for data sets"),
    "tokenizer": ({"data": "texts.csv"}, "name its folder with --tokenizer"),
    "images network": (
        {"model": "torchvision:resnet18", "data": "texts.csv", "tokenizer": "bert"},
        "network for images",
    ),
    "no classes": ({"data": "bert"}, "a folder of images for each class.*neither"),
    "loose images": ({"data": "loose"}, "1 images that are in no class"),
    "output a file": ({"output": Path("file")}, "is a file: name a folder with -o"),
    "below a file": ({"output": Path("file/out")}, "lies below .*file, which is a file"),
    "output taken": ({"output": Path("analysed")}, "holds report.html already.*--force"),
    "keep a folder": ({"keep": Path("bert")}, "bert is a folder"),
    "keep below a file": ({"keep": Path("file/a.pt")}, "which is a file.*--keep"),
    "keep a file": ({"keep": Path("file")}, "file exists: replace it with --force"),
    "keep as JSON": ({"keep": Path("a.json")}, "name a file such as pruned.pt"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "message"), MISTAKES.values(), ids=list(MISTAKES))
def test_mistakes(tmp_path, change, message):
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ThermoError, match=message) as refused:
        check(replace(GOOD, **change))
    assert "\n" not in str(refused.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_good_request(tmp_path):
    before = sorted(tmp_path.rglob("*"))
    assert [reference.kind for reference in check(GOOD)] == ["object", "object"]
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    for output in ("locked", "locked/below"):
        with pytest.raises(ThermoError, match=r"not writable.*-o"):
            check(replace(GOOD, output=Path(output)))


def test_a_folder_that_is_not_writable_is_asked_for_by_access(monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(ThermoError, match=r"not writable.*-o"):
        check(GOOD)


def test_what_may_be_written_over():
    check(replace(GOOD, output=Path("analysed"), force=True))
    check(replace(GOOD, keep=Path("file"), force=True))
    check(replace(GOOD, output=Path("begun")))  # an analysis that was interrupted goes on
    Path("others").mkdir()
    Path("others/notes.txt").write_text("mine")
    check(replace(GOOD, output=Path("others")))
    assert "notes.txt" not in PRODUCTS


def test_a_name_that_reads_texts_is_none_of_torchvision():
    model, _ = check(replace(GOOD, model="gpt2", data="texts.csv"))
    assert model.kind == "transformers"


def test_metrics_are_those_of_the_library():
    assert METRICS == metrics.NAMES
    check(replace(GOOD, metric="top3"))
    for metric in METRICS:
        check(replace(GOOD, metric=metric))


def test_mistakes_cost_no_import_of_torch():
    commands = [
        ["nowhere.py:net", "own.py:batches"],
        ["own.py:net", "nowhere.csv"],
        ["own.py:net", "own.py:batches", "-o", "file"],
        ["own.py:net", "own.py:batches", "-o", "analysed"],
        ["own.py:net", "own.py:batches", "--metric", "acuracy"],
        ["own.py:net", "own.py:batches", "--limit", "few"],
        ["own.py:net", "own.py:batches", "--tau-step", "1e-9", "--tau-max", "1"],
        ["bert", "texts.csv", "--text-column", "sentence"],
        ["bert", "pictures"],
    ]
    code = """
import json, sys
from companion.cli import main
for words in json.loads(sys.argv[1]):
    try:
        code = main(["analyze", *words])
    except SystemExit as end:
        code = end.code
    print(code, sorted({"torch", "torchvision", "transformers", "datasets"} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(commands)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.splitlines() == ["2 []"] * len(commands), done.stderr
    assert done.stderr.count("\n") == len(commands)
