"""What a sample says about the critical threshold of the whole set, and how sure it is.

How far a sample can be trusted is read off the sample. It is read in groups of equal size, each
drawn from all classes, and the counts of every group are kept: a few KB. Activations of one example
go together, examples do not, so leaving out groups shows what reading other examples would have
changed, at no pass over the data.

* **Which feature.** The curve is judged with the counts of the sample: at small thresholds it is
  noisier than that of the whole set, and the rules of :func:`thermo_utils.find_transitions` must
  know. Random halves of the groups are judged in the same way. A half differs from the sample
  as much as the sample differs from all there is, so the share of halves that show the same feature
  first tells how sure the feature is.
* **Where it is.** Around a peak or valley lies a plateau, the points that sampling cannot tell
  from the top. Which of them is highest is an accident; the vertex of a parabola through all of
  them is not. The curve of the whole set, which is judged by its highest point, is that parabola,
  as uncertain as the sample leaves it, plus the smaller noise of the whole set. Drawing such curves
  gives the distribution of their highest points.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from thermo_utils.thermodynamics import density, free_energy, internal_energy
from thermo_utils.transitions import Threshold, critical_threshold, find_transitions

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Standard errors to which the plateau around an extremum reaches down: the first that leaves it
#: an end on both sides. An extremum that stands out by less than the last is the sample's own.
PLATEAU = (4.0, 3.0, 2.0)
#: Standard errors by which a point of a plateau may miss the parabola.
MISFIT = 3.5
#: Rounding error of F.
TINY = 1e-12
#: Curves drawn to see where the highest point of the whole set's may lie.
DRAWS = 400
#: Thresholds that halves of a sample are judged on, at most, if they show enough.
THIN = 80
#: Halves of a sample that are judged, at least and at most. More would show higher confidence.
HALVES = (10, 200)


class Verdict(NamedTuple):
    """What a sample says about the critical threshold of the whole set.

    Attributes
    ----------
    tau : Threshold or None
        The estimate; None where the sample shows no feature.
    low, high : float
        Interval that holds the whole set's threshold with the confidence asked for, if it has
        the same feature; the tolerance where no parabola describes it, ``nan`` without one.
    confidence : float
        Probability that the whole set's threshold lies within tolerance.
    """

    tau: Threshold | None
    low: float
    high: float
    confidence: float


def deviations(taus: Floats, groups: Floats) -> Floats:
    """What each group contributes to the sampling error of the free energy (jackknife).

    Parameters
    ----------
    taus : ndarray of float64, shape (K,)
    groups : ndarray of float64, shape (G, 2, K + 1)
        ``M`` and ``Sigma`` of every group at each threshold; at the end ``N`` and ``Sigma_0``.

    Returns
    -------
    ndarray of float64, shape (G, K)
        ``d`` such that ``d.T @ d`` estimates the covariance of F over draws from an endless supply
        of examples; ``nan`` where F is not defined, or not without one of the groups.

    Examples
    --------
    >>> groups = np.array([[[3, 1, 4], [3.0, 2.0, 3.5]], [[3, 2, 4], [3.0, 2.5, 3.5]]])
    >>> np.sqrt((deviations(np.array([0.5, 1.0]), groups) ** 2).sum(axis=0)).round(3)
    array([0.   , 0.235])
    """
    count = len(groups)
    without = _free_energy(taus, groups.sum(axis=0) - groups)
    with np.errstate(invalid="ignore"):
        return np.sqrt((count - 1) / count) * (without - without.mean(axis=0))


def judge(
    taus: Floats,
    groups: Floats,
    share: float,
    *,
    tolerance: int,
    confidence: float,
    seed: Sequence[int],
) -> Verdict:
    """Critical threshold of the whole set, from the groups of a sample, and how sure it is.

    Parameters
    ----------
    taus : ndarray of float64, shape (K,)
    groups : ndarray of float64, shape (G, 2, K + 1)
        As for :func:`deviations`; of equal numbers of examples.
    share : float
        Share of the whole set that the groups make up together.
    tolerance : int
        Grid steps within which the threshold shall be known.
    confidence : float
        Probability asked for; sets how many halves are judged, and the interval.
    seed : sequence of int
        Seed of the halves and draws.

    Returns
    -------
    Verdict

    Notes
    -----
    The cost is that of some 20 calls of :func:`thermo_utils.find_transitions`, less when the answer
    is clear earlier; it does not depend on the network or the data.
    """
    whole = groups.sum(axis=0)
    if not np.all(whole[:, -1] > 0):  # nothing but zeros so far
        return Verdict(None, np.nan, np.nan, 0.0)
    if share >= 1:  # nothing is left to estimate
        tau = critical_threshold(_curve(taus, whole))
        return Verdict(tau, *((tau.tau, tau.tau) if tau else (np.nan, np.nan)), 1.0)
    noise = deviations(taus, groups)
    rng = np.random.default_rng(list(seed))
    found = _first_feature(taus, whole, noise)
    if found is None:
        sure = _share_of_halves(
            groups, rng, confidence, 1.0, lambda half: _shows_nothing(taus, half, 2 / share)
        )
        return Verdict(None, np.nan, np.nan, sure)
    point, within = found.point, 1.0
    low, high = max(point - tolerance, 0), min(point + tolerance, taus.size - 1)
    if found.plateau is not None:
        points = _highest_points(_free_energy(taus, whole), noise, found, share, rng)
        point = int(points[0])
        within = float(np.mean(np.abs(points - point) <= tolerance))
        tail = (1 - confidence) / 2
        low, high = np.quantile(points, [tail, 1 - tail], method="inverted_cdf").astype(int)
    coarse = _thinned(taus, groups, noise, found, tolerance)
    sure = _share_of_halves(
        coarse.groups, rng, confidence, within, lambda half: _agrees(half, coarse)
    )
    threshold = Threshold(
        tau=float(taus[point]),
        beta=float(1 - whole[0, point] / whole[0, -1]),
        kind=found.kind,
        prominence=found.prominence,
        rule="earliest feature of a sample",
    )
    return Verdict(threshold, float(taus[low]), float(taus[high]), within * sure)


class _Found(NamedTuple):
    """The first feature of a curve, by grid point.

    It is `clear` if sampling cannot explain it. The `plateau` around an extremum is None where no
    parabola describes it.
    """

    point: int
    kind: Any
    prominence: float
    clear: bool
    plateau: slice | None


def _first_feature(taus: Floats, sums: Floats, noise: Floats) -> _Found | None:
    """The earliest feature that sampling cannot explain; if it can explain all, the earliest.

    The detector takes activations as independent. Those of one example are not, so an extremum must
    also stand out of what the groups say about the noise.
    """
    features = find_transitions(_curve(taus, sums))
    energy = _free_energy(taus, sums)
    found = [
        _Found(point, kind, prominence, *_plateau(energy, noise, point, kind))
        for point, kind, prominence in zip(
            np.searchsorted(taus, features["tau"]).tolist(),
            features["kind"].tolist(),
            features["prominence"].tolist(),
            strict=True,
        )
    ]
    return next(iter([f for f in found if f.clear] or found), None)


def _plateau(energy: Floats, noise: Floats, point: int, kind: str) -> tuple[bool, slice | None]:
    """Whether an extremum stands out, and the points around it that sampling cannot tell from it.

    They are those of the widest plateau on which the curve is a parabola but for the noise.
    """
    if kind not in ("peak", "valley"):
        return True, None
    below = (energy[point] - energy) * (1 if kind == "peak" else -1)
    with np.errstate(invalid="ignore"):
        error = np.sqrt(((noise - noise[:, [point]]) ** 2).sum(axis=0))
    known = np.isfinite(below) & np.isfinite(error)
    clear = False
    for factor in PLATEAU:
        outside = np.flatnonzero(known & (below > factor * error))
        left, right = outside[outside < point], outside[outside > point]
        if left.size and right.size:
            clear = True
            here = slice(int(left[-1]) + 1, int(right[0]))
            rest = np.eye(here.stop - here.start) - _parabolas(here)
            spread = np.sqrt(((noise[:, here] @ rest) ** 2).sum(axis=0))
            if np.all(np.abs(energy[here] @ rest) <= MISFIT * spread + TINY):
                return True, here
    return clear, None


def _parabolas(here: slice) -> Floats:
    """Orthogonal projection of values on a stretch of the grid onto parabolas."""
    at = np.arange(here.start, here.stop)
    powers = (at - at.mean())[:, None] ** np.arange(min(3, at.size))  # few points: fitted exactly
    basis = np.linalg.qr(powers)[0]
    return basis @ basis.T


def _highest_points(
    energy: Floats, noise: Floats, found: _Found, share: float, rng: np.random.Generator
) -> Ints:
    """Extrema that the whole set's curve may have on a plateau; the most likely one comes first."""
    assert found.plateau is not None
    sign = 1.0 if found.kind == "peak" else -1.0
    curve, noise = sign * energy[found.plateau], noise[:, found.plateau]
    fit = _parabolas(found.plateau)
    smooth = curve @ fit

    def deviates() -> Floats:
        degrees = len(noise) - 1  # the groups are few: deviates of Student's distribution
        scale = np.sqrt(degrees / rng.chisquare(degrees, (DRAWS, 1)))
        return (rng.standard_normal((DRAWS, len(noise))) * scale) @ noise

    # Against the whole set, the sample errs by the part not read; the rest is the whole set's own.
    drawn = smooth + np.sqrt(1 - share) * deviates() @ fit
    drawn += np.sqrt(share) * deviates()
    return found.plateau.start + np.concatenate([[smooth.argmax()], drawn.argmax(axis=1)])


