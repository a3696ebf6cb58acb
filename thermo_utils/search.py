"""A threshold that is safe by measurement, found in a handful of passes."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from torch import Tensor, nn
from tqdm import tqdm

from thermo_utils.accuracy import MAX_DROP, ROUNDING
from thermo_utils.activations import default_layers
from thermo_utils.batches import several_times
from thermo_utils.counting import ActivationSpectrum
from thermo_utils.errors import NotFiniteError, ThermoError
from thermo_utils.evaluation import doubt, finite, notes_on, score
from thermo_utils.grids import OCTAVES
from thermo_utils.hits import no_data
from thermo_utils.hooks import ActivationHooks, ActivationPruner
from thermo_utils.layers import LayerSpec, check_model, items_of
from thermo_utils.metrics import Metric, resolve
from thermo_utils.running import evaluating, gradients_if_needed
from thermo_utils.transitions import critical_threshold

__all__ = ["SafeThreshold", "find_safe_threshold"]

#: Of the default thresholds, those in this range of sparsity are candidates.
CANDIDATES = (0.001, 0.999)


@dataclass(frozen=True, eq=False)
class SafeThreshold:
    """The result of :func:`find_safe_threshold`, with the evidence for it.

    Attributes
    ----------
    tau : float
        Largest threshold measured to be within bounds; 0 if even the smallest probed was not.
    beta : float
        Sparsity at `tau` in the unpruned network's spectrum.
    score, drop : float
        Measured at `tau`: the metric, and how much worse it is than that of the unpruned network,
        in its own units.
    baseline : float
        Score of the unpruned network.
    metric : str
        Name of the metric.
    higher_is_better : bool
        Whether more of it is better.
    layers : tuple of str
        The sites that were pruned.
    warnings : tuple of str
        What has to be known about them.
    passes : DataFrame
        Every evaluation made, in order: ``tau``, ``beta``, the metric under its name, ``drop``,
        ``safe``.
    """

    tau: float
    beta: float
    score: float
    drop: float
    baseline: float
    metric: str
    higher_is_better: bool
    layers: tuple[str, ...]
    warnings: tuple[str, ...]
    passes: pd.DataFrame

    def __repr__(self) -> str:
        more = f" and {len(self.layers) - 3} more" if len(self.layers) > 3 else ""
        noted = "".join(f"; warning: {text}" for text in self.warnings)
        return (
            f"SafeThreshold(tau={self.tau:.6g}, beta={self.beta:.4g}, {self.metric}="
            f"{self.score:.6g}, drop={self.drop:.4g} from {self.baseline:.6g}, "
            f"layers={', '.join(self.layers[:3])}{more}, {len(self.passes)} passes{noted})"
        )


@gradients_if_needed
def find_safe_threshold(
    model: nn.Module,
    data: Iterable[Any],
    layers: LayerSpec | None = None,
    *,
    metric: Any = "accuracy",
    higher_is_better: bool | None = None,
    max_drop: float = MAX_DROP,
    relative: bool = False,
    taus: ArrayLike | None = None,
    max_passes: int = 6,
    mask: str | None = None,
    progress: bool = True,
) -> SafeThreshold:
    """Largest threshold at which the network is measured to be hardly worse.

    Parameters
    ----------
    model, data, metric, higher_is_better
        As for :func:`thermo_utils.full_evaluation`.
    layers : str, type or iterable of these, optional
        Activations to prune. By default those that
        :func:`thermo_utils.activations.default_layers` finds on the first batch.
    max_drop : float, default `MAX_DROP`, 0.01
        The score may be worse by this much than that of the unpruned network, in units of the
        metric: a point of accuracy, a hundredth of a perplexity.
    relative : bool, default False
        Whether `max_drop` is a share of the unpruned score instead.
    taus : array_like, shape (K,), optional
        Candidate thresholds, positive and strictly increasing. By default a grid in steps of 2 %
        over all thresholds that remove between 0.1 % and 99.9 % of the activations.
    max_passes : int, default 6
        Passes over the data, the unpruned one included; at least two.
    mask : str, optional
        As for :func:`thermo_utils.full_evaluation`; it decides which activations `beta` counts.
    progress : bool, default True
        Show a progress bar.

    Returns
    -------
    SafeThreshold
        The threshold with the evidence for it.

    Raises
    ------
    ThermoError
        As :func:`thermo_utils.full_evaluation`; if `max_drop` is below zero, or above 1 for a
        share, `max_passes` is below two, the model has no layer to prune by default, or the
        unpruned network is no better than an answer that looks at no input: nothing could be lost.

    Notes
    -----
    The first probe is the critical threshold of the renormalized curve (Section 3.7). From there
    the bracket is halved in sparsity, in which accuracy varies more evenly than in ``tau``. The
    result is a measurement: a score need not get worse monotonically, so a larger threshold that
    happens to be safe may exist beyond an unsafe one. A threshold at which pruning makes NaN is
    not safe.

    Examples
    --------
    >>> import torch
    >>> _ = torch.manual_seed(0)
    >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> x = torch.randn(64, 4)
    >>> data = [(x, net(x).argmax(1))]
    >>> safe = find_safe_threshold(net, data, max_drop=0.05, progress=False)
    >>> len(safe.passes), bool(safe.drop <= 0.05), safe.layers
    (6, True, ('1',))
    """
    judge = resolve(metric, higher_is_better)
    _check_drop(max_drop, is_share=relative or judge.name == "accuracy")
    if max_passes < 2:
        raise ThermoError(f"max_passes must be at least 2, got {max_passes}")
    check_model(model)
    batches = several_times(data)
    chosen = _default(model, batches) if layers is None else items_of(layers)
    grid = OCTAVES if taus is None else taus
    # One pass for both: the renormalized curve and the score of the unpruned network.
    spectrum = ActivationSpectrum(grid)

    def count(_: str, tensor: Tensor) -> None:
        spectrum.update(hooks.real(tensor))

    hooks = ActivationHooks(model, chosen, count, mask=mask)
    with (
        tqdm(total=max_passes, desc="safe threshold", unit="pass", disable=not progress) as bar,
        evaluating(model),
    ):
        with hooks:
            scorer = score(model, batches, judge)
        bar.update()
        baseline = finite(scorer.value(), judge)
        if reason := doubt(judge, baseline, scorer):
            raise ThermoError(f"no threshold can be called safe: {reason}")
        bound = max_drop * abs(baseline) if relative else max_drop
        curve = spectrum.compute()
        if taus is None:
            curve = curve[curve["beta"].between(*CANDIDATES)].reset_index(drop=True)
        tau, beta = curve["tau"].to_numpy(), curve["beta"].to_numpy()

        notes = notes_on(hooks)
        passes = [(0.0, 0.0, baseline, 0.0, True)]
        low, high = -1, len(tau)  # safe and unsafe grid points; -1 is the unpruned network
        first = critical_threshold(curve)
        probe = int(np.searchsorted(tau, first.tau)) if first else _middle(beta, low, high)
        while len(passes) < max_passes and high - low > 1:
            value, broken = _pruned_score(model, batches, chosen, float(tau[probe]), judge)
            notes += [] if broken is None else [broken]
            drop = judge.drop(baseline, value)
            safe = drop <= bound + ROUNDING  # which NaN is not
            passes.append((float(tau[probe]), float(beta[probe]), value, drop, safe))
            low, high = (probe, high) if safe else (low, probe)
            probe = _middle(beta, low, high)
            bar.update()
    for text in notes:
        warnings.warn(text, stacklevel=3)
    best = max((p for p in passes if p[-1]), key=lambda p: p[0])
    return SafeThreshold(
        *best[:4],
        baseline=baseline,
        metric=judge.name,
        higher_is_better=judge.higher_is_better,
        layers=tuple(name for name, calls in hooks.calls.items() if calls),
        warnings=tuple(notes),
        passes=pd.DataFrame(passes, columns=["tau", "beta", judge.name, "drop", "safe"]),
    )


def _pruned_score(
    model: nn.Module, batches: Iterable[Any], layers: LayerSpec, tau: float, judge: Metric
) -> tuple[float, str | None]:
    """The score at a threshold, and what is to be said if there is none."""
    pruner = ActivationPruner(model, layers, tau, totals=False, check=False)
    try:
        with pruner:
            value = score(model, batches, judge).value()
        _ = pruner.active  # on a GPU, NaN comes to light here
        if math.isnan(value):
            raise NotFiniteError("the network put out NaN")
    except NotFiniteError as error:
        return math.nan, f"pruning at tau = {tau:g} makes NaN: {error}"
    return value, None


def _default(model: nn.Module, batches: Iterable[Any]) -> list[Any]:
    for batch in batches:
        return default_layers(model, batch)
    raise no_data()


def _check_drop(max_drop: float, *, is_share: bool) -> None:
    if is_share and not 0.0 <= max_drop <= 1.0:
        raise ThermoError(
            f"max_drop must be between 0 and 1 (a share, not percent), got {max_drop}"
        )
    if not 0.0 <= max_drop < math.inf:
        raise ThermoError(f"max_drop must be zero or more and finite, got {max_drop}")


def _middle(beta: np.ndarray, low: int, high: int) -> int:
    """Grid point strictly between two others, halfway in sparsity."""
    start = 0.0 if low < 0 else beta[low]
    end = 1.0 if high == len(beta) else beta[high]
    middle = int(np.searchsorted(beta, (start + end) / 2))
    return min(max(middle, low + 1), max(high - 1, low + 1))
