"""PyTorch's fused transformer encoder, which computes without calling the layers inside it.

In evaluation mode ``nn.TransformerEncoderLayer`` hands its weights to one kernel, and
``nn.TransformerEncoder`` drops padded positions before its first layer. Whatever stands in the
place of a layer inside is then passed by.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from torch import nn

__all__ = ["leave_fast_paths", "take_fast_paths"]

#: Switches that the classes read before they take their fast path, and how they stand for "no".
SWITCHES: Mapping[type[nn.Module], tuple[str, bool | int]] = {
    nn.TransformerEncoderLayer: ("activation_relu_or_gelu", 0),
    nn.TransformerEncoder: ("use_nested_tensor", False),
}
#: Under this name a module keeps how its switch stood.
KEPT = "_fast_path"


def leave_fast_paths(model: nn.Module, layers: Collection[nn.Module]) -> None:
    """Have every fused module that is, or holds, one of the layers compute layer by layer.

    What it computes is the same but for rounding, and for padded positions, which are no longer
    zero. It is copied and stored with the module.

    Parameters
    ----------
    model : Module
        Changed in place.
    layers : collection of Module
        Layers in it whose calls matter.
    """
    wanted = {id(layer) for layer in layers}
    for module, name, no in _fused(model):
        if KEPT not in vars(module) and any(id(inner) in wanted for inner in module.modules()):
            vars(module)[KEPT] = vars(module)[name]
            vars(module)[name] = no


def take_fast_paths(model: nn.Module) -> None:
    """Undo :func:`leave_fast_paths`, without a trace.

    Parameters
    ----------
    model : Module
        Changed in place.
    """
    for module, name, _ in _fused(model):
        if KEPT in vars(module):
            vars(module)[name] = vars(module).pop(KEPT)


def _fused(model: nn.Module) -> Iterator[tuple[nn.Module, str, bool | int]]:
    for module in model.modules():
        for kind, (name, no) in SWITCHES.items():
            if isinstance(module, kind) and name in vars(module):
                yield module, name, no
