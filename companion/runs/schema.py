"""What a record must be: types, ranges, and that its parts agree with each other.

Fields that are not named here may be there too; a field that is named is checked wherever it is.
Loading this module loads pydantic, which is why :mod:`companion.runs.records` imports it late.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

__all__ = [
    "AccuracyAttrs",
    "Count",
    "CurveAttrs",
    "Digest",
    "FeatureKind",
    "Least",
    "Part",
    "Positive",
    "Provenance",
    "Result",
    "Seed",
    "Settings",
    "Share",
    "Variants",
    "misplaced",
    "parsed",
    "printable",
    "problems",
    "result_problems",
]

#: Nesting of a file beyond which nothing of ours goes.
DEPTH = 32
#: Problems of a file that its message names, and letters of a message.
NAMED, LETTERS = 3, 300

Count = Annotated[int, Field(ge=0, lt=2**63)]
Positive = Annotated[int, Field(ge=1, lt=2**63)]
Share = Annotated[float, Field(ge=0, le=1)]
Least = Annotated[float, Field(ge=0)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Sparsity = Annotated[float, Field(le=1)]  # below zero where pruning wakes activations up
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Part(BaseModel):
    """A part of a file: no conversions, no number that is not finite, more fields allowed."""

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)


class Settings(Part):
    """The fields of :class:`companion.runs.settings.Settings`."""

    model: str
    dataset: str
    profile: str
    seed: Seed
    train_size: Positive | None
    validation_size: Positive | None
    test_size: Positive | None
    epochs: Positive
    batch_size: Positive
    learning_rate: Least
    patience: Count
    tau_step: Least | None
    tau_max: Least | None
    tokenizer: str | None
    max_length: Positive | None
    checkpoint: str | None
    precision: str
    options: dict[str, Any]
    differs: list[str]
    # Older records do not name what there was no choice of.
    split: str = "official"
    augment: bool = False
    schedule: str = "constant"
    transfer: str | None = None


class Data(Part):
    source: str
    fingerprint: str
    train: Count
    validation: Count
    test: Positive
    classes: Positive
    most_frequent: Share
    departures: list[str]


class StageData(Part):
    """What a stage says of its data; older records say less."""

    source: str | None = None
    fingerprint: str | None = None
    departures: list[str] = []


class Stage(Part):
    key: str
    seconds: Least
    device: str
    threads: Positive | None = None
    versions: dict[str, str | None] = {}
    weights: str | None = None


class Training(Stage):
    parameters: Count
    data: StageData | str | None = None
    definition: str | None = None


class CurveAttrs(Part):
    total: Positive
    total_abs_sum: Least
    seconds: Least


class AccuracyAttrs(CurveAttrs):
    baseline_accuracy: Share
    samples: Positive | None = None


class Renormalized(Stage):
    attrs: CurveAttrs
    data: StageData | str | None = None
    tau_step: Annotated[float, Field(gt=0)] | None = None
    tau_max: Annotated[float, Field(gt=0)] | None = None


class Full(Renormalized):
    attrs: AccuracyAttrs


class AllStages(Part):
    train: Training
    renormalized: Renormalized
    full: Full


class Epoch(Part):
    """An epoch of training; losses that were not finite are null."""

    epoch: Positive
    train_loss: float | None
    validation_loss: float | None
    validation_accuracy: Share
    best: bool


class Metrics(Part):
    test_accuracy: Share
    validation_accuracy: Share
    epochs: Positive
    parameters: Count


FeatureKind = Literal["peak", "valley", "inflection", "bend"]


class Feature(Part):
    method: Literal["full", "renormalized"]
    kind: FeatureKind
    tau: Least
    beta: Sparsity | None
    prominence: float | None
    low: Least | None = None
    high: Least | None = None
    flat: bool = False


class Threshold(Part):
    tau: Least
    beta: Sparsity | None
    prominence: float | None
    rule: str
    low: Least | None = None
    high: Least | None = None


class AccuracyThreshold(Threshold):
    kind: Literal["accuracy"]


class FeatureThreshold(Threshold):
    kind: FeatureKind


class Thresholds(Part):
    accuracy: AccuracyThreshold | None
    full: FeatureThreshold | None
    renormalized: FeatureThreshold | None


class Timings(Part):
    train: Least
    full: Least
    renormalized: Least
    speedup: Least


class Provenance(Part):
    python: str
    packages: dict[str, str | None]
    device: str
    git_commit: str | None


class Result(Part):
    """The content of ``result.json``."""

    format: Literal[1, 2]
    model: str
    dataset: str
    figure: int | None
    profile: str
    seed: Seed
    synthetic: bool
    settings: Settings
    layers: Annotated[list[str], Field(min_length=1)]
    stages: AllStages
    data: Data
    differs: list[str]
    history: Annotated[list[Epoch], Field(min_length=1)]
    metrics: Metrics
    features: list[Feature]
    thresholds: Thresholds
    match: bool
    timings: Timings
    provenance: Provenance
    curves_sha256: Digest
    blocks_sha256: Digest | None = None


class Variants(Part):
    """The content of ``variants.json``."""

    model: str
    dataset: str
    profile: str
    seed: Seed
    key: str
    step: Annotated[float, Field(gt=0)]
    rules: Count = 1
    full_examples: Count
    seconds: Least
    provenance: Provenance
    variants_sha256: Digest


def parsed(content: bytes) -> Any:
    """The value in a JSON file.

    Parameters
    ----------
    content : bytes
        Of the file.

    Returns
    -------
    object

    Raises
    ------
    ValueError
        If it is no JSON, holds a number that is not finite or a character that no text holds, or
        is nested too deeply.

    Examples
    --------
    >>> parsed(b'{"a": [1, null]}')
    {'a': [1, None]}
    >>> parsed(b"[" * 100_000)
    Traceback (most recent call last):
    ValueError: nested too deeply
    """
    try:
        value = json.loads(content)
        # Once the other way: it fails for NaN, 1e999 and halves of surrogate pairs anywhere.
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if _deeper(value, DEPTH):
        raise ValueError("nested too deeply")
    return value


def _deeper(value: Any, depth: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    items = value.values() if isinstance(value, dict) else value
    return depth == 0 or any(_deeper(item, depth - 1) for item in items)


def problems(value: Any, model: type[Part]) -> list[str]:
    """What is wrong with a value.

    Parameters
    ----------
    value : object
        As :func:`parsed` returns it.
    model : type
        What it should be.

    Returns
    -------
    list of str
        A few words each; empty where nothing is.

    Examples
    --------
    >>> problems({"tau": "0.1", "beta": 0.5, "kind": "peak"}, FeatureThreshold)
    ['lacks prominence, rule', 'tau: input should be a valid number']
    """
    try:
        model.model_validate(value)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
    else:
        return []
    lacking = [_place(one["loc"]) for one in found if one["type"] == "missing"]
    wrong = dict.fromkeys(
        f"{_place(one['loc'])}: {one['msg'][:1].lower()}{one['msg'][1:]}"
        for one in found
        if one["type"] != "missing"
    )
    return ([f"lacks {', '.join(lacking)}"] if lacking else []) + list(wrong)


def _place(location: Sequence[str | int]) -> str:
    return ".".join(map(str, location)) or "the file"


def result_problems(result: Mapping[str, Any], place: tuple[str, str, int]) -> list[str]:
    """What is wrong with the content of ``result.json``.

    Parameters
    ----------
    result : mapping
        As :func:`parsed` returns it.
    place : tuple of str, str, int
        Profile, name of the chapter and seed that its folder stands for.

    Returns
    -------
    list of str
    """
    if found := problems(result, Result):
        return found
    return list(_contradictions(result, place))


def _contradictions(result: Mapping[str, Any], place: tuple[str, str, int]) -> Iterator[str]:
    settings = result["settings"]
    for name in ("model", "dataset", "profile", "seed"):
        if result[name] != settings[name]:
            yield f"{name} is {result[name]!r}, in settings {settings[name]!r}"
    if result["synthetic"] != (result["profile"] == "demo"):
        yield f"synthetic is {result['synthetic']} at profile {result['profile']!r}"
    if result["metrics"]["epochs"] != len(result["history"]):
        yield f"metrics.epochs is {result['metrics']['epochs']} of {len(result['history'])}"
    if result["metrics"]["test_accuracy"] != result["stages"]["full"]["attrs"]["baseline_accuracy"]:
        yield "metrics.test_accuracy is not the baseline_accuracy of the full evaluation"
    yield from misplaced(result, place)


def misplaced(facts: Mapping[str, Any], place: tuple[str, str, int]) -> list[str]:
    """How facts contradict the folder they lie in.

    Parameters
    ----------
    facts : mapping
        Holds ``profile``, ``model``, ``dataset`` and ``seed``.
    place : tuple of str, str, int
        As :func:`companion.runs.records.place` returns it.

    Returns
    -------
    list of str
    """
    ours = facts["profile"], f"{facts['model']}-{facts['dataset']}", facts["seed"]
    return [
        f"{what} is {here!r}, in a folder of {there!r}"
        for what, here, there in zip(("profile", "chapter", "seed"), ours, place, strict=True)
        if here != there
    ]


def printable(found: Sequence[str]) -> str:
    """Problems as part of a line, without characters that a terminal would obey.

    Parameters
    ----------
    found : sequence of str

    Returns
    -------
    str

    Examples
    --------
    >>> printable(["a\\x1b[2J", "b", "c", "d"])
    'a\\\\x1b[2J, b, c and 1 more'
    """
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    text = ", ".join(found[:NAMED]) + more
    text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    return text if len(text) <= LETTERS else text[: LETTERS - 3] + "..."
