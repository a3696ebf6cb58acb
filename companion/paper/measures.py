"""What the claims ledger reads off a result record: one number or word each.

Every measure is a function of one record. :data:`MEASURES` is the only list of their names, which
``claims.csv`` uses; the ones about thresholds are made for each way of finding one: ``tau full``,
``beta accuracy``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import numpy as np
import pandas as pd

from companion.paper.rules import Value
from companion.runs.methods import METHODS
from companion.runs.records import Record
from thermo_utils.errors import unknown
from thermo_utils.grids import grid_step
from thermo_utils.transitions import MAX_BETA

__all__ = ["MEASURES", "TIMED", "measure"]

EXTREMA = ("peak", "valley")
#: Shares of the plateau between which accuracy is said to fall.
FALL_FROM, FALL_TO = 0.95, 0.70
#: With fewer thresholds in common, two curves are not compared.
LEAST_SHARED = 3


def measure(name: str, record: Record) -> Value:
    """One measure of a record.

    Parameters
    ----------
    name : str
        A key of `MEASURES`.
    record : Record
        A chapter's.

    Returns
    -------
    float, str or None
        None where there is nothing to measure, such as the place of a feature that is not there.

    Raises
    ------
    ThermoError
        If there is no such measure.
    """
    if name not in MEASURES:
        raise unknown("measure", name, MEASURES)
    value = MEASURES[name](record)
    return None if isinstance(value, float) and math.isnan(value) else value


def _full(record: Record) -> pd.DataFrame:
    return record.curve("full")


def _step(record: Record) -> float:
    return grid_step(_full(record))


def _baseline(record: Record) -> float:
    return float(record.result["metrics"]["test_accuracy"])


def _threshold(method: str, symbol: str, record: Record) -> Value:
    found = record.result["thresholds"][method]
    if found is None:
        return None
    value: Any = found[symbol]
    return value if isinstance(value, str) else float(value)


def _features(record: Record) -> list[dict[str, Any]]:
    return [f for f in record.result["features"] if f["method"] == "full"]


def _yes(condition: object) -> str:
    return "yes" if condition else "no"


def _extremum(record: Record) -> Value:
    return _yes(_threshold("full", "kind", record) in EXTREMA)


def _sign_change(record: Record) -> Value:
    """Whether dF/dtau changes its sign within one step of the FE threshold."""
    tau = _threshold("full", "tau", record)
    if not isinstance(tau, float):
        return "no"
    curve, reach = _full(record), 1.001 * _step(record)
    slope = curve.loc[(curve["tau"] - tau).abs() <= reach, "dF_dtau"].dropna()
    return _yes(slope.min() <= 0 <= slope.max())


def _first_of(kind: str, symbol: str, record: Record) -> Value:
    return next((float(f[symbol]) for f in _features(record) if f["kind"] == kind), None)


def _kinds(record: Record) -> Value:
    return ", ".join(f["kind"] for f in _features(record)) or None


def _valley_then_peak(record: Record) -> Value:
    """Whether a peak follows a valley, with or without other features in between."""
    left = iter(f["kind"] for f in _features(record))
    return _yes("valley" in left and "peak" in left)  # the second looks only beyond the first


def _kind_at_drop(record: Record) -> Value:
    """Kind of the feature nearest to the accuracy's threshold."""
    drop = _threshold("accuracy", "beta", record)
    if not isinstance(drop, float):
        return None
    nearest = min(_features(record), key=lambda f: abs(f["beta"] - drop), default=None)
    return None if nearest is None else str(nearest["kind"])


def _ratio(record: Record) -> Value:
    return float(record.result["timings"]["speedup"])


def _faster(record: Record) -> Value:
    return "faster" if record.result["timings"]["speedup"] > 1 else "slower"


def _match(record: Record) -> Value:
    return _yes(record.result["match"])


def _lag(record: Record) -> Value:
    """Steps from the accuracy's threshold to the FE threshold; the grid's end if it never falls."""
    feature, drop = _threshold("full", "tau", record), _threshold("accuracy", "tau", record)
    if not isinstance(feature, float):
        return None
    if not isinstance(drop, float):
        drop = float(_full(record)["tau"].iloc[-1])
    return round((feature - drop) / _step(record), 6)


def _gap(first: str, second: str, record: Record) -> Value:
    """Distance of two thresholds in sparsity."""
    a, b = _threshold(first, "beta", record), _threshold(second, "beta", record)
    return abs(a - b) if isinstance(a, float) and isinstance(b, float) else None


def _variation(record: Record) -> Value:
    """Largest change of accuracy up to the FE threshold."""
    tau = _threshold("full", "tau", record)
    if not isinstance(tau, float):
        return None
    curve = _full(record)
    before = curve.loc[curve["tau"] <= tau * (1 + 1e-9), "accuracy"]
    return float((before - _baseline(record)).abs().max())


def _drop(record: Record) -> Value:
    """Share of the plateau's accuracy that is lost somewhere beyond the FE threshold."""
    tau = _threshold("full", "tau", record)
    if not isinstance(tau, float):
        return None
    curve = _full(record)
    after = curve.loc[curve["tau"] > tau * (1 + 1e-9), "accuracy"]
    return float(1 - after.min() / _baseline(record))


