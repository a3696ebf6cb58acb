"""Running a network on a batch, and the state it runs in."""

from __future__ import annotations

import functools
import inspect
import sys
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, ParamSpec, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from thermo_utils.batches import Once
from thermo_utils.devices import device_of, moved
from thermo_utils.errors import ThermoError
from thermo_utils.fused import unfused

__all__ = [
    "NeedsGradientsError", "evaluating", "forward", "gradients_if_needed", "plain_kernels",
]  # fmt: skip

P = ParamSpec("P")
T = TypeVar("T")

#: Networks of which it is known that they take gradients in their ``forward``.
_TAKE_GRADIENTS: weakref.WeakSet[nn.Module] = weakref.WeakSet()


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
        inputs = moved(inputs, device)
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
