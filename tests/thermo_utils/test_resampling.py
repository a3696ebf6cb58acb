"""What other examples and other seeds would have said."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thermo_utils import ThermoError, Threshold, critical_threshold, thermodynamic_curve
from thermo_utils.resampling import over_examples, over_seeds, resampled_curve

TAU = np.arange(1, 41) * 0.05


def blocks_of(*values):
    """Counts of samples of activations, a block each."""
    rows = []
    for block, sample in enumerate(values):
        ordered = np.sort(np.abs(sample))
        sums = np.append(np.cumsum(ordered[::-1])[::-1], 0.0)
        for tau in (0.0, *TAU):
            first = int(np.searchsorted(ordered, tau))
            rows.append((tau, block, ordered.size - first, sums[first]))
    return pd.DataFrame(rows, columns=["tau", "block", "active", "abs_sum"])


def half_normal(seed, size=20_000, blocks=16, spread=0.0):
    rng = np.random.default_rng(seed)
    scales = np.exp(spread * rng.standard_normal(blocks))
    return blocks_of(*(s * rng.standard_normal(size) for s in scales))


def test_every_block_once_is_the_curve_itself():
    blocks = half_normal(0, blocks=4)
    total = blocks.groupby("tau")[["active", "abs_sum"]].sum()
    expected = thermodynamic_curve(
        TAU, total["active"][1:], total["abs_sum"][1:], total["active"][0], total["abs_sum"][0]
    )
    shuffled = blocks.sample(frac=1, random_state=0)
    for table in (blocks, shuffled):
        pd.testing.assert_frame_equal(resampled_curve(table, np.ones(4, dtype=int)), expected)


@settings(max_examples=20)
@given(st.lists(st.integers(0, 3), min_size=3, max_size=3).filter(any))
def test_weights_are_numbers_of_copies(weights):
    rng = np.random.default_rng(1)
    samples = [rng.standard_normal(500) for _ in range(3)]
    weighted = resampled_curve(blocks_of(*samples), np.array(weights))
    copies = [s for s, w in zip(samples, weights, strict=True) for _ in range(w)]
    if len(copies) > 1:
        repeated = resampled_curve(blocks_of(*copies), np.ones(len(copies), dtype=int))
        pd.testing.assert_frame_equal(weighted, repeated)


def test_equal_blocks_leave_nothing_open():
    sample = np.random.default_rng(0).standard_normal(50_000)
    blocks = blocks_of(sample, sample, sample)
    found = critical_threshold(resampled_curve(blocks, np.ones(3, dtype=int)))
    assert found is not None
    assert over_examples(blocks) == (found.tau, found.tau, 1.0, 1.0)


def test_the_interval_is_as_wide_as_examples_differ():
    widths = []
    for spread in (0.0, 0.2, 0.6):
        seen = over_examples(half_normal(0, spread=spread))
        assert seen.found == 1
        widths.append(seen.high - seen.low)
    assert widths == sorted(widths)
    assert widths[0] < widths[-1]


@pytest.mark.slow
def test_intervals_hold_the_truth_as_often_as_they_say():
    """Against fresh examples: the interval of one test set holds the threshold of a large one."""
    large = half_normal(1000, size=400_000, spread=0.3, blocks=64)
    truth = critical_threshold(resampled_curve(large, np.ones(64, dtype=int))).tau
    inside = [
        seen.low - 0.051 <= truth <= seen.high + 0.051
        for seen in (over_examples(half_normal(s, spread=0.3), draws=60) for s in range(40))
    ]
    assert np.mean(inside) >= 0.8


def test_no_feature_has_no_interval():
    rng = np.random.default_rng(0)
    blocks = blocks_of(*(rng.exponential(size=200_000) for _ in range(8)))
    seen = over_examples(blocks, draws=40)
    assert seen.found <= 0.1


def test_the_seed_decides():
    blocks = half_normal(0, size=2000, spread=0.5)
    assert over_examples(blocks, draws=20, seed=1) == over_examples(blocks, draws=20, seed=1)
    assert over_examples(blocks, draws=20, seed=1) != over_examples(blocks, draws=20, seed=2)


@pytest.mark.parametrize(
    ("blocks", "options", "message"),
    [
        (lambda b: b.drop(columns="active"), {}, "'active'"),
        (lambda b: b[b["block"] == 0], {}, "two"),
        (lambda b: b[b["tau"] > 0], {}, "tau = 0"),
        (lambda b: b.iloc[:-1], {}, "threshold"),
        (lambda b: b, {"draws": 0}, "draws"),
        (lambda b: b, {"confidence": 1.0}, "confidence"),
    ],
)
def test_refusals(blocks, options, message):
    with pytest.raises(ThermoError, match=message):
        over_examples(blocks(half_normal(0, size=100, blocks=2)), **options)


def test_one_weight_per_block():
    with pytest.raises(ThermoError, match="2"):
        resampled_curve(half_normal(0, size=100, blocks=2), np.ones(3, dtype=int))


# -- over seeds ----------------------------------------------------------------------------------


def threshold(tau, kind="peak"):
    return Threshold(tau, tau / 2, kind, 0.1, "earliest of 1 feature", tau - 0.1, tau + 0.2)


def test_seeds_that_agree():
    found = over_seeds([threshold(0.5), threshold(0.4), threshold(0.45)])
    assert (found.tau, found.beta, found.kind) == (0.45, 0.225, "peak")
    assert (found.low, found.high) == (pytest.approx(0.3), 0.7)
    assert "3 seeds" in found.rule


@settings(max_examples=50)
@given(st.lists(st.floats(0.01, 100), min_size=2, max_size=6), st.floats(0, 3))
def test_half_an_octave_or_no_reliable_feature(places, octaves):
    found = over_seeds([threshold(t) for t in places], octaves=octaves)
    spread = np.log2(max(places) / min(places))
    if abs(spread - octaves) > 1e-6:
        assert (found is not None) == (spread <= octaves)
    if found is not None:
        assert found.tau in places
        assert found.low <= min(places) <= found.tau <= max(places) <= found.high


def test_seeds_that_disagree():
    assert over_seeds([threshold(0.4), None]) is None
    assert over_seeds([None, None]) is None
    assert over_seeds([threshold(0.4), threshold(0.4, "valley")]) is None
    assert over_seeds([threshold(0.4), threshold(0.4 * 2**0.5)]) is not None
    with pytest.raises(ThermoError, match="two"):
        over_seeds([threshold(0.4)])
