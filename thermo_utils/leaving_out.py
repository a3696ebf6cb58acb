"""Which layer makes a feature of the free energy: what is left of it without each of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from thermo_utils.curves import Threshold
from thermo_utils.transitions import critical_threshold

__all__ = ["LEAST", "RANGE", "Effect", "effect", "first_feature"]

#: Where no grid is given, features are sought in this range of a layer's own sparsity. Below it F
#: rests on so few of the activations that chance easily makes a feature, above it few are left.
RANGE = (0.01, 0.999)
#: A feature has moved if this share of all activations lies between its two places, as much as two
#: curves may differ and still match (:func:`thermo_utils.transitions_match`).
LEAST = 0.05


class Effect(NamedTuple):
    """What leaving something out does to the first feature of a curve.

    Attributes
    ----------
    tau : float
        Where the first feature of the rest lies; nan where there is none.
    kind : str or None
        What it is.
    shift : float
        Share of all activations between the two thresholds; 1 if the feature vanishes or appears.
    name : str
        ``"vanishes"``, ``"moves"``, ``"changes"``, ``"appears"``, ``"fades"`` or ``"stays"``; see
        :class:`thermo_utils.LayerSpectra`.
    """

    tau: float
    kind: str | None
    shift: float
    name: str


def first_feature(curve: pd.DataFrame, cut: bool) -> Threshold | None:
    """The critical threshold of a curve.

    Parameters
    ----------
    curve : DataFrame
        As for :func:`thermo_utils.critical_threshold`, with ``beta``.
    cut : bool
        Whether to look only where ``beta`` lies within `RANGE`.

    Returns
    -------
    Threshold or None
    """
    return critical_threshold(curve[curve["beta"].between(*RANGE)] if cut else curve)


def effect(
    together: pd.DataFrame,
    feature: Threshold | None,
    rest: pd.DataFrame,
    *,
    share: float,
    cut: bool,
) -> Effect:
    """What it does to the first feature of a curve that a part of the activations is left out.

    Parameters
    ----------
    together : DataFrame
        The curve of all.
    feature : Threshold or None
        Its first feature.
    rest : DataFrame
        The curve of those that are left, at the same thresholds.
    share : float
        How many of all activations these are, as a share.
    cut : bool
        As for :func:`first_feature`.

    Returns
    -------
    Effect
    """
    other = first_feature(rest, cut)
    if feature is None or other is None:
        if feature is other:
            return Effect(np.nan, None, 0.0, "stays")
        if other is not None:
            return Effect(other.tau, other.kind, 1.0, "appears")
        assert feature is not None
        faded = share > 0 and _fades(together, feature, share, cut)
        return Effect(np.nan, None, *((0.0, "fades") if faded else (1.0, "vanishes")))
    shift = _shift(together, feature, other)
    if not (shift <= LEAST or _same_place(feature, other)):
        name = "moves"
    else:
        name = "stays" if other.kind == feature.kind else "changes"
    return Effect(other.tau, other.kind, shift, name)


def _fades(together: pd.DataFrame, feature: Threshold, share: float, cut: bool) -> bool:
    """Whether a feature would not stand out of the noise of a share of the activations."""
    fewer = together.assign(active=(together["active"] * share).round())
    kept = first_feature(fewer[fewer["active"] > 0], cut)
    if kept is None:
        return True
    return _shift(together, feature, kept) > LEAST and not _same_place(feature, kept)


def _shift(together: pd.DataFrame, one: Threshold, other: Threshold) -> float:
    """Share of all activations between two thresholds."""
    start, end = np.interp([one.tau, other.tau], together["tau"], together["beta"])
    return float(abs(end - start))


def _same_place(one: Threshold, other: Threshold) -> bool:
    """Whether noise does not tell two features apart, going by the interval of either."""
    return one.low <= other.tau <= one.high or other.low <= one.tau <= other.high
