"""The claims ledger: every claim founded, every verdict computed, a page from any records."""

from __future__ import annotations

import copy
import dataclasses
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion.pages.ledger import ChapterClaims, chapter_claims, pieces
from companion.paper import claims as claims_source
from companion.paper.claims import KINDS, LEFT_OUT, OVER, reason_left_out
from companion.paper.ledger import claims, counts, ledger, of_chapter
from companion.paper.measures import MEASURES, TIMED, measure
from companion.paper.published import published
from companion.paper.rules import RULES, VERDICTS, Stated, agrees, rule_text, verdict
from companion.runs.chapters import CHAPTERS
from companion.runs.records import Record, read_chapter
from tests.companion.paper.test_published import plain
from thermo_utils.errors import ThermoError

RESULTS = Path(__file__).parents[3] / "results"
CLAIMS = claims()
NAMES = [chapter.name for chapter in CHAPTERS]
#: Rules whose tolerance is around the paper's number, and those of a bound of their own.
AROUND, BOUNDS = ("within", "step", "factor"), ("at least", "at most", "below")
NUMBERS = st.floats(0.01, 100)


@pytest.fixture(scope="module")
def records() -> dict[str, list[Record]]:
    found = {name: read_chapter(RESULTS, "small", name) for name in NAMES}
    return {name: runs for name, runs in found.items() if runs}


@pytest.fixture(scope="module")
def everywhere(records) -> dict[str, list[Record]]:
    """A record for every chapter: the MLP's, which differs in nothing, three times over."""
    run = records["mlp-cifar10"][0]
    return {name: [run] * 3 for name in NAMES}


def changed(record: Record, **values) -> Record:
    """A copy of a record with other results."""
    result = copy.deepcopy(record.result)
    for path, value in values.items():
        *parents, last = path.split("__")
        place = result
        for name in parents:
            place = place[name]
        place[last] = value
    return dataclasses.replace(record, result=result)


def row(table, name):
    (found,) = table[table["id"] == name].to_dict("records")
    return found


class TestClaims:
    def test_there_are_many_and_each_is_named_once(self):
        names = [claim.id for claim in CLAIMS]
        assert len(names) > 100
        assert len(set(names)) == len(names)
        assert all(re.fullmatch(r"[A-Za-z0-9.-]+", name) for name in names)

    def test_no_claim_is_made_twice(self):
        seen = {}
        for claim in CLAIMS:
            key = (claim.groups, claim.over, claim.measure, claim.rule, claim.stated)
            assert key not in seen, (claim.id, seen.get(key))
            seen[key] = claim.id

    def test_names_exist(self):
        for claim in CLAIMS:
            assert claim.kind in KINDS
            assert claim.over in OVER
            assert claim.measure in MEASURES
            assert set(claim.chapters) <= set(NAMES)
            assert claim.rule_text
            assert claim.text
            assert claim.stated

    def test_vocabularies_are_all_used(self):
        assert {claim.kind for claim in CLAIMS} == set(KINDS)
        assert {claim.over for claim in CLAIMS} == set(OVER)
        assert {claim.rule.rpartition(" ")[0] or claim.rule for claim in CLAIMS} == set(RULES)
        assert {claim.measure for claim in CLAIMS} >= TIMED

    def test_every_chapter_has_its_claims(self):
        for name in NAMES:
            kinds = {claim.kind for claim in CLAIMS if claim.chapters == (name,)}
            assert kinds >= set(KINDS) - {"accuracy"}

    def test_only_the_right_number_of_groups(self):
        for claim in CLAIMS:
            assert len(claim.groups) == (2 if claim.over == "less" else 1)
            assert all(claim.groups)
            if claim.over in ("one", "seeds"):
                assert len(claim.chapters) == 1

    def test_published_numbers_make_a_claim_or_are_left_out_for_a_reason(self):
        used = {name for claim in CLAIMS for name in claim.published}
        rows = published()
        assert used <= set(rows["id"])
        for number in rows.itertuples():
            assert (number.id in used) != (reason_left_out(number) is not None), number.id
        reasons = {reason_left_out(number) for number in rows.itertuples()} - {None}
        assert set(LEFT_OUT) == reasons | {"mechanism"}

    def test_quotes_are_short_and_have_a_place(self):
        for claim in CLAIMS:
            for version in claim.stated:
                assert 0 < len(version.quote.split()) <= 15
                assert re.match(
                    r"Abstract$|Section [\d.]+, paragraph \d+$|Table \d, ", version.place
                )

    def test_paragraphs_are_those_of_quotes_in_use(self):
        quotes = {version.quote for claim in CLAIMS for version in claim.stated}
        assert {quote for _, quote in claims_source._paragraphs()} <= quotes

    def test_all_versions_are_kept(self):
        (claim,) = (c for c in CLAIMS if c.id == "resnet18-cifar10-beta-fe")
        assert [v.text for v in claim.stated] == ["0.5-0.55", "0.05-0.1"]

    def test_every_quote_is_in_the_paper(self):
        path = os.environ.get("THERMO_PAPER")
        if not path:
            pytest.skip("needs the text of the paper: set THERMO_PAPER to its path")
        paper = plain(Path(path).read_text(encoding="utf-8"))
        quotes = {version.quote for claim in CLAIMS for version in claim.stated}
        assert [quote for quote in quotes if plain(quote) not in paper] == []

    @pytest.mark.parametrize(
        ("column", "value"),
        [("kind", "colour"), ("over", "some"), ("measure", "tau"), ("rule", "near 1")],
    )
    def test_unknown_names_in_the_file_are_refused(self, monkeypatch, column, value):
        read = claims_source._read

        def broken(file):
            rows = read(file)
            if file.name == "claims.csv":
                rows.loc[3, column] = value
            return rows

        monkeypatch.setattr(claims_source, "_read", broken)
        with pytest.raises(ThermoError, match="unknown"):
            list(claims_source._written())


