"""What an activation function is: modules by what they do, functions of torch by name.

An activation function works element by element and is no straight line, whatever it is called.
"""

from __future__ import annotations

import contextlib
import copy
import warnings
from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode

__all__ = ["CONTAINERS", "FUNCTIONS", "Call", "FunctionCalls", "is_activation", "values_of"]

#: Activation functions of torch, by the names under which a network may call them.
FUNCTIONS = frozenset({
    "relu", "relu6", "leaky_relu", "prelu", "rrelu", "elu", "celu", "selu", "gelu", "silu", "mish",
    "softplus", "softsign", "hardswish", "hardtanh", "hardsigmoid", "tanh", "sigmoid", "logsigmoid",
    "softshrink", "hardshrink", "tanhshrink", "threshold",
})  # fmt: skip
#: Modules that only hold others, and are never one layer.
CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
#: A module with more parameters than this is no activation function that can be tried out.
FEW = 4
#: Values at which a module is tried out, on both sides of zero and beyond any knee, unordered.
PROBE = (0.5, -0.25, 3.0, -3.0, 1.0, -1.0, 8.0, -8.0, 0.0, 2.0, -2.0, 0.125)

#: ``(module path, function name, number of the call)``, and the tensor it returned.
Call: TypeAlias = Callable[[str, str, int, Tensor], Tensor | None]


def is_activation(module: nn.Module) -> bool:
    """Whether a module works element by element and is no straight line.

    Parameters
    ----------
    module : Module
        Left as it is: a copy is tried out on a few numbers, in ``eval`` mode.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_activation(nn.GELU()), is_activation(nn.Dropout()), is_activation(nn.Softmax(-1))
    (True, False, False)
    """
    if isinstance(module, nn.PReLU | nn.RReLU):  # the first has as many parameters as channels
        return True
    values = values_of(module)
    return values is not None and not _straight(values)


def values_of(module: nn.Module) -> Tensor | None:
    """What a module makes of some numbers on both sides of zero, one by one.

    Parameters
    ----------
    module : Module
        As for :func:`is_activation`.

    Returns
    -------
    Tensor or None
        float64, shape (12,); None if the module does not work element by element.

    Examples
    --------
    >>> values_of(nn.ReLU())[:4].tolist(), values_of(nn.Softmax(-1))
    ([0.5, 0.0, 3.0, 0.0], None)
    """
    if isinstance(module, CONTAINERS) or not _small(module):
        return None
    tensors = [*module.parameters(), *module.buffers()]
    dtype = next((t.dtype for t in tensors if t.is_floating_point()), torch.float32)
    probe = torch.tensor(PROBE, dtype=dtype)
    with (
        torch.random.fork_rng(devices=[]),
        torch.no_grad(),
        warnings.catch_warnings(),
        contextlib.suppress(Exception),  # it wants something else than a tensor, or another shape
    ):
        warnings.simplefilter("ignore")
        own = copy.deepcopy(module).cpu().eval()
        for inner in own.modules():  # a user's own hooks have nothing to see here
            inner._forward_hooks.clear()
            inner._forward_pre_hooks.clear()
        whole = own(probe.reshape(1, 3, 4))
        if not isinstance(whole, Tensor) or whole.shape != (1, 3, 4):
            return None
        if not whole.is_floating_point() or not bool(whole.isfinite().all()):
            return None
        # In another order, and one of them alone, they give the same.
        values, order = whole.reshape(-1), torch.arange(len(PROBE)).flip(0)
        mixed = own(torch.tensor(PROBE, dtype=dtype)[order].reshape(1, 3, 4)).reshape(-1)
        alone = own(torch.full((1, 3, 4), PROBE[2], dtype=dtype))
        same = torch.allclose(mixed, values[order]) and torch.allclose(alone, values[2])
        return values.double() if same else None
    return None


def _small(module: nn.Module) -> bool:
    tensors = [*module.parameters(), *module.buffers()]
    if any(is_lazy(tensor) for tensor in tensors):
        return False
    return sum(tensor.numel() for tensor in tensors) <= FEW


def _straight(values: Tensor) -> bool:
    """Whether values of :func:`values_of` lie on a straight line."""
    x = torch.tensor(PROBE, dtype=torch.float64)
    slope = (values[0] - values[1]) / (x[0] - x[1])
    line = values[0] + slope * (x - x[0])
    return torch.allclose(values, line, rtol=1e-3, atol=1e-3)


class FunctionCalls(TorchFunctionMode):
    """See the calls of functions of torch, and put other tensors in the place of what they return.

    Parameters
    ----------
    wanted : set of str
        Names of functions.
    inside : callable
        Returns the path of the module whose ``forward`` is running, and a dict of its own in which
        calls are counted.
    see : callable
        ``see(path, function, number, tensor)``, number 1 for the first call in a ``forward``.
        Returns a tensor of the same shape, or None to leave it.

    Notes
    -----
    What a function of torch calls itself is not seen, nor what a fused kernel does inside. Where
    a function works in place, so is its tensor replaced.
    """

    def __init__(
        self,
        wanted: frozenset[str],
        inside: Callable[[], tuple[str, dict[str, int]]],
        see: Call,
    ) -> None:
        super().__init__()
        self._wanted = wanted
        self._inside = inside
        self._see = see

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        name = getattr(function, "__name__", "").removesuffix("_")
        if name not in self._wanted:
            return result
        if not isinstance(result, Tensor) or not result.is_floating_point():
            return result
        path, counted = self._inside()
        counted[name] = number = counted.get(name, 0) + 1
        replaced = self._see(path, name, number, result)
        if replaced is None:
            return result
        if args and result is args[0] and not (result.requires_grad and torch.is_grad_enabled()):
            return result.copy_(replaced)
        return replaced
