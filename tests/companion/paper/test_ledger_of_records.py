"""The ledger of the committed records against the same numbers, read off the files another way."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from companion.paper.ledger import headline, ledger, of_chapter
from companion.paper.rules import Outcome
from companion.paper.setup import Setup
from companion.runs.chapters import CHAPTERS
from companion.runs.records import read_chapter

RESULTS = Path(__file__).parents[3] / "results"
NAMES = [chapter.name for chapter in CHAPTERS]


class Run:
    """The two files of a record, as they are."""

    def __init__(self, folder: Path) -> None:
        self.result = json.loads((folder / "result.json").read_text())
        curves = pd.read_csv(folder / "curves.csv")
        self.full = curves[curves["method"] == "full"].reset_index(drop=True)
        self.found = self.result["thresholds"]
        gaps = np.round(np.diff(self.full["tau"]), 9)
        values, number = np.unique(gaps, return_counts=True)
        self.step = values[number.argmax()]

    def late(self) -> bool | None:
        """Whether the feature comes more than a step after the accuracy gives way."""
        feature, drop = self.found["full"], self.found["accuracy"]
        if feature is None:
            return None
        end = self.full["tau"].iloc[-1] if drop is None else drop["tau"]
        return bool(feature["tau"] > end + self.step * (1 + 1e-6))

    def lost_after(self) -> float:
        """Accuracy lost from the feature to twice its threshold, as a share of the plateau."""
        tau = self.found["full"]["tau"]
        here = self.full.loc[(self.full["tau"] - tau).abs().idxmin(), "accuracy"]
        near = self.full[(self.full["tau"] > tau + 1e-9) & (self.full["tau"] <= 2 * tau + 1e-9)]
        return float(here - near["accuracy"].min()) / self.result["metrics"]["test_accuracy"]

    def match(self) -> bool:
        one, other = self.found["full"], self.found["renormalized"]
        return None not in (one, other) and abs(one["beta"] - other["beta"]) <= 0.05 + 1e-9


def runs(name: str) -> list[Run]:
    first, *others = read_chapter(RESULTS, "small", name)
    return [Run(record.folder) for record in (first, *others)]


@pytest.fixture(scope="module")
def table():
    records = {name: read_chapter(RESULTS, "small", name) for name in NAMES}
    return ledger(records, draws=2)


@pytest.fixture(scope="module")
def outcomes(table):
    return table.set_index("id")["outcome"]


@pytest.mark.parametrize("name", NAMES)
class TestChapter:
    def test_it_precedes_if_no_seed_is_late(self, outcomes, name):
        late = [run.late() for run in runs(name)]
        expected = 2 * late.count(None) < len(late) and True not in late
        found = outcomes[f"{name}-precedes".replace("_", "-")]
        assert (found == Outcome.HOLDS) == expected

    def test_a_drop_is_one_right_after(self, outcomes, name):
        lost = [run.lost_after() for run in runs(name) if run.found["full"] is not None]
        lost = [value for value in lost if value == value]  # nothing lies after the last point
        expected = 2 * len(lost) > len(runs(name)) and np.mean(lost) >= 0.3
        found = outcomes[f"{name}-drop-after".replace("_", "-")]
        assert (found == Outcome.HOLDS) == expected

    def test_a_match_is_one_of_more_than_half_of_the_seeds(self, outcomes, name):
        matches = [run.match() for run in runs(name)]
        assert matches == [run.result["match"] for run in runs(name)]
        expected = np.mean(matches) > 0.5
        found = outcomes[f"{name}-match".replace("_", "-")]
        assert (found == Outcome.HOLDS) == expected


def test_other_weights_are_another_set_up_for_all_but_times():
    for name in NAMES:
        found = of_chapter(name, read_chapter(RESULTS, "small", name), draws=1)
        words = " ".join(w for run in runs(name) for w in run.result["differs"])
        if "trained from scratch" in words or "instead of ImageNet" in words:
            assert Setup.SAME not in set(found.loc[found["kind"] != "speed", "setup"]), name


def test_the_headline_adds_up(table):
    found = headline(table)
    waiting = int((table["outcome"] == Outcome.NOT_RUN).sum())
    assert sum(part.holds + part.fails for part in found.values()) + waiting == len(table)
    for part in found.values():
        assert 0 <= part.empty <= part.holds


def test_no_claim_about_times_has_the_papers_set_up_on_a_processor(table):
    for name in NAMES:
        devices = {run.result["stages"]["full"]["device"] for run in runs(name)}
        if any(device.startswith("CPU") for device in devices):
            mine = table[(table["kind"] == "speed") & table["chapters"].map(lambda c: name in c)]  # noqa: B023
            assert set(mine["setup"]) <= {Setup.OTHER, ""}
