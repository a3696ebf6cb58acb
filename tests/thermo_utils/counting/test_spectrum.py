"""The spectrum and the pruning counts against stored activations, to the bit."""

from __future__ import annotations

import copy
import functools
import math
import os
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from thermo_utils.counting import ActivationSpectrum, PruneCounts, Summed, check_taus, memory
from thermo_utils.counting import bins as accumulators
from thermo_utils.counting.layouts import CHUNK, FORMATS, layout
from thermo_utils.counting.memory import flatten
from thermo_utils.errors import ThermoError

DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
GRIDS = {
    "one": [0.5],
    "uniform": np.arange(1, 51) / 25,
    "fine": np.arange(1, 1001) / 500,
    "log": np.geomspace(1e-30, 1e5, 60),
    "clustered": np.concatenate([[1e-9], 0.5 + np.arange(300) * 2e-9, [3.0, 2.0**40]]),
    "powers": 2.0 ** np.arange(-20, 5),
    "subnormal": [5e-324, 1e-310, 1e-45, 1e-40, 6e-8, 1e-5, 1e30, 1e300],
}


def reference(tensors, taus, inclusive=True):
    """M, Sigma, N, Sigma_0 from stored activations: torch compares, math.fsum adds."""
    active = np.zeros(len(taus), np.int64)
    kept = [[] for _ in taus]
    everything = []
    for x in tensors:
        x = x.detach().contiguous().view(-1).abs()
        exact = x.double().numpy()
        everything.extend(exact[exact > 0])
        for k, tau in enumerate(taus):
            # float() so that torch sees a Python scalar, which it rounds to the type of x
            reach = ((x >= float(tau)) if inclusive else (x > float(tau))).numpy() & (exact > 0)
            active[k] += reach.sum()
            kept[k].extend(exact[reach])
    sigma = np.array([math.fsum(values) for values in kept])
    return active, sigma, len(everything), math.fsum(everything)


def state(counter):
    return (
        np.asarray(counter.active).tolist(),
        np.asarray(counter.abs_sum).tolist(),
        counter.total,
        counter.total_abs_sum,
        counter.zeros,
    )


def spectrum_of(tensors, taus, **options):
    spectrum = ActivationSpectrum(taus, **options)
    for x in tensors:
        spectrum.update(x)
    return spectrum


def prune_count(x, tau, inclusive=True):
    counts = PruneCounts(tau, inclusive=inclusive)
    return counts.prune(x), counts


def sample(n, dtype, seed=0):
    """ReLU-like activations with ties on the grid, zeros of both signs, and extremes."""
    gen = torch.Generator().manual_seed(seed)
    x = torch.randn(n, generator=gen, dtype=torch.float64)
    x[::3] = x[::3].relu()
    x[1::7] = (x[1::7] * 25).round() / 25
    x[2::11] *= 1e-6
    x = x.to(dtype)
    info = torch.finfo(dtype)
    most = info.max if dtype != torch.float64 else 1e290  # whose sums math.fsum can take
    ends = [0.0, -0.0, most, -info.tiny, info.tiny, -most, info.eps]
    x[: len(ends)] = torch.tensor(ends, dtype=torch.float64).to(dtype)
    x[len(ends)] = info.tiny * info.eps  # the smallest subnormal
    return x


