"""One small record, written by hand, from which every measure can be computed by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from companion.paper.observed import Observed, observed
from companion.runs.records import Record

NAN = np.nan
#: Accuracy of the unpruned network.
PLATEAU = 0.8

#: The full evaluation, a step of 0.5. RFE is known at the thresholds 1, 1.25, 2, 3, 4 and 5.
FULL = pd.DataFrame(
    [
        # tau, beta, accuracy, entropy, F, dF/dtau
        (0.5, 0.05, 0.80, 0.05, 9.0, 0.3),
        (1.0, 0.10, 0.83, 0.11, 1.0, 0.4),
        (1.5, 0.16, 0.79, 0.17, 9.0, 0.2),
        (2.0, 0.22, 0.78, 0.25, 3.0, 0.1),
        (2.5, 0.30, 0.74, 0.36, 9.0, -0.1),
        (3.0, 0.40, 0.70, 0.51, 2.0, -0.2),
        (3.5, 0.48, 0.64, 0.65, 9.0, -0.3),
        (4.0, 0.56, 0.54, 0.82, 4.0, NAN),
        (4.5, 0.64, 0.34, 1.02, 9.0, -0.4),
        (5.0, 0.72, 0.20, 1.27, 7.0, -0.4),
        (5.5, 0.80, 0.24, 1.61, 9.0, -0.4),
        (6.0, 0.88, 0.22, NAN, NAN, NAN),
    ],
    columns=["tau", "beta", "accuracy", "entropy", "free_energy", "dF_dtau"],
)
FAST = pd.DataFrame(
    [
        # tau, beta, entropy, F, dF/dtau; at 5 it is too sparse to count
        (1.00, 0.11, 0.12, 1.1, 0.1),
        (1.25, 0.13, 0.14, 8.0, 8.0),
        (2.00, 0.23, 0.26, 2.2, 0.3),
        (3.00, 0.42, 0.54, 3.3, 0.2),
        (4.00, 0.60, 0.92, 4.4, 0.9),
        (5.00, 0.99, 4.61, 0.0, 0.0),
    ],
    columns=["tau", "beta", "entropy", "free_energy", "dF_dtau"],
)
THRESHOLDS = {
    "accuracy": {"tau": 3.0, "beta": 0.40, "kind": "accuracy"},
    "full": {"tau": 2.0, "beta": 0.22, "kind": "peak"},
    "renormalized": {"tau": 2.75, "beta": 0.27, "kind": "inflection"},
}
FEATURES = [
    {"method": "full", "kind": "valley", "tau": 1.0, "beta": 0.10},
    {"method": "full", "kind": "peak", "tau": 2.0, "beta": 0.22},
    {"method": "full", "kind": "bend", "tau": 3.5, "beta": 0.48},
    {"method": "full", "kind": "valley", "tau": 5.5, "beta": 0.80},
    {"method": "renormalized", "kind": "inflection", "tau": 3.0, "beta": 0.41},
]


def record(full=FULL, fast=FAST, **changes) -> Record:
    """The record, with other curves or other results."""
    result = {
        "dataset": "cifar10",
        "seed": 0,
        "synthetic": False,
        "differs": [],
        "settings": {"epochs": 50},
        "metrics": {"test_accuracy": PLATEAU, "epochs": 12},
        "thresholds": THRESHOLDS,
        "features": FEATURES,
        "timings": {"speedup": 3.2},
        "provenance": {"device": "an abacus"},
        "stages": {
            "full": {"device": "NVIDIA H100", "attrs": {"baseline_accuracy": PLATEAU}},
            "renormalized": {"device": "NVIDIA H100", "attrs": {}},
        },
    }
    curves = [full.assign(method="full"), fast.assign(method="renormalized", accuracy=NAN)]
    return Record(Path(), result | changes, pd.concat(curves, ignore_index=True))


def seen(*arguments, **changes) -> Observed:
    """What the measures see of the record, or of one with other curves or results."""
    return observed(record(*arguments, **changes))


def without(method: str) -> Record:
    """The record, with no threshold found by a method."""
    return record(thresholds=THRESHOLDS | {method: None})


def at(method: str, **values) -> Record:
    """The record, with another threshold of a method."""
    return record(thresholds=THRESHOLDS | {method: THRESHOLDS[method] | values})


def curve(**columns) -> pd.DataFrame:
    """The full evaluation with other columns; a dict changes single rows."""
    changed = FULL.copy()
    for name, values in columns.items():
        if isinstance(values, dict):
            for tau, value in values.items():
                changed.loc[changed["tau"] == tau, name] = value
        else:
            changed[name] = values
    return changed
