"""The detector on curves whose features are known, and on curves that have none."""

from __future__ import annotations

import inspect
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erfc

from thermo_utils import (
    ThermoError,
    critical_threshold,
    find_transitions,
    thermodynamic_curve,
    transitions_match,
)


def grid(n, last=1.0):
    return last * np.arange(1, n + 1) / n


def curve_of(tau, f, **columns):
    return pd.DataFrame({"tau": tau, "beta": tau / tau[-1] * 0.98, "free_energy": f, **columns})


def logistic(x):
    return 1 / (1 + np.exp(-x))


def half_normal(t, scale=1.0):
    t = t / scale
    return -(t**2) / 2 - np.log(erfc(t / np.sqrt(2))) / t


FEATURES = {  # function, kind and place of the first feature
    "parabola": (lambda t: t - t**2, "peak", 0.5),
    "bump": (lambda t: np.exp(-(((t - 0.3) / 0.1) ** 2)), "peak", 0.3),
    "dip": (lambda t: -np.exp(-(((t - 0.6) / 0.15) ** 2)), "valley", 0.6),
    "step down": (lambda t: -logistic((t - 0.4) / 0.05), "inflection", 0.4),
    "step up on a slope": (lambda t: t + np.tanh((t - 0.5) / 0.1), "inflection", 0.5),
    "cubic": (lambda t: (t - 0.5) ** 3 + 0.1 * t, "inflection", 0.5),
    "corner": (lambda t: np.where(t < 0.3, -t, -0.3 - 4 * (t - 0.3)), "bend", 0.3),
    "soft corner": (lambda t: -0.02 * np.log1p(np.exp((t - 0.4) / 0.02)), "bend", 0.4),
    "uniform": (
        lambda t: np.log(1 - (0.98 * t) ** 2) - np.log(1 - 0.98 * t) / (0.98 * t),
        "peak",
        0.425,
    ),
}
NONE = {
    "line": lambda t: 1 - t,
    "exp": lambda t: np.exp(-5 * t),
    "steep exp": lambda t: np.exp(-20 * t),
    "log": lambda t: np.log(t + 0.01),
    "1/tau": lambda t: 1 / t,
    "square root": np.sqrt,
    "square": lambda t: t**2,
    "cube": lambda t: t**3,
    "exponential activations": lambda t: 3 - 6 * t + np.log(1 + 6 * t),
    "constant": lambda t: np.ones_like(t),
    "ripples": lambda t: 1 + 5e-4 * np.sin(60 * t),
    "ripples on a slope": lambda t: 1 - 0.3 * t + 0.003 * np.sin(60 * t),
}


@pytest.mark.parametrize("points", [25, 40, 50, 200, 1000])
@pytest.mark.parametrize("name", FEATURES)
def test_first_feature(name, points):
    function, kind, place = FEATURES[name]
    found = critical_threshold(curve_of(grid(points), function(grid(points))))
    assert found is not None
    assert found.kind == kind
    assert found.tau == pytest.approx(place, abs=max(1 / points, 0.02))
    assert found.beta == pytest.approx(0.98 * found.tau)


@pytest.mark.parametrize("points", [15, 30, 50, 200, 1000])
@pytest.mark.parametrize("name", NONE)
def test_no_feature(name, points):
    curve = curve_of(grid(points), NONE[name](grid(points)))
    assert find_transitions(curve).empty
    assert critical_threshold(curve) is None


@pytest.mark.parametrize("noise", [0.003, 0.01])
@pytest.mark.parametrize(
    "name", ["parabola", "bump", "dip", "step down", "step up on a slope", "uniform"]
)
def test_stable_under_noise(name, noise):
    function, kind, place = FEATURES[name]
    tau = grid(50)
    f = function(tau)
    hits = 0
    for seed in range(20):
        shaken = f + noise * np.ptp(f) * np.random.default_rng(seed).standard_normal(50)
        found = critical_threshold(curve_of(tau, shaken))
        hits += found is not None and found.kind == kind and abs(found.tau - place) <= 0.1
    assert hits >= 19


@pytest.mark.parametrize("name", ["line", "exp", "square", "exponential activations", "constant"])
def test_noise_makes_no_features(name):
    tau = grid(50)
    f = NONE[name](tau)
    found = 0
    for seed in range(20):
        shaken = f + 0.01 * np.random.default_rng(seed).standard_normal(50)
        found += not find_transitions(curve_of(tau, shaken)).empty
    assert found <= 1


@pytest.mark.parametrize("points", [50, 200, 1000])
def test_pure_noise_has_no_features(points):
    noise = (np.random.default_rng(seed).standard_normal(points) for seed in range(20))
    assert sum(not find_transitions(curve_of(grid(points), f)).empty for f in noise) <= 1


