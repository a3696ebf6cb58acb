"""The four data sets and the seven pretrained networks of the paper, in miniature.

Files have the names and the form of the originals; weights are random.
"""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from torch import Tensor
from torchvision.models import MobileNetV2, resnet18
from transformers import (
    BertConfig,
    BertForPreTraining,
    ElectraConfig,
    ElectraForPreTraining,
    GPT2Config,
    GPT2LMHeadModel,
    T5Config,
    T5ForConditionalGeneration,
    ViTConfig,
    ViTForImageClassification,
)

from companion.data.specs import DATASETS
from companion.data.synthetic import generate

__all__ = ["datasets", "networks", "torchvision"]

#: Examples of each part; every class is in every part.
SIZES = {"cifar10": (120, 0, 40), "flowers102": (204, 102, 102), "ag_news": (160, 0, 24),
         "yelp": (160, 0, 25)}  # fmt: skip
#: Folder of the parquet files in each repository.
FOLDERS = {"cifar10": "plain_text", "yelp": "yelp_review_full"}
SEED = 0


def datasets() -> dict[tuple[str, str], dict[str, bytes]]:
    """The repositories of the data sets: a card that names the files, and parquet."""
    made = {}
    for name, spec in DATASETS.items():
        small = replace(spec, image_size=min(spec.image_size, 32) if spec.kind == "image" else 0)
        train, validation, test = SIZES[name]
        parts = generate(small, (train, validation or 1, test), SEED)
        folder = FOLDERS.get(name, "data")
        kept = [part for part, size in zip(parts, SIZES[name], strict=True) if size]
        lines = [f"  - split: {part}\n    path: {folder}/{part}-*\n" for part in kept]
        card = f"configs:\n- config_name: {spec.configuration}\n  default: true\n  data_files:\n"
        files = {"README.md": f"---\n{card}{''.join(lines)}---\n\n{spec.title}\n".encode()}
        for part in kept:
            parquet = io.BytesIO()
            parts[part].to_parquet(parquet)
            files[f"{folder}/{part}-00000-of-00001.parquet"] = parquet.getvalue()
        made["datasets", spec.hub_id] = files
    return made


def networks() -> dict[tuple[str, str], dict[str, bytes]]:
    """The repositories of the pretrained networks."""
    torch.manual_seed(SEED)
    texts = [text for text in _texts() for _ in range(2)]
    wordpiece, bpe, unigram = _wordpiece(texts), _bpe(texts), _unigram(texts)
    # So narrow a network needs large weights to have activations of the usual size.
    wide = {"initializer_range": 0.5}
    encoder: dict[str, Any] = {
        "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 32, **wide,
    }  # fmt: skip
    size = wordpiece.get_vocab_size()
    bert = BertForPreTraining(BertConfig(**encoder, vocab_size=size))
    electra = ElectraForPreTraining(ElectraConfig(**encoder, vocab_size=size, embedding_size=16))
    shape: dict[str, Any] = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2}
    # The original has more rows of its embedding than tokens.
    shape |= {"vocab_size": unigram.get_vocab_size() + 128, "decoder_start_token_id": 0}
    t5 = T5ForConditionalGeneration(T5Config(**shape))
    decoder: dict[str, Any] = {"n_embd": 16, "n_layer": 2, "n_head": 2, **wide}
    decoder |= {"vocab_size": bpe.get_vocab_size(), "bos_token_id": 0, "eos_token_id": 0}
    gpt2 = GPT2LMHeadModel(GPT2Config(**decoder))
    # Six blocks, so that the last four are not all.
    picture: dict[str, Any] = {"image_size": 32, "patch_size": 8, "num_labels": 9}
    vit = ViTForImageClassification(ViTConfig(**{**encoder, "num_hidden_layers": 6, **picture}))
    words = _vocabulary(wordpiece)
    lower = {"do_lower_case": True, "model_max_length": 512}
    # Names of before transformers 2: the original still has them.
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): weight
        for name, weight in _saved(bert).items()
    }
    bare = {name.removeprefix("transformer."): w for name, w in _saved(gpt2).items()}
    return {
        ("models", "google-bert/bert-base-uncased"): {
            **_files(bert, "BertForMaskedLM", wordpiece, lower),
            "model.safetensors": save(old, {"format": "pt"}),
            "vocab.txt": words,
        },
        ("models", "google/electra-base-discriminator"): {
            **_files(electra, "ElectraForPreTraining", wordpiece, lower),
            "pytorch_model.bin": _pickled(_saved(electra)),
            "vocab.txt": words,
        },
        ("models", "google-t5/t5-small"): {
            **_files(t5, "T5ForConditionalGeneration", unigram, {"model_max_length": 512}),
            "model.safetensors": save(_saved(t5), {"format": "pt"}),
        },
        ("models", "openai-community/gpt2"): {
            **_files(gpt2, "GPT2LMHeadModel", bpe, {"model_max_length": 1024}),
            "model.safetensors": save(bare, {"format": "pt"}),
            **_byte_pairs(bpe),
        },
        ("models", "google/vit-base-patch16-224"): {
            **_files(vit, "ViTForImageClassification", None, {}),
            "preprocessor_config.json": json.dumps({"do_resize": True, "size": 32}).encode(),
            "model.safetensors": save(_saved(vit), {"format": "pt"}),
        },
    }


