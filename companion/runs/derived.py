"""What a record derives from its curves: features, thresholds, and whether both methods match.

Rules may become better after a run. The derived sections of a record can then be written anew, and
nothing that was measured is touched.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pandas as pd

from companion.runs.methods import CURVES
from companion.runs.records import RESULT, content, read_record, to_json
from thermo_utils.accuracy import accuracy_threshold
from thermo_utils.files import write_atomically
from thermo_utils.transitions import earliest, find_transitions, transitions_match

__all__ = ["RULES", "derive", "derive_all", "derived", "same"]

#: One more whenever a rule changes by which features or thresholds are found. Tables without the
#: curves that they were read off say by which rules it was done.
RULES: Final = 3

#: Share by which the same numbers may differ, since processors add up in other orders.
ROUNDING: Final = 1e-9
#: What a record says of a feature.
COLUMNS = ["method", "kind", "tau", "beta", "prominence", "low", "high", "flat"]


def derived(curves: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    """The sections of a record that follow from its curves.

    Parameters
    ----------
    curves : mapping of str to DataFrame
        ``full`` and ``renormalized``.

    Returns
    -------
    dict
        ``features``, ``thresholds`` and ``match``.
    """
    found = {method: find_transitions(curve) for method, curve in curves.items()}
    thresholds = {
        "accuracy": accuracy_threshold(curves["full"]),
        **{method: earliest(features) for method, features in found.items()},
    }
    features = pd.concat([f.assign(method=m) for m, f in found.items()], ignore_index=True)
    return {
        "features": features[COLUMNS].to_dict("records"),
        "thresholds": {m: t._asdict() if t else None for m, t in thresholds.items()},
        "match": transitions_match(thresholds["full"], thresholds["renormalized"]),
    }


def derive(folder: Path) -> bool:
    """Write the derived sections of a record anew, as today's rules have them.

    Parameters
    ----------
    folder : Path
        Of the record.

    Returns
    -------
    bool
        Whether anything has changed by more than rounding. Everything else in ``result.json`` stays
        as it is, and so do the other files.

    Raises
    ------
    ThermoError
        If there is no good record.
    """
    record = read_record(folder)
    before = content(folder / RESULT)
    if record is None or before is None:
        return False
    facts = json.loads(before)
    sections = json.loads(to_json(derived({method: record.curve(method) for method in CURVES})))
    if all(same(facts[name], section) for name, section in sections.items()):
        return False
    write_atomically(folder / RESULT, to_json({**facts, **sections}) + "\n")
    return True


def derive_all(results: Path) -> list[Path]:
    """Write the derived sections of all records anew.

    Parameters
    ----------
    results : Path
        Folder of the records; folders whose names begin with a dot are left alone.

    Returns
    -------
    list of Path
        The records that have changed.

    Raises
    ------
    ThermoError
        At the first record that is damaged; those before it are written.
    """
    folders = sorted(
        path.parent
        for path in results.rglob(RESULT)
        if not any(part.startswith(".") for part in path.relative_to(results).parts)
    )
    return [folder for folder in folders if derive(folder)]


def same(one: Any, other: Any) -> bool:
    """Whether two values of a JSON file are the same but for rounding.

    Parameters
    ----------
    one, other : object

    Returns
    -------
    bool

    Examples
    --------
    >>> same({"tau": 0.1 + 0.2, "kind": "peak"}, {"tau": 0.3, "kind": "peak"})
    True
    >>> same({"tau": 0.3, "kind": "peak"}, {"tau": 0.3, "kind": "bend"})
    False
    """
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=ROUNDING)
    return type(one) is type(other) and bool(one == other)
