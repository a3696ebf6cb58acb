"""Errata: well-formed, complete with respect to the published numbers, arithmetic that holds."""

from __future__ import annotations

import math
from itertools import combinations

import pytest

from companion.paper.errata import COLUMNS, KINDS, LONGEST, MEASURED, check, errata
from companion.paper.published import published
from companion.runs.chapters import CHAPTERS
from thermo_utils import ThermoError


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
    assert all((listed(chapter)["kind"] == "numbers").any() for chapter in found), found


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
