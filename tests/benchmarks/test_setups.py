"""Set-ups that are tried: each changes what it says, the first one nothing."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch
from torch import nn

from benchmarks import setups as module
from benchmarks.setups import Setup, joined, measured, setups
from companion.data.tensors import Examples
from companion.networks import build
from companion.pages.setups import FILE, SAME, comparable, read_setups
from companion.runs.experiment import experiment, splits
from companion.runs.run import Run
from companion.runs.settings import settings
from thermo_utils import evaluate, full_evaluation

CHAPTERS = [(chapter.model, chapter.dataset) for chapter in comparable()]
SMALL = {"train_size": 200, "validation_size": 50, "test_size": 100, "epochs": 2}


def short(*arguments):
    return dataclasses.replace(settings(*arguments), **SMALL)


@pytest.fixture(scope="module")
def data():
    return splits(short("mlp", "cifar10"))


@pytest.mark.parametrize(("model", "dataset"), CHAPTERS)
@pytest.mark.parametrize("profile", ["demo", "small"])
def test_each_set_up_differs_in_one_way(model, dataset, profile):
    given = settings(model, dataset, profile)
    found = setups(given)
    assert found[0] == Setup(SAME)
    assert len({setup.words for setup in found}) == len(found)
    for setup in found[1:]:
        assert bool(setup.options) + bool(setup.changes) + setup.on_test == 1
        assert all(getattr(given, name) != value for name, value in setup.changes.items())
    shape = {"classes": 3, "image_size": 32}
    if dataset in ("ag_news", "yelp"):
        shape = {"classes": 3, "vocabulary": 50, "padding": 0, "max_length": 8}
    counts = {
        setup.words: sum(p.numel() for p in build(
            model, shape, **{**given.options, **setup.options}).parameters())
        for setup in found
    }  # fmt: skip
    assert counts["half as wide"] < counts[SAME] < counts["twice as wide"]
    assert counts["no dropout"] == counts[SAME]
    assert ("no normalisation" in counts) == (model == "mlp")


def test_without_normalisation_there_is_none():
    shape = {"classes": 3, "image_size": 8}
    for given in (True, False):
        network = build("mlp", shape, normalisation=given)
        assert any(isinstance(m, nn.BatchNorm1d) for m in network.modules()) is given


def test_the_first_is_the_chapter(tmp_path, data):
    """The same training, and the same sparsities, as where chapters are run."""
    given = short("mlp", "cifar10")
    found = measured(given, Setup(SAME), data)
    chapter = experiment(Run(given, tmp_path), progress=False)
    assert found["epochs"] == len(chapter.history)
    assert found["validation_accuracy"] == chapter.history["validation_accuracy"].max()
    curve = full_evaluation(
        chapter.network(), chapter.test(), chapter.layers, found["tau"], progress=False
    )
    assert found["beta"] == curve["beta"].tolist()
    assert found["pruned_accuracy"] == curve["accuracy"].tolist()
    assert found["accuracy"] == evaluate(chapter.network(), chapter.test())


def test_nothing_is_held_out(monkeypatch, data):
    seen = {}

    def train(network, given, **_):
        seen["data"] = given
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "train", train)
    with pytest.raises(KeyboardInterrupt):
        measured(short("mlp", "cifar10"), Setup("all", on_test=True), data)
    assert len(seen["data"].train) == 250
    assert torch.equal(seen["data"].validation.inputs, data.test.inputs)
    assert torch.equal(seen["data"].train.inputs[200:], data.validation.inputs)


def test_texts_are_joined_too():
    texts = Examples({"ids": torch.zeros(2, 3), "mask": torch.ones(2, 3)}, torch.zeros(2))
    both = joined(texts, texts)
    assert both.inputs["mask"].shape == (4, 3)
    assert len(both) == 4


def test_a_file_goes_on_where_it_was_stopped(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(module, "settings", short)
    done = []

    def counted(given, setup, data):
        done.append(setup.words)
        if len(done) == 3:
            raise KeyboardInterrupt
        return original(given, setup, data)

    original = module.measured
    monkeypatch.setattr(module, "measured", counted)
    command = ["mlp-cifar10", "--results", str(tmp_path)]
    assert module.main(command) == 130
    first = json.loads((tmp_path / "demo" / FILE).read_text())["chapters"]["mlp-cifar10"]["tried"]
    assert list(first) == done[:2]
    assert module.main(command) == 0
    whole = read_setups(tmp_path / "demo" / FILE)["chapters"]["mlp-cifar10"]
    assert list(whole["tried"]) == [s.words for s in setups(short("mlp", "cifar10"))]
    assert {words: whole["tried"][words] for words in first} == first
    assert done.count(SAME) == 1
    assert whole["test_examples"] == 100

    def others(*arguments):
        return dataclasses.replace(short(*arguments), epochs=3)

    monkeypatch.setattr(module, "settings", others)
    capsys.readouterr()
    assert module.main(command) == 2
    assert "other settings" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [["vit-cifar10"], ["mlp-cifar10", "--profile", "none"]])
def test_wrong_requests_end_with_a_sentence(wrong, capsys, tmp_path):
    assert module.main([*wrong, "--results", str(tmp_path)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
