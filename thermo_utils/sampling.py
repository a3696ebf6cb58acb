"""The renormalized free energy from a small part of the data.

The curve of Section 3.7 of "Modeling Pruning as a Phase Transition" (CMC 2026, 86(3), 99) depends
on ratios of sums over the test set, so a proportional sample gives a consistent estimate of it.
:func:`sampled_renormalized` reads examples in rounds until the critical threshold of the whole test
set is known to within a given number of grid steps.

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
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from torch import nn
from torch.utils.data import Dataset, Subset, default_collate
from tqdm import tqdm

from thermo_utils.data import Examples
from thermo_utils.errors import ThermoError
from thermo_utils.evaluation import _evaluating
from thermo_utils.feeding import call, split
from thermo_utils.hooks import ActivationHooks, LayerSpec
from thermo_utils.spectrum import ActivationSpectrum, check_taus
from thermo_utils.thermodynamics import density, free_energy, internal_energy
from thermo_utils.transitions import Threshold, critical_threshold, find_transitions

__all__ = ["sampled_renormalized"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Groups whose counts are kept, at any time.
GROUPS = 16
#: The first round has at least this many examples, if the sample may be as large.
FIRST = 400
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


def sampled_renormalized(
    model: nn.Module,
    dataset: Dataset[Any] | Sequence[Any],
    layers: LayerSpec,
    taus: ArrayLike,
    *,
    confidence: float = 0.95,
    tolerance: int = 1,
    max_share: float = 0.1,
    batch_size: int = 128,
    seed: int = 0,
    labels: ArrayLike | None = None,
    collate: Callable[[list[Any]], Any] = default_collate,
    inclusive: bool = True,
    count_zeros: bool = False,
    progress: bool = True,
) -> pd.DataFrame:
    """Renormalized free energy and critical threshold from as few examples as it takes.

    Parameters
    ----------
    model : Module
        As for :func:`thermo_utils.renormalized`.
    dataset : Dataset or sequence
        The whole test set, with ``len`` and indexing; not batches of it. Items are
        ``(inputs, target)`` pairs or mappings with ``labels``. Only the items drawn are read.
    layers : str, type or iterable of these
        Outputs to prune, see :func:`thermo_utils.resolve_layers`.
    taus : array_like, shape (K,)
        Thresholds, positive and strictly increasing, in units of the activations.
    confidence : float, default 0.95
        Stop reading when the threshold is known to within `tolerance` with this probability. More
        than 0.995 or so is never claimed for a sample.
    tolerance : int, default 1
        Grid steps of `taus` by which the critical threshold may differ from that of the whole set
        on the same grid. On a grid finer than the noise of the whole set, which moves the highest
        point of a flat peak by several steps, ask for as many.
    max_share : float, default 0.1
        Read at most this share of the examples.
    batch_size : int, default 128
        Examples per call of the model, at most.
    seed : int, default 0
        Seed of the draw. The same seed draws the same examples in the same batches.
    labels : array_like of int, shape (examples,), optional
        Classes to stratify by. By default those the data set holds ready under ``targets`` or
        ``labels``, in the last of its ``tensors`` or in a column of that name; items of a list are
        looked at. Without any, the draw is plain: looking for labels would mean to read
        everything.
    collate : callable, optional
        Makes a batch of a list of items, as for :class:`torch.utils.data.DataLoader`; to pad texts
        of different length, for example. Data sets of this package make batches themselves.
    inclusive, count_zeros : bool
        As for :func:`thermo_utils.renormalized`.
    progress : bool, default True
        Show a progress bar; it ends early when the curve has converged.

    Returns
    -------
    DataFrame, K rows
        The columns of :func:`thermo_utils.thermodynamic_curve`, with the counts of the sample, and
        ``free_energy_error``: the standard error of F against the whole set's. ``attrs`` holds
        ``tau`` (a :class:`~thermo_utils.Threshold`, or None where no feature shows), ``interval``
        (its bounds), ``confidence`` (reached), ``converged`` (whether that is what was asked for),
        ``examples`` (read), ``share``, ``classes`` (stratified by; 0: none), ``rounds`` (a list of
        dicts), ``total`` (N), ``total_abs_sum`` (Sigma_0), both of the sample, and ``seconds``.

    Raises
    ------
    ThermoError
        If an option is out of range, `dataset` has no length or no index, `labels` do not fit, and
        as :func:`thermo_utils.renormalized`.

    Notes
    -----
    A sample that may not grow until it has converged is no error: ``converged`` is False then and
    ``confidence`` says what was reached. It stays low, whatever the sample, where the whole set's
    curve decides narrowly for one feature and against another.

    ``attrs["tau"]`` need not be the highest point of the returned curve: a parabola through the
    plateau around it is the better estimate of the whole set's.

    A feature too small to stand out of the noise of the sample, but not out of that of the whole
    set, cannot be seen here. That a curve has no feature is only confirmed where it has none even
    when judged as if it were the whole set's.

    Whoever reads everything (``max_share=1``) gets the curve, and the threshold, of
    :func:`thermo_utils.renormalized`.

    Examples
    --------
    >>> import torch
    >>> from torch.utils.data import TensorDataset
    >>> _ = torch.manual_seed(0)
    >>> net = nn.Sequential(nn.Linear(8, 512), nn.Tanh(), nn.Linear(512, 4))
    >>> data = TensorDataset(torch.randn(20_000, 8), torch.arange(20_000) % 4)
    >>> curve = sampled_renormalized(net, data, nn.Tanh, np.arange(1, 20) / 20, progress=False)
    >>> curve.attrs["converged"], curve.attrs["share"] <= 0.1
    (True, True)
    """
    grid = check_taus(taus)
    size = _size(dataset)
    most = _check(size, confidence, tolerance, max_share, batch_size, seed)
    classes = class_labels(dataset) if labels is None else _fitting(labels, size)
    order = stratified_order(size, classes, seed)
    spectrum = ActivationSpectrum(grid, inclusive=inclusive, count_zeros=count_zeros)
    groups = np.zeros((0, 2, grid.size + 1))
    rounds: list[dict[str, Any]] = []
    started = time.perf_counter()
    with (
        tqdm(total=most, desc="sampled", unit="example", disable=not progress) as bar,
        _evaluating(model),
        ActivationHooks(model, layers, lambda _, tensor: spectrum.update(tensor)),
    ):
        read = 0
        for upto in round_ends(most):
            if rounds:  # a round doubles the sample; in pairs, old groups are as large as new ones
                groups = groups[::2] + groups[1::2]
            parts = min(GROUPS // 2 if rounds else GROUPS, upto - read)
            for index in np.array_split(order[read:upto], parts):
                for at in range(0, index.size, batch_size):
                    batch = _batch(dataset, index[at : at + batch_size].tolist(), collate)
                    call(model, split(batch)[0])
                # Counts are exact; of sums, rounding may leave less than nothing.
                seen = np.maximum(_sums(spectrum) - groups.sum(axis=0), 0)
                groups = np.concatenate([groups, seen[None]])
                bar.update(index.size)
            read = upto
            verdict = judge(
                grid,
                groups,
                read / size,
                tolerance=tolerance,
                confidence=confidence,
                seed=(seed, 1 + len(rounds)),
            )
            rounds.append({"examples": read, **_facts(verdict)})
            if verdict.confidence >= confidence:
                break
    curve = spectrum.compute()
    curve["free_energy_error"] = np.sqrt(
        (1 - read / size) * (deviations(grid, groups) ** 2).sum(axis=0)
    )
    curve.attrs = {
        "tau": verdict.tau,
        "interval": (verdict.low, verdict.high),
        "confidence": verdict.confidence,
        "converged": bool(verdict.confidence >= confidence),
        "examples": read,
        "share": read / size,
        "classes": 0 if classes is None else int(np.unique(classes).size),
        "rounds": rounds,
        "total": spectrum.total,
        "total_abs_sum": spectrum.total_abs_sum,
        "seconds": time.perf_counter() - started,
    }
    return curve


def stratified_order(size: int, classes: Ints | None, seed: int) -> Ints:
    """A random order of examples of which every stretch holds the classes in proportion.

    Parameters
    ----------
    size : int
        Number of examples.
    classes : ndarray of int64, shape (size,), optional
        Class numbers; without them the order is plainly random.
    seed : int
        Seed of the order.

    Returns
    -------
    ndarray of int64, shape (size,)
        A permutation. Any ``n`` entries in a row hold each class as often as its share of ``n``
        says, to within one or two.

    Notes
    -----
    Systematic sampling: the members of a class, in random order, are spread evenly over the unit
    interval, from a random start; sorting all of them merges the classes.

    Examples
    --------
    >>> classes = np.array([0, 0, 0, 0, 1, 1])
    >>> np.bincount(classes[stratified_order(6, classes, seed=0)[:3]])
    array([2, 1])
    """
    rng = np.random.default_rng(seed)
    if classes is None:
        return rng.permutation(size).astype(np.int64)
    place = np.empty(size)
    for members in _members(classes):
        place[rng.permutation(members)] = (np.arange(members.size) + rng.random()) / members.size
    return np.argsort(place, kind="stable").astype(np.int64)


def round_ends(most: int) -> list[int]:
    """Sizes of the sample after every round: each doubles the one before, the last is `most`.

    Parameters
    ----------
    most : int
        Examples that may be read.

    Returns
    -------
    list of int
        The first is at least `FIRST`, or `most`.

    Examples
    --------
    >>> round_ends(1000), round_ends(614)
    ([500, 1000], [614])
    """
    ends = [most]
    while ends[0] // 2 >= FIRST:
        ends.insert(0, ends[0] // 2)
    return ends


def class_labels(dataset: Any) -> Ints | None:
    """Classes of a data set's examples, if it tells them without reading its items.

    Parameters
    ----------
    dataset : Dataset or sequence
        With ``targets``, ``labels``, ``tensors`` or columns ``labels`` or ``label``; a subset of
        such a data set; or a list or tuple of items.

    Returns
    -------
    ndarray of int64, shape (examples,), or None
        None without labels, or with labels that are no whole numbers, one per example.

    Examples
    --------
    >>> class_labels([("text", 1), ("another", 0)])
    array([1, 0])
    >>> import torch
    >>> class_labels(Subset(Examples(torch.zeros(3), torch.tensor([2, 1, 0])), [0, 2]))
    array([2, 0])
    """
    if isinstance(dataset, Subset):
        inner = class_labels(dataset.dataset)
        return None if inner is None else inner[np.asarray(dataset.indices, dtype=np.int64)]
    found: Any = None
    if isinstance(dataset, list | tuple):
        found = [split(item)[1] for item in dataset]
    elif isinstance(getattr(dataset, "tensors", None), tuple):
        found = dataset.tensors[-1] if len(dataset.tensors) > 1 else None
    else:
        columns = getattr(dataset, "column_names", None)
        for name in ("targets", "labels", "label"):
            if isinstance(columns, list) and name in columns:
                found = dataset[name]
            elif not callable(getattr(dataset, name, None)):
                found = getattr(dataset, name, None)
            if found is not None:
                break
    if found is None:
        return None
    try:
        return _fitting(found, len(dataset))
    except ThermoError:
        return None


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


def _sums(spectrum: ActivationSpectrum) -> Floats:
    """All counts and sums of a spectrum, shape (2, K + 1)."""
    return np.array(
        [
            [*spectrum.active, spectrum.total],
            [*spectrum.abs_sum, spectrum.total_abs_sum],
        ],
        dtype=np.float64,
    )


def _facts(verdict: Verdict) -> dict[str, float | None]:
    tau = verdict.tau.tau if verdict.tau else None
    return {
        "tau": tau,
        "low": verdict.low,
        "high": verdict.high,
        "confidence": verdict.confidence,
    }


def _members(classes: Ints) -> Iterator[Ints]:
    """Examples of every class, classes in order of their number."""
    order = np.argsort(classes, kind="stable")
    starts = np.flatnonzero(np.diff(classes[order])) + 1
    yield from np.split(order, starts)


def _batch(dataset: Any, index: list[int], collate: Callable[[list[Any]], Any]) -> Any:
    if isinstance(dataset, Examples):
        return dataset[index]
    if hasattr(dataset, "__getitems__"):  # many at once, as DataLoader asks for them
        return collate(dataset.__getitems__(index))
    return collate([dataset[i] for i in index])


def _size(dataset: Any) -> int:
    if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")) or isinstance(
        dataset, Mapping
    ):
        raise ThermoError(
            f"a {type(dataset).__name__} cannot be sampled: pass a data set with len() and "
            "indexing, such as loader.dataset of a DataLoader, or a list of items"
        )
    size = len(dataset)
    if size == 0:
        raise ThermoError("the data set is empty: pass at least one example")
    return size


def _fitting(labels: Any, size: int) -> Ints:
    try:
        classes = np.asarray(labels)
    except (TypeError, ValueError, RuntimeError):
        classes = np.empty(0)
    if classes.shape != (size,) or not np.issubdtype(classes.dtype, np.integer):
        raise ThermoError(
            f"labels of shape {classes.shape} and type {classes.dtype} do not fit {size} examples: "
            "give one whole number each"
        )
    return classes.astype(np.int64)


def _check(
    size: int, confidence: float, tolerance: int, max_share: float, batch_size: int, seed: int
) -> int:
    """Examples that may be read."""
    if not 0 < confidence < 1:
        raise ThermoError(
            f"confidence must lie between 0 and 1, both excluded, got {confidence}: no sample is "
            "certain, read everything with renormalized instead"
        )
    if not 0 < max_share <= 1:
        raise ThermoError(
            f"max_share must be above 0 and at most 1 (a share, not percent), got {max_share}"
        )
    for name, value, least in (
        ("tolerance", tolerance, 0),
        ("batch_size", batch_size, 1),
        ("seed", seed, 0),
    ):
        if not isinstance(value, int | np.integer) or value < least:
            raise ThermoError(f"{name} must be a whole number, {least} or more, got {value!r}")
    most = math.floor(max_share * size + 1e-9)
    if most == 0:
        raise ThermoError(
            f"max_share = {max_share} of {size} examples is not even one: raise max_share"
        )
    return most
