"""The page on samples of the test sets: the file's numbers, held against the records'."""

from __future__ import annotations

import copy
import json

import pytest

from companion.pages.sampled import COMMAND, FILE, read_sampled, sampled_text
from companion.runs.committed import committed_chapter
from thermo_utils.errors import ThermoError
from thermo_utils.grids import grid_step
from thermo_utils.transitions import critical_threshold

NAMES = ("mlp-flowers102", "lstm-yelp")


@pytest.fixture(scope="module")
def records():
    return {name: committed_chapter(name)[:1] for name in NAMES}


@pytest.fixture(scope="module")
def whole(records):
    """What the file would hold if samples found what all the data say, but for one."""
    chapters = {}
    for name, (record,) in records.items():
        tau = critical_threshold(record.curve("renormalized")).tau
        step = grid_step(record.curve("full"))
        draws = [
            {"seed": seed, "examples": count, "confidence": 0.97, "tau_star": tau, "within": True}
            for seed, count in enumerate((100, 400, 1000))
        ]
        chapters[name] = {
            "curves_sha256": record.result["curves_sha256"], "step": step, "examples": 1000,
            "tau_star": tau, "draws": draws, "provenance": record.result["provenance"],
        }  # fmt: skip
    chapters[NAMES[0]]["draws"][0] |= {"tau_star": None, "within": False}
    return {"format": 1, "profile": "small", "confidence": 0.95, "chapters": chapters}


@pytest.fixture
def file(whole, tmp_path):
    (tmp_path / "small").mkdir()

    def write(change):
        content = copy.deepcopy(whole)
        change(content)
        path = tmp_path / "small" / FILE
        path.write_text(json.dumps(content))
        return path

    return write


def cells(text):
    return [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]


def test_without_a_file_the_page_says_how_to_make_it(tmp_path, records):
    assert read_sampled(tmp_path / FILE) is None
    assert f"`{COMMAND} --profile small`" in sampled_text(None, records, "small")


def test_what_is_counted(file, records):
    text = sampled_text(read_sampled(file(lambda content: None)), records, "small")
    assert "6 samples of 2 chapters" in text
    assert "in 5 of 6, and in every sample of 1 of 2 chapters" in text
    # One of three read everything in each, so four stopped before, of which three are right.
    assert "In 2 everything was read" in text
    assert "of the 4 that stopped before, 3 are right (75 %, where at least 95 %" in text
    rows = {row[0].partition("]")[0].strip("["): row[1:] for row in cells(text)[2:]}
    assert rows["MLP on Flowers-102"][1].endswith(", none found")
    assert rows["MLP on Flowers-102"][2:] == ["2 of 3", "40 % (10 % to 100 %)", "1"]
    assert rows["LSTM on Yelp Review Full"][2] == "3 of 3"
    assert "Not run: MLP on CIFAR-10" in text


def test_samples_that_were_all_the_data(file, records):
    def change(content):
        for entry in content["chapters"].values():
            entry["draws"] = entry["draws"][2:]

    text = sampled_text(read_sampled(file(change)), records, "small")
    assert "Everything was read each time." in text


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda c: c.update(profile="demo"), "profile is 'demo'"),
        (lambda c: c["chapters"].update(other=c["chapters"][NAMES[0]]), "'other' is no chapter"),
        (lambda c: c["chapters"][NAMES[0]].update(examples=500), "larger than its test set"),
        (
            lambda c: c["chapters"][NAMES[1]]["draws"][0].update(within=False),
            "does not follow from its thresholds",
        ),
        (lambda c: c["chapters"][NAMES[1]].update(draws=[]), "draws"),
        (lambda c: c.update(format=2), "not of format 1"),
    ],
)
def test_a_damaged_file_is_refused(file, change, why):
    with pytest.raises(ThermoError, match=why) as refused:
        read_sampled(file(change))
    assert COMMAND in str(refused.value)


def test_another_threshold_than_the_records_is_refused(file, records):
    def change(content):
        entry = content["chapters"][NAMES[1]]
        entry["tau_star"] += 1e-3

    with pytest.raises(ThermoError, match="does not fit to the record of lstm-yelp"):
        sampled_text(read_sampled(file(change)), records, "small")


def test_chapters_with_other_curves_by_now_are_named(file, records):
    def change(content):
        content["chapters"][NAMES[1]]["curves_sha256"] = "0" * 64

    text = sampled_text(read_sampled(file(change)), records, "small")
    assert "do not hold any more: LSTM on Yelp Review Full." in text
    assert "3 samples of 1 chapter " in text