def sampled(values, points):
    """Renormalized curve of a stored sample, on a grid that reaches 98.5 % sparsity."""
    values = np.sort(np.abs(values))
    sums = np.append(np.cumsum(values[::-1])[::-1], 0.0)
    tau = grid(points, np.quantile(values, 0.985))
    first = np.searchsorted(values, tau)
    return thermodynamic_curve(tau, values.size - first, sums[first], values.size, sums[0])


@pytest.mark.parametrize("points", [40, 400])
@pytest.mark.parametrize(("scales", "low", "high"), [((1.0,), 0.2, 0.35), ((0.3, 1.0), 0.33, 0.45)])
def test_sampled_half_normals_peak_where_theory_says(scales, low, high, points):
    for seed in range(4):
        rng = np.random.default_rng(seed)
        values = np.concatenate([s * rng.standard_normal(500_000) for s in scales])
        features = find_transitions(sampled(values, points))
        assert features["kind"].tolist() == ["peak"]
        assert low < features["beta"].iloc[0] < high


@pytest.mark.parametrize("size", [30_000, 100_000, 1_000_000])
def test_counting_a_small_sample_makes_no_extremum(size):
    # Near tau = 0 F is a small count over a small threshold: it wanders, and means nothing by it.
    for seed in range(5):
        values = np.random.default_rng(seed).exponential(size=size)
        kinds = find_transitions(sampled(values, 400))["kind"]
        assert not set(kinds) & {"peak", "valley"}


def test_coarse_and_fine_grids_of_one_curve_agree():
    for name, (function, kind, _) in FEATURES.items():
        places = []
        for points in (40, 80, 400):
            found = critical_threshold(curve_of(grid(points), function(grid(points))))
            assert found is not None, name
            assert found.kind == kind, name
            places.append(found.tau)
        assert np.ptp(places) <= 1 / 40 + 1e-9, name


@settings(max_examples=40)
@given(
    st.sampled_from(sorted(FEATURES)),
    st.floats(-100, 100),
    st.floats(0.1, 1e3),
    st.floats(1e-6, 1e6),
)
def test_offset_and_units_do_not_matter(name, offset, height, width):
    tau = grid(50)
    f = FEATURES[name][0](tau)
    f = f / np.ptp(f)
    plain = find_transitions(curve_of(tau, f))
    moved = find_transitions(curve_of(tau * width, f * height + offset))
    assert moved["kind"].tolist() == plain["kind"].tolist()
    np.testing.assert_allclose(moved["tau"], plain["tau"] * width)
    np.testing.assert_allclose(moved["prominence"], plain["prominence"], rtol=1e-4)


def test_several_features_in_order():
    tau = grid(200)
    f = np.exp(-(((tau - 0.2) / 0.06) ** 2)) - logistic((tau - 0.7) / 0.03)
    table = find_transitions(curve_of(tau, f))
    assert table.columns.tolist() == ["kind", "tau", "beta", "prominence"]
    assert table["kind"].tolist() == ["peak", "inflection"]
    np.testing.assert_allclose(table["tau"], [0.2, 0.7], atol=0.01)
    np.testing.assert_allclose(table["beta"], 0.98 * table["tau"])
    assert (table["prominence"] > 0.3).all()
    threshold = critical_threshold(curve_of(tau, f))
    assert re.findall(r"[0-9]+", threshold.rule) == ["2"]
    assert threshold.prominence == table["prominence"].iloc[0]


def test_plateau_with_ripples_then_a_drop():
    tau = grid(200)
    f = 1 + 0.003 * np.sin(80 * tau) - 0.5 * logistic((tau - 0.6) / 0.03)
    found = critical_threshold(curve_of(tau, f))
    assert (found.kind, found.tau) == ("inflection", pytest.approx(0.6, abs=0.01))


def test_logarithmic_grid():
    tau = np.geomspace(0.01, 2.3, 60)
    found = critical_threshold(curve_of(tau, half_normal(tau)))
    best = tau[np.argmax(half_normal(tau))]
    assert (found.kind, found.tau) == ("peak", best)


@pytest.mark.parametrize("last", [2.5, 3.0, 3.5, 6.0])
def test_how_far_the_grid_reaches_does_not_matter(last):
    tau = np.arange(0.06, last, 0.06)
    curve = pd.DataFrame({"tau": tau, "beta": 1 - erfc(tau / np.sqrt(2))})
    found = critical_threshold(curve.assign(free_energy=half_normal(tau)))
    assert (found.kind, found.tau) == ("peak", pytest.approx(0.36))


