"""Stored images as pixels: read, turned into RGB of 8 bits, and what was lost on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
import PIL.ImageFile
import PIL.ImageOps
from numpy.typing import NDArray

from thermo_utils.errors import ThermoError

if TYPE_CHECKING:
    import datasets

__all__ = ["conversions", "decoded", "in_rgb", "pictures", "pixels"]

#: Images read from the table at a time.
CHUNK = 256
#: How images are stored that are not in colour with 8 bits, by Pillow's name of it.
STORED = {
    "1": "in black and white",
    "L": "in grey",
    "LA": "in grey with transparency",
    "P": "with a palette",
    "PA": "with a palette and transparency",
    "RGBA": "with transparency",
}
DEEP = "with 16 bits a channel"


def pictures(part: datasets.Dataset, column: str) -> Iterator[PIL.Image.Image]:
    """The images of a part in order, as they are stored.

    Parameters
    ----------
    part : Dataset
        Any rows of a dataset.
    column : str
        Of type ``Image``.

    Yields
    ------
    Image
        Upright. ``info`` has a key `DEEP` where there were 16 bits a channel.

    Raises
    ------
    ThermoError
        If one cannot be read, with the file and row in which it lies where the data say so.
    """
    for batch in part.select_columns([column]).with_format("arrow").iter(CHUNK):
        for stored in batch[column].to_pylist():
            yield decoded(stored)


def pixels(part: datasets.Dataset, column: str, side: int, seen: Counter[str]) -> NDArray[np.uint8]:
    """The images of a part as numbers.

    Parameters
    ----------
    part, column
        As for :func:`pictures`.
    side : int
        Height and width in pixels to which images of another size are brought.
    seen : Counter
        Counts the images that were not stored as RGB of 8 bits, see :func:`conversions`.

    Returns
    -------
    array of uint8, shape (examples, side, side, 3)
        From 0 to 255.

    Raises
    ------
    ThermoError
        As :func:`pictures`, and if the pixels of an image are numbers of 32 bits.
    """
    values = np.empty((len(part), side, side, 3), dtype=np.uint8)
    for i, image in enumerate(pictures(part, column)):
        rgb = in_rgb(image, seen)
        values[i] = np.asarray(rgb if rgb.size == (side, side) else rgb.resize((side, side)))
    return values


def conversions(seen: Counter[str]) -> tuple[str, ...]:
    """A remark for a result record on each way of storing images that had to be converted.

    Parameters
    ----------
    seen : Counter
        Filled by :func:`pixels`.

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> conversions(Counter({"in grey": 3}))
    ('3 images stored in grey, turned into RGB of 8 bits',)
    """
    return tuple(
        f"{count:,} {'image' if count == 1 else 'images'} stored {how}, turned into RGB of 8 bits"
        for how, count in sorted(seen.items())
    )


def decoded(stored: dict[str, Any]) -> PIL.Image.Image:
    """One image as it is stored.

    Parameters
    ----------
    stored : dict
        As :mod:`datasets` keeps images: ``bytes``, or None and then a file under ``path``.

    Returns
    -------
    Image
        See :func:`pictures`.

    Raises
    ------
    ThermoError
        If it cannot be read.
    """
    try:
        content = stored["bytes"]
        file = PIL.Image.open(stored["path"] if content is None else BytesIO(content))
        # Pillow says so only before it reads the pixels, and keeps the upper half of colours.
        deep = any(";16" in str(tile[3]) for tile in file.tile)
        file.load()
        image: PIL.Image.Image = file
        deep = deep or image.mode.startswith("I;16")
        if image.getexif().get(PIL.Image.ExifTags.Base.Orientation) is not None:
            image = PIL.ImageOps.exif_transpose(image)
        if image.mode in ("I", "F"):
            raise ValueError("its pixels are numbers of 32 bits")
    except Exception as error:  # a damaged image may fail in any way
        why = str(error) if isinstance(error, ValueError) else type(error).__name__
        raise ThermoError(
            f"{stored['path'] or 'a row without a name'}: the image cannot be read ({why}): leave "
            "the row out or copy the file again"
        ) from error
    if deep:
        image.info[DEEP] = True
    return image


def in_rgb(image: PIL.Image.Image, seen: Counter[str]) -> PIL.Image.Image:
    """An image as RGB of 8 bits a channel.

    Parameters
    ----------
    image : Image
        As :func:`decoded` returns it.
    seen : Counter
        See :func:`pixels`.

    Returns
    -------
    Image
    """
    if DEEP in image.info:
        seen[DEEP] += 1
    elif image.mode != "RGB":
        seen[STORED.get(image.mode, f"as {image.mode}")] += 1
    elif "transparency" in image.info:
        seen[STORED["RGBA"]] += 1
    if image.mode.startswith("I;16"):
        # Pillow would make white of all that is above 255; of colours it takes the upper half.
        image = PIL.Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    elif image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")  # the same colours, without a warning
    return image.convert("RGB")
