"""The page on what a run survives: from what was measured, or that nothing was."""

from __future__ import annotations

import json
import random

import pytest

from benchmarks.faults import SUBJECTS, read_report
from benchmarks.soak import damage, differences
from companion.pages.overview import other_runs_table
from companion.pages.survives import faults_table, read_facts, soak_text
from companion.runs.records import Record
from thermo_utils import ThermoError

REPORT = """<testsuites><testsuite>
<testcase name="test_a_full_disk[0.3]"/>
<testcase name="test_a_full_disk[0.9]"><failure/></testcase>
<testcase name="test_two_at_once"><skipped/></testcase>
</testsuite></testsuites>"""
FACTS = {"date": "2026-01-02", "git_commit": "0123456789abcdef"}


def test_a_report_counts_the_cases_of_each_test(tmp_path):
    path = tmp_path / "report.xml"
    path.write_text(REPORT)
    assert read_report(path) == [
        {"test": "test_a_full_disk", "passed": 1, "failed": 1, "skipped": 0},
        {"test": "test_two_at_once", "passed": 0, "failed": 0, "skipped": 1},
    ]


def test_the_table_has_a_row_per_test(tmp_path):
    path = tmp_path / "report.xml"
    path.write_text(REPORT)
    text = faults_table({"subjects": {"Disks": {**FACTS, "tests": read_report(path)}}})
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert rows[2:] == ["| a full disk | 1 of 2 passed |", "| two at once | 1 skipped |"]
    assert "2026-01-02" in text


def test_the_soak_says_what_differed():
    facts = {**FACTS, "minutes": 10, "rounds": 3, "faults": {"killed": 2, "cut": 3}}
    assert "**0 differences**" in soak_text({**facts, "different": []})
    assert "**1 difference**" in soak_text({**facts, "different": [{}]})
    assert "5 faults" in soak_text({**facts, "different": []})


def test_nothing_measured_yet(tmp_path):
    assert read_facts(tmp_path / "none.json") is None
    for text in (faults_table(None), soak_text(None)):
        assert "benchmarks." in text


@pytest.mark.parametrize("content", ["", "[1]", '{"a"'])
def test_a_damaged_file_is_named(tmp_path, content):
    path = tmp_path / "soak.json"
    path.write_text(content)
    with pytest.raises(ThermoError, match=r"soak\.json"):
        read_facts(path)


def test_every_place_of_faults_exists():
    for places in SUBJECTS.values():
        for place in places:
            file, *names = place.split("::")
            with open(file, encoding="utf-8") as opened:
                text = opened.read()
            assert all(f"class {name}" in text or f"def {name}" in text for name in names), place


@pytest.mark.parametrize("how", ["cut", "emptied", "removed", "garbage"])
def test_damage_is_done(tmp_path, how):
    path = tmp_path / "file"
    path.write_bytes(bytes(100))
    damage(path, how, random.Random(1))
    assert not path.exists() or path.read_bytes() != bytes(100)


def test_differences_of_records(record):
    one = record()
    assert differences(one, one) == []
    assert differences(None, one) == ["there is no record"]
    result = json.loads(json.dumps(one.result))
    result["history"][0]["train_loss"] += 1e-9
    curves = one.curves.copy()
    curves.loc[0, "active"] += 1
    assert differences(Record(one.folder, result, curves), one) == ["history", "curves"]


def test_other_runs_say_what_differs(record):
    text = other_runs_table([record()])
    assert text.count("\n| ") == 2
    assert other_runs_table([]).startswith("There are none")
