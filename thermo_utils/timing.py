"""What pruning buys in time: the pruned network beside the dense one, on the clock."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from thermo_utils.batches import unpack
from thermo_utils.clock import interleaved
from thermo_utils.devices import device_of
from thermo_utils.errors import ThermoError
from thermo_utils.hooks import ActivationPruner
from thermo_utils.kept import prune, unprune
from thermo_utils.layers import LayerSpec, items_of
from thermo_utils.running import evaluating, forward, gradients_if_needed, plain_kernels

__all__ = ["NOTE", "benchmark"]

#: What has to be known of every such measurement.
NOTE = (
    "dense kernels multiply zeros like any other number, so zeros save no time here, and comparing "
    "with the threshold takes some; see thermo_utils.SkippingLinear for a kernel that skips them"
)


@gradients_if_needed
def benchmark(
    model: nn.Module,
    data: Iterable[Any],
    layers: LayerSpec,
    taus: Sequence[float],
    *,
    batches: int = 4,
    repetitions: int = 15,
    inclusive: bool = True,
    progress: bool = True,
) -> pd.DataFrame:
    """Wall time per batch of a pruned network, beside that of the dense one.

    The pruned network is that of :func:`thermo_utils.prune`: plain modules, no hooks, nothing
    counted. Dense kernels multiply zeros like any other number, so expect a ratio of a little more
    than one at every sparsity: activation pruning alone makes no network faster. What does is a
    kernel that skips zeros, such as :class:`thermo_utils.SkippingLinear`.

    Parameters
    ----------
    model : Module
        The network, on the device that is to be measured. It is as it was afterwards.
    data, layers, inclusive
        As for :func:`thermo_utils.full_evaluation` and :func:`thermo_utils.prune`; targets are not
        looked at.
    taus : sequence of float
        Thresholds, in units of the activations.
    batches : int, default 4
        That a time is the mean over, the first of `data`.
    repetitions : int, default 15
        Rounds. Each measures the dense and every pruned network once, in turn, and a ratio is
        formed within a round, so that a busy minute of the machine meets both sides of it.
    progress : bool, default True
        Show a progress bar.

    Returns
    -------
    DataFrame
        A row per threshold: ``tau``, ``beta`` (sparsity in the pruned network, on these batches),
        ``dense`` and ``pruned`` (seconds per batch, medians over the rounds), ``dense_spread`` and
        ``pruned_spread`` (their interquartile ranges), ``ratio`` (pruned by dense within a round,
        median: above one is slower), ``low`` and ``high`` (its quartiles), ``threads`` (of PyTorch
        on the CPU). ``attrs`` has ``device``, ``batches``, ``repetitions``, ``layers`` and
        ``note``, which says the above.

    Raises
    ------
    ThermoError
        If there are no thresholds or no data, a number is below one, or as
        :func:`thermo_utils.prune`.

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(8, 8), nn.ReLU())
    >>> found = benchmark(net, [torch.ones(2, 8)], nn.ReLU, [0.5], repetitions=3, progress=False)
    >>> list(found), bool(found["ratio"][0] > 0)  # doctest: +NORMALIZE_WHITESPACE
    (['tau', 'beta', 'dense', 'dense_spread', 'pruned', 'pruned_spread', 'ratio', 'low', 'high',
      'threads'], True)
    """
    layers = items_of(layers)
    thresholds = [float(tau) for tau in np.atleast_1d(np.asarray(taus, dtype=np.float64))]
    for name, number in (
        ("taus", len(thresholds)), ("batches", batches), ("repetitions", repetitions),
    ):  # fmt: skip
        if number < 1:
            raise ThermoError(f"{name}: one or more are needed, got {number}")
    inputs = [unpack(batch)[0] for batch in itertools.islice(data, batches)]
    if not inputs:
        raise ThermoError("there is no data: the iterable yielded no batch")
    run = partial(_run, model, inputs, _waits(model))
    names = {f"tau {number}": tau for number, tau in enumerate(thresholds)}

    @contextmanager
    def pruned(name: str) -> Iterator[None]:
        if name in names:
            prune(model, layers, names[name], inclusive=inclusive)
        try:
            yield
        finally:
            if name in names:
                unprune(model)

    with evaluating(model):
        for name in ("dense", *names):  # the first run is slower
            with pruned(name):
                run()
        counts = []
        for tau in thresholds:
            with (
                plain_kernels(),
                ActivationPruner(model, layers, tau, inclusive=inclusive) as counted,
            ):
                run()
            counts.append(counted)
        times = interleaved(
            dict.fromkeys(("dense", *names), run), repetitions, around=pruned, progress=progress
        )
    seconds = {name: np.array(values) / len(inputs) for name, values in times.items()}
    rows = []
    for (name, tau), counted in zip(names.items(), counts, strict=True):
        low, middle, high = np.quantile(seconds[name] / seconds["dense"], [0.25, 0.5, 0.75])
        rows.append(
            {
                "tau": tau,
                "beta": 1 - counted.active / counted.total if counted.total else np.nan,
                **_summary("dense", seconds["dense"]), **_summary("pruned", seconds[name]),
                "ratio": middle, "low": low, "high": high, "threads": torch.get_num_threads(),
            }
        )  # fmt: skip
    found = pd.DataFrame(rows)
    found.attrs = {
        "device": str(device_of(model) or "cpu"), "batches": len(inputs),
        "repetitions": repetitions, "layers": [*counts[0].layers], "note": NOTE,
    }  # fmt: skip
    return found


def _summary(name: str, seconds: Any) -> dict[str, float]:
    low, middle, high = np.quantile(seconds, [0.25, 0.5, 0.75])
    return {name: float(middle), f"{name}_spread": float(high - low)}


def _run(model: nn.Module, inputs: Sequence[Any], wait: Callable[[], None]) -> None:
    for given in inputs:
        forward(model, given)
    wait()


def _waits(model: nn.Module) -> Callable[[], None]:
    """What waits until a model's device has done its work."""
    device = device_of(model)
    if device is None or device.type == "cpu":
        return lambda: None
    module = torch.get_device_module(device)
    return lambda: module.synchronize(device)
