"""Networks that do unusual but legitimate things, and data that are refused in one sentence."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from thermo_utils import (
    ActivationPruner,
    ThermoError,
    accuracy_threshold,
    critical_threshold,
    evaluate,
    find_safe_threshold,
    full_evaluation,
    renormalized,
)
from thermo_utils.activations import default_layers
from thermo_utils.grids import automatic_step, grids

pytestmark = pytest.mark.filterwarnings("ignore:the unpruned network's accuracy")


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def own_labels(net, x):
    """What a network says of itself, so that its accuracy is one."""
    net.eval()
    return net(x).detach().argmax(-1)


TAUS = [0.1, 0.3, 0.6, 1.0]


class Experts(nn.Module):
    """Each example goes to the expert of its strongest activation; pruned, to another."""

    def __init__(self, experts=4):
        super().__init__()
        torch.manual_seed(1)
        self.gate = nn.Sequential(nn.Linear(6, experts), nn.Tanh())
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)) for _ in range(experts)
        )

    def forward(self, x):
        chosen = (self.gate(x) + torch.tensor([1.0, -1.0, -1.0, -1.0]) * 0.05).argmax(1)
        out = x.new_zeros(len(x), 3)
        for i, expert in enumerate(self.experts):
            if bool((chosen == i).any()):
                out[chosen == i] = expert(x[chosen == i])
        return out


def test_an_expert_that_pruning_silences_is_no_error():
    net, x = Experts(), drawn(40, 6)
    data = [(x, own_labels(net, x))]
    curve = full_evaluation(net, data, [nn.Tanh, nn.ReLU], [0.3, 5.0], progress=False)
    assert curve.attrs["layers"] == ["gate.1", *(f"experts.{i}.1" for i in range(4))]
    with ActivationPruner(net, [nn.Tanh, nn.ReLU], 5.0) as pruner, torch.no_grad():
        net(x)
    assert pruner.calls["experts.1.1"] == 0, "the test is of a network whose routes change"
    assert find_safe_threshold(net, data, [nn.Tanh, nn.ReLU]).tau > 0


def test_an_expert_that_these_data_never_reach_is_said():
    net = Experts()
    x = drawn(40, 6)
    net.gate[0].bias.data[2] = -1e3
    data = [(x, own_labels(net, x))]
    with pytest.warns(UserWarning, match=r"1 of 4 layers never ran.*experts\.2\.1"):
        curve = renormalized(net, data, nn.ReLU, TAUS, progress=False)
    assert "experts.2.1" not in curve.attrs["layers"]
    with pytest.raises(ThermoError, match=r"experts\.2\.1.*never ran"):  # asked for by name
        renormalized(net, data, ["experts.2.1", "experts.0.1"], TAUS, progress=False)


def test_hints_name_layers_that_ran():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.relu1, self.relu2, self.relu3 = nn.ReLU(), nn.ReLU(), nn.ReLU()

        def forward(self, x):
            return self.relu3(x)

    with pytest.raises(ThermoError, match="'relu1'") as caught:
        renormalized(Net(), [drawn(2, 3)], "relu1", TAUS, progress=False)
    assert "relu3" in str(caught.value)
    assert "relu2" not in str(caught.value)


class Shares(nn.Module):
    """Divides by what survives, so that pruning all of a row makes NaN."""

    def __init__(self, at):
        super().__init__()
        self.act, self.out = nn.ReLU(), nn.Identity()
        self.at = at

    def forward(self, x):
        x = self.act(x)
        shares = x / x.sum(1, keepdim=True)
        return self.out(shares) if self.at == "activation" else shares


@pytest.mark.parametrize("at", ["activation", "score"])
def test_nan_that_pruning_makes_is_said_and_the_sweep_goes_on(at, tmp_path):
    x = 0.65 + 0.35 * torch.rand(50, 3, generator=torch.Generator().manual_seed(1))
    x[0] = torch.tensor([0.5, 0.4, 0.3])
    net = Shares(at)
    data = [(x, x.argmax(1))]
    layers = ["act", "out"] if at == "activation" else "act"
    for attempt in range(2):  # measured, and read from the checkpoint
        with pytest.warns(UserWarning, match=r"tau = 0\.6.*NaN"):
            curve = full_evaluation(
                net, data, layers, [0.2, 0.4, 0.6, 0.99], progress=False,
                checkpoint=tmp_path / "sweep",
            )  # fmt: skip
        assert curve["accuracy"].isna().tolist() == [False, False, True, True], attempt
        assert curve["lost"].isna().tolist() == [False, False, True, True]
        assert curve["active"].isna().tolist() == [at == "activation" and i > 1 for i in range(4)]
        assert "tau = 0.6" in curve.attrs["warnings"][0]
    threshold = accuracy_threshold(curve)
    assert threshold.tau <= 0.4
    critical_threshold(curve)  # which a row of nothing does not stop
    with pytest.warns(UserWarning, match="NaN"):
        safe = find_safe_threshold(net, data, layers, taus=[0.2, 0.6, 0.7], max_drop=1.0)
    assert safe.tau == 0.2
    assert not safe.passes.query("tau > 0.5")["safe"].any()
    assert any("makes NaN" in text for text in safe.warnings)


class Energies(nn.Module):
    """Its scores are forces: gradients of an energy, taken in forward."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(2)
        self.layers = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))

    def forward(self, x):
        x = x.detach().requires_grad_()
        energy = self.layers(x).sum()
        return torch.autograd.grad(energy, x, create_graph=self.training)[0]


