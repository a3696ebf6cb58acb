"""What a network is judged by: accuracy unless told otherwise.

A metric is named, a torchmetrics object, or a function of everything the network put out and
everything it should have. Each knows which way is better and, where there is one, the score that
an answer gets which looks at no input: at or below that, no threshold is called safe.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from thermo_utils.errors import ThermoError, unknown
from thermo_utils.scorers import (
    AccuracyScorer,
    ByClassScorer,
    FunctionScorer,
    PerplexityScorer,
    Scorer,
    SquaredErrorScorer,
    TorchmetricsScorer,
    macro_f1,
    mean_iou,
)  # fmt: skip
from thermo_utils.targets import Reading
from thermo_utils.thermodynamics import CURVE_COLUMNS

__all__ = ["NAMES", "Metric", "named", "resolve"]

#: The metrics that have names; ``top5`` stands for any number.
NAMES = ("accuracy", "top5", "perplexity", "f1", "mean_iou", "mse")
#: Columns of a curve that no metric may be called by.
TAKEN = {*CURVE_COLUMNS, "lost", "gained", "samples", "drop", "safe", "layer", "method"}


@dataclass(frozen=True)
class Metric:
    """A score, which way is better, and how it is taken.

    Parameters
    ----------
    name : str
        Column of the curves.
    higher_is_better : bool
        Whether more is better.
    start : callable
        Makes a :class:`Scorer` for a pass over the data.
    """

    name: str
    higher_is_better: bool
    start: Callable[[], Scorer]

    def __post_init__(self) -> None:
        if self.name in TAKEN or not self.name.isidentifier():
            raise ThermoError(
                f"a metric cannot be called {self.name!r}: it names a column of the curve beside "
                f"{', '.join(CURVE_COLUMNS[:3])}; give it another"
            )

    def drop(self, baseline: float, score: float) -> float:
        """How much worse than the baseline a score is, in units of the metric.

        Examples
        --------
        >>> named("accuracy").drop(0.75, 0.5), named("mse").drop(1.0, 3.0)
        (0.25, 2.0)
        """
        return baseline - score if self.higher_is_better else score - baseline


def resolve(metric: Any, higher_is_better: bool | None = None) -> Metric:
    """The metric that is meant.

    Parameters
    ----------
    metric : str, Metric, torchmetrics.Metric or callable
        One of `NAMES`; or an object of torchmetrics; or ``f(outputs, targets)``, which receives
        the network's outputs for all batches and all targets, each as one tensor on the CPU, and
        returns a number. Outputs and targets reach it as they are: not shifted, not masked.
    higher_is_better : bool, optional
        Needed for functions, and for objects of torchmetrics that do not say.

    Returns
    -------
    Metric

    Raises
    ------
    ThermoError
        If it is none of these, or it is not known which way is better, or the other way is.

    Examples
    --------
    >>> resolve("top3").name
    'top3'
    >>> resolve(lambda outputs, targets: (outputs - targets).abs().mean(), False).name
    'score'
    """
    if isinstance(metric, str):
        metric = named(metric)
    if isinstance(metric, Metric):
        if higher_is_better not in (None, metric.higher_is_better):
            right = "higher" if metric.higher_is_better else "lower"
            raise ThermoError(f"{metric.name}: {right} is better; leave higher_is_better out")
        return metric
    torchmetrics = sys.modules.get("torchmetrics")  # who has such an object has imported it
    if torchmetrics is not None and isinstance(metric, torchmetrics.Metric):
        says = getattr(metric, "higher_is_better", None)
        better = _known(says if higher_is_better is None else higher_is_better, metric)
        name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(metric).__name__).lower()
        return Metric(name, better, lambda: TorchmetricsScorer(metric))
    if callable(metric):
        better = _known(higher_is_better, metric)
        name = getattr(metric, "__name__", "score")
        name = name if name.isidentifier() else "score"
        return Metric(name, better, lambda: FunctionScorer(metric))
    raise ThermoError(
        f"metric is of type {type(metric).__name__}: take one of {', '.join(NAMES)}, an object of "
        "torchmetrics, or a function of outputs and targets"
    )


def named(
    name: str,
    *,
    shift: bool | None = None,
    mask: str | None = "attention_mask",
    class_dim: int | None = None,
) -> Metric:
    """A metric by its name.

    Parameters
    ----------
    name : str
        ``accuracy``: share of targets with the highest score. ``top5``, or another number: among
        the five highest. ``perplexity``: exponential of the mean negative log-likelihood of a
        target. ``f1``: unweighted mean over the classes. ``mean_iou``: mean over the classes of
        intersection over union. ``mse``: mean squared error of numbers.
    shift, mask, class_dim
        As for :class:`thermo_utils.targets.Reading`; no part of ``mse``.

    Returns
    -------
    Metric

    Raises
    ------
    ThermoError
        If there is no such metric.

    Examples
    --------
    >>> named("perplexity").higher_is_better
    False
    """
    reading = Reading(shift, mask, class_dim)
    if name == "accuracy":
        return Metric(name, True, lambda: AccuracyScorer(reading))
    if match := re.fullmatch(r"top([1-9]\d*)", name):
        top = int(match.group(1))
        return Metric(name, True, lambda: AccuracyScorer(reading, top))
    if name == "perplexity":
        return Metric(name, False, lambda: PerplexityScorer(reading))
    if name == "f1":
        return Metric(name, True, lambda: ByClassScorer(reading, macro_f1))
    if name == "mean_iou":
        return Metric(name, True, lambda: ByClassScorer(reading, mean_iou))
    if name == "mse":
        return Metric(name, False, SquaredErrorScorer)
    raise unknown("metric", name, NAMES)


def _known(higher_is_better: bool | None, metric: Any) -> bool:
    if higher_is_better is None:
        name = getattr(metric, "__name__", type(metric).__name__)
        raise ThermoError(
            f"it is not known whether more of {name} is better: pass higher_is_better=True or False"
        )
    return bool(higher_is_better)
