"""Full evaluation (FE) and renormalized free energy (RFE) of any classifier.

Both take the network, an iterable of batches, the layers and a grid of thresholds, and return
a curve. FE prunes inside the network, one pass per threshold, and measures the accuracy; RFE reads
the same quantities for all thresholds off one pass of the unpruned network (Section 3.7). With
a single hooked layer the two agree to the last bit.
"""

from __future__ import annotations

import hashlib
import math
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn
from tqdm import tqdm

from thermo_utils.batches import several_times, unpack
from thermo_utils.counting import ActivationSpectrum, check_taus
from thermo_utils.devices import device_of, keep_on_device
from thermo_utils.errors import NotFiniteError, ThermoError
from thermo_utils.guided import PASSES, account, guide
from thermo_utils.hits import changed, lost_of_classes, no_data
from thermo_utils.hooks import ActivationHooks, ActivationPruner
from thermo_utils.layers import LayerSpec, items_of, resolve_sites
from thermo_utils.metrics import Metric, resolve
from thermo_utils.prefix import Prefix
from thermo_utils.running import evaluating, forward, gradients_if_needed
from thermo_utils.scorers import Scorer
from thermo_utils.sweep_log import SweepLog
from thermo_utils.targets import Batch
from thermo_utils.thermodynamics import thermodynamic_curve

__all__ = [
    "BLOCKS",
    "doubt",
    "evaluate",
    "finite",
    "full_evaluation",
    "notes_on",
    "observe",
    "renormalized",
    "score",
]

#: Blocks into which the examples fall, batch by batch in turn, to draw from.
BLOCKS = 16


