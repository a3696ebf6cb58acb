"""The CUDA kernel: run on the CPU, in as many threads as a block has, and compiled for GPUs.

What cannot be seen here, that a GPU gives the same integers, is part of ``benchmarks.gpu``.
"""

from __future__ import annotations

import ctypes
import functools
import math
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.thermo_utils.counting.test_spectrum import GRIDS, sample
from thermo_utils.counting import shared
from thermo_utils.counting.bins import TorchBins
from thermo_utils.counting.layouts import FORMATS, layout
from thermo_utils.counting.nvidia import Limits, compiled
from thermo_utils.errors import ThermoError

TYPES = list(shared.WORDS)
CPU = torch.device("cpu")
#: Of an H100, and of a T4.
H100 = Limits(multiprocessors=132, threads=2048, shared=233472, block=232448)
T4 = Limits(multiprocessors=40, threads=1024, shared=65536, block=65536)

emulated = pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")


class Emulator:
    """A GPU whose blocks run one after the other, their threads on the CPU."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        self.folder, self.limits = folder, limits
        self.launched: list[int] = []
        self.kernel = functools.cache(self._built)

    def _built(self, source, name, macros):
        library = self.folder / f"{abs(hash(macros))}.so"
        where = Path(shared.__file__).with_name(source)
        names = [f"-D{name}={value}" for name, value in macros]
        names.append(f'-DSOURCE="{where}"')
        here = Path(__file__).with_name("cuda_on_cpu.h")
        command = ["g++", "-O1", "-pthread", "-shared", "-fPIC", "-x", "c++", *names]
        subprocess.run([*command, str(here), "-o", str(library)], check=True)
        return ctypes.CDLL(str(library))

    def launch(self, kernel, blocks, threads, nbytes, argument):
        assert nbytes <= self.limits.block
        self.launched.append(blocks)
        kernel.launch(blocks, ctypes.byref(argument))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("emulated")


@pytest.fixture(autouse=True)
def few_threads(monkeypatch):
    """Threads of the system are dear."""
    monkeypatch.setattr(shared, "THREADS", 64)
    shared._arranged.cache_clear()
    yield
    shared._arranged.cache_clear()


@pytest.fixture(scope="module")
def machine(folder):
    return Emulator(folder, Limits(multiprocessors=2, threads=128, shared=233472, block=232448))


def lay_of(grid, dtype, inclusive=True):
    return layout(dtype, np.asarray(grid, float).tobytes(), inclusive)


def integers(bins):
    return [part.tolist() for part in bins.on_host()]


def both(lay, tensors, machine, prune=False):
    """Bins by our kernel and by torch's operations, and what both pruned."""
    found = shared.SharedBins(lay, CPU, gpu=machine), TorchBins(lay, CPU)
    outs = []
    for bins in found:
        outs.append([torch.empty_like(x) if prune else None for x in tensors])
        for x, out in zip(tensors, outs[-1], strict=True):
            assert bins.add(x, out)
    return found, outs


@emulated
@pytest.mark.parametrize("inclusive", [True, False])
@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("grid", GRIDS)
def test_same_integers_as_torch(grid, dtype, inclusive, machine):
    tensors = [sample(5000, dtype), sample(9, dtype, 1), sample(64 * 4 * 3, dtype, 2)]
    lay = lay_of(GRIDS[grid], dtype, inclusive)
    if shared.window(lay) is None:
        assert (grid, dtype) == ("clustered", torch.float32)
        pytest.skip("too close to each other for this kernel")
    (ours, plain), _ = both(lay, tensors, machine)
    assert integers(ours) == integers(plain)


@emulated
@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(TYPES),
    st.lists(st.integers(1, 3000), min_size=1, max_size=3),
    st.sampled_from([1e-12, 0.04, 0.5, 2.0, 1e5]),
    st.integers(0, 3),
)
def test_pruning_of_any_length_and_from_any_address(machine, dtype, sizes, tau, offset):
    lay = lay_of([tau], dtype)
    tensors = [sample(n + 20, dtype, n)[offset : offset + n] for n in sizes]
    (ours, plain), (pruned, expected) = both(lay, tensors, machine, prune=True)
    signed = FORMATS[dtype].signed
    for a, b in zip(pruned, expected, strict=True):
        assert torch.equal(a.view(signed), b.view(signed))
    assert integers(ours) == integers(plain)


@emulated
@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("zeros", [False, True])
def test_words_are_emptied_before_they_overflow(dtype, zeros, machine):
    # All in one bin, with every bit of their fraction set, more than a block may keep to itself.
    lay = lay_of([0.02, 3.5], dtype)
    value = torch.nextafter(torch.tensor(2, dtype=dtype), torch.tensor(0, dtype=dtype))
    found = shared.SharedBins(lay, CPU, gpu=machine)
    plan = found._plan
    round_ = shared.THREADS * shared.VECTORS * shared.VECTOR // value.element_size()
    x = (value * (not zeros)).expand(4 * round_ * (2 * plan.rounds + 1) + 7).contiguous()
    (ours, plain), _ = both(lay, [x], machine)
    assert integers(ours) == integers(plain)


