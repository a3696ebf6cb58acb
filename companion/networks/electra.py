"""ELECTRA's discriminator of Figures 16 and 17."""

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
)  # fmt: skip
from companion.networks.transformer import make_encoder

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
    """ELECTRA's discriminator; its classifier has a dense layer of its own.

    Parameters, what it returns and errors are those of BERT, options those of ``ElectraConfig``.
    """
    from transformers import ElectraConfig, ElectraForSequenceClassification

    return make_encoder(
        ElectraForSequenceClassification, ElectraConfig, checkpoint, classes=classes,
        vocabulary=vocabulary, padding=padding, max_length=max_length, dropout=dropout,
        config=config,
    )  # fmt: skip


TINY = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "dropout": 0.1,
    "initializer_range": 0.1,
    "embedding_size": 32,
}
SMALL = {
    "hidden_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 512,
    "embedding_size": 128,
}
SMALL_DIFFERS = (
    FROM_SCRATCH,
    "two blocks of width 128, own tokenizer",
    "at most 4 epochs",
    OWN_SCALE,
    "3,000 of the test texts",
)

RECIPES = {
    ("ag_news", "demo"): Recipe(
        epochs=6,
        batch_size=BATCH_SIZE["ag_news"],
        learning_rate=0.003,
        tau_step=0.1,
        tau_max=4.0,  # far enough to reach the class scores, which are pruned too
        tokenizer="wordpiece",
        options=TINY,
        **DEMO["ag_news"],
    ),
    ("ag_news", "small"): Recipe(
        epochs=4,
        batch_size=BATCH_SIZE["ag_news"],
        learning_rate=0.0005,
        test_size=3_000,
        tau_step=0.05,
        tau_max=4.2,  # where all but a few activations are gone, and with them the accuracy
        tokenizer="wordpiece",
        max_length=SMALL_LENGTH["ag_news"],
        options=SMALL,
        differs=SMALL_DIFFERS,
    ),
    ("ag_news", "paper"): Recipe(
        epochs=MOST_EPOCHS,
        batch_size=BATCH_SIZE["ag_news"],
        tau_step=0.02,
        tau_max=0.8,
        checkpoint="google/electra-base-discriminator",
    ),
    ("yelp", "demo"): Recipe(
        epochs=6,
        batch_size=BATCH_SIZE["yelp"],
        learning_rate=0.003,
        tau_step=0.1,
        tau_max=4.0,
        tokenizer="wordpiece",
        options=TINY,
        **DEMO["yelp"],
    ),
    ("yelp", "small"): Recipe(
        epochs=4,
        batch_size=BATCH_SIZE["yelp"],
        learning_rate=0.0005,
        test_size=3_000,
        tau_step=0.05,
        tau_max=4.2,
        tokenizer="wordpiece",
        max_length=SMALL_LENGTH["yelp"],
        options=SMALL,
        differs=SMALL_DIFFERS,
    ),
    ("yelp", "paper"): Recipe(
        epochs=MOST_EPOCHS,
        batch_size=BATCH_SIZE["yelp"],
        tau_step=0.02,
        tau_max=0.8,
        checkpoint="google/electra-base-discriminator",
    ),
}

NETWORK = Network(
    name="electra",
    title="ELECTRA",
    reads="text",
    # The paper's words for BERT and ELECTRA are one sentence, and so is our reading, see BERT.
    layers=("electra.encoder.layer.*.intermediate", "classifier"),
    where="after the intermediate layer of every block, and at the classifier",
    make=make,
    figures={"ag_news": 16, "yelp": 17},
    recipes=RECIPES,
    alternatives={
        "before the GELU": ("electra.encoder.layer.*.intermediate.dense", "classifier"),
        "second linear layer of each block too": (
            "electra.encoder.layer.*.intermediate",
            # A digit before the dot, which the output layer of the attention has not.
            "electra.encoder.layer.*[0-9].output.dense",
            "classifier",
        ),
        "without the classifier": ("electra.encoder.layer.*.intermediate",),
    },
)
