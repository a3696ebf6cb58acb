"""The steps of an analysis: look, count, prune, judge, keep."""

from __future__ import annotations

import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from companion.analysis.batches import Prepared, first_batch
from companion.analysis.failures import called, in_one_line
from companion.analysis.kept import rehearse
from companion.analysis.models import Loaded
from companion.analysis.references import load_object
from companion.analysis.report import is_share
from companion.analysis.request import CHECKPOINT, Request
from thermo_utils.accuracy import MAX_DROP, score_threshold
from thermo_utils.activations import default_layers
from thermo_utils.by_class import ClassCosts, cost_by_class
from thermo_utils.curves import Threshold
from thermo_utils.errors import ThermoError
from thermo_utils.evaluation import full_evaluation, observe
from thermo_utils.grids import automatic_step, grids
from thermo_utils.layers import resolve_layers
from thermo_utils.layerwise import LayerSpectra, layer_spectra
from thermo_utils.metrics import Metric, resolve
from thermo_utils.search import SafeThreshold, find_safe_threshold
from thermo_utils.sweep_log import OtherSweepError
from thermo_utils.transitions import critical_threshold

__all__ = ["Bound", "Measured", "measure"]

#: What a network is judged by unless told otherwise, by what it answers.
DEFAULT_METRICS = {"next token": "perplexity", "values": "mse", "pixels": "mean_iou"}
#: How much worse a score may get, as a share of it, where it has no unit of its own.
RELATIVE_DROP = 0.01


@dataclass(frozen=True)
class Bound:
    """How much worse the score may get."""

    max_drop: float
    relative: bool


@dataclass
class Measured:
    """What an analysis has found out, all that its report shows.

    Attributes
    ----------
    layers : DataFrame
        A row per site: ``layer``, ``kind``, ``shape`` (of one example), and the columns of
        :attr:`thermo_utils.layerwise.LayerSpectra.table`.
    spectra : LayerSpectra
        The renormalized curve, of all layers and of each.
    full : DataFrame or None
        The full evaluation.
    grid : dict
        ``step``, ``last``, ``automatic``, and the numbers of thresholds.
    thresholds : dict of str to Threshold or None
        By method; None where the curve has none on this grid.
    classes : ClassCosts or None
        What pruning costs each class, where accuracy was measured.
    safe : SafeThreshold or None
    unsafe : str
        Why there is none.
    warnings : list of str
    seconds : float
    """

    layers: pd.DataFrame
    spectra: LayerSpectra
    full: pd.DataFrame | None
    metric: Metric | None
    bound: Bound | None
    grid: dict[str, Any]
    thresholds: dict[str, Threshold | None]
    classes: ClassCosts | None = None
    safe: SafeThreshold | None = None
    unsafe: str = ""
    warnings: list[str] = field(default_factory=list)
    seconds: float = 0.0
    device: str = "cpu"

    @property
    def renormalized(self) -> pd.DataFrame:
        return self.spectra.together


