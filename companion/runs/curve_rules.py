"""What ``curves.csv`` must be: complete, and consistent with the definitions and the counts.

A record is read wherever one is listed, so nothing here waits for NumPy or pandas.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from io import StringIO
from itertools import compress, pairwise
from typing import Any

from companion.runs.methods import CURVES

__all__ = ["BETWEEN", "COLUMNS", "FINER", "TAIL", "curve_problems"]

#: Those of :data:`thermo_utils.thermodynamics.CURVE_COLUMNS`, without loading NumPy.
COLUMNS = (
    "tau", "beta", "rho", "active", "abs_sum", "entropy", "temperature", "internal_energy",
    "free_energy", "dF_dtau", "dF_dbeta",
)  # fmt: skip
#: Of the full evaluation; a record of format 1 has the first alone.
OF_ACCURACY = ("accuracy", "lost", "gained")
#: :data:`thermo_utils.grids.FINER` and `BETWEEN`, likewise; of the tail the length and the end.
FINER = 10
BETWEEN = (0.2, 0.4, 0.6, 0.8, 1.5, 2.5)
TAIL = (160, 32.0)


def curve_problems(content: bytes, result: Mapping[str, Any]) -> list[str]:
    """What is wrong with the content of ``curves.csv``.

    Parameters
    ----------
    content : bytes
        Of the file.
    result : mapping
        That of the record, without problems of its own.

    Returns
    -------
    list of str
        Whatever is found first.
    """
    try:
        text = content.decode("ascii")
        head, *rows = csv.reader(StringIO(text), strict=True)
        of_accuracy = OF_ACCURACY[:1] if result["format"] == 1 else OF_ACCURACY
        wanted = ("method", *COLUMNS, *of_accuracy)
        if missing := [name for name in wanted if name not in head]:
            return [f"lacks column {', '.join(missing)}"]
        # Python, but not pandas, takes 1_0 for a number.
        if len(set(head)) < len(head) or "_" in text.partition("\n")[2]:
            return ["it is no table of numbers"]
        columns = dict(zip(head, zip(*rows, strict=True), strict=True))
        methods = columns["method"]
        if set(methods) != set(CURVES):
            return [f"it holds other curves than {' and '.join(CURVES)}"]
        numbers = {name: _floats(columns[name]) for name in wanted[1:]}
        for method in CURVES:
            at = [m == method for m in methods]
            curve = {name: list(compress(column, at)) for name, column in numbers.items()}
            if found := next(_curve_problems(method, curve, result), None):
                return [f"{method}: {found}"]
    except (ValueError, csv.Error) as error:
        return [str(error)]
    return []


def _floats(texts: Sequence[str]) -> list[float]:
    """Numbers; empty is undefined."""
    if all(texts):
        return list(map(float, texts))
    return [float(text) if text else math.nan for text in texts]


def _curve_problems(
    method: str, curve: Mapping[str, list[float]], result: Mapping[str, Any]
) -> Iterator[str]:
    stages = result["stages"]
    tau, rho, active = curve["tau"], curve["rho"], curve["active"]
    for name in ("tau", "beta", "rho", "active", "abs_sum"):
        if not all(map(math.isfinite, curve[name])):
            yield f"{name} is not finite everywhere"
    if tau[0] < 0 or not all(a < b for a, b in pairwise(tau)):
        yield "tau does not increase strictly"
    if not all(m >= 0 and m.is_integer() for m in active) or min(curve["abs_sum"]) < 0:
        yield "active and abs_sum are no counts and sums"
    total = stages[method]["attrs"]["total"]
    if any(
        abs(r - m / total) > 1e-9 * (1 + r) or abs(1 - r - b) > 1e-9 * (1 + r)
        for r, m, b in zip(rho, active, curve["beta"], strict=True)
    ):
        yield f"rho and beta do not follow from active of {total}"
    defined = [t > 0 and m > 0 for t, m in zip(tau, active, strict=True)]
    for name in ("entropy", "temperature", "internal_energy", "free_energy"):
        if not all(map(math.isfinite, compress(curve[name], defined))):
            yield f"{name} is undefined where activations are left"
    if sum(defined) > 1 and not all(map(math.isfinite, compress(curve["dF_dtau"], defined))):
        yield "dF_dtau is undefined where activations are left"
    if method == "full" and not all(0 <= a <= 1 for a in curve["accuracy"]):
        yield "accuracy is no share everywhere"
    if method == "full" and "lost" in curve:
        yield from _changes(curve, stages["full"]["attrs"])
    given = [name for name in OF_ACCURACY if name in curve]
    if method != "full" and not all(math.isnan(x) for name in given for x in curve[name]):
        yield "it has an accuracy, which only the full evaluation has"
    step, last = (stages["renormalized"].get(name) for name in ("tau_step", "tau_max"))
    if step is not None and last is not None:
        multiples = math.floor(last / step + 1e-9)
        rows, end = (multiples, last) if method == "full" else (multiples * FINER, last)
        if result["format"] > 1 and method == "full":
            rows += sum(f < multiples - 1 for f in BETWEEN)
        elif result["format"] > 1:
            rows, end = rows + TAIL[0], end * TAIL[1]
        if len(tau) != rows:
            yield f"{len(tau)} rows instead of {rows}"
        if not math.isclose(tau[-1], end, rel_tol=1e-9):
            yield f"ends at {tau[-1]:g} instead of {end:g}"


def _changes(curve: Mapping[str, list[float]], attrs: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the examples lost and gained; both are unknown if the order changed."""
    pairs = list(zip(curve["lost"], curve["gained"], strict=True))
    if all(math.isnan(x) for pair in pairs for x in pair):
        return
    if not all(x >= 0 and x.is_integer() for pair in pairs for x in pair):
        yield "lost and gained are no counts"
    baseline, samples = attrs["baseline_accuracy"], attrs.get("samples")
    if samples is None:
        yield "the number of test examples is missing"
    elif any(
        abs(baseline + (gained - lost) / samples - accuracy) > 1e-9
        for (lost, gained), accuracy in zip(pairs, curve["accuracy"], strict=True)
    ):
        yield "accuracy does not follow from lost and gained"
