"""What is asked of ``thermo analyze``, and all that can be refused before a slow import."""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass
from pathlib import Path

from companion.analysis.references import (
    IMAGES,
    Reference,
    data_reference,
    model_reference,
    object_reference,
)
from thermo_utils.errors import ThermoError, unknown

__all__ = ["CHECKPOINT", "LABEL_COLUMN", "METRICS", "PRODUCTS", "Request", "check"]

#: Metrics with names; those of :mod:`thermo_utils.metrics`, whose import takes seconds.
METRICS = ("accuracy", "top5", "perplexity", "f1", "mean_iou", "mse")
#: What an analysis writes into its folder.
PRODUCTS = (
    "report.html", "curves.csv", "layers.csv", "per_layer.csv", "per_class.csv", "figure.png",
    "per_layer.png", "safe.json",
)  # fmt: skip
#: The column that holds labels unless another is named.
LABEL_COLUMN = "label"
#: What an interrupted full evaluation leaves in the folder, to go on from.
CHECKPOINT = "sweep.jsonl"


@dataclass(frozen=True)
class Request:
    """A call of ``thermo analyze``; the fields are its arguments and options.

    Attributes
    ----------
    model, data : str
        See :func:`companion.analysis.references.model_reference` and
        :func:`~companion.analysis.references.data_reference`.
    output : Path
        Folder for the report and what belongs to it.
    weights : str, optional
        File with a state dict, or the name of weights of torchvision, for one of its networks.
    layers : tuple of str, optional
        What to prune.
    metric : str, optional
        A name, ``FILE.py:NAME`` or ``MODULE:NAME``; chosen by the kind of network by default.
    better : {"higher", "lower"}, optional
        For a metric that is a function.
    max_drop : float, optional
        How much worse the score may get, in its own unit, or as a share of it if `relative`.
    tau_step, tau_max : float, optional
        Grid; chosen from the activations by default.
    keep : Path, optional
        File for the network, pruned at the safe threshold.
    split, config, text_column, label_column, image_column : str, optional
        Where the data lie in a table or data set.
    tokenizer : str, optional
        Folder or name of a tokenizer, for a network that brings none.
    """

    model: str
    data: str
    output: Path = Path("analysis")
    weights: str | None = None
    layers: tuple[str, ...] | None = None
    per_layer: bool = False
    metric: str | None = None
    better: str | None = None
    max_drop: float | None = None
    relative: bool = False
    tau_step: float | None = None
    tau_max: float | None = None
    rfe_only: bool = False
    keep: Path | None = None
    batch_size: int = 32
    limit: int | None = None
    size: int | None = None
    split: str | None = None
    config: str | None = None
    text_column: str = "text"
    label_column: str = LABEL_COLUMN
    image_column: str = "image"
    tokenizer: str | None = None
    device: str | None = None
    seed: int = 0
    force: bool = False
    quiet: bool = False


def check(request: Request) -> tuple[Reference, Reference]:
    """Refuse what can be seen to go wrong, without torch and with nothing written.

    Parameters
    ----------
    request : Request

    Returns
    -------
    model, data : Reference

    Raises
    ------
    ThermoError
        If a file is missing, options do not go together, or results have no place to go.
    """
    _check_numbers(request)
    _check_metric(request)
    model, data = model_reference(request.model), data_reference(request.data)
    if data.kind == "table" and model == Reference("torchvision", request.model):
        model = Reference("transformers", model.name)  # a name on its own that reads texts
    _check_fit(request, model, data)
    if data.kind == "images":
        _check_images(Path(data.name))
    _check_output(request)
    if request.keep is not None:
        _check_keep(request)
    return model, data


def _check_numbers(request: Request) -> None:
    if (request.tau_step is None) != (request.tau_max is None):
        raise ThermoError("give both --tau-step and --tau-max, or neither for an automatic grid")
    if request.tau_step is not None and request.tau_max is not None:
        from thermo_utils.grids import grids  # numpy takes a while to load

        grids(request.tau_step, request.tau_max)
    for option in ("batch_size", "limit", "size"):
        value = getattr(request, option)
        if value is not None and value < 1:
            raise ThermoError(f"--{option.replace('_', '-')} must be 1 or more, got {value}")
    drop = request.max_drop
    if drop is not None and not (0 <= drop < math.inf):
        raise ThermoError(f"--max-drop must be zero or more, got {drop}")
    if request.relative and drop is not None and drop > 1:
        raise ThermoError(f"--relative takes --max-drop as a share, such as 0.05, got {drop:g}")
    if not 0 <= request.seed < 2**31:
        raise ThermoError(f"--seed must be from 0 to 2147483647, got {request.seed}")
    if request.layers is not None and not all(request.layers):
        raise ThermoError("--layers has an empty name: leave it out for all activation functions")
    if request.device is not None and not re.fullmatch(r"[a-z]+(:\d+)?", request.device):
        raise ThermoError(f"there is no device {request.device!r}: take cpu, cuda or cuda:1")