@pytest.mark.parametrize("once", [False, True])
def test_gradients_in_forward(once):
    net, x = Energies(), drawn(60, 3)
    targets = net(x).argmax(1)
    batches = list(zip(x.split(20), targets.split(20), strict=True))

    def data():
        return iter(batches) if once else batches

    layers = "layers.1"
    assert evaluate(net, data()) == 1
    fast = renormalized(net, data(), layers, TAUS, progress=False)
    full = full_evaluation(net, data(), layers, TAUS, progress=False)
    assert fast.attrs["total"] == full.attrs["total"] == 60 * 8
    assert fast["active"].tolist() == full["active"].tolist()
    tau = find_safe_threshold(net, data()).tau
    assert tau >= 0
    weight = net.layers[0].weight
    with ActivationPruner(net, layers, 0.5):
        pruned = net(x)
    hidden = torch.tanh(x @ weight.T + net.layers[0].bias)
    kept = (hidden.abs() >= 0.5).float()  # gradients flow through what survives
    by_hand = ((1 - hidden**2) * kept * net.layers[2].weight) @ weight
    assert torch.allclose(pruned, by_hand, atol=1e-6)
    assert not torch.allclose(pruned, net(x))


def test_what_forward_keeps_can_be_trained_with():
    class Caching(nn.Module):
        def __init__(self):
            super().__init__()
            self.lazy = nn.LazyLinear(5)
            self.act = nn.ReLU()
            self.table = None

        def forward(self, x):
            if self.table is None:
                self.table = torch.linspace(0, 1, x.shape[1]) * torch.ones(1)
            return self.act(self.lazy(x * self.table))

    for method in (renormalized, full_evaluation):
        net = Caching().train()
        data = [(drawn(8, 4), torch.arange(8) % 5)]
        method(net, data, "act", TAUS, progress=False)
        net(data[0][0]).sum().backward()
        assert net.lazy.weight.grad is not None
        assert not net.table.is_inference()
        torch.optim.SGD(net.parameters(), 0.1).step()


