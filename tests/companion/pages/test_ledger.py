"""The ledger's page, and its rows on a chapter's page: complete, linked, escaped, counted."""

from __future__ import annotations

import math
import re
from collections import Counter
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from companion.pages import ledger as pages_ledger
from companion.pages.ledger import SIGNS, ChapterClaims, chapter_claims
from companion.paper import ledger as paper_ledger
from companion.paper.claims import KINDS, claims
from companion.paper.ledger import CELLS, counts, headline
from companion.paper.left_out import LEFT_OUT
from companion.paper.measures import MEASURES, measure
from companion.paper.observed import observed
from companion.paper.rules import OUTCOMES, RULES, Outcome
from companion.paper.setup import SETUPS, Setup, kinds
from companion.paper.subjects import SUBJECTS, claims_about
from companion.runs.chapters import CHAPTERS
from companion.runs.records import read_chapter
from tests.companion.paper.hand_record import at, record

#: A few random thresholds show all that is shown of them.
pieces, ledger = (partial(f, draws=3) for f in (pages_ledger.pieces, paper_ledger.ledger))
ROOT = Path(__file__).parents[3]
CLAIMS = claims()
NAMES = [chapter.name for chapter in CHAPTERS]
SOME = {
    "mlp-cifar10": [record()],
    "vit-flowers102": [at("full", beta=0.6)],
    "cnn-cifar10": [record(differs=["half < of the data"])],
}
ALL = dict.fromkeys(NAMES, [record()] * 3)


