"""The page of a chapter: what the record says, for any network, and nothing computed again."""

from __future__ import annotations

import dataclasses
import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba

from companion.pages.chapter import Page, settings_table
from companion.pages.shown import NOTHING
from companion.pages.tables import NONE_FOUND, NOT_STATED
from companion.paper.claims import claims
from companion.paper.published import lookup
from companion.runs.methods import METHODS
from companion.runs.records import read_record
from companion.runs.settings import settings
from thermo_utils.errors import ThermoError
from thermo_utils.figures import ACCURACY, FULL, RENORMALIZED

COLORS = {"accuracy": ACCURACY, "full": FULL, "renormalized": RENORMALIZED}


@pytest.fixture
def page(record):
    return Page(record(), siblings=[])


class TestFeatures:
    def test_are_those_of_the_record(self, page, record):
        table = page.features()
        assert table.index.tolist() == ["FE", "FE", "RFE"]
        assert table["kind"].tolist() == ["peak", "valley", "bend"]
        assert table["τ"].tolist() == ["0.12", "0.9", "0.31"]
        assert table["β"].tolist() == ["0.13", "0.60", "0.27"]
        assert table["prominence"].tolist() == ["0.007", "0.2", NOTHING]
        assert set(table["not told apart by noise"]) == {NOTHING}  # which this record does not say
        peak = {**page.record.result["features"][0], "low": 0.08, "high": 0.2}
        told = Page(record(features=[peak]), siblings=[]).features()
        assert told["not told apart by noise"].tolist() == ["0.08 to 0.2"]

    def test_a_flat_one_says_so(self, page, record):
        first, *others = page.record.result["features"]
        flat = [{**first, "flat": True}, *({**other, "flat": False} for other in others)]
        told = Page(record(features=flat), siblings=[]).features()
        assert told["kind"].tolist() == ["flat peak", "valley", "bend"]

    def test_none(self, record, page):
        table = Page(record(features=[]), siblings=[]).features()
        assert list(table) == list(page.features())
        assert table["kind"].tolist() == [NONE_FOUND]


class TestThresholds:
    def test_ours_beside_the_papers(self, page):
        table = page.thresholds()
        assert table.index.tolist() == [method.title for method in METHODS.values()]
        assert table["found"].tolist() == ["accuracy gives way", "peak", "bend"]
        assert table["τ*"].tolist() == ["0.8", "0.12", "0.31"]
        assert table["β*"].tolist() == ["0.55", "0.13", "0.27"]
        for name, quantity in (("paper τ*", "tau_star"), ("paper β*", "beta_star")):
            for method, printed in METHODS.items():
                cell = table.loc[printed.title, name]
                rows = lookup("mlp", "cifar10", quantity, method)
                assert (cell == NOT_STATED) == rows.empty
                for row in rows.to_dict("records"):
                    assert f"{row['low']:g}" in cell

    def test_versions_of_the_paper_stand_with_their_places(self, record):
        table = Page(record("resnet18", "cifar10"), []).thresholds()
        cell = table.loc["full evaluation", "paper β*"]
        assert cell == "≈ 0.50–0.55 (Section 5.1) or 0.05–0.10 (Table 1)"

    def test_over_seeds_those_of_a_kind_together(self, record):
        marks = record().result["thresholds"]
        other = {**marks["full"], "kind": "valley"}
        runs = [
            record(seed=seed, thresholds=marks | {"full": full})
            for seed, full in enumerate(
                [{**marks["full"], "tau": 0.1}, None, {**marks["full"], "tau": 0.2}, other]
            )
        ]
        row = Page(runs[0], runs[1:]).thresholds().loc["full evaluation"]
        assert row["found"] == "peak (seeds 0 and 2); valley (seed 3); none found (seed 1)"
        assert row["τ*"] == "0.15 ± 0.07 (2); 0.12"
        assert row["β*"] == "0.13 ± 0.00 (2); 0.13"

    def test_none_found(self, record):
        missing = Page(record(thresholds=dict.fromkeys(METHODS)), siblings=[])
        table = missing.thresholds()
        assert set(table["found"]) == {NONE_FOUND}
        assert set(table[["τ*", "β*"]].stack()) == {NOTHING}


