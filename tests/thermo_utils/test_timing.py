"""The dense network is timed dense and the pruned one pruned. No test says how fast anything is."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from thermo_utils import ActivationPruner, ThermoError, timing
from thermo_utils.pruned import Pruned
from thermo_utils.timing import NOTE, benchmark


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Dropout(), nn.Linear(12, 3))


def data(batches=3):
    torch.manual_seed(1)
    return [(torch.randn(8, 6), torch.zeros(8, dtype=torch.long)) for _ in range(batches)]


def test_the_table():
    model, taus = network(), [0.0, 0.3, 5.0]
    found = benchmark(model, data(), nn.ReLU, taus, batches=2, repetitions=3, progress=False)
    assert list(found["tau"]) == taus
    for tau, beta in zip(taus, found["beta"], strict=True):
        with torch.no_grad(), ActivationPruner(model.eval(), nn.ReLU, tau) as pruner:
            for x, _ in data()[:2]:
                model(x)
        assert beta == 1 - pruner.active / pruner.total
    times = found[["dense", "pruned", "ratio", "low", "high"]]
    assert (times > 0).all(axis=None)
    assert (found[["dense_spread", "pruned_spread"]] >= 0).all(axis=None)
    assert set(found["threads"]) == {torch.get_num_threads()}
    assert found.attrs == {
        "device": "cpu", "batches": 2, "repetitions": 3, "layers": ["1"], "note": NOTE,
    }  # fmt: skip


def test_each_is_timed_as_what_it_is(monkeypatch):
    model = network()
    seen: list[float | None] = []

    def times(tasks, repetitions, around, progress):
        for name, task in tasks.items():
            with around(name):
                layer = model[1]
                seen.append(layer._taus["tau"] if isinstance(layer, Pruned) else None)
                assert not any(m._forward_hooks or m.training for m in model.modules())
                assert not torch.is_grad_enabled()
                task()
        return {"dense": [2.0, 4.0, 8.0], "tau 0": [4.0, 4.0, 4.0], "tau 1": [2.0, 8.0, 24.0]}

    monkeypatch.setattr(timing, "interleaved", times)
    before = list(model)
    found = benchmark(model, iter(data()), nn.ReLU, [0.1, 0.2], batches=2)
    assert seen == [None, 0.1, 0.2]
    assert list(found["dense"]) == [2.0, 2.0]  # per batch
    assert list(found["pruned"]) == [2.0, 4.0]
    assert list(found["dense_spread"]) == [1.5, 1.5]
    assert list(found["ratio"]) == [1.0, 2.0]  # medians of 2, 1, 0.5 and of 1, 2, 3
    assert list(found["low"]) == [0.75, 1.5]
    assert list(found["high"]) == [1.5, 2.5]
    assert [a is b for a, b in zip(before, model, strict=True)] == [True] * 4
    assert model.training


def test_the_network_is_whole_after_an_error():
    model = network()
    before = list(model)
    with pytest.raises(RuntimeError):
        benchmark(model, [torch.ones(2, 6), torch.ones(2, 5)], nn.ReLU, [0.1], progress=False)
    assert [a is b for a, b in zip(before, model, strict=True)] == [True] * 4
    assert model.training


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_a_fused_encoder_is_measured_with_padding():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, activation=nn.ReLU())
    model = nn.TransformerEncoder(layer, 1)
    mask = torch.tensor([[False, False, True]] * 2)
    batch = {"src": torch.randn(2, 3, 8), "src_key_padding_mask": mask}
    found = benchmark(model, [batch], "*.activation", [0.1], repetitions=1, progress=False)
    assert 0 < found["beta"][0] < 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"taus": []}, "taus"),
        ({"data": []}, "no data"),
        ({"batches": 0}, "batches"),
        ({"repetitions": 0}, "repetitions"),
        ({"layers": "nothing"}, "nothing"),
        ({"layers": "relu()"}, "module"),
        ({"taus": [-1.0]}, "-1"),
    ],
)
def test_what_cannot_be_measured_is_refused(changes, words):
    given = {"data": data(), "layers": nn.ReLU, "taus": [0.1], "progress": False} | changes
    model = network()
    with pytest.raises(ThermoError, match=words):
        benchmark(model, given.pop("data"), given.pop("layers"), given.pop("taus"), **given)
    assert not any(isinstance(m, Pruned) for m in model.modules())
