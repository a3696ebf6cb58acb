"""Generated stand-ins for the four datasets: same columns, shapes, classes and label names.

They are easy enough for tiny networks to learn in seconds and hard enough that pruning hurts.
Whatever is made from them says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from companion.data.synthetic_text import texts as _texts
from thermo_utils.errors import ThermoError

if TYPE_CHECKING:
    import datasets

    from companion.data.specs import DatasetSpec

__all__ = ["generate"]

#: Waves per image side in the pattern of a class.
FREQUENCIES = 4
#: By number of classes: weight of a pattern drawn anew for each image and of pixel noise, beside
#: a class pattern of weight one; and largest shift as a share of the side. With ten examples of
#: each of a hundred classes there is little to learn from, so those are easier to tell apart.
DIFFICULTY = {10: (1.2, 0.8, 1 / 8), 102: (0.4, 0.3, 1 / 64)}


def generate(
    spec: DatasetSpec, sizes: tuple[int | None, int | None, int | None], seed: int
) -> datasets.DatasetDict:
    """Generate a dataset.

    Parameters
    ----------
    spec : DatasetSpec
        The dataset to imitate.
    sizes : tuple of int
        Numbers of training, validation and test examples.
    seed : int
        The same seed gives the same data. Classes look the same under every seed.

    Returns
    -------
    DatasetDict
        Parts ``train``, ``validation``, ``test`` with the columns and label names of the hub.

    Raises
    ------
    ThermoError
        If a size is missing.
    """
    import datasets

    if any(size is None for size in sizes):
        raise ThermoError("synthetic data have no natural size: give all three sizes")
    label = datasets.ClassLabel(names=list(spec.class_names))
    content: Any = datasets.Image() if spec.kind == "image" else datasets.Value("string")
    features = datasets.Features({spec.column: content, "label": label})
    draw = _images if spec.kind == "image" else _texts
    parts = {}
    for part, (name, size) in enumerate(zip(("train", "validation", "test"), sizes, strict=True)):
        rng = np.random.default_rng([seed, part])
        labels = rng.permutation(np.arange(int(size or 0)) % len(spec.class_names))
        parts[name] = datasets.Dataset.from_dict(
            {spec.column: draw(spec, labels, rng), "label": labels}, features=features
        )
    return datasets.DatasetDict(parts)


def _images(
    spec: DatasetSpec, labels: NDArray[np.int64], rng: np.random.Generator
) -> list[NDArray[np.uint8]]:
    """A smooth colour pattern per class, shifted at random, over clutter and noise."""
    side = spec.image_size
    shapes = np.random.default_rng(len(spec.class_names))  # the classes do not depend on the seed
    patterns = _smooth_patterns(shapes, len(spec.class_names), side)
    clutter = _smooth_patterns(rng, len(labels), side)
    noise = rng.standard_normal((len(labels), side, side, 3), dtype=np.float32)
    clutter_weight, noise_weight, reach = DIFFICULTY[len(spec.class_names)]
    furthest = round(side * reach)
    shifts = rng.integers(-furthest, furthest + 1, size=(len(labels), 2))
    images = []
    for i, label in enumerate(labels):
        moved = np.roll(patterns[label], shifts[i], axis=(0, 1))
        image = moved + clutter_weight * clutter[i] + noise_weight * noise[i]
        images.append(np.clip(128 + 48 * image, 0, 255).astype(np.uint8))
    return images


def _smooth_patterns(rng: np.random.Generator, count: int, side: int) -> NDArray[np.float32]:
    """Random superpositions of a few long waves, zero mean and unit variance, channels last."""
    spectrum = np.zeros((count, side, side // 2 + 1, 3), dtype=np.complex64)
    low = np.r_[0:FREQUENCIES, -FREQUENCIES + 1 : 0]
    shape = (count, len(low), FREQUENCIES, 3)
    waves = rng.standard_normal(shape, np.float32) + 1j * rng.standard_normal(shape, np.float32)
    spectrum[:, low[:, None], np.arange(FREQUENCIES)] = waves
    pattern = np.fft.irfft2(spectrum, s=(side, side), axes=(1, 2)).astype(np.float32)
    pattern -= pattern.mean(axis=(1, 2, 3), keepdims=True)
    return pattern / pattern.std(axis=(1, 2, 3), keepdims=True)
