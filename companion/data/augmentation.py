"""Random crops and flips of training images, made batch by batch while a network trains."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from companion.data.tensors import Examples
from thermo_utils.errors import ThermoError

__all__ = ["Augmented", "cropped_and_flipped"]

#: Border in sides of the image, of the mean of the data, from which crops may take.
BORDER = 1 / 8


class Augmented(Examples):
    """Images that are another crop, and may be mirrored, every time they are taken.

    Parameters
    ----------
    examples : Examples
        Images of shape ``(examples, channels, side, side)``; they stay as they are.
    seed : int
        Of the draws: the same seed and the same batches give the same pixels.

    Raises
    ------
    ThermoError
        If the examples are no images.
    """

    def __init__(self, examples: Examples, seed: int) -> None:
        if not isinstance(examples.inputs, Tensor) or examples.inputs.ndim != 4:
            raise ThermoError("only images can be cropped and flipped: leave augment out")
        super().__init__(examples.inputs, examples.targets)
        # Other draws than those of the order, which comes from the same seed.
        self._rng = np.random.default_rng([seed, 1])

    def __getitem__(self, index: Any) -> tuple[Any, Tensor]:
        images, targets = super().__getitem__(index)
        return cropped_and_flipped(images, self._rng), targets


def cropped_and_flipped(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Each image moved by up to an eighth of its side each way, and every other one mirrored.

    Parameters
    ----------
    images : Tensor of shape (batch, channels, side, side)
        Normalised: what moves in from outside is 0, the mean.
    rng : Generator
        Of the draws, one of its own for each image.

    Returns
    -------
    Tensor
        Of the same shape and type, channels last in memory.

    Examples
    --------
    >>> images = torch.arange(64.0).view(1, 1, 8, 8)
    >>> moved = cropped_and_flipped(images, np.random.default_rng(0))
    >>> moved.shape, bool((moved == images).all())
    (torch.Size([1, 1, 8, 8]), False)
    """
    count, _, height, width = images.shape
    border = round(BORDER * height), round(BORDER * width)
    down, right = (
        torch.from_numpy(rng.integers(0, 2 * reach + 1, size=(count, 1))) for reach in border
    )
    rows, columns = torch.arange(height) + down, torch.arange(width) + right
    mirrored = torch.from_numpy(rng.random((count, 1)) < 0.5)
    columns = torch.where(mirrored, columns.flip(1), columns)
    padded = nn.functional.pad(images, (border[1], border[1], border[0], border[0]))
    # All images at once: one index each for image, row and column puts the channels last.
    image = torch.arange(count)[:, None, None]
    taken = padded.permute(0, 2, 3, 1)[image, rows[:, :, None], columns[:, None, :]]
    return taken.permute(0, 3, 1, 2)
