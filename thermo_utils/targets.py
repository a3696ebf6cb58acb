"""Scores and targets of a batch, brought together: one row of class scores for every target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from thermo_utils.errors import ThermoError

__all__ = ["IGNORE_INDEX", "Batch", "Reading", "Rows", "scores", "tensor_of"]

#: Targets of this value do not count, as in PyTorch's cross-entropy.
IGNORE_INDEX = -100
#: Where models keep their scores: Hugging Face's and torchvision's segmentation.
KEYS = ("logits", "out")
#: How the classes end that predict the next token and are given the tokens themselves as labels.
CAUSAL = ("ForCausalLM", "LMHeadModel")


class Batch(NamedTuple):
    """What went into a network, what came out, and what should have."""

    model: nn.Module
    inputs: Any
    output: Any
    targets: Any


class Rows(NamedTuple):
    """Class scores ``(n, classes)`` and targets ``(n,)``, and whether a target is no class."""

    scores: Tensor
    targets: Tensor
    strange: Tensor


def tensor_of(output: Any) -> Tensor | None:
    """The scores or predictions in whatever a model returned, None if there are none.

    Parameters
    ----------
    output : object
        A tensor, an object with ``logits``, a mapping with that key or ``out``, or a tuple that
        starts with the scores.

    Returns
    -------
    Tensor or None
        Floating point.

    Examples
    --------
    >>> tensor_of((torch.zeros(2), "more")).shape
    torch.Size([2])
    """
    found = output
    if isinstance(output, Mapping):
        found = next((output[key] for key in KEYS if key in output), None)
    elif hasattr(output, "logits"):
        found = output.logits
    elif isinstance(output, tuple | list) and output:
        found = output[0]
    return found if isinstance(found, Tensor) and found.is_floating_point() else None


def scores(output: Any) -> Tensor:
    """Class scores in whatever a model returned.

    Parameters
    ----------
    output : object
        As for :func:`tensor_of`.

    Returns
    -------
    Tensor
        Floating point, of two dimensions or more.

    Raises
    ------
    ThermoError
        If there are none.

    Examples
    --------
    >>> scores({"logits": torch.zeros(2, 3)}).shape
    torch.Size([2, 3])
    """
    found = tensor_of(output)
    if found is None or found.ndim < 2:
        what = "missing" if found is None else f"of shape {tuple(found.shape)}"
        raise ThermoError(
            f"the model returned {type(output).__name__} and its logits are {what}: give class "
            "scores of shape (batch, classes), as a tensor, the first of a tuple, or 'logits'; "
            "for other outputs take another metric, such as metric='mse'"
        )
    return found


@dataclass(frozen=True)
class Reading:
    """How scores and targets belong together.

    Parameters
    ----------
    shift : bool, optional
        Whether position ``t`` is scored against the target at ``t + 1``. By default it is where the
        targets are the very tokens that went in, and of Hugging Face's causal language models
        always, but for targets that come shifted already.
    mask : str or None, default "attention_mask"
        Where a mapping of inputs holds the mask of a sequence: targets at positions with zero do
        not count. An encoder-decoder's targets are masked by ``decoder_`` and that name. None:
        all count.
    class_dim : int, optional
        Dimension of the scores that holds the classes. By default the one that makes the rest as
        long as the targets: ``(batch, classes, ...)`` as in PyTorch's cross-entropy, or
        ``(batch, ..., classes)``.

    Examples
    --------
    >>> Reading(class_dim=1).class_dim
    1
    """

    shift: bool | None = None
    mask: str | None = "attention_mask"
    class_dim: int | None = None

    def rows(self, batch: Batch) -> Rows:
        """Scores and targets that count, row by row.

        Parameters
        ----------
        batch : Batch
            Targets are class numbers, ``(batch, ...)``.

        Returns
        -------
        Rows
            Without those whose target is `IGNORE_INDEX` or masked.

        Raises
        ------
        ThermoError
            If the targets are no class numbers, or their shape does not fit.
        """
        found = scores(batch.output).detach()
        targets = class_numbers(batch.targets).to(found.device)
        found = self._classes_last(found, targets, batch.output)
        targets = self._masked(targets, batch)
        if found.ndim == 3 and self._shifted(targets, batch):
            found, targets = found[:, :-1], targets[:, 1:]
        known = targets != IGNORE_INDEX
        flat, kept = found.reshape(-1, found.shape[-1]), known.reshape(-1)
        targets = targets.reshape(-1)
        if not bool(kept.all()):
            flat, targets = flat[kept], targets[kept]
        strange = ((targets < 0) | (targets >= flat.shape[-1])).any()
        return Rows(flat, targets, strange)

    def _classes_last(self, found: Tensor, targets: Tensor, output: Any) -> Tensor:
        shape, wanted = tuple(found.shape), tuple(targets.shape)
        if self.class_dim is not None:
            if not -found.ndim <= self.class_dim < found.ndim:
                raise ThermoError(f"class_dim is {self.class_dim}, but scores have shape {shape}")
            found = found.movedim(self.class_dim, -1)
        else:
            last, first = shape[:-1] == wanted, (shape[0], *shape[2:]) == wanted
            if last and first and found.ndim > 2 and not hasattr(output, "logits"):
                raise ThermoError(
                    f"scores of shape {shape} and targets of shape {wanted} do not tell which "
                    "dimension holds the classes: pass metric=metrics.named('accuracy', "
                    "class_dim=1) or class_dim=-1"
                )
            if first and not last:
                found = found.movedim(1, -1)
        if tuple(found.shape[:-1]) != wanted:
            raise ThermoError(
                f"targets of shape {wanted} do not fit scores of shape {shape}: give one class "
                "number per row, with the classes second or last among the scores' dimensions"
            )
        if found.shape[-1] < 2:
            raise ThermoError(
                "the model returned a single score per row: give one score per class, or take "
                "another metric, such as a torchmetrics.classification.BinaryAccuracy()"
            )
        return found

    def _masked(self, targets: Tensor, batch: Batch) -> Tensor:
        if self.mask is None or targets.ndim < 2 or not isinstance(batch.inputs, Mapping):
            return targets
        name = f"decoder_{self.mask}" if _encoder_decoder(batch) else self.mask
        mask = batch.inputs.get(name)
        if not isinstance(mask, Tensor) or mask.shape != targets.shape:
            return targets
        return targets.masked_fill(mask.to(targets.device) == 0, IGNORE_INDEX)

    def _shifted(self, targets: Tensor, batch: Batch) -> bool:
        if self.shift is not None:
            return self.shift
        if _encoder_decoder(batch):
            return False
        tokens = batch.inputs
        if isinstance(tokens, Mapping):
            tokens = tokens.get("input_ids")
        elif isinstance(tokens, tuple | list) and tokens:
            tokens = tokens[0]
        if isinstance(tokens, Tensor) and tokens.shape == targets.shape:
            tokens = tokens.to(targets.device)
            if _equal(tokens, targets):
                return True
            if _equal(tokens[:, 1:], targets[:, :-1]):
                return False
        name = type(getattr(batch.model, "_orig_mod", batch.model)).__name__
        return name.endswith(CAUSAL)


def _equal(tokens: Tensor, targets: Tensor) -> bool:
    """Whether the targets that count are the tokens, and some do."""
    known = targets != IGNORE_INDEX
    return bool(((tokens == targets) | ~known).all() & known.any())


def class_numbers(targets: Any) -> Tensor:
    """Targets as class numbers.

    Parameters
    ----------
    targets : Tensor
        Whole numbers, or truth values for the classes 0 and 1.

    Returns
    -------
    Tensor
        int64.

    Raises
    ------
    ThermoError
        If they are something else.

    Examples
    --------
    >>> class_numbers(torch.tensor([True, False]))
    tensor([1, 0])
    """
    if not isinstance(targets, Tensor):
        raise ThermoError(
            f"targets are of type {type(targets).__name__}: make them a tensor of class numbers"
        )
    if targets.is_floating_point() or targets.is_complex():
        raise ThermoError(
            f"targets of {targets.dtype} and shape {tuple(targets.shape)} are no class numbers: "
            "for numbers to be predicted take metric='mse'; for a share per class give "
            "targets.argmax(-1)"
        )
    return targets.to(torch.int64)


def _encoder_decoder(batch: Batch) -> bool:
    config = getattr(batch.model, "config", None)
    given = isinstance(batch.inputs, Mapping) and "decoder_input_ids" in batch.inputs
    return given or bool(getattr(config, "is_encoder_decoder", False))
