"""Pages are for everyone: axe finds nothing in any of them, in the light mode and in the dark."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.browser

VENDOR = Path(__file__).parent / "vendor"
AXE = next(VENDOR.glob("axe-*.min.js")).read_text(encoding="utf-8")
OURS = (Path(__file__).parent / "access.js").read_text(encoding="utf-8")
#: Colours that glide to their value would be judged on the way.
STILL = "*, *::before, *::after { transition: none !important; animation: none !important }"
THEMES = ("light", "dark")


@pytest.fixture(scope="module")
def tab(browser, browser_context_args):
    """One page for all tests here, without the script that draws formulas."""
    context = browser.new_context(**browser_context_args, reduced_motion="reduce")
    page = context.new_page()
    page.route("**/mathjax/**", lambda route: route.abort())
    page.add_init_script(AXE)
    page.add_init_script(OURS)
    yield page
    context.close()


def opened(tab, path: Path) -> None:
    tab.goto(path.as_uri())
    tab.add_style_tag(content=STILL)
    tab.evaluate("document.querySelectorAll('details').forEach((part) => (part.open = true))")


def contrast(tab, theme: str) -> list[dict]:
    tab.evaluate("(theme) => (document.documentElement.dataset.theme = theme)", theme)
    return tab.evaluate("() => contrastOf(kindsOfText())")


def told(found: list[dict], where: str) -> list[str]:
    return [
        f"{where}: {violation['rule']} ({violation['impact']}): {element}"
        for violation in found
        for element in violation["elements"][:3]
    ]


@pytest.mark.timeout(600)
def test_no_page_keeps_anyone_out(tab, site, pages):
    wrong = []
    for path in pages:
        name = path.relative_to(site).as_posix()
        opened(tab, path)
        wrong += told(tab.evaluate("structureOf()"), name)
        for theme in THEMES:
            wrong += told(contrast(tab, theme), f"{name}, {theme}")
    assert wrong == []


PLANTED = """
<!doctype html><html lang="en"><head><title>Planted</title><style>
  p { color: #777; background: white } .grey { color: #999 }
  .dark { background: #222; color: #333 } .half { opacity: 0.3; color: #444 }
  [data-theme=dark] em { color: #888 }
</style></head><body><main><h1>A</h1>
  <p>Good enough? <span>no</span></p> <p class="grey">grey</p> <div class="dark">dark</div>
  <div class="half"><b>half</b></div> <div style="color: #595959">good</div>
  <details><summary>more</summary><i style="color: #bbb">folded</i></details>
  <div><em>by theme</em></div>
</main></body></html>
"""


@pytest.mark.parametrize(
    ("theme", "missed"), [("light", ["em"]), ("dark", [])], ids=["light", "dark"]
)
def test_a_planted_fault_is_found(tab, tmp_path, theme, missed):
    path = tmp_path / "planted.html"
    path.write_text(PLANTED, encoding="utf-8")
    opened(tab, path)
    found = [element for v in contrast(tab, theme) for element in v["elements"]]
    places = {element.split(":")[0] for element in found}
    expected = {"p:nth-child(2)", ".grey", ".dark", "b", "i", "em"} - set(missed)
    assert {place.split(" > ")[-1].split(" ")[-1] for place in places} >= expected - {
        "p:nth-child(2)"
    }
    assert len(places) >= len(expected)
    assert "div[style" not in " ".join(places)
