"""The expansion against closed forms and quadrature, and what follows from it on real curves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from torch import nn

from companion.runs.chapters import CHAPTERS
from companion.runs.records import read_chapter
from thermo_utils import (
    ThermoError,
    evaluate,
    full_evaluation,
    renormalized,
    thermodynamic_curve,
)
from thermo_utils.expansion import Expansion, expansion, hazard, predicted_peak
from thermo_utils.scaling import rescaled
from thermo_utils.thermodynamics import CURVE_COLUMNS

RESULTS = Path(__file__).parents[2] / "results"
CURVES = {
    f"{chapter.name}-{record.result['seed']}-{method}": record.curve(method)
    for chapter in CHAPTERS
    for record in read_chapter(RESULTS, "small", chapter.name)
    for method in ("full", "renormalized")
}
#: Density, its first two derivatives at zero, and mean, of distributions of |a|.
CLOSED = {
    "exponential": (stats.expon(), 1.0, -1.0, 1.0, 1.0),
    "uniform": (stats.uniform(), 1.0, 0.0, 0.0, 0.5),
    "half-normal": (stats.halfnorm(), *(np.sqrt(2 / np.pi) * np.array([1.0, 0.0, -1.0, 1.0]))),
    "Lomax": (stats.lomax(4.0), 4.0, -20.0, 120.0, 1 / 3),
}
#: Share of the sum that lies above a threshold.
ABOVE = {
    "exponential": lambda t: (1 + t) * np.exp(-t),
    "uniform": lambda t: 1 - t**2,
    "half-normal": lambda t: np.exp(-(t**2) / 2),
    "Lomax": lambda t: (1 + 4 * t) / (1 + t) ** 4,
}


def exact(name, tau, n=1e15):
    """The curve of a distribution."""
    distribution, *_, mean = CLOSED[name]
    return thermodynamic_curve(
        tau, n * distribution.sf(tau), n * mean * ABOVE[name](tau), n, n * mean
    )


@pytest.mark.parametrize("name", CLOSED)
class TestClosedForms:
    def test_numbers_of_the_table(self, name):
        distribution, p0, slope, curvature, mean = CLOSED[name]
        h = 1e-4
        p = distribution.pdf(np.array([0, 1, 2, 3]) * h)
        assert p[0] == pytest.approx(p0)
        assert (-1.5 * p[0] + 2 * p[1] - 0.5 * p[2]) / h == pytest.approx(slope, abs=1e-4)
        assert (2 * p[0] - 5 * p[1] + 4 * p[2] - p[3]) / h**2 == pytest.approx(curvature, abs=1e-2)
        assert distribution.mean() == pytest.approx(mean)
        whole = integrate.quad(lambda x: x * distribution.pdf(x), 0, np.inf)[0]
        above = integrate.quad(lambda x: x * distribution.pdf(x), 0.4, np.inf)[0]
        assert ABOVE[name](0.4) == pytest.approx(above / whole, rel=1e-6)

    def test_the_free_energy_to_second_order(self, name):
        """What is left over is of third order: eight times smaller at half the threshold."""
        _, p0, slope, curvature, mean = CLOSED[name]
        tau = np.array([0.01, 0.02]) / p0
        b = (slope + p0**2) / 2
        k = curvature / 6 + p0 * slope / 2 + p0**3 / 3
        f = exact(name, tau)["free_energy"].to_numpy()
        left = f - (p0 + b * tau + (k - p0 / (2 * mean)) * tau**2)
        assert np.all(np.abs(left) <= 40 * (p0 * tau) ** 3 * p0)
        # Each term counts: without it, far more is left over.
        for missing in (b * tau, p0 / (2 * mean) * tau**2):
            assert name == "exponential" or np.all(np.abs(left + missing) > 5 * np.abs(left))
        assert Expansion(p0, slope, mean).rise == pytest.approx(b, abs=1e-12)

    def test_it_is_read_off_a_curve(self, name):
        _, p0, slope, _, mean = CLOSED[name]
        found = expansion(exact(name, np.linspace(0.001, 0.02, 20) / p0), beta=0.02)
        assert found.density == pytest.approx(p0, rel=1e-3)
        assert found.slope == pytest.approx(slope, abs=0.03 * p0**2)
        assert found.mean == pytest.approx(mean, rel=1e-9)

    def test_slope_of_the_free_energy_from_the_hazard(self, name):
        r"""tau dF/dtau = h - T S - tau^2 h / m."""
        distribution = CLOSED[name][0]
        tau = np.linspace(1e-3, 0.9, 900) * distribution.mean()
        curve = exact(name, tau)
        middle = (tau[1:] + tau[:-1]) / 2
        h = hazard(curve)[1:]
        np.testing.assert_allclose(h, distribution.pdf(middle) / distribution.sf(middle), rtol=1e-4)
        ts, m = (
            np.interp(middle, tau, column)
            for column in (curve["entropy"] / tau, curve["abs_sum"] / curve["active"])
        )
        slope = np.diff(curve["free_energy"]) / np.diff(tau)
        expected = h - ts - middle**2 * h / m
        np.testing.assert_allclose(slope * middle, expected, rtol=1e-3, atol=1e-6)


class TestPredictedPeak:
    @pytest.mark.parametrize(("name", "peak"), [("half-normal", 1 / np.pi), ("uniform", 0.25)])
    def test_exact_for_large_activations_and_elsewhere_near(self, name, peak):
        _, p0, slope, _, mean = CLOSED[name]
        assert predicted_peak(Expansion(p0, slope, mean)) == pytest.approx(peak)
        off, sparsity = [], []
        for c in (1.0, 4.0, 16.0, 64.0):
            numbers = Expansion(p0 / c, slope / c**2, mean * c)
            assert predicted_peak(numbers) == pytest.approx(peak)
            curve = rescaled(exact(name, np.geomspace(0.05, 0.95, 4000) / c), c)
            top = curve.loc[curve["free_energy"].idxmax()]
            off.append(abs(np.log(top["tau"] / peak)))
            sparsity.append(top["beta"])
        assert off[0] < np.log(1.7)
        assert off[-1] < np.log(1.02)
        assert off == sorted(off, reverse=True)
        assert sparsity[-1] == pytest.approx(numbers.rise * numbers.mean, rel=0.02)

    @pytest.mark.parametrize("name", ["exponential", "Lomax"])
    def test_none_where_the_free_energy_does_not_rise(self, name):
        _, p0, slope, _, mean = CLOSED[name]
        assert predicted_peak(Expansion(p0, slope, mean)) is None

    def test_any_density_that_is_flat_at_zero_has_a_peak(self):
        """Gamma-like tails behind a flat start: the free energy rises from zero and falls later."""
        for values in (stats.halfnorm(), stats.uniform(), stats.halflogistic(), stats.halfcauchy()):
            tau = np.geomspace(0.01, 0.9, 300)
            f = -np.log(values.sf(tau)) / tau
            assert f[1] > f[0]  # E is of second order, T S of first


class TestHazard:
    @given(st.lists(st.tuples(st.floats(0.05, 1.0), st.floats(0.1, 20.0)), min_size=1, max_size=4))
    @settings(deadline=None, max_examples=50)
    def test_without_a_rise_of_the_hazard_there_is_no_extremum(self, parts):
        """Mixtures of exponentials have falling hazards: their free energy falls everywhere."""
        weights = np.array([w for w, _ in parts]) / sum(w for w, _ in parts)
        rates = np.array([rate for _, rate in parts])
        tau = np.linspace(0.01, 1.0, 100)[:, None]
        rho = (weights * np.exp(-rates * tau)).sum(1)
        sigma = (weights * (tau + 1 / rates) * np.exp(-rates * tau)).sum(1)
        curve = thermodynamic_curve(
            tau[:, 0], 1e12 * rho, 1e12 * sigma, 1e12, 1e12 * (weights / rates).sum()
        )
        assert np.all(np.diff(hazard(curve)) < 1e-9 * rates.max())
        assert np.all(np.diff(curve["free_energy"]) < 0)
        assert expansion(curve).rise < 1e-3 * rates.max() ** 2

    @pytest.mark.parametrize("name", CURVES)
    def test_real_curves_rise_only_where_the_hazard_exceeds_its_mean(self, name):
        curve = CURVES[name]
        curve = curve[np.isfinite(curve["free_energy"])]
        h = hazard(curve)[1:]
        mean_so_far = (curve["entropy"] / curve["tau"]).to_numpy()[:-1]
        rises = np.diff(curve["free_energy"]) > 1e-12
        rises &= np.diff(curve["internal_energy"]) <= 0  # pruning can wake activations up
        assert np.all(h[rises] > mean_so_far[rises])

    @pytest.mark.parametrize("name", CURVES)
    def test_three_ways_to_write_the_free_energy_of_real_curves(self, name):
        """F = (T - 1) S + ln(m / mu): at tau = 1 the entropy cancels, whatever one is a unit of."""
        curve = CURVES[name]
        curve = curve[np.isfinite(curve["free_energy"])]
        survivors = curve["abs_sum"] / curve["active"]
        mean = curve.attrs["total_abs_sum"] / curve.attrs["total"]
        other = (1 / curve["tau"] - 1) * curve["entropy"] + np.log(survivors / mean)
        np.testing.assert_allclose(curve["free_energy"], other, rtol=1e-9, atol=1e-9)


def test_highest_points_of_real_curves_balance_hazard_and_mean():
    """tau^2 = m (1 - T S / h) to the noise of the hazard, and so tau lies below the root of m."""
    sharp = 0
    for name in (name for name in CURVES if name.endswith("renormalized")):
        curve = CURVES[name]
        top = int(np.nanargmax(curve["free_energy"]))
        if top < 3:
            continue  # at the start of the grid
        near = slice(top - 3, top + 4)
        row, rows = curve.iloc[top], curve.iloc[near]
        m = row["abs_sum"] / row["active"]
        h = np.ptp(rows["entropy"]) / np.ptp(rows["tau"])
        noise = np.ptp(hazard(curve)[near]) / h
        assert row["tau"] ** 2 < m, name
        assert abs(1 - row["entropy"] / row["tau"] / h - row["tau"] ** 2 / m) <= noise, name
        sharp += noise < 0.2
    assert sharp >= 15


def test_peaks_at_the_minimum_of_gelu():
    """Where the outputs of a GELU are pruned, values pile up at its minimum, and F peaks there."""
    x = torch.linspace(-2, 0, 100_001, dtype=torch.float64)
    minimum = float(nn.functional.gelu(x).abs().max())
    tops = [
        curve["tau"][curve["free_energy"].idxmax()]
        for name, curve in CURVES.items()
        if name.startswith(("bert", "electra", "vit")) and name.endswith("renormalized")
    ]
    assert np.mean([abs(top - minimum) < 0.006 for top in tops]) > 0.5


@pytest.mark.parametrize(
    ("name", "scale", "tau", "beta"),
    [
        ("half-normal", 0.25, 0.402, 0.892),
        ("half-normal", 1.0, 0.341, 0.267),
        ("half-normal", 4.0, 0.324, 0.065),
        ("uniform", 1.0, 0.418, 0.418),
    ],
)
def test_maxima_that_the_book_states(name, scale, tau, beta):
    curve = rescaled(exact(name, np.linspace(0.001, 0.999, 999) * (2 if scale < 1 else 1)), scale)
    top = curve.loc[curve["free_energy"].idxmax()]
    assert (top["tau"], top["beta"]) == pytest.approx((tau, beta), abs=1e-3 * max(1, scale))


def test_curves_that_hardly_rise():
    """The CNN and ResNet-18 on CIFAR-10, against networks on which the prediction holds."""
    risen = {}
    for name, curve in CURVES.items():
        if name.endswith("renormalized"):
            f = curve["free_energy"][curve["beta"] <= 0.985]
            start = f[curve["beta"] <= max(0.05, curve["beta"].min())].median()
            risen[name] = f.max() / start - 1
    flat = [risen[name] for name in risen if name.startswith(("cnn-cifar10", "resnet18-cifar10"))]
    held = [risen[name] for name in risen if name.startswith(("resnet18-flowers102", "t5", "lstm"))]
    assert np.median(flat) < np.median(held) / 2


def test_a_peak_says_nothing_about_the_accuracy():
    """Two networks that differ behind the last pruned layer: the same curves to the last bit."""
    torch.manual_seed(0)
    body = nn.Sequential(nn.Linear(6, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU())
    inputs = torch.randn(256, 6)
    good = nn.Sequential(body, nn.Linear(32, 3)).eval()
    targets = good(inputs).argmax(1)
    bad = nn.Sequential(body, nn.Linear(32, 3)).eval()
    data = [(inputs, targets)]
    assert evaluate(good, data) == 1.0
    assert evaluate(bad, data) < 0.7
    taus = np.linspace(0.01, 0.6, 60)
    for evaluated in (full_evaluation, renormalized):
        one, other = (evaluated(n, data, nn.ReLU, taus, progress=False) for n in (good, bad))
        assert one[list(CURVE_COLUMNS)].equals(other[list(CURVE_COLUMNS)])
    # And there is a peak to be had from random weights and noise.
    top = one["tau"][one["free_energy"].idxmax()]
    assert taus[0] < top < taus[-1]
    assert predicted_peak(expansion(one)) == pytest.approx(top, rel=0.5)


def test_too_few_thresholds():
    with pytest.raises(ThermoError, match="needs 3"):
        expansion(thermodynamic_curve([0.1, 0.2, 0.3], [9, 6, 0], [9.5, 7.0, 0.0], 10, 10.0))
