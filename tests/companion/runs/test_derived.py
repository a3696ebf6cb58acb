"""Derived sections are written anew, and nothing that was measured is touched."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from companion.cli import main
from companion.runs.derived import derive, derive_all, derived, same
from companion.runs.methods import CURVES
from companion.runs.records import CURVES as CSV
from companion.runs.records import RESULT, read_record, to_json
from thermo_utils import ThermoError

COMMITTED = Path(__file__).parents[3] / "results" / "small"
FOLDERS = sorted(path.parent for path in COMMITTED.rglob(RESULT))
SECTIONS = ("features", "thresholds", "match")


@pytest.fixture
def copy(tmp_path):
    folder = tmp_path / "small" / "mlp-cifar10"
    shutil.copytree(COMMITTED / "mlp-cifar10", folder, ignore=shutil.ignore_patterns("seed-*"))
    return folder


def older(folder):
    """The record as other rules would have had it."""
    facts = json.loads((folder / RESULT).read_text())
    facts["features"] = facts["features"][:1]
    facts["thresholds"]["full"] = None
    facts["match"] = False
    (folder / RESULT).write_text(to_json(facts) + "\n")


def test_what_is_derived_is_todays(copy):
    derive(copy)
    today = (copy / RESULT).read_bytes()
    assert not derive(copy)
    older(copy)
    assert (copy / RESULT).read_bytes() != today
    assert derive(copy)
    assert (copy / RESULT).read_bytes() == today


def test_nothing_else_is_touched(copy):
    before = {p.name: p.read_bytes() for p in copy.iterdir()}
    older(copy)
    derive(copy)
    after = {p.name: p.read_bytes() for p in copy.iterdir()}
    assert after.keys() == before.keys()
    assert all(after[name] == before[name] for name in after if name != RESULT)
    was, now = json.loads(before[RESULT]), json.loads(after[RESULT])
    assert list(was) == list(now)
    assert {k: v for k, v in was.items() if k not in SECTIONS} == {
        k: v for k, v in now.items() if k not in SECTIONS
    }


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (1.0, 1.0 + 1e-12, True), (1.0, 1.0 + 1e-6, False), (None, 0.0, False), (True, 1, False),
        ([1.0], [1.0, 2.0], False), ({"a": 1.0}, {"b": 1.0}, False), ("peak", "bend", False),
        ({"a": [None, 2.0]}, {"a": [None, 2.0]}, True), (0.0, 1e-300, False),
    ],
)  # fmt: skip
def test_the_same_but_for_rounding(one, other, equal):
    assert same(one, other) == same(other, one) == equal


def test_rounding_rewrites_nothing(copy):
    derive(copy)
    facts = json.loads((copy / RESULT).read_text())
    facts["features"][0]["prominence"] *= 1 + 1e-13
    (copy / RESULT).write_text(to_json(facts) + "\n")
    before = (copy / RESULT).read_bytes()
    assert not derive(copy)
    assert (copy / RESULT).read_bytes() == before


def test_a_damaged_record_is_left_alone(copy):
    (copy / CSV).write_text((copy / CSV).read_text() + "\n")
    before = (copy / RESULT).read_bytes()
    with pytest.raises(ThermoError, match=CSV):
        derive(copy)
    assert (copy / RESULT).read_bytes() == before
    assert not derive(copy / "nothing")


def test_by_the_command(copy, capsys):
    derive(copy)
    older(copy)
    results = str(copy.parent.parent)
    assert main(["check", "--results", results, "--derive"]) == 0
    assert str(copy) in capsys.readouterr().out
    assert derive_all(copy.parent.parent) == []


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: str(f.relative_to(COMMITTED)))
def test_committed_records_are_derived_by_todays_rules(folder):
    record = read_record(folder)
    today = json.loads(to_json(derived({m: record.curve(m) for m in CURVES})))
    for section in SECTIONS:
        assert same(record.result[section], today[section]), "thermo check --derive"


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: str(f.relative_to(COMMITTED)))
def test_a_match_is_that_of_the_thresholds_beside_it(folder):
    facts = json.loads((folder / RESULT).read_text())
    full, fast = (facts["thresholds"][m] for m in CURVES)
    near = full and fast and abs(full["beta"] - fast["beta"]) <= 0.05
    assert facts["match"] == bool(near)