def test_undefined_rows_are_left_out():
    tau = np.linspace(0, 1.0, 51)
    f = tau - tau**2
    f[0] = f[-1] = np.nan
    curve = curve_of(tau, f)
    assert critical_threshold(curve).tau == pytest.approx(0.5)
    curve.loc[20, "free_energy"] = np.inf
    assert critical_threshold(curve).tau == pytest.approx(0.5, abs=0.021)
    assert find_transitions(curve.assign(free_energy=np.nan)).empty


def test_from_counts_with_zero_threshold_and_no_survivors():
    tau = np.linspace(0, 1.0, 51)
    n = 10**8
    curve = thermodynamic_curve(
        tau, np.round(n * (1 - tau)).astype(int), n * (1 - tau**2) / 2, n, n / 2
    )
    found = critical_threshold(curve)
    assert (found.kind, found.tau) == ("peak", pytest.approx(0.42, abs=0.03))


@pytest.mark.parametrize("points", range(5))
def test_too_few_points(points):
    tau = np.arange(1.0, points + 1)
    table = find_transitions(pd.DataFrame({"tau": tau, "free_energy": np.sin(tau)}))
    assert table.empty
    assert table.columns.tolist() == ["kind", "tau", "beta", "prominence"]


def test_other_columns_types_and_order_of_columns():
    tau = np.arange(1, 51)
    curve = pd.DataFrame({"note": "x", "free_energy": -((tau - 20) ** 2), "tau": tau})
    found = critical_threshold(curve)
    assert found[:3][0] == 20.0
    assert np.isnan(found.beta)
    assert isinstance(found.tau, float)
    indexed = curve.set_index(pd.Index(np.arange(50)[::-1]))
    pd.testing.assert_frame_equal(find_transitions(indexed), find_transitions(curve))


def test_input_is_left_alone():
    curve = curve_of(grid(50), FEATURES["parabola"][0](grid(50)))
    before = curve.copy()
    find_transitions(curve)
    pd.testing.assert_frame_equal(curve, before)


@pytest.mark.parametrize("function", [find_transitions, critical_threshold])
def test_refusals(function):
    curve = curve_of(grid(10), grid(10))
    with pytest.raises(ThermoError, match=r"'tau'.*beta, free_energy"):
        function(curve.drop(columns="tau"))
    with pytest.raises(ThermoError, match="'free_energy'"):
        function(curve.drop(columns="free_energy"))
    for tau in (grid(10)[::-1], np.repeat(grid(5), 2), np.r_[np.nan, grid(9)]):
        with pytest.raises(ThermoError, match="tau"):
            function(curve.assign(tau=tau))
    with pytest.raises(ThermoError, match="'free_energy'"):
        function(curve.assign(free_energy="high"))


def test_options_are_passed_on():
    curve = curve_of(grid(50), half_normal(grid(50, 2.3)))
    assert critical_threshold(curve).kind == "peak"
    assert "peak" not in find_transitions(curve, min_extremum=0.5)["kind"].tolist()


# -- what the numbers of the detector mean -------------------------------------------------------


def family(kind, size):
    """Curves with one feature of a kind, the larger the size the more pronounced."""
    tau = grid(200)
    f = {
        "peak": tau + size * np.exp(-(((tau - 0.5) / 0.02) ** 2)),
        "inflection": -tau - size * np.tanh((tau - 0.5) / 0.1),
        "bend": -tau - size * 0.02 * np.log1p(np.exp((tau - 0.5) / 0.02)),
    }[kind]
    return curve_of(tau, f)


@pytest.mark.parametrize("function", [find_transitions, transitions_match])
def test_defaults_are_those_of_the_documentation(function):
    stated = dict(
        re.findall(r"^    (\w+) : [^\n]*default [^\n]*?([\d.e-]+)$", function.__doc__, re.M)
    )
    assert stated
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.default not in (inspect.Parameter.empty, None):
            assert parameter.default == float(stated[name])


@pytest.mark.parametrize(
    ("kind", "sizes", "bound"),
    [
        ("peak", np.linspace(0.02, 0.04, 60), 0.005),
        ("inflection", np.linspace(0.02, 0.3, 60), 0.15),
        ("bend", np.linspace(0.2, 1.5, 60), 0.5),
    ],
)
def test_the_least_feature_has_the_default_prominence(kind, sizes, bound):
    found = [find_transitions(family(kind, size)) for size in sizes]
    least = next(table for table in found if kind in set(table["kind"]))
    assert kind not in set(found[0]["kind"])
    prominence = float(least.loc[least["kind"] == kind, "prominence"].iloc[0])
    assert bound <= prominence <= 1.1 * bound


