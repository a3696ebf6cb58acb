"""The activation in whatever a layer takes or returns: a tensor, a tuple, a mapping, nested."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

__all__ = ["activation", "real_positions", "with_activation"]


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


def real_positions(output: Tensor, mask: Tensor | None) -> Tensor:
    """The part of an output that belongs to tokens of the texts, not to their padding.

    Parameters
    ----------
    output : Tensor
        An output of a layer.
    mask : Tensor, shape (batch, length), or None
        Nonzero where a token is real; None for inputs without padding.

    Returns
    -------
    Tensor
        Outputs of shape ``(batch, positions, ...)``, with three or more dimensions and no more
        positions than the mask has, come back as ``(tokens, ...)``. Others hold one vector per text
        (or per image) and come back as they are.

    Examples
    --------
    >>> import torch
    >>> states = torch.arange(6.0).reshape(2, 3, 1)
    >>> real_positions(states, torch.tensor([[1, 1, 0], [1, 0, 0]])).flatten().tolist()
    [0.0, 1.0, 3.0]
    """
    if mask is None or output.ndim < 3 or output.shape[0] != mask.shape[0]:
        return output
    if output.shape[1] > mask.shape[1]:
        return output
    # A network may skip what is padding in every text of a batch.
    return output[mask[:, : output.shape[1]].ne(0).to(output.device)]
