"""Places in a network where activations are looked at: names, patterns, types, functions.

A *site* is one such place: the output of a module, named as the module; its input, named
``"name:input"``; or a call of a function of torch, named ``"module.relu()"`` after the module in
whose ``forward`` it stands.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeAlias

import torch
from torch import nn

from thermo_utils.errors import ThermoError, nearest

__all__ = [
    "CALL", "INPUT", "LayerSpec", "Sites", "check_model", "function_of", "items_of",
    "resolve_layers", "resolve_sites",
]  # fmt: skip

#: A dotted name, a glob pattern, the name of a class, a module type, or several of them.
LayerSpec: TypeAlias = str | type[nn.Module] | Iterable[str | type[nn.Module]]

#: What the name of a site ends with that is a layer's input, and that is a function's calls.
INPUT, CALL = ":input", "()"


class Sites(NamedTuple):
    """What a specification means in a network.

    Attributes
    ----------
    modules : dict of str to Module
        Sites that are modules' outputs or inputs, in the order of ``model.named_modules()``.
    functions : tuple of str
        Specifications of functions; which sites they mean shows when the network runs.
    asked : dict of str to frozenset of str
        The sites that each item of the specification means.
    """

    modules: dict[str, nn.Module]
    functions: tuple[str, ...]
    asked: dict[str, frozenset[str]]


def resolve_layers(model: nn.Module, layers: LayerSpec) -> dict[str, nn.Module]:
    """Modules meant by names, patterns, types or names of types.

    Parameters
    ----------
    model : Module
        The network.
    layers : str, type or iterable of these
        Dotted names (``"encoder.0.relu"``) are taken literally. Patterns with ``*``, ``?`` or
        ``[...]`` are matched against the whole dotted name, where ``*`` also crosses dots. Types
        (``nn.ReLU``) stand for all their instances; so does the name of a class (``"ReLU"``) that
        is no name or pattern, but for instances of classes derived from it. Where patterns or
        types match both a module and something inside it, the innermost is taken, so nothing
        counts twice; modules given by dotted name are taken in any case.

        Any of these with ``":input"`` at its end means what goes into the layer: its first
        floating-point argument. ``"relu()"`` means every call of a function of torch with that
        name (``F.relu(x)``, ``torch.relu(x)``, ``x.relu()``), ``"layers.*.relu()"`` those in the
        ``forward`` of modules so named, and ``"relu()#2"`` the second in one ``forward``; in a
        module that is an activation function and is a site itself, the module counts.

    Returns
    -------
    dict of str to Module
        In the order of ``model.named_modules()``, under the names of the sites; a module shared
        under several names appears once. Without calls of functions.

    Raises
    ------
    ThermoError
        If nothing is asked for, or an item matches no layer; the message lists the nearest names
        and types. If the model is scripted or exported, which leaves nothing to hook.

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    >>> list(resolve_layers(net, nn.ReLU)), list(resolve_layers(net, ["[02]"]))
    (['1'], ['0', '2'])
    >>> list(resolve_layers(net, "Linear:input"))
    ['0:input', '2:input']
    """
    return resolve_sites(model, layers).modules


def resolve_sites(model: nn.Module, layers: LayerSpec) -> Sites:
    """All that a specification means; arguments and errors are those of :func:`resolve_layers`."""
    check_model(model)
    named = {name: module for name, module in model.named_modules(remove_duplicate=False) if name}
    chosen: dict[str, tuple[str, nn.Module]] = {}
    literal: dict[str, list[str]] = {"": [], INPUT: []}
    matched: dict[str, set[str]] = {"": set(), INPUT: set()}
    asked: dict[str, list[str]] = {}
    functions: list[str] = []
    for item in items_of(layers):
        if isinstance(item, str) and function_of(item):
            _check_function(item)
            functions.append(item)
            continue
        suffix = INPUT if isinstance(item, str) and item.endswith(INPUT) else ""
        bare = item.removesuffix(suffix) if isinstance(item, str) else item
        names = _matching(bare, named)
        asked[str(item) if isinstance(item, str) else item.__name__] = [n + suffix for n in names]
        if bare in named:
            literal[suffix].append(str(bare))
        else:
            matched[suffix].update(names)
    first: dict[tuple[str, int], str] = {}
    for suffix in ("", INPUT):
        for name in (*literal[suffix], *_innermost(named, matched[suffix])):
            first.setdefault((suffix, id(named[name])), name)
    wanted = {(suffix, name) for (suffix, _), name in first.items()}
    for name, module in named.items():  # what goes in comes before what comes out
        for suffix in (INPUT, ""):
            if (suffix, name) in wanted:
                chosen[name + suffix] = (suffix, module)
    same = {(suffix, id(module)): site for site, (suffix, module) in chosen.items()}
    meant = {
        item: frozenset(
            site
            for name in names
            for suffix in [INPUT if name.endswith(INPUT) else ""]
            if (site := same.get((suffix, id(named[name.removesuffix(INPUT)]))))
        )
        for item, names in asked.items()
    }
    return Sites({site: module for site, (_, module) in chosen.items()}, tuple(functions), meant)


def _matching(item: str | type[nn.Module], named: Mapping[str, nn.Module]) -> list[str]:
    """Names of the modules that an item means."""
    if isinstance(item, type):
        names = [name for name, module in named.items() if isinstance(module, item)]
    elif item in named:
        names = [item]
    else:
        names = fnmatch.filter(named, item) or [
            name for name, module in named.items() if type(module).__name__ == item
        ]
    if not names:
        raise _no_match(item, named)
    return names


def check_model(model: nn.Module) -> None:
    """Refuse what has no layers that could be reached.

    Parameters
    ----------
    model : Module
        The network.

    Raises
    ------
    ThermoError
        If it is no module, or scripted, traced or exported.
    """
    if isinstance(model, torch.jit.ScriptModule):
        raise ThermoError(
            "a scripted or traced module runs without its layers being called: give the module "
            "that torch.jit.script was called with"
        )
    if isinstance(model, torch.export.ExportedProgram) or _unlifted(model):
        raise ThermoError(
            "an exported program has no layers left: give the module that torch.export was "
            "called with"
        )
    if not isinstance(model, nn.Module):
        raise ThermoError(f"the model is of type {type(model).__name__}, not a torch.nn.Module")


def function_of(item: str) -> str | None:
    """Name of the function whose calls a site or a specification means.

    Parameters
    ----------
    item : str
        Such as ``"layers.*.relu()"`` or ``"relu()#2"``, the second call in one ``forward``.

    Returns
    -------
    str or None
        None if it means modules.

    Examples
    --------
    >>> function_of("layers.*.relu()"), function_of("relu()#2"), function_of("layers.0")
    ('relu', 'relu', None)
    """
    name, call, number = item.rpartition(CALL)
    if not call or (number and not (number[0] == "#" and number[1:].isdigit())):
        return None
    return name.rpartition(".")[-1]


def _unlifted(model: nn.Module) -> bool:
    """Whether it is the module of an exported program: a graph that calls no layers."""
    if not isinstance(model, torch.fx.GraphModule):
        return False
    called = [node.target for node in model.graph.nodes if node.op == "call_module"]
    makers = [type(model.get_submodule(str(name))).__module__ for name in called]
    return all(maker.startswith("torch.export") for maker in makers)


def _check_function(item: str) -> None:
    name = function_of(item) or ""
    places = (torch.nn.functional, torch, torch.Tensor)
    if not any(callable(getattr(place, name, None)) for place in places):
        close = nearest(name, [n for n in dir(torch.nn.functional) if n.islower()])
        raise ThermoError(
            f"{item!r} is no function of torch; nearest: "
            f"{', '.join(n + CALL for n in close) or 'none'}"
        )


def items_of(layers: LayerSpec) -> list[str | type[nn.Module]]:
    """The items of a specification, to be gone through as often as one likes.

    Parameters
    ----------
    layers : str, type or iterable of these
        As for :func:`resolve_layers`.

    Returns
    -------
    list of str or type

    Raises
    ------
    ThermoError
        If there is none, or one is something else.

    Examples
    --------
    >>> items_of("ReLU")
    ['ReLU']
    """
    items = [layers] if isinstance(layers, str | type) else list(layers)
    if not items:
        raise ThermoError("no layers given: name at least one, for example layers=nn.ReLU")
    for item in items:
        if not isinstance(item, str) and not (
            isinstance(item, type) and issubclass(item, nn.Module)
        ):
            raise ThermoError(f"layers must be names, patterns or nn.Module types, got {item!r}")
    return items


def _innermost(order: Iterable[str], names: set[str]) -> list[str]:
    """Those of the names, in the given order, that contain none of the others."""
    outer = {name[:i] for name in names for i, letter in enumerate(name) if letter == "."}
    return [name for name in order if name in names and name not in outer]


def _no_match(item: str | type[nn.Module], named: Mapping[str, nn.Module]) -> ThermoError:
    types = sorted({type(m).__name__ for m in named.values()})
    if isinstance(item, str):
        close = nearest(item, [*named, *types]) or [*list(named)[:5], *types[:5]]
        return ThermoError(
            f"no layer matches {item!r}; nearest: {', '.join(close) or 'none at all'}"
        )
    close = nearest(item.__name__, types) or types
    return ThermoError(
        f"no layer of type {item.__name__}; types here: {', '.join(close) or 'none'}"
    )
