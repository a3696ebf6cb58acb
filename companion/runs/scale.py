"""What the free energy says when activations are measured in other units.

Two experiments on one trained network and a part of the test data. First, networks that predict the
same with activations ``c`` times larger (:mod:`companion.runs.rescaling`), pruned at thresholds
``c`` times larger: the same accuracy at the same sparsity, another free energy. Second, thresholds
in units of the mean absolute activation of each layer, which no rescaling changes.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from filelock import FileLock
from torch import Tensor, nn

from companion.data.tensors import evaluation_batches
from companion.runs import weights
from companion.runs.experiment import Experiment
from companion.runs.provenance import provenance
from companion.runs.records import sha256, to_json
from companion.runs.rescaling import check_rescaled, rescaled_network
from companion.runs.scale_files import COLUMNS, FACTS, LAYER_MEANS, RESCALED, TABLE, read_scale
from companion.runs.scale_plans import obstacle
from companion.runs.variants import subset
from thermo_utils.errors import ThermoError
from thermo_utils.evaluation import full_evaluation, renormalized
from thermo_utils.files import write_atomically
from thermo_utils.grids import OCTAVES, grids
from thermo_utils.hooks import ActivationPruner
from thermo_utils.layers import LayerSpec
from thermo_utils.running import evaluating, forward

__all__ = ["EXAMPLES", "InUnits", "check_absent", "check_examples", "layer_means", "write_scale"]

#: Test examples, the same for all curves.
EXAMPLES = 3000
#: Scales at which a network is evaluated beside its own; powers of two round nothing.
FACTORS = (0.25, 4.0)
#: Sparsities near which the rescaled networks are evaluated.
SPARSITIES = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98)
#: Step and end of the grid in units of a layer's mean.
STEP, LAST = 0.1, 2.4


def layer_means(network: nn.Module, data: Any, layers: LayerSpec) -> dict[str, float]:
    """Mean absolute value of the nonzero activations of every pruned layer.

    Parameters
    ----------
    network : Module
        It stays in the mode it is in and is evaluated in eval mode.
    data : iterable of (inputs, targets)
    layers : str, type or iterable of these

    Returns
    -------
    dict of str to float
        In the order of the network; 1 for a layer that puts out nothing but zeros.
    """
    with evaluating(network), ActivationPruner(network, layers, 0.0) as pruner:
        for inputs, _ in data:
            forward(network, inputs)
    table = pruner.per_layer()
    means = table["total_abs_sum"] / table["total"].where(table["total"] > 0)
    return dict(zip(table["layer"], means.fillna(1.0).astype(float), strict=True))


class InUnits(nn.Module):
    """A network that shows the outputs of its layers in units of their own.

    What a layer puts out is divided by its unit, shown to ``units.0``, ``units.1``, ..., which can
    be pruned like any layer, and multiplied again.

    Parameters
    ----------
    network : Module
        It gets hooks, which :meth:`close` removes.
    means : mapping of str to float
        The unit of each layer, a dotted name.

    Examples
    --------
    >>> net = nn.Sequential(nn.Identity())
    >>> shown = InUnits(net, {"0": 2.0})
    >>> with ActivationPruner(shown, "units.*", 1.0) as pruner:
    ...     shown(torch.tensor([1.0, 2.0, 6.0]))
    tensor([0., 2., 6.])
    >>> pruner.abs_sum
    4.0
    >>> shown.close()
    """

    def __init__(self, network: nn.Module, means: Mapping[str, float]) -> None:
        super().__init__()
        self.network = network
        self.units = nn.ModuleList(nn.Identity() for _ in means)
        named = dict(network.named_modules())
        self._hooks = [
            named[name].register_forward_hook(_in_unit(unit, mean))
            for unit, (name, mean) in zip(self.units, means.items(), strict=True)
        ]

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.network(*args, **kwargs)

    def close(self) -> None:
        """Leave the network as it was."""
        for hook in self._hooks:
            hook.remove()


def _in_unit(unit: nn.Module, mean: float) -> Any:
    def hook(module: nn.Module, args: Any, output: Any) -> Tensor:
        if not isinstance(output, Tensor):
            raise ThermoError(
                f"a {type(module).__name__} returns a {type(output).__name__}: prune a layer in it"
            )
        shown: Tensor = unit(output / mean) * mean
        return shown

    return hook


@contextmanager
def in_units(network: nn.Module, means: Mapping[str, float]) -> Iterator[InUnits]:
    shown = InUnits(network, means)
    try:
        yield shown
    finally:
        shown.close()


def check_absent(folder: Path) -> None:
    """Refuse to replace curves that are there already.

    Parameters
    ----------
    folder : Path
        Of the chapter's record.

    Raises
    ------
    ThermoError
        If it holds curves in other units, whole or damaged.
    """
    if read_scale(folder) is not None:
        raise ThermoError(f"{folder / TABLE} is there already: replace it with --force")


def write_scale(experiment: Experiment, *, examples: int = EXAMPLES, progress: bool = True) -> Path:
    """Evaluate a trained network in other units and keep the curves beside its record.

    Parameters
    ----------
    experiment : Experiment
        A trained chapter.
    examples : int, default 3000
        Test examples, a seeded choice.
    progress : bool, default True
        Show progress bars.

    Returns
    -------
    Path
        The curves, ``scale.csv``. ``scale.json`` beside it says how they were made, and makes them
        complete; see :func:`companion.runs.scale_files.read_scale`. An interrupted run goes on
        where it was.

    Raises
    ------
    ThermoError
        If `examples` is not positive, and as :func:`thermo_utils.full_evaluation`.
    """
    check_examples(examples)
    run, s = experiment.run, experiment.run.settings
    folder = run.scratch("train").with_name(f"scale-{s.key('train')}-{examples}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f"{folder.name}.lock")):
        started = time.time()
        facts, table = _measured(experiment, examples, folder, progress=progress)
        text = table.to_csv(index=False)
        facts |= {
            "model": s.model,
            "dataset": s.dataset,
            "profile": s.profile,
            "seed": s.seed,
            "key": s.key("train"),
            "weights": weights.fingerprint(experiment.network()),
            "seconds": time.time() - started,
            "provenance": provenance(),
            "scale_sha256": sha256(text),
        }
        run.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(run.folder / TABLE, text)
        write_atomically(run.folder / FACTS, to_json(facts) + "\n")
        shutil.rmtree(folder, ignore_errors=True)
    return run.folder / TABLE


def check_examples(examples: int) -> None:
    """Refuse a number of examples that is none.

    Parameters
    ----------
    examples : int
        As for :func:`write_scale`.

    Raises
    ------
    ThermoError
        If it is not positive.
    """
    if examples < 1:
        raise ThermoError(f"examples must be 1 or more, got {examples}")


def _measured(
    experiment: Experiment, examples: int, folder: Path, *, progress: bool
) -> tuple[dict[str, Any], pd.DataFrame]:
    s, layers, network = experiment.run.settings, experiment.layers, experiment.network()
    chosen = subset(experiment.data().test, examples, s.seed)
    data = evaluation_batches(chosen, s.batch_size)
    curves: list[tuple[str, float, str, pd.DataFrame]] = []

    means = layer_means(network, data, layers)
    coarse, fine = grids(STEP, LAST)
    with in_units(network, means) as shown:
        fast = renormalized(shown, data, "units.*", fine, progress=progress)
        full = full_evaluation(
            shown, data, "units.*", coarse,
            checkpoint=folder / "layer-means.jsonl", progress=progress,
        )  # fmt: skip
    curves += [(LAYER_MEANS, 1.0, "full", full), (LAYER_MEANS, 1.0, "renormalized", fast)]

    why, off = obstacle(s.model), None
    if why is None:
        wide = renormalized(network, data, layers, OCTAVES, progress=progress)
        taus = np.unique([wide["tau"][wide["beta"] >= beta].iloc[0] for beta in SPARSITIES])
        for c in (1.0, *FACTORS):
            changed = rescaled_network(s.model, network, c)
            with torch.inference_mode():
                first = check_rescaled(network, changed, layers, c, [next(iter(data))])
            off = first if off is None else max(off, first)
            full = full_evaluation(
                changed, data, layers, c * taus,
                checkpoint=folder / f"rescaled-{c:g}.jsonl", progress=progress,
            )  # fmt: skip
            fast = renormalized(changed, data, layers, c * taus, progress=progress)
            curves += [(RESCALED, c, "full", full), (RESCALED, c, "renormalized", fast)]

    table = pd.concat(
        [curve.assign(units=units, c=c, method=method) for units, c, method, curve in curves],
        ignore_index=True,
    )[list(COLUMNS)]
    facts = {
        "examples": len(chosen),
        "baseline_accuracy": curves[0][3].attrs["baseline_accuracy"],
        "means": [{"layer": layer, "mean": mean} for layer, mean in means.items()],
        "obstacle": why,
        "off": off,
        "curves": [
            {"units": units, "c": c, "method": method, "attrs": dict(curve.attrs)}
            for units, c, method, curve in curves
        ],
        "passes": sum(len(c) + 1 if m == "full" else 1 for _, _, m, c in curves),
    }
    return facts, table
