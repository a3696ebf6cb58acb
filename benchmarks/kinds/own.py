"""Networks and data of one's own, as they come: what works, and what is refused."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.kinds.kind import CLASSES, EXAMPLES, Case, kind, labelled

WIDTH = 8


def mlp() -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(WIDTH, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, CLASSES)
    )


def points() -> Tensor:
    return torch.randn(EXAMPLES, WIDTH)


def case(model: nn.Module, x: Tensor | None = None) -> Case:
    x = points() if x is None else x
    y = labelled(model, x)
    return Case(model, lambda: [(x[:24], y[:24]), (x[24:], y[24:])])


@kind("An MLP", "a list of (inputs, targets)")
def plain() -> Case:
    return case(mlp())


@kind("An MLP", "a DataLoader")
def loader() -> Case:
    model, x = mlp(), points()
    data = TensorDataset(x, labelled(model, x))
    return Case(model, lambda: DataLoader(data, batch_size=20))


@kind("An MLP", "a generator that can be read once")
def generator() -> Case:
    model, x = mlp(), points()
    y = labelled(model, x)
    return Case(model, lambda: (pair for pair in zip(x.split(20), y.split(20), strict=True)))


@kind("An MLP in float16", "(inputs, targets)")
def half() -> Case:
    return case(mlp().half(), points().half())


@kind("An MLP in bfloat16", "(inputs, targets)")
def bfloat16() -> Case:
    return case(mlp().bfloat16(), points().bfloat16())


@kind("An MLP in float64", "(inputs, targets)")
def double() -> Case:
    return case(mlp().double(), points().double())


class Functional(nn.Module):
    """No activation is a module."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(WIDTH, 16), nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(F.gelu(self.first(x)))


@kind("A network without activation modules (F.gelu)", "(inputs, targets)")
def functional() -> Case:
    return case(Functional())


class Gated(nn.Module):
    """Squeeze-and-excitation: a sigmoid that multiplies."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.act = nn.Linear(WIDTH, 16), nn.SiLU()
        self.squeeze, self.gate = nn.Linear(16, 16), nn.Sigmoid()
        self.head = nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        h = self.act(self.body(x))
        return self.head(h * self.gate(self.squeeze(h)))


@kind("A network with a squeeze-and-excitation gate", "(inputs, targets)")
def gate() -> Case:
    return case(Gated())


class Shared(nn.Module):
    """One activation module, called twice; one linear layer, called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.into, self.again, self.act = nn.Linear(WIDTH, 16), nn.Linear(16, 16), nn.ReLU()
        self.head = nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        h = self.act(self.into(x))
        return self.head(self.act(self.again(self.again(h))))


@kind("A network that calls layers twice", "(inputs, targets)")
def shared() -> Case:
    return case(Shared())


@kind("A network with lazy layers, which has not seen data", "(inputs, targets)")
def lazy() -> Case:
    model = nn.Sequential(nn.LazyLinear(16), nn.ReLU(), nn.LazyLinear(CLASSES))
    x = points()
    y = torch.arange(EXAMPLES) % CLASSES
    return Case(model, lambda: [(x, y)], metric=own_score, higher_is_better=True)


def own_score(outputs: Tensor, targets: Tensor) -> float:
    """A score of one's own: the mean probability of the right class, and one on top."""
    return 1 + float(outputs.softmax(1).gather(1, targets[:, None]).mean())


class Force(nn.Module):
    """A network that is a gradient: the force of an energy."""

    def __init__(self) -> None:
        super().__init__()
        self.energy = nn.Sequential(nn.Linear(WIDTH, 16), nn.Tanh(), nn.Linear(16, 1))

    def forward(self, x: Tensor) -> Tensor:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            (force,) = torch.autograd.grad(self.energy(x).sum(), x)
        return -force


@kind("A network that takes gradients in forward, scored by MSE", "(inputs, forces)")
def gradients() -> Case:
    model, x = Force(), points()
    y = model(x) + 0.001 * torch.randn_like(x)
    return Case(model, lambda: [(x, y.detach())], metric="mse")


