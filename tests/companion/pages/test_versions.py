"""What the paper states, in every version that it gives and none twice."""

from __future__ import annotations

import re

import pytest

from companion.pages.versions import knows, paper_threshold, versions
from companion.paper.published import lookup
from companion.runs.chapters import CHAPTERS
from companion.runs.methods import METHODS

QUANTITIES = [("accuracy", None), ("speedup", None), *(
    (quantity, method) for quantity in ("tau_star", "beta_star") for method in METHODS
)]  # fmt: skip


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda c: c.name)
def test_every_number_once_with_its_places(chapter):
    for quantity, method in QUANTITIES:
        text = versions(chapter.model, chapter.dataset, quantity, method)
        rows = lookup(chapter.model, chapter.dataset, quantity, method).dropna(subset="low")
        distinct = rows[["low", "high", "value"]].drop_duplicates()
        assert bool(text) == (len(rows) > 0)
        factor = 100 if quantity == "accuracy" else 1
        said = re.sub(r"\([^)]*\)", "", text)
        numbers = [float(n) / factor for n in re.findall(r"\d+(?:\.\d+)?", said)]
        expected = [n for row in distinct.itertuples() for n in dict.fromkeys((row.low, row.high))]
        assert numbers == pytest.approx(expected)
        if len(distinct) > 1:
            assert set(re.findall(r"(?:Section|Table) [\d.]*\d", text)) == set(rows["source"])
        assert ("≈" in text) == rows["approximate"].any()


def test_the_same_number_in_two_spellings():
    assert versions("gpt2", "yelp", "tau_star", "full") == "≈ 0.80–1.00"


@pytest.mark.parametrize("model", ["perceptron", "mlp"])
def test_what_the_paper_does_not_have(model):
    assert not knows(model, "yelp")
    assert versions(model, "yelp", "tau_star", "full") == ""
    assert not knows(model, "digits")


def test_a_threshold_in_words():
    assert paper_threshold("vit", "cifar10", "full") == "a valley at τ\\* ≈ 0.09 (β\\* ≈ 0.52)"
    assert paper_threshold("vit", "cifar10", "renormalized") == ""
    for chapter in CHAPTERS:
        for method in METHODS:
            assert "((" not in paper_threshold(chapter.model, chapter.dataset, method)
