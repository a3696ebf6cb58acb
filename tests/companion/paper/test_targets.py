"""Targets: each finds what it says, on curves made for it, and says why where it cannot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kneed import KneeLocator

from companion.paper.readings import above_chord, highest
from companion.paper.runs import loss_at, runs
from companion.paper.targets import (
    DEFAULT,
    DROPS,
    LARGEST_SHARE,
    REASONS,
    SHARE,
    TARGETS,
    at_drop,
    changepoint,
    read_targets,
)
from companion.runs.chapters import CHAPTERS
from companion.runs.methods import CURVES
from companion.runs.records import Record, read_chapter
from tests.companion.paper.exponential_runs import five, record
from thermo_utils.accuracy import MAX_DROP
from thermo_utils.transitions import highest_point

RESULTS = Path(__file__).parents[3] / "results"


def curve_of(tau, accuracy, baseline=0.8, **columns):
    curve = pd.DataFrame({"tau": tau, "beta": tau / 10, "accuracy": accuracy, **columns})
    curve.attrs["baseline_accuracy"] = baseline
    return curve


def of_curve(tau, accuracy, baseline=0.8, most_frequent=0.1, samples=1000, **columns):
    """A record with this full evaluation."""
    made = record(1.0, accuracy=baseline)
    result = made.result | {
        "data": {"most_frequent": most_frequent},
        "stages": made.result["stages"]
        | {"full": {"attrs": {"baseline_accuracy": baseline, "samples": samples}}},
    }
    full = curve_of(tau, accuracy, **columns).assign(method="full", free_energy=np.nan)
    fast = made.curves[made.curves["method"] == "renormalized"]
    return Record(made.folder, result, pd.concat([full, fast], ignore_index=True))


def reading(run, target):
    return read_targets(runs({"mlp-cifar10": [run]}), target).iloc[0]


TAU = np.arange(1, 21) / 10
#: A plateau to 0.6, a straight fall to 1.6, a floor.
FALL = np.interp(TAU, [0.6, 1.6], [0.8, 0.3])


def test_the_default_is_the_librarys():
    assert TARGETS["1 point"] == DEFAULT
    assert DEFAULT.drop(0.5) == MAX_DROP
    assert {at_drop(drop).name for drop in DROPS} < set(TARGETS)
    assert len(TARGETS) == len(DROPS) + 4


@pytest.mark.parametrize("drop", [0.01, 0.02, 0.05, 0.1, 0.3])
def test_a_drop_is_where_the_accuracy_is_lower_by_it(drop):
    row = reading(of_curve(TAU, FALL), at_drop(drop))
    assert row["reason"] == ""
    # 0.05 in accuracy for every 0.1 in tau.
    assert row["tau"] == pytest.approx(0.6 + 0.1 * np.floor(drop / 0.05 + 1e-9))


def test_a_share_of_the_lift_is_a_drop_of_so_much():
    share = TARGETS["10 % of the lift"]
    for most_frequent in (0.1, 0.3):
        run = of_curve(TAU, FALL, most_frequent=most_frequent)
        by_hand = at_drop(SHARE * (0.8 - most_frequent))
        assert reading(run, share)["tau"] == reading(run, by_hand)["tau"]


class TestTold:
    target = TARGETS["two standard errors"]

    def test_it_needs_the_counts(self):
        assert reading(of_curve(TAU, FALL), self.target)["reason"] == "counts"

    def test_a_drop_beyond_two_errors(self):
        lost, gained = np.array([3, 40, 60]), np.array([3, 30, 20])
        accuracy = 0.8 + (gained - lost) / 1000
        run = of_curve(np.array([1.0, 2.0, 3.0]), accuracy, lost=lost, gained=gained)
        # Lost less gained: 0, 10 of 70 (error 8.3), 40 of 80 (error 8.8).
        assert reading(run, self.target)["tau"] == 2.0


class TestShapes:
    def test_three_lines_bend_where_the_plateau_ends(self):
        assert changepoint(curve_of(TAU, FALL)) == pytest.approx(0.6)

    def test_thresholds_between_the_steps_do_not_matter(self):
        more = np.sort(np.concatenate([TAU, [0.02, 0.04, 0.06, 0.08, 0.15, 0.25]]))
        finer = curve_of(more, np.interp(more, [0.6, 1.6], [0.8, 0.3]))
        assert changepoint(finer) == changepoint(curve_of(TAU, FALL))

    @pytest.mark.parametrize("points", range(9))
    def test_too_few_points_have_no_changepoint(self, points):
        """Three in each of three pieces, one of them at the threshold zero."""
        found = changepoint(curve_of(TAU[:points], FALL[:points])) if points > 1 else None
        assert (found is None) == (points < 8)

    @given(st.floats(0.5, 3.0), st.floats(1.5, 6.0))
    def test_the_knee_is_that_of_kneed_on_smooth_curves(self, scale, power):
        tau = np.arange(0, 41) / 20
        accuracy = 0.9 - 0.4 * (tau / tau[-1]) ** power * scale / 3
        theirs = KneeLocator(tau, accuracy, curve="concave", direction="decreasing", S=0)
        assert above_chord(tau, accuracy) == pytest.approx(theirs.knee, abs=0.051)

    @pytest.mark.parametrize("name", ["changepoint", "knee"])
    def test_a_curve_that_does_not_fall_has_neither(self, name):
        assert reading(of_curve(TAU, np.full(20, 0.795)), TARGETS[name])["reason"] == "grid"

    def test_the_knee_stands_highest_above_the_chord(self):
        row = reading(of_curve(TAU[:16], FALL[:16]), TARGETS["knee"])
        assert row["tau"] == pytest.approx(0.6)


class TestReasons:
    @pytest.mark.parametrize("drop", DROPS)
    def test_a_drop_of_half_the_lift_is_not_judged(self, drop):
        enough, too_little = (drop / LARGEST_SHARE + d for d in (1e-6, -1e-6))
        for over, judged in ((enough, True), (too_little, False)):
            run = of_curve(TAU, FALL, most_frequent=0.8 - over)
            reason = reading(run, at_drop(drop))["reason"]
            assert (reason != "lift") == judged

    def test_the_lift_is_the_mean_over_the_seeds(self):
        # Lifts of 0.015 and 0.035: the mean is more than twice a point, one of them less.
        both = [of_curve(TAU, FALL, most_frequent=0.8 - over) for over in (0.015, 0.035)]
        table = read_targets(runs({"mlp-cifar10": both}), at_drop(0.01))
        assert table["reason"].tolist() == ["", ""]
        assert read_targets(runs({"mlp-cifar10": both[:1]}))["reason"].tolist() == ["lift"]
        less = [of_curve(TAU, FALL, most_frequent=0.8 - over) for over in (0.015, 0.021)]
        assert read_targets(runs({"mlp-cifar10": less}))["reason"].tolist() == ["lift", "lift"]

    def test_the_grid_and_the_first_threshold(self):
        assert reading(of_curve(TAU, np.full(20, 0.8)), DEFAULT)["reason"] == "grid"
        assert reading(of_curve(TAU, np.full(20, 0.7)), DEFAULT)["reason"] == "at once"

    def test_a_reason_and_a_threshold_exclude_each_other(self):
        for target in TARGETS.values():
            table = read_targets(runs(five(drop_at=99.0)), target)
            assert (table["tau"].isna() == (table["reason"] != "")).all()
            assert set(table["reason"]) <= {"", *REASONS}


def test_the_interval_is_that_of_the_threshold():
    lost = np.array([2, 12, 80])
    run = of_curve(np.array([1.0, 2.0, 3.0]), 0.8 - lost / 1000, lost=lost, gained=0 * lost)
    row = reading(run, DEFAULT)
    assert (row["tau"], row["low"], row["high"]) == (1.0, 1.0, 2.0)
    assert np.isnan(reading(of_curve(TAU, FALL), DEFAULT)[["low", "high"]].astype(float)).all()


class TestRuns:
    def test_beyond_the_grid_the_loss_is_that_at_its_end(self):
        curve = curve_of(TAU, FALL)
        assert loss_at(curve, 0.0) == 0.0
        assert loss_at(curve, 1.1) == pytest.approx(0.25)
        assert loss_at(curve, 99.0) == pytest.approx(0.5)

    def test_runs_keep_the_order_of_the_records(self):
        chapters = five() | {"cnn-cifar10": [record(1.5, seed) for seed in (3, 7)]}
        seen = [(run.chapter, run.seed) for run in runs(chapters)]
        assert seen == [(n, r.result["seed"]) for n, each in chapters.items() for r in each]

    @pytest.mark.parametrize("free_energy", [-TAU, TAU, np.full(20, np.nan)])
    def test_an_end_is_no_highest_point(self, free_energy):
        curve = pd.DataFrame({"tau": TAU, "beta": TAU / 3, "free_energy": free_energy})
        assert highest(curve) is None

    def test_the_far_tail_is_not_searched(self):
        f = np.where(TAU == 0.5, 1.0, 0.0) + np.where(TAU == 1.8, 9.0, 0.0)
        curve = pd.DataFrame({"tau": TAU, "beta": np.where(TAU > 1.5, 0.99, 0.5), "free_energy": f})
        assert highest(curve) == 0.5

    def test_where_there_is_one_it_is_the_librarys(self):
        for chapter in CHAPTERS:
            for found in read_chapter(RESULTS, "small", chapter.name)[:1]:
                for method in CURVES:
                    curve = found.curve(method)
                    top = highest(curve)
                    assert top is None or top == highest_point(curve).tau
