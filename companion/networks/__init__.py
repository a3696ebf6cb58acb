"""The networks, one file each: how it is made, where it is pruned, how each chapter runs it.

A file of this folder with a ``NETWORK`` is a network of the registry. To add one, copy the file of
the nearest network, rename it and its ``name``, and change the rest.
"""

from __future__ import annotations

import ast
import inspect
import math
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

from companion.networks.network import Network, Recipe
from thermo_utils.errors import ThermoError, nearest, unknown

if TYPE_CHECKING:
    from torch import nn

__all__ = ["NETWORKS", "Network", "Recipe", "build", "definition"]


class Registry(Mapping[str, Network]):
    """The networks in a package's folders by name, looked for on first use.

    Networks of the paper come first, in the order of their figures, then the others by name.

    Parameters
    ----------
    package : str
        Name of the package.
    folders : iterable of str
        Its ``__path__``.

    Raises
    ------
    ThermoError
        On first use, if a network has another name than its file.
    """

    def __init__(self, package: str, folders: Iterable[str]) -> None:
        self._package = package
        self._folders = folders

    @cached_property
    def _networks(self) -> dict[str, Network]:
        found = []
        for module in pkgutil.iter_modules(self._folders):
            if module.ispkg:  # what the networks are made of
                continue
            network = getattr(import_module(f"{self._package}.{module.name}"), "NETWORK", None)
            if network is None:
                continue
            if network.name != module.name:
                raise ThermoError(
                    f"{module.name}.py holds a network named {network.name!r}: name both the same"
                )
            found.append(network)
        found.sort(key=lambda n: (min(n.figures.values(), default=math.inf), n.name))
        return {network.name: network for network in found}

    def __getitem__(self, name: str) -> Network:
        return self._networks[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._networks)

    def __len__(self) -> int:
        return len(self._networks)


NETWORKS: Mapping[str, Network] = Registry(__name__, __path__)


def build(network: str | Network, shape: Mapping[str, Any], **options: Any) -> nn.Module:
    """Make a network that fits a dataset.

    Parameters
    ----------
    network : str or Network
        A name in `NETWORKS`, or a network of one's own.
    shape : mapping
        What the data are like: ``classes`` and ``image_size``, or ``classes``, ``vocabulary``,
        ``padding`` and ``max_length``.
    **options
        Passed to the network's ``make``.

    Returns
    -------
    Module
        In training mode, with random weights drawn from PyTorch's global generator.

    Raises
    ------
    ThermoError
        If the name is unknown, or the network does not take one of the options or reads another
        kind of input.

    Examples
    --------
    >>> network = build("mlp", {"classes": 10, "image_size": 32}, hidden=(8, 8, 8))
    >>> network.classifier
    Linear(in_features=8, out_features=10, bias=True)
    """
    if isinstance(network, str):
        if network not in NETWORKS:
            raise unknown("model", network, NETWORKS)
        network = NETWORKS[network]
    kind = "image" if "image_size" in shape else "text"
    if kind != network.reads:
        raise ThermoError(f"{network.title} reads {network.reads}s, the data are {kind}s")
    parameters = inspect.signature(network.make).parameters.values()
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)  # and checks them itself
    allowed = [p.name for p in parameters if p.name not in shape and p.kind is not p.VAR_KEYWORD]
    for name in options:
        if name not in allowed and not takes_any:
            close = nearest(name, allowed)
            raise ThermoError(
                f"{network.title} has no option {name!r}: "
                + (f"did you mean {close[0]!r}? " if close else "")
                + f"It takes {', '.join(allowed) or 'none'}"
            )
    return network.make(**shape, **options)


def definition(make: Callable[..., nn.Module]) -> str:
    """The code that makes a network, without its docstring.

    Parameters
    ----------
    make : callable
        A network's.

    Returns
    -------
    str

    Examples
    --------
    >>> from companion.networks import mlp
    >>> lines = definition(mlp.make).splitlines()
    >>> lines[0], lines[8].strip()
    ('def make(', 'from torch import nn')
    """
    lines = inspect.getsource(make).splitlines()
    (function,) = ast.parse("\n".join(lines)).body
    first = function.body[0] if isinstance(function, ast.FunctionDef) else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        del lines[first.lineno - 1 : first.end_lineno]
    return "\n".join(line for line in lines if line.strip())