@emulated
@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_all_patterns_near_the_edges(dtype, machine):
    form = FORMATS[dtype]
    lay = lay_of(np.geomspace(1e-6, 10, 60), dtype)
    near = (lay.edges[:, None] + np.arange(-2, 3)).ravel().clip(0, (1 << (form.bits - 1)) - 1)
    patterns = torch.from_numpy(np.concatenate([near, near - (1 << (form.bits - 1))]))
    x = patterns.to(form.signed).view(dtype)
    ours = shared.SharedBins(lay, CPU, gpu=machine)
    ours.add(x, None)
    counts, sums = ours.on_host()
    bins = np.searchsorted(lay.edges, near, "right") - 1
    assert counts.tolist() == (2 * np.bincount(bins, minlength=lay.size)).tolist()
    fraction = near & ((1 << form.fraction) - 1)
    assert sums[0].tolist() == (2 * np.bincount(bins, fraction, lay.size)).astype(int).tolist()


@emulated
def test_no_more_blocks_than_there_are_at_a_time_or_than_have_work(machine):
    machine.launched.clear()
    both(lay_of([0.5], torch.float32), [torch.rand(n) for n in (1, 256, 260, 100_000)], machine)
    assert machine.launched == [1, 1, 2, 4]


@emulated
def test_a_launch_too_large_is_several(machine, monkeypatch):
    monkeypatch.setattr(shared, "LAUNCH", 1024)
    machine.launched.clear()
    (ours, plain), _ = both(lay_of([0.5], torch.float32), [torch.rand(2500)], machine)
    assert len(machine.launched) == 3
    assert integers(ours) == integers(plain)


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("limits", [H100, T4], ids=["H100", "T4"])
@settings(max_examples=50, deadline=None)
@given(taus=st.lists(st.floats(1e-30, 1e30), min_size=1, max_size=60, unique=True))
def test_the_window_finds_every_bin(dtype, limits, taus):
    lay = lay_of(sorted(taus), dtype)
    found = shared.window(lay)
    if found is None:
        p = lay.format.fraction
        own = lay.edges[(lay.edges & ((1 << p) - 1) != 0) & (lay.edges > 1)]
        assert np.diff(own).min() * (1 << 15) < own[-1] - own[0] + (3 << p)
        return
    rng = np.random.default_rng(0)
    near = (lay.edges[:, None] + np.arange(-1, 2)).ravel()
    b = np.concatenate([near, rng.integers(0, lay.infinity, 1000)]).clip(0, 2 * lay.infinity)
    b = b[b < 1 << (lay.format.bits - 1)]
    cell = np.clip((b >> found.shift) - found.base, 0, len(found.carry) - 1)
    passed = ((b & ((1 << found.shift) - 1)) + found.carry[cell].astype(np.int64)) >> found.shift
    k = np.where(b == 0, 0, (b >> lay.format.fraction) + 1 + (b > lay.infinity) + passed)
    assert np.array_equal(k, np.searchsorted(lay.edges, b, "right") - 1)


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("limits", [H100, T4], ids=["H100", "T4"])
@pytest.mark.parametrize("k", [1, 50, 500])
def test_a_plan_fits(dtype, limits, k, monkeypatch):
    monkeypatch.setattr(shared, "THREADS", 1024)
    lay = lay_of(np.linspace(0.01, 2, k), dtype)
    found = shared.window(lay)
    plan = shared.plan(lay, len(found.carry), limits)
    assert plan.nbytes <= limits.block
    assert plan.blocks * (plan.nbytes + shared.RESERVED) <= limits.shared + shared.RESERVED
    assert plan.blocks * 1024 <= limits.threads


def test_what_it_leaves_to_others_is_said(machine):
    with pytest.raises(ThermoError, match=r"'cuda' cannot count .* not count torch\.float64"):
        shared.SharedBins(lay_of([0.5], torch.float64), CPU, gpu=machine)
    close = lay_of([0.1, np.nextafter(np.float32(0.1), 1), 1e9], torch.float32)
    with pytest.raises(ThermoError, match="too many, or too close"):
        shared.SharedBins(close, CPU, gpu=machine)
    assert "not on 'cpu'" in shared.obstacle(lay_of([0.5], torch.float32), CPU)


@emulated
def test_not_finite_is_counted_apart(machine):
    lay = lay_of([0.5], torch.float32)
    x = torch.tensor([math.nan, 1.0, math.inf, -math.nan, -math.inf, 0.0, -0.0])
    ours = shared.SharedBins(lay, CPU, gpu=machine)
    ours.add(x, None)
    counts, _ = ours.on_host()
    assert counts[-2:].tolist() == [2, 2]
    assert counts[0] == 2


@pytest.mark.parametrize("capability", ["75", "80", "89", "90"])
@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_compiles_without_a_gpu(dtype, capability, monkeypatch):
    monkeypatch.setattr(shared, "THREADS", 1024)
    lay = lay_of(np.linspace(0.02, 1, 50), dtype)
    limits = T4 if capability == "75" else H100
    plan = shared.plan(lay, len(shared.window(lay).carry), limits)
    for prune in (False, True):
        code = compiled("shared.cu", shared.macros(lay, plan, prune), capability)
        assert code.startswith(b"\x7fELF")


def test_what_the_compiler_says_is_passed_on():
    with pytest.raises(ThermoError, match=r"shared.cu does not compile for sm_90: .*THREADS"):
        compiled("shared.cu", (("BITS", 32),), "90")
