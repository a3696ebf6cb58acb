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

from companion.data.tensors import Examples, batches
from companion.pages.variants import FACTS, TABLE
from companion.runs.experiment import FINER, Experiment
from companion.runs.provenance import provenance
from companion.runs.records import sha256, to_json
from thermo_utils.batches import forward
from thermo_utils.counting.spectrum import ActivationSpectrum
from thermo_utils.errors import ThermoError
from thermo_utils.evaluation import full_evaluation
from thermo_utils.files import write_atomically
from thermo_utils.grids import uniform_grid
from thermo_utils.hooks import ActivationHooks, resolve_layers
from thermo_utils.transitions import Threshold, accuracy_threshold, critical_threshold

__all__ = [
    "Alternative",
    "alternatives",
    "real_positions",
    "variants",
    "write_variants",
]

Layers: TypeAlias = tuple[str | type[nn.Module], ...]

#: The row all others are compared with.
CHOSEN = "as in the chapters"
#: Examples of the test data on which the full evaluation is repeated for every alternative.
FULL_EXAMPLES = 1000

_ENCODER: Mapping[str, Layers] = {
    "before the GELU": ("{}.encoder.layer.*.intermediate.dense", "classifier"),
    "second linear layer of each block too": (
        "{}.encoder.layer.*.intermediate",
        # A digit before the dot, which the output layer of the attention has not.
        "{}.encoder.layer.*[0-9].output.dense",
        "classifier",
    ),
    "without the classifier": ("{}.encoder.layer.*.intermediate",),
}

#: Other outputs that Section 4.2 may mean, by network, in words.
OUTPUTS: Mapping[str, Mapping[str, Layers]] = {
    "mlp": {
        "linear layers": ("hidden.linear*",),
        "after normalisation, before ReLU": ("hidden.norm*",),
        "after dropout": ("hidden.dropout*",),
    },
    "cnn": {
        "convolutions after normalisation": ("features.norm*", "hidden.linear*"),
        "convolutions and dense layers after ReLU": ("features.relu*", "hidden.relu*"),
        "convolutions after pooling, dense after ReLU": ("features.pool*", "hidden.relu*"),
        "dense layers after ReLU": ("features.conv*", "hidden.relu*"),
    },
    "resnet18": {
        "ReLU of the stem too": ("relu", "layer?.*.relu"),
        "normalisations of the blocks, before ReLU": ("layer?.*.bn?",),
        "convolutions of the blocks": ("layer?.*.conv?",),
    },
    "mobilenet_v2": {
        "every normalisation": (nn.BatchNorm2d,),
        "every convolution": (nn.Conv2d,),
    },
    "vit": {
        "only the GELU": ("vit.layers.*.mlp.activation_fn",),
        "only the linear layers": ("vit.layers.*.mlp.fc1", "vit.layers.*.mlp.fc2"),
    },
    "lstm": {
        "after ReLU": ("classifier.relu*",),
        "last linear layer too": ("classifier.linear*",),
        "states of the LSTM too": ("lstm", "classifier.linear1", "classifier.linear2"),
    },
    **{
        model: {
            words: tuple(str(layer).format(model) for layer in layers)
            for words, layers in _ENCODER.items()
        }
        for model in ("bert", "electra")
    },
    "t5": {
        "only the first linear layers": ("t5.*.DenseReluDense.wi*", "classifier"),
        "without the classifier": ("t5.*.DenseReluDense.wi*", "t5.*.DenseReluDense.wo"),
    },
    "gpt2": {
        "only the first linear layers": ("transformer.h.*.mlp.c_fc", "score"),
        "first linear layers after the GELU": (
            "transformer.h.*.mlp.act", "transformer.h.*.mlp.c_proj", "score",
        ),
        "without the classifier": ("transformer.h.*.mlp.c_fc", "transformer.h.*.mlp.c_proj"),
    },
}  # fmt: skip


