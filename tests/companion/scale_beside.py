"""What thermo scale would write beside a record, made of the record's own curves."""

from __future__ import annotations

import pandas as pd

from companion.runs.records import Record, sha256, to_json
from companion.runs.scale_files import COLUMNS, FACTS, LAYER_MEANS, RESCALED, TABLE
from thermo_utils.scaling import rescaled

WEIGHTS = "a" * 64


def write_beside(record: Record, *, factors=(0.25, 1.0, 4.0), spoil: int = 0, **changed) -> None:
    """Curves of rescaled networks, and those in units of layers, which are the record's own.

    `spoil` activations more survive the first threshold of every rescaled network but the first.
    """
    curves, parts = [], []
    for method in ("full", "renormalized"):
        own = record.curve(method)
        for units, c in ((LAYER_MEANS, 1.0), *((RESCALED, c) for c in factors)):
            curve = rescaled(own, c)
            if units == RESCALED and c > factors[0]:
                curve["active"] = curve["active"] + spoil * (curve.index == 0)
            parts.append(curve.assign(units=units, c=c, method=method))
            curves.append({"units": units, "c": c, "method": method, "attrs": curve.attrs})
    table = pd.concat(parts).reindex(columns=list(COLUMNS))
    text = table.to_csv(index=False)
    result = record.result
    facts = {
        **{name: result[name] for name in ("model", "dataset", "profile", "seed")},
        "key": result["stages"]["train"]["key"],
        "weights": result["stages"]["train"].get("weights") or WEIGHTS,
        "examples": 3000,
        "baseline_accuracy": record.curve("full").attrs["baseline_accuracy"],
        "means": [{"layer": "one", "mean": 0.5}],
        "obstacle": None if factors else "it has none",
        "off": 0.0 if factors else None,
        "curves": curves,
        "passes": 9,
        "seconds": 1.0,
        "provenance": result["provenance"],
        "scale_sha256": sha256(text),
        **changed,
    }
    (record.folder / TABLE).write_text(text)
    (record.folder / FACTS).write_text(to_json(facts) + "\n")
