"""The tensors in whatever a layer takes or returns: a tensor, a tuple, a mapping, nested."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

__all__ = [
    "activation", "copies", "each", "equal", "fresh", "real_positions", "same", "taken_apart",
    "tensors_in", "with_activation",
]  # fmt: skip

#: What may stand beside tensors where values are compared or kept.
PLAIN = (
    type(None), bool, int, float, complex, str, bytes, slice, torch.dtype, torch.device,
    torch.layout, torch.memory_format,
)  # fmt: skip


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


def each(value: Any, function: Callable[[Tensor], Tensor]) -> Any:
    """The same structure with a function applied to every tensor in it.

    Parameters
    ----------
    value : object
        A tensor, or tuples, lists (which become tuples) and mappings (which become dicts) of these.
    function : callable

    Returns
    -------
    object
        What is no tensor is as it was.

    Examples
    --------
    >>> each({"x": (torch.ones(1), "word")}, Tensor.neg)
    {'x': (tensor([-1.]), 'word')}
    """
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, PackedSequence):
        indices = (value.sorted_indices, value.unsorted_indices)
        done = (index if index is None else function(index) for index in indices)
        return PackedSequence(function(value.data), value.batch_sizes, *done)
    if isinstance(value, Mapping):
        return {key: each(item, function) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return tuple(each(item, function) for item in value)
    return value


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


def tensors_in(value: Any, *, given: bool = False) -> list[Tensor] | None:
    """All tensors in a value that nothing else is in but plain values.

    Parameters
    ----------
    value : object
    given : bool, default False
        Whether these are a module's arguments, which it could change: then no lists or mappings.

    Returns
    -------
    list of Tensor, or None
        None if there is something else, or a tensor that cannot be kept: one that gradients are
        recorded of (but for arguments), or of inference mode, in which changes do not show.

    Examples
    --------
    >>> tensors_in((torch.ones(1), None)), tensors_in({"x": object()})
    ([tensor([1.])], None)
    """
    if isinstance(value, Tensor):
        return None if value.is_inference() or (value.requires_grad and not given) else [value]
    if isinstance(value, PLAIN):
        return []
    inner: Iterable[Any]
    if isinstance(value, tuple) or (isinstance(value, list) and not given):
        inner = value
    elif isinstance(value, Mapping) and not given:
        inner = value.values()
    else:
        return None
    found: list[Tensor] = []
    for item in inner:
        tensors = tensors_in(item, given=given)
        if tensors is None:
            return None
        found += tensors
    return found


def fresh(value: Any) -> Any:
    """The same tensors in lists and mappings of their own, which may be changed.

    Parameters
    ----------
    value : object

    Returns
    -------
    object

    Examples
    --------
    >>> value = [1, (2, 3)]
    >>> fresh(value) == value, fresh(value) is value
    (True, False)
    """
    if isinstance(value, list):
        return [fresh(item) for item in value]
    if isinstance(value, tuple):
        items = [fresh(item) for item in value]
        if all(new is old for new, old in zip(items, value, strict=True)):
            return value
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if isinstance(value, Mapping):
        copied: Any = copy.copy(value)
        for key, item in value.items():
            copied[key] = fresh(item)
        return copied
    return value


def copies(output: Any) -> list[Tensor]:
    """Copies of all tensors that can be found in what a network returned.

    Parameters
    ----------
    output : object
        Tensors, tuples, lists, mappings and dataclasses of these; what is none is left out.

    Returns
    -------
    list of Tensor

    Examples
    --------
    >>> copies({"loss": None, "logits": torch.ones(1)})
    [tensor([1.])]
    """
    if isinstance(output, Tensor):
        return [output.detach().clone()]
    if dataclasses.is_dataclass(output) and not isinstance(output, type | Mapping):
        output = [getattr(output, field.name) for field in dataclasses.fields(output)]
    if isinstance(output, Mapping):
        output = list(output.values())
    return [t for item in output for t in copies(item)] if isinstance(output, tuple | list) else []


def taken_apart(value: Any) -> tuple[list[Tensor], Any] | None:
    """The tensors in a batch, and all else that there is to it.

    Parameters
    ----------
    value : object

    Returns
    -------
    tuple of (list of Tensor, object), or None
        The second can be compared with another's. None if there is something in the value that is
        neither a tensor nor plain.

    Examples
    --------
    >>> taken_apart((torch.ones(1), {"word": "x"}))[0], taken_apart([object()])
    ([tensor([1.])], None)
    """
    if isinstance(value, Tensor):
        return [value], (value.dtype, value.shape, value.stride(), value.device)
    if isinstance(value, PLAIN):
        return [], (type(value), value)
    pairs: Iterable[tuple[Any, Any]]
    if isinstance(value, Mapping):
        pairs = value.items()
    elif isinstance(value, tuple | list):
        pairs = enumerate(value)
    else:
        return None
    tensors: list[Tensor] = []
    rest: list[Any] = []
    for key, item in pairs:
        parts = taken_apart(item)
        if parts is None:
            return None
        tensors += parts[0]
        rest.append((key, parts[1]))
    return tensors, rest


def same(batch: Any, other: Any) -> bool:
    """Whether two batches are the same, number by number.

    Parameters
    ----------
    batch, other : object

    Returns
    -------
    bool
        False too where it cannot be known, see :func:`taken_apart`.

    Examples
    --------
    >>> same((torch.ones(2), "a"), (torch.ones(2), "a")), same(torch.ones(2), torch.zeros(2))
    (True, False)
    """
    first, second = taken_apart(batch), taken_apart(other)
    if first is None or second is None or first[1] != second[1]:
        return False
    return equal(first[0], second[0])


def equal(tensors: list[Tensor] | None, others: list[Tensor] | None) -> bool:
    """Whether there are tensors, and the others are the same.

    Parameters
    ----------
    tensors, others : list of Tensor, or None

    Returns
    -------
    bool

    Examples
    --------
    >>> equal([torch.ones(1)], [torch.ones(1)]), equal([], [])
    (True, False)
    """
    if not tensors or others is None or len(tensors) != len(others):
        return False
    return all(
        one.dtype == other.dtype and torch.equal(one, other)
        for one, other in zip(tensors, others, strict=True)
    )
