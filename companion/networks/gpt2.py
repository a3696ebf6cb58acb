"""GPT-2 of Figures 20 and 21."""

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
    """GPT-2; texts are padded on the right.

    Parameters, what it returns and errors are those of BERT, options those of ``GPT2Config``
    (``n_embd``, ``n_layer``, ``n_head``, ...). GPT-2 has no dropout before its classifier.
    """
    from transformers import GPT2Config

    from companion.networks.modules.gpt2 import GPT2Classifier

    own = {
        "resid_pdrop": check_dropout(dropout), "embd_pdrop": dropout, "num_labels": classes,
        "pad_token_id": padding, "use_cache": False,
    }  # fmt: skip
    # bos and eos only serve text generation; their defaults lie outside a small vocabulary.
    sizes = {
        "vocab_size": vocabulary, "n_positions": max_length, "bos_token_id": padding,
        "eos_token_id": padding,
    }  # fmt: skip
    model: GPT2Classifier = make_transformer(
        GPT2Classifier, GPT2Config, checkpoint, own=own, sizes=sizes, config=config
    )
    return model


TINY = {
    "n_embd": 32,
    "n_layer": 2,
    "n_head": 2,
    "n_inner": 64,
    "dropout": 0.1,
    "initializer_range": 0.1,
}
SMALL = {"n_embd": 128, "n_layer": 2, "n_head": 4}
SMALL_DIFFERS = (
    FROM_SCRATCH,
    "two blocks of width 128, own tokenizer",
    "at most 4 epochs",
    OWN_SCALE,
)

RECIPES = {
    ("ag_news", "demo"): Recipe(
        epochs=5,
        batch_size=BATCH_SIZE["ag_news"],
        learning_rate=0.003,
        tau_step=0.1,
        tau_max=5.0,  # far enough to reach the class scores, which are pruned too
        tokenizer="bpe",
        options=TINY,
        **DEMO["ag_news"],
    ),
    ("ag_news", "small"): Recipe(
        epochs=4,
        batch_size=BATCH_SIZE["ag_news"],
        test_size=3_000,
        tokenizer="bpe",
        max_length=SMALL_LENGTH["ag_news"],
        options=SMALL,
        differs=(*SMALL_DIFFERS, "3,000 of the test texts"),
    ),
    ("ag_news", "paper"): Recipe(
        epochs=MOST_EPOCHS,
        batch_size=BATCH_SIZE["ag_news"],
        tau_step=0.2,
        tau_max=6.0,
        checkpoint="openai-community/gpt2",
    ),
    ("yelp", "demo"): Recipe(
        epochs=5,
        batch_size=BATCH_SIZE["yelp"],
        learning_rate=0.003,
        tau_step=0.1,
        tau_max=5.0,
        tokenizer="bpe",
        options=TINY,
        **DEMO["yelp"],
    ),
    ("yelp", "small"): Recipe(
        epochs=4,
        batch_size=BATCH_SIZE["yelp"],
        test_size=3_000,
        tokenizer="bpe",
        max_length=SMALL_LENGTH["yelp"],
        options=SMALL,
        differs=(*SMALL_DIFFERS, "3,000 of the test texts"),
    ),
    ("yelp", "paper"): Recipe(
        epochs=MOST_EPOCHS,
        batch_size=BATCH_SIZE["yelp"],
        tau_step=0.2,
        tau_max=6.0,
        checkpoint="openai-community/gpt2",
    ),
}

NETWORK = Network(
    name="gpt2",
    title="GPT-2",
    reads="text",
    # "after the fully connected layers in the decoder blocks and in the classifier".
    layers=("transformer.h.*.mlp.c_fc", "transformer.h.*.mlp.c_proj", "score"),
    where="after the linear layers of every block's MLP, and at the classifier",
    make=make,
    figures={"ag_news": 20, "yelp": 21},
    recipes=RECIPES,
    alternatives={
        "only the first linear layers": ("transformer.h.*.mlp.c_fc", "score"),
        "first linear layers after the GELU": (
            "transformer.h.*.mlp.act",
            "transformer.h.*.mlp.c_proj",
            "score",
        ),
        "without the classifier": ("transformer.h.*.mlp.c_fc", "transformer.h.*.mlp.c_proj"),
    },
)
