"""The page on pretraining: what was measured, and a verdict that follows from it."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest

from companion.pages.pretraining import (
    COMMAND,
    FILE,
    MODELS,
    WORTH,
    pretraining_text,
    read_pretraining,
)
from companion.runs.chapters import CHAPTERS
from companion.runs.committed import committed_chapter
from companion.runs.records import read_chapter
from thermo_utils.errors import ThermoError

RESULTS = Path(__file__).parents[3] / "results"
NAMES = ("t5-yelp", "gpt2-yelp")


@pytest.fixture(scope="module")
def records():
    return {name: committed_chapter(name) for name in NAMES}


def without(records, name):
    return records[name][0].result["metrics"]["test_accuracy"]


@pytest.fixture
def measured(records):
    """Two points gained in each."""
    return {
        name: {
            "curves_sha256": runs[0].result["curves_sha256"], "epochs": 3,
            "losses": [3.0, 2.0, 1.0], "accuracy": without(records, name) + 0.02,
            "validation_accuracy": 0.5, "seconds": 1.0,
            "provenance": runs[0].result["provenance"],
        }
        for name, runs in records.items()
    }  # fmt: skip


@pytest.fixture
def file(measured, tmp_path):
    """Writes what was measured, changed."""

    def write(change):
        content = {"format": 1, "profile": "small", "chapters": copy.deepcopy(measured)}
        change(content)
        path = tmp_path / "small" / FILE
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content))
        return path

    return write


def said(measured, records, profile="small"):
    return pretraining_text(measured, records, profile)


def test_nothing_measured_yet(records, tmp_path):
    assert read_pretraining(tmp_path / "small" / FILE) is None
    assert said(None, records) == said({}, records)
    assert said(None, records).startswith("Not measured: ViT on CIFAR-10, ")
    assert " --profile small` does it)." in said(None, records)


@pytest.mark.parametrize(("gain", "lifted"), [(-8, 0), (4.9, 0), (5.1, 1), (9, 1)])
def test_only_a_gain_of_five_points_is_a_lift(measured, records, gain, lifted):
    measured["gpt2-yelp"]["accuracy"] = without(records, "gpt2-yelp") + gain / 100
    sentence = said(measured, records).splitlines()[0]
    assert ("lifts GPT-2" in sentence, "none" in sentence) == (bool(lifted), not lifted)
    assert f"{WORTH:g} points" in sentence
    assert "T5" not in sentence


def test_a_row_holds_both_accuracies_their_difference_and_its_error(measured, records):
    (row,) = (line for line in said(measured, records).splitlines() if line.startswith("| T5"))
    before = without(records, "t5-yelp")
    after = before + 0.02
    error = ((before * (1 - before) + after * (1 - after)) / 3000) ** 0.5
    assert [word for word in row.split() if word[0] in "+-0123456789"] == [
        "3", f"{100 * before:.1f}", f"{100 * after:.1f}", "+2.0", f"{100 * error:.1f}",
    ]  # fmt: skip


def test_what_is_missing_is_named_with_its_command(measured, records):
    last = said(measured, records, "demo").splitlines()[-1]
    assert last.startswith("Not measured: ViT on CIFAR-10, ")
    assert f"`{COMMAND} vit-cifar10 " in last
    assert last.endswith(" --profile demo` does it).")
    for name in ("T5 on Yelp", "t5-yelp", "gpt2-yelp", "mlp"):
        assert name not in last
    assert sum(c.model in MODELS for c in CHAPTERS) == 2 * len(MODELS)


def test_a_chapter_with_another_record_by_now_is_named_and_not_compared(measured, records):
    measured["gpt2-yelp"]["curves_sha256"] = "0" * 64
    text = said(measured, records)
    assert "not there any more: GPT-2 on Yelp Review Full." in text
    assert "| GPT-2" not in text
    assert "Measured on 1 chapter," in text
    assert " gpt2-yelp " in text.splitlines()[-1]


def test_without_is_the_run_whose_curves_are_named(measured, records):
    """Of whatever seed."""
    for name, runs in records.items():
        measured[name]["curves_sha256"] = runs[1].result["curves_sha256"]
        before = runs[1].result["metrics"]["test_accuracy"]
        assert before != without(records, name)
        assert f"| {100 * before:.1f} % |" in said(measured, records)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda m: m.update(profile="demo"), "folder of 'small'"),
        (lambda m: m.update(format=2), "not of format 1"),
        (lambda m: m["chapters"]["t5-yelp"].update(epochs=2), "losses of t5-yelp"),
        (lambda m: m["chapters"]["t5-yelp"].update(accuracy=56), "accuracy"),
        (lambda m: m["chapters"].update(cnn=m["chapters"]["t5-yelp"]), "'cnn' is no chapter"),
        (
            lambda m: m["chapters"].update({"mlp-cifar10": m["chapters"]["t5-yelp"]}),
            "'mlp-cifar10' has no objective",
        ),
    ],
)
def test_a_damaged_file_is_refused(file, change, why):
    assert read_pretraining(file(lambda _: None)) is not None
    with pytest.raises(ThermoError, match=why) as refused:
        read_pretraining(file(change))
    assert f"run {COMMAND} --profile small" in str(refused.value)


def test_the_projects_file_fits_to_its_records():
    found = read_pretraining(RESULTS / "small" / FILE)
    assert {"vit-flowers102", "t5-yelp"} <= set(found)
    text = said(found, {c.name: committed_chapter(c.name) for c in CHAPTERS})
    assert "not there any more" not in text
    # The page on choices says that it is taken where it lifts by so much, and no chapter takes it.
    assert "lifts none of them" in text


@pytest.mark.parametrize("name", ["gpt2", "electra"])
def test_on_ag_news_there_is_no_room_for_a_lift(name):
    """As the page on choices says: not even a network that has read far more is that far above."""
    accuracy = {
        n: read_chapter(RESULTS, "small", f"{n}-ag_news")[0].result["metrics"]["test_accuracy"]
        for n in (name, "bert")
    }
    assert 100 * (accuracy["bert"] - accuracy[name]) < WORTH
