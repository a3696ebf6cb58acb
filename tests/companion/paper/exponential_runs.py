"""Runs on activations that are distributed exponentially, whose accuracy falls at a threshold."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from companion.paper.predictors import PREDICTORS, predictions
from companion.paper.runs import runs
from companion.paper.targets import DEFAULT, read_targets
from companion.runs.records import Record
from thermo_utils import thermodynamic_curve

RATE, LAST, STEP = 0.7, 4.0, 0.1


@cache
def exponential(step=STEP / 10, last=LAST, rate=RATE):
    """Activations distributed exponentially: ``beta = 1 - exp(-rate tau)``."""
    tau = np.linspace(step, last, round(last / step))
    rho = np.exp(-rate * tau)
    return thermodynamic_curve(tau, rho, rho * (1 + rate * tau), 1.0, 1.0)


def record(drop_at, seed=0, full=1.0, fast=1.0, scale=1.0, accuracy=0.8):
    """A run whose accuracy falls by ten points beyond a threshold; F marks `full` and `fast`."""
    curves = []
    for method, step in (("full", STEP), ("renormalized", STEP / 10)):
        curve = exponential(scale * step, scale * LAST, RATE / scale)
        fallen = curve["tau"] > drop_at + 1e-9
        value = np.where(fallen, accuracy - 0.1, accuracy) if method == "full" else np.nan
        curves.append(curve.assign(method=method, accuracy=value))
    found = {"full": full, "renormalized": fast}
    result = {
        "seed": seed,
        "synthetic": False,
        "data": {"most_frequent": 0.1},
        "thresholds": {m: None if t is None else {"tau": t} for m, t in found.items()},
        "stages": {
            "full": {"attrs": {"baseline_accuracy": accuracy}},
            "renormalized": {"attrs": {}},
        },
    }
    return Record(Path(), result, pd.concat(curves, ignore_index=True))


def five(**first):
    """Five chapters with thresholds of the accuracy at 1.0, 1.2, 1.5, 2.0 and 2.5."""
    names = ("mlp-cifar10", "mlp-flowers102", "cnn-cifar10", "lstm-yelp", "gpt2-ag_news")
    chapters = {
        name: [record(at)] for name, at in zip(names, (1.0, 1.2, 1.5, 2.0, 2.5), strict=True)
    }
    return chapters | {"mlp-cifar10": [record(**{"drop_at": 1.0, **first})]}


def cut_short(run, last):
    """A run whose grids end earlier."""
    return Record(run.folder, run.result, run.curves[run.curves["tau"] <= last + 1e-9])


def predicted(chapters, target=DEFAULT, together=str):
    """Predictions of a target for records by chapter."""
    seen = runs(chapters)
    return predictions(seen, read_targets(seen, target), together=together)


def of(table, predictor, chapter="mlp-cifar10"):
    """The row of a predictor and chapter."""
    return table[(table["predictor"] == predictor) & (table["chapter"] == chapter)].iloc[0]


def errors_of(**octaves):
    """Errors of predictors over as many chapters as there are values; others are one octave off."""
    size = len(next(iter(octaves.values())))
    names = list(five())
    rows = [
        {
            "chapter": f"{names[k % 5]}{k // 5 or ''}",
            "predictor": predictor,
            "octaves": octaves.get(predictor, [1.0] * size)[k],
        }
        for predictor in PREDICTORS
        for k in range(size)
    ]
    return pd.DataFrame(rows)