class TestRules:
    @pytest.mark.parametrize("rule", sorted({c.rule for c in CLAIMS if c.rule.startswith(AROUND)}))
    def test_the_papers_own_numbers_agree(self, rule):
        for claim in CLAIMS:
            for version in claim.stated:
                if claim.rule == rule and version.low == version.low:
                    assert agrees(rule, version.low, version)
                    assert agrees(rule, min(version.high, 1e9), version)

    def test_the_papers_own_words_agree(self):
        for claim in CLAIMS:
            if claim.rule == "same":
                assert all(agrees("same", version.word, version) for version in claim.stated)

    @given(value=NUMBERS, low=NUMBERS, width=NUMBERS, p=NUMBERS, more=NUMBERS, step=NUMBERS)
    def test_more_tolerance_never_loses_agreement(self, value, low, width, p, more, step):
        stated = Stated(low, low + width, "", "", "")
        for name in AROUND:
            p_ = p + 1 if name == "factor" else p
            if agrees(f"{name} {p_}", value, stated, step):
                assert agrees(f"{name} {p_ + more}", value, stated, step)
                assert agrees(f"{name} {p_}", value, stated, step + more)
        for name in ("at most", "below"):
            if agrees(f"{name} {p}", value, stated):
                assert agrees(f"{name} {p + more}", value, stated)
        if agrees(f"at least {p + more}", value, stated):
            assert agrees(f"at least {p}", value, stated)

    @given(low=NUMBERS, width=NUMBERS, share=st.floats(0, 1))
    def test_whatever_lies_in_the_stated_range_agrees(self, low, width, share):
        stated = Stated(low, low + width, "", "", "")
        for rule in ("within 0", "step 0", "factor 1"):
            assert agrees(rule, low + share * width, stated)

    @pytest.mark.parametrize("name", RULES)
    def test_nothing_agrees_with_nothing(self, name):
        rule = name if name == "same" else f"{name} 1"
        assert not agrees(rule, None, Stated(1, 1, "yes", "", ""))

    def test_limits_agree_but_for_below(self):
        stated = Stated(0.3, 0.3, "", "", "")
        assert agrees("within 0.05", 0.35, stated)
        assert not agrees("within 0.05", 0.351, stated)
        assert agrees("step 0.2", 0.36, stated)
        assert not agrees("below 1", 1.0, stated)

    @pytest.mark.parametrize("rule", ["near 0.05", "within", "same 3", "", "within x"])
    def test_unknown_rules_are_refused(self, rule):
        for refuse in (lambda: agrees(rule, 1.0, CLAIMS[0].stated[0]), lambda: rule_text(rule)):
            with pytest.raises(ThermoError, match="rule"):
                refuse()

    def test_verdicts(self):
        assert verdict(None, excused=True) == verdict(None, excused=False) == "not run"
        assert verdict(True, excused=True) == verdict(True, excused=False) == "confirmed"
        assert verdict(False, excused=True) == "differs in setup"
        assert verdict(False, excused=False) == "not confirmed"


