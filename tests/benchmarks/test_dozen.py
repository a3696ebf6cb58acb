"""Guided evaluations of trained networks: what is measured, what is kept, and what is skipped."""

from __future__ import annotations

import dataclasses
import json
import shutil

import pytest
from filelock import FileLock

from benchmarks import dozen
from companion.networks import NETWORKS
from companion.pages.guided import FILE, guided_text, read_guided
from companion.runs.records import read_record
from companion.runs.run import WORK
from thermo_utils.guided import PASSES

CHAPTER = "mlp-cifar10"
pytestmark = pytest.mark.usefixtures("tiny")


def measure(results, *words):
    return dozen.main(["--results", str(results), *(words or (CHAPTER,))])


def entry(results):
    measured = read_guided(results / "demo" / FILE)
    assert measured is not None
    return measured[CHAPTER]


def one_line(capsys):
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    return said[0]


def never(*given, **options):
    pytest.fail("nothing is to be measured")


def test_what_is_measured_is_what_the_whole_evaluation_found_at_the_same_thresholds(results):
    assert measure(results) == 0
    record, found = read_record(results / "demo" / CHAPTER), entry(results)
    assert record is not None
    full = record.curve("full").set_index("tau")
    rows = found["guided"]["evaluated"]
    assert 2 < len(rows) < len(full) / 2
    assert found["guided"]["passes"] == len(rows) + 1 <= PASSES
    assert found["whole"]["passes"] == len(full) + 1
    for row in rows:
        there = full.loc[row["tau"]]
        assert (row["active"], row["accuracy"]) == (there["active"], there["accuracy"])
    unseen = [tau for tau in full.index if any(a <= tau <= b for a, b in _parts(found))]
    assert sorted([*unseen, *(row["tau"] for row in rows)]) == full.index.to_list()
    thresholds = record.result["thresholds"]
    for name, kind in (("tau_star", "full"), ("accuracy_threshold", "accuracy")):
        there = thresholds[kind] and thresholds[kind]["tau"]
        assert found["whole"][name] == there
    assert "of 1, the accuracy threshold" in guided_text(
        {CHAPTER: found}, {CHAPTER: [record]}, "demo"
    )
    assert not list((results / WORK).glob("guided-*[0-9a-f]/"))


def _parts(found):
    return found["guided"]["not_looked_at"]


@pytest.mark.slow
def test_what_is_measured_is_kept_and_measured_again_by_force_alone(results, monkeypatch):
    assert measure(results) == 0
    before = (results / "demo" / FILE).read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(dozen, "full_evaluation", never)
        assert measure(results) == 0
    assert (results / "demo" / FILE).read_bytes() == before
    assert measure(results, CHAPTER, "--force") == 0
    after = json.loads((results / "demo" / FILE).read_bytes())
    assert after != json.loads(before)  # it took another time
    assert (
        entry(results)["guided"]["evaluated"]
        == json.loads(before)["chapters"][CHAPTER]["guided"]["evaluated"]
    )


@pytest.mark.slow
def test_of_other_curves_it_is_measured_again(results):
    assert measure(results) == 0
    path = results / "demo" / FILE
    whole = json.loads(path.read_bytes())
    whole["chapters"][CHAPTER]["curves_sha256"] = "0" * 64
    path.write_text(json.dumps(whole))
    assert measure(results) == 0
    assert entry(results)["curves_sha256"] != "0" * 64


def test_an_interrupted_chapter_goes_on(results, monkeypatch, capsys):
    kept, compared = [], dozen.compared

    def state():
        (path,) = (results / WORK).glob("guided-*/sweep.jsonl")
        return path.read_bytes()

    def interrupted(curve, record):
        kept.append(state())
        raise KeyboardInterrupt

    def noted(curve, record):
        kept.append(state())
        return compared(curve, record)

    monkeypatch.setattr(dozen, "compared", interrupted)
    assert measure(results) == 130
    assert "goes on" in one_line(capsys)
    assert not (results / "demo" / FILE).exists()
    monkeypatch.setattr(dozen, "compared", noted)
    assert measure(results) == 0
    assert kept[0] == kept[1]  # with the seconds of every threshold


def test_nothing_is_trained(results, capsys, monkeypatch):
    monkeypatch.setattr("companion.runs.experiment.train", never)
    for folder in (results / WORK).glob("train-*/"):
        shutil.rmtree(folder)
    assert measure(results) == 0
    assert "is skipped: its trained network is not kept" in one_line(capsys)
    assert not (results / "demo" / FILE).exists()


def test_a_damaged_training_counts_as_none(results, capsys, monkeypatch):
    monkeypatch.setattr("companion.runs.experiment.train", never)
    (weights,) = (results / WORK).glob("train-*/weights.pt")
    weights.write_bytes(weights.read_bytes()[:-1])
    assert measure(results) == 0
    assert "is skipped" in capsys.readouterr().err


def test_the_network_must_be_the_one_of_the_whole_evaluation(results, capsys, monkeypatch):
    monkeypatch.setattr(dozen, "full_evaluation", never)
    monkeypatch.setattr(dozen, "fingerprint", lambda network: "0" * 64)
    assert measure(results) == 0
    assert "not the one of its whole evaluation" in one_line(capsys)


def test_a_record_of_other_settings_is_skipped(results, capsys, monkeypatch):
    recipes = NETWORKS["mlp"].recipes
    recipe = dataclasses.replace(recipes["cifar10", "demo"], epochs=2)
    monkeypatch.setitem(recipes, ("cifar10", "demo"), recipe)
    assert measure(results) == 0
    assert "of other settings" in one_line(capsys)


def test_without_a_record_there_is_nothing_to_compare_with(results, capsys):
    assert measure(results, "cnn-cifar10") == 0
    assert "cnn-cifar10 is skipped: there is no record" in one_line(capsys)


@pytest.mark.parametrize(
    ("words", "named"),
    [(["mlp-cifar1"], "mlp-cifar1"), (["--profile", "tiny"], "tiny"),
     (["--profile", "paper"], "paper")],
)  # fmt: skip
def test_mistakes_end_in_one_line(results, words, named, capsys):
    assert measure(results, *words) == 2
    assert named in one_line(capsys)


def test_a_damaged_file_is_named_and_left_alone(results, capsys, monkeypatch):
    monkeypatch.setattr(dozen, "full_evaluation", never)
    (results / "demo" / FILE).write_text('{"format": 1, ')
    assert measure(results) == 2
    said = one_line(capsys)
    assert FILE in said
    assert "damaged" in said
    assert (results / "demo" / FILE).read_text() == '{"format": 1, '


def test_two_do_not_write_at_once(results, capsys):
    with FileLock(results / WORK / "guided-demo.lock"):
        assert measure(results) == 2
    assert "at work" in one_line(capsys)
