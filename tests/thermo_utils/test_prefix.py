"""What runs before the first pruned activation is computed once, and changes no number."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence
from torch.utils.data import DataLoader, TensorDataset

from thermo_utils import ThermoError, full_evaluation
from thermo_utils.prefix import TRIED, Prefix
from thermo_utils.running import evaluating

pytestmark = pytest.mark.filterwarnings("ignore:the unpruned network's accuracy")

TAUS = np.arange(1, 13) / 12
BATCHES, SIZE = 4, 6


def data(seed=0):
    torch.manual_seed(seed)
    return [(torch.randn(SIZE, 8), torch.randint(3, (SIZE,))) for _ in range(BATCHES)]


class Slow(nn.Linear):
    """A layer that counts how often it computes."""

    calls = 0

    def forward(self, x):
        self.calls += 1
        return super().forward(x)


def made(*before, layer=Slow):
    """A network with something before its only pruned layer; that is called ``relu``."""
    torch.manual_seed(1)
    net = nn.Sequential()
    for number, module in enumerate((layer(8, 8), *before)):
        net.add_module(f"before{number}", module)
    net.add_module("relu", nn.ReLU())
    net.add_module("after", nn.Linear(8, 3))
    return net


def both(model, batches=None, layers="relu", **options):
    """With and without; equal to the last bit. Returns the first, and what it says of itself."""
    options = {"progress": False, **options}
    whole, quick = (
        full_evaluation(model, batches or data(), layers, TAUS, reuse=reuse, **options)
        for reuse in (False, True)
    )
    assert "reused" not in whole.attrs
    pd.testing.assert_frame_equal(quick, whole, check_exact=True)
    return quick, quick.attrs["reused"]


class Wrapped(nn.Module):
    """Something with a network's usual end."""

    def __init__(self, **modules):
        super().__init__()
        torch.manual_seed(2)
        self.first = Slow(8, 8)
        for name, module in modules.items():
            self.add_module(name, module)
        self.relu = nn.ReLU()
        self.after = nn.Linear(8, 3)

    def forward(self, x):
        return self.after(self.relu(self.before(x)))

    def before(self, x):
        return self.first(x)


def test_layers_before_the_first_pruned_one_compute_once():
    net = made()
    full_evaluation(net, data(), "relu", TAUS, progress=False)
    assert net.before0.calls == BATCHES + TRIED  # the unpruned pass, and the trial
    net.before0.calls = 0
    full_evaluation(net, data(), "relu", TAUS, progress=False, reuse=False)
    assert net.before0.calls == BATCHES * (1 + len(TAUS))


@pytest.mark.parametrize(
    "before",
    [
        [nn.BatchNorm1d(8)],
        [nn.Sequential(nn.Linear(8, 8), nn.Tanh()), nn.Dropout(), nn.LayerNorm(8)],
        [nn.Identity(), nn.ReLU(inplace=True)],
        [nn.Flatten()],
        [
            nn.Unflatten(1, (1, 8)),
            nn.TransformerEncoderLayer(8, 2, 16, batch_first=True),
            nn.Flatten(),
        ],
    ],
)  # fmt: skip
def test_it_changes_no_number(before):
    _, reused = both(made(*before))
    assert (reused["share"], reused["why_not"]) == (1.0, None)
    assert reused["bytes"] >= BATCHES * SIZE * 8 * 4 * 2  # the batches, and one output of each


@pytest.mark.parametrize("layers", ["after:input", nn.ReLU, "relu()", ["relu", "after"]])
def test_wherever_activations_are_pruned(layers):
    class Calling(Wrapped):
        def forward(self, x):
            return self.after(functional.relu(self.relu(self.first(x)) - 0.1))

    net = Calling()
    both(net, layers=layers)
    net.first.calls = 0
    full_evaluation(net, data(), layers, TAUS, progress=False)
    assert net.first.calls == BATCHES + TRIED


