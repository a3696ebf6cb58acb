"""Records written by hand: every number on a page can be told from every other."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from companion.runs.records import Record, write_record
from companion.runs.settings import Settings
from thermo_utils import thermodynamic_curve

PEAK = {"tau": 0.12, "beta": 0.13, "kind": "peak", "prominence": 0.007, "rule": "earliest of 2"}
BEND = {"tau": 0.31, "beta": 0.27, "kind": "bend", "prominence": None, "rule": "earliest of 1"}
SAMPLES = 1000
DROP = {"tau": 0.8, "beta": 0.55, "kind": "accuracy", "prominence": 0.06, "rule": "last within"}


def curve(points, *, accuracy=None):
    """Activations distributed exponentially; the accuracy falls from a plateau of `accuracy`."""
    tau = np.linspace(2.0 / points, 2.0, points)
    active = np.round(1000 * np.exp(-tau))
    table = thermodynamic_curve(tau, active, active * (1 + tau), 1000, 1000.0)
    if accuracy is not None:
        lost = np.round(0.1 * tau * SAMPLES).astype(int)
        table["accuracy"] = accuracy - lost / SAMPLES
        table["lost"], table["gained"] = lost + 3, 3
        table.attrs |= {"baseline_accuracy": accuracy, "samples": SAMPLES}
    return table


def made(model="mlp", dataset="cifar10", seed=0, accuracy=0.56, profile="small", **changed):
    """The result of a run, and its curves."""
    curves = {"full": curve(20, accuracy=accuracy), "renormalized": curve(200)}
    for table in curves.values():
        table.attrs |= {"seconds": 1.5, "total": 1000, "total_abs_sum": 1000.0}
    figure = 2 if (model, dataset) == ("mlp", "cifar10") else None
    settings = Settings(
        model=model, dataset=dataset, profile=profile, seed=seed, epochs=3, batch_size=64
    )
    result = {
        "format": 2, "model": model, "dataset": dataset, "figure": figure, "profile": profile,
        "seed": seed, "synthetic": settings.synthetic,
        "settings": asdict(settings) | changed.pop("settings", {}),
        "layers": ["hidden.relu*"],
        "stages": {
            name: {
                "key": name, "device": "an abacus", "seconds": 2.5,
                **({"attrs": dict(curves[name].attrs)} if name in curves else {"parameters": 7}),
            }
            for name in ("train", "renormalized", "full")
        },
        "data": {
            "source": "a drawer", "fingerprint": "0123456789abcdef" * 4, "train": 4500,
            "validation": 500, "test": 1000, "classes": 10, "most_frequent": 0.125,
            "departures": [],
        },
        "differs": ["half of the images"],
        "history": [
            {
                "epoch": epoch, "train_loss": 2.0 / epoch, "validation_loss": 2.1 / epoch,
                "validation_accuracy": 0.2 * epoch, "best": epoch == 2,
            }
            for epoch in (1, 2)
        ],
        "metrics": {
            "test_accuracy": accuracy, "validation_accuracy": 0.4, "epochs": 2,
            "parameters": 1234567,
        },
        "features": [
            {"method": "full", "kind": "peak", "tau": 0.12, "beta": 0.13, "prominence": 0.007},
            {"method": "full", "kind": "valley", "tau": 0.9, "beta": 0.6, "prominence": 0.2},
            {"method": "renormalized", "kind": "bend", "tau": 0.31, "beta": 0.27,
             "prominence": None},
        ],
        "thresholds": {"accuracy": DROP, "full": PEAK, "renormalized": BEND},
        "match": False,
        "timings": {"train": 414.0, "full": 80.0, "renormalized": 4.0, "speedup": 20.0},
        "provenance": {
            "python": "3.11.7", "packages": {"torch": "2.14.1", "numba": None},
            "device": "an abacus", "git_commit": "abcdef1234567890",
        },
        "curves_sha256": "",
    }  # fmt: skip
    return result | changed, curves


@pytest.fixture
def record(tmp_path):
    """Makes a record by hand, which lies nowhere: ``record(model, dataset, seed, ...)``."""

    def make(*arguments, **changed):
        result, curves = made(*arguments, **changed)
        both = [table.assign(method=method) for method, table in curves.items()]
        folder = tmp_path / "nowhere" / "small" / "run"
        return Record(folder, result, pd.concat(both, ignore_index=True))

    return make


@pytest.fixture
def written():
    """Writes such a record: ``written(folder, model, dataset, seed, ...)``."""

    def write(folder: Path, *arguments, **changed):
        result, curves = made(*arguments, **changed)
        del result["curves_sha256"]
        write_record(folder, result, curves)
        return folder

    return write
