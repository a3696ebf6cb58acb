"""What ``python -m benchmarks`` measured: the files it leaves, and the ratios that they hold.

A file per chapter in ``<results>/<profile>/benchmarks`` holds the raw seconds of every procedure in
every round. Ratios are formed within a round, where a busy machine meets both sides, and the median
over the rounds is taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from statistics import median
from typing import Annotated, Any, Literal

from pydantic import Field

from companion.pages.checked import read_checked
from companion.runs.chapters import CHAPTERS
from companion.runs.schema import (
    Count,
    Least,
    Part,
    Positive,
    Provenance,
    Share,
)

__all__ = ["COMMAND", "FOLDER", "FORMAT", "GROWTH", "ratios", "read_measured", "read_speed"]

#: Folder beside the records of a profile, version of its files, name of the file on growth.
FOLDER, FORMAT, GROWTH = "benchmarks", 1, "growth"
MEGABYTE = 1e6
COMMAND = "python -m benchmarks"

Above = Annotated[float, Field(gt=0)]
Rounds = Annotated[list[Above], Field(min_length=1)]


class Options(Part):
    profile: str
    thresholds: Positive
    repetitions: Positive


class Seconds(Part):
    """Of the whole test set, by procedure, a number for every round."""

    plain: Rounds
    renormalized: Rounds
    full: Rounds
    stored: Rounds
    sampled: Rounds


class Bytes(Part):
    """Peak memory by procedure; null where the machine does not tell."""

    plain: Count | None
    renormalized: Count | None
    full: Count | None
    stored: Count | None
    sampled: Count | None


class Sample(Part):
    tau: Least | None
    exact_tau: Least | None
    step: Above
    examples: Positive
    confidence: Share | None


class Measured(Part):
    """The file of a chapter."""

    options: Options
    examples: Positive
    test_examples: Positive
    activations_per_example: Above
    swept: Positive
    seconds: Seconds
    peak_bytes: Bytes
    sample: Sample
    provenance: Provenance


class Size(Part):
    thresholds: Positive
    examples: Positive
    seconds: Annotated[
        dict[Literal["plain", "renormalized", "full", "stored", "sampled"], Rounds],
        Field(min_length=1),
    ]


class Growth(Part):
    """The file on growth."""

    options: Options
    swept: Positive
    by_thresholds: Annotated[list[Size], Field(min_length=1)]
    by_examples: Annotated[list[Size], Field(min_length=1)]
    provenance: Provenance


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
        measured = read_measured(folder / f"{name}.json")
        if measured is not None:
            found[name] = measured
    return found


def read_measured(path: Path) -> dict[str, Any] | None:
    """Measurements of one file.

    Parameters
    ----------
    path : Path
        Such as ``<results>/<profile>/benchmarks/mlp-cifar10.json``; it need not exist.

    Returns
    -------
    dict or None
        None where there is no such file.

    Raises
    ------
    ThermoError
        If it is damaged or of another version.
    """
    profile = path.absolute().parent.parent.name
    form = Growth if path.stem == GROWTH else Measured
    return read_checked(path, FORMAT, form, partial(_contradictions, profile=profile), COMMAND)


def _contradictions(measured: Mapping[str, Any], *, profile: str) -> Iterator[str]:
    if measured["options"]["profile"] != profile:
        yield f"profile is {measured['options']['profile']!r}, in a folder of {profile!r}"
    for part in (measured, *measured.get("by_thresholds", ()), *measured.get("by_examples", ())):
        if "seconds" in part and len(set(map(len, part["seconds"].values()))) > 1:
            yield "seconds are not of the same rounds for every procedure"


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
