"""One pass over the data, scored batch by batch: what metrics are made of."""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from thermo_utils.errors import ThermoError
from thermo_utils.hits import Hits, accuracy, no_data
from thermo_utils.targets import Batch, Reading, Rows, tensor_of

__all__ = [
    "AccuracyScorer", "ByClassScorer", "FunctionScorer", "PerplexityScorer", "Scorer",
    "SquaredErrorScorer", "TorchmetricsScorer", "macro_f1", "mean_iou",
]  # fmt: skip


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
        return sum(len(hits.targets) for hits in self.hits)

    def chance(self) -> float:
        """Share of the most frequent targets; of a class in all classes, if there is only one."""
        targets = torch.cat([hits.targets for hits in self.hits])
        often = torch.bincount(targets, minlength=self.classes).sort(descending=True).values
        if int((often > 0).sum()) == 1:
            return self._top / self.classes
        return float(int(often[: self._top].sum()) / int(often.sum()))


class PerplexityScorer(Scorer):
    """Exponential of the mean cross-entropy.

    Parameters
    ----------
    reading : Reading
        How scores and targets belong together.
    """

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


class ByClassScorer(Scorer):
    """A score made of a confusion matrix, by torchmetrics.

    Parameters
    ----------
    reading : Reading
        How scores and targets belong together.
    make : callable
        Makes the object of torchmetrics for a number of classes, which the first scores tell.
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


class SquaredErrorScorer(Scorer):
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


class TorchmetricsScorer(Scorer):
    """An object of torchmetrics, in a copy of its own.

    Parameters
    ----------
    metric : torchmetrics.Metric
        It is left as it is.
    """

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


class FunctionScorer(Scorer):
    """A function of all outputs and all targets.

    Parameters
    ----------
    function : callable
        Of two tensors; returns a number.
    """

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


def macro_f1(classes: int) -> Any:
    """Unweighted mean of F1 over the classes, of torchmetrics."""
    from torchmetrics.classification import MulticlassF1Score

    return MulticlassF1Score(classes, average="macro", validate_args=False)


def mean_iou(classes: int) -> Any:
    """Unweighted mean of intersection over union over the classes, of torchmetrics."""
    from torchmetrics.classification import MulticlassJaccardIndex

    return MulticlassJaccardIndex(classes, average="macro", validate_args=False)
