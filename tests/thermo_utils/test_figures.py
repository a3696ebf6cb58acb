"""Figures: what is on them, and that no curve makes them stumble."""

from __future__ import annotations

import warnings
from functools import cache
from itertools import combinations
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

from thermo_utils import figures, thermodynamic_curve
from thermo_utils.curves import Threshold
from thermo_utils.errors import ThermoError
from thermo_utils.figures import ACCURACY, FULL, RENORMALIZED, SHOWN_BETA, Published
from thermo_utils.panel_axes import focus

NOTE = "synthetic data, not a reproduction"
PEAK = Threshold(tau=0.4, beta=0.3, kind="peak", prominence=0.1, rule="first")
THRESHOLDS = {
    "accuracy": PEAK._replace(tau=0.8, beta=0.5, kind="accuracy"),
    "full": PEAK,
    "renormalized": PEAK._replace(tau=0.5, beta=0.35),
}


def curve(points: int = 20, last: float = 4.0, *, accuracy: bool = True) -> pd.DataFrame:
    """Activations distributed exponentially, and an accuracy that falls with them."""
    tau = np.linspace(last / points, last, points)
    active = np.round(1000 * np.exp(-tau))
    table = thermodynamic_curve(tau, active, active * (1 + tau), 1000, 1000.0)
    if accuracy:
        table["accuracy"] = 0.9 - 0.2 * tau
        table.attrs["baseline_accuracy"] = 0.9
    return table


