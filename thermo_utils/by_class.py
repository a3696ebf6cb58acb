"""What pruning costs each class, and which classes lose more than chance explains.

::

    curve = full_evaluation(model, batches, layers, taus, per_class=True)
    costs = cost_by_class(curve, names=["cat", "dog", ...])
    costs.curves      # long: class, tau, beta, accuracy, drop, with those of the mean
    costs.table       # a row per class: its threshold, its interval, and whether it is early
    costs.early       # the classes that give way before the mean, beyond chance
    costs.worst(0.2)  # the class that loses most at a threshold
    costs.summary()   # all that in a sentence or two

The mean is that of all examples, as everywhere: the accuracy of the curve.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from thermo_utils.accuracy import MAX_DROP, ROUNDING, accuracy_threshold
from thermo_utils.chance import holm
from thermo_utils.class_counts import ClassCounts
from thermo_utils.curves import Threshold, column
from thermo_utils.errors import ThermoError

__all__ = ["ClassCosts", "WorstClass", "cost_by_class"]


class WorstClass(NamedTuple):
    """The class that loses most at a threshold.

    Attributes
    ----------
    name : str
        The class.
    tau : float
        The threshold.
    drop : float
        How far its accuracy lies below that of the unpruned network.
    low, high : float
        What its drop may be, given how few examples it has.
    mean_drop : float
        The drop of the accuracy of all examples.
    examples : int
        Of the class.
    p : float
        How probable so much more than its share is for one of the classes if the examples that are
        lost have nothing to do with their classes; ``nan`` where that is not known.
    """

    name: str
    tau: float
    drop: float
    low: float
    high: float
    mean_drop: float
    examples: int
    p: float


@dataclass(frozen=True, eq=False, repr=False)
class ClassCosts:
    """The result of :func:`cost_by_class`.

    Attributes
    ----------
    table : DataFrame
        A row per class that has examples, in the order in which they give way:

        * ``class``: its name; ``examples``; ``accuracy``: that of the unpruned network;
        * ``tau``, ``beta``: the last threshold up to which its accuracy is within `max_drop` of
          that, as :func:`thermo_utils.accuracy_threshold` has it, and the sparsity of the network
          there; missing where it never leaves the plateau;
        * ``low``, ``high``: thresholds that its examples do not tell from it: up to `low` its drop
          is within bounds for certain, up to `high` not out of bounds for certain;
        * ``drop``, ``mean_drop``: its drop at the first threshold at which the mean is out of
          bounds, or the last of the curve, and that of all examples;
        * ``p``: probability that one of the classes loses so much more than its share somewhere up
          to there, if the examples that are lost have nothing to do with their classes; missing
          where it is not known which examples were lost;
        * ``early``: whether it gives way before the mean, with `p` of `alpha` at the most.
    curves : DataFrame
        A row per class and threshold: ``class``, ``tau``, ``beta``, ``examples``, ``accuracy``,
        ``drop``, ``low`` and ``high`` (of the drop), ``mean_accuracy``, ``mean_drop``.
    mean : Threshold or None
        That of the accuracy of all examples.
    max_drop, alpha : float
        As given.
    """

    table: pd.DataFrame
    curves: pd.DataFrame
    mean: Threshold | None
    max_drop: float
    alpha: float

    def __repr__(self) -> str:
        return f"ClassCosts({len(self.table)} classes): {self.summary()}"

    @property
    def early(self) -> list[str]:
        """Classes that give way before the mean, beyond chance, the earliest first."""
        return self.table.loc[self.table["early"], "class"].tolist()

    def worst(self, tau: float) -> WorstClass:
        """The class that loses most at a threshold.

        Parameters
        ----------
        tau : float
            One of the thresholds of the curve.

        Returns
        -------
        WorstClass

        Raises
        ------
        ThermoError
            If `tau` is not among them, or pruning makes NaN there.
        """
        taus = self.curves["tau"].unique()
        near = float(taus[np.argmin(np.abs(taus - tau))])
        if not np.isclose(near, tau, rtol=1e-9, atol=0):
            raise ThermoError(f"tau = {tau:g} is not on the curve: the nearest is {near:g}")
        here = self.curves[self.curves["tau"] == near].reset_index(drop=True)
        if here["drop"].isna().all():
            raise ThermoError(f"at tau = {near:g} pruning makes NaN: no class is right")
        place = int(np.nanargmax(here["drop"]))
        row = here.iloc[place]
        p = holm(here["p"].to_numpy(np.float64))[place]
        return WorstClass(
            name=str(row["class"]),
            tau=near,
            drop=float(row["drop"]),
            low=float(row["low"]),
            high=float(row["high"]),
            mean_drop=float(row["mean_drop"]),
            examples=int(row["examples"]),
            p=float(p),
        )

    def summary(self) -> str:
        """Which classes give way first, and whether that can be told from chance.

        Returns
        -------
        str
        """
        gone = self.table[self.table["tau"].notna()]
        if self.mean is None:
            text = "Accuracy stays on its plateau on this grid"
        else:
            text = f"Accuracy leaves its plateau at {_place(self.mean.tau, self.mean.beta)}"
        if gone.empty:
            return f"{text}, and so does that of every class."
        early = self.table[self.table["early"]]
        beyond = self.table[self.table["p"] <= self.alpha]
        first = gone.iloc[0]
        if len(early):
            how = "leave their own all the same" if self.mean is None else "give way before it"
            return (
                f"{text}; {len(early)} of {len(self.table)} classes {how}, beyond what chance "
                f"explains: {_listed(early)}."
            )
        if self.table["p"].isna().all():
            return (
                f"{text}; it is not known which examples were lost, so classes cannot be told from "
                "chance: give the data in the same order in every pass."
            )
        if len(beyond):
            return (
                f"{text}; no class gives way before it on this grid, but {len(beyond)} of "
                f"{len(self.table)} lose more by then than chance explains: {_listed(beyond)}."
            )
        return (
            f"{text}; the first class to leave its own is {first['class']} at "
            f"{_place(first['tau'], first['beta'])}, which cannot be told from chance: if classes "
            f"did not matter, one of {len(self.table)} would lose as much with probability "
            f"{first['p']:.2g} or more."
        )


def cost_by_class(
    curve: pd.DataFrame,
    names: Sequence[str] | None = None,
    *,
    max_drop: float = MAX_DROP,
    alpha: float = 0.05,
) -> ClassCosts:
    r"""Accuracy of every class over the threshold, and the classes that give way first.

    Parameters
    ----------
    curve : DataFrame
        Of :func:`thermo_utils.full_evaluation` with ``per_class=True``.
    names : sequence of str, optional
        Names of the classes, in the order of their numbers, which they have by default.
    max_drop : float, default `MAX_DROP`, 0.01
        The accuracy of a class may lie this far (absolute) below that of the unpruned network.
    alpha : float, default 0.05
        Probability with which one or more classes may be called early by chance; intervals hold
        with one minus this each.

    Returns
    -------
    ClassCosts

    Raises
    ------
    ThermoError
        If the curve does not count by class, or holds nothing but thresholds at which pruning
        makes NaN, there are not as many names as classes or two are the
        same, or `alpha` is not between 0 and 1.

    Notes
    -----
    A class with few examples is out of bounds sooner by chance: with 50, a single one is 2 %. So
    classes are held against the case in which they do not matter. Of the examples that the unpruned
    network gets right, pruning loses a certain number, and gains some of the others; if the classes
    are exchangeable, those of one class are drawn from both without replacement, and what it loses
    on balance is the difference of two hypergeometric variables. The probability that it is as
    large as it is, or larger, is taken at every threshold up to the first at which the mean is out
    of bounds, the least of these multiplied by their number, and that corrected by Holm's method
    for the number of classes. Intervals of a drop are exact ones (Clopper-Pearson) for the examples
    lost and gained together; where these are not known, for those that are right before and after.

    Examples
    --------
    >>> curve = pd.DataFrame({"tau": [1.0, 2.0], "accuracy": [0.992, 0.5]})
    >>> curve.attrs = {"baseline_accuracy": 1.0, "per_class": {
    ...     "examples": [900, 100], "unpruned": [900, 100],
    ...     "hits": [[900, 92], [450, 50]], "lost": [[0, 8], [450, 50]]}}
    >>> costs = cost_by_class(curve, ["cat", "dog"])
    >>> costs.table[["class", "tau", "early"]]
      class  tau  early
    0   dog  0.0   True
    1   cat  1.0  False
    """
    if not 0 < alpha < 1:
        raise ThermoError(f"alpha must be between 0 and 1 (a share, not percent), got {alpha}")
    counts = ClassCounts.of(curve)
    labels = _labels(names, counts)
    tau, accuracy = column(curve, "tau"), column(curve, "accuracy")
    beta = column(curve, "beta") if "beta" in curve else np.full(tau.shape, np.nan)
    shares, mean_drop = counts.hits / counts.examples, curve.attrs["baseline_accuracy"] - accuracy
    drops, chances = counts.shares - shares, counts.chances()
    low, high = counts.intervals(alpha)

    out = np.flatnonzero(~(mean_drop <= max_drop + ROUNDING))
    end = int(out[0]) + 1 if out.size else tau.size
    tested = np.flatnonzero(np.isfinite(mean_drop[:end]))  # pruning may make NaN at the last
    if not tested.size:
        raise ThermoError("pruning makes NaN from the first threshold on: begin with smaller ones")
    mean = accuracy_threshold(curve, max_drop)
    p = holm(np.minimum(chances[tested].min(axis=0) * tested.size, 1.0))
    found = [
        accuracy_threshold(
            pd.DataFrame({"tau": tau, "beta": beta, "accuracy": own}), max_drop, baseline=share
        )
        for own, share in zip(shares.T, counts.shares.tolist(), strict=True)
    ]
    taus = np.array([np.nan if place is None else place.tau for place in found])
    table = pd.DataFrame(
        {
            "class": labels,
            "examples": counts.examples,
            "accuracy": counts.shares,
            "tau": taus,
            "beta": [np.nan if place is None else place.beta for place in found],
            "low": _last_within(tau, high, max_drop),
            "high": _last_within(tau, low, max_drop),
            "drop": drops[tested[-1]],
            "mean_drop": mean_drop[tested[-1]],
            "p": p,
            "early": (p <= alpha) & (taus < (np.inf if mean is None else mean.tau)),
        }
    ).sort_values(["tau", "drop"], ascending=[True, False], kind="stable")
    curves = pd.DataFrame(
        {
            "class": np.repeat(labels, tau.size),
            "tau": np.tile(tau, len(labels)),
            "beta": np.tile(beta, len(labels)),
            "examples": np.repeat(counts.examples, tau.size),
            "accuracy": shares.T.ravel(),
            "drop": drops.T.ravel(),
            "low": low.T.ravel(),
            "high": high.T.ravel(),
            "p": chances.T.ravel(),
            "mean_accuracy": np.tile(accuracy, len(labels)),
            "mean_drop": np.tile(mean_drop, len(labels)),
        }
    )
    return ClassCosts(table.reset_index(drop=True), curves, mean, max_drop, alpha)


def _labels(names: Sequence[str] | None, counts: ClassCounts) -> list[str]:
    """Names of the classes that have examples."""
    every = [str(n) for n in (range(counts.classes) if names is None else names)]
    if len(every) != counts.classes or len(set(every)) != counts.classes:
        raise ThermoError(
            f"names must be {counts.classes} different ones, one for each class, got {len(every)}"
        )
    return [every[number] for number in counts.numbers]


def _last_within(tau: NDArray, bounds: NDArray, max_drop: float) -> NDArray[np.float64]:
    """The last threshold up to which bounds of the drop, shape (K, C), are small; inf if all."""
    outside = ~(bounds <= max_drop + ROUNDING)
    first = np.where(outside.any(axis=0), outside.argmax(axis=0), tau.size)
    return np.concatenate([[0.0], tau[:-1], [np.inf]])[first]


def _listed(rows: pd.DataFrame) -> str:
    """Some classes and where each of them gives way."""
    names = [f"{row['class']} at {_place(row['tau'], np.nan)}" for _, row in rows[:5].iterrows()]
    return ", ".join(names) + (f" and {len(rows) - 5} more" if len(rows) > 5 else "")


def _place(tau: float, beta: float) -> str:
    return f"tau {tau:.3g}" + (f" (beta {beta:.3g})" if np.isfinite(beta) else "")
