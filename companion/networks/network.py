"""The ten networks of the paper and the layers it prunes in them (Section 4.2).

What makes a network is named here and imported when one is made: the page of a finished chapter
needs the names, and not the seconds it takes to load ``transformers``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

from torch import nn

from companion.data.tensors import Splits
from companion.runs.chapters import TITLES
from thermo_utils.errors import ThermoError, nearest, unknown

__all__ = [
    "ARCHITECTURES", "BERT_LAYERS", "ELECTRA_LAYERS", "GPT2_LAYERS", "LSTM_LAYERS", "T5_LAYERS",
    "VIT_LAYERS", "Architecture", "build",
]  # fmt: skip

#: "after linear layers and GELU activations in the MLP blocks": both linear layers and the GELU.
VIT_LAYERS = (
    "vit.layers.*.mlp.fc1", "vit.layers.*.mlp.activation_fn", "vit.layers.*.mlp.fc2",
)  # fmt: skip
#: "intermediate fully connected layers within the encoder blocks and the classifier". The
#: intermediate layer includes its GELU. Only then can sparsity jump from about 0.7 to above 0.97
#: between thresholds 0.12 and 0.20 as published, for GELU is never below -0.17. The classifier
#: stands for the class scores.
BERT_LAYERS = ("bert.encoder.layer.*.intermediate", "classifier")
ELECTRA_LAYERS = ("electra.encoder.layer.*.intermediate", "classifier")
#: "after the fully connected layers in both encoder and decoder blocks and in the classifier";
#: ``wi*`` covers the gated variants, where there are two.
T5_LAYERS = ("t5.*.DenseReluDense.wi*", "t5.*.DenseReluDense.wo", "classifier")
#: "after the fully connected layers in the decoder blocks and in the classifier".
GPT2_LAYERS = ("transformer.h.*.mlp.c_fc", "transformer.h.*.mlp.c_proj", "score")
#: "after the intermediate classifier layers": outputs of the first two of three layers, before
#: their ReLU. There the free energy peaks at a sparsity of about 0.32 as published (AG News); after
#: the ReLU it has no peak at all.
LSTM_LAYERS = ("classifier.linear1", "classifier.linear2")


@dataclass(frozen=True)
class Architecture:
    """How a network is made and where it is pruned.

    Attributes
    ----------
    name : str
        Short name used everywhere.
    kind : {"image", "text"}
        What it reads.
    maker : str
        Module and name of what :attr:`make` is.
    layers : tuple of str or type
        The pruned outputs, see :func:`thermo_utils.resolve_layers`.
    where : str
        Where the paper prunes, in words.
    """

    name: str
    kind: Literal["image", "text"]
    maker: str
    layers: tuple[str | type[nn.Module], ...]
    where: str

    @property
    def title(self) -> str:
        """The name to print."""
        return TITLES[self.name]

    @property
    def make(self) -> Callable[..., nn.Module]:
        """Returns the network, given the number of classes, the shape of the inputs and options."""
        module, _, name = self.maker.partition(":")
        made: Callable[..., nn.Module] = getattr(import_module(module), name)
        return made

    @property
    def layer_names(self) -> list[str]:
        """`layers` as text."""
        return [item if isinstance(item, str) else item.__name__ for item in self.layers]


ARCHITECTURES: Mapping[str, Architecture] = {
    a.name: a
    for a in (
        Architecture(
            name="mlp",
            kind="image",
            maker="companion.networks.resnet18:MLP",
            layers=("hidden.relu*",),
            where="after the ReLU of each hidden layer",
        ),
        Architecture(
            name="cnn",
            kind="image",
            maker="companion.networks.resnet18:CNN",
            layers=("features.conv*", "hidden.linear*"),
            where="after each convolution and after the first two fully connected layers",
        ),
        Architecture(
            name="resnet18",
            kind="image",
            maker="companion.networks.resnet18:resnet18",
            layers=("layer?.*.relu",),
            where="after both ReLUs of every residual block",
        ),
        Architecture(
            name="mobilenet_v2",
            kind="image",
            maker="companion.networks.resnet18:mobilenet_v2",
            layers=(nn.ReLU6,),
            where="after every ReLU6",
        ),
        Architecture(
            name="vit",
            kind="image",
            maker="companion.networks.transformer:vit",
            layers=VIT_LAYERS,
            where="after the linear layers and the GELU of every MLP block",
        ),
        Architecture(
            name="lstm",
            kind="text",
            maker="companion.networks.transformer:lstm",
            layers=LSTM_LAYERS,
            where="after the two intermediate layers of the classifier",
        ),
        Architecture(
            name="bert",
            kind="text",
            maker="companion.networks.transformer:bert",
            layers=BERT_LAYERS,
            where="after the intermediate layer of every block, and at the classifier",
        ),
        Architecture(
            name="electra",
            kind="text",
            maker="companion.networks.transformer:electra",
            layers=ELECTRA_LAYERS,
            where="after the intermediate layer of every block, and at the classifier",
        ),
        Architecture(
            name="t5",
            kind="text",
            maker="companion.networks.transformer:t5",
            layers=T5_LAYERS,
            where="after the linear layers of every feed-forward block, and at the classifier",
        ),
        Architecture(
            name="gpt2",
            kind="text",
            maker="companion.networks.transformer:gpt2",
            layers=GPT2_LAYERS,
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
    >>> from companion.data.tensors import image_splits
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
