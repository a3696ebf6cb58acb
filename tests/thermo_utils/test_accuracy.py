"""Where the accuracy gives way: the plain loop, the bounds, and what the examples can tell."""

from __future__ import annotations

import inspect
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thermo_utils import ThermoError, accuracy_threshold, find_safe_threshold
from thermo_utils.accuracy import MAX_DROP, accuracy_interval, drop_errors


def accuracies(*values, **attrs):
    tau = np.arange(1, len(values) + 1) / 10
    curve = pd.DataFrame({"tau": tau, "beta": tau / 2, "accuracy": values})
    curve.attrs = attrs
    return curve


def test_accuracy_leaves_its_plateau():
    found = accuracy_threshold(accuracies(0.9, 0.89, 0.86, 0.6, 0.2), 0.05)
    assert found.tau == pytest.approx(0.3)
    assert found.beta == pytest.approx(0.15)
    assert found.kind == "accuracy"
    assert found.prominence == pytest.approx(0.3)
    assert re.findall(r"[0-9.]+", found.rule) == ["0.05", "0.9"]


def test_a_drop_of_exactly_the_bound_is_within():
    assert accuracy_threshold(accuracies(0.9, 0.85, 0.7), 0.05).tau == pytest.approx(0.2)
    assert accuracy_threshold(accuracies(0.3, 0.2, 0.1), max_drop=0.1).tau == pytest.approx(0.2)


def test_noise_within_bounds_and_dips_beyond():
    assert accuracy_threshold(accuracies(0.9, 0.87, 0.91, 0.86, 0.5), 0.05).tau == pytest.approx(
        0.4
    )
    # Documented: the last threshold up to which *all* are within bounds.
    assert accuracy_threshold(accuracies(0.9, 0.7, 0.9, 0.9)).tau == pytest.approx(0.1)


def test_baseline():
    curve = accuracies(0.80, 0.79, baseline_accuracy=0.9)
    at_once = accuracy_threshold(curve)
    assert (at_once.tau, at_once.beta) == (0.0, 0.0)
    assert at_once.prominence == pytest.approx(0.1)
    assert accuracy_threshold(curve, 0.05, baseline=0.8) is None
    assert accuracy_threshold(curve, 0.12) is None
    assert accuracy_threshold(curve, max_drop=1.0) is None
    assert accuracy_threshold(accuracies(0.5, 0.5), max_drop=0.0) is None
    assert accuracy_threshold(accuracies(0.5, 0.49), max_drop=0.0).tau == pytest.approx(0.1)


def test_without_beta():
    found = accuracy_threshold(accuracies(0.9, 0.2).drop(columns="beta"))
    assert np.isnan(found.beta)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0, 1))
def test_accuracy_threshold_is_the_naive_loop(values, max_drop):
    expected, left = 0.0, False
    for tau, accuracy in zip(np.arange(1, len(values) + 1) / 10, values, strict=True):
        if values[0] - accuracy > max_drop + 1e-9:
            left = True
            break
        expected = tau
    found = accuracy_threshold(accuracies(*values), max_drop)
    assert (found.tau if found else None) == (expected if left else None)


@pytest.mark.parametrize(
    ("curve", "options", "message"),
    [
        (accuracies(0.9).drop(columns="accuracy"), {}, "'accuracy'"),
        (accuracies(), {}, "threshold"),
        (accuracies(90.0, 80.0), {}, "accuracy"),
        (accuracies(np.nan, np.nan), {"baseline": 0.9}, "accuracy"),
        (accuracies(0.9), {"baseline": 90}, "accuracy"),
        (accuracies(0.9), {"max_drop": 5}, "max_drop.*5"),
        (accuracies(0.9), {"max_drop": np.nan}, "max_drop.*nan"),
        (accuracies(0.9, 0.8)[::-1], {}, "tau"),
    ],
)
def test_accuracy_refusals(curve, options, message):
    with pytest.raises(ThermoError, match=message):
        accuracy_threshold(curve, **options)


def test_one_default_everywhere():
    for function in (accuracy_threshold, accuracy_interval, find_safe_threshold):
        assert inspect.signature(function).parameters["max_drop"].default == MAX_DROP


# -- interval ------------------------------------------------------------------------------------


def paired(lost, gained, samples=1000, baseline=0.9):
    """A full evaluation that says which examples were lost and gained."""
    lost, gained = np.array(lost), np.array(gained)
    curve = accuracies(*(baseline + (gained - lost) / samples))
    curve.attrs = {"baseline_accuracy": baseline, "samples": samples}
    return curve.assign(lost=lost, gained=gained)


def test_the_error_is_that_of_a_mean_over_examples():
    lost, gained, samples = 37, 12, 500
    each = np.repeat([1.0, -1.0, 0.0], [lost, gained, samples - lost - gained])
    (error,) = drop_errors(paired([lost], [gained], samples))
    assert error == pytest.approx(each.std() / np.sqrt(samples))


def test_examples_lost_and_gained_make_the_interval_wide_and_not_the_drop():
    few = paired([0, 2, 12, 60], [0, 0, 0, 0])
    many = paired([60, 62, 72, 120], [60, 60, 60, 60])
    assert accuracy_threshold(few).tau == accuracy_threshold(many).tau == pytest.approx(0.2)
    assert accuracy_interval(few) == pytest.approx((0.2, 0.3))
    assert accuracy_interval(many) == pytest.approx((0.0, 0.3))


def test_more_examples_tell_more():
    hundred = paired([1, 2, 4], [1, 1, 1], samples=100)
    many = paired([1000, 2000, 4000], [1000, 1000, 1000], samples=100_000)
    assert np.allclose(hundred["accuracy"], many["accuracy"])
    assert accuracy_interval(hundred) == (0.0, np.inf)
    assert accuracy_interval(many, 0.015) == pytest.approx((0.2, 0.2))


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=20),
    st.floats(0, 0.1),
)
def test_the_threshold_lies_within_its_interval(counts, max_drop):
    curve = paired(*zip(*counts, strict=True), baseline=0.5)
    low, high = accuracy_interval(curve, max_drop)
    found = accuracy_threshold(curve, max_drop)
    assert low <= (found.tau if found else np.inf) <= high
    if found:
        assert (found.low, found.high) == (low, high)


def test_without_the_counts_the_interval_is_not_known():
    curve = paired([5, 50], [0, 0])
    unknown = (
        curve.drop(columns="lost"),
        curve.assign(lost=np.nan, gained=np.nan),
        curve.drop(columns="gained"),
    )
    for other in unknown:
        assert np.isnan(accuracy_interval(other)).all()
        assert np.isnan([accuracy_threshold(other).low, accuracy_threshold(other).high]).all()
    curve.attrs = {}
    assert drop_errors(curve) is None


@pytest.mark.parametrize(
    ("lost", "gained"), [([-1], [0]), ([600], [600]), ([np.nan, 1], [1, 1]), ([1], [np.nan])]
)
def test_what_are_no_counts_is_refused(lost, gained):
    curve = accuracies(*[0.5] * len(lost), samples=1000).assign(lost=lost, gained=gained)
    with pytest.raises(ThermoError, match=r"lost and gained.*1000"):
        drop_errors(curve)
