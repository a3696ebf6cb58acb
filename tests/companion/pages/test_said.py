"""What the paper says about a chapter: about this one, with published numbers alone."""

from __future__ import annotations

import re

import pytest

from companion.data.specs import DATASETS
from companion.pages.chapter import Page
from companion.pages.said import said
from companion.paper import remarks
from companion.paper.claims import claims
from companion.paper.published import lookup
from companion.paper.remarks import remark
from companion.runs.chapters import CHAPTERS
from thermo_utils.errors import ThermoError

EACH = pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda c: c.name)


@EACH
def test_remarks_hold_numbers_of_their_own_chapter_alone(chapter):
    written = remarks.remarks()[chapter.name]
    names = re.findall(r"\{([^}]*)\}", written)
    own = set(lookup(chapter.model, chapter.dataset)["id"])
    assert set(names) <= own
    words = re.sub(r"\{[^}]*\}|Table \d", "", written)
    assert not re.search(r"\d", words)
    assert "{" not in remark(chapter.name)


def test_no_other_chapter_has_one():
    assert set(remarks.remarks()) == {chapter.name for chapter in CHAPTERS}
    assert remark("mlp-yelp") == ""


def test_a_number_that_is_not_published(monkeypatch):
    monkeypatch.setattr(remarks, "remarks", lambda: {"a": "{S5.1-mlp-cifar10-acuracy}"})
    with pytest.raises(ThermoError, match=r"S5\.1-mlp-cifar10-accuracy"):
        remark("a")


@EACH
def test_speaks_of_its_own_data(chapter):
    text = said(chapter.name)
    for name, spec in DATASETS.items():
        if name != chapter.dataset:
            assert spec.title not in re.sub("“[^”]*”", "", text)  # but the paper's own words may


@EACH
def test_quotes_what_its_claims_stand_on(chapter):
    text = said(chapter.name)
    quotes = re.findall(r"^- “(.*)” \((Section [\d.]+)\)$", text, flags=re.M)
    assert quotes
    assert len(quotes) == len(set(quotes)) == text.count("- “")
    known = set(lookup(chapter.model, chapter.dataset)["quote"])
    known |= {v.quote for c in claims() if chapter.name in c.chapters for v in c.stated}
    for quote, _ in quotes:
        assert quote.replace("&#42;", "*").replace("&#40;", "(") in known


def test_what_the_paper_does_not_have(record):
    assert "does not have MLP on Yelp" in said("mlp-yelp")
    page = Page(record("per-ceptron", "digits"), siblings=[])
    assert "does not have per-ceptron on digits" in page.said()


def test_a_notebook_shows_it_as_markdown(record):
    page = Page(record(), siblings=[])
    assert page.said()._repr_markdown_() == said("mlp-cifar10")
