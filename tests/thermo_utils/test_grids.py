"""Grids of thresholds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from thermo_utils import ThermoError, renormalized
from thermo_utils.grids import (
    BETWEEN,
    FINER,
    LARGEST,
    OCTAVES,
    automatic_step,
    grid_step,
    grids,
    step_for,
    uniform_grid,
)
from thermo_utils.transitions import MAX_BETA


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
    with pytest.raises(ThermoError, match=f"{last}.*{step}"):
        uniform_grid(step, last)


@pytest.mark.parametrize("step", [1e-9, 1e-300, 5e-324])
@pytest.mark.parametrize(("grid", "most"), [(uniform_grid, LARGEST), (grids, LARGEST // FINER)])
def test_a_grid_that_would_fill_the_memory_is_refused_with_a_step_that_is_not(grid, most, step):
    with pytest.raises(ThermoError, match=f"{most:,}") as refused:
        grid(step, 1.7)
    least = float(str(refused.value).split("step of ")[-1].split()[0])
    assert 1.7 / least <= most + 1
    made = grid(least, 1.7)
    assert len(made[0] if isinstance(made, tuple) else made) > 0.95 * most


@pytest.mark.parametrize(("grid", "most"), [(uniform_grid, LARGEST), (grids, LARGEST // FINER)])
def test_the_largest_grid(grid, most):
    grid(0.5, 0.5 * most)
    with pytest.raises(ThermoError, match=f"{most:,}"):
        grid(0.5, 0.5 * (most + 1))


@given(st.integers(1, 999), st.integers(-6, 3), st.floats(1, 60))
def test_both_grids_of_a_chapter_end_at_one_threshold(digits, exponent, steps):
    step = float(f"{digits}e{exponent}")
    coarse, fine = grids(step, step * steps)
    multiples = uniform_grid(step, step * steps)
    assert set(multiples) <= set(coarse) <= set(fine)
    assert coarse[-1] == multiples[-1] == fine[FINER * len(multiples) - 1]
    assert step * steps * (1 + 1e-8) >= coarse[-1] > step * (steps - 1) * (1 - 1e-8)
    between = np.array(sorted(set(coarse) - set(multiples))) / step
    np.testing.assert_allclose(between, [f for f in BETWEEN if f < len(multiples) - 1], rtol=1e-9)
    assert np.all(np.diff(coarse) > 0)
    assert np.all(np.diff(fine) > 0)


@given(st.integers(1, 999), st.integers(-6, 3), st.integers(1, 60))
def test_the_step_is_read_off_the_grid(digits, exponent, count):
    step = float(f"{digits}e{exponent}")
    for grid in (uniform_grid(step, step * count), grids(step, step * count)[0]):
        assert grid_step(pd.DataFrame({"tau": grid})) == step


def test_the_renormalized_curve_goes_on_for_five_octaves():
    coarse, fine = grids(0.02, 0.8)
    tail = fine[fine > 0.8]
    assert len(tail) == 5 * 32
    np.testing.assert_allclose(tail[1:] / tail[:-1], 2 ** (1 / 32), rtol=1e-9)
    assert fine[-1] == 32 * coarse[-1]


def test_octaves():
    assert OCTAVES[[0, -1]].tolist() == [2.0**-24, 2.0**16]
    assert len(OCTAVES) == 40 * 32 + 1
    np.testing.assert_allclose(OCTAVES[32:] / OCTAVES[:-32], 2, rtol=1e-15)


@pytest.mark.parametrize(
    ("beta", "points", "step", "last"),
    [(0.9, 4, 0.5, 2.0), (0.9, 3, 0.6, 2.0), (0.91, 1, 3.0, 3.0), (0.91, 10, 0.3, 3.0),
     (0.91, 2, 1.5, 3.0), (0.5, 1, 1.0, 1.0), (0.99, 11, 0.25, 3.0), (0.5, 60, 0.015, 1.0)],
)  # fmt: skip
def test_the_step_is_the_next_readable_number_below(beta, points, step, last):
    curve = pd.DataFrame({"tau": [1.0, 2.0, 3.0], "beta": [0.5, 0.9, 0.95]})
    assert step_for(curve, points=points, beta=beta) == (step, last)


def test_by_default_forty_thresholds_reach_the_sparsity_that_is_searched():
    model = nn.Sequential(nn.ReLU())
    data = [torch.randn(200, 100, generator=torch.Generator().manual_seed(0))]
    step, last = automatic_step(model, data, nn.ReLU)
    curve = renormalized(model, data, nn.ReLU, [last / 2 ** (1 / 32), last], progress=False)
    assert curve["beta"][0] < MAX_BETA <= curve["beta"][1]
    assert 40 <= len(uniform_grid(step, last)) <= 50


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
