"""The convolutional and fully connected networks of the paper (Section 4.2).

The paper leaves the layer sizes of the MLP and the CNN open; the defaults here are those whose
accuracy and sparsity come closest to the published ones. ResNet-18 and MobileNetV2 are
torchvision's.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import MobileNetV2, ResNet
from torchvision.models.resnet import BasicBlock

from companion.checkpoints import state_dict
from thermo_utils.errors import ThermoError

__all__ = ["CNN", "MLP", "mobilenet_v2", "resnet18"]

#: ImageNet weights by their torchvision download addresses.
WEIGHTS = {
    "torchvision/resnet18": "https://download.pytorch.org/models/resnet18-f37072fd.pth",
    "torchvision/mobilenet_v2": "https://download.pytorch.org/models/mobilenet_v2-7ebf99e0.pth",
}


class MLP(nn.Module):
    """Fully connected network; each hidden layer is linear, normalised, rectified, dropped out.

    Parameters
    ----------
    classes : int
        Number of classes.
    image_size : int
        Side of the input in pixels; three channels are flattened.
    hidden : tuple of int, default (512, 256, 128)
        Widths of the hidden layers.
    dropout : float, default 0.3
        Dropout rate after each hidden layer.

    Examples
    --------
    >>> MLP(classes=10, image_size=32)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        classes: int,
        image_size: int,
        hidden: tuple[int, ...] = (512, 256, 128),
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        self.flatten = nn.Flatten()
        self.hidden = _dense(3 * image_size**2, hidden, dropout, normalise=True)
        self.classifier = nn.Linear(hidden[-1], classes)

    def forward(self, images: Tensor) -> Tensor:
        """Class scores, shape ``(batch, classes)``, of images ``(batch, 3, side, side)``."""
        return self.classifier(self.hidden(self.flatten(images)))


class CNN(nn.Module):
    """Convolutions with batch normalisation, ReLU and max-pooling, then dense layers.

    Parameters
    ----------
    classes : int
        Number of classes.
    image_size : int
        Side of the input in pixels; every convolution halves it.
    channels : tuple of int, default (32, 64, 128)
        Channels of the convolutions.
    hidden : tuple of int, default (256, 128)
        Widths of the first two dense layers.
    dropout : float, default 0.3
        Dropout rate after each hidden dense layer.

    Raises
    ------
    ThermoError
        If nothing is left of images of this size after the pooling layers.

    Examples
    --------
    >>> CNN(classes=10, image_size=32)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        classes: int,
        image_size: int,
        channels: tuple[int, ...] = (32, 64, 128),
        hidden: tuple[int, ...] = (256, 128),
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        if image_size < 2 ** len(channels):
            raise ThermoError(
                f"images of {image_size} pixels are too small for {len(channels)} halvings: take "
                f"{2 ** len(channels)} or more"
            )
        self.features = nn.Sequential()
        before = 3
        for number, width in enumerate(channels, start=1):
            self.features.add_module(f"conv{number}", nn.Conv2d(before, width, 3, padding=1))
            self.features.add_module(f"norm{number}", nn.BatchNorm2d(width))
            self.features.add_module(f"relu{number}", nn.ReLU())
            self.features.add_module(f"pool{number}", nn.MaxPool2d(2))
            before = width
        self.flatten = nn.Flatten()
        flat = channels[-1] * (image_size // 2 ** len(channels)) ** 2
        self.hidden = _dense(flat, hidden, dropout, normalise=False)
        self.classifier = nn.Linear(hidden[-1], classes)

    def forward(self, images: Tensor) -> Tensor:
        """Class scores, shape ``(batch, classes)``, of images ``(batch, 3, side, side)``."""
        return self.classifier(self.hidden(self.flatten(self.features(images))))


def _dense(
    width: int, hidden: tuple[int, ...], dropout: float, *, normalise: bool
) -> nn.Sequential:
    layers = nn.Sequential()
    for number, units in enumerate(hidden, start=1):
        layers.add_module(f"linear{number}", nn.Linear(width, units))
        if normalise:
            layers.add_module(f"norm{number}", nn.BatchNorm1d(units))
        layers.add_module(f"relu{number}", nn.ReLU())
        layers.add_module(f"dropout{number}", nn.Dropout(dropout))
        width = units
    return layers


class _ResNet(ResNet):
    """torchvision's ResNet with all widths behind the stem divided by a factor."""

    def __init__(self, blocks: list[int], divisor: int) -> None:
        self._divisor = divisor
        super().__init__(BasicBlock, blocks)

    def _make_layer(self, block: Any, planes: int, *args: Any, **kwargs: Any) -> nn.Sequential:
        return super()._make_layer(block, planes // self._divisor, *args, **kwargs)


def resnet18(
    classes: int,
    image_size: int,
    *,
    checkpoint: str | None = None,
    blocks: tuple[int, ...] = (2, 2, 2, 2),
    divisor: int = 1,
    dropout: float = 0.3,
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
        If the checkpoint cannot be loaded.

    Examples
    --------
    >>> resnet18(10, 32, blocks=(1, 1, 1, 1), divisor=8)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """
    network = _ResNet(list(blocks), divisor)
    if checkpoint is not None:
        _load(network, checkpoint, head="fc.")
    features = 512 // divisor
    network.fc = nn.Sequential(nn.Dropout(dropout), nn.Linear(features, classes))
    return network


def mobilenet_v2(
    classes: int,
    image_size: int,
    *,
    checkpoint: str | None = None,
    width: float = 1.0,
    settings: tuple[tuple[int, int, int, int], ...] | None = None,
    first_stride: int = 2,
    dropout: float = 0.3,
) -> nn.Module:
    """MobileNetV2 of torchvision with a new classification head.

    Parameters
    ----------
    classes : int
        Number of classes.
    image_size : int
        Side of the input in pixels; any, the network is fully convolutional.
    checkpoint : str, optional
        ``"torchvision/mobilenet_v2"`` for ImageNet weights; random weights without.
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
        If the checkpoint cannot be loaded.

    Examples
    --------
    >>> mobilenet_v2(10, 32, width=0.25)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """
    stages = None if settings is None else [list(stage) for stage in settings]
    network = MobileNetV2(width_mult=width, inverted_residual_setting=stages, dropout=dropout)
    if checkpoint is not None:
        _load(network, checkpoint, head="classifier.")
    network.features[0][0].stride = (first_stride, first_stride)
    network.classifier[1] = nn.Linear(network.last_channel, classes)
    # Depthwise convolutions on a CPU run about one and a half times faster in this layout.
    return network.to(memory_format=torch.channels_last)


def _load(network: nn.Module, checkpoint: str, *, head: str) -> None:
    """Load all weights but those of the head, which is replaced and may be of any size."""
    found = state_dict(checkpoint, WEIGHTS.get(checkpoint, checkpoint))
    own = {name: w for name, w in network.state_dict().items() if name.startswith(head)}
    body = {name: w for name, w in found.items() if not name.startswith(head)}
    try:
        network.load_state_dict({**own, **body})
    except RuntimeError as error:  # lists every key; the first says enough
        first = str(error).split("\n\t")[1 if "\n\t" in str(error) else 0]
        raise ThermoError(
            f"checkpoint {checkpoint} is of another network or size: {first.strip()[:200]}"
        ) from error