class TestLedger:
    def test_without_records_nothing_was_run(self):
        table = ledger({})
        assert list(table["id"]) == [claim.id for claim in CLAIMS]
        assert set(table["verdict"]) == {"not run"}
        assert set(table["ours"]) == {""}

    def test_synthetic_records_confirm_nothing(self, everywhere):
        made_up = {n: [changed(r, synthetic=True) for r in f] for n, f in everywhere.items()}
        assert set(ledger(made_up)["verdict"]) == {"not run"}

    def test_a_record_speaks_for_its_chapter_alone(self, records):
        table = ledger({"cnn-cifar10": records["cnn-cifar10"]})
        run = table[table["verdict"] != "not run"]
        assert set(run["chapters"]) == {("cnn-cifar10",)}
        assert len(run) > 10
        assert (run["ours"] != "").all()

    def test_with_all_records_every_claim_has_a_verdict(self, everywhere):
        table = ledger(everywhere)
        assert "not run" not in set(table["verdict"])
        assert set(table["verdict"]) <= set(VERDICTS)

    def test_seeds_need_three(self, everywhere):
        two = ledger({name: runs[:2] for name, runs in everywhere.items()})
        seeds = two[two["kind"] == "seeds"]
        assert set(seeds["verdict"]) == {"not run"}
        assert seeds["ours"].str.contains("3 needed").all()

    def test_equal_seeds_are_stable(self, everywhere):
        table = ledger(everywhere)
        assert row(table, "mlp-cifar10-seeds-tau-fe")["verdict"] == "confirmed"

    def test_the_papers_numbers_as_ours_are_confirmed(self, records):
        run = changed(
            records["cnn-cifar10"][0],
            metrics__test_accuracy=0.76,
            thresholds__accuracy__tau=0.06,
            thresholds__accuracy__beta=0.23,
            thresholds__full__tau=0.04,
            thresholds__full__beta=0.04,
            thresholds__full__kind="peak",
            timings__speedup=7.11,
            match=True,
        )
        table = of_chapter("cnn-cifar10", [run]).set_index("id")["verdict"]
        for slug in (
            "accuracy", "tau-accuracy", "tau-fe", "beta-accuracy", "beta-fe", "feature",
            "extremum", "speedup", "faster", "precedes", "match",
        ):  # fmt: skip
            assert table[f"cnn-cifar10-{slug}"] == "confirmed", slug

    def test_a_difference_excuses_what_fails_and_nothing_else(self, records):
        run = records["cnn-cifar10"][0]
        before = of_chapter("cnn-cifar10", [run])
        after = of_chapter("cnn-cifar10", [changed(run, differs=["no pretrained weights"])])
        assert "not confirmed" in set(before["verdict"])
        assert "not confirmed" not in set(after["verdict"])
        expected = before["verdict"].replace("not confirmed", "differs in setup")
        assert list(after["verdict"]) == list(expected)
        assert (after["setup"] != "").all()

    def test_a_processor_excuses_times_only(self, records):
        table = of_chapter("cnn-cifar10", records["cnn-cifar10"])
        timed = table["setup"].str.contains("CPU")
        assert set(table.loc[timed, "kind"]) == {"speed"}
        gpu = changed(
            records["cnn-cifar10"][0],
            stages__full__device="NVIDIA",
            stages__renormalized__device="NVIDIA",
        )
        assert row(of_chapter("cnn-cifar10", [gpu]), "cnn-cifar10-speedup")["setup"] == ""

    def test_one_failure_without_excuse_refutes_a_claim_about_all(self, everywhere):
        run = everywhere["mlp-cifar10"][0]
        good, bad = changed(run, match=True), changed(run, match=False)
        excused = changed(bad, differs=["another checkpoint"])

        def judged(**found):
            table = ledger({name: found.get(name, [good]) for name in NAMES})
            return row(table, "match-everywhere")["verdict"]

        assert judged() == "confirmed"
        assert judged(**{"vit-cifar10": [excused]}) == "differs in setup"
        assert judged(**{"vit-cifar10": [excused], "t5-yelp": [bad]}) == "not confirmed"

    def test_a_claim_about_all_waits_for_all(self, everywhere):
        found = ledger({**everywhere, "vit-cifar10": []})
        match = row(found, "match-everywhere")
        assert (match["verdict"], match["ours"]) == ("not run", "19 of 20 chapters run")

    def test_seeds_are_averaged_and_words_counted(self, records):
        run = records["cnn-cifar10"][0]
        runs = [
            changed(run, thresholds__full__tau=tau, thresholds__full__kind=kind)
            for tau, kind in ((0.02, "peak"), (0.03, "bend"), (0.04, "peak"))
        ]
        table = of_chapter("cnn-cifar10", runs)
        tau = row(table, "cnn-cifar10-tau-fe")
        assert tau["ours"] == "0.03 (seeds: 0.02, 0.03, 0.04)"
        assert tau["verdict"] == "confirmed"
        assert row(table, "cnn-cifar10-feature")["ours"] == "peak, bend, peak"
        assert row(table, "cnn-cifar10-feature")["verdict"] == "confirmed"

    def test_no_feature_is_said_and_agrees_with_nothing(self, records):
        run = changed(records["cnn-cifar10"][0], thresholds__full=None, features=[])
        table = of_chapter("cnn-cifar10", [run])
        for slug in ("tau-fe", "beta-fe", "feature", "precedes", "drop-after"):
            found = row(table, f"cnn-cifar10-{slug}")
            assert (found["ours"], found["verdict"]) == ("none found", "not confirmed")

    def test_which_version_agrees(self, records):
        run = changed(records["vit-flowers102"][0], thresholds__full__beta=0.6)
        found = row(of_chapter("vit-flowers102", [run]), "vit-flowers102-beta-fe")
        assert found["paper"] == "0.5; 0.56"
        assert [place.split(",")[0] for place in found["agrees with"]] == ["Table 1"]

    def test_counts_add_up(self, records):
        table = ledger(records)
        found = counts(table)
        assert found.loc["all", "all"] == len(table)
        assert found.loc["all", "confirmed"] == (table["verdict"] == "confirmed").sum()
        assert (found[list(VERDICTS)].sum(axis=1) == found["all"]).all()

    def test_every_measure_reads_every_record(self, records):
        for runs in records.values():
            assert measure("grid step", runs[0]) > 0
            for name in MEASURES:
                value = measure(name, runs[0])
                assert value is None or value == value


