"""From a request to a folder with a report."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shlex
from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd

from companion.analysis import charts
from companion.analysis.batches import prepare
from companion.analysis.examples import Examples, read_examples
from companion.analysis.kept import keep
from companion.analysis.models import load_model
from companion.analysis.references import Reference
from companion.analysis.report import About, Picture, page, summary_lines
from companion.analysis.request import CHECKPOINT, PRODUCTS, Request
from companion.analysis.steps import Measured, measure
from companion.interrupts import scratch_folder
from thermo_utils.errors import ThermoError
from thermo_utils.layer_figures import heat_map
from thermo_utils.saving import save_safe

__all__ = ["analyze", "command_line"]

#: Packages whose versions a report names, where they are installed.
PACKAGES = ("thermo-utils", "torch", "torchvision", "transformers", "datasets", "numpy")
#: Class numbers that are printed; the report has all.
SHOWN = 20
#: What is below the map of the layers.
HEAT = (
    "A row per layer, over the sparsity of this layer alone, and all layers together in the last. "
    "Colour: the free energy, from each row's lowest to its highest. Dots: the first feature of "
    "each row."
)


def analyze(
    request: Request, model: Reference, data: Reference, examples: Examples | None
) -> list[str]:
    """Analyse a network and write the report.

    Parameters
    ----------
    request : Request
    model, data : Reference
        Of :func:`companion.analysis.request.check`.
    examples : Examples, optional
        Those that could be read without torch.

    Returns
    -------
    list of str
        What was found, in a few lines.

    Raises
    ------
    ThermoError
        If something does not fit. Nothing is written then but finished thresholds of the full
        evaluation, from which the same command goes on.
    """
    import torch

    torch.manual_seed(request.seed)
    if examples is None and data.kind != "object":
        examples = read_examples(data, request)
    loaded = load_model(
        model,
        weights=request.weights,
        classes=None if examples is None else examples.classes,
        device=request.device,
    )
    examples = examples or read_examples(data, request)
    prepared = prepare(examples, loaded, request)
    measured = measure(loaded, prepared, request)
    facts = {"network": loaded.title, "data": examples.title, **prepared.facts}
    about = About(
        request.model, request.data, _title(measured), facts, prepared.meaning,
        command_line(request), _versions(),
    )  # fmt: skip
    _write(measured, about, request)
    lines = summary_lines(measured)
    lines += [f"{name}: {value}" for name, value in prepared.facts.items()]
    lines += [
        f"label {number}: {name}" for number, name in sorted(prepared.meaning.items())[:SHOWN]
    ]
    lines.append(f"written to {request.output}: open {request.output / 'report.html'}")
    if request.keep is not None:
        lines.append(_kept(measured, loaded.network, request))
    return lines


def command_line(request: Request) -> str:
    """The command that makes a request.

    Parameters
    ----------
    request : Request

    Returns
    -------
    str

    Examples
    --------
    >>> command_line(Request("own.py:net", "own.py:data", limit=5, per_layer=True))
    'thermo analyze own.py:net own.py:data --per-layer --limit 5'
    """
    words = ["thermo", "analyze", request.model, request.data]
    for field in fields(request)[2:]:
        value: Any = getattr(request, field.name)
        if value == field.default or field.name in ("force", "quiet"):
            continue
        words.append(f"--{field.name.replace('_', '-')}")
        if isinstance(value, tuple):
            words += value
        elif value is not True:
            words.append(str(value))
    return shlex.join(words)


def _title(measured: Measured) -> str:
    count = len(measured.layers)
    passes = 1 + measured.grid["automatic"]
    if measured.full is not None:
        passes += measured.grid["full"] + 1
    if measured.safe is not None:
        passes += len(measured.safe.passes)
    return (
        f"{count} pruned {'layer' if count == 1 else 'layers'}, {passes} passes over the data in "
        f"{measured.seconds:,.0f} s"
    )


def _versions() -> str:
    named = []
    for package in PACKAGES:
        try:
            named.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return f"Python {platform.python_version()}, {', '.join(named)}; {platform.machine()}"


def _write(measured: Measured, about: About, request: Request) -> None:
    """Everything, in one step as far as there is one: the report comes last."""
    folder = request.output
    folder.mkdir(parents=True, exist_ok=True)
    with scratch_folder(str(folder)) as scratch:
        new = Path(scratch)
        _write_tables(measured, request, new)
        figure = charts.curves(measured, f"{request.model} on {request.data}")
        (new / "figure.png").write_bytes(charts.png(figure))
        heat = None
        if request.per_layer:
            layers = heat_map(measured.spectra)
            (new / "per_layer.png").write_bytes(charts.png(layers))
            heat = Picture(charts.svg(layers), "Free energy of each layer over its sparsity", HEAT)
        text = page(measured, about, Picture(charts.svg(figure), *_described(measured)), heat)
        (new / "report.html").write_text(text, encoding="utf-8")
        for name in reversed(PRODUCTS):  # the report is the first of them
            if (new / name).exists():
                os.replace(new / name, folder / name)
            else:  # of an earlier analysis
                (folder / name).unlink(missing_ok=True)
    (folder / CHECKPOINT).unlink(missing_ok=True)


def _write_tables(measured: Measured, request: Request, folder: Path) -> None:
    curves = {"renormalized": measured.renormalized}
    if measured.full is not None:
        curves["full"] = measured.full
    table = pd.concat([c.assign(method=m) for m, c in curves.items()], ignore_index=True)
    table.to_csv(folder / "curves.csv", index=False)
    measured.layers.to_csv(folder / "layers.csv", index=False)
    if request.per_layer:
        measured.spectra.curves.to_csv(folder / "per_layer.csv", index=False)
    if measured.classes is not None:
        measured.classes.curves.to_csv(folder / "per_class.csv", index=False)
    if measured.safe is not None:
        save_safe(measured.safe, folder / "safe.json")


def _described(measured: Measured) -> tuple[str, str]:
    """The figure in words, and the note below it."""
    if measured.full is None or measured.metric is None:
        return (
            "Free energy and its derivative, over threshold and over sparsity",
            "Pink: the renormalized free energy, from one unpruned pass. Dashed: the critical "
            "threshold.",
        )
    name = measured.metric.name.replace("_", " ")
    return (
        f"{name}, free energy and its derivative, over threshold and over sparsity",
        "Blue: the network pruned at each threshold (FE). Pink: the same from one unpruned pass "
        f"(RFE). Grey: {name}. Dashed: the thresholds below, in the colour of what they are read "
        "off.",
    )


def _kept(measured: Measured, network: Any, request: Request) -> str:
    assert request.keep is not None
    if measured.safe is None or not measured.safe.tau:
        raise ThermoError(
            f"nothing is kept, for no threshold is safe (see {request.output / 'report.html'}): "
            "allow more with --max-drop"
        )
    keep(network, list(measured.safe.layers), measured.safe, request.keep)
    return f"kept, pruned at tau = {measured.safe.tau:.6g}: {request.keep}"
