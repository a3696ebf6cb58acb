"""Batches on their way into a network, and what is kept of them on its device."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_sequence

from thermo_utils import ThermoError
from thermo_utils.batches import unpack
from thermo_utils.devices import Resident, device_of, keep_on_device
from thermo_utils.running import forward

X, Y = torch.eye(3), torch.tensor([0, 1, 2])
CPU = torch.device("cpu")


class Says(nn.Module):
    """Returns what it was called with."""

    def forward(self, *args, **kwargs):
        return args, kwargs


class Reread:
    """Data that count how often they are read."""

    def __init__(self, data):
        self.data = data
        self.reads = 0

    def __iter__(self):
        self.reads += 1
        return iter(self.data)


@pytest.mark.parametrize(
    ("batch", "inputs", "targets"),
    [
        ((X, Y), X, Y),
        ([X, Y], X, Y),
        ((X,), X, None),
        (X, X, None),
        ({"a": X, "labels": Y}, {"a": X}, Y),
        ({"a": X}, {"a": X}, None),
        ((({"a": X}), Y), {"a": X}, Y),
    ],
)
def test_unpack(batch, inputs, targets):
    found = unpack(batch)
    assert found[1] is targets
    if isinstance(inputs, dict):
        assert found[0].keys() == inputs.keys()
        assert found[0]["a"] is X
    else:
        assert found[0] is inputs


@pytest.mark.parametrize("parts", [0, 3])
def test_unpack_refuses(parts):
    with pytest.raises(ThermoError, match=f"{parts} parts"):
        unpack((X,) * parts)


def test_inputs_become_arguments():
    packed = pack_sequence([torch.ones(2, 1), torch.ones(1, 1)])
    for inputs, expected in (
        (X, ((X,), {})),
        ((X, Y), ((X, Y), {})),
        ([X, Y], ((X, Y), {})),
        ({"a": X}, ((), {"a": X})),
        (packed, ((packed,), {})),
    ):
        args, kwargs = forward(Says(), inputs)
        assert len(args) == len(expected[0])
        assert all(a is b for a, b in zip(args, expected[0], strict=True))
        assert kwargs == expected[1]


def test_inputs_move_to_the_device_of_the_model():
    model = Says()
    assert device_of(model) is None
    model.weight = nn.Parameter(torch.ones(1, device="meta"))
    assert device_of(model) == torch.device("meta")
    (first, rest), kwargs = forward(model, (X, {"a": [Y, "text"]}))
    assert first.device.type == rest["a"][0].device.type == "meta"
    assert rest["a"][1] == "text"
    assert kwargs == {}


def test_on_a_cpu_data_are_left_where_they_are():
    data = [X]
    assert keep_on_device(data, CPU) is data
    assert keep_on_device(data, None) is data


@pytest.mark.parametrize(("free", "reads"), [(4 * X.nbytes, 1), (4 * X.nbytes - 1, 2), (None, 2)])
def test_data_stay_on_a_device_if_they_take_up_a_quarter_of_its_room(monkeypatch, free, reads):
    def info(device):
        if free is None:
            raise RuntimeError("this backend cannot tell")
        return free, 1 << 40

    monkeypatch.setattr(torch.accelerator, "get_memory_info", info)
    data = Reread([X])
    kept = keep_on_device(data, torch.device("meta"))
    for _ in range(2):
        (batch,) = kept
        assert batch.device.type == "meta"
    assert data.reads == reads


def test_kept_batches_keep_their_structure_and_their_values():
    packed = pack_sequence([torch.ones(3, 2), torch.zeros(1, 2)])
    batch = {"x": [torch.arange(3.0), (torch.eye(2), "name", None)], "packed": packed}
    kept = Resident([batch], CPU, 10_000)
    for _ in range(3):
        (again,) = kept
        assert torch.equal(again["x"][1][0], torch.eye(2))
        assert again["x"][1][1:] == ("name", None)
        assert torch.equal(again["packed"].data, packed.data)
        assert torch.equal(again["packed"].batch_sizes, packed.batch_sizes)


def test_a_network_may_change_its_inputs_in_place():
    kept = Resident([torch.arange(3.0)], CPU, 10_000)
    for _ in range(3):
        (batch,) = kept
        assert batch.tolist() == [0, 1, 2]
        batch.zero_()


def test_what_does_not_fit_is_read_again_as_a_whole():
    data = Reread([torch.ones(2), torch.zeros(1), torch.ones(3)])
    kept = Resident(data, CPU, 12)  # the first two alone would fit
    for _ in range(2):
        assert [len(batch) for batch in kept] == [2, 1, 3]
    assert data.reads == 2


def test_an_interrupted_pass_keeps_nothing():
    data = Reread([torch.ones(1), torch.ones(2)])
    kept = Resident(data, CPU, 1000)
    next(iter(kept))
    for _ in range(2):
        assert [len(batch) for batch in kept] == [1, 2]
    assert data.reads == 2
