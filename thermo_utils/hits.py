"""What a classifier gets right, example by example: accuracy, and what pruning changes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from thermo_utils.errors import ThermoError

__all__ = ["Hits", "accuracy", "changed", "lost_of_classes", "no_data"]


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
    pairs = _pairs(before, after)
    if pairs is None:
        return {"lost": None, "gained": None}
    return {
        "lost": int(torch.stack([(a.met & ~b.met).sum() for a, b in pairs]).sum()),
        "gained": int(torch.stack([(~a.met & b.met).sum() for a, b in pairs]).sum()),
    }


def lost_of_classes(before: list[Hits], after: list[Hits], classes: int) -> list[int] | None:
    """Targets of each class that were met before and are no longer; None as for :func:`changed`.

    Parameters
    ----------
    before, after : list of Hits
        As for :func:`changed`.
    classes : int
        Their number.

    Returns
    -------
    list of int or None

    Examples
    --------
    >>> targets = torch.tensor([0, 1, 1])
    >>> before = Hits(torch.tensor([True, True, False]), targets)
    >>> after = Hits(torch.tensor([True, False, False]), targets)
    >>> lost_of_classes([before], [after], 3)
    [0, 1, 0]
    """
    pairs = _pairs(before, after)
    if pairs is None:
        return None
    lost = torch.cat([a.targets[a.met & ~b.met] for a, b in pairs])
    return [int(n) for n in torch.bincount(lost, minlength=classes)]


def _pairs(before: list[Hits], after: list[Hits]) -> list[tuple[Hits, Hits]] | None:
    """Batches before and after, None if the targets came in another order."""
    pairs = list(zip(before, after, strict=False))
    same = len(before) == len(after) and all(a.targets.shape == b.targets.shape for a, b in pairs)
    if not same or bool(torch.stack([(a.targets != b.targets).any() for a, b in pairs]).any()):
        return None
    return pairs


def no_data() -> ThermoError:
    """The error of an iterable without a batch, or without a target that counts."""
    return ThermoError("there is no data: the iterable yielded no batch with a target in it")