def torchvision() -> dict[str, dict[str, bytes]]:
    """Weights of torchvision's two networks, by network and by file name, the hash included."""
    torch.manual_seed(SEED)
    made = {}
    for name, network in (("resnet18", resnet18()), ("mobilenet_v2", MobileNetV2())):
        content = _pickled(network.state_dict())
        made[name] = {f"{name}-{hashlib.sha256(content).hexdigest()[:8]}.pth": content}
    return made


def _texts() -> Iterator[str]:
    for name in ("ag_news", "yelp"):
        for part in generate(DATASETS[name], (60, 1, 1), SEED).values():
            yield from part["text"][:]


def _files(
    network: Any, architecture: str, tokenizer: Tokenizer | None, options: dict[str, Any]
) -> dict[str, bytes]:
    config = {**network.config.to_diff_dict(), "architectures": [architecture]}
    config.pop("transformers_version", None)
    files = {"README.md": b"---\n---\n", "config.json": json.dumps(config).encode()}
    if tokenizer is not None:
        files["tokenizer.json"] = tokenizer.to_str().encode()
        files["tokenizer_config.json"] = json.dumps(options).encode()
    return files


def _saved(network: Any) -> dict[str, Tensor]:
    """The weights under the names by which ``transformers`` saves them, ties left out."""
    from safetensors.torch import load_file

    with tempfile.TemporaryDirectory() as folder:
        network.save_pretrained(folder)
        return load_file(Path(folder, "model.safetensors"))


def _pickled(weights: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    torch.save(weights, file)
    return file.getvalue()


def _vocabulary(tokenizer: Tokenizer) -> bytes:
    vocabulary = tokenizer.get_vocab()
    return "".join(f"{word}\n" for word in sorted(vocabulary, key=vocabulary.__getitem__)).encode()


def _wordpiece(texts: list[str]) -> Tokenizer:
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    made.train_from_iterator(
        texts, trainers.WordPieceTrainer(vocab_size=300, special_tokens=special)
    )
    made.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return made


def _bpe(texts: list[str]) -> Tokenizer:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=400,
            special_tokens=["<|endoftext|>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        ),
    )
    return made


def _byte_pairs(tokenizer: Tokenizer) -> dict[str, bytes]:
    model = json.loads(tokenizer.to_str())["model"]
    pairs = [pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"]]
    merges = "#version: 0.2\n" + "".join(f"{pair}\n" for pair in pairs)
    return {"vocab.json": json.dumps(model["vocab"]).encode(), "merges.txt": merges.encode()}


def _unigram(texts: list[str]) -> Tokenizer:
    made = Tokenizer(models.Unigram())
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.train_from_iterator(
        texts,
        trainers.UnigramTrainer(
            vocab_size=300, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>"
        ),
    )
    made.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    return made
