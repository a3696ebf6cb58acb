"""A pruned network to keep: plain modules in the places of the layers that are pruned.

Unlike :class:`thermo_utils.ActivationPruner`, which prunes inside a ``with`` block and counts, the
modules put in here stay: they are pickled, copied, compiled and exported with the network.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.fx import GraphModule

from thermo_utils.errors import ThermoError
from thermo_utils.fused import leave_fast_paths, take_fast_paths
from thermo_utils.layers import INPUT, LayerSpec, resolve_sites
from thermo_utils.pruned import Pruned

__all__ = ["prune", "unprune"]


def prune(
    model: nn.Module,
    layers: LayerSpec,
    tau: float | Mapping[str, float],
    *,
    inclusive: bool = True,
) -> nn.Module:
    """Put pruned layers into a network, to stay.

    Every chosen layer gives its place to a plain module that calls it and zeroes activations with
    ``|a| < tau`` (Eq. 1). There are no hooks: the network can be pickled, copied, compiled and
    exported, and is trained through what survives. Its ``state_dict`` is that of the unpruned
    network, so thresholds are stored with the network itself (``torch.save(model, path)``), not
    with its weights.

    Parameters
    ----------
    model : Module
        The network; changed in place.
    layers : str, type or iterable of these
        As for :func:`thermo_utils.resolve_layers`; ``"fc:input"`` stands for the layer's input. A
        layer that occurs in several places is replaced in all of them.
    tau : float or mapping of str to float
        Threshold, in units of the activations, finite, zero or more; or one for each layer, by the
        names that :func:`thermo_utils.resolve_layers` gives them. It is rounded to the activations'
        precision before comparing, as PyTorch does. Zero prunes nothing.
    inclusive : bool, default True
        Whether ``|a| = tau`` survives (Eq. 1: it does).

    Returns
    -------
    Module
        `model` itself. Outputs are those under :class:`thermo_utils.ActivationPruner`. NaN stays.

    Raises
    ------
    ThermoError
        With nothing changed: if a layer does not exist, is pruned already, is the call of a
        function, is part of a scripted or traced network or is never called itself; if `tau` is
        negative or not finite, or its names are not those of the layers.

    Warns
    -----
    UserWarning
        If a layer is the output projection of ``nn.MultiheadAttention``, which reads its weights
        and never calls it: nothing is pruned there.

    Notes
    -----
    A pruned ``nn.Linear`` answers as one (``weight``, ``in_features``), but is not an instance of
    the class. A network that holds ``nn.TransformerEncoder`` or ``nn.MultiheadAttention`` leaves
    their fused kernels, which would pass pruned layers by, as it does wherever it is measured: what
    it computes is then the same but for rounding, and for padded positions, which are no longer
    zero.

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    >>> prune(net, nn.ReLU, 0.25)[1]
    Pruned(ReLU(), tau=0.25)
    >>> unprune(net)[1]
    ReLU()
    """
    with _unpruned(model) as before:
        sites, functions, _ = resolve_sites(model, layers)
        if functions:
            raise ThermoError(
                f"{functions[0]!r} is the call of a function, for which no module can stand: write "
                "the network with a module there, such as nn.ReLU() for F.relu"
            )
        taus = _by_site(tau, sites)
        _check_called(model, sites)
        for name, layer in sites.items():
            if id(layer) in before:
                raise ThermoError(f"layer {name!r} is pruned already: unprune(model) first")
        slots = _chosen_slots(model, sites)
        leave_fast_paths(model)
    outputs = {id(layer): taus[n] for n, layer in sites.items() if not n.endswith(INPUT)}
    inputs = {id(layer): taus[n] for n, layer in sites.items() if n.endswith(INPUT)}
    pruned = {
        key: Pruned(layer, tau=outputs.get(key), input_tau=inputs.get(key), inclusive=inclusive)
        for key, layer in {id(layer): layer for layer in sites.values()}.items()
    }
    for slot in slots:
        slot.fill(pruned[id(slot.module)])
    return model


def unprune(model: nn.Module) -> nn.Module:
    """Take all that :func:`prune` put in out of a network, without a trace.

    Parameters
    ----------
    model : Module
        The network; changed in place. One that was never pruned is left as it is.

    Returns
    -------
    Module
        `model` itself, with the very modules it had, in their places. What has been trained since
        stays trained.

    Raises
    ------
    ThermoError
        If `model` itself is such a layer.

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    >>> before = list(net)
    >>> all(a is b for a, b in zip(before, unprune(prune(net, "*", 0.25)), strict=True))
    True
    """
    if isinstance(model, Pruned):
        raise ThermoError("this is a pruned layer: give unprune the network that holds it")
    for slot in list(_slots(model)):
        if isinstance(slot.module, Pruned):
            slot.fill(slot.module.pruned_layer)
    take_fast_paths(model)
    return model


class _Slot(NamedTuple):
    """A place that holds a module."""

    container: Any
    key: Any
    module: Any

    def fill(self, module: nn.Module) -> None:
        self.container[self.key] = module


def _slots(model: nn.Module) -> Iterator[_Slot]:
    """Every place that holds a module: as a child, an attribute, or in a list or dict of them."""
    seen: set[int] = set()

    def inside(container: Any, key: Any, value: Any) -> Iterator[_Slot]:
        if isinstance(value, nn.Module):
            yield _Slot(container, key, value)
        elif isinstance(value, dict | list | tuple) and id(value) not in seen:
            seen.add(id(value))
            pairs = value.items() if isinstance(value, dict) else enumerate(value)
            for inner_key, inner in list(pairs):
                yield from inside(value, inner_key, inner)

    for module in list(model.modules()):
        owners = [module, module.pruned_layer] if isinstance(module, Pruned) else [module]
        for owner in owners:
            yield from inside(None, None, vars(owner))


def _chosen_slots(model: nn.Module, sites: Mapping[str, nn.Module]) -> list[_Slot]:
    names = {id(layer): name for name, layer in sites.items()}
    slots = [slot for slot in _slots(model) if id(slot.module) in names]
    for slot in slots:
        if isinstance(slot.container, tuple):
            raise ThermoError(
                f"layer {names[id(slot.module)]!r} stands in a tuple, where nothing can take its "
                "place: keep it in an nn.ModuleList"
            )
    return slots


@contextmanager
def _unpruned(model: nn.Module) -> Iterator[set[int]]:
    """Inside the block, the network as it was before :func:`prune`; yields who was pruned."""
    slots = [slot for slot in _slots(model) if isinstance(slot.module, Pruned)]
    for slot in slots:
        slot.fill(slot.module.pruned_layer)
    try:
        yield {id(slot.module.pruned_layer) for slot in slots}
    finally:
        for slot in slots:
            slot.fill(slot.module)


def _by_site(tau: float | Mapping[str, float], sites: Collection[str]) -> dict[str, float]:
    """The threshold of each site, checked."""
    if not isinstance(tau, Mapping):
        tau = dict.fromkeys(sites, tau)
    missing = [name for name in sites if name not in tau]
    strange = [name for name in tau if name not in sites]
    if missing or strange:
        wrong = [f"lacks {', '.join(missing)}"] if missing else []
        wrong += [f"has {', '.join(map(str, strange))}"] if strange else []
        raise ThermoError(
            f"tau {' and '.join(wrong)}: it needs one threshold for each of {', '.join(sites)}"
        )
    return {name: _checked(name, tau[name]) for name in sites}


def _checked(name: str, tau: Any) -> float:
    try:
        value = float(tau)
    except (TypeError, ValueError):
        value = math.nan
    if not 0 <= value < math.inf:
        raise ThermoError(f"layer {name!r}: tau must be zero or more and finite, got {tau!r}")
    return value


def _check_called(model: nn.Module, sites: Mapping[str, nn.Module]) -> None:
    """Refuse layers that the network never calls, or that cannot be taken out of it."""
    for name, layer in sites.items():
        path = name.removesuffix(INPUT)
        steps = path.split(".")
        above = [(steps[i:], model.get_submodule(".".join(steps[:i]))) for i in range(len(steps))]
        parent = above[-1][1]
        if any(isinstance(m, torch.jit.ScriptModule) for m in (layer, *(m for _, m in above))):
            raise ThermoError(f"layer {name!r} is scripted: prune the network before scripting it")
        if any(isinstance(m, GraphModule) and not _in_graph(m, rest) for rest, m in above):
            raise ThermoError(
                f"layer {name!r} is no longer called in the traced network: prune it before tracing"
            )
        if steps[-1] == "_orig_mod":
            whole = ".".join(steps[:-1])
            named = f"name that, {whole!r}" if whole else "name layers inside it"
            raise ThermoError(f"layer {name!r} is what torch.compile was given: {named}")
        if type(layer).forward is nn.Module.forward and "forward" not in vars(layer):
            raise ThermoError(
                f"layer {name!r} is a {type(layer).__name__}, which is never called: name layers "
                "inside it"
            )
        if isinstance(parent, nn.MultiheadAttention):
            warnings.warn(
                f"nn.MultiheadAttention reads the weights of {name!r} and never calls it, so "
                f"nothing is pruned there; prune {path.rpartition('.')[0]!r} for the output of "
                "the attention",
                stacklevel=3,
            )


def _in_graph(module: GraphModule, path: list[str]) -> bool:
    called = {node.target for node in module.graph.nodes if node.op == "call_module"}
    return any(".".join(path[:end]) in called for end in range(1, len(path) + 1))
