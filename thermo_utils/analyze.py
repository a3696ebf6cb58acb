"""Free energies of somebody's own model and data, from the command line."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
from torch import nn

from thermo_utils import figures
from thermo_utils.accuracy import accuracy_threshold
from thermo_utils.activations import default_layers
from thermo_utils.curves import Threshold
from thermo_utils.errors import ThermoError, nearest
from thermo_utils.evaluation import full_evaluation, renormalized
from thermo_utils.files import write_atomically
from thermo_utils.grids import automatic_step, grids, uniform_grid
from thermo_utils.layers import resolve_layers
from thermo_utils.transitions import critical_threshold

__all__ = ["analyze", "load_object"]


def analyze(
    model: str,
    data: str,
    output: str | Path,
    *,
    layers: list[str] | None = None,
    tau_step: float | None = None,
    tau_max: float | None = None,
    full: bool = True,
) -> str:
    """Compute the curves of a model and write them with a figure.

    Parameters
    ----------
    model, data : str
        ``FILE.py:NAME`` or ``MODULE:NAME``. The model is a module or a function that returns one;
        the data an iterable of batches, or a function that returns one.
    output : path
        Receives ``curves.csv`` and ``figure.png``.
    layers : list of str, optional
        Names and patterns to prune; see :func:`thermo_utils.search.default_layers`.
    tau_step, tau_max : float, optional
        Grid; chosen from the activations by default.
    full : bool, default True
        Also prune inside the network, one pass per threshold.

    Returns
    -------
    str
        A report of a few lines.

    Raises
    ------
    ThermoError
        If something is not found or does not fit; nothing is written then.
    """
    if (tau_step is None) != (tau_max is None):
        raise ThermoError("give both --tau-step and --tau-max, or neither for an automatic grid")
    if tau_step is not None and tau_max is not None:
        uniform_grid(tau_step, tau_max)  # refuses a grid that is none, before any work
    folder = Path(output)
    if folder.exists() and not folder.is_dir():
        raise ThermoError(f"{folder} is a file: name a folder with -o")
    network = load_object(model)
    if not isinstance(network, nn.Module) and callable(network):
        network = _made(network, model)
    if not isinstance(network, nn.Module):
        raise ThermoError(f"{model} is of type {type(network).__name__}, not a torch.nn.Module")
    batches = load_object(data)
    batches = _made(batches, data) if callable(batches) else batches
    if not hasattr(batches, "__iter__") and not hasattr(batches, "__getitem__"):
        raise ThermoError(f"{data} is of type {type(batches).__name__}, not an iterable of batches")
    chosen = default_layers(network) if layers is None else layers
    names = list(resolve_layers(network, chosen))
    try:
        if isinstance(batches, Iterator):
            batches = list(batches)
        curves = _curves(network, batches, chosen, tau_step, tau_max, full)
    except ThermoError:
        raise
    except Exception as error:  # whatever the model makes of the data
        raise ThermoError(
            f"{model} failed on a batch of {data}: {type(error).__name__}: {error}"
        ) from error
    thresholds: dict[str, Threshold | None] = {
        "renormalized": critical_threshold(curves["renormalized"])
    }
    if full:
        thresholds["full"] = critical_threshold(curves["full"])
        thresholds["accuracy"] = accuracy_threshold(curves["full"])

    folder.mkdir(parents=True, exist_ok=True)
    table = pd.concat([c.assign(method=m) for m, c in curves.items()], ignore_index=True)
    write_atomically(folder / "curves.csv", table.to_csv(index=False))
    if full:
        figure = figures.six_panels(
            curves["full"], curves["renormalized"], thresholds, title=f"{model} on {data}"
        )
        figure.savefig(folder / "figure.png", dpi=150)
    lines = [f"pruned: {', '.join(names)}"]
    for method, threshold in thresholds.items():
        found = (
            f"tau* = {threshold.tau:.4g}, beta* = {threshold.beta:.3f} ({threshold.kind})"
            if threshold
            else "no transition found on this grid"
        )
        if method == "accuracy" and threshold and np.isfinite(threshold.low):
            end = f"to {threshold.high:.4g}" if np.isfinite(threshold.high) else "and more"
            found += f", not told from {threshold.low:.4g} {end} (two standard errors)"
        lines.append(f"{method}: {found}")
    return "\n".join([*lines, f"written to {folder}"])


def _curves(
    network: nn.Module,
    batches: Any,
    layers: list[str],
    step: float | None,
    last: float | None,
    full: bool,
) -> dict[str, pd.DataFrame]:
    if step is None or last is None:
        step, last = automatic_step(network, batches, layers)
    coarse, fine = grids(step, last)
    curves = {"renormalized": renormalized(network, batches, layers, fine)}
    if full:
        curves["full"] = full_evaluation(network, batches, layers, coarse)
    return curves


def _made(maker: Callable[[], Any], reference: str) -> Any:
    try:
        return maker()
    except Exception as error:
        raise ThermoError(f"calling {reference} failed: {type(error).__name__}: {error}") from error


def load_object(reference: str) -> Any:
    """The object behind ``FILE.py:NAME`` or ``MODULE:NAME``.

    Parameters
    ----------
    reference : str
        Modules are also looked for in the current folder.

    Returns
    -------
    object

    Raises
    ------
    ThermoError
        If there is no such file, module or name, or it fails to import.

    Examples
    --------
    >>> load_object("torch.nn:ReLU")
    <class 'torch.nn.modules.activation.ReLU'>
    """
    place, _, name = reference.rpartition(":")
    if not place:
        raise ThermoError(f"{reference!r} names no object: write FILE.py:NAME or MODULE:NAME")
    if place.endswith(".py") and not Path(place).is_file():
        raise ThermoError(f"there is no file {place}")
    try:
        if place.endswith(".py"):
            module = _run_file(Path(place).absolute())
        else:
            sys.path.insert(0, str(Path.cwd()))
            module = importlib.import_module(place)
    except (Exception, SystemExit) as error:
        raise ThermoError(f"could not import {place}: {type(error).__name__}: {error}") from error
    if not hasattr(module, name):
        close = nearest(name, [n for n in vars(module) if not n.startswith("_")])
        hint = f": did you mean {' or '.join(map(repr, close))}?" if close else ""
        raise ThermoError(f"there is no {name!r} in {place}{hint}")
    return getattr(module, name)


@lru_cache
def _run_file(path: Path) -> ModuleType:
    """A file as a module, run once: the model and the data may come from the same file."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))  # its own imports
    sys.modules.setdefault(path.stem, module)  # where pickle looks up its classes
    spec.loader.exec_module(module)
    return module
