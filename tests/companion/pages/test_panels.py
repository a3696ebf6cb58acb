"""The six panels of a chapter: the same files from the same records, with words that fit."""

from __future__ import annotations

import json
import math
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from myst_parser.parsers.options import options_to_items

from companion.pages.panel_words import alt_text, caption, crossings
from companion.pages.panels import (
    Panels,
    chapter_panels,
    record_threshold,
    write_panels,
)
from companion.paper.published import lookup
from companion.runs.chapters import CHAPTERS
from companion.runs.methods import METHODS
from companion.runs.records import read_chapter
from thermo_utils.figures import ACCURACY, FULL, RENORMALIZED, SHOWN_BETA

RESULTS = Path(__file__).parents[3] / "results"
COLORS = {"accuracy": ACCURACY, "full": FULL, "renormalized": RENORMALIZED}
TITLE = "MLP on CIFAR-10"


@pytest.fixture
def several(record):
    """Three seeds; the full evaluation finds nothing on the last."""
    peak = record().result["thresholds"]["full"]
    return [
        record(seed=seed, thresholds=record().result["thresholds"] | {"full": found})
        for seed, found in enumerate((peak, peak | {"tau": 1.04, "beta": 0.65}, None))
    ]


MADE: dict[str, Any] = {}


@pytest.fixture
def files(several, tmp_path_factory) -> Path:
    """Where the figure of these seeds lies, drawn once."""
    if not MADE:
        folder = tmp_path_factory.mktemp("panels")
        MADE.update(folder=folder, panels=write_panels(folder, "mlp", several, title=TITLE))
    return MADE["folder"]


@pytest.fixture
def panels(files) -> Panels:
    return MADE["panels"]


class TestFiles:
    def test_the_same_records_give_the_same_bytes(self, tmp_path, several, files, panels):
        (other := tmp_path / "other").mkdir()
        assert write_panels(other, "mlp", several, title=TITLE) == panels
        names = {path.name for path in other.iterdir()}
        assert names == {"mlp.svg", "mlp-narrow.svg"}
        for name in names:
            assert (other / name).read_bytes() == (files / name).read_bytes()

    def test_they_are_named_and_tell_no_date(self, files):
        for path in files.glob("*.svg"):
            text = path.read_text(encoding="utf-8")
            assert ET.fromstring(text).find("{http://www.w3.org/2000/svg}title").text == TITLE
            assert not re.search(r"20\d\d-\d\d-\d\d", text)

    def test_other_curves_give_another_picture(self, tmp_path, record, several, files):
        other = [record(accuracy=0.57), *several[1:]]
        write_panels(tmp_path, "mlp", other, title=TITLE)
        assert (tmp_path / "mlp.svg").read_bytes() != (files / "mlp.svg").read_bytes()


def drawn(path: Path, style: str) -> list[str]:
    """Outlines of everything in a picture that looks like this."""
    root = ET.fromstring(path.read_text(encoding="utf-8"))
    rules = dict(re.findall(r"\.(c\d+)\{([^}]*)\}", "".join(root.itertext())))
    return [
        element.get("d", "")
        for element in root.iter("{http://www.w3.org/2000/svg}path")
        if any(style in rules[name] for name in element.get("class", "").split())
    ]


def size(path: Path) -> tuple[float, float]:
    box = ET.fromstring(path.read_text(encoding="utf-8")).get("viewBox", "")
    _, _, width, height = map(float, box.split())
    return width, height


def place(panel: dict, extent: tuple[float, float], x: float, y: float) -> tuple[float, float]:
    """Where a value is in the picture, by what is told of the panel."""
    left, top, width, height = panel["box"]
    across = (x - panel["xlim"][0]) / (panel["xlim"][1] - panel["xlim"][0])
    up = (y - panel["ylim"][0]) / (panel["ylim"][1] - panel["ylim"][0])
    return extent[0] * (left + across * width), extent[1] * (top + (1 - up) * height)