def test_the_hooked_layer_itself_computes_once_if_it_is_slow():
    net = made()
    net.before0.calls = 0
    _, reused = both(net, layers="before0")
    assert reused["share"] == 1
    assert net.before0.calls == BATCHES * (1 + len(TAUS)) + BATCHES + TRIED


def test_layers_that_work_in_place_on_what_was_kept():
    torch.manual_seed(3)
    net = nn.Sequential(
        Slow(8, 8), nn.BatchNorm1d(8), nn.ReLU(inplace=True), Slow(8, 8), nn.ReLU(inplace=True),
        nn.Linear(8, 3),
    )  # fmt: skip
    both(net, layers="4")
    calls = net[0].calls, net[3].calls
    full_evaluation(net, data(), "4", TAUS, progress=False)
    # What was kept of the last layer before the pruned one is overwritten by it, so it computes.
    assert net[0].calls - calls[0] == BATCHES + TRIED
    assert net[3].calls - calls[1] == BATCHES * (1 + len(TAUS)) + 2 * TRIED
    both(net, layers="2")


def test_a_layer_called_twice_gives_back_both():
    class Twice(Wrapped):
        def before(self, x):
            return self.first(torch.tanh(self.first(x)))

    net = Twice()
    both(net)
    net.first.calls = 0
    full_evaluation(net, data(), "relu", TAUS, progress=False)
    assert net.first.calls == 2 * (BATCHES + TRIED)


def test_a_call_that_cannot_be_kept_and_one_that_can():
    class Mixed(Wrapped):
        def before(self, x):
            first = self.first(x)
            first.tanh_()  # in place: the first call computes each time, the second does not
            return self.first(first)

    net = Mixed()
    both(net)
    net.first.calls = 0
    full_evaluation(net, data(), "relu", TAUS, progress=False)
    assert net.first.calls == BATCHES * (1 + len(TAUS)) + BATCHES + TRIED * 3


def test_outputs_of_several_tensors():
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(4)
            self.lstm = nn.LSTM(2, 8, batch_first=True)
            self.relu, self.after = nn.ReLU(), nn.Linear(8, 3)

        def forward(self, x):
            lengths = torch.arange(SIZE) % 4 + 1
            packed = pack_padded_sequence(x.reshape(SIZE, 4, 2), lengths, True, False)
            _, (state, _) = self.lstm(packed)
            return self.after(self.relu(state[-1]))

    _, reused = both(Recurrent())
    assert reused["share"] == 1


