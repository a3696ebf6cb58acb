"""Tables in a browser: every column is in sight, on a phone rows are cards, heads say something."""

from __future__ import annotations

import re

import pytest

from companion.data.specs import DATASETS
from companion.networks import NETWORKS

pytestmark = pytest.mark.browser

#: Pages whose tables are needed whole.
PAGES = (
    "results", "tables", "conclusion", "claims", "status", "speed", "errata", "choices", "kinds",
    "artifact", "places", "analyze", "survives",
)  # fmt: skip
#: Names that are for the shell and for folders.
SHORT = sorted(
    name for name in (*NETWORKS, *DATASETS) if re.search(r"[_\d]", name) or len(name) > 8
)
#: Of every table that has a head and is not folded away: its head, what holds it, and how far its
#: cells reach.
MEASURED = """() => [
  ...document.querySelectorAll(".bd-article table:has(thead):not(details *)")
].map((table) => {
  const cells = [...table.querySelectorAll("th, td")];
  const seen = cells.map((cell) => cell.getBoundingClientRect()).filter(({ width }) => width > 2);
  const parent = table.parentElement.getBoundingClientRect();
  return {
    heads: [...table.querySelectorAll("thead th")].map((head) => head.textContent.trim()),
    right: Math.max(...seen.map(({ right }) => right)),
    left: Math.min(...seen.map(({ left }) => left)),
    parent: [parent.left, parent.right],
    unlabelled: [...table.querySelectorAll("tbody td:not([data-head])")].length,
    labels: [...new Set([...table.querySelectorAll("td[data-head]")].map((c) => c.dataset.head))],
    side: seen.length > 2 && [...table.querySelectorAll("tbody tr")].some((row) => {
      const tops = [...row.querySelectorAll("td")].map((cell) => cell.getBoundingClientRect())
        .filter(({ width }) => width > 2).map(({ top }) => Math.round(top));
      return new Set(tops).size < tops.length;
    }),
  };
})"""


def opened(page, site, name, width):
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"file://{site}/{name}.html")
    return page.evaluate(MEASURED)


@pytest.mark.parametrize("name", PAGES)
def test_all_columns_are_in_sight_on_a_small_laptop(page, site, name):
    tables = opened(page, site, name, 1280)
    assert tables
    for table in tables:
        left, right = table["parent"]
        assert left - 1 <= table["left"] <= table["right"] <= right + 1, table["heads"]
        assert right <= 1280
        assert all(table["heads"]), table["heads"]
        assert table["side"]
        assert not table["unlabelled"]


@pytest.mark.parametrize("name", PAGES)
def test_on_a_phone_rows_are_cards(page, site, name):
    tables = opened(page, site, name, 390)
    for table in tables:
        assert 0 <= table["left"] <= table["right"] <= 390, table["heads"]
        assert not table["side"], table["heads"]
        assert all(table["labels"])
        assert not re.search(r"[\\$]", " ".join(table["labels"]))
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("name", PAGES)
def test_cells_show_the_names_of_networks_and_data_that_people_use(page, site, name):
    page.goto(f"file://{site}/{name}.html")
    texts = page.evaluate(
        """() => [...document.querySelectorAll(".bd-article :is(th, td)")].map((cell) => {
          const copy = cell.cloneNode(true);
          for (const code of copy.querySelectorAll("code")) code.remove();
          return copy.textContent;
        })"""
    )
    assert len(texts) > 5
    named = re.compile(rf"(?<![\w/-])({'|'.join(map(re.escape, SHORT))})(?!\w)")
    assert [text for text in texts if named.search(text)] == []


@pytest.mark.parametrize("name", PAGES)
def test_numbers_have_digits_that_make_sense(page, site, name):
    page.goto(f"file://{site}/{name}.html")
    texts = page.evaluate(
        """() => [...document.querySelectorAll(".bd-article td:not(:has(code))")]
          .map((cell) => cell.textContent)"""
    )
    for text in texts:
        if len(text.split()) < 5:  # a sentence may speak of it
            assert not re.search(r"(?i)(?<![\w-])(nan|inf)(?!\w)", text), text
        # In percent one decimal is as much as any test set tells.
        assert not re.search(r"\d\.\d\d+ ?%", text), text
        assert not re.search(r"\d\.\d{7,}", text), text


@pytest.mark.parametrize("name", PAGES)
def test_on_paper_no_column_is_lost(page, site, name):
    """A4 with margins of 15 mm."""
    page.emulate_media(media="print")
    tables = opened(page, site, name, 680)
    for table in tables:
        left, right = table["parent"]
        assert left - 1 <= table["left"] <= table["right"] <= right + 1, table["heads"]
        assert table["side"], table["heads"]
