"""The same counts by hand: plain hooks, plain tensor operations, no part of the library."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.kinds.kind import Case

__all__ = ["by_hand"]


def by_hand(case: Case, sites: Sequence[str], tau: float, *, prune: bool) -> tuple[int, int, float]:
    """Count activations in one pass.

    Parameters
    ----------
    case : Case
        Its network is run on its data.
    sites : sequence of str
        Names of layers, inputs of layers and functions.
    tau : float
        Threshold.
    prune : bool
        Whether to zero what is below it.

    Returns
    -------
    total, active : int
        Nonzero activations, as they were put out, and those of at least `tau`.
    abs_sum : float
        Sum of the latter.
    """
    met = [0, 0, 0.0]

    def see(a: Tensor) -> Tensor:
        kept = a * (a.abs() >= tau)
        met[0] += int(a.count_nonzero())
        met[1] += int(kept.count_nonzero())
        met[2] += float(kept.double().abs().sum())
        return kept if prune else a

    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # it calls no layers
    case.model.eval()
    try:
        with _hooked(case.model, sites, see), torch.no_grad():
            for batch in case.batches():
                _run(case.model, batch)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    return int(met[0]), int(met[1]), met[2]


def _run(model: nn.Module, batch: Any) -> None:
    if isinstance(batch, Mapping):
        model(**batch)
    elif isinstance(batch[0], tuple) and not hasattr(batch[0], "batch_sizes"):
        model(*batch[0])
    else:
        model(batch[0])


@contextmanager
def _hooked(
    model: nn.Module, sites: Sequence[str], see: Callable[[Tensor], Tensor]
) -> Iterator[None]:
    inside = [0]  # of a layer that is looked at, whose functions are its own

    def enter(*_: object) -> None:
        inside[0] += 1

    def out(module: nn.Module, args: Any, output: Any) -> Any:
        inside[0] -= 1
        return _replaced(output, see)

    def into(module: nn.Module, args: Any, given: Any) -> Any:
        return (see(args[0]), *args[1:]), given

    functions = {re.sub(r"^.*?(\w+)\(\).*$", r"\1", site) for site in sites if "()" in site}
    with ExitStack() as undo:
        for site in sites:
            if "()" in site:
                continue
            module = model.get_submodule(site.removesuffix(":input"))
            if site.endswith(":input"):
                undo.callback(module.register_forward_pre_hook(into, with_kwargs=True).remove)
            else:
                undo.callback(module.register_forward_pre_hook(enter).remove)
                undo.callback(module.register_forward_hook(out).remove)
        for name in functions:
            for place in (nn.functional, torch, Tensor):
                if hasattr(place, name):
                    real = getattr(place, name)
                    setattr(place, name, _watched(real, see, inside))
                    undo.callback(setattr, place, name, real)
        yield


def _watched(real: Any, see: Callable[[Tensor], Tensor], inside: list[int]) -> Any:
    """A function whose results are seen; one that it calls itself is not."""

    def call(*args: Any, **options: Any) -> Any:
        inside[0] += 1
        try:
            output = real(*args, **options)
        finally:
            inside[0] -= 1
        return output if inside[0] else see(output)

    return call


def _replaced(output: Any, see: Callable[[Tensor], Tensor]) -> Any:
    """An output with its first tensor seen."""
    if isinstance(output, Tensor):
        return see(output)
    first, *rest = output
    if type(output) is tuple:
        return (_replaced(first, see), *rest)
    return type(output)(see(first), *rest)