@pytest.mark.parametrize("inclusive", [True, False])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("grid", GRIDS)
def test_equals_stored_activations(grid, dtype, inclusive):
    taus = np.asarray(GRIDS[grid])
    x = sample(700, dtype)
    # half of it close to the thresholds: exactly on them, and one step to either side
    on = torch.from_numpy(taus).to(dtype)
    on = on[on.isfinite()]
    step = torch.tensor(math.inf, dtype=dtype)
    tensors = [x, on, torch.nextafter(on, step), torch.nextafter(on, -step)]
    tensors = [t[t.isfinite()] for t in tensors]
    if len(taus) > 100:  # the reference is slow
        taus = taus[:: len(taus) // 50]
    numba = spectrum_of(tensors, taus, inclusive=inclusive)
    active, sigma, total, sigma_0 = reference(tensors, taus, inclusive)
    np.testing.assert_array_equal(numba.active, active)
    np.testing.assert_array_equal(numba.abs_sum, sigma)
    assert (numba.total, numba.total_abs_sum) == (total, sigma_0)
    assert numba.zeros == sum(t.numel() for t in tensors) - total
    slow = spectrum_of(tensors, taus, inclusive=inclusive, kernel="torch")
    assert state(slow) == state(numba)
    assert np.all(np.diff(numba.active) <= 0)
    assert np.all(np.diff(numba.abs_sum) <= 0)
    assert numba.active.dtype == np.int64
    assert numba.abs_sum.dtype == np.float64


@settings(max_examples=60)
@given(st.data())
def test_any_numbers_any_grid(data):
    width = data.draw(st.sampled_from([16, 32, 64]))
    dtype = {16: torch.float16, 32: torch.float32, 64: torch.float64}[width]
    floats = st.floats(width=width, allow_nan=False, allow_infinity=False).filter(
        lambda value: abs(value) < 1e300
    )
    values = data.draw(hnp.arrays(f"f{width // 8}", st.integers(0, 30), elements=floats))
    grid = st.floats(5e-324, 1e300) | st.sampled_from(np.abs(values[values != 0]).tolist() or [1.0])
    taus = np.unique(data.draw(st.lists(grid, min_size=1, max_size=20)))
    inclusive = data.draw(st.booleans())
    x = torch.from_numpy(values).to(dtype)
    spectrum = spectrum_of([x], taus, inclusive=inclusive)
    expected = reference([x], taus, inclusive)
    assert state(spectrum)[:4] == (expected[0].tolist(), expected[1].tolist(), *expected[2:])
    assert state(spectrum_of([x], taus, inclusive=inclusive, kernel="torch")) == state(spectrum)


@settings(max_examples=25)
@given(st.data())
def test_split_order_and_merge_do_not_matter(data):
    taus = GRIDS["uniform"]
    dtypes = data.draw(st.lists(st.sampled_from(DTYPES), min_size=1, max_size=3))
    tensors = [sample(300, dtype, seed) for seed, dtype in enumerate(dtypes)]
    whole = spectrum_of(tensors, taus)
    cut = data.draw(st.integers(1, 299))
    pieces = data.draw(st.permutations([p for t in tensors for p in t.flip(0).split(cut)]))
    where = data.draw(st.integers(0, len(pieces)))
    left, right = spectrum_of(pieces[:where], taus), spectrum_of(pieces[where:], taus)
    before = state(right)
    assert left.merge(right) is left
    assert state(left) == state(whole)
    assert state(right) == before


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_threads_and_chunks_do_not_matter(dtype):
    # more than one chunk, an odd length, every thread count by its own path
    x = sample(3 * CHUNK + 12345, dtype)
    taus = GRIDS["uniform"]
    one, two, three = (spectrum_of([x, x[:77]], taus, threads=t) for t in (1, 2, 3))
    assert state(one) == state(two) == state(three)
    assert state(one) == state(spectrum_of([x, x[:77]], taus, kernel="torch"))
    exact = x.double().abs().numpy()
    assert one.total_abs_sum == math.fsum([*exact, *exact[:77]])
    assert one.total == np.count_nonzero(exact) + np.count_nonzero(exact[:77])


def test_one_binade_many_equal_values_does_not_overflow():
    x = torch.full((1 << 21,), 1.9999999, dtype=torch.float32)
    spectrum = spectrum_of([x] * 3, [1.0], threads=2)
    assert spectrum.abs_sum[0] == 3 * (1 << 21) * float(x[0])
    y = torch.full((1 << 20,), np.nextafter(2.0, 0), dtype=torch.float64)
    assert spectrum_of([y], [1.0]).abs_sum[0] == (1 << 20) * float(y[0])


def test_sum_is_rounded_once():
    # naive float32 and float64 sums both lose the small term here
    tensors = [torch.tensor(v, dtype=torch.float64) for v in ([2.0**60, 1.0], [2.0**-60] * 3)]
    spectrum = spectrum_of(tensors * 5, [2.0**-70])
    assert spectrum.abs_sum[0] == math.fsum(v for t in tensors * 5 for v in t.tolist())
    most = torch.finfo(torch.float64).max
    huge = spectrum_of([torch.full((3,), most, dtype=torch.float64)], [1.0])
    assert huge.abs_sum[0] == math.inf
    assert huge.active[0] == 3


@pytest.mark.parametrize("k", [1, 2, 3, 10, 333, 1000])
def test_grid_sizes(k):
    taus = np.sort(np.random.default_rng(k).exponential(size=k))
    x = sample(2000, torch.float32)
    spectrum = spectrum_of([x], taus)
    magnitude = x.abs().numpy()
    np.testing.assert_array_equal(
        spectrum.active, [(magnitude >= np.float32(tau)).sum() for tau in taus]
    )
    assert state(spectrum) == state(spectrum_of([x], taus, kernel="torch"))


def test_more_thresholds_than_a_short_table_can_name():
    taus = np.arange(1, 70_001) / 70_000
    spectrum = spectrum_of([torch.rand(500)], taus)
    assert spectrum.active[-1] == 0
    assert layout(torch.float32, taus.tobytes(), True).size > 1 << 16


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_sixteen_bits_exhaustively(dtype):
    every = torch.arange(-(1 << 15), 1 << 15, dtype=torch.int32).to(torch.int16).view(dtype)
    every = every[every.isfinite()]
    taus = np.geomspace(1e-9, 1e6, 40)
    active, sigma, total, sigma_0 = reference([every], taus)
    for kernel in ("numba", "torch"):
        spectrum = spectrum_of([every], taus, kernel=kernel)
        assert state(spectrum) == (active.tolist(), sigma.tolist(), total, sigma_0, 2)


def test_threshold_is_rounded_to_the_type():
    # 0.1 is not a float16; the nearest one lies below it and still reaches the threshold
    x = torch.tensor([0.1], dtype=torch.float16)
    assert float(x) < 0.1
    assert spectrum_of([x], [0.1]).active[0] == 1
    assert spectrum_of([x], [0.1], inclusive=False).active[0] == 0
    assert spectrum_of([x.double()], [0.1]).active[0] == 0
    # a threshold that rounds to zero still counts nonzero activations only
    tiny = torch.tensor([0.0, 6e-8], dtype=torch.float16)
    assert spectrum_of([tiny], [1e-12]).active[0] == 1
    # one beyond the range of the type is reached by none
    assert spectrum_of([torch.tensor([65504.0]).half()], [7e4]).active[0] == 0


def layouts():
    base = sample(2 * 3 * 4 * 5, torch.float32).view(2, 3, 4, 5)
    return {
        "contiguous": base,
        "channels_last": base.to(memory_format=torch.channels_last),
        "transposed": base.permute(3, 1, 0, 2),
        "strided": base[..., ::2],
        "sliced": base[:, 1:],
        "expanded": base[:1].expand(4, 3, 4, 5),
        "flipped": base.flip(1),
        "negated": torch.complex(base, base).conj().imag,
        "scalar": torch.tensor(0.75),
        "empty": torch.zeros(3, 0, 2),
        "single": base[:, :1].transpose(0, 1),
        "parameter": torch.nn.Parameter(base.clone()),
        "graph": torch.nn.Parameter(base.clone()) * 0.5,
    }


@pytest.mark.parametrize("kernel", ["numba", "torch"])
@pytest.mark.parametrize("name", layouts())
def test_shapes_and_strides(name, kernel):
    x = layouts()[name]
    taus = [0.04, 0.5, 0.75]
    copied = x.detach().clone()
    spectrum = spectrum_of([x, torch.ones(3)], taus, kernel=kernel)
    active, sigma, total, sigma_0 = reference([copied, torch.ones(3)], taus)
    assert state(spectrum)[:4] == (active.tolist(), sigma.tolist(), total, sigma_0)
    counts = PruneCounts(0.5, kernel=kernel)
    pruned = counts.prune(x)
    assert torch.equal(pruned, torch.where(copied.abs() >= 0.5, copied, 0))
    assert pruned.shape == x.shape
    assert pruned.dtype == x.dtype
    assert not pruned.requires_grad
    if name in ("contiguous", "channels_last", "transposed"):
        assert pruned.stride() == x.stride()
    assert torch.equal(x.detach(), copied), "the input is left alone"


def test_dense_layouts_are_read_in_place():
    for name in ("contiguous", "channels_last", "transposed"):
        x = layouts()[name]
        assert flatten(x).data_ptr() == x.data_ptr()
    assert flatten(layouts()["strided"]) is None
    assert flatten(layouts()["expanded"]) is None


@pytest.mark.parametrize("kernel", ["numba", "torch"])
@pytest.mark.parametrize("n", [10, 4 * CHUNK])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_not_finite_is_refused_and_leaves_no_trace(dtype, n, kernel):
    good, bad = sample(1000, dtype), torch.ones(n, dtype=dtype)
    bad[3], bad[5], bad[-1] = math.nan, math.inf, -math.inf
    spectrum = spectrum_of([good], [0.5], kernel=kernel, threads=2)
    counts = PruneCounts(0.5, kernel=kernel, threads=2)
    counts.prune(good)
    before = state(spectrum), state(counts)
    for call in (spectrum.update, counts.prune):
        with pytest.raises(ThermoError, match="1 NaN and 2 infinite"):
            call(bad)
    assert (state(spectrum), state(counts)) == before
    spectrum.update(good)
    assert state(spectrum) == state(spectrum_of([good, good], [0.5]))


def test_not_finite_found_later_where_the_device_is_not_waited_for(monkeypatch):
    # The path of a GPU, run on the CPU: several sets of bins, and no look at the data.
    monkeypatch.setattr(
        "thermo_utils.counting.settings.TorchBins",
        functools.partial(accumulators.TorchBins, sets=32),
    )
    taus = GRIDS["uniform"]
    for dtype in DTYPES:
        expected = state(spectrum_of([sample(5000, dtype)], taus))
        spectrum = spectrum_of([sample(5000, dtype)], taus, kernel="torch")
        assert next(iter(spectrum._bins.values())).counts.shape[0] == 32
        assert state(spectrum) == expected
        assert state(pickle.loads(pickle.dumps(spectrum))) == expected
    spectrum.update(torch.tensor([math.nan, 1.0, math.inf, math.nan]))
    with pytest.raises(ThermoError, match="2 NaN and 1 infinite"):
        spectrum.compute()


@pytest.mark.parametrize(
    "x",
    [
        torch.tensor([1, 2]),
        torch.tensor([True]),
        torch.tensor([1j]),
        torch.ones(2).to(torch.float8_e4m3fn),
        torch.ones(2, 2).to_sparse(),
    ],
    ids=["int", "bool", "complex", "float8", "sparse"],
)
def test_other_types_are_refused(x):
    with pytest.raises(ThermoError, match=f"{x.layout}.*{x.dtype}"):
        ActivationSpectrum([0.5]).update(x)


def test_not_a_tensor():
    with pytest.raises(ThermoError, match="ndarray"):
        ActivationSpectrum([0.5]).update(np.ones(3))


@pytest.mark.parametrize(
    ("taus", "message"),
    [
        ([], r"\(0,\)"),
        (0.5, r"\(\)"),
        ([[0.1, 0.2]], r"\(1, 2\)"),
        ([0.1, math.nan], r"taus\[1\] = nan"),
        ([0.1, math.inf], r"taus\[1\] = inf"),
        ([0.0, 0.1], r"taus\[0\] = 0\.0"),
        ([-0.5, 0.1], r"taus\[0\] = -0\.5"),
        ([0.1, 0.3, 0.2], r"taus\[2\] = 0\.2.*taus\[1\] = 0\.3"),
        ([0.1, 0.1], r"taus\[1\] = 0\.1"),
        (["a"], "'a'"),
    ],
)
def test_bad_grids(taus, message):
    with pytest.raises(ThermoError, match=message):
        check_taus(taus)


def test_check_taus_copies():
    given_grid = np.array([0.1, 0.2])
    spectrum = ActivationSpectrum(given_grid)
    given_grid[0] = 9
    spectrum.taus[1] = 9
    assert spectrum.taus.tolist() == [0.1, 0.2]
    assert check_taus(torch.tensor([0.5, 1.0])).tolist() == [0.5, 1.0]
    assert check_taus(range(1, 3)).dtype == np.float64


def test_bad_options(monkeypatch):
    with pytest.raises(ThermoError, match="'cuda'"):
        ActivationSpectrum([0.5], kernel="cuda")
    with pytest.raises(ThermoError, match="threads"):
        ActivationSpectrum([0.5], threads=0)
    for tau in (-0.1, math.nan, math.inf):
        with pytest.raises(ThermoError, match=f"tau.*{tau}"):
            PruneCounts(tau)
    monkeypatch.setattr("thermo_utils.counting.settings.have_numba", lambda: False)
    with pytest.raises(ThermoError, match="'numba'"):
        ActivationSpectrum([0.5], kernel="numba")
    assert spectrum_of([torch.ones(3)], [0.5]).total == 3, "auto falls back on torch"


@pytest.mark.parametrize(
    "other",
    [
        ActivationSpectrum([0.5, 0.7]),
        ActivationSpectrum([0.5], inclusive=False),
        ActivationSpectrum([0.5], count_zeros=True),
        PruneCounts(0.5),
    ],
)
def test_merge_refuses_what_counts_something_else(other):
    with pytest.raises(ThermoError, match="thresholds"):
        ActivationSpectrum([0.5]).merge(other)


def test_compute():
    taus = [0.25, 0.5, 1.0]
    spectrum = ActivationSpectrum(taus)
    with pytest.raises(ThermoError, match="update"):
        spectrum.compute()
    spectrum.update(torch.zeros(0))
    with pytest.raises(ThermoError, match="update"):
        spectrum.compute()
    spectrum.update(torch.tensor([0.0, -0.0]))
    with pytest.raises(ThermoError, match="2"):
        spectrum.compute()
    spectrum.update(torch.tensor([0.25, -0.5, 1.0, 0.125]))
    curve = spectrum.compute()
    assert curve["tau"].tolist() == taus
    assert curve["active"].tolist() == [3, 2, 1]
    assert curve["abs_sum"].tolist() == [1.75, 1.5, 1.0]
    assert curve["rho"].tolist() == [0.75, 0.5, 0.25]
    spectrum.reset()
    assert (spectrum.total, spectrum.zeros, spectrum.total_abs_sum) == (0, 0, 0.0)
    assert spectrum.active.tolist() == [0, 0, 0]


def test_count_zeros_changes_only_n():
    x = torch.tensor([0.0, -0.0, 1.0])
    plain, all_of_it = (spectrum_of([x], [0.5], count_zeros=c) for c in (False, True))
    assert (plain.total, all_of_it.total) == (1, 3)
    assert plain.active.tolist() == all_of_it.active.tolist() == [1]
    assert plain.total_abs_sum == all_of_it.total_abs_sum == 1.0


def test_pickle_and_deepcopy_go_their_own_way():
    x = sample(1000, torch.float16).float()
    spectrum = spectrum_of([x, x.half()], GRIDS["uniform"], inclusive=False)
    for twin in (copy.deepcopy(spectrum), pickle.loads(pickle.dumps(spectrum))):
        assert state(twin) == state(spectrum)
        twin.update(x)
        spectrum_of([x], GRIDS["uniform"], inclusive=False).merge(twin)
        assert twin.total > spectrum.total
        assert state(twin) == state(
            spectrum_of([x, x.half(), x], GRIDS["uniform"], inclusive=False)
        )


@pytest.mark.parametrize("kernel", ["numba", "torch"])
def test_inference_mode_inside_and_outside(kernel):
    x = sample(100, torch.float32)
    with torch.inference_mode():
        spectrum = spectrum_of([x * 1.0], [0.5], kernel=kernel)
        _, counts = prune_count(x * 1.0, 0.5)
    spectrum.update(x)
    twice = spectrum_of([x, x], [0.5])
    assert state(spectrum) == state(twice)
    assert spectrum.merge(twice).total == counts.merge(counts).total * 2 == 2 * twice.total


def test_kernels_are_bound_when_bins_are_made(monkeypatch):
    made = []
    for name in ("histogram", "survivors"):
        maker = getattr(accumulators, name)
        monkeypatch.setattr(
            accumulators,
            name,
            lambda *args, maker=maker, **k: made.append(args) or maker(*args, **k),
        )
    counts = PruneCounts(0.5, totals=False)
    counts.prune(torch.ones(10))
    first = len(made)
    assert first > 0
    for _ in range(3):
        counts.prune(torch.ones(5))
        counts.update(torch.ones(CHUNK + 1))
    counts.reset()
    assert len(made) == first
    twin = counts.twin()
    assert twin.settings is counts.settings
    twin.update(torch.ones(3))
    assert (twin.active, counts.active) == (3, 0)


def test_memory_is_constant():
    spectrum = spectrum_of([torch.rand(1000)], GRIDS["uniform"], threads=1)
    before = spectrum.state_bytes
    for _ in range(5):
        spectrum.update(torch.rand(1 << 19))
    assert before < 1 << 20
    # a tensor of several chunks must not buy more than the one set of bins it is counted in
    assert spectrum.state_bytes == before


def test_too_many_for_the_integers(monkeypatch):
    spectrum = spectrum_of([torch.ones(10)], [0.5])
    next(iter(spectrum._bins.values())).seen = (1 << 40) - 5
    with pytest.raises(ThermoError, match=r"1099511627776.*torch\.float32"):
        spectrum.update(torch.ones(6))
    spectrum.update(torch.ones(5))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_merging_too_many_is_refused_and_leaves_both_as_they_were(dtype):
    taus = GRIDS["uniform"]
    left, right = (spectrum_of([sample(9, torch.float16), sample(100, dtype)], taus) for _ in "ab")
    before, limit = state(left), 1 << (63 - min(FORMATS[dtype].fraction, 26))
    left._bins[dtype, torch.device("cpu")].seen = limit // 2
    right._bins[dtype, torch.device("cpu")].seen = limit // 2 + 1
    with pytest.raises(ThermoError, match=str(limit)):
        left.merge(right)
    assert state(left) == state(right) == before
    left._bins[dtype, torch.device("cpu")].seen -= 1
    assert left.merge(right).total == 2 * before[2]


@pytest.mark.parametrize("kernel", ["numba", "torch"])
@pytest.mark.parametrize("inclusive", [True, False])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_pruning_equals_the_spectrum_and_torch(dtype, inclusive, kernel):
    x = sample(3001, dtype)
    for tau in (1e-12, 0.04, 0.1, 0.5, 2.0, 1e5):
        counts = PruneCounts(tau, inclusive=inclusive, kernel=kernel)
        pruned = counts.prune(x)
        keep = x.abs() >= tau if inclusive else x.abs() > tau
        zero = torch.zeros((), dtype=dtype)
        # compared as bit patterns: pruned entries are +0, kept ones untouched
        form = FORMATS[dtype].signed
        assert torch.equal(pruned.view(form), torch.where(keep, x, zero).view(form))
        spectrum = spectrum_of([x], [tau], inclusive=inclusive)
        assert (counts.active, counts.abs_sum) == (spectrum.active[0], spectrum.abs_sum[0])
        assert (counts.total, counts.total_abs_sum) == (spectrum.total, spectrum.total_abs_sum)
        assert counts.active == torch.count_nonzero(pruned)
        assert counts.tau == tau


def test_pruning_at_zero_changes_nothing():
    x = sample(500, torch.float32)
    pruned, counts = prune_count(x, 0.0)
    assert torch.equal(pruned.view(torch.int32), x.view(torch.int32)), "-0 stays -0"
    assert counts.active == counts.total == torch.count_nonzero(x)
    assert counts.abs_sum == counts.total_abs_sum


def test_prune_counts_add_up():
    x, y = sample(500_001, torch.float32), sample(700, torch.float16, 1)
    counts = PruneCounts(0.3)
    counts.prune(x)
    counts.prune(y)
    other = prune_count(x, 0.3)[1].merge(prune_count(y, 0.3)[1])
    parts = [prune_count(x, 0.3)[1], prune_count(y, 0.3)[1]]
    assert state(other) == state(counts)
    together = Summed([*parts, PruneCounts(7.0)])  # one of another threshold, which saw nothing
    for name in ("active", "abs_sum", "total", "total_abs_sum"):
        assert getattr(together, name) == getattr(counts, name)
    assert parts[0].total == np.count_nonzero(x.numpy()), "the parts are left as they were"
    assert state(spectrum_of([y, x], [0.3])) == (
        [counts.active],
        [counts.abs_sum],
        *state(counts)[2:],
    )
    counts.reset()
    assert (counts.active, counts.total, counts.abs_sum) == (0, 0, 0.0)


def test_from_several_threads_each_with_its_own():
    x = sample(600_000, torch.float32)
    taus = GRIDS["uniform"]
    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(lambda _: spectrum_of([x] * 3, taus, threads=2), range(3)))
    assert len({str(state(s)) for s in done}) == 1
    assert state(done[0]) == state(spectrum_of([x] * 3, taus, threads=1))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_after_a_fork():
    x = torch.ones(600_000)
    spectrum_of([x], [0.5], threads=2)  # threads of the parent are running now
    child = os.fork()
    if child == 0:
        os._exit(0 if spectrum_of([x], [0.5], threads=2).total == 600_000 else 1)
    assert os.waitpid(child, 0)[1] == 0


