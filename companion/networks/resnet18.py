"""ResNet-18 of Figures 6 and 7: torchvision's, with a new classification head."""

from __future__ import annotations

from typing import TYPE_CHECKING

from companion.networks.network import (
    BATCH_SIZE,
    DEMO,
    DROPOUT,
    FROM_SCRATCH,
    MOST_EPOCHS,
    POOLED,
    Network,
    Recipe,
    check_dropout,
)  # fmt: skip

if TYPE_CHECKING:
    from torch import nn

__all__ = ["NETWORK", "make"]

#: ImageNet weights, and torchvision's file of them.
WEIGHTS = {"torchvision/resnet18": "resnet18-f37072fd.pth"}
HEAD = "fc."


def make(
    classes: int,
    *,
    image_size: int,
    checkpoint: str | None = None,
    blocks: tuple[int, ...] = (2, 2, 2, 2),
    divisor: int = 1,
    dropout: float = DROPOUT,
) -> nn.Module:
    """ResNet-18 of torchvision with a new classification head.

    Parameters
    ----------
    classes : int
        Number of classes.
    image_size : int
        Side of the input in pixels; any, the network is fully convolutional.
    checkpoint : str, optional
        ``"torchvision/resnet18"`` for ImageNet weights, see
        :func:`companion.checkpoints.state_dict`; random weights without.
    blocks : tuple of int, default (2, 2, 2, 2)
        Residual blocks per stage.
    divisor : int, default 1
        Divides the widths 64, 128, 256, 512 of the stages.
    dropout : float, default 0.3
        Dropout rate before the fully connected layer.

    Returns
    -------
    Module
        ``(batch, 3, side, side)`` to ``(batch, classes)``.

    Raises
    ------
    ThermoError
        If the checkpoint cannot be loaded, or `dropout` is out of range.

    Examples
    --------
    >>> import torch
    >>> tiny = make(10, image_size=32, blocks=(1, 1, 1, 1), divisor=8)
    >>> tiny(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """
    from torch import nn

    from companion.checkpoints import load_body
    from companion.networks.modules.resnet import NarrowResNet

    network = NarrowResNet(blocks, divisor)
    if checkpoint is not None:
        load_body(network, checkpoint, WEIGHTS.get(checkpoint, checkpoint), head=HEAD)
    head = nn.Linear(512 // divisor, classes)
    network.fc = nn.Sequential(nn.Dropout(check_dropout(dropout)), head)
    return network


TINY = {"blocks": (1, 1, 1, 1), "divisor": 8}

RECIPES = {
    ("cifar10", "demo"): Recipe(
        epochs=6,
        batch_size=BATCH_SIZE["cifar10"],
        options=TINY,
        **DEMO["cifar10"],
    ),
    ("cifar10", "small"): Recipe(
        epochs=30,
        batch_size=BATCH_SIZE["cifar10"],
        augment=True,
        schedule="cosine",
        tau_step=0.03,
        tau_max=1.2,
        differs=(FROM_SCRATCH, "at most 30 epochs"),
    ),
    ("cifar10", "paper"): Recipe(
        epochs=MOST_EPOCHS,
        batch_size=BATCH_SIZE["cifar10"],
        tau_step=0.03,
        tau_max=1.2,
        checkpoint="torchvision/resnet18",
    ),
    ("flowers102", "demo"): Recipe(
        epochs=6,
        batch_size=BATCH_SIZE["flowers102"],
        options=TINY,
        **DEMO["flowers102"],
    ),
    ("flowers102", "small"): Recipe(
        epochs=30,
        batch_size=BATCH_SIZE["flowers102"],
        patience=10,
        split=POOLED,
        augment=True,
        schedule="cosine",
        transfer="cifar10",
        tau_step=0.03,
        tau_max=1.2,
        differs=("at most 30 epochs", "patience 10"),
    ),
    ("flowers102", "paper"): Recipe(
        epochs=MOST_EPOCHS,
        batch_size=BATCH_SIZE["flowers102"],
        split=POOLED,
        tau_step=0.03,
        tau_max=1.2,
        checkpoint="torchvision/resnet18",
    ),
}

NETWORK = Network(
    name="resnet18",
    title="ResNet-18",
    reads="image",
    head=HEAD,
    layers=("layer?.*.relu",),
    where="after both ReLUs of every residual block",
    make=make,
    figures={"cifar10": 6, "flowers102": 7},
    recipes=RECIPES,
    alternatives={
        "ReLU of the stem too": ("relu", "layer?.*.relu"),
        "normalisations of the blocks, before ReLU": ("layer?.*.bn?",),
        "convolutions of the blocks": ("layer?.*.conv?",),
    },
)
