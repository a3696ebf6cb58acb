"""What leaving out a part does to a feature, on curves whose features are known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from thermo_utils.leaving_out import LEAST, effect, first_feature

TAU = np.arange(1, 800) / 400
MANY = 1e12


def curve(free_energy, total=MANY):
    """With a sparsity that is half the threshold, so that shifts are easily read."""
    active = np.round(total * (1 - TAU / 2))
    return pd.DataFrame({"tau": TAU, "beta": TAU / 2, "active": active, "free_energy": free_energy})


def peak(at):
    return curve(2 * at * TAU - TAU**2)


STRAIGHT = curve(1 - TAU)
TOGETHER = peak(0.5)
FEATURE = first_feature(TOGETHER, cut=False)


def of(rest, together=TOGETHER, feature=FEATURE, share=0.5):
    return effect(together, feature, rest, share=share, cut=False)


@pytest.mark.parametrize("at", [0.3, 0.38, 0.42, 0.5, 0.58, 0.62, 0.9])
def test_how_far_it_moves(at):
    found = of(peak(at))
    assert found.tau == pytest.approx(at, abs=0.003)
    assert found.kind == "peak"
    assert found.shift == pytest.approx(abs(at - 0.5) / 2, abs=0.004)
    # Noise tells all of them from 0.5, but what is nearer than LEAST counts as the same place.
    assert found.name == ("moves" if abs(at - 0.5) / 2 > LEAST else "stays")


def test_features_that_come_and_go():
    assert of(STRAIGHT)[1:] == (None, 1.0, "vanishes")
    assert of(peak(0.3), STRAIGHT, None)[1:] == ("peak", 1.0, "appears")
    assert of(STRAIGHT, STRAIGHT, None)[1:] == (None, 0.0, "stays")
    assert np.isnan(of(STRAIGHT).tau)
    assert of(STRAIGHT, share=0.0).name == "vanishes"  # nothing is left


def test_another_kind_at_the_same_place():
    valley = curve(TAU**2 - TAU)
    assert of(valley)[1:] == ("valley", pytest.approx(0, abs=0.003), "changes")


def test_what_fades_for_want_of_activations_does_not_vanish():
    many = curve(TOGETHER["free_energy"], total=1e7)
    feature = first_feature(many, cut=False)
    assert feature is not None
    assert of(STRAIGHT, many, feature, share=0.9).name == "vanishes"
    assert of(STRAIGHT, many, feature, share=1e-6)[2:] == (0.0, "fades")


def test_the_range_is_cut_where_it_is_asked_for():
    wiggle = np.where(TAU < 0.009, 0.1 * np.sin(TAU * 2000), 0)
    both = curve(TOGETHER["free_energy"] + wiggle)
    cut = first_feature(both, cut=True)
    assert cut is not None
    assert cut.tau == pytest.approx(0.5, abs=0.01)
