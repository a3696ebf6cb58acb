"""The same network with activations of another scale: equal predictions, other thresholds.

A network is positively homogeneous between its pruned outputs where whatever lies in between gives
``c f(x)`` for ``c x``: linear maps, ReLU, max-pooling, sums. Then its weights can be changed so
that all pruned activations become ``c`` times larger and its predictions stay. With a power of two
for ``c``, nothing is rounded, so that equal means equal to the last bit.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor, nn

from thermo_utils.batches import forward
from thermo_utils.errors import ThermoError
from thermo_utils.hits import scores
from thermo_utils.hooks import ActivationHooks, LayerSpec

__all__ = ["OBSTACLES", "PLANS", "Part", "check_rescaled", "obstacle", "rescaled_network"]


class Part(NamedTuple):
    """What happens to the modules of a pattern.

    Attributes
    ----------
    pattern : str
        Dotted names, as :func:`thermo_utils.resolve_layers` takes them.
    scaled_input, scaled_output : bool
        Whether what a module reads and what it returns is ``c`` times larger than before.
    """

    pattern: str
    scaled_input: bool
    scaled_output: bool


UP, DOWN, THROUGH = (False, True), (True, False), (True, True)
#: By network, the modules with parameters whose input or output changes its scale.
PLANS: Final[Mapping[str, tuple[Part, ...]]] = {
    # Every hidden layer ends with normalisation and ReLU, after which it is pruned.
    "mlp": (
        Part("hidden.norm*", *UP),
        Part("hidden.linear[!1]", *DOWN),
        Part("classifier", *DOWN),
    ),
    # Convolutions are pruned before, dense layers without normalisation.
    "cnn": (
        Part("features.conv*", *UP),
        Part("features.norm*", *DOWN),
        Part("hidden.linear1", *UP),
        Part("hidden.linear[!1]", *THROUGH),
        Part("classifier", *DOWN),
    ),
    # The sum at the end of a block is pruned, so that the shortcut has to carry the scale.
    "resnet18": (
        Part("bn1", *UP),
        Part("layer?.*.conv?", *DOWN),
        Part("layer?.*.bn?", *UP),
        Part("layer?.*.downsample.0", *DOWN),
        Part("layer?.*.downsample.1", *UP),
        Part("fc.1", *DOWN),
    ),
    # The layers before the classifier stay as they are.
    "lstm": (
        Part("classifier.linear1", *UP),
        Part("classifier.linear2", *THROUGH),
        Part("classifier.linear3", *DOWN),
    ),
}
#: Why the others cannot be rescaled.
OBSTACLES: Final[Mapping[str, str]] = {
    "mobilenet_v2": "ReLU6 cuts off at 6, whatever the scale",
    "vit": "GELU is pruned, which is not homogeneous",
    "bert": "GELU is pruned, which is not homogeneous",
    "electra": "GELU is pruned, which is not homogeneous",
    "gpt2": "GELU lies between the pruned layers, which is not homogeneous",
    "t5": "its scores themselves are pruned, and its normalisation adds a constant",
}


def obstacle(model: str) -> str | None:
    """Why a network cannot be rescaled.

    Parameters
    ----------
    model : str
        Short name of a network.

    Returns
    -------
    str or None
        None where it can.
    """
    return None if model in PLANS else OBSTACLES.get(model, "nobody has said how")


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
