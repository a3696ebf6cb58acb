"""Equations 2-6 against closed forms, quadrature and plain Python."""

from __future__ import annotations

import functools
import math
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from thermo_utils import (
    ActivationSpectrum,
    ThermoError,
    density,
    entropy,
    free_energy,
    internal_energy,
    temperature,
    thermodynamic_curve,
)
from thermo_utils.thermodynamics import CURVE_COLUMNS, derivative

SAMPLES = 1_000_000


@functools.cache
def quantiles(distribution, n=SAMPLES):
    """A sample without luck: the distribution's own quantiles, shuffled, with random signs."""
    rng = np.random.default_rng(0)
    values = distribution.ppf((np.arange(n) + 0.5) / n)
    return rng.permutation(values) * rng.choice([-1.0, 1.0], n)


def exact(distribution, tau):
    """rho, E and F by numerical integration of the survival function."""
    rho = distribution.sf(tau)
    tails = [integrate.quad(distribution.sf, t, np.inf, limit=200)[0] for t in (0.0, *tau)]
    sigma = tau * rho + np.array(tails[1:])  # integration by parts
    energy = np.log(sigma / tails[0])
    return rho, energy, energy - np.log(rho) / tau


class HalfT:
    """Absolute value of Student's t: a power law in the tail."""

    t = stats.t(5)

    def sf(self, x):
        return 2 * self.t.sf(x)

    def ppf(self, q):
        return self.t.ppf((1 + q) / 2)


DISTRIBUTIONS = {
    "exponential": stats.expon(),
    "uniform": stats.uniform(),
    "half-normal": stats.halfnorm(),
    "gamma": stats.gamma(2.5),
    "lognormal": stats.lognorm(0.8),
    "Pareto": stats.lomax(4.0),
    "Student t": HalfT(),
}


