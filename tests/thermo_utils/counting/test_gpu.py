"""The GPU's kernels: run in Triton's interpreter on CPU tensors, and compiled without being run.

The interpreter must be chosen before Triton is imported. So the tests marked `interpreted` run in
a process of their own, which `test_in_the_interpreter` starts.
"""

from __future__ import annotations

import math
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.thermo_utils.counting.test_spectrum import DTYPES, GRIDS, sample, spectrum_of, state
from thermo_utils.counting import ActivationSpectrum, PruneCounts
from thermo_utils.counting.layouts import FORMATS, layout
from thermo_utils.counting.settings import triton_obstacle
from thermo_utils.errors import ThermoError

triton = pytest.importorskip("triton")
kernels = pytest.importorskip("thermo_utils.counting.gpu")

interpreted = pytest.mark.skipif(not kernels.INTERPRETED, reason="needs TRITON_INTERPRET=1")
compiled = pytest.mark.skipif(kernels.INTERPRETED, reason="the interpreter does not compile")


@pytest.fixture(autouse=True)
def few_sets(monkeypatch):
    """The interpreter empties one set of words after the other, which takes its time."""
    monkeypatch.setattr(kernels, "SETS", 3)


@compiled
def test_in_the_interpreter():
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", __file__]
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


def integers(spectrum):
    (bins,) = spectrum._bins.values()
    return [part.tolist() for part in bins.on_host()]


@interpreted
@pytest.mark.parametrize("inclusive", [True, False])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("grid", GRIDS)
def test_same_integers_as_the_other_kernels(grid, dtype, inclusive):
    tensors = [sample(kernels.BLOCK + 77, dtype), sample(9, dtype, 1), sample(9, dtype)[:0]]
    ours, numba, plain = (
        spectrum_of(tensors, GRIDS[grid], inclusive=inclusive, kernel=kernel)
        for kernel in ("triton", "numba", "torch")
    )
    assert integers(ours) == integers(numba) == integers(plain)
    assert state(ours) == state(numba)


@interpreted
@pytest.mark.parametrize("k", [1, 2, 3, 10, 333, 1000])
def test_grid_sizes(k):
    taus = np.sort(np.random.default_rng(k).exponential(size=k))
    x = [sample(3000, dtype) for dtype in DTYPES]
    assert state(spectrum_of(x, taus, kernel="triton")) == state(spectrum_of(x, taus))


@interpreted
@settings(max_examples=20)
@given(
    st.sampled_from(DTYPES),
    st.lists(st.integers(0, 2 * 1024 + 1), min_size=1, max_size=4),
    st.sampled_from([0.0, 1e-12, 0.04, 0.5, 2.0, 1e5]),
    st.booleans(),
    st.integers(0, 3),
)
def test_pruning_of_any_length(dtype, sizes, tau, inclusive, offset):
    ours, numba = (
        PruneCounts(tau, inclusive=inclusive, kernel=kernel) for kernel in ("triton", "numba")
    )
    for seed, n in enumerate(sizes):
        x = sample(n + 20, dtype, seed)[offset : offset + n]
        pruned, expected = ours.prune(x), numba.prune(x)
        signed = FORMATS[dtype].signed
        assert torch.equal(pruned.view(signed), expected.view(signed))
    assert state(ours) == state(numba)


@interpreted
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_words_are_emptied_before_they_overflow(dtype, monkeypatch):
    # Two sets, so that one call is several launches; room for one block in each.
    monkeypatch.setattr(kernels, "SETS", 2)
    monkeypatch.setattr(kernels, "CHUNK", kernels.BLOCK)
    x = sample(5 * kernels.BLOCK + 1, dtype)
    spectrum = spectrum_of([x, x[:5], x], GRIDS["uniform"], kernel="triton")
    (bins,) = spectrum._bins.values()
    assert bins._pending <= kernels.BLOCK
    assert state(spectrum) == state(spectrum_of([x, x[:5], x], GRIDS["uniform"]))


@interpreted
def test_a_word_has_room_for_as_many_equal_values_as_the_host_allows():
    lay = layout(torch.float64, np.array([1.0]).tobytes(), True)
    bins = kernels.TritonBins(lay, torch.device("cpu"))
    x = torch.full((kernels.CHUNK,), float(np.nextafter(2.0, 0)), dtype=torch.float64)
    bins._sets = 1
    bins.add(x, None)
    assert bins._pending == kernels.CHUNK
    counts, sums = bins.on_host()
    assert counts.sum() == kernels.CHUNK
    assert lay.exact(counts, sums)[1][0] == kernels.CHUNK * ((2 * 2**52 - 1) << (1074 - 52))


