"""The log of a sweep."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thermo_utils.errors import ThermoError
from thermo_utils.sweep_log import SweepLog

IDENTITY = {"layers": ["a"], "total": 10, "sum": 0.1 + 0.2}


def test_without_a_file_it_is_a_dict():
    log = SweepLog(None, IDENTITY)
    assert 0.1 not in log
    log.append({"tau": 0.1, "x": 1})
    assert log[0.1] == {"tau": 0.1, "x": 1}
    with pytest.raises(KeyError):
        log[0.2]


@given(st.lists(st.floats(1e-300, 1e300), unique=True, max_size=10))
def test_floats_survive_to_the_bit(tmp_path_factory, taus):
    path = tmp_path_factory.mktemp("log") / "log.jsonl"
    log = SweepLog(path, IDENTITY)
    for tau in taus:
        log.append({"tau": tau, "value": tau / 3})
    back = SweepLog(path, IDENTITY)
    assert all(tau in back and back[tau]["value"] == tau / 3 for tau in taus)
    assert path.exists() == bool(taus)


def test_every_cut_of_the_file_keeps_the_whole_lines(tmp_path):
    path = tmp_path / "log.jsonl"
    log = SweepLog(path, IDENTITY)
    for tau in (1.0, 2.0, 3.0):
        log.append({"tau": tau})
    text = path.read_text()
    for length in range(len(text) + 1):
        path.write_text(text[:length])
        log = SweepLog(path, IDENTITY)
        known = [tau for tau in (1.0, 2.0, 3.0) if tau in log]
        assert len(known) == max(text[:length].count("\n") - 1, 0)
        log.append({"tau": 9.0})
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        assert lines[0]["sweep"] == IDENTITY
        assert [line["tau"] for line in lines[1:]] == [*known, 9.0]


def test_other_identity(tmp_path):
    path = tmp_path / "log.jsonl"
    SweepLog(path, IDENTITY).append({"tau": 1.0})
    with pytest.raises(ThermoError, match=r"log\.jsonl.*total"):
        SweepLog(path, {**IDENTITY, "total": 11})
    assert 1.0 in SweepLog(path, {"sum": 0.1 + 0.2, "total": 10, "layers": ("a",)})


@pytest.mark.parametrize("middle", ["nonsense", "[]", '{"tau": 1}', "null", "\xff", ""])
def test_damage_in_the_middle(tmp_path, middle):
    path = tmp_path / "log.jsonl"
    log = SweepLog(path, IDENTITY)
    log.append({"tau": 1.0})
    whole = path.read_text()
    log.append({"tau": 2.0})
    damaged = whole + middle + "\n" + path.read_text().removeprefix(whole)
    path.write_text(damaged)
    with pytest.warns(UserWarning, match=r"log\.jsonl\.damaged"):
        log = SweepLog(path, IDENTITY)
    assert 1.0 in log
    assert 2.0 not in log
    assert (tmp_path / "log.jsonl.damaged").read_text() == damaged
    log.append({"tau": 2.0})
    assert 2.0 in SweepLog(path, IDENTITY)


def test_a_digit_that_changed_is_noticed(tmp_path):
    path = tmp_path / "log.jsonl"
    log = SweepLog(path, IDENTITY)
    for tau in (1.0, 2.0):
        log.append({"tau": tau, "active": 12345})
    text = path.read_text()
    for place in (text.index("12345"), text.rindex("12345"), text.index('"total": 10') + 9):
        path.write_text(text[:place] + "9" + text[place + 1 :])
        with pytest.warns(UserWarning, match="damaged"):
            log = SweepLog(path, IDENTITY)
        assert all(log[tau]["active"] == 12345 for tau in (1.0, 2.0) if tau in log)


def test_what_is_no_sweep_is_left_alone(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("mine\n")
    with pytest.raises(ThermoError, match=r"notes\.txt"):
        SweepLog(path, IDENTITY)
    assert path.read_text() == "mine\n"
