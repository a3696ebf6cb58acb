"""What a network is judged by: accuracy unless told otherwise.

A metric is named, a torchmetrics object, or a function of everything the network put out and
everything it should have. Each knows which way is better and, where there is one, the score that
an answer gets which looks at no input: at or below that, no threshold is called safe.
"""

from __future__ import annotations

import copy
import math
import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from thermo_utils.errors import ThermoError, unknown
from thermo_utils.hits import Hits, accuracy, no_data
from thermo_utils.targets import Batch, Reading, Rows, tensor_of
from thermo_utils.thermodynamics import CURVE_COLUMNS

__all__ = ["NAMES", "AccuracyScorer", "Metric", "Scorer", "named", "resolve"]

#: The metrics that have names; ``top5`` stands for any number.
NAMES = ("accuracy", "top5", "perplexity", "f1", "mean_iou", "mse")
#: Columns of a curve that no metric may be called by.
TAKEN = {*CURVE_COLUMNS, "lost", "gained", "samples", "drop", "safe", "layer", "method"}


class Scorer(ABC):
    """One pass over the data, scored batch by batch without waiting for the device."""

    @abstractmethod
    def add(self, batch: Batch) -> None:
        """Take a batch; a `ThermoError` if its outputs and targets do not fit the metric."""

    @abstractmethod
    def value(self) -> float:
        """The score of all batches; ``nan`` where the network put out NaN."""

    @property
    @abstractmethod
    def count(self) -> int:
        """Targets that counted."""

    def chance(self) -> float | None:
        """Score of the best answer that looks at no input, None if that is not known."""
        return None


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
        return Metric(name, better, lambda: _TorchmetricsScorer(metric))
    if callable(metric):
        better = _known(higher_is_better, metric)
        name = getattr(metric, "__name__", "score")
        name = name if name.isidentifier() else "score"
        return Metric(name, better, lambda: _FunctionScorer(metric))
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
        return Metric(name, False, lambda: _PerplexityScorer(reading))
    if name == "f1":
        return Metric(name, True, lambda: _ByClassScorer(reading, _macro_f1))
    if name == "mean_iou":
        return Metric(name, True, lambda: _ByClassScorer(reading, _mean_iou))
    if name == "mse":
        return Metric(name, False, _SquaredErrorScorer)
    raise unknown("metric", name, NAMES)


def _known(higher_is_better: bool | None, metric: Any) -> bool:
    if higher_is_better is None:
        name = getattr(metric, "__name__", type(metric).__name__)
        raise ThermoError(
            f"it is not known whether more of {name} is better: pass higher_is_better=True or False"
        )
    return bool(higher_is_better)


class AccuracyScorer(Scorer):
    """Share of targets that have one of the highest scores.

    Parameters
    ----------
    reading : Reading
        How scores and targets belong together.
    top : int, default 1
        So many of the highest scores count.

    Attributes
    ----------
    hits : list of Hits
        What was met, batch by batch.
    """

    def __init__(self, reading: Reading, top: int = 1) -> None:
        self._reading = reading
        self._top = top
        self.hits: list[Hits] = []
        self._strange: list[Tensor] = []
        self._nan: list[Tensor] = []
        self.classes = 0

    def add(self, batch: Batch) -> None:
        rows = self._reading.rows(batch)
        self.classes = max(self.classes, rows.scores.shape[-1])
        if self._top >= rows.scores.shape[-1]:
            raise ThermoError(
                f"top{self._top} of {rows.scores.shape[-1]} classes is always right: take fewer"
            )
        if self._top == 1:
            best = rows.scores.argmax(-1, keepdim=True)
        else:
            best = rows.scores.topk(self._top, dim=-1).indices
        # NaN counts as the highest of all scores wherever a highest is looked for.
        self._nan.append(rows.scores.gather(-1, best[:, :1]).isnan().any())
        self._strange.append(rows.strange)
        met = (best == rows.targets[:, None]).any(-1)
        self.hits.append(Hits(met, rows.targets))

    def hits_of_classes(self) -> list[int]:
        """Targets that were met, of each class."""
        met = torch.cat([hits.targets[hits.met] for hits in self.hits])
        return [int(n) for n in torch.bincount(met, minlength=self.classes)]

    def examples_of_classes(self) -> list[int]:
        """Targets of each class."""
        targets = torch.cat([hits.targets for hits in self.hits])
        return [int(n) for n in torch.bincount(targets, minlength=self.classes)]

    def value(self) -> float:
        share, _ = accuracy(self.hits)
        _check_classes(self._strange, self.classes)
        return math.nan if bool(torch.stack(self._nan).any()) else share

    @property
    def count(self) -> int:
        return accuracy(self.hits)[1]

    def chance(self) -> float:
        """Share of the most frequent targets; of a class in all classes, if there is only one."""
        targets = torch.cat([hits.targets for hits in self.hits])
        often = torch.bincount(targets, minlength=self.classes).sort(descending=True).values
        if int((often > 0).sum()) == 1:
            return self._top / self.classes
        return float(int(often[: self._top].sum()) / int(often.sum()))


