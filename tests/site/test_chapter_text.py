"""Pages of chapters in a browser: what was found, the card with its commands, and the tables."""

from __future__ import annotations

import re
import shlex

import pytest

from companion.pages.card import card
from companion.runs.chapters import CHAPTERS
from companion.runs.committed import committed_chapter

pytestmark = pytest.mark.browser

#: Pages looked at on a telephone, too: one, three and mixed seeds, long cells.
SOME = ("mlp-cifar10", "mlp-flowers102", "resnet18-cifar10", "bert-ag_news")
#: Of every table and card: what stands in its head, and how far it and its cells reach.
MEASURED = """() => [...document.querySelectorAll(".bd-article :is(table, dl.record-card)")]
  .filter((box) => !box.closest("details"))
  .map((box) => {
    const seen = [...box.querySelectorAll("th, td, dd")].map((cell) => cell.getBoundingClientRect())
      .filter(({ width }) => width > 2);
    const { left, right } = box.parentElement.getBoundingClientRect();
    return {
      heads: [...box.querySelectorAll("thead th, dt")].map((head) => head.textContent.trim()),
      cells: [Math.min(...seen.map((c) => c.left)), Math.max(...seen.map((c) => c.right))],
      parent: [left, right],
    };
  })"""


@pytest.fixture(scope="module")
def chapters():
    """The committed records by name of the chapter."""
    found = {chapter.name: committed_chapter(chapter.name) for chapter in CHAPTERS}
    return {name: records for name, records in found.items() if records}


def opened(page, site, name, width=1280):
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"file://{site}/chapters/{name}.html")
    return page.locator(".bd-article")


@pytest.mark.parametrize("name", [chapter.name for chapter in CHAPTERS])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_runs_out_of_the_page(page, site, name, width):
    if width < 1000 and name not in SOME:
        pytest.skip("looked at where there is more room")
    article = opened(page, site, name, width)
    boxes = page.evaluate(MEASURED)
    assert len(boxes) > 10
    for box in boxes:
        assert all(box["heads"]), box["heads"]
        left, right = box["parent"]
        assert left - 1 <= box["cells"][0] <= box["cells"][1] <= right + 1, box["heads"]
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    assert not re.search(r"\bnan\b", article.inner_text(), flags=re.IGNORECASE)


def test_the_card_names_the_commands_of_the_committed_records(page, site, chapters):
    for name, (first, *others) in chapters.items():
        block = opened(page, site, name).locator("#the-run pre").first.inner_text()
        (expected,) = re.findall(
            r"```bash\n(.*?)\n```", card(first, others, committed=True), flags=re.DOTALL
        )
        lines = [shlex.split(line) for line in block.strip().split("\n")]
        assert lines == [shlex.split(line) for line in expected.split("\n")]
        assert len(lines) == 1 + len(others)


@pytest.mark.parametrize("name", SOME)
def test_files_of_the_record_lie_where_the_card_says(page, site, name):
    links = opened(page, site, name).locator("dl.record-card a[download]")
    targets = [link.get_attribute("href") for link in links.all()]
    assert {target.rsplit("/", 1)[1] for target in targets} >= {
        "chapter.ipynb", "curves.csv", "result.json",
    }  # fmt: skip
    for target in targets:
        assert (site / "chapters" / target).is_file(), target


def test_what_was_found_stands_on_one_page_alone(page, site, chapters):
    seen = {}
    for name in chapters:
        parts = opened(page, site, name).locator("#what-was-found > p").all_inner_texts()
        for sentence in re.split(r"(?<=[.])\s+(?=[A-Z])", " ".join(parts)):
            assert sentence not in seen, (name, seen[sentence])
            seen[sentence] = name
    assert len(seen) >= 4 * len(chapters)


def test_counts_of_claims_lead_to_the_ledger_of_the_chapter(page, site):
    link = opened(page, site, "mlp-cifar10").locator("#what-was-found a").first
    link.click()
    assert "claims.html?" in page.url
    assert "chapter=mlp-cifar10" in page.url
    shown = page.locator("#claims-table tbody tr:not([hidden])")
    assert shown.count() > 0
    for chapters in shown.evaluate_all("(rows) => rows.map((row) => row.dataset.chapters)"):
        assert "mlp-cifar10" in chapters.split()
