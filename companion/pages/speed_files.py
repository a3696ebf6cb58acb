"""What ``python -m benchmarks`` measured: the files it leaves, and the ratios that they hold.

A file per chapter in ``<results>/<profile>/benchmarks`` holds the raw seconds of every procedure in
every round. Ratios are formed within a round, where a busy machine meets both sides, and the median
over the rounds is taken.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from companion.runs.chapters import CHAPTERS
from thermo_utils.errors import ThermoError

__all__ = ["COMMAND", "FOLDER", "FORMAT", "GROWTH", "ratios", "read_speed"]

#: Folder beside the records of a profile, version of its files, name of the file on growth.
FOLDER, FORMAT, GROWTH = "benchmarks", 1, "growth"
MEGABYTE = 1e6
COMMAND = "python -m benchmarks"


def read_speed(folder: Path) -> dict[str, dict[str, Any]]:
    """Measurements by name.

    Parameters
    ----------
    folder : Path
        ``<results>/<profile>/benchmarks``; it need not exist.

    Returns
    -------
    dict
        Contents of the files by chapter name, and of the one on growth; in the order of the book.

    Raises
    ------
    ThermoError
        If a file is damaged or of another version.
    """
    found = {}
    for name in [*(chapter.name for chapter in CHAPTERS), GROWTH]:
        path = folder / f"{name}.json"
        if not path.exists():
            continue
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ThermoError(f"{path} is damaged: delete it and run {COMMAND}") from error
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ThermoError(f"{path} is not of format {FORMAT}: delete it and run {COMMAND}")
        found[name] = content
    return found


def ratios(measured: Mapping[str, Any]) -> dict[str, Any]:
    """Ratios of one chapter, each the median over the rounds.

    Parameters
    ----------
    measured : mapping
        Content of a chapter's file.

    Returns
    -------
    dict
        ``rfe_per_pass``, ``stored_per_pass`` and ``fe_per_pass`` (a single threshold) in units of
        the unpruned pass; ``fe_over_rfe``, ``stored_over_rfe`` and ``fe_over_sampled`` (whole test
        set) for ``thresholds`` thresholds; ``sampled_of_pass``, the sampled method in units of a
        pass over the whole test set; ``ns_per_activation`` of the unpruned pass; ``rfe_mb`` and
        ``stored_mb`` beyond it, or None; and what the sample found.
    """
    seconds = measured["seconds"]
    rounds = [
        dict(zip(seconds, values, strict=True)) for values in zip(*seconds.values(), strict=True)
    ]
    count, swept = measured["options"]["thresholds"], measured["swept"]
    scale = measured["test_examples"] / measured["examples"]
    for r in rounds:
        r["threshold"] = r["full"] / (swept + 1)  # the unpruned pass of the sweep included
        r["sweep"] = (count + 1) * r["threshold"]

    def over(above: str, below: str, factor: float = 1.0) -> float:
        return factor * median(r[above] / r[below] for r in rounds)

    peak, sample = measured["peak_bytes"], measured["sample"]
    found, exact = sample["tau"], sample["exact_tau"]
    agrees = found == exact
    if found is not None and exact is not None:
        agrees = abs(found - exact) <= sample["step"] * (1 + 1e-9)
    activations = measured["activations_per_example"] * measured["examples"]

    def extra(name: str) -> float | None:
        if peak[name] is None or peak["plain"] is None:
            return None
        return float(max(0, peak[name] - peak["plain"]) / MEGABYTE)

    return {
        "thresholds": count,
        "examples": measured["examples"],
        "test_examples": measured["test_examples"],
        "rfe_per_pass": over("renormalized", "plain"),
        "fe_per_pass": over("threshold", "plain"),
        "stored_per_pass": over("stored", "plain"),
        "fe_over_rfe": over("sweep", "renormalized"),
        "stored_over_rfe": over("stored", "renormalized"),
        "fe_over_sampled": over("sweep", "sampled", scale),
        "sampled_of_pass": over("sampled", "plain", 1 / scale),
        "ns_per_activation": 1e9 * median(seconds["plain"]) / activations,
        "rfe_mb": extra("renormalized"),
        "stored_mb": extra("stored"),
        "sample_agrees": agrees,
        "sample_tau": found,
        "exact_tau": exact,
        "sample_share": sample["examples"] / measured["test_examples"],
        "confidence": sample["confidence"],
    }
