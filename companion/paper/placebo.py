"""Thresholds that know nothing of the free energy, in the place of those it gives.

What they satisfy too says nothing about the free energy: that accuracy is still there at the first
point of the grid, for example, or that it comes early.
"""

from __future__ import annotations

import zlib
from typing import Final

import numpy as np

from companion.paper.observed import Observed

__all__ = ["DRAWS", "EMPTY", "at_random", "first_point"]

#: Random thresholds of each record.
DRAWS: Final = 100
#: A claim that this share of random thresholds satisfies, or more, is as good as empty.
EMPTY: Final = 0.5


def first_point(of: Observed) -> Observed:
    """The record, with the first threshold of its grid for FE and RFE.

    Parameters
    ----------
    of : Observed
        What was found.

    Returns
    -------
    Observed
    """
    return of.at(0, 0)


def at_random(of: Observed, seed: str, draws: int = DRAWS) -> list[Observed]:
    """The record, with random thresholds for FE and, independently, for RFE.

    Parameters
    ----------
    of : Observed
        What was found.
    seed : str
        Of the generator: the same text draws the same thresholds.
    draws : int, default `DRAWS`
        How many.

    Returns
    -------
    list of Observed
        Each draw lies anywhere between the first and the last threshold of FE, all with equal
        probability, and is moved to the nearest threshold.
    """
    tau = of.full.tau
    generator = np.random.default_rng(zlib.crc32(seed.encode()))
    drawn = generator.uniform(tau[0], tau[-1], size=(draws, 2))
    nearest = np.abs(drawn[..., None] - tau).argmin(axis=-1)
    return [of.at(int(full), int(fast)) for full, fast in nearest]
