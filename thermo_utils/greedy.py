"""Thresholds per layer where they cost least in the network's outputs, as in TEAL.

J. Liu, P. Ponnusamy, T. Cai, H. Guo, Y. Kim and B. Athiwaratkun, "Training-Free Activation Sparsity
in Large Language Models", 2024, arXiv:2408.14690, Algorithm 1: raise the sparsity of one layer at a
time, the one whose rise changes the outputs least, until the sparsity asked for is reached.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from torch import Tensor, nn
from tqdm import tqdm

from thermo_utils.allotment import TOLERANCE, Allotment, Ladder, check_beta, out_of_reach
from thermo_utils.batches import several_times, unpack
from thermo_utils.devices import device_of, keep_on_device
from thermo_utils.errors import NotFiniteError, ThermoError
from thermo_utils.hits import no_data
from thermo_utils.hooks import ActivationPruner
from thermo_utils.layers import LayerSpec, items_of, resolve_layers
from thermo_utils.layerwise import LayerSpectra
from thermo_utils.running import evaluating, forward, gradients_if_needed
from thermo_utils.structures import real_positions
from thermo_utils.targets import tensor_of

__all__ = ["STEP", "allot_greedily", "site_taus"]

#: Share of all activations that a step removes.
STEP = 0.05


class _Candidate(NamedTuple):
    """A layer's next rung."""

    row: int
    rung: int
    gain: int  # activations that it removes in addition


@gradients_if_needed
def allot_greedily(
    model: nn.Module,
    data: Iterable[Any],
    spectra: LayerSpectra,
    beta: float,
    *,
    layers: LayerSpec | None = None,
    step: float = STEP,
    tolerance: float = TOLERANCE,
    progress: bool = True,
) -> Allotment:
    """Thresholds per layer for a sparsity of all layers together, where they cost least.

    Parameters
    ----------
    model : Module
        The network.
    data : iterable of batches
        A few for calibration, with or without targets, which are not looked at. They and the
        unpruned outputs are kept in memory.
    spectra : LayerSpectra
        Of this network, as made by :func:`thermo_utils.layer_spectra`.
    beta : float
        Sparsity of all layers together, between 0 and 1.
    layers : str, type or iterable of these, optional
        What `spectra` were asked for; by default its layers by name. To be given where some are
        calls of functions.
    step : float, default `STEP`, 0.05
        Share of all activations that each step removes. A layer's own sparsity rises by as much
        more as it is smaller, so that all steps remove equally many.
    tolerance : float, default `TOLERANCE`, 0.005
        How far the sparsity may lie from `beta`.
    progress : bool, default True
        Show a progress bar.

    Returns
    -------
    Allotment
        Its ``steps`` hold the error at each.

    Raises
    ------
    ThermoError
        As :func:`thermo_utils.allot`; if `step` is not between 0 and 1, there is no data, or the
        model returns no floating-point tensor or nothing but zeros.

    Notes
    -----
    The error is the relative L2 distance of the network's outputs (``logits``, or the first
    floating-point tensor) to the unpruned ones; padding that ``attention_mask`` marks does not
    count. The layer is chosen whose step adds least to it per activation removed: with equal steps
    that is Algorithm 1, which does not say what happens to a layer with less left than a step. Here
    it may lose the rest.

    The cost is at most layers times ``beta / step`` passes over the calibration batches. A layer is
    given up in the middle of a pass when it cannot be the best any more, for its error can only
    grow. That changes nothing, and saves the more passes the more layers differ.

    Examples
    --------
    >>> import torch
    >>> from thermo_utils import layer_spectra
    >>> _ = torch.manual_seed(0)
    >>> net = nn.Sequential(nn.Linear(9, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU())
    >>> data = [torch.randn(100, 9)]
    >>> spectra = layer_spectra(net, data, nn.ReLU, progress=False)
    >>> found = allot_greedily(net, data, spectra, 0.4, step=0.1, progress=False)
    >>> len(found.steps), round(found.beta, 2)
    (4, 0.4)
    """
    check_beta(beta)
    if not 0 < step < 1:
        raise ThermoError(f"step must be between 0 and 1 (a share, not percent), got {step}")
    ladder = Ladder(spectra)
    outputs = _Outputs(model, list(several_times(data)), items_of(layers or ladder.layers))
    whole = int(ladder.total.sum())
    rungs = np.zeros(len(ladder.layers), np.intp)
    error, passes = 0.0, 0.0
    order = list(range(len(ladder.layers)))
    rows: list[tuple[str, float, float, float]] = []
    total = math.ceil(beta / step - 1e-9) * len(order)
    bar = tqdm(total=total, desc="greedy", unit="layer", disable=not progress)
    enough = max(min(step / 50, tolerance) * whole, 0.5)  # no step for the sake of a few
    with bar, evaluating(model):
        outputs.keep()
        while (missing := beta * whole - ladder.beta(rungs) * whole) > enough:
            room = missing + tolerance * whole
            candidates = {
                row: rung
                for row in order
                if (rung := _next(ladder, row, rungs[row], min(step * whole, missing), room))
            }
            if not candidates:
                break
            scored: dict[int, tuple[float, float]] = {}  # rise per activation, error
            for row, candidate in candidates.items():
                least = min((rise for rise, _ in scored.values()), default=math.inf)
                taus = ladder.taus[np.where(np.arange(len(rungs)) == row, candidate.rung, rungs)]
                reached, part = outputs.error(
                    dict(zip(ladder.layers, taus.tolist(), strict=True)),
                    error + least * candidate.gain,
                )
                passes += part
                scored[row] = (reached - error) / candidate.gain, reached
                bar.update()
            # The best first, so that the bound is low from the start of the next step on.
            order.sort(key=lambda row: (scored[row][0] if row in scored else math.inf, row))
            best = candidates[min(scored, key=lambda row: (scored[row][0], row))]
            rungs[best.row], error = best.rung, scored[best.row][1]
            if not math.isfinite(error):
                raise NotFiniteError(
                    f"at a sparsity of {ladder.beta(rungs):.3g} the outputs are NaN or infinite "
                    "whichever layer is pruned: ask for a smaller beta"
                )
            rows.append((ladder.layers[best.row], ladder.beta(rungs), error, passes))
    if abs(ladder.beta(rungs) - beta) > tolerance:
        raise out_of_reach("greedy", beta, [ladder.beta(rungs)], tolerance)
    steps = pd.DataFrame(rows, columns=["layer", "beta", "error", "passes"])
    return ladder.allotment("greedy", rungs, steps)


