"""The Vision Transformer of ``transformers``, for images of any size."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from transformers import ViTForImageClassification

__all__ = ["ViTClassifier"]


class ViTClassifier(ViTForImageClassification):
    """Vision Transformer that accepts images of any size.

    Images are resized to the size the network was made for, so the input stays as small as the
    dataset's. Forward takes ``pixel_values`` of shape ``(batch, 3, height, width)``.
    """

    def forward(self, pixel_values: Tensor, **kwargs: Any) -> Any:
        size = self.config.image_size
        sides = (size, size) if isinstance(size, int) else tuple(size)
        if tuple(pixel_values.shape[-2:]) != sides:
            pixel_values = nn.functional.interpolate(
                pixel_values, size=sides, mode="bicubic", align_corners=False, antialias=True
            )
        return super().forward(pixel_values, **kwargs)
