"""All pages of the site: whole, quick, quiet, and at home on any screen."""

from __future__ import annotations

import io
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

import pytest
from bs4 import BeautifulSoup
from fontTools.ttLib import TTFont

from companion.pages.icons import icon_names

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

LAPTOP, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
#: What a chapter may weigh beside what all pages share, in bytes. Three seeds of MobileNetV2, whose
#: curves are jagged, weigh 304,000.
CHAPTER = 310_000
#: The same of what pages share, and of that without MathJax. The theme's own icons were 1.49 MB.
SHARED, WITHOUT_MATHJAX = 2_300_000, 900_000
#: Files that belong to one chapter.
OWN = ("_images/", "_static/panels/", "_static/data/")
LATEX = re.compile(r"\\[a-zA-Z(\[{]|\$")

ON_LAPTOP = """async () => {
  await window.MathJax?.startup?.promise;
  const seen = (element) => element.checkVisibility({ visibilityProperty: true });
  const glyph = (element) => getComputedStyle(element, "::before").content.replaceAll('"', "");
  const icons = [...document.querySelectorAll(".fa-solid, .fas, .fa-brands, .fab")];
  return {
    width: document.querySelector(".bd-article")?.getBoundingClientRect().width,
    searches: [...document.querySelectorAll(".search-button__button, .bd-search input")]
      .filter(seen).length,
    icons: icons.filter(seen).map(glyph),
  };
}"""
ON_PHONE = """async () => {
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  return { scrolled: document.documentElement.scrollWidth };
}"""


@dataclass
class Visit:
    """What happened when a page was opened on a laptop, then made as narrow as a phone."""

    path: Path
    said: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    seen: dict = field(default_factory=dict)


@pytest.fixture(scope="module")
def visits(browser, browser_context_args, site, pages):
    """One visit to every page."""
    context = browser.new_context(**browser_context_args)
    made = {}
    for path in pages:
        page = context.new_page()
        visit = made[path.relative_to(site).as_posix()] = Visit(path)
        page.on("request", lambda request, visit=visit: visit.loaded.append(request.url))
        page.on("requestfailed", lambda r, visit=visit: visit.said.append(f"failed: {r.url}"))
        page.on("pageerror", lambda error, visit=visit: visit.said.append(str(error)))
        page.on(
            "console",
            lambda m, visit=visit: m.type in ("error", "warning") and visit.said.append(m.text),
        )
        page.set_viewport_size(LAPTOP)
        page.goto(path.as_uri())
        visit.seen |= page.evaluate(ON_LAPTOP)
        page.set_viewport_size(PHONE)
        visit.seen |= page.evaluate(ON_PHONE)
        page.close()
    context.close()
    return made


@pytest.fixture(scope="module")
def soups(site, pages):
    return {
        path.relative_to(site).as_posix(): BeautifulSoup(path.read_text("utf-8"), "html.parser")
        for path in pages
    }


def test_no_page_says_a_word_to_the_console(visits):
    assert {name: visit.said for name, visit in visits.items() if visit.said} == {}


def test_nothing_is_asked_of_a_network(visits):
    asked = {url for visit in visits.values() for url in visit.loaded}
    assert {url for url in asked if not url.startswith(("file:", "data:", "blob:"))} == set()


def test_nothing_is_wider_than_a_phone(visits):
    widths = {name: visit.seen["scrolled"] for name, visit in visits.items()}
    assert {name: width for name, width in widths.items() if width > PHONE["width"]} == {}


def test_there_is_one_box_to_search_in(visits):
    assert {name: v.seen["searches"] for name, v in visits.items() if v.seen["searches"] != 1} == {}


def test_chapters_take_the_width_that_is_there(visits):
    widths = {n: v.seen["width"] for n, v in visits.items() if n.startswith("chapters/")}
    assert len(widths) >= 20
    assert {name: width for name, width in widths.items() if not 1000 <= width <= 1120} == {}


def test_every_icon_is_in_the_fonts(site, visits):
    signs = {sign for visit in visits.values() for sign in visit.seen["icons"]}
    fonts = list((site / "_static").rglob("fa-*.woff*"))
    held = {code for font in fonts for code in TTFont(io.BytesIO(font.read_bytes())).getBestCmap()}
    assert len(signs) > 5
    assert {sign for sign in signs if len(sign) != 1 or ord(sign) not in held} == set()


def size(url: str) -> int:
    path = Path(url2pathname(urlsplit(url).path))
    return path.stat().st_size if path.is_file() else 0


def test_chapters_are_small_beside_what_all_pages_share(site, visits):
    chapters = {name: v for name, v in visits.items() if name.startswith("chapters/")}
    heavy = {}
    for name, visit in chapters.items():
        files = {url.partition("?")[0].partition("#")[0] for url in visit.loaded}
        own = [u for u in files if u.removeprefix(f"{site.as_uri()}/").startswith((*OWN, name))]
        heavy[name] = sum(map(size, own))
    assert min(heavy.values()) > 50_000  # the page and its figure are among them
    assert {name: weight for name, weight in heavy.items() if weight > CHAPTER} == {}


def test_what_pages_share_is_bounded(site, visits):
    root = f"{site.as_uri()}/"
    loads = [{url.partition("?")[0] for url in visit.loaded} for visit in visits.values()]
    pages = Counter(url.removeprefix(root) for urls in loads for url in urls)
    # Figures, and the words of the search, are of one page each.
    shared = {
        name: size(root + name)
        for name, number in pages.items()
        if number > 1 and name.startswith("_static/") and not name.startswith(OWN)
    }
    plain = {name: weight for name, weight in shared.items() if "mathjax" not in name}
    table = "\n".join(f"{weight:9,} {name}" for name, weight in sorted(shared.items()))
    assert sum(plain.values()) < WITHOUT_MATHJAX, table
    assert sum(shared.values()) < SHARED, table
    assert not any("fontawesome.js" in name for name in shared)


