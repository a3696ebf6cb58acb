"""The context managers that reach into a network while it runs.

Hooks exist only inside a ``with`` block. All layers are resolved before the first hook is
registered and every hook is removed on the way out, whatever happens inside.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from thermo_utils.counting import PruneCounts, Summed
from thermo_utils.errors import ThermoError, nearest
from thermo_utils.functions import FunctionCalls, is_activation
from thermo_utils.layers import CALL, INPUT, LayerSpec, function_of, resolve_sites
from thermo_utils.paths import Paths, site_of
from thermo_utils.running import plain_kernels
from thermo_utils.structures import activation, real_positions, with_activation

__all__ = ["ActivationHooks", "ActivationPruner"]

#: Columns of :meth:`ActivationPruner.per_layer`, and attributes of the pruner.
COUNTS = ("active", "total", "abs_sum", "total_abs_sum")


class ActivationHooks:
    """Show the activations at chosen places to a function, inside a ``with`` block.

    Parameters
    ----------
    model : Module
        The network; it is called by the user, inside the block.
    layers : str, type or iterable of these
        See :func:`thermo_utils.resolve_layers`.
    function : callable
        ``function(name, tensor)`` is called for every activation of every site and may return
        a replacement of the same shape, or None to leave it alone. Of a value that is a tuple,
        list or mapping (nested or not), the first floating-point tensor counts as the activation;
        the rest passes through.
    check : bool, default True
        Whether a layer that never runs is an error. Of several that a pattern or type means, one
        has to run.
    mask : str, optional
        Name of the argument that holds the mask of a sequence, for :meth:`real`.

    Attributes
    ----------
    layers : dict of str to Module
        The sites that are modules.
    calls : dict of str to int
        How often each site was met since the block was entered, those of functions too.

    Raises
    ------
    ThermoError
        On construction, if a layer does not exist. On leaving the block, if the model ran and one
        of the layers never did. While the model runs, if a layer's output holds no floating-point
        tensor.

    Notes
    -----
    A layer that works in place (``nn.ReLU(inplace=True)``) has its tensor replaced in place too,
    so that it does not matter whether the network goes on with what went in or what came out; but
    not where gradients are recorded, which need what the layer left there.
    PyTorch's fused transformer kernels, which call no layers, are not used inside the block.

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
    >>> shapes = []
    >>> note = lambda name, a: shapes.append((name, a.shape[1]))
    >>> with ActivationHooks(net, ["1", "0:input"], note):
    ...     _ = net(torch.ones(2, 4))
    >>> shapes
    [('0:input', 4), ('1', 3)]
    """

    def __init__(
        self,
        model: nn.Module,
        layers: LayerSpec,
        function: Callable[[str, Tensor], Tensor | None],
        *,
        check: bool = True,
        mask: str | None = None,
    ) -> None:
        self.model = model
        self.layers, self._functions, self._asked = resolve_sites(model, layers)
        self.calls: dict[str, int] = {}
        self._function = function
        self._check = check
        self._mask_name = mask
        self._mask: Tensor | None = None
        self._undo: ExitStack | None = None
        self._model_ran = False
        self._paths: Paths | None = None
        self._ran: dict[str, None] = {}
        self._met: set[str] = set()
        # What an activation function calls inside is what it returns.
        self._own = {
            name
            for name, module in self.layers.items()
            if self._functions and is_activation(module)
        }

    def __enter__(self) -> Self:
        if self._undo is not None:
            raise ThermoError(
                "these hooks are in place already: leave the block before re-entering"
            )
        self.calls = dict.fromkeys(self.layers, 0)
        self._model_ran = False
        self._ran, self._met = {}, set()
        with ExitStack() as undo:
            undo.enter_context(plain_kernels())
            saw = self.model.register_forward_pre_hook(self._saw_model, with_kwargs=True)
            undo.callback(saw.remove)
            if self._functions:
                self._paths = undo.enter_context(Paths(self.model))
                wanted = {str(function_of(item)) for item in self._functions}
                calls = FunctionCalls(frozenset(wanted), self._paths.inside, self._saw_call)
                undo.enter_context(calls)
            elif self._check:
                self._note_who_runs(undo)
            for name, module in self.layers.items():
                if name.endswith(INPUT):
                    hook = self._input_hook(name)
                    handle = module.register_forward_pre_hook(hook, with_kwargs=True)
                else:
                    handle = module.register_forward_hook(self._hook(name))
                undo.callback(handle.remove)
            self._undo = undo.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        undo, self._undo = self._undo, None
        if undo is not None:
            undo.close()
        if kind is None and self._check:
            self._check_all_fired()

    def real(self, tensor: Tensor) -> Tensor:
        """What of an activation belongs to tokens of texts, not to their padding.

        Parameters
        ----------
        tensor : Tensor
            As the function was given it.

        Returns
        -------
        Tensor
            All of it, if no `mask` was named; else as
            :func:`thermo_utils.structures.real_positions` says.
        """
        return real_positions(tensor, self._mask)

    def _saw_model(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        self._model_ran = True
        if self._mask_name is not None:
            self._mask = kwargs.get(self._mask_name)
            if not isinstance(self._mask, Tensor):
                raise ThermoError(
                    f"a batch has no {self._mask_name}: yield mappings with the mask of the "
                    "padding, or count all positions (mask=None)"
                )

    def _note_who_runs(self, undo: ExitStack) -> None:
        """For the message about a layer that never does: each module tells once."""
        handles: dict[str, RemovableHandle] = {}

        def telling(name: str) -> Callable[[nn.Module, Any], None]:
            def tell(module: nn.Module, args: Any) -> None:
                self._ran[name] = None
                handles[name].remove()

            return tell

        for name, module in self.model.named_modules():
            handles[name] = module.register_forward_pre_hook(telling(name))
            undo.callback(handles[name].remove)

    def _hook(self, name: str) -> Callable[[nn.Module, Any, Any], Any]:
        def hook(module: nn.Module, args: Any, output: Any) -> Any:
            found = activation(output)
            if found is None:
                raise ThermoError(
                    f"layer {name!r} returned {type(output).__name__} without a floating-point "
                    "tensor: hook a layer inside it"
                )
            keys, tensor = found
            replacement = self._show(name, tensor)
            if replacement is None:
                return None
            given = args[0] if args and getattr(module, "inplace", False) else None
            if tensor is given and not (tensor.requires_grad and torch.is_grad_enabled()):
                replacement = tensor.copy_(replacement)
            return with_activation(output, keys, replacement)

        return hook

    def _input_hook(self, name: str) -> Callable[[nn.Module, Any, Any], Any]:
        def hook(module: nn.Module, args: Any, kwargs: Any) -> Any:
            found = activation((args, kwargs))
            if found is None:
                raise ThermoError(
                    f"layer {name.removesuffix(INPUT)!r} was given no floating-point tensor: "
                    "take another layer's input, or this one's output"
                )
            keys, tensor = found
            replacement = self._show(name, tensor)
            return (
                None if replacement is None else with_activation((args, kwargs), keys, replacement)
            )

        return hook

    def _saw_call(self, path: str, function: str, number: int, tensor: Tensor) -> Tensor | None:
        site, first = site_of(path, function, number), site_of(path, function, 1)
        asking = {
            item
            for item in self._functions
            if item == f"{function}{CALL}"
            or fnmatch.fnmatchcase(first, item)
            or fnmatch.fnmatchcase(site, item)
        }
        self._met |= asking
        inside = any(f"{path}.".startswith(f"{name}.") for name in self._own)
        return self._show(site, tensor) if asking and not inside else None

    def _show(self, name: str, tensor: Tensor) -> Tensor | None:
        self.calls[name] = self.calls.get(name, 0) + 1
        try:
            return self._see(name, tensor)
        except ThermoError as error:
            raise _of_layer(name, error) from error

    def _see(self, name: str, tensor: Tensor) -> Tensor | None:
        return self._function(name, tensor)

    def _check_all_fired(self) -> None:
        ran = self._ran if self._paths is None else self._paths.ran
        if not ran and not self._model_ran and not any(self.calls.values()):
            return
        for item, sites in self._asked.items():
            if sites and not any(self.calls[site] for site in sites):
                silent = min(sites, key=list(self.layers).index)
                close = nearest(silent, [name for name in ran if name]) or [n for n in ran if n][:3]
                meant = f", meant by {item!r}," if item != silent else ""
                raise ThermoError(
                    f"layer {silent!r}{meant} never ran in the forward pass: drop it, or take one "
                    "that runs, such as "
                    f"{', '.join(close) or 'another'}"
                )
        for item in self._functions:
            if item not in self._met:
                raise ThermoError(
                    f"no call of {item} was met in the forward pass: name a function that the "
                    "network calls, or hook a layer"
                )

    @property
    def shown(self) -> int:
        """How many activations were shown to the function since the block was entered."""
        return sum(self.calls.values())

    @property
    def silent(self) -> list[str]:
        """Sites that are modules and never ran since the block was entered."""
        return [name for name in self.layers if not self.calls.get(name)]


class ActivationPruner(ActivationHooks):
    """Zero every activation with ``|a| < tau`` in chosen layers, and count (Eq. 1).

    Parameters
    ----------
    model : Module
        The network; later layers see the pruned activations of earlier ones.
    layers : str, type or iterable of these
        See :func:`thermo_utils.resolve_layers`.
    tau : float or mapping of str to float
        Threshold, in units of the activations; finite, zero or more. It is rounded to the
        activations' precision before comparing, as PyTorch does. Zero prunes nothing and counts
        ``N`` and ``Sigma_0``. A mapping gives every site its own, under the site's name.
    inclusive : bool, default True
        Whether ``|a| = tau`` survives (Eq. 1: it does).
    count_zeros : bool, default False
        Whether activations that are exactly zero count towards ``N`` (and, at ``tau = 0`` only,
        towards ``M``).
    totals : bool, default True
        Whether to count what does not survive as well. Without, pruning is faster on a CPU, and
        `total` and `total_abs_sum` are refused.
    check : bool, default True
        As for :class:`ActivationHooks`.
    mask : str, optional
        Name of the argument that holds the mask of a sequence. What stands at positions with zero
        is pruned like the rest, but not counted. By default everything is: padding is computed too.

    Attributes
    ----------
    active, total : int
        ``M`` and the number of activations the hooked layers put out before zeroing.
    abs_sum, total_abs_sum : float
        ``Sigma`` and the same sum before zeroing, exact and correctly rounded.

    Raises
    ------
    ThermoError
        If `tau` is negative or not finite, or a mapping lacks a site or names one that is not
        hooked, and as :class:`ActivationHooks`; while the model runs, if an activation is NaN or
        infinite.

    Notes
    -----
    Counts run over every call of every hooked layer since the block was entered; a module called
    twice counts twice. They stay on the device of the activations until asked for. Blocks may be
    nested. Outputs are replaced, not changed in place (but those of layers that work in place, see
    :class:`ActivationHooks`), and gradients flow through what survives.

    Examples
    --------
    >>> net = nn.Sequential(nn.Identity())
    >>> with ActivationPruner(net, "0", tau=0.5) as pruner:
    ...     net(torch.tensor([0.2, -0.5, 1.0, 0.0]))
    tensor([ 0.0000, -0.5000,  1.0000,  0.0000])
    >>> pruner.active, pruner.total, pruner.abs_sum
    (2, 3, 1.5)
    """

    def __init__(
        self,
        model: nn.Module,
        layers: LayerSpec,
        tau: float | Mapping[str, float],
        *,
        inclusive: bool = True,
        count_zeros: bool = False,
        totals: bool = True,
        check: bool = True,
        mask: str | None = None,
    ) -> None:
        super().__init__(model, layers, _no_function, check=check, mask=mask)
        options = {"inclusive": inclusive, "count_zeros": count_zeros, "totals": totals}
        self.tau: float | dict[str, float]
        if isinstance(tau, Mapping):
            self.tau = {name: float(value) for name, value in tau.items()}
            self._check_names(self.tau)
            self._empty = {name: PruneCounts(value, **options) for name, value in self.tau.items()}
        else:
            self.tau = float(tau)
            self._same = PruneCounts(self.tau, **options)
            self._empty = dict.fromkeys(self.layers, self._same)
        self._blocks: dict[int, dict[str, PruneCounts]] = {}
        self.count_apart(0)

    def __enter__(self) -> Self:
        super().__enter__()
        self._blocks = {}
        self.count_apart(0)
        return self

    def count_apart(self, block: int) -> None:
        """Count what follows in a block of its own; see :meth:`per_block`.

        Parameters
        ----------
        block : int
            Number of a block, new or of earlier. The first is 0.
        """
        if block not in self._blocks:
            self._blocks[block] = {name: self._empty[name].twin() for name in self.layers}
        self._counts = self._blocks[block]

    def _check_names(self, taus: Mapping[str, float]) -> None:
        missing = [name for name in self.layers if name not in taus]
        strange = [n for n in taus if n not in self.layers]
        if self._functions:  # which of these there are shows when the network runs
            strange = [name for name in strange if not function_of(name)]
        if missing or strange:
            known = ", ".join(list(self.layers)[:5])
            raise ThermoError(
                f"tau lacks {missing[0]!r}: give every site its threshold, 0 to leave it alone"
                if missing
                else f"tau names {strange[0]!r}, which is not hooked: sites are {known}"
            )

    def _of(self, name: str) -> PruneCounts:
        """The counts of a site; those of a function's call are made when it is first met."""
        if name not in self._counts:
            if isinstance(self.tau, dict) and name not in self.tau:
                raise ThermoError(
                    f"tau lacks {name!r}: give every site its threshold, 0 to leave it alone"
                )
            empty = self._empty[name] if isinstance(self.tau, dict) else self._same
            self._counts[name] = empty.twin()
        return self._counts[name]

    # A method of the class, not one bound to this object and kept in it: that would be a cycle, and
    # the counts of pruners that nobody needs would pile up until Python looks for cycles, in the
    # midst of the memory of large activations.
    def _see(self, name: str, tensor: Tensor) -> Tensor | None:
        counts = self._of(name)
        if counts.tau == 0:  # nothing to prune, so nothing to replace
            counts.update(self.real(tensor))
            return None
        if self._mask is None:
            pruned = counts.prune(tensor)
        else:
            counts.update(self.real(tensor))
            pruned = counts.twin().prune(tensor)
        if tensor.requires_grad and torch.is_grad_enabled():
            return torch.where(pruned != 0, tensor, torch.zeros_like(tensor))
        return pruned

    @property
    def active(self) -> int:
        return self._together().active

    @property
    def total(self) -> int:
        return self._together().total

    @property
    def abs_sum(self) -> float:
        return self._together().abs_sum

    @property
    def total_abs_sum(self) -> float:
        return self._together().total_abs_sum

    def per_layer(self) -> pd.DataFrame:
        """Counts of each hooked layer.

        Returns
        -------
        DataFrame
            One row per site, in model order and calls of functions last, with columns ``layer``,
            ``active``, ``total``, ``abs_sum``, ``total_abs_sum``.
        """
        rows = []
        for name in dict.fromkeys(name for block in self._blocks.values() for name in block):
            parts = [block[name] for block in self._blocks.values() if name in block]
            counts = Summed(_finite({name: part})[name] for part in parts)
            rows.append((name, *(getattr(counts, column) for column in COUNTS)))
        return pd.DataFrame(rows, columns=["layer", *COUNTS])

    def per_block(self) -> dict[int, Summed]:
        """Counts of all hooked layers together, for each block that was counted apart.

        Returns
        -------
        dict of int to Summed
            With ``active``, ``abs_sum``, ``total`` and ``total_abs_sum``; the sums over the blocks
            are those of the pruner.
        """
        return {block: Summed(_finite(layers).values()) for block, layers in self._blocks.items()}

    def _together(self) -> Summed:
        return Summed(
            counts for layers in self._blocks.values() for counts in _finite(layers).values()
        )


def _no_function(name: str, tensor: Tensor) -> None:
    """In the place of a function, where a method sees the activations."""


def _finite(layers: dict[str, PruneCounts]) -> dict[str, PruneCounts]:
    """The counts of each layer. On a GPU, NaN comes to light here."""
    for name, counts in layers.items():
        try:
            _ = counts.active
        except ThermoError as error:
            raise _of_layer(name, error) from error
    return layers


def _of_layer(name: str, error: ThermoError) -> ThermoError:
    return type(error)(f"layer {name!r}: {error}")
