"""The cursor of a chapter and the overlay of the results, in a browser.

What they show is held against ``curves.csv``, and where they draw against the lines at thresholds
that the figure has itself.
"""

from __future__ import annotations

import json
import re
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "results" / "small"
pytestmark = pytest.mark.browser
#: With three seeds; with a long tail and a steep beginning; with every width of the window.
CASES = [("mlp-cifar10", 1440), ("mlp-cifar10", 390), ("electra-ag_news", 1440), ("lstm-yelp", 390)]
IMAGE = "img.six-panels, .six-panels img"
#: Of the lines at thresholds in the figure.
STROKES = {"full": "rgb(31, 95, 180)", "renormalized": "rgb(224, 86, 155)"}
VERTICALS = """() => {
  const { width, height } = document.documentElement.viewBox.baseVal;
  return [...document.querySelectorAll("path")].flatMap((path) => {
    const { x, y, width: w, height: h } = path.getBBox();
    const { stroke, strokeDasharray } = getComputedStyle(path);
    if (w > 0.1 || h < 40 || strokeDasharray === "none") return [];
    return [{ stroke, x: x / width, y: (y + h / 2) / height }];
  });
}"""


@cache
def curve(name: str, method: str) -> pd.DataFrame:
    whole = pd.read_csv(RESULTS / name / "curves.csv")
    return whole[whole["method"] == method].reset_index(drop=True)


@cache
def all_seeds(name: str) -> list[pd.DataFrame]:
    """Full evaluations of every seed."""
    read = map(pd.read_csv, sorted((RESULTS / name).glob("**/curves.csv")))
    return [whole[whole["method"] == "full"] for whole in read]


def threshold(name: str, method: str) -> dict:
    result = json.loads((RESULTS / name / "result.json").read_text(encoding="utf-8"))
    return result["thresholds"][method]


@pytest.fixture
def quiet(page):
    """A page that asks nothing of a network and has no complaints."""
    asked, said = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else 0)
    page.on("pageerror", lambda error: said.append(str(error)))
    yield page
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert said == []


@pytest.fixture
def chapter(quiet, site):
    """Opens a chapter's page and waits for its cursor."""

    def go(name, width=1440):
        quiet.set_viewport_size({"width": width, "height": 900})
        quiet.goto((site / "chapters" / f"{name}.html").as_uri())
        quiet.locator(".live-card").first.wait_for()
        quiet.locator(".six-panels").first.scroll_into_view_if_needed()
        return quiet

    return go


def kept(page, name):
    """Rows of the renormalized curve that the slider stops at: of a long one not every one."""
    taus = page.evaluate("async (n) => (await thermo.load(n)).renormalized.tau", name)
    whole = curve(name, "renormalized")["tau"]
    rows = [int((whole - tau).abs().argmin()) for tau in taus]
    assert taus == pytest.approx(whole[rows].tolist(), rel=1e-4)  # five digits
    assert rows == sorted(set(rows))
    return rows


def to_threshold(page, name, tau):
    """Move the cursor by keys alone: from the first threshold in leaps, then one by one."""
    row = int((curve(name, "renormalized")["tau"] - tau).abs().argmin())
    at = kept(page, name).index(row)
    slider = page.get_by_role("slider", name="Move the threshold")
    slider.focus()
    page.keyboard.press("Home")
    page.keyboard.press("PageUp")
    leap = int(slider.input_value())
    assert leap > 5
    for _ in range(round(at / leap) - 1):
        page.keyboard.press("PageUp")
    away = at - max(1, round(at / leap)) * leap
    for _ in range(abs(away)):
        page.keyboard.press("ArrowRight" if away > 0 else "ArrowLeft")
    assert int(slider.input_value()) == at


