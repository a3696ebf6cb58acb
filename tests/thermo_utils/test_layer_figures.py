"""Figures of many layers: what is on them, and that all of it can be read."""

from __future__ import annotations

import functools
import itertools
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from torch import nn

from thermo_utils import ThermoError, layer_spectra
from thermo_utils.layer_figures import TOGETHER, heat_map, shortened, small_multiples

FIGURES = [heat_map, small_multiples]


@pytest.fixture(autouse=True)
def strict():
    """A warning is an error, and no figure may stay open to be shown a second time."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    assert plt.get_fignums() == []


class Deep(nn.Module):
    """Layers under names as long as those of real networks."""

    def __init__(self, count, name="encoder_blocks_of_the_network"):
        super().__init__()
        self.add_module(name, nn.ModuleList(Block(i) for i in range(count)))

    def forward(self, x):
        for block in next(iter(self.children())):
            x = block(x)
        return x


class Block(nn.Module):
    def __init__(self, index):
        super().__init__()
        self.intermediate = nn.Linear(16, 16)
        self.intermediate_act_fn = [nn.ReLU(), nn.GELU(), nn.Tanh()][index % 3]

    def forward(self, x):
        return 2 * self.intermediate_act_fn(self.intermediate(x))


@functools.cache
def deep(count, **options):
    torch.manual_seed(0)
    return layer_spectra(
        Deep(count, **options), [torch.randn(300, 16)], "*.intermediate_act_fn", progress=False
    )


def drawn(make, spectra, *args, **options):
    figure = make(spectra, *args, **options)
    FigureCanvasAgg(figure).draw()  # a closed figure has lost its canvas
    return figure


def boxes(texts, figure):
    return [text.get_window_extent(figure.canvas.get_renderer()) for text in texts]


def inside(figure, box):
    return box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1


@pytest.mark.parametrize(
    ("count", "options"),
    [(1, {}), (2, {"x": "tau"}), (60, {}), (60, {"x": "tau", "value": "slope"})],
)
def test_names_in_a_heat_map_do_not_overlap(count, options):
    spectra = deep(count)
    figure = drawn(heat_map, spectra, **options)
    axis, bar = figure.axes
    labels = axis.get_yticklabels()
    assert len({label.get_text() for label in labels}) == count + 1
    assert labels[-1].get_text() == TOGETHER
    places = boxes(labels, figure)
    for above, below in itertools.pairwise(places):
        assert above.y0 >= below.y1
    assert all(inside(figure, box) for box in places)
    assert inside(figure, bar.get_tightbbox(figure.canvas.get_renderer()))
    assert figure.bbox.y1 / figure.dpi < 16


@pytest.mark.parametrize("count", [1, 5, pytest.param(60, marks=pytest.mark.slow)])
def test_titles_of_small_multiples_do_not_overlap(count):
    figure = drawn(small_multiples, deep(count))
    panels = [axis for axis in figure.axes if axis.get_visible()]
    assert len(panels) == count + 1
    places = boxes([axis.title for axis in panels], figure)
    for index, one in enumerate(places):
        assert inside(figure, one)
        assert not any(one.overlaps(other) for other in places[index + 1 :])
    renderer = figure.canvas.get_renderer()
    for one, other in itertools.pairwise(panels):
        assert not one.get_tightbbox(renderer).overlaps(other.get_tightbbox(renderer))
    assert all(inside(figure, axis.get_tightbbox(renderer)) for axis in panels)


def test_of_very_many_layers_some_are_named():
    class Wide(nn.Module):
        def __init__(self):
            super().__init__()
            self.acts = nn.ModuleList(nn.ReLU() for _ in range(110))

        def forward(self, x):
            return [act(x) for act in self.acts]

    spectra = layer_spectra(Wide(), [torch.randn(20)], nn.ReLU, [0.5, 1.0, 1.5], progress=False)
    figure = drawn(heat_map, spectra)
    labels = figure.axes[0].get_yticklabels()
    assert 50 < len(labels) <= 91
    assert labels[-1].get_text() == TOGETHER
    for above, below in itertools.pairwise(boxes(labels, figure)):
        assert above.y0 >= below.y1
    assert figure.bbox.y1 / figure.dpi < 17


def test_a_row_is_the_curve_of_its_layer_and_the_dot_its_feature():
    spectra = deep(3)
    figure = drawn(heat_map, spectra)
    axis = figure.axes[0]
    rows = axis.collections[0].get_array().reshape(4, -1)
    for row, name in enumerate(spectra.spectra):
        curve = spectra.curve(name)
        curve = curve[curve["beta"].between(0.01, 0.9)]
        at = np.linspace(0, 0.995, rows.shape[1])
        rows[row][at > 0.9] = np.ma.masked  # which is drawn in the colours of the ends
        highest = curve["beta"][curve["free_energy"].idxmax()]
        assert at[np.argmax(rows[row])] == pytest.approx(highest, abs=0.03)
        lowest = curve["beta"][curve["free_energy"].idxmin()]
        assert at[np.ma.argmin(rows[row])] == pytest.approx(lowest, abs=0.03)
    dots = {
        round(line.get_ydata()[0]): line.get_xdata()[0]
        for line in axis.lines
        if line.get_marker() == "o"
    }
    features = [*spectra.features.values(), spectra.feature]
    assert dots == {row: found.beta for row, found in enumerate(features) if found is not None}
    assert dots  # or nothing was compared


def test_the_slope_changes_its_sign_at_a_peak():
    spectra = deep(3)
    figure = drawn(heat_map, spectra, value="slope")
    axis = figure.axes[0]
    rows = axis.collections[0].get_array().reshape(4, -1)
    assert set(np.unique(rows.compressed())) <= {-1.0, 0.0, 1.0}
    at = np.linspace(0, 0.995, rows.shape[1])
    peaks = [
        (row, found.beta)
        for row, found in enumerate(spectra.features.values())
        if found is not None and found.kind == "peak"
    ]
    assert peaks
    for row, beta in peaks:
        assert rows[row][np.searchsorted(at, beta + 0.03)] == -1


@pytest.mark.parametrize("x", ["beta", "tau"])
def test_panels_hold_the_curves_and_their_thresholds(x):
    spectra = deep(3)
    assert spectra.feature is not None
    figure = drawn(small_multiples, spectra, x)
    curves = [*map(spectra.curve, spectra.spectra), spectra.together]
    features = [*spectra.features.values(), spectra.feature]
    for axis, curve, found in zip(figure.axes, curves, features, strict=False):
        line, *marks = axis.lines
        shown = curve[curve["beta"].between(0.01, 0.995)]
        np.testing.assert_array_equal(line.get_xdata(), shown[x])
        np.testing.assert_array_equal(line.get_ydata(), shown["free_energy"])
        dashed = [mark.get_xdata()[0] for mark in marks if mark.get_linestyle() == "--"]
        assert dashed == ([] if found is None else [getattr(found, x)])
        (dotted,) = [mark.get_xdata()[0] for mark in marks if mark.get_linestyle() == ":"]
        assert dotted == pytest.approx(np.interp(spectra.feature.tau, curve["tau"], curve[x]))


@pytest.mark.parametrize("make", FIGURES)
def test_a_layer_of_zeros_has_its_place(make):
    model = nn.Sequential(nn.Identity(), nn.Threshold(1e9, 0.0), nn.Identity())
    data = [torch.randn(200, 8)]
    layers = ["0", "1"]
    figure = drawn(make, layer_spectra(model, data, layers, progress=False))
    shown = (
        figure.axes[0].get_yticklabels()
        if make is heat_map
        else [axis.title for axis in figure.axes if axis.get_visible()]
    )
    assert [text.get_text() for text in shown] == ["0", "1", TOGETHER]


@pytest.mark.parametrize("make", FIGURES)
def test_names_are_no_formulas(make):
    spectra = deep(2, name=r"a$\frac{b$_^")
    drawn(make, spectra)


@pytest.mark.parametrize("make", FIGURES)
def test_generated_data_are_marked(make):
    spectra = deep(1)
    for synthetic in (True, False):
        text = drawn(make, spectra, synthetic=synthetic, title="Ours")._suptitle.get_text()
        assert text.startswith("Ours")
        assert ("synthetic data" in text) == synthetic


@pytest.mark.parametrize("make", FIGURES)
def test_curves_of_a_few_points(make):
    for taus in ([0.5], [0.5, 1.0]):
        drawn(make, layer_spectra(nn.Sequential(nn.ReLU()), [torch.randn(9)], "0", taus))


def test_an_unknown_axis_is_refused():
    with pytest.raises(ThermoError, match="beta, tau"):
        heat_map(deep(1), "rho")
    with pytest.raises(ThermoError, match="slope"):
        heat_map(deep(1), value="dF")


def test_short_names_stay_apart():
    names = [
        f"encoder.layers.{i}.{part}.of.the.network.dense.act"
        for i in range(12)
        for part in ("attention.output", "intermediate.feed_forward")
    ]
    for room in (12, 30, 200):
        short = shortened(names, room)
        assert len(set(short)) == len(names)
    assert shortened(["relu"]) == ["relu"]
    assert max(map(len, shortened([f"{i}{'x' * 80}" for i in range(9)], 20))) == 20
    with pytest.raises(ThermoError, match="different"):
        shortened(["same", "same"])
