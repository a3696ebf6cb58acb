"""Rescaled networks: the same scores, activations of another scale, and curves as the identity."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from companion.networks import NETWORKS
from companion.runs.rescaling import check_rescaled, rescaled_network
from companion.runs.scale_plans import OBSTACLES, PLANS, obstacle
from tests.companion.networks.tiny import tiny
from thermo_utils import ThermoError


@pytest.mark.parametrize("model", PLANS)
class TestRescaled:
    @pytest.mark.parametrize("c", [0.25, 16.0])
    def test_by_a_power_of_two_nothing_is_rounded(self, model, c):
        network, data = tiny(model)
        changed = rescaled_network(model, network, c)
        assert check_rescaled(network, changed, NETWORKS[model].layers, c, data) == 0.0
        # What it compares is no copy: by another scale, they differ.
        with pytest.raises(ThermoError, match="another one"):
            check_rescaled(network, changed, NETWORKS[model].layers, 2 * c, data)

    def test_otherwise_next_to_nothing(self, model):
        network, data = tiny(model)
        changed = rescaled_network(model, network, 3.0)
        assert 0 < check_rescaled(network, changed, NETWORKS[model].layers, 3.0, data) < 1e-5

    def test_the_original_stays(self, model):
        network, _ = tiny(model)
        before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        rescaled_network(model, network, 4.0)
        assert all(torch.equal(before[name], t) for name, t in network.state_dict().items())

    def test_no_scale(self, model):
        with pytest.raises(ThermoError, match="c must be positive"):
            rescaled_network(model, nn.Identity(), 0.0)


def test_every_network_has_a_plan_or_an_obstacle():
    assert set(NETWORKS) == {*PLANS, *OBSTACLES}
    assert not set(PLANS) & set(OBSTACLES)


@pytest.mark.parametrize("model", OBSTACLES)
def test_those_that_cannot(model):
    with pytest.raises(ThermoError, match=f"{model} cannot be rescaled"):
        rescaled_network(model, nn.Identity(), 2.0)


def test_networks_of_others():
    assert obstacle("mine") is not None


def test_a_plan_that_fits_to_another_network():
    with pytest.raises(ThermoError, match=r"no module hidden\.norm"):
        rescaled_network("mlp", nn.Sequential(nn.Linear(2, 2)), 2.0)


def test_relu6_is_not_homogeneous():
    x = torch.tensor([1.0, 4.0])
    assert not torch.equal(nn.functional.relu6(4 * x), 4 * nn.functional.relu6(x))
