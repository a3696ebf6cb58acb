"""The same network with activations of another scale: equal predictions, other thresholds.

A network is positively homogeneous between its pruned outputs where whatever lies in between gives
``c f(x)`` for ``c x``: linear maps, ReLU, max-pooling, sums. Then its weights can be changed so
that all pruned activations become ``c`` times larger and its predictions stay. With a power of two
for ``c``, nothing is rounded, so that equal means equal to the last bit.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn

from companion.runs.scale_plans import PLANS, obstacle
from thermo_utils.errors import ThermoError
from thermo_utils.hooks import ActivationHooks
from thermo_utils.layers import LayerSpec
from thermo_utils.running import forward
from thermo_utils.targets import scores

__all__ = ["check_rescaled", "rescaled_network"]


def rescaled_network(model: str, network: nn.Module, c: float) -> nn.Module:
    """A copy of a network whose pruned activations are `c` times larger.

    Parameters
    ----------
    model : str
        Its short name.
    network : Module
        As made by the registered factory; in eval mode.
    c : float
        Positive, finite.

    Returns
    -------
    Module
        In eval mode, as batch normalisation would undo the scale of its input in training.

    Raises
    ------
    ThermoError
        If the network cannot be rescaled, or `c` is not positive and finite.

    Examples
    --------
    >>> from companion.networks.mlp import make
    >>> net = make(3, image_size=2, hidden=(8, 4)).eval()
    >>> x = torch.randn(5, 3, 2, 2)
    >>> torch.equal(net(x), rescaled_network("mlp", net, 4.0)(x))
    True
    """
    why = obstacle(model)
    if why is not None:
        raise ThermoError(f"{model} cannot be rescaled: {why}")
    if not 0 < c < math.inf:
        raise ThermoError(f"c must be positive and finite, got {c}")
    changed = copy.deepcopy(network).eval()
    with torch.no_grad():
        for part in PLANS[model]:
            found = [m for name, m in changed.named_modules() if fnmatchcase(name, part.pattern)]
            if not found:
                raise ThermoError(f"{model} has no module {part.pattern}: its plan is out of date")
            for module in found:
                _rescale(module, c if part.scaled_input else 1.0, c if part.scaled_output else 1.0)
    return changed


def _rescale(module: nn.Module, before: float, after: float) -> None:
    """Have a module read `before` times and return `after` times what it did."""
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        assert module.running_mean is not None, "evaluated with running statistics"
        module.running_mean.mul_(before)
    elif not isinstance(module, nn.Linear | nn.Conv2d):
        raise ThermoError(f"cannot rescale a {type(module).__name__}")
    module.weight.mul_(after / before)
    if module.bias is not None:
        module.bias.mul_(after)


def check_rescaled(
    network: nn.Module, changed: nn.Module, layers: LayerSpec, c: float, data: Iterable[Any]
) -> float:
    """Hold a rescaled network against the original, on every activation and every score.

    Parameters
    ----------
    network, changed : Module
        The original, and what :func:`rescaled_network` made of it.
    layers : str, type or iterable of these
        Pruned outputs.
    c : float
        The scale.
    data : iterable of (inputs, targets)

    Returns
    -------
    float
        Largest difference of the scores and of the activations over `c`, as a share of the largest
        of each: 0 if all are equal to the last bit.

    Raises
    ------
    ThermoError
        If it exceeds a thousandth, so that the changed network is another one.
    """
    worst = 0.0
    for inputs, _ in data:
        expected, found = (_seen(net, layers, inputs) for net in (network, changed))
        for position, (one, other) in enumerate(zip(expected, found, strict=True)):
            scale = c if position < len(expected) - 1 else 1.0
            largest = float(one.abs().max())
            if largest > 0:
                worst = max(worst, float((other / scale - one).abs().max()) / largest)
    if not worst <= 1e-3:
        raise ThermoError(f"the rescaled network is another one: off by {worst:.2g}")
    return worst


def _seen(network: nn.Module, layers: LayerSpec, inputs: Any) -> list[Tensor]:
    """Activations in the order in which they come, then the scores."""
    seen: list[Tensor] = []
    with (
        torch.inference_mode(),
        ActivationHooks(network, layers, lambda _, tensor: seen.append(tensor.clone())),
    ):
        output = forward(network, inputs)
    return [*seen, scores(output)]
