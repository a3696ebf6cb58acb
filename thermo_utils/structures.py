"""The activation in whatever a layer takes or returns: a tensor, a tuple, a mapping, nested."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

__all__ = ["activation", "with_activation"]


def activation(value: Any) -> tuple[tuple[Any, ...], Tensor] | None:
    """The first floating-point tensor in a value, and the keys that lead to it.

    Parameters
    ----------
    value : object
        What a layer returned; or what it was given, as ``(args, kwargs)``.

    Returns
    -------
    tuple of (tuple, Tensor), or None
        The keys, outermost first (none for a tensor itself), and the tensor; None if there is no
        floating-point tensor in nested tuples, lists and mappings.

    Examples
    --------
    >>> import torch
    >>> keys, tensor = activation((torch.tensor([1]), {"hidden": torch.ones(2)}))
    >>> keys, tuple(tensor.shape)
    ((1, 'hidden'), (2,))
    """
    if isinstance(value, Tensor):
        return ((), value) if value.is_floating_point() else None
    pairs: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, Mapping):
        pairs = value.items()
    elif isinstance(value, tuple | list):
        pairs = enumerate(value)
    for key, inner in pairs:
        found = activation(inner)
        if found is not None:
            return (key, *found[0]), found[1]
    return None


def with_activation(value: Any, keys: tuple[Any, ...], tensor: Tensor) -> Any:
    """A value with the activation replaced; the containers on the way to it are copied.

    Parameters
    ----------
    value : object
        As for :func:`activation`; it is not changed.
    keys : tuple
        As :func:`activation` returned them.
    tensor : Tensor
        What stands there instead.

    Returns
    -------
    object
        Of the same structure and types.

    Examples
    --------
    >>> with_activation([1, (2, 3)], (1, 0), "new")
    [1, ('new', 3)]
    """
    if not keys:
        return tensor
    key, *rest = keys
    inner = with_activation(value[key], tuple(rest), tensor)
    if isinstance(value, tuple):
        items = [inner if i == key else item for i, item in enumerate(value)]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    replaced = copy.copy(value)
    replaced[key] = inner
    return replaced
