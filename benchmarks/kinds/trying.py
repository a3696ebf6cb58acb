"""What a user would do with a network and data, and whether it works."""

from __future__ import annotations

import warnings
from typing import Any

import torch

from benchmarks.kinds.kind import Case, Kind
from thermo_utils import find_safe_threshold, full_evaluation, renormalized
from thermo_utils.activations import default_layers
from thermo_utils.errors import ThermoError
from thermo_utils.grids import automatic_step
from thermo_utils.layers import LayerSpec

__all__ = ["chosen", "taus_of", "tried"]

#: Of the thresholds up to which next to nothing survives, those that are evaluated.
SHARES = (0.1, 0.3, 0.6)
#: How much worse the score may get.
MAX_DROP = 0.05


def chosen(case: Case) -> LayerSpec:
    """The layers of a case, or those that are chosen by default."""
    if case.layers is not None:
        return case.layers
    return default_layers(case.model, next(iter(case.batches()), None))


def taus_of(case: Case, layers: LayerSpec) -> list[float]:
    """Three thresholds, positive and increasing, that any type of number holds exactly."""
    last = automatic_step(case.model, case.batches(), layers)[1]
    return [float(torch.tensor(share * last).bfloat16()) for share in SHARES]


def tried(kind: Kind) -> dict[str, Any]:
    """Choose layers, evaluate both ways, and look for a safe threshold.

    Parameters
    ----------
    kind : Kind
        What to try.

    Returns
    -------
    dict
        ``outcome`` is ``"works"``, with what was found, or ``"refused"``, with the message and the
        step that it came at.

    Raises
    ------
    Exception
        Any other than a `ThermoError` is a fault of the library.
    """
    case = kind.make()
    facts: dict[str, Any] = {"network": kind.network, "data": kind.data}
    step = "layers"
    try:
        with warnings.catch_warnings(record=True):
            warnings.simplefilter("always")
            layers = chosen(case)
            step = "RFE"
            taus = taus_of(case, layers)
            rfe = renormalized(case.model, case.batches(), layers, taus, progress=False)
            step = "FE"
            score: dict[str, Any] = {
                "metric": case.metric,
                "higher_is_better": case.higher_is_better,
            }
            fe = full_evaluation(case.model, case.batches(), layers, taus, progress=False, **score)
            step = "safe threshold"
            safe = find_safe_threshold(
                case.model, case.batches(), case.layers, max_drop=MAX_DROP, relative=True,
                progress=False, **score,
            )  # fmt: skip
    except ThermoError as error:
        return {**facts, "outcome": "refused", "step": step, "message": str(error)}
    return {
        **facts,
        "outcome": "works",
        "metric": fe.attrs["metric"]["name"],
        "layers": fe.attrs["layers"],
        "total": int(fe.attrs["total"]),
        "taus": taus,
        "rfe": [int(x) for x in rfe["active"]],
        "fe": [None if x != x else int(x) for x in fe["active"]],
        "baseline": fe.attrs["baseline"],
        "safe": {"tau": safe.tau, "beta": safe.beta, "score": safe.score},
        "warnings": sorted({*rfe.attrs["warnings"], *fe.attrs["warnings"], *safe.warnings}),
    }
