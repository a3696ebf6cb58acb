"""Batches on their way into a network: taken apart, moved to its device, and kept there."""

from __future__ import annotations

import functools
import inspect
import itertools
import sys
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, ParamSpec, TypeVar, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from thermo_utils.errors import ThermoError
from thermo_utils.fused import unfused

__all__ = [
    "NeedsGradientsError", "Once", "Resident", "device_of", "evaluating", "forward",
    "gradients_if_needed", "keep_on_device", "parts", "plain_kernels", "several_times", "unpack",
]  # fmt: skip

P = ParamSpec("P")
T = TypeVar("T")

#: Share of a device's free memory that batches may take up.
SHARE = 0.25


def unpack(batch: Any) -> tuple[Any, Any]:
    """Inputs and targets of a batch.

    Parameters
    ----------
    batch : object
        A pair, a mapping with or without ``labels``, or inputs alone.

    Returns
    -------
    inputs : object
        Mappings lose their ``labels``, so no loss is computed.
    targets : Tensor or None

    Raises
    ------
    ThermoError
        If a sequence has more than two parts, the second looks like a mask of the first, targets
        are no tensor, or inputs are lists of numbers or words.

    Examples
    --------
    >>> unpack([torch.ones(2), torch.tensor([0, 1])])[1]
    tensor([0, 1])
    """
    inputs, targets = parts(batch)
    if _mask_of(inputs, targets):
        raise ThermoError(
            "the second part of a batch looks like the mask of the first, and would be taken for "
            "its targets: yield {'input_ids': ids, 'attention_mask': mask}, or, if these are "
            "targets, {'input_ids': ids, 'labels': targets}"
        )
    _check_inputs(inputs)
    return inputs, _checked_targets(targets)


def parts(batch: Any) -> tuple[Any, Any]:
    """Inputs and targets of a batch or an example, as they are.

    Parameters
    ----------
    batch : object
        As for :func:`unpack`.

    Returns
    -------
    inputs, targets : object

    Raises
    ------
    ThermoError
        If a sequence has more than two parts.

    Examples
    --------
    >>> parts({"x": 1, "labels": 2})
    ({'x': 1}, 2)
    """
    if isinstance(batch, Mapping):
        return {key: value for key, value in batch.items() if key != "labels"}, batch.get("labels")
    if isinstance(batch, Sequence) and not isinstance(batch, str | PackedSequence):
        if len(batch) not in (1, 2):
            raise ThermoError(
                f"a batch has {len(batch)} parts: yield (inputs, targets) pairs, with several "
                "inputs as a tuple or mapping, or mappings with 'labels'"
            )
        return batch[0], batch[1] if len(batch) == 2 else None
    return batch, None


def _mask_of(inputs: Any, targets: Any) -> bool:
    """Whether targets are as many zeros and ones as there are token ids."""
    if not isinstance(inputs, Tensor) or not isinstance(targets, Tensor):
        return False
    if inputs.shape != targets.shape or inputs.ndim < 2:
        return False
    if inputs.is_floating_point() or targets.is_floating_point():
        return False
    return bool(((targets == 0) | (targets == 1)).all()) and bool((inputs > 1).any())


def _check_inputs(inputs: Any) -> None:
    """Refuse what is left of examples that were not put together into tensors."""
    named = inputs.items() if isinstance(inputs, Mapping) else [("inputs", inputs)]
    for name, value in named:
        if isinstance(value, str) or (
            isinstance(value, list) and value and _plain(value[0])
        ):  # a tuple or list of tensors is several arguments
            raise ThermoError(
                f"{name} is a {type(value).__name__} of {type(_first(value)).__name__}, not a "
                "tensor: pad examples to one length and stack them (tokenizers: padding=True, "
                "return_tensors='pt'), and leave out what the model does not take"
            )


def _plain(value: Any) -> bool:
    """Whether it is a word, a number, or a list of these."""
    return isinstance(value, str | int | float) or (
        isinstance(value, list) and (not value or _plain(value[0]))
    )


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else value


def _checked_targets(targets: Any) -> Any:
    if targets is None or isinstance(targets, Tensor):
        return targets
    if isinstance(targets, np.ndarray) and targets.dtype.kind in "biuf":
        return torch.from_numpy(targets)
    inner = _first(list(targets)) if isinstance(targets, tuple | list | np.ndarray) else targets
    if isinstance(inner, str):
        fix = "number the classes from 0 and give a tensor of these numbers"
    elif isinstance(inner, Mapping):
        fix = "boxes and the like are not scored: give one class per image or pixel, in a tensor"
    else:
        fix = "make one tensor of them, such as torch.tensor(labels)"
    raise ThermoError(
        f"targets are of type {type(targets).__name__} with {type(inner).__name__} in it: {fix}"
    )


