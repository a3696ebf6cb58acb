"""Grids of thresholds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from thermo_utils.errors import ThermoError
from thermo_utils.transitions import MAX_BETA

if TYPE_CHECKING:
    from torch import nn

    from thermo_utils.layers import LayerSpec

__all__ = [
    "BETWEEN", "FINER", "LARGEST", "OCTAVES", "TAIL", "automatic_step", "grid_step", "grids",
    "step_for", "uniform_grid",
]  # fmt: skip

#: Thresholds for activations of unknown scale: 32 to the octave, 2^-24 to 2^16.
OCTAVES: NDArray[np.float64] = 2.0 ** (np.arange(-24 * 32, 16 * 32 + 1) / 32)
#: The grid of the renormalized curve is this many times finer than that of the full evaluation.
FINER = 10
#: Thresholds of a grid at most; a smaller step is a slip of the pen, and would fill the memory.
LARGEST = 10_000
#: Thresholds of a full evaluation between the multiples of its step, in steps: near zero, where the
#: first feature often lies, a step is too coarse.
BETWEEN = (0.2, 0.4, 0.6, 0.8, 1.5, 2.5)
#: Thresholds of the renormalized curve beyond the full evaluation's, 32 to the octave, so that it
#: goes on to where next to nothing is left.
TAIL: NDArray[np.float64] = 2.0 ** (np.arange(1, 5 * 32 + 1) / 32)
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
        If the step is not positive, larger than the bound, or so small that there would be more
        than `LARGEST` thresholds.

    Examples
    --------
    >>> uniform_grid(0.1, 0.3)
    array([0.1, 0.2, 0.3])
    """
    return _multiples(step, last, LARGEST, "thresholds")


def _multiples(step: float, last: float, most: int, what: str) -> NDArray[np.float64]:
    """The multiples of a step, if they are no more than `most`."""
    if not 0 < step <= last * (1 + 1e-9) < np.inf:
        raise ThermoError(
            f"step must be positive and at most the last threshold {last}, got {step}"
        )
    if step * (most + 1) <= last:
        least = float(f"{last / most:.3g}")
        least = least if least * (most + 1) > last else least * 1.01
        raise ThermoError(
            f"a step of {step:g} up to {last:g} makes about {last / step:,.0f} {what}, and at most "
            f"{most:,} are taken: take a step of {least:.3g} or more"
        )
    count = int(np.floor(last / step + 1e-9))
    return np.array([float(f"{step * k:.12g}") for k in range(1, count + 1)])


def grids(step: float, last: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Thresholds of a full evaluation, and those of the renormalized curve beside it.

    Parameters
    ----------
    step, last : float
        As for :func:`uniform_grid`.

    Returns
    -------
    coarse : ndarray of float64, shape (K,)
        The multiples of the step, and `BETWEEN` them some near zero. What lies within a step of the
        end is left out, so that the largest distance of neighbours is the step.
    fine : ndarray of float64, shape (L,)
        Multiples of a step `FINER` times smaller up to the end of `coarse`, then `TAIL`. Every
        coarse threshold is among them.

    Raises
    ------
    ThermoError
        As :func:`uniform_grid`; the full evaluation takes `LARGEST` / `FINER` multiples at most,
        each of which is a pass over the data.

    Examples
    --------
    >>> coarse, fine = grids(0.1, 0.35)
    >>> coarse.tolist()
    [0.02, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2, 0.3]
    >>> len(fine), float(fine[29]), float(fine[-1])
    (190, 0.3, 9.6)
    """
    multiples = _multiples(step, last, LARGEST // FINER, "passes of a full evaluation")
    between = [float(f"{step * f:.12g}") for f in BETWEEN if f < len(multiples) - 1]
    end = float(multiples[-1])
    tail = [float(f"{tau:.12g}") for tau in end * TAIL]
    return np.sort([*multiples, *between]), np.array([*uniform_grid(step / FINER, end), *tail])


def grid_step(curve: pd.DataFrame) -> float:
    """Step of the grid of a full evaluation: the largest distance of neighbouring thresholds.

    Parameters
    ----------
    curve : DataFrame
        With a column ``tau``, such as :func:`grids` or :func:`uniform_grid` make it for a full
        evaluation.

    Returns
    -------
    float
        In units of the activations.

    Examples
    --------
    >>> grid_step(pd.DataFrame({"tau": uniform_grid(0.1, 0.3)}))
    0.1
    >>> grid_step(pd.DataFrame({"tau": grids(0.1, 0.5)[0]}))
    0.1
    """
    distances = np.diff(curve["tau"].to_numpy(np.float64), prepend=0.0)
    return float(f"{distances.max():.9g}")


def automatic_step(
    model: nn.Module,
    data: Iterable[Any],
    layers: LayerSpec,
    *,
    points: int = 40,
    beta: float = MAX_BETA,
) -> tuple[float, float]:
    """Step and bound of a grid that suits a network of unknown scale, from one unpruned pass.

    Parameters
    ----------
    model, data, layers
        As for :func:`thermo_utils.renormalized`.
    points : int, default 40
        Thresholds wanted; the step is rounded to a readable number, so it may be a few more.
    beta : float, default `MAX_BETA`, 0.985
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
    from thermo_utils.evaluation import renormalized  # the rest here needs no torch

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
