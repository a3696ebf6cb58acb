"""Kept libraries on curves that have no feature, beside ours: why the detector is our own."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from kneed import KneeLocator
from ruptures import Pelt
from scipy.interpolate import make_smoothing_spline
from scipy.signal import find_peaks

from thermo_utils import critical_threshold, thermodynamic_curve

#: As fine as the grid of a renormalized curve.
TAU = 0.005 * np.arange(1, 401)


def exponential(rng):
    """Exponential activations, a million of them: F falls from the first threshold on."""
    edges = np.concatenate([[0.0], TAU, [TAU[-1] + 40.0]])
    mass, moment = np.exp(-edges), (1 + edges) * np.exp(-edges)
    bins = rng.multinomial(10**6, -np.diff(mass) / (mass[0] - mass[-1]))
    sums = bins * np.diff(moment) / np.diff(mass)
    above, total = (np.cumsum(part[::-1])[::-1] for part in (bins, sums))
    return thermodynamic_curve(TAU, above[1:], total[1:], above[0], total[0])


def hyperbola(rng):
    """F = 1 / tau, with the noise that counting a million activations leaves."""
    beta = 1 - np.exp(-TAU)
    active = np.round(10**6 * (1 - beta))
    steps = np.sqrt(np.diff(beta / active, prepend=0)) * rng.standard_normal(TAU.size)
    f = 1 / TAU + np.cumsum(steps) / TAU
    return pd.DataFrame({"tau": TAU, "beta": beta, "active": active, "free_energy": f})


def spline(tau, f):
    """A smoothing spline (generalized cross-validation), and extrema of it or its slope."""
    smooth = make_smoothing_spline(tau, f)
    return any(
        find_peaks(sign * values)[0].size
        for values in (smooth(tau), smooth.derivative()(tau))
        for sign in (1, -1)
    )


def changepoint(tau, f):
    """PELT with the penalty of the Bayesian information criterion on the normalized slope."""
    slope = np.gradient(f, tau)
    slope = (slope - slope.mean()) / slope.std()
    found = Pelt(model="rbf", min_size=3).fit(slope[:, None]).predict(pen=np.log(tau.size))
    return len(found) > 1


def knee(tau, f):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there is none is an answer
        shapes = [
            KneeLocator(tau, f, curve=shape, direction="decreasing").knee
            for shape in ("convex", "concave")
        ]
    return any(found is not None for found in shapes)


def ours(curve):
    return critical_threshold(curve) is not None


def share(detect, curve_of, runs):
    return np.mean([detect(curve_of(np.random.default_rng(seed))) for seed in range(runs)])


@pytest.mark.parametrize("curve_of", [exponential, hyperbola])
def test_ours_sees_next_to_nothing_where_there_is_nothing(curve_of):
    assert share(ours, curve_of, 25) <= 0.08


@pytest.mark.parametrize("library", [spline, changepoint, knee])
@pytest.mark.parametrize("curve_of", [exponential, hyperbola])
def test_kept_libraries_see_features_there(library, curve_of):
    def detect(curve):
        return library(curve["tau"].to_numpy(), curve["free_energy"].to_numpy())

    assert share(detect, curve_of, 6) >= 0.6