class _PerplexityScorer(Scorer):
    """Exponential of the mean cross-entropy."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._sum: Tensor | None = None
        self._targets: list[Tensor] = []
        self._strange: list[Tensor] = []
        self._classes = 0

    def add(self, batch: Batch) -> None:
        rows = self._reading.rows(batch)
        self._classes = max(self._classes, rows.scores.shape[-1])
        self._strange.append(rows.strange)
        safe = torch.where(
            (rows.targets < 0) | (rows.targets >= rows.scores.shape[-1]), 0, rows.targets
        )
        losses = F.cross_entropy(rows.scores.float(), safe, reduction="none")
        total = losses.sum(dtype=torch.float64)
        self._sum = total if self._sum is None else self._sum + total
        self._targets.append(rows.targets)

    def value(self) -> float:
        if self._sum is None or not self.count:
            raise no_data()
        _check_classes(self._strange, self._classes)
        mean = float(self._sum) / self.count
        return math.exp(mean) if mean < 700 else math.inf if mean > 0 else math.nan

    @property
    def count(self) -> int:
        return sum(len(targets) for targets in self._targets)

    def chance(self) -> float:
        """That of the targets' own frequencies; of all classes alike, if there is only one."""
        often = torch.bincount(torch.cat(self._targets), minlength=self._classes)
        often = often[often > 0].double()
        if len(often) == 1:
            return float(self._classes)
        share = often / often.sum()
        return float(torch.exp(-(share * share.log()).sum()))


class _ByClassScorer(Scorer):
    """A score made of a confusion matrix, by torchmetrics.

    The number of classes is only known from the first scores.
    """

    def __init__(self, reading: Reading, make: Callable[[int], Any]) -> None:
        self._reading = reading
        self._make = make
        self._metric: Any = None
        self._count = 0
        self._nan: list[Tensor] = []
        self._classes = 0

    def add(self, batch: Batch) -> None:
        rows = self._reading.rows(batch)
        if self._metric is None:
            self._classes = rows.scores.shape[-1]
            self._metric = self._make(self._classes).to(rows.scores.device)
        _check_classes([rows.strange], self._classes)
        best = rows.scores.argmax(-1)
        self._nan.append(rows.scores.gather(-1, best[:, None]).isnan().any())
        self._metric.update(best, rows.targets)
        self._count += len(rows.targets)

    def value(self) -> float:
        if not self._count:
            raise no_data()
        return math.nan if bool(torch.stack(self._nan).any()) else float(self._metric.compute())

    @property
    def count(self) -> int:
        return self._count


class _SquaredErrorScorer(Scorer):
    """Mean squared error, with the variance of the targets to hold it against."""

    def __init__(self) -> None:
        self._sums: Tensor | None = None
        self._count = 0
        self._center: Tensor | None = None

    def add(self, batch: Batch) -> None:
        predicted, targets = _numbers(batch)
        predicted, targets = predicted.detach().double().reshape(-1), targets.double().reshape(-1)
        if not self._count and len(targets):
            self._center = targets[0]  # sums of squares far from zero lose their digits
        if self._center is None:
            return
        centered = targets - self._center
        parts = [(predicted - targets).square().sum(), centered.sum(), centered.square().sum()]
        sums = torch.stack(parts)
        self._sums = sums if self._sums is None else self._sums + sums
        self._count += len(targets)

    def value(self) -> float:
        if self._sums is None:
            raise no_data()
        return float(self._sums[0]) / self._count

    @property
    def count(self) -> int:
        return self._count

    def chance(self) -> float | None:
        """Variance of the targets: what their mean would get."""
        if self._sums is None:
            return None
        _, first, second = (float(x) / self._count for x in self._sums)
        variance = second - first**2
        return variance if variance > 0 else None


