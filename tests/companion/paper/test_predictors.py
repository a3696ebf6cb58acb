"""Predictors: no look at the chapter that is predicted, errors by hand, fair averages."""

from __future__ import annotations

import numpy as np
import pytest

from companion.paper.predictors import (
    BASELINES,
    MAX_DROP,
    PREDICTORS,
    THEORY,
    per_chapter,
    predictions,
)
from companion.paper.readings import knee, sparsity_at
from tests.companion.paper.exponential_runs import RATE, exponential, five, of, record


class TestPredictions:
    def test_the_theory_is_taken_from_the_record(self):
        predicted = predictions(five(full=0.5, fast=2.0))
        assert of(predicted, "FE")["tau"] == 0.5
        assert of(predicted, "FE")[["steps", "octaves"]].tolist() == pytest.approx([-5, -1])
        assert of(predicted, "RFE")[["steps", "octaves"]].tolist() == pytest.approx([10, 1])

    @pytest.mark.parametrize("rule", [*BASELINES])
    def test_a_chapter_has_no_say_in_its_own_prediction(self, rule):
        one, other = predictions(five(drop_at=1.0)), predictions(five(drop_at=3.0))
        assert of(one, rule)["tau"] == of(other, rule)["tau"]
        assert of(one, rule)["target"] != of(other, rule)["target"]

    @pytest.mark.parametrize("rule", ["quantile", "retained", "constant"])
    def test_but_it_has_in_those_of_others(self, rule):
        one, other = predictions(five(drop_at=1.0)), predictions(five(drop_at=3.0))
        changed = [
            of(one, rule, name)["tau"] != of(other, rule, name)["tau"]
            for name in ("cnn-cifar10", "lstm-yelp", "gpt2-ag_news")
        ]
        assert any(changed)

    def test_parameters_are_medians_of_the_others_and_careful_their_minimum(self):
        predicted = predictions(five())
        others = [sparsity_at(exponential(), tau) for tau in (1.2, 1.5, 2.0, 2.5)]
        assert of(predicted, "quantile")["parameter"] == pytest.approx(np.median(others))
        assert of(predicted, "careful")["parameter"] == pytest.approx(min(others))
        assert of(predicted, "constant")["tau"] == pytest.approx(np.median([1.2, 1.5, 2.0, 2.5]))
        assert np.isnan(of(predicted, "knee")["parameter"])

    def test_groups_are_left_out_together(self):
        predicted = predictions(five(), together=lambda name: name.split("-")[0])
        assert of(predicted, "constant")["tau"] == pytest.approx(np.median([1.5, 2.0, 2.5]))

    def test_many_seeds_of_one_chapter_weigh_as_one(self):
        chapters = five() | {"cnn-cifar10": [record(1.5, seed) for seed in range(9)]}
        assert (
            of(predictions(chapters), "constant")["tau"]
            == of(predictions(five()), "constant")["tau"]
        )

    @pytest.mark.parametrize("rule", ["quantile", "careful", "retained", "knee"])
    def test_rules_on_activations_do_not_depend_on_their_units(self, rule):
        scaled = five() | {"mlp-cifar10": [record(8.0, scale=8.0)]}
        assert of(predictions(scaled), rule)["octaves"] == pytest.approx(
            of(predictions(five()), rule)["octaves"]
        )

    def test_one_threshold_for_all_does_depend_on_them(self):
        scaled = five() | {"mlp-cifar10": [record(8.0, scale=8.0)]}
        assert of(predictions(scaled), "constant")["octaves"] == pytest.approx(
            of(predictions(five()), "constant")["octaves"] - 3
        )

    def test_the_drop_is_what_pruning_there_costs(self):
        predicted = predictions(five(full=0.5, fast=2.0))
        assert of(predicted, "FE")["drop"] == pytest.approx(0)
        assert of(predicted, "RFE")["drop"] == pytest.approx(0.1)
        assert of(predictions(five(full=1.05)), "FE")["drop"] == pytest.approx(0.05)

    def test_the_right_threshold_has_no_error(self):
        row = of(predictions(five(full=1.0)), "FE")
        assert row[["steps", "octaves", "sparsity"]].tolist() == pytest.approx([0, 0, 0])

    def test_without_a_drop_there_is_nothing_to_predictions(self):
        never, at_once = predictions(five(drop_at=99.0)), predictions(five(drop_at=0.0))
        assert "mlp-cifar10" not in set(never["chapter"]) | set(at_once["chapter"])

    def test_a_single_chapter_leaves_nothing_to_fit_to(self):
        predicted = predictions({"mlp-cifar10": [record(1.0)]})
        fitted = predicted[
            predicted["predictor"].isin(["quantile", "careful", "retained", "constant"])
        ]
        assert fitted["tau"].isna().all()
        assert predicted["tau"].notna().sum() == len(THEORY) + 1

    def test_nothing_in_nothing_out(self):
        nothing, something = predictions({}), predictions(five())
        assert nothing.empty
        assert list(nothing.columns) == list(something.columns)
        assert list(per_chapter(nothing).columns) == list(per_chapter(something).columns)

    def test_what_is_predicted_by_hand(self):
        # The others fall at 1.2, 1.5, 2.0 and 2.5.
        predicted = predictions(five())
        rho = np.exp(-RATE * np.array([1.2, 1.5, 2.0, 2.5]))
        sums = rho * (1 + RATE * np.array([1.2, 1.5, 2.0, 2.5]))
        quantile, careful = 1 - np.median(rho), 1 - rho.max()
        assert of(predicted, "quantile")["parameter"] == pytest.approx(quantile)
        assert of(predicted, "quantile")["tau"] == pytest.approx(
            -np.log(1 - quantile) / RATE, abs=1e-4
        )
        assert of(predicted, "careful")["parameter"] == pytest.approx(careful)
        assert of(predicted, "careful")["tau"] == pytest.approx(1.2, abs=1e-4)
        assert of(predicted, "retained")["parameter"] == pytest.approx(np.median(sums))
        kept = RATE * of(predicted, "retained")["tau"]
        assert (1 + kept) * np.exp(-kept) == pytest.approx(np.median(sums), abs=1e-4)
        assert of(predicted, "knee")["tau"] == knee(exponential())
        assert of(predicted, "constant")["parameter"] == of(predicted, "constant")["tau"] == 1.75

    def test_errors_of_a_prediction_by_hand(self):
        # Twice the threshold of the accuracy, ten steps of 0.1 beyond it.
        row = of(predictions(five(full=2.0)), "FE")
        assert row[["tau", "target"]].tolist() == pytest.approx([2.0, 1.0])
        assert row["steps"] == pytest.approx(10)
        assert row["octaves"] == pytest.approx(1)
        assert row["sparsity"] == pytest.approx(np.exp(-RATE) - np.exp(-2 * RATE))

    def test_a_row_for_each_run_and_predictor(self):
        chapters = five() | {"cnn-cifar10": [record(1.5, seed) for seed in (3, 7)]}
        predicted = predictions(chapters)
        assert len(predicted) == 6 * len(PREDICTORS)
        own = predicted[predicted["chapter"] == "cnn-cifar10"]
        assert own["seed"].tolist() == [3] * len(PREDICTORS) + [7] * len(PREDICTORS)
        assert own["predictor"].tolist() == [*PREDICTORS] * 2

    def test_without_a_feature_there_is_a_target_and_no_prediction(self):
        row = of(predictions(five(full=None)), "FE")
        assert row["target"] == pytest.approx(1.0)
        errors = ["tau", "steps", "octaves", "sparsity", "drop", "parameter"]
        assert row[errors].astype(float).isna().all()

    def test_the_drop_that_marks_the_target_can_be_chosen(self):
        # The accuracy falls by ten points.
        assert len(predictions(five(), max_drop=0.099)) == 5 * len(PREDICTORS)
        assert predictions(five(), max_drop=0.101).empty
        assert MAX_DROP == 0.05

    def test_seeds_of_a_chapter_are_averaged_before_the_median(self):
        chapters = five() | {"cnn-cifar10": [record(1.3, 0), record(1.9, 1)]}
        others = [1.2, (1.3 + 1.9) / 2, 2.0, 2.5]
        assert of(predictions(chapters), "constant")["tau"] == pytest.approx(np.median(others))


