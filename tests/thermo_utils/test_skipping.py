"""A layer that skips zeros computes what the dense one does; its times are told apart by sparsity.

No test says how fast anything is.
"""

from __future__ import annotations

import builtins
import math
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from thermo_utils import ThermoError
from thermo_utils import skipping as module
from thermo_utils.kept import prune
from thermo_utils.skipping import SkippingLinear, break_even, skipping_speed


@settings(deadline=None, max_examples=80)
@given(st.integers(0, 40), st.integers(0, 40), st.floats(0, 1), st.booleans(), st.integers(0, 99))
def test_it_computes_what_the_dense_layer_does(size, outputs, share, bias, seed):
    torch.manual_seed(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's, of layers without weights
        linear = nn.Linear(size, outputs, bias=bias)
    x = torch.randn(size) * (torch.rand(size) >= share)
    with torch.no_grad():
        found = SkippingLinear(linear)(x)
        exact = linear.double()(x.double())
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("nonzero", range(9))
def test_any_number_of_inputs_may_be_left(nonzero):
    linear = nn.Linear(9, 5)
    x = torch.zeros(9)
    x[torch.randperm(9)[:nonzero]] = torch.arange(1.0, nonzero + 1)
    with torch.no_grad():
        torch.testing.assert_close(SkippingLinear(linear)(x), linear(x))


def test_weights_of_zeros_are_not_read():
    linear = nn.Linear(4, 2)
    with torch.no_grad():
        linear.weight[:, 1] = math.inf
        skipping = SkippingLinear(linear)
        assert skipping(torch.tensor([1.0, 0.0, -0.0, 1.0])).isfinite().all()
        assert skipping(torch.tensor([1.0, 1.0, 0.0, 1.0])).isinf().all()
        assert skipping(torch.tensor([1.0, 0.0, math.nan, 1.0])).isnan().all()


def test_leading_dimensions_of_one_and_views_are_taken():
    linear = nn.Linear(4, 3)
    skipping = SkippingLinear(linear)
    x = torch.randn(4, 2)[:, 1]  # not contiguous
    with torch.no_grad():
        for view in (x, x[None], x[None, None]):
            torch.testing.assert_close(skipping(view), linear(view))


def test_it_holds_a_copy_and_no_parameters():
    linear = nn.Linear(4, 3)
    skipping = SkippingLinear(linear)
    x = torch.randn(4)
    with torch.no_grad():
        before = skipping(x)
        linear.weight.zero_()
        linear.bias.zero_()
        assert torch.equal(skipping(x), before)
    assert not list(skipping.parameters())
    assert "in_features=4, out_features=3" in repr(skipping)
    again = SkippingLinear(nn.Linear(4, 3))
    again.load_state_dict(skipping.state_dict())
    assert torch.equal(again(x), before)


def test_pruned_inputs_are_skipped():
    linear = nn.Linear(16, 3)
    x = torch.randn(1, 16)
    with torch.no_grad():
        expected = linear(torch.where(x.abs() >= 0.5, x, 0.0))
        model = prune(nn.Sequential(SkippingLinear(linear)), "0:input", 0.5)
        torch.testing.assert_close(model(x), expected)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: SkippingLinear(nn.ReLU()), "ReLU"),  # type: ignore[arg-type]
        (lambda: SkippingLinear(nn.Linear(3, 2).double()), "float64"),
        (lambda: SkippingLinear(nn.Linear(3, 2, device="meta")), "meta"),
        (lambda: SkippingLinear(nn.Linear(3, 2))(torch.ones(2, 3)), r"\(2, 3\)"),
        (lambda: SkippingLinear(nn.Linear(3, 2))(torch.ones(3, 1)), r"\(3, 1\)"),
        (lambda: SkippingLinear(nn.Linear(3, 2))(torch.ones(2)), r"\(2,\)"),
        (lambda: SkippingLinear(nn.Linear(3, 2))(torch.tensor(1.0)), r"\(\)"),
        (lambda: SkippingLinear(nn.Linear(1, 2))(torch.tensor(1.0)), r"\(\)"),
        (lambda: SkippingLinear(nn.Linear(3, 2))(torch.ones(3).half()), "float16"),
        (lambda: SkippingLinear(nn.Linear(3, 2))(torch.ones(3, requires_grad=True)), "no_grad"),
        (lambda: skipping_speed(4, 4, [0.5, 0.1]), "increase"),
        (lambda: skipping_speed(4, 4, [0.5, 1.1]), r"1\.1"),
        (lambda: skipping_speed(4, 4, [math.nan]), "nan"),
        (lambda: skipping_speed(4, 4, []), "sparsities"),
        (lambda: skipping_speed(0, 4), "in_features"),
        (lambda: skipping_speed(4, 4, repetitions=0), "repetitions"),
    ],
)
def test_what_it_is_not_for_is_refused(call, words):
    with pytest.raises(ThermoError, match=words):
        call()


