"""Texts as token ids and masks: shapes, lengths, masks, determinism, and what goes wrong."""

from __future__ import annotations

import os
from collections import Counter

import datasets
import numpy as np
import pytest
import torch

from companion.data import text
from companion.data.specs import DATASETS
from companion.data.synthetic_text import texts
from companion.data.text import TOKENIZERS, text_splits
from thermo_utils.errors import ThermoError

SIZES = (120, 30, 45)


def splits(dataset="ag_news", tokenizer="words", **options):
    options = {"synthetic": True, "sizes": SIZES, **options}
    return text_splits(dataset, tokenizer=tokenizer, **options)


@pytest.fixture
def given(monkeypatch):
    """Make `text_splits` see texts of our own."""

    def use(*train):
        def part(rows):
            return datasets.Dataset.from_dict({"text": list(rows), "label": [0] * len(rows)})

        parts = datasets.DatasetDict(
            train=part(train), validation=part(train[:1]), test=part(train[:1])
        )
        monkeypatch.setattr(text, "load_splits", lambda *args, **kwargs: (parts, "ours", ()))

    return use


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
@pytest.mark.parametrize("dataset", ["ag_news", "yelp"])
def test_shapes_masks_and_ids(dataset, tokenizer):
    data = splits(dataset, tokenizer)
    for part, size in zip((data.train, data.validation, data.test), SIZES, strict=True):
        ids, mask = part.inputs["input_ids"], part.inputs["attention_mask"]
        assert ids.shape == mask.shape == (size, data.max_length)
        assert ids.dtype == mask.dtype == part.targets.dtype == torch.int64
        assert set(mask.unique().tolist()) <= {0, 1}
        assert (mask.diff(dim=1) <= 0).all()
        assert (mask[:, 0] == 1).all()
        assert (ids[mask == 0] == data.padding).all()
        assert ids.min() >= 0
        assert ids.max() < data.vocabulary
        assert set(part.targets.tolist()) <= set(range(len(data.class_names)))


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_same_request_same_data(tokenizer):
    one, two = splits(tokenizer=tokenizer), splits(tokenizer=tokenizer)
    assert one.fingerprint == two.fingerprint
    assert one.vocabulary == two.vocabulary
    assert torch.equal(one.train.inputs["input_ids"], two.train.inputs["input_ids"])
    assert splits(tokenizer=tokenizer, seed=1).fingerprint != one.fingerprint


def test_fingerprint_is_of_texts_and_labels_not_of_tokens():
    assert splits(tokenizer="words").fingerprint == splits(tokenizer="bpe").fingerprint


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
@pytest.mark.parametrize("percentile", [10, 50, 95, 100])
def test_percentile_of_the_training_texts_fits(tokenizer, percentile):
    full = splits(tokenizer=tokenizer, percentile=100)
    lengths = full.train.inputs["attention_mask"].sum(1)
    cut = splits(tokenizer=tokenizer, percentile=percentile)
    assert cut.max_length <= full.max_length == lengths.max()
    assert (lengths <= cut.max_length).double().mean() >= percentile / 100
    assert (lengths < cut.max_length).double().mean() <= percentile / 100  # and no longer than that


@pytest.mark.parametrize(("tokenizer", "last"), [("wordpiece", 3), ("unigram", 1)])
def test_truncation_keeps_the_final_special_token(tokenizer, last):
    data = splits(tokenizer=tokenizer, max_length=6)
    mask, ids = data.train.inputs["attention_mask"], data.train.inputs["input_ids"]
    assert data.max_length == 6
    assert mask.all()
    assert (ids[:, -1] == last).all()
    assert (ids[:, 1:-1] != last).all()


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_truncated_texts_begin_alike(tokenizer):
    long, short = splits(tokenizer=tokenizer), splits(tokenizer=tokenizer, max_length=5)
    ends = {"wordpiece": 1, "unigram": 1}.get(tokenizer, 0)
    kept = slice(0, 5 - ends)
    assert torch.equal(
        long.test.inputs["input_ids"][:, kept], short.test.inputs["input_ids"][:, kept]
    )