def test_links_lead_somewhere(site, soups):
    anchors = {
        name: {tag["id"] for tag in soup.find_all(id=True)}
        | {tag["name"] for tag in soup.find_all("a", attrs={"name": True})}
        for name, soup in soups.items()
    }
    broken = set()
    for name, soup in soups.items():
        for tag in soup.find_all(["a", "link", "script", "img", "source", "use"]):
            address = str(tag.get("href") or tag.get("src") or tag.get("srcset") or "")
            url = urlsplit(address)
            if url.scheme or url.netloc or not address:
                continue
            target = (
                ((site / name).parent / unquote(url.path)).resolve() if url.path else site / name
            )
            page = target.relative_to(site).as_posix() if target.is_relative_to(site) else None
            lost = url.fragment and unquote(url.fragment) not in anchors.get(page, {url.fragment})
            if page is None or not target.is_file() or lost:
                broken.add((name, address))
    assert broken == set()


def test_titles_and_descriptions_tell_pages_apart(soups):
    titles = [soup.title.get_text() for soup in soups.values()]
    described = {
        name: soup.find_all("meta", attrs={"name": "description"}) for name, soup in soups.items()
    }
    assert {name for name, found in described.items() if len(found) != 1} == set()
    lines = [str(found[0]["content"]) for found in described.values()]
    for texts in (titles, lines):
        assert {text: n for text, n in Counter(texts).items() if n > 1} == {}
        assert [text for text in texts if LATEX.search(text) or not text.strip()] == []
    assert [line for line in lines if not 20 <= len(line) <= 160] == []


def test_pages_say_what_they_are(soups):
    for name, soup in soups.items():
        assert soup.html["lang"] == "en", name
        assert soup.find("link", rel="icon"), name
        assert len(soup.find_all("meta", attrs={"name": "viewport"})) == 1, name
        assert all(
            nav.get("aria-label") or nav.get("aria-labelledby") for nav in soup.find_all("nav")
        )
        headings = soup.select(".bd-article section > :is(h2, h3)")
        assert all(heading.select_one("a.headerlink[href^='#']") for heading in headings), name


def test_no_button_leads_to_an_address_that_there_is_not(soups):
    for name, soup in soups.items():
        assert not soup.select(".btn-edit-button, .btn-binder-button, .btn-colab-button"), name


def test_pages_name_their_icons_in_full(site, pages):
    named = {name for path in pages for name in icon_names(path.read_text("utf-8"))}
    style = (site / "_static/styles/pydata-sphinx-theme.css").read_text("utf-8")
    assert {n for n in named if f".fa-{n}" not in style} == set()


def searched(page, site: Path, words: str) -> list[str]:
    page.goto(f"{(site / 'search.html').as_uri()}?q={words}")
    page.wait_for_function(
        "/finished|did not match/.test(document.querySelector('.search-summary')?.textContent)"
    )
    return page.locator("#search-results li").all_inner_texts()


def test_a_search_shows_words_and_no_source(page, site):
    said = []
    page.on("console", lambda m: m.type in ("error", "warning") and said.append(m.text))
    results = searched(page, site, "critical+threshold")
    assert len(results) > 10
    assert [text for text in results if LATEX.search(text)] == []
    with_words = [
        text for text in results if "critical threshold" in text.partition("\n")[2].lower()
    ]
    assert len(with_words) >= 3
    assert any("τ" in text for text in results)
    assert page.locator("#search-results mark").count() > 5
    assert said == []


def test_a_search_is_asked_from_any_page(page, site):
    page.goto((site / "method.html").as_uri())
    page.keyboard.press("Control+k")
    page.keyboard.type("placebo")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?q=placebo")
    assert page.locator("#search-results li").count() > 0


def test_what_is_searched_for_is_shown_as_text(page, site):
    searched(page, site, "<img+src=x+onerror=document.title='hacked'>+threshold")
    assert page.title() != "hacked"
    assert page.locator("#search-results img").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_mode_is_the_systems_until_one_is_chosen(browser, browser_context_args, site, scheme):
    context = browser.new_context(**browser_context_args, color_scheme=scheme)
    page = context.new_page()
    page.goto((site / "method.html").as_uri())
    mode = "document.documentElement.dataset.theme"
    assert page.evaluate(mode) == scheme
    other = {"light": "dark", "dark": "light"}[scheme]
    for _ in range(3):
        page.locator(".theme-switch-button:visible").click()
        if page.evaluate(mode) == other:
            break
    assert page.evaluate(mode) == other
    page.goto((site / "results.html").as_uri())
    assert page.evaluate(mode) == other
    context.close()


def test_pages_are_read_without_scripts(browser, browser_context_args, site):
    context = browser.new_context(**browser_context_args, java_script_enabled=False)
    page = context.new_page()
    page.goto((site / "chapters" / "mlp-cifar10.html").as_uri())
    assert page.locator(".bd-article h1").is_visible()
    assert page.locator(".bd-article figure img").first.is_visible()
    colours = page.locator("body").evaluate(
        "(e) => [getComputedStyle(e).color, getComputedStyle(e).backgroundColor]"
    )
    assert colours[0] != colours[1]
    assert page.locator(".search-button__button:visible").count() == 0
    context.close()


def test_folded_code_opens_by_keyboard(page, site):
    page.goto((site / "chapters" / "mlp-cifar10.html").as_uri())
    fold = page.locator("details.hide").first
    code = fold.locator("pre").first
    assert not code.is_visible()
    fold.locator("summary").focus()
    page.keyboard.press("Enter")
    assert code.is_visible()
    page.keyboard.press("Enter")
    assert not code.is_visible()
