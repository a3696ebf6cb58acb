"""What full and renormalized curves keep beside the totals: examples lost, and blocks of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from thermo_utils import ActivationPruner, ThermoError, full_evaluation, renormalized
from thermo_utils.evaluation import BLOCKS

TAUS = [0.1, 0.3, 0.6, 1.0]


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 3)
    )


def examples(n):
    generator = torch.Generator().manual_seed(n)
    x = torch.randn(n, 6, generator=generator)
    return x, (x @ torch.randn(6, 3, generator=generator)).argmax(1)


def in_batches(n, size):
    x, y = examples(n)
    return list(zip(x.split(size), y.split(size), strict=True))


def fe(model, data, **options):
    return full_evaluation(model, data, nn.ReLU, TAUS, progress=False, **options)


def rfe(model, data, **options):
    return renormalized(model, data, nn.ReLU, TAUS, progress=False, **options)


# -- lost and gained -----------------------------------------------------------------------------


def test_lost_and_gained_are_counted_example_by_example():
    model, (x, y) = network().eval(), examples(200)
    curve = fe(model, in_batches(200, 32))
    with torch.no_grad():
        before = model(x).argmax(1) == y
        for row in curve.itertuples():
            with ActivationPruner(model, nn.ReLU, row.tau):
                after = model(x).argmax(1) == y
            assert row.lost == int((before & ~after).sum())
            assert row.gained == int((after & ~before).sum())
    assert (curve["lost"] > 0).any()
    assert (curve["gained"] > 0).any()  # or the test could not tell the two apart
    samples, baseline = curve.attrs["samples"], curve.attrs["baseline_accuracy"]
    np.testing.assert_allclose(
        curve["accuracy"], baseline + (curve["gained"] - curve["lost"]) / samples, rtol=1e-12
    )


def test_targets_that_do_not_count_are_neither_lost_nor_gained():
    model, (x, y) = network(), examples(60)
    ignored = y.clone()
    ignored[::2] = -100
    all_of_it, rest = fe(model, [(x, ignored)]), fe(model, [(x[1::2], y[1::2])])
    for column in ("accuracy", "lost", "gained"):
        np.testing.assert_array_equal(all_of_it[column], rest[column])


def test_shuffled_data_are_noticed():
    x, y = examples(64)
    loader = DataLoader(TensorDataset(x, y), batch_size=16, shuffle=True)
    model = network()
    with pytest.warns(UserWarning, match="shuffle"):
        curve = fe(model, loader)
    assert curve[["lost", "gained"]].isna().all(axis=None)
    np.testing.assert_array_equal(curve["accuracy"], fe(model, [(x, y)])["accuracy"])


def test_they_survive_an_interruption(tmp_path):
    model, data = network(), in_batches(200, 20)
    whole = fe(model, data, blocks=TAUS)
    path = tmp_path / "sweep.jsonl"
    full_evaluation(
        model, data, nn.ReLU, TAUS[:2], blocks=TAUS[:1], checkpoint=path, progress=False
    )
    again = fe(model, data, blocks=TAUS, checkpoint=path)
    for column in ("lost", "gained", "active"):
        np.testing.assert_array_equal(again[column], whole[column])
    assert again.attrs["blocks"] == whole.attrs["blocks"]


# -- blocks --------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [fe, rfe])
@settings(max_examples=15)
@given(st.integers(1, 120), st.integers(1, 40))
def test_blocks_add_up_to_the_whole(method, n, size):
    model, data = network(), in_batches(n, size)
    curve = method(model, data, blocks=TAUS[1:])
    blocks = curve.attrs["blocks"]
    assert blocks["tau"] == [0.0, *TAUS[1:]]
    active, sums = np.array(blocks["active"]), np.array(blocks["abs_sum"])
    assert active.shape == sums.shape == (len(TAUS), min(BLOCKS, len(data)))
    expected = [curve.attrs["total"], *curve["active"][1:]]
    np.testing.assert_array_equal(active.sum(axis=1), expected)
    expected = [curve.attrs["total_abs_sum"], *curve["abs_sum"][1:]]
    np.testing.assert_allclose(sums.sum(axis=1), expected, rtol=1e-12)
    plain = method(model, data)
    np.testing.assert_array_equal(curve["active"], plain["active"])
    np.testing.assert_array_equal(curve["abs_sum"], plain["abs_sum"])


@pytest.mark.parametrize("method", [fe, rfe])
def test_a_block_is_every_sixteenth_batch(method):
    model, data = network(), in_batches(20 * 5, 5)
    blocks = method(model, data, blocks=TAUS).attrs["blocks"]
    for block in (0, 3, 15):
        alone = method(model, data[block::BLOCKS])
        active = [row[block] for row in blocks["active"]]
        sums = [row[block] for row in blocks["abs_sum"]]
        assert active == [alone.attrs["total"], *alone["active"]]
        assert sums == [alone.attrs["total_abs_sum"], *alone["abs_sum"]]


def test_blocks_of_both_methods_agree_on_a_single_layer():
    model, data = network(), in_batches(90, 4)
    one, other = (
        method(model, data, "1", TAUS, blocks=TAUS, progress=False).attrs["blocks"]
        for method in (full_evaluation, renormalized)
    )
    assert one == other


@pytest.mark.parametrize("method", [fe, rfe])
def test_blocks_elsewhere_than_on_the_grid(method):
    with pytest.raises(ThermoError, match=r"0\.2 is not among"):
        method(network(), in_batches(8, 4), blocks=[0.1, 0.2])


def test_a_pruner_counts_apart():
    model, (x, _) = network(), examples(30)
    with ActivationPruner(model, nn.ReLU, 0.3) as pruner:
        for block in (0, 1, 0):
            pruner.count_apart(block)
            model(x[10 * block : 10 * block + 10])
    parts = pruner.per_block()
    assert sorted(parts) == [0, 1]
    for name in ("active", "total"):
        assert sum(getattr(p, name) for p in parts.values()) == getattr(pruner, name)
        assert pruner.per_layer()[name].sum() == getattr(pruner, name)
    with ActivationPruner(model, nn.ReLU, 0.3) as once:
        model(x[:10])
    assert parts[0].active == 2 * once.active
    with pruner:  # entered again: nothing left of before
        model(x[:10])
    assert pruner.active == once.active
    assert list(pruner.per_block()) == [0]
