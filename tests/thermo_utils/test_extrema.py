"""The parts of the detector: its noise model against simulated samples, its rules on drawings."""

from __future__ import annotations

import numpy as np
import pytest

from thermo_utils.extrema import Feature, Level, Noise, is_flank, levels, significant, white_noise

TAU = np.linspace(0.05, 2.0, 40)
N, REPEATS = 4000, 1500


@pytest.fixture(scope="module")
def entropies():
    """ln(rho) / tau of many samples of exponential activations."""
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(REPEATS):
        values = np.sort(rng.exponential(size=N))
        rows.append(np.log(1 - np.searchsorted(values, TAU) / N) / TAU)
    return np.array(rows)


@pytest.fixture(scope="module")
def noise():
    rho = np.exp(-TAU)
    return Noise(0.0, (1 - rho) / (rho * N), 1 / TAU)


@pytest.mark.parametrize("point", [0, 3, 20, 39])
def test_error_of_differences(entropies, noise, point):
    others = slice(0, 40)
    simulated = np.std(entropies[:, others] - entropies[:, [point]], axis=0)
    expected = noise.of_differences(point, others)
    assert expected[point] == 0
    np.testing.assert_allclose(simulated, expected, rtol=0.12, atol=1e-12)


def test_error_of_weighted_sums(entropies, noise):
    window = np.array([[0, 1, 2, 3, 4], [10, 11, 12, 13, 14], [35, 36, 37, 38, 39]])
    weight = np.array([[1.0, -2, 1, 0, 0], [0.2, 0.2, 0.2, 0.2, 0.2], [-1, 0, 0, 0, 1]])
    simulated = np.std((weight * entropies[:, window]).sum(axis=2), axis=0)
    np.testing.assert_allclose(simulated, noise.of_sums(window, weight), rtol=0.12)


def test_white_noise_adds_in_squares():
    noise = Noise(0.3, np.zeros(9), np.ones(9))
    window = np.arange(4)[None, :]
    assert noise.of_sums(window, np.full((1, 4), 0.5)) == pytest.approx(0.3)


@pytest.mark.parametrize("amount", [1e-4, 1e-2])
@pytest.mark.parametrize("points", [40, 400])
def test_white_noise_is_estimated_beneath_a_smooth_curve(amount, points):
    x = np.linspace(0, 1, points)
    shaken = x - x**2 + amount * np.random.default_rng(0).standard_normal(points)
    assert white_noise(shaken) == pytest.approx(amount, rel=0.5)
    assert white_noise(x - x**2) < 1e-12


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("even", [True, False])
def test_local_regression_is_exact_where_its_polynomial_is(order, even):
    x = np.linspace(0, 1, 60) ** (1 if even else 2)
    y = 0.3 + 2 * x - (x**2 if order else 0)
    noise = Noise(0.0, np.zeros(60), np.zeros(60))
    derivative = (0.3 + 2 * x, 2 - 2 * x, np.full(60, -2.0))[order]
    for level in levels(x, y, order, noise, 1.0):
        inside = slice(level.offset, level.offset + level.value.size)
        np.testing.assert_allclose(level.value, derivative[inside], atol=1e-8)
        assert not level.error.any()


# -- white noise ---------------------------------------------------------------------------------


@pytest.mark.parametrize("points", [9, 40])
def test_white_noise_of_a_zigzag(points):
    # Differences of order n of (-1)^k are 2^n, those of unit noise have variance C(2n, n).
    zigzag = 0.25 * (-1.0) ** np.arange(points)
    assert white_noise(zigzag) == pytest.approx(0.25 * 2**4 / 0.6745 / np.sqrt(70))


def test_white_noise_needs_five_differences():
    assert white_noise((-1.0) ** np.arange(8)) == 0


def test_the_higher_order_tells_a_curve_from_noise():
    assert white_noise(np.linspace(0, 1, 40) ** 5) < 1e-12
    # The sixth difference of x^6 is a constant, 6! h^6, and below the fourth.
    assert white_noise(np.linspace(0, 1, 20) ** 6) == pytest.approx(
        720 / 19**6 / 0.6745 / np.sqrt(924), rel=1e-3
    )
    # With ten points there are too few differences of order six, and the curve looks like noise.
    assert white_noise(np.linspace(0, 1, 10) ** 5) > 1e-4


# -- levels --------------------------------------------------------------------------------------


def silent(points):
    return Noise(0.0, np.zeros(points), np.zeros(points))


