"""Whether a curve is smooth at a threshold, on curves whose answer is known, with real noise."""

from __future__ import annotations

from math import erf, sqrt

import numpy as np
import pytest

from companion.paper.measures import measure
from companion.paper.observed import Observed, observed
from companion.paper.smoothness import exponent, sharpness
from tests.companion.paper.hand_record import record
from thermo_utils import thermodynamic_curve

TAU = np.linspace(0.01, 2.0, 200)


@pytest.mark.parametrize(
    ("power", "expected"), [(2, 1.0), (4, 3.0), (1, 0.0), (0.5, -0.5), (1.5, 0.5)]
)
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_the_exponent_of_a_power_is_one_less(power, expected, scale):
    tau = scale * TAU
    curve = 5.0 - np.abs(tau / scale - 1) ** power
    assert exponent(tau, curve, 0 * tau, scale) == pytest.approx(expected, abs=1e-6)
    assert exponent(tau, -3 * curve + TAU, 0 * tau, scale) == pytest.approx(expected, abs=1e-6)


def test_a_straight_line_and_noise_have_none():
    assert exponent(TAU, 0 * TAU, 0 * TAU, 1.0) is None
    wave = 1e-3 * np.random.default_rng(0).normal(size=TAU.size)
    assert exponent(TAU, TAU + wave, 1e-6 * np.arange(TAU.size), 1.0) is None


@pytest.mark.parametrize("at", [0.01, 0.02, 2.0])
def test_at_the_ends_there_is_not_enough_to_see(at):
    assert exponent(TAU, -((TAU - at) ** 2), 0 * TAU, at) is None
    assert exponent(TAU[:1], TAU[:1], TAU[:1], at) is None


def test_a_tent_is_as_sharp_as_it_falls_and_a_wide_one_less():
    tent = 2.0 - np.abs(TAU - 1.0)
    assert sharpness(TAU, tent, 1.0) == pytest.approx(0.3 / np.ptp(tent))
    assert sharpness(TAU, -7 * tent, 1.0) == pytest.approx(0.3 / np.ptp(tent))
    gentle = 2.0 - 0.1 * (TAU - 1.0) ** 2 - 0.5 * (TAU > 1.9)
    assert sharpness(TAU, gentle, 1.0) < 0.1
    assert sharpness(TAU, tent, 1.8) is None  # 1.3 times that is beyond the grid
    assert sharpness(TAU, tent, 0.012) is None
    assert sharpness(TAU, 0 * TAU, 1.0) is None


def seen(sample: np.ndarray, tau: np.ndarray, at: float) -> Observed:
    """A record whose RFE curve is that of some activations, with a feature at a threshold."""
    size = np.sort(np.abs(sample[sample != 0]))
    first = np.searchsorted(size, tau)
    sums = np.concatenate([[0.0], np.cumsum(size)])
    curve = thermodynamic_curve(
        tau, (size.size - first).astype(float), sums[-1] - sums[first], size.size, sums[-1]
    )
    marks = record().result["thresholds"]
    marks = marks | {"renormalized": {"tau": at, "beta": 0.3, "kind": "peak"}}
    return observed(record(fast=curve, thresholds=marks))


def gelu(x: np.ndarray) -> np.ndarray:
    return x * 0.5 * (1 + np.vectorize(erf)(x / sqrt(2)))


def test_f_of_a_smooth_density_is_smooth_and_that_of_gelu_is_not_at_its_minimum():
    x = np.random.default_rng(0).normal(size=400_000)
    tau = 0.01 * np.arange(1, 41) * 0.17
    # GELU turns at -0.17: activations crowd there like the inverse of a root.
    turn = float(-gelu(np.linspace(-1, -0.5, 2001)).min())
    tau = np.round(tau, 12) + turn - np.round(0.17 * 0.2, 12)
    cusp = measure("smoothness", seen(gelu(x), tau, float(tau[19])))
    assert cusp == pytest.approx(-0.5, abs=0.15)
    smooth = np.linspace(0.05, 4.0, 80)
    found = measure("smoothness", seen(np.abs(x) + 1.0, smooth, 1.5))
    assert found == pytest.approx(1.0, abs=0.3)
    # Of a twentieth of it nothing can be told: the noise of counting is known.
    assert measure("smoothness", seen(x[:20_000], smooth, 0.3)) is None
