"""Which networks can be rescaled, and which of their modules change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

__all__ = ["OBSTACLES", "PLANS", "Part", "obstacle"]


class Part(NamedTuple):
    """What happens to the modules of a pattern.

    Attributes
    ----------
    pattern : str
        Dotted names, as :func:`thermo_utils.resolve_layers` takes them.
    scaled_input, scaled_output : bool
        Whether what a module reads and what it returns is ``c`` times larger than before.
    """

    pattern: str
    scaled_input: bool
    scaled_output: bool


UP, DOWN, THROUGH = (False, True), (True, False), (True, True)
#: By network, the modules with parameters whose input or output changes its scale.
PLANS: Final[Mapping[str, tuple[Part, ...]]] = {
    # Every hidden layer ends with normalisation and ReLU, after which it is pruned.
    "mlp": (
        Part("hidden.norm*", *UP),
        Part("hidden.linear[!1]", *DOWN),
        Part("classifier", *DOWN),
    ),
    # Convolutions are pruned before, dense layers without normalisation.
    "cnn": (
        Part("features.conv*", *UP),
        Part("features.norm*", *DOWN),
        Part("hidden.linear1", *UP),
        Part("hidden.linear[!1]", *THROUGH),
        Part("classifier", *DOWN),
    ),
    # The sum at the end of a block is pruned, so that the shortcut has to carry the scale.
    "resnet18": (
        Part("bn1", *UP),
        Part("layer?.*.conv?", *DOWN),
        Part("layer?.*.bn?", *UP),
        Part("layer?.*.downsample.0", *DOWN),
        Part("layer?.*.downsample.1", *UP),
        Part("fc.1", *DOWN),
    ),
    # The layers before the classifier stay as they are.
    "lstm": (
        Part("classifier.linear1", *UP),
        Part("classifier.linear2", *THROUGH),
        Part("classifier.linear3", *DOWN),
    ),
}
#: Why the others cannot be rescaled.
OBSTACLES: Final[Mapping[str, str]] = {
    "mobilenet_v2": "ReLU6 cuts off at 6, whatever the scale",
    "vit": "GELU is pruned, which is not homogeneous",
    "bert": "GELU is pruned, which is not homogeneous",
    "electra": "GELU is pruned, which is not homogeneous",
    "gpt2": "GELU lies between the pruned layers, which is not homogeneous",
    "t5": "its scores themselves are pruned, and its normalisation adds a constant",
}


def obstacle(model: str) -> str | None:
    """Why a network cannot be rescaled.

    Parameters
    ----------
    model : str
        Short name of a network.

    Returns
    -------
    str or None
        None where it can.
    """
    return None if model in PLANS else OBSTACLES.get(model, "nobody has said how")
