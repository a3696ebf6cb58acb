"""What sentences of the conclusion are about: claims that exist, and all of them."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from companion.paper import subjects
from companion.paper.claims import claims
from companion.paper.measures import MEASURES
from companion.paper.subjects import SUBJECTS, claims_about
from thermo_utils import ThermoError

FILE = Path(subjects.__file__).with_name("subjects.csv")
ROWS = list(csv.DictReader(FILE.open(encoding="utf-8")))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['subject']}: {row['value']}")
def test_every_row_names_a_claim_or_a_measure_that_some_claim_reads(row):
    named = [claim.id for claim in claims() if row["value"] in (claim.id, claim.measure)]
    assert named
    assert (row["value"] in MEASURES) == (row["by"] == "measure")
    assert set(named) <= set(claims_about(row["subject"]))


@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_subject_has_no_other_claims_and_none_twice(subject):
    found = claims_about(subject)
    values = {row["value"] for row in ROWS if row["subject"] == subject}
    assert list(found) == [c.id for c in claims() if {c.id, c.measure} & values]
    assert len(set(found)) == len(found) > 0


def test_no_row_stands_twice():
    assert len({tuple(row.values()) for row in ROWS}) == len(ROWS)


def test_what_there_is_not_is_refused(monkeypatch):
    with pytest.raises(ThermoError, match="safety"):
        claims_about("safty")
    more = subjects._ROWS.copy()
    more.loc[0, "value"] = "gaap"
    monkeypatch.setattr(subjects, "_ROWS", more)
    subjects._by_subject.cache_clear()
    try:
        with pytest.raises(ThermoError, match="gaap"):
            claims_about("safety")
    finally:
        subjects._by_subject.cache_clear()