def measure(loaded: Loaded, prepared: Prepared, request: Request) -> Measured:
    """All passes of an analysis.

    Parameters
    ----------
    loaded : Loaded
    prepared : Prepared
    request : Request

    Returns
    -------
    Measured

    Raises
    ------
    ThermoError
        If layers, metric or data do not fit the network, or it fails: then in one line.
    """
    started = time.perf_counter()
    network, batches, progress = loaded.network, prepared.batches, not request.quiet
    metric = None if request.rfe_only else _metric(request, loaded)
    bound = None if metric is None else _bound(request, metric)
    notes = [*loaded.notes, *prepared.notes]
    first = first_batch(batches, request.data)
    with in_one_line(f"{request.model} on a batch of {request.data}"), _noted(notes):
        layers = list(request.layers) if request.layers else default_layers(network, first)
        sites = _sites(network, first, layers)
        if request.keep is not None:
            _check_keep(network, sites)
        _say(request, f"pruning {len(sites)} layers: {', '.join(list(sites)[:4])} ...")
        automatic = request.tau_step is None or request.tau_max is None
        if request.tau_step is None or request.tau_max is None:
            step, last = automatic_step(network, batches, layers)
        else:
            step, last = request.tau_step, request.tau_max
        coarse, fine = grids(step, last)
        spectra = layer_spectra(network, batches, layers, fine, progress=progress)
        out = _out_of_reach(spectra.together, coarse)
        if out is not None:
            step_hint, last_hint = automatic_step(network, batches, layers)
            notes.append(f"{out} --tau-step {step_hint:g} --tau-max {last_hint:.3g} would suit.")
            _say(request, notes[-1])
        full = safe = None
        unsafe = ""
        if metric is not None:
            assert bound is not None
            full = _full(loaded, prepared, layers, coarse, metric, request)
            notes += full.attrs["warnings"]
            safe, unsafe = _safe(loaded, prepared, layers, metric, bound, request)
            notes += safe.warnings if safe else ()
    table = spectra.table.assign(
        kind=[sites.get(name, ("", ""))[0] for name in spectra.table["layer"]],
        shape=[sites.get(name, ("", ""))[1] for name in spectra.table["layer"]],
    )
    parameter = next(network.parameters(), None)
    return Measured(
        layers=table,
        spectra=spectra,
        full=full,
        metric=metric,
        bound=bound,
        grid={
            "step": step, "last": last, "automatic": automatic,
            "full": 0 if full is None else len(coarse), "renormalized": len(fine),
        },
        thresholds=_thresholds(spectra.together, full, metric, bound),
        classes=_costs(full, {**(loaded.classes or {}), **prepared.meaning}, bound),
        safe=safe,
        unsafe=unsafe,
        warnings=[text for text in dict.fromkeys(notes) if text not in unsafe],
        seconds=time.perf_counter() - started,
        device="cpu" if parameter is None else str(parameter.device),
    )  # fmt: skip


def _metric(request: Request, loaded: Loaded) -> Metric:
    asked: Any = request.metric or DEFAULT_METRICS.get(loaded.task or "", "accuracy")
    if ":" in asked:
        asked = load_object(asked)
        if isinstance(asked, type):
            asked = called(asked, str(request.metric))
    better = None if request.better is None else request.better == "higher"
    try:
        return resolve(asked, better)
    except ThermoError as error:
        text = str(error).replace("higher_is_better=True or False", "--better higher or lower")
        raise ThermoError(f"{request.metric}: {text}") from error


def _bound(request: Request, metric: Metric) -> Bound:
    share = is_share(metric.name)
    drop = request.max_drop
    if drop is None:
        return Bound(MAX_DROP, request.relative) if share else Bound(RELATIVE_DROP, True)
    if share and drop > 1:
        raise ThermoError(f"--max-drop of {metric.name} is a share, not percent, got {drop:g}")
    return Bound(drop, request.relative)


def _sites(network: nn.Module, batch: Any, layers: list[str]) -> dict[str, tuple[str, str]]:
    """Kind and shape (of one example) of every site that runs."""
    shapes: dict[str, str] = {}

    def see(name: str, tensor: torch.Tensor) -> None:
        shapes.setdefault(name, " x ".join(map(str, tensor.shape[1:])) or "1")

    names = observe(network, [batch], layers, see, progress=False).layers
    modules = resolve_layers(network, layers) if not _calls_alone(layers) else {}
    return {name: (_kind(name, modules), shapes[name]) for name in names}


def _calls_alone(layers: list[str]) -> bool:
    return all(_is_call(layer) for layer in layers)


def _is_call(name: str) -> bool:
    return name.rpartition("#")[0].endswith("()") or name.endswith("()")


def _kind(name: str, modules: Mapping[str, nn.Module]) -> str:
    if _is_call(name):
        return name.partition("#")[0].rpartition(".")[2]
    kind = type(modules[name]).__name__ if name in modules else ""
    return f"input of {kind}" if name.endswith(":input") else kind


def _check_keep(network: nn.Module, sites: Mapping[str, Any]) -> None:
    calls = [name for name in sites if _is_call(name)]
    if calls:
        raise ThermoError(
            f"{calls[0]} is the call of a function, which no module can take the place of, so it "
            "cannot be kept: leave --keep out, or name modules with --layers"
        )
    rehearse(network, list(sites))


