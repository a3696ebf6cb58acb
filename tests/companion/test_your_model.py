"""The page for adapting, with a user's own cell in the place of one, and nothing else changed."""

from __future__ import annotations

import re
from pathlib import Path

import jupytext
import nbformat
import pytest

from companion.examples import EXAMPLES, load
from companion.pages.your_model import PAGES
from companion.runs.notebooks import execute, parameters
from thermo_utils import ThermoError, evaluate

PATH = Path(__file__).parents[2] / "notebooks" / "your_model.md"

REGRESSION = """
import torch
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
network = torch.nn.Sequential(torch.nn.Linear(8, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1))
inputs = torch.randn(200, 8)
with torch.no_grad():
    targets = network(inputs) + 0.1 * torch.randn(200, 1)
batches = DataLoader(TensorDataset(inputs, targets), batch_size=64)
metric = "mse"
"""
REGRESSION_CHECK = """
assert (safe.metric, safe.higher_is_better) == ("mse", False)
expected = torch.nn.functional.mse_loss(network(inputs), targets).item()
assert abs(safe.baseline - expected) < 1e-6 and abs(unpruned - expected) < 1e-6
assert 0 < safe.drop <= max_drop * expected and safe.tau > 0
"""

HUGGING_FACE = """
import torch
from transformers import BertConfig, BertForSequenceClassification

torch.manual_seed(0)
network = BertForSequenceClassification(
    BertConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=16, num_labels=3,
    )
)
ids = torch.randint(1, 50, (90, 12))
mask = (torch.arange(12) < 4 + torch.arange(90)[:, None] % 9).long()
network.eval()
with torch.no_grad():
    network.classifier.bias -= network(ids, attention_mask=mask).logits.mean(0)
    labels = network(ids, attention_mask=mask).logits.argmax(1)
batches = [
    {"input_ids": ids[i : i + 30], "attention_mask": mask[i : i + 30], "labels": labels[i : i + 30]}
    for i in (0, 30, 60)
]
metric = "accuracy"
"""
HUGGING_FACE_CHECK = """
assert unpruned == 1.0
last = [name.rpartition(".")[2] for name in safe.layers]
assert last == ["intermediate_act_fn", "intermediate_act_fn", "activation"]
assert fe["accuracy"].min() < 0.9
"""

GENERATOR = """
import torch

torch.manual_seed(0)
network = torch.nn.Sequential(torch.nn.Linear(8, 32), torch.nn.ReLU(), torch.nn.Linear(32, 4))
inputs = torch.randn(200, 8)
labels = network(inputs).argmax(1)
batches = ((inputs[i : i + 50], labels[i : i + 50]) for i in range(0, 200, 50))
metric = "accuracy"
"""
GENERATOR_CHECK = """
assert fe.attrs["samples"] == 200 and unpruned == 1.0
with torch.no_grad():
    hidden = network[:2](inputs)
assert rfe.attrs["total"] == fe.attrs["total"] == int(hidden.count_nonzero())
for curve in (rfe, fe):  # with one layer, both are that of the unpruned activations
    for tau, active in curve[["tau", "active"]].to_numpy():
        assert active == int((hidden >= torch.tensor(tau, dtype=torch.float32)).sum()), tau
assert next(batches, None) is None  # read once
"""

TRAIN_MODE = """
import torch

torch.manual_seed(0)
network = torch.nn.Sequential(
    torch.nn.Linear(8, 32), torch.nn.BatchNorm1d(32), torch.nn.ReLU(), torch.nn.Dropout(0.5),
    torch.nn.Linear(32, 4),
)
inputs = torch.randn(200, 8)
network(inputs)  # running statistics of its own
network.eval()
labels = network(inputs).argmax(1)
network.train()
network[1].eval()  # frozen, as one does
before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
batches = [(inputs, labels)]
metric = "accuracy"
"""
TRAIN_MODE_CHECK = """
assert unpruned == 1.0
for name, tensor in network.state_dict().items():
    assert torch.equal(tensor, before[name]), name
assert [module.training for module in network] == [True, False, True, True, True]
assert network.training and not any(m._forward_hooks or m._forward_pre_hooks for m in network)
assert all(type(module).__module__.startswith("torch.nn") for module in network)
assert all(parameter.grad is None for parameter in network.parameters())
"""

FUNCTIONS = """
import torch


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = torch.nn.Linear(8, 32), torch.nn.Linear(32, 4)

    def forward(self, x):
        return self.last(torch.nn.functional.gelu(self.first(x)))


torch.manual_seed(0)
network = Network()
inputs = torch.randn(200, 8)
batches = [(inputs, network(inputs).argmax(1))]


def metric(outputs, targets):
    return (outputs.argmax(1) != targets).float().mean()


higher_is_better = False
relative, max_drop = False, 0.05
"""
FUNCTIONS_CHECK = """
assert safe.layers == ("gelu()",) and lasting == [] and calls == ["gelu()"]
assert 0 < safe.score <= 0.05 and unpruned == 0
"""

