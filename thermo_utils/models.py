"""The ten networks of the paper and the layers it prunes in them (Section 4.2)."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from thermo_utils import transformer_models, vision
from thermo_utils.chapters import TITLES
from thermo_utils.data import Splits
from thermo_utils.errors import ThermoError, nearest, unknown

__all__ = ["ARCHITECTURES", "Architecture", "build"]


@dataclass(frozen=True)
class Architecture:
    """How a network is made and where it is pruned.

    Attributes
    ----------
    name, title : str
        Short name used everywhere, and the name to print.
    kind : {"image", "text"}
        What it reads.
    make : callable
        Returns the network, given the number of classes, the shape of the inputs and options.
    layers : tuple of str or type
        The pruned outputs, see :func:`thermo_utils.resolve_layers`.
    where : str
        Where the paper prunes, in words.
    """

    name: str
    title: str
    kind: Literal["image", "text"]
    make: Callable[..., nn.Module]
    layers: tuple[str | type[nn.Module], ...]
    where: str

    @property
    def layer_names(self) -> list[str]:
        """`layers` as text."""
        return [item if isinstance(item, str) else item.__name__ for item in self.layers]


ARCHITECTURES: Mapping[str, Architecture] = {
    a.name: a
    for a in (
        Architecture(
            name="mlp",
            title=TITLES["mlp"],
            kind="image",
            make=vision.MLP,
            layers=("hidden.relu*",),
            where="after the ReLU of each hidden layer",
        ),
        Architecture(
            name="cnn",
            title=TITLES["cnn"],
            kind="image",
            make=vision.CNN,
            layers=("features.conv*", "hidden.linear*"),
            where="after each convolution and after the first two fully connected layers",
        ),
        Architecture(
            name="resnet18",
            title=TITLES["resnet18"],
            kind="image",
            make=vision.resnet18,
            layers=("layer?.*.relu",),
            where="after both ReLUs of every residual block",
        ),
        Architecture(
            name="mobilenet_v2",
            title=TITLES["mobilenet_v2"],
            kind="image",
            make=vision.mobilenet_v2,
            layers=(nn.ReLU6,),
            where="after every ReLU6",
        ),
        Architecture(
            name="vit",
            title=TITLES["vit"],
            kind="image",
            make=transformer_models.vit,
            layers=transformer_models.VIT_LAYERS,
            where="after the linear layers and the GELU of every MLP block",
        ),
        Architecture(
            name="lstm",
            title=TITLES["lstm"],
            kind="text",
            make=transformer_models.lstm,
            layers=transformer_models.LSTM_LAYERS,
            where="after the two intermediate layers of the classifier",
        ),
        Architecture(
            name="bert",
            title=TITLES["bert"],
            kind="text",
            make=transformer_models.bert,
            layers=transformer_models.BERT_LAYERS,
            where="after the intermediate layer of every block, and at the classifier",
        ),
        Architecture(
            name="electra",
            title=TITLES["electra"],
            kind="text",
            make=transformer_models.electra,
            layers=transformer_models.ELECTRA_LAYERS,
            where="after the intermediate layer of every block, and at the classifier",
        ),
        Architecture(
            name="t5",
            title=TITLES["t5"],
            kind="text",
            make=transformer_models.t5,
            layers=transformer_models.T5_LAYERS,
            where="after the linear layers of every feed-forward block, and at the classifier",
        ),
        Architecture(
            name="gpt2",
            title=TITLES["gpt2"],
            kind="text",
            make=transformer_models.gpt2,
            layers=transformer_models.GPT2_LAYERS,
            where="after the linear layers of every block's MLP, and at the classifier",
        ),
    )
}


def build(model: str, data: Splits, **options: Any) -> nn.Module:
    """Make a network that fits a dataset.

    Parameters
    ----------
    model : str
        One of `ARCHITECTURES`.
    data : Splits
        Gives the number of classes and the shape of the inputs.
    **options
        Passed to the network's ``make``.

    Returns
    -------
    Module
        In training mode, with random weights drawn from PyTorch's global generator.

    Raises
    ------
    ThermoError
        If the model is unknown, does not take one of the options, or reads another kind of input.

    Examples
    --------
    >>> from thermo_utils.data import image_splits
    >>> data = image_splits("cifar10", synthetic=True, sizes=(10, 10, 10))
    >>> network = build("mlp", data, hidden=(8, 8, 8))
    >>> network.classifier
    Linear(in_features=8, out_features=10, bias=True)
    """
    if model not in ARCHITECTURES:
        raise unknown("model", model, ARCHITECTURES)
    architecture = ARCHITECTURES[model]
    shape = _shape(architecture, data)
    allowed = [
        name
        for name, parameter in inspect.signature(architecture.make).parameters.items()
        if name != "classes" and name not in shape and parameter.kind is not parameter.VAR_KEYWORD
    ]
    takes_any = any(
        p.kind is p.VAR_KEYWORD for p in inspect.signature(architecture.make).parameters.values()
    )
    for name in options:
        if name not in allowed and not takes_any:
            close = nearest(name, allowed)
            raise ThermoError(
                f"{architecture.title} has no option {name!r}: "
                + (f"did you mean {close[0]!r}? " if close else "")
                + f"It takes {', '.join(allowed)}"
            )
    return architecture.make(classes=len(data.class_names), **shape, **options)


def _shape(architecture: Architecture, data: Splits) -> dict[str, Any]:
    inputs = data.train.inputs
    if isinstance(inputs, dict) != (architecture.kind == "text"):
        raise ThermoError(
            f"{architecture.title} reads {architecture.kind}s, the data are "
            f"{'texts' if isinstance(inputs, dict) else 'images'}"
        )
    if isinstance(inputs, dict):
        return {
            "vocabulary": data.vocabulary,
            "padding": data.padding,
            "max_length": data.max_length,
        }
    return {"image_size": inputs.shape[-1]}
