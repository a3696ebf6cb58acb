"""Batches on their way into a network: taken apart, moved to its device, and kept there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from thermo_utils.errors import ThermoError

__all__ = ["Resident", "device_of", "forward", "keep_on_device", "unpack"]

#: Share of a device's free memory that batches may take up.
SHARE = 0.25


def unpack(batch: Any) -> tuple[Any, Tensor | None]:
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
        If a sequence has more than two parts.
    """
    if isinstance(batch, Mapping):
        inputs = {key: value for key, value in batch.items() if key != "labels"}
        return inputs, batch.get("labels")
    if isinstance(batch, Sequence):
        if len(batch) == 2:
            return batch[0], batch[1]
        if len(batch) == 1:
            return batch[0], None
        raise ThermoError(
            f"a batch has {len(batch)} parts: yield (inputs, targets) pairs, with several inputs "
            "as a tuple or mapping, or mappings with 'labels'"
        )
    return batch, None


def forward(model: nn.Module, inputs: Any) -> Any:
    """Run a model on the inputs of a batch, moved to its device.

    Parameters
    ----------
    model : Module
        The network.
    inputs : Tensor, tuple or mapping of Tensor
        Tuples become positional, mappings become keyword arguments.

    Returns
    -------
    object
        Whatever the model returns.
    """
    device = device_of(model)
    if device is not None:
        inputs = _moved(inputs, device)
    if isinstance(inputs, Mapping):
        return model(**inputs)
    if isinstance(inputs, tuple | list) and not isinstance(inputs, PackedSequence):
        return model(*inputs)
    return model(inputs)


def device_of(model: nn.Module) -> torch.device | None:
    """Where a model's parameters are, None if it has none."""
    parameter = next(model.parameters(), None)
    return None if parameter is None else parameter.device


def keep_on_device(data: Iterable[Any], device: torch.device | None) -> Iterable[Any]:
    """The same batches, kept on an accelerator from the first pass on if they fit.

    Parameters
    ----------
    data : iterable of batches
        Read again for every pass.
    device : torch.device or None
        Where they are needed. On a CPU, or without a device, `data` comes back as it is.

    Returns
    -------
    iterable of batches
    """
    if device is None or device.type == "cpu":
        return data
    return Resident(data, device, _room(device))


class Resident:
    """Batches that are moved to a device in the first pass and stay there, if all of them fit.

    Parameters
    ----------
    data : iterable of batches
        Read once if they fit, else once per pass.
    device : torch.device
    budget : int
        Bytes on the device that they may take up. As soon as they do not fit, those kept so far
        are let go and every pass reads `data` again: a part of them could not be told from the
        rest in data that come in another order each time.

    Examples
    --------
    >>> batches = Resident(iter([torch.ones(2), torch.zeros(1)]), torch.device("cpu"), 12)
    >>> [len(batch) for batch in batches], [len(batch) for batch in batches]
    ([2, 1], [2, 1])
    """

    def __init__(self, data: Iterable[Any], device: torch.device, budget: int) -> None:
        self._data = data
        self._device = device
        self._budget = budget
        self._kept: list[Any] | None = None
        self._fits = True

    def __iter__(self) -> Iterator[Any]:
        if self._kept is not None:
            # A network may change its inputs in place: it gets a copy, made on the device.
            yield from (_each(batch, Tensor.clone) for batch in self._kept)
            return
        kept: list[Any] = []
        left = self._budget
        for batch in self._data:
            moved = _moved(batch, self._device)
            left -= _nbytes(moved)
            if left < 0:
                self._fits = False
                kept.clear()
            if self._fits:
                kept.append(_each(moved, Tensor.clone))
            yield moved
        if self._fits:  # and the pass came to its end
            self._kept = kept


def _room(device: torch.device) -> int:
    try:
        free, _ = torch.accelerator.get_memory_info(device)
    except (RuntimeError, NotImplementedError, ValueError):  # some backends cannot tell
        return 0
    return int(SHARE * free)


def _moved(value: Any, device: torch.device) -> Any:
    return _each(value, lambda tensor: tensor.to(device, non_blocking=True))


def _nbytes(value: Any) -> int:
    sizes: list[int] = []

    def note(tensor: Tensor) -> Tensor:
        sizes.append(tensor.nbytes)
        return tensor

    _each(value, note)
    return sum(sizes)


def _each(value: Any, function: Callable[[Tensor], Tensor]) -> Any:
    """The same structure with a function applied to every tensor in it."""
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, PackedSequence):
        indices = (value.sorted_indices, value.unsorted_indices)
        moved = (index if index is None else function(index) for index in indices)
        return PackedSequence(function(value.data), value.batch_sizes, *moved)
    if isinstance(value, Mapping):
        return {key: _each(item, function) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return tuple(_each(item, function) for item in value)
    return value
