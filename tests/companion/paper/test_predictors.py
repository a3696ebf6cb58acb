"""Predictors and the conclusion: closed forms, no look at the chapter judged, fair counting."""

from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion.pages.conclusion import HEADS, MIN_CHAPTERS, NAMES, RIVALS, conclusion, dots, verdict
from companion.paper.predictors import (
    BASELINES,
    PREDICTORS,
    THEORY,
    at_retained_sum,
    at_sparsity,
    compare,
    judge,
    knee,
    per_chapter,
    retained_sum,
    sparsity_at,
)
from companion.runs.records import Record
from thermo_utils import ThermoError, thermodynamic_curve

RATE, LAST, STEP = 0.7, 4.0, 0.1


@cache
def exponential(step=STEP / 10, last=LAST, rate=RATE):
    """Activations distributed exponentially: ``beta = 1 - exp(-rate tau)``."""
    tau = np.linspace(step, last, round(last / step))
    rho = np.exp(-rate * tau)
    return thermodynamic_curve(tau, rho, rho * (1 + rate * tau), 1.0, 1.0)


def record(drop_at, seed=0, full=1.0, fast=1.0, scale=1.0, accuracy=0.8):
    """A run whose accuracy falls by ten points beyond a threshold; F marks `full` and `fast`."""
    curves = []
    for method, step in (("full", STEP), ("renormalized", STEP / 10)):
        curve = exponential(scale * step, scale * LAST, RATE / scale)
        fallen = curve["tau"] > drop_at + 1e-9
        value = np.where(fallen, accuracy - 0.1, accuracy) if method == "full" else np.nan
        curves.append(curve.assign(method=method, accuracy=value))
    found = {"full": full, "renormalized": fast}
    result = {
        "seed": seed,
        "synthetic": False,
        "thresholds": {m: None if t is None else {"tau": t} for m, t in found.items()},
        "stages": {
            "full": {"attrs": {"baseline_accuracy": accuracy}},
            "renormalized": {"attrs": {}},
        },
    }
    return Record(Path(), result, pd.concat(curves, ignore_index=True))


def five(**first):
    """Five chapters with thresholds of the accuracy at 1.0, 1.2, 1.5, 2.0 and 2.5."""
    names = ("mlp-cifar10", "mlp-flowers102", "cnn-cifar10", "lstm-yelp", "gpt2-ag_news")
    chapters = {
        name: [record(at)] for name, at in zip(names, (1.0, 1.2, 1.5, 2.0, 2.5), strict=True)
    }
    return chapters | {"mlp-cifar10": [record(**{"drop_at": 1.0, **first})]}


def of(judged, predictor, chapter="mlp-cifar10"):
    return judged[(judged["predictor"] == predictor) & (judged["chapter"] == chapter)].iloc[0]


class TestClosedForms:
    @given(st.floats(0.01, 0.9))
    def test_quantile_of_the_exponential(self, quantile):
        assert at_sparsity(exponential(), quantile) == pytest.approx(
            -np.log(1 - quantile) / RATE, abs=1e-4
        )

    @given(st.floats(0.3, 0.99))
    def test_retained_sum_of_the_exponential(self, share):
        found = RATE * at_retained_sum(exponential(), share)
        assert (1 + found) * np.exp(-found) == pytest.approx(share, abs=1e-4)

    def test_knee_of_the_exponential_is_where_its_slope_is_that_of_the_chord(self):
        chord = (1 - np.exp(-RATE * LAST)) / LAST
        assert knee(exponential()) == pytest.approx(-np.log(chord / RATE) / RATE, abs=STEP / 10)

    def test_a_straight_or_hollow_curve_has_no_knee(self):
        tau = np.linspace(0.1, 1, 10)
        assert knee(pd.DataFrame({"tau": tau, "beta": tau / 2})) is None
        assert knee(pd.DataFrame({"tau": tau, "beta": tau**2})) is None

    @given(st.floats(0.1, 3.9))
    def test_reading_and_reaching_are_inverse(self, tau):
        curve = exponential()
        assert at_sparsity(curve, sparsity_at(curve, tau)) == pytest.approx(tau, abs=1e-9)
        assert at_retained_sum(curve, retained_sum(curve, tau)) == pytest.approx(tau, abs=1e-9)

    def test_beyond_the_grid_there_is_no_prediction(self):
        assert at_sparsity(exponential(), 0.99) is None
        assert at_retained_sum(exponential(), 0.01) is None

    def test_below_the_grid_the_unpruned_network_counts(self):
        assert sparsity_at(exponential(0.1), 0.0) == 0.0
        assert retained_sum(exponential(0.1), 0.0) == 1.0
        assert 0 < at_sparsity(exponential(0.1), 0.01) < 0.1

    @pytest.mark.parametrize("value", [0.0, 1.0, -0.1, np.nan])
    def test_shares_outside_of_zero_and_one(self, value):
        with pytest.raises(ThermoError, match="quantile must lie between 0 and 1, got"):
            at_sparsity(exponential(), value)
        with pytest.raises(ThermoError, match="share must lie between 0 and 1, got"):
            at_retained_sum(exponential(), value)


