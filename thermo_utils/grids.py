"""Grids of thresholds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import nn

from thermo_utils.errors import ThermoError
from thermo_utils.evaluation import renormalized
from thermo_utils.hooks import LayerSpec

__all__ = ["OCTAVES", "automatic_step", "uniform_grid"]

#: Thresholds for activations of unknown scale: 32 to the octave, 2^-24 to 2^16.
OCTAVES: NDArray[np.float64] = 2.0 ** (np.arange(-24 * 32, 16 * 32 + 1) / 32)
#: Leading digits of a step that reads well on an axis.
ROUND = np.array([1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0])


def uniform_grid(step: float, last: float) -> NDArray[np.float64]:
    """Multiples of a step, from the step itself to the last one not above a bound.

    Parameters
    ----------
    step, last : float
        Positive, in units of the activations.

    Returns
    -------
    ndarray of float64, shape (K,)
        Each a multiple of the step, rounded to the nearest decimal of 12 digits, so that a grid ten
        times finer contains it.

    Raises
    ------
    ThermoError
        If the step is not positive or larger than the bound.

    Examples
    --------
    >>> uniform_grid(0.1, 0.3)
    array([0.1, 0.2, 0.3])
    """
    if not 0 < step <= last * (1 + 1e-9) < np.inf:
        raise ThermoError(
            f"step must be positive and at most the last threshold {last}, got {step}"
        )
    count = int(np.floor(last / step + 1e-9))
    return np.array([float(f"{step * k:.12g}") for k in range(1, count + 1)])


def automatic_step(
    model: nn.Module,
    data: Iterable[Any],
    layers: LayerSpec,
    *,
    points: int = 40,
    beta: float = 0.985,
) -> tuple[float, float]:
    """Step and bound of a grid that suits a network of unknown scale, from one unpruned pass.

    Parameters
    ----------
    model, data, layers
        As for :func:`thermo_utils.renormalized`.
    points : int, default 40
        Thresholds wanted; the step is rounded to a readable number, so it may be a few more.
    beta : float, default 0.985
        Sparsity to reach.

    Returns
    -------
    step, last : float
        For :func:`uniform_grid`.

    Raises
    ------
    ThermoError
        As :func:`thermo_utils.renormalized`.
    """
    curve = renormalized(model, data, layers, OCTAVES, progress=False)
    return step_for(curve, points=points, beta=beta)


def step_for(curve: pd.DataFrame, *, points: int, beta: float) -> tuple[float, float]:
    """The choice of :func:`automatic_step`, given a curve on a wide grid."""
    reached = curve["tau"][curve["beta"] >= beta]
    last = float(reached.iloc[0]) if len(reached) else float(curve["tau"].iloc[-1])
    raw = last / points
    scale = 10.0 ** np.floor(np.log10(raw))
    digits = ROUND[raw / scale * (1 + 1e-9) >= ROUND]
    step = float(f"{digits[-1] * scale:.12g}")
    return step, last
