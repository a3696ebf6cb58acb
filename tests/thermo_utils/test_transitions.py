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
from thermo_utils.transitions import earliest, highest_point


def grid(n, last=1.0):
    return last * np.arange(1, n + 1) / n


def curve_of(tau, f, **columns):
    return pd.DataFrame({"tau": tau, "beta": tau / tau[-1] * 0.98, "free_energy": f, **columns})


def logistic(x):
    return 1 / (1 + np.exp(-x))


def half_normal(t, scale=1.0):
    t = t / scale
    return -(t**2) / 2 - np.log(erfc(t / np.sqrt(2))) / t


COLUMNS = ["kind", "tau", "beta", "prominence", "low", "high", "flat"]
FEATURES = {  # function, kind and place of the first feature
    "parabola": (lambda t: t - t**2, "peak", 0.5),
    "bump": (lambda t: np.exp(-(((t - 0.3) / 0.1) ** 2)), "peak", 0.3),
    "dip": (lambda t: -np.exp(-(((t - 0.6) / 0.15) ** 2)), "valley", 0.6),
    "step down": (lambda t: -logistic((t - 0.4) / 0.05), "inflection", 0.4),
    "step up on a slope": (lambda t: t + np.tanh((t - 0.5) / 0.1), "inflection", 0.5),
    "cubic": (lambda t: (t - 0.4) ** 3 + 0.1 * t, "inflection", 0.4),
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
    "ripples on a slope": lambda t: 1 - 0.3 * t + 5e-4 * np.sin(60 * t),
}


@pytest.mark.parametrize("points", [40, 50, 200, 1000])
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


@pytest.mark.parametrize("points", [50, 400])
def test_pure_noise_has_no_features(points):
    noise = (np.random.default_rng(seed).standard_normal(points) for seed in range(10))
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


def exponential(rng, size, tau):
    """Curve of a sample of exponential activations: exact counts, sums by the means of bins."""
    edges = np.concatenate([[0.0], tau, [tau[-1] + 40.0]])
    mass, moment = np.exp(-edges), (1 + edges) * np.exp(-edges)
    mean = np.diff(moment) / np.diff(mass)
    bins = rng.multinomial(size, -np.diff(mass) / (mass[0] - mass[-1]))
    above = np.cumsum(bins[::-1])[::-1], np.cumsum((bins * mean)[::-1])[::-1]
    return thermodynamic_curve(tau, above[0][1:], above[1][1:], size, above[1][0])


@pytest.mark.parametrize("size", [10_000, 1_000_000])
@pytest.mark.parametrize(("step", "points"), [(0.05, 40), (0.005, 400)])
def test_counting_a_finite_sample_hardly_makes_a_feature(size, step, points):
    # Near tau = 0 F is a small count over a small threshold: it wanders, and means nothing by it.
    tau = step * np.arange(1, points + 1)
    curves = (exponential(np.random.default_rng(seed), size, tau) for seed in range(30))
    assert sum(critical_threshold(curve) is not None for curve in curves) <= 3


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
    # Without a sparsity, F may have any unit; with one, activations have, and F is in theirs.
    free = curve_of(tau * width, f * height + offset).drop(columns="beta")
    moved = find_transitions(free).assign(beta=plain["beta"])
    units = find_transitions(curve_of(tau * width, f / width).assign(beta=curve_of(tau, f)["beta"]))
    np.testing.assert_allclose(units["tau"], plain["tau"] * width)
    assert moved["kind"].tolist() == plain["kind"].tolist()
    np.testing.assert_allclose(moved["tau"], plain["tau"] * width)
    np.testing.assert_allclose(moved["prominence"], plain["prominence"] * height, rtol=1e-4)
    np.testing.assert_allclose(moved[["low", "high"]], plain[["low", "high"]] * width)


