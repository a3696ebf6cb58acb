"""How far a critical threshold would move with other test examples, or with other seeds.

Activations of one example depend on each other, examples do not: counts that are kept by blocks of
examples tell what other examples would have said (the bootstrap). Runs that differ in nothing but
the seed tell what another training would have said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from thermo_utils.curves import Threshold, column
from thermo_utils.errors import ThermoError
from thermo_utils.thermodynamics import thermodynamic_curve
from thermo_utils.transitions import critical_threshold

__all__ = ["OCTAVES", "Resampled", "over_examples", "over_seeds", "resampled_curve"]

#: Seeds agree on a threshold if their own lie within so many octaves.
OCTAVES = 0.5


class Resampled(NamedTuple):
    """Critical thresholds of curves whose examples were drawn again.

    Attributes
    ----------
    low, high : float
        Interval of the thresholds of the draws that have a feature; ``nan`` if none has.
    found : float
        Share of the draws that have one.
    agree : float
        Share of the draws on whose kind and threshold most agree, to within half an octave.
    """

    low: float
    high: float
    found: float
    agree: float


def over_examples(
    blocks: pd.DataFrame, *, draws: int = 100, confidence: float = 0.95, seed: int = 0
) -> Resampled:
    """Critical thresholds of a curve if other examples had been drawn (bootstrap).

    Parameters
    ----------
    blocks : DataFrame
        Counts by blocks of examples: columns ``tau``, ``block``, ``active`` (M) and ``abs_sum``
        (Sigma), a row per block and threshold; at ``tau = 0`` they are ``N`` and ``Sigma_0``.
    draws : int, default 100
        How many times to draw as many blocks as there are, with replacement.
    confidence : float, default 0.95
        Share of the thresholds that the interval holds; the same share is left out at both ends.
    seed : int, default 0
        Seed of the draws.

    Returns
    -------
    Resampled

    Raises
    ------
    ThermoError
        If a column is missing, there are fewer than two blocks, a block lacks a threshold or its
        total, or an option is out of range.

    Examples
    --------
    >>> tau = np.linspace(0, 0.9, 46)
    >>> block = pd.DataFrame({"tau": tau, "active": np.round(1e7 * (1 - tau)),
    ...                       "abs_sum": 5e6 * (1 - tau**2)})  # uniform activations
    >>> over_examples(pd.concat([block.assign(block=0), block.assign(block=1)])).agree
    1.0
    """
    if draws < 1 or not 0 < confidence < 1:
        raise ThermoError("draws must be 1 or more, and confidence between 0 and 1")
    tau, counts = _counts(blocks)
    rng = np.random.default_rng(seed)
    number = counts.shape[0]
    again = rng.multinomial(number, np.full(number, 1 / number), size=draws)
    found = [critical_threshold(_curve(tau, weights, counts)) for weights in again]
    features = [t for t in found if t is not None]
    if not features:
        return Resampled(np.nan, np.nan, 0.0, 1.0)
    tail = (1 - confidence) / 2
    places = np.array([t.tau for t in features])
    low, high = np.quantile(places, [tail, 1 - tail], method="inverted_cdf")
    most = Counter(t.kind for t in features).most_common(1)[0][0]
    kinds = np.log2([t.tau for t in features if t.kind == most])
    agree = max(int(((kinds >= k) & (kinds <= k + OCTAVES)).sum()) for k in kinds)
    return Resampled(float(low), float(high), len(features) / draws, agree / draws)


def resampled_curve(blocks: pd.DataFrame, weights: NDArray[np.int64]) -> pd.DataFrame:
    """The curve of some of the blocks.

    Parameters
    ----------
    blocks : DataFrame
        As for :func:`over_examples`.
    weights : ndarray of int64, shape (B,)
        How often each of the blocks counts, in their order.

    Returns
    -------
    DataFrame
        As from :func:`thermo_utils.thermodynamic_curve`. With every block once it is the curve
        that the blocks come from.

    Raises
    ------
    ThermoError
        As :func:`over_examples`, and if the weights are not one per block.
    """
    tau, counts = _counts(blocks)
    if np.shape(weights) != counts.shape[:1]:
        raise ThermoError(f"weights: {counts.shape[0]} are needed, one per block")
    return _curve(tau, weights, counts)


def _curve(
    tau: NDArray[np.float64], weights: NDArray[np.int64], counts: NDArray[np.float64]
) -> pd.DataFrame:
    active, abs_sum = np.tensordot(weights, counts, 1)
    active = np.rint(active).astype(np.int64)
    return thermodynamic_curve(tau[1:], active[1:], abs_sum[1:], active[0], abs_sum[0])


def _counts(blocks: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Thresholds, and counts and sums as an array of shape (B, 2, K)."""
    for name in ("tau", "block", "active", "abs_sum"):
        column(blocks, name)
    tables = [
        blocks.pivot(index="block", columns="tau", values=name) for name in ("active", "abs_sum")
    ]
    counts = np.stack([table.to_numpy(dtype=np.float64) for table in tables], axis=1)
    tau = tables[0].columns.to_numpy(dtype=np.float64)
    if counts.shape[0] < 2:
        raise ThermoError("blocks: two or more are needed")
    if tau.size < 2 or tau[0] != 0 or not np.all(np.isfinite(counts)):
        raise ThermoError("blocks: each needs its total, at tau = 0, and a row at every threshold")
    return tau, counts


def over_seeds(
    thresholds: Sequence[Threshold | None], *, octaves: float = OCTAVES
) -> Threshold | None:
    """Critical threshold on which runs of several seeds agree.

    Parameters
    ----------
    thresholds : sequence of Threshold or None
        Of two seeds or more, see :func:`thermo_utils.critical_threshold`.
    octaves : float, default 0.5
        How far apart the lowest and the highest may lie.

    Returns
    -------
    Threshold or None
        The middle one, with an interval from the lowest `low` to the highest `high` of all. None,
        no reliable feature, if a seed has none, or if they differ in kind or lie farther apart.

    Raises
    ------
    ThermoError
        If there are fewer than two.

    Examples
    --------
    >>> found = [Threshold(t, t / 2, "peak", 0.1, "", t - 0.1, t + 0.1) for t in (0.4, 0.5, 0.45)]
    >>> over_seeds(found)[:2], over_seeds(found)[5:]
    ((0.45, 0.225), (0.30000000000000004, 0.6))
    >>> over_seeds([*found, None]) is None
    True
    """
    if len(thresholds) < 2:
        raise ThermoError("one seed cannot tell what is reliable: run two or more")
    found = sorted(t for t in thresholds if t is not None)
    if len(found) < len(thresholds) or len({t.kind for t in found}) > 1:
        return None
    # Rounding: thresholds exactly so far apart agree.
    if found[-1].tau > found[0].tau * 2**octaves * (1 + 1e-9):
        return None
    middle = found[(len(found) - 1) // 2]
    return middle._replace(
        rule=f"on which {len(found)} seeds agree: {found[0].tau:g} to {found[-1].tau:g}",
        low=min(t.low for t in found),
        high=max(t.high for t in found),
    )
