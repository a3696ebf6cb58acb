"""What a record says of a run: everything that follows from its stages, in one place."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from companion.runs.chapters import CHAPTERS
from companion.runs.derived import derived
from companion.runs.provenance import provenance

if TYPE_CHECKING:
    import pandas as pd

    from companion.runs.settings import Settings

__all__ = ["result"]

#: Facts of a stage that have a place of their own in the record.
KEPT_APART = ("history", "layers")


def result(
    settings: Settings, stages: Mapping[str, Mapping[str, Any]], curves: Mapping[str, pd.DataFrame]
) -> dict[str, Any]:
    """The content of a record, but for what :func:`companion.runs.records.write_record` adds.

    Parameters
    ----------
    settings : Settings
        What was run.
    stages : mapping of str to mapping
        Facts of the stages ``train``, ``renormalized`` and ``full``.
    curves : mapping of str to DataFrame
        Those of the last two.

    Returns
    -------
    dict
        For :func:`companion.runs.records.to_json`.
    """
    trained, times = stages["train"], {m: curves[m].attrs["seconds"] for m in curves}
    figure = {(c.model, c.dataset): c.figure for c in CHAPTERS}
    return {
        "model": settings.model,
        "dataset": settings.dataset,
        "figure": figure.get((settings.model, settings.dataset)),
        "profile": settings.profile,
        "seed": settings.seed,
        "synthetic": settings.synthetic,
        "settings": dataclasses.asdict(settings),
        "layers": stages["full"]["layers"],
        "stages": {
            name: {k: _without_blocks(v) for k, v in facts.items() if k not in KEPT_APART}
            for name, facts in stages.items()
        },
        "data": trained["data"],
        "history": trained["history"],
        "differs": [*settings.differs, *trained["data"]["departures"]],
        "metrics": {
            "test_accuracy": curves["full"].attrs["baseline_accuracy"],
            "validation_accuracy": max(r["validation_accuracy"] for r in trained["history"]),
            "epochs": len(trained["history"]),
            "parameters": trained["parameters"],
        },
        **derived(curves),
        "timings": {
            "train": trained["seconds"],
            **times,
            "speedup": times["full"] / times["renormalized"],
        },
        "provenance": provenance(),
    }


def _without_blocks(fact: Any) -> Any:
    """The ``attrs`` of a curve without what goes into ``blocks.csv``."""
    return {k: v for k, v in fact.items() if k != "blocks"} if isinstance(fact, dict) else fact
