"""How much accuracy the paper's own thresholds cost: which drop its eye took for giving way.

The paper prints the threshold at which the accuracy of a chapter leaves its plateau, and no rule.
Networks that both the paper and we train from scratch tell which drop of ours it corresponds to.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final

import numpy as np
import pandas as pd

from companion.paper.published import lookup
from companion.paper.runs import Run, loss_at
from thermo_utils.accuracy import accuracy_threshold

__all__ = ["CALIBRATED", "SCRATCH", "calibration", "published_losses"]

#: Networks that the paper trains from scratch (Section 4.2), as we do.
SCRATCH: Final = ("mlp", "cnn", "lstm")
#: Drops to compare with the published thresholds.
CALIBRATED: Final = (0.0025, 0.005, 0.0075, 0.01, 0.02, 0.03, 0.05)


def calibration(runs: Sequence[Run]) -> pd.DataFrame:
    """Our threshold of the accuracy over the published one, for several drops.

    Parameters
    ----------
    runs : sequence of Run
        As returned by :func:`companion.paper.runs.runs`; those of networks in `SCRATCH` count.

    Returns
    -------
    DataFrame
        A row per drop, with columns ``drop``, ``ratio`` (median over the chapters of the ratio's
        geometric mean over seeds) and ``chapters``. Runs whose accuracy never falls so far, or has
        at the first threshold, do not count. The middle of a published range counts, and the mean
        where the paper gives several.
    """
    rows = []
    for drop in CALIBRATED:
        ratios: dict[str, list[float]] = {}
        for run in runs:
            theirs, ours = _published(run.chapter), accuracy_threshold(run.full, drop)
            if theirs is not None and ours is not None and ours.tau > 0:
                ratios.setdefault(run.chapter, []).append(np.log(ours.tau / theirs))
        means = [np.mean(each) for each in ratios.values()]
        rows.append((drop, np.exp(np.median(means)) if means else np.nan, len(means)))
    return pd.DataFrame(rows, columns=["drop", "ratio", "chapters"])


def published_losses(runs: Sequence[Run]) -> dict[str, float]:
    """What our networks lose at the paper's thresholds of the accuracy.

    Parameters
    ----------
    runs : sequence of Run
        As for :func:`calibration`.

    Returns
    -------
    dict of str to float
        Loss of accuracy by chapter, the mean over its seeds.
    """
    losses: dict[str, list[float]] = {}
    for run in runs:
        if (theirs := _published(run.chapter)) is not None:
            losses.setdefault(run.chapter, []).append(float(loss_at(run.full, theirs)))
    return {name: float(np.mean(each)) for name, each in losses.items()}


@cache
def _published(chapter: str) -> float | None:
    """The paper's threshold of the accuracy for a network trained from scratch."""
    model, dataset = chapter.rsplit("-", 1)
    if model not in SCRATCH:
        return None
    rows = lookup(model, dataset, "tau_star", "accuracy")
    return None if rows.empty else float(((rows["low"] + rows["high"]) / 2).mean())
