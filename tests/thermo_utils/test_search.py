"""The guided search on models whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from thermo_utils import (
    ActivationPruner,
    SafeThreshold,
    ThermoError,
    critical_threshold,
    evaluate,
    find_safe_threshold,
    renormalized,
)
from thermo_utils.activations import default_layers


class Votes(nn.Module):
    """Right as long as an example's one vote survives: accuracy is 1 - tau, exactly."""

    def __init__(self):
        super().__init__()
        self.act = nn.ReLU()
        self.passes = 0

    def forward(self, votes):
        self.passes += 1
        votes = self.act(votes)
        return torch.stack([torch.full_like(votes, 1e-9), votes], dim=1)


N = 1000
VOTES = [((torch.arange(N) + 0.5) / N, torch.ones(N, dtype=torch.int64))]
GRID = np.arange(1, 100) / 100


@pytest.mark.parametrize("max_drop", [0.0, 0.01, 0.1, 0.37, 0.9])
@pytest.mark.parametrize("data", [VOTES, iter])
def test_finds_the_last_safe_grid_point(max_drop, data):
    data = iter(VOTES) if data is iter else data
    safe = find_safe_threshold(Votes(), data, max_drop=max_drop, taus=GRID, max_passes=12)
    assert safe.tau == pytest.approx(max_drop if max_drop else 0.0, abs=0.01 + 1e-9)
    assert safe.drop <= max_drop + 1e-9
    assert safe.drop == pytest.approx(safe.tau)
    assert safe.score == pytest.approx(1 - safe.tau)
    assert safe.beta == pytest.approx(safe.tau)


@pytest.mark.parametrize("max_drop", [0.01, 0.1, 0.5])
def test_default_grid(max_drop):
    safe = find_safe_threshold(Votes(), VOTES, max_drop=max_drop, max_passes=14)
    assert 0.97 * max_drop <= safe.tau <= max_drop + 1e-3


def test_the_bracket_is_halved_in_sparsity_from_the_critical_threshold_on():
    n = 1_000_000  # enough for a transition to stand out of what counting explains
    votes = [((torch.arange(n) + 0.5) / n, torch.ones(n, dtype=torch.int64))]
    safe = find_safe_threshold(Votes(), votes, max_drop=0.1, taus=GRID, max_passes=7)
    critical = critical_threshold(renormalized(Votes(), votes, "act", GRID, progress=False))
    assert critical is not None
    assert safe.passes["tau"][1] == critical.tau
    low, high = 0.0, 1.0
    for step in safe.passes.iloc[1:].itertuples():
        if step.Index > 1:
            assert step.beta == pytest.approx((low + high) / 2, abs=0.01)
        low, high = (step.beta, high) if step.safe else (low, step.beta)
    assert high - low == pytest.approx(0.02, abs=0.011)


def test_without_a_transition_the_middle_is_probed_first():
    # Activations all alike but for their places on the grid: F has no feature.
    taus = [0.2, 0.4, 0.6]
    safe = find_safe_threshold(Votes(), VOTES, max_drop=1.0, taus=taus)
    assert safe.passes["tau"].tolist() == [0.0, 0.6]
    assert safe.tau == 0.6


@settings(max_examples=20)
@given(st.integers(2, 9), st.floats(0, 1), st.integers(0, 100))
def test_never_more_passes_and_always_what_was_measured(max_passes, max_drop, seed):
    torch.manual_seed(seed)
    passes = 0

    class Counted(nn.Sequential):
        def forward(self, x):
            nonlocal passes
            passes += 1
            return super().forward(x)

    net = Counted(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).train()
    x = torch.randn(64, 4)
    data = [(x, net.eval()(x).argmax(1))]
    net.train()
    passes = 0
    safe = find_safe_threshold(net, data, nn.ReLU, max_drop=max_drop, max_passes=max_passes)
    assert passes == len(safe.passes) <= max_passes
    assert net.training
    assert isinstance(safe, SafeThreshold)
    assert safe.drop <= max_drop + 1e-9
    with ActivationPruner(net, nn.ReLU, safe.tau):
        assert evaluate(net, data) == safe.score
    table = safe.passes
    assert table.columns.tolist() == ["tau", "beta", "accuracy", "drop", "safe"]
    assert table["tau"].is_unique
    assert safe.tau == table["tau"][table["safe"]].max()
    assert table.iloc[0].tolist() == [0.0, 0.0, 1.0, 0.0, True]


@pytest.mark.parametrize("classes", [2, 4])
def test_a_network_no_better_than_chance_has_no_safe_threshold(classes):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, classes))
    x = torch.randn(400, 4)
    wrong = net(x).argmin(1)  # of which it gets none right
    with pytest.raises(ThermoError, match=r"accuracy of 0 .*train"):
        find_safe_threshold(net, [(x, wrong)])
    constant = torch.full((400,), classes - 1)
    constant[:100] = 0
    net[2].bias.data[classes - 1] += 1e3  # it always says the same
    with pytest.raises(ThermoError, match=r"0\.75"):
        find_safe_threshold(net, [(x, constant)])


def test_nothing_is_safe():
    class Fragile(nn.Module):
        def __init__(self):
            super().__init__()
            self.act = nn.ReLU()

        def forward(self, x):  # right only if nothing at all is pruned
            whole = (self.act(x) > 0).all(dim=1).float()
            return torch.stack([1 - whole, whole], dim=1)

    x = torch.rand(50, 200) + torch.arange(1, 201) / 1000
    safe = find_safe_threshold(Fragile(), [(x, torch.ones(50, dtype=torch.int64))], max_drop=0.01)
    assert safe.tau < x.min() or safe.tau == 0.0
    assert safe.score == 1.0


def test_all_activations_equal():
    data = [(torch.ones(8), torch.ones(8, dtype=torch.int64))]
    safe = find_safe_threshold(Votes(), data)
    assert (safe.tau, safe.score, len(safe.passes)) == (0.0, 1.0, 1)


@pytest.mark.parametrize(
    ("model", "names"),
    [
        (nn.Sequential(nn.Linear(2, 2), nn.GELU(), nn.Linear(2, 2), nn.Tanh()), ["1", "3"]),
        (nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2)), ["0", "1"]),
        (nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU6()), ["2"]),
    ],
)
def test_default_layers(model, names):
    assert default_layers(model) == names


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_drop": -0.1}, r"max_drop.*-0\.1"),
        ({"max_drop": 1.5}, r"max_drop.*1\.5"),
        ({"max_drop": float("nan")}, "max_drop.*nan"),
        ({"max_passes": 1}, "max_passes.*1"),
        ({"taus": [0.2, 0.1]}, r"taus\[1\].*0\.1"),
        ({"layers": "nope"}, "'nope'"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ThermoError, match=message):
        find_safe_threshold(Votes(), VOTES, **options)


def test_model_without_anything_to_prune():
    model = nn.Sequential(nn.Linear(4, 2))
    with pytest.raises(ThermoError, match="layers="):
        find_safe_threshold(model, [(torch.ones(2, 4), torch.zeros(2))])