class TestSixPanels:
    def test_both_curves_of_the_record(self, record):
        run = record()
        axes = Page(run, siblings=[]).six_panels().axes
        drawn = {
            to_rgba(line.get_color()): line for line in axes[1].lines if len(line.get_xdata()) > 9
        }
        for method, color in (("full", FULL), ("renormalized", RENORMALIZED)):
            curve = run.curve(method)
            np.testing.assert_array_equal(drawn[to_rgba(color)].get_xdata(), curve["tau"])
            np.testing.assert_array_equal(drawn[to_rgba(color)].get_ydata(), curve["free_energy"])

    def test_marks_are_the_thresholds_of_the_record(self, page):
        expected = page.record.result["thresholds"]
        for number, axis in enumerate(page.six_panels().axes):
            marks = {
                to_rgba(line.get_color()): line.get_xdata()[0]
                for line in axis.lines
                if line.get_label() == "_threshold"
            }
            x = "tau" if number < 3 else "beta"
            assert marks == {to_rgba(COLORS[m]): found[x] for m, found in expected.items()}

    def test_a_threshold_without_a_sparsity_is_marked_where_it_can_be(self, record):
        peak = record().result["thresholds"]["full"] | {"beta": None}
        axes = (
            Page(record(thresholds=dict.fromkeys(METHODS) | {"full": peak}), []).six_panels().axes
        )
        marks = [sum(line.get_label() == "_threshold" for line in axis.lines) for axis in axes]
        assert marks == [1, 1, 1, 0, 0, 0]

    def test_the_band_spans_all_seeds(self, record):
        runs = [record(seed=seed, accuracy=0.5 + 0.1 * seed) for seed in (0, 1, 2)]
        figure = Page(runs[1], siblings=[runs[0], runs[2]]).six_panels()
        (band,) = figure.axes[0].collections
        outline = band.get_paths()[0].vertices
        at = outline[np.isclose(outline[:, 0], 1.0, atol=0.005)][:, 1]
        assert (at.min(), at.max()) == pytest.approx((0.4, 0.6), abs=0.001)

    def test_one_seed_has_no_band(self, page):
        assert all(len(axis.collections) == 0 for axis in page.six_panels().axes)

    @pytest.mark.parametrize("synthetic", [False, True])
    def test_synthetic_data_are_told(self, record, synthetic):
        page = Page(record(synthetic=synthetic), siblings=[])
        for figure in (page.six_panels(), page.training()):
            assert figure.get_suptitle().startswith(page.title)
            assert ("synthetic" in figure.get_suptitle()) == synthetic
        assert plt.get_fignums() == []


def test_training_shows_the_history(page):
    axes = page.training().axes
    assert axes[1].lines[0].get_ydata().tolist() == [0.2, 0.4]
    assert axes[1].lines[1].get_xdata().tolist() == [2]


class TestSeeds:
    def test_by_seed_with_mean_and_deviation(self, record):
        runs = {seed: record(seed=seed, accuracy=0.5 + 0.01 * seed) for seed in (2, 0, 7)}
        table = Page(runs[2], siblings=[runs[7], runs[0]]).seeds()
        assert table.index.tolist() == ["0", "2", "7", "mean ± sd of 3"]
        shares = [50, 52, 57]
        assert table["accuracy"].tolist()[:3] == [f"{share:.1f} %" for share in shares]
        mean, deviation = np.mean(shares), np.std(shares, ddof=1)
        assert table["accuracy"].iloc[-1] == f"{mean:.1f} ± {deviation:.1f} %"
        for method, printed in METHODS.items():
            tau, beta = (runs[0].result["thresholds"][method][name] for name in ("tau", "beta"))
            column = table[f"τ* (β*), {printed.short}"].tolist()
            assert column == [*[f"{tau:g} ({beta:g})"] * 3, f"{tau:.2f} ± 0.00 ({beta:g} ± 0.00)"]

    def test_deviations_of_thresholds(self, record):
        marks = record().result["thresholds"]
        taus, betas = (0.1, 0.15, 0.23), (0.3, 0.34, 0.5)
        runs = [
            record(seed=k, thresholds=marks | {"full": marks["full"] | {"tau": t, "beta": b}})
            for k, (t, b) in enumerate(zip(taus, betas, strict=True))
        ]
        cell = Page(runs[0], runs[1:]).seeds()["τ* (β*), FE"].iloc[-1]
        numbers = [
            f(v, **o) for v in (taus, betas) for f, o in ((np.mean, {}), (np.std, {"ddof": 1}))
        ]
        assert cell == "{:.2f} ± {:.2f} ({:.2f} ± {:.2f})".format(*numbers)

    def test_one_has_no_mean(self, page):
        assert page.seeds().index.tolist() == ["0"]

    def test_a_seed_without_a_threshold_is_left_out_of_the_mean(self, record):
        missing = record(seed=1, thresholds=dict.fromkeys(METHODS))
        table = Page(record(), siblings=[missing, record(seed=2)]).seeds()
        assert table.loc["1", "τ* (β*), FE"] == NONE_FOUND
        assert table["τ* (β*), FE"].iloc[-1] == "0.12 ± 0.00 (0.13 ± 0.00), 2 seeds"
        table = Page(record(), siblings=[missing]).seeds()
        assert table["τ* (β*), FE"].iloc[-1] == "0.12 (0.13), 1 seed"  # which has no deviation
        table = Page(missing, siblings=[record(seed=2, thresholds=dict.fromkeys(METHODS))]).seeds()
        assert table["τ* (β*), FE"].iloc[-1] == NOTHING

    def test_unlike_features_have_no_mean(self, record):
        marks = record().result["thresholds"]
        valley = marks | {"full": marks["full"] | {"kind": "valley"}}
        last = Page(record(), [record(seed=1, thresholds=valley)]).seeds().iloc[-1]
        assert last["τ* (β*), FE"] == "several kinds"
        assert last["τ* (β*), RFE"] == "0.31 ± 0.00 (0.27 ± 0.00)"


