"""PyTorch's fused transformer kernels, which compute without calling the layers inside.

In evaluation mode ``nn.TransformerEncoderLayer`` and ``nn.MultiheadAttention`` hand their weights
to one kernel, and ``nn.TransformerEncoder`` drops padded positions before its first layer. Whatever
is hooked, or stands in the place of a layer inside, is then passed by.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import nn

__all__ = ["leave_fast_paths", "take_fast_paths", "unfused"]

#: Attributes that the classes read before they take their fast path, and how they stand for "no".
SWITCHES: Mapping[type[nn.Module], tuple[str, bool | int]] = {
    nn.TransformerEncoderLayer: ("activation_relu_or_gelu", 0),
    nn.TransformerEncoder: ("use_nested_tensor", False),
}
#: Under this name a module keeps how its attribute stood.
KEPT = "_fast_path"


class _Switch:
    """PyTorch's one switch for all of them, off as long as any thread wants it off."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wanting = 0
        self._before = True

    @contextmanager
    def off(self) -> Iterator[None]:
        with self._lock:
            if self._wanting == 0:
                self._before = torch.backends.mha.get_fastpath_enabled()
                torch.backends.mha.set_fastpath_enabled(False)
            self._wanting += 1
        try:
            yield
        finally:
            with self._lock:
                self._wanting -= 1
                if self._wanting == 0:
                    torch.backends.mha.set_fastpath_enabled(self._before)


_SWITCH = _Switch()


def unfused() -> AbstractContextManager[None]:
    """A block without fused kernels. Blocks may be nested and stand in several threads.

    Examples
    --------
    >>> with unfused():
    ...     torch.backends.mha.get_fastpath_enabled()
    False
    """
    return _SWITCH.off()


def leave_fast_paths(model: nn.Module) -> None:
    """Have the fused modules of a network compute layer by layer, for as long as it exists.

    Parameters
    ----------
    model : Module
        Changed in place: attributes of encoders, and the class of attentions. Copied and stored,
        it stays as it is.
    """
    for module in model.modules():
        if type(module) is nn.MultiheadAttention:
            module.__class__ = PlainAttention
        for kind, (name, no) in SWITCHES.items():
            if isinstance(module, kind) and name in vars(module) and KEPT not in vars(module):
                vars(module)[KEPT] = vars(module)[name]
                vars(module)[name] = no


def take_fast_paths(model: nn.Module) -> None:
    """Undo :func:`leave_fast_paths`, without a trace.

    Parameters
    ----------
    model : Module
        Changed in place.
    """
    for module in model.modules():
        if type(module) is PlainAttention:
            module.__class__ = nn.MultiheadAttention  # type: ignore[assignment]
        for kind, (name, _) in SWITCHES.items():
            if isinstance(module, kind) and KEPT in vars(module):
                vars(module)[name] = vars(module).pop(KEPT)


class PlainAttention(nn.MultiheadAttention):
    """The same attention without its fused kernel, which rounds differently."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        if torch.compiler.is_compiling():  # compilers take the plain way, and do not like locks
            return super().forward(*args, **kwargs)
        with unfused():
            return super().forward(*args, **kwargs)
