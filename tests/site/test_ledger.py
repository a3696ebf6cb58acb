"""The claims page in a browser: what is chosen stands in the address, links lead to their rows."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import pytest

pytestmark = pytest.mark.browser

#: Rows that are shown, by the attributes that they are chosen by.
SHOWN = """() => [...document.querySelectorAll("#claims-table tbody tr")]
  .filter((row) => !row.hidden).map((row) => ({ ...row.dataset }))"""
#: Whether an element stands in the window.
IN_VIEW = """(element) => {
  const { top, bottom } = element.getBoundingClientRect();
  return top < innerHeight * 0.75 && bottom > 0;
}"""


def address(site, query="", anchor="", page="claims.html"):
    return f"file://{site / page}{'?' if query else ''}{query}{anchor}"


def chosen(page):
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def in_view(page):
    return page.locator("#claims-table").evaluate(IN_VIEW)


@pytest.fixture
def claims(page, site):
    page.goto(address(site))
    return page


def test_all_claims_are_shown_and_counted_where_nothing_is_chosen(claims):
    rows = claims.evaluate(SHOWN)
    assert len(rows) > 400
    assert claims.locator(".claims-filter output").inner_text() == (
        f"{len(rows)} of {len(rows)} claims"
    )
    assert chosen(claims) == {}


def test_what_the_address_says_is_shown(page, site):
    page.goto(address(site, "chapter=mlp-cifar10&outcome=fails", "#claims-table"))
    rows = page.evaluate(SHOWN)
    assert rows
    assert all("mlp-cifar10" in row["chapters"].split() for row in rows)
    assert {row["outcome"] for row in rows} == {"fails"}
    assert in_view(page)


def test_a_choice_stands_in_the_address_and_survives_a_reload(claims):
    claims.get_by_label("outcome").select_option("fails")
    claims.get_by_label("kind").select_option("speed")
    claims.get_by_placeholder("words").fill("bert speed")
    before = claims.evaluate(SHOWN)
    assert {(row["outcome"], row["kind"]) for row in before} == {("fails", "speed")}
    assert chosen(claims) == {"outcome": "fails", "kind": "speed", "text": "bert speed"}
    claims.reload()
    assert claims.evaluate(SHOWN) == before
    assert claims.get_by_placeholder("words").input_value() == "bert speed"


def test_the_back_button_undoes_a_choice(claims):
    every = len(claims.evaluate(SHOWN))
    claims.get_by_label("outcome").select_option("fails")
    fails = len(claims.evaluate(SHOWN))
    claims.get_by_label("kind").select_option("speed")
    assert len(claims.evaluate(SHOWN)) < fails < every
    claims.go_back()
    assert len(claims.evaluate(SHOWN)) == fails
    assert claims.get_by_label("kind").input_value() == ""
    claims.go_back()
    assert len(claims.evaluate(SHOWN)) == every
    claims.go_forward()
    assert len(claims.evaluate(SHOWN)) == fails


def test_show_all_empties_fields_and_address(claims):
    claims.get_by_label("outcome").select_option("holds")
    claims.get_by_role("button", name="show all").click()
    assert chosen(claims) == {}
    assert claims.get_by_label("outcome").input_value() == ""


def test_every_count_leads_to_as_many_rows_and_to_the_table(claims):
    every = len(claims.evaluate(SHOWN))
    links = claims.locator("table:not(.claims) a[href*='claims.html']")
    assert links.count() > 20
    for k in range(links.count()):
        link = links.nth(k)
        number = int(link.inner_text())
        claims.evaluate("() => scrollTo(0, 0)")
        link.evaluate("(link) => link.click()")
        assert len(claims.evaluate(SHOWN)) == number < every
        assert in_view(claims)
    assert chosen(claims)


def test_every_link_of_the_conclusion_leads_to_rows(page, site):
    page.goto(address(site, page="conclusion.html"))
    links = page.locator("a.claims-about")
    hrefs = [links.nth(k).get_attribute("href") for k in range(links.count())]
    assert len(hrefs) >= 10
    numbered = page.locator(".bd-article ol > li")
    assert numbered.count() == 5
    for k in range(5):
        assert numbered.nth(k).locator("a.claims-about").count() == 1
    for href in sorted(set(hrefs)):
        page.goto(f"file://{site}/{href}")
        subject = parse_qs(urlsplit(href).query)["about"][0]
        rows = page.evaluate(SHOWN)
        assert rows
        assert all(subject in row["about"].split(";") for row in rows)
        assert page.get_by_label("subject").input_value() == subject
        assert in_view(page)


def test_a_link_to_a_row_shows_it_whatever_is_chosen(page, site):
    page.goto(address(site, "outcome=fails&kind=speed", "#claim-entropy"))
    row = page.locator("#claim-entropy")
    assert row.is_visible()
    assert row.evaluate(IN_VIEW)


def test_a_choice_that_is_not_there_chooses_nothing(page, site):
    page.goto(address(site, "outcome=refuted&colour=red"))
    assert len(page.evaluate(SHOWN)) > 400


def test_a_choice_behind_the_hash_will_do(page, site):
    """What is written where a browser lets no script change the query of a file."""
    page.add_init_script("history.pushState = () => { throw new DOMException('no'); };")
    page.goto(address(site))
    page.get_by_label("outcome").select_option("fails")
    assert page.url.endswith("#claims-table?outcome=fails")
    before = page.evaluate(SHOWN)
    page.reload()
    assert page.evaluate(SHOWN) == before
    assert {row["outcome"] for row in before} == {"fails"}


def test_without_javascript_the_table_is_complete(browser, site):
    context = browser.new_context(java_script_enabled=False, offline=True)
    page = context.new_page()
    page.goto(address(site, "outcome=fails", "#claims-table"))
    text = (site / "claims.html").read_text(encoding="utf-8")
    number = len(re.findall(r'<tr id="claim-', text))
    rows = page.locator("#claims-table tbody tr")
    assert rows.count() == number > 400
    assert rows.first.is_visible()
    assert rows.last.is_visible()
    assert page.locator(".claims-filter").count() == 0
    context.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_claims_of_a_chapter_fit_its_page_without_a_box(page, site, width):
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(address(site, page="chapters/mlp-cifar10.html"))
    table = page.locator("table.claims-of-chapter")
    assert table.locator("tbody tr").count() > 10
    sizes = table.evaluate(
        """(table) => {
          const boxes = [];
          for (let at = table; at !== document.body; at = at.parentElement) {
            const style = getComputedStyle(at);
            const scrolls = (how) => how === "auto" || how === "scroll";
            boxes.push(
              (scrolls(style.overflowX) && at.scrollWidth > at.clientWidth) ||
              (scrolls(style.overflowY) && at.scrollHeight > at.clientHeight + 1));
          }
          return { boxes, right: table.getBoundingClientRect().right };
        }"""
    )
    assert not any(sizes["boxes"])
    assert sizes["right"] <= width
    link = table.locator("tbody a").first.get_attribute("href")
    page.goto(f"file://{site}/chapters/{link}")
    assert page.locator("tr:target").is_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_head_of_the_claims_can_be_read(page, site, theme):
    """As WCAG asks of text: a contrast of 4.5 to 1 or more."""
    page.emulate_media(color_scheme=theme)
    page.goto(address(site))
    page.evaluate("(theme) => { document.documentElement.dataset.theme = theme; }", theme)
    colours = page.locator("#claims-table thead th").first.evaluate(
        """(head) => {
          const style = getComputedStyle(head);
          return [style.color, style.backgroundColor];
        }"""
    )
    first, second = (luminance(colour) for colour in colours)
    assert (max(first, second) + 0.05) / (min(first, second) + 0.05) >= 4.5


def luminance(colour):
    parts = [float(part) / 255 for part in re.findall(r"[\d.]+", colour)]
    assert len(parts) == 3, f"{colour} is not opaque"
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_choosing_is_quick(claims):
    """A table of half a megabyte is laid out as far as it is seen."""
    milliseconds = claims.evaluate(
        """() => {
          const start = performance.now();
          for (let k = 0; k < 5; k++) {
            document.body.style.fontSize = `${16 + (k % 2)}px`;
            document.body.offsetHeight;
          }
          return (performance.now() - start) / 5;
        }"""
    )
    assert milliseconds < 250