class TestSiblings:
    def test_lie_beside_the_record(self, tmp_path, written):
        chapter = tmp_path / "small" / "mlp-cifar10"
        written(chapter)
        for seed in (1, 5):
            written(chapter / f"seed-{seed}", seed=seed)
        written(chapter / "seed-2", seed=2, settings={"epochs": 9})
        for folder, others in ((chapter, [1, 5]), (chapter / "seed-5", [0, 1])):
            page = Page(read_record(folder))
            assert [run.result["seed"] for run in page.siblings] == others
            assert page.seeds().index.tolist() == ["0", "1", "5", "mean ± sd of 3"]
        assert Page(read_record(chapter / "seed-2")).siblings == []

    def test_of_a_network_of_your_own(self, tmp_path, written):
        chapter = tmp_path / "tried" / "perceptron-digits"
        mine = written(chapter / "seed-3", "perceptron", "digits", 3, profile="tried")
        written(chapter / "seed-4", "perceptron", "digits", 4, profile="tried")
        assert [run.result["seed"] for run in Page(read_record(mine)).siblings] == [4]

    def test_a_damaged_one_is_named(self, tmp_path, written):
        chapter = written(tmp_path / "small" / "mlp-cifar10")
        (written(chapter / "seed-1", seed=1) / "result.json").write_text("{")
        with pytest.raises(ThermoError, match="seed-1"):
            Page(read_record(chapter))


def test_times_stand_beside_the_papers(page):
    table = page.timings()
    assert table["ours"].tolist() == ["414 s", "80.0 s", "4.00 s", "20.0"]
    assert [row.split(",")[0] for row in table.index] == [
        "training", "full evaluation", "renormalized", "FE / RFE",
    ]  # fmt: skip
    assert ["20 " in table.index[1], "200 " in table.index[2]] == [True, True]  # thresholds
    paper = [f"{n:.2f}" for n in (113.24, 1.22, 92.81)]
    assert table["paper"].tolist() == [NOT_STATED, f"{paper[0]} s", f"{paper[1]} s", paper[2]]


def test_times_of_several_seeds_and_words_of_the_paper(record):
    runs = [
        record("bert", "yelp", seed, timings={**record().result["timings"], "full": full})
        for seed, full in enumerate((80.0, 90.0))
    ]
    table = Page(runs[0], runs[1:]).timings()
    assert table["ours"].iloc[1] == "85.0 ± 7.1 s (2)"
    assert table["paper"].iloc[-1].startswith("slower (")


def test_provenance_is_that_of_the_record(page):
    value = page.provenance()["value"]
    assert value["device"] == "an abacus"
    assert value["commit"] == "abcdef1234567890"
    assert value["data fingerprint"] == "0123456789abcdef"
    assert value["accuracy of always naming the most frequent class"] == "12.5 %"
    assert value["data"] == "a drawer"
    assert value["parameters of the network"] == "1,234,567"
    assert value["differs from the paper"] == "half of the images"
    assert [n for n in ("4,500", "500", "1,000") if n not in value["examples"]] == []
    assert [n for n in ("50,000", "10,000") if n not in value["official sizes"]] == []
    assert value["torch"] == "2.14.1"
    assert "numba" not in value  # not installed there