@settings(max_examples=60)
@given(st.data())
def test_survivors_alone_are_the_same(data):
    dtype = data.draw(st.sampled_from(DTYPES))
    exponents = st.integers(-1074, 1023)
    signed = st.builds(lambda e, m: m * 2.0**e, exponents, st.floats(-2, 2))
    # Most within a few powers of two, as activations are; some anywhere.
    values = data.draw(st.lists(st.floats(-8, 8) | signed, max_size=40))
    x = torch.tensor(values, dtype=torch.float64).to(dtype)
    x = x[x.isfinite()]
    tau = data.draw(st.floats(0, 8) | st.sampled_from([1e-300, 1e-42, 1e-6, 1e30, 1e300]))
    options = {"inclusive": data.draw(st.booleans())}
    kernel = data.draw(st.sampled_from(["numba", "torch"]))
    alone = PruneCounts(tau, totals=False, kernel=kernel, **options)
    both = PruneCounts(tau, **options)
    for part in (x, x[:3]):
        bits = FORMATS[dtype].signed
        assert torch.equal(alone.prune(part).view(bits), both.prune(part).view(bits))
    assert (alone.active, alone.abs_sum) == (both.active, both.abs_sum)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_survivors_alone_of_many_chunks_and_threads(dtype):
    x = sample(3 * CHUNK + 12345, dtype)  # the largest floats are among them
    for part in (x, x[1000:].clamp(-6, 6)):
        expected = prune_count(part, 0.04)[1]
        for threads in (1, 2):
            alone = PruneCounts(0.04, totals=False, threads=threads)
            alone.prune(part)
            assert (alone.active, alone.abs_sum) == (expected.active, expected.abs_sum)


