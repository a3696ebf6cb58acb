"""Pages about targets and the frontier: cells, names, and figures of what the tables say."""

from __future__ import annotations

import warnings

import matplotlib.pyplot as plt
import numpy as np
import pytest

from companion.pages.frontier import frontier_figure, frontier_table, merit_words
from companion.pages.predictions import HEADS, MARKS, NAMES, factor
from companion.pages.targets import (
    accuracy_table,
    calibration_text,
    targets_figure,
    targets_table,
    unjudged,
)
from companion.paper.calibration import calibration
from companion.paper.predictors import PREDICTORS
from companion.paper.runs import runs
from companion.paper.targets import DEFAULT, REASONS, TARGETS, at_drop, read_targets
from companion.paper.verdict import OTHER_NETWORKS
from tests.companion.pages.test_conclusion import errors, front, numbers, of_five
from tests.companion.pages.test_predictions import rows
from tests.companion.paper.exponential_runs import five, record
from tests.companion.paper.test_targets import of_curve


class TestTargetsTable:
    def test_median_factor_and_chapters_near(self):
        table = errors(3, FE_octaves=[0.1, 1.0, 3.0], knee_octaves=[0.2, np.nan, 0.4])
        (row,) = rows(targets_table({"knee": table}))
        cells = dict(zip(PREDICTORS, row[2:], strict=True))
        assert row[:2] == ["knee", "3"]
        assert cells["FE"] == "2.0 (1)"
        assert cells["knee"] == f"{factor(0.3)} (2 of 2)"
        assert cells["RFE"] == "2.0 (0)"

    def test_a_rule_without_a_chapter_is_left_open(self):
        (row,) = rows(targets_table({"knee": errors(3, knee_octaves=[np.nan] * 3)}))
        assert row[2 + PREDICTORS.index("knee")] == ""

    def test_the_default_stands_out_and_every_target_has_a_row(self):
        found = rows(targets_table(of_five().by_target))
        assert [row[0].strip("*") for row in found][:-1] == list(TARGETS)
        assert [row[0] for row in found if row[0].startswith("**")] == [f"**{DEFAULT.name}**"]
        assert targets_table({}).splitlines()[0].count("|") == len(HEADS) + 3

    def test_other_networks_fit_differently(self):
        by = of_five().by_target
        same, other = (by[name] for name in (DEFAULT.name, OTHER_NETWORKS))
        first, last = rows(targets_table({"same": same, "other": other}))
        assert first[2:] != last[2:]


class TestUnjudged:
    def test_each_reason_names_its_chapters(self):
        chapters = {
            "mlp-cifar10": [of_curve(np.arange(1, 9.0), np.full(8, 0.8))],
            "cnn-cifar10": [of_curve(np.arange(1, 9.0), np.full(8, 0.5), most_frequent=0.79)],
            "lstm-yelp": [record(1.0)],
        }
        text = unjudged(read_targets(runs(chapters)))
        lift, grid = text.split("; ")
        assert lift == f"{REASONS['lift']}: CNN on CIFAR-10"
        assert grid == f"{REASONS['grid']}: MLP on CIFAR-10"

    def test_all_chapters_need_no_names(self):
        seen = runs(five())
        assert unjudged(read_targets(seen)) == ""
        told = read_targets(seen, TARGETS["two standard errors"])
        assert unjudged(told) == f"{REASONS['counts']}: all chapters"
        seen = runs({name: [record(9.0)] for name in five()})
        assert unjudged(read_targets(seen, at_drop(0.02))) == f"{REASONS['grid']}: all chapters"


class TestAccuracyTable:
    def test_thresholds_and_intervals_of_each_seed(self):
        tau, lost = np.array([1.0, 2.0, 3.0]), np.array([2, 12, 80])
        told = of_curve(tau, 0.8 - lost / 1000, lost=lost, gained=0 * lost)
        never = of_curve(tau, np.full(3, 0.8), most_frequent=0.2)
        seen = runs({"mlp-cifar10": [told, never], "cnn-cifar10": [record(1.0)]})
        first, second = rows(accuracy_table(seen, read_targets(seen)))
        assert first[1:] == [
            "1,000", "80.0 ± 0.0 % (2)", "65.0", "1, none", "1 to 2",
        ]  # fmt: skip
        assert second[4:] == ["1", "not known"]


