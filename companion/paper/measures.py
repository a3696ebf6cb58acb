"""What the claims ledger reads off a result record: one number or word each.

:data:`MEASURES` is the only list of the measures, which ``claims.csv`` uses by name; the ones about
thresholds are made for each way of finding one: ``tau full``, ``beta accuracy``. Each says what of
a run it depends on, so that it is known which differences from the paper's set-up matter to it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from companion.paper.observed import Curve, Floats, Mark, Observed
from companion.paper.rules import Value
from companion.paper.smoothness import exponent, sharpness
from companion.runs.methods import METHODS
from thermo_utils.errors import unknown
from thermo_utils.transitions import MAX_BETA

__all__ = ["MEASURES", "READS", "Measure", "measure"]

#: What a measure may depend on.
READS: Final[Mapping[str, str]] = {
    "accuracy": "how accurate the network is",
    "place": "at which threshold the accuracy gives way",
    "energy": "the free energy and its features",
    "time": "times",
}
EXTREMA = ("peak", "valley")
#: Shares of the plateau between which accuracy is said to fall.
FALL_FROM, FALL_TO = 0.95, 0.70
#: With fewer thresholds in common, two curves are not compared.
LEAST_SHARED = 3
#: Largest difference of the sparsities of two features that match.
MATCH = 0.05
#: "Right after" a threshold is up to this multiple of it.
AFTER = 2.0
#: Rounding of thresholds.
TINY = 1e-9


def measure(name: str, of: Observed) -> Value:
    """One measure of a record.

    Parameters
    ----------
    name : str
        A key of `MEASURES`.
    of : Observed
        What is read of the record.

    Returns
    -------
    float, str or None
        None where there is nothing to measure, such as the place of a feature that is not there;
        infinite where something is not reached on the grid, such as the end of a fall.

    Raises
    ------
    ThermoError
        If there is no such measure.
    """
    if name not in MEASURES:
        raise unknown("measure", name, MEASURES)
    value = MEASURES[name].read(of)
    return None if isinstance(value, float) and math.isnan(value) else value


_Finder = Callable[[Observed], Mark | None]


def _found(method: str, of: Observed) -> Mark | None:
    return of.marks[method]


_first: _Finder = partial(_found, "full")


def _at_drop(of: Observed) -> Mark | None:
    """The feature nearest to where the accuracy gives way."""
    drop = of.marks["accuracy"]
    if drop is None:
        return None
    return min(of.features, key=lambda mark: abs(mark.beta - drop.beta), default=None)


def _later_peak(of: Observed) -> Mark | None:
    """The first peak that follows a valley."""
    left = _after_valley(of)
    return next((mark for mark in left if mark.kind == "peak"), None)


def _after_valley(of: Observed) -> Iterator[Mark]:
    """The features beyond the first valley; none where there is no valley."""
    left = iter(of.features)
    next((mark for mark in left if mark.kind == "valley"), None)
    return left


def _valley(of: Observed) -> Mark | None:
    return next((mark for mark in of.features if mark.kind == "valley"), None)


def _field(symbol: str, find: _Finder, of: Observed) -> Value:
    mark = find(of)
    value: Any = None if mark is None else getattr(mark, symbol)
    return value


def _yes(condition: object) -> str:
    return "yes" if condition else "no"


def _extremum(find: _Finder, of: Observed) -> Value:
    return _yes(_field("kind", find, of) in EXTREMA)


def _sign_change(find: _Finder, of: Observed) -> Value:
    """Whether dF/dtau changes its sign within one step of a threshold."""
    mark = find(of)
    if mark is None:
        return "no"
    slope = of.full.slope[np.abs(of.full.tau - mark.tau) <= 1.001 * of.step]
    slope = slope[np.isfinite(slope)]
    return _yes(slope.size and slope.min() <= 0 <= slope.max())


def _kinds(of: Observed) -> Value:
    return ", ".join(mark.kind for mark in of.features) or None


def _valley_then_peak(of: Observed) -> Value:
    return _yes(_later_peak(of) is not None)


def _match(of: Observed) -> Value:
    gap = _gap(_first, partial(_found, "renormalized"), of)
    return _yes(isinstance(gap, float) and gap <= MATCH + TINY)


def _lag(of: Observed) -> Value:
    """Steps from the accuracy's threshold to the FE threshold; the grid's end if it never falls."""
    feature, drop = of.marks["full"], of.marks["accuracy"]
    if feature is None:
        return None
    fallen = float(of.full.tau[-1]) if drop is None else drop.tau
    return round((feature.tau - fallen) / of.step, 6)


def _rfe_lag(of: Observed) -> Value:
    """Steps from the FE threshold to the RFE threshold."""
    fast, full = of.marks["renormalized"], of.marks["full"]
    return None if fast is None or full is None else (fast.tau - full.tau) / of.step


def _gap(first: _Finder, second: _Finder, of: Observed) -> Value:
    """Distance of two thresholds in sparsity."""
    a, b = first(of), second(of)
    return None if a is None or b is None else abs(a.beta - b.beta)


def _variation(of: Observed) -> Value:
    """Largest change of accuracy up to the FE threshold."""
    mark = of.marks["full"]
    if mark is None:
        return None
    before = of.full.accuracy[of.full.tau <= mark.tau * (1 + TINY)]
    return float(np.abs(before - of.plateau).max()) if before.size else 0.0


def _accuracy_at(of: Observed, mark: Mark) -> float:
    """Accuracy at the threshold of FE that lies nearest."""
    return float(of.full.accuracy[np.abs(of.full.tau - mark.tau).argmin()])


def _drop(of: Observed) -> Value:
    """Share of the plateau's accuracy that is lost right after the FE threshold."""
    mark = of.marks["full"]
    if mark is None:
        return None
    tau = of.full.tau
    after = (tau > mark.tau * (1 + TINY)) & (tau <= AFTER * mark.tau * (1 + TINY))
    if not after.any():
        return None
    return float((_accuracy_at(of, mark) - of.full.accuracy[after].min()) / of.plateau)


