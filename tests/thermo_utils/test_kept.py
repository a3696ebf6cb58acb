"""Pruned networks to keep: the outputs are the hooks', and nothing else of the network changes."""

from __future__ import annotations

import copy
import io
import math
import pickle
import warnings
from collections import OrderedDict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from thermo_utils import ActivationPruner, ThermoError
from thermo_utils.kept import prune, unprune
from thermo_utils.pruned import Pruned

DTYPES = [torch.float32, torch.float16, torch.bfloat16, torch.float64]


class Net(nn.Module):
    """Convolution, normalisation, in-place and plain activations, a layer used twice."""

    def __init__(self, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.conv = nn.Conv2d(2, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.relu = nn.ReLU(inplace=True)
        self.block = nn.Sequential(OrderedDict(fc=nn.Linear(4, 6), act=nn.GELU()))
        self.again = self.relu  # one module, two names
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        x = self.relu(self.norm(self.conv(x))).mean((2, 3))
        return self.head(self.drop(self.again(self.block(x))))


def images(n=5, dtype=torch.float32):
    return torch.randn(n, 2, 4, 4, generator=torch.Generator().manual_seed(1)).to(dtype)


def bits(tensor):
    kinds = {2: torch.int16, 4: torch.int32, 8: torch.int64}
    return tensor.contiguous().view(kinds[tensor.element_size()])


def hooked(model, layers, tau, x, **options):
    with torch.no_grad(), ActivationPruner(model, layers, tau, **options):
        return model(x)


SITES = [
    ("relu", 0.3), (["relu", "block.fc"], 0.2), (nn.Linear, 0.1), ("Linear:input", 0.15),
    (["block.act", "head:input"], {"block.act": 0.05, "head:input": 0.1}),
    (["block.fc", "block.fc:input"], {"block.fc": 0.3, "block.fc:input": 0.1}),
    (["block", "block.act"], 0.1), (["norm", "conv:input"], 0.5), ("relu", 0.0),
]  # fmt: skip


@pytest.mark.parametrize(("layers", "tau"), SITES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_outputs_are_those_under_the_hooks(layers, tau, dtype):
    model, x = Net().eval().to(dtype), images(dtype=dtype)
    expected = hooked(model, layers, tau, x)
    with torch.no_grad():
        dense = model(x)
        pruned = prune(model, layers, tau)(x)
    assert torch.equal(bits(pruned), bits(expected))
    assert (tau == 0.0) == torch.equal(pruned, dense)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.floats(width=16, allow_nan=False, allow_infinity=False), min_size=1, max_size=20),
    st.sampled_from(DTYPES),
    st.booleans(),
    st.data(),
)
def test_every_bit_is_the_hooks_also_at_the_threshold(values, dtype, inclusive, data):
    x = torch.tensor(values, dtype=torch.float64).to(dtype)
    near = st.sampled_from([abs(float(v)) for v in x if math.isfinite(v)] or [0.0])
    tau = data.draw(near | st.floats(0, 1e5))
    tau = math.nextafter(tau, data.draw(st.sampled_from([0.0, tau, math.inf])))
    model = nn.Sequential(nn.Identity())
    if bool(torch.isinf(x).any()):  # of bfloat16 values beyond float16 none, but of sums
        return
    expected = hooked(model, "0", tau, x, inclusive=inclusive)
    assert torch.equal(bits(prune(model, "0", tau, inclusive=inclusive)(x)), bits(expected))


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_threshold_is_rounded_to_the_activations_precision(dtype):
    x = torch.tensor([0.1, -0.1], dtype=dtype)  # 0.1 is not a number of any of these types
    assert torch.equal(prune(nn.Sequential(nn.Identity()), "0", 0.1)(x), x)
    assert not prune(nn.Sequential(nn.Identity()), "0", 0.1, inclusive=False)(x).any()


@pytest.mark.parametrize(
    "x",
    [
        torch.randn(2, 3, 4).transpose(0, 2),
        torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
        torch.randn(2, 3, 8)[..., ::2], torch.randn(3, 1).expand(3, 4), torch.tensor(0.1),
        torch.empty(0, 3),
    ],
)  # fmt: skip
def test_shapes_and_strides_are_the_hooks(x):
    model = nn.Sequential(nn.Identity())
    expected = hooked(model, "0", 0.5, x)
    found = prune(model, "0", 0.5)(x)
    assert torch.equal(found, expected)
    assert found.stride() == expected.stride()


def test_nan_and_infinity_stay():
    x = torch.tensor([math.nan, -math.inf, math.inf, 0.1, 2.0])
    y = prune(nn.Sequential(nn.Identity()), "0", 0.5)(x)
    assert torch.equal(bits(y), bits(torch.tensor([math.nan, -math.inf, math.inf, 0.0, 2.0])))


class Gives(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *args, **kwargs):
        return self.function(*args, **kwargs)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: (torch.tensor([1]), x, x.clone()),
        lambda x: {"ids": torch.tensor([1]), "hidden": [x, x.clone()]},
        lambda x: [None, (x,), x.clone()],
    ],
)
def test_the_first_floating_point_tensor_is_pruned_in_any_structure(function):
    x = torch.tensor([0.1, 1.0])
    found, expected = [], []
    with ActivationPruner(model := nn.Sequential(Gives(function)), "0", 0.5):
        torch.utils._pytree.tree_map(expected.append, model(x))
    torch.utils._pytree.tree_map(found.append, prune(model, "0", 0.5)(x))
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert a is b is None or torch.equal(a, b)
    assert sum(torch.equal(t, torch.tensor([0.0, 1.0])) for t in found if t is not None) == 1


