"""torchvision's ResNet in smaller widths."""

from __future__ import annotations

from typing import Any

from torch import nn
from torchvision.models import ResNet
from torchvision.models.resnet import BasicBlock

__all__ = ["NarrowResNet"]


class NarrowResNet(ResNet):
    """ResNet of basic blocks with all widths behind the stem divided by a factor.

    Parameters
    ----------
    blocks : tuple of int
        Residual blocks of each of the four stages.
    divisor : int
        Divides the widths 64, 128, 256, 512 of the stages. The head stays as wide as it was, and
        has to be replaced unless the divisor is 1.
    """

    def __init__(self, blocks: tuple[int, ...], divisor: int) -> None:
        self._divisor = divisor
        super().__init__(BasicBlock, list(blocks))

    def _make_layer(self, block: Any, planes: int, *args: Any, **kwargs: Any) -> nn.Sequential:
        return super()._make_layer(block, planes // self._divisor, *args, **kwargs)