def _share_of_halves(
    groups: Floats,
    rng: np.random.Generator,
    confidence: float,
    factor: float,
    agrees: Callable[[Floats], bool],
) -> float:
    """Share of random halves of the groups that agree, as estimated from as few as decide.

    That is as many as can show the confidence if all agree (Jeffreys' prior takes half a half off),
    or until too many did not for `factor` times the share to reach it.
    """
    if len(groups) < 4:  # no halves to speak of
        return 0.0
    least, most = HALVES
    most = min(max(least, math.ceil(1 / (1 - confidence))), most)
    agreed = judged = 0
    while judged < most:
        half = groups[rng.permutation(len(groups))[: len(groups) // 2]].sum(axis=0)
        agreed += bool(np.all(half[:, -1] > 0)) and agrees(half)
        judged += 1
        reachable = factor * (most - judged + agreed + 0.5) / (most + 1)
        if reachable < confidence and judged >= least // 2:
            break
    return (agreed + 0.5) / (judged + 1)


class _Sample(NamedTuple):
    """Groups on a grid, the noise they show, and the first feature of all of them.

    Features of this kind from `start` to before `stop` are taken for the same.
    """

    taus: Floats
    groups: Floats
    noise: Floats
    kind: str
    start: int
    stop: int


def _thinned(taus: Floats, groups: Floats, noise: Floats, found: _Found, tolerance: int) -> _Sample:
    """A sample on as few thresholds as show the same feature first.

    The detector takes time in proportion to the grid, and it is called for every half. Whether
    there is a feature can be seen on every few points. Where an extremum is, is known already; any
    other feature must be located to within the tolerance.
    """
    apart = -(-taus.size // THIN)
    if apart > 1 and (found.plateau is not None or apart <= tolerance):
        kept = np.arange(apart - 1, taus.size, apart)
        counts = groups[..., np.append(kept, taus.size)]
        first = _first_feature(taus[kept], counts.sum(axis=0), noise[:, kept])
        known = (found.plateau is None) == (first is None or first.plateau is None)
        if first is not None and first.kind == found.kind and known:
            near = _same(first, tolerance // apart)
            if kept[first.point] in _same(found, tolerance):
                return _Sample(
                    taus[kept], counts, noise[:, kept], found.kind, near.start, near.stop
                )
    near = _same(found, tolerance)
    return _Sample(taus, groups, noise, found.kind, near.start, near.stop)


def _same(found: _Found, tolerance: int) -> range:
    """Grid points at which a feature of the same kind is taken for the same."""
    if found.plateau is not None:
        return range(found.plateau.start, found.plateau.stop)
    return range(found.point - tolerance, found.point + tolerance + 1)


def _agrees(half: Floats, sample: _Sample) -> bool:
    """Whether half of a sample shows the same feature first as the sample does."""
    taus, noise = sample.taus, sample.noise

    def same(point: int, kind: str) -> bool:
        return kind == sample.kind and sample.start <= point < sample.stop

    first = _first_feature(taus, half, np.sqrt(2) * noise)
    if first is not None and (first.point < sample.start or same(first.point, first.kind)):
        return same(first.point, first.kind)
    # Half of the counts may be too few to show what all of them do: that is no disagreement.
    rest = find_transitions(_curve(taus, half), counting_factor=0.0)
    points = np.searchsorted(taus, rest["tau"])
    return any(same(int(p), k) for p, k in zip(points, rest["kind"], strict=True))


def _shows_nothing(taus: Floats, half: Floats, factor: float) -> bool:
    """Whether part of a sample has no feature when judged with the counts of the whole set."""
    return find_transitions(_curve(taus, half * factor)).empty


def _curve(taus: Floats, sums: Floats) -> pd.DataFrame:
    """The columns that :func:`find_transitions` looks at."""
    active = np.round(sums[0, :-1])
    energy = _free_energy(taus, sums)
    beta = 1 - density(sums[0, :-1], sums[0, -1])
    return pd.DataFrame({"tau": taus, "beta": beta, "active": active, "free_energy": energy})


def _free_energy(taus: Floats, sums: Floats) -> Floats:
    """F of counts and sums of shape (..., 2, K + 1)."""
    active, mass = sums[..., 0, :], sums[..., 1, :]
    energy = internal_energy(mass[..., :-1], mass[..., -1:])
    return free_energy(taus, density(active[..., :-1], active[..., -1:]), energy)
