"""The parts of the detector: its noise model against simulated samples, its rules on drawings."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from thermo_utils.extrema import Noise, Turn, slopes, turns, white_noise

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
    weight = np.zeros((3, 40))
    weight[0, :3], weight[1, 10:15], weight[2, [35, 39]] = [1.0, -2, 1], 0.2, [-1, 1]
    simulated = np.std(entropies @ weight.T, axis=0)
    np.testing.assert_allclose(simulated, noise.of_sums(weight), rtol=0.12)


def test_white_noise_adds_in_squares():
    noise = Noise(0.3, np.zeros(4), np.ones(4))
    assert noise.of_sums(np.full((1, 4), 0.5)) == pytest.approx(0.3)


@pytest.mark.parametrize("amount", [1e-4, 1e-2])
@pytest.mark.parametrize("points", [40, 400])
def test_white_noise_is_estimated_beneath_a_smooth_curve(amount, points):
    x = np.linspace(0, 1, points)
    shaken = x - x**2 + amount * np.random.default_rng(0).standard_normal(points)
    assert white_noise(shaken) == pytest.approx(amount, rel=0.5)
    assert white_noise(x - x**2) < 1e-12


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


# -- slopes --------------------------------------------------------------------------------------


def silent(points):
    return Noise(0.0, np.zeros(points), np.zeros(points))


GRIDS = {
    "even": np.arange(1, 61) / 60,
    "uneven": (np.arange(1, 61) / 60) ** 2,
    "octaves": 2.0 ** (np.arange(60) / 12),
}


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("reach", [0.1, 0.5])
@pytest.mark.parametrize("name", GRIDS)
def test_slopes_of_a_parabola_are_exact(order, reach, name):
    x = GRIDS[name]
    level = slopes(x, 0.3 + 2 * x - x**2, order, silent(60), reach)
    expected = (2 - 2 * x, np.full(60, -2.0))[order - 1][level.points]
    np.testing.assert_allclose(level.value, expected, atol=1e-8 * np.ptp(x))
    assert not level.error.any()


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("name", GRIDS)
def test_each_slope_is_a_tricube_weighted_fit_of_its_surroundings(order, name):
    x = GRIDS[name]
    y = np.random.default_rng(order).random(60)
    level = slopes(x, y, order, Noise(0.2, np.zeros(60), np.zeros(60)), 0.2)
    gap = np.diff(x)
    for at, value, error in zip(*level, strict=True):
        near = max(0.2 * x[at], 3 * gap[at - 1], 3 * gap[at])
        assert x[at] - 0.6 * near >= x[0]
        assert x[at] + 0.6 * near <= x[-1]
        u = (x - x[at]) / near
        root = np.sqrt(np.where(np.abs(u) < 1, (1 - np.abs(u) ** 3), 0) ** 3)
        operator = np.linalg.pinv(root[:, None] * u[:, None] ** np.arange(3))[order] * root
        operator *= (1, 2)[order - 1] / near**order
        assert value == pytest.approx(operator @ y, rel=1e-6)
        assert error == pytest.approx(0.2 * np.linalg.norm(operator), rel=1e-6)


def test_slopes_of_a_finer_grid_are_the_same():
    def bump(x):
        return np.exp(-(((x - 0.6) / 0.2) ** 2))

    coarse, fine = np.arange(1, 61) / 60, np.arange(1, 601) / 600
    # Far from zero, where a share of x spans many steps of either grid.
    here, there = (slopes(x, bump(x), 1, silent(x.size), 0.25) for x in (coarse, fine))
    x = coarse[here.points]
    same = np.interp(x, fine[there.points], there.value)
    far = (x > 0.3) & (x < fine[there.points[-1]])
    assert far.sum() > 20
    np.testing.assert_allclose(here.value[far], same[far], atol=0.02 * np.ptp(here.value))


# -- turns ---------------------------------------------------------------------------------------


def no_error(point, others):
    return np.zeros(others.stop - others.start)


def judged(y, error=no_error, **options):
    return turns(np.asarray(y, dtype=float), error, **{"share": 0.8, "factor": 1.0} | options)


def test_a_tent():
    y = [0.0, 1, 2, 3, 2, 1, 0]
    assert judged(y) == [Turn(3, 1, 3.0, 2, 4, False)]
    assert judged(np.negative(y)) == [Turn(3, -1, 3.0, 2, 4, False)]
    assert judged(y[:6], share=0.6) == [Turn(3, 1, 2.0, 2, 4, False)]  # decided one step earlier


@pytest.mark.parametrize("y", [[0.0, 1, 2, 3], [3.0, 2, 1, 0], [1.0] * 5, [5.0, 5, 5, 1, 0]])
def test_what_only_rises_or_falls_does_not_turn(y):
    assert judged(y) == []


def test_the_first_point_is_no_turn_but_what_follows_is():
    assert [t.point for t in judged([3.0, 1, 0, 1, 4])] == [2]
    assert judged([3.0, 1, 0, 1, 2]) == []  # two thirds back
    assert [t.point for t in judged([3.0, 1, 0, 1, 2], share=2 / 3)] == [2]


def test_a_turn_is_measured_by_all_that_went_before():
    # The second dip is as deep as the peak is high, but little against the first fall.
    assert [t.point for t in judged([0.0, 1, -9, -8, -9.5, -8])] == [1]
    # Not by what comes later.
    assert [t.point for t in judged([0.0, 1, 0, 100, 200])] == [1, 2]


def test_turns_alternate():
    rng = np.random.default_rng(0)
    for _ in range(20):
        found = judged(np.cumsum(rng.standard_normal(200)), share=0.2, ripple_factor=0.0)
        signs = [turn.sign for turn in found]
        assert all(a == -b for a, b in itertools.pairwise(signs))
        assert [turn.point for turn in found] == sorted({turn.point for turn in found})


def uniform(error):
    def errors(point, others):
        return np.full(others.stop - others.start, float(error))

    return errors


@pytest.mark.parametrize(
    ("y", "found"),
    [([0.0, 3, 0], 1), ([0.0, 1.9, -9], 0), ([0.0, 2.1, -9], 1), ([9.0, 0, 1.9, 1.9], 0)],
)
def test_both_sides_must_exceed_the_noise(y, found):
    y = np.repeat(y, 1)
    assert len(judged(y, uniform(1.0), factor=2.0)) == found
    assert len(judged(-y, uniform(1.0), factor=2.0)) == found


def test_the_longer_the_way_the_more_it_must_exceed():
    # The largest of k normal deviates strays by sqrt(2 ln k).
    for k in (1, 5, 50):
        least = np.sqrt(2.0**2 + 2 * np.log(k))
        for height, expected in ((0.999 * least, 0), (1.001 * least, 1)):
            y = np.concatenate([np.zeros(k), [height, -20.0]])
            assert len(judged(y, uniform(1.0), factor=2.0)) == expected


def test_flat_turns():
    y = [0.0, 2.5, -9.0]
    assert judged(y, uniform(1.0), factor=3.0) == []
    (flat,) = judged(y, uniform(1.0), factor=3.0, flat_factor=2.0)
    assert flat.flat
    assert flat.low == 0
    (clear,) = judged([0.0, 3.5, -9.0], uniform(1.0), factor=3.0, flat_factor=2.0)
    assert not clear.flat


def test_the_interval_ends_where_noise_does():
    y = [0.0, 4, 7, 8, 9, 8.5, 7.5, 3, 0]
    (turn,) = judged(y, uniform(1.0), factor=2.2)
    assert (turn.low, turn.point, turn.high) == (2, 4, 6)


def test_ripples():
    y = np.tile([0.0, 1.0], 10)
    assert judged(y) == []
    assert len(judged(y, ripple_factor=0.9)) > 10
    tall = np.concatenate([y, [0, 2, 4, 6, 4, 2, 0]])
    assert [(turn.point, turn.sign) for turn in judged(tall)] == [(23, 1)]


# -- jagged turns ----------------------------------------------------------------------------------

FINE = np.arange(1, 500) * 0.002


def jagged(seed, x=FINE):
    """A hump around 0.4 with the jumps of eighty values that many activations share."""
    rng = np.random.default_rng(seed)
    at, share = rng.uniform(0.1, 1.0, 80), 0.005 * rng.exponential(size=80)
    jumps = np.where(x[:, None] > at, share / x[:, None], 0.0).sum(axis=1)
    return jumps - 80 * 0.005 * np.clip(x - 0.1, 0, None) / 0.9 / x - 3 * (x - 0.4) ** 2


def highest(y, x, error=no_error):
    turn = max(judged(y, error, x=x), key=lambda turn: turn.size * turn.sign)
    assert turn.low < turn.point < turn.high
    return turn


def test_of_a_jagged_curve_the_grid_does_not_choose_the_top():
    """Of all points and of one in ten: nearer to each other, and to where the hump is."""
    part = slice(9, None, 10)
    tops = []
    for seed in range(40):
        curves = [(jagged(seed), FINE), (jagged(seed)[part], FINE[part])]
        tops.append([[x[y.argmax()], x[highest(y, x).point]] for y, x in curves])
    whole, thinned = np.moveaxis(tops, 1, 0)
    furthest, placed = np.abs(whole - thinned).mean(axis=0)
    assert placed < 0.6 * furthest
    furthest, placed = np.abs(whole - 0.4).mean(axis=0)
    assert placed < 0.8 * furthest


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("power", [0.5, 1.0, 3.0])
def test_a_turn_that_is_not_jagged_stays_where_it_is(sign, power):
    """However lopsided: an average would shift it."""
    y = sign * np.where(
        FINE < 0.2, -(np.abs(FINE - 0.2) ** power), -3 * np.abs(FINE - 0.2) ** power
    )
    turn, *_ = judged(y, x=FINE)
    assert (turn.point, turn.sign) == (int(np.abs(y).argmin()), sign)
    assert judged(y, x=FINE) == judged(y)


def test_jags_within_the_noise_do_not_count():
    y = jagged(0)
    assert highest(y, FINE).point != y.argmax()
    assert highest(y, FINE, uniform(0.1)).point == y.argmax()


def test_a_jagged_top_does_not_hang_on_what_follows_the_decision():
    for seed in range(5):
        y = jagged(seed)
        whole = highest(y, FINE)
        decided = next(k for k in range(2, y.size) if whole in judged(y[:k], x=FINE[:k]))
        assert decided > whole.point
        other = np.concatenate([y[:decided], y[decided - 1] - np.arange(y.size - decided)])
        placed = highest(other, FINE)
        assert (placed.point, placed.size) == (whole.point, whole.size)


def test_jagged_valleys_and_peaks_mirror_each_other():
    y = jagged(1)
    up, down = judged(y, x=FINE), judged(-y, x=FINE)
    assert [turn._replace(sign=-turn.sign) for turn in down] == up