def _out_of_reach(curve: pd.DataFrame, coarse: np.ndarray) -> str | None:
    """Whether a grid misses all activations."""
    within = curve[curve["tau"].between(coarse[0], coarse[-1])]
    if within["active"].iloc[0] == 0:
        return (
            f"The grid lies beyond every activation: none is {coarse[0]:g} or more in size, and "
            "beta = 1 everywhere."
        )
    if within["beta"].iloc[-1] == 0:
        return (
            f"The grid lies below every activation: all are {coarse[-1]:g} or more in size, and "
            "beta = 0 everywhere."
        )
    return None


def _full(
    loaded: Loaded,
    prepared: Prepared,
    layers: list[str],
    coarse: np.ndarray,
    metric: Metric,
    request: Request,
) -> pd.DataFrame:
    """The full evaluation, which goes on where it was interrupted."""
    checkpoint = request.output / CHECKPOINT

    def sweep() -> pd.DataFrame:
        return full_evaluation(
            loaded.network, prepared.batches, layers, coarse,
            metric=metric, checkpoint=checkpoint, progress=not request.quiet,
            per_class=_by_class(metric, loaded),
        )  # fmt: skip

    try:
        return sweep()
    except OtherSweepError as error:
        if request.force:
            checkpoint.unlink()
            return sweep()
        raise ThermoError(
            f"{request.output} holds an evaluation that was interrupted, and it is not of this "
            f"({_difference(error)}): repeat the command it was begun with, start anew with "
            "--force, or name another folder with -o"
        ) from error


def _by_class(metric: Metric, loaded: Loaded) -> bool:
    """Whether the classes are worth a look: the tokens of a language are no classes."""
    return metric.name == "accuracy" and loaded.task != "next token"


def _costs(
    full: pd.DataFrame | None, names: Mapping[int, str], bound: Bound | None
) -> ClassCosts | None:
    """What pruning costs each class, None where this was not counted."""
    if full is None or bound is None or "per_class" not in full.attrs:
        return None
    examples = full.attrs["per_class"]["examples"]
    if sum(count > 0 for count in examples) < 2:
        return None
    known = [names.get(number, str(number)) for number in range(len(examples))]
    twice = {name for name, times in Counter(known).items() if times > 1}
    unique = [f"{name} ({n})" if name in twice else name for n, name in enumerate(known)]
    drop = bound.max_drop * (full.attrs["baseline"] if bound.relative else 1.0)
    try:
        return cost_by_class(full, unique, max_drop=drop)
    except ThermoError:  # pruning makes NaN at every threshold, which is said elsewhere
        return None


def _difference(error: OtherSweepError) -> str:
    inside = str(error).partition("(")[2].rpartition("):")[0]
    return inside if len(inside) < 200 else f"{inside[:200]}..."


def _safe(
    loaded: Loaded,
    prepared: Prepared,
    layers: list[str],
    metric: Metric,
    bound: Bound,
    request: Request,
) -> tuple[SafeThreshold | None, str]:
    """The safe threshold, or why there is none: of a network that knows nothing there is not."""
    try:
        return find_safe_threshold(
            loaded.network, prepared.batches, layers,
            metric=metric, max_drop=bound.max_drop, relative=bound.relative,
            progress=not request.quiet,
        ), ""  # fmt: skip
    except ThermoError as error:
        return None, str(error)


def _thresholds(
    renormalized: pd.DataFrame,
    full: pd.DataFrame | None,
    metric: Metric | None,
    bound: Bound | None,
) -> dict[str, Threshold | None]:
    found = {"renormalized": critical_threshold(renormalized)}
    if full is None or metric is None or bound is None:
        return found
    found["full"] = critical_threshold(full)
    found[metric.name] = score_threshold(full, bound.max_drop, relative=bound.relative)
    return found


def _say(request: Request, text: str) -> None:
    if not request.quiet:
        print(text, file=sys.stderr)


@contextmanager
def _noted(notes: list[str]) -> Iterator[None]:
    """Take warnings of this project into the report; those of others are shown as ever."""
    own = tuple(str(Path(__file__).parents[2] / name) for name in ("thermo_utils", "companion"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        yield
    for warning in caught:
        if warning.category is UserWarning and warning.filename.startswith(own):
            notes.append(str(warning.message))
        else:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