def _check_metric(request: Request) -> None:
    metric = request.metric
    if metric is not None and ":" in metric:
        object_reference(metric)
    elif metric is not None and metric not in METRICS and not re.fullmatch(r"top[1-9]\d*", metric):
        raise unknown("metric", metric, METRICS)
    if request.better is not None and (metric is None or ":" not in metric):
        raise ThermoError(
            "--better is for a metric of your own: the named ones know which way is better"
        )
    if request.rfe_only:
        for option in ("metric", "max_drop", "keep"):
            if getattr(request, option) is not None:
                raise ThermoError(
                    f"--rfe-only measures no score, and --{option.replace('_', '-')} needs one: "
                    "drop one of the two"
                )


def _check_fit(request: Request, model: Reference, data: Reference) -> None:
    """Options that say nothing about this kind of model or data are mistakes."""
    if request.weights is not None:
        if model.kind != "torchvision":
            raise ThermoError(
                "--weights is for networks of torchvision: a Python object brings its own, and "
                "a Hugging Face folder holds them"
            )
        named = re.fullmatch(r"[A-Z][A-Z0-9_]*", request.weights) is not None
        if not named and not Path(request.weights).is_file():
            raise ThermoError(
                f"there is no file {request.weights}: give a state dict, or the name of weights "
                "such as IMAGENET1K_V1"
            )
    if request.size is not None and data.kind in ("object", "table"):
        raise ThermoError("--size is for images")
    if data.kind not in ("saved", "datasets"):
        for option in ("split", "config"):
            if getattr(request, option) is not None:
                raise ThermoError(f"--{option} is for data sets of the datasets library")
    if data.kind == "table" and model.kind != "transformers" and request.tokenizer is None:
        raise ThermoError(
            f"{request.data} holds texts, which {request.model} cannot read without a tokenizer: "
            "name its folder with --tokenizer, or give batches as FILE.py:NAME"
        )
    if data.kind == "table" and model.kind == "torchvision":
        raise ThermoError(f"{request.model} is a network for images and {request.data} holds texts")


def _check_images(folder: Path) -> None:
    try:
        classes = [entry for entry in sorted(folder.iterdir()) if entry.is_dir()]
        loose = [entry.name for entry in folder.iterdir() if entry.suffix.lower() in IMAGES]
    except OSError as error:
        raise ThermoError(f"{folder} cannot be read: {error.strerror}") from error
    if not classes:
        held = f"{len(loose)} images that are in no class" if loose else "neither"
        raise ThermoError(
            f"{folder} must hold a folder of images for each class, or what the datasets library "
            f"has saved; it holds {held}"
        )


def _check_output(request: Request) -> None:
    folder = request.output
    if folder.exists() and not folder.is_dir():
        raise ThermoError(f"{folder} is a file: name a folder with -o")
    _check_writable(folder, "name another with -o")
    try:
        held = {entry.name for entry in folder.iterdir()} if folder.exists() else set()
    except OSError as error:
        raise ThermoError(
            f"{folder} cannot be read: {error.strerror}; name another with -o"
        ) from None
    there = [name for name in PRODUCTS if name in held]
    if there and CHECKPOINT not in held and not request.force:
        raise ThermoError(
            f"{folder} holds {there[0]} already: replace what is there with --force, or name "
            "another folder with -o"
        )


def _check_keep(request: Request) -> None:
    file = request.keep
    assert file is not None
    if file.is_dir():
        raise ThermoError(f"{file} is a folder: name a file with --keep")
    _check_writable(file.parent, "name another file with --keep")
    if file.suffix == ".json":
        raise ThermoError(
            f"{file} would hold a network, and its threshold goes into a .json file beside it: "
            "name a file such as pruned.pt with --keep"
        )
    for target in (file, file.with_suffix(".json")):
        if target.exists() and not request.force:
            raise ThermoError(f"{target} exists: replace it with --force, or name another file")


def _check_writable(folder: Path, fix: str) -> None:
    """Refuse a folder into which nothing can be written, or that cannot be made."""
    place = Path(folder).absolute()
    while not place.exists():
        place = place.parent
    if not place.is_dir():
        raise ThermoError(f"{folder} lies below {place}, which is a file: {fix}")
    if not os.access(place, os.W_OK | os.X_OK):
        raise ThermoError(f"{place} is not writable: {fix}")