def test_a_lazy_network_by_default():
    net = nn.Sequential(nn.LazyLinear(16), nn.ReLU(), nn.LazyLinear(3))
    x = drawn(50, 4)
    data = [(x, torch.arange(50) % 3)]
    assert default_layers(net) == ["1"]
    assert renormalized(net, data, nn.ReLU, TAUS, progress=False).attrs["total"] > 0


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("norm_first", [False, True])
def test_the_fused_encoder(padded, norm_first):
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, 0.1, batch_first=True, norm_first=norm_first)

    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=not norm_first)
            self.head = nn.Linear(8, 3)

        def forward(self, x, mask=None):
            return self.head(self.encoder(x, src_key_padding_mask=mask).mean(1))

    net, x = Reader().eval(), drawn(6, 5, 8)
    mask = torch.zeros(6, 5, dtype=torch.bool)
    mask[:, 4] = True
    inputs = {"x": x, "mask": mask} if padded else {"x": x}
    data = [{**inputs, "labels": torch.arange(6) % 3}]

    def by_hand(tau):
        """The network with its layers written out."""
        h, count = x, 0
        bias = torch.zeros(6, 1, 5).masked_fill(mask[:, None], -math.inf) if padded else None
        for one in net.encoder.layers:
            a = one.norm1(h) if norm_first else h
            q, k, v = (a @ one.self_attn.in_proj_weight.T + one.self_attn.in_proj_bias).chunk(3, -1)
            heads = [t.unflatten(-1, (2, 4)).transpose(1, 2) for t in (q, k, v)]
            shares = heads[0] @ heads[1].transpose(-1, -2) / 2
            shares = (shares + bias[:, None] if padded else shares).softmax(-1)
            mixed = one.self_attn.out_proj((shares @ heads[2]).transpose(1, 2).flatten(-2))
            h = h + mixed if norm_first else one.norm1(h + mixed)
            a = F.relu(one.linear1(one.norm2(h) if norm_first else h))
            a = torch.where(a >= tau, a, 0.0)
            count += int((a != 0).sum())
            h = h + one.linear2(a) if norm_first else one.norm2(h + one.linear2(a))
        return net.head(h.mean(1)), count

    sites = default_layers(net, data[0])
    assert sites == ["encoder.layers.0.relu()", "encoder.layers.1.relu()"]
    with torch.no_grad():
        for tau in (0.0, 0.2):
            expected, count = by_hand(tau)
            with ActivationPruner(net, sites, tau) as pruner:
                found = net(**inputs)
            assert torch.allclose(found, expected, atol=1e-5)
            assert pruner.active == count
    assert torch.backends.mha.get_fastpath_enabled()
    full = full_evaluation(net, data, "encoder.layers.0.relu()", TAUS, progress=False)
    fast = renormalized(net, data, "encoder.layers.0.relu()", TAUS, progress=False)
    assert full["active"].tolist() == fast["active"].tolist()


@pytest.mark.parametrize("padded", [False, True])
def test_multihead_attention(padded):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
            self.head = nn.Linear(8, 3)

        def forward(self, x, mask=None):
            return self.head(self.attention(x, x, x, key_padding_mask=mask)[0][:, 0])

    net, x = Net().eval(), drawn(6, 5, 8)
    mask = torch.zeros(6, 5, dtype=torch.bool)
    mask[:, 3:] = padded
    with torch.no_grad():
        mixed = net.attention(x, x, x, key_padding_mask=mask)[0]
        expected = net.head(torch.where(mixed.abs() >= 0.1, mixed, 0.0)[:, 0])
        with ActivationPruner(net, "attention", 0.1) as pruner:
            found = net(x, mask)
    assert torch.allclose(found, expected, atol=1e-6)
    assert pruner.active == int((mixed.abs() >= 0.1).sum())
    data = [{"x": x, "mask": mask, "labels": torch.arange(6) % 3}]
    with pytest.warns(UserWarning, match=r"1 of 2 layers never ran.*out_proj"):
        curve = full_evaluation(net, data, nn.Linear, TAUS, progress=False)
    assert curve.attrs["layers"] == ["head"]


def test_compiled():
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    x = drawn(30, 4)
    data = [(x, own_labels(net, x))]
    quick = torch.compile(net, backend="eager")
    quick(x)
    assert default_layers(quick, x) == ["_orig_mod.1"]
    plain = full_evaluation(net, data, nn.ReLU, TAUS, progress=False)
    found = full_evaluation(quick, data, nn.ReLU, TAUS, progress=False)
    assert found["active"].tolist() == plain["active"].tolist()
    assert found["accuracy"].tolist() == plain["accuracy"].tolist()


def made(kind):
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    if kind == "scripted":
        return torch.jit.script(net)
    if kind == "traced":
        return torch.jit.trace(net, drawn(2, 4))
    exported = torch.export.export(net, (drawn(50, 4),))
    return {"exported": exported, "its module": exported.module(), "a function": torch.relu}[kind]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", ["scripted", "traced", "exported", "its module", "a function"])
def test_networks_without_layers(kind):
    net, data = made(kind), [(drawn(50, 4), torch.arange(50) % 3)]
    methods = [
        lambda: renormalized(net, data, nn.ReLU, TAUS),
        lambda: full_evaluation(net, data, nn.ReLU, TAUS),
        lambda: find_safe_threshold(net, data),
        lambda: ActivationPruner(net, nn.ReLU, 0.1),
        lambda: default_layers(net, data[0]),
    ]
    for method in methods:
        with pytest.raises(ThermoError, match=r"give the module|not a torch"):
            method()


IDS, MASK = torch.arange(2, 14).reshape(3, 4), torch.tensor([[1, 1, 1, 0]] * 3)