class TestPerChapter:
    def test_seeds_are_averaged_without_cancelling(self):
        runs = [record(1.0, 0, full=0.5), record(1.0, 1, full=2.0)]
        row = of(per_chapter(predictions(five() | {"mlp-cifar10": runs})), "FE")
        assert row["octaves"] == pytest.approx(1)
        assert row["signed"] == pytest.approx(0)
        assert row[["seeds", "early", "late", "misses"]].tolist() == [2, 1, 1, 0]
        assert row["worst"] == pytest.approx(0.1)
        assert row["drop"] == pytest.approx(0.05)

    def test_one_miss_is_worse_than_any_error(self):
        runs = [record(1.0, 0, full=0.9), record(1.0, 1, full=None)]
        errors = per_chapter(predictions(five() | {"mlp-cifar10": runs}))
        row = of(errors, "FE")
        assert row["misses"] == 1
        assert np.isinf(row[["octaves", "steps", "sparsity"]].astype(float)).all()

    def test_within_a_grid_step_is_neither_early_nor_late(self):
        for full in (0.9, 1.0, 1.1):
            row = of(per_chapter(predictions(five(full=full))), "FE")
            assert (row["early"], row["late"]) == (0, 0)
        assert of(per_chapter(predictions(five(full=0.89))), "FE")["early"] == 1
        assert of(per_chapter(predictions(five(full=1.11))), "FE")["late"] == 1

    def test_columns_are_summaries_of_the_seeds(self):
        # Fall at 1.0, steps of 0.1; FE at 0.8, 1.3 and 1.6.
        runs = [record(1.0, k, full=tau) for k, tau in enumerate((0.8, 1.3, 1.6))]
        predicted = predictions(five() | {"mlp-cifar10": runs})
        own = predicted[(predicted["predictor"] == "FE") & (predicted["chapter"] == "mlp-cifar10")]
        row = of(per_chapter(predicted), "FE")
        assert row["seeds"] == 3
        assert row["steps"] == pytest.approx((2 + 3 + 6) / 3)
        octaves = np.log2([0.8, 1.3, 1.6])
        assert row["octaves"] == pytest.approx(np.abs(octaves).mean())
        assert row["signed"] == pytest.approx(octaves.mean())
        assert row["sparsity"] == pytest.approx(own["sparsity"].abs().mean())
        assert row[["early", "late"]].tolist() == [1, 2]

    def test_a_row_for_each_chapter_and_predictor_in_their_order(self):
        errors = per_chapter(predictions(five()))
        assert list(zip(errors["chapter"], errors["predictor"], strict=True)) == [
            (name, predictor) for name in five() for predictor in PREDICTORS
        ]

    def test_what_exists_of_a_run_with_a_miss_still_counts(self):
        runs = [record(1.0, 0, full=2.0), record(1.0, 1, full=None)]
        row = of(per_chapter(predictions(five() | {"mlp-cifar10": runs})), "FE")
        assert row[["signed", "drop", "worst"]].tolist() == pytest.approx([1, 0.1, 0.1])
        assert row[["late", "early", "seeds"]].tolist() == [1, 0, 2]