@gradients_if_needed
def full_evaluation(
    model: nn.Module,
    data: Iterable[Any],
    layers: LayerSpec,
    taus: ArrayLike,
    *,
    metric: Any = "accuracy",
    higher_is_better: bool | None = None,
    inclusive: bool = True,
    count_zeros: bool = False,
    mask: str | None = None,
    per_class: bool = False,
    blocks: ArrayLike | None = None,
    guided: bool = False,
    reuse: bool = True,
    checkpoint: str | Path | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Free energy with pruning inside the network: one pass, and one score, per threshold.

    Parameters
    ----------
    model : Module
        A network. It is evaluated in ``eval`` mode without gradients (with, if its ``forward``
        takes some), on the device it is on, and left in the mode it came in.
    data : iterable of batches
        Batches are ``(inputs, targets)`` pairs, or mappings as Hugging Face models take them, with
        the targets under ``labels``. Inputs are a tensor, or a tuple or mapping of tensors that
        become arguments. Targets are what the metric asks for: class numbers, whole numbers of
        shape ``(batch,)`` or ``(batch, ...)``. An iterator that can be read only once is kept in
        memory.
    layers : str, type or iterable of these
        Activations to prune, see :func:`thermo_utils.resolve_layers`.
    taus : array_like, shape (K,)
        Thresholds, positive and strictly increasing, in units of the activations.
    metric : str, Metric, torchmetrics.Metric or callable, default "accuracy"
        What the network is judged by, see :func:`thermo_utils.metrics.resolve`.
    higher_is_better : bool, optional
        For a metric that does not say.
    inclusive : bool, default True
        Whether ``|a| = tau`` survives (Eq. 1: it does).
    count_zeros : bool, default False
        Whether activations that are exactly zero count towards ``N``.
    mask : str, optional
        Name of the input that holds the mask of a sequence, such as ``"attention_mask"``: what
        stands at positions with zero is pruned like the rest, but not counted. By default it is:
        padding is computed too. (Whether *targets* there count is up to the metric; they do not.)
    per_class : bool, default False
        Whether to count the hits of every class too, for :mod:`thermo_utils.by_class`.
    blocks : array_like, optional
        Thresholds among `taus` at which the counts are also kept for every block of examples, from
        which :mod:`thermo_utils.resampling` draws. See the notes.
    guided : bool, default False
        Whether to evaluate only those of `taus`, in a dozen passes at most, that the critical
        threshold and that of the score (for the default drop) need, see
        :mod:`thermo_utils.guided`. It takes no `blocks`. See the notes.
    reuse : bool, default True
        Whether what the network computes before its first pruned activation is kept from the
        unpruned pass, as far as it fits into a quarter of the free memory. It changes no number,
        only the time. See the notes.
    checkpoint : path, optional
        File that receives every finished threshold. If it exists, the thresholds in it are not
        evaluated again, so an interrupted sweep goes on where it stopped. The data must then come
        in the order they came in before.
    progress : bool, default True
        Show a progress bar.

    Returns
    -------
    DataFrame, K rows (of a guided evaluation, as many as were evaluated)
        The columns of :func:`thermo_utils.thermodynamic_curve`, and one with the name of the
        metric. For ``accuracy`` (a share) also ``lost`` and ``gained``: examples that the unpruned
        network gets right and the pruned one wrong, and the reverse, so that ``accuracy`` is the
        baseline and ``(gained - lost) / samples``. They are nan if the data came in another order
        in a later pass. Where pruning itself makes NaN, a row holds nothing but its threshold.
        ``attrs`` holds ``layers`` (the sites that ran), ``metric`` (its ``name`` and
        ``higher_is_better``), ``baseline`` (the unpruned score; ``baseline_accuracy`` too, where
        that is what it is), ``total`` (N), ``total_abs_sum`` (Sigma_0), ``samples``, ``seconds``
        (wall time of all passes, also those of an earlier run), ``warnings`` (what a reader of the
        curve has to know); and ``blocks``, ``per_class``, ``guided`` and ``reused``, if they were
        asked for.

    Raises
    ------
    ThermoError
        If the grid is not positive and increasing, or does not hold `blocks`, these are asked of a
        guided evaluation, a layer does not exist or never runs, there is no data, a batch has no
        targets or none that fit the metric, the unpruned network has activations or scores that
        are NaN or infinite, or the checkpoint belongs to another network or data, to the same in
        another order, or to another number of threads, device or version of PyTorch.

    Notes
    -----
    K + 1 passes: the unpruned one supplies ``N``, ``Sigma_0`` and the baseline. On a GPU
    it also moves the data there, where they stay for the other passes if they fit into a quarter
    of the free memory.

    Batch number i belongs to block i modulo `BLOCKS`. ``attrs["blocks"]`` is a dict with ``tau``
    (zero, then `blocks`), ``active`` and ``abs_sum``: a list per threshold of a number per block,
    ``N`` and ``Sigma_0`` of the block at zero. ``attrs["per_class"]`` is one with ``examples``
    (targets of each class), ``unpruned`` (hits of each), ``hits`` (a list of these per threshold)
    and ``lost`` (the same of the hits that pruning lost, None where the order was another).

    With `reuse`, modules that are done before the first pruned activation give back what they
    returned in the unpruned pass, for batches that are equal to those of that pass number by
    number. Networks that draw random numbers, and those that do not give the same output on their
    first two batches with what was kept, are computed as a whole: the network must not count its
    calls, and the caller must not change it meanwhile. ``attrs["reused"]`` holds ``share`` (of the
    batches that were not computed as a whole), ``bytes`` (kept) and ``why_not`` (None, or what
    spoke against it). Measure times of whole passes without.

    A guided evaluation chooses each threshold by what the ones before it gave; its unpruned pass
    counts for the renormalized curve, too. The features of F are those of
    :func:`thermo_utils.guided.completed_curve`, which :func:`thermo_utils.critical_threshold`
    takes; derivatives in the result are differences between evaluated thresholds.
    :func:`thermo_utils.guided.account` says what ``attrs["guided"]`` holds, among it
    ``tau_star``, ``accuracy_threshold`` and ``not_looked_at``. Both need not be what the whole
    grid would give where the score recovers from a dip or pruning makes a feature of its own,
    between evaluated thresholds. A `checkpoint` serves a guided and a whole evaluation alike.

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
    if guided and apart is not None:
        raise ThermoError(
            "blocks are kept at given thresholds, and a guided evaluation chooses its own: leave "
            "out blocks or guided"
        )
    judge = resolve(metric, higher_is_better)
    layers = items_of(layers)
    resolve_sites(model, layers)  # what cannot be pruned is refused before anything runs
    if per_class and judge.name != "accuracy":
        raise ThermoError(f"per_class counts hits, which {judge.name} has none of: take accuracy")
    batches = keep_on_device(several_times(data), device_of(model))
    prefix = Prefix(model, layers) if reuse else None

    targets = hashlib.sha256()
    notes: list[str] = []
    met: list[str] = []
    first: list[Any] = []  # the scorer of the unpruned pass
    watch: Any = nullcontext()
    if guided:
        spectrum = ActivationSpectrum(grid, inclusive=inclusive, count_zeros=count_zeros)
        watch = ActivationHooks(
            model, layers, lambda _, tensor: spectrum.update(watch.real(tensor)), mask=mask
        )

    def measure(tau: float) -> dict[str, Any]:
        started = time.perf_counter()
        options: dict[str, Any] = {"inclusive": inclusive, "count_zeros": count_zeros, "mask": mask}
        note = targets.update if tau == 0 else None
        # N and Sigma_0 are those of the unpruned pass; later ones need only what survives. There,
        # a layer may be silent: what a pruned network sends elsewhere is no mistake.
        pruner = ActivationPruner(model, layers, tau, totals=tau == 0, check=tau == 0, **options)
        inputs = _in_blocks(batches, pruner.count_apart) if apart is not None else batches
        again: Any = nullcontext()
        if prefix is not None:
            inputs = prefix.of(inputs)
            again = prefix.replaying() if tau else prefix.recording(lambda: pruner.shown)
        with pruner, watch if tau == 0 else nullcontext(), again:
            scorer: Any = score(model, inputs, judge, note)
        row: dict[str, Any] = {
            "tau": tau,
            "active": pruner.active,
            "abs_sum": pruner.abs_sum,
            judge.name: scorer.value(),
            "samples": scorer.count,
        }
        if tau == 0:
            first.append(scorer)
            met.extend(name for name, calls in pruner.calls.items() if calls)
            notes.extend(notes_on(pruner))
        if judge.name == "accuracy":
            row |= changed(first[0].hits, scorer.hits)
            if per_class:
                row["hits"] = scorer.hits_of_classes()
                row["lost_hits"] = lost_of_classes(first[0].hits, scorer.hits, scorer.classes)
        if apart is not None:
            parts = pruner.per_block().values()
            row |= {"blocks": [[p.active for p in parts], [p.abs_sum for p in parts]]}
        if tau == 0:
            row |= {"total": pruner.total, "total_abs_sum": pruner.total_abs_sum}
            if apart is not None:
                row |= {"blocks": [[p.total for p in parts], [p.total_abs_sum for p in parts]]}
        return row | {"seconds": time.perf_counter() - started}

    def tolerant(tau: float) -> dict[str, Any]:
        """What pruning breaks is said, and the sweep goes on."""
        started = time.perf_counter()
        nothing: dict[str, Any] = dict.fromkeys(
            [judge.name, *(["lost", "gained"] if judge.name == "accuracy" else [])]
        )
        try:
            row = measure(tau)
        except NotFiniteError as error:
            row = {"tau": tau, "active": None, "abs_sum": None, "samples": None}
            row |= {**nothing, "broken": str(error), "seconds": time.perf_counter() - started}
        else:
            if math.isnan(row[judge.name]):
                row |= {**nothing, "hits": None, "broken": "the network put out NaN"}
        return row

    with evaluating(model):
        unpruned = measure(0.0)
        scored = finite(unpruned[judge.name], judge)
        identity = {
            "layers": met,
            "inclusive": inclusive,
            "count_zeros": count_zeros,
            "blocks": apart is not None,
            **{key: unpruned[key] for key in ("total", "total_abs_sum", judge.name, "samples")},
            "targets": targets.hexdigest(),
            **_made_with(model),
        }
        identity |= {"per_class": True} if per_class else {}
        identity |= {"mask": mask} if mask is not None else {}
        log = SweepLog(checkpoint, identity)
        if prefix is not None:
            started = time.perf_counter()
            left = PASSES - 1 if guided else sum(tau not in log for tau in grid.tolist())
            prefix.prove(left)
            unpruned["seconds"] += time.perf_counter() - started
        wanted: Iterable[float] = grid.tolist()
        if guided:
            rfe = spectrum.compute()
            rfe.attrs = {key: unpruned[key] for key in ("total", "total_abs_sum")}

            def seen(tau: float) -> dict[str, Any]:
                row = log[tau]
                value = row[judge.name]
                return {**row, "drop": math.nan if value is None else judge.drop(scored, value)}

            wanted = guide(rfe, seen)
        order = []
        total = min(PASSES - 1, grid.size) if guided else grid.size
        for tau in tqdm(
            wanted, desc="full evaluation", unit="tau", total=total, disable=not progress
        ):
            if tau not in log:
                log.append(tolerant(tau))
            order.append(tau)
    grid = np.sort(order)
    found = [log[tau] for tau in grid.tolist()]
    rows = pd.DataFrame(found)
    for column in ("active", "abs_sum", judge.name):
        if rows[column].isna().any():
            rows[column] = rows[column].astype(np.float64)
    curve = thermodynamic_curve(
        grid, rows["active"], rows["abs_sum"], unpruned["total"], unpruned["total_abs_sum"]
    )
    curve[judge.name] = rows[judge.name].to_numpy(np.float64)
    broken = [row for row in found if "broken" in row]
    if broken:
        others = f", and {len(broken) - 1} others" if len(broken) > 1 else ""
        notes.append(
            f"at tau = {broken[0]['tau']:g}{others} pruning itself makes NaN "
            f"({broken[0]['broken']}): these thresholds are not safe"
        )
    if "lost" in rows:
        for column in ("lost", "gained"):
            curve[column] = rows[column]  # int64, or nan where it is not known
        if curve["lost"].isna().sum() > len(broken):
            notes.append(
                "the data came in another order than in the first pass, so it is not known which "
                "examples were lost and gained: do not shuffle them"
            )
    doubts = doubt(judge, scored, first[0])
    notes += [] if doubts is None else [doubts]
    for text in notes:
        warnings.warn(text, stacklevel=3)
    curve.attrs = {
        "layers": met,
        "metric": {"name": judge.name, "higher_is_better": judge.higher_is_better},
        "baseline": scored,
        **({"baseline_accuracy": scored} if judge.name == "accuracy" else {}),
        "total": unpruned["total"],
        "total_abs_sum": unpruned["total_abs_sum"],
        "samples": unpruned["samples"],
        "seconds": float(rows["seconds"].sum() + unpruned["seconds"]),
        "warnings": notes,
    }
    if apart is not None:
        kept = [unpruned, *(log[tau] for tau in apart.tolist())]
        lacking = [[None] * len(unpruned["blocks"][0])] * 2
        curve.attrs["blocks"] = {
            "tau": [0.0, *apart.tolist()],
            "active": [row.get("blocks", lacking)[0] for row in kept],
            "abs_sum": [row.get("blocks", lacking)[1] for row in kept],
        }
    if per_class:
        curve.attrs["per_class"] = {
            "examples": first[0].examples_of_classes(),
            "unpruned": unpruned["hits"],
            "hits": [row.get("hits") for row in found],
            "lost": [row.get("lost_hits") for row in found],
        }
    if guided:
        curve.attrs["guided"] = account(curve, rfe, order)
    if prefix is not None:
        curve.attrs["reused"] = prefix.account
    return curve


@gradients_if_needed
def renormalized(
    model: nn.Module,
    data: Iterable[Any],
    layers: LayerSpec,
    taus: ArrayLike,
    *,
    inclusive: bool = True,
    count_zeros: bool = False,
    mask: str | None = None,
    blocks: ArrayLike | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Free energy from the unpruned network alone: one pass for all thresholds (Section 3.7).

    Parameters
    ----------
    model, layers, taus, inclusive, count_zeros, mask, blocks, progress
        As for :func:`full_evaluation`.
    data : iterable of batches
        As for :func:`full_evaluation`; targets are not needed and not looked at.

    Returns
    -------
    DataFrame, K rows
        The columns of :func:`thermo_utils.thermodynamic_curve`. ``attrs`` holds ``layers`` (the
        sites that ran), ``total`` (N), ``total_abs_sum`` (Sigma_0), ``seconds`` and ``warnings``.

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
    seen = observe(
        model,
        data,
        layers,
        lambda _, tensor: here.update(tensor),
        mask=mask,
        begin=count_apart if apart is not None else None,
        description="renormalized",
        progress=progress,
    )
    if apart is not None:
        of_blocks = _spectra(parts.values(), apart)
        for block in range(1, len(parts)):
            spectrum.merge(parts[block])
    curve = spectrum.compute()
    for text in seen.warnings:
        warnings.warn(text, stacklevel=3)
    curve.attrs = {
        "layers": seen.layers,
        "total": spectrum.total,
        "total_abs_sum": spectrum.total_abs_sum,
        "seconds": time.perf_counter() - started,
        "warnings": seen.warnings,
        **({} if apart is None else {"blocks": of_blocks}),
    }
    return curve


class Observed(NamedTuple):
    """What is known after a pass over the unpruned network.

    Attributes
    ----------
    layers : list of str
        The sites that ran.
    warnings : list of str
        What a reader of its results has to know.
    """

    layers: list[str]
    warnings: list[str]


def observe(
    model: nn.Module,
    data: Iterable[Any],
    layers: LayerSpec,
    function: Callable[[str, torch.Tensor], None],
    *,
    mask: str | None = None,
    begin: Callable[[int], None] | None = None,
    description: str = "activations",
    progress: bool = True,
) -> Observed:
    """Show all activations of the unpruned network to a function, in one pass.

    Parameters
    ----------
    model, data, layers, progress
        As for :func:`renormalized`.
    function : callable
        ``function(name, tensor)`` is called for every activation of every site.
    mask : str, optional
        As for :func:`renormalized`: of an activation only what is no padding is shown.
    begin : callable, optional
        Called before each batch with the number of its block.
    description : str
        Of the progress bar.

    Returns
    -------
    Observed

    Raises
    ------
    ThermoError
        If a layer does not exist or never runs, or there is no data.

    Examples
    --------
    >>> shapes = []
    >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU())
    >>> see = lambda name, tensor: shapes.append(tuple(tensor.shape))
    >>> observe(net, [torch.randn(2, 4)], nn.ReLU, see, progress=False).layers, shapes
    (['1'], [(2, 8)])
    """

    def show(name: str, tensor: torch.Tensor) -> None:
        function(name, hooks.real(tensor))

    hooks = ActivationHooks(model, layers, show, mask=mask)
    with evaluating(model), hooks:
        empty = True
        shown = tqdm(data, desc=description, unit="batch", disable=not progress)
        for batch in _in_blocks(shown, begin) if begin is not None else shown:
            forward(model, *unpack(batch))
            empty = False
    if empty:
        raise no_data()
    return Observed([name for name, calls in hooks.calls.items() if calls], notes_on(hooks))


@gradients_if_needed
def evaluate(
    model: nn.Module,
    data: Iterable[Any],
    metric: Any = "accuracy",
    *,
    higher_is_better: bool | None = None,
) -> float:
    """Score of a network: its accuracy, unless another metric is named.

    Parameters
    ----------
    model, data, metric, higher_is_better
        As for :func:`full_evaluation`.

    Returns
    -------
    float
        For ``accuracy`` the share of targets that equal the class of the highest score; ``nan``
        where the network put out NaN.

    Raises
    ------
    ThermoError
        If there is no data, a batch has no targets, or they do not fit the metric.

    Examples
    --------
    >>> evaluate(nn.Identity(), [(torch.eye(3), torch.tensor([0, 1, 0]))])
    0.6666666666666666
    """
    judge = resolve(metric, higher_is_better)
    if not isinstance(model, nn.Module):
        raise ThermoError(f"the model is of type {type(model).__name__}, not a torch.nn.Module")
    with evaluating(model):
        return score(model, data, judge).value()


def score(
    model: nn.Module,
    data: Iterable[Any],
    judge: Metric,
    note: Callable[[bytes], None] | None = None,
) -> Scorer:
    """Run a network over data and score what it puts out, without waiting for the device.

    Parameters
    ----------
    model, data
        As for :func:`full_evaluation`; mode and gradients are the caller's.
    judge : Metric
        What it is judged by.
    note : callable, optional
        Receives the targets in their order as bytes, for which the device is asked each time.

    Returns
    -------
    Scorer
        With all batches in it.

    Raises
    ------
    ThermoError
        If a batch has no targets, or they do not fit the metric.
    """
    scorer = judge.start()
    for batch in data:
        inputs, targets = unpack(batch)
        if targets is None:
            raise ThermoError(
                "a batch has no targets: yield (inputs, targets) pairs, or mappings with 'labels'"
            )
        if note is not None:  # in one width, so that it does not matter how they are stored
            wide = torch.float64 if targets.is_floating_point() else torch.int64
            note(targets.to("cpu", wide).numpy().tobytes())
        scorer.add(Batch(model, inputs, forward(model, inputs, targets), targets))
    return scorer


def doubt(judge: Metric, baseline: float, scorer: Scorer) -> str | None:
    """Why the score of the unpruned network is no ground to judge pruning on.

    Parameters
    ----------
    judge : Metric
        What it is judged by.
    baseline : float
        Score of the unpruned network.
    scorer : Scorer
        Of its pass.

    Returns
    -------
    str or None
        None if there is no reason to doubt.
    """
    chance = scorer.chance()
    check = (
        "check that outputs and labels belong together (numbering, order, the shift of a language "
        "model), or train it first"
    )
    if chance is not None and judge.drop(chance, baseline) >= 0:
        return (
            f"the unpruned network's {judge.name} of {baseline:.4g} is no better than that of an "
            f"answer that looks at no input, {chance:.4g}: {check}"
        )
    if judge.higher_is_better and baseline == 0:
        return f"the unpruned network's {judge.name} is 0: {check}"
    return None


def finite(value: float, judge: Metric) -> float:
    """The score of the unpruned network, which has to be a number.

    Parameters
    ----------
    value : float
        Score of the unpruned network.
    judge : Metric
        What it is judged by.

    Returns
    -------
    float
        The same.

    Raises
    ------
    NotFiniteError
        If it is NaN or infinite.
    """
    if not math.isfinite(value):
        raise NotFiniteError(
            f"the unpruned network's {judge.name} is {value}: find where it puts out NaN or "
            "infinity (half precision that overflows is a frequent cause)"
        )
    return value


def notes_on(hooks: ActivationHooks) -> list[str]:
    """What has to be known of layers that never ran."""
    silent = hooks.silent
    if not silent:
        return []
    return [
        f"{len(silent)} of {len(hooks.layers)} layers never ran, such as {silent[0]!r}, and count "
        "for nothing"
    ]


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
