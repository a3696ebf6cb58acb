"""Networks of well-known shapes from torch alone, with random weights: what is timed is their size.

Parameters and activations are as many as those of the networks they are named after; a test counts
them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

__all__ = ["SHAPES", "Shape", "bert", "mobilenet_v2", "resnet18", "vit"]

#: Classes of the image networks, word pieces and positions of BERT.
CLASSES, WORDS, POSITIONS = 1000, 30522, 512
#: Width and heads of ViT-B and BERT-base, and the side of ViT's patches.
WIDTH, HEADS, PATCH = 768, 12, 16


class _Residual(nn.Module):
    """A basic block of ResNet, pruned after both of its ReLUs."""

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.shortcut = nn.Sequential()
        if stride > 1:
            self.shortcut.append(nn.Conv2d(before, width, 1, stride, bias=False))
            self.shortcut.append(nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        inner = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(inner)) + self.shortcut(x))


def resnet18() -> nn.Module:
    """ResNet-18: ``(batch, 3, side, side)`` to ``(batch, 1000)``."""
    stem = nn.Sequential(
        nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2, 1),
    )  # fmt: skip
    blocks = nn.Sequential()
    before = 64
    for stage, width in enumerate((64, 128, 256, 512)):
        for block in range(2):
            blocks.append(_Residual(before, width, 2 if stage and not block else 1))
            before = width
    return nn.Sequential(
        stem, blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, CLASSES)
    )


def _normalised(
    before: int, width: int, kernel: int, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    pad = kernel // 2
    convolution = nn.Conv2d(before, width, kernel, stride, pad, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(width)]


class _Inverted(nn.Module):
    """An inverted residual block of MobileNetV2."""

    def __init__(self, before: int, width: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = before * expansion
        parts = [*_normalised(before, inner, 1), nn.ReLU6(inplace=True)] if expansion > 1 else []
        parts += [*_normalised(inner, inner, 3, stride, inner), nn.ReLU6(inplace=True)]
        self.body = nn.Sequential(*parts, *_normalised(inner, width, 1))
        self.adds = stride == 1 and before == width

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.adds else self.body(x)


def mobilenet_v2() -> nn.Module:
    """MobileNetV2: ``(batch, 3, side, side)`` to ``(batch, 1000)``."""
    network = nn.Sequential(*_normalised(3, 32, 3, 2), nn.ReLU6(inplace=True))
    before = 32
    for expansion, width, blocks, stride in (
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
        (6, 320, 1, 1),
    ):  # fmt: skip
        for block in range(blocks):
            network.append(_Inverted(before, width, 1 if block else stride, expansion))
            before = width
    head = [*_normalised(320, 1280, 1), nn.ReLU6(inplace=True)]
    for part in (*head, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, CLASSES)):
        network.append(part)
    return network


class _Block(nn.Module):
    """A block of a transformer, normalised before its parts (ViT) or after them (BERT)."""

    def __init__(self, first: bool) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.fc1, self.fc2 = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)
        self.activation = nn.GELU()
        self.first = first

    def forward(self, x: Tensor) -> Tensor:
        if self.first:
            x = x + self._attend(self.norm1(x))
            return x + self._expand(self.norm2(x))
        x = self.norm1(x + self._attend(x))
        return self.norm2(x + self._expand(x))

    def _attend(self, x: Tensor) -> Tensor:
        return self.attention(x, x, x, need_weights=False)[0]

    def _expand(self, x: Tensor) -> Tensor:
        return self.fc2(self.activation(self.fc1(x)))


class _Patches(nn.Module):
    """Images as sequences of patches, with a class token before them."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(3, WIDTH, PATCH, PATCH)
        self.token = nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.positions = nn.Parameter(0.02 * torch.randn(1, (side // PATCH) ** 2 + 1, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        patches = self.project(x).flatten(2).transpose(1, 2)
        return torch.cat([self.token.expand(len(x), -1, -1), patches], 1) + self.positions


class _Words(nn.Module):
    """Word pieces as vectors."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.kinds = nn.Embedding(WORDS, WIDTH), nn.Embedding(2, WIDTH)
        self.positions, self.norm = nn.Embedding(POSITIONS, WIDTH), nn.LayerNorm(WIDTH)

    def forward(self, ids: Tensor) -> Tensor:
        at = torch.arange(ids.shape[1], device=ids.device)
        return self.norm(self.words(ids) + self.positions(at) + self.kinds.weight[0])


class _First(nn.Module):
    """The state of the first token."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, 0]


def vit(side: int, depth: int = 12) -> nn.Module:
    """ViT-B/16: ``(batch, 3, side, side)`` to ``(batch, 1000)``."""
    blocks = [_Block(first=True) for _ in range(depth)]
    head = nn.Linear(WIDTH, CLASSES)
    return nn.Sequential(_Patches(side), *blocks, nn.LayerNorm(WIDTH), _First(), head)


def bert(depth: int = 12) -> nn.Module:
    """BERT-base with its pooler: ids ``(batch, length)`` to ``(batch, 4)``."""
    blocks = [_Block(first=False) for _ in range(depth)]
    pooler = [nn.Linear(WIDTH, WIDTH), nn.Tanh()]
    return nn.Sequential(_Words(), *blocks, _First(), *pooler, nn.Linear(WIDTH, 4))


class Shape(NamedTuple):
    """A network to be timed.

    Attributes
    ----------
    make : callable
        From the size of an input (side or length) and the number of blocks, where that is free.
    layers : tuple of str
        Pruned as in the book's chapters.
    size, small : int
        Side of the images or length of the texts, and that of the trial on a CPU.
    batch : int
        Inputs at a time.
    text : bool
    """

    make: Callable[[int, int], nn.Module]
    layers: tuple[str, ...]
    size: int
    small: int
    batch: int
    text: bool = False


SHAPES = {
    "ResNet-18": Shape(lambda side, depth: resnet18(), ("1.*.relu",), 224, 32, 128),
    "MobileNetV2": Shape(lambda side, depth: mobilenet_v2(), ("ReLU6",), 224, 32, 128),
    "ViT-B": Shape(vit, ("*.fc1", "*.activation", "*.fc2"), 224, 32, 64),
    "BERT-base": Shape(lambda length, depth: bert(depth), ("GELU",), 128, 16, 64, text=True),
}