BROUGHT = {
    "DataLoader, regression": (REGRESSION, REGRESSION_CHECK),
    "Hugging Face dicts": (HUGGING_FACE, HUGGING_FACE_CHECK),
    "generator": (GENERATOR, GENERATOR_CHECK),
    "train mode": (TRAIN_MODE, TRAIN_MODE_CHECK),
    "functions, a metric of one's own": (FUNCTIONS, FUNCTIONS_CHECK),
}


def with_own_cell(own: str, check: str = "") -> nbformat.NotebookNode:
    """The notebook with a user's cell, and a check of what it has found at its end."""
    notebook = jupytext.read(PATH)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code[1].source.startswith("# Yours in the place of these lines")
    code[1].source = own
    notebook.cells.append(nbformat.v4.new_code_cell(check))
    return notebook


@pytest.mark.parametrize("what", [name for name in BROUGHT if name != "Hugging Face dicts"])
def test_every_cell_runs_with_what_a_user_brings(what):
    names: dict[str, object] = {}
    for cell in with_own_cell(*BROUGHT[what]).cells:
        if cell.cell_type == "code":
            exec(compile(cell.source, what, "exec"), names)


@pytest.mark.slow
@pytest.mark.parametrize("what", BROUGHT)
def test_the_notebook_runs_with_what_a_user_brings(what, tmp_path):
    jupytext.write(with_own_cell(*BROUGHT[what]), tmp_path / "mine.md", fmt="md:myst")
    target = execute(tmp_path / "mine.md", tmp_path / "out.ipynb", {}, progress=False)
    notebook = nbformat.read(target, as_version=4)
    outputs = [o for cell in notebook.cells for o in cell.get("outputs", [])]
    metric = "mse" in BROUGHT[what][0] or "def metric" in BROUGHT[what][0]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == (2 if metric else 3)
    assert "synthetic" not in str(outputs)


def test_what_is_to_be_changed_stands_at_the_top():
    code = [cell for cell in jupytext.read(PATH).cells if cell.cell_type == "code"]
    assert "parameters" in code[0].metadata["tags"]
    for cell in code[2:]:
        for name in ("network", "batches", "metric", "example", "profile", "seed", "synthetic"):
            assert not re.search(rf"^{name}\b.*?(?<![=!<>])=(?!=)", cell.source, flags=re.MULTILINE)
    assert {"layers", "max_drop", "relative", "synthetic"} <= parameters(jupytext.read(PATH))


def test_figures_say_that_data_were_generated_only_if_they_were():
    names: dict[str, object] = {}
    marked = {}
    for synthetic in (True, False):
        own = GENERATOR + f"\nsynthetic = {synthetic}\n"
        for cell in with_own_cell(own).cells:
            if cell.cell_type == "code":
                source = cell.source.replace("figures.six_panels", "panels = figures.six_panels")
                exec(source.replace("\nheat_map(", "\nmapped = heat_map("), names)
        titles = [names[name].get_suptitle() for name in ("panels", "mapped", "drawn")]
        marked[synthetic] = ["synthetic" in title for title in titles]
    assert marked == {True: [True] * 3, False: [False] * 3}


def test_pages_are_those_of_the_examples():
    assert list(PAGES) == list(EXAMPLES)
    known = parameters(jupytext.read(PATH))
    for page in PAGES.values():
        assert {"example", *page.options} <= known


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": "torch_vision"}, "did you mean 'torchvision'"),
        ({"profile": "smal"}, "did you mean 'small'"),
        ({"seed": -1}, "seed must be 0 or more, got -1"),
    ],
)
def test_examples_that_do_not_exist(given, message):
    with pytest.raises(ThermoError, match=message):
        load(**{"name": "torchvision", **given})


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_are_trained_and_the_same_every_time(name):
    first, again = load(name), load(name)
    assert first.network.training
    assert first.synthetic
    scores = [evaluate(e.network, e.batches, e.metric) for e in (first, again)]
    assert scores[0] == scores[1]
    assert scores[0] < 10 if first.metric == "perplexity" else scores[0] > 0.8


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES.values(), ids=lambda page: page.example)
def test_every_page_is_made(page, tmp_path):
    values = {"example": page.example, "seed": 1, **page.options}
    target = execute(PATH, tmp_path / "out.ipynb", values, heading=page.title, progress=False)
    notebook = nbformat.read(target, as_version=4)
    assert notebook.cells[0].source.startswith(f"# {page.title}\n")
    outputs = [o for cell in notebook.cells for o in cell.get("outputs", [])]
    drawn = 2 if page.example == "language_model" else 3
    assert sum("image/png" in output.get("data", {}) for output in outputs) == drawn
    text = "".join(output.get("data", {}).get("text/markdown", "") for output in outputs)
    assert "removes" in text
    assert "nan" not in text
