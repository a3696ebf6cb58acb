"""Published numbers beside ours: what is met, what is apart, and what was tried."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest

from companion.pages.setups import (
    COMMAND,
    FILE,
    SAME,
    Point,
    comparable,
    points,
    read_setups,
    setups_text,
    taus,
)
from companion.paper.published import published
from companion.runs.committed import committed_chapter
from thermo_utils.errors import ThermoError

NAMES = [chapter.name for chapter in comparable()]


@pytest.fixture(scope="module")
def records():
    return {name: committed_chapter(name) for name in NAMES}


def tried(records, name, **changes):
    """What the chapter's own set-up comes to, as its record has it."""
    record = records[name][0]
    curve, wanted = record.curve("full"), taus(*name.split("-"))
    at = {c: np.interp(wanted, curve["tau"], curve[c]).tolist() for c in ("beta", "accuracy")}
    return {
        "accuracy": record.result["metrics"]["test_accuracy"], "validation_accuracy": 0.5,
        "epochs": 9, "tau": wanted, "beta": at["beta"], "pruned_accuracy": at["accuracy"],
        "seconds": 1.0, "provenance": record.result["provenance"],
    } | changes  # fmt: skip


@pytest.fixture(scope="module")
def whole(records):
    name = "cnn-cifar10"
    record = records[name][0].result
    made = {"settings": record["settings"], "data": "f" * 64, "test_examples": 10}
    found = {
        SAME: tried(records, name), "exact": tried(records, name, accuracy=0.76),
        "fits": tried(records, name, beta=[0.04, 0.05, 0.23, 0.29]),
    }  # fmt: skip
    return {"format": 1, "profile": "small", "chapters": {name: {**made, "tried": found}}}


def lines(text, beginning):
    return [line for line in text.splitlines() if line.startswith(f"| {beginning}")]


def test_only_networks_that_start_from_random_weights_in_the_paper_too():
    assert {name.split("-")[0] for name in NAMES} == {"mlp", "cnn", "lstm"}


@pytest.mark.parametrize("name", NAMES)
def test_points_are_pairs_that_the_paper_names_together(name):
    stated = published()
    stated = stated[(stated["model"] + "-" + stated["dataset"]) == name]
    found = points(*name.split("-"))
    assert found
    assert len({(point.tau, point.beta) for point in found}) == len(found)
    for point in found:
        for quantity, (low, high) in (("tau_star", point.tau), ("beta_star", point.beta)):
            same = stated[(stated["quantity"] == quantity) & (stated["source"] == point.source)]
            assert ((same["low"] == low) & (same["high"] == high)).any()
    assert taus(*name.split("-")) == sorted({tau for point in found for tau in point.tau})


@pytest.mark.parametrize(
    ("tau", "beta", "ours", "expected"),
    [
        ((0.1, 0.2), (0.3, 0.4), (0.3, 0.4), 0),
        ((0.1, 0.2), (0.3, 0.4), (0.296, 0.404), 0),  # rounded
        ((0.1, 0.2), (0.3, 0.4), (0.2, 0.4), 0.095),
        ((0.1, 0.2), (0.3, 0.4), (0.3, 0.6), 0.195),
        ((0.1, 0.2), (0.35, 0.35), (0.3, 0.4), 0),  # somewhere in between
        ((0.1, 0.2), (0.35, 0.35), (0.4, 0.5), 0.045),
        ((0.1, 0.1), (0.3, 0.4), (0.31, 0.31), 0),
        ((0.1, 0.1), (0.3, 0.4), (0.25, 0.25), 0.045),
    ],
)
def test_how_far_two_sparsities_are_from_the_published(tau, beta, ours, expected):
    assert Point(tau, beta, "").apart(*ours) == pytest.approx(expected, abs=1e-12)