@pytest.mark.parametrize(
    ("points", "margins"),
    [(100, [5, 7, 10, 14, 20]), (20, [2, 2, 2, 3, 4]), (5, [2] * 5)],
)
@pytest.mark.parametrize("order", [0, 1, 2])
def test_windows_widen_and_derivatives_lose_half_of_one_at_either_end(points, margins, order):
    x = np.linspace(0, 1, points)
    noise = Noise(1.0, np.zeros(points), np.zeros(points))
    found = list(levels(x, x, order, noise, 0.0))
    assert [level.offset for level in found] == ([0] * 5 if order == 0 else margins)
    for level in found:
        assert level.order == order
        inside = x[level.offset : points - level.offset]
        for column in (level.x, level.value, level.error):
            assert column.shape == inside.shape
        np.testing.assert_array_equal(level.x, inside)


@pytest.mark.parametrize("order", [0, 1, 2])
def test_each_value_is_a_tricube_weighted_fit_of_its_neighbours(order):
    rng = np.random.default_rng(order)
    n, degree = 30, 1 if order == 0 else 2
    x, y = np.sort(rng.random(n)), rng.random(n)
    noise = Noise(0.2, np.zeros(n), np.zeros(n))
    for level, width in zip(levels(x, y, order, noise, 0.0), (5, 5, 7, 9, 13), strict=True):
        for i, (value, error) in enumerate(zip(level.value, level.error, strict=True)):
            at = i + level.offset
            first = min(max(at - width // 2, 0), n - width)
            near = np.arange(first, first + width)
            distance = np.abs(near - at)
            root = np.sqrt((1 - (distance / (distance.max() + 1)) ** 3) ** 3)
            u = x[near] - x[at]
            design = root[:, None] * u[:, None] ** np.arange(degree + 1)
            operator = np.linalg.pinv(design)[order] * root * (1, 1, 2)[order]
            assert value == pytest.approx(operator @ y[near], rel=1e-6)
            assert error == pytest.approx(0.2 * np.linalg.norm(operator), rel=1e-6)


@pytest.mark.parametrize("order", [0, 1, 2])
def test_windows_widen_until_the_error_carried_over_them_is_small(order):
    x = np.linspace(0, 1, 100)
    noise = Noise(0.1, np.zeros(100), np.zeros(100))
    shares = np.array([11, 15, 21, 29, 41]) / 100 if order else np.ones(5)
    carried = [
        np.median(level.error) * share
        for level, share in zip(levels(x, x, order, noise, 0.0), shares, strict=True)
    ]
    assert np.all(np.diff(carried) < 0)
    for number, error in enumerate(carried, 1):
        assert len(list(levels(x, x, order, noise, error * 1.001))) == number
        assert len(list(levels(x, x, order, noise, error * 0.999))) == min(number + 1, 5)


def test_a_curve_without_noise_is_taken_as_it_is():
    x, y = np.linspace(0, 1, 30), np.random.default_rng(0).random(30)
    noise = Noise(0.01, np.zeros(30), np.zeros(30))
    (level,) = levels(x, y, 0, noise, 0.01)
    assert level.offset == 0
    np.testing.assert_array_equal(level.value, y)
    np.testing.assert_array_equal(level.error, np.full(30, 0.01))
    (smooth, *_) = levels(x, y, 0, noise, 0.0099)
    assert np.abs(smooth.value - y).max() > 0.1


def test_ripples_are_the_median_of_many_extrema():
    def ripple(y):
        (level,) = levels(np.arange(float(len(y))), np.array(y), 0, silent(len(y)), 1.0)
        return level.ripple

    assert ripple([0.0, 1, 0, 1, 0, 1, 0]) == 0  # five are few
    assert ripple([0.0, 1, 0, 1, 0, 1, 0, 1]) == 1
    assert ripple([0.0, 9, 0, 1, 0, 1, 0, 1]) == 1


@pytest.mark.parametrize("order", [1, 2])
def test_ripples_of_the_curve_do_not_count_against_its_slope(order):
    zigzag = np.tile([0.0, 1.0], 10)
    assert {level.ripple for level in levels(np.arange(20.0), zigzag, order, silent(20), 1)} == {0}


# -- what is significant -------------------------------------------------------------------------


def level_of(value, order=0, *, x=None, error=0.0, ripple=0.0, offset=0):
    value = np.asarray(value, dtype=np.float64)
    x = np.linspace(0, 1, value.size) if x is None else x
    return Level(order, offset, x, value, np.full(value.shape, error), ripple)


def judged(level, noise=None, **options):
    noise = silent(level.x.size) if noise is None else noise
    factors = {"floor": 0.0, "noise_factor": 1.0, "counting_factor": 1.0, "ripple_factor": 1.0}
    return significant(level, ("up", "down"), noise, **{**factors, **options})


TENT = np.maximum(0, 1 - np.abs(np.linspace(-2.5, 2.5, 51)))  # one high, 0.4 wide, at 0.5


def test_a_tent():
    (feature,) = judged(level_of(TENT, offset=7))
    assert (feature.point, feature.kind) == (25 + 7, "up")
    assert feature.size == pytest.approx(1.0)
    assert feature.position == pytest.approx(0.5)
    assert feature.half_width == pytest.approx(0.1)  # its width at half height is 0.2
    (valley,) = judged(level_of(-TENT))
    assert valley == feature._replace(point=25, kind="down")


@pytest.mark.parametrize("order", [1, 2])
def test_of_a_derivative_counts_height_times_width(order):
    (feature,) = judged(level_of(3 * TENT, order))
    assert feature.size == pytest.approx(3 * 0.2)
    assert feature.half_width == pytest.approx(0.1)


def test_widths_are_measured_on_the_grid_as_it_is():
    x = np.linspace(0, 1, 51) ** 2
    (feature,) = judged(level_of(TENT, 1, x=x))
    assert feature.half_width == pytest.approx((0.6**2 - 0.4**2) / 2, rel=0.01)
    assert feature.size == pytest.approx(2 * feature.half_width)
    assert feature.position == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("level", "enough", "too_much"),
    [
        (level_of(TENT), {"floor": 1.0}, {"floor": 1.001}),
        (level_of(TENT, 1), {"floor": 0.199}, {"floor": 0.201}),
        (level_of(TENT, error=0.1), {"noise_factor": 7.07}, {"noise_factor": 7.08}),
        (level_of(TENT, 1, error=0.1), {"noise_factor": 7.07}, {"noise_factor": 7.08}),
        (level_of(TENT, ripple=0.1), {"ripple_factor": 9.99}, {"ripple_factor": 10.01}),
    ],
    ids=["height", "area", "noise", "noise of a slope", "ripples before"],
)
def test_bounds(level, enough, too_much):
    assert len(judged(level, **enough)) == 1
    assert judged(level, **too_much) == []


def test_what_stands_above_its_own_ripples():
    ripples = TENT + 0.05 * np.tile([0.0, 1.0], 26)[:51]
    assert [f.point for f in judged(level_of(ripples), ripple_factor=3)] == [25]
    assert len(judged(level_of(ripples), ripple_factor=0.5)) > 10


def drift(*variance):
    """Noise of counting alone: between two points their variances differ by its square."""
    v = np.array(variance, dtype=np.float64)
    return Noise(0.0, v, np.ones(v.shape))


@pytest.mark.parametrize(
    ("left", "right", "expected"), [(0.9, 0.9, 1), (1.1, 0.9, 0), (0.9, 1.1, 0), (1.1, 1.1, 0)]
)
def test_both_sides_must_fall_by_more_than_counting_explains(left, right, expected):
    # The foot of the tent is one lower than its tip, and that many standard errors.
    noise = drift(0, 0, 0, left**2, left**2 + right**2, left**2 + right**2)
    level = level_of([0.0, 0, 0, 1, 0, 0])
    assert len(judged(level, noise)) == expected
    assert len(judged(level_of(-level.value), noise)) == expected
    assert len(judged(level, noise, counting_factor=0.8)) == 1
    assert len(judged(level._replace(order=1), noise)) == 1, "slopes are judged otherwise"


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_side_ends_where_the_curve_is_higher(mirrored):
    # Between two peaks it falls by a tenth; behind the higher one it falls by much more.
    value = np.array([0.0, 0.5, 0.4, 1.0, 0.0])
    noise = drift(*(0.04 * np.arange(5)))
    points = [1, 3]
    if mirrored:
        value, points = value[::-1], [3, 1]
    found = [feature.point for feature in judged(level_of(value), noise) if feature.kind == "up"]
    assert found == [points[1]]
    quiet = judged(level_of(value), noise, counting_factor=0.4)
    assert sorted(f.point for f in quiet if f.kind == "up") == sorted(points)


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ([], False),
        ([0.125], True),
        ([0.12], False),
        ([0.875], True),
        ([0.88], False),
        ([9, 0.5], True),
    ],
)
def test_a_flank_lies_within_three_half_widths(others, expected):
    feature = Feature(point=5, kind="bend", size=1.0, position=0.5, half_width=0.125)
    assert is_flank(feature, np.array(others)) is expected
