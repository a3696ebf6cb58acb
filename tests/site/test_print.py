"""On paper no column is lost: tables are as wide as the page, and all their cells are on it."""

from __future__ import annotations

import io
import re
import unicodedata

import pytest
from bs4 import BeautifulSoup
from pypdf import PdfReader

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

#: An A4 page between its margins, in pixels.
PAPER = {"width": 695, "height": 1000}
OVERFLOWING = """() => [...document.querySelectorAll(".bd-article *")]
  .filter((part) => part.checkVisibility() && !part.closest("mjx-container, svg"))
  .filter((part) => part.getBoundingClientRect().right > innerWidth + 6)  // the padding of code
  .map((part) => `${part.tagName} ${part.className} ${part.textContent.trim().slice(0, 60)}`)
  .slice(0, 3)"""


def test_nothing_is_wider_than_the_paper(browser, browser_context_args, site, pages):
    context = browser.new_context(**browser_context_args)
    page = context.new_page()
    page.route("**/mathjax/**", lambda route: route.abort())
    page.set_viewport_size(PAPER)
    page.emulate_media(media="print")
    cut = {}
    for path in pages:
        page.goto(path.as_uri())
        found = page.evaluate(OVERFLOWING)
        if found:
            cut[path.relative_to(site).as_posix()] = found
    context.close()
    assert cut == {}


@pytest.fixture
def paper(page):
    """Prints a page, with nothing hidden beyond the edges of the paper."""

    def printed(path, theme: str = "light") -> PdfReader:
        page.emulate_media(color_scheme=theme)
        page.goto(path.as_uri())
        page.evaluate("() => window.MathJax?.startup?.promise.then(() => true)")
        return PdfReader(io.BytesIO(page.pdf(prefer_css_page_size=True)))

    return printed


def on_paper(book: PdfReader) -> str:
    """What begins on the paper, without spaces: words are broken where lines end."""
    seen: list[str] = []
    for page in book.pages:
        width = float(page.mediabox.width)

        def visit(text, user, matrix, font, size, width=width):
            x = user[0] * matrix[4] + user[2] * matrix[5] + user[4]
            if 0 <= x <= width:
                seen.append(text)

        page.extract_text(visitor_text=visit)
    return bare("".join(seen))


def bare(text: str) -> str:
    """Letters alone, each as itself: no ligatures, no hyphens of broken words."""
    return re.sub(r"[\s\-\u2010\u00ad]", "", unicodedata.normalize("NFKC", text))


@pytest.mark.parametrize("name", ["results", "claims", "tables", "chapters/mlp-cifar10"])
def test_the_last_column_is_on_paper(paper, site, name):
    path = site / f"{name}.html"
    book = paper(path)
    assert {round(float(page.mediabox.width)) for page in book.pages} == {595}
    text = on_paper(book)
    tables = BeautifulSoup(path.read_text("utf-8"), "html.parser").select(".bd-article table")
    tables = [table for table in tables if not table.find_parent("details")]  # these stay folded
    assert tables
    missing = set()
    for table in tables:
        for row in table.select("tr"):
            cell = row.find_all(["th", "td"], recursive=False)[-1]
            for part in cell.select("details, script, .math"):
                part.extract()
            missing |= {word for word in cell.get_text(" ").split() if bare(word) not in text}
    assert missing == set()


def test_paper_is_white_in_the_dark_too(paper, site):
    light, dark = (paper(site / "method.html", theme) for theme in ("light", "dark"))
    assert [p.extract_text() for p in light.pages] == [p.extract_text() for p in dark.pages]
    for one, other in zip(light.pages, dark.pages, strict=True):
        assert one.get_contents().get_data() == other.get_contents().get_data()


def test_formulas_are_drawn_on_paper(paper, site):
    text = "".join(page.extract_text() for page in paper(site / "method.html").pages)
    assert "\\(" not in text
    assert "\\tau" not in text
