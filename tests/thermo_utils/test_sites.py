"""Layer inputs, calls of functions, and a threshold for every site."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from thermo_utils import (
    ActivationPruner,
    ThermoError,
    find_safe_threshold,
    full_evaluation,
    renormalized,
)  # fmt: skip
from thermo_utils.hooks import ActivationHooks
from thermo_utils.layers import function_of, resolve_layers


def mask(x, tau):
    return torch.where(x.abs() >= tau, x, torch.zeros_like(x))


class Blocks(nn.Module):
    """Calls relu as a function of three kinds, once per block, and twice itself."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Linear(6, 8)
        self.blocks = nn.ModuleList(Block(i) for i in range(2))
        self.head = nn.Linear(8, 3)

    def forward(self, x, prune=lambda name, x: x):
        x = prune("relu()", F.relu(prune("first", self.first(prune("first:input", x)))))
        for i, block in enumerate(self.blocks):
            x = block(x, lambda name, x, i=i: prune(f"blocks.{i}.{name}", x))
        return self.head(prune("head:input", prune("relu()#2", torch.relu(x))))


class Block(nn.Module):
    def __init__(self, number):
        super().__init__()
        self.mix = nn.Linear(8, 8)
        self.number = number

    def forward(self, x, prune):
        mixed = self.mix(prune("mix:input", x))
        mixed = mixed.relu() if self.number else F.relu(mixed, inplace=True)
        return x + prune("relu()", mixed)


X = torch.randn(20, 6, generator=torch.Generator().manual_seed(3))

SITES = {
    "first:input": ["first:input"],
    "*:input": ["first:input", "blocks.0.mix:input", "blocks.1.mix:input", "head:input"],
    "Linear:input": ["first:input", "blocks.0.mix:input", "blocks.1.mix:input", "head:input"],
    "blocks.*.mix:input": ["blocks.0.mix:input", "blocks.1.mix:input"],
    "relu()": ["relu()", "blocks.0.relu()", "blocks.1.relu()", "relu()#2"],
    "blocks.*.relu()": ["blocks.0.relu()", "blocks.1.relu()"],
    "relu()#2": ["relu()#2"],
    "blocks.1.relu()": ["blocks.1.relu()"],
}


@pytest.mark.parametrize(("layers", "sites"), SITES.items(), ids=list(SITES))
@pytest.mark.parametrize("tau", [0.0, 0.3])
def test_sites_are_those_of_the_network_written_out(layers, sites, tau):
    net = Blocks().eval()
    seen = {}

    def prune(name, x):
        if name not in sites:
            return x
        seen[name] = (int((x != 0).sum()), int((mask(x, tau) != 0).sum()))
        return mask(x, tau)

    with torch.no_grad():
        expected = net(X, prune)
        with ActivationPruner(net, layers, tau) as pruner:
            found = net(X)
    assert torch.equal(found, expected)
    table = pruner.per_layer().set_index("layer")
    assert sorted(table.index) == sorted(seen) == sorted(sites)
    assert {n: (row.total, row.active) for n, row in table.iterrows()} == seen
    assert [name for name, calls in pruner.calls.items() if calls] == list(table.index)


def test_a_threshold_for_every_site():
    net = Blocks().eval()
    taus = {"first:input": 0.2, "relu()": 0.5, "blocks.1.relu()": 0.1, "head": 0.0}
    items = ["first:input", "head", "blocks.1.relu()", "relu()#1", "relu()"]

    def prune(name, x):
        return mask(x, everywhere.get(name, 0.0))

    everywhere = {**taus, "blocks.0.relu()": 0.7, "relu()#2": 0.05}
    with torch.no_grad():
        expected = net(X, prune)
        with ActivationPruner(net, [items[0], items[1], items[-1]], everywhere) as pruner:
            found = net(X)
    assert torch.equal(found, expected)
    by_site = {}
    for name, tau in everywhere.items():
        with torch.no_grad(), ActivationPruner(net, [*items[:2], items[-1]], everywhere) as again:
            net(X)
        by_site[name] = again.per_layer().set_index("layer").loc[name].to_dict()
        assert by_site[name]["active"] <= by_site[name]["total"]
        assert tau or by_site[name]["active"] == by_site[name]["total"]
    assert pruner.active == sum(row["active"] for row in by_site.values())
    assert pruner.total == sum(row["total"] for row in by_site.values())
    assert pruner.abs_sum == pytest.approx(sum(row["abs_sum"] for row in by_site.values()))


def test_the_same_threshold_everywhere_is_one_threshold():
    net = Blocks().eval()
    layers = ["Linear:input", "first"]
    names = [*resolve_layers(net, layers)]
    with torch.no_grad():
        with ActivationPruner(net, layers, dict.fromkeys(names, 0.4)) as several:
            a = net(X)
        with ActivationPruner(net, layers, 0.4) as one:
            b = net(X)
    assert torch.equal(a, b)
    for name in ("active", "total", "abs_sum", "total_abs_sum"):
        assert getattr(several, name) == getattr(one, name)


@pytest.mark.parametrize(
    ("layers", "taus", "message"),
    [
        ("Linear", {"first": 0.1}, "blocks.0.mix"),
        ("first", {"first": 0.1, "frist": 0.1}, "'frist'"),
        ("first", {}, "'first'"),
        ("first", {"first": -0.1}, "-0.1"),
        (["first", "relu()"], {"first": 0.1, "head": 0.1}, "'head'"),
    ],
)
def test_thresholds_that_do_not_fit_the_sites(layers, taus, message):
    with pytest.raises(ThermoError, match=message):
        ActivationPruner(Blocks(), layers, taus)


