"""Images as a network takes them: its own preparation where it is known, else ImageNet's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor

from companion.analysis.examples import Examples, groups
from companion.analysis.models import Loaded
from companion.analysis.request import Request
from companion.checkpoints import quiet_transformers
from companion.data.images import decoded, in_rgb
from companion.hub import cause, hub
from thermo_utils.errors import ThermoError

__all__ = ["ImageBatches"]

#: Side in pixels of images whose network says nothing about them.
SIDE = 224
#: Mean and standard deviation of ImageNet's pixels by channel, from 0 to 1.
MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

#: From images to one tensor.
Prepare = Callable[[list[Image]], Tensor]


class ImageBatches:
    """Batches of pixels, made anew in every pass.

    Parameters
    ----------
    examples : Examples
        Images.
    loaded : Loaded
        The network, which may say how images are prepared.
    request : Request
        Size of batches and of images.
    facts : dict of str to str
        Is told how they are prepared.
    """

    def __init__(
        self, examples: Examples, loaded: Loaded, request: Request, facts: dict[str, str]
    ) -> None:
        self._items, self._size = examples.items, request.batch_size
        self._prepare, facts["images"] = _preparation(loaded, request.size)
        self._named = loaded.task is not None  # a network of transformers takes them by name
        weights = next((w for w in loaded.network.parameters() if w.is_floating_point()), None)
        self._type = torch.float32 if weights is None else weights.dtype

    def __iter__(self) -> Iterator[Any]:
        for group in groups(self._items, self._size):
            pixels = self._prepare([in_rgb(decoded(item), Counter()) for item in group])
            pixels = pixels.to(self._type)
            yield {"pixel_values": pixels} if self._named else pixels


def _preparation(loaded: Loaded, side: int | None) -> tuple[Prepare, str]:
    """How images become a tensor, and the same in words."""
    if loaded.transform is not None:
        return _of_torchvision(loaded.transform, side)
    if loaded.task is not None and loaded.place is not None:
        processor = _processor(loaded.place)
        if processor is not None:
            return _of_transformers(processor, side)
    own = getattr(getattr(loaded.network, "config", None), "image_size", None)
    side = side or (own if isinstance(own, int) else SIDE)
    return _of_imagenet(side)


def _of_torchvision(transform: Any, side: int | None) -> tuple[Prepare, str]:
    if side is not None:
        transform.resize_size = [round(transform.resize_size[0] * side / transform.crop_size[0])]
        transform.crop_size = [side]
    words = (
        f"the network's own preparation in torchvision: shorter side {transform.resize_size[0]}, "
        f"centre {transform.crop_size[0]} x {transform.crop_size[0]} pixels, "
        f"{_statistics(transform.mean, transform.std)}"
    )
    return lambda images: torch.stack([transform(image) for image in images]), words


def _of_imagenet(side: int) -> tuple[Prepare, str]:
    try:
        from torchvision.transforms import v2
    except ModuleNotFoundError:
        raise ThermoError(
            "images need torchvision: pip install torchvision, or give batches as FILE.py:NAME"
        ) from None
    transform = v2.Compose([
        v2.Resize(side, antialias=True), v2.CenterCrop(side), v2.PILToTensor(),
        v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, SPREAD),
    ])  # fmt: skip
    words = (
        f"shorter side {side}, centre {side} x {side} pixels, {_statistics(MEAN, SPREAD)} "
        "(ImageNet's, for the network does not say)"
    )
    return lambda images: torch.stack([transform(image) for image in images]), words


def _of_transformers(processor: Any, side: int | None) -> tuple[Prepare, str]:
    options: dict[str, Any] = {}
    size = dict(processor.size)
    if side is not None:
        options["size"] = (
            {"shortest_edge": side} if "shortest_edge" in size else {"height": side, "width": side}
        )
        if getattr(processor, "do_center_crop", False):
            options["crop_size"] = {"height": side, "width": side}
        size = options["size"]

    def prepare(images: list[Image]) -> Tensor:
        try:
            made = processor(images=images, return_tensors="pt", **options)
        except ValueError as error:  # images of several sizes that are not cut
            raise ThermoError(
                f"the network's image processor makes images of several sizes ({cause(error)}): "
                "take --batch-size 1"
            ) from error
        pixels: Tensor = made["pixel_values"]
        return pixels

    words = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in size.items() if value)
    mean, spread = processor.image_mean, processor.image_std
    kept = f", {_statistics(mean, spread)}" if getattr(processor, "do_normalize", False) else ""
    return prepare, f"the network's own {type(processor).__name__}: {words}{kept}"


def _processor(place: str) -> Any:
    """What the folder says of its images, None if it says nothing."""
    from transformers import AutoImageProcessor

    local = Path(place).exists()
    if local and not (Path(place) / "preprocessor_config.json").is_file():
        return None
    try:
        with hub(not local), quiet_transformers():
            return AutoImageProcessor.from_pretrained(place)
    except Exception as error:  # the clients of the hub raise a dozen kinds
        raise ThermoError(
            f"could not load the image processor of {place} ({cause(error)}): write it there with "
            "save_pretrained"
        ) from error


def _statistics(mean: Any, spread: Any) -> str:
    listed = [" ".join(f"{float(value):g}" for value in values) for values in (mean, spread)]
    return f"mean {listed[0]}, standard deviation {listed[1]}"
