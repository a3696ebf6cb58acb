"""The MLP of Figures 2 and 3.

The paper leaves the widths of the hidden layers open; these are the ones whose accuracy and
sparsity come closest to the published ones.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from companion.networks.network import (
    BATCH_SIZE,
    DEMO,
    DROPOUT,
    MOST_EPOCHS,
    POOLED,
    Network,
    Recipe,
    check_dropout,
)  # fmt: skip

if TYPE_CHECKING:
    from torch import nn

__all__ = ["NETWORK", "make"]


def make(
    classes: int,
    *,
    image_size: int,
    hidden: tuple[int, ...] = (512, 256, 128),
    dropout: float = DROPOUT,
    normalisation: bool = True,
) -> nn.Module:
    """Fully connected network; each hidden layer is linear, normalised, rectified, dropped out.

    Parameters
    ----------
    classes : int
        Number of classes.
    image_size : int
        Side of the input in pixels; three channels are flattened.
    hidden : tuple of int, default (512, 256, 128)
        Widths of the hidden layers.
    dropout : float, default 0.3
        Dropout rate after each hidden layer.
    normalisation : bool, default True
        Normalise by batch.

    Returns
    -------
    Module
        ``(batch, 3, side, side)`` to ``(batch, classes)``.

    Raises
    ------
    ThermoError
        If `dropout` is out of range.

    Examples
    --------
    >>> import torch
    >>> make(10, image_size=32)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """
    from torch import nn

    layers: OrderedDict[str, nn.Module] = OrderedDict()
    width = 3 * image_size**2
    for number, units in enumerate(hidden, start=1):
        layers[f"linear{number}"] = nn.Linear(width, units)
        if normalisation:
            layers[f"norm{number}"] = nn.BatchNorm1d(units)
        layers[f"relu{number}"] = nn.ReLU()
        layers[f"dropout{number}"] = nn.Dropout(check_dropout(dropout))
        width = units
    return nn.Sequential(
        OrderedDict(
            flatten=nn.Flatten(),
            hidden=nn.Sequential(layers),
            classifier=nn.Linear(width, classes),
        )
    )


TINY = {"hidden": (128, 64, 32)}

RECIPES = {
    ("cifar10", "demo"): Recipe(
        epochs=8,
        batch_size=BATCH_SIZE["cifar10"],
        options=TINY,
        **DEMO["cifar10"],
    ),
    ("cifar10", "small"): Recipe(
        epochs=MOST_EPOCHS,
        batch_size=BATCH_SIZE["cifar10"],
        tau_step=0.04,
        tau_max=1.6,
    ),
    ("cifar10", "paper"): Recipe(
        epochs=MOST_EPOCHS,
        batch_size=BATCH_SIZE["cifar10"],
        tau_step=0.04,
        tau_max=1.6,
    ),
    ("flowers102", "demo"): Recipe(
        epochs=12,
        batch_size=BATCH_SIZE["flowers102"],
        options=TINY,
        **DEMO["flowers102"],
    ),
    ("flowers102", "small"): Recipe(
        epochs=MOST_EPOCHS,
        batch_size=BATCH_SIZE["flowers102"],
        split=POOLED,
        tau_step=0.04,
        tau_max=1.6,
    ),
    ("flowers102", "paper"): Recipe(
        epochs=MOST_EPOCHS,
        batch_size=BATCH_SIZE["flowers102"],
        split=POOLED,
        tau_step=0.04,
        tau_max=1.6,
    ),
}

NETWORK = Network(
    name="mlp",
    title="MLP",
    reads="image",
    layers=("hidden.relu*",),
    where="after the ReLU of each hidden layer",
    make=make,
    figures={"cifar10": 2, "flowers102": 3},
    recipes=RECIPES,
    alternatives={
        "linear layers": ("hidden.linear*",),
        "after normalisation, before ReLU": ("hidden.norm*",),
        "after dropout": ("hidden.dropout*",),
    },
)