def test_several_features_in_order():
    tau = grid(200)
    f = np.interp(tau, [0.0, 0.2, 0.6, 1.0], [0.0, 1.0, -1.0, 3.0])
    table = find_transitions(curve_of(tau, f))
    assert table.columns.tolist() == COLUMNS
    assert table["kind"].tolist() == ["peak", "valley"]
    np.testing.assert_allclose(table["tau"], [0.2, 0.6], atol=0.01)
    np.testing.assert_allclose(table["beta"], 0.98 * table["tau"])
    # Each stands by the lesser of its sides: the way up to the peak, and back up from the valley.
    np.testing.assert_allclose(table["prominence"], [0.8, 0.8 * 2.0], rtol=0.05)
    threshold = critical_threshold(curve_of(tau, f))
    assert re.findall(r"[0-9]+", threshold.rule) == ["2"]
    assert threshold.prominence == table["prominence"].iloc[0]


def test_ripples_hide_what_is_small_but_not_what_is_large():
    tau = grid(200)
    ripples = 0.01 * np.sin(80 * tau)
    assert critical_threshold(curve_of(tau, ripples)) is None
    found = critical_threshold(curve_of(tau, ripples + np.exp(-(((tau - 0.6) / 0.1) ** 2))))
    assert (found.kind, found.tau) == ("peak", pytest.approx(0.6, abs=0.03))


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
    assert table.columns.tolist() == COLUMNS


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
    curve = curve_of(grid(50), half_normal(grid(50, 1.0)))  # which ends soon after its peak
    assert critical_threshold(curve).kind == "peak"
    assert critical_threshold(curve, share=40.0) is None


# -- neither the end of the grid nor its fineness matters -----------------------------------------


@settings(max_examples=60)
@given(
    st.integers(0, 10**6),
    st.integers(8, 60),
    st.floats(0.2, 1.0),
    st.sampled_from([np.cumsum, lambda steps: np.cumsum(np.cumsum(steps))]),
)
def test_what_follows_a_decision_cannot_revoke_it(seed, points, part, walk):
    """Extrema of the beginning of any curve are the first extrema of the whole."""
    rng = np.random.default_rng(seed)
    tau, beta = grid(points), np.linspace(0.02, 0.9, points)
    f = walk(rng.standard_normal(points))
    curve = curve_of(tau, f, active=np.round(1e5 * (1 - beta))).assign(beta=beta)

    def extrema(curve):
        # From six turns on ripples are judged by all of them.
        table = find_transitions(curve, ripple_factor=0.0)
        return table[table["kind"].isin(["peak", "valley"])]

    whole, start = extrema(curve), extrema(curve.iloc[: max(5, round(part * points))])
    same = ["kind", "tau", "beta", "prominence", "flat"]
    pd.testing.assert_frame_equal(start[same], whole[same].iloc[: len(start)])


@settings(max_examples=30)
@given(
    st.floats(0.6, 1.6), st.integers(10, 60), st.floats(1.2, 5.0), st.sampled_from([1, 3, 10, 37])
)
def test_the_peak_of_a_density_lies_where_it_does_on_any_grid(scale, points, last, finer):
    """Half-normal activations: F is highest at 0.341 scales, or a little off for other scales."""
    coarse = grid(points, last)
    fine = grid(points * finer, last)
    here, there = (critical_threshold(curve_of(t, half_normal(t, scale))) for t in (coarse, fine))
    if here is not None and there is not None:  # else one step goes beyond the peak
        assert abs(here.tau - there.tau) <= coarse[0] * (1 + 1e-9)


@pytest.mark.parametrize("uneven", [np.array([0.2, 0.4, 0.6, 0.8, 1.5, 2.5])])
def test_more_thresholds_in_between_do_not_matter(uneven):
    step = 0.1
    tau = np.sort(np.concatenate([grid(25, 2.5), step * uneven]))
    plain, mixed = (critical_threshold(curve_of(t, half_normal(t))) for t in (grid(25, 2.5), tau))
    assert plain.kind == mixed.kind == "peak"
    assert abs(plain.tau - mixed.tau) <= step


# -- flat extrema and intervals -------------------------------------------------------------------


def counted(f, tau, size):
    """A curve of which `size` activations are the only thing uncertain."""
    beta = np.clip(tau, 0, 0.95)
    active = np.round(size * (1 - beta))
    return pd.DataFrame({"tau": tau, "beta": beta, "active": active, "free_energy": f})


