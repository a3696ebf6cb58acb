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
    """Counts of the classes that have examples, at every threshold of a curve.

    Attributes
    ----------
    numbers : ndarray of int64, shape (C,)
        Of the classes, among `classes` that there are.
    examples, unpruned : ndarray of int64, shape (C,)
        Examples of each class, and those that the unpruned network gets right.
    hits : ndarray of float64, shape (K, C)
        Those that are right after pruning; ``nan`` where it makes NaN.
    lost : ndarray of float64, shape (K, C), or None
        Right before and wrong after; None where the order of the examples was not kept.
    """

    classes: int
    numbers: Counts
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
        lost = None if missing else _rows(lost, examples.size)
        if hits.shape != (len(curve), examples.size) or not _consistent(
            examples, unpruned, hits, lost
        ):
            raise ThermoError("curve: the counts by class do not fit it or each other")
        there = np.flatnonzero(examples > 0)
        return cls(
            examples.size,
            there,
            examples[there],
            unpruned[there],
            hits[:, there],
            None if lost is None else lost[:, there],
        )

    @property
    def shares(self) -> Floats:
        """Accuracy of the unpruned network on each class, shape (C,)."""
        return self.unpruned / self.examples

    def intervals(self, alpha: float) -> tuple[Floats, Floats]:
        """Least and largest drop at each threshold of each class, shape (K, C)."""
        if self.lost is None:
            before = np.broadcast_to(self.unpruned, self.hits.shape)
            return drop_interval(before, self.hits, self.examples, alpha)
        gained = self.hits - self.unpruned + self.lost
        return drop_interval(self.lost, gained, self.examples, alpha)

    def chances(self) -> NDArray[np.float64]:
        """How probable so great a loss is at each threshold of each class, if none matters."""
        found = np.full(self.hits.shape, np.nan)
        if self.lost is None:
            return found
        gained = self.hits - self.unpruned + self.lost
        for k in np.flatnonzero(np.isfinite(self.lost).all(axis=1)):
            found[k] = beyond_share(self.examples, self.unpruned, self.lost[k], gained[k])
        return found


def _consistent(examples: Counts, unpruned: Counts, hits: Floats, lost: Floats | None) -> bool:
    """Whether these can be counts of the same examples."""
    if unpruned.shape != examples.shape or not examples.sum():
        return False
    bad = np.any((unpruned < 0) | (unpruned > examples)) | np.any((hits < 0) | (hits > examples))
    if lost is not None:
        if lost.shape != hits.shape:
            return False
        gained = hits - unpruned + lost
        bad |= np.any((lost < 0) | (lost > unpruned))
        bad |= np.any((gained < 0) | (gained > examples - unpruned))
    return not bad


def _rows(given: Iterable[Any], classes: int) -> NDArray[np.float64]:
    return np.array([[np.nan] * classes if row is None else row for row in given], np.float64)
