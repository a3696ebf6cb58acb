"""Which layers are pruned when none are named: by what modules do, in networks of many makes."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from thermo_utils import ThermoError, full_evaluation, renormalized
from thermo_utils.activations import activation_modules, default_layers
from thermo_utils.functions import is_activation


class Swish(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate = nn.Sigmoid()

    def forward(self, x):
        return x * self.gate(x)


class Steep(nn.Module):
    """With a parameter that is learned."""

    def __init__(self):
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(2.0))

    def forward(self, x):
        return torch.tanh(self.slope * x)


class Noise(nn.Module):
    def forward(self, x):
        return x + torch.randn_like(x) * x.abs()


class Mean(nn.Module):
    def forward(self, x):
        return torch.relu(x - x.mean())


class Scale(nn.Module):
    def forward(self, x):
        return 3 * x + 1


class Never(nn.Module):
    def forward(self, x):
        raise RuntimeError("needs a photograph")


ACTIVATIONS = [
    nn.ReLU(), nn.ReLU6(), nn.LeakyReLU(), nn.PReLU(), nn.PReLU(8), nn.RReLU(), nn.ELU(), nn.CELU(),
    nn.SELU(), nn.GELU(), nn.SiLU(), nn.Mish(), nn.Softplus(), nn.Softsign(), nn.Hardswish(),
    nn.Hardtanh(), nn.Hardsigmoid(), nn.Sigmoid(), nn.Tanh(), nn.LogSigmoid(), nn.Softshrink(),
    nn.Tanhshrink(), nn.Threshold(0.1, 0), Swish(), Steep(), nn.ReLU().half(), Steep().double(),
]  # fmt: skip
OTHERS = [
    nn.Identity(), nn.Dropout(), nn.Linear(4, 4), nn.Linear(1, 1), nn.LayerNorm(4), nn.Softmax(-1),
    nn.BatchNorm1d(1), nn.Flatten(), nn.MaxPool2d(2), nn.Embedding(4, 4), nn.LSTM(4, 4), Noise(),
    Mean(), Scale(), Never(), nn.LazyLinear(3), nn.Sequential(nn.ReLU()), nn.LocalResponseNorm(2),
    nn.CosineSimilarity(), nn.GroupNorm(1, 1), nn.AvgPool1d(1), nn.Upsample(scale_factor=1),
]  # fmt: skip


@pytest.mark.parametrize("module", ACTIVATIONS, ids=lambda m: type(m).__name__)
def test_activation_functions(module):
    before = torch.random.get_rng_state()
    assert is_activation(module)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("module", OTHERS, ids=lambda m: type(m).__name__)
def test_other_modules(module):
    module.train()
    assert not is_activation(module)
    assert module.training


def test_all_of_hugging_faces():
    activations = pytest.importorskip("transformers.activations")
    made = {}
    for name in activations.ACT2FN:
        try:
            made[name] = activations.ACT2FN[name]
        except (ImportError, TypeError):
            continue
    assert len(made) > 20
    assert {n for n, module in made.items() if not is_activation(module)} <= {"linear", "softmax"}


def test_a_users_own_hooks_see_nothing_of_it():
    module, seen = nn.ReLU(), []
    module.register_forward_hook(lambda *_: seen.append(1))
    assert is_activation(module)
    assert not seen


class SqueezeExcitation(nn.Module):
    def __init__(self, gate, how):
        super().__init__()
        self.squeeze = nn.Linear(8, 2)
        self.act = nn.ReLU()
        self.excite = nn.Linear(2, 8)
        self.gate = gate
        self.how = how

    def forward(self, x):
        return self.how(x, self.gate(self.excite(self.act(self.squeeze(x)))))


def in_place(x, gate):
    x = x.clone()
    x *= gate
    return x


WAYS = {
    "product": lambda x, gate: x * gate,
    "other way": lambda x, gate: gate * x,
    "torch.mul": lambda x, gate: torch.mul(x, gate),
    "in place": in_place,
    "after views": lambda x, gate: gate.view(-1, 8, 1).expand(-1, -1, 1).squeeze(-1) * x,
    "lerp": lambda x, gate: torch.lerp(x, x.flip(1), gate),
}


@pytest.mark.parametrize("how", WAYS.values(), ids=list(WAYS))
@pytest.mark.parametrize("gate", [nn.Sigmoid(), nn.Hardsigmoid(), torch.sigmoid])
def test_a_sigmoid_that_is_multiplied_is_a_gate(gate, how):
    net = nn.Sequential(nn.Linear(4, 8), SqueezeExcitation(gate, how), nn.Linear(8, 2))
    assert default_layers(net, torch.randn(5, 4)) == ["1.act"]
    assert default_layers(net) == ["1.act"]


def test_a_sigmoid_that_is_not_multiplied_is_an_activation_function():
    net = nn.Sequential(nn.Linear(4, 8), nn.Sigmoid(), nn.Linear(8, 2))
    assert default_layers(net) == default_layers(net, torch.randn(5, 4)) == ["1"]
    half = SqueezeExcitation(nn.Sigmoid(), lambda x, gate: x + 0.5 * gate)
    assert default_layers(half, torch.randn(5, 8)) == ["act", "gate"]


def test_one_put_together_of_a_sigmoid_and_a_product_is_one():
    net = nn.Sequential(nn.Linear(4, 8), Swish(), nn.Linear(8, 2))
    assert list(activation_modules(net)) == ["1"]
    assert default_layers(net, torch.randn(5, 4)) == ["1"]


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 3)
        self.act = nn.Tanh()
        self.spare = nn.ReLU()  # of a head that only training uses

    def forward(self, x):
        x = F.relu(self.a(x))
        x = x + torch.sigmoid(self.b(x)) * x
        return self.c(F.gelu(self.act(x)).relu_())


@pytest.mark.filterwarnings("ignore:the unpruned network")
def test_functions_are_found_where_the_network_runs():
    net, x = Functional().train(), torch.randn(6, 4)
    found = default_layers(net, x)
    assert found == ["relu()", "act", "gelu()", "relu()#2"]
    assert net.training
    assert default_layers(net) == ["act", "spare"]
    # What it returns is taken everywhere, and prunes all of it.
    data = [(x, torch.zeros(6, dtype=torch.int64))]
    full = full_evaluation(net.eval(), data, found, [1e3], progress=False)
    assert full.attrs["layers"] == ["act", "relu()", "gelu()", "relu()#2"]
    assert (
        renormalized(net, data, found, [0.1], progress=False).attrs["total"] == full.attrs["total"]
    )


def test_linear_layers_where_there_is_nothing_else():
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2))
    assert default_layers(net) == default_layers(net, torch.randn(2, 4)) == ["0", "1"]

    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
            self.mix, self.head = nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x):
            return self.head(self.mix(self.attention(x, x, x)[0]))

    # Attention uses the weights of out_proj, which is never called.
    assert default_layers(Attention(), torch.randn(2, 3, 4)) == ["mix"]
    assert default_layers(Attention()) == ["mix"]


@pytest.mark.parametrize("batch", [None, torch.randn(2, 4)])
def test_nothing_to_prune(batch):
    with pytest.raises(ThermoError, match="layers="):
        default_layers(nn.Sequential(nn.Linear(4, 2)), batch)


def test_networks_of_torchvision():
    models = pytest.importorskip("torchvision.models")
    x = torch.randn(1, 3, 64, 64)
    net = models.efficientnet_b0()
    found = default_layers(net, x)
    kinds = [type(net.get_submodule(name)).__name__ for name in found]
    assert set(kinds) == {"SiLU"}  # no sigmoid of squeeze-and-excitation
    assert default_layers(net) == found
    mobile = models.mobilenet_v3_small()
    gates = [n for n, m in mobile.named_modules() if isinstance(m, nn.Hardsigmoid)]
    assert gates
    assert not set(gates) & set(default_layers(mobile, x))
    google = models.googlenet(init_weights=False, aux_logits=True)
    found = default_layers(google, x)
    assert found
    assert all(name.endswith("relu()") and not name.startswith("aux") for name in found)


def test_networks_of_hugging_face():
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    ids = {"input_ids": torch.randint(3, 40, (2, 7))}
    bert = transformers.BertForSequenceClassification(
        transformers.BertConfig(vocab_size=40, intermediate_size=32, **sizes)
    )
    expected = [
        *(f"bert.encoder.layer.{i}.intermediate.intermediate_act_fn" for i in range(2)),
        "bert.pooler.activation",
    ]
    assert default_layers(bert) == default_layers(bert, ids) == expected
    llama = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(vocab_size=40, intermediate_size=32, **sizes)
    )
    expected = [f"model.layers.{i}.mlp.act_fn" for i in range(2)]
    assert default_layers(llama) == default_layers(llama, ids) == expected