def test_the_first_floating_point_argument_is_pruned_also_by_keyword():
    class Calls(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = Gives(lambda ids, hidden, mask: (ids, hidden, mask))

        def forward(self, x):
            return self.inner(torch.tensor([1]), mask=None, hidden=x)

    ids, hidden, mask = prune(Calls(), "inner:input", 0.5)(torch.tensor([0.1, 1.0]))
    assert (ids.tolist(), hidden.tolist(), mask) == ([1], [0.0, 1.0], None)


def test_a_layer_without_activations_says_so():
    model = prune(nn.Sequential(Gives(lambda x: x > 0)), "0", 0.5)
    with pytest.raises(ThermoError, match="Gives"):
        model(torch.ones(2))
    with pytest.raises(ThermoError, match="Embedding"):
        prune(nn.Sequential(nn.Embedding(3, 2)), "0:input", 0.5)(torch.tensor([1]))


def test_what_works_in_place_leaves_the_pruned_activations_in_place():
    class Discards(nn.Module):
        def __init__(self):
            super().__init__()
            self.relu = nn.ReLU(inplace=True)

        def forward(self, x):
            y = x * 1
            self.relu(y)
            return y

    x = torch.tensor([-1.0, 0.2, 2.0], requires_grad=True)
    y = prune(Discards(), "relu", 0.5)(x)
    y.sum().backward()
    assert y.tolist() == x.grad.tolist() or (y.tolist(), x.grad.tolist()) == (
        [0.0, 0.0, 2.0],
        [0.0, 0.0, 1.0],
    )


@pytest.mark.parametrize("inplace", [False, True])
def test_gradients_flow_through_what_survives(inplace):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(inplace=inplace), nn.Linear(8, 2))
    x = torch.randn(3, 4)
    hidden = model[0](x).relu()
    weights = (hidden >= 0.4) * 1.0
    expected = torch.autograd.grad(model[2](hidden * weights).sum(), list(model.parameters()))
    prune(model, nn.ReLU, 0.4)(x).sum().backward()
    for parameter, gradient in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


def trace(model):
    """All that can be told of a network, with the identity of what is in it."""
    return (
        [(name, id(module)) for name, module in model.named_modules(remove_duplicate=False)],
        {
            name: {
                key: tuple(map(id, value.values())) if isinstance(value, dict) else repr(value)
                for key, value in vars(module).items()
            }
            for name, module in model.named_modules()
        },
        list(model.state_dict()),
        [type(module) for module in model.modules()],
    )