class TestJudge:
    def test_the_theory_is_taken_from_the_record(self):
        judged = judge(five(full=0.5, fast=2.0))
        assert of(judged, "FE")["tau"] == 0.5
        assert of(judged, "FE")[["steps", "octaves"]].tolist() == pytest.approx([-5, -1])
        assert of(judged, "RFE")[["steps", "octaves"]].tolist() == pytest.approx([10, 1])

    @pytest.mark.parametrize("rule", [*BASELINES])
    def test_a_chapter_has_no_say_in_its_own_prediction(self, rule):
        one, other = judge(five(drop_at=1.0)), judge(five(drop_at=3.0))
        assert of(one, rule)["tau"] == of(other, rule)["tau"]
        assert of(one, rule)["target"] != of(other, rule)["target"]

    @pytest.mark.parametrize("rule", ["quantile", "retained", "constant"])
    def test_but_it_has_in_those_of_others(self, rule):
        one, other = judge(five(drop_at=1.0)), judge(five(drop_at=3.0))
        changed = [
            of(one, rule, name)["tau"] != of(other, rule, name)["tau"]
            for name in ("cnn-cifar10", "lstm-yelp", "gpt2-ag_news")
        ]
        assert any(changed)

    def test_parameters_are_medians_of_the_others_and_careful_their_minimum(self):
        judged = judge(five())
        others = [sparsity_at(exponential(), tau) for tau in (1.2, 1.5, 2.0, 2.5)]
        assert of(judged, "quantile")["parameter"] == pytest.approx(np.median(others))
        assert of(judged, "careful")["parameter"] == pytest.approx(min(others))
        assert of(judged, "constant")["tau"] == pytest.approx(np.median([1.2, 1.5, 2.0, 2.5]))
        assert np.isnan(of(judged, "knee")["parameter"])

    def test_groups_are_left_out_together(self):
        judged = judge(five(), together=lambda name: name.split("-")[0])
        assert of(judged, "constant")["tau"] == pytest.approx(np.median([1.5, 2.0, 2.5]))

    def test_many_seeds_of_one_chapter_weigh_as_one(self):
        chapters = five() | {"cnn-cifar10": [record(1.5, seed) for seed in range(9)]}
        assert of(judge(chapters), "constant")["tau"] == of(judge(five()), "constant")["tau"]

    @pytest.mark.parametrize("rule", ["quantile", "careful", "retained", "knee"])
    def test_rules_on_activations_do_not_depend_on_their_units(self, rule):
        scaled = five() | {"mlp-cifar10": [record(8.0, scale=8.0)]}
        assert of(judge(scaled), rule)["octaves"] == pytest.approx(
            of(judge(five()), rule)["octaves"]
        )

    def test_one_threshold_for_all_does_depend_on_them(self):
        scaled = five() | {"mlp-cifar10": [record(8.0, scale=8.0)]}
        assert of(judge(scaled), "constant")["octaves"] == pytest.approx(
            of(judge(five()), "constant")["octaves"] - 3
        )

    def test_the_drop_is_what_pruning_there_costs(self):
        judged = judge(five(full=0.5, fast=2.0))
        assert of(judged, "FE")["drop"] == pytest.approx(0)
        assert of(judged, "RFE")["drop"] == pytest.approx(0.1)
        assert of(judge(five(full=1.05)), "FE")["drop"] == pytest.approx(0.05)

    def test_the_right_threshold_has_no_error(self):
        row = of(judge(five(full=1.0)), "FE")
        assert row[["steps", "octaves", "sparsity"]].tolist() == pytest.approx([0, 0, 0])

    def test_without_a_drop_there_is_nothing_to_judge(self):
        never, at_once = judge(five(drop_at=99.0)), judge(five(drop_at=0.0))
        assert "mlp-cifar10" not in set(never["chapter"]) | set(at_once["chapter"])

    def test_a_single_chapter_leaves_nothing_to_fit_to(self):
        judged = judge({"mlp-cifar10": [record(1.0)]})
        fitted = judged[judged["predictor"].isin(["quantile", "careful", "retained", "constant"])]
        assert fitted["tau"].isna().all()
        assert judged["tau"].notna().sum() == len(THEORY) + 1

    def test_nothing_in_nothing_out(self):
        assert per_chapter(judge({})).empty