def test_every_published_number_has_a_row(records):
    text = setups_text(None, records)
    assert COMMAND in text
    stated = published()
    for chapter in comparable():
        of = stated[(stated["model"] == chapter.model) & (stated["dataset"] == chapter.dataset)]
        accuracy = (of["quantity"] == "accuracy").any()
        count = len(points(chapter.model, chapter.dataset)) + accuracy
        assert len(lines(text, chapter.title)) == count
    assert setups_text(None, {}) == "Not run at this profile.\n"


def test_the_verdicts_by_other_code(records):
    """CNN on CIFAR-10: every number, again, from the curves."""
    runs = records["cnn-cifar10"]
    accuracies = [run.result["metrics"]["test_accuracy"] for run in runs]
    curves = [run.curve("full").set_index("tau")["beta"] for run in runs]
    ends = [(c[c.index.to_series().sub(0.06).abs().idxmin()],
             c[c.index.to_series().sub(0.08).abs().idxmin()]) for c in curves]  # fmt: skip
    off = [max(abs(low - 0.23), abs(high - 0.29)) for low, high in ends]
    spread = np.ptp([(low + high) / 2 for low, high in ends])
    assert min(off) - 0.005 > spread
    assert min(abs(a - 0.76) for a in accuracies) - 0.005 > np.ptp(accuracies)
    rows = lines(setups_text(None, records), "CNN on CIFAR-10")
    verdicts = {row.split(" | ")[1]: row.split(" | ")[4] for row in rows}
    assert verdicts["test accuracy"] == verdicts["β at τ = 0.06-0.08"] == "no"
    assert f"{100 * np.mean(accuracies):.1f}" in rows[0]


def test_one_seed_cannot_say_how_far_seeds_differ(records):
    text = setups_text(None, {"cnn-cifar10": records["cnn-cifar10"][:1]})
    assert "no: one seed" in text
    assert "are missed by more" in text.splitlines()[0]
    assert "Nothing that is known" not in text


def test_what_comes_closest(records, whole):
    text = setups_text(whole, records)
    (said,) = [line for line in text.splitlines() if line.startswith("**CNN on CIFAR-10**")]
    assert "Nearest in accuracy: exact, 0.0 points off." in said
    assert "Nearest in sparsity: fits, at most 0.00 off." in said
    assert "None meets both." in said
    both = copy.deepcopy(whole)
    both["chapters"]["cnn-cifar10"]["tried"]["fits"]["accuracy"] = 0.76
    assert "In both: fits." in setups_text(both, records)
    assert "Nearest in accuracy: exact and fits, 0.0" in setups_text(both, records)
    assert COMMAND not in text


def test_words_of_files_are_no_markup(whole):
    hostile = copy.deepcopy(whole)
    tried = hostile["chapters"]["cnn-cifar10"]["tried"]
    tried["![](x) <b>a | b"] = tried.pop("exact")
    record = copy.copy(committed_chapter("cnn-cifar10")[0])
    record.result = {**record.result, "differs": ["![](x) <b>a | b"]}
    text = setups_text(hostile, {"cnn-cifar10": [record]})
    assert "![](x)" not in text
    assert "<b>" not in text


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


def test_a_file_is_read_as_it_was_written(file, whole):
    assert read_setups(file(lambda content: None)) == whole
    assert read_setups(file(lambda content: None).with_name("other")) is None


def one(content):
    return content["chapters"]["cnn-cifar10"]["tried"]["exact"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(format=7), "not of format 1"),
        (lambda c: c.update(profile="demo"), "in a folder of 'small'"),
        (lambda c: c["chapters"].update({"vit-cifar10": c["chapters"]["cnn-cifar10"]}),
         "pretrained"),
        (lambda c: one(c).update(accuracy=76.0), "not between 0 and 1"),
        (lambda c: one(c).update(tau=[0.1]), "not the published ones"),
        (lambda c: one(c)["beta"].reverse(), "do not go with"),
        (lambda c: one(c)["beta"].pop(), "do not go with"),
        (lambda c: one(c).pop("accuracy"), "accuracy"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_refused(file, change, message):
    with pytest.raises(ThermoError, match=message) as caught:
        read_setups(file(change))
    assert COMMAND in str(caught.value)
