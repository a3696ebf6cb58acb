"""The LSTM of Figures 12 and 13.

The paper leaves the widths open; the defaults are our choice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from companion.networks.network import (
    BATCH_SIZE,
    DEMO,
    DROPOUT,
    MOST_EPOCHS,
    Network,
    Recipe,
    check_dropout,
)  # fmt: skip
from thermo_utils.errors import ThermoError

if TYPE_CHECKING:
    from torch import nn

__all__ = ["NETWORK", "make"]


def make(
    classes: int,
    *,
    vocabulary: int,
    padding: int,
    max_length: int,
    embedding: int = 128,
    hidden: int = 128,
    widths: tuple[int, int] = (128, 64),
    dropout: float = DROPOUT,
) -> nn.Module:
    """Embedding, unidirectional LSTM, and a classifier of three layers on its last state.

    Parameters
    ----------
    classes : int
        Number of classes.
    vocabulary, padding, max_length : int
        Number of token ids, id of padding, tokens per text; the last bounds nothing.
    embedding, hidden : int, default 128
        Widths of the embedding and of the LSTM.
    widths : tuple of int, default (128, 64)
        Widths of the first two layers of the classifier.
    dropout : float, default 0.3
        Dropout rate after each of them.

    Returns
    -------
    Module
        ``input_ids`` and ``attention_mask`` ``(batch, length)`` to ``(batch, classes)``.

    Raises
    ------
    ThermoError
        If a width or the dropout rate is out of range.

    Examples
    --------
    >>> import torch
    >>> network = make(4, vocabulary=100, padding=0, max_length=7)
    >>> network(torch.ones(2, 7, dtype=torch.int64)).shape
    torch.Size([2, 4])
    """
    from companion.networks.modules.lstm import LSTMClassifier

    if len(widths) != 2:
        raise ThermoError(f"widths must be two numbers, for a classifier of three layers: {widths}")
    for value in (embedding, hidden, *widths):
        if not isinstance(value, int) or value < 1:
            raise ThermoError(f"lstm widths must be whole numbers above 0, got {value!r}")
    rate = check_dropout(dropout)
    return LSTMClassifier(classes, vocabulary, padding, embedding, hidden, widths, rate)


TINY = {"embedding": 32, "hidden": 64, "widths": (64, 32)}

RECIPES = {
    ("ag_news", "demo"): Recipe(
        epochs=8,
        batch_size=BATCH_SIZE["ag_news"],
        learning_rate=0.005,
        tokenizer="words",
        options=TINY,
        **DEMO["ag_news"] | {"train_size": 3_200},
    ),
    ("ag_news", "small"): Recipe(
        epochs=MOST_EPOCHS,
        batch_size=BATCH_SIZE["ag_news"],
        tau_step=0.06,
        tau_max=2.4,
        tokenizer="words",
    ),
    ("ag_news", "paper"): Recipe(
        epochs=MOST_EPOCHS,
        batch_size=BATCH_SIZE["ag_news"],
        tau_step=0.06,
        tau_max=2.4,
        tokenizer="words",
    ),
    ("yelp", "demo"): Recipe(
        epochs=8,
        batch_size=BATCH_SIZE["yelp"],
        learning_rate=0.005,
        tokenizer="words",
        options=TINY,
        **DEMO["yelp"] | {"train_size": 3_200},
    ),
    ("yelp", "small"): Recipe(
        epochs=MOST_EPOCHS,
        batch_size=BATCH_SIZE["yelp"],
        tau_step=0.06,
        tau_max=2.4,
        tokenizer="words",
    ),
    ("yelp", "paper"): Recipe(
        epochs=MOST_EPOCHS,
        batch_size=BATCH_SIZE["yelp"],
        tau_step=0.06,
        tau_max=2.4,
        tokenizer="words",
    ),
}

NETWORK = Network(
    name="lstm",
    title="LSTM",
    reads="text",
    # "after the intermediate classifier layers": outputs of the first two of three layers, before
    # their ReLU. There the free energy peaks at a sparsity of about 0.32 as published (AG News);
    # after the ReLU it has no peak at all.
    layers=("classifier.linear1", "classifier.linear2"),
    where="after the two intermediate layers of the classifier",
    make=make,
    figures={"ag_news": 12, "yelp": 13},
    recipes=RECIPES,
    alternatives={
        "after ReLU": ("classifier.relu*",),
        "last linear layer too": ("classifier.linear*",),
        "states of the LSTM too": ("lstm", "classifier.linear1", "classifier.linear2"),
    },
)