class _Page(HTMLParser):
    """Collects anchors and links of a table."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids, self.links, self.rows = [], [], 0
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.rows += tag == "tr" and "data-verdict" in given
        if "id" in given:
            self.ids.append(given["id"])
        if tag == "a":
            self.links.append(given["href"])


class TestPage:
    @pytest.mark.parametrize("which", ["none", "some", "all"])
    def test_made_from_any_records(self, which, records, everywhere):
        parts = pieces({"none": {}, "some": records, "all": everywhere}[which])
        page = _Page(parts["claims_table"])
        assert page.rows == len(CLAIMS)
        assert len(set(page.ids)) == len(page.ids) == len(CLAIMS) + 1
        assert {f"claim-{claim.id}" for claim in CLAIMS} < set(page.ids)
        inside = {f"#{name}" for name in page.ids} | {f"chapters/{name}.html" for name in NAMES}
        assert set(page.links) <= inside
        # A blank line would end the HTML within Markdown.
        assert "\n\n" not in parts["claims_table"]
        for name in RULES:
            assert f"**{name}**" in parts["claims_rules"]
        for name in VERDICTS:
            assert name in parts["claims_counts"]

    def test_says_why_synthetic_records_count_for_nothing(self, records):
        made_up = {n: [changed(r, synthetic=True) for r in f] for n, f in records.items()}
        assert "synthetic data" in pieces(made_up)["claims_counts"]
        assert "synthetic data" not in pieces(records)["claims_counts"]
        shown = chapter_claims("mlp-cifar10", made_up["mlp-cifar10"])
        assert set(shown["verdict"]) == {"not run"}
        assert shown["ours"].str.contains("synthetic").all()

    def test_rows_of_a_chapter_link_into_the_ledger(self, records):
        shown = chapter_claims("mlp-cifar10", records["mlp-cifar10"])
        assert isinstance(shown, ChapterClaims)
        own = [claim.id for claim in CLAIMS if claim.chapters == ("mlp-cifar10",)]
        assert list(shown.index) == own
        links = [link.rpartition("#claim-")[2] for link in _Page(shown._repr_html_()).links]
        assert links == own

    def test_what_is_shown_is_escaped(self, records):
        run = changed(records["mlp-cifar10"][0], thresholds__full__kind="<b>")
        for text in (
            pieces({"mlp-cifar10": [run]})["claims_table"],
            chapter_claims("mlp-cifar10", [run])._repr_html_(),
        ):
            assert "&lt;b&gt;" in text
            assert "<b>" not in text

    def test_needs_no_network(self):
        static = Path(__file__).parents[3] / "book" / "static"
        for name in ("claims.js", "claims.css"):
            assert "//" not in re.sub(r"^\s*//.*$", "", (static / name).read_text(), flags=re.M)