@pytest.mark.parametrize(("layers", "tau"), SITES)
def test_unpruning_leaves_no_trace(layers, tau):
    model = Net()
    before = trace(model)
    assert prune(model, layers, tau) is model
    assert trace(model) != before
    assert unprune(model) is model
    assert trace(model) == before
    assert trace(unprune(model)) == before  # one that is not pruned is left alone


def test_a_shared_layer_is_replaced_in_all_its_places():
    class Shares(nn.Module):
        def __init__(self):
            super().__init__()
            self.relu = nn.ReLU()
            self.blocks = nn.ModuleList([nn.Sequential(self.relu), self.relu])
            self.plain = [self.relu, {"deep": [self.relu]}]  # no children, and yet called

        def forward(self, x):
            return self.blocks[0](x) + self.plain[0](x) + self.plain[1]["deep"][0](x)

    model, x = Shares(), torch.tensor([0.2, 1.0])
    relu = model.relu
    prune(model, "relu", 0.5)
    assert model.relu is model.blocks[0][0] is model.blocks[1] is model.plain[0]
    assert torch.equal(model(x), torch.tensor([0.0, 3.0]))
    unprune(model)
    assert relu is model.relu is model.plain[0] is model.plain[1]["deep"][0] is model.blocks[0][0]


def test_a_layer_in_a_tuple_is_refused():
    model = nn.Sequential(nn.ReLU())
    model.held = (model[0],)
    with pytest.raises(ThermoError, match=r"'0'.*ModuleList"):
        prune(model, "0", 0.5)
    assert not isinstance(model[0], Pruned)


def test_weights_pass_both_ways():
    plain, pruned = Net(seed=1), prune(Net(seed=2), ["relu", nn.Linear, "norm"], 0.1)
    keys = list(plain.state_dict())
    assert list(pruned.state_dict()) == keys
    assert plain.state_dict()._metadata == pruned.state_dict()._metadata
    pruned.load_state_dict(plain.state_dict(), strict=True)
    assert all(torch.equal(pruned.state_dict()[k], v) for k, v in plain.state_dict().items())
    other = Net(seed=3)
    other.load_state_dict(pruned.state_dict(), strict=True, assign=True)
    assert all(torch.equal(other.state_dict()[k], v) for k, v in plain.state_dict().items())
    pruned.load_state_dict(Net(seed=4).state_dict(), assign=True)
    assert pruned.head.weight is pruned.head.pruned_layer.weight
    assert [n for n, _ in plain.named_parameters()] == [n for n, _ in pruned.named_parameters()]
    assert [n for n, _ in plain.named_modules()] == [n for n, _ in pruned.named_modules()]


def test_the_layer_answers_for_the_wrapper():
    model = Net()
    head, block, drop = model.head, model.block, model.drop
    prune(model, ["head", "block", "drop", "norm"], 0.1)
    assert (model.head.in_features, model.head.weight) == (6, head.weight)
    assert model.block.fc is block.fc is model.block[0]
    assert (len(model.block), list(model.block), bool(model.head)) == (2, list(block), True)
    model.drop.p = 0.0
    assert drop.p == 0.0
    model.head.weight = nn.Parameter(torch.zeros(3, 6))
    assert head.weight is model.head.weight
    del model.drop.p
    assert not hasattr(drop, "p")
    assert "in_features" in dir(model.head)
    with pytest.raises(AttributeError, match="nonsense"):
        _ = model.head.nonsense


def test_modes_types_and_functions_reach_the_layer():
    model = Net()
    norm, drop = model.norm, model.drop
    prune(model, ["norm", "drop", "head"], 0.1)
    model.eval()
    assert not (norm.training)
    assert not (drop.training)
    assert not (model.drop.training)
    model.drop.train()
    assert drop.training
    assert model.drop.training
    model.eval().half()
    assert model.head.weight.dtype == norm.running_mean.dtype == torch.float16
    assert model(images(dtype=torch.float16)).dtype == torch.float16
    seen = []
    model.to(torch.float64).apply(seen.append)
    assert norm in seen
    assert model.head.weight.dtype == torch.float64
    model.requires_grad_(False)
    assert not norm.weight.requires_grad
    model.to("meta")
    assert norm.weight.is_meta


