"""How each chapter is run at each profile. The rest of the package reads this table only.

``paper`` follows Section 4 of the paper. ``small`` uses the same data with whatever trains without
a cluster and without a network connection; ``demo`` uses generated data and tiny versions of the
same classes. What differs from the paper is said in ``differs`` and shown on the page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["FINE_TUNING_RATE", "RECIPES", "Recipe"]


@dataclass(frozen=True)
class Recipe:
    """The registered part of :class:`companion.runs.chapters.Settings`, see there."""

    epochs: int
    batch_size: int
    learning_rate: float = 0.001
    train_size: int | None = None
    validation_size: int | None = None
    test_size: int | None = None
    tau_step: float | None = None
    tau_max: float | None = None
    tokenizer: str | None = None
    max_length: int | None = None
    checkpoint: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    differs: tuple[str, ...] = ()


#: Thresholds of the full evaluation, from the steps that the paper's text and tables suggest.
GRIDS: Mapping[tuple[str, str], tuple[float, float]] = {
    ("mlp", "cifar10"): (0.04, 1.6),
    ("mlp", "flowers102"): (0.04, 1.6),
    ("cnn", "cifar10"): (0.02, 0.8),
    ("cnn", "flowers102"): (0.06, 2.4),
    ("resnet18", "cifar10"): (0.03, 1.2),
    ("resnet18", "flowers102"): (0.03, 1.2),
    ("mobilenet_v2", "cifar10"): (0.02, 0.8),
    ("mobilenet_v2", "flowers102"): (0.02, 0.8),
    ("vit", "cifar10"): (0.01, 0.4),
    ("vit", "flowers102"): (0.01, 0.4),
    ("lstm", "ag_news"): (0.06, 2.4),
    ("lstm", "yelp"): (0.06, 2.4),
    ("bert", "ag_news"): (0.02, 0.8),
    ("bert", "yelp"): (0.02, 0.8),
    ("electra", "ag_news"): (0.02, 0.8),
    ("electra", "yelp"): (0.02, 0.8),
    ("t5", "ag_news"): (0.2, 6.0),
    ("t5", "yelp"): (0.2, 6.0),
    ("gpt2", "ag_news"): (0.2, 6.0),
    ("gpt2", "yelp"): (0.2, 6.0),
}


#: Demo sizes: enough to learn from, few enough for seconds on two cores.
DEMO_SIZES = {
    "cifar10": {"train_size": 2_000, "validation_size": 500, "test_size": 1_000},
    "flowers102": {"train_size": 1_020, "validation_size": 204, "test_size": 510},
    "ag_news": {"train_size": 1_600, "validation_size": 200, "test_size": 400, "max_length": 48},
    "yelp": {"train_size": 1_600, "validation_size": 200, "test_size": 400, "max_length": 64},
}
SYNTHETIC = "synthetic data and a tiny network"
FROM_SCRATCH = "no pretrained weights: trained from scratch"
#: Section 4.1.
BATCH_SIZE = {"cifar10": 64, "flowers102": 32, "ag_news": 32, "yelp": 32}
#: Early stopping ends training; this only bounds it.
MOST_EPOCHS = 50

#: Learning rate of a network that starts from pretrained weights; the paper's 0.001 is a rate for
#: training from scratch.
FINE_TUNING_RATE = 5e-5

RECIPES: dict[tuple[str, str, str], Recipe] = {}


def _register(
    model: str,
    datasets: tuple[str, ...],
    *,
    demo: dict[str, Any],
    small: dict[str, Any],
    paper: dict[str, Any],
) -> None:
    """Enter a network on its datasets; a value may be a dict from dataset to value."""
    for dataset in datasets:
        step, last = GRIDS[model, dataset]
        own_grid = {"tau_step": step, "tau_max": last}
        defaults = {"batch_size": BATCH_SIZE[dataset], "epochs": MOST_EPOCHS}
        for profile, given in (("demo", demo), ("small", small), ("paper", paper)):
            fields = {
                name: value[dataset] if isinstance(value, dict) and dataset in value else value
                for name, value in given.items()
            }
            if profile == "demo":
                base = {**defaults, **DEMO_SIZES[dataset], "differs": (SYNTHETIC,)}
            else:
                base = {**defaults, **own_grid}
            RECIPES[model, dataset, profile] = Recipe(**{**base, **fields})


_IMAGES = ("cifar10", "flowers102")

#: For a network of another size than the paper's, whose activations have another scale.
_OWN_SCALE: dict[str, Any] = {"tau_step": None, "tau_max": None}
_GRID_NOTE = "thresholds spaced to the scale of its activations"
#: A network of convolutions takes minutes for one pass over the official 6,149 test images.
_FEWER_FLOWERS: dict[str, Any] = {
    "test_size": {"cifar10": None, "flowers102": 2_000},
    "differs": {"cifar10": (), "flowers102": ("2,000 of the test images",)},
}

_register(
    "mlp",
    _IMAGES,
    demo={"epochs": {"cifar10": 8, "flowers102": 12}, "options": {"hidden": (128, 64, 32)}},
    small={},
    paper={},
)
_register(
    "cnn",
    _IMAGES,
    demo={
        "epochs": {"cifar10": 6, "flowers102": 10},
        "options": {"channels": (8, 16, 32), "hidden": (64, 32)},
    },
    small=_FEWER_FLOWERS,
    paper={},
)
_register(
    "resnet18",
    _IMAGES,
    demo={"epochs": 6, "options": {"blocks": (1, 1, 1, 1), "divisor": 8}},
    small={
        "epochs": {"cifar10": 12, "flowers102": 20},
        "test_size": _FEWER_FLOWERS["test_size"],
        "differs": {
            "cifar10": (FROM_SCRATCH, "at most 12 epochs"),
            "flowers102": (FROM_SCRATCH, "at most 20 epochs", "2,000 of the test images"),
        },
    },
    paper={"checkpoint": "torchvision/resnet18"},
)
_register(
    "mobilenet_v2",
    _IMAGES,
    demo={
        "epochs": 6,
        "options": {
            "width": 0.5,
            "settings": ((1, 16, 1, 1), (4, 24, 2, 2), (4, 32, 2, 2), (4, 64, 1, 2)),
        },
    },
    small={
        "epochs": {"cifar10": 10, "flowers102": 20},
        "test_size": _FEWER_FLOWERS["test_size"],
        "options": {"cifar10": {"first_stride": 1}, "flowers102": {}},
        "differs": {
            "cifar10": (FROM_SCRATCH, "first convolution at stride 1", "at most 10 epochs"),
            "flowers102": (FROM_SCRATCH, "at most 20 epochs", "2,000 of the test images"),
        },
    },
    paper={"checkpoint": "torchvision/mobilenet_v2"},
)

_SMALL_VIT = {
    "hidden_size": 128,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "intermediate_size": 256,
}
_TINY_VIT = {
    "hidden_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "intermediate_size": 256,
    "dropout": 0.1,
    "initializer_range": 0.15,
}
_register(
    "vit",
    _IMAGES,
    demo={
        "epochs": 10,
        "learning_rate": 0.002,
        "tau_step": 0.1,
        "tau_max": 4.0,
        "options": {
            "cifar10": {**_TINY_VIT, "patch_size": 8},
            "flowers102": {**_TINY_VIT, "patch_size": 16},
        },
    },
    small={
        **_OWN_SCALE,
        "epochs": {"cifar10": 12, "flowers102": MOST_EPOCHS},
        "options": {
            "cifar10": {**_SMALL_VIT, "patch_size": 4},
            "flowers102": {**_SMALL_VIT, "patch_size": 8},
        },
        "differs": {
            "cifar10": (FROM_SCRATCH, "six blocks of width 128", "at most 12 epochs", _GRID_NOTE),
            "flowers102": (FROM_SCRATCH, "six blocks of width 128", _GRID_NOTE),
        },
    },
    paper={"checkpoint": "google/vit-base-patch16-224"},
)

_TEXTS = ("ag_news", "yelp")
#: A text is cut at this many tokens where a network reads all pairs of them.
_SMALL_LENGTH = {"ag_news": 64, "yelp": 128}
_SMALL_NOTES = (
    FROM_SCRATCH,
    "two blocks of width 128, own tokenizer",
    "at most 4 epochs",
    _GRID_NOTE,
)
#: BERT's architecture with fewer parameters: what a processor fine-tunes in minutes.
_MINILM = (
    "checkpoint MiniLM-L6 (six layers of width 384) instead of BERT-base",
    f"learning rate {FINE_TUNING_RATE:g}",
    "1 epoch",
)
_TINY_ENCODER = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "dropout": 0.1,
    "initializer_range": 0.1,
}
_DEMO_ENCODER = {
    # Far enough to reach the class scores, which are pruned too.
    "tau_step": 0.1,
    "tau_max": 4.0,
    "epochs": 6,
    "learning_rate": 0.003,
    "tokenizer": "wordpiece",
    "options": _TINY_ENCODER,
}
_SMALL_ENCODER = {
    "hidden_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 512,
}

_register(
    "lstm",
    _TEXTS,
    demo={
        "train_size": 3_200,
        "epochs": 8,
        "learning_rate": 0.005,
        "tokenizer": "words",
        "options": {"embedding": 32, "hidden": 64, "widths": (64, 32)},
    },
    small={"tokenizer": "words"},
    paper={"tokenizer": "words"},
)
_register(
    "bert",
    _TEXTS,
    demo=_DEMO_ENCODER,
    small={
        "epochs": 1,
        "learning_rate": FINE_TUNING_RATE,
        "train_size": {"ag_news": 6_000, "yelp": None},
        "test_size": {"ag_news": 1_000, "yelp": 600},
        "tau_max": 0.5,
        "max_length": _SMALL_LENGTH,
        "checkpoint": "sentence-transformers/all-MiniLM-L6-v2",
        "differs": {
            "ag_news": (*_MINILM, "6,000 training texts", "1,000 of the test texts"),
            "yelp": (*_MINILM, "600 of the test texts"),
        },
    },
    paper={"checkpoint": "google-bert/bert-base-uncased"},
)
_register(
    "electra",
    _TEXTS,
    demo={
        **_DEMO_ENCODER,
        "options": {**_TINY_ENCODER, "embedding_size": 32},
    },
    small={
        # Far enough for the accuracy to be lost, which takes all but a few activations.
        "tau_step": 0.05,
        "tau_max": 4.2,
        "epochs": 4,
        "test_size": 3_000,
        "learning_rate": 0.0005,
        "tokenizer": "wordpiece",
        "max_length": _SMALL_LENGTH,
        "options": {**_SMALL_ENCODER, "embedding_size": 128},
        "differs": (*_SMALL_NOTES, "3,000 of the test texts"),
    },
    paper={"checkpoint": "google/electra-base-discriminator"},
)
_register(
    "t5",
    _TEXTS,
    demo={
        # Far enough to reach the class scores, which are pruned too.
        "tau_step": 0.1,
        "tau_max": 5.0,
        "epochs": 6,
        "learning_rate": 0.005,
        "tokenizer": "wordpiece",
        "options": {
            "d_model": 32,
            "d_kv": 16,
            "d_ff": 64,
            "num_layers": 1,
            "num_heads": 2,
            "dropout": 0.1,
        },
    },
    small={
        **_OWN_SCALE,
        "epochs": 4,
        "train_size": {"ag_news": 10_000, "yelp": None},
        "test_size": 1_500,
        "tokenizer": "unigram",
        "max_length": _SMALL_LENGTH,
        "options": {"d_model": 128, "d_kv": 32, "d_ff": 512, "num_layers": 2, "num_heads": 4},
        "differs": {
            "ag_news": (*_SMALL_NOTES, "10,000 training texts", "1,500 of the test texts"),
            "yelp": (*_SMALL_NOTES, "1,500 of the test texts"),
        },
    },
    paper={"checkpoint": "google-t5/t5-small"},
)
_register(
    "gpt2",
    _TEXTS,
    demo={
        # Far enough to reach the class scores, which are pruned too.
        "tau_step": 0.1,
        "tau_max": 5.0,
        "epochs": 5,
        "learning_rate": 0.003,
        "tokenizer": "bpe",
        "options": {
            "n_embd": 32,
            "n_layer": 2,
            "n_head": 2,
            "n_inner": 64,
            "dropout": 0.1,
            "initializer_range": 0.1,
        },
    },
    small={
        **_OWN_SCALE,
        "epochs": 4,
        "test_size": {"ag_news": None, "yelp": 3_000},
        "tokenizer": "bpe",
        "max_length": _SMALL_LENGTH,
        "options": {"n_embd": 128, "n_layer": 2, "n_head": 4},
        "differs": {
            "ag_news": _SMALL_NOTES,
            "yelp": (*_SMALL_NOTES, "3,000 of the test texts"),
        },
    },
    paper={"checkpoint": "openai-community/gpt2"},
)
