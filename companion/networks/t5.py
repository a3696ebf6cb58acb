"""T5 of Figures 18 and 19: it reads a text twice, and the mean of what it says is classified."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from companion.networks.network import (
    BATCH_SIZE,
    DEMO,
    DROPOUT,
    FROM_SCRATCH,
    MOST_EPOCHS,
    OWN_SCALE,
    SMALL_LENGTH,
    Network,
    Recipe,
    check_dropout,
)  # fmt: skip
from companion.networks.transformer import make_transformer

if TYPE_CHECKING:
    from torch import nn

__all__ = ["NETWORK", "make"]


def make(
    classes: int,
    *,
    vocabulary: int,
    padding: int,
    max_length: int,
    checkpoint: str | None = None,
    dropout: float = DROPOUT,
    **config: Any,
) -> nn.Module:
    """T5 with a linear classifier on the mean of its final decoder states.

    Parameters and errors are those of BERT, options those of ``T5Config`` (``d_model``,
    ``num_layers``, ...). T5 has one dropout rate for everything, attention included. Its positions
    are relative, so `max_length` bounds nothing.

    Returns
    -------
    Module
        ``input_ids`` and ``attention_mask`` ``(batch, length)`` to ``(batch, classes)``.
    """
    from transformers import T5Config, T5Model

    from companion.networks.modules.t5 import T5Classifier

    own = {"dropout_rate": check_dropout(dropout), "use_cache": False}
    sizes = {"vocab_size": vocabulary, "pad_token_id": padding, "decoder_start_token_id": padding}
    t5 = make_transformer(T5Model, T5Config, checkpoint, own=own, sizes=sizes, config=config)
    return T5Classifier(t5, classes, dropout)


TINY = {
    "d_model": 32,
    "d_kv": 16,
    "d_ff": 64,
    "num_layers": 1,
    "num_heads": 2,
    "dropout": 0.1,
}
SMALL = {
    "d_model": 128,
    "d_kv": 32,
    "d_ff": 512,
    "num_layers": 2,
    "num_heads": 4,
    # The library draws the embedding with unit variance, for the optimiser T5 was made with;
    # Adam's steps of 0.001 hardly move it.
    "initializer_factor": 0.1,
}
SMALL_DIFFERS = (
    FROM_SCRATCH,
    "two blocks of width 128, own tokenizer",
    "weights drawn at a tenth of the usual scale",
    "at most 4 epochs",
    OWN_SCALE,
)

RECIPES = {
    ("ag_news", "demo"): Recipe(
        epochs=6,
        batch_size=BATCH_SIZE["ag_news"],
        learning_rate=0.005,
        tau_step=0.1,
        tau_max=5.0,  # far enough to reach the class scores, which are pruned too
        tokenizer="wordpiece",
        options=TINY,
        **DEMO["ag_news"],
    ),
    ("ag_news", "small"): Recipe(
        epochs=4,
        batch_size=BATCH_SIZE["ag_news"],
        test_size=3_000,
        tokenizer="unigram",
        max_length=SMALL_LENGTH["ag_news"],
        options=SMALL,
        differs=(*SMALL_DIFFERS, "3,000 of the test texts"),
    ),
    ("ag_news", "paper"): Recipe(
        epochs=MOST_EPOCHS,
        batch_size=BATCH_SIZE["ag_news"],
        tau_step=0.2,
        tau_max=6.0,
        checkpoint="google-t5/t5-small",
    ),
    ("yelp", "demo"): Recipe(
        epochs=6,
        batch_size=BATCH_SIZE["yelp"],
        learning_rate=0.005,
        tau_step=0.1,
        tau_max=5.0,
        tokenizer="wordpiece",
        options=TINY,
        **DEMO["yelp"],
    ),
    ("yelp", "small"): Recipe(
        epochs=4,
        batch_size=BATCH_SIZE["yelp"],
        test_size=3_000,
        tokenizer="unigram",
        max_length=SMALL_LENGTH["yelp"],
        options=SMALL,
        differs=(*SMALL_DIFFERS, "3,000 of the test texts"),
    ),
    ("yelp", "paper"): Recipe(
        epochs=MOST_EPOCHS,
        batch_size=BATCH_SIZE["yelp"],
        tau_step=0.2,
        tau_max=6.0,
        checkpoint="google-t5/t5-small",
    ),
}

NETWORK = Network(
    name="t5",
    title="T5",
    reads="text",
    # "after the fully connected layers in both encoder and decoder blocks and in the classifier";
    # ``wi*`` covers the gated variants, where there are two.
    layers=("t5.*.DenseReluDense.wi*", "t5.*.DenseReluDense.wo", "classifier"),
    where="after the linear layers of every feed-forward block, and at the classifier",
    make=make,
    figures={"ag_news": 18, "yelp": 19},
    recipes=RECIPES,
    alternatives={
        "only the first linear layers": ("t5.*.DenseReluDense.wi*", "classifier"),
        "without the classifier": ("t5.*.DenseReluDense.wi*", "t5.*.DenseReluDense.wo"),
    },
)
