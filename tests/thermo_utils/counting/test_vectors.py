"""Zeros left out in vector registers: the same integers as looking each of them up."""

from __future__ import annotations

import functools

import llvmlite.binding
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core import config

from thermo_utils.counting import cpu, vectors
from thermo_utils.counting.cpu import BLOCK, WAYS, histogram_kernel
from thermo_utils.counting.layouts import CHUNK, layout

LAYOUT = layout(torch.float32, np.linspace(0.02, 1.0, 50).tobytes(), True)
NAN, INF = 0x7FC00000, 0x7F800000


@functools.cache
def kernels(prune):
    """With and without, bound to the layout; the same where the processor cannot."""
    arguments = cpu.histogram(LAYOUT, prune).args
    makers = []
    for able in (True, False):
        histogram_kernel.cache_clear()
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(vectors, "can_squeeze", lambda able=able: able)
            makers.append(cpu._compile(histogram_kernel(1, 32, prune)))
    histogram_kernel.cache_clear()
    return [functools.partial(made, *arguments) for made in makers]


def counted(kernel, bits):
    words = np.zeros((1, WAYS, LAYOUT.size), np.uint64)
    counts, sums = np.zeros(LAYOUT.size, np.int64), np.zeros((1, LAYOUT.size), np.int64)
    out = np.full_like(bits, 7)
    bad = kernel(bits, out, words, counts, sums)
    assert not words.any()
    return int(bad), counts.tolist(), sums.tolist(), out.tolist()


def patterns(size, zeros, seed=0):
    chance = np.random.default_rng(seed)
    values = chance.normal(size=size).astype(np.float32)
    values[chance.random(size) < zeros] = chance.choice([0.0, -0.0])
    return values.view(np.uint32)


@pytest.mark.parametrize("prune", [False, True])
@pytest.mark.parametrize("zeros", [0.0, 0.5, 0.97, 1.0])
@pytest.mark.parametrize(
    "size", [0, 1, 7, 8, 15, 16, 17, 40, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 23]
)
def test_the_same_integers(size, zeros, prune):
    squeezed, plain = kernels(prune)
    bits = patterns(size, zeros)
    assert counted(squeezed, bits) == counted(plain, bits)


def test_as_many_as_fit_the_packed_words():
    squeezed, plain = kernels(False)
    bits = np.full(CHUNK, LAYOUT.infinity - 1, np.uint32)  # all in one bin, each the largest there
    found = counted(squeezed, bits)
    assert found == counted(plain, bits)
    assert sum(found[1]) == CHUNK


@given(st.lists(st.sampled_from([0, 1 << 31, 1, NAN, INF, 0x3F800000, 0xBF000000]), max_size=60))
@settings(max_examples=60)
def test_what_is_not_finite_leaves_no_trace(values):
    squeezed, plain = kernels(False)
    bits = np.array(values, np.uint32)
    found = counted(squeezed, bits)
    assert found == counted(plain, bits)
    assert found[0] == sum(value in (NAN, INF) for value in values)
    assert sum(found[1]) == (0 if found[0] else len(values))


class TestWhoCan:
    """Only the processor that numba compiles for by itself is asked."""

    @pytest.fixture(autouse=True)
    def anew(self):
        vectors.can_squeeze.cache_clear()
        yield
        vectors.can_squeeze.cache_clear()

    @pytest.mark.parametrize(("features", "can"), [({"avx512f": True}, True), ({}, False)])
    def test_by_its_features(self, monkeypatch, features, can):
        monkeypatch.setattr(llvmlite.binding, "get_host_cpu_features", lambda: features)
        monkeypatch.setattr(config, "CPU_NAME", None)
        monkeypatch.setattr(config, "CPU_FEATURES", None)
        assert vectors.can_squeeze() is can

    def test_not_if_another_is_asked_for(self, monkeypatch):
        monkeypatch.setattr(llvmlite.binding, "get_host_cpu_features", lambda: {"avx512f": True})
        monkeypatch.setattr(config, "CPU_NAME", "generic")
        assert not vectors.can_squeeze()

    def test_not_if_nobody_knows(self, monkeypatch):
        def unknown():
            raise RuntimeError("no features")

        monkeypatch.setattr(llvmlite.binding, "get_host_cpu_features", unknown)
        monkeypatch.setattr(config, "CPU_NAME", None)
        monkeypatch.setattr(config, "CPU_FEATURES", None)
        assert not vectors.can_squeeze()