def test_without_numba_it_says_so(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "numba":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    module._kernel.cache_clear()
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ThermoError, match="pip install numba"):
        SkippingLinear(nn.Linear(3, 2))


def test_the_table_of_speeds(monkeypatch):
    threads = []
    forward = SkippingLinear.forward

    def watched(self, x):
        threads.append(torch.get_num_threads())
        seen.setdefault(float((x == 0).double().mean()), set()).add(x.data_ptr())
        return forward(self, x)

    seen: dict[float, set[int]] = {}
    monkeypatch.setattr(SkippingLinear, "forward", watched)
    before = torch.get_num_threads()
    found = skipping_speed(20, 8, [0.0, 0.5, 0.9], repetitions=3, inputs=4, progress=False)
    assert list(found["sparsity"]) == [0.0, 0.5, 0.9]
    assert set(seen) == {0.0, 0.5, 0.9}  # the inputs have the zeros that the table says
    assert len(seen[0.5]) == 4
    assert set(threads) == {1} == set(found["threads"])
    assert torch.get_num_threads() == before
    assert (found[["dense", "skipping", "speedup", "low", "high", "gain"]] > 0).all(axis=None)
    assert (found["low"] <= found["speedup"]).all()
    assert (found["speedup"] <= found["high"]).all()
    assert found.attrs == {"in_features": 20, "out_features": 8, "repetitions": 3, "inputs": 4}


def test_speeds_are_ratios_of_the_times(monkeypatch):
    def times(tasks, repetitions, progress):
        assert list(tasks) == ["full", "dense 0", "skipping 0", "dense 1", "skipping 1"]
        return {
            "full": [4.0, 8.0, 4.0], "dense 0": [4.0, 6.0, 2.0], "skipping 0": [2.0, 2.0, 2.0],
            "dense 1": [4.0, 6.0, 2.0], "skipping 1": [1.0, 1.0, 1.0],
        }  # fmt: skip

    monkeypatch.setattr(module, "interleaved", times)
    found = skipping_speed(4, 4, [0.0, 0.5], repetitions=3, inputs=2)
    assert list(found["dense"]) == [2.0, 2.0]  # seconds per input
    assert list(found["skipping"]) == [1.0, 0.5]
    assert list(found["speedup"]) == [2.0, 4.0]
    assert list(found["low"]) == [1.5, 3.0]
    assert list(found["high"]) == [2.5, 5.0]
    assert list(found["gain"]) == [2.0, 4.0]


def table(*shares):
    at = np.linspace(0, 1, len(shares))
    return pd.DataFrame({"sparsity": at, "speedup": 1 / np.array(shares)})


@settings(deadline=None)
@given(st.floats(1.01, 50), st.floats(0, 0.99), st.integers(2, 30))
def test_break_even_of_a_straight_line_is_where_it_crosses_one(start, end, rows):
    at = np.linspace(0, 1, rows)
    share = start + (end - start) * at
    found = break_even(pd.DataFrame({"sparsity": at, "speedup": 1 / np.maximum(share, 1e-9)}))
    assert found == pytest.approx((start - 1) / (start - end), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ([0.9, 0.5, 0.1], 0.0),
        ([1.0, 0.5, 0.1], 0.0),
        ([2.0, 1.5, 1.1], None),
        ([0.5, 0.9, 1.1], None),
        ([2.0, 1.0, 0.5], 0.5),
        ([2.0, 0.5, 1.5, 0.5, 0.2], 0.625),  # for good, not for the first time
    ],
)
def test_break_even(shares, expected):
    assert break_even(table(*shares)) == expected