def _lost_at_feature(of: Observed) -> Value:
    """Accuracy lost at the FE threshold."""
    mark = of.marks["full"]
    return None if mark is None else of.plateau - _accuracy_at(of, mark)


def _crossing(of: Observed, share: float, place: Floats) -> float:
    """Where accuracy first falls to a share of the plateau; infinite if it never does.

    Between grid points it is taken to fall along a straight line.
    """
    accuracy = np.concatenate([[of.plateau], of.full.accuracy])
    place = np.concatenate([[0.0], place])
    level = share * of.plateau
    below = np.flatnonzero(accuracy < level)
    if below.size == 0:
        return math.inf
    i = int(below[0])
    weight = (accuracy[i - 1] - level) / (accuracy[i - 1] - accuracy[i])
    return float(place[i - 1] + weight * (place[i] - place[i - 1]))


def _fall_width(of: Observed) -> Value:
    """Sparsity over which accuracy falls; infinite where it does not fall so far on the grid."""
    end = _crossing(of, FALL_TO, of.full.beta)
    return end if math.isinf(end) else end - _crossing(of, FALL_FROM, of.full.beta)


def _half_way(of: Observed) -> Value:
    """Threshold at which accuracy is half-way between the plateau and its lowest value."""
    middle = (of.plateau + float(of.full.accuracy.min())) / 2
    place = _crossing(of, middle / of.plateau, of.full.tau)
    return None if math.isinf(place) else place


def _at_lowest(name: str, of: Observed) -> Value:
    values: Floats = getattr(of.full, name)
    return float(values[of.full.accuracy.argmin()])


def _recovered(of: Observed) -> Value:
    return float(of.full.accuracy[of.full.accuracy.argmin() :].max())


def _both(of: Observed, name: str) -> tuple[Floats, Floats]:
    """A column of FE and RFE at the thresholds they share."""
    _, here, there = np.intersect1d(of.full.tau, of.fast.tau, return_indices=True)
    pair = getattr(of.full, name)[here], getattr(of.fast, name)[there]
    dense = (of.full.beta[here] <= MAX_BETA) & (of.fast.beta[there] <= MAX_BETA)
    keep = dense & np.isfinite(pair[0]) & np.isfinite(pair[1])
    return pair[0][keep], pair[1][keep]


def _alike(name: str, of: Observed) -> Value:
    """Correlation of FE and RFE over the thresholds they share."""
    full, fast = _both(of, name)
    if full.size < LEAST_SHARED or np.ptp(full) == 0 or np.ptp(fast) == 0:
        return None
    return float(np.corrcoef(full, fast)[0, 1])


def _distance(summary: Callable[[Floats], Any], of: Observed) -> Value:
    """Distance of FE and RFE as a share of the range of FE."""
    full, fast = _both(of, "free_energy")
    if full.size < LEAST_SHARED or np.ptp(full) == 0:
        return None
    return float(summary(np.abs(full - fast)) / np.ptp(full))


def _entropy_falls(of: Observed) -> Value:
    known = of.full.entropy[np.isfinite(of.full.entropy)]
    return _yes(known.size and known[-1] < known[0])


