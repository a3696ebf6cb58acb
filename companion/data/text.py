"""Text datasets as token ids and attention masks (Section 4.1).

Texts are cut into words with NLTK, into subwords with a tokenizer trained on the spot, or into
the subwords of a pretrained checkpoint; then padded and truncated to one length taken from
a percentile of the training set.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from companion import checkpoints
from companion.data.sources import files_digest
from companion.data.specs import DATASETS, DatasetSpec
from companion.data.splits import load_splits
from companion.data.tensors import Examples, Splits
from thermo_utils.errors import ThermoError, unknown

if TYPE_CHECKING:
    import datasets
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerBase

__all__ = ["TOKENIZERS", "text_splits"]

#: Tokenizers that need no checkpoint, and whose they are like.
TOKENIZERS = {
    "words": "NLTK words, lowercased (LSTM)",
    "wordpiece": "trained WordPiece, lowercased (BERT, ELECTRA)",
    "bpe": "trained byte-level BPE (GPT-2)",
    "unigram": "trained Unigram (T5)",
}
#: Longest text any of the paper's transformers reads.
LIMIT = 512
#: Texts tokenised at a time, which bounds the memory that Python lists of ids take.
CHUNK = 10_000
#: GPT-2's only special token.
END_OF_TEXT = "<|endoftext|>"
#: Where a sentence ends, roughly.
SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
#: Sets larger than this get a progress bar where tokenising is slow.
LARGE = 20_000


#: Token ids of one text.
Ids: TypeAlias = Sequence[int] | NDArray[np.int32]


@dataclass(frozen=True)
class _Encoder:
    """Turns texts into token ids, special tokens included, at most `LIMIT` per text."""

    encode: Callable[[Sequence[str]], list[list[int]]]
    vocabulary: int
    padding: int
    suffix: tuple[int, ...] = ()  #: special tokens that end every text, even a truncated one
    train: Sequence[Ids] | None = None  #: the training texts, if they are encoded already


def text_splits(
    dataset: str,
    *,
    synthetic: bool,
    sizes: tuple[int | None, int | None, int | None] = (None, None, None),
    seed: int = 0,
    tokenizer: str,
    max_length: int | None = None,
    percentile: float = 95.0,
    vocabulary_size: int = 20_000,
) -> Splits:
    """A text dataset as token ids and attention masks (Section 4.1).

    Parameters
    ----------
    dataset, synthetic, sizes, seed
        As for :func:`companion.data.splits.load_splits`.
    tokenizer : str
        ``"words"``, ``"wordpiece"``, ``"bpe"``, ``"unigram"`` (learned from the training texts),
        or a pretrained checkpoint, see :func:`companion.checkpoints.locate`. Words and
        WordPiece are lowercased; a checkpoint decides for itself.
    max_length : int, optional
        Tokens per text, special tokens counted; by default from `percentile`.
    percentile : float, default 95
        This share of the training texts, in percent, fits without truncation.
    vocabulary_size : int, default 20000
        Upper bound on the number of token ids, for tokenizers that are learned here.

    Returns
    -------
    Splits
        Inputs are ``input_ids`` and ``attention_mask``, ``int64`` of shape
        ``(examples, max_length)``, padded on the right. The mask comes from the lengths, so it is
        right where padding is also the end-of-text token (GPT-2). No mask is all zeros: a text
        without tokens keeps one padding token.

    Raises
    ------
    ThermoError
        As :func:`load_splits`; if the dataset holds no texts, the tokenizer is unknown, an option
        is out of range, or no training text has a token.

    Examples
    --------
    >>> news = text_splits("ag_news", synthetic=True, sizes=(64, 8, 8), tokenizer="words")
    >>> tuple(news.test.inputs["input_ids"].shape) == (8, news.max_length)
    True
    """
    if dataset in DATASETS and DATASETS[dataset].kind != "text":
        raise ThermoError(f"{DATASETS[dataset].title} holds images, not texts")
    if max_length is not None and not 2 <= max_length <= LIMIT:
        raise ThermoError(f"max_length must be from 2 to {LIMIT}, got {max_length}")
    if not 0 < percentile <= 100:
        raise ThermoError(f"percentile must be above 0 and at most 100, got {percentile}")
    prepare = _prepare(tokenizer, vocabulary_size)
    parts, source, remarks = load_splits(dataset, synthetic=synthetic, sizes=sizes, seed=seed)
    spec = DATASETS[dataset]
    train: Sequence[str] = parts["train"][spec.column][:]
    if not any(text.strip() for text in train):
        raise ThermoError(f"{spec.title}: the training part has no text in it")
    encoder = prepare(train)

    rows = {
        name: _rows(
            encoder,
            encoder.train
            if name == "train" and encoder.train is not None
            else _encoded(encoder, part[spec.column][:]),
        )
        for name, part in parts.items()
    }
    lengths = np.diff(rows["train"][1])
    if max_length is None:
        # "higher" returns a length that occurs, so the promised share of texts really fits.
        max_length = max(2, int(np.percentile(lengths, percentile, method="higher")))
    examples = {
        name: Examples(_padded(*rows.pop(name), encoder, max_length), _targets(part))
        for name, part in parts.items()
    }
    return Splits(
        train=examples["train"],
        validation=examples["validation"],
        test=examples["test"],
        class_names=spec.class_names,
        source=source,
        fingerprint=_fingerprint(parts, spec),
        departures=remarks,
        files=None if synthetic else files_digest(dataset),
        vocabulary=encoder.vocabulary,
        padding=encoder.padding,
        max_length=max_length,
    )


def _prepare(tokenizer: str, size: int) -> Callable[[Sequence[str]], _Encoder]:
    """What makes the encoder from the training texts; bad requests fail before data are read."""
    if tokenizer not in TOKENIZERS:
        if "/" not in tokenizer and not Path(tokenizer).expanduser().exists():
            error = unknown("tokenizer", tokenizer, TOKENIZERS)
            raise ThermoError(f"{error}, or a checkpoint such as google-bert/bert-base-uncased")
        return lambda train: _pretrained(tokenizer)
    if size < 300:  # 256 bytes and the special tokens of the byte-level alphabet must fit
        raise ThermoError(f"vocabulary_size must be 300 or more, got {size}")
    if tokenizer == "words":
        return lambda train: _words(train, size)
    return lambda train: _subword_encoder(_trained(tokenizer, train, size))


def _words(train: Sequence[str], size: int) -> _Encoder:
    from nltk.tokenize import word_tokenize

    def split(texts: Iterable[str]) -> Iterator[list[str]]:
        # NLTK parts a full stop from its word only at the end of a sentence, and to find sentences
        # it wants a model that it would have to download: hence preserve_line and a simple split.
        for text in texts:
            yield [
                word
                for sentence in SENTENCE_END.split(text.lower())
                for word in word_tokenize(sentence, preserve_line=True)
            ]

    padding, unknown_id = 0, 1
    # Words are numbered as they come and renumbered by frequency afterwards, which spares reading
    # the training texts twice.
    numbers: dict[str, int] = {}
    coded = [
        np.array([numbers.setdefault(word, len(numbers)) for word in words], dtype=np.int32)
        for words in split(_watched(train, len(train)))
    ]
    frequent = np.argsort(-np.bincount(np.concatenate(coded)), kind="stable")[: size - 2]
    final = np.full(len(numbers), unknown_id, dtype=np.int32)
    final[frequent] = np.arange(2, 2 + len(frequent))
    ids = dict(zip(numbers, final.tolist(), strict=True))

    def encode(texts: Sequence[str]) -> list[list[int]]:
        return [[ids.get(word, unknown_id) for word in words[:LIMIT]] for words in split(texts)]

    return _Encoder(
        encode,
        vocabulary=2 + len(frequent),
        padding=padding,
        train=[final[words[:LIMIT]] for words in coded],
    )


def _trained(kind: str, train: Sequence[str], size: int) -> PreTrainedTokenizerBase:
    from transformers import PreTrainedTokenizerFast

    make = {"wordpiece": _wordpiece, "bpe": _bpe, "unigram": _unigram}[kind]
    made, special = make(train, size)
    return PreTrainedTokenizerFast(tokenizer_object=made, **special)


def _wordpiece(train: Sequence[str], size: int) -> tuple[Tokenizer, dict[str, str]]:
    from tokenizers import (
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
        processors,
        trainers,
    )

    special = {
        "pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]",
        "mask_token": "[MASK]",
    }  # fmt: skip
    normalizer = normalizers.BertNormalizer(lowercase=True)
    draft = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    draft.normalizer = normalizer
    draft.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    # The trainer numbers inner characters in the order of a hash table, and breaks ties by number;
    # naming them beforehand makes the outcome depend on the texts alone.
    letters = {letter for text in train for letter in set(normalizer.normalize_str(text))}
    inner = sorted(f"##{letter}" for letter in letters if not letter.isspace())
    trainer = trainers.WordPieceTrainer(
        vocab_size=size, special_tokens=[*special.values(), *inner], show_progress=False
    )
    draft.train_from_iterator(train, trainer, length=len(train))
    made = Tokenizer(models.WordPiece(draft.get_vocab(), unk_token="[UNK]"))
    made.normalizer, made.pre_tokenizer = draft.normalizer, draft.pre_tokenizer
    made.decoder = decoders.WordPiece()
    ends = [(token, made.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=ends
    )
    return made, special


def _bpe(train: Sequence[str], size: int) -> tuple[Tokenizer, dict[str, str]]:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(train, trainer, length=len(train))
    roles = ("eos_token", "bos_token", "unk_token", "pad_token")
    return made, dict.fromkeys(roles, END_OF_TEXT)


def _unigram(train: Sequence[str], size: int) -> tuple[Tokenizer, dict[str, str]]:
    import sentencepiece
    from tokenizers import (
        Regex,
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
        processors,
    )

    normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
    )
    # SentencePiece in one thread always learns the same pieces; the trainer of tokenizers sums in
    # the order of a hash table, and its rounding errors change the outcome from run to run.
    learned = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=(normalizer.normalize_str(text) for text in train),
        model_writer=learned,
        model_type="unigram",
        vocab_size=size,
        hard_vocab_limit=False,
        normalization_rule_name="identity",
        max_sentence_length=1_000_000,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        num_threads=1,
        minloglevel=2,
    )
    model = sentencepiece.SentencePieceProcessor(model_proto=learned.getvalue())
    pieces = [(model.id_to_piece(i), model.get_score(i)) for i in range(len(model))]
    made = Tokenizer(models.Unigram(pieces, unk_id=2))
    made.normalizer = normalizer
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    made.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    return made, {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}


def _pretrained(checkpoint: str) -> _Encoder:
    from transformers import AutoTokenizer

    tokenizer = checkpoints.load(AutoTokenizer.from_pretrained, checkpoint)
    if tokenizer.pad_token_id is None:
        if tokenizer.eos_token is None:
            raise ThermoError(f"the tokenizer of {checkpoint} has no padding and no end token")
        tokenizer.pad_token = tokenizer.eos_token  # as the paper does for GPT-2
    return _subword_encoder(tokenizer)


def _subword_encoder(tokenizer: PreTrainedTokenizerBase) -> _Encoder:
    def encode(texts: Sequence[str]) -> list[list[int]]:
        return tokenizer(
            list(texts), truncation=True, max_length=LIMIT, return_attention_mask=False
        )["input_ids"]

    probe = tokenizer("a", return_special_tokens_mask=True)
    plain = probe["special_tokens_mask"][::-1].index(0)
    suffix = tuple(probe["input_ids"][len(probe["input_ids"]) - plain :])
    return _Encoder(encode, len(tokenizer), tokenizer.pad_token_id, suffix)


def _encoded(encoder: _Encoder, texts: Sequence[str]) -> Iterator[Ids]:
    for start in _watched(range(0, len(texts), CHUNK), len(texts)):
        yield from encoder.encode(texts[start : start + CHUNK])


def _rows(encoder: _Encoder, texts: Iterable[Ids]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Token ids of all texts one after the other, and where each text starts and ends."""
    pieces = [np.asarray(ids if len(ids) else [encoder.padding], dtype=np.int32) for ids in texts]
    flat = np.concatenate(pieces) if pieces else np.empty(0, dtype=np.int32)
    lengths = np.array([0, *map(len, pieces)], dtype=np.int64)
    return flat, np.cumsum(lengths)