class _TorchmetricsScorer(Scorer):
    """An object of torchmetrics, in a copy of its own."""

    def __init__(self, metric: Any) -> None:
        self._metric = copy.deepcopy(metric)
        self._metric.reset()
        self._name = type(metric).__name__
        self._count = 0

    def add(self, batch: Batch) -> None:
        predicted = tensor_of(batch.output)
        if predicted is None:
            raise ThermoError(f"{self._name}: the model returned no tensor of floating point")
        targets = batch.targets
        if predicted.ndim > targets.ndim and predicted.numel() != targets.numel():
            rows: Rows = Reading().rows(batch)
            _check_classes([rows.strange], rows.scores.shape[-1])
            predicted, targets = rows.scores, rows.targets
            if self._name == "Perplexity":  # which wants texts
                predicted, targets = predicted[None], targets[None]
        else:
            predicted, targets = _fitting(predicted.detach(), targets)
        self._metric = self._metric.to(predicted.device)
        try:
            self._metric.update(predicted, targets.to(predicted.device))
        except (ValueError, RuntimeError, TypeError) as error:
            raise ThermoError(
                f"{self._name} does not take outputs of shape {tuple(predicted.shape)} with "
                f"targets of shape {tuple(targets.shape)}: {error}"
            ) from error
        self._count += len(targets.reshape(-1))

    def value(self) -> float:
        if not self._count:
            raise no_data()
        return _number(self._metric.compute(), self._name)

    @property
    def count(self) -> int:
        return self._count


class _FunctionScorer(Scorer):
    """A function of all outputs and all targets."""

    def __init__(self, function: Callable[[Tensor, Tensor], Any]) -> None:
        self._function = function
        self._outputs: list[Tensor] = []
        self._targets: list[Tensor] = []

    def add(self, batch: Batch) -> None:
        found = tensor_of(batch.output)
        if found is None:
            raise ThermoError(
                f"the model returned {type(batch.output).__name__}, in which there is no tensor of "
                "floating point for the metric: return a tensor, a tuple that starts with one, or "
                "'logits'"
            )
        self._outputs.append(found.detach().cpu())
        self._targets.append(batch.targets.cpu())

    def value(self) -> float:
        if not self._outputs:
            raise no_data()
        try:
            everything = torch.cat(self._outputs), torch.cat(self._targets)
        except RuntimeError as error:
            raise ThermoError(
                f"batches of different shapes cannot be put together for a function ({error}): pad "
                "them to one length, or give an object of torchmetrics"
            ) from error
        return _number(
            self._function(*everything), getattr(self._function, "__name__", "the metric")
        )

    @property
    def count(self) -> int:
        return sum(len(targets) for targets in self._targets)


def _numbers(batch: Batch) -> tuple[Tensor, Tensor]:
    """Predicted numbers and the true ones, of one shape."""
    predicted = tensor_of(batch.output)
    if predicted is None:
        raise ThermoError(
            f"the model returned {type(batch.output).__name__}, in which there are no numbers of "
            "floating point: return a tensor, a tuple that starts with one, or 'logits'"
        )
    if not isinstance(batch.targets, Tensor):
        raise ThermoError(
            f"targets are of type {type(batch.targets).__name__}: make them a tensor of numbers"
        )
    return _fitting(predicted, batch.targets.to(predicted.device))


def _fitting(predicted: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Both in one shape: ``(n,)`` and ``(n, 1)`` are the same numbers, and nothing is broadcast."""
    if predicted.shape == targets.shape:
        return predicted, targets
    shapes = [tuple(size for size in x.shape[1:] if size != 1) for x in (predicted, targets)]
    if shapes[0] != shapes[1] or predicted.shape[:1] != targets.shape[:1]:
        raise ThermoError(
            f"targets of shape {tuple(targets.shape)} do not fit outputs of shape "
            f"{tuple(predicted.shape)}: give as many numbers as the model predicts"
        )
    return predicted.reshape(targets.shape), targets


def _number(value: Any, name: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ThermoError(f"{name} returned {type(value).__name__}, not one number") from error


def _check_classes(strange: list[Tensor], classes: int) -> None:
    if strange and bool(torch.stack(strange).any()):
        raise ThermoError(
            f"targets are not all among the {classes} classes that the model scores, 0 to "
            f"{classes - 1}: number the classes from 0 (labels 1 to {classes}: subtract 1), and "
            "mark what is not to count with -100"
        )


def _macro_f1(classes: int) -> Any:
    from torchmetrics.classification import MulticlassF1Score

    return MulticlassF1Score(classes, average="macro", validate_args=False)


def _mean_iou(classes: int) -> Any:
    from torchmetrics.classification import MulticlassJaccardIndex

    return MulticlassJaccardIndex(classes, average="macro", validate_args=False)