class Caching(nn.Module):
    """Keeps what it has computed, as networks with positions do."""

    def __init__(self) -> None:
        super().__init__()
        self.body = mlp()
        self.kept: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.kept is None:
            self.kept = torch.linspace(0, 1, WIDTH)
        return self.body(x + self.kept)


@kind("A network that keeps tensors between calls", "(inputs, targets)")
def caching() -> Case:
    return case(Caching())


class Dividing(nn.Module):
    """Divides by the sum of its activations: nothing is left, nothing is a number."""

    def __init__(self) -> None:
        super().__init__()
        self.into, self.act, self.head = nn.Linear(WIDTH, 16), nn.ReLU(), nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        h = self.act(self.into(x))
        return self.head(self.act(h / h.sum(1, keepdim=True)))


@kind(
    "A network that divides by a sum of activations: NaN once all are pruned", "(inputs, targets)"
)
def dividing() -> Case:
    return case(Dividing())


class Experts(nn.Module):
    """One of three experts for each point; pruning changes which."""

    def __init__(self) -> None:
        super().__init__()
        self.router = nn.Sequential(nn.Linear(WIDTH, 16), nn.ReLU(), nn.Linear(16, 3))
        self.experts = nn.ModuleList(mlp() for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        chosen = self.router(x).argmax(1)
        out = x.new_zeros(len(x), CLASSES)
        for number, expert in enumerate(self.experts):
            if (chosen == number).any():
                out[chosen == number] = expert(x[chosen == number])
        return out


@kind("A mixture of experts that leaves out idle ones", "(inputs, targets)")
def experts() -> Case:
    model, x = Experts(), points()
    model.eval()
    with torch.no_grad():
        y = model(x).argmax(1)
    return Case(model, lambda: [(x, y)])


class Recurrent(nn.Module):
    """An LSTM or GRU over sequences of different lengths."""

    def __init__(self, cell: type[nn.LSTM | nn.GRU]) -> None:
        super().__init__()
        self.cell = cell(WIDTH, 16, batch_first=True)
        self.act, self.head = nn.Tanh(), nn.Linear(16, CLASSES)

    def forward(self, x: PackedSequence) -> Tensor:
        out, lengths = pad_packed_sequence(self.cell(x)[0], batch_first=True)
        last = out[torch.arange(len(out)), lengths - 1]
        return self.head(self.act(last))


def _packed(cell: type[nn.LSTM | nn.GRU]) -> Case:
    model = Recurrent(cell)
    lengths = 2 + torch.arange(EXAMPLES) % 5
    x = pack_padded_sequence(
        torch.randn(EXAMPLES, 6, WIDTH), lengths, batch_first=True, enforce_sorted=False
    )
    y = labelled(model, x)
    return Case(model, lambda: [(x, y)], layers=["cell", "act"])


@kind("An LSTM, its outputs named as layers", "packed sequences")
def lstm() -> Case:
    return _packed(nn.LSTM)


@kind("A GRU, its outputs named as layers", "packed sequences")
def gru() -> Case:
    return _packed(nn.GRU)


class Encoder(nn.Module):
    """PyTorch's transformer encoder with a mask of padding."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(WIDTH, 2, 16, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        out = self.encoder(x, src_key_padding_mask=mask)
        return self.head((out * ~mask[..., None]).sum(1))


@kind("nn.TransformerEncoder, whose evaluation is fused", "((inputs, padding mask), targets)")
def encoder() -> Case:
    model = Encoder()
    x = torch.randn(EXAMPLES, 6, WIDTH)
    mask = torch.arange(6) >= 2 + (torch.arange(EXAMPLES) % 5)[:, None]
    y = labelled(model, x, call=lambda x: model(x, mask))
    return Case(model, lambda: [((x, mask), y)])


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(WIDTH, 2, batch_first=True)
        self.act, self.head = nn.ReLU(), nn.Linear(WIDTH, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.act(self.attention(x, x, x)[0]).mean(1))


@kind("nn.MultiheadAttention, its output named as a layer", "(inputs, targets)")
def attention() -> Case:
    found = case(Attention(), torch.randn(EXAMPLES, 5, WIDTH))
    return Case(found.model, found.batches, layers=["attention", "act"])


@kind("An MLP, pruned at the inputs of its linear layers", "(inputs, targets)")
def inputs() -> Case:
    found = case(mlp())
    return Case(found.model, found.batches, layers="Linear:input")


@kind("A convolution over sequences", "targets per position (B, L), scores (B, C, L)")
def sequence() -> Case:
    model = nn.Sequential(nn.Conv1d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv1d(8, CLASSES, 1))
    x = torch.randn(EXAMPLES, 3, 10)
    y = labelled(model, x)
    return Case(model, lambda: [(x, y)])


@kind("A regression, scored by mean squared error", "float targets")
def regression() -> Case:
    model = nn.Sequential(nn.Linear(WIDTH, 32), nn.ReLU(), nn.Linear(32, 1))
    x = points()
    with torch.no_grad():
        y = model(x) + 0.001 * torch.randn(EXAMPLES, 1)
    return Case(model, lambda: [(x, y)], metric="mse")


@kind("A network with a torchmetrics object as metric", "(inputs, targets)", heavy=True)
def torchmetric() -> Case:
    from torchmetrics.classification import MulticlassCohenKappa

    found = case(mlp())
    return Case(found.model, found.batches, metric=MulticlassCohenKappa(num_classes=CLASSES))


@kind("A network in train mode, with batch norm and dropout", "(inputs, targets)")
def training() -> Case:
    model = nn.Sequential(
        nn.Linear(WIDTH, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(), nn.Linear(16, CLASSES)
    )
    found = case(model)
    model.train()
    return found


@kind("A network compiled by torch.compile", "(inputs, targets)", heavy=True)
def compiled() -> Case:
    found = case(mlp())
    return Case(torch.compile(found.model, backend="eager"), found.batches)


@kind("A linear network, without any nonlinearity", "(inputs, targets)")
def linear() -> Case:
    return case(nn.Sequential(nn.Linear(WIDTH, 16), nn.Linear(16, 16), nn.Linear(16, CLASSES)))


@kind("A scripted module (torch.jit)", "(inputs, targets)")
def scripted() -> Case:
    found = case(mlp())
    return Case(torch.jit.script(found.model), found.batches)


@kind("An exported program (torch.export)", "(inputs, targets)")
def exported() -> Case:
    found = case(mlp())
    return Case(torch.export.export(found.model, (points(),)).module(), found.batches)


@kind("An MLP", "inputs without targets")
def no_targets() -> Case:
    return Case(mlp(), lambda: [points()])


@kind("An MLP", "targets that are strings")
def strings() -> Case:
    found = case(mlp())
    return Case(found.model, lambda: [(points(), ["cat"] * EXAMPLES)])


@kind("An MLP", "targets that are lists of numbers")
def lists() -> Case:
    found = case(mlp())
    return Case(found.model, lambda: [(x, y.tolist()) for x, y in found.batches()])


@kind("An MLP", "float targets, scored by accuracy")
def floats() -> Case:
    found = case(mlp())
    return Case(found.model, lambda: [(x, y + 0.5) for x, y in found.batches()])


@kind("An MLP", "classes numbered from 1")
def from_one() -> Case:
    found = case(mlp())
    return Case(found.model, lambda: [(x, y + 1) for x, y in found.batches()])


@kind("An MLP that has learned nothing", "random classes")
def untrained() -> Case:
    x = points()
    y = torch.randint(CLASSES, (EXAMPLES,), generator=torch.Generator().manual_seed(5))
    model = mlp()
    nn.init.zeros_(model.get_parameter("4.weight"))  # it always answers the same
    return Case(model, lambda: [(x, y)])


class Graphs(nn.Module):
    """Sums over the nodes of each graph."""

    def __init__(self) -> None:
        super().__init__()
        self.node, self.act, self.head = nn.Linear(WIDTH, 16), nn.ReLU(), nn.Linear(16, CLASSES)

    def forward(self, graphs: list[Tensor]) -> Tensor:
        return torch.stack([self.head(self.act(self.node(g)).sum(0)) for g in graphs])


@kind("A network on graphs", "a list of graphs of different sizes")
def graphs() -> Case:
    x = [torch.randn(2 + n % 4, WIDTH) for n in range(EXAMPLES)]
    y = torch.arange(EXAMPLES) % CLASSES
    return Case(Graphs(), lambda: [(x, y)])


@kind("A network on graphs", "nodes of all graphs together, and which graph each is of")
def joined() -> Case:
    class Joined(Graphs):
        def forward(self, nodes: Tensor, graph: Tensor) -> Tensor:  # type: ignore[override]
            sums = nodes.new_zeros(EXAMPLES, 16)
            return self.head(sums.index_add(0, graph, self.act(self.node(nodes))))

    model = Joined()
    graph = torch.arange(EXAMPLES).repeat_interleave(2 + torch.arange(EXAMPLES) % 4)
    x = torch.randn(len(graph), WIDTH)
    y = labelled(model, x, call=lambda x: model(x, graph))
    return Case(model, lambda: [((x, graph), y)])


@kind("A function that is no module", "(inputs, targets)")
def function() -> Case:
    found = case(mlp())
    return Case(lambda x: found.model(x), found.batches)


@kind("A network that puts out NaN", "(inputs, targets)")
def nan() -> Case:
    found = case(mlp())
    with torch.no_grad():
        found.model[2].weight[0, 0] = float("nan")
    return found


class Pair(nn.Module):
    """Returns the scores and what it made them from."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Sequential(nn.Linear(WIDTH, 16), nn.Tanh()), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.body(x)
        return self.head(h), h


@kind("A network that returns (scores, hidden)", "(inputs, targets)")
def pair() -> Case:
    model, x = Pair(), points()
    y = labelled(model, x, call=lambda x: model(x)[0])
    return Case(model, lambda: [(x, y)])


@kind("A network with 40 classes, scored by top 5", "(inputs, targets)")
def top5() -> Case:
    model = nn.Sequential(nn.Linear(WIDTH, 32), nn.ReLU(), nn.Linear(32, 40))
    x = points()
    y = labelled(model, x)
    return Case(model, lambda: [(x, y)], metric="top5")


@kind("A network with one score for yes or no", "targets 0 and 1")
def binary() -> Case:
    model = nn.Sequential(nn.Linear(WIDTH, 16), nn.ReLU(), nn.Linear(16, 1))
    x = points()
    with torch.no_grad():
        scores = model(x)[:, 0]
    return Case(model, lambda: [(x, (scores > scores.median()).long())])


@kind("An MLP", "a share of each class as target")
def soft() -> Case:
    model, x = mlp(), points()
    with torch.no_grad():
        y = model(x).softmax(1)
    return Case(model, lambda: [(x, y)])


class Ids(nn.Module):
    """Takes numbers of words, and which of them count."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.act, self.head = nn.Embedding(50, 16), nn.ReLU(), nn.Linear(16, CLASSES)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        counted = self.act(self.words(input_ids)) * attention_mask[..., None]
        return self.head(counted.sum(1))


@kind("A network on words", "[ids, mask], taken for (inputs, targets)")
def masks() -> Case:
    ids = torch.randint(2, 50, (EXAMPLES, 6))
    mask = torch.ones_like(ids)
    mask[::2, 3:] = 0
    return Case(Ids(), lambda: [[ids, mask]])


@kind("A network on words", "dicts of lists, as a tokenizer returns them")
def ragged() -> Case:
    ids = [[2, 3, 4], [5, 6]]
    mask = [[1, 1, 1], [1, 1]]
    batch = {"input_ids": ids, "attention_mask": mask, "labels": torch.tensor([0, 1])}
    return Case(Ids(), lambda: [batch])


@kind("An MLP", "no data at all")
def empty() -> Case:
    return Case(mlp(), lambda: [])
