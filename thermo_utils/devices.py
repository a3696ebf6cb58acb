"""Batches on their way to a network's device, and kept there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import psutil
import torch
from torch import Tensor, nn

from thermo_utils.structures import each

__all__ = ["Resident", "device_of", "keep_on_device", "moved", "room"]

#: Share of a device's free memory that batches may take up.
SHARE = 0.25


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
    return Resident(data, device, room(device))


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
            yield from (each(batch, Tensor.clone) for batch in self._kept)
            return
        kept: list[Any] = []
        left = self._budget
        for batch in self._data:
            there = moved(batch, self._device)
            left -= _nbytes(there)
            if left < 0:
                self._fits = False
                kept.clear()
            if self._fits:
                kept.append(each(there, Tensor.clone))
            yield there
        if self._fits:  # and the pass came to its end
            self._kept = kept


def room(device: torch.device) -> int:
    """Bytes of a device's free memory that may be taken up; 0 if it cannot tell."""
    if device.type == "cpu":
        return int(SHARE * psutil.virtual_memory().available)
    try:
        free, _ = torch.accelerator.get_memory_info(device)
    except (RuntimeError, NotImplementedError, ValueError):  # some backends cannot tell
        return 0
    return int(SHARE * free)


def moved(value: Any, device: torch.device) -> Any:
    """The same structure with every tensor in it on a device."""
    return each(value, lambda tensor: tensor.to(device, non_blocking=True))


def _nbytes(value: Any) -> int:
    sizes: list[int] = []

    def note(tensor: Tensor) -> Tensor:
        sizes.append(tensor.nbytes)
        return tensor

    each(value, note)
    return sum(sizes)
