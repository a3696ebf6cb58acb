"""A dozen passes over the curves of the records find what the whole grids do."""

from __future__ import annotations

import pandas as pd
import pytest

from companion.paper.dozen import agreement
from companion.runs.chapters import CHAPTERS
from companion.runs.committed import COMMITTED
from companion.runs.records import Record, read_chapter
from thermo_utils.guided import PASSES


@pytest.fixture(scope="module")
def records():
    return {c.name: read_chapter(COMMITTED, "small", c.name) for c in CHAPTERS}


@pytest.fixture(scope="module")
def found(records):
    return {name: list(map(agreement, of)) for name, of in records.items() if of}


def both(of):
    return all(each.tau_star and each.accuracy for each in of)


def test_of_the_chapters_nine_in_ten_agree_in_both_thresholds(found):
    assert len(found) == len(CHAPTERS)
    assert sum(map(both, found.values())) >= 19  # asked were 18
    runs = [each for of in found.values() for each in of]
    assert sum(not each.tau_star for each in runs) <= 1
    assert sum(not each.accuracy for each in runs) <= 1
    assert max(each.passes for each in runs) <= PASSES < min(each.thresholds for each in runs) / 2


def test_as_many_evenly_spaced_thresholds_do_worse(records, found):
    even = [agreement(record, even=True) for of in records.values() for record in of]
    guided = [each for of in found.values() for each in of]
    assert all(each.passes == PASSES for each in even)
    for kind in ("tau_star", "accuracy"):
        assert sum(getattr(each, kind) for each in even) < sum(
            getattr(each, kind) for each in guided
        )
    assert sum(both([each]) for each in even) < 0.7 * sum(both([each]) for each in guided)


def test_only_thresholds_that_were_chosen_are_looked_at(records, monkeypatch):
    """What the others hold can be anything: the chosen ones and the answer stay."""
    from thermo_utils import guided

    record = records["cnn-cifar10"][0]
    said = []
    account = guided.account

    def noted(*given):
        said.append(account(*given))
        return said[-1]

    monkeypatch.setattr("companion.paper.dozen.account", noted)
    agreement(record)
    curves = record.curves.copy()
    other = (curves["method"] == "full") & ~curves["tau"].isin(said[0]["measured"])
    assert other.sum() > 30
    curves.loc[other, ["accuracy", "active", "abs_sum"]] = 1
    agreement(Record(record.folder, record.result, curves))
    assert said[0] == said[1]


def test_a_renormalized_curve_without_the_thresholds_tells_nothing(records):
    record = records["mlp-cifar10"][0]
    full, fine = (record.curves[record.curves["method"] == m] for m in ("full", "renormalized"))
    curves = pd.concat([full, fine[fine["tau"] != full["tau"].iloc[3]]])
    assert agreement(Record(record.folder, record.result, curves)) is None
