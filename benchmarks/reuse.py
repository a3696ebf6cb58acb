"""What is timed of one threshold: its pass as a whole, and from the first pruned activation on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from torch import nn

from thermo_utils import evaluate
from thermo_utils.hooks import ActivationPruner
from thermo_utils.prefix import FEWEST, Prefix
from thermo_utils.running import evaluating

__all__ = ["Reuse"]


class Reuse:
    """The tasks.

    Parameters
    ----------
    model : Module
        In eval mode. It is run at once, to keep what comes before the first pruned activation.
    data : sequence
        Batches.
    layers : sequence of str
        Where activations are pruned.
    tau : float
        Threshold.

    Attributes
    ----------
    tasks : dict of str to callable
        ``whole`` and ``reused``.
    kept : dict
        ``share`` of the batches, ``bytes`` and ``why_not``, as of a full evaluation.
    """

    def __init__(self, model: nn.Module, data: Sequence[Any], layers: Any, tau: float) -> None:
        self._model, self._layers, self._tau = model, layers, tau
        prefix = Prefix(model, layers)
        pruner = ActivationPruner(model, layers, 0.0)
        with pruner, prefix.recording(lambda: pruner.shown):
            evaluate(model, prefix.of(data))
        with evaluating(model):
            prefix.prove(FEWEST)
        self.tasks: dict[str, Callable[[], Any]] = {
            "whole": lambda: self._pass(data, nullcontext()),
            "reused": lambda: self._pass(prefix.of(data), prefix.replaying()),
        }
        self.kept = prefix.account

    def _pass(self, data: Iterable[Any], again: AbstractContextManager[None]) -> None:
        with ActivationPruner(self._model, self._layers, self._tau, totals=False), again:
            evaluate(self._model, data)