def _dense(curve: Curve) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Thresholds and F where enough is left, and where that is."""
    keep = np.isfinite(curve.free_energy) & (curve.beta <= MAX_BETA)
    return curve.tau[keep], curve.free_energy[keep], keep


def _sharpness(of: Observed) -> Value:
    """How far F at its first feature, if that is an extremum, stands off its values beside it."""
    mark = of.marks["full"]
    if mark is None or mark.kind not in EXTREMA:
        return None
    tau, energy, _ = _dense(of.full)
    return sharpness(tau, energy, mark.tau)


def _smoothness(of: Observed) -> Value:
    """The power with which the change of slope of RFE's curve shrinks across its threshold."""
    mark = of.marks["renormalized"]
    if mark is None:
        return None
    tau, energy, keep = _dense(of.fast)
    left, total = of.fast.active[keep], of.fast.abs_sum[keep]
    # Of n removed at tau by chance more, F changes by n (1 / M tau - tau / Sigma).
    gain = 1 / (left * tau) - tau / total
    error = np.concatenate([[0.0], np.cumsum(-np.diff(left) * gain[1:] ** 2)])
    return exponent(tau, energy, np.nan_to_num(error), mark.tau)


class Measure(NamedTuple):
    """How something is read off a record.

    Attributes
    ----------
    read : callable
        From an :class:`~companion.paper.observed.Observed` to a number, a word or None.
    reads : frozenset of str
        What of a run it depends on, of `READS`; empty for what holds whatever was run.
    placed : bool
        Whether it looks at the threshold that the free energy gives, so that another threshold
        could take its place.
    signed : bool
        Whether the mean over seeds would let an early one make up for a late one.
    endless : bool
        Whether it is infinite where something is not reached, so that medians are taken.
    """

    read: Callable[[Observed], Value]
    reads: frozenset[str]
    placed: bool = False
    signed: bool = False
    endless: bool = False


def _of(reads: str, read: Callable[[Observed], Value], *, endless: bool = False) -> Measure:
    return Measure(read, frozenset(reads.split()), endless=endless)


def _placed(reads: str, read: Callable[[Observed], Value], *, signed: bool = False) -> Measure:
    return Measure(read, frozenset(reads.split()), placed=True, signed=signed)


def _thresholds() -> Iterator[tuple[str, Measure]]:
    """``tau`` and ``beta`` of each way of finding a threshold."""
    for symbol in ("tau", "beta"):
        for method in METHODS:
            read = partial(_field, symbol, partial(_found, method))
            made = _of("place", read) if method == "accuracy" else _placed("energy", read)
            yield f"{symbol} {method}", made


_given_way: _Finder = partial(_found, "accuracy")
#: Measures by name.
MEASURES: Final[Mapping[str, Measure]] = {
    **dict(_thresholds()),
    "accuracy": _of("accuracy", lambda of: of.plateau),
    "lowest accuracy": _of("accuracy", partial(_at_lowest, "accuracy")),
    "recovered accuracy": _of("accuracy", _recovered),
    "tau of lowest accuracy": _of("place", partial(_at_lowest, "tau")),
    "beta of lowest accuracy": _of("place", partial(_at_lowest, "beta")),
    "tau half-way down": _of("place", _half_way),
    "feature": _of("energy", partial(_field, "kind", _first)),
    "features": _of("energy", _kinds),
    "feature at drop": _of("energy place", partial(_field, "kind", _at_drop)),
    "extremum at drop": _of("energy place", partial(_extremum, _at_drop)),
    "valley then peak": _of("energy", _valley_then_peak),
    "extremum": _of("energy", partial(_extremum, _first)),
    "sign change": _placed("energy", partial(_sign_change, _first)),
    "tau of first valley": _of("energy", partial(_field, "tau", _valley)),
    "beta of first valley": _of("energy", partial(_field, "beta", _valley)),
    "tau of later peak": _of("energy", partial(_field, "tau", _later_peak)),
    "beta of later peak": _of("energy", partial(_field, "beta", _later_peak)),
    "sign change at later peak": _of("energy", partial(_sign_change, _later_peak)),
    "gap of later peak": _of("energy place", partial(_gap, _later_peak, _given_way)),
    "ratio of times": _of("time", lambda of: of.ratio),
    "faster": _of("time", lambda of: "faster" if of.ratio > 1 else "slower"),
    "match": _placed("energy", _match),
    "lag": _placed("energy place", _lag, signed=True),
    "gap": _placed("energy place", partial(_gap, _first, _given_way)),
    "RFE gap": _placed("energy place", partial(_gap, partial(_found, "renormalized"), _given_way)),
    "RFE lag": _placed("energy", _rfe_lag, signed=True),
    "variation": _placed("energy accuracy", _variation),
    "drop": _placed("energy accuracy", _drop),
    "lost at feature": _placed("energy accuracy", _lost_at_feature),
    "fall width": _of("place", _fall_width, endless=True),
    "shape": _of("energy", partial(_alike, "free_energy")),
    "shape of derivative": _of("energy", partial(_alike, "slope")),
    "largest distance": _of("energy", partial(_distance, np.max)),
    "vertical shift": _of("energy", partial(_distance, np.median)),
    "entropy falls": _of("", _entropy_falls),  # fewer are left at a higher threshold, always
    "sharpness": _placed("energy", _sharpness),
    "smoothness": _placed("energy", _smoothness),
}
