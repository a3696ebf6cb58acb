"""Small tables of trainings and curves: what they leave out, and what never."""

from __future__ import annotations

import numpy as np
import pytest

from companion.pages.chapter import Page
from companion.pages.curve_tables import MOST, curve_table, history_table
from companion.pages.shown import NOTHING, shown
from companion.runs.methods import CURVES
from thermo_utils.errors import ThermoError


def epochs(number, best):
    return [
        {
            "epoch": n, "train_loss": 2 / n, "validation_loss": 1 + 1 / n,
            "validation_accuracy": 0.5, "best": n == best,
        }
        for n in range(1, number + 1)
    ]  # fmt: skip


class TestHistory:
    def test_a_short_training_is_shown_whole(self, record):
        table = history_table(record(history=epochs(3, 2)))
        assert table.index.tolist() == ["1", "2", "3"]
        assert table["training loss"].tolist() == ["2.000", "1.000", "0.667"]
        assert table["validation accuracy"].tolist() == ["50.0 %"] * 3
        assert table["weights"].tolist() == ["", "kept", ""]
        assert not table.attrs["caption"]

    @pytest.mark.parametrize("best", [1, 7, 38, 40])
    def test_of_a_long_one_first_last_and_kept(self, record, best):
        table = history_table(record(history=epochs(40, best)))
        assert MOST <= len(table) <= MOST + 1
        assert {"1", "40", str(best)} <= set(table.index)
        assert table.index[table["weights"] == "kept"].tolist() == [str(best)]
        assert table.attrs["caption"].startswith(f"{len(table)} of 40 ")


class TestCurve:
    @pytest.mark.parametrize("method", CURVES)
    def test_numbers_are_those_of_the_curve(self, record, method):
        run = record()
        table, curve = curve_table(run, method), run.curve(method)
        assert list(table)[:3] == ["β", "F", "dF/dτ"]
        assert ("accuracy" in table) == (method == "full")
        for tau, row in zip(table.index, table.to_dict("records"), strict=True):
            point = curve.iloc[(curve["tau"] - float(tau)).abs().argmin()]
            assert float(tau) == pytest.approx(point["tau"], rel=1e-3)
            assert float(row["β"]) == pytest.approx(point["beta"], abs=0.0051)
            shown = row["F"], row["dF/dτ"]
            for text, value in zip(shown, point[["free_energy", "dF_dtau"]], strict=True):
                assert float(text.replace("−", "-")) == pytest.approx(value, abs=5e-4, rel=5e-3)
            if method == "full":
                percent = float(row["accuracy"].removesuffix(" %"))
                assert percent == pytest.approx(100 * point["accuracy"], abs=0.0501)

    def test_thresholds_have_their_rows(self, record):
        run = record()
        full, fast = (curve_table(run, method) for method in CURVES)
        named = full["threshold"][full["threshold"] != ""]
        # The record's thresholds need not be on the grid of a curve written by hand.
        assert named.to_dict() == {"0.1": "peak, FE", "0.8": "accuracy"}
        assert fast["threshold"][fast["threshold"] != ""].to_dict() == {"0.31": "bend, RFE"}

    def test_two_thresholds_in_one_row(self, record):
        both = record().result["thresholds"]
        run = record(thresholds=both | {"accuracy": both["accuracy"] | {"tau": 0.12}})
        assert "peak, FE; accuracy" in set(curve_table(run, "full")["threshold"])

    def test_no_threshold_no_mark(self, record):
        run = record(thresholds=dict.fromkeys(("accuracy", *CURVES)))
        for method in CURVES:
            assert set(curve_table(run, method)["threshold"]) == {""}

    def test_what_is_left_out_is_told(self, record):
        table = curve_table(record(), "renormalized")
        assert table.attrs["caption"].startswith(f"{len(table)} of 200 thresholds")

    def test_where_nothing_survives(self, record):
        run = record()
        last = (run.curves["method"] == "renormalized") & (run.curves["tau"] > 1.5)
        columns = ["free_energy", "dF_dtau", "entropy", "internal_energy"]
        run.curves.loc[last, columns] = np.nan
        run.curves.loc[last, "beta"] = 1.0
        table = curve_table(run, "renormalized")
        assert table["F"].tolist().count("undefined") == 1  # the last, not half of the rows
        assert table.iloc[-1][["β", "F", "dF/dτ"]].tolist() == ["1.00", "undefined", NOTHING]

    def test_unknown(self, record):
        with pytest.raises(ThermoError, match="partial"):
            curve_table(record(), "partial")


def test_a_page_has_both(record):
    page = Page(record(), siblings=[])
    assert page.history().equals(history_table(page.record))
    assert page.curve("full").equals(curve_table(page.record, "full"))


class TestShown:
    def test_every_head_has_words(self):
        html = shown(["seed", "τ"], [("0", "0.1")], "a & b")._repr_html_()
        assert '<thead><tr><th scope="col">seed</th><th scope="col">τ</th></tr></thead>' in html
        assert "<caption>a &amp; b</caption>" in html

    def test_text_is_text(self):
        html = shown(["<i>", "b"], [("<script>", "<b>")])._repr_html_()
        assert not any(mark in html for mark in ("<i>", "<script>", "<b>"))

    def test_nothing_is_a_dash(self):
        html = shown(["a", "b", "c"], [("0", None, float("nan"))])._repr_html_()
        assert html.count(f">{NOTHING}</td>") == 2

    def test_a_number_stays_with_its_sign_and_unit(self):
        html = shown(["a", "b"], [("0", "0.3 ± 0.1 (3) and 5 %")])._repr_html_()
        assert "<td>0.3\u00a0±\u00a00.1 (3) and 5\u00a0%</td>" in html

    @pytest.mark.parametrize(
        ("cells", "cards"),
        [
            (("1.234", "peak"), False),
            (("one and another word",) * 2, False),
            (("x" * 20,) * 3, True),
        ],
    )
    def test_rows_are_cards_on_a_telephone_where_it_has_no_room(self, cells, cards):
        heads = ["τ", *(f"head {k}" for k in range(len(cells)))]
        html = shown(heads, [("0", *cells)])._repr_html_()
        assert ('<td data-head="head 0">' in html) == cards
