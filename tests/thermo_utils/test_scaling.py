"""Other units: counts stay, the free energy follows the identity, and units of the mean cancel."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from torch import nn

from thermo_utils import ThermoError, full_evaluation, renormalized, thermodynamic_curve
from thermo_utils.scaling import mean_magnitude, rescaled, scale_free

TAUS = np.array([0.05, 0.1, 0.2, 0.4, 0.8])


def network(c=1.0):
    """Two rectified layers whose activations are `c` times larger, and the same scores."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 3)
    ).eval()
    with torch.no_grad():
        net[0].weight *= c
        net[0].bias *= c
        net[2].bias *= c
        net[4].weight /= c
    return net


def data():
    generator = torch.Generator().manual_seed(1)
    return [(torch.randn(64, 6, generator=generator), torch.arange(64) % 3)]


class TestRescaled:
    @pytest.mark.parametrize("c", [0.25, 2.0, 8.0])
    @pytest.mark.parametrize("evaluated", [full_evaluation, renormalized])
    def test_it_is_the_curve_of_the_rescaled_network(self, evaluated, c):
        """By a power of two, arithmetic is exact, so all counts are equal."""
        before = evaluated(network(), data(), nn.ReLU, TAUS, progress=False)
        after = evaluated(network(c), data(), nn.ReLU, TAUS * c, progress=False)
        assert_frame_equal(rescaled(before, c), after, rtol=1e-12)
        expected = rescaled(before, c).attrs
        assert {k: v for k, v in after.attrs.items() if k != "seconds"} == {
            k: v for k, v in expected.items() if k != "seconds"
        }
        # What would hide an identity that only copies: the free energies differ.
        assert not np.allclose(before["free_energy"], after["free_energy"], rtol=0.05)

    @given(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3))
    @settings(deadline=None, max_examples=30)
    def test_one_after_the_other_is_the_product(self, a, b):
        curve = renormalized(network(), data(), nn.ReLU, TAUS, progress=False)
        assert_frame_equal(rescaled(rescaled(curve, a), b), rescaled(curve, a * b), rtol=1e-9)

    def test_accuracies_stay_and_errors_of_the_free_energy_go(self):
        curve = thermodynamic_curve([0.1, 0.2], [9, 6], [9.5, 7.0], 10, 10.0)
        more = curve.assign(accuracy=[0.9, 0.8], lost=[1, 2], free_energy_error=[0.1, 0.1])
        after = rescaled(more, 4.0)
        assert after[["accuracy", "lost", "beta"]].equals(more[["accuracy", "lost", "beta"]])
        assert "free_energy_error" not in after
        assert "free_energy_error" in more

    def test_what_has_no_value_stays_without(self):
        curve = thermodynamic_curve([0.1, 0.2, 0.3], [9, 6, 0], [9.5, 7.0, 0.0], 10, 10.0)
        assert rescaled(curve, 3.0)["free_energy"].isna().tolist() == [False, False, True]

    @pytest.mark.parametrize("c", [0.0, -1.0, np.inf, np.nan])
    def test_no_scale(self, c):
        curve = thermodynamic_curve([0.1, 0.2], [9, 6], [9.5, 7.0], 10, 10.0)
        with pytest.raises(ThermoError, match="c must be positive"):
            rescaled(curve, c)


class TestScaleFree:
    @given(st.floats(1e-3, 1e3))
    @settings(deadline=None, max_examples=30)
    def test_no_rescaling_changes_it(self, c):
        curve = renormalized(network(), data(), nn.ReLU, TAUS, progress=False)
        assert_frame_equal(scale_free(rescaled(curve, c)), scale_free(curve), rtol=1e-9)

    def test_it_is_the_free_energy_at_another_temperature(self):
        curve = renormalized(network(), data(), nn.ReLU, TAUS, progress=False)
        mean = curve.attrs["total_abs_sum"] / curve.attrs["total"]
        assert mean_magnitude(curve) == pytest.approx(mean, rel=1e-12)
        expected = curve["internal_energy"] + mean / TAUS * curve["entropy"]
        np.testing.assert_allclose(scale_free(curve)["free_energy"], expected, rtol=1e-12)
        np.testing.assert_allclose(scale_free(curve)["tau"] * mean, TAUS, rtol=1e-12)

    def test_of_nothing(self):
        with pytest.raises(ThermoError, match="nothing survives"):
            scale_free(thermodynamic_curve([0.1, 0.2], [0, 0], [0.0, 0.0], 10, 10.0))