def test_the_interval_is_what_counting_cannot_tell_from_the_top():
    tau = grid(100, 0.9)
    f = -((tau - 0.3) ** 2)
    widths = []
    for size in (10**5, 10**6, 10**7, 10**12):
        found = critical_threshold(counted(f, tau, size))
        assert found.kind == "peak"
        assert found.low < found.tau < found.high
        widths.append(found.high - found.low)
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] == pytest.approx(2 * tau[0])  # the neighbours: it may turn in between
    assert widths[0] > 10 * tau[0]


def climbing(tau, size, errors, *later):
    """F that climbs by some standard errors of counting up to the fourth point, then goes on."""
    curve = counted(np.zeros(tau.size), tau, size)
    v = curve["beta"] / curve["active"]
    error = np.sqrt(v[1] * (1 / tau[1] - 1 / tau[3]) ** 2 + (v[3] - v[1]) / tau[3] ** 2)
    x, y = zip((tau[1], 0.0), (tau[3], errors * error), *later, strict=True)
    return np.interp(tau, x, y)


def test_a_flat_maximum_says_so_and_keeps_its_title():
    tau = grid(40)
    f = climbing(tau, 10**5, 2.5, (0.7, -0.5), (1.0, -6.0))  # which bends sharply at 0.7
    found = critical_threshold(counted(f, tau, 10**5))
    assert (found.kind, found.tau) == ("peak", tau[3])
    assert found.low == tau[0]
    assert "flat" in found.rule
    clear = critical_threshold(counted(f, tau, 10**7))
    assert (clear.kind, clear.tau) == ("peak", tau[3])
    assert "flat" not in clear.rule
    drowned = critical_threshold(counted(f, tau, 10**4))
    assert drowned.kind == "bend"


def test_a_clear_feature_goes_before_a_flat_one():
    tau = grid(40)
    f = climbing(tau, 10**5, 2.5, (0.2, -0.1), (0.5, 1.0), (1.0, -3.0))
    table = find_transitions(counted(f, tau, 10**5))
    assert table["flat"].tolist() == [True, False, False]
    found = critical_threshold(counted(f, tau, 10**5))
    assert (found.kind, found.tau) == ("valley", pytest.approx(0.2))


def test_the_highest_point_is_told_from_what_is_lower():
    tau = grid(100, 0.9)
    for size, at in ((10**6, 0.36), (10**8, 0.36), (10**6, 0.0), (10**6, 0.9)):
        found = highest_point(counted(-((tau - at) ** 2), tau, size))
        assert found.tau == pytest.approx(max(at, tau[0]))
        assert found.low <= found.tau <= found.high
        feature = critical_threshold(counted(-((tau - at) ** 2), tau, size))
        if feature is not None:
            assert at == 0.36
            assert (feature.low, feature.tau, feature.high) == (found.low, found.tau, found.high)
            assert found.prominence == pytest.approx((0.36 - tau[0]) ** 2)
    assert highest_point(counted(np.full(100, np.nan), tau, 10**6)) is None


# -- what the numbers of the detector mean -------------------------------------------------------


@pytest.mark.parametrize("function", [find_transitions, transitions_match])
def test_defaults_are_those_of_the_documentation(function):
    stated = dict(
        re.findall(r"^    (\w+) : [^\n]*default [^\n]*?([\d.e-]+)$", function.__doc__, re.M)
    )
    assert stated
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.default not in (inspect.Parameter.empty, None):
            assert parameter.default == float(stated[name])


@pytest.mark.parametrize("share", [0.3, 0.8, 1.0])
def test_a_peak_counts_once_f_has_moved_back_by_a_share(share):
    tau = grid(100)
    for end, found in ((0.999 * (1 - share), True), (1.001 - share + 1e-3, False)):
        f = np.interp(tau, [tau[0], 0.5, 1.0], [0.0, 1.0, end])
        assert (critical_threshold(curve_of(tau, f), share=share) is not None) == found


def test_slopes_must_turn_by_a_share_of_the_mean_slope():
    tau = grid(400)

    def found(depth):
        return critical_threshold(
            curve_of(tau, -tau - depth * np.tanh((tau - 0.5) / 0.1))
        )  # the slope turns by 10 depths, the mean slope at 0.6 is about 1 + 3 depths

    assert found(0.02) is None
    assert found(0.5).kind == "inflection"


