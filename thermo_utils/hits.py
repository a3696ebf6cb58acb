"""What a classifier gets right, example by example: accuracy, and what pruning changes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from thermo_utils.errors import ThermoError

__all__ = ["Hits", "accuracy", "changed", "no_data"]


class Hits(NamedTuple):
    """Which targets of a batch were met, of those that count; on the device of the model."""

    met: Tensor
    targets: Tensor


def accuracy(batches: Iterable[Hits]) -> tuple[float, int]:
    """Accuracy and number of targets; the device is asked only once, at the end.

    Parameters
    ----------
    batches : iterable of Hits

    Returns
    -------
    accuracy : float
        A share.
    targets : int
        Those that count.

    Raises
    ------
    ThermoError
        If none counts.
    """
    correct: Tensor | None = None
    counted = 0
    for batch in batches:
        met = batch.met.sum()
        correct = met if correct is None else correct + met
        counted += len(batch.targets)
    if correct is None or not counted:
        raise no_data()
    return float(int(correct) / counted), counted


def changed(before: list[Hits], after: list[Hits]) -> dict[str, int | None]:
    """What pruning changes, example by example.

    Parameters
    ----------
    before, after : list of Hits
        Of the unpruned network and of the pruned one, on the same data.

    Returns
    -------
    dict
        ``lost``: targets that were met before and are no longer; ``gained``: the reverse. Both None
        if the targets came in another order, for then it is not known which is which.

    Examples
    --------
    >>> targets = torch.tensor([0, 1, 2])
    >>> before = Hits(torch.tensor([True, True, False]), targets)
    >>> after = Hits(torch.tensor([False, True, False]), targets)
    >>> changed([before], [after])
    {'lost': 1, 'gained': 0}
    """
    pairs = list(zip(before, after, strict=False))
    same = len(before) == len(after) and all(a.targets.shape == b.targets.shape for a, b in pairs)
    if not same or bool(torch.stack([(a.targets != b.targets).any() for a, b in pairs]).any()):
        return {"lost": None, "gained": None}
    return {
        "lost": int(torch.stack([(a.met & ~b.met).sum() for a, b in pairs]).sum()),
        "gained": int(torch.stack([(~a.met & b.met).sum() for a, b in pairs]).sum()),
    }


def no_data() -> ThermoError:
    """The error of an iterable without a batch, or without a target that counts."""
    return ThermoError("there is no data: the iterable yielded no batch with a target in it")
