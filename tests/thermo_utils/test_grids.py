"""Grids of thresholds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from thermo_utils import ThermoError, renormalized
from thermo_utils.grids import OCTAVES, automatic_step, step_for, uniform_grid


@given(st.integers(1, 999), st.integers(-6, 3), st.integers(1, 60), st.integers(2, 20))
def test_a_finer_grid_contains_the_coarser_one(digits, exponent, count, finer):
    step = float(f"{digits}e{exponent}")
    coarse = uniform_grid(step, step * count)
    fine = uniform_grid(step / finer, coarse[-1])
    assert len(coarse) == count
    assert len(fine) == count * finer
    assert set(coarse) <= set(fine)
    assert np.all(np.diff(fine) > 0)
    np.testing.assert_allclose(coarse, step * np.arange(1, count + 1), rtol=1e-12)


def test_bound_between_two_multiples():
    assert uniform_grid(0.1, 0.35).tolist() == [0.1, 0.2, 0.3]
    assert uniform_grid(0.02, 0.8)[[2, -1]].tolist() == [0.06, 0.8]


@pytest.mark.parametrize(
    ("step", "last"), [(0, 1), (-1, 1), (2, 1), (np.nan, 1), (1, np.nan), (1, np.inf)]
)
def test_grids_without_a_point(step, last):
    with pytest.raises(ThermoError, match="step must be positive and at most"):
        uniform_grid(step, last)


@pytest.mark.parametrize("scale", [1e-4, 0.3, 1.0, 77.0])
@pytest.mark.parametrize("points", [10, 40])
def test_automatic_grid_reaches_the_sparsity_in_about_as_many_points(scale, points):
    model = nn.Sequential(nn.ReLU())
    data = [torch.randn(200, 100, generator=torch.Generator().manual_seed(0)) * scale]
    step, last = automatic_step(model, data, nn.ReLU, points=points, beta=0.95)
    grid = uniform_grid(step, last)
    assert points <= len(grid) <= 1.6 * points
    assert len(f"{step:.12g}".replace(".", "").strip("0").split("e")[0]) <= 2  # reads well
    curve = renormalized(model, data, nn.ReLU, grid, progress=False)
    assert 0.93 < curve["beta"].iloc[-1] < 0.97


def test_sparsity_out_of_reach_takes_the_whole_range():
    curve = renormalized(
        nn.Sequential(nn.Identity()), [torch.full((4,), 1e6)], "0", OCTAVES, progress=False
    )
    step, last = step_for(curve, points=40, beta=0.9)
    assert last == OCTAVES[-1]
    assert len(uniform_grid(step, last)) >= 40