@dataclass(frozen=True)
class Alternative:
    """One way to take the open choices.

    Attributes
    ----------
    choice, words : str
        Which choice differs, and how it is taken.
    layers : tuple of str or type
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
        Short name of the network, a key of `OUTPUTS`.
    layers : tuple of str or type
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
        *(Alternative("outputs", words, other) for words, other in OUTPUTS[model].items()),
    ]
    if text:
        changed.append(Alternative("padding", "padding left out", layers, padding=False))
    return [Alternative("none", CHOSEN, layers), *changed]


def real_positions(output: Tensor, mask: Tensor | None) -> Tensor:
    """The part of an output that belongs to tokens of the texts, not to their padding.

    Parameters
    ----------
    output : Tensor
        An output of a hooked layer.
    mask : Tensor, shape (batch, length), or None
        Nonzero where a token is real; None for inputs without padding.

    Returns
    -------
    Tensor
        Outputs of shape ``(batch, positions, ...)``, with three or more dimensions and no more
        positions than the mask has, come back as ``(tokens, ...)``. Others hold one vector per text
        (or per image) and come back as they are.

    Examples
    --------
    >>> states = torch.arange(6.0).reshape(2, 3, 1)
    >>> real_positions(states, torch.tensor([[1, 1, 0], [1, 0, 0]])).flatten().tolist()
    [0.0, 1.0, 3.0]
    """
    if mask is None or output.ndim < 3 or output.shape[0] != mask.shape[0]:
        return output
    if output.shape[1] > mask.shape[1]:
        return output
    # A network may skip what is padding in every text of a batch.
    return output[mask[:, : output.shape[1]].ne(0).to(output.device)]


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
        Its network is trained first, unless that was done before.
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
        If `full_examples` is negative, and as :class:`~companion.runs.experiment.Experiment`.
    """
    if full_examples < 0:
        raise ThermoError(f"full_examples must be 0 or more, got {full_examples}")
    coarse = experiment.grid
    step = float(coarse[0])
    choices = alternatives(
        experiment.settings.model, experiment.layers, text=experiment.architecture.kind == "text"
    )
    fine = uniform_grid(step / FINER, float(coarse[-1]))
    curves = renormalized_of_all(
        experiment.network, experiment.test_batches, choices, fine.tolist()
    )
    rows = [
        _row(choice, curve, full)
        for choice, curve, full in zip(
            choices, curves, _full(experiment, choices, full_examples), strict=True
        )
    ]
    for words, seen in (
        (f"{FINER} times coarser", curves[0].iloc[FINER - 1 :: FINER]),
        ("half the range", curves[0].iloc[: len(fine) // 2]),
    ):
        part = seen.reset_index(drop=True)
        part.attrs = curves[0].attrs
        rows.append(_row(Alternative("grid", words, ()), part, None))
    table = pd.DataFrame(rows)
    for method in ("rfe", "fe", "acc"):
        tau = pd.to_numeric(table[f"{method}_tau"])
        table[f"{method}_shift"] = (tau - tau.iloc[0]) / step
    return table


def _full(
    experiment: Experiment, choices: Sequence[Alternative], examples: int
) -> list[pd.DataFrame | None]:
    if examples == 0:
        return [None] * len(choices)
    s = experiment.settings
    data = batches(subset(experiment.data.test, examples, s.seed), experiment.evaluation_batch_size)
    return [
        full_evaluation(
            experiment.network,
            data,
            choice.layers,
            experiment.grid,
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
        complete; see :func:`companion.pages.variants.read_variants`.

    Raises
    ------
    ThermoError
        As :func:`variants`.
    """
    started = time.time()
    table = variants(experiment, full_examples=full_examples)
    text = table.to_csv(index=False)
    facts = {
        "model": experiment.settings.model,
        "dataset": experiment.settings.dataset,
        "profile": experiment.settings.profile,
        "seed": experiment.settings.seed,
        "key": experiment.settings.key("renormalized"),
        "step": float(experiment.grid[0]),
        "full_examples": min(full_examples, len(experiment.data.test)),
        "seconds": time.time() - started,
        "provenance": provenance(),
        "variants_sha256": sha256(text),
    }
    experiment.folder.mkdir(parents=True, exist_ok=True)
    write_atomically(experiment.folder / TABLE, text)
    write_atomically(experiment.folder / FACTS, to_json(facts) + "\n")
    return experiment.folder / TABLE
