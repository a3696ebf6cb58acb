"""The noise model of the detector against simulated samples."""

from __future__ import annotations

import numpy as np
import pytest

from thermo_utils.extrema import Noise, levels, white_noise

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