@pytest.mark.parametrize(
    ("name", "scale"),
    [*((name, 1.0) for name in DISTRIBUTIONS), ("exponential", 0.01), ("Pareto", 30.0)],
)
def test_sampled_activations_give_the_exact_curve(name, scale):
    distribution = DISTRIBUTIONS[name]
    tau = np.linspace(0.05, 0.9, 18) if name == "uniform" else np.geomspace(0.05, 2.5, 18)
    spectrum = ActivationSpectrum(tau * scale)
    spectrum.update(torch.from_numpy(quantiles(distribution) * scale))
    spectrum.update(torch.zeros(12345))  # zeros are no activations
    curve = spectrum.compute()
    rho, energy, _ = exact(distribution, tau)
    free = energy - np.log(rho) / (tau * scale)
    np.testing.assert_allclose(curve["rho"], rho, rtol=1e-3)
    np.testing.assert_allclose(curve["internal_energy"], energy, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(curve["free_energy"], free, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("rate", [0.5, 2.0])
def test_closed_form_exponential(rate):
    tau = np.linspace(0.01, 3.0, 50)
    rho, energy, free = exact(stats.expon(scale=1 / rate), tau)
    closed = rate - rate * tau + np.log1p(rate * tau)
    np.testing.assert_allclose(free, closed, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(free_energy(tau, rho, energy), closed, rtol=1e-9, atol=1e-9)


def test_closed_form_uniform_and_half_normal():
    tau = np.linspace(0.02, 0.98, 49)
    _, _, free = exact(stats.uniform(), tau)
    np.testing.assert_allclose(free, np.log(1 - tau**2) - np.log(1 - tau) / tau, atol=1e-6)
    sigma = 0.7
    _, _, free = exact(stats.halfnorm(scale=sigma), tau)
    tail = np.array([math.erfc(t / (sigma * math.sqrt(2))) for t in tau])
    np.testing.assert_allclose(free, -(tau**2) / (2 * sigma**2) - np.log(tail) / tau, atol=1e-6)


def test_mixture_of_scales():
    n = SAMPLES // 2
    parts = [quantiles(stats.halfnorm(scale=s), n) for s in (0.2, 1.0)]
    tau = np.linspace(0.05, 2.0, 40)
    spectrum = ActivationSpectrum(tau)
    for part in parts:
        spectrum.update(torch.from_numpy(part))
    # Means of the parts, weighted by number: densities; weighted by mass: sums.
    moments = [exact(stats.halfnorm(scale=s), tau)[:2] for s in (0.2, 1.0)]
    rho = (moments[0][0] + moments[1][0]) / 2
    sigma = (0.2 * np.exp(moments[0][1]) + 1.0 * np.exp(moments[1][1])) / 1.2
    curve = spectrum.compute()
    np.testing.assert_allclose(curve["rho"], rho, rtol=1e-3)
    np.testing.assert_allclose(
        curve["free_energy"], np.log(sigma) - np.log(rho) / tau, rtol=1e-3, atol=1e-3
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_the_curve_of_the_rounded_activations(dtype):
    values = torch.from_numpy(quantiles(stats.expon(), 200_000)).to(dtype)
    tau = np.linspace(0.0625, 2.0, 32)  # multiples of 1/16 are numbers of both types
    spectrum = ActivationSpectrum(tau)
    spectrum.update(values)
    stored = np.abs(values.double().numpy())
    stored = stored[stored > 0]
    for _, row in spectrum.compute().iterrows():
        kept = stored[stored >= row["tau"]]
        assert row["active"] == kept.size
        assert row["abs_sum"] == math.fsum(kept)
        expected = math.log(math.fsum(kept) / math.fsum(stored))
        expected -= math.log(kept.size / stored.size) / row["tau"]
        assert row["free_energy"] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("inclusive", "active"), [(True, [4, 3, 1]), (False, [3, 1, 0])])
def test_values_exactly_on_the_grid(inclusive, active):
    spectrum = ActivationSpectrum([0.1, 0.25, 3.0], inclusive=inclusive)
    spectrum.update(torch.tensor([0.1, -0.25, 0.25, 3.0, 0.0]))
    assert spectrum.active.tolist() == active


def test_undefined_is_nan_and_nothing_warns():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(free_energy(0.0, 1.0, 0.0))
        assert np.isnan(free_energy(0.5, 0.0, -np.inf))
        assert np.isnan(density([0, 3], 0)).all()
        assert np.isnan(internal_energy([0, 3], 0)).all()
        assert np.isnan(entropy(np.nan))
        assert entropy(0.0) == np.inf
        assert temperature(0.0) == np.inf
        assert internal_energy(0.0, 2.0) == -np.inf
        curve = thermodynamic_curve([0, 1, 2, 3], [4, 2, 1, 0], [9, 8, 5, 0], 4, 9)
    undefined = curve[["free_energy", "dF_dtau", "dF_dbeta"]].isna()
    assert undefined.all(axis=1).tolist() == [True, False, False, True]
    assert curve["rho"].tolist() == [1, 0.5, 0.25, 0]
    assert curve["entropy"].iloc[-1] == np.inf


def test_limit_at_zero_is_the_density_of_small_activations():
    tau = np.array([1e-4, 1e-3])
    for name, at_zero in (("exponential", 1.0), ("half-normal", math.sqrt(2 / math.pi))):
        free = exact(DISTRIBUTIONS[name], tau)[2]
        np.testing.assert_allclose(free, at_zero, rtol=2e-3)


counts = st.lists(st.integers(1, 10**9), min_size=2, max_size=20)


@pytest.mark.parametrize("place", [0.01, 0.1, 0.5])
def test_a_shared_value_makes_the_free_energy_jump(place):
    rest, atom = np.abs(quantiles(stats.halfnorm())), np.full(SAMPLES // 1000, place)
    taus = place * np.array([1 - 1e-6, 1 + 1e-6])
    spectrum = ActivationSpectrum(taus)
    spectrum.update(torch.from_numpy(np.concatenate([rest, atom])))
    curve = spectrum.compute()
    rho, mass = curve["rho"][0], atom.size / (rest.size + atom.size)
    jump = np.diff(curve["entropy"] * curve["temperature"])[0]
    assert jump == pytest.approx(math.log(rho / (rho - mass)) / place, rel=0.01)
    # The energy falls by the atom's share of the sum, which is smaller by two powers of the value.
    fall = -np.diff(curve["internal_energy"])[0]
    assert fall == pytest.approx(atom.sum() / curve["abs_sum"][0], rel=0.02)
    assert fall < 2 * place**2 * jump


@given(counts, st.floats(1e-6, 1e6))
def test_curve_agrees_with_plain_python(active, step):
    active = sorted(active, reverse=True)
    total = active[0] + 3
    sums = [2.5 * a for a in active]
    tau = [step * (k + 1) for k in range(len(active))]
    curve = thermodynamic_curve(tau, active, sums, total, 2.5 * total)
    assert tuple(curve.columns) == CURVE_COLUMNS
    assert curve["active"].tolist() == active
    for i, row in enumerate(curve.itertuples()):
        rho = active[i] / total
        assert row.rho == rho
        assert row.beta == 1 - rho
        assert row.entropy == pytest.approx(-math.log(rho))
        assert row.temperature == 1 / tau[i]
        assert row.free_energy == pytest.approx(math.log(rho) - math.log(rho) / tau[i], abs=1e-9)


@given(st.floats(0, 1e300), st.floats(0, 1e300), st.floats(0, 1))
def test_every_function_answers_for_every_number(a, b, rho):
    for value in (density(a, b), entropy(rho), temperature(a), internal_energy(a, b)):
        assert isinstance(value, float)
    f = free_energy(a, rho, -b)
    assert np.isnan(f) or np.isfinite(f) or a < 1e-290


def test_scalars_arrays_and_tensors_broadcast():
    assert density(1, 2) == 0.5
    assert density([[1], [2]], [2, 4]).shape == (2, 2)
    assert temperature(torch.tensor([0.5])).tolist() == [2.0]
    assert free_energy(0.5, [0.5, 0.25], 0.0).shape == (2,)
    assert entropy(pd.Series([1.0, 0.5])).shape == (2,)
    assert entropy(1.0) == 0.0
    assert not np.signbit(entropy(1.0))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: density(-1, 2), "active.*-1"),
        (lambda: density(1, -2), "total.*-2"),
        (lambda: entropy([0.5, -0.5]), r"density.*-0\.5"),
        (lambda: temperature(-0.1), r"tau.*-0\.1"),
        (lambda: internal_energy(1, -1), "total_abs_sum.*-1"),
        (lambda: free_energy(-1, 0.5, 0), "tau.*-1"),
        (lambda: thermodynamic_curve([0.1, 0.1], [1, 1], [1, 1], 2, 2), "tau"),
        (lambda: thermodynamic_curve([0.2, 0.1], [1, 1], [1, 1], 2, 2), "tau"),
        (lambda: thermodynamic_curve([0.1, np.nan], [1, 1], [1, 1], 2, 2), "tau"),
        (lambda: thermodynamic_curve([0.1, 0.2], [1], [1, 1], 2, 2), r"\(2,\), \(1,\) and \(2,\)"),
        (lambda: thermodynamic_curve([[0.1]], [[1]], [[1]], 2, 2), r"\(1, 1\)"),
        (lambda: thermodynamic_curve([0.1], [0], [0], 0, 0), "unpruned"),
        (lambda: thermodynamic_curve([0.1], [1], [1], 2, np.nan), "unpruned"),
    ],
)
def test_refusals_name_the_argument(call, message):
    with pytest.raises(ThermoError, match=message):
        call()


@given(st.floats(0.5, 10), st.floats(0.5, 3), st.integers(3, 30))
def test_the_columns_of_a_curve_are_the_functions_of_its_counts(last, power, points):
    tau = last * (np.arange(1, points + 1) / points) ** power
    active, sums = np.arange(points, 0, -1), np.linspace(2.0, 0.5, points)
    curve = thermodynamic_curve(tau, active, sums, points + 1, 3.0)
    rho, energy = active / (points + 1), np.log(sums / 3.0)
    free = energy - np.log(rho) / tau
    expected = {
        "tau": tau,
        "beta": 1 - rho,
        "rho": rho,
        "active": active,
        "abs_sum": sums,
        "entropy": -np.log(rho),
        "temperature": 1 / tau,
        "internal_energy": energy,
        "free_energy": free,
        "dF_dtau": np.gradient(free, tau),
        "dF_dbeta": np.gradient(free, 1 - rho),
    }
    assert list(curve) == list(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(curve[name], values, rtol=1e-9, atol=1e-9, err_msg=name)


def test_density_above_one_is_allowed():
    curve = thermodynamic_curve([0.1, 0.2], [12, 6], [9.0, 7.0], 10, 10.0)
    assert curve["beta"].iloc[0] == pytest.approx(-0.2)
    assert np.isfinite(curve["free_energy"]).all()


@given(
    st.lists(st.floats(0.1, 3.0), min_size=3, max_size=15),
    st.tuples(*[st.floats(-5, 5)] * 3),
)
def test_derivative_is_exact_for_parabolas_on_any_grid(steps, coefficients):
    x = np.cumsum(steps)
    a, b, c = coefficients
    slope = derivative(a + b * x + c * x**2, x)
    np.testing.assert_allclose(slope[1:-1], (b + 2 * c * x)[1:-1], atol=1e-6)


@given(st.lists(st.floats(0.1, 3.0), min_size=3, max_size=15), st.data())
def test_derivative_is_that_of_the_parabola_through_three_points(steps, data):
    # Sparsity may fall as the threshold grows, where pruning wakes up later layers.
    signs = data.draw(st.lists(st.sampled_from([-1, 1]), min_size=len(steps), max_size=len(steps)))
    x = np.cumsum(np.array(steps) * signs)
    y = np.array(data.draw(st.lists(st.floats(-5, 5), min_size=len(steps), max_size=len(steps))))
    slope = derivative(y, x)
    for i in range(1, len(x) - 1):
        if abs(x[i + 1] - x[i - 1]) > 0.01:
            parabola = np.polynomial.Polynomial.fit(x[i - 1 : i + 2], y[i - 1 : i + 2], 2)
            assert slope[i] == pytest.approx(parabola.deriv()(x[i]), abs=1e-6, rel=1e-6)
    ends = [(y[1] - y[0]) / (x[1] - x[0]), (y[-1] - y[-2]) / (x[-1] - x[-2])]
    np.testing.assert_allclose(slope[[0, -1]], ends)


def test_derivative_where_a_curve_turns_back():
    np.testing.assert_allclose(derivative([4.0, 1.0, 0.0], [2.0, 1.0, 0.0]), [3.0, 2.0, 1.0])
    slope = derivative([0.0, 1.0, 5.0], [0.0, 1.0, 0.0])  # no parabola goes through these three
    np.testing.assert_array_equal(slope, [1.0, np.nan, -4.0])
    curve = thermodynamic_curve([0.1, 0.2, 0.3, 0.4], [7, 6, 8, 5], [9.0, 8.5, 8.0, 7.0], 10, 10.0)
    np.testing.assert_allclose(
        curve["dF_dbeta"], derivative(curve["free_energy"], [0.3, 0.4, 0.2, 0.5])
    )
    assert curve["dF_dbeta"].notna().all()


def test_derivative_skips_points_that_do_not_move():
    slope = derivative([0.0, 1.0, 5.0, 2.0], [0.0, 1.0, 1.0, 2.0])
    np.testing.assert_array_equal(slope, [1.0, 1.0, np.nan, 1.0])
    assert np.isnan(derivative([1.0], [1.0])).all()
    assert derivative([], []).size == 0


def test_an_empty_grid_makes_an_empty_curve():
    assert len(thermodynamic_curve([], [], [], 3, 3.0)) == 0