def figure_lines(page, site, name, method, *, narrow=False):
    """Where the figure draws its own line at a threshold, panels (a) to (f), in fractions."""
    other = page.context.new_page()
    ending = "-narrow" if narrow else ""
    other.goto((site / "_static" / "panels" / f"{name}{ending}.svg").as_uri())
    found = [v for v in other.evaluate(VERTICALS) if v["stroke"] == STROKES[method]]
    other.close()
    assert len(found) == 6
    columns = 2 if narrow else 3
    rows = 6 // columns
    middles = sorted(found, key=lambda v: v["y"])
    ordered = [
        sorted(middles[columns * r : columns * (r + 1)], key=lambda v: v["x"]) for r in range(rows)
    ]
    if narrow:  # over tau at the left, over beta at the right
        ordered = [list(column) for column in zip(*ordered, strict=True)]
    return [v["x"] for row in ordered for v in row]


def drawn_lines(page, kind):
    """Middles of the cursor's lines by panel, as fractions of the image, and its width."""
    return page.evaluate(
        """(kind) => {
          const figure = document.querySelector(".six-panels");
          const image = figure.matches("img") ? figure : figure.querySelector("img");
          const { left, width } = image.getBoundingClientRect();
          const lines = document.querySelectorAll(`.live-line[data-kind=${kind}]:not([hidden])`);
          return [Object.fromEntries([...lines].map((line) => {
            const rect = line.getBoundingClientRect();
            return [line.dataset.panel, (rect.left + rect.width / 2 - left) / width];
          })), width];
        }""",
        kind,
    )