def test_a_call_without_a_threshold_is_refused_when_it_is_met():
    net = Blocks()
    with (
        pytest.raises(ThermoError, match=r"blocks\.0\.relu"),
        ActivationPruner(net, "relu()", {"relu()": 0.1}),
    ):
        net(X)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ("rleu()", "relu()"),
        ("firts:input", "first"),
        ("gelu()", "no call of gelu"),
        (["relu()", "nowhere.*.relu()"], r"nowhere\.\*\.relu"),
    ],
)
def test_sites_that_do_not_exist(layers, message):
    net = Blocks()
    with pytest.raises(ThermoError, match=message), ActivationHooks(net, layers, lambda *_: None):
        net(X)


def test_a_module_that_is_an_activation_function_counts_once():
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))
    both = renormalized(net, [X], [nn.ReLU, "relu()"], [0.1], progress=False)
    assert both.attrs["layers"] == ["1"]
    assert renormalized(net, [X], "relu()", [0.1], progress=False).attrs["layers"] == ["1.relu()"]


def test_inputs_as_keywords_and_in_tuples():
    class Takes(nn.Module):
        def forward(self, *, pair, scale):
            return pair[0] * scale

    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = Takes()

        def forward(self, x):
            return self.inner(pair=(x, x), scale=2)

    with ActivationPruner(Outer(), "inner:input", 0.5) as pruner:
        y = pruner.model(X)
    assert torch.equal(y, 2 * mask(X, 0.5))


def test_what_works_in_place_is_pruned_in_place():
    class Forgetful(nn.Module):
        """Goes on with what went in, which the layer has changed."""

        def __init__(self, act):
            super().__init__()
            self.act = act

        def forward(self, x):
            x = x * 1
            self.act(x)
            return x

    for act, layers in ((nn.ReLU(inplace=True), "act"), (lambda x: x.relu_(), "relu()")):
        with torch.no_grad(), ActivationPruner(Forgetful(act), layers, 0.5) as pruner:
            assert torch.equal(pruner.model(X), mask(X.relu(), 0.5))
    net = nn.Sequential(nn.Linear(6, 4), nn.ReLU(inplace=True))
    with ActivationPruner(net, "1", 0.5):
        out = net(X)
        out.sum().backward()
    survived = (net[0](X) >= 0.5).float()
    assert torch.allclose(net[0].bias.grad, survived.sum(0))
    kept = X.clone()
    with torch.no_grad(), ActivationPruner(nn.Sequential(nn.Identity()), "0", 0.5) as pruner:
        pruner.model(X)
    assert torch.equal(X, kept)  # what does not is not


def test_inputs_and_outputs_agree_between_the_methods():
    net = Blocks().eval()
    data = [(X, net(X).argmax(1))]
    for layers in ("head:input", "first:input", "relu()#2", "blocks.1.relu()"):
        full = full_evaluation(net, data, layers, [0.1, 0.4], progress=False)
        fast = renormalized(net, data, layers, [0.1, 0.4], progress=False)
        assert full["active"].tolist() == fast["active"].tolist()
        assert full.attrs["total"] == fast.attrs["total"]
        assert full.attrs["layers"] == fast.attrs["layers"] == [layers]


def test_names_of_functions():
    assert [function_of(s) for s in ("a.relu()#12", "relu()#x", "relu", "x()y")] == [
        "relu", None, None, None,
    ]  # fmt: skip


class Padded(nn.Module):
    def __init__(self):
        super().__init__()
        self.act, self.pool = nn.Tanh(), nn.Tanh()

    def forward(self, x, attention_mask):
        states = self.act(x)
        shares = attention_mask[..., None] / attention_mask.sum(1)[:, None, None]
        return self.pool((states * shares).sum(1))


@pytest.mark.parametrize("layers", ["act", ["act", "pool"]])
def test_padding_counts_unless_its_mask_is_named(layers):
    x = torch.randn(5, 4, 3, generator=torch.Generator().manual_seed(4))
    mask = torch.ones(5, 4, dtype=torch.int64)
    mask[1:, 2:] = 0
    net = Padded()
    data = [{"x": x, "attention_mask": mask, "labels": net(x, mask).argmax(1)}]
    taus = [0.2, 0.5]
    options = {"layers": layers, "taus": taus, "progress": False}
    everything = renormalized(net, data, **options)
    real = renormalized(net, data, mask="attention_mask", **options)
    pooled = 15 if len(layers) == 2 else 0
    assert everything.attrs["total"] == 60 + pooled
    assert real.attrs["total"] == int(mask.sum()) * 3 + pooled
    kept = torch.tanh(x)[mask.bool()].abs()
    if layers == "act":
        assert real["active"].tolist() == [int((kept >= tau).sum()) for tau in taus]
    full = full_evaluation(net, data, mask="attention_mask", **options)
    plain = full_evaluation(net, data, **options)
    assert full["accuracy"].tolist() == plain["accuracy"].tolist(), "it is pruned all the same"
    if layers == "act":
        assert full["active"].tolist() == real["active"].tolist()
    assert set(everything["beta"]).isdisjoint(real["beta"])
    for curve, named in ((everything, None), (real, "attention_mask")):
        safe = find_safe_threshold(net, data, layers, max_drop=1.0, taus=taus, mask=named)
        assert set(safe.passes["beta"][1:]) <= set(curve["beta"])
    with pytest.raises(ThermoError, match="mask=None"):
        renormalized(Blocks(), [X], "Linear", taus, mask="attention_mask", progress=False)
