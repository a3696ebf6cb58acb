"""Hugging Face's networks, in tiny configurations with random weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.kinds.kind import CLASSES, Case, kind, labelled, written

WORDS, LENGTH, COUNT = 50, 10, 32
TINY: dict[str, Any] = {
    "vocab_size": WORDS, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 32, "max_position_embeddings": 32, "num_labels": CLASSES,
}  # fmt: skip


def texts() -> tuple[Tensor, Tensor]:
    """Numbers of words, and which of them are no padding."""
    lengths = 4 + torch.arange(COUNT) % (LENGTH - 3)
    mask = (torch.arange(LENGTH) < lengths[:, None]).long()
    return torch.randint(1, WORDS, (COUNT, LENGTH)) * mask, mask


def dicts(**columns: Tensor) -> Callable[[], list[dict[str, Tensor]]]:
    """Batches as Hugging Face's data loaders make them."""
    halves = [{k: v[i : i + COUNT // 2] for k, v in columns.items()} for i in (0, COUNT // 2)]
    return lambda: halves


def encoder(model: nn.Module, **more: Any) -> Case:
    """A classifier of texts with padding."""
    ids, mask = texts()
    y = labelled(model, ids, call=lambda x: model(input_ids=x, attention_mask=mask).logits)
    return Case(model, dicts(input_ids=ids, attention_mask=mask, labels=y), **more)


@kind("BERT, Hugging Face", "dicts with attention_mask and labels", heavy=True)
def bert() -> Case:
    from transformers import BertConfig, BertForSequenceClassification

    return encoder(BertForSequenceClassification(BertConfig(**TINY)))


@kind("DistilBERT, Hugging Face", "dicts with attention_mask and labels", heavy=True)
def distilbert() -> Case:
    from transformers import DistilBertConfig, DistilBertForSequenceClassification

    more: dict[str, Any] = {"max_position_embeddings": 32, "num_labels": CLASSES}
    shape: dict[str, Any] = {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32}
    config = DistilBertConfig(vocab_size=WORDS, **shape, **more)
    return encoder(DistilBertForSequenceClassification(config))


@kind("ModernBERT, Hugging Face: gated GELU", "dicts with attention_mask and labels", heavy=True)
def modernbert() -> Case:
    from transformers import ModernBertConfig, ModernBertForSequenceClassification

    special: dict[str, Any] = {
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "cls_token_id": 1,
    }
    config = ModernBertConfig(**TINY, **special, sep_token_id=2)
    return encoder(ModernBertForSequenceClassification(config))


@kind("BERT, Hugging Face, scored by F1", "dicts, as above", heavy=True)
def bert_f1() -> Case:
    from transformers import BertConfig, BertForSequenceClassification

    return encoder(BertForSequenceClassification(BertConfig(**TINY)), metric="f1")


@kind("BERT for masked words, Hugging Face", "dicts, labels of -100 but where masked", heavy=True)
def masked_words() -> Case:
    from transformers import BertConfig, BertForMaskedLM

    model = BertForMaskedLM(BertConfig(**TINY)).eval()
    ids, mask = texts()
    with torch.no_grad():
        best = model(input_ids=ids, attention_mask=mask).logits.argmax(-1)
    labels = torch.where((torch.rand(ids.shape) < 0.5) & (mask == 1), best, -100)
    return Case(model, dicts(input_ids=ids, attention_mask=mask, labels=labels))


@kind("BERT for a class per word, Hugging Face", "dicts, -100 where there is padding", heavy=True)
def words() -> Case:
    from transformers import BertConfig, BertForTokenClassification

    model = BertForTokenClassification(BertConfig(**TINY))
    ids, mask = texts()

    def call(x: Tensor) -> Tensor:
        return model(input_ids=x, attention_mask=mask).logits

    labels = labelled(model, ids, call=call, axis=-1).where(mask == 1, -100)
    return Case(model, dicts(input_ids=ids, attention_mask=mask, labels=labels))


def language_model(model: nn.Module, metric: str) -> Case:
    """A model that is to predict a text of its own, given as labels unshifted, as usual."""
    head = model.get_output_embeddings()  # type: ignore[operator]
    with torch.no_grad():
        head.weight *= 8 / head.weight.std() / head.weight.shape[1] ** 0.5
    ids = written(model, COUNT, LENGTH, WORDS)
    return Case(model, dicts(input_ids=ids, labels=ids.clone()), metric=metric)


@kind("GPT-2, Hugging Face, scored by perplexity", "dicts, labels = input_ids", heavy=True)
def gpt2() -> Case:
    return language_model(_gpt2(), "perplexity")


@kind("GPT-2, Hugging Face, scored by accuracy", "dicts, labels = input_ids", heavy=True)
def gpt2_accuracy() -> Case:
    return language_model(_gpt2(), "accuracy")


def _gpt2() -> nn.Module:
    from transformers import GPT2Config, GPT2LMHeadModel

    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=WORDS, n_embd=16, n_layer=2, n_head=2, n_positions=32, bos_token_id=1,
            eos_token_id=2,
        )
    )  # fmt: skip


@kind("Llama, Hugging Face, scored by perplexity", "dicts, labels = input_ids", heavy=True)
def llama() -> Case:
    from transformers import LlamaConfig, LlamaForCausalLM

    shape = {k: v for k, v in TINY.items() if k != "num_labels"}
    return language_model(LlamaForCausalLM(LlamaConfig(**shape)), "perplexity")


@kind(
    "Mixtral, Hugging Face: experts whose routing changes", "dicts, labels = input_ids", heavy=True
)
def mixtral() -> Case:
    from transformers import MixtralConfig, MixtralForCausalLM

    shape = {k: v for k, v in TINY.items() if k != "num_labels"}
    config = MixtralConfig(
        **shape, num_key_value_heads=2, num_local_experts=4, num_experts_per_tok=1
    )
    return language_model(MixtralForCausalLM(config), "perplexity")


@kind("T5, Hugging Face, encoder and decoder", "dicts, labels of another text", heavy=True)
def t5() -> Case:
    from transformers import T5Config, T5ForConditionalGeneration

    more: dict[str, Any] = {"decoder_start_token_id": 0, "tie_word_embeddings": False}
    config = T5Config(
        vocab_size=WORDS, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2, **more
    )  # fmt: skip
    model = T5ForConditionalGeneration(config).eval()
    ids, mask = texts()
    labels = ids.roll(1, 0)[:, :6].contiguous()
    for _ in range(6):  # what it answers when it has been told its own answers
        with torch.no_grad():
            scores = model(input_ids=ids, attention_mask=mask, labels=labels).logits
        labels = scores.argmax(-1)
    return Case(model, dicts(input_ids=ids, attention_mask=mask, labels=labels))


@kind("Whisper, Hugging Face, encoder and decoder", "dicts with input_features", heavy=True)
def whisper() -> Case:
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    config = WhisperConfig(
        vocab_size=WORDS, d_model=16, encoder_layers=1, decoder_layers=1, num_mel_bins=8,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=32,
        decoder_ffn_dim=32, max_source_positions=20, max_target_positions=16,
        pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1,
        suppress_tokens=None, begin_suppress_tokens=None,
    )  # fmt: skip
    model = WhisperForConditionalGeneration(config).eval()
    sound = torch.randn(COUNT, 8, 40)
    labels = torch.randint(3, WORDS, (COUNT, 6))
    for _ in range(6):
        with torch.no_grad():
            labels = model(input_features=sound, labels=labels).logits.argmax(-1)
    return Case(model, dicts(input_features=sound, labels=labels))


class Matching(nn.Module):
    """CLIP asked which of some texts an image goes with."""

    def __init__(self, clip: nn.Module, ids: Tensor) -> None:
        super().__init__()
        self.clip = clip
        self.register_buffer("ids", ids)

    def forward(self, pixel_values: Tensor) -> Tensor:
        return self.clip(input_ids=self.ids, pixel_values=pixel_values).logits_per_image


@kind("CLIP, Hugging Face, as a classifier by texts", "images", heavy=True)
def clip() -> Case:
    from transformers import CLIPConfig, CLIPModel

    shared: dict[str, Any] = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1,
              "num_attention_heads": 2}  # fmt: skip
    config = CLIPConfig(
        text_config={**shared, "vocab_size": WORDS, "max_position_embeddings": 16,
                     "eos_token_id": 2, "bos_token_id": 1, "pad_token_id": 0},
        vision_config={**shared, "image_size": 16, "patch_size": 8}, projection_dim=8,
    )  # fmt: skip
    ids = torch.randint(3, WORDS, (CLASSES, 6))
    ids[:, -1] = 2
    model = Matching(CLIPModel(config), ids).eval()
    x = torch.randn(COUNT, 3, 16, 16)
    with torch.no_grad():
        y = model(x).argmax(1)
    return Case(model, lambda: [(x, y)])
