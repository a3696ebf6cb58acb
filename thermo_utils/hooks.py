"""Which module outputs are pruned, and the context managers that reach them.

Hooks exist only inside a ``with`` block. All layers are resolved before the first hook is
registered and every hook is removed on the way out, whatever happens inside.
"""

from __future__ import annotations

import fnmatch
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self, TypeAlias

import pandas as pd
import torch
from torch import Tensor, nn

from thermo_utils.counting import PruneCounts
from thermo_utils.errors import ThermoError, nearest
from thermo_utils.structures import activation, with_activation

__all__ = ["ActivationHooks", "ActivationPruner", "LayerSpec", "resolve_layers"]

#: A dotted name, a glob pattern, the name of a class, a module type, or several of them.
LayerSpec: TypeAlias = str | type[nn.Module] | Iterable[str | type[nn.Module]]

#: Columns of :meth:`ActivationPruner.per_layer`, and attributes of the pruner.
COUNTS = ("active", "total", "abs_sum", "total_abs_sum")


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

    Returns
    -------
    dict of str to Module
        In the order of ``model.named_modules()``; a module shared under several names appears
        once.

    Raises
    ------
    ThermoError
        If nothing is asked for, or an item matches no layer; the message lists the nearest names
        and types.

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    >>> list(resolve_layers(net, nn.ReLU)), list(resolve_layers(net, ["[02]"]))
    (['1'], ['0', '2'])
    >>> list(resolve_layers(net, "Linear"))
    ['0', '2']
    """
    named = {name: module for name, module in model.named_modules(remove_duplicate=False) if name}
    literal: list[str] = []
    matched: set[str] = set()
    for item in _items(layers):
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
        if item in named:
            literal.append(str(item))
        else:
            matched.update(names)
    chosen: dict[int, str] = {}
    for name in (*literal, *_innermost(named, matched)):
        chosen.setdefault(id(named[name]), name)
    wanted = set(chosen.values())
    return {name: module for name, module in named.items() if name in wanted}


class ActivationHooks:
    """Show the outputs of chosen layers to a function, inside a ``with`` block.

    Parameters
    ----------
    model : Module
        The network; it is called by the user, inside the block.
    layers : str, type or iterable of these
        See :func:`resolve_layers`.
    function : callable
        ``function(name, tensor)`` is called for every output of every layer and may return
        a replacement of the same shape, or None to leave the output alone. Of an output that is
        a tuple, list or mapping (nested or not), the first floating-point tensor counts as the
        activation; the rest passes through.

    Raises
    ------
    ThermoError
        On construction, if a layer does not exist. On leaving the block, if the model ran and one
        of the layers never did. While the model runs, if a layer's output holds no floating-point
        tensor.

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
    >>> shapes = []
    >>> with ActivationHooks(net, "1", lambda name, a: shapes.append((name, tuple(a.shape)))):
    ...     _ = net(torch.ones(2, 4))
    >>> shapes
    [('1', (2, 3))]
    """

    def __init__(
        self,
        model: nn.Module,
        layers: LayerSpec,
        function: Callable[[str, Tensor], Tensor | None],
    ) -> None:
        self.model = model
        self.layers = resolve_layers(model, layers)
        self._function = function
        self._undo: ExitStack | None = None
        self._calls: dict[str, int] = {}
        self._model_ran = False

    def __enter__(self) -> Self:
        if self._undo is not None:
            raise ThermoError(
                "these hooks are in place already: leave the block before re-entering"
            )
        self._calls = dict.fromkeys(self.layers, 0)
        self._model_ran = False
        with ExitStack() as undo:
            if "torch._dynamo" in sys.modules:  # compiled code does not notice new hooks
                undo.enter_context(torch.compiler.set_stance("force_eager"))
            undo.callback(self.model.register_forward_pre_hook(self._saw_model).remove)
            for name, module in self.layers.items():
                undo.callback(module.register_forward_hook(self._hook(name)).remove)
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
        if kind is None:
            self._check_all_fired()

    def _saw_model(self, module: nn.Module, args: Any) -> None:
        self._model_ran = True

    def _hook(self, name: str) -> Callable[[nn.Module, Any, Any], Any]:
        calls, function = self._calls, self._function

        def hook(module: nn.Module, args: Any, output: Any) -> Any:
            found = activation(output)
            if found is None:
                raise ThermoError(
                    f"layer {name!r} returned {type(output).__name__} without a floating-point "
                    "tensor: hook a layer inside it"
                )
            keys, tensor = found
            calls[name] += 1
            try:
                replacement = function(name, tensor)
            except ThermoError as error:
                raise _of_layer(name, error) from error
            if replacement is None:
                return None
            return with_activation(output, keys, replacement)

        return hook

    def _check_all_fired(self) -> None:
        fired = [name for name, calls in self._calls.items() if calls]
        silent = [name for name, calls in self._calls.items() if not calls]
        if silent and (fired or self._model_ran):
            hint = f" (layers that did: {', '.join(fired)})" if fired else ""
            close = nearest(silent[0], [n for n, _ in self.model.named_modules() if n != silent[0]])
            raise ThermoError(
                f"layer {', '.join(map(repr, silent))} never ran in the forward pass{hint}: "
                f"drop it, or hook one that runs, such as {', '.join(close) or 'its parent'}"
            )


class ActivationPruner(ActivationHooks):
    """Zero every activation with ``|a| < tau`` in chosen layers, and count (Eq. 1).

    Parameters
    ----------
    model : Module
        The network; later layers see the pruned activations of earlier ones.
    layers : str, type or iterable of these
        See :func:`resolve_layers`.
    tau : float
        Threshold, in units of the activations; finite, zero or more. It is rounded to the
        activations' precision before comparing, as PyTorch does. Zero prunes nothing and counts
        ``N`` and ``Sigma_0``.
    inclusive : bool, default True
        Whether ``|a| = tau`` survives (Eq. 1: it does).
    count_zeros : bool, default False
        Whether activations that are exactly zero count towards ``N`` (and, at ``tau = 0`` only,
        towards ``M``).
    totals : bool, default True
        Whether to count what does not survive as well. Without, pruning is faster on a CPU, and
        `total` and `total_abs_sum` are refused.

    Attributes
    ----------
    active, total : int
        ``M`` and the number of activations the hooked layers put out before zeroing.
    abs_sum, total_abs_sum : float
        ``Sigma`` and the same sum before zeroing, exact and correctly rounded.

    Raises
    ------
    ThermoError
        If `tau` is negative or not finite, and as :class:`ActivationHooks`; while the model runs,
        if an activation is NaN or infinite.

    Notes
    -----
    Counts run over every call of every hooked layer since the block was entered; a module called
    twice counts twice. They stay on the device of the activations until asked for. Blocks may be
    nested. Outputs are replaced, never changed in place, and gradients flow through what survives.

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
        tau: float,
        *,
        inclusive: bool = True,
        count_zeros: bool = False,
        totals: bool = True,
    ) -> None:
        super().__init__(model, layers, self._prune)
        self.tau = float(tau)
        self._empty = PruneCounts(
            self.tau, inclusive=inclusive, count_zeros=count_zeros, totals=totals
        )
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
            self._blocks[block] = {name: self._empty.twin() for name in self.layers}
        self._counts = self._blocks[block]

    def _prune(self, name: str, tensor: Tensor) -> Tensor | None:
        if self.tau == 0:  # nothing to prune, so nothing to replace
            self._counts[name].update(tensor)
            return None
        pruned = self._counts[name].prune(tensor)
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
            One row per layer, in model order, with columns ``layer``, ``active``, ``total``,
            ``abs_sum``, ``total_abs_sum``.
        """
        blocks = self._blocks.values()
        rows = [
            (name, *(getattr(counts, column) for column in COUNTS))
            for name in self.layers
            for counts in [PruneCounts.sum_of(_finite({name: b[name]})[name] for b in blocks)]
        ]
        return pd.DataFrame(rows, columns=["layer", *COUNTS])

    def per_block(self) -> dict[int, PruneCounts]:
        """Counts of all hooked layers together, for each block that was counted apart.

        Returns
        -------
        dict of int to PruneCounts
            With ``active``, ``abs_sum``, ``total`` and ``total_abs_sum``; the sums over the blocks
            are those of the pruner.
        """
        return {
            block: PruneCounts.sum_of(_finite(layers).values())
            for block, layers in self._blocks.items()
        }

    def _together(self) -> PruneCounts:
        return PruneCounts.sum_of(self.per_block().values())


def _finite(layers: dict[str, PruneCounts]) -> dict[str, PruneCounts]:
    """The counts of each layer. On a GPU, NaN comes to light here."""
    for name, counts in layers.items():
        try:
            _ = counts.active
        except ThermoError as error:
            raise _of_layer(name, error) from error
    return layers


def _of_layer(name: str, error: ThermoError) -> ThermoError:
    return ThermoError(f"layer {name!r}: {error}")


def _items(layers: LayerSpec) -> list[str | type[nn.Module]]:
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