def _padded(
    flat: NDArray[np.int32], bounds: NDArray[np.int64], encoder: _Encoder, max_length: int
) -> dict[str, torch.Tensor]:
    full = np.diff(bounds)
    lengths = np.minimum(full, max_length)
    mask = np.arange(max_length) < lengths[:, None]
    ids = np.full(mask.shape, encoder.padding, dtype=np.int64)
    inside = np.arange(len(flat)) - np.repeat(bounds[:-1], full) < max_length
    ids[mask] = flat[inside]
    if encoder.suffix:
        ids[full > max_length, -len(encoder.suffix) :] = encoder.suffix
    return {
        "input_ids": torch.from_numpy(ids),
        "attention_mask": torch.from_numpy(mask.astype(np.int64)),
    }


def _targets(part: datasets.Dataset) -> torch.Tensor:
    return torch.from_numpy(np.asarray(part["label"][:], dtype=np.int64))


def _fingerprint(parts: datasets.DatasetDict, spec: DatasetSpec) -> str:
    digest = hashlib.sha256()
    for part in parts.values():
        for text in part[spec.column][:]:
            encoded = text.encode()
            digest.update(len(encoded).to_bytes(8, "little") + encoded)
        digest.update(np.asarray(part["label"][:], dtype=np.int64).tobytes())
    return digest.hexdigest()


def _watched(items: Sequence[Any], examples: int) -> Iterable[Any]:
    return tqdm(items, desc="tokenising", disable=examples <= LARGE, leave=False)
