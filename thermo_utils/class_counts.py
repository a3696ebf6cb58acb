"""Hits of every class before and after pruning, as a full evaluation counts them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from thermo_utils.chance import beyond_share, drop_interval
from thermo_utils.errors import ThermoError

__all__ = ["ClassCounts"]

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ClassCounts:
    """Examples (C,), those right before (C,) and after pruning (K, C), and those lost (K, C).

    ``nan`` where pruning makes NaN; `lost` is None where the order of the examples was not kept.
    """

    examples: Counts
    unpruned: Counts
    hits: NDArray[np.float64]
    lost: NDArray[np.float64] | None

    @classmethod
    def of(cls, curve: pd.DataFrame) -> ClassCounts:
        given = curve.attrs.get("per_class")
        if given is None:
            raise ThermoError(
                "the curve does not count by class: call full_evaluation(..., per_class=True)"
            )
        examples = np.array(given["examples"], np.int64)
        unpruned = np.array(given["unpruned"], np.int64)
        hits = _rows(given["hits"], examples.size)
        lost = given.get("lost")
        known = [row is not None for row in given["hits"]]
        missing = lost is None or [row is not None for row in lost] != known
        found = cls(examples, unpruned, hits, None if missing else _rows(lost, examples.size))
        if hits.shape != (len(curve), examples.size) or not found.consistent():
            raise ThermoError("curve: the counts by class do not fit it or each other")
        return found

    def consistent(self) -> bool:
        """Whether these can be counts of the same examples."""
        if self.unpruned.shape != self.examples.shape or not self.examples.sum():
            return False
        bad = np.any((self.unpruned < 0) | (self.unpruned > self.examples))
        bad |= np.any((self.hits < 0) | (self.hits > self.examples))
        if self.lost is not None:
            if self.lost.shape != self.hits.shape:
                return False
            gained = self.hits - self.unpruned + self.lost
            bad |= np.any((self.lost < 0) | (self.lost > self.unpruned))
            bad |= np.any((gained < 0) | (gained > self.examples - self.unpruned))
        return not bad

    def share(self, row: int) -> float:
        return float(self.unpruned[row] / self.examples[row])

    def intervals(self, row: int, alpha: float) -> tuple[NDArray, NDArray]:
        """Least and largest drop of a class at each threshold."""
        hits, n = self.hits[:, row], int(self.examples[row])
        before = np.full(hits.shape, self.unpruned[row])
        if self.lost is None:
            return drop_interval(before, hits, n, alpha)
        lost = self.lost[:, row]
        return drop_interval(lost, hits - before + lost, n, alpha)

    def chances(self) -> NDArray[np.float64]:
        """How probable so great a loss of each class is at each threshold, if none matters."""
        found = np.full(self.hits.shape, np.nan)
        if self.lost is None:
            return found
        gained = self.hits - self.unpruned + self.lost
        for k in np.flatnonzero(np.isfinite(self.lost).all(axis=1)):
            found[k] = beyond_share(self.examples, self.unpruned, self.lost[k], gained[k])
        return found


def _rows(given: Iterable[Any], classes: int) -> NDArray[np.float64]:
    return np.array([[np.nan] * classes if row is None else row for row in given], np.float64)
