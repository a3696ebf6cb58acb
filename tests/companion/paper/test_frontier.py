"""The frontier: nothing beats measuring, losses and sparsities by hand, merit at equal risk."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from companion.paper.calibration import CALIBRATED, SCRATCH, calibration, published_losses
from companion.paper.frontier import (
    BOUND,
    RULES,
    advantages,
    frontier,
    merit,
    outcomes,
)
from companion.paper.published import lookup
from companion.paper.runs import THEORY, runs
from tests.companion.paper.exponential_runs import RATE, cut_short, five, record


def frontier_of(chapters, **options):
    return frontier(outcomes(runs(chapters)), **options)


def at(table, rule, value=None):
    own = table[table["rule"] == rule]
    return (own if value is None else own[np.isclose(own["value"], value)]).iloc[0]


class TestFrontier:
    def test_losses_and_sparsities_by_hand(self):
        # Accuracy falls by 0.1 at 1.0, 1.2, 1.5, 2.0 and 2.5; half of all is pruned at 0.99.
        table = frontier_of(five(full=1.3, fast=0.5))
        half = at(table, "quantile", 0.5)
        assert half["worst"] == pytest.approx(0.0)
        assert half["sparsity"] == pytest.approx(0.5, abs=1e-3)
        most = at(table, "quantile", 0.9)
        assert most["worst"] == most["high"] == pytest.approx(0.1)
        # One of five runs is pruned at 1.3, the others at 1.0.
        full = at(table, "FE")
        assert (full["runs"], full["pruned"]) == (5, 5)
        assert full["worst"] == pytest.approx(0.1)
        assert full["sparsity"] == pytest.approx(1 - np.exp(-RATE))

    def test_one_run_of_many_is_above_the_high_quantile(self):
        # 41 runs, two of which lose a tenth: 39 of 41 are 95.1 %.
        chapters = {"mlp-cifar10": [record(1.0, k, full=1.3 if k < 2 else 0.5) for k in range(41)]}
        row = at(frontier_of(chapters), "FE")
        assert row["worst"] == pytest.approx(0.1)
        assert row["high"] == pytest.approx(0.0)
        chapters["mlp-cifar10"] += [record(1.0, 41, full=1.3)]
        assert at(frontier_of(chapters), "FE")["high"] > 0.05

    def test_a_run_without_a_feature_is_not_pruned(self):
        with_, without = (at(frontier_of(five(full=tau)), "FE") for tau in (2.0, None))
        assert with_["worst"] == pytest.approx(0.1)
        assert without["worst"] == pytest.approx(0.0)
        assert (without["runs"], without["pruned"]) == (5, 4)

    def test_nothing_prunes_more_than_measuring_at_the_same_loss(self):
        table = frontier_of(five(full=2.4, fast=0.9))
        bound = table[table["rule"] == BOUND]
        for _, row in table[table["worst"] >= bound["worst"].min()].iterrows():
            allowed = bound[bound["worst"] <= row["worst"] + 1e-9]["sparsity"].max()
            assert row["sparsity"] <= allowed + 0.05  # a step of the grid

    def test_the_bound_keeps_to_the_loss_allowed(self):
        own = frontier_of(five())
        own = own[own["rule"] == BOUND]
        assert (own["worst"] <= own["value"] + 1e-9).all()

    def test_a_value_beyond_the_grid_of_one_run_is_left_out(self):
        short = five() | {"mlp-cifar10": [cut_short(record(0.5), 1.0)]}
        whole, cut = (frontier_of(chapters) for chapters in (five(), short))
        last = 1 - np.exp(-RATE * 1.0)
        values = [t.loc[t["rule"] == "quantile", "value"].max() for t in (whole, cut)]
        assert values[0] > 0.9
        assert values[1] == pytest.approx(last, abs=0.01)

    def test_no_runs_no_rows(self):
        assert frontier(outcomes([])).empty

    def test_every_rule_has_a_row(self):
        assert set(frontier_of(five())["rule"]) == set(RULES)


class TestMerit:
    def table(self, **rows):
        made = [
            {"rule": rule, "value": k, "runs": 4, "pruned": 4, "worst": w, "high": h, "sparsity": s}
            for rule, each in rows.items()
            for k, (w, h, s) in enumerate(each)
        ]
        return pd.DataFrame(made)

    def test_equal_risk_and_the_most_sparsity(self):
        table = self.table(
            RFE=[(0.02, 0.01, 0.3)],
            quantile=[(0.01, 0.01, 0.1), (0.02, 0.015, 0.2), (0.03, 0.02, 0.5)],
            constant=[(0.02, 0.005, 0.15)],
            measured=[(0.01, 0.01, 0.6), (0.02, 0.02, 0.7), (0.05, 0.05, 0.9)],
        )
        assert merit(table, "RFE") == (0.02, 0.3, "quantile", 0.2, 0.7)
        assert merit(table, "RFE", "high") == (0.01, 0.3, "constant", 0.15, 0.6)

    def test_no_rule_as_safe(self):
        table = self.table(RFE=[(0.0, 0.0, 0.3)], quantile=[(0.01, 0.01, 0.1)], measured=[])
        assert merit(table, "RFE") == (0.0, 0.3, "", 0.0, 0.0)


class TestAdvantages:
    def test_leaving_a_chapter_out_is_not_having_it(self):
        chapters = five(full=1.3, fast=0.5)
        rest = {name: each for name, each in chapters.items() if name != "cnn-cifar10"}
        left, never = frontier_of(chapters, without="cnn-cifar10"), frontier_of(rest)
        pd.testing.assert_frame_equal(left, never)

    def test_one_ratio_for_each_chapter(self):
        found = outcomes(runs(five(fast=0.95)))
        ratios = advantages(found, "RFE")
        assert list(ratios) == list(five())
        for name, ratio in ratios.items():
            m = merit(frontier(found, without=name), "RFE")
            assert ratio == pytest.approx(m.sparsity / m.rule_sparsity)


class TestCalibration:
    def published(self, name):
        rows = lookup(*name.split("-"), "tau_star", "accuracy")
        return float(((rows["low"] + rows["high"]) / 2).mean())

    def test_the_right_threshold_has_ratio_one(self):
        names = ["mlp-cifar10", "lstm-ag_news", "cnn-flowers102"]
        chapters = {name: [record(self.published(name), full=None)] for name in names}
        # The grid of 0.1 knows it to one step.
        table = calibration(runs(chapters))
        assert table["drop"].tolist() == list(CALIBRATED)
        assert (table["chapters"] == 3).all()
        expected = [np.floor(10 * self.published(n) + 1e-9) / 10 / self.published(n) for n in names]
        assert table["ratio"].to_numpy() == pytest.approx(np.median(expected))

    def test_seeds_weigh_as_one_by_their_geometric_mean(self):
        one = {"mlp-cifar10": [record(at, seed) for seed, at in enumerate((0.2, 0.8))]}
        ratio = calibration(runs(one))["ratio"].to_numpy()
        assert ratio == pytest.approx(np.sqrt(0.2 * 0.8) / self.published("mlp-cifar10"))

    def test_only_networks_from_scratch_count(self):
        assert "bert" not in SCRATCH
        table = calibration(runs({"bert-ag_news": [record(1.0)]}))
        assert (table["chapters"] == 0).all()
        assert table["ratio"].isna().all()
        assert published_losses(runs({"bert-ag_news": [record(1.0)]})) == {}

    def test_what_is_lost_at_the_published_threshold(self):
        early, late = record(0.0), record(3.0)
        losses = published_losses(runs({"mlp-cifar10": [early, late]}))
        assert losses == {"mlp-cifar10": pytest.approx(0.05)}


def test_the_theory_is_among_the_rules():
    assert set(THEORY) < set(RULES)
