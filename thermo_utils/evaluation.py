"""Full evaluation (FE) and renormalized free energy (RFE) of any classifier.

Both take the network, an iterable of batches, the layers and a grid of thresholds, and return
a curve. FE prunes inside the network, one pass per threshold, and measures the accuracy; RFE reads
the same quantities for all thresholds off one pass of the unpruned network (Section 3.7). With
a single hooked layer the two agree to the last bit.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from tqdm import tqdm

from thermo_utils.batches import device_of, forward, keep_on_device, unpack
from thermo_utils.counting import ActivationSpectrum, check_taus
from thermo_utils.errors import ThermoError
from thermo_utils.hooks import ActivationHooks, ActivationPruner, LayerSpec, resolve_layers
from thermo_utils.sweep_log import SweepLog
from thermo_utils.thermodynamics import thermodynamic_curve

__all__ = ["IGNORE_INDEX", "evaluate", "evaluating", "full_evaluation", "renormalized", "scores"]

#: Targets of this value do not count, as in PyTorch's cross-entropy.
IGNORE_INDEX = -100


def full_evaluation(
    model: nn.Module,
    data: Iterable[Any],
    layers: LayerSpec,
    taus: ArrayLike,
    *,
    inclusive: bool = True,
    count_zeros: bool = False,
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
    checkpoint : path, optional
        File that receives every finished threshold. If it exists, the thresholds in it are not
        evaluated again, so an interrupted sweep goes on where it stopped. The data must then come
        in the order they came in before.
    progress : bool, default True
        Show a progress bar.

    Returns
    -------
    DataFrame, K rows
        The columns of :func:`thermo_utils.thermodynamic_curve` and ``accuracy`` (a share).
        ``attrs`` holds ``baseline_accuracy``, ``total`` (N), ``total_abs_sum`` (Sigma_0),
        ``samples`` and ``seconds`` (wall time of all passes, also those of an earlier run).

    Raises
    ------
    ThermoError
        If the grid is not positive and increasing, a layer does not exist or never runs, there is
        no data, a batch has no targets, the model returns no class scores, an activation is NaN or
        infinite, or the checkpoint belongs to another network or data, to the same in another
        order, or to another number of threads, device or version of PyTorch.

    Notes
    -----
    K + 1 passes: the unpruned one supplies ``N``, ``Sigma_0`` and the baseline accuracy. On a GPU
    it also moves the data there, where they stay for the other passes if they fit into a quarter
    of the free memory.

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> data = [(torch.randn(16, 4), torch.randint(3, (16,)))]
    >>> curve = full_evaluation(net, data, nn.ReLU, [0.1, 0.2], progress=False)
    >>> curve[["tau", "active"]].values.tolist()
    [[0.1, 39.0], [0.2, 36.0]]
    """
    grid = check_taus(taus)
    batches = keep_on_device(
        data if not isinstance(data, Iterator) else list(data), device_of(model)
    )

    targets = hashlib.sha256()

    def measure(tau: float) -> dict[str, Any]:
        started = time.perf_counter()
        options = {"inclusive": inclusive, "count_zeros": count_zeros}
        # N and Sigma_0 are those of the unpruned pass; later ones need only what survives.
        with ActivationPruner(model, layers, tau, totals=tau == 0, **options) as pruner:
            accuracy, samples = _accuracy(model, batches, targets.update if tau == 0 else None)
        totals = {"total": pruner.total, "total_abs_sum": pruner.total_abs_sum} if tau == 0 else {}
        return {
            "tau": tau,
            "active": pruner.active,
            "abs_sum": pruner.abs_sum,
            **totals,
            "accuracy": accuracy,
            "samples": samples,
            "seconds": time.perf_counter() - started,
        }

    with evaluating(model):
        unpruned = measure(0.0)
        log = SweepLog(
            checkpoint,
            {
                "layers": list(resolve_layers(model, layers)),
                "inclusive": inclusive,
                "count_zeros": count_zeros,
                **{key: unpruned[key] for key in ("total", "total_abs_sum", "accuracy", "samples")},
                "targets": targets.hexdigest(),
                **_made_with(model),
            },
        )
        for tau in tqdm(grid.tolist(), desc="full evaluation", unit="tau", disable=not progress):
            if tau not in log:
                log.append(measure(tau))
    rows = pd.DataFrame([log[tau] for tau in grid.tolist()])
    curve = thermodynamic_curve(
        grid, rows["active"], rows["abs_sum"], unpruned["total"], unpruned["total_abs_sum"]
    )
    curve["accuracy"] = rows["accuracy"].to_numpy(np.float64)
    curve.attrs = {
        "baseline_accuracy": unpruned["accuracy"],
        "total": unpruned["total"],
        "total_abs_sum": unpruned["total_abs_sum"],
        "samples": unpruned["samples"],
        "seconds": float(rows["seconds"].sum() + unpruned["seconds"]),
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
    progress: bool = True,
) -> pd.DataFrame:
    """Free energy from the unpruned network alone: one pass for all thresholds (Section 3.7).

    Parameters
    ----------
    model, layers, taus, inclusive, count_zeros, progress
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
        If the grid is not positive and increasing, a layer does not exist or never runs, there is
        no data, or an activation is NaN or infinite.

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
    spectrum = ActivationSpectrum(taus, inclusive=inclusive, count_zeros=count_zeros)
    started = time.perf_counter()
    with (
        evaluating(model),
        ActivationHooks(model, layers, lambda _, tensor: spectrum.update(tensor)),
    ):
        empty = True
        for batch in tqdm(data, desc="renormalized", unit="batch", disable=not progress):
            forward(model, unpack(batch)[0])
            empty = False
    if empty:
        raise _no_data()
    curve = spectrum.compute()
    curve.attrs = {
        "total": spectrum.total,
        "total_abs_sum": spectrum.total_abs_sum,
        "seconds": time.perf_counter() - started,
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
        return _accuracy(model, data)[0]


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


def _accuracy(
    model: nn.Module, data: Iterable[Any], note: Callable[[bytes], None] | None = None
) -> tuple[float, int]:
    """Accuracy and number of targets; the device is asked only once, at the end.

    `note` receives the targets in their order, for which the device is asked each time.
    """
    correct: Tensor | None = None
    counted: Tensor | None = None
    for batch in data:
        inputs, targets = unpack(batch)
        if targets is None:
            raise ThermoError(
                "a batch has no targets: yield (inputs, targets) pairs, or mappings with 'labels'"
            )
        if note is not None:  # in one width, so that it does not matter how they are stored
            note(targets.to("cpu", torch.int64).numpy().tobytes())
        logits = scores(forward(model, inputs))
        predicted = logits.argmax(dim=-1)
        truth = targets.to(predicted.device)
        if truth.shape != predicted.shape:
            raise ThermoError(
                f"targets of shape {tuple(truth.shape)} do not fit scores of shape "
                f"{tuple(logits.shape)}: give one class number per row"
            )
        known = truth != IGNORE_INDEX
        hits, seen = ((predicted == truth) & known).sum(), known.sum()
        correct = hits if correct is None else correct + hits
        counted = seen if counted is None else counted + seen
    if correct is None or counted is None or not int(counted):
        raise _no_data()
    return float(int(correct) / int(counted)), int(counted)


def scores(output: Any) -> Tensor:
    """Class scores in whatever a model returned.

    Parameters
    ----------
    output : object
        A tensor, an object with ``logits``, a mapping with that key, or a tuple that starts with
        the scores.

    Returns
    -------
    Tensor
        Floating point, last dimension: classes.

    Raises
    ------
    ThermoError
        If there are none.

    Examples
    --------
    >>> scores({"logits": torch.zeros(2, 3)}).shape
    torch.Size([2, 3])
    """
    logits = output
    if hasattr(output, "logits"):
        logits = output.logits
    elif isinstance(output, Mapping):
        logits = output.get("logits")
    elif isinstance(output, tuple | list) and output:
        logits = output[0]
    if not isinstance(logits, Tensor) or not logits.is_floating_point() or logits.ndim < 2:
        what = f"of shape {tuple(logits.shape)}" if isinstance(logits, Tensor) else "missing"
        raise ThermoError(
            f"the model returned {type(output).__name__} and its logits are {what}: accuracy needs "
            "class scores of shape (batch, classes), returned as a tensor, as the first of a "
            "tuple, or as 'logits'"
        )
    if logits.shape[-1] < 2:
        raise ThermoError("the model returned a single score per row: give one score per class")
    return logits


def _made_with(model: nn.Module) -> dict[str, Any]:
    """What decides on the last digits besides network and data."""
    device = device_of(model)
    return {
        "torch": str(torch.__version__),
        "threads": torch.get_num_threads(),
        "device": "cpu" if device is None else device.type,
    }


def _no_data() -> ThermoError:
    return ThermoError("there is no data: the iterable yielded no batch with a target in it")