def test_recurrent_layers_move_with_their_flat_weights():
    class Reads(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.lstm = nn.LSTM(3, 4, batch_first=True)

        def forward(self, x):
            return self.lstm(x)[0]

    model, x = Reads(), torch.randn(2, 5, 3)
    expected = hooked(model, "lstm", 0.1, x)
    with torch.no_grad():  # as above: with gradients another kernel may compute it
        assert torch.equal(prune(model, "lstm", 0.1)(x), expected)
    assert model.double()(x.double()).dtype == torch.float64
    torch.testing.assert_close(model(x.double()).float(), expected)


def test_hooks_that_were_there_see_what_they_saw():
    model, seen = nn.Sequential(nn.Identity()), []
    model[0].register_forward_hook(lambda module, args, output: seen.append(output))
    prune(model, "0", 0.5)
    later = []
    handle = model[0].register_forward_hook(lambda module, args, output: later.append(output))
    model(torch.tensor([0.1, 1.0]))
    assert [t.tolist() for t in seen] == [[torch.tensor(0.1).item(), 1.0]]
    assert [t.tolist() for t in later] == [[0.0, 1.0]]
    handle.remove()


def test_the_threshold_is_shown():
    model = prune(Net(), ["head", "head:input", "relu"], {"head": 0.1, "head:input": 2, "relu": 0})
    assert "(head): Pruned(Linear(in_features=6, out_features=3, bias=True), tau=0.1" in repr(model)
    assert "input_tau=2.0" in repr(model)
    assert "inclusive=False" in repr(prune(nn.Sequential(nn.ReLU()), "0", 1, inclusive=False))


@pytest.mark.parametrize(
    ("layers", "tau", "words"),
    [
        ("relu", -0.1, "-0.1"),
        ("relu", math.inf, "inf"),
        ("relu", math.nan, "nan"),
        ("relu", "much", "much"),
        ("relu", None, "None"),
        ("relu()", 0.1, r"nn\.ReLU"),
        (["head", "block.gelu()"], 0.1, r"block\.gelu"),
        ("nothing", 0.1, "nothing"),
        ([], 0.1, "layers"),
        (["relu", "head"], {"relu": 0.1}, "lacks head"),
        ("relu", {"relu": 0.1, "again": 0.2}, "has again"),
        ("relu", {"relu": -1}, "relu"),
    ],
)
def test_a_refusal_changes_nothing(layers, tau, words):
    model = prune(Net(), "block.act", 0.1)
    before = trace(model)
    with pytest.raises(ThermoError, match=words):
        prune(model, layers, tau)
    assert trace(model) == before


def test_pruned_layers_are_refused_and_others_added():
    model = prune(Net(), "relu", 0.1)
    before = trace(model)
    for layers in ("relu", nn.ReLU, ["head", "again"], "relu:input"):
        with pytest.raises(ThermoError, match=r"'(relu|again)(:input)?'.*unprune"):
            prune(model, layers, 0.1)
        assert trace(model) == before
    both = prune(model, "head", 0.1)
    x = images()
    expected = hooked(Net().eval(), ["relu", "head"], 0.1, x)
    assert torch.equal(both.eval()(x), expected)
    assert not any(isinstance(m, Pruned) for m in unprune(model).modules())
    with pytest.raises(ThermoError, match="holds it"):
        unprune(Pruned(nn.ReLU(), tau=0.1))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_layers_that_are_never_called_are_refused():
    scripted = nn.Sequential(torch.jit.script(nn.Sequential(nn.ReLU())))
    with pytest.raises(ThermoError, match="scripting"):
        prune(scripted, "0", 0.1)
    exported = nn.Sequential(torch.export.export(Net().eval(), (images(),)).module())
    with pytest.raises(ThermoError, match="tracing"):
        prune(exported, "0.head", 0.1)
    lists = nn.Module()
    lists.blocks = nn.ModuleList([nn.ReLU()])
    with pytest.raises(ThermoError, match="ModuleList"):
        prune(lists, "blocks", 0.1)


def encoder(activation=None, **options):
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(
        16, 4, 32, batch_first=True, activation=activation or nn.ReLU(), **options
    )
    return nn.TransformerEncoder(layer, 2, norm=nn.LayerNorm(16)).eval()


class Padded(nn.Module):
    def __init__(self, inner, lengths):
        super().__init__()
        self.inner = inner
        self.mask = None if lengths is None else torch.arange(6) >= torch.tensor(lengths)[:, None]

    def forward(self, x):
        return self.inner(x, src_key_padding_mask=self.mask)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("lengths", [None, [6, 4, 2]])
@pytest.mark.parametrize(
    "layers",
    [
        "inner.layers.1.linear1", "*.activation", "*.linear2:input", "*.self_attn",
        "*.norm1", "inner.layers.0", ["inner.layers.0.linear1", "inner.norm"],
    ],
)  # fmt: skip
def test_the_fused_encoder_passes_no_layer_by(layers, lengths):
    model = Padded(encoder(), lengths)
    x = torch.randn(3, 6, 16)
    with torch.no_grad():
        dense = model(x)
        expected = hooked(model, layers, 0.4, x)
        before = trace(model)
        prune(model, layers, 0.4)
        assert torch.backends.mha.get_fastpath_enabled()
        assert torch.equal(model(x), expected)
        for copied in COPIES:
            assert torch.equal(copied(model)(x), expected)
        assert not torch.allclose(dense, expected, atol=1e-2)
        assert trace(unprune(model)) == before
        assert torch.equal(model(x), dense)


def test_attention_reads_the_weights_of_a_pruned_projection():
    model = encoder()
    x = torch.randn(3, 6, 16)
    expected = model(x)
    with pytest.warns(UserWarning, match=r"layers\.0\.self_attn\.out_proj.*never calls"):
        prune(model, "layers.0.self_attn.out_proj", 5.0)
    torch.testing.assert_close(model(x), expected)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_layers_beside_the_encoder_are_given_what_they_were_measured_with():
    class Pools(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = Padded(encoder(), [6, 4, 2])
            self.act = nn.Tanh()

        def forward(self, x):
            return self.act(self.body(x).mean(1))  # over the padding too, which fused is zero

    model = Pools().eval()
    x = torch.randn(3, 6, 16)
    expected = hooked(model, "act", 0.1, x)
    with torch.no_grad():
        assert not torch.allclose(model(x), expected, atol=0.05)
        assert torch.equal(prune(model, "act", 0.1)(x), expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_attention_by_itself(dtype):
    class Attends(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.attention = nn.MultiheadAttention(16, 4, batch_first=True)
            self.act = nn.GELU()

        def forward(self, x):
            return self.act(self.attention(x, x, x)[0])

    model, x = Attends().eval().to(dtype), torch.randn(3, 6, 16).to(dtype)
    for layers in ("act", "attention", "attention:input"):
        expected = hooked(model, layers, 0.05, x)
        before = trace(model)
        with torch.no_grad():
            assert torch.equal(bits(prune(model, layers, 0.05)(x)), bits(expected))
        assert trace(unprune(model)) == before


def in_memory(model):
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


COPIES = [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model)), in_memory]
ALL = ["relu", "block.fc", "block", "head:input", "norm"]


@pytest.mark.parametrize("copied", COPIES)
def test_copies_are_pruned_and_stand_alone(copied):
    model, x = prune(Net().eval(), ALL, 0.2), images()
    expected = model(x)
    other = copied(model)
    assert torch.equal(other(x), expected)
    assert other.relu is other.again is not model.relu
    with torch.no_grad():
        other.head.weight.zero_()
        assert not torch.equal(other(x), expected)
        assert torch.equal(model(x), expected)
        other.head.bias.zero_()
        assert not other(x).any()
    plain = unprune(other)
    assert not any(isinstance(m, Pruned) for m in plain.modules())
    assert list(plain.state_dict()) == list(Net().state_dict())
    assert plain.head.weight is dict(plain.named_parameters())["head.weight"]


def test_a_layer_that_copies_itself_is_shared_anew():
    traced = torch.fx.symbolic_trace(nn.Sequential(nn.Linear(3, 3)))
    model = prune(nn.Sequential(traced), "0", 0.3)
    for copied in COPIES:
        other = copied(model)
        other.load_state_dict({k: torch.ones_like(v) for k, v in model.state_dict().items()})
        assert torch.equal(other(torch.ones(1, 3)), torch.full((1, 3), 4.0))


@pytest.mark.parametrize("backend", ["eager", pytest.param("inductor", marks=pytest.mark.slow)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_compiled(backend, dtype):
    torch._dynamo.reset()  # what other tests had compiled counts towards a limit
    model, x = Net().eval().to(dtype), images(dtype=dtype)
    with torch.no_grad():
        compiled = torch.compile(model, backend=backend, fullgraph=True)
        close = {"rtol": 2e-2, "atol": 2e-2} if dtype == torch.bfloat16 else {}
        for tau in (0.2, 0.4):  # what was compiled before notices
            prune(model, ALL, tau)
            torch.testing.assert_close(compiled(x), model(x), **close)
            unprune(model)
            torch.testing.assert_close(compiled(x), model(x), **close)


def test_a_compiled_part_is_pruned_as_a_whole():
    torch._dynamo.reset()
    model = nn.Sequential(torch.compile(nn.Sequential(nn.Linear(3, 4)), backend="eager"))
    x = torch.randn(2, 3)
    dense = model(x)
    before = trace(model)
    prune(model, "0", 0.5)
    assert torch.equal(model(x), torch.where(dense.abs() < 0.5, 0.0, dense))
    assert trace(unprune(model)) == before
    with pytest.raises(ThermoError, match=r"_orig_mod.*'0'"):
        prune(model, "0._orig_mod", 0.5)


@pytest.mark.slow
@pytest.mark.parametrize("inclusive", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
def test_compiled_code_compares_in_the_activations_precision(dtype, inclusive):
    torch._dynamo.reset()
    x = torch.tensor([0.1, -0.1, 0.0999, 0.11, math.nan], dtype=dtype)
    model = prune(nn.Sequential(nn.Identity()), "0", 0.1, inclusive=inclusive)
    assert torch.equal(bits(torch.compile(model)(x)), bits(model(x)))


@pytest.mark.parametrize("lengths", [None, [6, 4, 2]])
def test_compiled_encoder(lengths):
    torch._dynamo.reset()
    model, x = prune(Padded(encoder(), lengths), ["*.linear1", "*.activation"], 0.4), None
    x = torch.randn(3, 6, 16)
    with torch.no_grad():
        compiled = torch.compile(model, backend="eager")
        torch.testing.assert_close(compiled(x), model(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("strict", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_exported(strict):
    model, x = prune(Net().eval(), ALL, 0.2), images()
    program = torch.export.export(
        model, (x,), dynamic_shapes=({0: torch.export.Dim("batch", min=2)},), strict=strict
    )
    assert torch.equal(program.module()(x), model(x))
    assert torch.equal(program.module()(images(7)), model(images(7)))
    assert program.state_dict.keys() == model.state_dict().keys()


@pytest.mark.parametrize(
    "make", [Net, pytest.param(lambda: Padded(encoder(), [6, 4, 2]), marks=pytest.mark.slow)]
)
def test_onnx(make, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    model = make().eval()
    x = images() if isinstance(model, Net) else torch.randn(3, 6, 16)
    layers = ALL if isinstance(model, Net) else ["*.linear1", "*.activation"]
    dense = model(x).detach()
    prune(model, layers, 0.3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(model, (x,), dynamo=True, verbose=False)
    program.save(tmp_path / "pruned.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "pruned.onnx")
    (found,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    expected = model(x).detach().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert np.abs(dense.numpy() - expected).max() > 1e-2
