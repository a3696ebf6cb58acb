"""What a sample says about the whole set, on groups of counts whose density is known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thermo_utils import critical_threshold, free_energy, internal_energy, thermodynamic_curve
from thermo_utils.confidence import estimate, standard_error, whole_sets

GRID = np.arange(1, 101) * 0.03
UNEVEN = np.concatenate([np.arange(1, 61) * 0.01, 0.6 + np.arange(1, 41) * 0.06])


def decaying(a):
    return np.exp(-a)


def bump(height, at, width):
    return lambda a: np.exp(-a) * (1 + height * np.exp(-(((a - at) / width) ** 2)))


def sums(bins, middle):
    """Counts and sums above each threshold, and at the end of all, from counts between them."""
    both = np.stack([bins, bins * middle], axis=-2)
    return np.roll(both[..., ::-1].cumsum(axis=-1)[..., ::-1], -1, axis=-1)


def groups_of(density, seed, *, taus=GRID, count=6000, share=0.1, parts=16):
    """Groups of a sample, and of all other examples: counts of Poisson, a little more alike within
    a group than between groups."""
    rng = np.random.default_rng(seed)
    width = np.diff(taus, prepend=0)
    middle = np.append(taus - width / 2, taus[-1] + 1)  # beyond the last decays exp(-a)
    expected = np.append(density(middle[:-1]) * width, density(taus[-1]))
    tilt = rng.standard_normal((round(parts / share), 1)) * np.linspace(-1, 1, expected.size)
    bins = rng.poisson(count * expected / expected.sum() * np.exp(0.05 * tilt))
    everything = sums(bins.astype(float), middle)
    return everything[:parts], everything[parts:]


def energy(taus, total):
    rho = total[..., 0, :-1] / total[..., 0, -1:]
    return free_energy(taus, rho, internal_energy(total[..., 1, :-1], total[..., 1, -1:]))


def truth(taus, total):
    active, mass = total
    return critical_threshold(
        thermodynamic_curve(taus, active[:-1], mass[:-1], active[-1], mass[-1])
    )


def drawn(taus, groups, share, count=40):
    draws = whole_sets(taus, groups, share, np.random.default_rng(0))
    return np.array(list(itertools.islice(draws, count)))


def ask(groups, share=0.1, taus=GRID, **options):
    options = {"tolerance": 2, "confidence": 0.95, "seed": (0, 1)} | options
    return estimate(taus, groups, share, **options)


def rough(taus, total):
    """Typical fourth difference of F at small thresholds, where smooth curves have next to none."""
    return np.median(np.abs(np.diff(energy(taus, total), n=4, axis=-1)[..., :30]))


def test_whole_sets_end_in_what_was_read():
    groups, _ = groups_of(decaying, 0)
    for whole in drawn(GRID, groups, 1 - 1e-12, 3):
        np.testing.assert_allclose(whole, groups.sum(axis=0), rtol=1e-4)


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_whole_sets_are_as_large_as_all_examples(share):
    groups, rest = groups_of(decaying, 0, share=share)
    size = groups.sum(axis=0) + rest.sum(axis=0)
    mean = drawn(GRID, groups, share).mean(axis=0)
    np.testing.assert_allclose(mean[:, :70], size[:, :70], rtol=0.1)
    np.testing.assert_allclose(mean[:, -1], size[:, -1], rtol=0.02)


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_whole_sets_and_errors_stray_from_the_sample_as_real_ones_do(share):
    at = [20, 40, 60]
    strayed, claimed, errors = [], [], []
    for seed in range(40):
        groups, rest = groups_of(decaying, seed, share=share)
        sample = energy(GRID, groups.sum(axis=0))
        strayed.append(energy(GRID, groups.sum(axis=0) + rest.sum(axis=0)) - sample)
        claimed.append(energy(GRID, drawn(GRID, groups, share, 20)).std(axis=0))
        errors.append(standard_error(GRID, groups, share))
    real = np.std(strayed, axis=0)[at]
    for stated in (claimed, errors):
        ratio = np.sqrt(np.mean(np.square(stated), axis=0))[at] / real
        assert np.all((ratio > 0.65) & (ratio < 1.7))


@pytest.mark.parametrize("taus", [GRID, UNEVEN, GRID * 4])
def test_whole_sets_are_as_rough_as_real_ones(taus):
    groups, rest = groups_of(decaying, 1, taus=taus)
    real = rough(taus, groups.sum(axis=0) + rest.sum(axis=0))
    assert 0.6 < rough(taus, drawn(taus, groups, 0.1)) / real < 1.7


def test_whole_sets_keep_what_is_sharp_and_clear():
    groups, rest = groups_of(bump(3, 0.8, 0.06), 0, count=40_000)
    real = energy(GRID, groups.sum(axis=0) + rest.sum(axis=0))
    draws = energy(GRID, drawn(GRID, groups, 0.1))
    error = np.abs(draws.mean(axis=0) - real) / draws.std(axis=0)
    assert np.max(error[:60]) < 4


@settings(max_examples=15)
@given(st.integers(0, 10**6), st.integers(1, 30), st.floats(0.01, 0.99), st.integers(8, 16))
def test_whole_sets_are_counts_even_of_a_handful_of_activations(seed, count, share, parts):
    bins = np.random.default_rng(seed).multinomial(count, np.full(20 * parts, 1 / 20 / parts))
    groups = sums(bins.reshape(parts, 20).astype(float), np.arange(20) + 0.5)
    for whole in drawn(np.arange(1.0, 20.0), groups, share, 5):
        assert np.all(whole >= 0)
        assert np.array_equal(whole[0], np.round(whole[0]))
        assert np.all(np.diff(np.roll(whole, 1, axis=1), axis=1) <= 0)
    ask(groups, share, np.arange(1.0, 20.0))


def test_a_clear_feature_is_found_and_never_for_certain():
    density = bump(4, 0.8, 0.15)
    for seed in range(3):
        groups, rest = groups_of(density, seed, count=40_000)
        known, real = ask(groups), truth(GRID, groups.sum(axis=0) + rest.sum(axis=0))
        assert abs(known.tau.tau - real.tau) < 0.061
        assert known.tau.kind == real.kind
        assert known.low <= known.tau.tau <= known.high
        assert 0.95 <= known.confidence < 1
    assert ask(groups, confidence=0.99).confidence >= 0.99  # more sets are drawn to say so


def test_a_feature_that_only_all_the_data_show_is_no_reason_to_be_sure_of_none():
    """The flat peak of a mixture drowns in the noise of a sample."""

    def flat(a):
        return np.exp(-a / 0.4) + np.sqrt(2 / np.pi) * np.exp(-((a / 0.4) ** 2) / 2)

    taus = np.arange(1, 61) * 0.02
    features = 0
    for seed in range(8):
        groups, rest = groups_of(flat, seed, taus=taus, count=1000)
        features += truth(taus, groups.sum(axis=0) + rest.sum(axis=0)) is not None
        known = ask(groups, taus=taus, tolerance=1)
        assert known.tau is not None or known.confidence < 0.9
    assert features >= 6


def test_what_the_sample_leaves_open_is_not_claimed():
    """F climbs back from a dip by nearly as much as counts: a valley or none?"""
    claims = [ask(groups_of(bump(1.6, 0.8, 0.15), seed)[0]).confidence for seed in range(10)]
    assert np.mean(np.array(claims) >= 0.95) <= 0.2


def test_confidence_is_the_share_of_samples_that_are_right():
    claims, right, inside = [], [], []
    for density, count in [
        (decaying, 6000), (bump(0.1, 0.6, 0.2), 6000), (bump(-0.15, 0.1, 0.1), 6000),
        (bump(2.4, 0.8, 0.15), 3000), (bump(4, 0.8, 0.2), 6000),
    ]:  # fmt: skip
        for seed in range(5):
            groups, rest = groups_of(density, seed, count=count)
            known = ask(groups, seed=(seed, 1))
            real = truth(GRID, groups.sum(axis=0) + rest.sum(axis=0))
            claims.append(known.confidence)
            agree = (known.tau is None) == (real is None)
            right.append(agree and (real is None or abs(known.tau.tau - real.tau) < 0.061))
            if known.tau and real:
                inside.append(known.low <= real.tau <= known.high)
    claims, right = np.array(claims), np.array(right)
    assert abs(right.mean() - claims.mean()) < 0.15
    assert right[claims >= 0.9].mean() > right[claims < 0.9].mean()
    assert right[claims >= 0.95].mean() >= 0.85
    assert np.mean(inside) >= 0.85


def test_a_wider_tolerance_is_met_with_more_confidence():
    groups, _ = groups_of(bump(4, 0.8, 0.3), 0)
    claims = [ask(groups, tolerance=tolerance).confidence for tolerance in (0, 2, 10, 100)]
    assert claims == sorted(claims)
    assert claims[0] < claims[-1]


def test_no_feature_is_not_a_feature_at_the_first_point():
    groups, rest = groups_of(decaying, 0)
    assert truth(GRID, groups.sum(axis=0) + rest.sum(axis=0)) is None
    known = ask(groups, tolerance=200)
    assert known.tau is None
    assert np.isnan([known.low, known.high]).all()
    assert known.confidence >= 0.5


def test_none_and_some_are_two_answers_whatever_the_tolerance():
    groups, _ = groups_of(bump(1.4, 0.8, 0.15), 0)  # some of the whole sets drawn have a feature
    assert ask(groups, tolerance=200).confidence < 0.9


def test_too_little_says_nothing():
    groups, _ = groups_of(bump(4, 0.8, 0.15), 0, count=40_000)
    assert ask(groups[:7]).confidence == 0
    assert ask(groups[:8]).confidence > 0
    assert ask(np.zeros_like(groups)).confidence == 0
    assert ask(np.zeros_like(groups)).tau is None


def test_everything_says_everything():
    groups, _ = groups_of(bump(4, 0.8, 0.15), 0)
    known = ask(groups[:2], 1.0)
    assert known.tau == truth(GRID, groups[:2].sum(axis=0))
    assert known.confidence == 1
    assert known.low == known.tau.tau == known.high
    assert np.all(standard_error(GRID, groups, 1.0)[:60] == 0)
