"""Where a network is pruned when nobody says so: after its activation functions (Section 3.1).

A gate, which has values between 0 and 1 and is multiplied with something else, is no activation
function in this sense: zeroing it would prune what it lets through. Squeeze-and-excitation blocks
have one, and so has every sigmoid linear unit that is put together of a sigmoid and a product.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from thermo_utils.batches import unpack
from thermo_utils.errors import ThermoError
from thermo_utils.functions import CONTAINERS, FUNCTIONS, is_activation, values_of
from thermo_utils.layers import check_model
from thermo_utils.paths import Paths, site_of
from thermo_utils.running import evaluating, forward, plain_kernels

__all__ = ["activation_modules", "default_layers"]

#: What passes on the elements of a tensor in other shapes.
VIEWS = frozenset({
    "view", "reshape", "expand", "expand_as", "unsqueeze", "squeeze", "flatten", "permute",
    "transpose", "contiguous", "chunk", "split", "unbind", "__getitem__", "to", "type_as", "clone",
})  # fmt: skip
#: What multiplies.
PRODUCTS = frozenset({
    "mul", "mul_", "multiply", "multiply_", "__mul__", "__rmul__", "__imul__", "addcmul", "lerp",
})  # fmt: skip
#: Functions that are gates where they are multiplied.
SIGMOIDS = frozenset({"sigmoid", "hardsigmoid"})


def activation_modules(model: nn.Module) -> dict[str, nn.Module]:
    """The activation functions among a network's modules.

    Parameters
    ----------
    model : Module
        The network.

    Returns
    -------
    dict of str to Module
        In the order of ``model.named_modules()``; the outermost where one holds another, such as a
        module that multiplies its input by a sigmoid of it.

    Examples
    --------
    >>> list(activation_modules(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))))
    ['1']
    """
    found: dict[str, nn.Module] = {}
    inside: list[str] = []
    known: dict[str, bool] = {}
    for name, module in model.named_modules():
        if not name or isinstance(module, CONTAINERS) or name.startswith(tuple(inside)):
            continue
        own = type(module).__module__.startswith("torch.nn.")  # these say in words what they do
        key = repr(module) if own and next(module.parameters(), None) is None else name
        if key not in known:
            known[key] = is_activation(module)
        if known[key]:
            found[name] = module
            inside.append(f"{name}.")
    return found


def default_layers(model: nn.Module, batch: Any = None) -> list[str]:
    """Layers to prune when none are named (Section 3.1: nonlinear and fully connected layers).

    Parameters
    ----------
    model : Module
        The network.
    batch : object, optional
        A batch as for :func:`thermo_utils.full_evaluation`, on which the network is run once, to
        see which activation functions it calls, also as functions, and which of them are gates.
        Without, a sigmoid is taken for a gate if the network has other activation functions.

    Returns
    -------
    list of str
        Sites of all activation functions; where there are none, of all linear layers but the
        last, which gives the class scores.

    Raises
    ------
    ThermoError
        If there is neither.

    Examples
    --------
    >>> default_layers(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)))
    ['1']
    """
    check_model(model)
    modules = activation_modules(model)
    gates = {name for name, module in modules.items() if _like_a_gate(module)}
    linear = [n for n, module in model.named_modules() if n and isinstance(module, nn.Linear)]
    if batch is None:
        names = [name for name in modules if name not in gates] or list(modules)
        if not names:  # attention uses the weights of this one without calling it
            names = [name for name in linear if not name.endswith("out_proj")][:-1]
    else:
        watch = _watched(model, batch, gates, set(modules))
        names = [name for name in watch.sites if name not in watch.gates]
        names = names or [name for name in watch.ran if name in set(linear)][:-1]
    if not names:
        raise ThermoError(
            "the model has neither activation functions nor two linear layers: name the layers to "
            "prune, for example layers=['encoder.*.dense']"
        )
    return names


def _like_a_gate(module: nn.Module) -> bool:
    values = values_of(module)
    return values is not None and bool(((values >= 0) & (values <= 1)).all())


def _watched(model: nn.Module, batch: Any, gates: set[str], modules: set[str]) -> _Watch:
    """What a run of the network shows."""
    inputs, targets = unpack(batch)
    with evaluating(model), plain_kernels(), Paths(model) as paths:
        watch = _Watch(paths, modules)
        with ExitStack() as undo:
            for name in modules:
                hook = watch.module_hook(name, name in gates)
                undo.callback(model.get_submodule(name).register_forward_hook(hook).remove)
            with watch:
                forward(model, inputs, targets)
    return watch


class _Watch(TorchFunctionMode):
    """Notes activation functions as they are called, and where a sigmoid's values are multiplied.

    Attributes
    ----------
    sites : dict of str to None
        Of activation functions, modules and calls, in the order in which they ran.
    gates : set of str
        Those of the sites whose values were multiplied with another tensor.
    ran : dict of str to None
        Paths of all modules that ran.
    """

    def __init__(self, paths: Paths, modules: set[str]) -> None:
        super().__init__()
        self.sites: dict[str, None] = {}
        self.gates: set[str] = set()
        self._paths = paths
        self._inside = tuple(f"{name}." for name in modules)
        # Tensors are held, so that no other can get their id.
        self._carried: dict[int, tuple[str, Tensor]] = {}

    @property
    def ran(self) -> dict[str, None]:
        return self._paths.ran

    def module_hook(self, name: str, gate: bool) -> Any:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            self.sites[name] = None
            if gate:
                self._carry(name, output)

        return hook

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        name = getattr(function, "__name__", "")
        given = [value for value in args if isinstance(value, Tensor)]
        known = [self._carried.get(id(value)) for value in given]
        if name in PRODUCTS:
            sites = {found[0] for found in known if found}
            if sites and len(given) > 1 and any(found is None for found in known):
                self.gates |= sites
        elif name in VIEWS and known and known[0]:
            self._carry(known[0][0], result)
        plain = name.removesuffix("_")
        if plain in FUNCTIONS and isinstance(result, Tensor) and result.is_floating_point():
            path, counted = self._paths.inside()
            counted[plain] = number = counted.get(plain, 0) + 1
            if not f"{path}.".startswith(self._inside):
                site = site_of(path, plain, number)
                self.sites[site] = None
                if plain in SIGMOIDS:
                    self._carry(site, result)
        return result

    def _carry(self, site: str, values: Any) -> None:
        for value in values if isinstance(values, tuple | list) else [values]:
            if isinstance(value, Tensor):
                self._carried[id(value)] = (site, value)
