"""Counting in torch's threads: the same integers, nothing left behind, nothing set."""

from __future__ import annotations

import copy
import os
import pickle
import sys

import pytest
import torch

from thermo_utils.counting import ActivationSpectrum, PruneCounts
from thermo_utils.counting import bins as accumulators
from thermo_utils.counting import team as teams
from thermo_utils.counting.cpu import POOL
from thermo_utils.counting.layouts import FORMATS
from thermo_utils.errors import ThermoError

DTYPES = list(FORMATS)
TAUS = [0.1 * k for k in range(1, 30)]
#: Of which every second is zero, in many chunks of which the last is short.
MANY = 700_001

pytestmark = pytest.mark.skipif(
    teams.team() is None, reason="torch has no OpenMP runtime of GNU's here, or numba is missing"
)


def sample(dtype, n=MANY, seed=0):
    return torch.randn(n, generator=torch.Generator().manual_seed(seed)).relu().to(dtype)


def state(counter):
    totals = (counter.total, counter.total_abs_sum, counter.zeros)
    return [*map(list, (counter.active, counter.abs_sum)), totals]


def counted(tensors, threads):
    spectrum = ActivationSpectrum(TAUS, threads=threads)
    for x in tensors:
        spectrum.update(x)
    return spectrum


@pytest.fixture
def runs(monkeypatch):
    """How many threads each call of the team was given."""
    given = []
    run = teams.Team.run

    def noted(self, kernel, data, threads, chunks):
        given.append(threads)
        run(self, kernel, data, threads, chunks)

    monkeypatch.setattr(teams.Team, "run", noted)
    return given


@pytest.fixture
def threads():
    """Sets torch's number of threads, until the test ends."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.skipif(sys.platform != "linux", reason="of the wheels for Linux")
def test_torch_brings_its_runtime_along():
    assert teams.team() is teams.team() is not None


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_any_number_of_threads_counts_the_same(dtype, runs):
    tensors = [sample(dtype), sample(dtype, 100_000, 1), sample(dtype, 7, 2)]
    alone = counted(tensors, 1)
    assert runs == []
    for number in (2, 3, 8):
        assert state(counted(tensors, number)) == state(alone)
    # 100,000 activations are worth three threads, 7 none but ours.
    assert runs == [2, 2, 3, 3, 8, 3]


@pytest.mark.parametrize("totals", [True, False])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_pruning_does_too(dtype, totals, runs):
    x = sample(dtype)
    found = []
    for number in (1, 4):
        counts = PruneCounts(0.7, totals=totals, threads=number)
        pruned = counts.prune(x)
        assert torch.equal(pruned, torch.where(x.abs() >= 0.7, x, 0))
        found.append((counts.active, counts.abs_sum))
    assert found[0] == found[1]
    assert runs == [4]


def test_the_pool_is_there_where_no_team_is(monkeypatch):
    x, used = sample(torch.float32), []
    together = state(counted([x], 3))
    run = POOL.run
    monkeypatch.setattr(accumulators, "team", lambda: None)
    monkeypatch.setattr(POOL, "run", lambda *given: used.append(1) or run(*given))
    assert state(counted([x], 3)) == together
    assert used == [1]


def test_torchs_number_of_threads_decides_and_stays(threads, runs):
    x = sample(torch.float32)
    spectrum = ActivationSpectrum(TAUS)
    for number in (2, 3, 1, 4, 2):
        threads(number)
        spectrum.update(x)
        assert torch.get_num_threads() == number
    assert runs == [2, 3, 4, 2]
    assert state(spectrum) == state(counted([x] * 5, 1))


@pytest.mark.parametrize("at", [0, MANY // 2, MANY - 1])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_call_with_nan_leaves_nothing(dtype, at):
    x = sample(dtype)
    broken = x.clone()
    broken[at] = float("nan")
    spectrum, counts = counted([x], 4), PruneCounts(0.5, totals=False, threads=4)
    counts.prune(x)
    for again in range(2):
        with pytest.raises(ThermoError, match="NaN"):
            spectrum.update(broken)
        with pytest.raises(ThermoError, match="NaN"):
            counts.prune(broken)
        assert state(spectrum) == state(counted([x] * (again + 1), 1))
        one = PruneCounts(0.5, threads=1)
        for _ in range(again + 1):
            one.prune(x)
        assert (counts.active, counts.abs_sum) == (one.active, one.abs_sum)
        spectrum.update(x)
        counts.prune(x)


def test_an_interrupted_call_leaves_nothing(monkeypatch):
    x = sample(torch.float32)
    spectrum = counted([x], 4)
    run = teams.Team.run

    def interrupted(*given):
        run(*given)
        raise KeyboardInterrupt

    monkeypatch.setattr(teams.Team, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        spectrum.update(x)
    monkeypatch.setattr(teams.Team, "run", run)
    spectrum.update(x)
    assert state(spectrum) == state(counted([x, x], 1))


def test_copies_count_on_by_themselves():
    x = sample(torch.float32)
    spectrum = counted([x], 4)
    copies = [copy.deepcopy(spectrum), pickle.loads(pickle.dumps(spectrum))]
    for each in copies:
        each.update(x)
        assert state(each) == state(counted([x, x], 1))
    assert state(spectrum) == state(counted([x], 1))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_no_team():
    x = sample(torch.float32)  # torch's own operations would wait for the parent's threads forever
    expected = state(counted([x], 4))
    child = os.fork()
    if child == 0:
        good = teams.team() is None and state(counted([x], 4)) == expected
        os._exit(0 if good else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert teams.team() is not None
