"""A threshold that is safe by measurement, found in a handful of passes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from torch import nn

from thermo_utils.accuracy import MAX_DROP
from thermo_utils.counting import ActivationSpectrum
from thermo_utils.errors import ThermoError
from thermo_utils.evaluation import evaluate
from thermo_utils.grids import OCTAVES
from thermo_utils.hooks import ActivationHooks, ActivationPruner, LayerSpec
from thermo_utils.transitions import critical_threshold

__all__ = ["SafeThreshold", "default_layers", "find_safe_threshold"]

#: Activation functions whose outputs are pruned when no layers are named.
ACTIVATIONS = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU,
    nn.SiLU, nn.Mish, nn.Softplus, nn.Hardswish, nn.Hardtanh, nn.Sigmoid, nn.Tanh,
)  # fmt: skip
#: Of the default thresholds, those in this range of sparsity are candidates.
CANDIDATES = (0.001, 0.999)


class SafeThreshold(NamedTuple):
    """The result of :func:`find_safe_threshold`.

    Attributes
    ----------
    tau : float
        Largest threshold measured to be within bounds; 0 if even the smallest probed was not.
    beta : float
        Sparsity at `tau` in the unpruned network's spectrum.
    accuracy, drop : float
        Measured at `tau`: accuracy (a share), and how far it lies below the unpruned one.
    passes : DataFrame
        Every evaluation made, in order: ``tau``, ``beta``, ``accuracy``, ``drop``, ``safe``.
    """

    tau: float
    beta: float
    accuracy: float
    drop: float
    passes: pd.DataFrame


def find_safe_threshold(
    model: nn.Module,
    data: Iterable[Any],
    layers: LayerSpec | None = None,
    *,
    max_drop: float = MAX_DROP,
    taus: ArrayLike | None = None,
    max_passes: int = 6,
) -> SafeThreshold:
    """Largest threshold whose measured accuracy drop is within bounds.

    Parameters
    ----------
    model, data
        As for :func:`thermo_utils.full_evaluation`.
    layers : str, type or iterable of these, optional
        Outputs to prune. By default those of all activation functions, or of all linear layers but
        the last where there are none.
    max_drop : float, default `MAX_DROP`, 0.01
        Accuracy may fall this far (absolute) below that of the unpruned network.
    taus : array_like, shape (K,), optional
        Candidate thresholds, positive and strictly increasing. By default a grid in steps of 2 %
        over all thresholds that remove between 0.1 % and 99.9 % of the activations.
    max_passes : int, default 6
        Passes over the data, the unpruned one included; at least two.

    Returns
    -------
    SafeThreshold
        The threshold with the evidence for it.

    Raises
    ------
    ThermoError
        As :func:`thermo_utils.full_evaluation`; if `max_drop` is not between 0 and 1, `max_passes`
        is below two, or the model has no layer to prune by default.

    Notes
    -----
    The first probe is the critical threshold of the renormalized curve (Section 3.7). From there
    the bracket is halved in sparsity, in which accuracy varies more evenly than in ``tau``. The
    result is a measurement: accuracy need not fall monotonically, so a larger threshold that
    happens to be safe may exist beyond an unsafe one.

    Examples
    --------
    >>> import torch
    >>> _ = torch.manual_seed(0)
    >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> x = torch.randn(64, 4)
    >>> safe = find_safe_threshold(net, [(x, net(x).argmax(1))], max_drop=0.05)
    >>> len(safe.passes), bool(safe.drop <= 0.05)
    (6, True)
    """
    if not 0.0 <= max_drop <= 1.0:
        raise ThermoError(
            f"max_drop must be between 0 and 1 (a share, not percent), got {max_drop}"
        )
    if max_passes < 2:
        raise ThermoError(f"max_passes must be at least 2, got {max_passes}")
    chosen = default_layers(model) if layers is None else layers
    batches = list(data) if isinstance(data, Iterator) else data
    grid = OCTAVES if taus is None else taus
    # One pass for both: the renormalized curve and the accuracy of the unpruned network.
    spectrum = ActivationSpectrum(grid)
    with ActivationHooks(model, chosen, lambda _, tensor: spectrum.update(tensor)):
        baseline = evaluate(model, batches)
    curve = spectrum.compute()
    if taus is None:
        curve = curve[curve["beta"].between(*CANDIDATES)].reset_index(drop=True)
    tau, beta = curve["tau"].to_numpy(), curve["beta"].to_numpy()

    passes = [(0.0, 0.0, baseline, 0.0, True)]
    low, high = -1, len(tau)  # safe and unsafe grid points; -1 is the unpruned network
    first = critical_threshold(curve)
    probe = int(np.searchsorted(tau, first.tau)) if first else _middle(beta, low, high)
    while len(passes) < max_passes and high - low > 1:
        with ActivationPruner(model, chosen, float(tau[probe]), totals=False):
            accuracy = evaluate(model, batches)
        drop = baseline - accuracy
        safe = drop <= max_drop + 1e-9
        passes.append((float(tau[probe]), float(beta[probe]), accuracy, drop, safe))
        low, high = (probe, high) if safe else (low, probe)
        probe = _middle(beta, low, high)
    best = max((p for p in passes if p[-1]), key=lambda p: p[0])
    return SafeThreshold(
        *best[:4],
        passes=pd.DataFrame(passes, columns=["tau", "beta", "accuracy", "drop", "safe"]),
    )


def default_layers(model: nn.Module) -> list[str]:
    """Layers to prune when none are named (Section 3.1: nonlinear and fully connected layers).

    Parameters
    ----------
    model : Module
        The network.

    Returns
    -------
    list of str
        Names of all activation functions; where there are none, of all linear layers but the
        last, which gives the class scores.

    Raises
    ------
    ThermoError
        If there is neither.

    Examples
    --------
    >>> default_layers(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)))
    ['1']
    """
    named = list(model.named_modules())
    names = [name for name, module in named if isinstance(module, ACTIVATIONS)]
    if not names:
        names = [name for name, module in named if isinstance(module, nn.Linear)][:-1]
    if not names:
        raise ThermoError(
            "the model has neither activation modules nor two linear layers: name the layers to "
            "prune, for example layers=['encoder.*.dense']"
        )
    return names


def _middle(beta: np.ndarray, low: int, high: int) -> int:
    """Grid point strictly between two others, halfway in sparsity."""
    start = 0.0 if low < 0 else beta[low]
    end = 1.0 if high == len(beta) else beta[high]
    middle = int(np.searchsorted(beta, (start + end) / 2))
    return min(max(middle, low + 1), max(high - 1, low + 1))
