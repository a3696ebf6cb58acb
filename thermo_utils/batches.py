"""Batches as users have them: taken apart, looked at, and read again."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from thermo_utils.errors import ThermoError

__all__ = ["Once", "parts", "several_times", "unpack"]


def unpack(batch: Any) -> tuple[Any, Any]:
    """Inputs and targets of a batch.

    Parameters
    ----------
    batch : object
        A pair, a mapping with or without ``labels``, or inputs alone.

    Returns
    -------
    inputs : object
        Mappings lose their ``labels``, so no loss is computed.
    targets : Tensor or None

    Raises
    ------
    ThermoError
        If a sequence has more than two parts, the second looks like a mask of the first, targets
        are no tensor, or inputs are lists of numbers or words.

    Examples
    --------
    >>> unpack([torch.ones(2), torch.tensor([0, 1])])[1]
    tensor([0, 1])
    """
    inputs, targets = parts(batch)
    if _mask_of(inputs, targets):
        raise ThermoError(
            "the second part of a batch looks like the mask of the first, and would be taken for "
            "its targets: yield {'input_ids': ids, 'attention_mask': mask}, or, if these are "
            "targets, {'input_ids': ids, 'labels': targets}"
        )
    _check_inputs(inputs)
    return inputs, _checked_targets(targets)


def parts(batch: Any) -> tuple[Any, Any]:
    """Inputs and targets of a batch or an example, as they are.

    Parameters
    ----------
    batch : object
        As for :func:`unpack`.

    Returns
    -------
    inputs, targets : object

    Raises
    ------
    ThermoError
        If a sequence has more than two parts.

    Examples
    --------
    >>> parts({"x": 1, "labels": 2})
    ({'x': 1}, 2)
    """
    if isinstance(batch, Mapping):
        return {key: value for key, value in batch.items() if key != "labels"}, batch.get("labels")
    if isinstance(batch, Sequence) and not isinstance(batch, str | PackedSequence):
        if len(batch) not in (1, 2):
            raise ThermoError(
                f"a batch has {len(batch)} parts: yield (inputs, targets) pairs, with several "
                "inputs as a tuple or mapping, or mappings with 'labels'"
            )
        return batch[0], batch[1] if len(batch) == 2 else None
    return batch, None


def _mask_of(inputs: Any, targets: Any) -> bool:
    """Whether targets are as many zeros and ones as there are token ids."""
    if not isinstance(inputs, Tensor) or not isinstance(targets, Tensor):
        return False
    if inputs.shape != targets.shape or inputs.ndim < 2:
        return False
    if inputs.is_floating_point() or targets.is_floating_point():
        return False
    return bool(((targets == 0) | (targets == 1)).all()) and bool((inputs > 1).any())


def _check_inputs(inputs: Any) -> None:
    """Refuse what is left of examples that were not put together into tensors."""
    named = inputs.items() if isinstance(inputs, Mapping) else [("inputs", inputs)]
    for name, value in named:
        if isinstance(value, str) or (
            isinstance(value, list) and value and _plain(value[0])
        ):  # a tuple or list of tensors is several arguments
            raise ThermoError(
                f"{name} is a {type(value).__name__} of {type(_first(value)).__name__}, not a "
                "tensor: pad examples to one length and stack them (tokenizers: padding=True, "
                "return_tensors='pt'), and leave out what the model does not take"
            )


def _plain(value: Any) -> bool:
    """Whether it is a word, a number, or a list of these."""
    return isinstance(value, str | int | float) or (
        isinstance(value, list) and (not value or _plain(value[0]))
    )


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else value


def _checked_targets(targets: Any) -> Any:
    if targets is None or isinstance(targets, Tensor):
        return targets
    if isinstance(targets, np.ndarray) and targets.dtype.kind in "biuf":
        return torch.from_numpy(targets)
    inner = _first(list(targets)) if isinstance(targets, tuple | list | np.ndarray) else targets
    if isinstance(inner, str):
        fix = "number the classes from 0 and give a tensor of these numbers"
    elif isinstance(inner, Mapping):
        fix = "boxes and the like are not scored: give one class per image or pixel, in a tensor"
    else:
        fix = "make one tensor of them, such as torch.tensor(labels)"
    raise ThermoError(
        f"targets are of type {type(targets).__name__} with {type(inner).__name__} in it: {fix}"
    )


class Once:
    """Batches that can be read only once, but begun again as long as only the first was read.

    Parameters
    ----------
    data : iterator of batches

    Examples
    --------
    >>> batches = Once(iter([1, 2, 3]))
    >>> next(iter(batches)), list(batches), list(batches)
    (1, [1, 2, 3], [])
    """

    def __init__(self, data: Iterator[Any]) -> None:
        self._data = data
        self._first: list[Any] = []
        self._all: list[Any] | None = None

    def __iter__(self) -> Iterator[Any]:
        if not self._first:
            self._first = list(itertools.islice(self._data, 1))
        yield from self._first
        for batch in self._data:
            self._first = []  # it cannot be begun again from here
            yield batch
        self._first = []

    def kept(self) -> list[Any]:
        """All of them, kept in memory."""
        if self._all is None:
            self._all = list(self)
        return self._all


def several_times(data: Iterable[Any]) -> Iterable[Any]:
    """The same batches, to be read as often as one likes.

    Parameters
    ----------
    data : iterable of batches
        Kept in memory if it can be read only once.

    Returns
    -------
    iterable of batches

    Examples
    --------
    >>> batches = several_times(iter([1, 2]))
    >>> list(batches), list(batches)
    ([1, 2], [1, 2])
    """
    if isinstance(data, Once):
        return data.kept()
    return list(data) if isinstance(data, Iterator) else data
