"""How far a copy of a dataset is from the official one: numbers, classes, stored pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from companion.data.images import pictures
from companion.data.stored import PARTS, other_names

if TYPE_CHECKING:
    import datasets

    from companion.data.specs import DatasetSpec

__all__ = ["departures"]

#: A class may be this much larger or smaller than the others, as a share of them, in a copy that
#: counts as balanced: a random part of a balanced set is not quite balanced.
UNEVEN = 0.1
#: Images whose size is looked at.
LOOKED_AT = 100
#: Parts of a dataset in words.
TRAINING, TEST = "to train and validate on", "to test on"


def departures(spec: DatasetSpec, parts: datasets.DatasetDict) -> tuple[str, ...]:
    """What a result record must say of the data it was made from.

    Parameters
    ----------
    spec : DatasetSpec
        What the official dataset is like.
    parts : DatasetDict
        All that was loaded, before any of it is held out or left out.

    Returns
    -------
    tuple of str
        A remark each on missing examples, on classes of other names, on classes that are balanced
        officially and not here, and on images stored smaller than the official ones; empty for the
        official data.

    Raises
    ------
    ThermoError
        If one of the images that are looked at cannot be read.
    """
    checks = (_sizes, _names, _classes, _pixels)
    return tuple(remark for check in checks for remark in check(spec, parts))


def _sizes(spec: DatasetSpec, parts: datasets.DatasetDict) -> list[str]:
    train, validation, test = spec.sizes
    found = {name: len(part) for name, part in parts.items()}
    numbers = (
        (found["train"] + found.get("validation", 0), train + validation, TRAINING),
        (found["test"], test, TEST),
    )
    return [
        f"{here:,} examples {purpose}, officially {official:,}"
        for here, official, purpose in numbers
        if here != official
    ]


def _names(spec: DatasetSpec, parts: datasets.DatasetDict) -> list[str]:
    names = getattr(parts["train"].features["label"], "names", list(spec.class_names))
    if not other_names(spec, names):
        return []
    return [f"classes called {', '.join(names)}, officially {', '.join(spec.class_names)}"]


def _classes(spec: DatasetSpec, parts: datasets.DatasetDict) -> list[str]:
    even = 1 / len(spec.class_names)
    remarks = []
    for name in spec.balanced:
        if name not in parts:
            continue
        counts = np.bincount(parts[name]["label"][:], minlength=len(spec.class_names))
        shares = counts / counts.sum()
        if np.abs(shares / even - 1).max() > UNEVEN:
            low, high = 100 * shares.min(), 100 * shares.max()
            remarks.append(
                f"classes of {low:.0f} to {high:.0f} % of the {PARTS[name]} set, "
                f"officially {100 * even:.3g} % each"
            )
    return remarks


def _pixels(spec: DatasetSpec, parts: datasets.DatasetDict) -> list[str]:
    if spec.kind != "image":
        return []
    some = parts["test"].select(range(min(LOOKED_AT, len(parts["test"]))))
    side = max(min(image.size) for image in pictures(some, spec.column))
    if side >= spec.stored_side:
        return []
    return [f"images stored at {side} pixels, officially {spec.stored_side}"]