def forward(model: nn.Module, inputs: Any, targets: Any = None) -> Any:
    """Run a model on the inputs of a batch, moved to its device.

    Parameters
    ----------
    model : Module
        The network.
    inputs : Tensor, tuple or mapping of Tensor
        Tuples become positional, mappings become keyword arguments.
    targets : Tensor, optional
        What an encoder-decoder of Hugging Face's reads from the left to predict the next token;
        others do not see it.

    Returns
    -------
    object
        Whatever the model returns.
    """
    device = device_of(model)
    if device is not None:
        inputs = _moved(inputs, device)
    try:
        if isinstance(inputs, Mapping):
            return model(**_with_decoder(model, inputs, targets))
        if isinstance(inputs, tuple | list) and not isinstance(inputs, PackedSequence):
            return model(*inputs)
        return model(inputs)
    except RuntimeError as error:
        if not torch.is_grad_enabled() and "does not require grad" in str(error):
            raise NeedsGradientsError(
                "the network takes gradients in its forward, which were turned off"
            ) from error
        raise
    except TypeError as error:
        raise _misfit(model, inputs) or error from error


def _misfit(model: nn.Module, inputs: Any) -> ThermoError | None:
    """Why inputs are no arguments of a model's; None if they are."""
    named = isinstance(inputs, Mapping)
    several = isinstance(inputs, tuple | list) and not isinstance(inputs, PackedSequence)
    try:
        signature = inspect.signature(getattr(model, "_orig_mod", model).forward)
    except (TypeError, ValueError):
        return None
    try:
        _ = signature.bind(**inputs) if named else signature.bind(*inputs) if several else None
    except TypeError as error:
        fix = (
            f"name the parts of a batch as it does ({', '.join(signature.parameters)})"
            if named
            else f"{len(inputs)} inputs are as many arguments; a list that is one argument "
            "goes as ((list,), targets), and examples of different sizes are padded and stacked"
        )
        return ThermoError(f"the model's forward does not take the inputs, {error}: {fix}")
    return None


#: Networks of which it is known that they take gradients in their ``forward``.
_TAKE_GRADIENTS: weakref.WeakSet[nn.Module] = weakref.WeakSet()


class NeedsGradientsError(ThermoError):
    """A network takes gradients in its ``forward``, and they are turned off."""


def gradients_if_needed(function: Callable[P, T]) -> Callable[P, T]:
    """Of a function of a model and data: begun anew, with gradients, when the model needs them.

    Parameters
    ----------
    function : callable
        Its first arguments are the model and the data, which come as :class:`Once` where they can
        be read only once.

    Returns
    -------
    callable
    """

    @functools.wraps(function)
    def again(*args: P.args, **kwargs: P.kwargs) -> T:
        given: list[Any] = list(args)
        model = given[0] if given else kwargs.get("model")
        if len(given) > 1:
            given[1] = Once(given[1]) if isinstance(given[1], Iterator) else given[1]
        elif isinstance(data := kwargs.get("data"), Iterator):
            kwargs["data"] = Once(data)
        call: Any = function
        try:
            return cast(T, call(*given, **kwargs))
        except NeedsGradientsError:
            if not isinstance(model, nn.Module) or model in _TAKE_GRADIENTS:
                raise
            _TAKE_GRADIENTS.add(model)
            return cast(T, call(*given, **kwargs))

    return again


class Once:
    """Batches that can be read only once, but begun again as long as only the first was read.

    Parameters
    ----------
    data : iterator of batches

    Examples
    --------
    >>> batches = Once(iter([1, 2, 3]))
    >>> next(iter(batches)), list(batches), list(batches)
    (1, [1, 2, 3], [])
    """

    def __init__(self, data: Iterator[Any]) -> None:
        self._data = data
        self._first: list[Any] = []
        self._all: list[Any] | None = None

    def __iter__(self) -> Iterator[Any]:
        if not self._first:
            self._first = list(itertools.islice(self._data, 1))
        yield from self._first
        for batch in self._data:
            self._first = []  # it cannot be begun again from here
            yield batch
        self._first = []

    def kept(self) -> list[Any]:
        """All of them, kept in memory."""
        if self._all is None:
            self._all = list(self)
        return self._all


def several_times(data: Iterable[Any]) -> Iterable[Any]:
    """The same batches, to be read as often as one likes.

    Parameters
    ----------
    data : iterable of batches
        Kept in memory if it can be read only once.

    Returns
    -------
    iterable of batches

    Examples
    --------
    >>> batches = several_times(iter([1, 2]))
    >>> list(batches), list(batches)
    ([1, 2], [1, 2])
    """
    if isinstance(data, Once):
        return data.kept()
    return list(data) if isinstance(data, Iterator) else data


