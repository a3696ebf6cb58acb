"""What of the published numbers makes no claim, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

__all__ = ["LEFT_OUT", "reason_left_out"]

#: Reasons, in the words of the book.
LEFT_OUT: Final[Mapping[str, str]] = {
    "set-up": "Set-up of data, networks and training is not a result. Where ours differs, the "
    "column *set-up* says so.",
    "accuracy columns": "Tables 1 and 3 also answer whether F has an extremum, or its derivative a "
    "zero, at the threshold that comes from the accuracy. That is no point of the free energy.",
    "cited": "Numbers of other works that the paper cites.",
    "no place": "The accuracy of the CNN on CIFAR-10 after its decline: the paper does not say at "
    "which threshold.",
    "mechanism": "Explanations, such as how channels or attention spread information, for which "
    "nothing is measured in the paper or here; and the noisiness or flatness of curves, for which "
    "it gives no measure.",
}
_SETUP: Final = frozenset((
    "n_train", "n_val", "n_test", "n_total", "n_classes", "image_size", "norm_range", "norm_mean",
    "norm_std", "batch_size", "optimizer", "learning_rate", "dropout", "patience", "seed", "n_gpus",
    "n_hidden_layers", "n_conv_layers", "n_pruned_fc_layers", "n_classifier_layers",
    "n_finetuned_blocks", "n_panels", "figure",
))  # fmt: skip


def reason_left_out(row: Any) -> str | None:
    """Why a published number makes no claim.

    Parameters
    ----------
    row : object
        A row of :func:`companion.paper.published.published`, as a named tuple.

    Returns
    -------
    str or None
        A key of `LEFT_OUT`; None for a number that makes one.
    """
    if row.quantity in _SETUP:
        return "set-up"
    if row.quantity in ("derivative_zero", "extremum") and row.method == "accuracy":
        return "accuracy columns"
    if row.quantity.startswith("cited"):
        return "cited"
    if row.quantity == "accuracy_after" and row.model == "cnn":
        return "no place"
    return None