def test_words_are_lowercased_and_ranked_by_frequency(given):
    given("Stocks fell. stocks FELL!", "stocks rose", "bonds rose, stocks too")
    data = splits(percentile=100)
    ids = data.train.inputs["input_ids"]
    assert data.padding == 0
    # "stocks" is the most frequent; full stops are words of their own, also inside a text
    assert (ids == 2).sum() == 4
    assert ids[0, 0] == ids[0, 3] == ids[1, 0] == 2
    assert ids[0, 1] == ids[0, 4]
    assert data.train.inputs["attention_mask"].sum(1).tolist() == [6, 2, 5]


def test_rare_words_become_unknown(monkeypatch, given):
    given(" ".join(f"w{i}" for i in range(400)), "w0 w0")
    data = splits(vocabulary_size=300, percentile=100)
    assert data.vocabulary == 300
    assert (data.train.inputs["input_ids"][0] == 1).sum() == 400 - 298


def test_mask_is_right_where_padding_ends_texts_too(given):
    given("one two three four", "one <|endoftext|>")
    data = splits(tokenizer="bpe", percentile=100)
    ids, mask = data.train.inputs["input_ids"][1], data.train.inputs["attention_mask"][1]
    assert ids[int(mask.sum()) - 1] == data.padding  # the token that the text itself holds
    assert 0 < mask.sum() < data.max_length


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_a_blank_text_among_others_is_kept(given, tokenizer):
    given("some words", "  ")
    assert splits(tokenizer=tokenizer).train.inputs["attention_mask"].sum(1).min() >= 1


def test_texts_are_cut_at_the_limit_of_the_models(given):
    given("word " * 900)
    for tokenizer in TOKENIZERS:
        assert splits(tokenizer=tokenizer).max_length == 512


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"tokenizer": "word"}, "did you mean 'words' or 'wordpiece'"),
        ({"tokenizer": "gpt2"}, "google-bert/bert-base-uncased"),
        ({"dataset": "cifar10"}, "CIFAR-10 holds images"),
        ({"dataset": "agnews"}, "did you mean 'ag_news'"),
        ({"max_length": 1}, "max_length must be from 2 to 512"),
        ({"max_length": 513}, "max_length must be from 2 to 512"),
        ({"percentile": 0}, "percentile must be above 0"),
        ({"vocabulary_size": 10}, "vocabulary_size must be 300 or more"),
        ({"sizes": (0, 5, 5)}, "has no text in it"),
    ],
)
def test_wrong_requests(request_, message):
    with pytest.raises(ThermoError, match=message):
        splits(**request_)


def test_no_words_at_all(given):
    given("  ", "")
    with pytest.raises(ThermoError, match="training part has no text"):
        splits()


@pytest.mark.parametrize(
    ("dataset", "shortest", "longest", "accuracy"),
    [("ag_news", 12, 50, (0.75, 0.97)), ("yelp", 15, 140, (0.6, 0.85))],
)
def test_generated_classes_can_be_told_apart_by_their_words(dataset, shortest, longest, accuracy):
    spec = DATASETS[dataset]
    classes = len(spec.class_names)

    def draw(size, seed):
        rng = np.random.default_rng(seed)
        labels = rng.permutation(np.arange(size) % classes)
        return [x.lower().split() for x in texts(spec, labels, rng)], labels

    (train, train_labels), (test, test_labels) = draw(1000, 0), draw(500, 1)
    assert shortest <= min(map(len, train))
    assert max(map(len, train)) <= longest
    counts = [Counter() for _ in range(classes)]
    for words, label in zip(train, train_labels, strict=True):
        counts[label].update(words)
    totals = [counter.total() for counter in counts]
    pairs = list(zip(counts, totals, strict=True))
    score = [
        [sum(np.log((c[w] + 1) / (t + 300)) for w in words) for c, t in pairs] for words in test
    ]
    guessed = np.argmax(score, axis=1)
    assert accuracy[0] < (guessed == test_labels).mean() < accuracy[1]
    if dataset == "yelp":  # stars are confused with their neighbours
        assert (np.abs(guessed - test_labels) <= 1).mean() > 0.9


@pytest.mark.data
@pytest.mark.parametrize("dataset", ["ag_news", "yelp"])
def test_real_texts(dataset):
    if not os.environ.get("THERMO_DATA"):
        pytest.skip("THERMO_DATA is not set")
    data = splits(dataset, synthetic=False, sizes=(300, 50, 50))
    assert "local mirror" in data.source
    assert data.train.inputs["input_ids"].shape == (300, data.max_length)
    assert data.vocabulary > 1000
    assert 30 < data.max_length <= 512
