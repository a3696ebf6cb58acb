"""What a classifier gets right, example by example: accuracy, and what pruning changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from thermo_utils.batches import forward, unpack
from thermo_utils.errors import ThermoError

__all__ = ["IGNORE_INDEX", "Hits", "accuracy", "changed", "hits", "no_data", "scores"]

#: Targets of this value do not count, as in PyTorch's cross-entropy.
IGNORE_INDEX = -100


class Hits(NamedTuple):
    """Which targets of a batch were met, and which count; on the device of the model."""

    met: Tensor
    known: Tensor
    targets: Tensor


def hits(
    model: nn.Module, data: Iterable[Any], note: Callable[[bytes], None] | None = None
) -> Iterator[Hits]:
    """What the model gets right, batch by batch, without waiting for the device.

    Parameters
    ----------
    model, data
        As for :func:`thermo_utils.full_evaluation`.
    note : callable, optional
        Receives the targets in their order as bytes, for which the device is asked each time.

    Yields
    ------
    Hits

    Raises
    ------
    ThermoError
        If a batch has no targets, or the model returns no class scores for them.
    """
    for batch in data:
        inputs, targets = unpack(batch)
        if targets is None:
            raise ThermoError(
                "a batch has no targets: yield (inputs, targets) pairs, or mappings with 'labels'"
            )
        if note is not None:  # in one width, so that it does not matter how they are stored
            note(targets.to("cpu", torch.int64).numpy().tobytes())
        logits = scores(forward(model, inputs))
        predicted = logits.argmax(dim=-1)
        truth = targets.to(predicted.device)
        if truth.shape != predicted.shape:
            raise ThermoError(
                f"targets of shape {tuple(truth.shape)} do not fit scores of shape "
                f"{tuple(logits.shape)}: give one class number per row"
            )
        known = truth != IGNORE_INDEX
        yield Hits((predicted == truth) & known, known, truth)


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
    counted: Tensor | None = None
    for batch in batches:
        met, seen = batch.met.sum(), batch.known.sum()
        correct = met if correct is None else correct + met
        counted = seen if counted is None else counted + seen
    if correct is None or counted is None or not int(counted):
        raise no_data()
    return float(int(correct) / int(counted)), int(counted)


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
    >>> targets, known = torch.tensor([0, 1, 2]), torch.ones(3, dtype=torch.bool)
    >>> before = Hits(torch.tensor([True, True, False]), known, targets)
    >>> after = Hits(torch.tensor([False, True, False]), known, targets)
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


def scores(output: Any) -> Tensor:
    """Class scores in whatever a model returned.

    Parameters
    ----------
    output : object
        A tensor, an object with ``logits``, a mapping with that key, or a tuple that starts with
        the scores.

    Returns
    -------
    Tensor
        Floating point, last dimension: classes.

    Raises
    ------
    ThermoError
        If there are none.

    Examples
    --------
    >>> scores({"logits": torch.zeros(2, 3)}).shape
    torch.Size([2, 3])
    """
    logits = output
    if hasattr(output, "logits"):
        logits = output.logits
    elif isinstance(output, Mapping):
        logits = output.get("logits")
    elif isinstance(output, tuple | list) and output:
        logits = output[0]
    if not isinstance(logits, Tensor) or not logits.is_floating_point() or logits.ndim < 2:
        what = f"of shape {tuple(logits.shape)}" if isinstance(logits, Tensor) else "missing"
        raise ThermoError(
            f"the model returned {type(output).__name__} and its logits are {what}: accuracy needs "
            "class scores of shape (batch, classes), returned as a tensor, as the first of a "
            "tuple, or as 'logits'"
        )
    if logits.shape[-1] < 2:
        raise ThermoError("the model returned a single score per row: give one score per class")
    return logits


def no_data() -> ThermoError:
    """The error of an iterable without a batch, or without a target that counts."""
    return ThermoError("there is no data: the iterable yielded no batch with a target in it")