def test_bends_must_be_sharp():
    tau = grid(400)

    def found(width):
        return critical_threshold(
            curve_of(tau, -tau - 3 * width * np.log1p(np.exp((tau - 0.5) / width)))
        )

    assert found(0.01).kind == "bend"
    assert found(0.1) is None


def test_a_constant_is_flat_whatever_its_value():
    for value in (0.0, 1e-9, -3.7, 1e6):
        assert find_transitions(curve_of(grid(50), np.full(50, value))).empty


def test_five_points_can_show_a_peak():
    tau = grid(5)
    assert critical_threshold(curve_of(tau, np.array([0.0, 1, 2, 1, 0]))).tau == tau[2]


def test_an_extremum_must_exceed_what_counting_explains():
    # ln(rho) of M survivors at a sparsity of one half has variance v = 1 / (2 M), F v / tau^2.
    # Left of its tip at 1/2, this F falls by c standard errors or more where tau > 2 c sqrt(v).
    tau = grid(100)
    curve = curve_of(tau, np.minimum(tau, 1 - tau)).assign(beta=0.5)

    def peaks(active, **options):
        return list(find_transitions(curve.assign(active=active), **options)["kind"]) == ["peak"]

    # The way is 49 points long, and the farther the more must it exceed: 1.8^2 + 2 ln 49.
    c = np.sqrt(1.8**2 + 2 * np.log(49))
    enough = 0.5 * (2 * c / 0.49) ** 2
    assert 91 < enough < 92
    assert peaks(92)
    assert not peaks(91)
    assert peaks(91.5), "a share of something, not a count"
    assert list(find_transitions(curve.assign(active=91).drop(columns="beta"))["kind"]) == ["peak"]
    assert peaks(91, flat_factor=1.0)
    assert not peaks(92, counting_factor=10.0)


@pytest.mark.parametrize("offset", [-9.0, 0.0, 9.0])
def test_a_ripple_is_small_beside_t_s(offset):
    tau = grid(100)
    valley = curve_of(tau, np.abs(tau - 0.5))
    fall = valley["free_energy"].iloc[0] - valley["free_energy"].min()
    beta = 0.2
    ts = -np.log(1 - beta) / 0.5

    def kinds(share, **options):
        f = valley["free_energy"] * share * ts / fall + offset
        return list(find_transitions(curve_of(tau, f).assign(beta=beta), **options)["kind"])

    assert kinds(0.0051) == ["valley"]
    assert kinds(0.0049) == []
    assert kinds(0.0049, ripple_share=0.0048) == ["valley"]


def test_a_fall_that_one_threshold_shows_makes_no_valley():
    tau = grid(100)
    rising = tau - tau**2

    def kinds(raised, sign=1):
        f = sign * (rising + np.where(np.arange(100) < raised, 0.1 - tau, 0.0))
        return list(find_transitions(curve_of(tau, f), least_pruned=0.0)["kind"])

    assert kinds(0) == ["peak"]
    assert kinds(1) == ["peak"], "the valley at the second threshold is passed over"
    assert kinds(2) == ["valley", "peak"]
    assert kinds(1, sign=-1)[0] == "peak", "a climb is what the theory expects"


@settings(max_examples=30)
@given(st.floats(0.001, 0.1), st.integers(40, 200), st.sampled_from([np.linspace, np.geomspace]))
def test_where_a_fall_begins_does_not_matter(start, points, spaced):
    """F grows without bound toward zero, and rises again: its valley is one from anywhere."""
    tau = spaced(start, 0.7, points)
    curve = curve_of(tau, 0.05 / tau + tau)
    first = critical_threshold(curve)
    assert first.kind == "valley"
    assert first.low <= np.sqrt(0.05) <= first.high


def test_all_of_a_fall_would_hide_what_follows():
    tau = np.geomspace(0.001, 0.7, 100)
    curve = curve_of(tau, 0.05 / tau + tau)
    assert critical_threshold(curve, fall_octaves=20.0) is None
    assert critical_threshold(curve.iloc[70:], fall_octaves=20.0).kind == "valley"


