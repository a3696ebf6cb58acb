"""The Vision Transformer of Figures 10 and 11."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from companion.networks.network import (
    BATCH_SIZE,
    DEMO,
    DROPOUT,
    FROM_SCRATCH,
    MOST_EPOCHS,
    OWN_SCALE,
    POOLED,
    Network,
    Recipe,
    check_dropout,
)  # fmt: skip
from companion.networks.transformer import make_transformer
from thermo_utils.errors import ThermoError

if TYPE_CHECKING:
    from torch import nn

__all__ = ["NETWORK", "make"]


def make(
    classes: int,
    *,
    image_size: int,
    checkpoint: str | None = None,
    dropout: float = DROPOUT,
    trainable_blocks: int = 4,
    **config: Any,
) -> nn.Module:
    """Vision Transformer.

    Parameters
    ----------
    classes : int
        Number of classes.
    image_size : int
        Side of the images in pixels. Without a checkpoint, the network is made for it.
    checkpoint : str, optional
        Pretrained weights, see :func:`companion.checkpoints.locate`. Images are resized to
        the checkpoint's size.
    dropout : float, default 0.3
        Rate after the fully connected layers of each block, and after the embedding.
    trainable_blocks : int, default 4
        With a checkpoint, this many of the last blocks are trained, together with the final
        normalisation and the classifier; the rest stays fixed. Without one, all is trained.
    **config
        Options of ``ViTConfig``, such as ``hidden_size``, ``patch_size``; not with a checkpoint.

    Returns
    -------
    Module
        ``(batch, 3, side, side)`` to ``logits`` of shape ``(batch, classes)``.

    Raises
    ------
    ThermoError
        If an option is unknown or out of range, or the checkpoint cannot be loaded.

    Examples
    --------
    >>> import torch
    >>> tiny = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}
    >>> network = make(10, image_size=32, num_hidden_layers=1, patch_size=8, **tiny)
    >>> network(torch.zeros(2, 3, 32, 32)).logits.shape
    torch.Size([2, 10])
    """
    from transformers import ViTConfig

    from companion.networks.modules.vit import ViTClassifier

    if trainable_blocks < 0:
        raise ThermoError(f"trainable_blocks must be zero or more, got {trainable_blocks}")
    own = {"hidden_dropout_prob": check_dropout(dropout), "num_labels": classes}
    sizes = {"image_size": image_size}
    model: ViTClassifier = make_transformer(
        ViTClassifier, ViTConfig, checkpoint, own=own, sizes=sizes, config=config
    )
    if checkpoint is not None:
        blocks = list(model.vit.layers)
        model.requires_grad_(False)
        for part in (*blocks[max(0, len(blocks) - trainable_blocks) :], model.vit.layernorm):
            part.requires_grad_(True)
        model.classifier.requires_grad_(True)
    return model


TINY = {
    "hidden_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "intermediate_size": 256,
    "dropout": 0.1,
    "initializer_range": 0.15,
}
SMALL = {
    "hidden_size": 128,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "intermediate_size": 256,
}

RECIPES = {
    ("cifar10", "demo"): Recipe(
        epochs=10,
        batch_size=BATCH_SIZE["cifar10"],
        learning_rate=0.002,
        tau_step=0.1,
        tau_max=4.0,
        options={**TINY, "patch_size": 8},
        **DEMO["cifar10"],
    ),
    ("cifar10", "small"): Recipe(
        epochs=30,
        batch_size=BATCH_SIZE["cifar10"],
        augment=True,
        schedule="cosine",
        options={**SMALL, "patch_size": 4},
        differs=(FROM_SCRATCH, "six blocks of width 128", "at most 30 epochs", OWN_SCALE),
    ),
    ("cifar10", "paper"): Recipe(
        epochs=MOST_EPOCHS,
        batch_size=BATCH_SIZE["cifar10"],
        tau_step=0.01,
        tau_max=0.4,
        checkpoint="google/vit-base-patch16-224",
    ),
    ("flowers102", "demo"): Recipe(
        epochs=10,
        batch_size=BATCH_SIZE["flowers102"],
        learning_rate=0.002,
        tau_step=0.1,
        tau_max=4.0,
        options={**TINY, "patch_size": 16},
        **DEMO["flowers102"],
    ),
    ("flowers102", "small"): Recipe(
        epochs=MOST_EPOCHS,
        batch_size=BATCH_SIZE["flowers102"],
        patience=10,
        split=POOLED,
        augment=True,
        schedule="cosine",
        options={**SMALL, "patch_size": 8},
        differs=(FROM_SCRATCH, "six blocks of width 128", "patience 10", OWN_SCALE),
    ),
    ("flowers102", "paper"): Recipe(
        epochs=MOST_EPOCHS,
        batch_size=BATCH_SIZE["flowers102"],
        split=POOLED,
        tau_step=0.01,
        tau_max=0.4,
        checkpoint="google/vit-base-patch16-224",
    ),
}

NETWORK = Network(
    name="vit",
    title="ViT",
    reads="image",
    # "after linear layers and GELU activations in the MLP blocks": both linear layers and the GELU.
    layers=("vit.layers.*.mlp.fc1", "vit.layers.*.mlp.activation_fn", "vit.layers.*.mlp.fc2"),
    where="after the linear layers and the GELU of every MLP block",
    make=make,
    figures={"cifar10": 10, "flowers102": 11},
    recipes=RECIPES,
    alternatives={
        "only the GELU": ("vit.layers.*.mlp.activation_fn",),
        "only the linear layers": ("vit.layers.*.mlp.fc1", "vit.layers.*.mlp.fc2"),
    },
)