class TestPerChapter:
    def test_seeds_are_averaged_without_cancelling(self):
        runs = [record(1.0, 0, full=0.5), record(1.0, 1, full=2.0)]
        row = of(per_chapter(judge(five() | {"mlp-cifar10": runs})), "FE")
        assert row["octaves"] == pytest.approx(1)
        assert row["signed"] == pytest.approx(0)
        assert row[["seeds", "early", "late", "misses"]].tolist() == [2, 1, 1, 0]
        assert row["worst"] == pytest.approx(0.1)
        assert row["drop"] == pytest.approx(0.05)

    def test_one_miss_is_worse_than_any_error(self):
        runs = [record(1.0, 0, full=0.9), record(1.0, 1, full=None)]
        errors = per_chapter(judge(five() | {"mlp-cifar10": runs}))
        row = of(errors, "FE")
        assert row["misses"] == 1
        assert np.isinf(row[["octaves", "steps", "sparsity"]].astype(float)).all()

    def test_within_a_grid_step_is_neither_early_nor_late(self):
        for full in (0.9, 1.0, 1.1):
            row = of(per_chapter(judge(five(full=full))), "FE")
            assert (row["early"], row["late"]) == (0, 0)
        assert of(per_chapter(judge(five(full=0.89))), "FE")["early"] == 1
        assert of(per_chapter(judge(five(full=1.11))), "FE")["late"] == 1


def table(**octaves):
    """Errors of predictors over as many chapters as there are values; others are one octave off."""
    size = len(next(iter(octaves.values())))
    names = list(five())
    rows = [
        {
            "chapter": f"{names[k % 5]}{k // 5 or ''}",
            "predictor": predictor,
            "octaves": octaves.get(predictor, [1.0] * size)[k],
        }
        for predictor in PREDICTORS
        for k in range(size)
    ]
    return pd.DataFrame(rows)


class TestCompare:
    def test_it_is_antisymmetric(self):
        errors = table(FE=[0.1, 0.2, 2.0, 1.0])
        one, other = compare(errors, "FE", "knee"), compare(errors, "knee", "FE")
        assert (one.wins, one.losses, one.ties) == (2, 1, 1)
        assert (other.wins, other.losses, other.ties, other.p) == (1, 2, 1, one.p)

    @pytest.mark.parametrize("n", [1, 5, 8])
    def test_sign_test_of_a_clean_sweep(self, n):
        assert compare(table(FE=[0.1] * n), "FE", "knee").p == pytest.approx(min(1, 2 * 0.5**n))

    def test_misses_lose_and_two_misses_tie(self):
        errors = table(FE=[np.inf, np.inf], knee=[np.inf, 3.0])
        assert compare(errors, "FE", "knee") == (0, 1, 1, 1.0)

    def test_no_difference_is_no_evidence(self):
        assert compare(table(FE=[1.0] * 8), "FE", "knee") == (0, 0, 8, 1.0)


