"""The helpers that make tables and what stands in their cells."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion.data.specs import DATASETS
from companion.networks import NETWORKS
from companion.pages.escape import in_html
from companion.pages.tables import NOT_STATED, cells, counted, html, stated
from companion.paper.published import lookup
from companion.runs.chapters import CHAPTERS, chapter_title


class Table(HTMLParser):
    """Texts of head and cells, and the head that each cell names."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.heads: list[str] = []
        self.rows: list[list[tuple[str, str]]] = []
        self.inside = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag == "tr":
            self.rows.append([])
        elif tag == "th":
            assert given["scope"] == "col"
            self.heads.append("")
        elif tag == "td":
            self.rows[-1].append((given["data-head"], ""))
        self.inside = tag if tag in ("th", "td") else self.inside

    def handle_data(self, data):
        if self.inside == "th":
            self.heads[-1] += data
        elif self.inside == "td":
            head, text = self.rows[-1][-1]
            self.rows[-1][-1] = (head, text + data)

    def handle_endtag(self, tag):
        if tag in ("th", "td"):
            self.inside = ""


words = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1)


@given(st.lists(words, min_size=1, max_size=4, unique=True), st.data())
def test_every_cell_of_a_table_in_html_names_its_column(header, data):
    row = st.lists(words, min_size=len(header), max_size=len(header))
    rows = data.draw(st.lists(row, max_size=3))
    text = html(header, [[in_html(cell) for cell in line] for line in rows])
    found = Table(text)
    assert found.heads == header
    assert found.rows[1:] == [list(zip(header, line, strict=True)) for line in rows]
    assert "\n\n" not in text  # a blank line would end the HTML within Markdown


def test_a_row_of_another_length_is_no_row():
    with pytest.raises(ValueError, match="argument"):
        cells(["a", "b"], ["1"])


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda c: c.name)
def test_titles(chapter):
    assert chapter_title(chapter.name) == chapter.title
    assert NETWORKS[chapter.model].title in chapter_title(chapter.name)
    assert DATASETS[chapter.dataset].title in chapter_title(chapter.name)


@given(st.integers(0, 10**6))
def test_only_one_is_singular(number):
    assert counted(number, "run") == f"{number} run" + ("" if number == 1 else "s")


class TestStated:
    @pytest.mark.parametrize("places", [False, True])
    def test_every_value_once_with_all_its_places(self, places):
        rows = lookup("resnet18", "cifar10", "beta_star", "full")
        text = stated("resnet18", "cifar10", "beta_star", "full", places=places)
        assert len(text.split("; ")) == 2  # text and table disagree
        assert all((source in text) == places for source in rows["source"])

    def test_accuracies_are_in_percent(self):
        low = lookup("mlp", "cifar10", "accuracy")["low"].iloc[0]
        assert stated("mlp", "cifar10", "accuracy").startswith(f"{100 * low:g}")

    def test_words_come_with_their_places_only(self):
        assert "slower" in stated("vit", "cifar10", "speedup", places=True)
        assert "slower" not in stated("vit", "cifar10", "speedup")

    @pytest.mark.parametrize(
        ("model", "dataset"), [("perceptron", "cifar10"), ("mlp", "digits"), ("mlp", "yelp")]
    )
    def test_nothing_of_what_the_paper_does_not_have(self, model, dataset):
        assert stated(model, dataset, "accuracy") == NOT_STATED