class Reads(nn.Module):
    def __init__(self):
        super().__init__()
        self.act = nn.ReLU()

    def forward(self, input_ids, attention_mask=None):
        return self.act(F.one_hot(input_ids.sum(1) % 3, 3).float() + 0.1)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ([IDS, MASK], "attention_mask.*labels"),
        ((IDS, MASK.bool()), "attention_mask.*labels"),
        ({"input_ids": [[1, 2], [3]], "labels": torch.tensor([0, 1])}, "input_ids.*pad"),
        ({"input_ids": ["a text", "another"]}, "input_ids.*str"),
        ("a text", "str"),
        (["a text"], "str"),
        ([[1, 2, 3], torch.tensor([0])], "int.*stack"),
        ({"input_ids": IDS, "text": ["a", "b", "c"]}, "text.*leave out"),
        (
            {"input_ids": IDS, "token_type_ids": IDS, "labels": torch.arange(3)},
            "token_type_ids.*attention_mask",
        ),
        ({"input_ids": IDS, "labels": ["a", "b", "c"]}, "str.*number the classes"),
        ((IDS, [0, 1, 2]), r"torch\.tensor"),
        (([torch.ones(2), torch.ones(3), torch.ones(4)], torch.arange(3)), "3 inputs.*padded"),
        ((IDS, MASK, IDS), "3 parts"),
    ],
)
@pytest.mark.parametrize("method", [renormalized, full_evaluation])
def test_batches_that_are_none(method, batch, message):
    with pytest.raises(ThermoError, match=message):
        method(Reads(), [batch], "act", TAUS, progress=False)


def test_batches_like_those_that_are_fine():
    net = Reads()
    masked = {"input_ids": IDS, "attention_mask": MASK, "labels": torch.arange(3)}
    assert renormalized(net, [masked], "act", TAUS, progress=False).attrs["total"] == 9
    # Images with a mask of classes, and tokens with other labels, are pairs.
    seg = nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU())
    pair = (drawn(2, 3, 4, 4), (drawn(2, 4, 4) > 0).long())
    assert len(full_evaluation(seg, [pair], "1", TAUS, progress=False)) == 4

    class Tags(Reads):
        def forward(self, input_ids):
            return self.act(F.one_hot(input_ids % 3, 3).float())

    assert evaluate(Tags(), [(IDS, IDS % 3)]) == 1
    assert evaluate(Tags(), [{"input_ids": IDS, "labels": IDS % 2}]) < 1


def test_errors_of_the_network_itself_are_its_own():
    class Wrong(nn.Module):
        def __init__(self):
            super().__init__()
            self.act = nn.ReLU()

        def forward(self, x):
            return self.act(x) + "a"

    with pytest.raises(TypeError, match="str"):
        renormalized(Wrong(), [drawn(2, 3)], "act", TAUS, progress=False)


@pytest.mark.parametrize("seed", range(20))
def test_one_layer_has_one_transition_on_any_grid(seed):
    """FE on a coarse and RFE on a fine grid see the same curve, and say the same of it."""
    torch.manual_seed(seed)
    kinds = (nn.ReLU, nn.GELU, nn.Tanh, nn.SiLU, nn.Softplus)
    net = nn.Sequential(nn.Linear(20, 64), kinds[seed % 5](), nn.Linear(64, 4))
    x = drawn(2000, 20, seed=seed) * (1 + seed % 3)
    data = [(x, own_labels(net, x))]
    coarse, fine = grids(*automatic_step(net, data, "1"))
    full = full_evaluation(net, data, "1", coarse, progress=False)
    fast = renormalized(net, data, "1", fine, progress=False)
    found = [critical_threshold(curve) for curve in (full, fast)]
    assert (found[0] is None) == (found[1] is None)
    step = float(np.diff(coarse).max())
    # Of what lies within its first step, the coarse grid has too few points to tell.
    if found[0] is not None and found[1].tau > step:
        assert abs(found[0].tau - found[1].tau) <= step * (1 + 1e-9)


def test_one_shot_data_may_be_given_to_everything():
    net, x = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)), drawn(30, 4)
    pairs = list(zip(x.split(10), own_labels(net, x).split(10), strict=True))
    for method in (
        lambda data: evaluate(net, data),
        lambda data: renormalized(net, data, "1", TAUS, progress=False)["active"].tolist(),
        lambda data: full_evaluation(net, data, "1", TAUS, progress=False)["accuracy"].tolist(),
        lambda data: find_safe_threshold(net, data).tau,
    ):
        assert method(pair for pair in pairs) == method(pairs)
