"""Pretraining by a network's own objective: it changes the body, by what it reads, and no head."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from transformers import GPT2LMHeadModel, T5ForConditionalGeneration

from benchmarks import pretraining
from benchmarks.pretraining import OBJECTIVES, pretrain
from companion import cli
from companion.data.tensors import Examples, Splits
from companion.networks import build
from companion.pages.pretraining import FILE, MODELS, read_pretraining
from companion.runs.records import read_record
from companion.runs.run import WORK
from companion.runs.settings import settings
from thermo_utils import ThermoError

DATASET = {"vit": "cifar10", "electra": "ag_news", "t5": "ag_news", "gpt2": "ag_news"}
HEADS = ("classifier", "score")
#: Read nowhere but at the beginning of its texts, in a vocabulary with a padding of its own.
VOCABULARY, LENGTH, SIDE = 60, 12, 16


def made(name):
    shape = (
        {"classes": 3, "image_size": SIDE}
        if name == "vit"
        else {"classes": 3, "vocabulary": VOCABULARY, "padding": 0, "max_length": LENGTH}
    )
    torch.manual_seed(0)
    options = settings(name, DATASET[name]).options
    return build(name, shape, **{**options, "dropout": 0.0})


def examples(name, count=96):
    """Texts that count upwards, and images of one colour: both can be foreseen."""
    generator = torch.Generator().manual_seed(0)
    targets = torch.zeros(count, dtype=torch.int64)
    if name == "vit":
        colour = torch.randn(count, 3, 1, 1, generator=generator)
        return Examples(colour.expand(-1, -1, SIDE, SIDE).contiguous(), targets)
    first = torch.randint(5, VOCABULARY - LENGTH, (count, 1), generator=generator)
    mask = torch.ones(count, LENGTH, dtype=torch.int64)
    mask[: count // 2, LENGTH // 2 :] = 0
    ids = (first + torch.arange(LENGTH)) * mask
    return Examples({"input_ids": ids, "attention_mask": mask}, targets)


def data(name):
    part = examples(name)
    return Splits(part, part, part, class_names=("a", "b", "c"), source="", fingerprint="")


def pretrained(name, given=None, **changes):
    network = made(name)
    options = {"epochs": 2, "batch_size": 16, "seed": 0} | changes
    return network, pretrain(network, name, given or data(name), **options)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_loss_falls_and_the_head_stays(name):
    before = made(name).state_dict()
    network, losses = pretrained(name, epochs=12)
    after = network.state_dict()
    assert losses[-1] < 0.9 * losses[0]
    assert before.keys() == after.keys()  # nothing is left of the objective
    for weight, value in after.items():
        if weight.startswith(HEADS):
            assert torch.equal(value, before[weight])
    changed = {w for w, value in after.items() if not torch.equal(value, before[w])}
    body = [w for w in after if ".mlp." in w or ".intermediate." in w or "DenseReluDense" in w]
    assert body
    assert changed.issuperset(w for w in body if "wi" in w or w.endswith("weight"))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_pretraining_is_repeatable_and_reads_no_targets(name):
    first, _ = pretrained(name)
    other = data(name)
    other.train.targets.fill_(2)
    second, _ = pretrained(name, other)
    third, _ = pretrained(name, seed=1)
    same = [torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True)]
    assert all(same)
    assert not all(map(torch.equal, first.parameters(), third.parameters()))


def test_the_loss_of_gpt2_is_that_of_its_own_class():
    network, inputs = made("gpt2").eval(), data("gpt2").train.inputs
    reference = GPT2LMHeadModel(network.config).eval()
    reference.transformer = network.transformer
    reference.tie_weights()
    labels = inputs["input_ids"].masked_fill(inputs["attention_mask"] == 0, -100)
    expected = reference(**inputs, labels=labels).loss
    torch.testing.assert_close(OBJECTIVES["gpt2"](network).loss(inputs), expected)


def test_the_loss_of_t5_is_that_of_its_own_class(monkeypatch):
    """With all of a text hidden, which leaves nothing to chance."""
    network, inputs = made("t5").eval(), data("t5").train.inputs
    monkeypatch.setattr(pretraining, "TOKENS", 1.0 * pretraining.SPAN)
    reference = T5ForConditionalGeneration(network.t5.config).eval()
    reference.shared = network.t5.shared
    reference.encoder, reference.decoder = network.t5.encoder, network.t5.decoder
    reference.tie_weights()
    mask = inputs["attention_mask"]
    expected = reference(
        input_ids=torch.zeros_like(mask), attention_mask=mask, decoder_attention_mask=mask,
        decoder_input_ids=reference.prepare_decoder_input_ids_from_labels(inputs["input_ids"]),
        labels=inputs["input_ids"].masked_fill(mask == 0, -100),
    ).loss  # fmt: skip
    torch.testing.assert_close(OBJECTIVES["t5"](network).loss(inputs), expected)


@pytest.mark.parametrize("name", sorted(set(OBJECTIVES) - {"vit"}))
def test_what_stands_in_the_padding_does_not_matter(name):
    given = data(name)
    inputs = given.train.inputs
    other = {**inputs, "input_ids": inputs["input_ids"] + 3 * (1 - inputs["attention_mask"])}
    changed = dataclasses.replace(given, train=Examples(other, given.train.targets))
    (_, losses), (_, again) = pretrained(name, given), pretrained(name, changed)
    assert losses == pytest.approx(again, rel=1e-4)


def test_the_book_knows_which_networks_can_be_pretrained():
    assert set(OBJECTIVES) == set(MODELS)


def test_a_network_without_an_objective_is_refused():
    with pytest.raises(ThermoError, match=r"mlp .*electra"):
        pretrain(torch.nn.Linear(1, 1), "mlp", data("vit"), epochs=1, batch_size=2, seed=0)


@pytest.fixture
def chapter(tmp_path, monkeypatch):
    """A chapter with a record, whose network cannot be asked for."""
    record = SimpleNamespace(result={"curves_sha256": "0" * 64})
    monkeypatch.setattr(pretraining, "read_record", lambda _: record)
    monkeypatch.setattr(
        pretraining, "experiment", lambda _: SimpleNamespace(data=lambda: data("gpt2"), test=list)
    )
    monkeypatch.setattr(pretraining, "build", lambda *_, **__: made("gpt2"))
    monkeypatch.setattr(pretraining, "evaluate", lambda network, _: float(network.training))
    monkeypatch.setattr(pretraining, "train", untrained)
    (tmp_path / "demo").mkdir()
    return tmp_path


def untrained(network, *_, **__):
    network.eval()
    return pd.DataFrame({"validation_accuracy": [0.25, 0.75, 0.5]})


def measure(results, *names, epochs=2):
    return pretraining.main([*names, "--results", str(results), "--epochs", str(epochs)])


def test_what_is_measured_is_added_to_the_file(chapter):
    assert measure(chapter, "gpt2-yelp") == 0
    assert measure(chapter, "gpt2-ag_news", epochs=3) == 0
    found = read_pretraining(chapter / "demo" / FILE)
    assert {name: entry["epochs"] for name, entry in found.items()} == {
        "gpt2-yelp": 2, "gpt2-ag_news": 3,
    }  # fmt: skip
    for entry in found.values():
        assert len(entry["losses"]) == entry["epochs"]
        assert (entry["accuracy"], entry["validation_accuracy"]) == (0.0, 0.75)
        assert entry["curves_sha256"] == "0" * 64


def test_a_damaged_file_is_refused_before_anything_is_measured(chapter, monkeypatch, capsys):
    path = chapter / "demo" / FILE
    path.write_text("{")
    monkeypatch.setattr(pretraining, "measured", None)
    assert measure(chapter, "gpt2-yelp") == 2
    assert "is damaged" in capsys.readouterr().err
    assert path.read_text() == "{"


def test_without_a_record_there_is_nothing_to_compare_with(tmp_path, capsys):
    assert measure(tmp_path, "gpt2-yelp") == 2
    error = capsys.readouterr().err
    assert "thermo run gpt2 yelp --profile demo" in error
    assert len(error.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_chapter_of_its_own_record(tmp_path):
    """With the data and the network of a record, and nothing of the chapter trained again."""
    assert cli.main(["run", "gpt2", "ag_news", "--results", str(tmp_path)]) == 0
    kept = sorted((tmp_path / WORK).rglob("*"))
    assert measure(tmp_path, "gpt2-ag_news") == 0
    assert sorted((tmp_path / WORK).rglob("*")) == kept
    (entry,) = read_pretraining(tmp_path / "demo" / FILE).values()
    record = read_record(tmp_path / "demo" / "gpt2-ag_news")
    assert entry["curves_sha256"] == record.result["curves_sha256"]
    assert entry["losses"][1] < entry["losses"][0]


@pytest.mark.parametrize("wrong", [["mlp-cifar10"], ["gpt2-yelp", "--epochs", "0"]])
def test_wrong_requests_end_with_a_sentence(wrong, capsys):
    assert pretraining.main(wrong) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
