"""Thresholds per layer against one for all, at the same sparsity, by what they cost.

::

    table = compare_allotments(model, batches, nn.ReLU, beta=[0.3, 0.5])
    table                              # a row per sparsity and method
    table.attrs["allotments"][0.5]["greedy"].taus    # {layer: tau}
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from torch import nn
from tqdm import tqdm

from thermo_utils.allotment import METHODS, TOLERANCE, Allotment, Ladder, allot, check_beta
from thermo_utils.batches import several_times
from thermo_utils.devices import device_of, keep_on_device
from thermo_utils.errors import NotFiniteError, unknown
from thermo_utils.evaluation import doubt, finite, score
from thermo_utils.greedy import STEP, allot_greedily, site_taus
from thermo_utils.hooks import ActivationPruner
from thermo_utils.layers import LayerSpec, items_of
from thermo_utils.layerwise import LayerSpectra, layer_spectra
from thermo_utils.metrics import Metric, resolve
from thermo_utils.running import evaluating, gradients_if_needed

__all__ = ["compare_allotments"]

#: Batches that the greedy method takes for its errors where none are given.
CALIBRATION = 4


@gradients_if_needed
def compare_allotments(
    model: nn.Module,
    data: Iterable[Any],
    layers: LayerSpec,
    beta: float | Sequence[float],
    *,
    methods: Sequence[str] = (*METHODS, "greedy"),
    metric: Any = "accuracy",
    higher_is_better: bool | None = None,
    calibration: Iterable[Any] | None = None,
    mask: str | None = None,
    step: float = STEP,
    tolerance: float = TOLERANCE,
    progress: bool = True,
) -> pd.DataFrame:
    """Score of a network pruned to a sparsity in several ways.

    Parameters
    ----------
    model, data, layers, metric, higher_is_better, mask, progress
        As for :func:`thermo_utils.full_evaluation`.
    beta : float or sequence of float
        Sparsities of all layers together, between 0 and 1.
    methods : sequence of str
        Some of ``"one threshold"``, ``"equal sparsity"``, ``"equal share"`` (see
        :func:`thermo_utils.allot`) and ``"greedy"`` (see :func:`thermo_utils.allot_greedily`).
    calibration : iterable of batches, optional
        What thresholds are fitted on, so that `data` is only scored. By default they are fitted on
        the activations of `data`, ``"greedy"`` by the errors on its first four batches; targets are
        not looked at in either case.
    step, tolerance
        As for :func:`thermo_utils.allot_greedily`.

    Returns
    -------
    DataFrame
        A row for the unpruned network, then one per sparsity and method:

        * ``method``; ``target``: the sparsity asked for;
        * ``beta``: that of all layers together in the unpruned spectrum of `data`;
        * ``beta_measured``: that of the pruned network, where later layers see what is left of
          earlier ones: ``1 - M / N`` with the ``N`` of the unpruned network;
        * ``zeros``: share of all activations that are zero in the pruned network, exact zeros of
          the unpruned one included: what hardware would see;
        * the metric under its name, and ``drop``, how much worse it is than unpruned, in its units;
          missing where pruning makes NaN.

        ``attrs`` holds ``allotments`` (by `target` and `method`), ``layers``, ``metric``,
        ``baseline`` and ``warnings``.

    Raises
    ------
    ThermoError
        As :func:`thermo_utils.full_evaluation`, :func:`thermo_utils.allot` and
        :func:`thermo_utils.allot_greedily`.

    Notes
    -----
    One pass for the spectra, one for the unpruned score, one for each row; ``"greedy"`` takes many
    more, over the calibration batches alone.

    Examples
    --------
    >>> import torch
    >>> _ = torch.manual_seed(0)
    >>> net = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU())
    >>> x = torch.randn(64, 4)
    >>> table = compare_allotments(net, [(x, net(x).argmax(1))], nn.ReLU, 0.3, progress=False)
    >>> table[["method", "beta"]].round(2)
               method  beta
    0        unpruned   0.0
    1   one threshold   0.3
    2  equal sparsity   0.3
    3     equal share   0.3
    4          greedy   0.3
    """
    targets = [float(target) for target in np.atleast_1d(np.asarray(beta, np.float64))]
    for target in targets:
        check_beta(target)
    for method in methods:
        if method not in (*METHODS, "greedy"):
            raise unknown("method", method, (*METHODS, "greedy"))
    layers = items_of(layers)  # which may come from a generator
    judge = resolve(metric, higher_is_better)
    batches = keep_on_device(several_times(data), device_of(model))
    spectra = layer_spectra(model, batches, layers, mask=mask, progress=progress)
    if calibration is None:
        few: Iterable[Any] = list(itertools.islice(batches, CALIBRATION))
        fitted = spectra
    else:
        few = several_times(calibration)
        fitted = layer_spectra(model, few, layers, mask=mask, progress=progress)
    with evaluating(model):
        scorer = score(model, batches, judge)
    baseline = finite(scorer.value(), judge)
    notes = list(spectra.together.attrs["warnings"])
    if doubts := doubt(judge, baseline, scorer):
        notes.append(doubts)
        warnings.warn(doubts, stacklevel=3)

    size, zeros = int(spectra.table["size"].sum()), int(spectra.table["zeros"].sum())
    rows = [("unpruned", 0.0, 0.0, 0.0, zeros / size, baseline, 0.0)]
    allotments: dict[float, dict[str, Allotment]] = {target: {} for target in targets}
    cases = [(target, method) for target in targets for method in methods]
    for target, method in tqdm(cases, desc="allotments", disable=not progress):
        if method == "greedy":
            found = allot_greedily(
                model, few, fitted, target, layers=layers, step=step, tolerance=tolerance,
                progress=progress,
            )  # fmt: skip
        else:
            found = allot(fitted, target, method, tolerance=tolerance)
        allotments[target][method] = found
        value, active = _pruned(model, batches, layers, found, judge, mask)
        total = int(spectra.table["total"].sum())
        rows.append(
            (
                method,
                target,
                _beta(spectra, found),
                1 - active / total,
                1 - active / size,
                value,
                judge.drop(baseline, value),
            )
        )
    table = pd.DataFrame(
        rows, columns=["method", "target", "beta", "beta_measured", "zeros", judge.name, "drop"]
    )
    table.attrs = {
        "allotments": allotments,
        "layers": list(spectra.spectra),
        "metric": {"name": judge.name, "higher_is_better": judge.higher_is_better},
        "baseline": baseline,
        "warnings": notes,
    }
    return table


def _pruned(
    model: nn.Module,
    batches: Iterable[Any],
    layers: LayerSpec,
    found: Allotment,
    judge: Metric,
    mask: str | None,
) -> tuple[float, float]:
    """Score of the pruned network and what is left of its activations; nan where there is NaN."""
    taus = site_taus(model, layers, found.taus)
    try:
        pruner = ActivationPruner(model, layers, taus, totals=False, check=False, mask=mask)
        with evaluating(model), pruner:
            scorer = score(model, batches, judge)
        return scorer.value(), pruner.active
    except NotFiniteError:
        return math.nan, math.nan


def _beta(spectra: LayerSpectra, found: Allotment) -> float:
    """Sparsity in a spectrum at thresholds that may have been fitted to another."""
    ladder = Ladder(spectra)
    taus = np.array([found.taus.get(name, 0.0) for name in ladder.layers])
    return ladder.beta(np.searchsorted(ladder.taus, taus))
