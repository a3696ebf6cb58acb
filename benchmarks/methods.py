"""The methods that are compared, each as a function of network, data, layers and thresholds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from thermo_utils import evaluate, thermodynamic_curve
from thermo_utils.hooks import ActivationHooks
from thermo_utils.layers import LayerSpec

__all__ = ["stored_renormalized"]


def stored_renormalized(
    model: nn.Module, data: Iterable[Any], layers: LayerSpec, taus: NDArray[np.float64]
) -> pd.DataFrame:
    """RFE as Section 3.7 describes it: store all activations, then sweep them per threshold.

    Parameters
    ----------
    model, data, layers
        As for :func:`thermo_utils.renormalized`.
    taus : ndarray of float64, shape (K,)
        Thresholds.

    Returns
    -------
    DataFrame, K rows
        The curve. Counts equal those of :func:`thermo_utils.renormalized`; sums differ from them
        by rounding.
    """
    stored: list[torch.Tensor] = []

    def keep(name: str, activations: torch.Tensor) -> None:
        # A copy: the next layer may change the tensor in place.
        stored.append(activations.detach().abs().flatten())

    with ActivationHooks(model, layers, keep):
        evaluate(model, data)
    values = torch.cat(stored)
    stored.clear()
    values = values[values > 0]
    active, sums = [], []
    for tau in taus.tolist():
        survivors = values[values >= tau]
        active.append(survivors.numel())
        sums.append(float(survivors.sum(dtype=torch.float64)))
    total, mass = values.numel(), float(values.sum(dtype=torch.float64))
    return thermodynamic_curve(taus, np.array(active), np.array(sums), total, mass)
