"""A layer that is pruned, as a plain module in the layer's place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Self

import torch
from torch import Tensor, nn

from thermo_utils.errors import ThermoError
from thermo_utils.structures import activation, with_activation

__all__ = ["Pruned"]

#: Types of activations that can be pruned.
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
#: Of what PyTorch keeps in every module, a wrapper has these of its own, for the wrapped layer runs
#: its hooks itself. All else (parameters, buffers, children) is the layer's.
OWN = {
    "training", "_forward_hooks", "_forward_hooks_with_kwargs", "_forward_hooks_always_called",
    "_forward_pre_hooks", "_forward_pre_hooks_with_kwargs", "_backward_hooks",
    "_backward_pre_hooks", "_is_full_backward_hook",
}  # fmt: skip


class Pruned(nn.Module):
    """A layer whose output, input or both are pruned.

    Parameters, buffers and children are the layer's own, under their names. Whatever is read from
    it or set on it, the layer answers.

    Parameters
    ----------
    layer : Module
        What is wrapped.
    tau : float, optional
        Threshold of the first floating-point tensor in the output; None leaves it alone.
    input_tau : float, optional
        Threshold of the first floating-point argument; None leaves it alone.
    inclusive : bool, default True
        Whether ``|a| = tau`` survives.

    Notes
    -----
    A layer that works in place (``nn.ReLU(inplace=True)``) leaves the pruned activations where it
    was given them, as it would have left its own.

    Examples
    --------
    >>> Pruned(nn.ReLU(), tau=0.5)(torch.tensor([-1.0, 0.2, 0.5]))
    tensor([0.0000, 0.0000, 0.5000])
    """

    def __init__(
        self,
        layer: nn.Module,
        *,
        tau: float | None = None,
        input_tau: float | None = None,
        inclusive: bool = True,
    ) -> None:
        super().__init__()
        vars(self).update(
            pruned_layer=layer,
            _taus={"tau": tau, "input_tau": input_tau},
            _levels=_levels(tau),
            _input_levels=_levels(input_tau),
            _inclusive=inclusive,
        )
        self._share()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        if self._input_levels:
            keys, tensor = self._found((args, kwargs), "was given")
            zeroed = self._zeroed(tensor, self._input_levels)
            args, kwargs = with_activation((args, kwargs), keys, zeroed)
        if not self._levels:
            return self.pruned_layer(*args, **kwargs)
        given = args[0] if args and getattr(self.pruned_layer, "inplace", False) else None
        if isinstance(given, Tensor) and given.requires_grad and torch.is_grad_enabled():
            args = (
                given.clone(),
                *args[1:],
            )  # what the layer keeps for its gradient stays
        output = self.pruned_layer(*args, **kwargs)
        keys, tensor = self._found(output, "returned")
        zeroed = self._zeroed(tensor, self._levels)
        if given is not None and tensor is args[0]:  # whoever gave it may read on from there
            zeroed = given.copy_(zeroed)
        return with_activation(output, keys, zeroed)

    def _found(self, value: Any, did: str) -> tuple[tuple[Any, ...], Tensor]:
        found = activation(value)
        if found is None:
            raise ThermoError(
                f"a pruned {self._kind()} {did} no floating-point tensor: prune a layer inside it"
            )
        return found

    def _zeroed(self, tensor: Tensor, levels: Mapping[torch.dtype, float]) -> Tensor:
        level = levels.get(tensor.dtype)
        if level is None:
            raise ThermoError(
                f"a pruned {self._kind()} has to do with {tensor.dtype}: convert the network to "
                "float16, bfloat16, float32 or float64"
            )
        size = tensor.abs()  # NaN compares as false, and so stays
        # Unlike masked_fill, this keeps strides, on which the rounding of later layers depends.
        return torch.where(size < level if self._inclusive else size <= level, 0.0, tensor)

    def _kind(self) -> str:
        return type(self.pruned_layer).__name__

    def _share(self) -> None:
        """Have the layer's parameters, buffers and children for one's own: the same dicts."""
        own, layers = vars(self), vars(self.pruned_layer)
        own.update({name: layers[name] for name in own.keys() & layers.keys() - OWN})
        own["training"] = self.pruned_layer.training

    def __getattr__(self, name: str) -> Any:
        if "pruned_layer" not in vars(self) or name.startswith("__"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(vars(self)["pruned_layer"], name)

    def __setattr__(self, name: str, value: Any) -> None:
        if "pruned_layer" not in vars(self):  # while PyTorch sets up its own
            super().__setattr__(name, value)
            return
        if name in vars(self):
            vars(self)[name] = value
        if name not in OWN - {"training"}:
            setattr(self.pruned_layer, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self.pruned_layer, name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *dir(self.pruned_layer)})

    def __repr__(self) -> str:
        taus = "".join(f", {name}={tau!r}" for name, tau in self._taus.items() if tau is not None)
        return (
            f"Pruned({self.pruned_layer!r}{taus}{'' if self._inclusive else ', inclusive=False'})"
        )

    # Python looks these up in the class alone, where __getattr__ is not asked.
    def __bool__(self) -> bool:
        return bool(self.pruned_layer)

    def __len__(self) -> int:
        return len(self.pruned_layer)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.pruned_layer)

    def __getitem__(self, key: Any) -> Any:
        return self.pruned_layer[key]

    # What a layer may do in its own way, it does.
    def train(self, mode: bool = True) -> Self:
        self.pruned_layer.train(mode)
        vars(self)["training"] = self.pruned_layer.training
        return self

    def apply(self, fn: Any) -> Self:
        self.pruned_layer.apply(fn)
        return self

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        return self.pruned_layer.state_dict(*args, **kwargs)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self.pruned_layer._load_from_state_dict(*args, **kwargs)

    def _apply(self, fn: Any, recurse: bool = True) -> Self:
        self.pruned_layer._apply(fn, recurse)
        return self

    # A copy of a layer may have new dicts: they are shared anew.
    def __getstate__(self) -> dict[str, Any]:
        layers = vars(self.pruned_layer)
        return {k: v for k, v in vars(self).items() if k in OWN or v is not layers.get(k)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        nn.Module.__init__(self)
        vars(self).update(state)
        self._share()


def _levels(tau: float | None) -> dict[torch.dtype, float]:
    """The threshold in each type's own precision; none where nothing is to be done."""
    if not tau:
        return {}
    exact = torch.tensor(tau, dtype=torch.float64)
    return {dtype: float(exact.to(dtype)) for dtype in FLOATS}
