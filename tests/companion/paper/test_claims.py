"""The claims: each founded on a number or a quote of the paper, each checked when it is read."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path

import pytest

from companion.paper import claims as claims_module
from companion.paper.claims import KINDS, OVER, claims
from companion.paper.left_out import LEFT_OUT, reason_left_out
from companion.paper.measures import MEASURES
from companion.paper.published import lookup, published
from companion.paper.rules import RULES
from companion.runs.chapters import CHAPTERS
from tests.companion.paper.test_published import plain
from thermo_utils.errors import ThermoError

CLAIMS = claims()
NAMES = [chapter.name for chapter in CHAPTERS]


def claim(name):
    (found,) = (c for c in CLAIMS if c.id == name)
    return found


def ranges(name):
    """Lower and upper ends of all versions of a claim."""
    return [(version.low, version.high) for version in claim(name).stated]


class TestClaims:
    def test_there_are_many_and_each_is_named_once(self):
        names = [c.id for c in CLAIMS]
        assert len(names) > 100
        assert len(set(names)) == len(names)
        assert all(re.fullmatch(r"[A-Za-z0-9.-]+", name) for name in names)

    def test_no_claim_is_made_twice(self):
        seen = {}
        for c in CLAIMS:
            key = (c.groups, c.over, c.measure, c.rule, c.stated)
            assert key not in seen, (c.id, seen.get(key))
            seen[key] = c.id

    def test_names_exist(self):
        for c in CLAIMS:
            assert c.kind in KINDS
            assert c.over in OVER
            assert c.measure in MEASURES
            assert set(c.chapters) <= set(NAMES)
            assert c.rule_text
            assert c.text
            assert c.stated

    def test_vocabularies_are_all_used(self):
        assert {c.kind for c in CLAIMS} == set(KINDS)
        assert {c.over for c in CLAIMS} == set(OVER)
        assert {c.rule.rpartition(" ")[0] or c.rule for c in CLAIMS} == set(RULES)

    def test_every_chapter_has_its_claims(self):
        for name in NAMES:
            kinds = {c.kind for c in CLAIMS if c.chapters == (name,)}
            assert kinds >= set(KINDS) - {"accuracy"}

    def test_only_the_right_number_of_groups(self):
        for c in CLAIMS:
            assert len(c.groups) == (2 if c.over == "less" else 1)
            assert all(c.groups)
            if c.over in ("one", "seeds"):
                assert len(c.chapters) == 1

    def test_published_numbers_make_a_claim_or_are_left_out_for_a_reason(self):
        used = {name for c in CLAIMS for name in c.published}
        rows = published()
        assert used <= set(rows["id"])
        for number in rows.itertuples():
            assert (number.id in used) != (reason_left_out(number) is not None), number.id
        reasons = {reason_left_out(number) for number in rows.itertuples()} - {None}
        assert set(LEFT_OUT) == reasons | {"mechanism"}

    def test_quotes_are_short_and_have_a_place(self):
        for c in CLAIMS:
            for version in c.stated:
                assert 0 < len(version.quote.split()) <= 15
                assert re.match(
                    r"Abstract$|Section [\d.]+, paragraph \d+$|Table \d, ", version.place
                )

    def test_paragraphs_are_those_of_quotes_in_use(self):
        quotes = {version.quote for c in CLAIMS for version in c.stated}
        assert {quote for _, quote in claims_module._paragraphs()} <= quotes

    def test_every_quote_is_in_the_paper(self):
        path = os.environ.get("THERMO_PAPER")
        if not path:
            pytest.skip("needs the text of the paper: set THERMO_PAPER to its path")
        paper = plain(Path(path).read_text(encoding="utf-8"))
        quotes = {version.quote for c in CLAIMS for version in c.stated}
        assert [quote for quote in quotes if plain(quote) not in paper] == []


class TestMadeByRule:
    """What becomes of published numbers."""

    def test_all_versions_are_kept(self):
        assert ranges("resnet18-cifar10-beta-fe") == [(0.5, 0.55), (0.05, 0.1)]
        assert len(claim("resnet18-cifar10-beta-fe").published) == 2

    @pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda c: c.name)
    def test_thresholds_are_the_published_ones(self, chapter):
        for quantity, symbol in (("tau_star", "tau"), ("beta_star", "beta")):
            for method, slug in (("accuracy", "accuracy"), ("full", "fe")):
                name = f"{chapter.name}-{symbol}-{slug}".replace("_", "-")
                rows = lookup(chapter.model, chapter.dataset, quantity, method)
                made = claim(name)
                later = chapter.name == "gpt2-ag_news" and method == "full"
                assert made.measure == (
                    f"{symbol} of later peak" if later else f"{symbol} {method}"
                )
                assert made.groups == ((chapter.name,),)
                assert made.over == "one"
                assert made.published == tuple(rows["id"])
                assert ranges(name) == list(zip(rows["low"], rows["high"], strict=True))
                assert [v.quote for v in made.stated] == list(rows["quote"])

    @pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda c: c.name)
    def test_the_direction_follows_from_the_times_and_the_words(self, chapter):
        rows = lookup(chapter.model, chapter.dataset)
        time = rows[rows["quantity"] == "time_s"].set_index("method")["low"]
        made = claim(f"{chapter.name}-faster".replace("_", "-"))
        slower = time["renormalized"] >= time["full"]
        assert made.stated[0].word == ("slower" if slower else "faster")
        assert set(made.published) == set(rows.loc[rows["quantity"] == "time_s", "id"])
        said = rows["value"].isin(["slower", "slightly slower", "none"])
        said &= rows["source"].str.startswith("Section")
        assert [v.word for v in made.stated[1:]] == ["slower"] * said.sum()
        assert [v.quote for v in made.stated[1:]] == list(rows.loc[said, "quote"])

    @pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda c: c.name)
    def test_a_ratio_stated_in_words_alone_is_taken_from_the_times(self, chapter):
        rows = lookup(chapter.model, chapter.dataset)
        time = rows[rows["quantity"] == "time_s"].set_index("method")["low"]
        ratio = rows[(rows["quantity"] == "speedup") & (rows["method"] == "renormalized")]
        found = ranges(f"{chapter.name}-speedup".replace("_", "-"))
        if ratio["low"].notna().any():
            assert len(found) == len(ratio)
        else:
            assert len(found) == len(ratio) + 1
            assert found[-1] == (pytest.approx(time["full"] / time["renormalized"], abs=0.005),) * 2

    def test_only_where_the_paper_takes_a_later_feature_is_another_of_ours_compared(self):
        """Both sides of a comparison are the first feature, or both are the later one."""
        later = {
            c.id for c in CLAIMS
            if c.published and re.search("later peak|at drop", c.measure)
        }  # fmt: skip
        slugs = ("tau-fe", "beta-fe", "feature", "extremum", "derivative")
        assert later == {f"gpt2-ag-news-{slug}" for slug in slugs}
        said = [version.quote for version in claim("gpt2-ag-news-tau-fe").stated]
        assert any("subsequent local maximum" in quote for quote in said)

    def test_a_soft_extremum_is_one(self):
        stated = lookup("t5", "ag_news", "extremum", "full")["value"].tolist()
        assert "soft" in stated
        assert {v.word for v in claim("t5-ag-news-extremum").stated} == {"yes"}

    def test_bounds_are_open_to_one_side(self):
        assert ranges("drop-everywhere") == [(0.3, math.inf)]
        assert claim("drop-everywhere").stated[0].word == ""
        (version,) = claim("largest-speedup").stated
        assert (version.low, version.high, version.word) == (500, 500, "up to")

    def test_places_in_tables_name_dataset_network_and_row(self):
        places = {v.place for c in CLAIMS for v in c.stated if v.place.startswith("Table")}
        assert "Table 1, CIFAR-10, MLP, τ*, FE" in places
        assert "Table 1, CIFAR-10, MLP, β*, accuracy" in places
        assert "Table 3, Yelp Review Full, GPT-2, FE extremum" in places
        assert "Table 4, Yelp Review Full, LSTM, speed-up" in places
        assert "Table 1, CIFAR-10, MLP, derivative" in places
        assert all(place.count(", ") >= 1 and not place.endswith(", ") for place in places)

    def test_the_place_of_a_ratio_names_both_times(self):
        row = lookup("vit", "cifar10", "time_s").set_index("method")["quote"]
        place = claim("vit-cifar10-faster").stated[0].place
        assert place.startswith("Table 2")
        assert place.index(row["full"]) < place.index(row["renormalized"])

    def test_paragraphs_are_counted_where_they_are_known(self):
        assert claim("drop-everywhere").stated[0].place.startswith("Section 5.2, paragraph ")


class TestWritten:
    """Rows of ``claims.csv``."""

    def test_one_row_makes_a_claim_about_each_chapter(self):
        made = [c for c in CLAIMS if c.id.endswith("-precedes") and c.measure == "lag"]
        assert {c.chapters for c in made} >= {(name,) for name in NAMES}
        assert claim("mobilenet-v2-cifar10-precedes").chapters == ("mobilenet_v2-cifar10",)

    def test_a_row_about_one_chapter_keeps_its_name(self):
        assert claim("cnn-early").chapters == ("cnn-cifar10",)

    def test_the_first_ones_are_about_several_chapters_then_chapter_by_chapter(self):
        places = [-1 if len(c.chapters) > 1 else NAMES.index(c.chapters[0]) for c in CLAIMS]
        assert places == sorted(places)

    def test_a_statement_in_words_keeps_the_word_and_the_quote(self):
        (version,) = claim("match-everywhere").stated
        assert version.word == "yes"
        assert math.isnan(version.low)
        assert math.isnan(version.high)
        assert version.quote

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("broad-range", "a broad range of pruning thresholds"),
            ("non-analytic", "non-analytic behavior"),
            ("t5-gentle", "rather than the sharp extrema"),
        ],
    )
    def test_statements_that_are_easily_passed_over_are_there(self, name, words):
        (version,) = claim(name).stated
        assert words in version.quote
        assert "paragraph" in version.place

    def test_what_the_paper_says_of_the_accuracy_keeps_the_papers_numbers(self):
        rules = {c.measure: c.rule for c in CLAIMS if c.measure in ("variation", "drop")}
        assert rules == {"variation": "at most 0.05", "drop": "at least 0.3"}

    def test_two_groups_keep_their_order(self):
        first, second = claim("scratch-abrupt").groups
        assert "lstm-yelp" in first
        assert {name.split("-")[0] for name in second}.isdisjoint(n.split("-")[0] for n in first)

    def test_the_rule_says_how_chapters_are_combined(self):
        for c in CLAIMS:
            assert c.rule_text.startswith(OVER[c.over])
            assert (c.rule_text == OVER[c.over]) == (c.over in ("alike", "unlike"))

    @pytest.mark.parametrize(
        ("column", "value"),
        [
            ("kind", "colour"), ("over", "some"), ("measure", "tau"), ("rule", "near 1"),
            ("scope", "alexnet-*"), ("published", "T9-mlp"),
        ],
    )  # fmt: skip
    def test_unknown_names_in_the_file_are_refused(self, monkeypatch, column, value):
        with pytest.raises(ThermoError, match=f"unknown.*{re.escape(value.split()[0])}"):
            self.read(monkeypatch, column, value)

    @pytest.mark.parametrize(("over", "scope"), [("less", "mlp-*"), ("all", "mlp-*|cnn-*")])
    def test_only_a_difference_takes_two_groups(self, monkeypatch, over, scope):
        with pytest.raises(ThermoError, match="two groups"):
            self.read(monkeypatch, ["over", "scope"], [over, scope])

    def read(self, monkeypatch, column, value):
        read = claims_module._read

        def broken(file):
            rows = read(file)
            if file.name == "claims.csv":
                rows.loc[3, column] = value
            return rows

        monkeypatch.setattr(claims_module, "_read", broken)
        list(claims_module._written())
