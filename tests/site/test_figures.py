"""Figures in a browser: one of their own on a phone, letters one can read, and a large view."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from urllib.parse import unquote, urlparse

import matplotlib.pyplot as plt
import numpy as np
import pytest
from bs4 import BeautifulSoup
from PIL import Image

from companion.pages.panels import chapter_panels
from companion.pages.svg import compact
from companion.runs.records import read_chapter

pytestmark = pytest.mark.browser
pytest.importorskip("playwright", reason="needs playwright: pip install -e '.[dev]'")

ROOT = Path(__file__).parents[2]
PHONE, SCREEN = {"width": 390, "height": 844}, {"width": 1440, "height": 900}
FIGURE = "img.six-panels"


@pytest.fixture(scope="session")
def chapters(site) -> list[Path]:
    """The pages that show six panels."""
    found = [
        path
        for path in sorted(site.glob("*/*.html"))
        if "six-panels" in path.read_text(encoding="utf-8")
    ]
    if not found:
        pytest.skip("the site has no chapter with a record")
    return found


def shown(page) -> Path:
    """The file of the picture that the browser has chosen, which it could load."""
    image = page.locator(FIGURE)
    assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    return Path(unquote(urlparse(image.evaluate("image => image.currentSrc")).path))


def smallest_letter(path: Path) -> tuple[float, float]:
    """Size of the smallest letters in a picture, and its width, in the picture's own units."""
    text = path.read_text(encoding="utf-8")
    sizes = [100 * float(size) for size in re.findall(r"scale\(([\d.]+) -[\d.]+\)", text)]
    assert len(sizes) > 20
    return min(sizes), float(ET.fromstring(text).get("viewBox", "").split()[2])


def test_each_screen_gets_its_picture(page, chapters):
    for path in chapters:
        page.goto(path.as_uri())
        for screen, narrow in ((PHONE, True), (SCREEN, False)):
            page.set_viewport_size(screen)
            assert shown(page).stem.endswith("-narrow") == narrow


@pytest.mark.parametrize("screen", [PHONE, SCREEN], ids=["phone", "screen"])
def test_letters_of_the_panels_can_be_read(page, chapters, screen):
    page.set_viewport_size(screen)
    for path in chapters:
        page.goto(path.as_uri())
        size, width = smallest_letter(shown(page))
        box = page.locator(FIGURE).bounding_box()
        assert size * box["width"] / width >= 9
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= screen["width"]


@pytest.mark.parametrize("name", ["index", "conclusion", "speed"])
def test_letters_of_other_figures_can_be_read_on_a_phone(page, site, name):
    page.set_viewport_size(PHONE)
    page.goto((site / f"{name}.html").as_uri())
    images = page.locator("article figure:has(source) img")
    assert images.count() > 0
    for image in images.all():
        image.scroll_into_view_if_needed()
        assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
        file = Path(unquote(urlparse(image.evaluate("image => image.currentSrc")).path))
        size, width = smallest_letter(file)
        assert size * image.bounding_box()["width"] / width >= 9, file.name


def test_the_keyboard_enlarges_a_figure(page, chapters):
    page.goto(chapters[0].as_uri())
    link = page.locator(f"a.enlarge:has({FIGURE})")
    link.focus()
    for closed in ("Escape", "Enter"):  # the button has the focus
        page.keyboard.press("Enter")
        dialog = page.locator("dialog.enlarged")
        assert dialog.is_visible()
        assert re.match(r"Figure \d+, enlarged", dialog.get_attribute("aria-label"))
        image = dialog.locator("img")
        assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
        assert image.get_attribute("alt") == page.locator(FIGURE).get_attribute("alt")
        assert image.bounding_box()["width"] >= SCREEN["width"] - 20  # but for a scroll bar
        page.keyboard.press(closed)
        assert not dialog.is_visible()
        assert link.evaluate("link => link === document.activeElement")


def test_a_click_enlarges_and_another_closes(page, chapters):
    page.goto(chapters[0].as_uri())
    page.locator(FIGURE).click(position={"x": 3, "y": 3})
    dialog = page.locator("dialog.enlarged")
    assert dialog.is_visible()
    dialog.locator("img").click()
    assert not dialog.is_visible()


def test_on_a_phone_it_is_larger_than_the_screen(page, chapters):
    page.set_viewport_size(PHONE)
    page.goto(chapters[0].as_uri())
    page.locator(f"a.enlarge:has({FIGURE})").click(position={"x": 3, "y": 3})
    image = page.locator("dialog.enlarged img")
    assert image.bounding_box()["width"] > 2 * PHONE["width"]


def test_without_javascript_figures_are_links(browser, chapters):
    context = browser.new_context(java_script_enabled=False, offline=True)
    try:
        page = context.new_page()
        page.goto(chapters[0].as_uri())
        page.locator(f"a.enlarge:has({FIGURE})").click(position={"x": 3, "y": 3})
        page.wait_for_url("**/*.svg")
    finally:
        context.close()


def test_every_figure_of_the_book_is_told_and_can_be_enlarged(site):
    """Also those that notebooks show; the address is of a file that is there."""
    seen = 0
    for path in sorted(site.rglob("*.html")):
        soup = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        for image in soup.select("article figure img, article .cell_output img"):
            seen += 1
            link = image.find_parent("a")
            where = f"{path.name}: {image['src']}"
            assert link is not None, where
            assert (path.parent / unquote(link["href"])).exists() or ".html" in link["href"], where
            assert len(image.get("alt", "")) > 20, where
            assert not re.fullmatch(r"\S+\.\w+", image["alt"]), where
    assert seen > 0


def test_small_files_look_like_large_ones(page, tmp_path):
    """The chapter's picture beside what Matplotlib writes of the same figure."""
    records = read_chapter(ROOT / "results", "small", "mlp-cifar10")
    figure = chapter_panels(records, title="MLP")
    with plt.rc_context({"svg.hashsalt": "a"}), io.StringIO() as file:
        figure.savefig(file, format="svg", metadata={"Date": None})
        texts = {"large": file.getvalue(), "small": compact(file.getvalue())}
    pictures = []
    for name, text in texts.items():
        (tmp_path / f"{name}.svg").write_text(text, encoding="utf-8")
        page.goto((tmp_path / f"{name}.svg").as_uri())
        with Image.open(io.BytesIO(page.screenshot())) as picture:
            pictures.append(np.asarray(picture.convert("L"), dtype=float))
    apart = np.abs(pictures[0] - pictures[1])
    assert pictures[0].std() > 10
    # Edges move by a part of a pixel; nothing is gone, nothing is new.
    assert (apart > 128).mean() < 0.0005
    assert apart.mean() < 1.0
