"""What a kind is: a network, data for it, and what they are tried with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from thermo_utils.layers import LayerSpec

__all__ = ["CLASSES", "EXAMPLES", "KINDS", "Case", "Kind", "kind", "labelled", "scored", "written"]

#: Classes of the networks, and examples of the data, but where a kind says otherwise.
CLASSES, EXAMPLES = 4, 48


@dataclass(frozen=True)
class Case:
    """A network and data, as they are handed to the library.

    Attributes
    ----------
    model : Module
        Or something that a user may take for one.
    batches : callable
        Returns the batches anew, as what they come as.
    metric, higher_is_better, layers
        As for :func:`thermo_utils.full_evaluation`; without `layers` the default ones.
    """

    model: Any
    batches: Callable[[], Any]
    metric: Any = "accuracy"
    higher_is_better: bool | None = None
    layers: LayerSpec | None = None


@dataclass(frozen=True)
class Kind:
    """One row of the table.

    Attributes
    ----------
    name : str
        Of the function that makes it.
    network, data : str
        In words.
    make : callable
        Returns the `Case`, the same every time.
    heavy : bool
        Takes more than a moment, or libraries that are slow to load.
    """

    name: str
    network: str
    data: str
    make: Callable[[], Case]
    heavy: bool = False


#: All of them by name, in the order of the table.
KINDS: dict[str, Kind] = {}


def kind(
    network: str, data: str, *, heavy: bool = False
) -> Callable[[Callable[[], Case]], Callable[[], Case]]:
    """Add what a function makes to `KINDS`."""

    def add(make: Callable[[], Case]) -> Callable[[], Case]:
        def seeded() -> Case:
            torch.manual_seed(0)
            return make()

        name = make.__name__
        if name in KINDS:
            raise ValueError(f"there are two kinds {name}")
        KINDS[name] = Kind(name, network, data, seeded, heavy)
        return make

    return add


def scored(output: Any) -> Tensor:
    """The scores in what a network returned."""
    if isinstance(output, Tensor):
        return output
    return output["out"] if "out" in output else output["logits"]


def labelled(
    model: nn.Module, inputs: Any, *, call: Callable[[Any], Any] | None = None, axis: int = 1
) -> Tensor:
    """Targets that the network is right about: what it answers itself.

    So its accuracy is 1 before anything is pruned. The last bias is first moved so that it does
    not always answer the same.

    Parameters
    ----------
    model : Module
        Its last linear or convolutional layer makes the scores.
    inputs : object
        What `call` takes.
    call : callable, optional
        How scores come from inputs; by default the model is called.
    axis : int, default 1
        Where the classes are.

    Returns
    -------
    Tensor of int64
        Scores without the axis.
    """
    call = call or (lambda x: scored(model(x)))
    head = [m for m in model.modules() if isinstance(m, nn.Linear | nn.Conv1d | nn.Conv2d)][-1]
    model.eval()
    with torch.no_grad():
        scores = call(inputs).movedim(axis, -1)
        if head.bias is not None and head.bias.shape == scores.shape[-1:]:
            head.bias -= scores.float().flatten(0, -2).mean(0).to(head.bias)
            scores = call(inputs).movedim(axis, -1)
    return scores.argmax(-1)


def written(model: nn.Module, count: int, length: int, vocabulary: int, **more: Any) -> Tensor:
    """Texts that a causal language model expects: it wrote them itself, token by token.

    Parameters
    ----------
    model : Module
        Takes ``input_ids`` and returns ``logits``.
    count, length, vocabulary : int
        Of the texts; each begins with another token.

    Returns
    -------
    Tensor of int64, shape (count, length)
    """
    model.eval()
    ids = torch.arange(count)[:, None] % vocabulary
    with torch.no_grad():
        while ids.shape[1] < length:
            scores = model(input_ids=ids, **more).logits[:, -1]
            ids = torch.cat([ids, scores.argmax(-1, keepdim=True)], 1)
    return ids


def in_batches(size: int, *columns: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Columns of examples, cut into batches."""
    return zip(*(column.split(size) for column in columns), strict=True)
