"""Predictors: no look at the chapter that is predicted, errors by hand, fair averages."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from companion.paper.predictors import BASELINES, PREDICTORS, grid_ends, per_chapter
from companion.paper.readings import knee, sparsity_at
from companion.paper.runs import HIGHEST, THEORY, runs
from companion.paper.targets import at_drop
from tests.companion.paper.exponential_runs import (
    RATE,
    cut_short,
    exponential,
    five,
    of,
    predicted,
    record,
)


class TestPredictions:
    def test_the_theory_is_taken_from_the_record(self):
        table = predicted(five(full=0.5, fast=2.0))
        assert of(table, "FE")["tau"] == 0.5
        assert of(table, "FE")[["steps", "octaves"]].tolist() == pytest.approx([-5, -1])
        assert of(table, "RFE")[["steps", "octaves"]].tolist() == pytest.approx([10, 1])

    @pytest.mark.parametrize("rule", [*BASELINES])
    def test_a_chapter_has_no_say_in_its_own_prediction(self, rule):
        one, other = predicted(five(drop_at=1.0)), predicted(five(drop_at=3.0))
        assert of(one, rule)["tau"] == of(other, rule)["tau"]
        assert of(one, rule)["target"] != of(other, rule)["target"]

    @pytest.mark.parametrize("rule", ["quantile", "retained", "constant"])
    def test_but_it_has_in_those_of_others(self, rule):
        one, other = predicted(five(drop_at=1.0)), predicted(five(drop_at=3.0))
        changed = [
            of(one, rule, name)["tau"] != of(other, rule, name)["tau"]
            for name in ("cnn-cifar10", "lstm-yelp", "gpt2-ag_news")
        ]
        assert any(changed)

    def test_parameters_are_medians_of_the_others_and_careful_their_minimum(self):
        table = predicted(five())
        others = [sparsity_at(exponential(), tau) for tau in (1.2, 1.5, 2.0, 2.5)]
        assert of(table, "quantile")["parameter"] == pytest.approx(np.median(others))
        assert of(table, "careful")["parameter"] == pytest.approx(min(others))
        assert of(table, "constant")["tau"] == pytest.approx(np.median([1.2, 1.5, 2.0, 2.5]))
        assert np.isnan(of(table, "knee")["parameter"])

    def test_groups_are_left_out_together(self):
        table = predicted(five(), together=lambda name: name.split("-")[0])
        assert of(table, "constant")["tau"] == pytest.approx(np.median([1.5, 2.0, 2.5]))

    def test_many_seeds_of_one_chapter_weigh_as_one(self):
        chapters = five() | {"cnn-cifar10": [record(1.5, seed) for seed in range(9)]}
        assert (
            of(predicted(chapters), "constant")["tau"] == of(predicted(five()), "constant")["tau"]
        )

    @pytest.mark.parametrize("rule", ["quantile", "careful", "retained", "knee"])
    def test_rules_on_activations_do_not_depend_on_their_units(self, rule):
        scaled = five() | {"mlp-cifar10": [record(8.0, scale=8.0)]}
        assert of(predicted(scaled), rule)["octaves"] == pytest.approx(
            of(predicted(five()), rule)["octaves"]
        )

    def test_one_threshold_for_all_does_depend_on_them(self):
        scaled = five() | {"mlp-cifar10": [record(8.0, scale=8.0)]}
        assert of(predicted(scaled), "constant")["octaves"] == pytest.approx(
            of(predicted(five()), "constant")["octaves"] - 3
        )

    def test_the_drop_is_what_pruning_there_costs(self):
        table = predicted(five(full=0.5, fast=2.0))
        assert of(table, "FE")["drop"] == pytest.approx(0)
        assert of(table, "RFE")["drop"] == pytest.approx(0.1)
        assert of(predicted(five(full=1.05)), "FE")["drop"] == pytest.approx(0.05)

    def test_the_right_threshold_has_no_error(self):
        row = of(predicted(five(full=1.0)), "FE")
        assert row[["steps", "octaves", "sparsity"]].tolist() == pytest.approx([0, 0, 0])

    def test_without_a_drop_there_is_nothing_to_predict(self):
        never, at_once = predicted(five(drop_at=99.0)), predicted(five(drop_at=0.0))
        assert "mlp-cifar10" not in set(never["chapter"]) | set(at_once["chapter"])

    def test_a_single_chapter_leaves_nothing_to_fit_to(self):
        table = predicted({"mlp-cifar10": [record(1.0)]})
        fitted = table[table["predictor"].isin(["quantile", "careful", "retained", "constant"])]
        assert fitted["tau"].isna().all()
        assert table["tau"].notna().sum() == len(THEORY) + 1

    def test_nothing_in_nothing_out(self):
        nothing, something = predicted({}), predicted(five())
        assert nothing.empty
        assert list(nothing.columns) == list(something.columns)
        assert list(per_chapter(nothing).columns) == list(per_chapter(something).columns)

    def test_what_is_predicted_by_hand(self):
        # The others fall at 1.2, 1.5, 2.0 and 2.5.
        table = predicted(five())
        rho = np.exp(-RATE * np.array([1.2, 1.5, 2.0, 2.5]))
        sums = rho * (1 + RATE * np.array([1.2, 1.5, 2.0, 2.5]))
        quantile, careful = 1 - np.median(rho), 1 - rho.max()
        assert of(table, "quantile")["parameter"] == pytest.approx(quantile)
        assert of(table, "quantile")["tau"] == pytest.approx(-np.log(1 - quantile) / RATE, abs=1e-4)
        assert of(table, "careful")["parameter"] == pytest.approx(careful)
        assert of(table, "careful")["tau"] == pytest.approx(1.2, abs=1e-4)
        assert of(table, "retained")["parameter"] == pytest.approx(np.median(sums))
        kept = RATE * of(table, "retained")["tau"]
        assert (1 + kept) * np.exp(-kept) == pytest.approx(np.median(sums), abs=1e-4)
        assert of(table, "knee")["tau"] == knee(exponential())
        assert of(table, "constant")["parameter"] == of(table, "constant")["tau"] == 1.75

    def test_errors_of_a_prediction_by_hand(self):
        # Twice the threshold of the accuracy, ten steps of 0.1 beyond it.
        row = of(predicted(five(full=2.0)), "FE")
        assert row[["tau", "target"]].tolist() == pytest.approx([2.0, 1.0])
        assert row["steps"] == pytest.approx(10)
        assert row["octaves"] == pytest.approx(1)
        assert row["sparsity"] == pytest.approx(np.exp(-RATE) - np.exp(-2 * RATE))

    def test_a_row_for_each_run_and_predictor(self):
        chapters = five() | {"cnn-cifar10": [record(1.5, seed) for seed in (3, 7)]}
        table = predicted(chapters)
        assert len(table) == 6 * len(PREDICTORS)
        own = table[table["chapter"] == "cnn-cifar10"]
        assert own["seed"].tolist() == [3] * len(PREDICTORS) + [7] * len(PREDICTORS)
        assert own["predictor"].tolist() == [*PREDICTORS] * 2

    def test_without_a_feature_there_is_a_target_and_no_prediction(self):
        row = of(predicted(five(full=None)), "FE")
        assert row["target"] == pytest.approx(1.0)
        errors = ["tau", "steps", "octaves", "sparsity", "drop", "parameter"]
        assert row[errors].astype(float).isna().all()

    def test_the_drop_that_marks_the_target_can_be_chosen(self):
        # The accuracy falls by ten points.
        assert len(predicted(five(), at_drop(0.099))) == 5 * len(PREDICTORS)
        assert predicted(five(), at_drop(0.101)).empty

    def test_seeds_of_a_chapter_are_averaged_before_the_median(self):
        chapters = five() | {"cnn-cifar10": [record(1.3, 0), record(1.9, 1)]}
        others = [1.2, (1.3 + 1.9) / 2, 2.0, 2.5]
        assert of(predicted(chapters), "constant")["tau"] == pytest.approx(np.median(others))


class TestGridEnds:
    def early(self):
        """The others prune 0.57 or more where accuracy falls; this grid ends at 0.54."""
        return five() | {"mlp-cifar10": [cut_short(record(1.0), 1.1)]}

    @pytest.mark.parametrize("rule", ["quantile", "careful", "retained"])
    def test_a_grid_that_ends_before_a_prediction_is_no_miss(self, rule):
        row = of(predicted(self.early()), rule)
        assert row["ends"]
        assert np.isnan(row["tau"])
        summed = of(per_chapter(predicted(self.early())), rule)
        assert (summed["misses"], summed["ends"]) == (0, 1)
        assert summed[["octaves", "steps", "sparsity"]].astype(float).isna().all()

    def test_one_seed_whose_grid_ends_leaves_the_chapter_unjudged(self):
        runs_of = [cut_short(record(1.0), 1.1), record(1.0, 1)]
        row = of(per_chapter(predicted(five() | {"mlp-cifar10": runs_of})), "quantile")
        assert (row["seeds"], row["misses"], row["ends"]) == (2, 0, 1)
        assert row[["octaves", "steps", "sparsity"]].astype(float).isna().all()

    def test_the_same_run_on_a_longer_grid_is_judged(self):
        row = of(per_chapter(predicted(five())), "quantile")
        assert (row["misses"], row["ends"]) == (0, 0)
        assert np.isfinite(row["octaves"])

    def test_without_a_feature_it_is_a_miss_and_no_end(self):
        row = of(per_chapter(predicted(five(full=None))), "FE")
        assert (row["misses"], row["ends"]) == (1, 0)

    def test_how_late_it_would_be_at_least(self):
        seen = runs(self.early())
        table = grid_ends(predicted(self.early()), seen)
        assert set(table["chapter"]) == {"mlp-cifar10"}
        assert set(table["predictor"]) == {"quantile", "careful", "retained"}
        assert table["late"].to_numpy() == pytest.approx(np.log2(1.1))
        assert grid_ends(predicted(five()), runs(five())).empty

    def test_the_knee_does_not_see_beyond_the_full_evaluation(self):
        run = record(1.0)
        longer = exponential(last=40.0).assign(method="renormalized", accuracy=np.nan)
        full = run.curves[run.curves["method"] == "full"]
        extended = type(run)(run.folder, run.result, pd.concat([full, longer], ignore_index=True))
        knees = [
            of(predicted(five() | {"mlp-cifar10": [each]}), "knee")["tau"]
            for each in (run, extended)
        ]
        assert knees[0] == pytest.approx(knees[1])


class TestHighest:
    def test_the_highest_point_is_read_off_the_curve(self):
        run = record(1.0)
        curves = run.curves.assign(free_energy=-((run.curves["tau"] - 0.8) ** 2))
        table = predicted(five() | {"mlp-cifar10": [type(run)(run.folder, run.result, curves)]})
        assert [of(table, name)["tau"] for name in HIGHEST] == pytest.approx([0.8, 0.8])
        # What the record holds is what the detector found.
        assert of(table, "FE")["tau"] == 1.0


class TestPerChapter:
    def test_seeds_are_averaged_without_cancelling(self):
        runs = [record(1.0, 0, full=0.5), record(1.0, 1, full=2.0)]
        row = of(per_chapter(predicted(five() | {"mlp-cifar10": runs})), "FE")
        assert row["octaves"] == pytest.approx(1)
        assert row["signed"] == pytest.approx(0)
        assert row[["seeds", "early", "late", "misses"]].tolist() == [2, 1, 1, 0]
        assert row["worst"] == pytest.approx(0.1)
        assert row["drop"] == pytest.approx(0.05)

    def test_one_miss_is_worse_than_any_error(self):
        runs = [record(1.0, 0, full=0.9), record(1.0, 1, full=None)]
        errors = per_chapter(predicted(five() | {"mlp-cifar10": runs}))
        row = of(errors, "FE")
        assert row["misses"] == 1
        assert np.isinf(row[["octaves", "steps", "sparsity"]].astype(float)).all()

    def test_within_a_grid_step_is_neither_early_nor_late(self):
        for full in (0.9, 1.0, 1.1):
            row = of(per_chapter(predicted(five(full=full))), "FE")
            assert (row["early"], row["late"]) == (0, 0)
        assert of(per_chapter(predicted(five(full=0.89))), "FE")["early"] == 1
        assert of(per_chapter(predicted(five(full=1.11))), "FE")["late"] == 1

    def test_columns_are_summaries_of_the_seeds(self):
        # Fall at 1.0, steps of 0.1; FE at 0.8, 1.3 and 1.6.
        runs = [record(1.0, k, full=tau) for k, tau in enumerate((0.8, 1.3, 1.6))]
        table = predicted(five() | {"mlp-cifar10": runs})
        own = table[(table["predictor"] == "FE") & (table["chapter"] == "mlp-cifar10")]
        row = of(per_chapter(table), "FE")
        assert row["seeds"] == 3
        assert row["steps"] == pytest.approx((2 + 3 + 6) / 3)
        octaves = np.log2([0.8, 1.3, 1.6])
        assert row["octaves"] == pytest.approx(np.abs(octaves).mean())
        assert row["signed"] == pytest.approx(octaves.mean())
        assert row["sparsity"] == pytest.approx(own["sparsity"].abs().mean())
        assert row[["early", "late"]].tolist() == [1, 2]

    def test_a_row_for_each_chapter_and_predictor_in_their_order(self):
        errors = per_chapter(predicted(five()))
        assert list(zip(errors["chapter"], errors["predictor"], strict=True)) == [
            (name, predictor) for name in five() for predictor in PREDICTORS
        ]

    def test_what_exists_of_a_run_with_a_miss_still_counts(self):
        runs = [record(1.0, 0, full=2.0), record(1.0, 1, full=None)]
        row = of(per_chapter(predicted(five() | {"mlp-cifar10": runs})), "FE")
        assert row[["signed", "drop", "worst"]].tolist() == pytest.approx([1, 0.1, 0.1])
        assert row[["late", "early", "seeds"]].tolist() == [1, 0, 2]
