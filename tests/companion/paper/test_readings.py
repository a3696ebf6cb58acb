"""Thresholds and shares read off a curve: closed forms, inverses, ends of the grid."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from companion.paper.readings import (
    at_retained_sum,
    at_sparsity,
    from_zero,
    knee,
    retained_sum,
    sparsity_at,
)
from tests.companion.paper.exponential_runs import LAST, RATE, STEP, exponential
from thermo_utils import ThermoError


class TestClosedForms:
    @given(st.floats(0.01, 0.9))
    def test_quantile_of_the_exponential(self, quantile):
        assert at_sparsity(exponential(), quantile) == pytest.approx(
            -np.log(1 - quantile) / RATE, abs=1e-4
        )

    @given(st.floats(0.3, 0.99))
    def test_retained_sum_of_the_exponential(self, share):
        found = RATE * at_retained_sum(exponential(), share)
        assert (1 + found) * np.exp(-found) == pytest.approx(share, abs=1e-4)

    def test_knee_of_the_exponential_is_where_its_slope_is_that_of_the_chord(self):
        chord = (1 - np.exp(-RATE * LAST)) / LAST
        assert knee(exponential()) == pytest.approx(-np.log(chord / RATE) / RATE, abs=STEP / 10)

    def test_a_straight_or_hollow_curve_has_no_knee(self):
        tau = np.linspace(0.1, 1, 10)
        assert knee(pd.DataFrame({"tau": tau, "beta": tau / 2})) is None
        assert knee(pd.DataFrame({"tau": tau, "beta": tau**2})) is None

    @given(st.floats(0.1, 3.9))
    def test_reading_and_reaching_are_inverse(self, tau):
        curve = exponential()
        assert at_sparsity(curve, sparsity_at(curve, tau)) == pytest.approx(tau, abs=1e-9)
        assert at_retained_sum(curve, retained_sum(curve, tau)) == pytest.approx(tau, abs=1e-9)

    def test_beyond_the_grid_there_is_no_prediction(self):
        assert at_sparsity(exponential(), 0.99) is None
        assert at_retained_sum(exponential(), 0.01) is None

    def test_below_the_grid_the_unpruned_network_counts(self):
        assert sparsity_at(exponential(0.1), 0.0) == 0.0
        assert retained_sum(exponential(0.1), 0.0) == 1.0
        assert 0 < at_sparsity(exponential(0.1), 0.01) < 0.1

    @pytest.mark.parametrize("value", [0.0, 1.0, -0.1, np.nan])
    def test_shares_outside_of_zero_and_one(self, value):
        for read in (at_sparsity, at_retained_sum):
            with pytest.raises(ThermoError, match=f"0 and 1.*{value}"):
                read(exponential(), value)

    def test_between_points_a_curve_is_straight(self):
        curve = pd.DataFrame({"tau": [1.0, 3.0], "beta": [0.2, 0.6]})
        assert sparsity_at(curve, 0.5) == pytest.approx(0.1)
        assert sparsity_at(curve, 1.5) == pytest.approx(0.3)
        assert at_sparsity(curve, 0.1) == pytest.approx(0.5)
        assert at_sparsity(curve, 0.3) == pytest.approx(1.5)
        curve = pd.DataFrame({"tau": [1.0, 3.0], "internal_energy": np.log([0.8, 0.4])})
        assert retained_sum(curve, 0.5) == pytest.approx(0.9)
        assert retained_sum(curve, 2.0) == pytest.approx(0.6)
        assert at_retained_sum(curve, 0.9) == pytest.approx(0.5)
        assert at_retained_sum(curve, 0.6) == pytest.approx(2.0)

    def test_the_end_of_the_grid_is_still_on_it(self):
        curve = pd.DataFrame({"tau": [1.0, 3.0], "beta": [0.2, 0.6], "internal_energy": [-1, -2]})
        assert at_sparsity(curve, 0.6) == pytest.approx(3.0)
        assert at_sparsity(curve, 0.6001) is None
        assert at_retained_sum(curve, np.exp(-2)) == pytest.approx(3.0)

    def test_a_level_is_first_reached(self):
        curve = pd.DataFrame({"tau": [1.0, 2.0, 3.0, 4.0], "beta": [0.2, 0.5, 0.5, 0.6]})
        assert at_sparsity(curve, 0.5) == pytest.approx(2.0)
        assert at_sparsity(curve, 0.2) == pytest.approx(1.0)

    def test_the_knee_is_the_first_point_farthest_above_the_chord(self):
        # The chord has 0.2 per unit: 0.1, 0.3, 0.2, 0 above it.
        curve = pd.DataFrame({"tau": [1.0, 2.0, 3.0, 4.0], "beta": [0.3, 0.7, 0.8, 0.8]})
        assert knee(curve) == 2.0
        assert knee(pd.DataFrame({"tau": [2.0, 4.0], "beta": [0.4 + 1e-13, 0.8]})) is None
        assert knee(pd.DataFrame({"tau": [2.0, 4.0], "beta": [0.4 + 1e-9, 0.8]})) == 2.0

    def test_the_unpruned_network_stands_in_front(self):
        tau, values = from_zero(pd.DataFrame({"tau": [1, 2], "beta": [0.2, 0.6]}), "beta", 0.1)
        assert tau.tolist() == [0, 1, 2]
        assert values.tolist() == [0.1, 0.2, 0.6]
        assert tau.dtype == values.dtype == np.float64