def test_what_is_not_known_of_the_commit_is_said(record):
    made = record().result["provenance"] | {"git_commit": None}
    assert Page(record(provenance=made), []).provenance()["value"]["commit"] == "not a checkout"


class TestClaims:
    def test_are_those_about_the_chapter(self, page):
        expected = [c.id for c in claims() if c.chapters == ("mlp-cifar10",)]
        assert page.claims().index.tolist() == expected

    def test_rest_on_all_seeds(self, record):
        others = [record(seed=seed, accuracy=0.9) for seed in (1, 2)]
        alone, together = Page(record(), []).claims(), Page(record(), others).claims()
        assert not alone["ours"].equals(together["ours"])

    def test_synthetic_data_confirm_nothing(self, record):
        assert set(Page(record(synthetic=True), []).claims()["outcome"]) == {"not run"}


class TestForeign:
    """A record of a network and data that the paper does not have."""

    @pytest.fixture(params=[("perceptron", "digits"), ("perceptron", "cifar10"), ("mlp", "yelp")])
    def foreign(self, request, record):
        return Page(record(*request.param), siblings=[record(*request.param, seed=1)])

    def test_is_shown_under_its_own_name(self, record):
        assert Page(record("perceptron", "digits"), []).title == "perceptron on digits"
        assert Page(record("perceptron", "cifar10"), []).title == "perceptron on CIFAR-10"
        assert Page(record(), []).title == "MLP on CIFAR-10"

    def test_the_paper_states_nothing(self, foreign):
        columns = [
            foreign.thresholds()[["paper τ*", "paper β*"]].stack(),
            foreign.timings()["paper"],
        ]
        assert {cell for column in columns for cell in column} == {NOT_STATED}

    def test_has_no_claims(self, foreign):
        table = foreign.claims()
        assert len(table) == 0
        assert "outcome" in table

    def test_everything_else_is_the_same(self, foreign, page):
        pd.testing.assert_frame_equal(foreign.features(), page.features())
        assert foreign.seeds().index.tolist() == ["0", "1", "mean ± sd of 2"]
        assert foreign.provenance()["value"]["device"] == "an abacus"
        for figure in (foreign.training(), foreign.six_panels()):
            assert figure.get_suptitle() == foreign.title

    def test_official_sizes_only_of_known_data(self, record):
        for dataset, known in (("digits", False), ("cifar10", True)):
            table = Page(record("perceptron", dataset), []).provenance()
            assert ("official sizes" in table.index) == known


class TestShown:
    """Every table of the story says what its columns are, and no cell is a number of NumPy's."""

    NAMES = ("features", "thresholds", "seeds", "timings", "firmness", "provenance", "history")

    @pytest.mark.parametrize("name", NAMES)
    def test_heads_and_cells(self, record, name):
        nothing = record(thresholds=dict.fromkeys(METHODS), features=[])
        for runs in ([record()], [record(seed=s) for s in range(3)], [nothing]):
            table = getattr(Page(runs[0], runs[1:]), name)()
            html = table._repr_html_()
            assert "<th></th>" not in html
            assert "None" not in html
            assert not re.search(r"(?i)\bnan\b", html)
            assert table.map(lambda cell: isinstance(cell, str)).all(axis=None)
            assert table.index.name


class TestSettings:
    def test_of_a_chapter(self):
        value = settings_table(settings("mlp", "flowers102", "small", 3, epochs=7))["value"]
        assert (value["network"], value["dataset"]) == ("MLP", "Flowers-102")
        assert (value["profile"], value["seed"]) == ("small", "3")
        assert "hidden.relu*" in value["pruned"]
        assert "7 epochs" in value["training"]
        assert {"options", "checkpoint"}.isdisjoint(value.index)

    def test_options_checkpoint_and_differences_where_there_are_any(self):
        s = dataclasses.replace(
            settings("mlp", "cifar10"),
            options={"width": 8}, checkpoint="a/checkpoint", differs=("one", "two"),
        )  # fmt: skip
        value = settings_table(s)["value"]
        assert value["options"] == "width=8"
        assert value["checkpoint"] == "a/checkpoint"
        assert value.iloc[-1] == "one; two"

    def test_of_a_network_of_ones_own(self):
        s = dataclasses.replace(settings("mlp", "cifar10"), model="perceptron", dataset="digits")
        value = settings_table(s)["value"]
        assert (value["network"], value["dataset"]) == ("perceptron", "digits")
        assert "pruned" not in value
        assert "training" in value