@pytest.mark.parametrize("power", range(18, 25))
def test_survivors_alone_up_to_where_they_do_not_fit(power):
    # a whole chunk of the largest float below a power of two, 1 or 2 steps beside the limit
    value = float(np.nextafter(np.float32(2.0**power), np.float32(0)))
    alone = PruneCounts(1.0, totals=False)
    for _ in range(3):
        alone.prune(torch.full((CHUNK,), value))
    assert (alone.active, alone.abs_sum) == (3 * CHUNK, 3 * CHUNK * value)


def test_survivors_alone_have_no_totals():
    alone = PruneCounts(0.5, totals=False)
    alone.prune(torch.ones(3))
    for name in ("total", "total_abs_sum", "zeros"):
        with pytest.raises(ThermoError, match="totals=False"):
            getattr(alone, name)
    with pytest.raises(ThermoError, match="thresholds"):
        alone.merge(prune_count(torch.ones(3), 0.5)[1])
    twin = pickle.loads(pickle.dumps(alone)).merge(alone)
    assert (twin.active, twin.abs_sum) == (6, 6.0)


@pytest.mark.parametrize("bad", [math.nan, -math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("n", [10, 2 * CHUNK])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_survivors_alone_refuse_what_is_not_finite(dtype, n, bad):
    alone = PruneCounts(0.5, totals=False)
    alone.prune(torch.ones(3, dtype=dtype))
    x = torch.ones(n, dtype=dtype)
    x[-1] = bad
    with pytest.raises(ThermoError, match="NaN"):
        alone.prune(x)
    assert (alone.active, alone.abs_sum) == (3, 3.0)


@settings(max_examples=60)
@given(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=12, unique=True), st.booleans())
def test_one_addition_finds_the_bin(taus, inclusive):
    for dtype in (torch.float32, torch.float64):
        lay = layout(dtype, np.sort(taus).tobytes(), inclusive)
        if lay.depth != 1:
            continue
        edges = lay.edges[:-1]
        patterns = np.concatenate([edges, edges[1:] - 1, lay.edges[-1:]]).astype(np.uint64)
        moved = patterns + lay.carry.astype(np.uint64)[patterns >> np.uint64(lay.shift)]
        found = (moved % 2 ** np.uint64(32) if dtype == torch.float32 else moved) >> np.uint64(
            lay.shift
        )
        expected = np.searchsorted(lay.edges, patterns.astype(np.int64), side="right") - 1
        np.testing.assert_array_equal(found, expected)


def test_large_outputs_are_like_any_other():
    x = torch.randn(4, 64, 256, 160).to(memory_format=torch.channels_last)  # 42 MB
    assert x.nbytes >= memory.HUGE
    counts = PruneCounts(0.5)
    pruned = counts.prune(x)
    assert torch.equal(pruned, torch.where(x.abs() >= 0.5, x, 0))
    assert (pruned.stride(), pruned.dtype) == (x.stride(), x.dtype)
    pruned.add_(1)
    assert counts.active == int((x.abs() >= 0.5).sum()), "the input is left alone"
    half = memory.empty_like(x.to(torch.float16).expand(4, 64, 256, 160))
    assert half.dtype == torch.float16


def test_memory_of_a_thousand_thresholds():
    spectrum = ActivationSpectrum(GRIDS["fine"], threads=2)
    for dtype in DTYPES:
        for _ in range(2):
            spectrum.update(sample(2 * CHUNK, dtype))
    assert spectrum.state_bytes < 16 << 20


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("kernel", ["auto", "torch", "triton"])
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_gpu_gives_the_same_integers(dtype, grid, kernel):
    x = sample(300_000, dtype)
    host = spectrum_of([x, x[1:]], GRIDS[grid])
    device = spectrum_of([x.cuda(), x.cuda()[1:]], GRIDS[grid], kernel=kernel)
    assert state(device) == state(host)
    counts = PruneCounts(0.5, kernel=kernel)
    pruned = counts.prune(x.cuda())
    assert torch.equal(pruned.cpu(), prune_count(x, 0.5)[0])
    assert state(counts) == state(prune_count(x, 0.5)[1])
    (bins,) = device._bins.values()
    assert (type(bins).__name__ == "TorchBins") == (kernel == "torch")
    device.update(torch.tensor([math.nan], device="cuda"))
    with pytest.raises(ThermoError, match="1 NaN"):
        device.compute()
