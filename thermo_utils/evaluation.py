"""Full evaluation (FE) and renormalized free energy (RFE) of any classifier.

Both take the network, an iterable of batches, the layers and a grid of thresholds, and return
a curve. FE prunes inside the network, one pass per threshold, and measures the accuracy; RFE reads
the same quantities for all thresholds off one pass of the unpruned network (Section 3.7). With
a single hooked layer the two agree to the last bit.
"""

from __future__ import annotations

import hashlib
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn
from tqdm import tqdm

from thermo_utils.batches import device_of, forward, keep_on_device, unpack
from thermo_utils.counting import ActivationSpectrum, check_taus
from thermo_utils.errors import ThermoError
from thermo_utils.hits import Hits, accuracy, changed, hits, no_data
from thermo_utils.hooks import ActivationHooks, ActivationPruner, LayerSpec, resolve_layers
from thermo_utils.sweep_log import SweepLog
from thermo_utils.thermodynamics import thermodynamic_curve

__all__ = ["BLOCKS", "evaluate", "evaluating", "full_evaluation", "renormalized"]

#: Blocks into which the examples fall, batch by batch in turn, to draw from.
BLOCKS = 16


def full_evaluation(
    model: nn.Module,
    data: Iterable[Any],
    layers: LayerSpec,
    taus: ArrayLike,
    *,
    inclusive: bool = True,
    count_zeros: bool = False,
    blocks: ArrayLike | None = None,
    checkpoint: str | Path | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Free energy with pruning inside the network: one pass, and one accuracy, per threshold.

    Parameters
    ----------
    model : Module
        A classifier. It is evaluated in ``eval`` mode without gradients, on the device it is on,
        and left in the mode it came in.
    data : iterable of batches
        Batches are ``(inputs, targets)`` pairs, or mappings as Hugging Face models take them, with
        the targets under ``labels``. Inputs are a tensor, or a tuple or mapping of tensors that
        become arguments. Targets are class numbers, ``int64`` of shape ``(batch,)``. An iterator
        that can be read only once is kept in memory.
    layers : str, type or iterable of these
        Outputs to prune, see :func:`thermo_utils.resolve_layers`.
    taus : array_like, shape (K,)
        Thresholds, positive and strictly increasing, in units of the activations.
    inclusive : bool, default True
        Whether ``|a| = tau`` survives (Eq. 1: it does).
    count_zeros : bool, default False
        Whether activations that are exactly zero count towards ``N``.
    blocks : array_like, optional
        Thresholds among `taus` at which the counts are also kept for every block of examples, from
        which :mod:`thermo_utils.resampling` draws. See the notes.
    checkpoint : path, optional
        File that receives every finished threshold. If it exists, the thresholds in it are not
        evaluated again, so an interrupted sweep goes on where it stopped. The data must then come
        in the order they came in before.
    progress : bool, default True
        Show a progress bar.

    Returns
    -------
    DataFrame, K rows
        The columns of :func:`thermo_utils.thermodynamic_curve`; ``accuracy`` (a share); ``lost``
        and ``gained``: examples that the unpruned network gets right and the pruned one wrong, and
        the reverse, so that ``accuracy`` is the baseline and ``(gained - lost) / samples``. They
        are nan if the data came in another order in a later pass.
        ``attrs`` holds ``baseline_accuracy``, ``total`` (N), ``total_abs_sum`` (Sigma_0),
        ``samples`` and ``seconds`` (wall time of all passes, also those of an earlier run); and
        ``blocks``, if they were asked for.

    Raises
    ------
    ThermoError
        If the grid is not positive and increasing, or does not hold `blocks`, a layer does not
        exist or never runs, there is no data, a batch has no targets, the model returns no class
        scores, an activation is NaN or infinite, or the checkpoint belongs to another network or
        data, to the same in another order, or to another number of threads, device or version of
        PyTorch.

    Notes
    -----
    K + 1 passes: the unpruned one supplies ``N``, ``Sigma_0`` and the baseline accuracy. On a GPU
    it also moves the data there, where they stay for the other passes if they fit into a quarter
    of the free memory.

    Batch number i belongs to block i modulo `BLOCKS`. ``attrs["blocks"]`` is a dict with ``tau``
    (zero, then `blocks`), ``active`` and ``abs_sum``: a list per threshold of a number per block,
    ``N`` and ``Sigma_0`` of the block at zero.

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> data = [(torch.randn(16, 4), torch.randint(3, (16,)))]
    >>> curve = full_evaluation(net, data, nn.ReLU, [0.1, 0.2], progress=False)
    >>> curve[["active", "lost", "gained"]].values.tolist()
    [[39, 0, 0], [36, 0, 0]]
    """
    grid = check_taus(taus)
    apart = _check_blocks(blocks, grid)
    batches = keep_on_device(
        data if not isinstance(data, Iterator) else list(data), device_of(model)
    )

    targets = hashlib.sha256()
    unpruned_met: list[Hits] = []

    def measure(tau: float) -> dict[str, Any]:
        started = time.perf_counter()
        options = {"inclusive": inclusive, "count_zeros": count_zeros}
        note = targets.update if tau == 0 else None
        # N and Sigma_0 are those of the unpruned pass; later ones need only what survives.
        with ActivationPruner(model, layers, tau, totals=tau == 0, **options) as pruner:
            inputs = _in_blocks(batches, pruner.count_apart) if apart is not None else batches
            met = list(hits(model, inputs, note))
        if tau == 0:
            unpruned_met[:] = met
        share, samples = accuracy(met)
        row: dict[str, Any] = {
            "tau": tau,
            "active": pruner.active,
            "abs_sum": pruner.abs_sum,
            "accuracy": share,
            "samples": samples,
            **changed(unpruned_met, met),
        }
        if apart is not None:
            parts = pruner.per_block().values()
            row |= {"blocks": [[p.active for p in parts], [p.abs_sum for p in parts]]}
        if tau == 0:
            row |= {"total": pruner.total, "total_abs_sum": pruner.total_abs_sum}
            if apart is not None:
                row |= {"blocks": [[p.total for p in parts], [p.total_abs_sum for p in parts]]}
        return row | {"seconds": time.perf_counter() - started}

    with evaluating(model):
        unpruned = measure(0.0)
        log = SweepLog(
            checkpoint,
            {
                "layers": list(resolve_layers(model, layers)),
                "inclusive": inclusive,
                "count_zeros": count_zeros,
                "blocks": apart is not None,
                **{key: unpruned[key] for key in ("total", "total_abs_sum", "accuracy", "samples")},
                "targets": targets.hexdigest(),
                **_made_with(model),
            },
        )
        for tau in tqdm(grid.tolist(), desc="full evaluation", unit="tau", disable=not progress):
            if tau not in log:
                log.append(measure(tau))
    found = [log[tau] for tau in grid.tolist()]
    rows = pd.DataFrame(found)
    curve = thermodynamic_curve(
        grid, rows["active"], rows["abs_sum"], unpruned["total"], unpruned["total_abs_sum"]
    )
    curve["accuracy"] = rows["accuracy"].to_numpy(np.float64)
    for column in ("lost", "gained"):
        curve[column] = rows[column]  # int64, or nan where it is not known
    if curve["lost"].isna().any():
        warnings.warn(
            "the data came in another order than in the first pass, so it is not known which "
            "examples were lost and gained: do not shuffle them",
            stacklevel=2,
        )
    curve.attrs = {
        "baseline_accuracy": unpruned["accuracy"],
        "total": unpruned["total"],
        "total_abs_sum": unpruned["total_abs_sum"],
        "samples": unpruned["samples"],
        "seconds": float(rows["seconds"].sum() + unpruned["seconds"]),
    }
    if apart is not None:
        kept = [unpruned, *(log[tau] for tau in apart.tolist())]
        curve.attrs["blocks"] = {
            "tau": [0.0, *apart.tolist()],
            "active": [row["blocks"][0] for row in kept],
            "abs_sum": [row["blocks"][1] for row in kept],
        }
    return curve


def renormalized(
    model: nn.Module,
    data: Iterable[Any],
    layers: LayerSpec,
    taus: ArrayLike,
    *,
    inclusive: bool = True,
    count_zeros: bool = False,
    blocks: ArrayLike | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Free energy from the unpruned network alone: one pass for all thresholds (Section 3.7).

    Parameters
    ----------
    model, layers, taus, inclusive, count_zeros, blocks, progress
        As for :func:`full_evaluation`.
    data : iterable of batches
        As for :func:`full_evaluation`; targets are not needed and not looked at.

    Returns
    -------
    DataFrame, K rows
        The columns of :func:`thermo_utils.thermodynamic_curve`. ``attrs`` holds ``total`` (N),
        ``total_abs_sum`` (Sigma_0) and ``seconds``.

    Raises
    ------
    ThermoError
        If the grid is not positive and increasing, or does not hold `blocks`, a layer does not
        exist or never runs, there is no data, or an activation is NaN or infinite.

    Notes
    -----
    Exact for every threshold of the grid, whatever the batch size, in memory that depends on
    neither the data nor the network. More thresholds cost nothing.

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> data = [(torch.randn(16, 4), torch.randint(3, (16,)))]
    >>> curve = renormalized(net, data, nn.ReLU, [0.1, 0.2], progress=False)
    >>> curve[["tau", "active"]].values.tolist()
    [[0.1, 39.0], [0.2, 36.0]]
    """
    apart = _check_blocks(blocks, check_taus(taus))
    spectrum = ActivationSpectrum(taus, inclusive=inclusive, count_zeros=count_zeros)
    parts = {0: spectrum}
    here = spectrum

    def count_apart(block: int) -> None:
        nonlocal here
        here = parts.setdefault(block, spectrum.twin())

    started = time.perf_counter()
    with (
        evaluating(model),
        ActivationHooks(model, layers, lambda _, tensor: here.update(tensor)),
    ):
        empty = True
        shown = tqdm(data, desc="renormalized", unit="batch", disable=not progress)
        for batch in _in_blocks(shown, count_apart) if apart is not None else shown:
            forward(model, unpack(batch)[0])
            empty = False
    if empty:
        raise no_data()
    if apart is not None:
        of_blocks = _spectra(parts.values(), apart)
        for block in range(1, len(parts)):
            spectrum.merge(parts[block])
    curve = spectrum.compute()
    curve.attrs = {
        "total": spectrum.total,
        "total_abs_sum": spectrum.total_abs_sum,
        "seconds": time.perf_counter() - started,
        **({} if apart is None else {"blocks": of_blocks}),
    }
    return curve


def evaluate(model: nn.Module, data: Iterable[Any]) -> float:
    """Accuracy of a classifier.

    Parameters
    ----------
    model, data
        As for :func:`full_evaluation`.

    Returns
    -------
    float
        Share of targets that equal the class of the highest score.

    Raises
    ------
    ThermoError
        If there is no data, a batch has no targets, or the model returns no class scores.

    Examples
    --------
    >>> evaluate(nn.Identity(), [(torch.eye(3), torch.tensor([0, 1, 0]))])
    0.6666666666666666
    """
    with evaluating(model):
        return accuracy(hits(model, data))[0]


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode and no gradients; afterwards every submodule is in the mode it came in."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for module, training in modes.items():
            module.training = training


def _check_blocks(
    blocks: ArrayLike | None, grid: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    if blocks is None:
        return None
    apart = check_taus(blocks)
    strange = np.setdiff1d(apart, grid)
    if strange.size:
        raise ThermoError(f"blocks: {strange[0]} is not among the thresholds; take some of taus")
    return apart


def _in_blocks(data: Iterable[Any], count_apart: Callable[[int], None]) -> Iterator[Any]:
    """Batches as they come, each announced to belong to a block."""
    for index, batch in enumerate(data):
        count_apart(index % BLOCKS)
        yield batch


def _spectra(
    parts: Iterable[ActivationSpectrum], apart: NDArray[np.float64]
) -> dict[str, list[Any]]:
    """What ``attrs["blocks"]`` holds, of the spectra of the blocks."""
    kept: list[tuple[list[int], list[float]]] = []
    for part in parts:
        at = np.searchsorted(part.taus, apart)
        kept.append(
            (
                [part.total, *part.active[at].tolist()],
                [part.total_abs_sum, *part.abs_sum[at].tolist()],
            )
        )
    return {
        "tau": [0.0, *apart.tolist()],
        "active": [list(row) for row in zip(*(active for active, _ in kept), strict=True)],
        "abs_sum": [list(row) for row in zip(*(sums for _, sums in kept), strict=True)],
    }


def _made_with(model: nn.Module) -> dict[str, Any]:
    """What decides on the last digits besides network and data."""
    device = device_of(model)
    return {
        "torch": str(torch.__version__),
        "threads": torch.get_num_threads(),
        "device": "cpu" if device is None else device.type,
    }