def site_taus(model: nn.Module, layers: LayerSpec, taus: Mapping[str, float]) -> dict[str, float]:
    """Thresholds for every site that a specification means, 0 for those that never ran.

    Parameters
    ----------
    model, layers
        As for :class:`thermo_utils.ActivationPruner`.
    taus : mapping of str to float
        Thresholds of those that did.

    Returns
    -------
    dict of str to float
    """
    return {**dict.fromkeys(resolve_layers(model, layers), 0.0), **taus}


def _next(ladder: Ladder, row: int, rung: int, want: float, room: float) -> _Candidate | None:
    """The rung that removes nearest to so many activations more, None if each removes too many."""
    removed = ladder.removed[row]
    gains = removed[rung:] - removed[rung]
    more = np.flatnonzero(gains > 0)
    if not more.size:
        return None
    near = more[np.argmin(np.abs(gains[more] - want))]
    gain = int(gains[near])
    if gain > room:
        return None
    return _Candidate(row, rung + int(np.searchsorted(gains, gain)), gain)


class _Outputs:
    """The outputs of the unpruned network, and how far pruning takes them away."""

    def __init__(self, model: nn.Module, batches: list[Any], layers: LayerSpec) -> None:
        if not batches:
            raise no_data()
        self._model = model
        self._layers = layers
        self._batches = keep_on_device(batches, device_of(model))
        self._count = len(batches)
        self._unpruned: list[Tensor] = []
        self._norm = 0.0

    def keep(self) -> None:
        """Run the unpruned network."""
        for batch in self._batches:
            output = self._output(batch)
            self._unpruned.append(output.clone())
            self._norm += float(output.double().square().sum())
        if not math.isfinite(self._norm):
            raise NotFiniteError("the unpruned network puts out NaN or infinity")
        if self._norm == 0:
            raise ThermoError(
                "the unpruned network puts out nothing but zeros, from which no distance can be "
                "taken: check the calibration batches"
            )

    def error(self, taus: Mapping[str, float], bound: float) -> tuple[float, float]:
        """Relative distance of the pruned outputs, and the part of a pass that it took.

        It may stop where the distance exceeds a bound, and then is infinite.
        """
        most = bound * abs(bound) * self._norm * (1 + 1e-9)  # below zero nothing is small enough
        taus = site_taus(self._model, self._layers, taus)
        distance = 0.0
        try:
            with ActivationPruner(self._model, self._layers, taus, totals=False, check=False):
                for number, batch in enumerate(self._batches):
                    change = self._output(batch).double() - self._unpruned[number].double()
                    distance += float(change.square().sum())
                    if not distance <= most:  # NaN is beyond any bound
                        return math.inf, (number + 1) / self._count
        except NotFiniteError:
            return math.inf, 1.0
        return math.sqrt(distance / self._norm), 1.0

    def _output(self, batch: Any) -> Tensor:
        inputs, targets = unpack(batch)
        output = forward(self._model, inputs, targets)
        found = tensor_of(output)
        if found is None:
            raise ThermoError(
                f"the model returned {type(output).__name__}, in which there is no floating-point "
                "tensor to compare: return a tensor, a tuple that starts with one, or 'logits'"
            )
        mask = inputs.get("attention_mask") if isinstance(inputs, Mapping) else None
        return real_positions(
            found.detach(), mask if isinstance(mask, Tensor) and mask.ndim == 2 else None
        )
