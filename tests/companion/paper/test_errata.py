"""Errata: well-formed, complete with respect to the published numbers, arithmetic that holds."""

from __future__ import annotations

import math
import os
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from companion.paper.errata import COLUMNS, KINDS, LONGEST, MEASURED, SMALL, check, errata
from companion.paper.published import lookup, published
from companion.runs.chapters import CHAPTERS
from tests.companion.paper.test_published import plain
from thermo_utils import ThermoError
from thermo_utils.accuracy import MAX_DROP


def listed(chapter):
    """Rows about a chapter."""
    return errata()[[chapter in chapters.split() for chapters in errata()["chapters"]]]


def test_every_number_stated_differently_in_two_places_is_listed():
    rows = published()
    rows = rows[rows["quantity"].isin(["tau_star", "beta_star"]) & rows["low"].notna()]
    found = set()
    for (model, dataset, _, _), group in rows.groupby(["model", "dataset", "quantity", "method"]):
        for one, other in combinations(group.itertuples(), 2):
            if one.low > other.high + 1e-9 or other.low > one.high + 1e-9:
                found.add(f"{model}-{dataset}")
    assert {"resnet18-cifar10", "t5-ag_news", "vit-flowers102"} <= found
    assert all(listed(chapter)["kind"].isin(["numbers", SMALL]).any() for chapter in found), found


def test_every_ratio_that_its_times_do_not_give_is_listed():
    rows = published()
    rows = rows[rows["source"].isin(["Table 2", "Table 4"]) & rows["low"].notna()]
    value = rows.set_index(["model", "dataset", "quantity", "method"])["low"]
    found = []
    for chapter in CHAPTERS:
        key = chapter.model, chapter.dataset
        stated = value.get((*key, "speedup", "renormalized"))
        if stated is None:
            continue
        full, fast = value[(*key, "time_s", "full")], value[(*key, "time_s", "renormalized")]
        # Times are printed to 0.01 s, ratios to 0.01 or, in the hundreds, to 1.
        unit = 0.005 if stated < 100 else 1.0
        low, high = (full - 0.005) / (fast + 0.005) - unit, (full + 0.005) / (fast - 0.005) + unit
        if not low <= stated <= high:
            found.append(chapter.name)
    assert found == ["vit-flowers102"]
    assert "speedup-vit-flowers102" in set(listed(found[0])["id"])


def test_slow_downs_called_otherwise():
    value = published().set_index("id")["low"]
    for model, dataset, ratio in (
        ("vit", "cifar10", 2.26), ("bert", "ag_news", 1.54), ("bert", "yelp", 2.58),
        ("gpt2", "ag_news", 2.61),
    ):  # fmt: skip
        table = "T2" if model == "vit" else "T4"
        fast, full = (
            value[f"{table}-{model}-{dataset}-{m}-time"] for m in ("renormalized", "full")
        )
        assert fast / full == pytest.approx(ratio, abs=0.005)
        assert not listed(f"{model}-{dataset}").empty


def test_the_stated_peak_of_the_cnn_is_not_the_highest_point():
    value = published().set_index("id")
    beta = value.loc["T1-cnn-cifar10-full-beta", "high"]
    at_peak = -math.log(1 - beta) / value.loc["T1-cnn-cifar10-full-tau", "low"]
    later = value.loc["S5.1-cnn-cifar10-accuracy-beta", "low"]
    # The smallest share of the activations holds at most that share of their sum.
    beyond = math.log(1 - later) * (1 - 1 / value.loc["S5.1-cnn-cifar10-accuracy-tau", "low"])
    assert at_peak == pytest.approx(2.04, abs=0.005)
    assert beyond == pytest.approx(4.1, abs=0.01)


def test_neither_order_of_the_sparsities_of_resnet_is_consistent():
    """As printed a larger threshold prunes less; exchanged, one threshold prunes two shares."""
    rows = published().set_index("id")

    def cell(method, symbol):
        row = rows.loc[f"T1-resnet18-cifar10-{method}-{symbol}"]
        return row["low"], row["high"]

    tau = {m: cell(m, "tau") for m in ("accuracy", "full")}
    beta = {m: cell(m, "beta") for m in ("accuracy", "full")}
    assert tau["accuracy"][1] <= tau["full"][0]
    assert beta["accuracy"][0] > beta["full"][1]  # as printed: less at a larger threshold
    # Exchanged: 0.30 ends one range, and begins the other, with sparsities far apart.
    assert tau["accuracy"][1] == tau["full"][0] == 0.3
    assert beta["accuracy"][0] - beta["full"][1] == pytest.approx(0.4)
    text = errata().set_index("id").loc["resnet18-cifar10-beta", "problem"]
    assert "Neither order is consistent" in text