class TestCalibrationText:
    def test_every_ratio_and_the_nearest_are_given(self):
        seen = runs({"mlp-cifar10": [record(0.3)], "lstm-ag_news": [record(0.6)]})
        text = calibration_text(seen)
        ratios = calibration(seen)["ratio"]
        assert all(f"{ratio:.2f} for" in text for ratio in ratios)
        assert DEFAULT.name in text
        assert "2 chapters" in text

    def test_the_smallest_test_set_is_named_where_sizes_are_known(self):
        tau, loss = np.array([1.0, 2.0]), np.array([0.0, 0.1])
        sizes = [of_curve(tau, 0.8 - loss, samples=n) for n in (600, 9000)]
        assert "3 of 600 examples" in calibration_text(runs({"mlp-cifar10": sizes}))
        assert "examples" not in calibration_text(runs({"mlp-cifar10": [record(0.3)]}))

    def test_without_networks_from_scratch_there_is_none(self):
        assert calibration_text(runs({"bert-yelp": [record(1.0)]})) == ""


class TestMeritWords:
    def test_more_less_and_alone(self):
        assert numbers(merit_words(front(), "RFE")) == [2.0, 9, 0.3, 1.5, 0.2]
        less = merit_words(front(quantile=(0.02, 0.01, 0.6)), "RFE")
        assert numbers(less) == [2.0, 9, 0.3, 0.6]
        assert NAMES["quantile"] in less
        assert "no simple rule" in merit_words(front(quantile=(0.5, 0.5, 0.6)), "RFE")

    def test_the_table_has_both_risks(self):
        found = rows(frontier_table(of_five().frontier))
        assert len(found) == 8
        assert found[1][0] == NAMES["RFE"]


class TestFigures:
    @pytest.mark.parametrize("synthetic", [True, False])
    def test_they_draw_without_a_warning_and_leave_nothing_open(self, synthetic):
        found = of_five()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for figure in (
                targets_figure(found.by_target, synthetic=synthetic),
                frontier_figure(found.frontier, synthetic=synthetic),
            ):
                figure.canvas.draw()
                assert ("synthetic" in figure.get_suptitle()) == synthetic
        assert plt.get_fignums() == []

    def test_medians_and_shares_are_drawn(self):
        by_target = {name: errors(3, FE_octaves=[0.1, k, 3.0]) for k, name in enumerate(TARGETS, 1)}
        above, below = targets_figure(by_target).axes
        label = NAMES["FE"]
        (marks,) = [line for line in above.get_lines() if line.get_label() == label]
        (shares,) = [line for line in below.get_lines() if line.get_label() == label]
        assert list(marks.get_ydata()) == [2.0**k for k in (1, 2, *[3] * (len(TARGETS) - 2))]
        assert np.allclose(shares.get_ydata(), 100 / 3)
        assert [t.get_text() for t in below.get_xticklabels()] == [f"{n} (3)" for n in TARGETS]

    def test_rules_are_curves_and_free_energies_points(self):
        table = of_five().frontier
        for axis, column in zip(frontier_figure(table).axes, ("worst", "high"), strict=True):
            drawn = {line.get_label(): line for line in axis.get_lines()}
            for rule in ("quantile", "constant"):
                own = table[table["rule"] == rule]
                assert list(drawn[NAMES[rule]].get_xdata()) == own["sparsity"].tolist()
                assert drawn[NAMES[rule]].get_color() == MARKS[rule][0]
            (point,) = table.loc[table["rule"] == "RFE", column]
            assert drawn[NAMES["RFE"]].get_ydata() == [max(100 * point, 0.05)]