def _with_decoder(model: nn.Module, inputs: Mapping[str, Any], targets: Any) -> Mapping[str, Any]:
    """Inputs of an encoder-decoder, which makes those of its decoder from the labels."""
    config = getattr(model, "config", None)
    known = {"decoder_input_ids", "decoder_inputs_embeds"} & set(inputs)
    start = getattr(config, "decoder_start_token_id", None)
    if not getattr(config, "is_encoder_decoder", False) or known or start is None:
        return inputs
    if not isinstance(targets, Tensor) or targets.ndim != 2 or targets.is_floating_point():
        return inputs
    device = device_of(model)
    moved = targets if device is None else targets.to(device)
    shifted = torch.full_like(moved, start)
    shifted[:, 1:] = moved[:, :-1]
    padding = getattr(config, "pad_token_id", None)
    shifted = shifted.masked_fill(shifted < 0, start if padding is None else padding)
    return {**inputs, "decoder_input_ids": shifted}


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode and no gradients; afterwards every submodule is in the mode it came in.

    A network that was found to take gradients in its ``forward`` keeps them. Not
    ``inference_mode``: what a network makes and keeps in there could never be trained with.
    """
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.set_grad_enabled(model in _TAKE_GRADIENTS):
            yield
    finally:
        for module, training in modes.items():
            module.training = training


@contextmanager
def plain_kernels() -> Iterator[None]:
    """No kernels and no compiled code that run a layer without calling what is inside it."""
    with ExitStack() as undo:
        undo.enter_context(unfused())
        if "torch._dynamo" in sys.modules:  # nothing is compiled if it was never imported
            undo.enter_context(torch.compiler.set_stance("force_eager"))
        yield


def device_of(model: nn.Module) -> torch.device | None:
    """Where a model's parameters are, None if it has none."""
    parameter = next(model.parameters(), None)
    return None if parameter is None else parameter.device


def keep_on_device(data: Iterable[Any], device: torch.device | None) -> Iterable[Any]:
    """The same batches, kept on an accelerator from the first pass on if they fit.

    Parameters
    ----------
    data : iterable of batches
        Read again for every pass.
    device : torch.device or None
        Where they are needed. On a CPU, or without a device, `data` comes back as it is.

    Returns
    -------
    iterable of batches
    """
    if device is None or device.type == "cpu":
        return data
    return Resident(data, device, _room(device))


class Resident:
    """Batches that are moved to a device in the first pass and stay there, if all of them fit.

    Parameters
    ----------
    data : iterable of batches
        Read once if they fit, else once per pass.
    device : torch.device
    budget : int
        Bytes on the device that they may take up. As soon as they do not fit, those kept so far
        are let go and every pass reads `data` again: a part of them could not be told from the
        rest in data that come in another order each time.

    Examples
    --------
    >>> batches = Resident(iter([torch.ones(2), torch.zeros(1)]), torch.device("cpu"), 12)
    >>> [len(batch) for batch in batches], [len(batch) for batch in batches]
    ([2, 1], [2, 1])
    """

    def __init__(self, data: Iterable[Any], device: torch.device, budget: int) -> None:
        self._data = data
        self._device = device
        self._budget = budget
        self._kept: list[Any] | None = None
        self._fits = True

    def __iter__(self) -> Iterator[Any]:
        if self._kept is not None:
            # A network may change its inputs in place: it gets a copy, made on the device.
            yield from (_each(batch, Tensor.clone) for batch in self._kept)
            return
        kept: list[Any] = []
        left = self._budget
        for batch in self._data:
            moved = _moved(batch, self._device)
            left -= _nbytes(moved)
            if left < 0:
                self._fits = False
                kept.clear()
            if self._fits:
                kept.append(_each(moved, Tensor.clone))
            yield moved
        if self._fits:  # and the pass came to its end
            self._kept = kept


def _room(device: torch.device) -> int:
    try:
        free, _ = torch.accelerator.get_memory_info(device)
    except (RuntimeError, NotImplementedError, ValueError):  # some backends cannot tell
        return 0
    return int(SHARE * free)


def _moved(value: Any, device: torch.device) -> Any:
    return _each(value, lambda tensor: tensor.to(device, non_blocking=True))


def _nbytes(value: Any) -> int:
    sizes: list[int] = []

    def note(tensor: Tensor) -> Tensor:
        sizes.append(tensor.nbytes)
        return tensor

    _each(value, note)
    return sum(sizes)


def _each(value: Any, function: Callable[[Tensor], Tensor]) -> Any:
    """The same structure with a function applied to every tensor in it."""
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, PackedSequence):
        indices = (value.sorted_indices, value.unsorted_indices)
        moved = (index if index is None else function(index) for index in indices)
        return PackedSequence(function(value.data), value.batch_sizes, *moved)
    if isinstance(value, Mapping):
        return {key: _each(item, function) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return tuple(_each(item, function) for item in value)
    return value