def _crossing(record: Record, share: float, symbol: str) -> float:
    """Where accuracy first falls to a share of the plateau; ``nan`` if it never does.

    Between grid points it is taken to fall along a straight line.
    """
    curve, plateau = _full(record), _baseline(record)
    accuracy = np.concatenate([[plateau], curve["accuracy"].to_numpy()])
    place = np.concatenate([[0.0], curve[symbol].to_numpy()])
    below = np.flatnonzero(accuracy < share * plateau)
    if below.size == 0:
        return math.nan
    i = int(below[0])
    weight = (accuracy[i - 1] - share * plateau) / (accuracy[i - 1] - accuracy[i])
    return float(place[i - 1] + weight * (place[i] - place[i - 1]))


def _fall_width(record: Record) -> Value:
    return _crossing(record, FALL_TO, "beta") - _crossing(record, FALL_FROM, "beta")


def _half_way(record: Record) -> Value:
    """Threshold at which accuracy is half-way between the plateau and its lowest value."""
    plateau = _baseline(record)
    middle = (plateau + float(_full(record)["accuracy"].min())) / 2
    return _crossing(record, middle / plateau, "tau")


def _at_lowest(symbol: str, record: Record) -> Value:
    curve = _full(record)
    return float(curve[symbol].to_numpy()[curve["accuracy"].to_numpy().argmin()])


def _recovered(record: Record) -> Value:
    accuracy = _full(record)["accuracy"].to_numpy()
    return float(accuracy[accuracy.argmin() :].max())


def _lost_at_feature(record: Record) -> Value:
    """Accuracy lost at the FE threshold."""
    tau = _threshold("full", "tau", record)
    if not isinstance(tau, float):
        return None
    curve = _full(record)
    here = int((curve["tau"] - tau).abs().to_numpy().argmin())
    return _baseline(record) - float(curve["accuracy"].to_numpy()[here])


def _both(record: Record, column: str) -> tuple[np.ndarray, np.ndarray]:
    """A column of FE and RFE at the thresholds they share."""
    shared = _full(record).merge(record.curve("renormalized"), on="tau", suffixes=("", "_fast"))
    dense = (shared["beta"] <= MAX_BETA) & (shared["beta_fast"] <= MAX_BETA)
    pair = shared.loc[dense, [column, f"{column}_fast"]].dropna()
    return pair[column].to_numpy(), pair[f"{column}_fast"].to_numpy()


def _alike(column: str, record: Record) -> Value:
    """Correlation of FE and RFE over the thresholds they share."""
    full, fast = _both(record, column)
    if full.size < LEAST_SHARED or np.ptp(full) == 0 or np.ptp(fast) == 0:
        return None
    return float(np.corrcoef(full, fast)[0, 1])


def _distance(summary: Callable[[np.ndarray], Any], record: Record) -> Value:
    """Distance of FE and RFE as a share of the range of FE."""
    full, fast = _both(record, "free_energy")
    if full.size < LEAST_SHARED or np.ptp(full) == 0:
        return None
    return float(summary(np.abs(full - fast)) / np.ptp(full))


def _rfe_lag(record: Record) -> Value:
    """Steps from the FE threshold to the RFE threshold."""
    fast, full = _threshold("renormalized", "tau", record), _threshold("full", "tau", record)
    if not isinstance(fast, float) or not isinstance(full, float):
        return None
    return (fast - full) / _step(record)


def _entropy_falls(record: Record) -> Value:
    entropy = _full(record)["entropy"].dropna()
    return _yes(entropy.iloc[-1] < entropy.iloc[0])


#: Measures by name.
MEASURES: Final[Mapping[str, Callable[[Record], Value]]] = {
    **{
        f"{symbol} {method}": partial(_threshold, method, symbol)
        for symbol in ("tau", "beta")
        for method in METHODS
    },
    "accuracy": _baseline,
    "lowest accuracy": partial(_at_lowest, "accuracy"),
    "recovered accuracy": _recovered,
    "tau of lowest accuracy": partial(_at_lowest, "tau"),
    "beta of lowest accuracy": partial(_at_lowest, "beta"),
    "tau half-way down": _half_way,
    "feature": partial(_threshold, "full", "kind"),
    "features": _kinds,
    "feature at drop": _kind_at_drop,
    "valley then peak": _valley_then_peak,
    "extremum": _extremum,
    "sign change": _sign_change,
    "tau of first valley": partial(_first_of, "valley", "tau"),
    "beta of first valley": partial(_first_of, "valley", "beta"),
    "ratio of times": _ratio,
    "faster": _faster,
    "match": _match,
    "lag": _lag,
    "gap": partial(_gap, "full", "accuracy"),
    "RFE gap": partial(_gap, "renormalized", "accuracy"),
    "RFE lag": _rfe_lag,
    "variation": _variation,
    "drop": _drop,
    "lost at feature": _lost_at_feature,
    "fall width": _fall_width,
    "shape": partial(_alike, "free_energy"),
    "shape of derivative": partial(_alike, "dF_dtau"),
    "largest distance": partial(_distance, np.max),
    "vertical shift": partial(_distance, np.median),
    "entropy falls": _entropy_falls,
}
#: Measures that compare times, which depend on the processor.
TIMED: Final = frozenset({"ratio of times", "faster"})