class TestRefused:
    """What could not be shown to be the same again is computed."""

    def test_noise(self):
        class Noisy(Wrapped):
            def before(self, x):
                return self.first(functional.dropout(x, 0.1, training=True))

        torch.manual_seed(5)
        whole = full_evaluation(Noisy(), data(), "relu", TAUS, progress=False, reuse=False)
        torch.manual_seed(5)
        quick = full_evaluation(Noisy(), data(), "relu", TAUS, progress=False)
        assert quick.attrs["reused"]["why_not"] == "the network draws random numbers"
        assert quick.attrs["reused"]["share"] == 0
        # Each pass has its own noise; only the two networks' first draws differ here.
        assert len(set(whole["active"])) == len(set(quick["active"])) == len(TAUS)

    def test_noise_of_a_generator_of_its_own(self):
        class Noisy(Wrapped):
            def __init__(self):
                super().__init__()
                self.chance = torch.Generator().manual_seed(0)

            def before(self, x):
                return self.first(x) + torch.randn(8, generator=self.chance)

        curve = full_evaluation(Noisy(), data(), "relu", TAUS, progress=False)
        assert curve.attrs["reused"]["why_not"] == "the network does not compute the same twice"

    def test_a_module_that_leaves_something_behind(self):
        class Leaving(nn.Linear):
            def forward(self, x):
                self.gate = x.mean(1, keepdim=True)
                return super().forward(x)

        class Stash(Wrapped):
            def __init__(self):
                super().__init__(left=Leaving(8, 8))

            def forward(self, x):
                return self.after(self.relu(self.left(self.first(x)))) * self.left.gate

        _, reused = both(Stash())
        assert reused["why_not"] == "modules have effects beside what they return"

    def test_a_module_that_counts_its_calls(self):
        class Drifting(nn.Linear):
            n = 0

            def forward(self, x):
                self.n += 1
                return super().forward(x) + self.n / 8

        net = made(layer=Drifting)
        curve = full_evaluation(net, data(), "relu", TAUS, progress=False)
        assert curve.attrs["reused"]["why_not"] == "the network does not compute the same twice"

    def test_a_module_that_returns_memory_of_its_own(self):
        class Buffered(nn.Linear):
            def __init__(self, *size):
                super().__init__(*size)
                self.register_buffer("own", torch.zeros(SIZE, size[1]))

            def forward(self, x):
                return self.own.copy_(super().forward(x))

        _, reused = both(made(layer=Buffered))
        assert (reused["share"], reused["bytes"]) == (0, 0)

    def test_modules_that_a_user_looks_into(self):
        net, seen = made(nn.Sequential(nn.Linear(8, 8))), []
        net.before1[0].register_forward_hook(lambda *_: seen.append(1))
        both(net)
        seen.clear()
        full_evaluation(net, data(), "relu", TAUS, progress=False)
        # In every pass, and twice in the trial.
        assert len(seen) == BATCHES * (1 + len(TAUS)) + 2 * TRIED
        assert net.before0.calls > 0

    def test_a_list_that_modules_put_something_into(self):
        class Growing(nn.Linear):
            def forward(self, states):
                states.append(super().forward(states[-1]))
                return states[-1] + 0

        class Dense(Wrapped):
            def __init__(self):
                super().__init__(grow=Growing(8, 8))

            def forward(self, x):
                states = [self.first(x)]
                self.grow(states)
                return self.after(self.relu(sum(states)))

        _, reused = both(Dense())
        assert reused["why_not"] is None  # the linear layer before it is kept, the list is not

    def test_gradients_in_the_forward(self):
        class Score(Wrapped):
            def before(self, x):
                x = x.detach().requires_grad_()
                return torch.autograd.grad(self.first(x).square().sum(), x)[0]

        net = Score()
        both(net)
        # Every pass, the trial, and one call in vain, before it was known.
        assert net.first.calls == BATCHES * (1 + len(TAUS)) * 2 + 2 * TRIED + 1

    def test_compiled_code_is_left_out(self):
        net = made(torch.compile(nn.Linear(8, 8), backend="eager"))
        _, reused = both(net)
        assert reused["share"] == 1
        assert net.before0.calls > 0

    def test_where_it_cannot_pay(self):
        curve = full_evaluation(made(), data()[:2], "relu", TAUS[:3], progress=False)
        assert curve.attrs["reused"]["why_not"].startswith("so few batches")

    def test_a_network_that_changes_its_mind(self):
        class Fickle(Wrapped):
            passes = 0

            def before(self, x):
                self.passes += 1
                late = self.passes > BATCHES + 2 * TRIED + 1
                return self.second(x) if late else self.second(self.first(x))

        net = Fickle(second=nn.Linear(8, 8))
        with pytest.raises(ThermoError, match=r"another order.*reuse=False"):
            full_evaluation(net, data(), "relu", TAUS, progress=False)
        assert "forward" not in net.first.__dict__


