"""How far the open choices of the paper move the critical threshold.

The paper leaves open whether ``|a| = tau`` survives, whether ``N`` counts zeros, which of the
outputs in and around a layer is pruned, whether padding counts, and on which grid the curve is
looked at. :func:`variants` takes each of these choices differently, one at a time, on one trained
network. The renormalized curves of all alternatives come from a single pass.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from companion.data.specs import DATASETS
from companion.data.tensors import Examples, evaluation_batches
from companion.networks import NETWORKS
from companion.runs.derived import RULES
from companion.runs.experiment import Experiment
from companion.runs.provenance import provenance
from companion.runs.records import sha256, to_json
from companion.runs.variant_files import FACTS, TABLE, read_variants
from thermo_utils.accuracy import accuracy_threshold
from thermo_utils.counting import ActivationSpectrum
from thermo_utils.curves import Threshold
from thermo_utils.errors import ThermoError
from thermo_utils.evaluation import full_evaluation
from thermo_utils.files import write_atomically
from thermo_utils.grids import FINER, grid_step
from thermo_utils.hooks import ActivationHooks
from thermo_utils.layers import resolve_layers
from thermo_utils.running import forward
from thermo_utils.structures import real_positions
from thermo_utils.transitions import critical_threshold

__all__ = [
    "Alternative",
    "alternatives",
    "check_absent",
    "check_examples",
    "subset",
    "variants",
    "write_variants",
]

Layers: TypeAlias = tuple[str, ...]

#: The row all others are compared with.
CHOSEN = "as in the chapters"
#: Examples of the test data on which the full evaluation is repeated for every alternative.
FULL_EXAMPLES = 1000


@dataclass(frozen=True)
class Alternative:
    """One way to take the open choices.

    Attributes
    ----------
    choice, words : str
        Which choice differs, and how it is taken.
    layers : tuple of str
        Outputs to prune.
    inclusive, count_zeros : bool
        As for :class:`thermo_utils.ActivationPruner`.
    padding : bool
        Whether outputs at padded positions of a text count.
    """

    choice: str
    words: str
    layers: Layers
    inclusive: bool = True
    count_zeros: bool = False
    padding: bool = True


def alternatives(model: str, layers: Layers, *, text: bool) -> list[Alternative]:
    """The chapter's choices, then every other, one changed at a time.

    Parameters
    ----------
    model : str
        Short name of a registered network.
    layers : tuple of str
        Outputs the chapter prunes.
    text : bool
        Whether inputs are texts, which have padding.

    Returns
    -------
    list of Alternative

    Examples
    --------
    >>> [a.words for a in alternatives("vit", ("classifier",), text=False)][:3]
    ['as in the chapters', 'kept only above the threshold', 'zeros counted']
    """
    changed = [
        Alternative("comparison", "kept only above the threshold", layers, inclusive=False),
        Alternative("N", "zeros counted", layers, count_zeros=True),
        *(
            Alternative("outputs", words, other)
            for words, other in NETWORKS[model].alternatives.items()
        ),
    ]
    if text:
        changed.append(Alternative("padding", "padding left out", layers, padding=False))
    return [Alternative("none", CHOSEN, layers), *changed]


def renormalized_of_all(
    network: nn.Module, data: Iterable[Any], choices: Sequence[Alternative], taus: Sequence[float]
) -> list[pd.DataFrame]:
    """Renormalized curves of several alternatives from one unpruned pass.

    Parameters
    ----------
    network : Module
        In eval mode.
    data : iterable of (inputs, targets)
        Inputs of texts are mappings with an ``attention_mask``.
    choices : sequence of Alternative
        What to count.
    taus : sequence of float
        Thresholds.

    Returns
    -------
    list of DataFrame
        One curve per alternative, each equal to what :func:`thermo_utils.renormalized` gives.
    """
    spectra = [
        ActivationSpectrum(taus, inclusive=c.inclusive, count_zeros=c.count_zeros) for c in choices
    ]
    wanted = [set(resolve_layers(network, c.layers)) for c in choices]
    mask: Tensor | None = None

    def count(name: str, output: Tensor) -> None:
        for choice, names, spectrum in zip(choices, wanted, spectra, strict=True):
            if name in names:
                spectrum.update(output if choice.padding else real_positions(output, mask))

    with torch.inference_mode(), ActivationHooks(network, sorted(set().union(*wanted)), count):
        for inputs, _ in data:
            mask = inputs.get("attention_mask") if isinstance(inputs, Mapping) else None
            forward(network, inputs)
    curves = []
    for spectrum in spectra:
        curve = spectrum.compute()
        curve.attrs["total"] = spectrum.total
        curves.append(curve)
    return curves


def subset(examples: Examples, size: int, seed: int) -> Examples:
    """A seeded choice of examples, in their original order.

    Parameters
    ----------
    examples : Examples
        To choose from.
    size : int
        At most this many.
    seed : int
        Of the choice.

    Returns
    -------
    Examples
    """
    order = torch.randperm(len(examples), generator=torch.Generator().manual_seed(seed))
    return Examples(*examples[order[:size].sort().values.tolist()])


def variants(experiment: Experiment, *, full_examples: int = FULL_EXAMPLES) -> pd.DataFrame:
    """Critical thresholds under every alternative, one row each.

    Parameters
    ----------
    experiment : Experiment
        A trained chapter.
    full_examples : int, default 1000
        Test examples for the full evaluation, the same for all alternatives; 0 leaves it out. The
        renormalized curves use all test data. Where only the counting of padding differs, the full
        evaluation is left out, since it would prune and classify the same.

    Returns
    -------
    DataFrame
        Columns ``choice`` and ``alternative``; ``total``, the N of the renormalized curve;
        ``rfe_tau``, ``rfe_beta``, ``rfe_kind``, and ``rfe_shift``, the difference to the first row
        in steps of the full evaluation's grid; the same with ``fe`` and, for the threshold from the
        accuracy, ``acc``. Empty cells: no feature, no drop of the accuracy, or not computed.

    Raises
    ------
    ThermoError
        If `full_examples` is negative.
    """
    check_examples(full_examples)
    s = experiment.run.settings
    coarse, fine = experiment.grids
    step = _step(experiment)
    text = DATASETS[s.dataset].kind == "text"
    choices = alternatives(s.model, experiment.layers, text=text)
    curves = renormalized_of_all(experiment.network(), experiment.test(), choices, fine.tolist())
    rows = [
        _row(choice, curve, full)
        for choice, curve, full in zip(
            choices, curves, _full(experiment, choices, full_examples), strict=True
        )
    ]
    for words, seen in (
        (f"{FINER} times coarser", curves[0].iloc[FINER - 1 :: FINER]),
        ("half the range", curves[0][fine <= coarse[-1] / 2]),
    ):
        part = seen.reset_index(drop=True)
        part.attrs = curves[0].attrs
        rows.append(_row(Alternative("grid", words, ()), part, None))
    table = pd.DataFrame(rows)
    for method in ("rfe", "fe", "acc"):
        tau = pd.to_numeric(table[f"{method}_tau"])
        table[f"{method}_shift"] = (tau - tau.iloc[0]) / step
    return table


def _step(experiment: Experiment) -> float:
    return grid_step(pd.DataFrame({"tau": experiment.grids[0]}))


def check_examples(full_examples: int) -> None:
    """Refuse a number of examples that is none.

    Parameters
    ----------
    full_examples : int
        As for :func:`variants`.

    Raises
    ------
    ThermoError
        If it is negative.
    """
    if full_examples < 0:
        raise ThermoError(f"full_examples must be 0 or more, got {full_examples}")


def _full(
    experiment: Experiment, choices: Sequence[Alternative], examples: int
) -> list[pd.DataFrame | None]:
    if examples == 0:
        return [None] * len(choices)
    s = experiment.run.settings
    data = evaluation_batches(subset(experiment.data().test, examples, s.seed), s.batch_size)
    return [
        full_evaluation(
            experiment.network(),
            data,
            choice.layers,
            experiment.grids[0],
            inclusive=choice.inclusive,
            count_zeros=choice.count_zeros,
            progress=False,
        )
        if choice.padding
        else None
        for choice in choices
    ]


def _row(choice: Alternative, fast: pd.DataFrame, full: pd.DataFrame | None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "choice": choice.choice,
        "alternative": choice.words,
        "total": fast.attrs["total"],
    }
    for method, found in (
        ("rfe", critical_threshold(fast)),
        ("fe", None if full is None else critical_threshold(full)),
        ("acc", None if full is None else accuracy_threshold(full)),
    ):
        row |= _cells(method, found)
    return row


def _cells(method: str, found: Threshold | None) -> dict[str, Any]:
    return {
        f"{method}_tau": np.nan if found is None else found.tau,
        f"{method}_beta": np.nan if found is None else found.beta,
        f"{method}_kind": "" if found is None else found.kind,
    }


def check_absent(folder: Path) -> None:
    """Refuse to replace a table that is there already.

    Parameters
    ----------
    folder : Path
        Of the chapter's record.

    Raises
    ------
    ThermoError
        If it holds a table, whole or damaged.
    """
    if read_variants(folder) is not None:
        raise ThermoError(f"{folder / TABLE} is there already: replace it with --force")


def write_variants(experiment: Experiment, *, full_examples: int = FULL_EXAMPLES) -> Path:
    """Compute :func:`variants` and keep the table beside the record.

    Parameters
    ----------
    experiment, full_examples
        As for :func:`variants`.

    Returns
    -------
    Path
        The table, ``variants.csv``. ``variants.json`` beside it says how it was made, and makes it
        complete; see :func:`companion.runs.variant_files.read_variants`.

    Raises
    ------
    ThermoError
        As :func:`variants`.
    """
    started = time.time()
    table = variants(experiment, full_examples=full_examples)
    text = table.to_csv(index=False)
    run, s = experiment.run, experiment.run.settings
    facts = {
        "model": s.model,
        "dataset": s.dataset,
        "profile": s.profile,
        "seed": s.seed,
        "key": s.key("renormalized"),
        "step": _step(experiment),
        "rules": RULES,
        "full_examples": min(full_examples, len(experiment.data().test)),
        "seconds": time.time() - started,
        "provenance": provenance(),
        "variants_sha256": sha256(text),
    }
    run.folder.mkdir(parents=True, exist_ok=True)
    write_atomically(run.folder / TABLE, text)
    write_atomically(run.folder / FACTS, to_json(facts) + "\n")
    return run.folder / TABLE
