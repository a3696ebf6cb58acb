"""The renormalized free energy from a small part of the data.

The curve of Section 3.7 of "Modeling Pruning as a Phase Transition" (CMC 2026, 86(3), 99) depends
on ratios of sums over the test set, so a proportional sample gives a consistent estimate of it.
:func:`sampled_renormalized` reads examples in rounds until the critical threshold of the whole test
set is known to within a given number of grid steps, or there are no more;
:mod:`thermo_utils.confidence` tells when.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from torch import nn
from torch.utils.data import Dataset, default_collate
from tqdm import tqdm

from thermo_utils.batches import unpack
from thermo_utils.confidence import estimate, standard_error
from thermo_utils.counting import ActivationSpectrum, check_taus
from thermo_utils.errors import ThermoError
from thermo_utils.evaluation import notes_on
from thermo_utils.hooks import ActivationHooks
from thermo_utils.layers import LayerSpec
from thermo_utils.running import evaluating, forward, gradients_if_needed
from thermo_utils.strata import class_labels, stratified_order, whole_numbers

__all__ = ["sampled_renormalized"]

Floats = NDArray[np.float64]

#: Groups whose counts are kept, at any time.
GROUPS = 16
#: The first round has at least this many examples, if the sample may be as large.
FIRST = 400


@gradients_if_needed
def sampled_renormalized(
    model: nn.Module,
    dataset: Dataset[Any] | Sequence[Any],
    layers: LayerSpec,
    taus: ArrayLike,
    *,
    confidence: float = 0.95,
    tolerance: int = 1,
    max_share: float = 1.0,
    batch_size: int = 128,
    seed: int = 0,
    labels: ArrayLike | None = None,
    collate: Callable[[Any], Any] | None = None,
    inclusive: bool = True,
    count_zeros: bool = False,
    progress: bool = True,
) -> pd.DataFrame:
    """Renormalized free energy and critical threshold from as few examples as it takes.

    Parameters
    ----------
    model : Module
        As for :func:`thermo_utils.renormalized`.
    dataset : Dataset or sequence
        The whole test set, with ``len`` and indexing; not batches of it. Items are
        ``(inputs, target)`` pairs or mappings with ``labels``. Only the items drawn are read.
    layers : str, type or iterable of these
        Outputs to prune, see :func:`thermo_utils.resolve_layers`.
    taus : array_like, shape (K,)
        Thresholds, positive and strictly increasing, in units of the activations.
    confidence : float, default 0.95
        Stop reading when the threshold is known to within `tolerance` with this probability. No
        sample claims more than 0.9975.
    tolerance : int, default 1
        Grid steps of `taus` by which the critical threshold may differ from that of the whole set
        on the same grid. On a grid so fine that the noise of the whole set itself moves a peak by
        several steps, ask for as many.
    max_share : float, default 1.0
        Read at most this share of the examples. By default everything, if nothing less settles it:
        then the answer is either as sure as asked for, or that of the whole set. With less, look at
        ``converged``.
    batch_size : int, default 128
        Examples per call of the model, at most.
    seed : int, default 0
        Seed of the draw. The same seed draws the same examples in the same batches.
    labels : array_like of int, shape (examples,), optional
        Classes to stratify by. By default those the data set holds ready under ``targets`` or
        ``labels``, in the last of its ``tensors`` or in a column of that name; items of a list are
        looked at. Without any, the draw is plain: looking for labels would mean to read
        everything.
    collate : callable, optional
        Makes a batch of a list of items, as for :class:`torch.utils.data.DataLoader`; to pad texts
        of different length, for example. By default the ``collate`` of the data set, if it has
        one. It gets what ``dataset.__getitems__`` returns, where there is such a method.
    inclusive, count_zeros : bool
        As for :func:`thermo_utils.renormalized`.
    progress : bool, default True
        Show a progress bar; it ends early when the curve has converged.

    Returns
    -------
    DataFrame, K rows
        The columns of :func:`thermo_utils.thermodynamic_curve`, with the counts of the sample, and
        ``free_energy_error``: the standard error of F against the whole set's. ``attrs`` holds
        ``tau`` (a :class:`~thermo_utils.Threshold`, or None where no feature shows), ``interval``
        (its bounds), ``confidence`` (reached), ``converged`` (whether that is what was asked for),
        ``examples`` (read), ``share``, ``classes`` (stratified by; 0: none), ``rounds`` (a list of
        dicts), ``total`` (N), ``total_abs_sum`` (Sigma_0), both of the sample, ``seconds``,
        ``layers`` and ``warnings`` (as those of :func:`thermo_utils.renormalized`).

    Raises
    ------
    ThermoError
        If an option is out of range, `dataset` has no length or no index, `labels` do not fit, and
        as :func:`thermo_utils.renormalized`.

    Notes
    -----
    The confidence is the share of plausible whole sets, drawn from what the sample says, that have
    the same threshold. It stays low where the whole set's curve decides narrowly, for one feature
    and against another or for a small feature and against none: then ``converged`` is False, which
    is no error, and reading more is all that helps.

    ``attrs["tau"]`` is what most of these sets agree on, and need not be a feature of the returned
    curve, which is that of the sample, rougher than that of the whole set.

    Who ends up reading everything gets the curve, and the threshold, of
    :func:`thermo_utils.renormalized`.

    Examples
    --------
    >>> import torch
    >>> from torch.utils.data import TensorDataset
    >>> _ = torch.manual_seed(0)
    >>> net = nn.Sequential(nn.Linear(8, 512), nn.Tanh(), nn.Linear(512, 4))
    >>> data = TensorDataset(torch.randn(20_000, 8), torch.arange(20_000) % 4)
    >>> curve = sampled_renormalized(net, data, nn.Tanh, np.arange(1, 20) / 20, progress=False)
    >>> curve.attrs["converged"], curve.attrs["share"] <= 0.1
    (True, True)
    """
    grid = check_taus(taus)
    join = getattr(dataset, "collate", default_collate) if collate is None else collate
    size = _size(dataset)
    most = _most(size, max_share)
    _check(confidence, tolerance=(tolerance, 0), batch_size=(batch_size, 1), seed=(seed, 0))
    classes = class_labels(dataset) if labels is None else whole_numbers(labels, size)
    order = stratified_order(size, classes, seed)
    spectrum = ActivationSpectrum(grid, inclusive=inclusive, count_zeros=count_zeros)
    groups = np.zeros((0, 2, grid.size + 1))
    rounds: list[dict[str, Any]] = []
    started = time.perf_counter()
    hooks = ActivationHooks(model, layers, lambda _, tensor: spectrum.update(tensor))
    with (
        tqdm(total=most, desc="sampled", unit="example", disable=not progress) as bar,
        evaluating(model),
        hooks,
    ):
        read = 0
        for upto in _round_ends(most):
            if rounds:  # a round doubles the sample; in pairs, old groups are as large as new ones
                groups = groups[::2] + groups[1::2]
            parts = min(GROUPS // 2 if rounds else GROUPS, upto - read)
            for index in np.array_split(order[read:upto], parts):
                for at in range(0, index.size, batch_size):
                    batch = _batch(dataset, index[at : at + batch_size].tolist(), join)
                    forward(model, *unpack(batch))
                # Counts are exact; of sums, rounding may leave less than nothing.
                seen = np.maximum(_sums(spectrum) - groups.sum(axis=0), 0)
                groups = np.concatenate([groups, seen[None]])
                bar.update(index.size)
            read = upto
            known = estimate(
                grid,
                groups,
                read / size,
                tolerance=tolerance,
                confidence=confidence,
                seed=(seed, 1 + len(rounds)),
            )
            tau = known.tau.tau if known.tau else None
            rounds.append({"examples": read, **known._asdict(), "tau": tau})
            if known.confidence >= confidence:
                break
    for text in notes_on(hooks):
        warnings.warn(text, stacklevel=3)
    curve = spectrum.compute()
    curve["free_energy_error"] = standard_error(grid, groups, read / size)
    curve.attrs = {
        "layers": [name for name, calls in hooks.calls.items() if calls],
        "warnings": notes_on(hooks),
        "tau": known.tau,
        "interval": (known.low, known.high),
        "confidence": known.confidence,
        "converged": known.confidence >= confidence,
        "examples": read,
        "share": read / size,
        "classes": 0 if classes is None else int(np.unique(classes).size),
        "rounds": rounds,
        "total": spectrum.total,
        "total_abs_sum": spectrum.total_abs_sum,
        "seconds": time.perf_counter() - started,
    }
    return curve


def _sums(spectrum: ActivationSpectrum) -> Floats:
    """All counts and sums of a spectrum, shape (2, K + 1)."""
    counts = [*spectrum.active, spectrum.total]
    return np.array([counts, [*spectrum.abs_sum, spectrum.total_abs_sum]], dtype=np.float64)


def _round_ends(most: int) -> list[int]:
    """Sizes of the sample after every round: each doubles the one before, the last is `most`."""
    ends = [most]
    while ends[0] // 2 >= FIRST:
        ends.insert(0, ends[0] // 2)
    return ends


def _batch(dataset: Any, index: list[int], collate: Callable[[Any], Any]) -> Any:
    if hasattr(dataset, "__getitems__"):  # many at once, as DataLoader asks for them
        return collate(dataset.__getitems__(index))
    return collate([dataset[i] for i in index])


def _size(dataset: Any) -> int:
    indexed = hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")
    if not indexed or isinstance(dataset, Mapping):
        raise ThermoError(
            f"a {type(dataset).__name__} cannot be sampled: pass a data set with len() and "
            "indexing, such as loader.dataset of a DataLoader, or a list of items"
        )
    if len(dataset) == 0:
        raise ThermoError("the data set is empty: pass at least one example")
    return len(dataset)


def _most(size: int, max_share: float) -> int:
    """Examples that may be read."""
    if not 0 < max_share <= 1:
        raise ThermoError(
            f"max_share must be above 0 and at most 1 (a share, not percent), got {max_share}"
        )
    most = math.floor(max_share * size + 1e-9)
    if most == 0:
        raise ThermoError(
            f"max_share = {max_share} of {size} examples is not even one: raise max_share"
        )
    return most


def _check(confidence: float, **numbers: tuple[int, int]) -> None:
    """Refuse a confidence that no sample has; numbers not whole, or below what is paired with."""
    if not 0 < confidence < 1:
        raise ThermoError(
            f"confidence must lie between 0 and 1, both excluded, got {confidence}: no sample is "
            "certain, read everything with renormalized instead"
        )
    for name, (value, least) in numbers.items():
        if not isinstance(value, int | np.integer) or value < least:
            raise ThermoError(f"{name} must be a whole number, {least} or more, got {value!r}")