def read(page):
    """The numbers of the cards."""
    return page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll(".live-card")].map((card) => [
          [...card.classList].find((name) => /live-(full|renormalized)/.test(name)).slice(5),
          { head: card.querySelector(".live-head").textContent, ...Object.fromEntries(
            [...card.querySelectorAll("dd")].map((dd) => [
              dd.dataset.what,
              [dd.querySelector("b").textContent, dd.querySelector("small").textContent],
            ])) },
        ]))"""
    )


def number(text):
    return float(text.replace("−", "-").replace("%", "").replace(",", "").strip())


def written_as(text, value):
    """Whether a text is a number rounded to the digits that it shows."""
    digits = len(text.replace("%", "").strip().partition(".")[2])
    # Data come with five digits; four are shown at most.
    return abs(number(text) - value) <= 0.5 * 10**-digits + 5e-5 * abs(value)


def tau_of(text):
    return float(re.search(r"τ = (\d[\d.]*\d|\d)", text)[1])


def check_cards(page, name):
    """All that the cards say against curves.csv, at the threshold the slider is at."""
    cards = read(page)
    fast, full = curve(name, "renormalized"), curve(name, "full")
    slider = page.get_by_role("slider", name="Move the threshold")
    point = fast.iloc[kept(page, name)[int(slider.input_value())]]
    ours = cards["renormalized"]
    assert tau_of(ours["head"]) == pytest.approx(point["tau"], rel=1e-3)
    assert written_as(ours["beta"][0], point["beta"])
    assert written_as(ours["pruned"][0], 100 * point["beta"])
    if np.isnan(point["free_energy"]):
        assert ours["free_energy"][0] == "undefined"
    else:
        assert written_as(ours["free_energy"][0], point["free_energy"])
    distance = (full["tau"] - point["tau"]).abs()
    near = full[distance <= distance.min() * (1 + 1e-9) + 1e-12].iloc[0]
    slow = cards["full"]
    before, last = full["tau"].iloc[-2:]
    if point["tau"] > last + (last - before) / 2 + 1e-9:
        assert "none beyond" in slow["head"]
        assert set(slow) == {"head"}
        return
    assert tau_of(slow["head"]) == pytest.approx(near["tau"], rel=1e-3)
    assert ("nearest" in slow["head"]) == (abs(near["tau"] - point["tau"]) > 1e-9)
    assert written_as(slow["beta"][0], near["beta"])
    assert written_as(slow["free_energy"][0], near["free_energy"])
    assert written_as(slow["accuracy"][0], 100 * near["accuracy"])
    seeds = [at[at["tau"] == near["tau"]]["accuracy"].iloc[0] for at in all_seeds(name)]
    if len(seeds) > 1:
        said = re.search(r"([\d.]+) % to ([\d.]+) % over (\d+) seeds", slow["accuracy"][1])
        low, high, count = map(float, said.groups())
        assert count == len(seeds)
        assert low == pytest.approx(100 * min(seeds), abs=0.051)
        assert high == pytest.approx(100 * max(seeds), abs=0.051)
    else:
        assert "seeds" not in slow["accuracy"][1]


@pytest.mark.parametrize(("name", "width"), CASES)
def test_keys_move_lines_to_where_the_figure_has_them(chapter, site, name, width):
    page = chapter(name, width)
    for method in ("full", "renormalized"):
        tau = threshold(name, method)["tau"]
        to_threshold(page, name, tau)
        wanted = figure_lines(page, site, name, method, narrow=width < 600)
        over_tau, pixels = drawn_lines(page, "tau")
        over_beta, _ = drawn_lines(page, method)
        # Accuracy over sparsity is that of the full evaluation.
        panels = "345" if method == "full" else "45"
        assert set(over_tau) == set("012")
        assert set(over_beta) == set(panels)
        for panel in "012":
            assert over_tau[panel] * pixels == pytest.approx(wanted[int(panel)] * pixels, abs=1)
        for panel in panels:
            assert over_beta[panel] * pixels == pytest.approx(wanted[int(panel)] * pixels, abs=1)
        check_cards(page, name)


def test_the_narrow_figure_is_the_one_on_a_phone(chapter):
    page = chapter("mlp-cifar10", 390)
    assert "-narrow.svg" in page.locator(IMAGE).first.evaluate("i => i.currentSrc")
    # And back, when the phone is turned.
    page.set_viewport_size({"width": 900, "height": 390})
    page.wait_for_function(
        "document.querySelector('.six-panels img, img.six-panels').currentSrc.endsWith('10.svg')"
    )
    page.wait_for_timeout(100)
    tops = page.locator(".live-line[data-kind=tau]").evaluate_all(
        "all => all.map((l) => l.style.top)"
    )
    assert len(set(tops)) == 1


def test_dots_follow_the_scale_of_the_axis(chapter):
    page = chapter("mlp-cifar10")
    tops = page.evaluate(
        """async () => {
          const chapter = await thermo.load("mlp-cifar10");
          const top = (scale) => {
            const wide = structuredClone(chapter.geometry.wide);
            Object.assign(wide[0], { scale, ylim: [0.01, 1], box: [0.1, 0.2, 0.3, 0.4] });
            thermo.panels({ ...chapter, geometry: { wide, narrow: wide } })
              .show({ renormalized: 0, full: 0 });
            return [...document.querySelectorAll(".live-dot[data-panel='0']")].at(-1).style.top;
          };
          return [top("linear"), top("log")].map(parseFloat);
        }"""
    )
    accuracy = curve("mlp-cifar10", "full")["accuracy"].iloc[0]
    linear, log = (accuracy - 0.01) / 0.99, np.log(accuracy / 0.01) / np.log(100)
    assert tops == pytest.approx([60 - 40 * linear, 60 - 40 * log], abs=0.01)


def test_keys_reach_both_ends(chapter):
    name = "electra-ag_news"
    page = chapter(name)
    slider = page.get_by_role("slider", name="Move the threshold")
    slider.focus()
    page.keyboard.press("Home")
    check_cards(page, name)
    page.keyboard.press("End")
    check_cards(page, name)
    assert slider.evaluate("s => s.value === s.max")
    # Beyond the thresholds of the figure there is nothing to draw in the panels over tau.
    assert drawn_lines(page, "tau")[0] == {}
    assert drawn_lines(page, "full")[0] == {}
    page.keyboard.press("PageDown")
    assert not slider.evaluate("s => s.value === s.max")
    check_cards(page, name)


def test_the_full_evaluation_ends_half_a_step_after_its_last_threshold(chapter):
    name = "mlp-cifar10"
    page = chapter(name)
    last = curve(name, "full")["tau"].iloc[-1]
    after = curve(name, "renormalized")["tau"]
    to_threshold(page, name, last)
    assert tau_of(read(page)["full"]["head"]) == last
    to_threshold(page, name, after[after > last].iloc[0])  # not a whole step further
    assert read(page)["full"]["head"] == f"Full evaluation (FE): none beyond τ = {last}"


def test_it_starts_at_the_papers_threshold_and_goes_to_ours(chapter):
    name = "mlp-cifar10"
    page = chapter(name)
    assert "τ = 0.36" in page.get_by_role("slider", name="Move the threshold").get_attribute(
        "aria-valuetext"
    )
    for method in ("full", "renormalized", "accuracy"):
        tau = threshold(name, method)["tau"]
        page.locator(".live-marks button", has_text=f"our seed 0: {tau:g} (").click()
        assert f"τ = {tau:g}," in page.get_by_role(
            "slider", name="Move the threshold"
        ).get_attribute("aria-valuetext")
        check_cards(page, name)


def test_the_slider_is_beside_the_panels(chapter):
    page = chapter("mlp-cifar10")
    image = page.locator(IMAGE).first.bounding_box()
    slider = page.get_by_role("slider", name="Move the threshold").bounding_box()
    caption = page.locator("figure:has(.live-lines) figcaption").bounding_box()
    assert image["y"] + image["height"] <= slider["y"] < slider["y"] + 24 <= caption["y"]
    point = curve("mlp-cifar10", "full").set_index("tau").loc[0.36]
    line = page.locator(".live-brief").text_content()
    assert f"FE: accuracy {100 * point['accuracy']:.1f} %, β {point['beta']:.3f}" in line


def inside(page, fraction, panel):
    """A point of the screen: so far along a panel."""
    return page.evaluate(
        """async ([fraction, panel]) => {
          const name = document.querySelector(".live").dataset.chapter;
          const { geometry } = await thermo.load(name);
          const figure = document.querySelector(".six-panels");
          const image = figure.matches("img") ? figure : figure.querySelector("img");
          const kind = image.currentSrc.includes("-narrow") ? "narrow" : "wide";
          const [left, top, width, height] = geometry[kind][panel].box;
          const rect = image.getBoundingClientRect();
          return [rect.left + rect.width * (left + fraction * width),
                  rect.top + rect.height * (top + 0.3 * height)];
        }""",
        [fraction, panel],
    )


def test_a_mouse_looks_and_drags_in_every_panel(chapter):
    name = "mlp-cifar10"
    page = chapter(name)
    left = page.locator(IMAGE).first.bounding_box()["x"]
    for panel in range(6):
        page.mouse.move(5, 5)
        before = read(page)
        x, y = inside(page, 0.5 + 0.05 * panel, panel)
        page.mouse.move(x, y)
        check_cards(page, name)
        looked = read(page)
        assert looked != before
        kind = "tau" if panel < 3 else "full" if panel == 3 else "renormalized"
        lines, pixels = drawn_lines(page, kind)
        # To the nearest threshold: accuracy over sparsity is known at few.
        assert left + lines[str(panel)] * pixels == pytest.approx(x, abs=14 if panel == 3 else 2)
        if panel == 3:
            low, high = page.evaluate(
                "async (n) => (await thermo.load(n)).geometry.wide[3].xlim", name
            )
            full = curve(name, "full")
            sparsity = low + 0.65 * (high - low)
            near = full["tau"][(full["beta"] - sparsity).abs().argmin()]
            assert tau_of(looked["full"]["head"]) == near == tau_of(looked["renormalized"]["head"])
        page.mouse.move(5, 5)  # out of the figure: it was a look
        assert read(page) == before
        page.mouse.move(x - 20, y)
        page.mouse.down()
        page.mouse.move(x, y, steps=4)
        page.mouse.up()
        page.mouse.move(5, 5)
        assert read(page) == looked


def test_a_click_after_a_drag_enlarges_nothing(chapter):
    page = chapter("mlp-cifar10")
    address = page.url
    x, y = inside(page, 0.3, 1)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y, steps=4)
    page.mouse.up()
    page.wait_for_timeout(100)
    assert page.url == address
    assert page.locator("dialog[open]").count() == 0


def test_a_finger_drags_and_a_scroll_does_not(site, browser, browser_context_args):
    name = "mlp-cifar10"
    context = browser.new_context(
        **{**browser_context_args, "viewport": {"width": 390, "height": 844}},
        has_touch=True, is_mobile=True,
    )  # fmt: skip
    page = context.new_page()
    page.goto((site / "chapters" / f"{name}.html").as_uri())
    page.locator(".live-card").first.wait_for()
    page.locator(".six-panels").first.scroll_into_view_if_needed()
    before = read(page)
    touch = context.new_cdp_session(page)

    def send(kind, *points):
        places = [{"x": x, "y": y} for x, y in points]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

    x, y = inside(page, 0.3, 1)
    send("touchStart", (x, y))
    for step in (10, 20, 30, 40):
        send("touchMove", (x + step, y))
    send("touchEnd")
    page.wait_for_timeout(100)
    dragged = read(page)
    assert dragged != before
    check_cards(page, name)
    lines, pixels = drawn_lines(page, "tau")
    left = page.locator(IMAGE).first.bounding_box()["x"]
    assert left + lines["1"] * pixels == pytest.approx(x + 40, abs=3)
    # Up and down the page scrolls.
    send("touchStart", (x, y))
    for step in (20, 60, 120, 180):
        send("touchMove", (x + 8, y - step))
    send("touchEnd")
    page.wait_for_timeout(400)
    assert read(page) == dragged
    context.close()


def test_the_histogram_counts_all_and_shades_what_is_pruned(chapter):
    name = "mlp-cifar10"
    page = chapter(name)
    total = json.loads((RESULTS / name / "result.json").read_text())["stages"]["full"]["attrs"][
        "total"
    ]
    assert page.evaluate(
        """async (name) => {
          const { histogram } = await thermo.load(name);
          return histogram.counts.reduce((sum, n) => sum + n, histogram.beyond);
        }""",
        name,
    ) == total  # fmt: skip
    for tau in (0.12, 0.36):
        to_threshold(page, name, tau)
        page.locator(".live-plot .u-over").scroll_into_view_if_needed()
        shade = page.locator(".live-shade").bounding_box()
        whole = page.locator(".live-plot .u-over").bounding_box()
        part = tau / curve(name, "full")["tau"].iloc[-1]
        assert shade["width"] == pytest.approx(part * whole["width"], abs=2)
        assert shade["x"] == pytest.approx(whole["x"], abs=1)
    # A pointer there does the same as in the figure.
    page.mouse.move(whole["x"] + 0.5 * whole["width"], whole["y"] + 20)
    assert "τ = 0.8" in page.get_by_role("slider", name="Move the threshold").get_attribute(
        "aria-valuetext"
    )
    check_cards(page, name)


def test_what_is_said_follows_the_cursor(chapter):
    page = chapter("mlp-cifar10")
    live = page.locator(".live [aria-live]")
    page.wait_for_timeout(350)
    assert live.text_content() == ""  # nobody has moved it yet
    page.get_by_role("slider", name="Move the threshold").focus()
    for tau in (0.364, 0.368):
        page.keyboard.press("ArrowRight")
        live.filter(has_text=f"τ = {tau:g}").wait_for(state="attached")
        text = live.text_content()
        point = curve("mlp-cifar10", "renormalized").set_index("tau").loc[tau]
        assert f"β {point['beta']:.3f}" in text
        assert "accuracy 55.9 %" in text


@pytest.mark.parametrize("width", [1440, 390])
def test_every_theme_has_its_own_drawing_and_fits(chapter, width):
    page = chapter("mlp-cifar10", width)
    page.wait_for_timeout(200)
    pictures = []
    for theme in ("light", "dark"):
        page.evaluate("(theme) => { document.documentElement.dataset.theme = theme }", theme)
        page.wait_for_timeout(200)
        pictures.append(page.locator(".live-plot canvas").evaluate("c => c.toDataURL()"))
    assert pictures[0] != pictures[1]
    for part in (".live", ".live-controls"):
        box = page.locator(part).first.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert page.locator(part).first.evaluate("b => b.scrollWidth <= b.clientWidth + 1")
    for button in page.locator(".live-controls button, .live-controls input").all():
        assert button.bounding_box()["height"] >= 24


def test_on_paper_there_are_figure_and_table(chapter):
    page = chapter("mlp-cifar10")
    page.emulate_media(media="print")
    for hidden in (".live-controls", ".live-lines", ".live-plot", ".live-card"):
        assert not page.locator(hidden).first.is_visible(), hidden
    assert page.locator(IMAGE).first.is_visible()
    assert page.locator(".live-table table tbody tr").last.is_visible()


def test_without_a_script_there_are_figure_and_table(site, browser, browser_context_args):
    context = browser.new_context(**browser_context_args, java_script_enabled=False)
    page = context.new_page()
    page.goto((site / "chapters" / "mlp-cifar10.html").as_uri())
    assert page.locator(IMAGE).first.bounding_box()["height"] > 200
    assert page.locator(".live-cursor, .live-controls").count() == 0
    page.locator(".live-table summary").click()
    rows = page.locator(".live-table tbody tr")
    assert rows.count() == len(curve("mlp-cifar10", "full"))
    assert rows.first.is_visible()
    link = page.locator(".live-table a", has_text="curves.csv").get_attribute("href")
    assert (site / "chapters" / link).resolve().read_bytes() == (
        RESULTS / "mlp-cifar10" / "curves.csv"
    ).read_bytes()
    context.close()


@pytest.fixture
def overlay(quiet, site):
    """Opens the page of the results with an address and waits for the curves."""

    def go(query=""):
        quiet.goto((site / "results.html").as_uri() + query)
        quiet.locator("#overlay .u-legend").wait_for()
        return quiet

    return go


def curves_shown(page):
    return page.locator("#overlay .u-legend .u-series .u-label").all_text_contents()[1:]


def choose(page, title):
    page.locator("#overlay").get_by_label(title, exact=True).click()


def test_two_chapters_are_two_curves_also_after_a_reload(overlay):
    page = overlay("?curves=mlp-cifar10")
    assert curves_shown(page) == ["MLP on CIFAR-10"]
    choose(page, "LSTM on AG News")
    page.wait_for_function("document.querySelectorAll('#overlay .u-series').length === 3")
    page.locator("#overlay").get_by_label("over").select_option("beta")
    page.locator("#overlay").get_by_label("show").select_option("slope")
    address = page.url
    assert "mlp-cifar10" in address
    assert "lstm-ag_news" in address
    page.reload()
    page.locator("#overlay .u-legend").wait_for()
    assert page.url == address
    assert curves_shown(page) == ["MLP on CIFAR-10", "LSTM on AG News"]
    assert page.locator("#overlay").get_by_label("over").input_value() == "beta"
    assert page.locator("#overlay").get_by_label("show").input_value() == "slope"


def luminance(rgb):
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in rgb]
    return np.dot([0.2126, 0.7152, 0.0722], linear)


def test_curves_are_told_apart_in_both_themes(overlay):
    page = overlay()
    looks = page.locator("#overlay .live-swatch").evaluate_all(
        "all => all.map((s) => getComputedStyle(s).borderTop)"
    )
    assert len(set(looks)) == len(looks) >= 20
    # Neighbours differ by dashes too, for eyes and printers without colour.
    styles = [look.split()[1] for look in looks]
    assert all(one != other for one, other in pairwise(styles))
    colors = {tuple(int(v) / 255 for v in re.findall(r"\d+", look)[1:4]) for look in looks}
    for theme in ("light", "dark"):
        page.evaluate("(theme) => { document.documentElement.dataset.theme = theme }", theme)
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        paper = luminance([int(v) / 255 for v in re.findall(r"\d+", ground)[:3]])
        for color in map(luminance, colors):
            light, dark = max(color, paper), min(color, paper)
            assert (light + 0.05) / (dark + 0.05) >= 3, theme


def test_what_is_under_the_mouse_is_the_curve(overlay):
    page = overlay("?curves=mlp-cifar10+resnet18-cifar10&y=accuracy&x=tau")
    # Accuracy is of the full evaluation: nothing says otherwise.
    assert not page.locator("#overlay").get_by_text("renormalized").first.is_visible()
    page.locator("#overlay .u-over").scroll_into_view_if_needed()
    box = page.locator("#overlay .u-over").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 3, box["y"] + 30)
    values = page.locator("#overlay .u-legend .u-value").all_text_contents()
    tau = number(values[0])
    full = curve("mlp-cifar10", "full")
    at = full[(full["tau"] - tau).abs() < 1e-6]
    if len(at):
        assert number(values[1]) == pytest.approx(100 * at["accuracy"].iloc[0], rel=1e-3)
    else:  # a threshold of the other chapter's
        other = curve("resnet18-cifar10", "full")
        at = other[(other["tau"] - tau).abs() < 1e-6]
        assert number(values[2]) == pytest.approx(100 * at["accuracy"].iloc[0], rel=1e-3)


@pytest.mark.parametrize("method", ["full", "renormalized"])
def test_the_table_behind_the_overlay(overlay, method):
    page = overlay(f"?curves=mlp-cifar10+vit-cifar10&curve={method}&x=beta")
    page.locator("#overlay .live-table summary").click()
    page.locator("#overlay .live-table table").nth(1).wait_for()
    for at, name in enumerate(["mlp-cifar10", "vit-cifar10"]):
        table = page.locator("#overlay .live-table table").nth(at)
        rows = table.locator("tbody tr").evaluate_all(
            "all => all.map((row) => [...row.cells].map((cell) => cell.textContent))"
        )
        full, shown = curve(name, "full"), curve(name, method).set_index("tau")
        assert len(rows) == len(full)
        for row, point in list(zip(rows, full.to_dict("records"), strict=True))[::9]:
            wanted = shown.loc[point["tau"]]
            assert number(row[0]) == pytest.approx(point["tau"])
            assert written_as(row[1], wanted["beta"])
            assert written_as(row[2], wanted["free_energy"])
            assert number(row[3]) == pytest.approx(wanted["dF_dbeta"], rel=6e-3)
            assert written_as(row[4], 100 * point["accuracy"])


def test_addresses_of_others_break_nothing(quiet, site):
    quiet.goto(
        (site / "results.html").as_uri() + "?curves=nothing+%3Cb%3E&y=x&x=&curve=7&words=kept"
    )
    quiet.get_by_text("Choose a chapter to see its curve.").wait_for()
    assert "words=kept" in quiet.url
    choose(quiet, "ViT on CIFAR-10")
    quiet.locator("#overlay .u-legend").wait_for()
    assert curves_shown(quiet) == ["ViT on CIFAR-10"]
    quiet.get_by_role("button", name="choose none").click()
    quiet.locator("#overlay .u-legend").wait_for(state="detached")