class Page(HTMLParser):
    """Collects anchors, links and rows of a table."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.rows: list[dict[str, str]] = []
        self.cells = 0
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag == "tr" and "data-outcome" in given:
            self.rows.append(given)
        self.cells += tag == "td"
        if "id" in given:
            self.ids.append(given["id"])
        if tag == "a":
            self.links.append(given["href"])


def of_claim(text, name):
    """The HTML of a row."""
    start = text.index(f'<tr id="claim-{name}"')
    return text[start : text.index("</tr>", start)]


@pytest.mark.parametrize("records", [{}, SOME, ALL], ids=["none", "some", "all"])
class TestTable:
    def test_a_row_per_claim_and_every_link_leads_somewhere(self, records):
        text = pieces(records)["claims_table"]
        page = Page(text)
        assert page.ids == ["claims-table", *(f"claim-{claim.id}" for claim in CLAIMS)]
        assert page.cells == 7 * len(CLAIMS)
        inside = {f"#{name}" for name in page.ids} | {f"chapters/{name}.html" for name in NAMES}
        assert set(page.links) <= inside
        assert "\n\n" not in text  # a blank line would end the HTML within Markdown

    def test_rows_can_be_chosen_by_each_column_kind_and_chapter(self, records):
        table = ledger(records)
        for given, row in zip(
            Page(pieces(records)["claims_table"]).rows, table.to_dict("records"), strict=True
        ):
            assert given["data-kind"] == row["kind"]
            assert given["data-outcome"] == row["outcome"]
            assert given["data-setup"] == row["setup"]
            assert given["data-placebo"] == {None: "", True: "yes", False: "no"}[row["placebo"]]
            assert tuple(given["data-chapters"].split()) == row["chapters"]
            subjects = [s for s in SUBJECTS if row["id"] in claims_about(s)]
            assert [s for s in given["data-about"].split(";") if s] == subjects

    def test_numbers_of_the_summary_link_to_the_rows_they_count(self, records):
        text = pieces(records)["claims_counts"]
        found = counts(ledger(records))
        lines = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("| ")][2:]
        assert len(lines) == len(KINDS) + 1
        for (kind, row), cells in zip(found.iterrows(), lines, strict=True):
            for name, cell in zip(found.columns, cells[1:], strict=True):
                number = row[name]
                assert re.sub("<[^>]*>", "", cell).strip() == str(number)
                if number and (kind, name) != ("all", "all"):
                    what, setup = CELLS.get(name, ("", None))
                    chosen = {
                        "kind": "" if kind == "all" else kind, "outcome": what, "setup": setup,
                    }  # fmt: skip
                    (link,) = Page(cell).links
                    address, _, query = link.partition("?")
                    query, _, anchor = query.partition("#")
                    assert (address, anchor) == ("claims.html", "claims-table")
                    assert dict(parse_qsl(query)) == {k: v for k, v in chosen.items() if v}
                else:
                    assert "href" not in cell

    def test_the_headline_is_two_sentences_with_the_counts(self, records):
        text = pieces(records)["claims_headline"]
        table = ledger(records)
        found = headline(table)
        same, other = found[Setup.SAME], found[Setup.OTHER]
        waiting = (table["outcome"] == Outcome.NOT_RUN).sum()
        assert re.findall(r"\d+", text) == [
            str(n)
            for n in (
                same.holds, same.holds + same.fails, same.fails, other.holds, other.fails, waiting,
                same.holds, same.empty, other.empty, other.holds,
            )
        ]  # fmt: skip
        assert len(re.findall(r"\.(?= [A-Z]|\n)", text)) == 2


def test_rules_outcomes_set_ups_and_what_is_left_out_are_explained():
    text = pieces({})["claims_rules"]
    for name, rule in RULES.items():
        assert f"**{name}**: {rule.meaning}" in text
    for what, meaning in OUTCOMES.items():
        assert f"{SIGNS[what]} **{what}**: {meaning}" in text
    for name, meaning in SETUPS.items():
        assert f"**{name}**: {meaning}" in text
    for reason in LEFT_OUT.values():
        assert reason in text


def test_every_outcome_has_a_sign_of_its_own():
    assert len(set(SIGNS.values())) == len(Outcome)


def test_the_kinds_of_differences_are_told_with_what_the_records_have_of_each():
    text = pieces(SOME | {"t5-yelp": [record(differs=["1,500 of the test texts"])]})["claims_setup"]
    lines = {line.split(" | ")[0].removeprefix("| "): line for line in text.splitlines()}
    for kind in kinds():
        cells = lines[kind.kind].split(" | ")
        told = [cell != "no" for cell in cells[1:5]]
        assert told == [what in kind.matters for what in ("accuracy", "place", "energy", "time")]
        assert kind.why in cells[5]
    assert "1,500 of the test texts" in lines["test subset"]
    assert "half &#60; of the data" in lines["unknown"]
    assert "unknown" not in pieces({})["claims_setup"]
    for name, made in MEASURES.items():
        shown = re.findall(rf"(?<!\*)\*{name}\*(?!\*)", text)
        assert len(shown) == len(made.reads)


def test_where_the_paper_contradicts_itself_the_agreeing_version_is_marked():
    row = of_claim(pieces(SOME)["claims_table"], "vit-flowers102-beta-fe")
    (cell,) = re.findall(r'<td data-head="Paper">(0\.5 .*?)</td>', row)
    versions = cell.split("<br>")
    assert [version.split()[0] for version in versions] == ["0.5", "0.56"]
    assert [version.endswith("✓") for version in versions] == [False, True]
    assert "Section 5.1" in versions[0]
    assert "Table 1" in versions[1]
    assert "CIFAR" not in cell  # the section or table alone
    # Equal versions stand there once, without a place.
    assert '<td data-head="Paper">0.12</td>' in of_claim(
        pieces(SOME)["claims_table"], "mlp-cifar10-tau-fe"
    )


def test_every_quote_is_shown_with_its_place():
    row = of_claim(pieces({})["claims_table"], "vit-flowers102-beta-fe")
    (claim,) = (c for c in CLAIMS if c.id == "vit-flowers102-beta-fe")
    for version in claim.stated:
        assert f"<q>{version.quote}</q> <cite>{version.place}</cite>" in row
    assert "<summary>2 quotes</summary>" in row


def test_the_set_up_is_told_where_there_is_a_run():
    text = pieces(SOME)["claims_table"]

    def cell(name):
        return re.findall(r"<td .*?>(.*?)</td>", of_claim(text, name))[2]

    assert re.sub("<.*?>", "", cell("mlp-cifar10-match")) == "same"
    assert re.sub("<.*?>", "", cell("t5-yelp-match")) == "–"
    assert re.sub("<.*?>", "", cell("cnn-cifar10-match")) == (
        "otherwhat differshalf &lt; of the data"
    )
    run = record(differs=["2,000 of the test images"])
    text = pieces({"cnn-cifar10": [run]})["claims_table"]
    assert re.sub("<.*?>", "", cell("cnn-cifar10-match")) == (
        "samedoes not matter2,000 of the test images"
    )


def test_a_placebo_that_holds_too_says_which():
    text = pieces(SOME)["claims_table"]
    table = ledger(SOME).set_index("id")
    seen = set()
    for name, row in table.iterrows():
        cell = re.findall(r"<td .*?>(.*?)</td>", of_claim(text, name))[3]
        if row["placebo"] is None:
            assert cell == "–"
            continue
        seen.add((row["placebo"], row["first point"]))
        assert cell.startswith("yes" if row["placebo"] else "no")
        assert ("first point" in cell) == row["first point"]
        assert f"random {100 * row['random']:.0f} %" in cell
    assert seen >= {(True, True), (False, False)}


def test_claims_about_several_chapters_link_to_each():
    row = of_claim(pieces({})["claims_table"], "match-everywhere")
    assert [link for link in Page(row).links if link.startswith("chapters")] == [
        f"chapters/{name}.html" for name in NAMES
    ]
    assert f"<summary>{len(NAMES)} chapters</summary>" in row


def test_synthetic_records_count_for_nothing_and_the_page_says_so():
    made_up = {name: [record(synthetic=True)] for name in NAMES}
    assert "synthetic" in pieces(made_up)["claims_headline"]
    assert "synthetic" not in pieces(ALL)["claims_headline"]
    shown = chapter_claims("mlp-cifar10", made_up["mlp-cifar10"])
    assert set(shown["outcome"]) == {Outcome.NOT_RUN}
    assert shown["ours"].str.contains("synthetic").all()


def test_rows_of_a_chapter_link_into_the_ledger():
    shown = chapter_claims("mlp-cifar10", [record()])
    assert isinstance(shown, ChapterClaims)
    own = [claim.id for claim in CLAIMS if claim.chapters == ("mlp-cifar10",)]
    assert list(shown.index) == own
    assert list(shown.columns) == [
        "claim", "outcome", "setup", "placebo", "paper", "ours", "rule"
    ]  # fmt: skip
    assert set(shown["placebo"].str.split(" ").str[0]) == {"yes", "no", "–"}
    page = Page(shown._repr_html_())
    assert page.links == [f"../claims.html#claim-{name}" for name in own]
    assert page.cells == 7 * len(own)


def test_what_is_shown_is_escaped():
    run = at("full", kind="<b>")
    for text in (
        pieces({"mlp-cifar10": [run]})["claims_table"],
        chapter_claims("mlp-cifar10", [run])._repr_html_(),
    ):
        assert "&lt;b&gt;" in text
        assert "<b>" not in text


def test_the_page_takes_each_measure_of_each_record_once(monkeypatch):
    taken = Counter()

    def counting(name, run):
        taken[name, id(run)] += 1
        return measure(name, run)

    monkeypatch.setattr(paper_ledger, "measure", counting)
    pieces(ALL | SOME)
    assert set(taken.values()) == {1}


def test_every_committed_record_gives_numbers_words_or_nothing():
    found = [run for n in NAMES for run in read_chapter(ROOT / "results", "small", n)[:1]]
    assert found
    for run in found:
        seen = observed(run)
        for name in MEASURES:
            value = measure(name, seen)
            known = value is None or isinstance(value, str) or math.isfinite(value)
            assert known or (MEASURES[name].endless and value == math.inf), name


def test_the_filter_knows_every_column_that_rows_have():
    script = (ROOT / "book" / "static" / "claims.js").read_text()
    own = re.search(r"OWN = \[(.*?)\]", script)[1]
    given = {name for name in Page(pieces({})["claims_table"]).rows[0] if name.startswith("data-")}
    assert {f"data-{name}" for name in re.findall(r'"(.*?)"', own)} == given - {
        "data-chapters", "data-about",
    }  # fmt: skip


def test_no_page_speaks_of_what_a_set_up_excuses():
    """One word for two questions is what the two columns replace."""
    for path in (*ROOT.glob("book/*.md"), ROOT / "README.md"):
        assert "differs in set" not in path.read_text().lower(), path


def test_needs_no_network():
    static = ROOT / "book" / "static"
    for name in ("claims.js", "claims.css"):
        assert "//" not in re.sub(r"^\s*//.*$", "", (static / name).read_text(), flags=re.M)
