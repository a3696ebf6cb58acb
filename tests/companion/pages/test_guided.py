"""The page on guided evaluations of networks: the file's numbers, held against the records'."""

from __future__ import annotations

import copy
import json

import pytest

from companion.pages.guided import COMMAND, FILE, guided_text, read_guided
from companion.runs.chapters import CHAPTERS
from companion.runs.committed import COMMITTED, committed_chapter
from thermo_utils.errors import ThermoError
from thermo_utils.grids import grid_step

NAMES = ("mlp-cifar10", "lstm-yelp")


@pytest.fixture(scope="module")
def records():
    return {name: committed_chapter(name)[:1] for name in NAMES}


@pytest.fixture(scope="module")
def whole(records):
    """What the file would hold had every third threshold found the same."""
    chapters = {}
    for name, (record,) in records.items():
        full, thresholds = record.curve("full"), record.result["thresholds"]
        found = {
            "tau_star": thresholds["full"]["tau"],
            "accuracy_threshold": thresholds["accuracy"]["tau"],
        }
        rows = full[["tau", "active", "accuracy"]].iloc[::3].to_dict("records")
        chapters[name] = {
            "curves_sha256": record.result["curves_sha256"],
            "step": grid_step(full),
            "guided": {
                "passes": len(rows) + 1, **found, "evaluated": rows, "not_looked_at": [],
                "seconds": 1.5,
            },
            "whole": {"passes": len(full) + 1, **found},
            "agrees": dict.fromkeys(found, True),
            "provenance": record.result["provenance"],
        }  # fmt: skip
    return {"format": 1, "profile": "small", "chapters": chapters}


@pytest.fixture
def file(whole, tmp_path):
    """Writes what a change leaves of the file's content."""
    (tmp_path / "small").mkdir()

    def write(change):
        content = copy.deepcopy(whole)
        change(content)
        path = tmp_path / "small" / FILE
        path.write_text(json.dumps(content))
        return path

    return write


def first(content):
    return content["chapters"][NAMES[0]]


def cells(text):
    return [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]


def test_without_a_file_the_page_says_how_to_make_it(tmp_path, records):
    assert read_guided(tmp_path / FILE) is None
    text = guided_text(None, records, "small")
    assert f"`{COMMAND}" in text
    assert not any(character.isdigit() for character in text)


def test_rows_and_counts_are_the_files(file, records, whole):
    text = guided_text(read_guided(file(lambda content: None)), records, "small")
    rows = {row[0].partition("](")[0][1:]: row for row in cells(text)[2:]}
    assert list(rows) == ["MLP on CIFAR-10", "LSTM on Yelp Review Full"]
    for name, row in zip(NAMES, rows.values(), strict=True):
        entry = whole["chapters"][name]
        passes = [entry[kind]["passes"] for kind in ("guided", "whole")]
        tau, left = (f"{entry['whole'][what]:.4g}" for what in ("tau_star", "accuracy_threshold"))
        assert row[1:] == [
            "{} of {}".format(*passes), tau, tau, left, left, f"{entry['step']:g}", "yes",
        ]  # fmt: skip
    assert "τ* agrees on 2 of 2, the accuracy threshold on 2, both on 2." in text
    assert "to the last digit in 2 of 2 chapters." in text
    assert "Where they do not agree" not in text
    assert text.count("Not run:") == 1
    assert all((c.title in text) for c in CHAPTERS)


@pytest.mark.parametrize("seen", [False, True])
def test_what_does_not_agree_is_said_with_where_it_lies(file, records, seen):
    def change(content):
        entry = first(content)
        tau = entry["whole"]["tau_star"]
        entry["guided"]["tau_star"] = tau + 2 * entry["step"]
        entry["guided"]["not_looked_at"] = [[tau * 1.01, tau * 1.02] if seen else [tau, tau]]
        entry["agrees"]["tau_star"] = False

    text = guided_text(read_guided(file(change)), records, "small")
    assert "τ* agrees on 1 of 2, the accuracy threshold on 2, both on 1." in text
    assert [row[-1] for row in cells(text)[2:]] == ["**no**", "yes"]
    assert "τ* of the whole evaluation of MLP on CIFAR-10" in text
    assert ("did not look" in text) is not seen


def test_other_counts_and_accuracies_are_told(file, records):
    def change(content):
        first(content)["guided"]["evaluated"][0]["accuracy"] -= 0.003
        first(content)["guided"]["evaluated"][1]["active"] += 1

    text = guided_text(read_guided(file(change)), records, "small")
    assert "in 1 of 2 chapters" in text
    assert "up to 0.3 points" in text


def test_a_record_with_other_curves_is_not_compared_with(file, records):
    def change(content):
        first(content)["curves_sha256"] = "0" * 64

    text = guided_text(read_guided(file(change)), records, "small")
    assert "do not hold any more: MLP on CIFAR-10." in text
    assert len(cells(text)) == 3
    assert "both on 1" in text


def _step(entry):
    entry["step"] *= 1.5


def _passes(entry):
    entry["whole"]["passes"] += 1


def _threshold(what):
    def change(entry):
        for kind in ("whole", "guided"):
            entry[kind][what] += 0.01 * entry["step"]

    return change


def _off_the_grid(entry):
    entry["guided"]["evaluated"][3]["tau"] += 1e-5


@pytest.mark.parametrize(
    ("change", "named"),
    [(_step, "step"), (_passes, "whole.passes"), (_threshold("tau_star"), "whole.tau_star"),
     (_threshold("accuracy_threshold"), "whole.accuracy_threshold"),
     (_off_the_grid, "not on the grid")],
)  # fmt: skip
def test_what_the_record_contradicts_is_refused(file, records, change, named):
    measured = read_guided(file(lambda content: change(first(content))))
    with pytest.raises(ThermoError, match=f"{NAMES[0]}.*{named}.*--force"):
        guided_text(measured, records, "small")


CHANGES = {
    "no chapter": lambda c: c["chapters"].update(nothing=first(c)),
    "profile": lambda c: c.update(profile="demo"),
    "agrees.tau_star": lambda c: first(c)["agrees"].update(tau_star=False),
    "agrees.accuracy_threshold": lambda c: first(c)["guided"].update(accuracy_threshold=None),
    "passes of mlp-cifar10": lambda c: first(c)["guided"].update(passes=12),
    "evaluated": lambda c: first(c)["guided"].update(evaluated=[]),
    "step": lambda c: first(c).update(step=0),
    "curves_sha256": lambda c: first(c).update(curves_sha256="none"),
    "chapters": lambda c: c.update(chapters=[]),
}


@pytest.mark.parametrize("named", CHANGES)
def test_a_file_that_contradicts_itself_is_damaged(file, named):
    path = file(CHANGES[named])
    with pytest.raises(ThermoError, match=f"damaged: .*{named}.*delete it and run {COMMAND}") as e:
        read_guided(path)
    assert str(path) in str(e.value)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"format": 2}', "\xff", "NaN"])
def test_a_file_that_is_none_of_ours_is_one_clear_error(tmp_path, text):
    path = tmp_path / FILE
    path.write_text(text, encoding="latin-1")
    with pytest.raises(ThermoError, match=f"delete it and run {COMMAND}"):
        read_guided(path)


def test_the_projects_file_fits_to_its_records():
    measured = read_guided(COMMITTED / "small" / FILE)
    assert measured
    text = guided_text(measured, {name: committed_chapter(name) for name in measured}, "small")
    assert "do not hold any more" not in text
    assert len(cells(text)) == len(measured) + 2