@interpreted
def test_not_finite_is_found_later():
    spectrum = spectrum_of([torch.ones(5)], [0.5], kernel="triton")
    spectrum.update(torch.tensor([math.nan, 1.0, math.inf, -math.nan]))
    with pytest.raises(ThermoError, match="2 NaN and 1 infinite"):
        spectrum.compute()


@interpreted
def test_nothing_grows_and_nothing_moves():
    spectrum = spectrum_of([torch.rand(10)], GRIDS["uniform"], kernel="triton")
    (bins,) = spectrum._bins.values()
    before = spectrum.state_bytes, bins._words.data_ptr(), bins.counts.data_ptr()
    for _ in range(5):
        spectrum.update(torch.rand(4000))
    assert (spectrum.state_bytes, bins._words.data_ptr(), bins.counts.data_ptr()) == before


@interpreted
def test_merge_and_pickle_with_other_kernels():
    x, taus = sample(3000, torch.float32), GRIDS["uniform"]
    expected = state(spectrum_of([x, x], taus))
    for one, other in (("triton", "numba"), ("numba", "triton"), ("triton", "triton")):
        left, right = (spectrum_of([x], taus, kernel=kernel) for kernel in (one, other))
        assert state(left.merge(right)) == expected
        assert state(pickle.loads(pickle.dumps(left))) == expected


@interpreted
def test_survivors_alone():
    x = sample(3000, torch.float32)
    alone, all_of_it = (PruneCounts(0.5, kernel="triton", totals=t) for t in (False, True))
    assert torch.equal(alone.prune(x), all_of_it.prune(x))
    assert (alone.active, alone.abs_sum) == (all_of_it.active, all_of_it.abs_sum)


@interpreted
def test_auto_leaves_cpu_tensors_to_numba():
    assert state(spectrum_of([torch.ones(3)], [0.5], kernel="auto"))[0] == [3]
    assert triton_obstacle("cpu") is None
    spectrum = spectrum_of([torch.ones(3)], [0.5])
    assert type(next(iter(spectrum._bins.values()))).__name__ == "NumbaBins"


@compiled
@pytest.mark.parametrize("architecture", [80, 90])
@pytest.mark.parametrize("prune", [False, True])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_compiles_for_gpus(dtype, prune, architecture, tmp_path, monkeypatch):
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    lay = layout(dtype, GRIDS["fine"].tobytes(), True)
    pattern = f"*i{lay.format.bits}"
    wide = lay.parts == 2
    signature = {
        "bits": pattern, "out": pattern, "words": "*i64", "table": "*i32", "edges": "*i64",
        "n": "i32", "keep": "i64" if wide else "i32", "size": "i32", "sets": "i32",
    }  # fmt: skip
    emptying = {"words": "*i64", "counts": "*i64", "sums": "*i64", "size": "i32", "sets": "i32"}
    constants = kernels.constants_of(lay, prune)
    few = {name: constants[name] for name in ("WIDE", "BLOCK")}
    target = GPUTarget("cuda", architecture, 32)
    for kernel, types, given_values in (
        (kernels._count, signature, constants),
        (kernels._empty, emptying, few),
    ):
        whole = {**types, **dict.fromkeys(given_values, "constexpr")}
        source = ASTSource(kernel, whole, constexprs=given_values)
        made = triton.compile(source, target=target)
        assert made.asm["cubin"]
        # Every addition of the counting kernel is atomic, those of the other are not.
        assert (".add.u64" in made.asm["ptx"]) == (kernel is kernels._count)


@compiled
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_refused_where_it_cannot_run():
    for make, grid in ((ActivationSpectrum, [0.5]), (PruneCounts, 0.5)):
        with pytest.raises(ThermoError, match=r"'triton'.*GPU"):
            make(grid, kernel="triton")


@compiled
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_cpu_tensors_are_refused():
    with pytest.raises(ThermoError, match=r"CUDA.*'cpu'"):
        spectrum_of([torch.ones(3)], [0.5], kernel="triton")