@pytest.mark.parametrize("zeros", [0.0, 0.5])
def test_where_next_to_nothing_is_pruned_there_is_no_feature(zeros):
    tau = np.linspace(0.001, 1.0, 400)
    early = 0.3 * np.exp(-(((tau - 0.03) / 0.01) ** 2))
    curve = curve_of(tau, early + 2 * np.maximum(tau - 0.1, 0) * (1 - tau))

    def first(share_at_peak, **options):
        beta = zeros + (1 - zeros) * share_at_peak / 0.03 * tau
        return critical_threshold(curve.assign(beta=beta), ripple_share=0.0, **options)

    assert first(0.021).tau == pytest.approx(0.03, abs=0.003)
    assert first(0.019).tau > 0.05, "what comes next"
    assert first(0.019, least_pruned=0.018).tau == pytest.approx(0.03, abs=0.003)


@pytest.mark.parametrize("zeros", [0.0, 0.5])
def test_a_curve_that_begins_late_names_no_feature(zeros):
    """The peak at 0.5 may be the second: what was pruned before is not shown. Zeros never were."""

    def curve_from(first):
        tau = np.linspace(first, 1.0, 50)
        f = tau - tau**2
        return curve_of(tau, f).assign(beta=zeros + (1 - zeros) * 0.9 * tau)

    assert critical_threshold(curve_from(0.22)).kind == "peak"
    message = "begins at tau = 0.23, where 21% of the activations other than zero are pruned"
    with pytest.warns(UserWarning, match=message):
        assert critical_threshold(curve_from(0.23)) is None
    assert critical_threshold(curve_from(0.23), latest_start=0.3).kind == "peak"
    assert critical_threshold(curve_from(0.23).drop(columns="beta")).kind == "peak"


# -- match ---------------------------------------------------------------------------------------


def test_match_is_about_the_sparsity_of_the_first_feature():
    first = critical_threshold(curve_of(grid(50), grid(50) - grid(50) ** 2))
    assert transitions_match(first, first)
    assert transitions_match(first, first._replace(tau=7.0, kind="bend"))
    assert transitions_match(first, first._replace(beta=first.beta + 0.05))
    other = first._replace(beta=first.beta + 0.06)
    assert not transitions_match(first, other)
    assert not transitions_match(other, first)
    assert transitions_match(first, other, tolerance=0.1)
    assert not transitions_match(first, None)
    assert not transitions_match(None, first)
    assert not transitions_match(None, None)
    with pytest.raises(ThermoError, match="'beta'"):
        transitions_match(first, first._replace(beta=np.nan))


def test_the_rule_says_what_was_passed_over():
    features = pd.DataFrame(
        {
            "kind": ["valley", "peak", "valley"], "tau": [0.1, 0.2, 0.3], "beta": [0.1, 0.2, 0.3],
            "prominence": [0.1, 0.2, 0.3], "low": [0.05, 0.15, 0.25], "high": [0.15, 0.25, 0.35],
            "flat": [True, False, False],
        }
    )  # fmt: skip
    first = earliest(features)
    assert (first.kind, first.tau) == ("peak", 0.2)
    assert first.rule == "earliest of 2 features, 1 flat before it"
    assert earliest(features.iloc[1:]).rule == "earliest of 2 features"
    alone = earliest(features.iloc[:1])
    assert (alone.tau, alone.rule) == (0.1, "flat: noise does not tell 0.05 to 0.15 apart")
    mixed = features.assign(flat=[False, True, False])
    assert earliest(mixed).rule == "earliest of 2 features"


def test_a_far_tail_has_no_features():
    """A curve that turns where hardly anything is left, and the same one with more left there."""
    tau = np.linspace(0.02, 1.0, 50)
    curve = pd.DataFrame({"tau": tau, "beta": tau / 2, "free_energy": tau - tau**2})
    assert critical_threshold(curve).tau == pytest.approx(0.5)
    for beta, seen in ((0.9849, True), (0.9851, False)):
        sparse = curve.assign(beta=np.where(tau > 0.45, beta, tau / 2))
        assert (critical_threshold(sparse) is not None) == seen