class TestGeometry:
    @pytest.mark.parametrize(("kind", "name"), [("wide", "mlp.svg"), ("narrow", "mlp-narrow.svg")])
    def test_points_of_the_curve_are_where_it_says(self, files, several, panels, kind, name):
        """Every grid point of the full evaluation is a dot in three panels over each axis."""
        extent = size(files / name)
        dots = np.array(
            [
                [float(number) for number in dot]
                for color in (ACCURACY, FULL)
                for d in drawn(files / name, f"stroke:{color};stroke-width:3;")
                for dot in re.findall(r"M(-?[\d.]+) (-?[\d.]+)h0", d)
            ]
        )
        full = several[0].curve("full")
        assert 5 * len(full) < len(dots) <= 6 * len(full)  # but those that are out of the picture
        for panel in panels.geometry[kind]:
            assert panel["scale"] == "linear"
            points = full[full[panel["y"]].between(*panel["ylim"])]
            assert len(points) > 0.6 * len(full)
            for x, y in points[[panel["x"], panel["y"]]].to_numpy():
                here = place(panel, extent, x, y)
                assert np.abs(dots - here).max(axis=1).min() < 0.11  # rounded to a tenth

    @pytest.mark.parametrize(("kind", "name"), [("wide", "mlp.svg"), ("narrow", "mlp-narrow.svg")])
    def test_so_are_thresholds(self, files, several, panels, kind, name):
        extent = size(files / name)
        for method, dashes in (("full", "4.81,2.08"), ("accuracy", "1.3,2.145")):
            lines = [
                re.fullmatch(r"M([\d.]+) ([\d.]+)l0-?([\d.]+)", d)
                for d in drawn(files / name, f"stroke-dasharray:{dashes}")
            ]
            found = several[0].result["thresholds"][method]
            for panel in panels.geometry[kind]:
                across, _ = place(panel, extent, found[panel["x"]], panel["ylim"][0])
                assert any(line and abs(float(line[1]) - across) < 0.06 for line in lines)

    def test_the_panels_are_told_in_their_order(self, panels):
        for kind in ("wide", "narrow"):
            told = [(panel["x"], panel["y"]) for panel in panels.geometry[kind]]
            assert told[:3] == [("tau", y) for y in ("accuracy", "free_energy", "dF_dtau")]
            assert told[3:] == [("beta", y) for y in ("accuracy", "free_energy", "dF_dbeta")]
            for panel in panels.geometry[kind]:
                left, top, width, height = panel["box"]
                assert min(left, top, width, height) > 0
                assert max(left + width, top + height) < 1

    def test_it_goes_into_a_script(self, panels):
        assert json.loads(json.dumps(panels.geometry, allow_nan=False)) == panels.geometry


class TestFigure:
    def test_every_value_of_the_paper_is_in_it(self, record):
        """Text and table of the paper contradict each other about ResNet-18."""
        axes = chapter_panels([record("resnet18", "cifar10")], title=TITLE).axes
        for number, quantity in ((1, "tau_star"), (4, "beta_star")):
            expected = {
                (COLORS[row["method"]], row["low"], row["high"])
                for row in lookup("resnet18", "cifar10", quantity).to_dict("records")
            }
            found = {
                (line.get_color(), *line.get_xdata())
                for line in axes[number].lines
                if line.get_label() == "_published"
            }
            assert found == expected
        assert {(low, high) for _, low, high in expected} == {(0.5, 0.55), (0.05, 0.1)}

    def test_a_network_of_ones_own_has_none(self, record):
        foreign = record("mine", "cifar10")
        for axis in chapter_panels([foreign], title="mine").axes:
            assert not any(line.get_label() == "_published" for line in axis.lines)

    def test_thresholds_of_every_seed_are_ticks(self, several):
        axis = chapter_panels(several, title=TITLE).axes[1]
        (line,) = (
            line for line in axis.lines if (line.get_label(), line.get_color()) == ("_seed", FULL)
        )
        assert set(np.asarray(line.get_xdata())[::3]) == {0.12, 1.04}

    def test_what_a_record_lacks_of_a_threshold_was_not_finite(self, record):
        bend = record_threshold(record(), "renormalized")
        assert math.isnan(bend.prominence)
        assert (bend.tau, bend.kind) == (0.31, "bend")
        assert record_threshold(record(thresholds=dict.fromkeys(METHODS)), "full") is None


