"""The ledger's page, and its rows on a chapter's page: complete, linked, escaped, counted."""

from __future__ import annotations

import math
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

from companion.pages.ledger import SIGNS, ChapterClaims, chapter_claims, pieces
from companion.paper import ledger as paper_ledger
from companion.paper.claims import KINDS, claims
from companion.paper.ledger import counts, ledger
from companion.paper.left_out import LEFT_OUT
from companion.paper.measures import MEASURES, measure
from companion.paper.rules import RULES, VERDICTS, Verdict
from companion.runs.chapters import CHAPTERS
from companion.runs.records import read_chapter
from tests.companion.paper.hand_record import at, record

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
        if tag == "tr" and "data-verdict" in given:
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
        assert page.cells == 6 * len(CLAIMS)
        inside = {f"#{name}" for name in page.ids} | {f"chapters/{name}.html" for name in NAMES}
        assert set(page.links) <= inside
        assert "\n\n" not in text  # a blank line would end the HTML within Markdown

    def test_rows_can_be_chosen_by_kind_verdict_and_chapter(self, records):
        table = ledger(records)
        for given, row in zip(
            Page(pieces(records)["claims_table"]).rows, table.to_dict("records"), strict=True
        ):
            assert given["data-kind"] == row["kind"]
            assert given["data-verdict"] == row["verdict"]
            assert tuple(given["data-chapters"].split()) == row["chapters"]

    def test_numbers_of_the_summary_link_to_the_rows_they_count(self, records):
        text = pieces(records)["claims_counts"]
        found = counts(ledger(records))
        lines = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("| ")][2:]
        assert len(lines) == len(KINDS) + 1
        for (kind, row), cells in zip(found.iterrows(), lines, strict=True):
            for verdict, cell in zip(found.columns, cells[1:], strict=True):
                number = row[verdict]
                assert re.sub("<[^>]*>", "", cell).strip() == str(number)
                if number and (kind, verdict) != ("all", "all"):
                    chosen = {"kind": kind, "verdict": verdict.replace(" ", "+")}
                    query = "&amp;".join(f"{k}={v}" for k, v in chosen.items() if v != "all")
                    assert f'href="?{query}#claims-table"' in cell
                else:
                    assert "href" not in cell


def test_rules_verdicts_and_what_is_left_out_are_explained():
    text = pieces({})["claims_rules"]
    for name, rule in RULES.items():
        assert f"**{name}**: {rule.meaning}" in text
    for verdict, meaning in VERDICTS.items():
        assert f"{SIGNS[verdict]} **{verdict}**: {meaning}" in text
    for reason in LEFT_OUT.values():
        assert reason in text


def test_every_verdict_has_a_sign_of_its_own():
    assert len(set(SIGNS.values())) == len(Verdict)


def test_where_the_paper_contradicts_itself_the_agreeing_version_is_marked():
    row = of_claim(pieces(SOME)["claims_table"], "vit-flowers102-beta-fe")
    (cell,) = re.findall(r"<td>(0\.5 .*?)</td>", row)
    versions = cell.split("<br>")
    assert [version.split()[0] for version in versions] == ["0.5", "0.56"]
    assert [version.endswith("✓") for version in versions] == [False, True]
    assert "Section 5.1" in versions[0]
    assert "Table 1" in versions[1]
    assert "CIFAR" not in cell  # the section or table alone
    # Equal versions stand there once, without a place.
    assert "<td>0.12</td>" in of_claim(pieces(SOME)["claims_table"], "mlp-cifar10-tau-fe")


def test_every_quote_is_shown_with_its_place():
    row = of_claim(pieces({})["claims_table"], "vit-flowers102-beta-fe")
    (claim,) = (c for c in CLAIMS if c.id == "vit-flowers102-beta-fe")
    for version in claim.stated:
        assert f"<q>{version.quote}</q> <cite>{version.place}</cite>" in row
    assert "<summary>2 quotes</summary>" in row


def test_the_set_up_is_told_where_there_is_a_run():
    text = pieces(SOME)["claims_table"]

    def last(name):
        return re.findall(r"<td>(.*?)</td>", of_claim(text, name))[-1]

    cells = {last(f"{name}-match") for name in ("mlp-cifar10", "cnn-cifar10", "t5-yelp")}
    assert len(cells) == 3
    assert last("t5-yelp-match") == ""
    assert "half &lt; of the data" in of_claim(text, "cnn-cifar10-match")


def test_claims_about_several_chapters_link_to_each():
    row = of_claim(pieces({})["claims_table"], "match-everywhere")
    assert [link for link in Page(row).links if link.startswith("chapters")] == [
        f"chapters/{name}.html" for name in NAMES
    ]
    assert f"<summary>{len(NAMES)} chapters</summary>" in row


def test_synthetic_records_count_for_nothing_and_the_page_says_so():
    made_up = {name: [record(synthetic=True)] for name in NAMES}
    assert "synthetic" in pieces(made_up)["claims_counts"]
    assert "synthetic" not in pieces(ALL)["claims_counts"]
    shown = chapter_claims("mlp-cifar10", made_up["mlp-cifar10"])
    assert set(shown["verdict"]) == {Verdict.NOT_RUN}
    assert shown["ours"].str.contains("synthetic").all()


def test_rows_of_a_chapter_link_into_the_ledger():
    shown = chapter_claims("mlp-cifar10", [record()])
    assert isinstance(shown, ChapterClaims)
    own = [claim.id for claim in CLAIMS if claim.chapters == ("mlp-cifar10",)]
    assert list(shown.index) == own
    assert list(shown.columns) == ["claim", "verdict", "paper", "ours", "rule"]
    page = Page(shown._repr_html_())
    assert [link.rpartition("claims.html#claim-")[2] for link in page.links] == own
    assert page.cells == 6 * len(own)


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
        for name in MEASURES:
            value = measure(name, run)
            assert value is None or isinstance(value, str) or math.isfinite(value), name


def test_needs_no_network():
    static = ROOT / "book" / "static"
    for name in ("claims.js", "claims.css"):
        assert "//" not in re.sub(r"^\s*//.*$", "", (static / name).read_text(), flags=re.M)
