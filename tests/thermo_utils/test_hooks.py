"""Layer selection and pruning inside arbitrary modules, against masks written out by hand."""

from __future__ import annotations

import gc
import weakref
from collections import OrderedDict, namedtuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_sequence

from thermo_utils import ActivationPruner, ThermoError, resolve_layers
from thermo_utils.hooks import ActivationHooks

Pair = namedtuple("Pair", "hidden extra")


def mlp(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        OrderedDict(
            one=nn.Linear(6, 12), act1=nn.ReLU(), two=nn.Linear(12, 8), act2=nn.ReLU(),
            head=nn.Linear(8, 3),
        )
    )  # fmt: skip


def batch(n=32, seed=1):
    return torch.randn(n, 6, generator=torch.Generator().manual_seed(seed))


def mask(x, tau):
    return torch.where(x.abs() >= tau, x, torch.zeros_like(x))


def hooks_of(model):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


class Tree(nn.Module):
    """Names and nesting to select from."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Linear(6, 6)
        self.blocks = nn.ModuleList(
            nn.Sequential(OrderedDict(fc=nn.Linear(6, 6), act=nn.ReLU())) for _ in range(2)
        )
        self.relu = nn.ReLU()
        self.again = self.relu  # one module, two names

    def forward(self, x):
        for block in self.blocks:
            x = self.relu(block(self.stem(x)))
        return x


@pytest.mark.parametrize(
    ("layers", "names"),
    [
        ("stem", ["stem"]),
        ("blocks.1.act", ["blocks.1.act"]),
        ("blocks.*.act", ["blocks.0.act", "blocks.1.act"]),
        ("*act", ["blocks.0.act", "blocks.1.act"]),
        ("blocks.?.fc", ["blocks.0.fc", "blocks.1.fc"]),
        ("blocks.[1-9].*", ["blocks.1.fc", "blocks.1.act"]),
        ("blocks*", ["blocks.0.fc", "blocks.0.act", "blocks.1.fc", "blocks.1.act"]),
        (nn.ReLU, ["blocks.0.act", "blocks.1.act", "relu"]),
        (nn.Sequential, ["blocks.0", "blocks.1"]),
        ([nn.Sequential, nn.ReLU], ["blocks.0.act", "blocks.1.act", "relu"]),
        (["blocks.?", nn.ReLU], ["blocks.0.act", "blocks.1.act", "relu"]),
        (["blocks.0", nn.ReLU], ["blocks.0", "blocks.0.act", "blocks.1.act", "relu"]),
        (["relu", "again"], ["relu"]),
        (("blocks.1.act", "stem", "stem", "st*"), ["stem", "blocks.1.act"]),
        ({"stem": 1}, ["stem"]),
        ((n for n in ["stem"]), ["stem"]),
        ("ReLU", ["blocks.0.act", "blocks.1.act", "relu"]),
        ("Sequential", ["blocks.0", "blocks.1"]),
        (["Sequential", "ReLU"], ["blocks.0.act", "blocks.1.act", "relu"]),
        (["blocks.0", "ReLU"], ["blocks.0", "blocks.0.act", "blocks.1.act", "relu"]),
    ],
)
def test_resolve_layers(layers, names):
    model = Tree()
    chosen = resolve_layers(model, layers)
    assert list(chosen) == names
    modules = dict(model.named_modules(remove_duplicate=False))
    assert all(modules[name] is module for name, module in chosen.items())


def test_shared_module_is_found_under_its_second_name():
    assert list(resolve_layers(Tree(), "again")) == ["again"]


def test_brackets_in_a_name_are_taken_literally_first():
    model = nn.ModuleDict({"a[0]": nn.ReLU(), "a0": nn.ReLU()})
    assert list(resolve_layers(model, "a[0]")) == ["a[0]"]


def test_the_name_of_a_class_stands_for_that_class_alone():
    model = nn.Sequential(nn.ReLU6(), nn.Hardtanh(), nn.ReLU())
    assert isinstance(model[0], nn.Hardtanh)
    assert list(resolve_layers(model, "Hardtanh")) == ["1"]
    assert list(resolve_layers(model, nn.Hardtanh)) == ["0", "1"]


def test_a_name_or_pattern_comes_before_the_name_of_a_class():
    model = nn.ModuleDict({"ReLU": nn.Linear(2, 2), "act": nn.ReLU()})
    assert list(resolve_layers(model, "ReLU")) == ["ReLU"]
    assert list(resolve_layers(model, "ReL?")) == ["ReLU"]
    assert list(resolve_layers(model, "Linear")) == ["ReLU"]


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ("blocks.0.atc", "'blocks.0.atc'.*blocks.0.act"),
        ("steem", "'steem'.*stem"),
        ("Relu", "'Relu'.*ReLU"),
        ("GELU", "'GELU'.*ReLU"),
        ("zzz", "'zzz'.*stem.*Linear"),
        ("blocks.*.gelu", "'blocks"),
        (nn.GELU, "GELU.*ReLU"),
        ([], "layers="),
        ([nn.ReLU, "nope"], "'nope'"),
        ([3], "3"),
        ([int], "<class 'int'>"),
        (["stem", None], "None"),
        ("", "''"),
    ],
)
def test_resolve_refusals(layers, message):
    model = Tree()
    with pytest.raises(ThermoError, match=message):
        resolve_layers(model, layers)
    with pytest.raises(ThermoError, match=message):
        ActivationPruner(model, layers, 0.1)
    assert hooks_of(model) == 0


@settings(max_examples=30)
@given(st.floats(0, 3), st.integers(1, 20), st.booleans())
def test_prunes_and_counts_like_masks(tau, n, train):
    model, x = mlp().train(train), batch(n)
    with torch.no_grad(), ActivationPruner(model, nn.ReLU, tau) as pruner:
        y = model(x)
    with torch.no_grad():
        raw1 = torch.relu(model.one(x))
        kept1 = mask(raw1, tau)
        raw2 = torch.relu(model.two(kept1))
        kept2 = mask(raw2, tau)
        expected = model.head(kept2)
    torch.testing.assert_close(y, expected, rtol=0, atol=0)
    assert pruner.active == sum(int((k != 0).sum()) for k in (kept1, kept2))
    assert pruner.total == sum(int((r != 0).sum()) for r in (raw1, raw2))
    assert pruner.abs_sum == pytest.approx(sum(float(k.double().sum()) for k in (kept1, kept2)))
    assert pruner.total_abs_sum == pytest.approx(sum(float(r.double().sum()) for r in (raw1, raw2)))
    table = pruner.per_layer().set_index("layer")
    assert table.index.tolist() == ["act1", "act2"]
    assert table.loc["act1", "active"] == int((kept1 != 0).sum())
    assert table["total"].sum() == pruner.total


def test_without_totals_only_what_survives_is_known():
    model, x = mlp(), batch()
    with ActivationPruner(model, nn.ReLU, 0.3, totals=False) as pruner, torch.no_grad():
        y = model(x)
    with ActivationPruner(model, nn.ReLU, 0.3) as expected, torch.no_grad():
        assert torch.equal(model(x), y)
    assert (pruner.active, pruner.abs_sum) == (expected.active, expected.abs_sum)
    for name in ("total", "total_abs_sum"):
        with pytest.raises(ThermoError, match="totals=False"):
            getattr(pruner, name)
    with pytest.raises(ThermoError, match="totals=False"):
        pruner.per_layer()


def test_tau_zero_leaves_the_outputs_themselves():
    kept = []
    model = nn.Sequential(nn.ReLU(), nn.Identity())
    model[0].register_forward_hook(lambda module, args, output: kept.append(output))
    model[1].register_forward_pre_hook(lambda module, args: kept.append(args[0]))
    with ActivationPruner(model, "0", 0.0):
        model(batch())
    assert kept[0] is kept[1]


def test_tau_zero_changes_nothing():
    model, x = mlp(), batch()
    with ActivationPruner(model, nn.ReLU, 0.0) as pruner:
        y = model(x)
    assert torch.equal(y, model(x))
    assert pruner.active == pruner.total > 0


@pytest.mark.parametrize(("inclusive", "kept"), [(True, [0.5, -0.5, 0.75]), (False, [0.75])])
def test_boundary(inclusive, kept):
    model = nn.Sequential(nn.Identity())
    with ActivationPruner(model, "0", 0.5, inclusive=inclusive) as pruner:
        y = model(torch.tensor([0.25, 0.5, -0.5, 0.75]))
    assert y[y != 0].tolist() == kept
    assert pruner.active == len(kept)


def test_count_zeros():
    model = nn.Sequential(nn.Identity())
    x = torch.tensor([0.0, 0.0, 1.0])
    with ActivationPruner(model, "0", 0.5, count_zeros=True) as pruner:
        model(x)
    assert (pruner.active, pruner.total) == (1, 3)


@pytest.mark.parametrize("tau", [-0.1, float("nan"), float("inf")])
def test_tau_must_be_a_threshold(tau):
    model = mlp()
    with pytest.raises(ThermoError, match=f"tau.*{tau}"):
        ActivationPruner(model, nn.ReLU, tau)
    assert hooks_of(model) == 0


# -- life of the hooks ---------------------------------------------------------------------------


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_hooks_are_gone_after_any_exception(error):
    model = mlp()
    with pytest.raises(error), ActivationPruner(model, nn.ReLU, 0.1):  # noqa: PT012
        model(batch())
        raise error
    assert hooks_of(model) == 0


def test_hooks_are_gone_when_the_model_fails():
    model = mlp()
    with pytest.raises(RuntimeError), ActivationPruner(model, nn.ReLU, 0.1):
        model(torch.ones(2, 5))
    assert hooks_of(model) == 0


def test_hooks_are_gone_when_registering_fails(monkeypatch):
    model = mlp()

    def refuse(hook):
        raise MemoryError

    monkeypatch.setattr(model.act2, "register_forward_hook", refuse)
    with pytest.raises(MemoryError), ActivationPruner(model, nn.ReLU, 0.1):
        pass
    assert hooks_of(model) == 0


def test_own_hooks_of_the_model_stay():
    model, seen = mlp(), []
    model.act1.register_forward_hook(lambda *_: seen.append(1))
    with ActivationPruner(model, nn.ReLU, 0.1):
        model(batch())
    model(batch())
    assert (len(seen), hooks_of(model)) == (2, 1)


def test_outside_the_block_nothing_is_pruned():
    model, x = mlp(), batch()
    plain = model(x)
    pruner = ActivationPruner(model, nn.ReLU, 0.5)
    assert torch.equal(model(x), plain)
    with pruner:
        assert not torch.equal(model(x), plain)
    assert torch.equal(model(x), plain)


def test_entering_twice():
    model, x = mlp(), batch()
    pruner = ActivationPruner(model, nn.ReLU, 0.5)
    with pruner:
        model(x)
        with pytest.raises(ThermoError, match="leave the block"):
            pruner.__enter__()
    first = pruner.active
    with pruner:  # a new block counts anew
        model(x)
    assert pruner.active == first
    assert hooks_of(model) == 0


def test_counts_add_up_over_batches():
    model, x = mlp(), batch(32)
    with ActivationPruner(model, nn.ReLU, 0.3) as whole:
        model(x)
    with ActivationPruner(model, nn.ReLU, 0.3) as parts:
        for part in x.split([1, 9, 22]):
            model(part)
    assert (parts.active, parts.total) == (whole.active, whole.total)
    assert parts.abs_sum == pytest.approx(whole.abs_sum, rel=1e-6)


def test_nested_pruners_on_different_layers():
    model, x = mlp(), batch()
    with (
        ActivationPruner(model, "act1", 0.3) as first,
        ActivationPruner(model, "act2", 0.6) as second,
    ):
        y = model(x)
    kept = mask(torch.relu(model.one(x)), 0.3)
    after = torch.relu(model.two(kept))
    torch.testing.assert_close(y, model.head(mask(after, 0.6)))
    assert first.active == int((kept != 0).sum())
    assert second.total == int((after != 0).sum())


def test_nested_pruners_on_the_same_layer():
    model, x = mlp(), batch()
    with (
        ActivationPruner(model, "act1", 0.3) as outer,
        ActivationPruner(model, "act1", 0.6) as inner,
    ):
        model(x)
    assert inner.total == outer.active  # the inner one sees what the outer one left
    assert inner.active == int((torch.relu(model.one(x)) >= 0.6).sum())


def test_layer_that_never_runs():
    model = Tree()
    model.unused = nn.ReLU()
    with (
        pytest.raises(ThermoError, match=r"'unused'.*stem"),
        ActivationPruner(model, ["stem", "unused"], 0.1),
    ):
        model(batch())
    with (
        pytest.raises(ThermoError, match="'unused'"),
        ActivationPruner(model, "unused", 0.1),
    ):
        model(batch())
    assert hooks_of(model) == 0


def test_model_that_never_runs_is_no_error():
    with ActivationPruner(mlp(), nn.ReLU, 0.1) as pruner:
        pass
    assert pruner.active == pruner.total == 0
    assert pruner.abs_sum == 0.0


# -- shapes of modules ---------------------------------------------------------------------------


def test_module_called_twice_counts_twice():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.act = nn.ReLU()

        def forward(self, x):
            return self.act(self.act(x) - 0.2)

    model, x = Twice(), batch()
    with ActivationPruner(model, "act", 0.1) as pruner:
        y = model(x)
    first = mask(torch.relu(x), 0.1)
    second = mask(torch.relu(first - 0.2), 0.1)
    assert torch.equal(y, second)
    assert pruner.active == int((first != 0).sum() + (second != 0).sum())
    assert pruner.per_layer()["active"].tolist() == [pruner.active]


def test_in_place_activations():
    reference = mlp()
    model = mlp()
    model.act1 = nn.ReLU(inplace=True)
    x = batch()
    with ActivationPruner(model, "act1", 0.3) as pruner, torch.no_grad():
        y = model(x)
    with ActivationPruner(reference, "act1", 0.3) as expected, torch.no_grad():
        assert torch.equal(y, reference(x))
    assert pruner.abs_sum == expected.abs_sum


def test_outputs_are_never_changed_in_place():
    class Keeps(nn.Module):
        def forward(self, x):
            self.kept = x * 1
            return self.kept

    model = nn.Sequential(Keeps())
    x = batch()
    with ActivationPruner(model, "0", 10.0):
        assert not model(x).any()
    assert torch.equal(model[0].kept, x)


class Wraps(nn.Module):
    """Returns its input in a container made by a function."""

    def __init__(self, make):
        super().__init__()
        self.inner = Container(make)

    def forward(self, x):
        return self.inner(x)


class Container(nn.Module):
    def __init__(self, make):
        super().__init__()
        self.make = make

    def forward(self, x):
        return self.make(x)


class Record(OrderedDict):
    """Like the output classes of transformers: a mapping with attributes."""

    def __getattr__(self, name):
        if name in self:
            return self[name]
        raise AttributeError(name)


INDEX = torch.arange(3)


@pytest.mark.parametrize(
    ("make", "read"),
    [
        (lambda x: (x, INDEX), lambda y: y[0]),
        (lambda x: (INDEX, x), lambda y: y[1]),
        (lambda x: (None, [INDEX, x]), lambda y: y[1][1]),
        (lambda x: [x, None], lambda y: y[0]),
        (lambda x: {"ids": INDEX, "h": x}, lambda y: y["h"]),
        (lambda x: Pair(x, INDEX), lambda y: y.hidden),
        (lambda x: Record(h=x, ids=INDEX), lambda y: y.h),
        (lambda x: ({"h": Pair(INDEX, x)},), lambda y: y[0]["h"].extra),
    ],
)
def test_containers_keep_their_type_and_the_rest(make, read):
    model, x = Wraps(make), batch()
    plain = model(x)
    with ActivationPruner(model, "inner", 0.7) as pruner:
        y = model(x)
    assert type(y) is type(plain)
    assert torch.equal(read(y), mask(x, 0.7))
    assert pruner.active == int((x.abs() >= 0.7).sum())
    assert torch.equal(read(plain), x)


def test_second_float_tensor_passes_through():
    model, x = Wraps(lambda x: (x, 2 * x)), batch()
    with ActivationPruner(model, "inner", 0.7):
        y = model(x)
    assert torch.equal(y[1], 2 * x)


@pytest.mark.parametrize("value", [None, "text", INDEX, (INDEX,), {}])
def test_output_without_activation(value):
    model = Wraps(lambda x: value)
    with (
        pytest.raises(ThermoError, match="'inner'"),
        ActivationPruner(model, "inner", 0.1),
    ):
        model(batch())
    assert hooks_of(model) == 0


def test_hugging_face_output():
    outputs = pytest.importorskip("transformers.modeling_outputs")
    model = Wraps(lambda x: outputs.BaseModelOutput(last_hidden_state=x, hidden_states=(x,)))
    x = batch()
    with ActivationPruner(model, "inner", 0.7):
        y = model(x)
    assert isinstance(y, outputs.BaseModelOutput)
    assert torch.equal(y.last_hidden_state, mask(x, 0.7))
    assert torch.equal(y[0], y.last_hidden_state)
    assert torch.equal(y.hidden_states[0], x)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(6, 4, batch_first=True)

    def forward(self, x):
        return self.lstm(x)


def test_lstm_output_is_pruned_and_its_state_is_not():
    torch.manual_seed(0)
    model, x = Recurrent(), torch.randn(2, 5, 6)
    (plain, (h, c)) = model(x)
    with ActivationPruner(model, "lstm", 0.1) as pruner:
        y, (h2, c2) = model(x)
    assert torch.equal(y, mask(plain, 0.1))
    assert torch.equal(h, h2)
    assert torch.equal(c, c2)
    assert pruner.total == plain.numel()


def test_packed_sequences():
    torch.manual_seed(0)
    model = Recurrent()
    packed = pack_sequence([torch.randn(4, 6), torch.randn(2, 6)])
    plain, _ = model(packed)
    with ActivationPruner(model, "lstm", 0.1):
        y, _ = model(packed)
    assert isinstance(y, PackedSequence)
    assert torch.equal(y.data, mask(plain.data, 0.1))
    assert torch.equal(y.batch_sizes, plain.batch_sizes)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_number_formats(dtype):
    model, x = mlp().to(dtype), batch().to(dtype)
    with torch.no_grad(), ActivationPruner(model, "act1", 0.3) as pruner:
        model(x)
        raw = torch.relu(model.one(x))
    assert pruner.total == int((raw != 0).sum())
    assert pruner.active == int((raw >= 0.3).sum())
    assert pruner.abs_sum == pytest.approx(float(raw[raw >= 0.3].double().sum()))


def test_autocast():
    model, x = mlp(), batch()
    with torch.autocast("cpu", torch.bfloat16), ActivationPruner(model, "act1", 0.3) as pruner:
        model(x)
        raw = torch.relu(model.one(x))
    assert raw.dtype == torch.bfloat16
    assert pruner.active == int((raw >= 0.3).sum())


def test_gradients_flow_through_survivors():
    model, x = mlp(), batch()
    with ActivationPruner(model, nn.ReLU, 0.3):
        model(x).sum().backward()
    grads = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    kept = mask(torch.relu(model.one(x)), 0.3)
    model.head(mask(torch.relu(model.two(kept)), 0.3)).sum().backward()
    for grad, parameter in zip(grads, model.parameters(), strict=True):
        torch.testing.assert_close(grad, parameter.grad)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_bad_activation_names_the_layer(bad):
    model = mlp()
    with torch.no_grad():
        model.two.bias[0] = bad
    with (
        pytest.raises(ThermoError, match=r"layer 'act2': .*(NaN|infinite)"),
        ActivationPruner(model, nn.ReLU, 0.1),
    ):
        model(batch())
    assert hooks_of(model) == 0


def test_data_parallel():
    model = nn.DataParallel(mlp())
    with ActivationPruner(model, "module.act1", 0.3) as pruner:
        model(batch())
    with ActivationPruner(mlp(), "act1", 0.3) as plain:
        mlp()(batch())  # another network: nothing runs here
    assert pruner.active > 0 == plain.active


@pytest.mark.parametrize("before", [False, True], ids=["fresh", "already compiled"])
def test_compiled_model(before):
    model, x = mlp(), batch()
    compiled = torch.compile(model, backend="eager")
    if before:
        compiled(x)
    for tau in (0.1, 0.5):
        with ActivationPruner(model, nn.ReLU, tau) as plain:
            expected = model(x)
        with ActivationPruner(compiled, nn.ReLU, tau) as pruner:
            assert torch.equal(compiled(x), expected)
        assert pruner.active == plain.active
    torch.compiler.reset()


def test_hooks_show_outputs_and_may_replace_them():
    model, x, seen = mlp(), batch(), []

    def function(name, tensor):
        seen.append(name)
        return torch.zeros_like(tensor) if name == "act2" else None

    with ActivationHooks(model, nn.ReLU, function):
        y = model(x)
    assert seen == ["act1", "act2"]
    assert torch.equal(y, model.head.bias.expand(32, 3))


@pytest.mark.parametrize("layers", ["act1", ["act1", "relu()"]])
def test_a_pruner_goes_with_its_last_name(layers):
    """Left to the search for cycles, the counts of a sweep's passes filled 20 GB with holes."""
    model, x = mlp(), batch()
    gc.collect()
    gc.disable()
    try:
        with ActivationPruner(model, layers, 0.1, check=False) as pruner:
            model(x)
        assert pruner.active > 0
        gone = weakref.ref(pruner)
        del pruner
        assert gone() is None
    finally:
        gc.enable()