class TestAlt:
    def test_says_what_is_seen(self, panels, several):
        full = several[0].curve("full")
        for words in (
            TITLE, "56.0 percent without pruning",
            f"{100 * full['accuracy'].iloc[-1]:.1f} percent at the last threshold, τ 2;",
            "it gives way at τ 0.8 (β 0.55)",
            "first with a peak at τ 0.12 (β 0.13), before the accuracy gives way "
            "(over 2 of 3 seeds τ 0.12 to 1.04)",
            "Renormalized, first with a bend at τ 0.31 (β 0.27), before",
            "0.36-0.4 for the accuracy, 0.12 for FE",
        ):  # fmt: skip
            assert words in panels.alt

    @pytest.mark.parametrize(
        ("tau", "words"),
        [(0.5, "before the accuracy gives way"), (0.8, "where the accuracy gives way"),
         (1.1, "after the accuracy has given way")],
    )  # fmt: skip
    def test_whether_the_accuracy_falls_before_or_after(self, record, tau, words):
        thresholds = record().result["thresholds"]
        found = thresholds | {"full": thresholds["full"] | {"tau": tau}}
        alt = alt_text([record(thresholds=found)], TITLE)
        assert f"peak at τ {tau:g} (β 0.13), {words}." in alt

    def test_nothing_found(self, record):
        nothing = record(thresholds=dict.fromkeys(METHODS))
        alt = alt_text([nothing], TITLE)
        assert alt.count("without a feature") == 2
        assert "where it gives way was not found" in alt
        assert "It has no critical threshold." in caption([nothing])

    @pytest.mark.parametrize("title", ["a: b # c", '"quoted" #1\n\nand more', "{image} x"])
    def test_it_is_one_option_of_a_directive(self, record, title):
        alt = alt_text([record()], title)
        ((key, value),), _ = options_to_items(f"alt: {alt}")
        assert (key, value) == ("alt", alt)

    def test_synthetic_data_are_told(self, record):
        assert "synthetic" in alt_text([record(synthetic=True)], "x")
        assert "synthetic" not in alt_text([record()], "x")


class TestCaption:
    def test_names_panels_and_seeds(self, panels):
        assert re.findall(r"\*\*\(([a-f])\)\*\*", panels.caption) == list("adbecf")
        assert "Curves: seed 0; shaded: range over seeds 0, 1 and 2." in panels.caption

    def test_one_seed_has_no_range(self, record):
        text = caption([record(seed=3)])
        assert "Curves: seed 3." in text
        assert "shaded" not in text

    def test_what_is_missing(self, record, several, panels):
        assert "none for" not in panels.caption
        assert "(nothing for RFE)" in panels.caption  # the paper never says it of this chapter
        assert "(none for FE)" in caption(several[::-1])
        assert "The paper states no threshold" in caption([record("mine", "cifar10")])


def test_crossings_are_those_of_a_fine_grid():
    """Against signs on a grid a thousand times finer."""
    record = read_chapter(RESULTS, "small", "cnn-cifar10")[0]
    for x in ("tau", "beta"):
        curve = record.curve("full")
        curve = curve[curve["beta"] <= SHOWN_BETA].dropna(subset=f"dF_d{x}")
        at = np.linspace(curve[x].iloc[0], curve[x].iloc[-1], 200_000)
        signs = np.sign(np.interp(at, curve[x], curve[f"dF_d{x}"]))
        expected = at[np.flatnonzero(np.diff(signs))]
        found = crossings(record.curve("full"), x)
        assert len(found) > 0
        np.testing.assert_allclose(found, expected, atol=2 * (at[1] - at[0]))


@pytest.mark.slow
@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.name)
def test_committed_chapters(tmp_path, chapter):
    """Small files; every zero of a drawn slope in view, where the paper's figure has it."""
    records = read_chapter(RESULTS, "small", chapter.name)
    panels = write_panels(tmp_path, chapter.name, records, title=chapter.title)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 120_000
    full = records[0].curve("full")
    for kind in ("wide", "narrow"):
        for panel in panels.geometry[kind][2::3]:
            x, (low, high) = panel["x"], panel["ylim"]
            for method in ("full", "renormalized"):
                curve = records[0].curve(method)
                if x == "tau":
                    curve = curve[curve["tau"] <= full["tau"].iloc[-1]]
                at = crossings(curve, x)
                assert not at or 0.1 < (0 - low) / (high - low) < 0.9
                assert all(panel["xlim"][0] < place < panel["xlim"][1] for place in at)
