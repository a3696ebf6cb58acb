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


def commands(block):
    """The words of each line."""
    return [shlex.split(line) for line in block.strip().split("\n")]


def opened(page, site, name, width=1280):
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"file://{site}/chapters/{name}.html")
    return page.locator(".bd-article")


@pytest.mark.parametrize(
    ("width", "name"),
    [*((1280, chapter.name) for chapter in CHAPTERS), *((390, name) for name in SOME)],
)
def test_nothing_runs_out_of_the_page(page, site, name, width):
    article = opened(page, site, name, width)
    boxes = page.evaluate(MEASURED)
    assert len(boxes) > 10
    for box in boxes:
        assert all(box["heads"]), box["heads"]
        left, right = box["parent"]
        assert left - 1 <= box["cells"][0] <= box["cells"][1] <= right + 1, box["heads"]
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    assert not re.search(r"\bnan\b", article.inner_text(), flags=re.IGNORECASE)


def test_every_page_has_its_own_commands_and_its_own_sentences(page, site, chapters):
    seen = {}
    for name, (first, *others) in chapters.items():
        article = opened(page, site, name)
        expected = re.findall(
            r"```bash\n(.*?)\n```", card(first, others, committed=True), flags=re.DOTALL
        )
        blocks = article.locator("#the-run pre").all_text_contents()
        if expected:
            assert list(map(commands, blocks)) == list(map(commands, expected))
            assert len(commands(blocks[0])) == 1 + len(others)
        else:  # of a size that no setting gives any more
            assert not blocks
            assert "cannot be run again" in article.locator("#the-run").text_content()
        found = " ".join(article.locator("#what-was-found > p").all_text_contents())
        for sentence in re.split(r"(?<=[.])\s+(?=[A-Z])", found):
            assert sentence not in seen, (name, seen[sentence])
            seen[sentence] = name
    assert len(seen) >= 4 * len(chapters)


@pytest.mark.parametrize("name", SOME)
def test_files_of_the_record_lie_where_the_card_says(page, site, name):
    links = opened(page, site, name).locator("dl.record-card a[download]")
    targets = [link.get_attribute("href") for link in links.all()]
    assert {target.rsplit("/", 1)[1] for target in targets} >= {
        "chapter.ipynb", "curves.csv", "result.json",
    }  # fmt: skip
    for target in targets:
        assert (site / "chapters" / target).is_file(), target


def test_counts_of_claims_lead_to_the_ledger_of_the_chapter(page, site):
    link = opened(page, site, "mlp-cifar10").locator("#what-was-found > p a").first
    with page.expect_navigation():
        link.click()
    assert "claims.html?" in page.url
    assert "chapter=mlp-cifar10" in page.url
    shown = page.locator("#claims-table tbody tr:not([hidden])")
    assert shown.count() > 0
    for chapters in shown.evaluate_all("(rows) => rows.map((row) => row.dataset.chapters)"):
        assert "mlp-cifar10" in chapters.split()
