"""What describes a network: how it is made, where it is pruned, and how each chapter runs it.

Facts that several networks share stand here; everything else stands in the network's own file.
Nothing here, nor in those files, loads PyTorch before a network is made.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from thermo_utils.errors import ThermoError

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "BATCH_SIZE", "DEMO", "DROPOUT", "FINE_TUNING_RATE", "FROM_SCRATCH", "MOST_EPOCHS", "OWN_SCALE",
    "POOLED", "SMALL_LENGTH", "Network", "Recipe", "check_dropout",
]  # fmt: skip

#: Section 4.3: of fully connected layers.
DROPOUT = 0.3
#: Section 4.1.
BATCH_SIZE = {"cifar10": 64, "flowers102": 32, "ag_news": 32, "yelp": 32}
#: Early stopping ends training; this only bounds it.
MOST_EPOCHS = 50
#: Flowers-102: of all images, for training, validation and test. Section 4.1 states the official
#: split, of whose 1,020 training images no network learns what Section 5 reports; with this one the
#: networks that learn from scratch come to the published accuracies.
POOLED = "pooled-70-15-15"
#: Learning rate of a network that starts from pretrained weights; the paper's 0.001 is a rate for
#: training from scratch.
FINE_TUNING_RATE = 5e-5
#: At the profile ``small``, a text is cut at this many tokens where a network reads all pairs.
SMALL_LENGTH = {"ag_news": 64, "yelp": 128}

_SYNTHETIC = {"differs": ("synthetic data and a tiny network",)}
#: What all networks share at the profile ``demo``: enough examples to learn from, few enough for
#: seconds on two cores.
DEMO: Mapping[str, dict[str, Any]] = {
    "cifar10": {"train_size": 2_000, "validation_size": 500, "test_size": 1_000, **_SYNTHETIC},
    "flowers102": {"train_size": 1_020, "validation_size": 204, "test_size": 510, **_SYNTHETIC},
    "ag_news": {
        "train_size": 1_600, "validation_size": 200, "test_size": 400, "max_length": 48,
        **_SYNTHETIC,
    },
    "yelp": {
        "train_size": 1_600, "validation_size": 200, "test_size": 400, "max_length": 64,
        **_SYNTHETIC,
    },
}  # fmt: skip

#: Words for what differs from the paper.
FROM_SCRATCH = "no pretrained weights: trained from scratch"
#: A network of another size than the paper's has activations of another scale.
OWN_SCALE = "thresholds spaced to the scale of its activations"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one network is run on one dataset at one profile.

    ``paper`` follows Section 4 of the paper. ``small`` uses the same data with whatever trains
    without a cluster and without a network connection; ``demo`` uses generated data and tiny
    versions of the same networks. The fields are those of
    :class:`companion.runs.settings.Settings`, see there.
    """

    epochs: int
    batch_size: int
    learning_rate: float = 0.001
    patience: int = 3
    split: str = "official"
    augment: bool = False
    schedule: str = "constant"
    transfer: str | None = None
    train_size: int | None = None
    validation_size: int | None = None
    test_size: int | None = None
    tau_step: float | None = None
    tau_max: float | None = None
    tokenizer: str | None = None
    max_length: int | None = None
    checkpoint: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    differs: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Network:
    """One network: all the rest of the package knows of it.

    Attributes
    ----------
    name, title : str
        Short name used everywhere, the same as that of its file, and the name to print.
    reads : {"image", "text"}
        What its inputs are.
    layers : tuple of str
        The pruned outputs: names, patterns or class names, see
        :func:`thermo_utils.resolve_layers`.
    where : str
        Where that is, in words.
    make : callable
        Returns a new network in training mode, with random weights from PyTorch's global generator.
        It takes ``classes`` and what describes the inputs (``image_size`` of images;
        ``vocabulary``, ``padding`` and ``max_length`` of texts), all int and in the ``shape`` of
        :class:`companion.data.tensors.Splits`, and options of its own by keyword. The network maps
        images ``(batch, 3, side, side)``, or ``input_ids`` and ``attention_mask``
        ``(batch, length)``, to class scores ``(batch, classes)``, bare or as ``logits``.
    figures : mapping of str to int
        The paper's figure of each dataset; empty for a network that is not in the paper.
    recipes : mapping of (dataset, profile) to Recipe
        How it is run.
    alternatives : mapping of str to tuple of str
        In words, other outputs that Section 4.2 may mean.
    head : str
        What the names of the head's weights begin with, where all others fit any images: such a
        network can start from what it learned on other images. Empty where it cannot.
    """

    name: str
    title: str
    reads: Literal["image", "text"]
    layers: tuple[str, ...]
    where: str
    make: Callable[..., nn.Module]
    figures: Mapping[str, int] = field(default_factory=dict)
    recipes: Mapping[tuple[str, str], Recipe] = field(default_factory=dict)
    alternatives: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    head: str = ""

    @property
    def pretrained(self) -> bool:
        """Whether :attr:`make` takes a checkpoint."""
        return "checkpoint" in inspect.signature(self.make).parameters


def check_dropout(rate: float) -> float:
    """Refuse a dropout rate that is none.

    Parameters
    ----------
    rate : float
        At least 0 and below 1.

    Returns
    -------
    float
        The same.

    Raises
    ------
    ThermoError
        If it is out of range.

    Examples
    --------
    >>> check_dropout(0.3)
    0.3
    """
    if not 0 <= rate < 1:
        raise ThermoError(f"dropout must be at least 0 and below 1, got {rate}")
    return rate