class TestVerdict:
    def test_where_the_theory_loses_it_says_so(self):
        text = verdict(table(FE=[2.0] * 8), "FE")
        assert "loses" in text
        assert "wins" not in text
        assert all(NAMES[rule] in text for rule in RIVALS)
        assert "4 of 4 rules without any free energy are ahead" in text

    def test_where_it_wins_too(self):
        text = verdict(table(RFE=[0.1] * 8), "RFE")
        assert "wins" in text
        assert "loses" not in text
        assert "0 of 4 rules" in text

    def test_a_rule_made_to_be_safe_is_no_rival_in_nearness(self):
        assert NAMES["careful"] not in verdict(table(FE=[0.1] * 8), "FE")

    def test_few_chapters_establish_nothing(self):
        assert "no established advantage" in verdict(table(FE=[2.0] * 4), "FE")

    def test_both(self):
        text = verdict(table(FE=[1.0] * 8, knee=[0.1] * 8, retained=[3.0] * 8), "FE")
        assert "wins some and loses some" in text
        assert f"Nearer than it: {NAMES['knee']}" in text
        assert f"Farther off: {NAMES['retained']}" in text


class TestConclusion:
    @pytest.mark.parametrize("number", range(MIN_CHAPTERS))
    def test_too_few_chapters(self, number):
        text = conclusion(dict(list(five().items())[:number]))
        assert "Too little to conclude from" in text
        assert "|" not in text

    def test_chapters_without_a_drop_do_not_count_and_are_named(self):
        few = dict(list(five(drop_at=99.0).items())[:MIN_CHAPTERS])
        text = conclusion(few)
        assert "Too little" in text
        assert "Not judged" in text
        assert "MLP on CIFAR-10" in text

    def test_every_rule_and_every_chapter_is_shown(self):
        text = conclusion({**five(), "vit-cifar10": []})
        assert all(f"](chapters/{name})" in text for name in five())
        assert all(f"| {name} |" in text for name in NAMES.values())
        assert text.count("| " + " | ".join(HEADS[p] for p in PREDICTORS) + " |") == 2
        assert "ViT" not in text

    def test_a_perfect_theory_is_said_to_predict(self):
        chapters = {
            name: [record(at, full=at, fast=at)]
            for name, at in zip(five(), (1.0, 1.2, 1.5, 2.0, 2.5), strict=True)
        }
        text = conclusion(chapters)
        assert "the free energy predicts where accuracy gives way" in text
        assert "does not predict" not in text
        assert "in 5 of 5 chapters" in text

    def test_a_theory_that_is_always_early_is_said_to_fail_safely(self):
        chapters = {
            name: [record(at, full=at / 4, fast=at / 4)]
            for name, at in zip(five(), (1.0, 1.2, 1.5, 2.0, 2.5), strict=True)
        }
        text = conclusion(chapters)
        assert "does not predict where accuracy gives way" in text
        assert "mostly early" in text
        assert "in 0 of these chapters under full evaluation, in 0 renormalized" in text

    def test_misses_are_named(self):
        text = conclusion(five(full=None))
        assert "F has no feature on at least one seed of MLP on CIFAR-10" in text
        assert "| miss |" in text


@pytest.mark.parametrize("value", ["ratio", "drop"])
@pytest.mark.parametrize("chapters", [five(), five(full=None), {}], ids=["all", "miss", "none"])
def test_figures_draw_without_a_warning(value, chapters):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = dots(chapters, value)
        figure.canvas.draw()
    assert plt.get_fignums() == []
    assert len(figure.axes[0].get_yticklabels()) == len(chapters)


def test_figures_of_generated_data_say_so():
    chapters = five()
    chapters["mlp-cifar10"][0].result["synthetic"] = True
    assert "synthetic data" in dots(chapters, "ratio").get_suptitle()
    assert dots(five(), "ratio").get_suptitle() == ""
