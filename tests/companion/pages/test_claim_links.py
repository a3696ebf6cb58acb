"""Addresses of the claims page: what they choose is there, and every sentence has one."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion.pages.claim_links import FIELDS, about, claims_address
from companion.pages.conclusion import conclusion
from companion.pages.ledger import pieces
from companion.pages.scale import scale_sentences
from companion.paper.claims import claims
from companion.paper.subjects import SUBJECTS, claims_about
from companion.paper.verdict import verdict
from companion.runs.chapters import CHAPTERS
from companion.runs.records import read_chapter

ROOT = Path(__file__).parents[3]


@given(st.dictionaries(st.sampled_from(FIELDS), st.text(st.characters(codec="utf-8"))))
def test_an_address_says_what_is_chosen_and_nothing_else(chosen):
    parts = urlsplit(claims_address(**chosen))
    assert (parts.path, parts.fragment) == ("claims.html", "claims-table")
    assert dict(parse_qsl(parts.query)) == {k: v for k, v in chosen.items() if v}


def test_what_cannot_be_chosen_chooses_nothing():
    assert claims_address(colour="red") == claims_address()


def test_the_page_chooses_by_the_same_fields():
    script = (ROOT / "book" / "static" / "claims.js").read_text()
    own = re.findall(r'"(\w+)"', re.search(r"OWN = \[(.*?)\]", script)[1])
    choices = re.search(r"const choices = \{(.*?)\n  \};", script, re.S)[1]
    first = re.findall(r"^    (\w+):", choices, re.M)
    assert (*first, *own, "text") == FIELDS


@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_link_leads_to_its_subject_and_says_whether_it_is_one_claim(subject):
    link = about(subject)
    address = unescape(re.search('href="(.*?)"', link)[1])
    assert dict(parse_qsl(urlsplit(address).query)) == {"about": subject}
    assert ("the claims on" in link) == (len(claims_about(subject)) > 1)


@pytest.mark.slow
def test_every_sentence_of_the_conclusion_leads_to_claims_that_are_there():
    chapters = {c.name: read_chapter(ROOT / "results", "small", c.name) for c in CHAPTERS}
    text = conclusion(verdict(chapters))
    five = [line for line in text.splitlines() if re.match(r"\d\. \*\*", line)]
    assert len(five) == 5
    assert all(line.count("<a class=") == 1 for line in five)
    bold = [line for line in text.splitlines() if line.startswith("**")]
    assert len(bold) >= 6
    assert all("<a class=" in line for line in bold)
    links = re.findall(r'href="(.*?)"', text + scale_sentences(chapters))
    chosen = [dict(parse_qsl(urlsplit(unescape(link)).query))["about"] for link in links]
    assert set(chosen) == set(SUBJECTS)
    rows = re.findall(r'data-about="(.*?)"', pieces({}, draws=1)["claims_table"])
    assert len(rows) == len(claims())
    for subject in chosen:
        assert sum(subject in row.split(";") for row in rows) == len(claims_about(subject)) > 0