class TestData:
    """Batches that are not those of the first pass."""

    def test_in_another_order(self):
        x, y = (torch.cat(parts) for parts in zip(*data(), strict=True))

        def loader():
            chance = torch.Generator().manual_seed(6)
            return DataLoader(TensorDataset(x, y), SIZE, shuffle=True, generator=chance)

        net = made()
        with pytest.warns(UserWarning, match="another order"):
            whole = full_evaluation(net, loader(), "relu", TAUS, progress=False, reuse=False)
        with pytest.warns(UserWarning, match="another order"):
            quick = full_evaluation(net, loader(), "relu", TAUS, progress=False)
        pd.testing.assert_frame_equal(quick, whole, check_exact=True)

    def test_in_one_tensor_that_is_filled_anew(self):
        batches, memory = data(), np.zeros((SIZE, 8), np.float32)

        class Refilled:
            passes = 0

            def __iter__(self):
                self.passes += 1
                for x, y in batches:
                    memory[:] = x + self.passes  # past torch, which cannot notice
                    yield torch.from_numpy(memory), y

        net = made()
        whole = full_evaluation(net, Refilled(), "relu", TAUS, progress=False, reuse=False)
        quick = full_evaluation(net, Refilled(), "relu", TAUS, progress=False)
        pd.testing.assert_frame_equal(quick, whole, check_exact=True)

    def test_that_the_network_writes_to(self):
        class Writing(Wrapped):
            def before(self, x):
                return self.first(x.add_(1))

        net = Writing()
        whole = full_evaluation(net, data(), "relu", TAUS, progress=False, reuse=False)
        quick = full_evaluation(net, data(), "relu", TAUS, progress=False)
        pd.testing.assert_frame_equal(quick, whole, check_exact=True)

    def test_as_mappings_of_more_than_tensors(self):
        class Named(Wrapped):
            def forward(self, x, turned):
                return super().forward(-x if turned else x)

        batches = [{"x": x, "turned": n % 2 == 1, "labels": y} for n, (x, y) in enumerate(data())]
        _, reused = both(Named(), batches)
        assert reused["share"] == 1


def test_a_guided_evaluation_reuses_too():
    net = made()
    _, reused = both(net, guided=True)
    assert reused["share"] == 1


def test_what_does_not_fit_is_computed():
    net, batches = made(), data()
    one = SIZE * 4 * (8 + 8) + SIZE * 8  # inputs, outputs and targets of a batch
    prefix = Prefix(net, "relu", budget=2 * one)
    with evaluating(net), prefix.recording(lambda: 0):
        expected = [net(x) for x, _ in prefix.of(batches)]
    # Nothing was shown, so all but the network itself counts as before: take the layer alone.
    assert prefix.share < 1
    with evaluating(net), prefix.replaying():
        assert all(map(torch.equal, expected, [net(x) for x, _ in prefix.of(batches)]))
    assert prefix.nbytes <= 2 * one


def test_an_error_on_the_way_leaves_the_network_as_it_was():
    class Failing(Wrapped):
        passes = 0

        def forward(self, x):
            self.passes += 1
            if self.passes == 30:
                raise KeyboardInterrupt
            return super().forward(x)

    net = Failing()
    own = net.first.forward
    net.first.forward = own  # someone's own, as other libraries leave it
    with pytest.raises(KeyboardInterrupt):
        full_evaluation(net, data(), "relu", TAUS, progress=False)
    assert net.first.__dict__["forward"] is own
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


@settings(max_examples=25)
@given(
    st.lists(
        st.sampled_from(["linear", "tanh", "relu", "relu_", "norm", "shared", "nested"]),
        min_size=1, max_size=6,
    ),
    st.integers(0, 5),
)  # fmt: skip
def test_networks_by_chance(kinds, pruned):
    torch.manual_seed(7)
    shared = nn.Linear(8, 8)
    makers = {
        "linear": lambda: nn.Linear(8, 8), "tanh": nn.Tanh, "relu": nn.ReLU,
        "relu_": lambda: nn.ReLU(inplace=True), "norm": lambda: nn.LayerNorm(8),
        "shared": lambda: shared,
        "nested": lambda: nn.Sequential(nn.Linear(8, 8), nn.ReLU(inplace=True)),
    }  # fmt: skip
    net = nn.Sequential(*(makers[kind]() for kind in kinds), nn.Linear(8, 3))
    both(net, layers=str(pruned % len(kinds)))
