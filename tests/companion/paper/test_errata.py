"""Errata: well-formed, complete with respect to the published numbers, arithmetic that holds."""

from __future__ import annotations

import math
from itertools import combinations
from pathlib import Path

import pytest

from companion.paper.errata import COLUMNS, KINDS, check, errata, errata_page
from companion.paper.published import published
from companion.runs.chapters import CHAPTERS
from companion.runs.records import read_record
from thermo_utils import ThermoError

RESULTS = Path(__file__).parents[3] / "results" / "small"


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


def test_the_page_shows_every_row_and_what_was_measured():
    record = read_record(RESULTS / "mlp-cifar10")
    page = errata_page({"mlp-cifar10": record})
    assert all(f"## {heading}" in page for heading in KINDS.values())
    for row in errata().to_dict("records"):
        assert f"{row['title']}.**" in page
        assert row["problem"] in page
    found = record.result["thresholds"]["renormalized"]
    assert f"RFE {found['tau']:.3g} ({found['beta']:.2f}) {found['kind']}" in page
    assert "Measured here:* ViT" not in page


def test_without_records_nothing_is_measured():
    assert "Measured here:" not in errata_page({})


def test_items_about_times_show_times():
    record = read_record(RESULTS / "mlp-cifar10")
    page = errata_page({"vit-cifar10": record})
    ratio = record.result["timings"]["speedup"]
    assert f"ViT on CIFAR-10, FE takes {ratio:.3g} times as long as RFE" in page


def test_only_sections_are_quoted():
    page = errata_page({})
    for row in errata().to_dict("records"):
        for place in ("first", "second"):
            quoted = f"{row[place + '_place']}: “{row[place + '_quote']}”" in page
            assert quoted == row[place + "_place"].startswith(("Section", "Abstract"))


def test_rows_are_numbered_in_the_order_of_the_page():
    page = errata_page({})
    numbers = [int(line[2:].split(".")[0]) for line in page.splitlines() if line[:2] == "**"]
    assert numbers == list(range(1, len(errata()) + 1))


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("kind", "opinion", "kind 'opinion' is not one of numbers, words"),
        ("chapters", "mlp-mnist", "there is no chapter 'mlp-mnist'"),
        ("problem", " ", "problem is empty"),
        ("measured", "mood", "measured 'mood' is unknown"),
        ("first_quote", "a" * 81, "first_quote is longer than 80"),
        ("id", "t5-ag_news-beta", "its id occurs twice"),
    ],
)
def test_a_broken_table_names_the_row(column, value, message):
    rows = errata()
    rows.loc[2, column] = value
    with pytest.raises(ThermoError, match=message):
        check(rows)


def test_columns_are_checked():
    with pytest.raises(ThermoError, match="columns must be id, kind"):
        check(errata()[list(COLUMNS[1:])])
