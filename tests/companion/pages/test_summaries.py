"""What a page is about: short, without markup, and another line for every page."""

from __future__ import annotations

import json

from docutils import nodes
from hypothesis import given
from hypothesis import strategies as st

from companion.pages.summaries import LONGEST, descriptions, opening, shortened, texts_script

WORDS = st.text("ab ,.", max_size=400).map(lambda text: " ".join(text.split()))
PAGES = st.lists(st.lists(WORDS.filter(bool), max_size=3), min_size=1, max_size=6)


@given(PAGES)
def test_every_page_has_a_line_of_its_own(paragraphs):
    pages = {str(k): (f"Page {k}", texts) for k, texts in enumerate(paragraphs)}
    made = descriptions(pages)
    assert made.keys() == pages.keys()
    assert all(0 < len(line) <= LONGEST for line in made.values())
    assert len(set(made.values())) == len(made)


def test_pages_that_begin_alike_are_told_apart_by_their_titles():
    same = "The plainest network of the paper: an image is flattened to one long vector."
    other = "A network of the paper that shares its weights over the whole of an image."
    pages = {"a": ("MLP on A", [same]), "b": ("MLP on B", [same]), "c": ("CNN", [other])}
    assert descriptions(pages) == {"a": f"MLP on A: {same}", "b": f"MLP on B: {same}", "c": other}


@given(WORDS, st.integers(20, 200))
def test_a_text_is_cut_between_words(text, longest):
    short = shortened(text, longest)
    assert len(short) <= longest
    assert text == short or (short.endswith("…") and text.startswith(short[:-1]))
    if text != short and " " in text[: longest - 1]:
        assert not text[len(short) - 1].isalnum()


def test_only_paragraphs_of_the_page_itself_open_it():
    note = nodes.note("", nodes.paragraph("", "", nodes.Text("a note")))
    first = nodes.paragraph("", "", nodes.Text("first"))
    item = nodes.list_item("", nodes.paragraph("", "", nodes.Text("an item")))
    section = nodes.section("", note, nodes.bullet_list("", item), first, nodes.paragraph())
    assert list(opening(section)) == ["first"]


@given(st.dictionaries(st.text(), st.dictionaries(st.text(), st.lists(st.text()))))
def test_a_script_holds_the_words_as_they_are(texts):
    name, _, content = texts_script(texts).partition(" = ")
    assert name == "window.pageTexts"
    assert json.loads(content.removesuffix(";\n")) == texts
