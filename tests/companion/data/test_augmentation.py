"""Crops and flips: pixels move as wholes, image by image, and the same way from the same seed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from companion.data.augmentation import Augmented, cropped_and_flipped
from companion.data.tensors import Examples, batches
from thermo_utils import ThermoError

SIDE = 16
REACH = SIDE // 8


def images(count=200, side=SIDE):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(count, 3, side, side, generator=generator) + 1  # nowhere the border's zero


def moved(image, down, right, mirrored):
    """One image by the plainest means: slices of a larger one."""
    side = image.shape[-1]
    large = torch.zeros(3, side + 2 * REACH, side + 2 * REACH)
    large[:, REACH : REACH + side, REACH : REACH + side] = image
    crop = large[:, down : down + side, right : right + side]
    return crop.flip(2) if mirrored else crop


def test_every_image_is_one_of_the_crops_there_are():
    given = images()
    found = cropped_and_flipped(given, np.random.default_rng(0))
    seen = set()
    for image, result in zip(given, found, strict=True):
        matches = [
            (down, right, mirrored)
            for down in range(2 * REACH + 1)
            for right in range(2 * REACH + 1)
            for mirrored in (False, True)
            if torch.equal(moved(image, down, right, mirrored), result)
        ]
        (match,) = matches
        seen.add(match)
    assert {down for down, _, _ in seen} == {right for _, right, _ in seen} == set(range(5))
    assert {mirrored for *_, mirrored in seen} == {False, True}
    assert len(seen) > 40  # of 50: each image is drawn for itself


def test_half_are_mirrored_and_all_places_are_equally_likely():
    # A picture that says where its left upper corner is and whether it was mirrored.
    ramp = torch.arange(SIDE, dtype=torch.float32) + 1
    picture = torch.stack([ramp[:, None].expand(SIDE, SIDE), ramp.expand(SIDE, SIDE)])
    given = picture.expand(20_000, 2, SIDE, SIDE)
    found = cropped_and_flipped(given, np.random.default_rng(1))
    middle = found[:, :, SIDE // 2, SIDE // 2 - 1 : SIDE // 2 + 1]
    mirrored = middle[:, 1, 0] > middle[:, 1, 1]
    assert float(mirrored.float().mean()) == pytest.approx(0.5, abs=0.02)
    down = (middle[:, 0, 0] - (SIDE // 2 + 1)).to(torch.int64) + REACH
    assert down.bincount().div(len(given)).tolist() == pytest.approx([0.2] * 5, abs=0.02)


def test_the_stored_images_stay_and_each_look_is_another():
    given = images(8)
    kept = given.clone()
    examples = Augmented(Examples(given, torch.arange(8)), seed=3)
    first, targets = examples[list(range(8))]
    second, _ = examples[list(range(8))]
    assert targets.tolist() == list(range(8))
    assert torch.equal(given, kept)
    assert not torch.equal(first, second)
    assert first.dtype == given.dtype
    assert first.is_contiguous(memory_format=torch.channels_last)


def test_batches_of_one_seed_are_the_same_and_of_another_are_not():
    examples = Examples(images(50), torch.arange(50))

    def epoch(seed, order=0):
        return torch.cat([x for x, _ in batches(Augmented(examples, seed), 16, seed=order)])

    assert torch.equal(epoch(1), epoch(1))
    assert not torch.equal(epoch(1), epoch(2))
    torch.rand(3)
    np.random.rand(3)  # noqa: NPY002
    assert torch.equal(epoch(1), epoch(1))


def test_only_images_can_be_cropped():
    texts = Examples({"input_ids": torch.zeros(4, 9)}, torch.zeros(4))
    for examples in (texts, Examples(torch.zeros(4, 9), torch.zeros(4))):
        with pytest.raises(ThermoError, match="only images can be cropped and flipped"):
            Augmented(examples, 0)


def test_the_border_follows_the_side():
    large = cropped_and_flipped(images(300, side=64), np.random.default_rng(0))
    outside = (large[:, 0] == 0).all(2).sum(1)  # rows of the border
    assert int(outside.max()) == 8
