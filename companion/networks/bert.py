"""BERT of Figures 14 and 15."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from companion.networks.network import (
    BATCH_SIZE,
    DEMO,
    DROPOUT,
    FINE_TUNING_RATE,
    MOST_EPOCHS,
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
    """BERT.

    Parameters
    ----------
    classes : int
        Number of classes.
    vocabulary, padding, max_length : int
        Number of token ids, id of padding, tokens per text.
    checkpoint : str, optional
        Pretrained weights, see :func:`companion.checkpoints.locate`.
    dropout : float, default 0.3
        Rate after the fully connected layers of each block, after the embedding, and before the
        classifier.
    **config
        Options of ``BertConfig``, such as ``hidden_size``; not with a checkpoint.

    Returns
    -------
    Module
        ``input_ids`` and ``attention_mask`` ``(batch, length)`` to ``logits`` of shape
        ``(batch, classes)``.

    Raises
    ------
    ThermoError
        If an option is unknown or out of range, the checkpoint cannot be loaded, or it is too
        small for the vocabulary or the length.

    Examples
    --------
    >>> import torch
    >>> tiny = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}
    >>> network = make(4, vocabulary=50, padding=0, max_length=8, num_hidden_layers=1, **tiny)
    >>> network(torch.ones(2, 8, dtype=torch.int64)).logits.shape
    torch.Size([2, 4])
    """
    from transformers import BertConfig, BertForSequenceClassification

    return make_encoder(
        BertForSequenceClassification, BertConfig, checkpoint, classes=classes,
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
}
#: BERT's architecture with fewer parameters: what a processor fine-tunes in minutes.
MINILM = "sentence-transformers/all-MiniLM-L6-v2"
MINILM_DIFFERS = (
    "checkpoint MiniLM-L6 (six layers of width 384) instead of BERT-base",
    f"learning rate {FINE_TUNING_RATE:g}",
    "1 epoch",
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
        epochs=1,
        batch_size=BATCH_SIZE["ag_news"],
        learning_rate=FINE_TUNING_RATE,
        train_size=6_000,
        test_size=2_000,
        tau_step=0.02,
        tau_max=0.5,
        max_length=SMALL_LENGTH["ag_news"],
        checkpoint=MINILM,
        differs=(*MINILM_DIFFERS, "6,000 training texts", "2,000 of the test texts"),
    ),
    ("ag_news", "paper"): Recipe(
        epochs=MOST_EPOCHS,
        batch_size=BATCH_SIZE["ag_news"],
        tau_step=0.02,
        tau_max=0.8,
        checkpoint="google-bert/bert-base-uncased",
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
        epochs=1,
        batch_size=BATCH_SIZE["yelp"],
        learning_rate=FINE_TUNING_RATE,
        test_size=1_500,
        tau_step=0.02,
        tau_max=0.5,
        max_length=SMALL_LENGTH["yelp"],
        checkpoint=MINILM,
        differs=(*MINILM_DIFFERS, "1,500 of the test texts"),
    ),
    ("yelp", "paper"): Recipe(
        epochs=MOST_EPOCHS,
        batch_size=BATCH_SIZE["yelp"],
        tau_step=0.02,
        tau_max=0.8,
        checkpoint="google-bert/bert-base-uncased",
    ),
}

NETWORK = Network(
    name="bert",
    title="BERT",
    reads="text",
    # "intermediate fully connected layers within the encoder blocks and the classifier". The
    # intermediate layer includes its GELU. Only then can sparsity jump from about 0.7 to above 0.97
    # between thresholds 0.12 and 0.20 as published, for GELU is never below -0.17. The classifier
    # stands for the class scores.
    layers=("bert.encoder.layer.*.intermediate", "classifier"),
    where="after the intermediate layer of every block, and at the classifier",
    make=make,
    figures={"ag_news": 14, "yelp": 15},
    recipes=RECIPES,
    alternatives={
        "before the GELU": ("bert.encoder.layer.*.intermediate.dense", "classifier"),
        "second linear layer of each block too": (
            "bert.encoder.layer.*.intermediate",
            # A digit before the dot, which the output layer of the attention has not.
            "bert.encoder.layer.*[0-9].output.dense",
            "classifier",
        ),
        "without the classifier": ("bert.encoder.layer.*.intermediate",),
    },
)
