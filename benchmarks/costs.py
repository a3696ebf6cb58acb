"""What is timed of a network: a plain pass, a hook that only sums, RFE and FE."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from numpy.typing import NDArray
from torch import nn

from thermo_utils import evaluate, full_evaluation, renormalized
from thermo_utils.hooks import ActivationHooks

__all__ = ["Costs", "untrained"]


class Costs:
    """The tasks.

    Parameters
    ----------
    model : Module
    data : sequence
        Batches.
    layers : sequence of str
        Whose outputs are counted.
    taus : ndarray of float64, shape (K,)
        Thresholds of the renormalized pass.
    swept : int
        How many of them the full evaluation sweeps.

    Attributes
    ----------
    tasks : dict of str to callable
        ``plain``, ``summed``, ``renormalized`` and ``full``, every pass as a whole.
    activations : int
        That the hook saw, in a pass; 0 before it ran.
    """

    def __init__(
        self, model: nn.Module, data: Sequence[Any], layers: Any, taus: NDArray[Any], swept: int
    ) -> None:
        self.activations = 0
        arguments = model, data, layers
        self.tasks: dict[str, Callable[[], Any]] = {
            "plain": lambda: evaluate(model, data),
            "summed": lambda: self._sum(*arguments),
            "renormalized": lambda: renormalized(*arguments, taus, progress=False),
            "full": lambda: full_evaluation(*arguments, taus[:swept], reuse=False, progress=False),
        }

    def _sum(self, model: nn.Module, data: Sequence[Any], layers: Any) -> None:
        self.activations = 0
        with ActivationHooks(model, layers, self._add):
            evaluate(model, data)

    def _add(self, _: str, activations: torch.Tensor) -> None:
        self.activations += activations.numel()
        activations.sum()


@contextmanager
def untrained() -> Iterator[None]:
    """Of a network with random weights it need not be said that it is no better than chance."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield
