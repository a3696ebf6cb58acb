"""MobileNetV2 of Figures 8 and 9: torchvision's, with a new classification head."""

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
WEIGHTS = {"torchvision/mobilenet_v2": "mobilenet_v2-7ebf99e0.pth"}
HEAD = "classifier."


def make(
    classes: int,
    *,
    image_size: int,
    checkpoint: str | None = None,
    width: float = 1.0,
    settings: tuple[tuple[int, int, int, int], ...] | None = None,
    first_stride: int = 2,
    dropout: float = DROPOUT,
) -> nn.Module:
    """MobileNetV2 of torchvision with a new classification head.

    Parameters
    ----------
    classes : int
        Number of classes.
    image_size : int
        Side of the input in pixels; any, the network is fully convolutional.
    checkpoint : str, optional
        ``"torchvision/mobilenet_v2"`` for ImageNet weights, see
        :func:`companion.checkpoints.state_dict`; random weights without.
    width : float, default 1.0
        Multiplies all widths.
    settings : tuple, optional
        Inverted residual stages as (expansion, channels, blocks, stride); those of the MobileNetV2
        paper by default.
    first_stride : int, default 2
        Stride of the first convolution. With 1, a 32-pixel image ends as a 2x2 map instead of
        a single pixel.
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
    >>> make(10, image_size=32, width=0.25)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """
    import torch
    from torch import nn
    from torchvision.models import MobileNetV2

    from companion.checkpoints import load_body

    stages = None if settings is None else [list(stage) for stage in settings]
    network = MobileNetV2(
        width_mult=width, inverted_residual_setting=stages, dropout=check_dropout(dropout)
    )
    if checkpoint is not None:
        load_body(network, checkpoint, WEIGHTS.get(checkpoint, checkpoint), head=HEAD)
    network.features[0][0].stride = (first_stride, first_stride)
    network.classifier[1] = nn.Linear(network.last_channel, classes)
    # Depthwise convolutions on a CPU run about one and a half times faster in this layout.
    return network.to(memory_format=torch.channels_last)


TINY = {
    "width": 0.5,
    "settings": ((1, 16, 1, 1), (4, 24, 2, 2), (4, 32, 2, 2), (4, 64, 1, 2)),
}

RECIPES = {
    ("cifar10", "demo"): Recipe(
        epochs=6,
        batch_size=BATCH_SIZE["cifar10"],
        options=TINY,
        **DEMO["cifar10"],
    ),
    ("cifar10", "small"): Recipe(
        epochs=24,
        batch_size=BATCH_SIZE["cifar10"],
        augment=True,
        schedule="cosine",
        tau_step=0.02,
        tau_max=0.8,
        options={"first_stride": 1},
        differs=(FROM_SCRATCH, "first convolution at stride 1", "at most 24 epochs"),
    ),
    ("cifar10", "paper"): Recipe(
        epochs=MOST_EPOCHS,
        batch_size=BATCH_SIZE["cifar10"],
        tau_step=0.02,
        tau_max=0.8,
        checkpoint="torchvision/mobilenet_v2",
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
        tau_step=0.02,
        tau_max=0.8,
        differs=("at most 30 epochs", "patience 10"),
    ),
    ("flowers102", "paper"): Recipe(
        epochs=MOST_EPOCHS,
        batch_size=BATCH_SIZE["flowers102"],
        split=POOLED,
        tau_step=0.02,
        tau_max=0.8,
        checkpoint="torchvision/mobilenet_v2",
    ),
}

NETWORK = Network(
    name="mobilenet_v2",
    title="MobileNetV2",
    reads="image",
    head=HEAD,
    layers=("ReLU6",),
    where="after every ReLU6",
    make=make,
    figures={"cifar10": 8, "flowers102": 9},
    recipes=RECIPES,
    alternatives={
        "every normalisation": ("BatchNorm2d",),
        "every convolution": ("Conv2d",),
    },
)
