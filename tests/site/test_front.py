"""The first page in a browser: the answer above the fold, a way to every chapter, a citation."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

import pytest
from pybtex.database import parse_string

from companion.runs.chapters import CHAPTERS

pytestmark = pytest.mark.browser
pytest.importorskip("playwright", reason="needs playwright: pip install -e '.[dev]'")


@pytest.fixture
def front(site, page):
    """The first page, at the size of a small laptop's window."""
    page.goto((site / "index.html").as_uri())
    return page


def test_the_answer_is_above_the_fold(front):
    lines = front.locator(".front-lines li")
    assert lines.count() == 3
    marks = [line.get_by_role("img") for line in lines.all()]
    assert [mark.get_attribute("aria-label") for mark in marks] == ["claim", "yes", "no"]
    picture = front.locator(".front-picture img")
    assert picture.count() == 1
    for part in (*lines.all(), picture):
        box = part.bounding_box()
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= 900
    # It is loaded, wide enough to be read, and said in words.
    assert picture.evaluate("image => image.complete && image.naturalWidth") > 0
    assert picture.bounding_box()["width"] >= 560
    assert len(picture.get_attribute("alt")) > 100


@pytest.mark.parametrize(("width", "columns"), [(1440, 5), (1280, 5), (800, 4), (390, 2)])
def test_small_figures_stand_in_columns(front, width, columns):
    front.set_viewport_size({"width": width, "height": 900})
    boxes = [item.bounding_box() for item in front.locator(".front-gallery li").all()]
    assert len(boxes) == len(CHAPTERS)
    assert len({round(box["x"]) for box in boxes}) == columns
    assert min(box["width"] for box in boxes) > 120


def test_every_chapter_is_led_to(site, front):
    links = front.locator(".front-gallery li a")
    assert links.count() == len(CHAPTERS)
    for link, chapter in zip(links.all(), CHAPTERS, strict=True):
        assert link.get_attribute("href") == f"chapters/{chapter.name}.html"
        assert (site / "chapters" / f"{chapter.name}.html").exists()
        assert chapter.title in link.inner_text()
        for image in link.locator("img").all():
            assert chapter.title in image.get_attribute("alt")
            assert image.evaluate("image => image.complete && image.naturalWidth") > 0


def test_what_the_lines_lead_to_is_there(site, front):
    links = front.locator(".front-lines a, .front-picture a:not(.headerlink)").all()
    assert links
    for link in links:
        address = urlsplit(link.get_attribute("href"))
        page = site / (unquote(address.path) or "index.html")
        assert page.exists()
        if address.fragment:
            assert f'id="{address.fragment}"' in page.read_text(encoding="utf-8")


def test_a_count_leads_to_as_many_claims(front):
    links = front.locator('.front-lines a[href*="?"]')
    texts = [link.inner_text() for link in links.all()]
    assert texts
    for number in range(len(texts)):
        with front.expect_navigation():
            links.nth(number).click()
        expected = int(re.match(r"\d+", texts[number])[0])
        shown = front.locator("#claims-table tbody tr:visible")
        shown.nth(expected - 1).wait_for()
        assert shown.count() == expected
        front.go_back()


def test_nothing_overflows_on_a_phone(front):
    front.set_viewport_size({"width": 390, "height": 844})
    assert front.evaluate("document.documentElement.scrollWidth") <= 390
    outside = front.evaluate(
        """[...document.querySelectorAll("article *")].filter(one => {
            const box = one.getBoundingClientRect();
            return box.width && box.right > window.innerWidth + 1 && !one.closest("pre");
        }).map(one => one.outerHTML.slice(0, 80))"""
    )
    assert outside == []


def test_citations_can_be_copied_and_parsed(front):
    blocks = front.locator("div.highlight-bibtex")
    assert blocks.count() == 2
    for block in blocks.all():
        assert block.locator("button.copybtn").count() == 1
        (entry,) = parse_string(block.locator("pre").inner_text(), "bibtex").entries.values()
        assert entry.persons["author"]
        assert entry.fields["title"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_marks_are_seen_in_both_themes(front, scheme):
    front.evaluate("theme => { document.documentElement.dataset.theme = theme }", scheme)
    colors = front.evaluate(
        """[...document.querySelectorAll(".front-mark")].map(mark =>
            [mark, document.body].map(one => getComputedStyle(one)).map(
                (style, number) => number ? style.backgroundColor : style.color))"""
    )
    assert all(contrast(*pair) >= 4.5 for pair in colors)


def contrast(one, other):
    """Of two colours as CSS has them."""

    def light(color):
        parts = [int(part) / 255 for part in re.findall(r"\d+", color)[:3]]
        red, green, blue = (
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted([light(one), light(other)])
    return (high + 0.05) / (low + 0.05)