@pytest.fixture(autouse=True)
def strict():
    """A warning is an error, and no figure may stay open to be shown a second time."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    assert plt.get_fignums() == []


@cache
def plain(columns: int = 3):
    """A figure to look at, drawn once."""
    return six(columns=columns)


def six(full=None, fast=None, thresholds=THRESHOLDS, **options):
    full = curve() if full is None else full
    fast = curve(200, accuracy=False) if fast is None else fast
    figure = figures.six_panels(full, fast, thresholds, title="Ours on ours", **options)
    figure.canvas.draw()
    return figure


def labelled(axis, label: str) -> list:
    return [line for line in axis.lines if line.get_label() == label]


def curves(axis) -> dict[str, Any]:
    """The lines that the legend names."""
    return {line.get_label(): line for line in axis.lines if not line.get_label().startswith("_")}


def test_six_panels_in_the_order_of_the_paper():
    axes = plain().axes
    assert [axis.get_title() for axis in axes] == [f"({letter})" for letter in "abcdef"]
    assert all(r"\tau" in axis.get_xlabel() for axis in axes[:3])
    assert all(r"\beta" in axis.get_xlabel() for axis in axes[3:])
    labels = [axis.get_ylabel() for axis in axes]
    assert labels[:3] == ["test accuracy", "free energy $F$", r"$dF/d\tau$"]
    assert labels[3:] == ["test accuracy", "free energy $F$", r"$dF/d\beta$"]


def test_colours_of_the_methods():
    for number, axis in enumerate(plain().axes):
        found = {label: line.get_color() for label, line in curves(axis).items()}
        free = {"full evaluation (FE)": FULL, "renormalized (RFE)": RENORMALIZED}
        assert found == (free if number % 3 else {"test accuracy": ACCURACY})


def test_each_method_is_drawn_with_its_own_numbers():
    full, fast = curve(), curve(200, accuracy=False)
    full["free_energy"] += 1  # else the two lie on one line
    of_label = {
        "test accuracy": full, "full evaluation (FE)": full, "renormalized (RFE)": fast,
    }  # fmt: skip
    for axis, x, y in zip(
        six(full, fast).axes,
        ["tau"] * 3 + ["beta"] * 3,
        ["accuracy", "free_energy", "dF_dtau", "accuracy", "free_energy", "dF_dbeta"],
        strict=True,
    ):
        for label, line in curves(axis).items():
            table = of_label[label]
            shown = table if y == "accuracy" else table[table["beta"] <= SHOWN_BETA]
            np.testing.assert_array_equal(line.get_xdata(), shown[x])
            np.testing.assert_array_equal(line.get_ydata(), shown[y])


def test_thresholds_are_drawn_in_every_panel():
    for number, axis in enumerate(plain().axes):
        marks = labelled(axis, "_threshold")
        assert [mark.get_color() for mark in marks] == [ACCURACY, FULL, RENORMALIZED]
        places = [t.tau if number < 3 else t.beta for t in THRESHOLDS.values()]
        assert [mark.get_xdata()[0] for mark in marks] == places


def test_missing_thresholds_are_left_out():
    nowhere = dict.fromkeys(THRESHOLDS)
    undefined = {"full": PEAK._replace(beta=np.nan)}
    for thresholds, tau, beta in ((nowhere, 0, 0), ({}, 0, 0), (undefined, 1, 0)):
        axes = six(thresholds=thresholds).axes
        assert len(labelled(axes[1], "_threshold")) == tau
        assert len(labelled(axes[4], "_threshold")) == beta


def test_legend_names_both_methods():
    (legend,) = plain().legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert {"renormalized (RFE)", "full evaluation (FE)"} <= set(texts)


def band(axis) -> list[np.ndarray]:
    return [collection.get_paths()[0].vertices for collection in axis.collections]


def test_seeds_shade_their_range():
    low, high = curve(), curve()
    low["accuracy"] -= 0.1
    high["accuracy"] += 0.1
    axis = six(bands={"full": [curve(), low, high], "renormalized": [curve()]}).axes[0]
    (outline,) = band(axis)
    middle = 0.9 - 0.2 * 2.0
    at = outline[np.isclose(outline[:, 0], 2.0, atol=0.01)][:, 1]
    assert at.min() == pytest.approx(middle - 0.1, abs=0.005)
    assert at.max() == pytest.approx(middle + 0.1, abs=0.005)


def test_a_single_seed_has_no_band():
    figure = six(bands={"full": [curve()], "renormalized": [curve(200, accuracy=False)]})
    assert all(band(axis) == [] for axis in figure.axes)
    assert "seeds" not in str([t.get_text() for t in figure.legends[0].texts])


def test_the_band_covers_what_all_seeds_reach():
    short = curve(last=2.0)
    axis = six(bands={"full": [curve(), short]}).axes[0]
    (outline,) = band(axis)
    assert outline[:, 0].max() == pytest.approx(2.0)
    assert outline[:, 0].min() == pytest.approx(4.0 / 20)


def test_the_legend_counts_the_seeds():
    figure = six(bands={"full": [curve(), curve(), curve()], "renormalized": []})
    assert "range over 3 seeds" in [t.get_text() for t in figure.legends[0].texts]


def test_the_accuracy_axis_begins_at_zero():
    axes = plain().axes
    assert axes[0].get_ylim()[0] == axes[3].get_ylim()[0] == 0


@pytest.mark.parametrize("synthetic", [True, False])
def test_synthetic_figures_say_so(synthetic):
    title = six(synthetic=synthetic).get_suptitle()
    assert title.startswith("Ours on ours")
    assert (NOTE in title) == synthetic


def empty_free_energy(table: pd.DataFrame) -> pd.DataFrame:
    undefined = ["free_energy", "dF_dtau", "dF_dbeta", "entropy", "internal_energy"]
    return table.assign(**dict.fromkeys(undefined, np.nan))


@pytest.mark.parametrize(
    "full",
    [
        empty_free_energy(curve()),  # nothing survives anywhere
        curve(last=12.0),  # nothing survives at the end
        curve(points=1),
        curve(points=2),
        curve(last=1e-6),  # nothing is pruned
        curve().assign(dF_dtau=1.0, dF_dbeta=1.0),  # a straight line
        curve().assign(beta=1.0),  # everything is pruned at once
    ],
    ids=["undefined", "ends", "point", "pair", "full", "straight", "dead"],
)
def test_no_curve_is_too_odd(full):
    figure = six(full, full.drop(columns="accuracy"))
    for axis in figure.axes:
        assert np.isfinite([*axis.get_xlim(), *axis.get_ylim()]).all()


def test_without_a_baseline():
    full = curve()
    full.attrs = {}
    assert labelled(six(full).axes[0], "_baseline") == []


def test_over_tau_both_curves_end_where_the_full_evaluation_does():
    full, fast = curve(20, last=2.0), curve(400, last=8.0, accuracy=False)
    axes = six(full, fast, bands={"renormalized": [fast, fast]}).axes
    for axis in axes[1:3]:
        assert reach(axis) == 2
        assert axis.get_xlim()[1] < 2.5  # the band too
    assert min(map(reach, axes[4:])) > full["beta"].iloc[-1] + 0.05  # over beta the other goes on


def reach(axis) -> float:
    return max(max(line.get_xdata()) for line in curves(axis).values())


def judged(metric: str, scores: Any) -> pd.DataFrame:
    full = curve(accuracy=False).assign(**{metric: scores})
    full.attrs = {"metric": {"name": metric, "higher_is_better": False}, "baseline": 12.0}
    return full


def test_another_metric_takes_the_place_of_the_accuracy():
    full = judged("mean_error", np.linspace(12, 20, 20))
    axes = six(full, thresholds={"mean_error": PEAK, "full": None, "renormalized": None}).axes
    for axis in (axes[0], axes[3]):
        assert axis.get_ylabel() == "test mean error"
        (line,) = curves(axis).values()
        assert line.get_ydata().tolist() == full["mean_error"].tolist()
        assert axis.get_yscale() == "linear"
        assert axis.get_ylim()[0] == 0
        (mark,) = labelled(axis, "_threshold")
        assert (mark.get_color(), mark.get_xdata()[0] in (PEAK.tau, PEAK.beta)) == (ACCURACY, True)


def test_a_score_that_grows_by_magnitudes_is_shown_in_magnitudes():
    scores = 12 * np.geomspace(1, 1e5, 20)
    scores[-1] = np.nan  # pruning itself made NaN
    axes = six(judged("perplexity", scores)).axes
    assert axes[0].get_yscale() == axes[3].get_yscale() == "log"


def test_the_renormalized_curve_alone():
    fast = curve(200, 12.0, accuracy=False)
    figure = figures.four_panels(fast, PEAK, title="Ours on ours")
    figure.canvas.draw()
    assert [axis.get_title() for axis in figure.axes] == ["(a)", "(b)", "(c)", "(d)"]
    for number, (axis, x) in enumerate(
        zip(figure.axes, ("tau", "tau", "beta", "beta"), strict=True)
    ):
        y = "free_energy" if number % 2 == 0 else f"dF_d{x}"
        (line,) = curves(axis).values()
        shown = fast[fast["beta"] <= SHOWN_BETA]
        np.testing.assert_array_equal(line.get_xydata(), shown[[x, y]].to_numpy())
        (mark,) = labelled(axis, "_threshold")
        assert mark.get_xdata()[0] == getattr(PEAK, x)
    # Over tau as far as anything is left.
    assert figure.axes[0].lines[0].get_xdata().max() <= -np.log(1 - SHOWN_BETA) * 1.1


def test_the_renormalized_curve_without_a_feature():
    figure = figures.four_panels(curve(2, accuracy=False), None, title="Ours")
    figure.canvas.draw()
    assert not any(labelled(axis, "_threshold") for axis in figure.axes)
    assert "no critical threshold" in [text.get_text() for text in figure.legends[0].texts]


# What is drawn for several seeds, and what others state.


def ticks(axis) -> list[tuple[float, float, float, str]]:
    """Place, foot, head and colour of every tick at the foot of a panel."""
    found = []
    for line in labelled(axis, "_seed"):
        x, y = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
        for k in range(0, len(x), 3):
            assert x[k] == x[k + 1]
            assert np.isnan([x[k + 2], y[k + 2]]).all()
            found.append((x[k], y[k], y[k + 1], line.get_color()))
    return found


def seeds(**places: list[float | None]) -> list[dict[str, Threshold | None]]:
    """Thresholds of several seeds, given per method."""
    return [
        {
            method: None if tau is None else PEAK._replace(tau=tau, beta=tau / 4)
            for method, tau in zip(places, of_seed, strict=True)
        }
        for of_seed in zip(*places.values(), strict=True)
    ]


def test_every_seed_has_its_tick():
    """As one chapter has it: the seed that is drawn says 0.12, the others 1.04 and 0.52."""
    given = seeds(accuracy=[0.4, 0.5, 0.6], full=[0.12, 1.04, 0.52], renormalized=[None, 0.3, None])
    for number, axis in enumerate(six(seeds=given).axes):
        scale = 1 if number < 3 else 1 / 4
        for color, expected in (
            (ACCURACY, [0.4, 0.5, 0.6]), (FULL, [0.12, 0.52, 1.04]), (RENORMALIZED, [0.3]),
        ):  # fmt: skip
            found = sorted(tick[0] for tick in ticks(axis) if tick[3] == color)
            assert found == pytest.approx([scale * tau for tau in expected])


def hidden(axis) -> list[tuple]:
    """Pairs of ticks of which one covers the other."""
    wide = 2.2 / 72 * axis.figure.dpi / axis.bbox.width * np.ptp(axis.get_xlim())
    found = ticks(axis)
    return [
        (a, b)
        for k, a in enumerate(found)
        for b in found[:k]
        if abs(a[0] - b[0]) < wide and min(a[2], b[2]) > max(a[1], b[1])
    ]


@pytest.mark.parametrize("columns", [2, 3])
@pytest.mark.parametrize(
    "taus", [[0.4] * 3, [0.4, 0.41, 0.42], [0.4, 0.4, 2.0], [0.1 * k for k in range(1, 11)]]
)
def test_no_tick_hides_another(taus, columns):
    given = seeds(accuracy=taus, full=taus, renormalized=taus)
    for axis in six(seeds=given, columns=columns).axes:
        assert len(ticks(axis)) == 3 * len(taus)
        assert hidden(axis) == []


def test_hidden_ticks_would_be_noticed():
    axis = six(seeds=seeds(full=[0.4])).axes[0]
    (line,) = labelled(axis, "_seed")
    x, y = line.get_data()
    line.set_data([*x, *x], [*y, *y])
    assert len(hidden(axis)) == 1


STATED = [
    Published("full", "tau", 0.3, 0.33),
    Published("full", "beta", 0.5, 0.55),
    Published("full", "beta", 0.05, 0.1),
    Published("accuracy", "beta", 0.5, 0.55),
    Published("renormalized", "tau", 0.42, 0.42),
]


def stated(axis) -> set[tuple[str, float, float]]:
    return {(line.get_color(), *line.get_xdata()) for line in labelled(axis, "_published")}


def test_every_stated_value_is_drawn_over_the_axis_it_belongs_to():
    """Where text and table contradict each other both are drawn; what is said twice is one mark."""
    axes = six(published=[*STATED, STATED[0]]).axes
    colors = {"full": FULL, "accuracy": ACCURACY, "renormalized": RENORMALIZED}
    for number, axis in enumerate(axes):
        x = "tau" if number < 3 else "beta"
        expected = {(colors[p.method], p.low, p.high) for p in STATED if p.x == x}
        assert stated(axis) == expected
        assert len(labelled(axis, "_published")) == len(expected)
        bands = sorted((patch.get_x(), patch.get_width()) for patch in axis.patches)
        ranges = {(p.method, p.low, p.high) for p in STATED if p.x == x and p.low < p.high}
        expected = sorted((low, high - low) for _, low, high in ranges)
        np.testing.assert_allclose(bands, expected)


def test_marks_of_methods_that_state_the_same_stand_in_lanes_of_their_own():
    same = [Published(method, "tau", 0.42, 0.42) for method in THRESHOLDS]
    heights = [line.get_ydata()[0] for line in labelled(six(published=same).axes[0], "_published")]
    assert heights == sorted(heights, reverse=True)
    assert np.diff(heights).max() < -0.04
    assert max(heights) < 1


def test_a_value_beyond_the_curves_is_in_view():
    for axis in six(published=[Published("full", "tau", 6.0, 6.5)]).axes[:3]:
        assert axis.get_xlim()[1] >= 6.5


def test_marks_at_head_and_foot_hide_no_curve():
    full, fast = curve(), curve(200, accuracy=False)
    before = six(full, fast).axes
    axes = six(full, fast, seeds=[THRESHOLDS], published=STATED).axes
    for k in (0, 1, 3, 4):
        values = np.concatenate([line.get_ydata() for line in curves(axes[k]).values()])
        low, high = axes[k].get_ylim()
        share = (values - low) / (high - low)
        assert np.nanmax(share) < 1 - 3 * 0.055 + 0.05
        assert axes[k].get_ylim()[1] > before[k].get_ylim()[1]
    assert axes[0].get_ylim()[0] == 0


def test_the_legend_says_what_is_drawn_and_nothing_else():
    def words(**options):
        (legend,) = six(**options).legends
        return {text.get_text() for text in legend.get_texts()}

    always = words()
    assert words(seeds=[THRESHOLDS]) - always == {"those of every seed"}
    assert words(published=STATED) - always == {"published thresholds"}


# Without colour.

#: What a deuteranope sees of linear red, green and blue (Machado, Oliveira and Fernandes, 2009).
DEUTERANOPIA = np.array(
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]
)


def linear(color: str) -> np.ndarray:
    rgb = np.array(to_rgb(color))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def luminance(rgb: np.ndarray) -> float:
    return float(rgb @ [0.2126, 0.7152, 0.0722])


def lightness(rgb: np.ndarray) -> float:
    """L* of CIELAB."""
    y = luminance(rgb)
    return 116 * np.cbrt(y) - 16 if y > 0.008856 else 903.3 * y


def style(line) -> tuple:
    # The dashes as they are drawn; the name of a pattern of one's own is that of a solid line.
    return line._dash_pattern, line.get_marker()


def test_the_reference_for_colour_is_right():
    assert lightness(linear("#ffffff")) == pytest.approx(100, abs=0.01)
    assert lightness(linear("#777777")) == pytest.approx(50.03, abs=0.1)
    red, green = (DEUTERANOPIA @ linear(color) for color in ("#ff0000", "#00aa00"))
    assert abs(lightness(red) - lightness(green)) < 15  # which a deuteranope cannot tell apart
    np.testing.assert_allclose(DEUTERANOPIA.sum(axis=1), 1, atol=1e-5)  # grey stays grey


@pytest.mark.parametrize("seen", [np.eye(3), DEUTERANOPIA], ids=["grey", "deuteranope"])
@pytest.mark.parametrize("columns", [2, 3])
def test_curves_of_a_panel_are_told_apart_without_colour(seen, columns):
    for number, axis in enumerate(plain(columns).axes):
        drawn = list(curves(axis).values())
        assert len(drawn) == (1 if number % 3 == 0 else 2)
        for a, b in combinations(drawn, 2):
            apart = lightness(seen @ linear(a.get_color())) - lightness(
                seen @ linear(b.get_color())
            )
            assert abs(apart) > 15
            assert style(a) != style(b)


def test_thresholds_are_told_apart_by_their_dashes():
    for axis in plain().axes:
        marks = labelled(axis, "_threshold")
        assert len({str(style(mark)) for mark in marks}) == len(marks) == 3


@pytest.mark.parametrize("color", [FULL, RENORMALIZED, ACCURACY])
def test_colours_stand_out_from_the_page(color):
    assert 1.05 / (luminance(linear(color)) + 0.05) >= 3


# What of a slope is in view.


@st.composite
def slopes(draw) -> pd.DataFrame:
    """A curve whose slope is anything, with sparsities that grow by uneven steps."""
    points = draw(st.integers(3, 30))
    number = st.floats(-1e4, 1e4, allow_subnormal=False)
    values = draw(st.lists(number, min_size=points, max_size=points))
    steps = draw(st.lists(st.floats(1e-3, 1.0), min_size=points, max_size=points))
    table = curve(points)
    table["beta"] = 0.99 * np.cumsum(steps) / np.sum(steps)
    return table.assign(dF_dtau=values, dF_dbeta=values[::-1])


AXIS = Figure().add_subplot()


def focused(*tables: pd.DataFrame, x: str = "tau") -> tuple[float, float]:
    """What of the slopes of some curves is in view."""
    focus(AXIS, tables, x, f"dF_d{x}")
    return AXIS.get_ylim()


@settings(max_examples=60, deadline=None)
@given(slopes(), slopes())
def test_zeros_of_a_slope_are_in_view(full, fast):
    """Wherever the drawn part changes its sign; at neither edge."""
    for x in ("tau", "beta"):
        low, high = focused(full, fast, x=x)
        assert np.isfinite([low, high]).all()
        assert low < high
        for one in (full, fast):
            values = one[f"dF_d{x}"].to_numpy()
            if (values.min() < 0) and (values.max() > 0):
                assert 0.1 < (0 - low) / (high - low) < 0.9


def test_crossings_lie_within_the_panel():
    for axis in plain().axes[2::3]:
        low, high = axis.get_xlim()
        for line in curves(axis).values():
            x, y = line.get_data()
            before = np.flatnonzero(np.sign(y[:-1]) * np.sign(y[1:]) < 0)
            assert low <= x[0]
            assert x[-1] <= high
            assert axis.get_ylim()[0] < 0 < axis.get_ylim()[1] or not len(before)


def test_a_plunge_does_not_press_the_zero_flat():
    """As over the sparsity: from one to minus one along most of the axis, then far down."""
    table = curve(200)
    table["beta"] = np.linspace(0, 0.99, 200)
    table["dF_dbeta"] = 1 - 2 * table["beta"] - np.where(table["beta"] > 0.9, 150.0, 0.0)
    low, high = focused(table, x="beta")
    assert -6 < low < -0.8
    assert 0.9 < high < 2


def test_a_slope_of_one_sign_needs_no_zero():
    table = curve(50).assign(dF_dtau=np.linspace(5, 6, 50))
    assert focused(table)[0] > 4


def test_slopes_have_a_line_at_zero():
    for number, axis in enumerate(plain().axes):
        zeros = [line.get_ydata()[0] for line in labelled(axis, "_zero")]
        assert zeros == ([0] if number % 3 == 2 else [])


def test_a_falling_accuracy_is_never_drawn_in_magnitudes():
    full = curve()
    full["accuracy"] = np.geomspace(0.9, 0.001, len(full))
    assert [axis.get_yscale() for axis in six(full).axes] == ["linear"] * 6


# Layout.

#: Of 390 CSS pixels the page leaves so many to a figure.
PHONE = 342


def texts(figure) -> list:
    return [t for t in figure.findobj(Text) if t.get_text() and t.get_visible()]


@pytest.mark.parametrize("options", [{}, {"synthetic": True, "seeds": [THRESHOLDS] * 3}])
def test_letters_are_large_enough_on_a_phone(options):
    figure = six(columns=2, **options)
    shrunk = PHONE / (72 * figure.get_figwidth())  # CSS pixels for a point of the file
    assert min(text.get_fontsize() for text in texts(figure)) * shrunk >= 9
    # Nothing is set smaller within a text.
    assert not any(c in text.get_text() for text in texts(figure) for c in "^_")


@pytest.mark.parametrize(
    ("columns", "synthetic", "scale"),
    [(3, False, 1.0), (3, True, -40000.0), (2, True, 1e-4), (2, False, -40000.0)],
)
def test_nothing_lies_over_anything_else(columns, synthetic, scale):
    full, fast = curve(), curve(200, accuracy=False)
    for table in (full, fast):
        table[["free_energy", "dF_dtau"]] *= scale
    figure = six(
        full, fast, columns=columns, synthetic=synthetic, published=STATED, seeds=[THRESHOLDS] * 2,
        bands={"full": [full, full], "renormalized": [fast, fast]},
    )  # fmt: skip
    renderer = RendererAgg(*figure.bbox.size, figure.dpi)
    (legend,) = figure.legends
    boxes = [axis.get_tightbbox(renderer) for axis in figure.axes]
    boxes += [legend.get_tightbbox(renderer), figure._suptitle.get_window_extent(renderer)]
    width, height = figure.bbox.size
    for box in boxes:
        assert box.x0 > -1
        assert box.y0 > -1
        assert box.x1 < width + 1
        assert box.y1 < height + 1
    for a, b in combinations(boxes, 2):
        assert min(a.x1, b.x1) <= max(a.x0, b.x0) + 1 or min(a.y1, b.y1) <= max(a.y0, b.y0) + 1


@pytest.mark.parametrize("columns", [2, 3])
def test_panels_stand_in_rows_or_in_columns(columns):
    places = [axis.get_position() for axis in plain(columns).axes]
    for number, place in enumerate(places):
        over_tau = places[number % 3]
        if number >= 3:  # over the sparsity: below, or beside
            assert (place.x0, place.y0 < over_tau.y0) == (over_tau.x0, True) or columns == 2
            assert (place.y0, place.x0 > over_tau.x0) == (over_tau.y0, True) or columns == 3


def test_other_numbers_of_columns_are_refused():
    with pytest.raises(ThermoError, match=r"columns.*4.*2"):
        six(columns=4)