def test_the_bound_on_the_peak_of_the_cnn_takes_activations_that_stay_as_they_are():
    """Pruned at 0.06 with 23 % below: the sum left is at least 77 %, if nothing else changes."""
    text = errata().set_index("id").loc["cnn-cifar10-peak", "problem"]
    assert "renormalized curve" in text
    assert "the bound does not hold" in text
    rng = np.random.default_rng(0)
    size = np.sort(rng.gamma(0.3, size=10_000))
    for removed in (1000, 2300, 5000):
        assert size[removed:].sum() / size.sum() >= 1 - removed / size.size


def test_two_slips_of_sign_cancel():
    """With S = +ln(M/N), the sentence, Helmholtz's F and Eq. 6 agree; Eqs. 2, 5 as well."""
    left, all_of_them, tau, energy = 300.0, 1000.0, 0.4, math.log(0.8)
    eq6 = energy - math.log(left / all_of_them) / tau
    proper = math.log(left / all_of_them)
    assert energy - proper / tau == pytest.approx(eq6)  # F = E - TS
    assert energy + (-proper) / tau == pytest.approx(eq6)  # Eqs. 2 and 5
    assert math.log(200.0 / all_of_them) < proper  # falls as fewer are left
    # The Shannon entropy of M equally likely ones is ln M, not -ln(M/N).
    share = np.full(int(left), 1 / left)
    shannon = float(-(share * np.log(share)).sum())
    assert shannon - math.log(all_of_them) == pytest.approx(proper)
    assert shannon != pytest.approx(-proper)
    text = errata().set_index("id").loc["entropy-falls", "problem"]
    assert all(word in text for word in ("+ln(M/N)", "Helmholtz", "cancel", "Shannon"))


def test_the_split_of_flowers_is_listed_with_what_the_paper_says_of_it():
    row = errata().set_index("id").loc["flowers102-split"]
    assert row["chapters"].split() == ["mlp-flowers102", "cnn-flowers102"]
    assert row["measured"] == "split"
    numbers = published().set_index("quantity")
    for quantity in ("n_train", "n_val", "n_test"):
        rows = numbers.loc[[quantity]]
        value = rows[rows["dataset"] == "flowers102"]["low"].iloc[0]
        assert f"{value:.0f}" in row["first_quote"]
    for model in ("mlp", "cnn"):
        stated = lookup(model, "flowers102", "accuracy")
        for value in {*stated["low"], *stated["high"]}:
            assert f"{100 * value:.0f}" in row["problem"]


def test_the_drop_that_counts_is_the_librarys():
    rows = errata().set_index("id")["here"]
    assert MAX_DROP == 0.01
    assert "one point unless" in rows["thirty-percent"]
    assert "within one point" in rows["plateau-end"]


def test_small_slips_come_last_and_ask_for_no_measurement():
    rows = errata()
    small = rows["kind"] == SMALL
    assert list(small) == sorted(small)
    assert set(rows.loc[small, "id"]) == {
        "cnn-flowers102-beta", "lstm-yelp-beta", "speedup-vit-flowers102", "lstm-precedes",
        "constants", "retraining", "table-order",
    }  # fmt: skip
    assert set(rows.loc[small, "measured"]) == {""}


def test_quotes_from_sections_are_in_the_paper():
    path = os.environ.get("THERMO_PAPER")
    if not path:
        pytest.skip("needs the text of the paper: set THERMO_PAPER to its path")
    paper = plain(Path(path).read_text(encoding="utf-8"))
    for row in errata().to_dict("records"):
        for which in ("first", "second"):
            if row[f"{which}_place"].startswith(("Section", "Abstract")):
                assert plain(row[f"{which}_quote"]) in paper, row["id"]


def test_vocabularies_are_all_used():
    assert set(errata()["kind"]) == set(KINDS)
    assert set(errata()["measured"]) == set(MEASURED)


def test_callers_get_a_copy():
    rows = errata()
    rows.loc[0, "id"] = "changed"
    assert errata().loc[0, "id"] != "changed"


@pytest.mark.parametrize(
    ("column", "value", "names"),
    [
        ("kind", "opinion", ["'opinion'", *KINDS]),
        ("chapters", "mlp-cifar10 mlp-mnist", ["'mlp-mnist'"]),
        ("problem", " ", ["problem"]),
        ("measured", "mood", ["'mood'"]),
        ("second_quote", "a" * (LONGEST + 1), ["second_quote", str(LONGEST)]),
        ("id", "t5-ag_news-beta", ["t5-ag_news-beta"]),
    ],
)
def test_a_broken_table_names_the_row_and_what_is_wrong(column, value, names):
    rows = errata()
    rows.loc[2, column] = value
    with pytest.raises(ThermoError) as raised:
        check(rows)
    for name in (rows.loc[2, "id"], *names):
        assert name in str(raised.value)


@pytest.mark.parametrize("column", ["chapters", "measured"])
def test_rows_about_no_chapter_and_without_a_measurement_are_fine(column):
    rows = errata()
    rows.loc[2, column] = ""
    rows.loc[2, "first_quote"] = "a" * LONGEST
    check(rows)


def test_columns_are_checked():
    with pytest.raises(ThermoError, match=COLUMNS[0]):
        check(errata()[list(COLUMNS[1:])])