@pytest.mark.parametrize(
    ("kind", "name"),
    [("peak", "min_extremum"), ("inflection", "min_inflection"), ("bend", "min_bend")],
)
def test_the_prominence_reported_is_the_one_that_is_bounded(kind, name):
    curve = family(kind, {"peak": 0.2, "inflection": 0.5, "bend": 3.0}[kind])
    first = find_transitions(curve).iloc[0]
    assert first["kind"] == kind
    kinds = [
        set(find_transitions(curve, **{name: first["prominence"] * factor})["kind"])
        for factor in (0.999, 1.001)
    ]
    assert kind in kinds[0] - kinds[1]


def test_a_curve_of_small_range_is_flat():
    tau = grid(50)
    f = (tau - tau**2) / np.ptp(tau - tau**2)
    assert critical_threshold(curve_of(tau, 2.001e-3 * f)).kind == "peak"
    assert critical_threshold(curve_of(tau, 1.999e-3 * f)) is None
    assert critical_threshold(curve_of(tau, 1e-6 * f), min_range=1e-7).kind == "peak"
    assert critical_threshold(curve_of(tau, f), min_range=float(np.ptp(f))).kind == "peak"


def test_five_points_can_show_a_peak():
    tau = grid(5)
    assert critical_threshold(curve_of(tau, np.array([0.0, 1, 2, 1, 0]))).tau == tau[2]


@pytest.mark.parametrize(("end", "found"), [(0.9849, True), (0.9851, False)])
def test_beyond_the_greatest_sparsity_nothing_is_looked_for(end, found):
    # The curve turns at the second last point within bounds, or its last one is out of them.
    tau = grid(50)
    f = np.minimum(tau, 1.96 - tau)  # peaks at the last point but one
    curve = curve_of(tau, f).assign(beta=np.minimum(tau, 0.98 + 0 * tau))
    curve.loc[49, "beta"] = end
    assert (critical_threshold(curve) is not None) == found
    assert critical_threshold(curve, max_beta=1.0) is not None
    assert critical_threshold(curve, max_beta=end) is not None
    assert critical_threshold(curve, max_beta=end - 1e-6) is None


def test_an_extremum_must_exceed_what_counting_explains():
    # ln(rho) of M survivors at a sparsity of one half has variance v = 1 / (2 M), F v / tau^2.
    # Left of its tip at 1/2, this F falls by more than c standard errors where tau > 2 c sqrt(v).
    tau = grid(100)
    curve = curve_of(tau, np.minimum(tau, 1 - tau)).assign(beta=0.5)
    c = np.sqrt(2 * np.log(100))
    enough = 0.5 * (2 * c / 0.49) ** 2
    assert 76 < enough < 77

    def peaks(**options):
        active = options.pop("active")
        return list(find_transitions(curve.assign(active=active), **options)["kind"]) == ["peak"]

    assert peaks(active=77)
    assert not peaks(active=76)
    assert peaks(active=76.5), "a share of something, not a count"
    assert list(find_transitions(curve.assign(active=76).drop(columns="beta"))["kind"]) == ["peak"]
    assert peaks(active=76, counting_factor=0.99 * c)
    assert not peaks(active=77, counting_factor=1.01 * c)
    # What was uncertain once stays so: more survivors later on do not help.
    assert not peaks(active=np.where(tau < 0.2, 50, 10_000))


# -- match ---------------------------------------------------------------------------------------


def test_match_is_about_the_sparsity_of_the_first_feature():
    tau = grid(50)
    curve = curve_of(tau, tau - tau**2)
    assert transitions_match(curve, curve)
    assert transitions_match(curve, curve.assign(free_energy=3 + 2 * curve["free_energy"]))
    assert transitions_match(curve, curve.assign(beta=curve["beta"] + 0.05))
    assert not transitions_match(curve, curve.assign(beta=curve["beta"] + 0.06))
    assert transitions_match(curve, curve.assign(beta=curve["beta"] + 0.06), tolerance=0.1)
    other_units = curve.assign(tau=7 * tau)
    assert transitions_match(curve, other_units)
    line = curve.assign(free_energy=-tau)
    assert not transitions_match(curve, line)
    assert not transitions_match(line, line)
    with pytest.raises(ThermoError, match="'beta'"):
        transitions_match(curve, curve.drop(columns="beta"))


def test_match_compares_at_shared_thresholds():
    # A spike between two points of the coarse grid is no disagreement.
    fine = np.round(grid(500), 12)
    f = fine - fine**2 + 0.5 * np.exp(-(((fine - 0.03) / 0.003) ** 2))
    curve = curve_of(fine, f)
    assert critical_threshold(curve).tau == pytest.approx(0.03)
    coarse = curve.iloc[9::20].reset_index(drop=True)
    assert critical_threshold(coarse).tau > 0.4
    assert transitions_match(coarse, curve)
    assert transitions_match(curve, coarse)
